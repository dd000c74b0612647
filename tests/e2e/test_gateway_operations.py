"""What is asked of models that is no chat, through a running gateway with the official clients: each operation, relayed
and translated, with its errors, its cost, its row in the ledger, and the limits of the key.
"""

from __future__ import annotations

import base64
import json
import struct
import time
from collections.abc import Iterator
from typing import Any

import cohere
import httpx
import openai
import pytest

from penstock.testing.providers import Cut, Reply, SimulatedProviders
from tests.e2e.gateway import KEY, Running, environment_for, serving
from tests.support.raw_server import saying

MOCKED = {
    "embed-mock": [0.5, 0.25],
    "image-mock": "https://example.invalid/cat.png",
    "words-mock": "as I said",
    "failing-mock": "penstock.RateLimitError",
}


IMAGE_USAGE = {"input_tokens": 5, "output_tokens": 272, "total_tokens": 277}
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


def drawing(kind: str) -> bytes:
    """The stream of an image that is drawn: one of a first try, and the last."""
    events: list[dict[str, Any]] = [
        {"type": f"{kind}.partial_image", "b64_json": "AA==", "partial_image_index": 0},
        {"type": f"{kind}.completed", "b64_json": "AAAA", "usage": IMAGE_USAGE},
    ]
    return HEAD + b"".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in events)


def _config(at: SimulatedProviders, drawn: str, edited: str) -> dict[str, Any]:
    openai_like = {"api_base": at.url("openai_chat"), "api_key": "sk-fake-upstream"}
    aws = {"aws_access_key_id": "AKIAFAKE", "aws_secret_access_key": "fake-secret", "aws_region_name": "us-east-1"}
    gemini = {"api_base": at.url("gemini") + "/v1beta", "api_key": "fake-gemini"}
    cohere_like = {"api_base": at.url("cohere"), "api_key": "fake-cohere"}
    bedrock = {"api_base": at.url("bedrock"), "arguments": aws}
    closed = {"api_base": "http://127.0.0.1:1", "api_key": "sk-fake-nowhere"}
    models: list[dict[str, Any]] = [
        {"name": "embed", "id": "embed-1", "model": "openai/text-embedding-3-small", **openai_like},
        {"name": "embed-cohere", "model": "cohere/embed-v4.0", **cohere_like},
        {"name": "embed-gemini", "model": "gemini/gemini-embedding-001", **gemini},
        {"name": "embed-ollama", "model": "ollama/nomic-embed-text", "api_base": at.url("ollama")},
        {"name": "embed-titan", "model": "bedrock/amazon.titan-embed-text-v2:0", **bedrock},
        {"name": "embed-broken", "model": "openai/text-embedding-3-small", **closed},
        {"name": "rank", "model": "cohere/rerank-v3.5", **cohere_like},
        {"name": "words", "model": "openai/gpt-3.5-turbo-instruct", **openai_like},
        {"name": "chat-gemini", "model": "gemini/gemini-2.5-flash", **gemini},
        {"name": "chat-gpt", "model": "openai/gpt-4o", **openai_like},
        {"name": "shown", "model": "demo"},
        {"name": "picture", "model": "openai/gpt-image-1", **openai_like},
        {"name": "drawn", "model": "openai/gpt-image-1", "api_base": drawn, "api_key": "sk-fake"},
        {"name": "edited", "model": "openai/gpt-image-1", "api_base": edited, "api_key": "sk-fake"},
        {"name": "voice", "model": "openai/tts-1", **openai_like},
        {"name": "ears", "model": "openai/whisper-1", **openai_like},
        {"name": "new-ears", "model": "openai/gpt-4o-mini-transcribe", **openai_like},
        {"name": "judge", "model": "openai/omni-moderation-latest", **openai_like},
        {"name": "omni-moderation-latest", "model": "openai/omni-moderation-latest", **openai_like},
    ]
    keyless = {"name": "keyless-mock", "model": "mistral/mistral-large-latest"}
    models.append({**keyless, "arguments": {"mock_response": "nobody was asked"}})
    for name, value in MOCKED.items():
        models.append({"name": name, "model": "openai/gpt-4o", "arguments": {"mock_response": value}})
    return {
        "models": models,
        "aliases": {"vectors": "embed"},
        "routing": {"retries": 0, "fallbacks": {"embed-broken": ["embed"]}},
    }


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatedProviders]:
    with SimulatedProviders() as simulated:
        yield simulated


