"""Answers: candidates, why they ended, feedback on the prompt, and the time of the call, both ways.

What a candidate has beside its content, reason and index (safety ratings, grounding, average probabilities ...) stays
in the choice's extras. A prompt that was blocked has no candidates, only `promptFeedback`: it is read as one choice
that the filter stopped, with the words about it as its refusal.

Source: https://ai.google.dev/api/generate-content#generatecontentresponse
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.dialect import Context
from penstock.dialects.gemini.foreign_response import write_foreign_response
from penstock.dialects.gemini.grounding import (
    DERIVED,
    GROUNDING,
    cite,
    count_searches,
    put_back,
    set_aside,
    texts_of,
    write_grounding,
)
from penstock.dialects.gemini.logprobs import KEY as LOGPROBS
from penstock.dialects.gemini.logprobs import read_logprobs, write_logprobs
from penstock.dialects.gemini.messages import read_parts, write_parts
from penstock.dialects.gemini.numbers import BLOCK_REASONS, FINISH_REASONS, number_of, word_of
from penstock.dialects.gemini.spelling import Names, maybe_text, names_of, object_of, words
from penstock.dialects.gemini.usage import read_usage, write_usage
from penstock.dialects.tool_memo import recall_parts
from penstock.types.content import Part, Refusal, Text, ToolCall
from penstock.types.errors import DialectError, MalformedError
from penstock.types.notes import Memo, Rendered
from penstock.types.response import Choice, Response, StopReason
from penstock.types.usage import Usage

NAME = "gemini"

STOP_REASONS: dict[str, StopReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "OTHER": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "ESCALATION": "content_filter",
    "PUP_LIMITED_DISABLED": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "IMAGE_OTHER": "content_filter",
    "CONTINUATION": "pause",
    "NO_IMAGE": "error",
    "MALFORMED_FUNCTION_CALL": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
    "MALFORMED_RESPONSE": "error",
}
"""`finishReason` -> unified word. One that is not here is new, and counts as "stop"."""

BLOCKED = "blocked"
"""The shape of a choice that stands for `promptFeedback`."""
NUMBERED = "reason=number"
"""The shape of a choice (or a blocked prompt) whose reason came as a number."""

_CANDIDATE_KEYS = frozenset({"content", "finishReason", "index"})
_FEEDBACK_KEYS = frozenset({"blockReason", "blockReasonMessage"})
_RESPONSE_KEYS = frozenset({"candidates", "responseId", "modelVersion", "createTime", "usageMetadata"})
_TELLING = _RESPONSE_KEYS | {"promptFeedback", "modelStatus"}
"""An answer has one of these: all that says its default is left out."""


def read_response(value: Any, memo: Memo) -> Response:
    """A whole answer. An object that only holds an error is not one: MalformedError says so."""
    body = wire.obj(value)
    if _TELLING.isdisjoint(body) or "error" in body:
        raise MalformedError("neither candidates nor promptFeedback: this is not an answer of generateContent")
    choices, shape = _read_candidates(body, memo)
    extras = wire.rest(body, _RESPONSE_KEYS)
    if choices and is_blocked(choices[0]):
        extras = {key: inner for key, inner in (extras or {}).items() if key != "promptFeedback"} or None
    created, time = read_time(body.get("createTime"))
    if body.get("createTime") is not None and not time:
        extras = {**(extras or {}), "createTime": body["createTime"]}
    return Response(
        dialect=NAME,
        id=maybe_text(body, "responseId"),
        model=maybe_text(body, "modelVersion"),
        created=created,
        choices=choices,
        usage=_read_usage(body, choices),
        native=f"{shape} {time}".strip() or None,
        extras=extras,
    )


def _read_usage(body: dict[str, Any], choices: tuple[Choice, ...]) -> Usage | None:
    """The counts, and how often Google searched, which stands with the candidates."""
    if body.get("usageMetadata") is None:
        return None
    usage: Usage = _at("usageMetadata", read_usage, body["usageMetadata"])
    return with_searches(usage, [choice.extras for choice in choices if choice.extras])


def with_searches(usage: Usage, candidates: Sequence[Mapping[str, Any]]) -> Usage:
    """`usage` with the searches that these candidates (what they say beside their content) tell of."""
    if not any(GROUNDING in candidate for candidate in candidates):
        return usage
    return replace(usage, server_tool_calls=count_searches(candidates))


def _at(key: str, read: Any, value: Any) -> Any:
    try:
        return read(value)
    except DialectError as error:
        raise error.at(key) from None


def _read_candidates(body: dict[str, Any], memo: Memo) -> tuple[tuple[Choice, ...], str]:
    """(the choices, the shape word of `candidates`)."""
    candidates = body.get("candidates")
    found: list[Choice] = []
    if candidates:
        try:
            for element in wire.array(candidates):
                found.append(_read_candidate(element, len(found), memo))
        except DialectError as error:
            raise error.at(len(found)).at("candidates") from None
        return tuple(found), ""
    if candidates is not None:
        _at("candidates", wire.array, candidates)
    shape = "-candidates" if candidates is None else "candidates=[]"
    blocked = read_feedback(body.get("promptFeedback"))
    return ((blocked,) if blocked is not None else ()), shape


def read_feedback(feedback: Any) -> Choice | None:
    """The choice that stands for a blocked prompt; None where nothing was blocked."""
    if not isinstance(feedback, dict):
        return None
    reason = word_of(feedback.get("blockReason"), BLOCK_REASONS) or feedback.get("blockReason")
    if not isinstance(reason, str):
        return None
    message = feedback.get("blockReasonMessage")
    parts = (Refusal(message, native="blockReasonMessage"),) if isinstance(message, str) else ()
    known = _FEEDBACK_KEYS if parts else frozenset({"blockReason"})
    native = BLOCKED if reason == feedback["blockReason"] else f"{BLOCKED} {NUMBERED}"
    return Choice(parts, "content_filter", reason, native=native, extras=wire.rest(feedback, known))


def is_blocked(choice: Choice) -> bool:
    """Whether a choice stands for `promptFeedback`."""
    return choice.native is not None and choice.native.startswith(BLOCKED)


def _read_candidate(value: Any, position: int, memo: Memo) -> Choice:
    candidate = wire.obj(value)
    extras = {key: inner for key, inner in candidate.items() if key not in _CANDIDATE_KEYS or inner is None}
    parts, shapes = _read_content(candidate, extras)
    parts = _with_logprobs(parts, extras)
    native, numbered = read_finish(candidate)
    if numbered:
        shapes.append(NUMBERED)
    index = candidate.get("index")
    if index is None:
        shapes.append("-index")
    elif type(index) is not int:
        raise MalformedError(f"expected an integer, got {wire.describe(index)}", "index")
    parts = cite(recall_parts(parts, memo), candidate)
    if extras and not DERIVED.isdisjoint(extras):
        extras = set_aside(extras, texts_of(parts))
    return Choice(
        parts,
        stop_reason(native, any(type(part) is ToolCall for part in parts)),
        native,
        index=position if index is None else index,
        native=words((), *shapes),
        extras=extras or None,
    )


def read_finish(candidate: dict[str, Any]) -> tuple[str | None, bool]:
    """(`finishReason`, whether it came as a number). A number that is not known is told by its digits."""
    value = candidate.get("finishReason")
    if type(value) is int:
        return word_of(value, FINISH_REASONS) or str(value), True
    return maybe_text(candidate, "finishReason"), False


def _write_finish(word: str, numbered: bool) -> int | str:
    if not numbered:
        return word
    return int(word) if word.isdecimal() else number_of(word, FINISH_REASONS)


def _read_content(candidate: dict[str, Any], extras: dict[str, Any]) -> tuple[tuple[Part, ...], list[str]]:
    if candidate.get("content") is None:
        return (), ["-content"]
    content = object_of(candidate, "content")
    try:
        parts, shape = read_parts(content)
    except DialectError as error:
        raise error.at("content") from None
    role = content.get("role")
    rest = {key: inner for key, inner in content.items() if inner is None or key not in ("parts", "role")}
    if role != "model" and role is not None:
        rest["role"] = role
    if rest:
        extras["content"] = rest
    return parts, [shape] if role == "model" else [shape, "-role"]


def _with_logprobs(parts: tuple[Part, ...], extras: dict[str, Any]) -> tuple[Part, ...]:
    """Move the tokens of `logprobsResult` to the first text."""
    if LOGPROBS not in extras:
        return parts
    place = next((index for index, part in enumerate(parts) if type(part) is Text), None)
    found = read_logprobs(extras[LOGPROBS])
    if place is None or found is None:
        return parts
    logprobs, rest = found
    del extras[LOGPROBS]
    if rest:
        extras[LOGPROBS] = rest
    return (*parts[:place], replace(parts[place], logprobs=logprobs), *parts[place + 1 :])


def stop_reason(native: str | None, called: bool) -> StopReason | None:
    """The unified word for a `finishReason`. Gemini says STOP also when it `called` functions and waits for them."""
    if native is None:
        return None
    reason = STOP_REASONS.get(native, "stop")
    return "tool_calls" if called and reason == "stop" else reason


def read_time(value: Any) -> tuple[float | None, str]:
    """(Unix seconds, the shape word) of a timestamp; (None, "") where it is none."""
    if not isinstance(value, str) or len(value.split()) != 1:
        return None, ""
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        return None, ""
    return (time.timestamp(), f"time={value}") if time.tzinfo is not None else (None, "")


def write_time(created: float, native: str | None = None) -> str:
    """The timestamp of `created`, spelled as in `native` if that is the same time."""
    for word in (native or "").split():
        if word.startswith("time=") and read_time(word[5:])[0] == created:
            return word[5:]
    text = datetime.fromtimestamp(created, UTC).isoformat()
    return text.replace("+00:00", "Z")


def render_response(response: Response, context: Context) -> Rendered[dict[str, Any]]:
    """The answer object, for a client of Gemini."""
    if response.dialect != NAME:
        return write_foreign_response(response, context)
    found = _write_own(response)
    if context.model is not None:
        found["modelVersion"] = context.model
    return Rendered(found)


def _write_own(response: Response) -> dict[str, Any]:
    shapes = Names((response.native or "").split())
    found: dict[str, Any] = {}
    candidates = [_write_candidate(choice) for choice in response.choices if not is_blocked(choice)]
    if candidates or "-candidates" not in shapes:
        found["candidates"] = candidates
    for choice in response.choices:
        if is_blocked(choice):
            found["promptFeedback"] = _write_feedback(choice)
    if response.usage is not None:
        found["usageMetadata"] = write_usage(response.usage)
    if response.model is not None:
        found["modelVersion"] = response.model
    if response.id is not None:
        found["responseId"] = response.id
    if response.created is not None:
        found["createTime"] = write_time(response.created, response.native)
    return wire.merge(response.extras, found)


def _write_feedback(choice: Choice) -> dict[str, Any]:
    reason: Any = choice.stop_native
    found: dict[str, Any] = {
        "blockReason": number_of(reason, BLOCK_REASONS) if NUMBERED in names_of(choice.native) else reason
    }
    for part in choice.parts:
        if isinstance(part, Refusal):
            found["blockReasonMessage"] = part.text
    return wire.merge(choice.extras, found)


def _write_candidate(choice: Choice) -> dict[str, Any]:
    shapes = names_of(choice.native)
    extras = dict(put_back(choice.extras or {}))
    found: dict[str, Any] = {}
    if choice.parts or "-content" not in shapes:
        content = write_parts(choice.parts, shapes)
        found["content"] = content if "-role" in shapes else {**content, "role": "model"}
    if choice.stop_native is not None:
        found["finishReason"] = _write_finish(choice.stop_native, NUMBERED in shapes)
    if "-index" not in shapes:
        found["index"] = choice.index
    texts = {index: part for index, part in enumerate(choice.parts) if isinstance(part, Text)}
    logprobs = tuple(entry for part in texts.values() for entry in part.logprobs or ())
    if logprobs:
        found[LOGPROBS] = write_logprobs(logprobs)
    grounding = write_grounding(texts) if "groundingMetadata" not in extras else None
    if grounding is not None:
        found["groundingMetadata"] = grounding
    return wire.deep_merge(extras, found)
