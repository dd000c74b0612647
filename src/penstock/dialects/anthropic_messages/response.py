"""Responses: the message object, both ways (https://platform.claude.com/docs/en/api/messages).

What a stream says at its end (`message_delta`: stop details, container, context management) is the choice's and lies
in `Choice.extras`; the rest of what is not modelled lies in `Response.extras`. So a folded stream and the whole
answer are the same value.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.anthropic_messages.access import maybe_at
from penstock.dialects.anthropic_messages.foreign_response import write_foreign_choice
from penstock.dialects.anthropic_messages.messages import as_object, read_blocks, write_blocks
from penstock.dialects.anthropic_messages.names import NAME
from penstock.dialects.anthropic_messages.stops import STOP_REASONS, STOP_WORDS
from penstock.dialects.anthropic_messages.usage import SERVED, read_usage, write_foreign_usage, write_usage
from penstock.dialects.dialect import Context
from penstock.dialects.leftovers import findings
from penstock.dialects.tool_ids import response_with_tool_ids
from penstock.types.content import Part, Text, ToolCall
from penstock.types.errors import DialectError, MalformedError
from penstock.types.notes import NO_MEMO, Memo, Note, Rendered
from penstock.types.response import Choice, Response, StopReason

CLOSING_KEYS = frozenset({"stop_details", "container", "context_management"})
"""Unmodelled fields that a stream carries in its `message_delta`."""

_MODELLED = frozenset({"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"})
_SHAPES = {(True, True): None, (False, True): "untyped", (True, False): "roleless", (False, False): "bare"}
"""(has `type`, has `role`) -> `Response.native`: some compatible hosts leave these constants out."""


def read_response(value: Any, memo: Memo) -> Response:
    """A whole answer. One that holds only an error is none: MalformedError says so (the exchange then reads it as an
    error).
    """
    body = wire.obj(value)
    if body.get("type", "message") != "message" or body.get("role", "assistant") != "assistant":
        raise MalformedError(f"expected a message of the assistant, got {_short(body)}")
    parts = read_content(body, memo)
    native = maybe_at(body, "stop_reason", wire.string)
    choice = Choice(
        parts,
        stop_reason(native, parts, memo),
        native,
        maybe_at(body, "stop_sequence", wire.string),
        extras=closing_extras(body),
    )
    usage = maybe_at(body, "usage", read_usage)
    return Response(
        dialect=NAME,
        id=maybe_at(body, "id", wire.string),
        model=maybe_at(body, "model", wire.string),
        choices=(choice,),
        usage=usage,
        service_tier=None if usage is None else SERVED.get(usage.service_tier or ""),
        native=_SHAPES["type" in body, "role" in body],
        extras=_rest(body),
    )


def _short(body: dict[str, Any]) -> str:
    return wire.encode(body)[:200].decode("utf-8", "replace")


def read_content(body: dict[str, Any], memo: Memo) -> tuple[Part, ...]:
    """The parts of the answer, with the caller's own tool names."""
    if not isinstance(body.get("content"), list):
        raise MalformedError("a list of content blocks is missing", "content")
    try:
        parts = read_blocks(body["content"])
    except DialectError as error:
        raise error.at("content") from None
    return parts if memo is NO_MEMO else tuple(recall(part, memo) for part in parts)


def recall(part: Part, memo: Memo) -> Part:
    """A tool call in the caller's terms: its own name for the tool, free-form input, the structured answer as text."""
    if type(part) is not ToolCall:
        return part
    if part.name == memo.json_tool:
        return Text(wire.as_text(part.arguments))
    name = (memo.tool_names or {}).get(part.name, part.name)
    if name in memo.custom_tools:
        inner = as_object(part.arguments).get("input")
        text = inner if isinstance(inner, str) else wire.encode(as_object(part.arguments)).decode()
        return replace(part, name=name, arguments=text, custom=True)
    return part if name == part.name else replace(part, name=name)


def stop_reason(native: str | None, parts: tuple[Part, ...], memo: Memo) -> StopReason | None:
    """The unified word. A forced tool that stood in for a format is no call that anybody must answer."""
    reason = None if native is None else STOP_REASONS.get(native, "stop")
    if memo.json_tool is not None and reason == "tool_calls" and not any(type(part) is ToolCall for part in parts):
        return "stop"
    return reason


def closing_extras(body: dict[str, Any]) -> dict[str, Any] | None:
    """What of a message, or of the `delta` of a `message_delta`, belongs to `Choice.extras`."""
    return {
        key: value
        for key, value in body.items()
        if key in CLOSING_KEYS or (value is None and key in ("stop_reason", "stop_sequence"))
    } or None


def _rest(body: dict[str, Any]) -> dict[str, Any] | None:
    return {
        key: value
        for key, value in body.items()
        if key not in CLOSING_KEYS
        and (key not in _MODELLED or (value is None and key not in ("stop_reason", "stop_sequence")))
    } or None


def render_response(response: Response, context: Context) -> Rendered[dict[str, Any]]:
    """The message object, for a client of this dialect."""
    if response.dialect == NAME:
        found = _write_own(response)
        if context.model is not None:
            found["model"] = context.model
        return Rendered(found)
    return _write_foreign(response, context)


def _write_own(response: Response) -> dict[str, Any]:
    choice = response.choices[0] if response.choices else Choice()
    found: dict[str, Any] = {}
    if response.id is not None:
        found["id"] = response.id
    if response.native not in ("untyped", "bare"):
        found["type"] = "message"
    if response.native not in ("roleless", "bare"):
        found["role"] = "assistant"
    if response.model is not None:
        found["model"] = response.model
    found["content"] = write_blocks(choice.parts)
    word = stop_word(choice.stop_reason, choice.stop_native)
    if word is not None:
        found["stop_reason"] = word
    if choice.stop_sequence is not None:
        found["stop_sequence"] = choice.stop_sequence
    if response.usage is not None:
        found["usage"] = write_usage(response.usage)
    return {**(response.extras or {}), **(choice.extras or {}), **found}


def stop_word(reason: StopReason | None, native: str | None) -> str | None:
    """The word on the wire: the native one, unless the unified one was changed since."""
    if native is not None and (reason is None or STOP_REASONS.get(native, "stop") == reason):
        return native
    return None if reason is None else STOP_WORDS[reason]


def _write_foreign(response: Response, context: Context) -> Rendered[dict[str, Any]]:
    notes: list[Note] = []
    response = response_with_tool_ids(response, context.id)
    notes += findings("", response.extras)
    notes.extend(
        Note(f"choices[{number}]", "dropped", "a message has one alternative")
        for number in range(1, len(response.choices))
    )
    choice = response.choices[0] if response.choices else Choice()
    content, word = write_foreign_choice(choice, notes)
    usage = response.usage
    if usage is not None and usage.service_tier is None and response.service_tier is not None:
        usage = replace(usage, service_tier=response.service_tier)
    found = {
        "id": response.id or context.id,
        "type": "message",
        "role": "assistant",
        "model": context.model or response.model or "",
        "content": content,
        "stop_reason": word,
        "stop_sequence": choice.stop_sequence,
        "usage": write_foreign_usage(usage, notes),
    }
    return Rendered(found, tuple(notes))
