"""The official `google-genai` client reads what the simulated Gemini says, on the Gemini API and on Vertex AI."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from google.oauth2 import credentials

from penstock.testing.providers import (
    ErrorEvent,
    ProviderError,
    Reply,
    SimulatedProviders,
    Text,
    Thinking,
    ToolCall,
    Usage,
    UsagePlace,
)
from tests.unit.testing.reading import drain

MODEL = "gemini-2.5-flash"
PARIS = ToolCall("get_weather", {"city": "Paris"})
OSLO = ToolCall("get_weather", {"city": "Oslo"})
DECLARED = types.FunctionDeclaration(
    name="get_weather",
    parameters=types.Schema(
        type=types.Type.OBJECT, properties={"city": types.Schema(type=types.Type.STRING)}, required=["city"]
    ),
)
CONFIG = types.GenerateContentConfig(
    tools=[types.Tool(function_declarations=[DECLARED])],
    automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
)


@pytest.fixture
def client(provider: SimulatedProviders) -> Iterator[genai.Client]:
    client = genai.Client(api_key="fake", http_options=types.HttpOptions(base_url=provider.url("gemini")))
    yield client
    client.close()


def test_text_whole_and_streamed(client: genai.Client, provider: SimulatedProviders) -> None:
    reply = Reply.text("Hello there you").reporting(Usage(100, 30, cached_tokens=40, reasoning_tokens=10))
    provider.script(reply, reply)
    whole = client.models.generate_content(model=MODEL, contents="hi")
    chunks = list(client.models.generate_content_stream(model=MODEL, contents="hi"))
    assert whole.text == "".join(chunk.text or "" for chunk in chunks) == "Hello there you"
    for answer in (whole, chunks[-1]):
        usage = answer.usage_metadata
        assert usage is not None
        assert (usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count) == (100, 20, 130)
        assert (usage.thoughts_token_count, usage.cached_content_token_count) == (10, 40)
        assert answer.candidates is not None
        assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert all(chunk.usage_metadata for chunk in chunks), "Gemini repeats its usage in every event"
    assert len(chunks) == 3


def test_tools_and_thoughts_go_round(client: genai.Client, provider: SimulatedProviders) -> None:
    spoken = Reply.of(Thinking("let me see"), Text("I look."), PARIS, OSLO)
    provider.script(spoken, spoken, Reply.text("Sunny."))
    asked = types.Content(role="user", parts=[types.Part(text="Weather?")])
    whole = client.models.generate_content(model="gemini-3-pro", contents=[asked], config=CONFIG)
    streamed = list(client.models.generate_content_stream(model="gemini-3-pro", contents=[asked], config=CONFIG))
    calls = [call for chunk in streamed for call in chunk.function_calls or []]
    assert [call.args for call in calls] == [{"city": "Paris"}, {"city": "Oslo"}]
    assert whole.candidates is not None
    said = whole.candidates[0].content
    assert said is not None
    parts = said.parts or []
    assert [bool(part.thought) for part in parts] == [True, False, False, False]
    assert parts[0].thought_signature and parts[2].thought_signature
    answered = types.Content(
        role="user",
        parts=[types.Part.from_function_response(name="get_weather", response={"c": 22}) for _ in range(2)],
    )
    last = client.models.generate_content(model="gemini-3-pro", contents=[asked, said, answered], config=CONFIG)
    assert last.text == "Sunny."


def test_gemini_3_wants_its_signatures_back(client: genai.Client, provider: SimulatedProviders) -> None:
    provider.script(Reply.tool_calls(PARIS))
    asked = types.Content(role="user", parts=[types.Part(text="Weather?")])
    unsigned = types.Content(role="model", parts=[types.Part.from_function_call(name="get_weather", args={})])
    answered = types.Content(
        role="user", parts=[types.Part.from_function_response(name="get_weather", response={"c": 22})]
    )
    history: list[Any] = [asked, unsigned, answered]
    with pytest.raises(errors.ClientError, match="missing a thought_signature"):
        client.models.generate_content(model="gemini-3-pro", contents=history, config=CONFIG)
    forged = types.Part(
        function_call=types.FunctionCall(name="get_weather", args={}), thought_signature=b"from another provider"
    )
    history[1] = types.Content(role="model", parts=[forged])
    with pytest.raises(errors.ClientError, match="Corrupted thought signature"):
        client.models.generate_content(model=MODEL, contents=history, config=CONFIG)
    assert provider.pending == 1, "a refused request takes no reply"
    provider.clear()


@pytest.mark.parametrize(
    ("place", "where"),
    [
        (UsagePlace.FIRST_EVENT, [True, False]),
        (UsagePlace.LAST_EVENT, [False, True]),
        (UsagePlace.MISSING, [False, False]),
    ],
)
def test_usage_stands_where_the_script_puts_it(
    client: genai.Client, provider: SimulatedProviders, place: UsagePlace, where: list[bool]
) -> None:
    provider.script(Reply.text("ab", pieces=2).reporting(Usage(1, 2), place))
    chunks = client.models.generate_content_stream(model=MODEL, contents="hi")
    assert [chunk.usage_metadata is not None for chunk in chunks] == where


def test_structured_output_and_forced_tools(client: genai.Client) -> None:
    shaped = types.GenerateContentConfig(response_mime_type="application/json", response_schema=DECLARED.parameters)
    answer = client.models.generate_content(model=MODEL, contents="hi", config=shaped)
    assert json.loads(answer.text or "") == {"city": "text"}
    calling = types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY)
    config = CONFIG.model_copy(update={"tool_config": types.ToolConfig(function_calling_config=calling)})
    forced = client.models.generate_content(model=MODEL, contents="hi", config=config)
    assert forced.function_calls is not None
    assert forced.function_calls[0].args == {"city": "text"}


def test_a_blocked_prompt_and_a_blocked_answer(client: genai.Client, provider: SimulatedProviders) -> None:
    provider.script(Reply.of(), Reply.of().stopping("content_filter"))
    prompt = client.models.generate_content(model=MODEL, contents="hi")
    assert prompt.prompt_feedback is not None
    assert prompt.candidates is None
    answer = client.models.generate_content(model=MODEL, contents="hi")
    assert answer.candidates is not None
    assert answer.candidates[0].finish_reason == types.FinishReason.SAFETY


@pytest.mark.parametrize(
    ("status", "word", "expected"),
    [
        (400, "INVALID_ARGUMENT", errors.ClientError),
        (401, "UNAUTHENTICATED", errors.ClientError),
        (403, "PERMISSION_DENIED", errors.ClientError),
        (404, "NOT_FOUND", errors.ClientError),
        (429, "RESOURCE_EXHAUSTED", errors.ClientError),
        (500, "INTERNAL", errors.ServerError),
        (503, "UNAVAILABLE", errors.ServerError),
        (504, "DEADLINE_EXCEEDED", errors.ServerError),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_errors_raise_the_clients_own_classes(
    client: genai.Client,
    provider: SimulatedProviders,
    status: int,
    word: str,
    expected: type[errors.APIError],
    streamed: bool,
) -> None:
    provider.script(Reply.error(status, "the reason", retry_after=2))
    ask: Any = client.models.generate_content_stream if streamed else client.models.generate_content
    with pytest.raises(expected) as raised:
        list(ask(model=MODEL, contents="hi"))
    assert (raised.value.code, raised.value.status, raised.value.message) == (status, word, "the reason")
    if status == 429:
        details: Any = raised.value.details
        assert details["error"]["details"][0]["retryDelay"] == "2s"


def test_an_error_in_the_middle_of_a_stream(client: genai.Client, provider: SimulatedProviders) -> None:
    provider.script(Reply.text("one two").with_faults(ErrorEvent(ProviderError(503, "busy"), after=1)))
    seen: list[Any] = []
    with pytest.raises(errors.APIError, match="busy"):
        drain(client.models.generate_content_stream(model=MODEL, contents="hi"), seen)
    assert [chunk.text for chunk in seen] == ["one"]


def test_keys_and_models_are_checked() -> None:
    with SimulatedProviders(keys={"good"}, models={MODEL}) as provider:
        options = types.HttpOptions(base_url=provider.url("gemini"))
        good, bad = (
            genai.Client(api_key="good", http_options=options),
            genai.Client(api_key="bad", http_options=options),
        )
        with pytest.raises(errors.ClientError, match="models/gemini-9 is not found for API version v1beta"):
            good.models.generate_content(model="gemini-9", contents="hi")
        with pytest.raises(errors.ClientError, match="API key not valid"):
            bad.models.generate_content(model=MODEL, contents="hi")
        assert [model.name for model in good.models.list()] == [f"models/{MODEL}"]
        good.close()
        bad.close()


def test_tokens_and_embeddings(client: genai.Client) -> None:
    assert (client.models.count_tokens(model=MODEL, contents="how many").total_tokens or 0) > 0
    made = client.models.embed_content(
        model="gemini-embedding-001",
        contents=["a cat", "a dog"],
        config=types.EmbedContentConfig(output_dimensionality=4),
    )
    vectors = [embedding.values or [] for embedding in made.embeddings or []]
    assert [len(vector) for vector in vectors] == [4, 4]
    assert vectors[0] != vectors[1]


def test_vertex_ai_by_project_and_token(provider: SimulatedProviders) -> None:
    client = genai.Client(
        vertexai=True,
        project="fake-project",
        location="us-central1",
        credentials=credentials.Credentials(token="fake-token"),  # type: ignore[no-untyped-call]  # its package has no types
        http_options=types.HttpOptions(base_url=provider.url("vertex")),
    )
    assert client.models.generate_content(model=MODEL, contents="hi").text == "You said: hi"
    chunks = client.models.generate_content_stream(model=MODEL, contents="hi")
    assert "".join(chunk.text or "" for chunk in chunks) == "You said: hi"
    assert "/projects/fake-project/locations/us-central1/publishers/google/models/" in provider.last.path
    assert provider.last.headers["authorization"] == "Bearer fake-token"
    client.close()
