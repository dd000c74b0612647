"""Every field of the official client's types comes back exactly: in camelCase, in snake_case, in answers, and in
streams of both forms.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.genai import types

from penstock.conformance.compare import first_difference
from penstock.dialects.dialect import Context
from penstock.dialects.gemini import DIALECT
from penstock.dialects.gemini.frames import ARRAY_TYPE
from penstock.dialects.gemini.spelling import snake
from penstock.types.errors import DialectError
from penstock.types.fold import fold
from penstock.types.notes import NO_MEMO
from tests.contract import dialects as contract
from tests.support.catalogue import values

ASKED = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
BODY = {
    "safetySettings",
    "tools",
    "toolConfig",
    "labels",
    "cachedContent",
    "systemInstruction",
    "serviceTier",
    "store",
    "modelArmorConfig",
}
"""Fields of the client's configuration that stand beside `generationConfig`."""
KINDS: dict[str, Any] = {"tools": list[types.Tool], "systemInstruction": types.Content, "responseSchema": types.Schema}
KINDS["speechConfig"] = types.SpeechConfig
NOT_SENT = {"httpOptions", "shouldReturnHttpResponse", "automaticFunctionCalling"}


def snaked(value: Any) -> Any:
    """The value with every key in the other spelling."""
    if isinstance(value, dict):
        return {snake(key): snaked(inner) for key, inner in value.items()}
    return [snaked(inner) for inner in value] if isinstance(value, list) else value


def settings() -> Iterator[dict[str, Any]]:
    """Bodies, each with one setting."""
    for name, field in types.GenerateContentConfig.model_fields.items():
        key = field.alias or name
        for value in () if key in NOT_SENT else values(KINDS.get(key, field.annotation)):
            yield {**ASKED, key: value} if key in BODY else {**ASKED, "generationConfig": {key: value}}


def turns() -> Iterator[dict[str, Any]]:
    """Bodies, each with one part of one kind, alone and with every kind of field beside it."""
    parts = [*values(types.Part, 6)]
    data = [part for part in parts if {*part} & {"text", "inlineData", "fileData", "functionCall", "toolCall"}]
    beside = [part for part in parts if {*part} & {"thought", "thoughtSignature", "videoMetadata", "mediaResolution"}]
    for part in parts + [{**one, **other} for one in data[::5] for other in beside]:
        for role in ("user", "model"):
            yield {"contents": [{"role": role, "parts": [part]}]}


def answers() -> Iterator[dict[str, Any]]:
    """Answers, each with one field."""
    for candidate in values(types.Candidate):
        yield {"candidates": [candidate]}
        yield {"candidates": [{"content": {"parts": [{"text": "Hello"}], "role": "model"}, **candidate}]}
    for name, field in types.GenerateContentResponse.model_fields.items():
        if name not in ("candidates", "sdk_http_response", "automatic_function_calling_history", "parsed"):
            yield from ({"candidates": [], field.alias or name: value} for value in values(field.annotation))


def told(check: Callable[[Any], None], cases: Iterator[Any]) -> int:
    """How many cases passed. What a server would refuse, too (a function without a name), may be refused."""
    passed = 0
    for case in cases:
        try:
            check(case)
            passed += 1
        except DialectError as error:
            if not error.path.endswith(("name", "parametersJsonSchema", "parameters_json_schema")):
                raise
    return passed


@pytest.mark.parametrize("spelled", [lambda value: value, snaked], ids=["camelCase", "snake_case"])
def test_every_field_of_a_request_comes_back(spelled: Callable[[Any], Any]) -> None:
    assert told(lambda body: contract.assert_request_exact(DIALECT, spelled(body), where=str(body)), settings()) > 1000
    assert told(lambda body: contract.assert_request_exact(DIALECT, spelled(body), where=str(body)), turns()) > 1000


def test_every_field_of_an_answer_comes_back() -> None:
    assert told(lambda body: contract.assert_response_exact(DIALECT, body, str(body)), answers()) > 1000


@pytest.mark.parametrize("kind", [None, ARRAY_TYPE])
def test_every_field_of_a_stream_comes_back(kind: str | None) -> None:
    """Frame by frame, and the whole of it reads back as what it adds up to."""

    def check(frame: dict[str, Any]) -> None:
        frames = [{"candidates": [{"content": {"parts": [{"text": "a"}]}}]}, frame]
        frames.append({"candidates": [{"finishReason": "STOP"}]})
        data = "".join(f"data: {json.dumps(each)}\r\n\r\n" for each in frames) if kind is None else json.dumps(frames)
        events = contract.parse_stream(DIALECT, data.encode())
        renderer = DIALECT.stream_renderer(Context(source="gemini", stream_type=kind))
        written = b"".join([renderer.render(event) for event in events]) + renderer.close()
        found = json.loads(written) if kind else [each for _, each in contract.frames(DIALECT, written)]
        assert first_difference(frames, found) is None
        total = fold(events, "gemini")
        if len(total.choices) == 1 and "logprobsResult" not in (total.choices[0].extras or {}):
            assert DIALECT.parse_response(DIALECT.render_response(total, Context()).value, NO_MEMO) == total, frame

    assert told(check, answers()) > 1000


