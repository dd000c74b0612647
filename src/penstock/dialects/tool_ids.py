"""Tool call ids for values that have none: Gemini and Ollama match results to calls by name and order, others by id.

The parsers of those two leave `call_id` None, so that their own round trip invents nothing. A renderer of a dialect
that needs ids asks here first. The ids are derived, not drawn: the same conversation gets the same ids on every turn.

    in a request     call_<n>: the n-th call without an id, from the start of the conversation on (it grows at its end)
    in a response    call_<seed>_<part>: `seed` is the response's own id, since later answers join the same history

A result belongs to the first call of its name that has no result yet. A result that brings an id for a call without one
(some clients make it up on their side) lends it to that call. Tools that the provider runs itself are matched likewise,
among themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec.structs import replace

from penstock.types.content import Part, ServerToolCall, ServerToolResult, ToolCall, ToolResult
from penstock.types.request import Message, Request
from penstock.types.response import Choice, Response

_CALL_OF: dict[type, type] = {
    ToolCall: ToolCall,
    ToolResult: ToolCall,
    ServerToolCall: ServerToolCall,
    ServerToolResult: ServerToolCall,
}
_PREFIX: dict[type, str] = {ToolCall: "call", ServerToolCall: "srvtool"}
_UNSAFE = re.compile(r"[^A-Za-z0-9]")
_SEED_LENGTH = 24  # with it, an id stays below the 40 characters that OpenAI allows


def call_id(seed: str | None, index: int, choice: int = 0) -> str:
    """The id of the tool call that is part `index` of choice `choice` of the response `seed`.

    Letters, digits and underscores only, which every provider takes. Stream renderers use it too: an event says both
    numbers.
    """
    stem = _UNSAFE.sub("", seed or "")[-_SEED_LENGTH:] or "0"
    return f"call_{stem}_{index}" if choice == 0 else f"call_{stem}_{choice}_{index}"


def with_tool_ids(request: Request) -> Request:
    """`request` with an id on every tool call and tool result; the same object where none is missing."""
    if not _any_lacks_id(request.messages):
        return request
    slots = [slot for message in request.messages for slot in _slots(message.parts)]
    _pair(slots)
    _number(slots)
    ids = iter(slots)
    messages = tuple(replace(message, parts=_filled(message.parts, ids)) for message in request.messages)
    return replace(request, messages=messages)


def response_with_tool_ids(response: Response, seed: str | None = None) -> Response:
    """`response` with an id on every tool call; the same object where none is missing.

    `seed` stands in for the response's own id where it has none.
    """
    choices = tuple(_choice_with_ids(choice, response.id or seed) for choice in response.choices)
    return response if choices == response.choices else replace(response, choices=choices)


def tool_names(messages: Iterable[Message]) -> dict[str, str]:
    """The tool's name for every call id: what a result must say to Gemini and Ollama."""
    return {
        part.call_id: part.name
        for message in messages
        for part in message.parts
        if isinstance(part, ToolCall) and part.call_id is not None
    }


def _any_lacks_id(messages: Iterable[Message]) -> bool:
    for message in messages:
        for part in message.parts:
            if type(part) in _CALL_OF and part.call_id is None:  # type: ignore[union-attr]  # those types have one
                return True
    return False


def _lacks_id(part: Any) -> bool:
    return type(part) in _CALL_OF and part.call_id is None


class _Slot:
    """A call or result while its id is looked for. `call` is the call that a result belongs to."""

    __slots__ = ("call", "call_id", "index", "kind", "part")

    def __init__(self, part: Any, index: int) -> None:
        self.part = part
        self.index = index
        self.kind = _CALL_OF[type(part)]
        self.call_id: str | None = part.call_id
        self.call: _Slot | None = None


def _slots(parts: Sequence[Part]) -> list[_Slot]:
    return [_Slot(part, index) for index, part in enumerate(parts) if type(part) in _CALL_OF]


def _pair(slots: list[_Slot]) -> None:
    """Find the call of each result."""
    known = {slot.call_id for slot in slots if slot.kind is type(slot.part)}
    waiting: list[_Slot] = []
    for slot in slots:
        if slot.kind is type(slot.part):
            waiting.append(slot)
            continue
        slot.call = next((call for call in waiting if _belongs(slot, call, known)), None)
        if slot.call is not None:
            waiting.remove(slot.call)
            slot.call.call_id = slot.call.call_id or slot.call_id


def _belongs(result: _Slot, call: _Slot, known: set[str | None]) -> bool:
    if result.kind is not call.kind:
        return False
    if result.call_id in known and result.call_id is not None:
        return result.call_id == call.call_id
    same_name = result.part.name is None or result.part.name == call.part.name
    return same_name and (result.call_id is None or call.call_id is None)


def _number(slots: list[_Slot]) -> None:
    """Give the calls that are still without an id the next number, and results the id of their call."""
    taken = {slot.call_id for slot in slots}
    counts = dict.fromkeys(_PREFIX.values(), 0)
    for slot in slots:
        if slot.call_id is None and slot.call is not None:
            slot.call_id = slot.call.call_id
        while slot.call_id is None:
            prefix = _PREFIX[slot.kind]
            counts[prefix] += 1
            fresh = f"{prefix}_{counts[prefix]}"
            slot.call_id = None if fresh in taken else fresh


def _choice_with_ids(choice: Choice, seed: str | None) -> Choice:
    if not any(_lacks_id(part) for part in choice.parts):
        return choice
    slots = _slots(choice.parts)
    _pair(slots)
    for slot in slots:
        slot.call_id = slot.call_id or (slot.call.call_id if slot.call else None)
        slot.call_id = slot.call_id or call_id(seed, slot.index, choice.index)
    return replace(choice, parts=_filled(choice.parts, iter(slots)))


def _filled(parts: tuple[Part, ...], slots: Iterator[_Slot]) -> tuple[Part, ...]:
    """`parts` with the ids of the next slots, one for each call and result among them."""
    return tuple(_with_id(part, next(slots)) if type(part) in _CALL_OF else part for part in parts)


def _with_id(part: Any, slot: _Slot) -> Part:
    found: Part = part if part.call_id is not None else replace(part, call_id=slot.call_id)
    return found
