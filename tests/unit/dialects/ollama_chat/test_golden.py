"""Golden pairs: a piece of a request or answer on the wire, and what it means. Read forwards and backwards."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from penstock.dialects.dialect import Context, PathMatch
from penstock.dialects.ollama_chat import DIALECT, match_path
from penstock.dialects.ollama_chat.times import seconds_of, text_of
from penstock.types.content import Base64, Media, Text, Thinking, TokenLogprob, ToolCall, ToolResult
from penstock.types.errors import DialectError, ErrorKind
from penstock.types.fold import fold
from penstock.types.notes import NO_MEMO, Memo
from penstock.types.profile import DEFAULT_PROFILE, Profile
from penstock.types.request import Message, Reasoning, ResponseFormat, Tool
from penstock.types.response import StopReason
from penstock.types.stream import ArgumentsDelta, End, Failure, PartEnd, PartStart, Start, Stop, TextDelta, UsageDelta
from penstock.types.usage import Usage
from tests.contract import dialects as contract
from tests.contract.dialects import PIXEL, SCHEMA
from tests.unit.dialects.ollama_chat.samples import (
    ANSWER,
    CALL,
    COUNTS,
    CREATED,
    CREATED_AT,
    DURATIONS,
    LOGPROBS,
    OLD_CALL,
    STREAM,
    line,
    lines,
)

MESSAGES: list[tuple[dict[str, Any], Message]] = [
    ({"role": "user", "content": "words"}, Message("user", (Text("words"),))),
    ({"role": "user", "content": ""}, Message("user", ())),
    ({"role": "System", "content": "words"}, Message("system", (Text("words"),), native="System")),
    ({"role": "control", "content": "thinking"}, Message("system", (Text("thinking"),), native="control")),
    (
        {"role": "user", "content": "words", "images": [PIXEL, "/9j/4AAQ", "AAAA"]},
        Message(
            "user",
            (
                Media("image", Base64(PIXEL), "image/png"),
                Media("image", Base64("/9j/4AAQ"), "image/jpeg"),
                Media("image", Base64("AAAA")),
                Text("words"),
            ),
        ),
    ),
    (
        {"role": "assistant", "content": "words", "thinking": "Hm.", "tool_calls": [CALL, OLD_CALL]},
        Message(
            "assistant",
            (
                Thinking("Hm."),
                Text("words"),
                ToolCall("call_1", "look_up", {"city": "Paris"}, extras={"(index)": 0}),
                ToolCall(None, "look_up", {}),
            ),
        ),
    ),
    (
        {"role": "tool", "content": "Sun", "tool_name": "look_up"},
        Message("tool", (ToolResult(None, (Text("Sun"),), "look_up"),)),
    ),
    (
        {"role": "tool", "content": "Sun", "tool_call_id": "call_1", "images": [PIXEL]},
        Message("tool", (ToolResult("call_1", (Media("image", Base64(PIXEL), "image/png"), Text("Sun"))),)),
    ),
    (
        {"role": "user", "content": "words", "name": "Ann"},
        Message("user", (Text("words"),), extras={"name": "Ann"}),
    ),
]


@pytest.mark.parametrize(("wire", "message"), MESSAGES, ids=str)
def test_a_message(wire: dict[str, Any], message: Message) -> None:
    request = DIALECT.parse_request({"messages": [wire]}, PathMatch())
    assert request.messages == (message,)
    assert DIALECT.render_request(request, DEFAULT_PROFILE).value == {"messages": [wire]}


FIELDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"stream": True, "spelling": {"stream": "(default)"}}),
    ({"stream": None}, {"stream": True}),
    ({"stream": False}, {"stream": False}),
    ({"stream": True}, {"stream": True, "spelling": None}),
    (
        {"options": {"num_predict": 7, "top_k": 5, "top_p": 0.5, "seed": 1, "stop": ["a"], "temperature": 0}},
        {"max_tokens": 7, "top_k": 5, "top_p": 0.5, "seed": 1, "stop": ("a",), "temperature": 0},
    ),
    (
        {"options": {"num_predict": -1, "num_ctx": 4096}},
        {"max_tokens": None, "extras": {"options": {"num_ctx": 4096, "num_predict": -1}}},
    ),
    ({"format": "json"}, {"response_format": ResponseFormat("json_object")}),
    ({"format": SCHEMA}, {"response_format": ResponseFormat("json_schema", SCHEMA)}),
    ({"format": ""}, {"response_format": None, "extras": {"format": ""}}),
    ({"think": True}, {"reasoning": Reasoning(enabled=True)}),
    ({"think": False}, {"reasoning": Reasoning(enabled=False)}),
    ({"think": "low"}, {"reasoning": Reasoning("low")}),
    ({"tools": [{"type": "function", "function": {"name": "a"}}]}, {"tools": (Tool("a"),)}),
    ({"keep_alive": "5m"}, {"extras": {"keep_alive": "5m"}}),
    ({"logprobs": True, "top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
    ({"temperature": 0.5}, {"temperature": None, "extras": {"temperature": 0.5}}),
]


@pytest.mark.parametrize(("wire", "fields"), FIELDS, ids=str)
def test_a_field(wire: dict[str, Any], fields: dict[str, Any]) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "a"}], **wire}
    request = DIALECT.parse_request(body, PathMatch())
    assert {name: getattr(request, name) for name in fields} == fields
    assert DIALECT.render_request(request, DEFAULT_PROFILE).value == body


def test_a_change_of_the_representation_shows_on_the_wire() -> None:
    request = DIALECT.parse_request({"model": "m", "options": {"seed": 1, "num_ctx": 7}}, PathMatch())
    changed = replace(
        request, messages=(Message("user", (Text("a"),)),), stream=False, seed=2, max_tokens=3, system=(Text("b"),)
    )
    assert DIALECT.render_request(changed, DEFAULT_PROFILE).value == {
        "model": "m",
        "messages": [{"role": "system", "content": "b"}, {"role": "user", "content": "a"}],
        "stream": False,
        "options": {"num_ctx": 7, "seed": 2, "num_predict": 3},
    }


def test_an_answer() -> None:
    response = DIALECT.parse_response(ANSWER, NO_MEMO)
    assert (response.model, response.created) == ("qwen3:8b", CREATED)
    assert response.usage == Usage(
        input_tokens=11,
        output_tokens=18,
        cache_read_tokens=4,
        extras={**DURATIONS, "prompt_eval_duration": 13074791, "eval_duration": 52479709},
    )
    (choice,) = response.choices
    assert (choice.stop_reason, choice.stop_native) == ("tool_calls", "stop")
    assert choice.parts[1] == Text(
        "Sun",
        logprobs=(
            TokenLogprob("Su", -0.5, (83, 117), (TokenLogprob("Ra", -1.5),)),
            TokenLogprob("n", 0, (110,)),
        ),
    )


def test_a_change_of_the_answer_shows_on_the_wire() -> None:
    response = DIALECT.parse_response({"model": "m", "created_at": CREATED_AT, "message": {}, "done": True}, NO_MEMO)
    assert DIALECT.render_response(response, Context()).value["created_at"] == CREATED_AT
    changed = replace(response, created=7, model="n")
    body = DIALECT.render_response(changed, Context()).value
    assert (body["created_at"], body["model"]) == ("1970-01-01T00:00:07Z", "n")
    assert DIALECT.render_response(changed, Context(model="asked")).value["model"] == "asked"


STOPS: list[tuple[dict[str, Any], StopReason | None]] = [
    ({"done": True, "done_reason": "stop"}, "stop"),
    ({"done": True, "done_reason": "length"}, "length"),
    ({"done": True, "done_reason": "load"}, "stop"),
    ({"done": True, "done_reason": "unload"}, "stop"),
    ({"done": True, "done_reason": "future"}, "stop"),
    ({"done": True}, "stop"),
    ({"done": False}, None),
]


@pytest.mark.parametrize(("fields", "reason"), STOPS, ids=str)
def test_a_reason_to_stop(fields: dict[str, Any], reason: StopReason | None) -> None:
    choice = DIALECT.parse_response({"message": {"role": "assistant", "content": "a"}, **fields}, NO_MEMO).choices[0]
    assert (choice.stop_reason, choice.stop_native) == (reason, fields.get("done_reason"))


TIMES: list[tuple[Any, int | None]] = [
    ("2025-10-17T23:14:07.414671Z", CREATED),
    ("2025-10-17T23:14:07Z", CREATED),
    ("2025-10-17T16:14:07.414671123-07:00", CREATED),
    ("2025-10-17T23:14:07", CREATED),
    ("0001-01-01T00:00:00Z", None),
    ("yesterday", None),
    ("", None),
    (7, None),
    (None, None),
]


@pytest.mark.parametrize(("text", "seconds"), TIMES)
def test_a_time(text: Any, seconds: int | None) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(CREATED, "2025-10-17T23:14:07Z"), (0.5, "1970-01-01T00:00:00.500000Z"), (1e300, "1970-01-01T00:00:00Z")],
)
def test_a_time_in_words(seconds: float, text: str) -> None:
    assert text_of(seconds) == text


# -- streams -----------------------------------------------------------------------------------------------------------


def test_a_stream() -> None:
    deltas = [delta for step in contract.parse_stream(DIALECT, STREAM) for delta in step.deltas]
    assert deltas[0] == Start(None, "qwen3:8b", CREATED, extras={"(created_at)": CREATED_AT})
    assert deltas[5:8] == [
        PartStart(2, ToolCall("call_1", "look_up", {}, extras={"(index)": 0})),
        ArgumentsDelta(2, '{"city":"Paris"}'),
        PartEnd(2),
    ]
    assert [type(delta) for delta in deltas[-3:]] == [Stop, UsageDelta, End]
    assert isinstance(deltas[-3], Stop) and deltas[-3].reason == "tool_calls"


def test_text_goes_on_after_a_call() -> None:
    data = lines(line(content="a"), line(tool_calls=[OLD_CALL]), line(content="b"), line(True))
    parts = contract.folded(DIALECT, data).choices[0].parts
    assert parts == (Text("ab"), ToolCall(None, "look_up", {}))


def test_an_error_in_a_stream_is_a_failure() -> None:
    steps = contract.parse_stream(DIALECT, lines(line(content="a"), {"error": "model runner has stopped"}))
    failure = steps[-1].deltas[0]
    assert isinstance(failure, Failure)
    assert (failure.error.kind, failure.error.status, failure.error.message) == (
        "server",
        500,
        "model runner has stopped",
    )


def test_a_cut_stream_is_not_complete() -> None:
    steps = contract.parse_stream(DIALECT, STREAM[:-9])
    assert End() not in [delta for step in steps for delta in step.deltas]
    assert fold(steps, DIALECT.name).choices[0].parts


def test_the_name_that_the_client_asked_for_stands_in_every_line() -> None:
    renderer = DIALECT.stream_renderer(Context(model="asked", source=DIALECT.name))
    data = b"".join(renderer.render(step) for step in contract.parse_stream(DIALECT, STREAM)) + renderer.close()
    assert {frame["model"] for _, frame in contract.frames(DIALECT, data)} == {"asked"}


def test_a_change_of_a_delta_shows_on_the_wire() -> None:
    (step,) = contract.parse_stream(DIALECT, lines(line(content="a", head={"logprobs": LOGPROBS})))
    start, text = step.deltas
    assert isinstance(text, TextDelta)
    changed = replace(step, deltas=(start, replace(text, text="b")))
    assert json.loads(contract.render_events(DIALECT, [changed], DIALECT.name)) == line(
        content="b", head={"logprobs": LOGPROBS}
    )


def test_a_free_form_call_is_unwrapped() -> None:
    memo = Memo(custom_tools=frozenset({"write"}))
    call = {"function": {"name": "write", "arguments": {"input": "free words"}}}
    expected = (ToolCall(None, "write", "free words", custom=True),)
    answer = {"message": {"role": "assistant", "content": "", "tool_calls": [call]}, "done": True}
    assert DIALECT.parse_response(answer, memo).choices[0].parts == expected
    parser = DIALECT.stream_parser(memo)
    assert fold(parser.feed(lines(line(tool_calls=[call]), line(True))), DIALECT.name).choices[0].parts == expected


# -- errors and paths --------------------------------------------------------------------------------------------------

ERRORS: list[tuple[int, dict[str, Any], ErrorKind]] = [
    (400, {"error": "model is required"}, "invalid_request"),
    (400, {"error": '"llama3.1:8b" does not support thinking'}, "unsupported"),
    (400, {"error": 'think value "high" is not supported for this model'}, "unsupported"),
    (400, {"error": "the input length exceeds the context length"}, "context_window"),
    (401, {"error": "unauthorized", "signin_url": "https://example.com"}, "authentication"),
    (404, {"error": "model 'unknown' not found"}, "not_found"),
    (404, {"error": 'model "unknown" not found, try pulling it first'}, "not_found"),
    (429, {"error": "too many concurrent requests"}, "rate_limit"),
    (429, {"error": "you have reached your hourly usage limit"}, "quota"),
    (500, {"error": "llama runner process has terminated: exit status 2"}, "server"),
    (503, {"error": "server busy, please try again. maximum pending requests exceeded"}, "overloaded"),
    (502, {"error": {"message": "bad gateway", "code": None}}, "bad_gateway"),
]


@pytest.mark.parametrize(("status", "body", "kind"), ERRORS, ids=str)
def test_an_error(status: int, body: dict[str, Any], kind: ErrorKind) -> None:
    error = DIALECT.parse_error(status, {}, json.dumps(body).encode())
    assert (error.kind, error.status) == (kind, status)
    assert error.message in (body["error"], body["error"]["message"] if isinstance(body["error"], dict) else "")
    contract.assert_error_exact(DIALECT, status, body)
    foreign = replace(error, dialect="other")
    assert DIALECT.render_error(foreign) == (status, {"error": error.message})


def test_an_error_that_is_no_json() -> None:
    error = DIALECT.parse_error(404, {}, b"404 page not found")
    assert (error.kind, error.message) == ("not_found", "404 page not found")


def test_bad_input_is_named() -> None:
    for body, message in (
        ({"messages": [{"role": "user", "content": 7}]}, "expected a string, got an integer at messages[0].content"),
        ({"messages": [{"role": "user", "content": []}]}, "expected a string, got a list at messages[0].content"),
        ({"messages": [{"role": "critic"}]}, "got 'critic' at messages[0].role"),
        ({"messages": [{"role": "user", "images": [7]}]}, "expected a string, got an integer at messages[0].images[0]"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "a", "arguments": []}}]}]},
            "expected an object, got a list at messages[0].tool_calls[0].function.arguments",
        ),
        ({"options": {"temperature": "hot"}}, "expected a number, got a string at options.temperature"),
        ({"format": 7}, "expected 'json' or a JSON Schema, got an integer at format"),
        ({"think": 7}, "expected a boolean or a word, got an integer at think"),
    ):
        with pytest.raises(DialectError) as caught:
            DIALECT.parse_request(body, PathMatch())
        assert str(caught.value).startswith("ollama_chat: ")
        assert message in str(caught.value)


def test_paths() -> None:
    assert match_path("/api/chat") == match_path("http://localhost:11434/api/chat/") == PathMatch()
    assert match_path("/api/generate") is match_path("/v1/chat") is match_path("/api/chats") is None
    assert DIALECT.path("m", True) == "/api/chat"


def test_what_the_host_refuses_is_left_out_with_a_note() -> None:
    request = DIALECT.parse_request({"options": {"seed": 7, "top_p": 0.5}, "think": True}, PathMatch())
    rendered = DIALECT.render_request(request, Profile(unsupported=frozenset({"top_p", "reasoning", "max_tokens"})))
    assert rendered.value == {"options": {"seed": 7}}
    assert [note.path for note in rendered.notes] == ["reasoning", "top_p"]


def test_counts_of_old_versions_may_be_missing() -> None:
    cached = {key: value for key, value in COUNTS.items() if key != "prompt_eval_count"}
    response = DIALECT.parse_response({"message": {}, "done": True, **cached}, NO_MEMO)
    assert response.usage is not None and response.usage.input_tokens is None
    assert DIALECT.parse_response({"message": {}, "done": True}, NO_MEMO).usage is None
