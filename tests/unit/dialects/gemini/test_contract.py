"""Gemini passes the contract of dialects, on recordings where they are there and on samples of its own."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.dialects.dialect import Context
from penstock.dialects.gemini import DIALECT
from penstock.types.errors import DialectError
from penstock.types.notes import NO_MEMO
from penstock.types.profile import Profile
from tests.contract import dialects as contract
from tests.unit.dialects.gemini.samples import (
    ANSWER,
    ANSWER_SPELLINGS,
    BLOCKED_STREAM,
    CHUNKS,
    ERROR,
    ODD_CHUNKS,
    ODD_STREAM,
    PARTIAL_CALL,
    REQUEST,
    SPELLINGS,
    STREAM,
    frame,
)

ODD: tuple[Any, ...] = (None, True, 7, 0.5, "odd", [], {}, [None], [{}], {"type": "odd"}, {"text": 7}, "\ud83d")
STREAMS = (STREAM, ODD_STREAM, BLOCKED_STREAM, b"".join(frame(chunk) for chunk in PARTIAL_CALL))


def test_recordings_come_back_exactly(shared: Callable[..., Path]) -> None:
    seen = streams = 0
    for exchange, match in contract.recorded(shared("provider-exchanges"), DIALECT):
        where, response = exchange["id"], exchange["response"]
        own = DIALECT.path(match.model or "", bool(match.stream)).partition("?")[0]
        assert exchange["request"]["path"].endswith(own.removeprefix("/v1beta")), where
        contract.assert_request_exact(DIALECT, exchange["request"]["body"], match, where)
        if response["status"] >= 400:
            contract.assert_error_exact(DIALECT, response["status"], response["body"], where)
        elif match.stream:
            contract.assert_stream_exact(DIALECT, response["body"].encode(), where)
            streams += 1
        else:
            contract.assert_response_exact(DIALECT, response["body"], where)
        seen += 1
    assert seen >= 244 and streams >= 8


def test_recorded_streams_split_and_fold(shared: Callable[..., Path]) -> None:
    """Any split gives the same events; and the fold, written as a whole answer, reads back as the same value."""
    cut, seen = random.Random(7), 0
    for exchange, match in contract.recorded(shared("provider-exchanges"), DIALECT):
        if not match.stream:
            continue
        data = exchange["response"]["body"].encode()
        contract.assert_splits_agree(DIALECT, data, [cut.randint(0, 200) for _ in range(40)])
        total = contract.folded(DIALECT, data)
        whole = DIALECT.render_response(total, Context()).value
        assert DIALECT.parse_response(whole, NO_MEMO) == total
        seen += 1
    assert seen >= 8


@pytest.mark.parametrize("wire", [REQUEST, *SPELLINGS], ids=str)
def test_requests_come_back_exactly(wire: dict[str, Any]) -> None:
    contract.assert_request_exact(DIALECT, wire)


@pytest.mark.parametrize("wire", [ANSWER, *ANSWER_SPELLINGS], ids=str)
def test_answers_come_back_exactly(wire: dict[str, Any]) -> None:
    contract.assert_response_exact(DIALECT, wire)


@pytest.mark.parametrize("data", STREAMS)
def test_streams_come_back_exactly(data: bytes) -> None:
    contract.assert_stream_exact(DIALECT, data)


@pytest.mark.parametrize("data", STREAMS)
def test_a_stream_split_at_every_byte_is_the_same(data: bytes) -> None:
    whole = contract.parse_stream(DIALECT, data)
    for position in range(len(data)):
        assert contract.parse_stream(DIALECT, data, [position]) == whole
    assert contract.parse_stream(DIALECT, data, [1] * len(data)) == whole


@given(st.lists(st.integers(0, 300), max_size=30))
def test_a_stream_split_anywhere_is_the_same(sizes: list[int]) -> None:
    contract.assert_splits_agree(DIALECT, STREAM, sizes)


PROFILES = (
    Profile(),
    Profile(reasoning="level", tool_result_media=True, media_detail=True, labels=True, placeholder_signatures=True),
    Profile(reasoning="budget", structured_output="tool", strict_tools=False, renames={"top_k": "topKay"}),
    Profile(reasoning="none", structured_output="none", tools=False, image_urls=False, signature_origin="none"),
    Profile(structured_output="prompt", schema_subset=True, repair_turns=True, mixed_tools="refused"),
    Profile(structured_output="json_object", schema_unsupported=frozenset({"additionalProperties"})),
    Profile(unsupported=frozenset({"seed", "store", "service_tier", "audio"})),
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
    contents role parts text thought thoughtSignature inlineData mimeType data fileData fileUri functionCall name
    args id willContinue partialArgs jsonPath stringValue functionResponse response executableCode code
    codeExecutionResult toolCall toolType toolResponse mediaResolution level systemInstruction tools
    functionDeclarations parameters type properties items nullable parametersJsonSchema googleSearch mcpServers
    toolConfig functionCallingConfig mode allowedFunctionNames generationConfig responseMimeType responseSchema
    responseModalities thinkingConfig thinkingLevel thinkingBudget speechConfig voiceConfig prebuiltVoiceConfig
    voiceName labels serviceTier candidates stopSequences content finishReason index groundingMetadata
    groundingChunks groundingSupports segment web uri startIndex endIndex citationMetadata citations
    urlContextMetadata logprobsResult chosenCandidates token topCandidates promptFeedback blockReason
    blockReasonMessage usageMetadata promptTokenCount candidatesTokenCount thoughtsTokenCount promptTokensDetails
    modality tokenCount trafficType modelVersion responseId createTime error message status details
    system_instruction inline_data function_call generation_config tool_config
"""
KEYS = st.sampled_from(KEYS_TEXT.split())
WORDS = st.sampled_from(
    ["user", "model", "AUTO", "ANY", "OBJECT", "STRING", "STOP", "TEXT", "application/json", "$.a[0]", "c2ln", "HIGH"]
)
SHAPED = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 300) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=24,
)


