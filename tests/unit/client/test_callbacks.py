"""Callbacks: what they are told and when, what they may change and refuse, that they never break a call, and that no
key reaches them.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

import penstock
from penstock import Callback, CustomLogger, acompletion, completion, embedding
from penstock.client import api
from penstock.testing.providers import Cut, Reply
from tests.support.targets import KEY, TARGETS, every_dialect, simulating

ASK: list[Any] = [{"role": "user", "content": "a private question"}]
OPENAI = TARGETS[0]


class Recorder(Callback):
    """Remembers every event."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any], Any]] = []

    def log_pre_api_call(self, model: str, messages: Any, kwargs: dict[str, Any]) -> None:
        self.events.append(("before", kwargs, messages))

    def log_stream_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: datetime, end_time: datetime
    ) -> None:
        self.events.append(("chunk", kwargs, response_obj))

    def log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: datetime, end_time: datetime
    ) -> None:
        assert start_time <= end_time
        self.events.append(("success", kwargs, response_obj))

    def log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: datetime, end_time: datetime
    ) -> None:
        self.events.append(("failure", kwargs, response_obj))

    @property
    def names(self) -> list[str]:
        return [name for name, _, _ in self.events]

    @property
    def payload(self) -> dict[str, Any]:
        """The payload of the last event."""
        payload: dict[str, Any] = self.events[-1][1]["standard_logging_object"]
        return payload


class AsyncRecorder(Recorder):
    """The same in coroutines only."""

    async def async_log_success_event(self, *arguments: Any) -> None:
        await asyncio.sleep(0)
        Recorder.log_success_event(self, *arguments)

    async def async_log_failure_event(self, *arguments: Any) -> None:
        await asyncio.sleep(0)
        Recorder.log_failure_event(self, *arguments)

    log_success_event = Callback.log_success_event
    log_failure_event = Callback.log_failure_event


def blocking(**arguments: Any) -> Any:
    """A call, its stream read to the end."""
    answer = completion(**arguments)
    return list(answer) if isinstance(answer, penstock.Stream) else answer


def from_a_coroutine(**arguments: Any) -> Any:
    async def run() -> Any:
        answer = await acompletion(**arguments)
        return [chunk async for chunk in answer] if isinstance(answer, penstock.AsyncStream) else answer

    return asyncio.run(run())


both = pytest.mark.parametrize("calling", [blocking, from_a_coroutine], ids=["sync", "async"])
Calling = Callable[..., Any]


@both
@every_dialect
def test_an_answer_is_told_with_its_figures(calling: Calling, target: Any) -> None:
    recorder = Recorder()
    with simulating() as simulated:
        simulated.script(Reply.text("an answer"))
        answer = calling(
            messages=ASK,
            temperature=0.5 if target.dialect != "openai_responses" else None,
            metadata={"team": "blue", "trace_id": "t1"},
            tags=["nightly"],
            callbacks=[recorder],
            **target.arguments(simulated),
        )
    payload = recorder.payload
    assert recorder.names == ["before", "success"]
    assert recorder.events[-1][2] is answer
    assert payload["status"] == "success"
    assert payload["ended"] == "complete"
    assert payload["call_type"] == ("completion" if calling is blocking else "acompletion")
    assert payload["custom_llm_provider"] == target.model.partition("/")[0]
    assert payload["total_tokens"] == answer.usage.total_tokens > 0
    assert payload["response_cost"] == answer._hidden_params["response_cost"]
    assert payload["metadata"] == {"team": "blue", "trace_id": "t1"}
    assert payload["trace_id"] == "t1"
    assert payload["request_tags"] == ["nightly"]
    assert payload["messages"] == ASK
    assert payload["response"]["choices"][0]["message"]["content"] == "an answer"
    assert payload["startTime"] <= payload["completionStartTime"] <= payload["endTime"]
    assert payload["hidden_params"]["litellm_call_id"] == answer._hidden_params["litellm_call_id"]
    json.dumps(payload)


