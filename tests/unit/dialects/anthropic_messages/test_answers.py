"""What other dialects' answers and errors become for a client of this one."""

import json
from typing import Any, get_args

import pytest

from penstock.dialects.anthropic_messages import DIALECT
from penstock.dialects.dialect import Context, PathMatch
from penstock.types.content import (
    Citation,
    Json,
    Media,
    Part,
    Refusal,
    ServerToolCall,
    Signature,
    Text,
    Thinking,
    ToolCall,
)
from penstock.types.errors import ErrorKind, ErrorResponse
from penstock.types.fold import fold
from penstock.types.notes import NO_MEMO
from penstock.types.request import Message
from penstock.types.response import Choice, Response, StopReason
from penstock.types.usage import Usage
from tests.contract import dialects as contract
from tests.contract.streams import STREAMS

GEMINI = Signature("Z2Vt", "gemini")


def render(*parts: Part, reason: StopReason | None = "stop", **fields: Any) -> Any:
    response = Response(dialect="other", id="r_1", model="m", choices=(Choice(parts, reason),), **fields)
    return DIALECT.render_response(response, Context("fallback"))


@pytest.mark.parametrize(
    ("part", "blocks", "noted"),
    [
        (Text("words"), [{"type": "text", "text": "words"}], 0),
        (Text(""), [], 0),
        (Refusal("no"), [{"type": "text", "text": "no"}], 0),
        (Json([1]), [{"type": "text", "text": "[1]"}], 0),
        (Thinking("Hm."), [{"type": "thinking", "thinking": "Hm.", "signature": ""}], 0),
        (Thinking(), [], 0),
        (Thinking("Hm.", signature=GEMINI), [{"type": "thinking", "thinking": "Hm.", "signature": "gemini::Z2Vt"}], 0),
        (
            Thinking(summary=("a", "b"), signature=Signature("b3Bl", "openai"), id="rs_1"),
            [{"type": "thinking", "thinking": "a\n\nb", "signature": "openai:rs_1:b3Bl"}],
            0,
        ),
        (
            Thinking(signature=Signature("c2ln", "anthropic"), redacted=True),
            [{"type": "redacted_thinking", "data": "c2ln"}],
            0,
        ),
        (
            ToolCall("c", "n", '{"a": 1}', signature=GEMINI),
            [
                {"type": "redacted_thinking", "data": "gemini>::Z2Vt"},
                {"type": "tool_use", "id": "c", "name": "n", "input": {"a": 1}},
            ],
            0,
        ),
        (ToolCall(None, "n", {}), [{"type": "tool_use", "id": "call_r1_0", "name": "n", "input": {}}], 0),
        (
            ToolCall("c", "n", "free", custom=True),
            [{"type": "tool_use", "id": "c", "name": "n", "input": {"input": "free"}}],
            0,
        ),
        (Media("audio", None, transcript="spoken"), [{"type": "text", "text": "spoken"}], 1),
        (Media("image", None), [], 1),
        (ServerToolCall("s", "web_search"), [], 1),
        (Text("words", extras={"odd": 1}), [{"type": "text", "text": "words"}], 1),
        (Text("words", extras={"odd": None, "type": "x", "(echo)": {"a": 1}}), [{"type": "text", "text": "words"}], 0),
    ],
)
def test_a_part_of_another_dialect(part: Part, blocks: list[dict[str, Any]], noted: int) -> None:
    rendered = render(part)
    assert rendered.value["content"] == blocks
    assert len(rendered.notes) == noted


def test_citations_of_others() -> None:
    citations = (Citation("https://example.com", "E", "c"), Citation(file_id="f", title="F"), Citation(start=0))
    rendered = render(Text("words", citations))
    assert rendered.value["content"][0]["citations"] == [
        {
            "type": "web_search_result_location",
            "url": "https://example.com",
            "title": "E",
            "cited_text": "c",
            "encrypted_index": "",
        },
        {
            "type": "search_result_location",
            "source": "f",
            "title": "F",
            "cited_text": "",
            "search_result_index": 0,
            "start_block_index": 0,
            "end_block_index": 1,
        },
    ]
    assert [(note.kind, note.path) for note in rendered.notes] == [
        ("changed", "choices[0].parts[0].citations[1]"),
        ("dropped", "choices[0].parts[0].citations[2]"),
    ]


