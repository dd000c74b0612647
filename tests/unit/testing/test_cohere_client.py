"""The official `cohere` client reads what the simulated Cohere says: chat, embed, rerank, tokens, models."""

from collections.abc import Iterator
from typing import Any

import cohere
import pytest
from cohere.core.api_error import ApiError

from penstock.testing.providers import (
    ErrorEvent,
    ProviderError,
    Reply,
    ScriptError,
    SimulatedProviders,
    Text,
    ToolCall,
    Usage,
    UsagePlace,
)

MODEL = "command-a-03-2025"
ASK: Any = [{"role": "user", "content": "Weather?"}]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
PARIS = ToolCall("get_weather", {"city": "Paris"})
OSLO = ToolCall("get_weather", {"city": "Oslo"})


@pytest.fixture
def client(provider: SimulatedProviders) -> Iterator[cohere.ClientV2]:
    with cohere.ClientV2(api_key="fake", base_url=provider.url("cohere_chat")) as client:
        yield client


def test_text_and_thinking_whole_and_streamed(client: cohere.ClientV2, provider: SimulatedProviders) -> None:
    reply = Reply.thinking("let me see", "Hello there").reporting(Usage(10, 7, cached_tokens=4))
    provider.script(reply, reply)
    whole: Any = client.chat(model=MODEL, messages=ASK)
    assert [part.type for part in whole.message.content] == ["thinking", "text"]
    assert whole.message.content[1].text == "Hello there"
    assert whole.finish_reason == "COMPLETE"
    assert (whole.usage.tokens.input_tokens, whole.usage.billed_units.output_tokens) == (10, 7)
    events: list[Any] = list(client.chat_stream(model=MODEL, messages=ASK))
    assert [event.type for event in events] == [
        "message-start", "content-start", "content-delta", "content-delta", "content-delta", "content-end",
        "content-start", "content-delta", "content-delta", "content-end", "message-end",
    ]  # fmt: skip
    deltas = [event.delta.message.content for event in events if event.type == "content-delta"]
    assert "".join(delta.thinking or "" for delta in deltas) == "let me see"
    assert "".join(delta.text or "" for delta in deltas) == "Hello there"
    assert events[-1].delta.usage.tokens.output_tokens == 7


def test_parallel_tools_go_round(client: cohere.ClientV2, provider: SimulatedProviders) -> None:
    spoken = Reply.tool_calls(PARIS, OSLO, saying="I look.")
    provider.script(spoken, spoken, Reply.text("Sunny."))
    whole: Any = client.chat(model=MODEL, messages=ASK, tools=[TOOL])
    assert whole.message.tool_plan == "I look."
    assert whole.finish_reason == "TOOL_CALL"
    arguments: dict[int, str] = {}
    plan = ""
    for event in client.chat_stream(model=MODEL, messages=ASK, tools=[TOOL]):
        made: Any = event
        if made.type == "tool-plan-delta":
            plan += made.delta.message.tool_plan
        if made.type in ("tool-call-start", "tool-call-delta"):
            piece = made.delta.message.tool_calls.function.arguments
            arguments[made.index] = arguments.get(made.index, "") + piece
    assert plan == "I look."
    assert [arguments[0], arguments[1]] == [call.function.arguments for call in whole.message.tool_calls]
    history = [
        *ASK,
        {"role": "assistant", "tool_plan": "I look.", "tool_calls": whole.message.tool_calls},
        *({"role": "tool", "tool_call_id": call.id, "content": "22 C"} for call in whole.message.tool_calls),
    ]
    last: Any = client.chat(model=MODEL, messages=history, tools=[TOOL])
    assert last.message.content[0].text == "Sunny."


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "BadRequestError"),
        (401, "UnauthorizedError"),
        (403, "ForbiddenError"),
        (404, "NotFoundError"),
        (422, "UnprocessableEntityError"),
        (429, "TooManyRequestsError"),
        (500, "InternalServerError"),
        (503, "ServiceUnavailableError"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_errors_raise_the_clients_own_classes(
    client: cohere.ClientV2, provider: SimulatedProviders, status: int, name: str, streamed: bool
) -> None:
    provider.script(Reply.error(status, "the reason"))
    options: Any = {"max_retries": 0}
    ask: Any = client.chat_stream if streamed else client.chat
    with pytest.raises(getattr(cohere, name)) as raised:
        list(ask(model=MODEL, messages=ASK, request_options=options))
    error: Any = raised.value
    assert isinstance(error, ApiError)
    assert error.body["message"] == "the reason"


def test_an_error_in_the_middle_of_a_stream(client: cohere.ClientV2, provider: SimulatedProviders) -> None:
    provider.script(Reply.text("one two").with_faults(ErrorEvent(ProviderError(500, "it broke"), after=3)))
    last: Any = list(client.chat_stream(model=MODEL, messages=ASK))[-1]
    assert last.delta.finish_reason == "ERROR"
    assert last.delta.error == "it broke"


def test_structured_output_and_forced_tools(client: cohere.ClientV2) -> None:
    wanted: Any = {"type": "json_object", "json_schema": TOOL["function"]["parameters"]}
    shaped: Any = client.chat(model=MODEL, messages=ASK, response_format=wanted)
    assert shaped.message.content[0].text == '{"city":"text"}'
    forced: Any = client.chat(model=MODEL, messages=ASK, tools=[TOOL], tool_choice="REQUIRED")
    assert forced.message.tool_calls[0].function.arguments == '{"city":"text"}'


def test_embeddings_of_several_types(client: cohere.ClientV2) -> None:
    made: Any = client.embed(
        model="embed-v4.0",
        texts=["a cat", "a dog"],
        input_type="search_document",
        embedding_types=["float", "int8", "ubinary"],
        output_dimension=16,
    )
    assert [len(values) for values in made.embeddings.float_] == [16, 16]
    assert all(-128 <= value < 128 for value in made.embeddings.int8[0])
    assert len(made.embeddings.ubinary[0]) == 2
    assert made.meta.billed_units.input_tokens > 0


def test_rerank_puts_the_nearest_first(client: cohere.ClientV2) -> None:
    documents = ["the moon is far", "cats sleep all day", "a cat likes to sleep"]
    made = client.rerank(model="rerank-v3.5", query="where does a cat sleep", documents=documents, top_n=2)
    assert made.results[0].index == 2
    assert len(made.results) == 2
    scores = [result.relevance_score for result in made.results]
    assert scores == sorted(scores, reverse=True)


def test_tokens_and_models(client: cohere.ClientV2) -> None:
    assert client.tokenize(text="one two three", model=MODEL, offline=False).token_strings == ["one", " two", " three"]
    assert [model.name for model in client.models.list().models] == ["command-a-03-2025"]


def test_what_cohere_cannot_say_is_a_script_error() -> None:
    provider = SimulatedProviders().start()
    provider.script(Reply.of(Text("x")).reporting(place=UsagePlace.X_GROQ))
    with cohere.ClientV2(api_key="fake", base_url=provider.url("cohere")) as client:
        stream = client.chat_stream(model=MODEL, messages=ASK, request_options={"max_retries": 0})
        with pytest.raises(ApiError, match="the script failed: Cohere chat has no place for usage"):
            list(stream)
    with pytest.raises(ScriptError, match="no place for usage in x_groq"):
        provider.close()
