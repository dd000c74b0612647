"""Tools in the form of Chat Completions, `{"type": "function", "function": {"name", "description", "parameters"}}`, as
hosts with APIs of their own took it over, both ways.

Source: https://docs.cohere.com/reference/chat, https://docs.ollama.com/capabilities/tool-calling
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import constants, wire
from penstock.types.errors import DialectError
from penstock.types.request import Tool
from penstock.types.tool_settings import ToolSettings

Object = dict[str, Any]

_TOOL_KEYS = frozenset({"function"})
_FUNCTION_KEYS = frozenset({"name", "description", "parameters"})
_FUNCTION = {"type": "function"}


def read_tool(value: Any) -> Tool:
    """One element of `tools`. What is no function is kept whole, and whatever it says may narrow it."""
    tool = wire.obj(value)
    function = tool.get("function")
    kind = tool.get("type", "function")
    if kind != "function" or not isinstance(function, dict):
        settings = ToolSettings(narrowed_by=tuple(key for key in tool if key != "type")) if len(tool) > 1 else None
        return Tool(wire.string(kind), "server", native="opaque", extras=tool, settings=settings)
    try:
        name = wire.string(function.get("name"))
        description, parameters = function.get("description"), function.get("parameters")
        description = None if description is None else wire.string(description)
        parameters = None if parameters is None else wire.obj(parameters)
    except DialectError as error:
        raise error.at("function") from None
    extras = constants.rest(tool, _TOOL_KEYS, _FUNCTION)
    left = wire.rest(function, _FUNCTION_KEYS)
    extras = {**(extras or {}), "function": left} if left else extras
    return Tool(name, description=description, parameters=parameters, extras=extras)


def write_tool(tool: Tool) -> Object:
    """The element again."""
    if tool.native == "opaque":
        return dict(tool.extras or {})
    function: Object = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    if tool.extras and "function" in tool.extras:
        function = wire.merge(tool.extras["function"], function)
    return constants.merge(tool.extras, _FUNCTION, {"function": function})
