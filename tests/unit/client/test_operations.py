"""Operations at their edges: bad arguments, missing keys, mocks, errors inside a 200, retries, fallbacks, bills."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

import penstock
from penstock import AsyncClient, Client, exceptions
from penstock.client import embeddings, media, reranking, stored, text_completions
from penstock.client.operations import Operation, check
from penstock.exchange import Broken, HTTPRequest, Reply, Send
from penstock.types.errors import MalformedError
from penstock.types.retry import Backoff

FAKE = {"environment": {}, "api_key": "sk-fake", "num_retries": 0}


class Scripted:
    """A transport that answers from a list, and remembers what was asked."""

    def __init__(self, *replies: Reply | Broken) -> None:
        self.replies = list(replies)
        self.requests: list[HTTPRequest] = []

    def send(self, send: Send) -> Reply | Broken:
        self.requests.append(send.request)
        return self.replies.pop(0)

    def close(self) -> None:
        pass


def reply(value: Any, status: int = 200, kind: str = "application/json") -> Reply:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Reply(status, {"content-type": kind}, body)


def client(*replies: Reply | Broken, **arguments: Any) -> tuple[Client, Scripted]:
    transport = Scripted(*replies)
    return Client(**{**FAKE, "transport": transport, **arguments}), transport


Ask = Callable[[Client], Any]


# -- bad arguments ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ask", "parameter"),
    [
        (lambda c: c.embeddings.create(model="openai/text-embedding-3-small"), "input"),
        (lambda c: c.embeddings.create(model="openai/text-embedding-3-small", input=[]), "input"),
        (lambda c: c.embeddings.create(model="openai/text-embedding-3-small", input=3), "input"),
        (lambda c: c.embeddings.create(model="openai/x", input="a", encoding_format="hex"), "encoding_format"),
        (lambda c: c.embeddings.create(model="openai/x", input="a", dimensions="8"), "dimensions"),
        (lambda c: c.embeddings.create(model=7, input="a"), "model"),
        (lambda c: c.rerank(model="cohere/rerank-v3.5", query=1, documents=["a"]), "query"),
        (lambda c: c.rerank(model="cohere/rerank-v3.5", query="q", documents="a"), "documents"),
        (lambda c: c.images.generate(model="openai/gpt-image-1", prompt=["a"]), "prompt"),
        (lambda c: c.images.generate(model="openai/gpt-image-1", prompt="a", n="two"), "n"),
        (lambda c: c.images.edit(model="openai/gpt-image-1", prompt="a", image=3), "image"),
        (lambda c: c.audio.speech.create(model="openai/tts-1", input=3, voice="alloy"), "input"),
        (lambda c: c.audio.speech.create(model="openai/tts-1", input="a"), "voice"),
        (lambda c: c.audio.transcriptions.create(model="openai/whisper-1", file=1.5), "file"),
        (lambda c: c.moderations.create(input={"a": 1}), "input"),
        (lambda c: c.files.create(file=b"x"), "purpose"),
        (lambda c: c.files.retrieve(17), "file_id"),
        (lambda c: c.batches.create(endpoint="/v1/x", completion_window="24h"), "input_file_id"),
        (lambda c: c.completions.create(model="anthropic/claude-sonnet-4-5", prompt=3), "prompt"),
        (lambda c: c.responses.create(model="openai/gpt-4o", input=3), "input"),
        (lambda c: c.responses.create(model="openai/gpt-4o", input="a", text_format=3), "text_format"),
        (lambda c: c.messages.create(model="openai/gpt-4o", messages=3, max_tokens=9), "messages"),
        (lambda c: c.models.generate_content(model="openai/gpt-4o", contents=3), "contents"),
        (lambda c: c.models.generate_content(model="openai/gpt-4o", contents="a", config=3), "config"),
        (lambda c: c.images.generate(model="openai/gpt-image-1", prompt="a", timeout="soon"), "timeout"),
    ],
)
def test_a_wrong_argument_is_named(ask: Ask, parameter: str) -> None:
    made, transport = client()
    with pytest.raises(exceptions.BadRequestError, match=parameter) as caught:
        ask(made)
    assert (caught.value.param or "").startswith(parameter)
    assert transport.requests == []


@pytest.mark.parametrize(
    ("ask", "variable"),
    [
        (lambda c: c.embeddings.create(model="cohere/embed-v4.0", input="a"), "COHERE_API_KEY"),
        (lambda c: c.embeddings.create(model="cohere/embed-v4.0", input=["a"] * 500), "COHERE_API_KEY"),
        (lambda c: c.rerank(model="voyage/rerank-2.5", query="q", documents=["a"]), "VOYAGE_API_KEY"),
        (lambda c: c.audio.speech.create(model="openai/tts-1", input="a", voice="x"), "OPENAI_API_KEY"),
        (lambda c: c.files.list(), "OPENAI_API_KEY"),
        (lambda c: c.messages.create(model="anthropic/claude-x", messages=[], max_tokens=1), "ANTHROPIC_API_KEY"),
        (lambda c: c.completions.create(model="openai/davinci-002", prompt="a"), "OPENAI_API_KEY"),
    ],
)
def test_a_missing_key_names_its_variable(ask: Ask, variable: str) -> None:
    with pytest.raises(exceptions.AuthenticationError, match=variable):
        ask(Client(environment={}))


def test_an_unknown_model_names_the_nearest() -> None:
    with pytest.raises(exceptions.UnknownModelError, match="openai/text-embedding-3-small"):
        Client(**FAKE).embeddings.create(model="opnai/text-embedding-3-small", input="a")


def test_a_provider_that_does_not_serve_the_call_says_what_it_serves() -> None:
    with pytest.raises(
        exceptions.UnsupportedParamsError, match=r"Anthropic does not serve embeddings\. It serves: chat"
    ):
        Client(**FAKE).embeddings.create(model="anthropic/claude-sonnet-4-5", input="a")


def test_a_model_is_needed() -> None:
    with pytest.raises(exceptions.UnknownModelError, match="`model` is missing"):
        Client(**FAKE).images.generate(prompt="a fox")


@pytest.mark.parametrize(
    ("call", "given"),
    [
        (penstock.image_generation, {"prompt": "a fox"}),
        (penstock.image_edit, {"image": b"x", "prompt": "a fox"}),
        (penstock.speech, {"input": "a", "voice": "alloy"}),
        (penstock.transcription, {"file": b"x"}),
        (penstock.embedding, {"input": "a"}),
        (penstock.rerank, {"query": "q", "documents": ["a"]}),
        (penstock.completion, {"messages": [{"role": "user", "content": "a"}]}),
        (penstock.responses, {"input": "a"}),
        (penstock.messages, {"messages": [{"role": "user", "content": "a"}]}),
        (penstock.generate_content, {"contents": "a"}),
        (penstock.text_completion, {"prompt": "a"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.parametrize("model", [None, "", " "])
def test_a_call_without_a_model_says_what_to_pass(call: Any, given: dict[str, Any], model: Any) -> None:
    with pytest.raises(exceptions.UnknownModelError) as caught:
        call(model=model, **given)
    assert caught.value.param == "model"
    assert 'Pass "provider/model", such as "' in caught.value.message
    example = caught.value.message.rpartition('such as "')[2].rstrip('".')
    assert penstock.get_llm_provider(example)[1] in ("openai", "cohere")


OPERATIONS = [
    value
    for module in (embeddings, media, reranking, stored, text_completions)
    for value in vars(module).values()
    if isinstance(value, Operation) and value.required
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_what_is_required_is_asked_for_by_name(operation: Operation[Any]) -> None:
    for missing in operation.required:
        with pytest.raises(MalformedError) as caught:
            check(operation, {name: ["x"] for name in operation.required if name != missing})
        assert caught.value.path == missing
        assert len(operation.required[missing]) > 10 and operation.required[missing] in str(caught.value)


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_an_id_cannot_climb(name: str) -> None:
    made, transport = client()
    with pytest.raises(exceptions.BadRequestError):
        made.files.retrieve(name)
    assert transport.requests == []


def test_an_id_is_one_segment_whatever_is_in_it() -> None:
    made, transport = client(reply({"id": "x", "object": "file"}))
    made.files.retrieve("a/../b?c#d")
    assert transport.requests[0].url == "https://api.openai.com/v1/files/a%2F..%2Fb%3Fc%23d"


# -- answers that are none --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        reply(b"<html>hello</html>", kind="text/html"),
        reply(b"{ not json"),
        reply([1, 2]),
        reply({}),
        reply({"data": [{"no": "vector"}]}),
    ],
)
def test_an_answer_that_is_none_is_shown(answer: Reply) -> None:
    made, _ = client(answer)
    with pytest.raises(exceptions.APIResponseValidationError, match="It begins") as caught:
        made.embeddings.create(model="openai/text-embedding-3-small", input="a")
    assert caught.value.llm_provider == "openai"


@pytest.mark.parametrize(
    "ask",
    [
        lambda c: c.audio.speech.create(model="openai/tts-1", input="a", voice="x"),
        lambda c: c.audio.transcriptions.create(model="openai/whisper-1", file=b"RIFF"),
        lambda c: c.images.generate(model="openai/dall-e-3", prompt="a"),
        lambda c: c.moderations.create(input="a"),
        lambda c: c.files.list(),
        lambda c: c.batches.retrieve("batch_1"),
        lambda c: c.completions.create(model="openai/davinci-002", prompt="a"),
    ],
)
def test_an_error_inside_a_200_is_an_error(ask: Ask) -> None:
    error = {"error": {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": 429}}
    made, _ = client(reply(error))
    with pytest.raises(exceptions.PenstockError, match="exceeded your current quota"):
        ask(made)


# -- retries, fallbacks, notes ----------------------------------------------------------------------------------------

GOOD = {"object": "list", "model": "m", "data": [{"object": "embedding", "index": 0, "embedding": [1.0]}]}
BUSY = reply({"error": {"message": "busy"}}, 503)


def test_an_error_that_passes_is_tried_again() -> None:
    made, transport = client(BUSY, reply(GOOD), num_retries=1, backoff=Backoff(initial=0.0))
    answer = made.embeddings.create(model="openai/text-embedding-3-small", input="a")
    assert answer.data[0].embedding == [1.0]
    assert answer._hidden_params["attempts"] == 2
    assert len(transport.requests) == 2


def test_a_fallback_takes_over_without_the_first_ones_key() -> None:
    made, transport = client(
        BUSY, reply({"embeddings": {"float": [[1.0]]}, "id": "x"}), environment={"CO_API_KEY": "co"}
    )
    answer = made.embeddings.create(
        model="openai/text-embedding-3-small", input="a", api_key="sk-mine", fallbacks=["cohere/embed-v4.0"]
    )
    assert answer.model == "embed-v4.0"
    authorisations = [dict(request.headers)["Authorization"] for request in transport.requests]
    assert authorisations[0] == "Bearer sk-mine"
    assert authorisations[1] != "Bearer sk-mine"


def test_all_that_was_tried_is_on_the_exception() -> None:
    made, _ = client(BUSY, BUSY)
    with pytest.raises(exceptions.ServiceUnavailableError) as caught:
        made.moderations.create(input="a", fallbacks=["mistral/mistral-moderation-latest"])
    assert [tried.provider for tried in caught.value.tried] == ["openai", "mistral"]


def test_a_parameter_without_a_place_is_refused_or_dropped() -> None:
    made, transport = client(reply({"model": "m", "embeddings": [[1.0]]}))
    ask = {"model": "ollama/nomic-embed-text", "input": "a", "input_type": "query"}
    with pytest.raises(exceptions.UnsupportedParamsError, match="input_type"):
        made.embeddings.create(**ask)
    answer = made.embeddings.create(**ask, drop_params=True)
    assert [note.path for note in answer.notes] == ["input_type"]
    assert b"query" not in transport.requests[0].body


def test_strict_refuses_a_loss() -> None:
    made, _ = client()
    with pytest.raises(exceptions.TranslationLossError):
        made.embeddings.create(model="ollama/nomic-embed-text", input="a", user="me", strict=True)


@pytest.mark.parametrize("name", ["previous_response_id", "conversation", "prompt"])
def test_what_only_the_responses_api_can_do_is_not_left_out_silently(name: str) -> None:
    made, transport = client()
    given: dict[str, Any] = {name: "x_1"}
    with pytest.raises(exceptions.UnsupportedParamsError, match=name):
        made.responses.create(model="anthropic/claude-sonnet-4-5", input="Hi", **given)
    assert transport.requests == []


class City(msgspec.Struct):
    name: str


@pytest.mark.parametrize(
    "wanted",
    [
        City,
        {"title": "City", "type": "object", "properties": {"name": {"type": "string"}}},
        {"type": "json_schema", "name": "City", "schema": {"type": "object", "properties": {"name": {}}}},
    ],
)
def test_text_format_is_a_class_or_a_schema(wanted: Any) -> None:
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": '{"name": "Paris"}'}]}
    made, transport = client(reply({"id": "r", "object": "response", "output": [said], "status": "completed"}))
    made.responses.create(model="openai/gpt-4o", input="Where?", text_format=wanted)
    sent = json.loads(transport.requests[0].body)["text"]["format"]
    assert (sent["type"], sent["name"]) == ("json_schema", "City")
    assert "name" in sent["schema"]["properties"]


def test_text_completions_that_chat_cannot_say_are_refused() -> None:
    made, _ = client()
    with pytest.raises(exceptions.UnsupportedParamsError, match="suffix"):
        made.completions.create(model="anthropic/claude-sonnet-4-5", prompt="a", suffix="z")
    with pytest.raises(exceptions.UnsupportedParamsError, match="token ids"):
        made.completions.create(model="anthropic/claude-sonnet-4-5", prompt=[[1, 2]])
    with pytest.raises(exceptions.UnsupportedParamsError, match="several prompts"):
        made.completions.create(model="anthropic/claude-sonnet-4-5", prompt=["a", "b"], stream=True)


def test_several_prompts_to_a_chat_model_become_numbered_choices() -> None:
    made, _ = client()
    answer = made.completions.create(model="anthropic/claude-sonnet-4-5", prompt=["a", "b"], mock_response="c")
    assert [(choice.index, choice.text) for choice in answer.choices] == [(0, "c"), (1, "c")]
    assert answer.usage.total_tokens == 60  # type: ignore[union-attr]  # there, or the test fails


def test_headers_of_the_client_and_of_the_call_go_together() -> None:
    made, transport = client(reply(GOOD), default_headers={"x-team": "a", "x-app": "b"})
    made.embeddings.create(model="openai/text-embedding-3-small", input="a", extra_headers={"x-app": "c"})
    headers = dict(transport.requests[0].headers)
    assert (headers["x-team"], headers["x-app"]) == ("a", "c")


def test_extra_body_goes_into_json_and_into_forms() -> None:
    made, transport = client(reply(GOOD), reply({"text": "hi"}))
    made.embeddings.create(model="openai/x", input="a", extra_body={"new": 1})
    made.audio.transcriptions.create(model="openai/whisper-1", file=b"RIFF", extra_body={"new": 1})
    assert json.loads(transport.requests[0].body)["new"] == 1
    assert b'name="new"\r\n\r\n1\r\n' in transport.requests[1].body


# -- mocks ------------------------------------------------------------------------------------------------------------


def test_mocks() -> None:
    made, transport = client()
    vectors = made.embeddings.create(model="openai/x", input=["a", "b"], mock_response=[0.5, 1.5])
    assert [item.embedding for item in vectors.data] == [[0.5, 1.5]] * 2
    heard = made.audio.transcriptions.create(model="openai/whisper-1", file=b"x", mock_response="hello")
    assert heard.text == "hello"
    spoken = made.audio.speech.create(model="openai/tts-1", input="a", voice="b", mock_response=b"mp3")
    assert spoken.content == b"mp3"
    drawn = made.images.generate(model="openai/gpt-image-1", prompt="a", n=2, mock_response="https://example.com/a.png")
    assert [image.url for image in drawn.data] == ["https://example.com/a.png"] * 2
    judged = made.moderations.create(input="a", mock_response={"id": "m", "results": [{"flagged": True}]})
    assert judged.results[0].flagged is True
    assert transport.requests == []


@pytest.mark.parametrize("scripted", ["penstock.RateLimitError", exceptions.RateLimitError("full")])
def test_a_mock_may_raise(scripted: Any) -> None:
    made, _ = client()
    with pytest.raises(exceptions.RateLimitError):
        made.batches.list(mock_response=scripted)


@pytest.mark.parametrize("call", ["responses", "messages", "generate_content", "text"])
def test_chat_in_other_shapes_is_mocked_and_streams(call: str) -> None:
    made, _ = client()
    model, mock = "openai/gpt-4o", {"mock_response": "hello there"}
    asks: dict[str, Callable[[bool], Any]] = {
        "responses": lambda stream: made.responses.create(model=model, input="a", stream=stream, **mock),
        "messages": lambda stream: made.messages.create(
            model=model, messages=[{"role": "user", "content": "a"}], max_tokens=9, stream=stream, **mock
        ),
        "generate_content": lambda stream: (
            made.models.generate_content_stream(model=model, contents="a", **mock)
            if stream
            else made.models.generate_content(model=model, contents="a", **mock)
        ),
        "text": lambda stream: made.completions.create(model=model, prompt="a", stream=stream, **mock),
    }
    whole = asks[call](False)
    streamed = asks[call](True)
    assert "hello there" in json.dumps(whole)
    assert len(list(streamed)) > 1
    assert "hello there" in json.dumps(streamed.response)


# -- the module's own functions ---------------------------------------------------------------------------------------


def test_the_module_functions_are_the_same_calls() -> None:
    judged = {"id": "m", "results": []}
    assert penstock.moderation("a", mock_response=judged).id == "m"
    assert asyncio.run(penstock.amoderation("a", mock_response=judged)).id == "m"
    assert penstock.embedding("openai/x", ["a"], mock_response=[1.0]).data[0].embedding == [1.0]
    assert penstock.responses("openai/gpt-4o", "a", mock_response="b").output_text == "b"
    turns = [{"role": "user", "content": "a"}]
    assert penstock.messages("openai/gpt-4o", turns, 9, mock_response="b").content[0].text == "b"
    named = penstock.anthropic.messages.create(model="openai/gpt-4o", messages=turns, max_tokens=9, mock_response="b")
    assert named.content[0].text == "b"
    assert penstock.generate_content("openai/gpt-4o", "a", mock_response="b").text == "b"
    chunks = penstock.generate_content_stream("openai/gpt-4o", "a", mock_response="b")
    assert "".join(chunk.text for chunk in chunks) == "b"


def test_an_async_client_is_used_from_coroutines() -> None:
    async def run() -> list[float] | str:
        async with AsyncClient(**FAKE) as made:
            return (await made.embeddings.create(model="openai/x", input="a", mock_response=[1.0])).data[0].embedding

    assert asyncio.run(run()) == [1.0]


def test_a_client_of_the_users_own_stays_open() -> None:
    import httpx

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=GOOD)

    with httpx.Client(transport=httpx.MockTransport(answer)) as own:
        with Client(**FAKE, http_client=own) as made:
            assert made.embeddings.create(model="openai/x", input="a").data[0].embedding == [1.0]
        assert not own.is_closed
