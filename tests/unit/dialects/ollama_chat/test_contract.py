"""Ollama's chat passes the contract of dialects, on samples: nobody recorded any."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.dialects.dialect import Context
from penstock.dialects.ollama_chat import DIALECT
from penstock.types.errors import DialectError
from penstock.types.notes import NO_MEMO
from penstock.types.profile import Profile
from tests.contract import dialects as contract
from tests.unit.dialects.ollama_chat.samples import (
    ANSWER,
    ANSWERS,
    EVENTS,
    ODD_STREAMS,
    REQUEST,
    SPELLINGS,
    STREAM,
    lines,
)

ODD: tuple[Any, ...] = (None, True, 7, 0.5, "odd", [], {}, [None], [{}], {"type": "odd"}, {"type": 7}, {"text": 7})


@pytest.mark.parametrize("wire", [REQUEST, *SPELLINGS], ids=str)
def test_requests_come_back_exactly(wire: dict[str, Any]) -> None:
    contract.assert_request_exact(DIALECT, wire)


@pytest.mark.parametrize("wire", [ANSWER, *ANSWERS], ids=str)
def test_answers_come_back_exactly(wire: dict[str, Any]) -> None:
    contract.assert_response_exact(DIALECT, wire)


@pytest.mark.parametrize("data", [STREAM, *ODD_STREAMS], ids=str)
def test_streams_come_back_exactly(data: bytes) -> None:
    contract.assert_stream_exact(DIALECT, data)


def test_a_stream_adds_up_to_the_whole_answer() -> None:
    assert contract.folded(DIALECT, STREAM) == DIALECT.parse_response(ANSWER, NO_MEMO)


def test_a_stream_split_at_every_byte_is_the_same() -> None:
    whole = contract.parse_stream(DIALECT, STREAM)
    for position in range(len(STREAM)):
        assert contract.parse_stream(DIALECT, STREAM, [position]) == whole
    assert contract.parse_stream(DIALECT, STREAM, [1] * len(STREAM)) == whole


@given(st.sampled_from([STREAM, *ODD_STREAMS]), st.lists(st.integers(0, 300), max_size=30))
def test_a_stream_split_anywhere_is_the_same(data: bytes, sizes: list[int]) -> None:
    contract.assert_splits_agree(DIALECT, data, sizes)


def test_a_stream_with_other_line_ends_is_the_same() -> None:
    windows = STREAM.replace(b"\n", b"\r\n")
    assert contract.parse_stream(DIALECT, windows) == contract.parse_stream(DIALECT, STREAM)


PROFILES = (
    Profile(),
    Profile(system_turns=True, repair_turns=True, exclusive_sampling=True, image_urls=False),
    Profile(reasoning="level", structured_output="tool", strict_tools=False),
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
    model messages role content thinking images tools tool_calls function name arguments index id tool_name tool_call_id
    parameters format options num_predict stop temperature think stream logprobs token logprob bytes top_logprobs
    message done done_reason created_at eval_count prompt_eval_count error
"""
KEYS = st.sampled_from(KEYS_TEXT.split())
WORDS = st.sampled_from(["user", "assistant", "tool", "json", "high", "stop", "2025-10-17T23:14:07Z", "/9j/"])
SHAPED = st.recursive(
    st.none() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


@given(JSON | SHAPED)
def test_any_json_is_read_or_refused(value: Any) -> None:
    contract.assert_request_robust(DIALECT, value)
    contract.assert_response_robust(DIALECT, value)


@given(st.lists(SHAPED, max_size=6))
def test_any_lines_are_read_or_refused(values: list[Any]) -> None:
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


def test_what_is_read_of_a_changed_answer_comes_back_exactly() -> None:
    for value in contract.mutations(ANSWER, ODD):
        try:
            response = DIALECT.parse_response(value, NO_MEMO)
        except DialectError:
            continue
        assert DIALECT.render_response(response, Context()).value == value


def test_what_is_read_of_changed_lines_comes_back_exactly() -> None:
    for number, event in enumerate(EVENTS):
        for value in contract.mutations(event, ODD):
            data = lines(*EVENTS[:number], value, *EVENTS[number + 1 :])
            try:
                contract.parse_stream(DIALECT, data)
            except DialectError:
                continue
            contract.assert_stream_exact(DIALECT, data)