@pytest.fixture
def providers(server: SimulatedProviders) -> SimulatedProviders:
    server.clear()
    return server


@pytest.fixture(scope="module")
def gateway(server: SimulatedProviders, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    config = tmp_path_factory.mktemp("operations") / "penstock.yaml"
    environment = environment_for(server, PENSTOCK_MASTER_KEY=KEY)
    with saying(drawing("image_generation")) as drawn, saying(drawing("image_edit")) as edited:
        config.write_text(json.dumps(_config(server, drawn.url, edited.url)))
        with serving(environment, "--config", str(config), "--workers", "1") as running:
            yield running


@pytest.fixture
def client(gateway: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0) as found:
        yield found


def post(gateway: Running, path: str, body: Any, key: str = KEY) -> httpx.Response:
    return httpx.post(gateway.url + path, json=body, headers={"authorization": f"Bearer {key}"}, timeout=30)


def get(gateway: Running, path: str) -> Any:
    return httpx.get(gateway.url + path, headers={"authorization": f"Bearer {KEY}"}, timeout=30).json()


def new_key(gateway: Running, **fields: Any) -> str:
    answer = post(gateway, "/key/generate", fields)
    assert answer.status_code == 200, answer.text
    key: str = answer.json()["key"]
    return key


def row(gateway: Running, call_id: str) -> Any:
    """The ledger's row of a call, as soon as it is there."""
    for _ in range(200):
        found = get(gateway, f"/spend/logs?request_id={call_id}")
        if found:
            return found[0]
        time.sleep(0.05)
    raise AssertionError(f"no row for {call_id}")


# -- embeddings -------------------------------------------------------------------------------------------------------

EMBEDDING_MODELS = ("embed", "embed-cohere", "embed-gemini", "embed-ollama", "embed-titan")


@pytest.mark.parametrize("model", EMBEDDING_MODELS)
def test_embeddings(client: openai.OpenAI, model: str) -> None:
    one = client.embeddings.create(model=model, input="a text")  # the client asks for base64 and unpacks it
    two = client.embeddings.create(model=model, input=["a text", "another"], encoding_format="float")
    assert len(one.data) == 1 and len(two.data) == 2
    assert all(isinstance(number, float) for number in two.data[1].embedding)
    assert one.data[0].embedding == pytest.approx(two.data[0].embedding, abs=1e-5)
    assert [item.index for item in two.data] == [0, 1]


@pytest.mark.parametrize("model", EMBEDDING_MODELS)
def test_base64_is_what_it_says(gateway: Running, model: str) -> None:
    numbers = post(gateway, "/v1/embeddings", {"model": model, "input": "x"}).json()["data"][0]["embedding"]
    packed = post(gateway, "/v1/embeddings", {"model": model, "input": "x", "encoding_format": "base64"}).json()
    data = base64.b64decode(packed["data"][0]["embedding"])
    assert struct.unpack(f"<{len(data) // 4}f", data) == pytest.approx(numbers, abs=1e-5)


@pytest.mark.parametrize(
    ("model", "count", "asked"), [("embed", 2100, 2), ("embed-cohere", 100, 2), ("embed-titan", 3, 3)]
)
def test_a_list_that_is_longer_than_one_request_may_be(
    gateway: Running, providers: SimulatedProviders, model: str, count: int, asked: int
) -> None:
    inputs = [f"text {number}" for number in range(count)]
    answer = post(gateway, "/v1/embeddings", {"model": model, "input": inputs})
    assert answer.status_code == 200, answer.text
    value = answer.json()
    assert [item["index"] for item in value["data"]] == list(range(count))
    assert len(providers.requests) == asked
    alone = post(gateway, "/v1/embeddings", {"model": model, "input": inputs[-1]}).json()
    assert value["data"][-1]["embedding"] == pytest.approx(alone["data"][0]["embedding"])
    assert value["usage"]["prompt_tokens"] >= count
    assert answer.headers["x-penstock-attempts"] == str(asked)
    logged = row(gateway, answer.headers["x-penstock-call-id"])
    assert logged["prompt_tokens"] == value["usage"]["prompt_tokens"]


def test_a_part_that_fails_fails_the_whole(gateway: Running, providers: SimulatedProviders) -> None:
    refused = Reply.error(400, "not this one")
    providers.answer_with(lambda request: refused if b"text 2" in request.body else None)
    answer = post(gateway, "/v1/embeddings", {"model": "embed-titan", "input": [f"text {n}" for n in range(4)]})
    providers.answer_with(None)
    assert answer.status_code == 400 and "not this one" in answer.json()["error"]["message"]
    assert answer.headers["x-penstock-attempts"] == "3"
    logged = row(gateway, answer.headers["x-penstock-call-id"])
    assert logged["status"] == "failure" and logged["prompt_tokens"] > 0, "the parts before it are paid for"


def test_token_ids_are_one_input(gateway: Running, providers: SimulatedProviders) -> None:
    answer = post(gateway, "/v1/embeddings", {"model": "embed", "input": list(range(1, 2000))})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["data"]) == 1 and len(providers.requests) == 1


