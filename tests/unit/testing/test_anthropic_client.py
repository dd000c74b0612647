"""The official `anthropic` client reads what the simulated Anthropic says: messages, tokens, files, models."""

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from penstock.testing.providers import (
    ErrorEvent,
    ProviderError,
    RedactedThinking,
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
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
PARIS = ToolCall("get_weather", {"city": "Paris"})
OSLO = ToolCall("get_weather", {"city": "Oslo"})
MODEL = "claude-fake-4-5"  # a name that no client will ever warn of


@pytest.fixture
def client(provider: SimulatedProviders) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=provider.url("anthropic_messages"), api_key="sk-fake", max_retries=0) as client:
        yield client


def test_text_whole_and_streamed(client: anthropic.Anthropic, provider: SimulatedProviders) -> None:
    reply = Reply.text("Hello there").reporting(
        Usage(100, 7, cached_tokens=60, cache_written_tokens=20, cache_written_1h_tokens=10)
    )
    provider.script(reply, reply)
    whole = client.messages.create(model=MODEL, max_tokens=50, messages=ASK)
    with client.messages.stream(model=MODEL, max_tokens=50, messages=ASK) as stream:
        text = "".join(stream.text_stream)
        streamed = stream.get_final_message()
    assert text == "Hello there"
    for answer in (whole, streamed):
        part: Any = answer.content[0]
        assert part.text == "Hello there"
        assert answer.stop_reason == "end_turn"
        usage = answer.usage
        assert (usage.input_tokens, usage.output_tokens) == (10, 7)  # what was cached is counted beside
        assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (60, 30)
        assert usage.cache_creation is not None
        assert usage.cache_creation.ephemeral_1h_input_tokens == 10


def test_parallel_tools_and_thinking_go_round(client: anthropic.Anthropic, provider: SimulatedProviders) -> None:
    spoken = Reply.of(Thinking("let me see"), RedactedThinking(), Text("I look."), PARIS, OSLO)
    provider.script(spoken, spoken, Reply.text("Sunny in both."))
    thinking: Any = {"type": "enabled", "budget_tokens": 1024}
    whole = client.messages.create(model=MODEL, max_tokens=2000, messages=ASK, tools=[TOOL], thinking=thinking)
    with client.messages.stream(model=MODEL, max_tokens=2000, messages=ASK, tools=[TOOL], thinking=thinking) as stream:
        streamed = stream.get_final_message()
    for answer in (whole, streamed):
        kinds = [part.type for part in answer.content]
        assert kinds == ["thinking", "redacted_thinking", "text", "tool_use", "tool_use"]
        assert answer.stop_reason == "tool_use"
        calls: Any = answer.content[3:]
        assert [call.input for call in calls] == [{"city": "Paris"}, {"city": "Oslo"}]
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "22 C"} for call in calls]
    history: Any = [*ASK, {"role": "assistant", "content": streamed.content}, {"role": "user", "content": results}]
    last: Any = client.messages.create(model=MODEL, max_tokens=2000, messages=history, tools=[TOOL], thinking=thinking)
    assert last.content[0].text == "Sunny in both."


def test_a_signature_is_refused_when_the_thought_was_changed(
    client: anthropic.Anthropic, provider: SimulatedProviders
) -> None:
    provider.script(Reply.thinking("two and two is four", "4"))
    first = client.messages.create(model=MODEL, max_tokens=50, messages=ASK)
    changed: list[Any] = [part.model_dump() for part in first.content]
    changed[0]["thinking"] = "two and two is five"
    history: Any = [*ASK, {"role": "assistant", "content": changed}, {"role": "user", "content": "Sure?"}]
    with pytest.raises(anthropic.BadRequestError, match="Invalid `signature` in `thinking` block"):
        client.messages.create(model=MODEL, max_tokens=50, messages=history)


def test_a_scripted_signature_is_let_in_again(client: anthropic.Anthropic, provider: SimulatedProviders) -> None:
    provider.script(Reply.thinking("hm", "4", signature="bXktc2lnbmF0dXJl"))
    first: Any = client.messages.create(model=MODEL, max_tokens=50, messages=ASK)
    assert first.content[0].signature == "bXktc2lnbmF0dXJl"
    history: Any = [*ASK, {"role": "assistant", "content": first.content}, {"role": "user", "content": "Sure?"}]
    client.messages.create(model=MODEL, max_tokens=50, messages=history)


@pytest.mark.parametrize(
    ("place", "start", "end"),
    [
        (UsagePlace.NATIVE, 1, 9),
        (UsagePlace.FIRST_EVENT, 9, None),
        (UsagePlace.LAST_EVENT, None, 9),
        (UsagePlace.MISSING, None, None),
    ],
)
def test_usage_stands_where_the_script_puts_it(
    client: anthropic.Anthropic, provider: SimulatedProviders, place: UsagePlace, start: int | None, end: int | None
) -> None:
    provider.script(Reply.text("Hi").reporting(Usage(5, 9), place))
    with client.messages.create(model=MODEL, max_tokens=50, messages=ASK, stream=True) as stream:
        events: list[Any] = list(stream)
    first = getattr(events[0].message, "usage", None)
    last = next(getattr(event, "usage", None) for event in events if event.type == "message_delta")
    assert (first and first.output_tokens) == start
    assert (last and last.output_tokens) == end