@both
def test_a_stream_is_told_at_its_end(calling: Calling) -> None:
    recorder = Recorder()
    with simulating() as simulated:
        simulated.script(Reply.text("one two three"))
        chunks = calling(messages=ASK, stream=True, callbacks=[recorder], **OPENAI.arguments(simulated))
    assert recorder.names == ["before", *["chunk"] * len(chunks), "success"]
    assert [shown for name, _, shown in recorder.events if name == "chunk"] == chunks
    assert recorder.payload["response"]["choices"][0]["message"]["content"] == "one two three"
    assert recorder.payload["total_tokens"] > 0
    assert recorder.payload["response_cost"] > 0
    assert recorder.events[-1][1]["complete_streaming_response"].choices[0].message.content == "one two three"
    assert recorder.payload["startTime"] < recorder.payload["completionStartTime"] <= recorder.payload["endTime"]


@both
def test_a_stream_that_was_cut_is_a_failure_with_what_had_arrived(calling: Calling) -> None:
    recorder = Recorder()
    with simulating() as simulated:
        simulated.script(Reply.text("one two three").with_faults(Cut(after=3)))
        with pytest.raises(penstock.StreamInterruptedError):
            calling(messages=ASK, stream=True, callbacks=[recorder], **OPENAI.arguments(simulated))
    assert recorder.names[-1] == "failure"
    assert recorder.names.count("failure") == 1
    assert recorder.payload["ended"] == "failed"
    assert recorder.payload["response"]["choices"][0]["message"]["content"].startswith("one")
    assert recorder.payload["error_information"]["error_class"] == "StreamInterruptedError"


def test_a_stream_closed_early_is_told_once() -> None:
    for stop in ("close", "with", "forget", "unread"):
        recorder = Recorder()
        with simulating() as simulated:
            simulated.script(Reply.text("one two three"))
            stream: Any = completion(messages=ASK, stream=True, callbacks=[recorder], **OPENAI.arguments(simulated))
            if stop != "unread":
                next(stream)
            if stop == "with":
                with stream:
                    pass
            elif stop == "forget":
                del stream
                gc.collect()
            else:
                stream.close()
        assert recorder.names.count("success") == 1, stop
        assert recorder.payload["ended"] == "closed", stop


def test_an_async_stream_closed_early_is_told_once() -> None:
    async def run(stop: str) -> Recorder:
        recorder = Recorder()
        with simulating() as simulated:
            simulated.script(Reply.text("one two three"))
            stream: Any = await acompletion(
                messages=ASK, stream=True, callbacks=[recorder], **OPENAI.arguments(simulated)
            )
            if stop == "break":
                async with stream:
                    async for _ in stream:
                        break
            else:
                await stream.aclose()
        return recorder

    for stop in ("break", "unread"):
        recorder = asyncio.run(run(stop))
        assert recorder.names.count("success") == 1, stop
        assert recorder.payload["ended"] == "closed", stop


@both
def test_a_failure_is_told_with_its_exception(calling: Calling) -> None:
    recorder = Recorder()
    with simulating() as simulated:
        simulated.script(Reply.error(429, "slow down"))
        with pytest.raises(penstock.RateLimitError) as caught:
            calling(messages=ASK, callbacks=[recorder], **OPENAI.arguments(simulated))
    assert recorder.names == ["before", "failure"]
    assert recorder.events[-1][1]["exception"] is caught.value
    assert recorder.payload["status"] == "failure"
    assert recorder.payload["error_information"]["error_code"] == "429"
    assert recorder.payload["error_information"]["llm_provider"] == "openai"
    assert recorder.payload["response_cost"] is None, "unknown is not 0"


@both
def test_a_misfit_is_a_failure_that_cost_something(calling: Calling) -> None:
    recorder = Recorder()
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    with simulating() as simulated:
        simulated.script(Reply.text("no"), Reply.text("no"))
        with pytest.raises(penstock.JSONSchemaValidationError):
            calling(
                messages=ASK, response_format=schema, max_repairs=1, callbacks=[recorder], **OPENAI.arguments(simulated)
            )
    assert recorder.names == ["before", "failure"], "one call of the user's, whatever it took"
    assert recorder.payload["response_cost"] > 0


@both
def test_hooks_of_the_other_kind_run_too(calling: Calling) -> None:
    recorder = AsyncRecorder()
    with simulating() as simulated:
        simulated.script(Reply.text("fine"), Reply.error(400, "bad"))
        calling(messages=ASK, callbacks=[recorder], **OPENAI.arguments(simulated))
        with pytest.raises(penstock.BadRequestError):
            calling(messages=ASK, callbacks=[recorder], **OPENAI.arguments(simulated))
    assert recorder.names == ["before", "success", "before", "failure"]


