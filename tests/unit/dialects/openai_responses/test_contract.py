"""The Responses dialect passes the contract of dialects, on recordings where they are there and on its own samples."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.dialects.dialect import Context
from penstock.dialects.openai_responses import DIALECT
from penstock.types.errors import DialectError
from penstock.types.notes import NO_MEMO
from penstock.types.profile import Profile
from tests.contract import dialects as contract
from tests.unit.dialects.openai_responses.samples import CHOICES, EVENTS, REQUEST, RESPONSE, STREAM, stream

ODD: tuple[Any, ...] = (None, True, 7, 0.5, "odd", "", [], {}, [None], [{}], {"type": "odd"}, {"type": 7}, "\ud83d")


def test_recordings_come_back_exactly(shared: Callable[..., Path]) -> None:
    seen = 0
    for exchange, match in contract.recorded(shared("provider-exchanges"), DIALECT):
        where, response = exchange["id"], exchange["response"]
        contract.assert_request_exact(DIALECT, exchange["request"]["body"], match, where)
        if response["status"] >= 400:
            contract.assert_error_exact(DIALECT, response["status"], response["body"], where)
        elif isinstance(response["body"], str):
            contract.assert_stream_exact(DIALECT, response["body"].encode(), where)
        else:
            contract.assert_response_exact(DIALECT, response["body"], where)
        seen += 1
    assert seen >= 183


def test_recorded_streams_split_and_fold(shared: Callable[..., Path]) -> None:
    """Any split gives the same events, and the fold of a stream is what its last event says."""
    cut, seen = random.Random(7), 0
    for exchange, _ in contract.recorded(shared("provider-exchanges"), DIALECT):
        body = exchange["response"]["body"]
        if not isinstance(body, str):
            continue
        data = body.encode()
        contract.assert_splits_agree(DIALECT, data, [cut.randint(0, 200) for _ in range(40)])
        last = [frame for _, frame in contract.frames(DIALECT, data) if isinstance(frame, dict)][-1]
        assert contract.folded(DIALECT, data) == DIALECT.parse_response(last["response"], NO_MEMO)
        seen += 1
    assert seen >= 16


def test_the_samples_come_back_exactly() -> None:
    contract.assert_request_exact(DIALECT, REQUEST)
    contract.assert_response_exact(DIALECT, RESPONSE)
    contract.assert_stream_exact(DIALECT, STREAM)
    contract.assert_stream_exact(DIALECT, stream(EVENTS, done=True))


def test_a_stream_split_at_every_byte_is_the_same() -> None:
    data = stream([event for event in EVENTS if "response" not in event])
    whole = contract.parse_stream(DIALECT, data)
    for position in range(len(data)):
        assert contract.parse_stream(DIALECT, data, [position]) == whole
    assert contract.parse_stream(DIALECT, data, [1] * len(data)) == whole


@given(st.lists(st.integers(0, 2000), max_size=30))
def test_a_stream_split_anywhere_is_the_same(sizes: list[int]) -> None:
    contract.assert_splits_agree(DIALECT, STREAM, sizes)


def test_a_stream_with_other_line_ends_is_the_same() -> None:
    assert contract.parse_stream(DIALECT, STREAM.replace(b"\n", b"\r\n")) == contract.parse_stream(DIALECT, STREAM)


PROFILES = (
    Profile(),
    Profile(signature_origin="openai", cache_breakpoints=True, reasoning_efforts=("low", "high")),
    Profile(structured_output="json_object", image_urls=False, strict_tools=False, content_lists=False),
    Profile(reasoning="none", structured_output="none", tools=False, replay_thinking=True, nulls=False),
    Profile(structured_output="prompt", system_role="developer", unsupported=frozenset({"temperature", "verbosity"})),
)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_field_and_part_is_said_or_noted(profile: Profile) -> None:
    contract.assert_fields_accounted(DIALECT, profile)
    contract.assert_parts_accounted(DIALECT, profile)


@given(st.lists(st.sampled_from([event for event in EVENTS if "response" not in event] + EVENTS[-1:]), max_size=30))
def test_frames_that_are_lost_doubled_or_out_of_order_come_back_exactly(events: list[dict[str, Any]]) -> None:
    contract.assert_stream_exact(DIALECT, stream(events))
    contract.assert_stream_robust(DIALECT, stream(events))


def test_what_others_keep_for_themselves_is_no_loss() -> None:
    contract.assert_bookkeeping_silent(DIALECT)


# -- bad input ---------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(
    [
        *("type", "role", "content", "text", "input", "output", "tools", "name", "id", "call_id", "arguments", "delta"),
        *("item", "part", "response", "output_index", "content_index", "summary_index", "summary", "status", "action"),
        *("encrypted_content", "annotations", "annotation", "logprobs", "usage", "error", "refusal", "image_url"),
        *("tool_choice", "format"),
    ]
)
WORDS = st.sampled_from(
    [
        *("message", "reasoning", "function_call", "function_call_output", "custom_tool_call", "web_search_call"),
        *("mcp_call", "shell_call", "shell_call_output", "computer_call", "image_generation_call", "output_text"),
        *("input_text", "refusal", "input_image", "input_file", "summary_text", "reasoning_text", "assistant", "user"),
        *("error", "completed", "allowed_tools", "json_schema", "response.created", "response.completed"),
        *("response.output_item.added", "response.output_item.done", "response.output_text.annotation.added"),
        *("response.content_part.added", "response.content_part.done", "response.output_text.delta"),
        *("response.reasoning_summary_text.delta", "response.function_call_arguments.delta"),
    ]
)
SHAPED = st.recursive(
    st.none() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


@given(JSON | SHAPED)
def test_any_json_is_read_or_refused(value: Any) -> None:
    contract.assert_request_robust(DIALECT, value)
    contract.assert_response_robust(DIALECT, value)
    contract.assert_response_robust(DIALECT, {"output": value})


@given(st.lists(SHAPED, max_size=6))
def test_any_frames_are_read_or_refused(values: list[Any]) -> None:
    contract.assert_stream_robust(
        DIALECT, b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values)
    )


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    contract.assert_stream_robust(DIALECT, data)
    contract.assert_error_robust(DIALECT, 500, data)


@given(JSON | SHAPED, st.sampled_from([200, 400, 404, 429, 500, 529]))
def test_any_json_is_an_error_body(value: Any, status: int) -> None:
    contract.assert_error_robust(DIALECT, status, json.dumps(value).encode())


SETTINGS = {key: value for key, value in REQUEST.items() if key not in ("input", "tools")}
REQUESTS: list[dict[str, Any]] = [
    SETTINGS,
    *[{"input": [item]} for item in REQUEST["input"]],
    *[{"input": "Hi", "tools": [tool]} for tool in REQUEST["tools"]],
    *[{"input": "Hi", "tool_choice": choice} for choice in CHOICES],
]
ANSWERS: list[dict[str, Any]] = [
    {key: value for key, value in RESPONSE.items() if key not in ("output", "tools")} | {"output": []},
    {"id": "resp_1", "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "output": []},
    *[{"id": "resp_1", "output": [item]} for item in RESPONSE["output"]],
]


@pytest.mark.parametrize("wire", REQUESTS, ids=lambda wire: str(sorted(wire)))
def test_what_is_read_of_a_changed_request_comes_back_exactly(wire: dict[str, Any]) -> None:
    """Unknown and odd values either are refused or come back: there is nothing between."""
    for value in contract.mutations(wire, ODD):
        contract.assert_request_robust(DIALECT, value)
        try:
            request = DIALECT.parse_request(value, contract.NO_MATCH)
        except DialectError:
            continue
        assert DIALECT.render_request(request, Profile()).value == value


@pytest.mark.parametrize("wire", ANSWERS, ids=lambda wire: str([item.get("type") for item in wire["output"]]))
def test_what_is_read_of_a_changed_answer_comes_back_exactly(wire: dict[str, Any]) -> None:
    for value in contract.mutations(wire, ODD):
        contract.assert_response_robust(DIALECT, value)
        try:
            response = DIALECT.parse_response(value, NO_MEMO)
        except DialectError:
            continue
        assert DIALECT.render_response(response, Context()).value == value


@pytest.mark.parametrize("number", range(len(EVENTS)), ids=lambda number: f"{number}:{EVENTS[number]['type']}")
def test_what_is_read_of_a_changed_frame_comes_back_exactly(number: int) -> None:
    """A frame with one place changed, after those before it that concern the same item."""
    event = EVENTS[number]
    before = [other for other in EVENTS[:number] if other.get("output_index") == event.get("output_index", 0)]
    small = {**event, "response": {"id": "resp_1", "output": []}} if "response" in event else event
    for value in contract.mutations(small, ODD):
        data = stream(before) + b"data: " + json.dumps(value).encode() + b"\n\n"
        try:
            contract.parse_stream(DIALECT, data)
        except DialectError:
            continue
        contract.assert_stream_exact(DIALECT, data)
        contract.assert_stream_robust(DIALECT, data)