def test_aliases_and_old_paths(gateway: Running, providers: SimulatedProviders) -> None:
    for path in ("/v1/embeddings", "/embeddings", "/engines/embed/embeddings", "/openai/deployments/embed/embeddings"):
        body = {"input": "x"} if "embed/" in path else {"model": "vectors", "input": "x"}
        answer = post(gateway, path, body)
        assert answer.status_code == 200, answer.text
        assert providers.last.json["model"] == "text-embedding-3-small"
        assert answer.headers["x-penstock-deployment"] == "embed-1"


def test_the_cost_is_exact_in_header_and_ledger(gateway: Running) -> None:
    answer = post(gateway, "/v1/embeddings", {"model": "embed", "input": "how much is it"})
    tokens = answer.json()["usage"]["prompt_tokens"]
    assert float(answer.headers["x-penstock-cost"]) == pytest.approx(tokens * 0.02e-6, rel=1e-12)
    logged = row(gateway, answer.headers["x-penstock-call-id"])
    assert logged["call_type"].removeprefix("a") == "embedding"
    assert logged["prompt_tokens"] == tokens
    assert logged["spend"] == pytest.approx(tokens * 0.02e-6, rel=1e-12)


def test_a_fallback_is_counted(gateway: Running) -> None:
    answer = post(gateway, "/v1/embeddings", {"model": "embed-broken", "input": "x"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-penstock-fallbacks"] == "1"
    assert answer.headers["x-penstock-attempts"] == "2"
    assert answer.headers["x-penstock-deployment"] == "embed-1"


def test_what_a_host_cannot_say_is_told(gateway: Running) -> None:
    answer = post(gateway, "/v1/embeddings", {"model": "embed-ollama", "input": "x", "user": "somebody"})
    assert answer.status_code == 200, answer.text
    assert "user" in answer.headers["x-penstock-notes"]


@pytest.mark.parametrize("model", EMBEDDING_MODELS)
def test_errors_are_those_of_openai(client: openai.OpenAI, providers: SimulatedProviders, model: str) -> None:
    providers.script(Reply.error(400, "No such thing"))
    with pytest.raises(openai.BadRequestError, match="No such thing") as caught:
        client.embeddings.create(model=model, input="x")
    assert caught.value.body is not None and "message" in caught.value.body  # type: ignore[operator]  # there, or the test fails
    providers.script(Reply.error(429, retry_after=3))
    with pytest.raises(openai.RateLimitError) as limited:
        client.embeddings.create(model=model, input="x")
    assert limited.value.response.headers["retry-after"] == "3"


def test_a_model_that_nobody_has(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="nobody-has-this"):
        client.embeddings.create(model="nobody-has-this", input="x")


@pytest.mark.parametrize("body", [{"model": "embed-cohere"}, {"model": "embed-gemini", "input": 5}, {"input": "x"}])
def test_a_body_that_says_nothing_useful(gateway: Running, body: Any) -> None:
    answer = post(gateway, "/v1/embeddings", body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["message"]


# -- limits and budgets -----------------------------------------------------------------------------------------------


def test_a_key_may_use_its_models_only(gateway: Running) -> None:
    key = new_key(gateway, models=["embed"])
    assert post(gateway, "/v1/embeddings", {"model": "embed", "input": "x"}, key).status_code == 200
    assert post(gateway, "/v1/embeddings", {"model": "embed-cohere", "input": "x"}, key).status_code in (401, 403)


def test_limits_hold(gateway: Running) -> None:
    key = new_key(gateway, rpm_limit=2)
    statuses = [post(gateway, "/v1/embeddings", {"model": "embed", "input": "x"}, key).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"model": "embed", "input": "a text of some length"}),
        ("/v1/rerank", {"model": "rank", "query": "q", "documents": ["a", "b"]}),
        ("/v1/completions", {"model": "words", "prompt": "Once", "max_tokens": 50}),
        ("/v1/completions", {"model": "chat-gemini", "prompt": "Once", "max_tokens": 50}),
        ("/v1/images/generations", {"model": "picture", "prompt": "a cat"}),
        ("/v1/audio/speech", {"model": "voice", "input": "hello there", "voice": "alloy"}),
    ],
)
def test_budgets_hold_for_all(gateway: Running, providers: SimulatedProviders, path: str, body: Any) -> None:
    poor = new_key(gateway, max_budget=1e-9)
    answer = post(gateway, path, body, poor)
    assert answer.status_code in (400, 429), answer.text
    assert "budget" in answer.text.lower()
    assert not providers.requests
    rich = new_key(gateway, max_budget=100)
    answer = post(gateway, path, body, rich)
    assert answer.status_code == 200, answer.text
    cost = float(answer.headers.get("x-penstock-cost") or row(gateway, answer.headers["x-penstock-call-id"])["spend"])
    assert cost > 0
    assert float(row(gateway, answer.headers["x-penstock-call-id"])["spend"]) == pytest.approx(cost, rel=1e-9)