@pytest.mark.parametrize(
    ("reason", "parts", "word"),
    [
        ("stop", (), "end_turn"),
        (None, (), "end_turn"),
        ("length", (), "max_tokens"),
        ("content_filter", (), "refusal"),
        ("refusal", (Refusal("no"),), "refusal"),
        ("pause", (), "pause_turn"),
        ("tool_calls", (), "tool_use"),
        ("stop", (ToolCall("c", "n", {}),), "tool_use"),
        (None, (ToolCall("c", "n", {}),), "tool_use"),
        ("length", (ToolCall("c", "n", {}),), "max_tokens"),
    ],
)
def test_why_it_ended(reason: StopReason | None, parts: tuple[Part, ...], word: str) -> None:
    assert render(*parts, reason=reason).value["stop_reason"] == word


def test_a_stop_sequence_is_told() -> None:
    response = Response(dialect="other", choices=(Choice((Text("a"),), "stop", stop_sequence="END"),))
    value = DIALECT.render_response(response, Context()).value
    assert (value["stop_reason"], value["stop_sequence"]) == ("stop_sequence", "END")


def test_a_failed_answer_is_noted() -> None:
    rendered = render(Text("a"), reason="error")
    assert rendered.value["stop_reason"] == "end_turn"
    assert [note.path for note in rendered.notes] == ["choices[0].stop_reason"]


def test_usage_is_split_again() -> None:
    usage = Usage(
        input_tokens=100,
        output_tokens=20,
        total_tokens=120,
        cache_read_tokens=60,
        cache_write_tokens=30,
        reasoning_tokens=5,
        server_tool_calls={"web_search": 2, "file_search": 1},
        input_audio_tokens=4,
        service_tier="default",
    )
    rendered = render(Text("a"), usage=usage)
    assert rendered.value["usage"] == {
        "input_tokens": 10,
        "output_tokens": 20,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 30,
        "output_tokens_details": {"thinking_tokens": 5},
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
        "service_tier": "standard",
    }
    assert [note.path for note in rendered.notes] == ["usage.server_tool_calls.file_search", "usage.input_audio_tokens"]


def test_what_is_missing_is_filled_in() -> None:
    value = DIALECT.render_response(Response(dialect="other"), Context("fallback", model="alias")).value
    assert value == {
        "id": "fallback",
        "type": "message",
        "role": "assistant",
        "model": "alias",
        "content": [],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }


def test_alternatives_are_noted() -> None:
    response = Response(dialect="other", choices=(Choice((Text("a"),)), Choice((Text("b"),), index=1)))
    rendered = DIALECT.render_response(response, Context())
    assert [note.path for note in rendered.notes] == ["choices[1]"]


SIGNED: tuple[Part, ...] = (
    Thinking("Hm.", signature=Signature("b3Bl", "openai"), id="rs_1"),
    Text("Look.", signature=GEMINI),
    ToolCall("c", "look_up", {"city": "Paris"}, signature=GEMINI),
    Thinking(signature=Signature("c2ln", "anthropic"), redacted=True),
)


def test_proofs_survive_the_clients_history() -> None:
    """An answer of another provider goes to a client, which sends it back: the same parts, the same proofs."""
    content = render(*SIGNED).value["content"]
    body = {"messages": [{"role": "assistant", "content": content}]}
    assert DIALECT.parse_request(body, PathMatch()).messages == (Message("assistant", SIGNED),)


def test_proofs_survive_a_streamed_answer_too() -> None:
    data = contract.render_events(DIALECT, STREAMS["a signed call"], contract.NOBODY)
    total = contract.folded(DIALECT, data)
    assert total.choices[0].parts == fold(STREAMS["a signed call"], "x").choices[0].parts
    whole = DIALECT.render_response(total, Context()).value
    contract.assert_stream_exact(DIALECT, data)
    assert whole["content"][1] == {"type": "redacted_thinking", "data": "gemini>::Z2Vt"}


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "word", "message", "kind"),
    [
        (400, "invalid_request_error", "messages: at least one message is required", "invalid_request"),
        (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", "context_window"),
        (400, "invalid_request_error", "Your credit balance is too low", "billing"),
        (401, "authentication_error", "invalid x-api-key", "authentication"),
        (402, "billing_error", "x", "billing"),
        (403, "permission_error", "x", "permission"),
        (404, "not_found_error", "model: claude-x", "not_found"),
        (409, "conflict_error", "x", "conflict"),
        (413, "request_too_large", "x", "too_large"),
        (429, "rate_limit_error", "x", "rate_limit"),
        (500, "api_error", "x", "server"),
        (504, "timeout_error", "x", "timeout"),
        (529, "overloaded_error", "Overloaded", "overloaded"),
        (418, "invented_error", "x", "invalid_request"),
    ],
)
def test_an_error_means_and_comes_back(status: int, word: str, message: str, kind: ErrorKind) -> None:
    body = {"type": "error", "error": {"type": word, "message": message}, "request_id": "req_1"}
    error = DIALECT.parse_error(status, {"retry-after": "7"}, json.dumps(body).encode())
    assert (error.kind, error.status, error.message, error.type) == (kind, status, message, word)
    assert (error.request_id, error.retry_after) == ("req_1", 7)
    assert DIALECT.render_error(error) == (status, body)


