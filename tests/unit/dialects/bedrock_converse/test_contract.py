"""Converse passes the contract of dialects, on recordings where they are there and on samples of its own."""

import base64
import json
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.dialects.aws_event_stream import AwsEventStream
from penstock.dialects.bedrock_converse import DIALECT
from penstock.dialects.dialect import Context
from penstock.types.errors import DialectError
from penstock.types.notes import NO_MEMO
from penstock.types.profile import Profile
from tests.contract import dialects as contract
from tests.unit.dialects.bedrock_converse.samples import (
    ANSWER,
    ANSWER_SPELLINGS,
    BROKEN_STREAMS,
    EVENTS,
    REQUEST,
    SPELLINGS,
    STREAM,
    UNMODELLED_ERROR,
    event,
)

ODD: tuple[Any, ...] = (None, True, 7, 0.5, "odd", [], {}, [None], [{}], {"type": "odd"}, {"text": 7}, "\ud83d")


def test_recordings_come_back_exactly(shared: Callable[..., Path]) -> None:
    seen = streams = 0
    for exchange, match in contract.recorded(shared("provider-exchanges"), DIALECT):
        where, request, response = exchange["id"], exchange["request"]["body"], exchange["response"]
        assert DIALECT.path(match.model or "", bool(match.stream)) == exchange["request"]["path"]
        if isinstance(request, dict):  # one was cut off when it was recorded, and is no JSON
            contract.assert_request_exact(DIALECT, request, match, where)
        if response["status"] >= 400:
            contract.assert_error_exact(DIALECT, response["status"], response["body"], where)
        elif match.stream:
            data = base64.b64decode(response["body"]["base64"])
            events = contract.parse_stream(DIALECT, data)
            assert contract.render_events(DIALECT, events, DIALECT.name) == data, "to the byte"
            streams += 1
        else:
            contract.assert_response_exact(DIALECT, response["body"], where)
        seen += 1
    assert seen >= 102 and streams >= 3


def test_recorded_streams_split_and_fold(shared: Callable[..., Path]) -> None:
    """Any split gives the same events; and the fold, written as a whole answer, reads back as the same value."""
    cut, seen = random.Random(7), 0
    for exchange, match in contract.recorded(shared("provider-exchanges"), DIALECT):
        if not match.stream:
            continue
        data = base64.b64decode(exchange["response"]["body"]["base64"])
        contract.assert_splits_agree(DIALECT, data, [cut.randint(0, 200) for _ in range(40)])
        total = contract.folded(DIALECT, data)
        whole = DIALECT.render_response(total, Context()).value
        assert DIALECT.parse_response(whole, NO_MEMO) == total
        seen += 1
    assert seen >= 3


@pytest.mark.parametrize("wire", [REQUEST, *SPELLINGS], ids=str)
def test_requests_come_back_exactly(wire: dict[str, Any]) -> None:
    contract.assert_request_exact(DIALECT, wire)


@pytest.mark.parametrize("wire", [ANSWER, *ANSWER_SPELLINGS], ids=str)
def test_answers_come_back_exactly(wire: dict[str, Any]) -> None:
    contract.assert_response_exact(DIALECT, wire)


def test_a_stream_comes_back_exactly() -> None:
    contract.assert_stream_exact(DIALECT, STREAM)


@pytest.mark.parametrize("data", [UNMODELLED_ERROR, *BROKEN_STREAMS.values()])
def test_broken_streams_come_back_to_the_byte(data: bytes) -> None:
    assert contract.render_events(DIALECT, contract.parse_stream(DIALECT, data), DIALECT.name) == data


def test_a_stream_split_at_every_byte_is_the_same() -> None:
    whole = contract.parse_stream(DIALECT, STREAM)
    for position in range(len(STREAM)):
        assert contract.parse_stream(DIALECT, STREAM, [position]) == whole
    assert contract.parse_stream(DIALECT, STREAM, [1] * len(STREAM)) == whole


@given(st.lists(st.integers(0, 300), max_size=30))
def test_a_stream_split_anywhere_is_the_same(sizes: list[int]) -> None:
    contract.assert_splits_agree(DIALECT, STREAM, sizes)


PROFILES = (
    Profile(),
    Profile(reasoning="adaptive", system_turns=True, repair_turns=True, exclusive_sampling=True),
    Profile(reasoning="level", structured_output="tool", strict_tools=False, renames={"top_k": "inferenceConfig.topK"}),
    Profile(reasoning="none", structured_output="none", tools=False, replay_thinking=True, signature_origin="none"),
    Profile(reasoning="effort", structured_output="prompt", max_output_tokens=2000, signature_origin="gemini"),
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
    messages role content text system toolConfig tools toolSpec name inputSchema json toolUse toolUseId input toolResult
    status image document format source bytes type s3Location uri reasoningContent reasoningText signature ttl start
    redactedContent cachePoint citationsContent citations location web url output message stopReason usage citation
    inputTokens contentBlockIndex delta additionalModelRequestFields thinking toolChoice
"""
KEYS = st.sampled_from(KEYS_TEXT.split())
WORDS = st.sampled_from(["user", "assistant", "png", "default", "enabled", "tool_use", "c2ln", "Z2VtaW5pPjo6eA=="])
SHAPED = st.recursive(
    st.none() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)
NAMES = st.sampled_from(sorted({"throttlingException", *(name for name, _ in EVENTS)}))


@given(JSON | SHAPED)
def test_any_json_is_read_or_refused(value: Any) -> None:
    contract.assert_request_robust(DIALECT, value)
    contract.assert_response_robust(DIALECT, value)


@given(st.lists(st.tuples(NAMES, SHAPED), max_size=6))
def test_any_messages_are_read_or_refused(values: list[tuple[str, Any]]) -> None:
    contract.assert_stream_robust(DIALECT, b"".join(event(name, payload) for name, payload in values))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    contract.assert_stream_robust(DIALECT, data)
    contract.assert_error_robust(DIALECT, 500, data)


@given(st.integers(0, len(STREAM) - 1), st.integers(1, 255))
def test_a_damaged_stream_is_noticed(position: int, flip: int) -> None:
    """A byte that changed is either noticed at once or keeps the rest from ever being whole."""
    data = STREAM[:position] + bytes([STREAM[position] ^ flip]) + STREAM[position + 1 :]
    parser = DIALECT.stream_parser(NO_MEMO)
    events = []
    with suppress(DialectError):
        events += parser.feed(data)
        events += parser.feed(b"") + parser.close()
    whole = contract.parse_stream(DIALECT, STREAM)
    assert len(events) < len(whole)
    assert events == whole[: len(events)]


@given(JSON | SHAPED, st.sampled_from([200, 400, 404, 424, 429, 500, 503]))
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


def test_what_is_read_of_changed_messages_comes_back_exactly() -> None:
    for name, payload in EVENTS:
        for value in contract.mutations(payload, ODD[:-1]):
            data = STREAM + event(name, value)
            try:
                contract.parse_stream(DIALECT, data)
            except DialectError:
                continue
            contract.assert_stream_exact(DIALECT, data)


def test_the_contract_reads_event_streams() -> None:
    """The helper that compares frames must see messages here, or the tests above prove nothing."""
    assert contract.frames(DIALECT, STREAM) == EVENTS
    assert len(AwsEventStream().feed(STREAM)) == len(EVENTS)