def test_an_async_hook_runs_in_a_blocking_call_inside_of_a_loop() -> None:
    recorder = AsyncRecorder()

    async def run() -> None:
        completion("demo", ASK, callbacks=[recorder])

    asyncio.run(run())
    assert recorder.names == ["before", "success"]


@both
def test_functions_are_told_of_success(calling: Calling) -> None:
    told: list[Any] = []

    async def later(kwargs: dict[str, Any], answer: Any, start: Any, end: Any) -> None:
        told.append(answer)

    answer = calling(model="demo", messages=ASK, callbacks=[lambda *event: told.append(event[1]), later])
    assert told == [answer, answer]


# -- guards -----------------------------------------------------------------------------------------------------------


class Guard(Callback):
    def __init__(self, verdict: Callable[[dict[str, Any]], Any]) -> None:
        self._verdict = verdict

    def pre_call(self, arguments: dict[str, Any], call_type: str) -> Any:
        return self._verdict(arguments)


@both
def test_a_guard_may_change_what_is_sent(calling: Calling) -> None:
    def redact(arguments: dict[str, Any]) -> dict[str, Any]:
        return {**arguments, "messages": [{"role": "user", "content": "redacted"}], "max_tokens": 7}

    recorder = Recorder()
    with simulating() as simulated:
        simulated.script(Reply.text("fine"))
        calling(messages=ASK, callbacks=[Guard(redact), recorder], **OPENAI.arguments(simulated))
        sent = simulated.last.json
    assert sent["messages"] == [{"role": "user", "content": "redacted"}]
    assert sent["max_tokens"] == 7
    assert recorder.payload["messages"] == [{"role": "user", "content": "redacted"}]
    assert ASK[0]["content"] == "a private question", "the caller's own messages stay as they are"


@both
@pytest.mark.parametrize(
    "error", [penstock.RejectedRequestError("not here"), ValueError("not here"), KeyError("not here")]
)
def test_a_guard_may_refuse_in_any_words(calling: Calling, error: Exception) -> None:
    def refuse(arguments: dict[str, Any]) -> None:
        raise error

    recorder = Recorder()
    with simulating() as simulated:
        with pytest.raises(penstock.RejectedRequestError, match="not here"):
            calling(messages=ASK, callbacks=[Guard(refuse), recorder], **OPENAI.arguments(simulated))
        assert simulated.requests == []
    assert recorder.names == ["failure"]


def test_a_guard_sees_no_key_and_no_address() -> None:
    seen: list[dict[str, Any]] = []
    with simulating() as simulated:
        simulated.script(Reply.text("fine"))
        given = OPENAI.arguments(simulated) | {"extra_headers": {"x-token": "fake-header-secret"}}
        completion(messages=ASK, callbacks=[Guard(seen.append)], **given)
        assert simulated.last.headers["authorization"] == f"Bearer {KEY}", "the key is sent all the same"
    assert seen[0].keys() == {"model", "messages", "num_retries", "callbacks"}


class AsyncGuard(Callback):
    async def async_pre_call(self, arguments: dict[str, Any], call_type: str) -> None:
        await asyncio.sleep(0)
        raise penstock.RejectedRequestError("refused in a coroutine")


@both
def test_an_async_guard_holds_in_every_call(calling: Calling) -> None:
    with pytest.raises(penstock.RejectedRequestError, match="coroutine"):
        calling(model="demo", messages=ASK, callbacks=[AsyncGuard()])


def test_a_guard_must_return_arguments() -> None:
    with pytest.raises(penstock.BadRequestError, match="pre_call must return"):
        completion("demo", ASK, callbacks=[Guard(lambda arguments: "fine")])


# -- failing, and secrets ---------------------------------------------------------------------------------------------


class Broken(Callback):
    """Fails in every hook that reports."""

    def log_pre_api_call(self, *arguments: Any) -> None:
        raise RuntimeError("broken before")

    def log_stream_event(self, *arguments: Any) -> None:
        raise RuntimeError("broken chunk")

    def log_success_event(self, *arguments: Any) -> None:
        raise RuntimeError("broken success")

    def log_failure_event(self, *arguments: Any) -> None:
        raise RuntimeError("broken failure")


