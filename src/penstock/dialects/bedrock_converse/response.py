"""Answers of Converse, both ways.

    {"output": {"message": {"role": "assistant", "content": [...]}}, "stopReason", "usage", "metrics": {"latencyMs"},
     "additionalModelResponseFields", "trace", "performanceConfig", "serviceTier": {"type"}}

An answer has one choice, and bears no id, time or model: another dialect's are left out. (A prompt router names the
model that it chose, in `trace`.) Of `additionalModelResponseFields`, the stop sequence is modelled: Claude returns it
there when the request asks for "/stop_sequence".

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.bedrock_converse.foreign_parts import PartAdapter
from penstock.dialects.bedrock_converse.messages import read_answer, write_answer
from penstock.dialects.bedrock_converse.names import NAME
from penstock.dialects.bedrock_converse.usage import read_usage, write_usage
from penstock.dialects.dialect import Context
from penstock.dialects.leftovers import findings
from penstock.dialects.tool_ids import response_with_tool_ids
from penstock.dialects.tool_memo import recall_parts, stop_after
from penstock.types.content import Extras, Part, ToolCall
from penstock.types.errors import DialectError, MalformedError
from penstock.types.notes import Memo, Note, Rendered
from penstock.types.response import Choice, Response, StopReason
from penstock.types.usage import Usage

STOP_REASONS: dict[str, StopReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
    "refusal": "refusal",
    "pause_turn": "pause",
}
"""Native -> unified. The last two are Claude's own: not documented for Converse, and so not written for others."""

STOP_WORDS: dict[StopReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "content_filtered",
    "refusal": "content_filtered",
    "pause": "end_turn",
    "error": "malformed_model_output",
}
_WEAKENED = frozenset({"refusal", "pause", "error"})

NO_MESSAGE = "no message"
STOP_FIELDS = "additionalModelResponseFields"


# Reading


def read_response(value: Any, memo: Memo) -> Response:
    """A whole answer. The memo brings back the caller's tool names, and unwraps a JSON answer from its tool."""
    left = dict(wire.obj(value))
    if "output" not in left and "stopReason" not in left:
        raise MalformedError("an answer of Converse has an `output`", "output")
    model = _invoked_model(left.get("trace"))
    choice = _read_choice(left)
    usage = None
    if left.get("usage") is not None:
        usage = _at("usage", read_usage, left.pop("usage"))
    tier = _take(left, "serviceTier", "type")
    return Response(
        dialect=NAME,
        model=model,
        choices=(_recalled(choice, memo),),
        usage=usage,
        service_tier=tier,
        extras=left or None,
    )


def _recalled(choice: Choice, memo: Memo) -> Choice:
    """The choice as the caller of the request knows its tools. One that called only the tool that stands for JSON did
    not stop for a tool.
    """
    parts = recall_parts(choice.parts, memo)
    if parts is choice.parts:
        return choice
    called = any(type(part) is ToolCall for part in parts)
    return replace(choice, parts=parts, stop_reason=stop_after(choice.stop_reason, called))


def _at(key: str, read: Any, value: Any) -> Any:
    try:
        return read(value)
    except DialectError as error:
        raise error.at(key) from None


def _read_choice(left: dict[str, Any]) -> Choice:
    """The one choice, taken out of `left`."""
    output = left.get("output")
    native = NO_MESSAGE
    parts: tuple[Part, ...] = ()
    extras: Extras = None
    if output is not None:
        output = _at("output", wire.obj, output)
        if output.get("message") is not None:
            native = ""
            parts, extras = _read_message(output["message"])
            rest = {key: other for key, other in output.items() if key != "message"}
            _put(left, "output", rest)
    reason = left.pop("stopReason") if isinstance(left.get("stopReason"), str) else None
    sequence = _take(left, STOP_FIELDS, "stop_sequence")
    return Choice(parts, STOP_REASONS.get(reason or ""), reason, sequence, native=native or None, extras=extras)


def _read_message(message: Any) -> tuple[tuple[Part, ...], Extras]:
    try:
        return read_answer(message)
    except DialectError as error:
        raise error.at("message").at("output") from None


def _invoked_model(trace: Any) -> str | None:
    router = trace.get("promptRouter") if isinstance(trace, dict) else None
    model = router.get("invokedModelId") if isinstance(router, dict) else None
    return model if isinstance(model, str) else None


def _take(left: dict[str, Any], *steps: str) -> str | None:
    """The string at a path of objects, taken out; objects that are then empty go too. None where there is none."""
    key, *deeper = steps
    value = left.get(key)
    if not deeper:
        if not isinstance(value, str):
            return None
        del left[key]
        return value
    if not isinstance(value, dict):
        return None
    inner = dict(value)
    found = _take(inner, *deeper)
    if found is not None:
        _put(left, key, inner)
    return found


def _put(left: dict[str, Any], key: str, rest: dict[str, Any]) -> None:
    if rest:
        left[key] = rest
    else:
        del left[key]


