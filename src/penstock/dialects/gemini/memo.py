"""What a request's Memo undoes in the answer: tool names, free-form tools, the tool that stood in for JSON output."""

from __future__ import annotations

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.types.content import Part, Text, ToolCall
from penstock.types.notes import NO_MEMO, Memo


def apply_memo(parts: tuple[Part, ...], memo: Memo) -> tuple[Part, ...]:
    """`parts` in the caller's terms."""
    if memo is NO_MEMO or memo == NO_MEMO:
        return parts
    return tuple(undo(part, memo) if type(part) is ToolCall else part for part in parts)


def undo(call: ToolCall, memo: Memo) -> ToolCall | Text:
    """A call of the wire as the caller's: under its own name, as free-form input, or as the JSON answer that it is."""
    if memo.json_tool is not None and call.name == memo.json_tool:
        return Text(wire.encode(call.arguments).decode(), signature=call.signature)
    name = (memo.tool_names or {}).get(call.name, call.name)
    if name in memo.custom_tools and isinstance(call.arguments, dict):
        given = call.arguments.get("input")
        text = given if isinstance(given, str) else wire.encode(call.arguments).decode()
        return replace(call, name=name, arguments=text, custom=True)
    return call if name == call.name else replace(call, name=name)