# -- reranking --------------------------------------------------------------------------------------------------------


def test_rerank_with_the_client_of_cohere(gateway: Running) -> None:
    with httpx.Client() as http:
        client = cohere.ClientV2(api_key=KEY, base_url=gateway.url, httpx_client=http)
        answer = client.rerank(model="rank", query="cats", documents=["a dog", "a cat"], top_n=1)
    assert len(answer.results) == 1 and answer.results[0].index in (0, 1)


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
def test_rerank(gateway: Running, path: str) -> None:
    answer = post(gateway, path, {"model": "rank", "query": "cats", "documents": ["a dog", "a cat"]})
    assert answer.status_code == 200, answer.text
    assert {each["index"] for each in answer.json()["results"]} == {0, 1}
    assert float(answer.headers["x-penstock-cost"]) > 0


# -- text completions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["words", "chat-gemini"])
def test_text_completions(client: openai.OpenAI, providers: SimulatedProviders, model: str) -> None:
    providers.script(Reply.text("upon a time"))
    answer = client.completions.create(model=model, prompt="Once", max_tokens=20)
    assert answer.choices[0].text == "upon a time"
    assert answer.usage is not None and answer.usage.total_tokens > 0


@pytest.mark.parametrize("model", ["words", "chat-gemini"])
def test_text_completions_stream(
    client: openai.OpenAI, gateway: Running, providers: SimulatedProviders, model: str
) -> None:
    providers.script(Reply.text("upon a time", pieces=3))
    with client.completions.with_streaming_response.create(
        model=model, prompt="Once", max_tokens=20, stream=True, stream_options={"include_usage": True}
    ) as answer:
        call_id = answer.headers["x-penstock-call-id"]
        chunks = list(answer.parse())
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == "upon a time"
    (usage,) = [chunk.usage for chunk in chunks if chunk.usage is not None]
    logged = row(gateway, call_id)
    assert logged["completion_tokens"] == usage.completion_tokens and logged["spend"] > 0


