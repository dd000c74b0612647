"""Tools that had to be written differently than the caller said, and the way back.

    names              a provider with a narrower alphabet gets others; `Memo.tool_names` maps them back
    free-form tools    become functions with one string, `input`; `Memo.custom_tools` names those to be unwrapped
    a JSON tool        takes the place of structured output; `Memo.json_tool` names it: its input is the answer's text

A request renders with a `Memo`; the answer to it is read with the same. Nothing happens where the memo is empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.types.content import Part, Text, ToolCall
from penstock.types.errors import MalformedError
from penstock.types.notes import NO_MEMO, Memo
from penstock.types.request import Request, Tool
from penstock.types.response import StopReason

FREE_FORM: dict[str, Any] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}
"""The JSON Schema of a free-form tool's input. Never changed: copy it to add to it."""


def tool_names_of(request: Request) -> set[str]:
    """Every name of the caller's own tools: from the declarations, the choice, and the calls of the history."""
    names = {tool.name for tool in request.tools or () if tool.kind != "server"}
    names |= {part.name for message in request.messages for part in message.parts if type(part) is ToolCall}
    choice = request.tool_choice
    if choice is not None:
        names |= {choice.name or "", *(choice.names or ())} - {""}
    return names


def memo_of(request: Request, names: ToolNames, json_tool: Tool | None) -> Memo:
    """What the reader of the answer to `request` must know. `json_tool`: the tool that stands for a JSON answer."""
    changed = names.changed()
    custom = [tool.name for tool in request.tools or () if tool.kind == "custom"]
    if changed is None and json_tool is None and not custom:
        return NO_MEMO
    return Memo(changed, None if json_tool is None else json_tool.name, frozenset(custom))


class ToolNames:
    """The names of one request's tools in the provider's alphabet. A name that fits is never taken by another.

    `bad` matches what may not stand in a name; `prefix` goes before a name that begins with neither a letter nor `_`
    (None: it may).
    """

    def __init__(self, names: Iterable[str], bad: re.Pattern[str], longest: int, prefix: str | None = None) -> None:
        self._bad, self._longest, self._prefix = bad, longest, prefix
        self._written: dict[str, str] = {}
        self._taken = set(names)
        for name in sorted([name for name in self._taken if not self._fits(name)]):
            self._written[name] = self.free(self._cleaned(name))

    def write(self, name: str) -> str:
        """The name for the wire. A name that fits, or was not announced, stays as it is."""
        return self._written.get(name, name)

    def free(self, wanted: str) -> str:
        """`wanted`, or a name like it that no tool of the request has; it is then taken."""
        found, number = wanted, 1
        while found in self._taken:
            number += 1
            found = f"{wanted[: self._longest - 1 - len(str(number))]}_{number}"
        self._taken.add(found)
        return found

    def changed(self) -> dict[str, str] | None:
        """Name on the wire -> the caller's, for those that differ; None where none does."""
        return {written: name for name, written in self._written.items()} or None

    def _fits(self, name: str) -> bool:
        return 0 < len(name) <= self._longest and self._bad.search(name) is None and self._begins_well(name)

    def _begins_well(self, name: str) -> bool:
        return self._prefix is None or name[0] == "_" or name[0].isalpha()

    def _cleaned(self, name: str) -> str:
        cleaned = self._bad.sub("_", name) or "tool"
        if not self._begins_well(cleaned):
            cleaned = f"{self._prefix}{cleaned}"
        return cleaned[: self._longest]


def as_object(arguments: dict[str, Any] | str) -> tuple[dict[str, Any], bool]:
    """(a call's input as an object, whether it is what the text said). What is no JSON object stands in one, as
    `input`; no text at all is an empty object.
    """
    if not isinstance(arguments, str):
        return arguments, True
    if not arguments.strip():
        return {}, True
    try:
        value = wire.decode(arguments)
    except MalformedError:
        value = None
    return (value, True) if isinstance(value, dict) else ({"input": arguments}, False)


def free_form(arguments: dict[str, Any] | str) -> str:
    """The text that a free-form tool was called with: the one string of its input, or all of it as JSON text."""
    value, _ = as_object(arguments)
    inner = value.get("input") if len(value) == 1 else None
    return inner if isinstance(inner, str) else wire.as_text(arguments)


def recall(call: ToolCall, memo: Memo) -> Part:
    """A call of an answer as the caller of the request knows it: under its own name, unwrapped, or as the text that it
    stood for.
    """
    if call.name == memo.json_tool and memo.json_tool is not None:
        return Text(wire.as_text(call.arguments))
    name = call.name if memo.tool_names is None else memo.tool_names.get(call.name, call.name)
    if name in memo.custom_tools:
        return replace(call, name=name, arguments=free_form(call.arguments), custom=True)
    return call if name == call.name else replace(call, name=name)


def recall_parts(parts: tuple[Part, ...], memo: Memo) -> tuple[Part, ...]:
    """All parts of an answer as the caller of the request knows them."""
    if memo.tool_names is None and memo.json_tool is None and not memo.custom_tools:
        return parts
    return tuple(recall(part, memo) if type(part) is ToolCall else part for part in parts)


def stop_after(reason: StopReason | None, called: bool) -> StopReason | None:
    """The reason to stop, where the calls decide: with one, a natural end is `tool_calls`; without, the reverse."""
    if reason == "stop" and called:
        return "tool_calls"
    return "stop" if reason == "tool_calls" and not called else reason