@pytest.mark.parametrize(
    "body",
    [
        {"type": "error", "error": {"type": "api_error", "message": "x"}},
        {"type": "error", "error": {"type": "api_error", "message": "x", "details": {"a": None}}, "request_id": None},
        {"error": {"type": "api_error", "message": "x"}, "more": [1]},
        {"message": "The provided model identifier is invalid."},
        {"error": {"code": 400, "message": "x", "status": "INVALID_ARGUMENT"}},
        {"error": "just words"},
        {"error": {"type": None, "message": 7}},
        {"type": "error", "error": {"type": "api_error", "message": ""}, "request_id": ""},
        {},
        [],
        [{"error": {"code": 429, "message": "x", "status": "RESOURCE_EXHAUSTED"}}],
    ],
)
def test_a_body_of_any_shape_comes_back(body: Any) -> None:
    contract.assert_error_exact(DIALECT, 400, body)
    error = DIALECT.parse_error(400, {"request-id": "req_header"}, json.dumps(body).encode())
    assert DIALECT.render_error(error)[1] == body
    assert error.request_id == "req_header"


def test_an_error_alone_in_a_list_is_read() -> None:
    """As Google's hosts answer a request for a stream."""
    body = b'[{"error": {"code": 429, "message": "Slow down", "status": "RESOURCE_EXHAUSTED"}}]'
    error = DIALECT.parse_error(429, {}, body)
    assert (error.kind, error.message, error.type) == ("rate_limit", "Slow down", "RESOURCE_EXHAUSTED")


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "message"),
    [
        (502, {}, b"<html>Bad gateway</html>", "bad_gateway", "<html>Bad gateway</html>"),
        (503, {}, b"", "unavailable", "HTTP status 503"),
        (429, {"x-amzn-errortype": "ThrottlingException:http://x"}, b'{"message":"slow"}', "rate_limit", "slow"),
        (429, {}, b'{"error":{"status":"RESOURCE_EXHAUSTED","message":"m"}}', "rate_limit", "m"),
        (500, {}, b"[1]", "server", "[1]"),
    ],
)
def test_errors_of_hosts_in_front(status: int, headers: Any, body: bytes, kind: str, message: str) -> None:
    error = DIALECT.parse_error(status, headers, body)
    assert (error.kind, error.message) == (kind, message)
    assert DIALECT.render_error(error)[0] == status


@pytest.mark.parametrize("kind", get_args(ErrorKind))
def test_errors_of_other_dialects_have_our_words(kind: ErrorKind) -> None:
    error = ErrorResponse(kind=kind, status=400, message="m", dialect="other", request_id="r", body={"odd": 1})
    status, body = DIALECT.render_error(error)
    words = "prompt is too long: m" if kind == "context_window" else "m"
    assert (status, body["type"], body["error"]["message"], body["request_id"]) == (400, "error", words, "r")
    assert body["error"]["type"].endswith(("_error", "_too_large"))


def test_an_error_inside_a_stream_has_the_status_of_its_word() -> None:
    data = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
    events = contract.parse_stream(DIALECT, data)
    failure: Any = events[0].deltas[0]
    assert (failure.error.status, failure.error.kind) == (529, "overloaded")
    contract.assert_stream_exact(DIALECT, data)
    foreign = contract.render_events(DIALECT, events, contract.NOBODY)
    assert contract.frames(DIALECT, foreign) == contract.frames(DIALECT, data)


def test_an_answer_read_twice_is_the_same() -> None:
    body = render(Text("a"), ToolCall("c", "n", {"a": 1})).value
    assert DIALECT.parse_response(body, NO_MEMO) == DIALECT.parse_response(json.loads(json.dumps(body)), NO_MEMO)