# Writing


def render_response(response: Response, context: Context) -> Rendered[dict[str, Any]]:
    """The answer object, for a client of Converse."""
    if response.dialect == NAME:
        return Rendered(_write_own(response))
    notes: list[Note] = []
    response = response_with_tool_ids(response, context.id)
    notes += findings("", response.extras)
    for choice in response.choices[1:]:
        notes.append(Note(f"choices[{choice.index}]", "dropped", "an answer of Converse has one choice"))
    choice = response.choices[0] if response.choices else Choice()
    parts = _adapt_parts(choice, notes)
    found: dict[str, Any] = {
        "metrics": {"latencyMs": 0},
        "output": {"message": {"role": "assistant", "content": write_answer(parts, None)["content"]}},
        "stopReason": stop_word(choice, notes),
        "usage": foreign_usage(response.usage, notes),
    }
    tier = response.service_tier or (None if response.usage is None else response.usage.service_tier)
    _write_rest(adapt_tier(tier, notes), choice, found)
    return Rendered(found, tuple(notes))


def _adapt_parts(choice: Choice, notes: list[Note]) -> tuple[Part, ...]:
    adapter = PartAdapter(notes, answer=True)
    path = f"choices[{choice.index}]"
    notes += findings(path, choice.extras)
    found: list[Part] = []
    for number, part in enumerate(choice.parts):
        found += adapter.adapt(part, f"{path}.parts[{number}]", True)
    return tuple(found)


def stop_word(choice: Choice, notes: list[Note]) -> str:
    """`stopReason` for another dialect's choice: its own word where Converse has it too, else the nearest."""
    native, reason = choice.stop_native, choice.stop_reason
    if native is not None and reason not in (None, *_WEAKENED) and STOP_REASONS.get(native) == reason:
        return native
    if reason is None:
        called = any(type(part) is ToolCall for part in choice.parts)
        return "tool_use" if called else "end_turn"
    word = STOP_WORDS[reason]
    if reason == "stop" and choice.stop_sequence is not None:
        return "stop_sequence"
    if reason in _WEAKENED:
        detail = f"{native or reason!r} is said as {word!r}"
        notes.append(Note(f"choices[{choice.index}].stop_reason", "weakened", detail))
    return word


def foreign_usage(usage: Usage | None, notes: list[Note]) -> dict[str, Any]:
    """`usage` of another dialect's answer. It must not be missing, so where nothing was reported it says zero."""
    if usage is None or (usage.input_tokens is None and usage.output_tokens is None):
        notes.append(Note("usage", "added", "no counts were reported, and Converse demands some: they say 0"))
    if usage is None:
        return write_usage(Usage(), False)
    notes += findings("usage", usage.extras)
    for name in _LOST_COUNTS:
        if getattr(usage, name):
            notes.append(Note(f"usage.{name}", "dropped", "Converse does not count it"))
    return write_usage(usage, False)


_SAID_COUNTS = frozenset(
    {
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "cache_write_5m_tokens",
        "cache_write_1h_tokens",
        "input_text_tokens",
        "output_text_tokens",
        "service_tier",
        "spelling",
        "extras",
    }
)
_LOST_COUNTS = tuple(name for name in Usage.__struct_fields__ if name not in _SAID_COUNTS)


_TIERS = {"default": "default", "standard": "default", "flex": "flex", "priority": "priority", "reserved": "reserved"}


def adapt_tier(tier: str | None, notes: list[Note]) -> str | None:
    """The service tier as Bedrock calls it."""
    if tier not in (None, "auto") and tier not in _TIERS:
        notes.append(Note("service_tier", "dropped", f"Bedrock has no tier {tier!r}"))
    return _TIERS.get(tier or "")


def _write_rest(tier: str | None, choice: Choice, found: dict[str, Any]) -> None:
    if tier is not None:
        found["serviceTier"] = {"type": tier}
    if choice.stop_sequence is not None:
        found[STOP_FIELDS] = {"stop_sequence": choice.stop_sequence}


def _write_own(response: Response) -> dict[str, Any]:
    found: dict[str, Any] = {}
    choice = response.choices[0] if response.choices else Choice(native=NO_MESSAGE)
    if choice.native != NO_MESSAGE or choice.parts:
        found["output"] = {"message": write_answer(choice.parts, choice.extras)}
    if choice.stop_native is not None or choice.stop_reason is not None:
        found["stopReason"] = own_stop_word(choice.stop_reason, choice.stop_native)
    if response.usage is not None:
        found["usage"] = write_usage(response.usage, True)
    _write_rest(response.service_tier, choice, found)
    return wire.deep_merge(response.extras, found) if response.extras else found


def own_stop_word(reason: StopReason | None, native: str | None) -> str:
    """The native word as long as it means the unified one."""
    if native is not None and STOP_REASONS.get(native) == reason:
        return native
    return STOP_WORDS[reason] if reason is not None else native or "end_turn"