@pytest.mark.parametrize(
    ("stop", "native"),
    [("end", "end_turn"), ("length", "max_tokens"), ("content_filter", "refusal"), ("stop_sequence", "stop_sequence")],
)
def test_stop_reasons_are_native(
    client: anthropic.Anthropic, provider: SimulatedProviders, stop: Any, native: str
) -> None:
    provider.script(Reply.text("x").stopping(stop, "END" if stop == "stop_sequence" else None))
    answer = client.messages.create(model=MODEL, max_tokens=50, messages=ASK)
    assert answer.stop_reason == native
    assert answer.stop_sequence == ("END" if stop == "stop_sequence" else None)


@pytest.mark.parametrize(
    ("status", "expected", "kind"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (403, anthropic.PermissionDeniedError, "permission_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (408, anthropic.APIStatusError, "timeout_error"),
        (413, anthropic.APIStatusError, "request_too_large"),
        (422, anthropic.UnprocessableEntityError, "invalid_request_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (503, anthropic.InternalServerError, "api_error"),
        (529, anthropic.InternalServerError, "overloaded_error"),
    ],
)
def test_errors_raise_the_clients_own_classes(
    client: anthropic.Anthropic,
    provider: SimulatedProviders,
    status: int,
    expected: type[anthropic.APIStatusError],
    kind: str,
) -> None:
    provider.script(Reply.error(status, "the reason"))
    with pytest.raises(expected) as raised:
        client.messages.create(model=MODEL, max_tokens=50, messages=ASK)
    body: Any = raised.value.body
    assert raised.value.status_code == status
    assert body["error"] == {"type": kind, "message": "the reason"}
    assert raised.value.request_id == body["request_id"]


def test_an_overload_in_the_middle_of_a_stream(client: anthropic.Anthropic, provider: SimulatedProviders) -> None:
    provider.script(Reply.text("one two").with_faults(ErrorEvent(ProviderError(529), after=4)))
    seen: list[Any] = []
    with (
        client.messages.create(model=MODEL, max_tokens=50, messages=ASK, stream=True) as stream,
        pytest.raises(anthropic.APIStatusError, match="Overloaded"),
    ):
        drain(stream, seen)
    assert [event.type for event in seen] == ["message_start", "content_block_start", "content_block_delta"]


def test_keys_and_models_are_checked() -> None:
    with SimulatedProviders(keys={"good"}, models={MODEL}) as provider:
        base = provider.url("anthropic_messages")
        with anthropic.Anthropic(base_url=base, api_key="good", max_retries=0) as client:
            client.messages.create(model=MODEL, max_tokens=5, messages=ASK)
            assert [model.id for model in client.models.list()] == [MODEL]
            with pytest.raises(anthropic.NotFoundError, match="model: claude-nonsense"):
                client.messages.create(model="claude-nonsense", max_tokens=5, messages=ASK)
        with (
            anthropic.Anthropic(base_url=base, api_key="bad", max_retries=0) as client,
            pytest.raises(anthropic.AuthenticationError, match="invalid x-api-key"),
        ):
            client.messages.create(model=MODEL, max_tokens=5, messages=ASK)


def test_tokens_are_counted(client: anthropic.Anthropic) -> None:
    short = client.messages.count_tokens(model=MODEL, messages=ASK).input_tokens
    long = client.messages.count_tokens(model=MODEL, messages=ASK, system="be brief " * 20).input_tokens
    assert 0 < short < long


def test_structured_output_and_forced_tools(client: anthropic.Anthropic) -> None:
    wanted: Any = {"format": {"type": "json_schema", "schema": TOOL["input_schema"]}}
    shaped: Any = client.messages.create(model=MODEL, max_tokens=50, messages=ASK, output_config=wanted)
    assert shaped.content[0].text == '{"city":"text"}'
    forced: Any = client.messages.create(
        model=MODEL, max_tokens=50, messages=ASK, tools=[TOOL], tool_choice={"type": "tool", "name": "get_weather"}
    )
    assert forced.content[0].input == {"city": "text"}


def test_files_are_kept(client: anthropic.Anthropic) -> None:
    uploaded = client.beta.files.upload(file=("data.csv", b"a,b\n1,2\n", "text/csv"))
    assert (uploaded.filename, uploaded.size_bytes, uploaded.mime_type) == ("data.csv", 8, "text/csv")
    assert [file.id for file in client.beta.files.list()] == [uploaded.id]
    assert client.beta.files.download(uploaded.id).read() == b"a,b\n1,2\n"
    client.beta.files.delete(uploaded.id)
    with pytest.raises(anthropic.NotFoundError):
        client.beta.files.retrieve_metadata(uploaded.id)


def test_claude_on_vertex_speaks_the_same_format(provider: SimulatedProviders) -> None:
    with anthropic.AnthropicVertex(
        base_url=provider.url("vertex") + "/v1", region="us-east5", project_id="fake", access_token="fake"
    ) as client:
        whole: Any = client.messages.create(model="claude-fake-4-5", max_tokens=5, messages=ASK)
        with client.messages.stream(model="claude-fake-4-5", max_tokens=5, messages=ASK) as stream:
            assert "".join(stream.text_stream) == whole.content[0].text == "You said: Weather?"
    assert "rawPredict" in provider.requests[0].path.partition(":")[2]
