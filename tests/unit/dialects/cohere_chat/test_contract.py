"""Cohere's v2 chat passes the contract of dialects, on recordings where they are there and on samples of its own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.dialects.cohere_chat import DIALECT
from penstock.dialects.dialect import Context
from penstock.types.errors import DialectError
from penstock.types.notes import NO_MEMO
from penstock.types.profile import Profile
from tests.contract import dialects as contract
from tests.unit.dialects.cohere_chat.samples import (
    ANSWER,
    ANSWERS,
    CALL_ANSWER,
    CALL_EVENTS,
    CALL_STREAM,
    ODD_STREAMS,
    REQUEST,
    SPELLINGS,
    TEXT_ANSWER,
    TEXT_EVENTS,
    TEXT_STREAM,
    lines,
)

ODD: tuple[Any, ...] = (None, True, 7, 0.5, "odd", [], {}, [None], [{}], {"type": "odd"}, {"type": 7}, {"text": 7})


def test_recordings_come_back_exactly(shared: Callable[..., Path]) -> None:
    seen = 0
    for exchange, match in contract.recorded(shared("provider-exchanges"), DIALECT):
        where, response = exchange["id"], exchange["response"]
        assert DIALECT.path("", False) == exchange["request"]["path"]
        contract.assert_request_exact(DIALECT, exchange["request"]["body"], match, where)
        if response["status"] >= 400:
            contract.assert_error_exact(DIALECT, response["status"], response["body"], where)
        elif isinstance(response["body"], str):
            contract.assert_stream_exact(DIALECT, response["body"].encode(), where)
        else:
            contract.assert_response_exact(DIALECT, response["body"], where)
        seen += 1
    assert seen >= 5


@pytest.mark.parametrize("wire", [REQUEST, *SPELLINGS], ids=str)
def test_requests_come_back_exactly(wire: dict[str, Any]) -> None:
    contract.assert_request_exact(DIALECT, wire)


@pytest.mark.parametrize("wire", [ANSWER, TEXT_ANSWER, CALL_ANSWER, *ANSWERS], ids=str)
def test_answers_come_back_exactly(wire: dict[str, Any]) -> None:
    contract.assert_response_exact(DIALECT, wire)


@pytest.mark.parametrize("data", [TEXT_STREAM, CALL_STREAM, *ODD_STREAMS], ids=str)
def test_streams_come_back_exactly(data: bytes) -> None:
    contract.assert_stream_exact(DIALECT, data)


@pytest.mark.parametrize(("data", "answer"), [(TEXT_STREAM, TEXT_ANSWER), (CALL_STREAM, CALL_ANSWER)])
def test_a_stream_adds_up_to_the_whole_answer(data: bytes, answer: dict[str, Any]) -> None:
    assert contract.folded(DIALECT, data) == DIALECT.parse_response(answer, NO_MEMO)


@pytest.mark.parametrize("data", [TEXT_STREAM, CALL_STREAM])
def test_a_stream_split_at_every_byte_is_the_same(data: bytes) -> None:
    whole = contract.parse_stream(DIALECT, data)
    for position in range(len(data)):
        assert contract.parse_stream(DIALECT, data, [position]) == whole
    assert contract.parse_stream(DIALECT, data, [1] * len(data)) == whole


@given(st.sampled_from([TEXT_STREAM, CALL_STREAM, *ODD_STREAMS]), st.lists(st.integers(0, 300), max_size=30))
def test_a_stream_split_anywhere_is_the_same(data: bytes, sizes: list[int]) -> None:
    contract.assert_splits_agree(DIALECT, data, sizes)


def test_a_stream_with_other_line_ends_is_the_same() -> None:
    windows = TEXT_STREAM.replace(b"\n", b"\r\n")
    assert contract.parse_stream(DIALECT, windows) == contract.parse_stream(DIALECT, TEXT_STREAM)


PROFILES = (
    Profile(),
    Profile(system_turns=True, repair_turns=True, exclusive_sampling=True, image_urls=False),
    Profile(reasoning="switch", structured_output="tool", strict_tools=False),
    Profile(reasoning="none", structured_output="none", tools=False),
    Profile(structured_output="prompt", max_output_tokens=2000),
    Profile(structured_output="json_object", schema_unsupported=frozenset({"additionalProperties"})),
)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_field_and_part_is_said_or_noted(profile: Profile) -> None:
    contract.assert_fields_accounted(DIALECT, profile)
    contract.assert_parts_accounted(DIALECT, profile)


# -- bad input ---------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
KEYS_TEXT = """
    messages role content type text thinking image_url url detail document documents data id title snippet tools
    function name parameters strict_tools tool_calls arguments tool_plan tool_call_id citations start end sources
    content_index message finish_reason usage billed_units tokens input_tokens cached_tokens logprobs token_ids index
    delta response_format json_schema tool_choice token_budget stop_sequences error
"""
KEYS = st.sampled_from(KEYS_TEXT.split())
WORDS = st.sampled_from(
    ["user", "assistant", "tool", "text", "thinking", "document", "function", "PLAN", "TEXT_CONTENT", "image_url"]
)
SHAPED = st.recursive(
    st.none() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)
NAMES = st.sampled_from(sorted({"debug", *(name for name, _ in (*TEXT_EVENTS, *CALL_EVENTS))}))


@given(JSON | SHAPED)
def test_any_json_is_read_or_refused(value: Any) -> None:
    contract.assert_request_robust(DIALECT, value)
    contract.assert_response_robust(DIALECT, value)


@given(st.lists(st.tuples(NAMES, SHAPED), max_size=6))
def test_any_frames_are_read_or_refused(values: list[tuple[str, Any]]) -> None:
    contract.assert_stream_robust(DIALECT, lines(*values))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    contract.assert_stream_robust(DIALECT, data)
    contract.assert_error_robust(DIALECT, 500, data)


@given(JSON | SHAPED, st.sampled_from([200, 400, 401, 404, 422, 429, 498, 499, 500, 503]))
def test_any_json_is_an_error_body(value: Any, status: int) -> None:
    contract.assert_error_robust(DIALECT, status, json.dumps(value).encode())


def test_what_is_read_of_a_changed_request_comes_back_exactly() -> None:
    """Unknown and odd values either are refused or come back: there is nothing between."""
    for value in contract.mutations(REQUEST, ODD):
        try:
            request = DIALECT.parse_request(value, contract.NO_MATCH)
        except DialectError:
            continue
        assert DIALECT.render_request(request, Profile()).value == value


@pytest.mark.parametrize("answer", [ANSWER, CALL_ANSWER])
def test_what_is_read_of_a_changed_answer_comes_back_exactly(answer: dict[str, Any]) -> None:
    for value in contract.mutations(answer, ODD):
        try:
            response = DIALECT.parse_response(value, NO_MEMO)
        except DialectError:
            continue
        assert DIALECT.render_response(response, Context()).value == value


@pytest.mark.parametrize("events", [TEXT_EVENTS, CALL_EVENTS])
def test_what_is_read_of_changed_frames_comes_back_exactly(events: tuple[tuple[str, Any], ...]) -> None:
    for number, (name, payload) in enumerate(events):
        for value in contract.mutations(payload, ODD):
            data = lines(*events[:number], (name, value), *events[number + 1 :])
            try:
                contract.parse_stream(DIALECT, data)
            except DialectError:
                continue
            contract.assert_stream_exact(DIALECT, data)