@both
def test_a_hook_that_fails_breaks_nothing(calling: Calling, caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder()
    with caplog.at_level(logging.WARNING, "penstock"):
        assert calling(model="demo", messages=ASK, callbacks=[Broken(), recorder]).choices
        assert calling(model="demo", messages=ASK, stream=True, callbacks=[Broken()])
        with pytest.raises(penstock.RateLimitError):
            calling(model="demo", messages=ASK, mock_response="penstock.RateLimitError", callbacks=[Broken()])
    assert recorder.names == ["before", "success"]
    said = caplog.text
    assert all(f"broken {word}" in said for word in ("before", "chunk", "success", "failure"))
    assert "Broken" in said


SECRETS = {
    "api_key": KEY,
    "extra_headers": {"authorization": "Bearer fake-own-token-123", "x-thing": "fake-thing-456"},
}


@both
def test_no_secret_reaches_a_callback(calling: Calling) -> None:
    recorder = Recorder()
    tools = [
        {
            "type": "mcp",
            "server_label": "s",
            "server_url": "https://mcp.example.com",
            "authorization": "fake-mcp-token-789",
            "headers": {"x-api-key": "fake-mcp-header-012"},
        }
    ]
    with simulating() as simulated:
        simulated.script(
            Reply.text("fine"), Reply.error(401, f"Incorrect API key provided: {KEY}; also fake-thing-456")
        )
        given = OPENAI.arguments(simulated) | SECRETS | {"model": "openai/responses/gpt-4o", "drop_params": True}
        calling(messages=ASK, tools=tools, callbacks=[recorder], **given)
        with pytest.raises(penstock.AuthenticationError):
            calling(messages=ASK, callbacks=[recorder], **given)
    told = repr([(name, {**kwargs, "exception": None}) for name, kwargs, _ in recorder.events])
    for secret in (KEY, "fake-own-token-123", "fake-thing-456", "fake-mcp-token-789", "fake-mcp-header-012"):
        assert secret not in told
    assert "Incorrect API key provided: ***" in recorder.payload["error_str"]


def test_a_key_of_the_environment_is_masked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "an-odd-looking-fake-key")
    recorder = Recorder()
    with simulating() as simulated:
        simulated.script(Reply.error(401, "no such key: an-odd-looking-fake-key"))
        given = OPENAI.arguments(simulated)
        del given["api_key"]
        with pytest.raises(penstock.AuthenticationError):
            completion(messages=ASK, callbacks=[recorder], **given)
    assert "an-odd-looking-fake-key" not in repr(recorder.payload)


@both
@pytest.mark.parametrize("where", ["call", "callback"])
def test_what_was_said_can_be_kept_from_them(calling: Calling, where: str) -> None:
    recorder = Recorder()
    recorder.turn_off_message_logging = where == "callback"
    more = {"turn_off_message_logging": True} if where == "call" else {}
    with simulating() as simulated:
        simulated.script(Reply.text("a private answer"), Reply.text("a private answer"))
        for stream in (False, True):
            calling(messages=ASK, stream=stream, callbacks=[recorder], **more, **OPENAI.arguments(simulated))
    assert "private" not in repr(recorder.events)
    assert recorder.payload["messages"] is None
    assert recorder.payload["response"] is None
    assert recorder.payload["total_tokens"] > 0
    assert recorder.events[-1][2].usage.total_tokens > 0


# -- where they are given ---------------------------------------------------------------------------------------------


def test_they_hang_on_a_client_and_on_all_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api._Default, "engine", None)
    for_all, on_client, on_call = Recorder(), Recorder(), Recorder()
    penstock.configure(callbacks=[for_all])
    completion("demo", ASK, callbacks=[on_call])
    with penstock.Client(callbacks=[on_client]) as client:
        client.chat.completions.create(model="demo", messages=ASK, callbacks=[on_call, on_client])
    assert for_all.names == ["before", "success"]
    assert on_client.names == ["before", "success"], "each callback once"
    assert on_call.names == ["before", "success"] * 2


def test_other_calls_are_told_too() -> None:
    recorder = Recorder()
    with simulating() as simulated:
        embedding(
            "openai/text-embedding-3-small",
            ["one"],
            callbacks=[recorder],
            api_key=KEY,
            api_base=simulated.url("openai"),
        )
        penstock.messages(max_tokens=10, messages=ASK, callbacks=[recorder], **TARGETS[2].arguments(simulated))
    assert [kwargs["call_type"] for _, kwargs, _ in recorder.events] == ["embedding"] * 2 + ["anthropic_messages"] * 2
    assert recorder.events[1][1]["standard_logging_object"]["prompt_tokens"] > 0
    assert recorder.payload["prompt_tokens"] > 0
    assert recorder.payload["id"].startswith("msg_")


