"""Every call of the SDK against simulated providers, over real sockets: for each provider and dialect that serves it,
blocking and from a coroutine, whole and streamed. Each test asks for the answer and for what the provider saw.
"""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from penstock import AsyncClient, AsyncStream, Client, Stream
from penstock.testing.providers import Reply, SimulatedProviders, ToolCall

KEY = "sk-fake-every-call"
AWS = {
    "aws_access_key_id": "AKIAFAKE",
    "aws_secret_access_key": "fake-secret",
    "aws_region_name": "us-east-1",
}


@dataclass(frozen=True)
class Target:
    """A model at a simulated provider. `path` ends the path of a chat call (`stream_path` of a streamed one); `header`
    is where the credential goes.
    """

    model: str
    mount: str
    path: str
    stream_path: str = ""
    header: str = "authorization"
    more: dict[str, Any] = field(default_factory=dict)
    base: str = ""

    def arguments(self, simulated: SimulatedProviders) -> dict[str, Any]:
        key = {} if "aws_access_key_id" in self.more else {"api_key": KEY}
        base = simulated.url(self.mount) + self.base
        return {"environment": {}, "api_base": base, "num_retries": 0, **key, **self.more}


OPENAI = Target("openai/gpt-4o", "openai", "/v1/chat/completions")
RESPONSES = Target("openai/responses/gpt-4o", "openai", "/v1/responses")
ANTHROPIC = Target("anthropic/claude-sonnet-4-5", "anthropic", "/v1/messages", header="x-api-key")
GEMINI = Target(
    "gemini/gemini-2.5-flash",
    "gemini",
    "/models/gemini-2.5-flash:generateContent",
    "/models/gemini-2.5-flash:streamGenerateContent",
    "x-goog-api-key",
    base="/v1beta",
)
BEDROCK = Target(
    "bedrock/us.amazon.nova-lite-v1:0",
    "bedrock",
    "/model/us.amazon.nova-lite-v1%3A0/converse",
    "/model/us.amazon.nova-lite-v1%3A0/converse-stream",
    more=AWS,
)
CLAUDE_ON_BEDROCK = Target(
    "bedrock/invoke/anthropic.claude-sonnet-4-5-20250929-v1:0",
    "bedrock",
    "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke",
    "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke-with-response-stream",
    more=AWS,
)
COHERE = Target("cohere/command-a-03-2025", "cohere", "/v2/chat")
OLLAMA = Target("ollama/llama3.2", "ollama", "/api/chat")
MISTRAL = Target("mistral/mistral-large-latest", "mistral", "/v1/chat/completions")
AZURE = Target(
    "azure/my-gpt-4o",
    "azure",
    "/openai/deployments/my-gpt-4o/chat/completions",
    header="api-key",
    more={"api_version": "2024-10-21"},
)
CHAT = (OPENAI, RESPONSES, ANTHROPIC, GEMINI, BEDROCK, CLAUDE_ON_BEDROCK, COHERE, OLLAMA, MISTRAL, AZURE)

Ask = Callable[[Any], Any]


@dataclass
class Got:
    """What came of a call: the answer (of a stream: the whole one at its end), and the chunks."""

    answer: Any
    chunks: list[Any] = field(default_factory=list)


def ask_blocking(arguments: dict[str, Any], ask: Ask) -> Got:
    with Client(**arguments) as client:
        answer = ask(client)
        if isinstance(answer, Stream):
            chunks = list(answer)
            return Got(answer.response, chunks)
        return Got(answer)


def ask_from_a_coroutine(arguments: dict[str, Any], ask: Ask) -> Got:
    async def run() -> Got:
        async with AsyncClient(**arguments) as client:
            answer = await ask(client)
            if isinstance(answer, AsyncStream):
                chunks = [chunk async for chunk in answer]
                return Got(answer.response, chunks)
            return Got(answer)

    return asyncio.run(run())


Asking = Callable[[dict[str, Any], Ask], Got]


@pytest.fixture(scope="module")
def running() -> Iterator[SimulatedProviders]:
    with SimulatedProviders() as simulated:
        yield simulated


@pytest.fixture
def simulated(running: SimulatedProviders) -> Iterator[SimulatedProviders]:
    running.clear()
    yield running
    assert running.pending == 0


@pytest.fixture(params=[ask_blocking, ask_from_a_coroutine], ids=["sync", "async"])
def asking(request: pytest.FixtureRequest) -> Asking:
    found: Asking = request.param
    return found


