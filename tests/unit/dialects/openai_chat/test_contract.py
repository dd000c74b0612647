"""Chat Completions passes the contract of dialects, on recordings where they are there and on samples of its own."""

import json
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from penstock.dialects import registry
from penstock.dialects.dialect import Context
from penstock.dialects.openai_chat import DIALECT
from penstock.types.content import Base64, Media, Text, ToolCall, ToolResult
from penstock.types.errors import DialectError
from penstock.types.notes import NO_MEMO
from penstock.types.profile import DEFAULT_PROFILE, Profile
from penstock.types.request import Message
from tests.contract import dialects as contract
from tests.unit.dialects.openai_chat.samples import ANSWER, ANSWER_SPELLINGS, REQUEST, SPELLINGS, STREAM, chunk

ODD: tuple[Any, ...] = (None, True, 7, 0.5, "odd", [], {}, [None], [{}], {"type": "odd"}, {"text": 7}, "\ud83d")
ERRORS: tuple[tuple[int, dict[str, Any]], ...] = (
    (
        429,
        {
            "error": {
                "message": "slow",
                "type": "rate_limit_error",
                "param": None,
                "code": "rate_limit_exceeded",
                "new": 1,
            }
        },
    ),
    (400, {"error": {"message": "long", "code": "context_length_exceeded"}, "request_id": "r"}),
    (400, {"object": "error", "message": "bad", "type": "invalid", "param": "model", "code": 1500}),
    (422, {"detail": [{"loc": ["body"], "msg": "bad"}]}),
    (401, {"error": "no key"}),
    (500, {}),
)


def test_recordings_come_back_exactly(shared: Callable[..., Path]) -> None:
    seen = streams = 0
    cut = random.Random(7)
    for exchange, match in contract.recorded(shared("provider-exchanges"), DIALECT):
        where, response = exchange["id"], exchange["response"]
        contract.assert_request_exact(DIALECT, exchange["request"]["body"], match, where)
        if response["status"] >= 400:
            contract.assert_error_exact(DIALECT, response["status"], response["body"], where)
        elif isinstance(response["body"], str):
            data = response["body"].encode()
            contract.assert_stream_exact(DIALECT, data, where)
            contract.assert_splits_agree(DIALECT, data, [cut.randint(0, 200) for _ in range(40)])
            streams += 1
        else:
            contract.assert_response_exact(DIALECT, response["body"], where)
        seen += 1
    assert seen >= 221 and streams >= 28


@pytest.mark.parametrize("wire", [REQUEST, *SPELLINGS], ids=str)
def test_requests_come_back_exactly(wire: dict[str, Any]) -> None:
    contract.assert_request_exact(DIALECT, wire)


@pytest.mark.parametrize("wire", [ANSWER, *ANSWER_SPELLINGS], ids=str)
def test_answers_come_back_exactly(wire: dict[str, Any]) -> None:
    contract.assert_response_exact(DIALECT, wire)


@pytest.mark.parametrize(("status", "wire"), ERRORS, ids=str)
def test_errors_come_back_exactly(status: int, wire: dict[str, Any]) -> None:
    contract.assert_error_exact(DIALECT, status, wire)


def test_a_stream_comes_back_exactly() -> None:
    contract.assert_stream_exact(DIALECT, STREAM)


def test_a_stream_split_at_every_byte_is_the_same() -> None:
    whole = contract.parse_stream(DIALECT, STREAM)
    for position in range(len(STREAM)):
        assert contract.parse_stream(DIALECT, STREAM, [position]) == whole
    assert contract.parse_stream(DIALECT, STREAM, [1] * len(STREAM)) == whole


@given(st.lists(st.integers(0, 300), max_size=30))
def test_a_stream_split_anywhere_is_the_same(sizes: list[int]) -> None:
    contract.assert_splits_agree(DIALECT, STREAM, sizes)


@given(st.lists(st.integers(0, 300), max_size=30))
def test_carriage_returns_split_anywhere_are_the_same(sizes: list[int]) -> None:
    data = STREAM.replace(b"\n", b"\r\n")
    assert contract.parse_stream(DIALECT, data, sizes) == contract.parse_stream(DIALECT, STREAM)


def test_the_fold_reads_as_the_whole_answer_would() -> None:
    total = contract.folded(DIALECT, STREAM)
    whole = DIALECT.render_response(total, Context()).value
    assert DIALECT.parse_response(whole, NO_MEMO).choices[0].parts == total.choices[0].parts


PROFILES = (
    Profile(),
    Profile(message_extensions=False, content_lists=True, message_names=False, nulls=False, strict_tools=False),
    Profile(reasoning="object", structured_output="json_object", max_tokens_field="max_completion_tokens"),
    Profile(reasoning="thinking_type", replay_thinking=True, signature_origin="gemini", structured_output="prompt"),
    Profile(reasoning="none", tools=False, unsupported=frozenset({"seed", "logit_bias", "n"})),
    Profile(reasoning="enable_thinking", thinking_field="reasoning", system_role="system", image_urls=False),
)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_field_and_part_is_said_or_noted(profile: Profile) -> None:
    contract.assert_fields_accounted(DIALECT, profile)
    contract.assert_parts_accounted(DIALECT, profile)