# -- numbers in the place of words, and words in the place of numbers --------------------------------------------------

NUMBERED: list[tuple[dict[str, Any], Callable[[Any], Any] | None, Any]] = [
    ({"responseModalities": [1, 3]}, lambda request: request.modalities, ("text", "audio")),
    ({"maxOutputTokens": "64", "topP": "0.5"}, lambda request: (request.max_tokens, request.top_p), (64, 0.5)),
    (
        {"responseSchema": {"type": 6, "properties": {"a": {"type": 5, "minItems": "2"}}}},
        lambda request: request.response_format.schema,
        {"type": "object", "properties": {"a": {"type": "array", "minItems": 2}}},
    ),
    ({"thinkingConfig": {"thinkingLevel": 1}}, lambda request: request.reasoning.effort, None),
    ({"seed": "words"}, None, None),
    ({"seed": "0x10"}, None, None),
    ({"seed": "012"}, None, None),
]


@pytest.mark.parametrize(("config", "meant", "value"), NUMBERED, ids=[str(config) for config, _, _ in NUMBERED])
def test_numbers_in_settings(config: dict[str, Any], meant: Callable[[Any], Any] | None, value: Any) -> None:
    body = {**ASKED, "generationConfig": config}
    if meant is None:
        with pytest.raises(DialectError, match=r"expected an integer, got a string at generationConfig\.seed"):
            DIALECT.parse_request(body, contract.NO_MATCH)
        return
    contract.assert_request_exact(DIALECT, body)
    assert meant(DIALECT.parse_request(body, contract.NO_MATCH)) == value


@pytest.mark.parametrize(("number", "mode"), [(0, "auto"), (1, "auto"), (2, "required"), (3, "none"), (4, "auto")])
def test_a_number_chooses_the_mode_of_calling(number: int, mode: str) -> None:
    body = {**ASKED, "toolConfig": {"functionCallingConfig": {"mode": number}}}
    contract.assert_request_exact(DIALECT, body)
    choice = DIALECT.parse_request(body, contract.NO_MATCH).tool_choice
    assert choice is not None
    assert choice.mode == mode


@pytest.mark.parametrize(
    ("number", "native", "unified"), [(1, "STOP", "stop"), (2, "MAX_TOKENS", "length"), (99, "99", "stop")]
)
def test_a_number_is_the_reason_to_stop(number: int, native: str, unified: str) -> None:
    answer = {"candidates": [{"content": {"parts": [{"text": "a"}], "role": "model"}, "finishReason": number}]}
    contract.assert_response_exact(DIALECT, answer)
    contract.assert_stream_exact(DIALECT, b"data: " + json.dumps(answer).encode() + b"\n\n")
    (choice,) = DIALECT.parse_response(answer, NO_MEMO).choices
    assert (choice.stop_native, choice.stop_reason) == (native, unified)
    (folded,) = contract.folded(DIALECT, b"data: " + json.dumps(answer).encode() + b"\n\n").choices
    assert (folded.stop_native, folded.stop_reason) == (native, unified)


def test_numbers_of_a_blocked_prompt_and_of_counts() -> None:
    counts = {
        "promptTokenCount": 9,
        "promptTokensDetails": [{"modality": 1, "tokenCount": 4}, {"modality": 5, "tokenCount": 5}],
    }
    answer = {"promptFeedback": {"blockReason": 3, "safetyRatings": [{"category": 7}]}, "usageMetadata": counts}
    contract.assert_response_exact(DIALECT, answer)
    response = DIALECT.parse_response(answer, NO_MEMO)
    assert (response.choices[0].stop_reason, response.choices[0].stop_native) == ("content_filter", "BLOCKLIST")
    assert response.usage is not None
    assert response.usage.input_text_tokens == 4


@pytest.mark.parametrize("key", ["responseId", "modelVersion", "createTime", "modelStatus", "usageMetadata"])
def test_an_answer_may_leave_out_all_but_one(key: str) -> None:
    value: Any = {} if key in ("modelStatus", "usageMetadata") else "2025-01-01T00:00:00Z"
    contract.assert_response_exact(DIALECT, {key: value})
    with pytest.raises(DialectError, match="not an answer"):
        DIALECT.parse_response({key: value, "error": {"message": "no"}}, NO_MEMO)