@given(JSON | SHAPED)
def test_any_json_is_read_or_refused(value: Any) -> None:
    contract.assert_request_robust(DIALECT, value)
    contract.assert_request_robust(DIALECT, {"contents": value})
    contract.assert_response_robust(DIALECT, value)
    contract.assert_response_robust(DIALECT, {"candidates": [{"content": {"parts": [value]}, "logprobsResult": value}]})


@given(st.lists(JSON | SHAPED, max_size=5))
def test_any_frames_are_read_or_refused(values: list[Any]) -> None:
    contract.assert_stream_robust(DIALECT, b"".join(frame(value) for value in values))
    chunks = [{"candidates": [{"content": {"parts": [value]}, "groundingMetadata": value}]} for value in values]
    contract.assert_stream_robust(DIALECT, b"".join(frame(chunk) for chunk in chunks))


@given(st.binary(max_size=200), st.sampled_from([b"", b"[", b"{", b"data: {", STREAM[:400], b"[" + STREAM[6:300]]))
def test_any_bytes_are_read_or_refused(data: bytes, head: bytes) -> None:
    contract.assert_stream_robust(DIALECT, head + data)
    contract.assert_error_robust(DIALECT, 500, head + data)


@given(JSON | SHAPED, st.sampled_from([200, 400, 404, 424, 429, 500, 503]))
def test_any_json_is_an_error_body(value: Any, status: int) -> None:
    contract.assert_error_robust(DIALECT, status, json.dumps(value).encode())
    contract.assert_error_robust(DIALECT, status, json.dumps({"error": value}).encode())
    contract.assert_error_robust(DIALECT, status, json.dumps([{"error": {"details": [value]}}]).encode())


@pytest.mark.parametrize("wire", [REQUEST, SPELLINGS[0]], ids=["camel", "snake"])
def test_what_is_read_of_a_changed_request_comes_back_exactly(wire: dict[str, Any]) -> None:
    """Unknown and odd values either are refused or come back: there is nothing between."""
    for value in contract.mutations(wire, ODD):
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
    for chunk in (*CHUNKS, *ODD_CHUNKS, *PARTIAL_CALL):
        for value in contract.mutations(chunk, ODD[:-1]):
            data = frame(CHUNKS[0]) + frame(value)
            try:
                contract.parse_stream(DIALECT, data)
            except DialectError:
                continue
            contract.assert_stream_exact(DIALECT, data)


@given(SHAPED)
def test_what_is_read_comes_back_exactly(value: Any) -> None:
    for wire in (value, {"contents": [{"role": "user", "parts": [value]}]}, {"contents": [], "tools": [value]}):
        try:
            request = DIALECT.parse_request(wire, contract.NO_MATCH)
        except DialectError:
            continue
        assert DIALECT.render_request(request, Profile()).value == wire


@pytest.mark.parametrize("wire", [ERROR, [ERROR], {"error": {"code": 400, "message": "m", "status": None}, "x": 1}])
def test_errors_come_back_exactly(wire: Any) -> None:
    contract.assert_error_exact(DIALECT, 429, wire)