def test_bookkeeping_of_others_is_silent() -> None:
    contract.assert_bookkeeping_silent(DIALECT)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_read_or_refused(value: Any) -> None:
    contract.assert_request_robust(DIALECT, value)
    contract.assert_response_robust(DIALECT, value)


def test_any_change_of_a_good_value_is_refused_or_comes_back_exactly() -> None:
    """Unknown and odd values are refused, or they come back: there is nothing between."""
    for value in contract.mutations(REQUEST, ODD):
        contract.assert_request_robust(DIALECT, value)
        with suppress(DialectError):
            request = DIALECT.parse_request(value, contract.NO_MATCH)
            assert DIALECT.render_request(request, Profile()).value == value
    for value in contract.mutations(ANSWER, ODD):
        contract.assert_response_robust(DIALECT, value)
        with suppress(DialectError):
            response = DIALECT.parse_response(value, NO_MEMO)
            assert DIALECT.render_response(response, Context()).value == value


@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from([b"data: ", b"{}", b"\n\n", b"[DONE]", b'{"choices":', b"[", b"]}", b"\r"])).map(
        b"".join
    )
)
def test_any_bytes_are_a_stream_or_refused(data: bytes) -> None:
    contract.assert_stream_robust(DIALECT, data)


@given(st.sampled_from(range(1000)), st.integers(0, len(STREAM)), st.binary(max_size=8))
def test_a_damaged_stream_is_read_or_refused(seed: int, at: int, junk: bytes) -> None:
    contract.assert_stream_robust(DIALECT, STREAM[:at] + junk + STREAM[at + seed % 7 :])


DELTAS: tuple[dict[str, Any], ...] = (
    {
        "role": "assistant",
        "content": "a",
        "tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}],
    },
    {"content": [{"type": "text", "text": "a"}, {"type": "thinking", "thinking": [{"type": "text", "text": "b"}]}]},
    {"content": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "a", "signature": "s"}]}]},
    {"reasoning_details": [{"type": "reasoning.text", "text": "a", "signature": "s", "format": "x", "index": 0}]},
    {"thinking_blocks": [{"type": "thinking", "thinking": "a", "signature": "s"}], "reasoning": "a"},
    {"audio": {"id": "a", "data": "AAAA", "transcript": "b"}, "refusal": "no"},
    {"function_call": {"name": "f", "arguments": "{"}, "images": [{"image_url": {"url": "u"}}]},
    {"annotations": [{"type": "url_citation", "url_citation": {"url": "u", "start_index": 0}}]},
)


@pytest.mark.parametrize("delta", DELTAS, ids=lambda delta: "+".join(delta))
def test_any_change_of_a_good_chunk_is_refused_or_comes_back_exactly(delta: dict[str, Any]) -> None:
    for value in contract.mutations(chunk(delta, "stop", usage={"prompt_tokens": 1}), ODD):
        data = b"data: " + json.dumps(value).encode() + b"\n\ndata: [DONE]\n\n"
        contract.assert_stream_robust(DIALECT, data)
        with suppress(DialectError):
            contract.assert_stream_exact(DIALECT, data)


@given(st.integers(100, 599), st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_an_error(status: int, body: bytes) -> None:
    contract.assert_error_robust(DIALECT, status, body)


def test_a_choice_of_some_tools_costs_no_note_and_shows_its_change() -> None:
    inner = {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]}
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}]}
    body["tool_choice"] = {"type": "allowed_tools", "allowed_tools": inner}
    body["tools"] = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in "fg"]
    request = DIALECT.parse_request(body, contract.NO_MATCH)
    rendered = registry.get("gemini").render_request(request, DEFAULT_PROFILE)
    assert [note.path for note in rendered.notes if note.path.startswith("tool_choice")] == []
    assert request.tool_choice is not None
    other = replace(request, tool_choice=replace(request.tool_choice, names=("g",)))
    listed = DIALECT.render_request(other, DEFAULT_PROFILE).value["tool_choice"]["allowed_tools"]["tools"]
    assert [tool["function"]["name"] for tool in listed] == ["g"]


def test_media_of_a_result_in_the_assistants_turn_follow_as_the_users() -> None:
    """The assistant's message carries none, wherever another dialect has the result."""
    result = ToolResult("call_1", (Text("see"), Media("file", Base64("JVBERi0="), "application/pdf", "a.pdf")))
    call = ToolCall("call_1", "look_up", {})
    messages = (Message("user", (Text("Hi"),)), Message("assistant", (call, result, Text("So."))))
    sent = DIALECT.render_request(contract.foreign_request(messages=messages, tools=contract.TOOLS), DEFAULT_PROFILE)
    assert sorted(message["role"] for message in sent.value["messages"]) == ["assistant", "tool", "user", "user"]
    assert "file" in str(next(each for each in reversed(sent.value["messages"]) if each["role"] == "user"))
