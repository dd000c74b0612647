"""The official `ollama` client reads what the simulated Ollama says: chat as JSON lines, embeddings, models."""

from collections.abc import Iterator
from typing import Any

import httpx
import ollama
import pytest

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
def client(provider: SimulatedProviders) -> Iterator[ollama.Client]:
    with ollama.Client(host=provider.url("ollama_chat")) as client:
        yield client


def test_text_and_thinking_whole_and_streamed(client: ollama.Client, provider: SimulatedProviders) -> None:
    reply = Reply.thinking("let me see", "Hello there").reporting(Usage(10, 7))
    provider.script(reply, reply)
    whole = client.chat("llama3.2", messages=ASK, think=True)
    assert (whole.message.content, whole.message.thinking) == ("Hello there", "let me see")
    assert (whole.done_reason, whole.prompt_eval_count, whole.eval_count) == ("stop", 10, 7)
    chunks = list(client.chat("llama3.2", messages=ASK, think=True, stream=True))
    assert "".join(chunk.message.content or "" for chunk in chunks) == "Hello there"
    assert "".join(chunk.message.thinking or "" for chunk in chunks) == "let me see"
    assert [chunk.done for chunk in chunks] == [False] * 5 + [True]
    assert (chunks[-1].prompt_eval_count, chunks[-1].eval_count) == (10, 7)


def test_it_streams_unless_it_is_asked_not_to(provider: SimulatedProviders) -> None:
    body = {"model": "llama3.2", "messages": ASK}
    answer = httpx.post(provider.url("ollama") + "/api/chat", json=body)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert len(answer.text.splitlines()) == 4


def test_parallel_tools_go_round(client: ollama.Client, provider: SimulatedProviders) -> None:
    spoken = Reply.of(Text("I look."), PARIS, OSLO)
    provider.script(spoken, spoken, Reply.text("Sunny."))
    whole = client.chat("llama3.2", messages=ASK, tools=[TOOL])
    chunks = client.chat("llama3.2", messages=ASK, tools=[TOOL], stream=True)
    streamed = [call for chunk in chunks for call in chunk.message.tool_calls or []]
    for calls in (whole.message.tool_calls or [], streamed):
        assert [call.function.arguments for call in calls] == [{"city": "Paris"}, {"city": "Oslo"}]
    history = [
        *ASK,
        whole.message,
        *({"role": "tool", "content": "22 C", "tool_name": "get_weather"} for _ in range(2)),
    ]
    assert client.chat("llama3.2", messages=history, tools=[TOOL]).message.content == "Sunny."


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
@pytest.mark.parametrize("streamed", [False, True])
def test_errors_raise_the_clients_own_class(
    client: ollama.Client, provider: SimulatedProviders, status: int, streamed: bool
) -> None:
    provider.script(Reply.error(status, "the reason"))
    ask: Any = client.chat
    with pytest.raises(ollama.ResponseError) as raised:
        list(ask("llama3.2", messages=ASK, stream=streamed))
    assert (raised.value.error, raised.value.status_code) == ("the reason", status)


def test_an_error_in_the_middle_of_a_stream(client: ollama.Client, provider: SimulatedProviders) -> None:
    provider.script(Reply.text("one two").with_faults(ErrorEvent(ProviderError(500, "it broke"), after=1)))
    seen: list[Any] = []
    with pytest.raises(ollama.ResponseError, match="it broke"):
        drain(client.chat("llama3.2", messages=ASK, stream=True), seen)
    assert [chunk.message.content for chunk in seen] == ["one"]


def test_structured_output(client: ollama.Client) -> None:
    answer = client.chat("llama3.2", messages=ASK, format=TOOL["function"]["parameters"])
    assert answer.message.content == '{"city":"text"}'


def test_usage_may_be_missing(client: ollama.Client, provider: SimulatedProviders) -> None:
    provider.script(Reply.text("x").reporting(place=UsagePlace.MISSING))
    assert client.chat("llama3.2", messages=ASK).eval_count is None


def test_a_thought_alone(client: ollama.Client, provider: SimulatedProviders) -> None:
    provider.script(Reply.of(Thinking("only this")))
    assert client.chat("llama3.2", messages=ASK).message.content == ""


def test_embeddings_and_models() -> None:
    with (
        SimulatedProviders(models={"nomic-embed-text", "llama3.2"}) as provider,
        ollama.Client(host=provider.url("ollama")) as client,
    ):
        vectors = client.embed("nomic-embed-text", input=["a cat", "a dog"], dimensions=4).embeddings
        assert [len(vector) for vector in vectors] == [4, 4]
        assert [model.model for model in client.list().models] == ["llama3.2", "nomic-embed-text"]
        assert client.show("llama3.2").capabilities == ["completion", "tools", "thinking"]
        with pytest.raises(ollama.ResponseError, match="model 'nonsense' not found"):
            client.chat("nonsense", messages=ASK)