def targets(*chosen: Target) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("target", chosen, ids=lambda target: target.model.replace("/", "-"))


each_target = targets(*CHAT)
# A real Ollama speaks these shapes itself, at /v1; the simulated one has its own API only.
each_target_but_ollama = targets(*(target for target in CHAT if target is not OLLAMA))
whole_and_streamed = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def saw(simulated: SimulatedProviders, target: Target, stream: bool, native: str = "") -> Any:
    """The provider saw exactly one request, at the right place, with the credential; its body."""
    assert len(simulated.requests) == 1
    request = simulated.last
    path = native or (stream and target.stream_path) or target.path
    assert request.path.endswith(path)
    assert KEY in request.headers[target.header] or target.more is AWS
    assert request.refused is None
    return request.json


def hidden(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = answer._hidden_params
    assert found["custom_llm_provider"] and found["api_base"] and found["litellm_call_id"]
    return found


# -- one chat call in four shapes -------------------------------------------------------------------------------------


@each_target
@whole_and_streamed
def test_completion(simulated: SimulatedProviders, asking: Asking, target: Target, stream: bool) -> None:
    simulated.script(Reply.text("Paris, of course."))
    ask = {"model": target.model, "messages": [{"role": "user", "content": "The capital?"}], "stream": stream}
    got = asking(target.arguments(simulated), lambda client: client.chat.completions.create(**ask))
    assert got.answer.choices[0].message.content == "Paris, of course."
    assert got.answer.model
    if stream:
        assert (
            "".join(each.choices[0].delta.content or "" for each in got.chunks if each.choices) == "Paris, of course."
        )
    assert "The capital?" in json.dumps(saw(simulated, target, stream))
    assert hidden(got.answer)["litellm_call_id"].startswith("chatcmpl-")


@each_target_but_ollama
@whole_and_streamed
def test_responses(simulated: SimulatedProviders, asking: Asking, target: Target, stream: bool) -> None:
    simulated.script(Reply.text("Paris, of course."))
    ask = {"model": target.model, "input": "The capital?", "instructions": "Be brief.", "stream": stream}
    got = asking(target.arguments(simulated), lambda client: client.responses.create(**ask))
    assert got.answer.output_text == "Paris, of course."
    assert (got.answer.object, got.answer.status) == ("response", "completed")
    assert got.answer.model
    if stream:
        types = [event.type for event in got.chunks]
        assert (types[0], types[-1]) == ("response.created", "response.completed")
        deltas = [event.delta for event in got.chunks if event.type == "response.output_text.delta"]
        assert "".join(deltas) == "Paris, of course."
        assert [event.sequence_number for event in got.chunks] == list(range(len(types)))
    own = {OPENAI.model: "/v1/responses", AZURE.model: "/openai/responses"}
    body = json.dumps(saw(simulated, target, stream, own.get(target.model, "")))
    assert "The capital?" in body
    assert "Be brief." in body
    hidden(got.answer)


@each_target_but_ollama
@whole_and_streamed
def test_messages(simulated: SimulatedProviders, asking: Asking, target: Target, stream: bool) -> None:
    simulated.script(Reply.text("Paris, of course."))
    ask = {
        "model": target.model,
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "The capital?"}],
        "max_tokens": 50,
        "stream": stream,
    }
    got = asking(target.arguments(simulated), lambda client: client.messages.create(**ask))
    assert (got.answer.type, got.answer.role, got.answer.stop_reason) == ("message", "assistant", "end_turn")
    assert got.answer.content[0].text == "Paris, of course."
    assert got.answer.usage.output_tokens > 0
    if stream:
        assert (got.chunks[0].type, got.chunks[-1].type) == ("message_start", "message_stop")
        pieces = [event.delta.text for event in got.chunks if event.type == "content_block_delta"]
        assert "".join(pieces) == "Paris, of course."
    body = json.dumps(saw(simulated, target, stream))
    assert "The capital?" in body
    assert "Be brief." in body
    hidden(got.answer)


