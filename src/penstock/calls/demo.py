"""The demo model: `completion("demo", ...)`, offline, without a key. It answers so that a newcomer sees the whole way
work: text, streams, tool calls, structured output.

It repeats what it was told. Where a tool must be called it calls the first one that may be, with the least arguments
that its schema allows; where a schema is asked for it answers the least instance. Its usage is counted in words.
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.types.content import Part, Text, ToolCall, ToolResult
from penstock.types.request import Message, Request, Tool
from penstock.types.response import Choice, Response, StopReason
from penstock.types.usage import Usage

NAMES = frozenset({"demo", "penstock/demo"})


def demo_answer(request: Request, call_id: str, created: int) -> Response:
    """The demo model's answer to `request`."""
    tool = _demanded_tool(request)
    reason: StopReason = "stop"
    if tool is not None:
        arguments = wire.encode(least_instance(tool.parameters or {})).decode()
        parts: tuple[Part, ...] = (ToolCall(f"call_{call_id}", tool.name, arguments),)
        reason = "tool_calls"
    elif request.response_format is not None and request.response_format.kind != "text":
        parts = (Text(wire.encode(least_instance(request.response_format.schema or {"type": "object"})).decode()),)
    else:
        parts = (Text(_repeat(request)),)
    spoken = sum(len(text.split()) for text in _texts(part for message in request.messages for part in message.parts))
    said = sum(len(text.split()) for text in _texts(parts))
    usage = Usage(input_tokens=spoken, output_tokens=said, total_tokens=spoken + said)
    choice = Choice(parts, reason)
    return Response(dialect="demo", id=call_id, model="demo", created=created, choices=(choice,), usage=usage)


def _demanded_tool(request: Request) -> Tool | None:
    """The tool that has to be called, if one has."""
    choice, last = request.tool_choice, request.messages[-1] if request.messages else None
    if not request.tools or choice is None or choice.mode in ("auto", "none") or _is_result(last):
        return None
    wanted = {choice.name} if choice.mode == "tool" else set(choice.names or ()) or None
    callable_tools = (tool for tool in request.tools if tool.kind == "function")
    return next((tool for tool in callable_tools if wanted is None or tool.name in wanted), None)


def _is_result(message: Message | None) -> bool:
    return message is not None and any(isinstance(part, ToolResult) for part in message.parts)


def _repeat(request: Request) -> str:
    last = request.messages[-1] if request.messages else None
    if last is not None and _is_result(last):
        return f"The tool answered: {' '.join(_texts(last.parts))}"
    said = " ".join(_texts(last.parts)) if last else ""
    return f"This is Penstock's offline demo model. You said: {said}"


def _texts(parts: Any) -> list[str]:
    found: list[str] = []
    for part in parts:
        if isinstance(part, Text):
            found.append(part.text)
        elif isinstance(part, ToolResult):
            found += _texts(part.parts)
    return found


def least_instance(schema: dict[str, Any], depth: int = 0) -> Any:
    """The least value that a JSON Schema allows, as far as the common keywords say."""
    if "const" in schema or schema.get("enum"):
        return schema["const"] if "const" in schema else schema["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if isinstance(schema.get(key), list) and schema[key] and depth < 16:
            return least_instance(schema[key][0], depth + 1)
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "object" or "properties" in schema:
        properties = schema.get("properties", {})
        names = schema.get("required", ())
        return {name: least_instance(properties.get(name, {}), depth + 1) for name in names} if depth < 16 else {}
    if kind == "array":
        return [least_instance(schema.get("items") or {}, depth + 1) for _ in range(min(schema.get("minItems", 0), 8))]
    leasts: dict[Any, Any] = {"string": "demo", "integer": schema.get("minimum", 0), "number": schema.get("minimum", 0)}
    return leasts.get(kind, False if kind == "boolean" else None)
