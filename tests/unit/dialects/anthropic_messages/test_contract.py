"""The Messages dialect passes the contract of dialects: on recordings, if they are there, and on samples."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.dialects.anthropic_messages import DIALECT
from penstock.dialects.dialect import Context
from penstock.types.errors import DialectError
from penstock.types.notes import NO_MEMO
from penstock.types.profile import Profile
from tests.contract import dialects as contract
from tests.unit.dialects.anthropic_messages.samples import ANSWER, REQUEST, STREAM

ODD: tuple[Any, ...] = (None, True, 7, 0.5, "odd", [], {}, [None], [{}], {"type": "odd"}, {"type": 7}, "\ud83d")


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
    assert seen >= 169


def test_recorded_streams_split_and_fold(shared: Callable[..., Path]) -> None:
    """Any split gives the same events; and the fold, written as a whole answer, reads back as the same value."""
    cut, seen = random.Random(7), 0
    for exchange, _ in contract.recorded(shared("provider-exchanges"), DIALECT):
        body = exchange["response"]["body"]
        if not isinstance(body, str):
            continue
        contract.assert_splits_agree(DIALECT, body.encode(), [cut.randint(0, 200) for _ in range(40)])
        total = contract.folded(DIALECT, body.encode())
        whole = DIALECT.render_response(total, Context()).value
        assert DIALECT.parse_response(whole, NO_MEMO) == total
        seen += 1
    assert seen >= 11


def test_the_samples_come_back_exactly() -> None:
    contract.assert_request_exact(DIALECT, REQUEST)
    contract.assert_response_exact(DIALECT, ANSWER)
    contract.assert_stream_exact(DIALECT, STREAM)


def test_a_stream_split_at_every_byte_is_the_same() -> None:
    whole = contract.parse_stream(DIALECT, STREAM)
    for position in range(len(STREAM)):
        assert contract.parse_stream(DIALECT, STREAM, [position]) == whole
    assert contract.parse_stream(DIALECT, STREAM, [1] * len(STREAM)) == whole


@given(st.lists(st.integers(0, 300), max_size=30))
def test_a_stream_split_anywhere_is_the_same(sizes: list[int]) -> None:
    contract.assert_splits_agree(DIALECT, STREAM, sizes)


def test_a_stream_with_other_line_ends_is_the_same() -> None:
    assert contract.parse_stream(DIALECT, STREAM.replace(b"\n", b"\r\n")) == contract.parse_stream(DIALECT, STREAM)


PROFILES = (
    Profile(),
    Profile(reasoning="adaptive", system_turns=True, repair_turns=True, exclusive_sampling=True),
    Profile(reasoning="effort", structured_output="tool", image_urls=False, strict_tools=False),
    Profile(reasoning="none", structured_output="none", tools=False, replay_thinking=True),
    Profile(structured_output="prompt", max_output_tokens=2000, signature_origin="gemini"),
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
KEYS = st.sampled_from(
    [
        "type",
        "role",
        "content",
        "text",
        "messages",
        "system",
        "tools",
        "name",
        "id",
        "input",
        "index",
        "delta",
        "usage",
        "message",
        "content_block",
        "source",
        "thinking",
        "signature",
        "data",
        "citations",
        "tool_use_id",
        "error",
    ]
)
WORDS = st.sampled_from(
    [
        "text",
        "thinking",
        "redacted_thinking",
        "tool_use",
        "tool_result",
        "image",
        "document",
        "base64",
        "url",
        "content",
        "user",
        "assistant",
        "error",
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "text_delta",
        "input_json_delta",
        "signature_delta",
        "citations_delta",
        "compaction_delta",
    ]
)
SHAPED = st.recursive(
    st.none() | st.integers() | WORDS | st.just("gemini>::c2ln"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


@given(JSON | SHAPED)
def test_any_json_is_read_or_refused(value: Any) -> None:
    contract.assert_request_robust(DIALECT, value)
    contract.assert_response_robust(DIALECT, value)


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


def test_every_place_of_a_request_may_hold_anything() -> None:
    for value in contract.mutations(REQUEST, ODD):
        contract.assert_request_robust(DIALECT, value)


def test_every_place_of_an_answer_may_hold_anything() -> None:
    for value in contract.mutations(ANSWER, ODD):
        contract.assert_response_robust(DIALECT, value)


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


def test_what_is_read_of_changed_frames_comes_back_exactly() -> None:
    for _, frame in contract.frames(DIALECT, STREAM):
        for value in contract.mutations(frame, ODD):
            data = STREAM + b"data: " + json.dumps(value).encode() + b"\n\n"
            try:
                contract.parse_stream(DIALECT, data)
            except DialectError:
                continue
            contract.assert_stream_exact(DIALECT, data)