@pytest.mark.parametrize("value", ["langfuse", Recorder, 3])
def test_what_is_no_callback_is_refused(value: Any) -> None:
    with pytest.raises(penstock.BadRequestError, match="callbacks"):
        completion("demo", ASK, callbacks=[value])


def test_the_name_that_litellm_gives_it() -> None:
    assert CustomLogger is Callback


@pytest.mark.parametrize(
    ("name", "positional"),
    [
        ("get_responses", ["resp_1"]),
        ("delete_responses", ["resp_1"]),
        ("cancel_responses", ["resp_1"]),
        ("list_input_items", ["resp_1"]),
        ("file_retrieve", ["file-1"]),
        ("file_delete", ["file-1"]),
        ("file_list", []),
        ("file_content", ["file-1"]),
        ("create_file", [b"{}", "batch"]),
        ("create_batch", ["24h", "/v1/chat/completions", "file-1"]),
        ("retrieve_batch", ["batch-1"]),
        ("cancel_batch", ["batch-1"]),
        ("list_batches", []),
        ("moderation", ["a"]),
        ("speech", ["openai/tts-1", "a", "alloy"]),
        ("image_generation", ["a", "openai/gpt-image-1"]),
        ("image_edit", [b"", "a", "openai/gpt-image-1"]),
        ("transcription", ["openai/whisper-1", b""]),
        ("rerank", ["cohere/rerank-v3.5", "a", ["b"]]),
    ],
)
def test_every_call_goes_by_its_own_name(name: str, positional: list[Any]) -> None:
    recorder = Recorder()
    more: dict[str, Any] = {"callbacks": [recorder], "api_base": "http://127.0.0.1:9", "api_key": KEY, "num_retries": 0}
    with pytest.raises(penstock.PenstockError):
        getattr(penstock, name)(*positional, **more)
    with pytest.raises(penstock.PenstockError):
        asyncio.run(getattr(penstock, f"a{name}")(*positional, **more))
    told = [event[1]["call_type"] for event in recorder.events if event[0] == "failure"]
    assert told == [name, f"a{name}"]


def test_nothing_is_put_together_for_hooks_that_nobody_has(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each chunk of a stream would be paid for."""
    from penstock.client.observing import ObservedCall

    class OnlyTheEnd(Callback):
        ended = 0

        def log_success_event(self, *event: Any) -> None:
            self.ended += 1

    def never(*arguments: Any) -> Any:
        raise AssertionError("nobody asked for this")

    monkeypatch.setattr(ObservedCall, "before", never)
    monkeypatch.setattr(ObservedCall, "at_chunk", never)
    callback = OnlyTheEnd()
    list(penstock.completion("demo", ASK, stream=True, callbacks=[callback]))
    penstock.completion("demo", ASK, callbacks=[callback])
    assert (callback.ended, caplog.records) == (2, [])


def test_the_payload_names_the_group_and_the_parts_of_the_cost() -> None:
    recorder = Recorder()
    listed = [
        {
            "model_name": "house",
            "litellm_params": {"model": "openai/gpt-4o", "mock_response": "Hi."},
            "model_info": {"id": "one"},
        }
    ]
    penstock.Router(listed).completion("house", ASK, callbacks=[recorder])
    payload = recorder.payload
    assert (payload["model_group"], payload["model_id"]) == ("house", "one")
    assert payload["cost_breakdown"] is None, "unknown, not 0"
    priced = {"input_cost_per_token": 0.5, "output_cost_per_token": 0.25}
    with simulating() as simulated:
        blocking(messages=ASK, callbacks=[recorder], **priced, **OPENAI.arguments(simulated))
    parts = recorder.payload["cost_breakdown"]
    assert parts["input_cost"] == recorder.payload["prompt_tokens"] * 0.5
    assert parts["output_cost"] == recorder.payload["completion_tokens"] * 0.25
    assert parts["tool_usage_cost"] == 0.0
    assert parts["total_cost"] == recorder.payload["response_cost"] == parts["input_cost"] + parts["output_cost"]
