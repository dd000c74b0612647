"""`toolConfig`, both ways: the tools that a model may call, and whether it must.

    {"tools": [{"toolSpec": {"name", "description", "inputSchema": {"json": {...}}, "strict"}}, {"cachePoint": {...}},
               {"systemTool": {"name"}}], "toolChoice": {"auto": {}} | {"any": {}} | {"tool": {"name"}}}

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.bedrock_converse.blocks import (
    SYSTEM_TOOLS,
    read_cache_point,
    system_tool_name,
    write_cache_point,
)
from penstock.types.content import Extras
from penstock.types.errors import DialectError, MalformedError
from penstock.types.request import Tool, ToolChoice

_OPAQUE = "opaque"
_MODES: dict[str, Any] = {"auto": "auto", "any": "required", "tool": "tool"}
_CHOICES = {mode: word for word, mode in _MODES.items()}


def read_tool_config(value: Any, found: dict[str, Any]) -> Extras:
    """Put `tools` and `tool_choice` into `found`; return what is left."""
    config = wire.obj(value)
    left = dict(config)
    if config.get("tools") is not None:
        try:
            found["tools"] = _read_tools(left.pop("tools"))
        except DialectError as error:
            raise error.at("tools") from None
    choice = config.get("toolChoice")
    if isinstance(choice, dict) and len(choice) == 1:
        read = _read_choice(choice)
        if read is not None:
            found["tool_choice"] = read
            del left["toolChoice"]
    return left or (None if config else {})


def _read_tools(value: Any) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for index, element in enumerate(wire.array(value)):
        try:
            cache = read_cache_point(element) if tools and tools[-1].cache is None else None
            if cache is None:
                tools.append(_read_tool(wire.obj(element)))
            else:
                tools[-1] = replace(tools[-1], cache=cache)
        except DialectError as error:
            raise error.at(index) from None
    return tuple(tools)


def _read_tool(element: dict[str, Any]) -> Tool:
    spec, system = element.get("toolSpec"), element.get("systemTool")
    if isinstance(spec, dict):
        try:
            return _read_spec(spec, wire.rest(element, _SPEC_BLOCK))
        except DialectError as error:
            raise error.at("toolSpec") from None
    if isinstance(system, dict) and isinstance(system.get("name"), str):
        name: str = system["name"]
        left, extras = wire.rest(system, _NAME), wire.rest(element, _SYSTEM_BLOCK)
        extras = {**(extras or {}), "systemTool": left} if left else extras
        return Tool(SYSTEM_TOOLS.get(name, name), "server", native=name, extras=extras)
    return Tool("", "server", native=_OPAQUE, extras=element)


_SPEC_BLOCK = frozenset({"toolSpec"})
_SYSTEM_BLOCK = frozenset({"systemTool"})
_NAME = frozenset({"name"})


def _read_spec(spec: dict[str, Any], siblings: Extras) -> Tool:
    values = _SPEC.read(spec)
    left: dict[str, Any] = values.pop("extras", {})
    schema = values.pop("schema", None)
    if schema is not None:
        if isinstance(schema.get("json"), dict):
            values["parameters"] = schema["json"]
            schema = {key: value for key, value in schema.items() if key != "json"}
        if schema or "parameters" not in values:
            left = {**left, "inputSchema": schema}
    if "name" not in values:
        raise MalformedError("every tool has a name", "name")
    return Tool(**values, extras=_with_spec(siblings, left))


def _with_spec(siblings: Extras, left: dict[str, Any]) -> Extras:
    return {**(siblings or {}), "toolSpec": left} if left else siblings


_SPEC = wire.Fields(
    wire.Field("name", wire.string),
    wire.Field("description", wire.string),
    wire.Field("inputSchema", wire.obj, "schema"),
    wire.Field("strict", wire.boolean),
)


def _read_choice(choice: dict[str, Any]) -> ToolChoice | None:
    word, inner = next(iter(choice.items()))
    mode = _MODES.get(word)
    if mode is None or not isinstance(inner, dict):
        return None
    if mode != "tool":
        return ToolChoice(mode, extras=choice if inner else None)
    name = inner.get("name")
    if not isinstance(name, str):
        return None
    left = wire.rest(inner, _NAME)
    return ToolChoice("tool", name, extras={"tool": left} if left else None)


def write_tool_config(tools: tuple[Tool, ...] | None, choice: ToolChoice | None) -> dict[str, Any]:
    """The object again. A tool choice that Converse does not have (see foreign.py) must not arrive here."""
    config: dict[str, Any] = {}
    if tools is not None:
        config["tools"] = _write_tools(tools)
    if choice is not None:
        inner = {"name": choice.name} if choice.mode == "tool" else {}
        config["toolChoice"] = wire.deep_merge(choice.extras, {_CHOICES[choice.mode]: inner})
    return config


def _write_tools(tools: tuple[Tool, ...]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for tool in tools:
        found.append(_write_tool(tool))
        if tool.cache is not None:
            found.append(write_cache_point(tool.cache))
    return found


def _write_tool(tool: Tool) -> dict[str, Any]:
    if tool.kind == "server":
        if tool.native == _OPAQUE:
            return tool.extras or {}
        return wire.deep_merge(tool.extras, {"systemTool": {"name": tool.native or system_tool_name(tool.name)}})
    spec: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        spec["description"] = tool.description
    if tool.parameters is not None:
        spec["inputSchema"] = {"json": tool.parameters}
    if tool.strict is not None:
        spec["strict"] = tool.strict
    block = {"toolSpec": spec}
    return wire.deep_merge(tool.extras, block) if tool.extras else block