@each_target
@whole_and_streamed
def test_generate_content(simulated: SimulatedProviders, asking: Asking, target: Target, stream: bool) -> None:
    simulated.script(Reply.text("Paris, of course."))
    ask = {
        "model": target.model,
        "contents": "The capital?",
        "config": {"system_instruction": "Be brief.", "temperature": 0.5},
    }

    def create(client: Any) -> Any:
        models = client.models
        return models.generate_content_stream(**ask) if stream else models.generate_content(**ask)

    got = asking(target.arguments(simulated), create)
    assert got.answer.text == "Paris, of course."
    assert got.answer.candidates[0].finish_reason == "STOP"
    assert got.answer.usage_metadata.candidates_token_count > 0
    if stream:
        assert "".join(chunk.text for chunk in got.chunks) == "Paris, of course."
    body = json.dumps(saw(simulated, target, stream))
    assert "The capital?" in body
    assert "Be brief." in body
    hidden(got.answer)


@each_target_but_ollama
@whole_and_streamed
def test_text_completion(simulated: SimulatedProviders, asking: Asking, target: Target, stream: bool) -> None:
    simulated.script(Reply.text("time there was."))
    ask = {"model": target.model, "prompt": "Once upon a", "stream": stream}
    got = asking(target.arguments(simulated), lambda client: client.completions.create(**ask))
    assert got.answer.object == "text_completion"
    assert [choice.text for choice in got.answer.choices] == ["time there was."]
    assert got.answer.choices[0].finish_reason == "stop"
    if stream:
        pieces = [choice.text for chunk in got.chunks for choice in chunk.choices]
        assert "".join(pieces) == "time there was."
    own = {OPENAI.model: "/v1/completions", AZURE.model: "/openai/deployments/my-gpt-4o/completions"}
    body = saw(simulated, target, stream, own.get(target.model, ""))
    if target.model in own:
        assert body["prompt"] == "Once upon a"
    hidden(got.answer)


@each_target_but_ollama
@pytest.mark.parametrize("call", ["responses", "messages", "generate_content"])
def test_a_tool_call_arrives_in_every_shape(simulated: SimulatedProviders, target: Target, call: str) -> None:
    simulated.script(Reply.tool_calls(ToolCall("get_weather", {"city": "Paris"})))
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    with Client(**target.arguments(simulated)) as client:
        if call == "responses":
            tool = {"type": "function", "name": "get_weather", "parameters": schema}
            answer = client.responses.create(model=target.model, input="Weather?", tools=[tool])
            (item,) = [item for item in answer.output if item.type == "function_call"]
            assert (item.name, json.loads(item.arguments)) == ("get_weather", {"city": "Paris"})
        elif call == "messages":
            named = {"name": "get_weather", "input_schema": schema}
            turns = [{"role": "user", "content": "Weather?"}]
            message = client.messages.create(model=target.model, messages=turns, max_tokens=99, tools=[named])
            (block,) = [block for block in message.content if block.type == "tool_use"]
            assert (block.name, block.input) == ("get_weather", {"city": "Paris"})
            assert message.stop_reason == "tool_use"
        else:
            declared = {"function_declarations": [{"name": "get_weather", "parameters_json_schema": schema}]}
            found = client.models.generate_content(
                model=target.model, contents="Weather?", config={"tools": [declared]}
            )
            (part,) = [part for part in found.candidates[0].content.parts if "functionCall" in part]  # type: ignore[index]  # there, or the test fails
            assert (part.function_call.name, part.function_call.args) == ("get_weather", {"city": "Paris"})


# -- native calls lose nothing ----------------------------------------------------------------------------------------

NATIVE_RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1750000000,
    "status": "completed",
    "model": "gpt-4o",
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hi", "annotations": [], "logprobs": [], "new": {"a": [1]}}],
        },
        {"type": "of_tomorrow", "id": "new_1", "anything": [{"deep": True}]},
    ],
    "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2, "of_tomorrow": 7},
    "field_of_tomorrow": {"x": None},
}
NATIVE_MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "text", "text": "Hi", "citations": None, "new": 1},
        {"type": "of_tomorrow", "anything": [{"deep": True}]},
    ],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 2, "cache_read_input_tokens": 1, "of_tomorrow": 7},
    "field_of_tomorrow": {"x": None},
}
NATIVE_CONTENT = {
    "candidates": [
        {
            "content": {
                "parts": [{"text": "Hi", "thoughtSignature": "c2ln"}, {"ofTomorrow": {"a": 1}}],
                "role": "model",
            },
            "finishReason": "STOP",
            "index": 0,
            "newField": [1],
        }
    ],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5, "newCount": 1},
    "modelVersion": "gemini-2.5-flash",
    "responseId": "r1",
}