def test_usage_is_read_of_a_stream_whose_client_did_not_ask(
    client: openai.OpenAI, gateway: Running, providers: SimulatedProviders
) -> None:
    providers.script(Reply.text("upon a time", pieces=3))
    with client.completions.with_streaming_response.create(
        model="words", prompt="Once", max_tokens=20, stream=True
    ) as answer:
        call_id = answer.headers["x-penstock-call-id"]
        chunks = list(answer.parse())
    assert all(chunk.usage is None for chunk in chunks) and all(chunk.choices for chunk in chunks)
    logged = row(gateway, call_id)
    assert logged["completion_tokens"] > 0 and logged["spend"] > 0


@pytest.mark.parametrize("path", ["/engines/{}/completions", "/openai/deployments/{}/completions", "/completions"])
@pytest.mark.parametrize("model", ["words", "chat-gemini", "chat-gpt"])
def test_old_paths_of_text_completions(gateway: Running, path: str, model: str) -> None:
    body = {"prompt": "Once", "max_tokens": 5, **({} if "{}" in path else {"model": model})}
    answer = post(gateway, path.format(model), body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["object"] == "text_completion" and answer.headers["x-penstock-model-group"] == model


def test_old_paths_of_chats(gateway: Running) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    for path in ("/engines/chat-gpt/chat/completions", "/openai/deployments/chat-gpt/chat/completions?api-version=1"):
        assert post(gateway, path, body).status_code == 200


@pytest.mark.parametrize("before", ["/engines/{}", "/openai/deployments/{}"])
def test_the_model_in_a_path_wins_over_the_bodys(gateway: Running, providers: SimulatedProviders, before: str) -> None:
    """As on Azure: its clients send a model in the body of every request, and mean the deployment in the path."""
    said = [{"role": "user", "content": "Hi"}]
    asks: list[tuple[str, str, str, dict[str, Any]]] = [
        ("/chat/completions", "chat-gemini", "chat-gpt", {"messages": said}),
        ("/chat/completions", "chat-gpt", "chat-gemini", {"messages": said}),
        ("/chat/completions/", "chat-gemini", "nobody", {"messages": said}),
        ("/completions", "words", "chat-gpt", {"prompt": "Once"}),
        ("/embeddings", "embed", "embed-cohere", {"input": "x"}),
        ("/embeddings", "embed-cohere", "embed", {"input": "x"}),
        ("/images/generations", "picture", "nobody", {"prompt": "a cat"}),
        ("/moderations", "judge", "nobody", {"input": "x"}),
    ]
    for path, named, other, body in asks:
        for usual in ({"model": other}, {"model": named}, {}):  # whoever is asked often is asked without a second look
            answer = post(gateway, before.format(named) + path, {**usual, **body})
            assert answer.status_code == 200, answer.text
            assert answer.headers["x-penstock-model-group"] == named
            assert json.dumps(other) not in providers.last.body.decode()


def test_the_model_in_a_path_wins_in_an_official_client(gateway: Running) -> None:
    with openai.AzureOpenAI(
        azure_endpoint=gateway.url, azure_deployment="chat-gemini", api_key=KEY, api_version="2024-10-21"
    ) as client:
        for _ in range(3):
            answer = client.chat.completions.with_raw_response.create(
                model="chat-gpt", messages=[{"role": "user", "content": "Hi"}]
            )
            assert answer.headers["x-penstock-model-group"] == "chat-gemini"


def test_the_model_in_a_path_wins_over_the_one_in_a_form(gateway: Running, providers: SimulatedProviders) -> None:
    for fields in ({"model": "voice"}, {"model": "ears"}, {}):
        answer = httpx.post(
            f"{gateway.url}/openai/deployments/ears/audio/transcriptions",
            data=fields,
            files={"file": ("a.mp3", b"ID3 fake")},
            headers={"authorization": f"Bearer {KEY}"},
        )
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-penstock-model-group"] == "ears"
        assert b"whisper-1" in providers.last.body and b"voice" not in providers.last.body


def test_an_error_tells_who_gave_it_and_what_is_left(gateway: Running, providers: SimulatedProviders) -> None:
    key = new_key(gateway, rpm_limit=2, tpm_limit=100_000)
    body = {"model": "chat-gpt", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}
    unknown = post(gateway, "/v1/chat/completions", {**body, "model": "nobody"}, key)
    assert unknown.status_code == 404 and "x-penstock-deployment" not in unknown.headers
    answer = post(gateway, "/v1/chat/completions", body, key)
    providers.script(Reply.error(400, "not this one"))
    refused = post(gateway, "/v1/chat/completions", body, key)
    limited = post(gateway, "/v1/chat/completions", body, key)
    assert [each.status_code for each in (answer, refused, limited)] == [200, 400, 429]
    assert refused.headers["x-penstock-deployment"] == answer.headers["x-penstock-deployment"]
    assert "x-penstock-deployment" not in limited.headers, "nobody was asked"
    assert int(limited.headers["retry-after"]) > 0
    left = [each.headers["x-ratelimit-remaining-requests"] for each in (answer, refused, limited)]
    assert left == ["1", "0", "0"]
    for each in (unknown, answer, refused, limited):
        assert each.headers["x-ratelimit-limit-requests"] == "2"
        assert each.headers["x-ratelimit-limit-tokens"] == "100000"
        assert 0 <= int(each.headers["x-ratelimit-remaining-tokens"]) <= 100_000


@pytest.mark.parametrize("counts", [False, True])
def test_a_bridged_stream_tells_its_usage_only_to_who_asked(
    client: openai.OpenAI, providers: SimulatedProviders, counts: bool
) -> None:
    more: Any = {"stream_options": {"include_usage": True}} if counts else {}
    for model in ("chat-gpt", "chat-gemini"):
        providers.script(Reply.text("upon a time", pieces=3))
        chunks = list(client.completions.create(model=model, prompt="Once", stream=True, **more))
        assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == "upon a time"
        assert {chunk.object for chunk in chunks} == {"text_completion"}
        assert any(chunk.usage is not None for chunk in chunks) is counts


def test_a_broken_off_bridged_stream_says_so(client: openai.OpenAI, providers: SimulatedProviders) -> None:
    providers.script(Reply.text("upon a time", pieces=3).with_faults(Cut(after=2)))
    with pytest.raises(openai.APIError):
        list(client.completions.create(model="chat-gemini", prompt="Once", stream=True))


def test_what_chat_cannot_say(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="token ids"):
        client.completions.create(model="chat-gemini", prompt=[1, 2, 3])


def test_several_prompts_to_a_chat_model(client: openai.OpenAI, providers: SimulatedProviders) -> None:
    providers.script(Reply.text("one"), Reply.text("two"))
    answer = client.completions.create(model="chat-gemini", prompt=["a", "b"], max_tokens=20)
    assert [(choice.index, choice.text) for choice in answer.choices] == [(0, "one"), (1, "two")]


# -- images, sound, moderation ----------------------------------------------------------------------------------------


def test_images(client: openai.OpenAI) -> None:
    answer = client.images.with_raw_response.generate(model="picture", prompt="a cat")
    assert float(answer.headers["x-penstock-cost"]) > 0
    data = answer.parse().data
    assert data is not None and data[0].b64_json
    edited = client.images.edit(model="picture", prompt="a dog", image=("cat.png", b"\x89PNG fake", "image/png"))
    assert edited.data is not None and edited.data[0].b64_json


def test_images_stream(client: openai.OpenAI, gateway: Running) -> None:
    with client.images.with_streaming_response.generate(
        model="drawn", prompt="a cat", stream=True, partial_images=2
    ) as answer:
        call_id = answer.headers["x-penstock-call-id"]
        events = list(answer.parse())
    assert [event.type for event in events] == ["image_generation.partial_image", "image_generation.completed"]
    logged = row(gateway, call_id)
    assert logged["spend"] > 0 and logged["completion_tokens"] == 272


def test_a_whole_answer_to_who_asked_for_a_stream_is_charged_too(gateway: Running) -> None:
    answer = post(gateway, "/v1/images/generations", {"model": "picture", "prompt": "a cat", "stream": True})
    assert answer.json()["data"] and row(gateway, answer.headers["x-penstock-call-id"])["spend"] > 0


def test_edited_images_stream(client: openai.OpenAI, gateway: Running) -> None:
    with client.images.with_streaming_response.edit(
        model="edited", prompt="a cat", image=[("a.png", b"\x89PNG", "image/png")], stream=True
    ) as answer:
        call_id = answer.headers["x-penstock-call-id"]
        events = list(answer.parse())
    assert events[-1].type == "image_edit.completed"
    assert row(gateway, call_id)["spend"] > 0


def test_speech(client: openai.OpenAI, gateway: Running) -> None:
    with client.audio.speech.with_streaming_response.create(model="voice", input="hello", voice="alloy") as answer:
        data = b"".join(answer.iter_bytes())
        call_id = answer.headers["x-penstock-call-id"]
        assert answer.headers["content-type"].startswith("audio/")
        assert float(answer.headers["x-penstock-cost"]) == pytest.approx(5 * 15e-6)
    assert data
    assert row(gateway, call_id)["spend"] == pytest.approx(5 * 15e-6)


@pytest.mark.parametrize("shape", ["json", "verbose_json"])
def test_transcriptions(client: openai.OpenAI, shape: Any) -> None:
    answer = client.audio.transcriptions.create(model="ears", file=("a.mp3", b"ID3 fake"), response_format=shape)
    assert isinstance(answer.text, str) and answer.text


@pytest.mark.parametrize("shape", ["text", "srt", "vtt"])
def test_transcriptions_as_text(client: openai.OpenAI, shape: Any) -> None:
    answer: Any = client.audio.transcriptions.create(model="ears", file=("a.mp3", b"ID3 fake"), response_format=shape)
    assert isinstance(answer, str) and answer


def test_transcriptions_stream(client: openai.OpenAI, gateway: Running) -> None:
    with client.audio.transcriptions.with_streaming_response.create(
        model="new-ears", file=("a.mp3", b"ID3 fake"), stream=True
    ) as answer:
        call_id = answer.headers["x-penstock-call-id"]
        events = list(answer.parse())
    assert events[-1].type == "transcript.text.done"
    assert row(gateway, call_id)["spend"] > 0


def test_moderations(client: openai.OpenAI) -> None:
    assert client.moderations.create(model="judge", input="hello").results
    assert client.moderations.create(input="hello").results
    answer = client.moderations.with_raw_response.create(model="judge", input="hello")
    assert answer.headers["x-penstock-cost"] == "0"


# -- mocks ------------------------------------------------------------------------------------------------------------


def test_mocks_answer_here(client: openai.OpenAI, providers: SimulatedProviders) -> None:
    vectors = client.embeddings.create(model="embed-mock", input=["a", "b"]).data
    assert [vector.embedding for vector in vectors] == [[0.5, 0.25]] * 2
    pictures = client.images.generate(model="image-mock", prompt="a cat").data
    assert pictures is not None and pictures[0].url == MOCKED["image-mock"]
    assert client.completions.create(model="words-mock", prompt="Hi").choices[0].text == "as I said"
    heard = client.audio.transcriptions.create(model="words-mock", file=("a.mp3", b"x"))
    assert heard.text == "as I said"
    with pytest.raises(openai.RateLimitError):
        client.embeddings.create(model="failing-mock", input="a")
    assert not providers.requests


@pytest.mark.parametrize("stream", [False, True])
def test_the_demo_model_answers_by_the_name_of_its_group_and_is_counted(
    client: openai.OpenAI, stream: bool, gateway: Running
) -> None:
    said: Any = [{"role": "user", "content": "Hi there"}]
    told = client.chat.completions.with_raw_response.create(model="shown", messages=said, stream=stream)
    answer = told.parse()
    names = {chunk.model for chunk in answer} if isinstance(answer, openai.Stream) else {answer.model}
    assert names == {"shown"}
    found = row(gateway, told.headers["x-penstock-call-id"])
    assert (found["prompt_tokens"], found["completion_tokens"], found["total_tokens"]) == (2, 10, 12)
    assert (found["status"], found["spend"], found["metadata"]["attempts"]) == ("success", 0, [])


def test_a_mock_needs_no_key_of_its_provider(client: openai.OpenAI) -> None:
    messages: Any = [{"role": "user", "content": "Hi"}]
    answer = client.chat.completions.with_raw_response.create(model="keyless-mock", messages=messages)
    assert answer.parse().choices[0].message.content == "nobody was asked"
    assert float(answer.headers["x-penstock-cost"]) > 0, "what the model would have cost"
