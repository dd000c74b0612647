"""Undoing, in an answer, what the request had to change: tool names, free-form tools, and a tool in place of JSON.

A request renders with a `Memo`; the answer to it is read with the same. Nothing happens where the memo is empty.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.types.content import Part, Text, ToolCall
from penstock.types.errors import MalformedError
from penstock.types.notes import Memo
from penstock.types.response import Choice


def apply_memo(choice: Choice, memo: Memo) -> Choice:
    """The choice as the caller of the request knows its tools."""
    if memo.tool_names is None and memo.json_tool is None and not memo.custom_tools:
        return choice
    parts = tuple(_restore(part, memo) if type(part) is ToolCall else part for part in choice.parts)
    choice = replace(choice, parts=parts)
    called = any(type(part) is ToolCall for part in parts)
    return without_json_tool(choice) if memo.json_tool is not None and not called else choice


def without_json_tool(choice: Choice) -> Choice:
    """The choice whose only call was the one that stood for the answer: it did not stop for a tool."""
    return replace(choice, stop_reason="stop") if choice.stop_reason == "tool_calls" else choice


def _restore(call: ToolCall, memo: Memo) -> Part:
    if call.name == memo.json_tool:
        return Text(as_text(call.arguments), cache=call.cache)
    name = caller_name(call.name, memo)
    if name in memo.custom_tools:
        return replace(call, name=name, arguments=free_form(call.arguments), custom=True)
    return call if name == call.name else replace(call, name=name)


def caller_name(name: str, memo: Memo) -> str:
    """The caller's name of a tool."""
    return name if memo.tool_names is None else memo.tool_names.get(name, name)


def as_text(arguments: dict[str, Any] | str) -> str:
    """The JSON text of a call's input."""
    return arguments if isinstance(arguments, str) else wire.encode(arguments).decode()


def free_form(arguments: dict[str, Any] | str) -> str:
    """The text that a free-form tool was called with: the one string of its input, or all of it as JSON text."""
    value: Any = arguments
    if isinstance(arguments, str):
        try:
            value = wire.decode(arguments)
        except MalformedError:
            return arguments
    inner = value.get("input") if isinstance(value, dict) and len(value) == 1 else None
    return inner if isinstance(inner, str) else as_text(arguments)