@pytest.mark.parametrize(
    ("target", "native", "ask"),
    [
        (OPENAI, NATIVE_RESPONSE, lambda client: client.responses.create(model=OPENAI.model, input="Hi")),
        (
            ANTHROPIC,
            NATIVE_MESSAGE,
            lambda client: client.messages.create(
                model=ANTHROPIC.model, max_tokens=9, messages=[{"role": "user", "content": "Hi"}]
            ),
        ),
        (GEMINI, NATIVE_CONTENT, lambda client: client.models.generate_content(model=GEMINI.model, contents="Hi")),
    ],
    ids=["responses", "messages", "generate_content"],
)
def test_an_answer_in_the_callers_own_dialect_loses_nothing(
    simulated: SimulatedProviders, asking: Asking, target: Target, native: dict[str, Any], ask: Ask
) -> None:
    simulated.script(Reply.native(native))
    answer = asking(target.arguments(simulated), ask).answer
    assert answer.model_dump() == native
    assert answer.notes == ()


def test_a_request_in_the_callers_own_dialect_loses_nothing(simulated: SimulatedProviders) -> None:
    body: dict[str, Any] = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 9,
        "system": [{"type": "text", "text": "Brief.", "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        "metadata": {"user_id": "u1"},
        "stop_sequences": ["END"],
    }
    with Client(**ANTHROPIC.arguments(simulated)) as client:
        client.messages.create(**{**body, "model": ANTHROPIC.model})
    assert simulated.last.json == body


# -- stored responses -------------------------------------------------------------------------------------------------


def test_a_stored_response(simulated: SimulatedProviders, asking: Asking) -> None:
    arguments = OPENAI.arguments(simulated)
    made = asking(arguments, lambda client: client.responses.create(model=OPENAI.model, input="Hi", store=True)).answer
    got = asking(arguments, lambda client: client.responses.retrieve(made.id)).answer
    assert (got.id, got.output_text) == (made.id, made.output_text)
    items = asking(arguments, lambda client: client.responses.input_items.list(made.id, limit=5)).answer
    assert [item.role for item in items] == ["user"]
    assert simulated.last.query == {"limit": ["5"]}
    assert asking(arguments, lambda client: client.responses.delete(response_id=made.id)).answer.deleted is True
    assert simulated.last.method == "DELETE"
    assert simulated.last.headers["authorization"] == f"Bearer {KEY}"


def test_cancelling_a_response_that_is_made_in_the_background(simulated: SimulatedProviders, asking: Asking) -> None:
    arguments = OPENAI.arguments(simulated)
    given = {"model": OPENAI.model, "input": "Hi", "background": True, "store": True}
    made = asking(arguments, lambda client: client.responses.create(**given)).answer
    asking(arguments, lambda client: client.responses.cancel(made.id))
    assert (simulated.last.method, simulated.last.path) == ("POST", f"/openai/v1/responses/{made.id}/cancel")


# -- embeddings -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Embedder:
    """A model that embeds; `requests` is how many it takes for three texts."""

    model: str
    mount: str
    path: str
    more: dict[str, Any] = field(default_factory=dict)
    base: str = ""
    requests: int = 1

    def arguments(self, simulated: SimulatedProviders) -> dict[str, Any]:
        return Target(self.model, self.mount, self.path, more=self.more, base=self.base).arguments(simulated)


EMBEDDERS = (
    Embedder("openai/text-embedding-3-small", "openai", "/v1/embeddings"),
    Embedder("azure/my-embed", "azure", "/openai/deployments/my-embed/embeddings", more={"api_version": "2024-10-21"}),
    Embedder("mistral/mistral-embed", "mistral", "/v1/embeddings"),
    Embedder("voyage/voyage-3.5", "voyage", "/v1/embeddings"),
    Embedder("jina_ai/jina-embeddings-v3", "jina", "/v1/embeddings"),
    Embedder("cohere/embed-v4.0", "cohere", "/v2/embed"),
    Embedder(
        "gemini/gemini-embedding-001", "gemini", "/models/gemini-embedding-001:batchEmbedContents", base="/v1beta"
    ),
    Embedder("ollama/nomic-embed-text", "ollama", "/api/embed"),
    Embedder(
        "bedrock/amazon.titan-embed-text-v2:0",
        "bedrock",
        "/model/amazon.titan-embed-text-v2%3A0/invoke",
        more=AWS,
        requests=3,
    ),
    Embedder("bedrock/cohere.embed-english-v3", "bedrock", "/model/cohere.embed-english-v3/invoke", more=AWS),
)
each_embedder = pytest.mark.parametrize("embedder", EMBEDDERS, ids=lambda each: each.model.replace("/", "-"))


@each_embedder
def test_embedding(simulated: SimulatedProviders, asking: Asking, embedder: Embedder) -> None:
    arguments = embedder.arguments(simulated)
    texts = ["a red fox", "the blue sky", "green trees"]
    answer = asking(arguments, lambda client: client.embeddings.create(model=embedder.model, input=texts)).answer
    assert answer.object == "list"
    assert [item.index for item in answer.data] == [0, 1, 2]
    assert all(item.object == "embedding" and len(item.embedding) == 8 for item in answer.data)
    assert answer.data[0].embedding != answer.data[1].embedding
    assert len(simulated.requests) == embedder.requests
    assert all(request.path.endswith(embedder.path) and request.refused is None for request in simulated.requests)
    hidden(answer)
    single = asking(arguments, lambda client: client.embeddings.create(model=embedder.model, input=texts[2])).answer
    assert single.data[0].embedding == answer.data[2].embedding


@each_embedder
def test_embeddings_as_base64_are_the_same_numbers(simulated: SimulatedProviders, embedder: Embedder) -> None:
    with Client(**embedder.arguments(simulated)) as client:
        numbers = client.embeddings.create(model=embedder.model, input="a red fox").data[0].embedding
        text = client.embeddings.create(model=embedder.model, input="a red fox", encoding_format="base64")
    assert isinstance(text.data[0].embedding, str)
    assert list(struct.unpack("<8f", base64.b64decode(text.data[0].embedding))) == numbers


@pytest.mark.parametrize(
    ("model", "mount", "limit"),
    [("cohere/embed-v4.0", "cohere", 96), ("openai/text-embedding-3-small", "openai", 2048)],
)
def test_a_long_list_is_cut_and_joined_in_order(
    simulated: SimulatedProviders, asking: Asking, model: str, mount: str, limit: int
) -> None:
    texts = [f"text number {number}" for number in range(limit * 2 + 3)]
    arguments = Target(model, mount, "").arguments(simulated)
    answer = asking(arguments, lambda client: client.embeddings.create(model=model, input=texts)).answer
    assert [item.index for item in answer.data] == list(range(len(texts)))
    sizes = [len(request.json.get("texts") or request.json.get("input")) for request in simulated.requests]
    assert sizes == [limit, limit, 3]
    with Client(**arguments) as client:
        lonely = client.embeddings.create(model=model, input=texts[-1])
    assert answer.data[-1].embedding == lonely.data[0].embedding
    assert answer.usage.total_tokens > lonely.usage.total_tokens * limit  # type: ignore[union-attr]  # there, or the test fails


def test_all_parts_of_a_long_list_come_from_one_model(simulated: SimulatedProviders) -> None:
    """Vectors of two models cannot be compared: after a fallback, the rest goes to the fallback at once."""
    texts = [f"text {number}" for number in range(200)]
    simulated.script(Reply.error(400), on="cohere_embed")
    arguments = {**Target("", "cohere", "").arguments(simulated), "fallbacks": [FALLBACK_MODEL]}
    with Client(**arguments) as client:
        answer = client.embeddings.create(model="cohere/embed-v4.0", input=texts)
    models = [request.json["model"] for request in simulated.requests]
    assert models == ["embed-v4.0", *["embed-english-v3.0"] * 3]
    assert len(answer.data) == 200


FALLBACK_MODEL = "cohere/embed-english-v3.0"


# -- reranking --------------------------------------------------------------------------------------------------------

DOCUMENTS = ["the blue sky", {"text": "a red fox ran"}, "green trees"]


@pytest.mark.parametrize(
    ("model", "mount", "path", "limit"),
    [
        ("cohere/rerank-v3.5", "cohere", "/v2/rerank", "top_n"),
        ("voyage/rerank-2.5", "voyage", "/v1/rerank", "top_k"),
        ("jina_ai/jina-reranker-v2-base-multilingual", "jina", "/v1/rerank", "top_n"),
    ],
)
@pytest.mark.parametrize("documents", [True, False, None])
def test_rerank(
    simulated: SimulatedProviders, asking: Asking, model: str, mount: str, path: str, limit: str, documents: bool | None
) -> None:
    ask = {"model": model, "query": "red fox", "documents": DOCUMENTS, "top_n": 2, "return_documents": documents}
    answer = asking(Target(model, mount, path).arguments(simulated), lambda client: client.rerank(**ask)).answer
    best = answer.results[0]
    assert (best.index, len(answer.results)) == (1, 2)
    assert best.relevance_score >= answer.results[1].relevance_score
    assert answer.meta.billed_units
    if documents is not None:
        assert best.document == ({"text": "a red fox ran"} if documents else None)
    body = simulated.last.json
    assert simulated.last.path.endswith(path)
    assert (body[limit], body["documents"][1]) == (2, "a red fox ran")
    assert simulated.last.headers["authorization"] == f"Bearer {KEY}"
    assert hidden(answer)["response_cost"] > 0


# -- images -----------------------------------------------------------------------------------------------------------

PNG = b"\x89PNG\r\n\x1a\n fake pixels"


def test_image_generation(simulated: SimulatedProviders, asking: Asking) -> None:
    ask = {"model": "openai/gpt-image-1", "prompt": "a fox", "n": 2, "size": "1024x1024", "quality": "low"}
    answer = asking(OPENAI.arguments(simulated), lambda client: client.images.generate(**ask)).answer
    assert len(answer.data) == 2
    assert base64.b64decode(answer.data[0].b64_json).startswith(b"\x89PNG")
    assert simulated.last.json == {**ask, "model": "gpt-image-1"}
    assert simulated.last.path == "/openai/v1/images/generations"
    tokens = answer.usage
    expected = tokens.input_tokens * 5e-6 + tokens.output_tokens * 4e-5
    assert hidden(answer)["response_cost"] == pytest.approx(expected)


def test_image_edit(simulated: SimulatedProviders, asking: Asking, tmp_path: Path) -> None:
    """Three ways to give a file; names cannot break out of their header."""
    (tmp_path / "third.png").write_bytes(PNG)
    images = [PNG, ('evil".png\r\nX-Bad: 1', PNG, "image/png"), tmp_path / "third.png"]
    ask = {"model": "openai/gpt-image-1", "image": images, "prompt": "a fox", "mask": PNG, "n": 1}
    answer = asking(OPENAI.arguments(simulated), lambda client: client.images.edit(**ask)).answer
    assert answer.data[0].b64_json
    parts = simulated.last.form
    files = [(part.name, part.content, part.content_type) for part in parts if part.filename is not None]
    assert files == [*[("image[]", PNG, "image/png")] * 3, ("mask", PNG, "image/png")]
    assert {part.name: part.text for part in parts if part.filename is None} == {
        "model": "gpt-image-1",
        "prompt": "a fox",
        "n": "1",
    }
    assert parts[-2].filename == "third.png"
    assert b"X-Bad: 1\r\n" not in simulated.last.body


# -- audio ------------------------------------------------------------------------------------------------------------


def test_speech(simulated: SimulatedProviders, asking: Asking, tmp_path: Path) -> None:
    ask = {"model": "openai/tts-1", "input": "Hello", "voice": "alloy", "response_format": "opus", "speed": 1.5}
    answer = asking(OPENAI.arguments(simulated), lambda client: client.audio.speech.create(**ask)).answer
    assert answer.content == b"SIMULATED-AUDIO:opus:Hello"
    assert answer.media_type == "audio/opus"
    assert b"".join(answer.iter_bytes(4)) == answer.content
    answer.stream_to_file(tmp_path / "speech.opus")
    assert (tmp_path / "speech.opus").read_bytes() == answer.content
    assert simulated.last.json == {**ask, "model": "tts-1"}
    assert hidden(answer)["response_cost"] == pytest.approx(5 * 15e-6)


@pytest.mark.parametrize("wanted", [None, "json", "text", "srt", "vtt", "verbose_json"])
def test_transcription(simulated: SimulatedProviders, asking: Asking, wanted: str | None) -> None:
    simulated.script(Reply.text("hello world"))
    ask = {
        "model": "openai/whisper-1",
        "file": ("talk.wav", b"RIFF....WAVE"),
        "language": "en",
        "temperature": 0.5,
        "timestamp_granularities": ["word", "segment"],
        "response_format": wanted,
    }
    answer = asking(OPENAI.arguments(simulated), lambda client: client.audio.transcriptions.create(**ask)).answer
    assert "hello world" in answer.text
    if wanted == "verbose_json":
        assert (answer.duration, answer.words[0].word) == (1.0, "hello")
        assert hidden(answer)["response_cost"] == pytest.approx(0.0001)
    fields = [(part.name, part.text) for part in simulated.last.form if part.filename is None]
    assert ("language", "en") in fields
    assert ("temperature", "0.5") in fields
    assert [value for name, value in fields if name == "timestamp_granularities[]"] == ["word", "segment"]
    (file,) = [part for part in simulated.last.form if part.filename is not None]
    assert (file.name, file.filename, file.content_type) == ("file", "talk.wav", "audio/wav")


def test_a_streamed_transcription(simulated: SimulatedProviders, asking: Asking) -> None:
    simulated.script(Reply.text("hello big world"))
    ask = {"model": "openai/gpt-4o-transcribe", "file": b"RIFF....WAVE", "stream": True}
    got = asking(OPENAI.arguments(simulated), lambda client: client.audio.transcriptions.create(**ask))
    deltas = [event.delta for event in got.chunks if event.type == "transcript.text.delta"]
    assert "".join(deltas) == got.answer.text == "hello big world"
    assert hidden(got.answer)["response_cost"] > 0


# -- moderation, models -----------------------------------------------------------------------------------------------


def test_moderation(simulated: SimulatedProviders, asking: Asking) -> None:
    given = ["all is well", "unsafe things"]
    answer = asking(OPENAI.arguments(simulated), lambda client: client.moderations.create(input=given)).answer
    assert [result.flagged for result in answer.results] == [False, True]
    assert answer.results[1].categories.violence is True
    assert simulated.last.json == {"model": "omni-moderation-latest", "input": given}


@pytest.mark.parametrize(
    ("provider", "mount", "base", "name"),
    [
        ("openai", "openai", "", "gpt-4o"),
        ("anthropic", "anthropic", "", "claude-sonnet-4-5"),
        ("gemini", "gemini", "/v1beta", "gemini-2.5-flash"),
        ("cohere", "cohere", "", "command-a-03-2025"),
        ("ollama", "ollama", "", "llama3.2:latest"),
    ],
)
def test_models(simulated: SimulatedProviders, asking: Asking, provider: str, mount: str, base: str, name: str) -> None:
    arguments = Target("", mount, "", base=base).arguments(simulated)
    answer = asking(arguments, lambda client: client.models.list(custom_llm_provider=provider)).answer
    assert name in [model.id for model in answer]
    assert simulated.last.method == "GET"


# -- files and batches ------------------------------------------------------------------------------------------------


def test_files_and_batches(simulated: SimulatedProviders, asking: Asking) -> None:
    arguments = OPENAI.arguments(simulated)
    line = {
        "custom_id": "one",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]},
    }
    content = json.dumps(line).encode()
    file = asking(
        arguments, lambda client: client.files.create(file=("requests.jsonl", content), purpose="batch")
    ).answer
    assert (file.object, file.filename, file.bytes) == ("file", "requests.jsonl", len(content))
    assert asking(arguments, lambda client: client.files.retrieve(file.id)).answer.id == file.id
    listed = asking(arguments, lambda client: client.files.list(purpose="batch", limit=3)).answer
    assert file.id in [each.id for each in listed]
    assert simulated.last.query == {"purpose": ["batch"], "limit": ["3"]}
    assert asking(arguments, lambda client: client.files.content(file.id)).answer.content == content

    wanted = {"input_file_id": file.id, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    batch = asking(arguments, lambda client: client.batches.create(**wanted, metadata={"who": "me"})).answer
    assert simulated.last.json == {**wanted, "metadata": {"who": "me"}}
    done = asking(arguments, lambda client: client.batches.retrieve(batch.id)).answer
    assert (done.status, done.request_counts.completed) == ("completed", 1)
    output = asking(arguments, lambda client: client.files.content(done.output_file_id)).answer
    assert json.loads(output.text)["custom_id"] == "one"
    assert done.id in [each.id for each in asking(arguments, lambda client: client.batches.list()).answer]
    asking(arguments, lambda client: client.batches.cancel(batch_id=batch.id))
    assert (simulated.last.method, simulated.last.path) == ("POST", f"/openai/v1/batches/{batch.id}/cancel")
    assert asking(arguments, lambda client: client.files.delete(file.id)).answer.deleted is True
    assert all(request.headers["authorization"] == f"Bearer {KEY}" for request in simulated.requests)
