"""Tools and the choice among them, both ways.

A function stands flat in the list (`{"type": "function", "name", "parameters", ...}`), a custom tool too. Every other
type is a tool that OpenAI or a host defines: HOSTED gives its generic name, openai_tool_settings.py reads its settings.

Source: https://platform.openai.com/docs/api-reference/responses/create (tools, tool_choice).
"""

from __future__ import annotations

import re
from typing import Any, Literal

from penstock.dialects import wire
from penstock.dialects.openai_responses.fields import required_string
from penstock.dialects.openai_tool_settings import generic_of, read_tool_settings, write_tool_settings
from penstock.types.errors import MalformedError
from penstock.types.request import Tool, ToolChoice

HOSTED: dict[str, str] = {
    "web_search": "web_search",
    "web_search_2025_08_26": "web_search",
    "web_search_preview": "web_search",
    "web_search_preview_2025_03_11": "web_search",
    "file_search": "file_search",
    "code_interpreter": "code_execution",
    "image_generation": "image_generation",
    "computer": "computer",
    "computer_use": "computer",
    "computer_use_preview": "computer",
    "mcp": "mcp",
    "local_shell": "bash",
    "shell": "bash",
    "apply_patch": "apply_patch",
    "tool_search": "tool_search",
}
"""Wire type -> generic name. A type that is not here is its own name."""


def read_tools(value: Any) -> tuple[Tool, ...]:
    """`tools`."""
    found: tuple[Tool, ...] = wire.each(_read_tool, value)
    return found


def _read_tool(value: Any) -> Tool:
    tool = wire.obj(value)
    kind = required_string(tool, "type")
    if kind == "function":
        return _read_function(tool)
    if kind == "custom":
        grammar = tool.get("format")
        return Tool(
            required_string(tool, "name"),
            "custom",
            wire.optional_string(tool, "description"),
            format=None if grammar is None else wire.obj(grammar),
            extras=wire.rest(tool, _CUSTOM_KEYS),
        )
    return _read_hosted(tool, kind)


def _read_hosted(tool: dict[str, Any], kind: str) -> Tool:
    name = HOSTED.get(kind) or generic_of(kind)
    if kind == "shell" and _runs_in_container(tool.get("environment")):
        name = "code_execution"
    settings, extras = read_tool_settings({key: value for key, value in tool.items() if key != "type"}, kind, name)
    return Tool(name, "server", native=kind, extras=extras, settings=settings)


def _runs_in_container(environment: Any) -> bool:
    """Whether a shell is OpenAI's own, not the caller's (https://developers.openai.com/api/docs/guides/tools-shell)."""
    return isinstance(environment, dict) and str(environment.get("type")).startswith("container")


def _read_function(tool: dict[str, Any]) -> Tool:
    parameters, strict = tool.get("parameters"), tool.get("strict")
    return Tool(
        required_string(tool, "name"),
        "function",
        wire.optional_string(tool, "description"),
        None if parameters is None else wire.obj(parameters),
        None if strict is None else wire.boolean(strict),
        extras=wire.rest(tool, _FUNCTION_KEYS),
    )


_FUNCTION_KEYS = frozenset({"type", "name", "description", "parameters", "strict"})
_CUSTOM_KEYS = frozenset({"type", "name", "description", "format"})


def write_tool(tool: Tool) -> dict[str, Any]:
    """One element of `tools`."""
    if tool.kind == "server":
        kind = tool.native or tool.name
        return {**write_tool_settings(tool.settings, tool.extras, kind, tool.name), "type": kind}
    if tool.kind == "custom":
        found: dict[str, Any] = {"type": "custom", "name": tool.name}
        if tool.format is not None:
            found["format"] = tool.format
    else:
        found = {"type": "function", "name": tool.name}
        if tool.parameters is not None:
            found["parameters"] = tool.parameters
        if tool.strict is not None:
            found["strict"] = tool.strict
    if tool.description is not None:
        found["description"] = tool.description
    return wire.merge(tool.extras, found)


def echo_tool(tool: dict[str, Any]) -> dict[str, Any]:
    """A written tool as an answer repeats it: OpenAI does not show what opens an MCP server, nor the secrets of a
    container.
    """
    found = {key: value for key, value in tool.items() if key != "authorization"}
    headers, url = found.get("headers"), found.get("server_url")
    if headers:
        found["headers"] = dict.fromkeys(headers, _REDACTED) if isinstance(headers, dict) else _REDACTED
    if isinstance(url, str):
        found["server_url"] = _ADDRESS.sub(rf"\1\2/{_REDACTED}", url)
    for place in ("container", "environment"):
        if isinstance(found.get(place), dict) and "network_policy" in found[place]:
            found[place] = {key: value for key, value in found[place].items() if key != "network_policy"}
    return found


_REDACTED = "<redacted>"
_ADDRESS = re.compile(r"^([a-z]+://)(?:[^/?#]*@)?([^/?#]*)[/?#]..*$", re.IGNORECASE | re.DOTALL)


def read_tool_choice(value: Any) -> ToolChoice:
    """`tool_choice`: a word, a tool, or a list of allowed tools."""
    if isinstance(value, str):
        mode = _WORDS.get(value)
        if mode is None:
            raise MalformedError(f"expected one of {', '.join(_WORDS)} or an object, got {value!r}")
        return ToolChoice(mode, native=None if mode == value else value)
    choice = wire.obj(value)
    kind = required_string(choice, "type")
    if kind == "allowed_tools" and isinstance(choice.get("tools"), list):
        return _read_allowed(choice)
    key, name = _name_of(choice, kind)
    known = frozenset({"type"}) if key is None else frozenset({"type", key})
    return ToolChoice("tool", name, native=None if kind == "function" else kind, extras=wire.rest(choice, known))


_WORDS: dict[str, Literal["auto", "none", "required"]] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
    "any": "required",
}


def _name_of(choice: dict[str, Any], kind: str) -> tuple[str | None, str]:
    """(the field that names the tool, the tool's name): functions and custom tools have a name, MCP servers a label,
    hosted tools only their type.
    """
    if kind == "mcp":
        label = required_string(choice, "server_label")
        return ("name", choice["name"]) if isinstance(choice.get("name"), str) else ("server_label", label)
    if kind in ("function", "custom"):
        return "name", required_string(choice, "name")
    generic, name = HOSTED.get(kind, kind), choice.get("name")
    return ("name", name) if isinstance(name, str) and name != generic else (None, generic)


OPAQUE = "opaque"
"""The native of a choice that we cannot read, which is kept whole."""


def _read_allowed(choice: dict[str, Any]) -> ToolChoice:
    """The names of the allowed tools; what else their entries say stays in the extras, entry by entry."""
    names: list[str] = []
    entries: list[dict[str, Any]] = []
    for value in choice["tools"]:
        entry = value if isinstance(value, dict) else {}
        kind = entry.get("type")
        if not isinstance(kind, str):
            return ToolChoice("auto", native=OPAQUE, extras=choice)
        key, name = _name_of(entry, kind)
        names.append(name)
        entries.append({field: inner for field, inner in entry.items() if field != key})
    mode = choice.get("mode")
    known = {"type", "tools", "mode"} if mode in ("auto", "required") else {"type", "tools"}
    extras = wire.rest(choice, frozenset(known))
    if any(entry != _PLAIN_ENTRY for entry in entries):
        extras = {**(extras or {}), "tools": entries}
    allowed_mode: Any = mode if "mode" in known else None
    return ToolChoice("allowed", names=tuple(names), allowed_mode=allowed_mode, extras=extras)


_PLAIN_ENTRY = {"type": "function"}


def write_tool_choice(choice: ToolChoice) -> Any:
    """`tool_choice` again."""
    if choice.native == OPAQUE:
        return choice.extras
    if choice.mode == "allowed":
        return _write_allowed(choice)
    if choice.mode != "tool":
        return choice.native or choice.mode
    kind = "function" if choice.native is None else choice.native
    return wire.merge(choice.extras, _write_entry(kind, choice.name, choice.extras or {}))


def _write_entry(kind: str, name: str | None, extras: dict[str, Any]) -> dict[str, Any]:
    """A tool in a choice. A hosted tool's name is in its type; one MCP tool stands beside its server's label."""
    if kind == "mcp":
        return {"type": kind, "name" if "server_label" in extras else "server_label": name}
    if kind not in ("function", "custom") and name == HOSTED.get(kind, kind):
        return {"type": kind}
    return {"type": kind, "name": name}


def _write_allowed(choice: ToolChoice) -> dict[str, Any]:
    extras = choice.extras or {}
    names = choice.names or ()
    entries = extras.get("tools")
    if not isinstance(entries, list) or len(entries) != len(names):
        entries = [_PLAIN_ENTRY] * len(names)
    found: dict[str, Any] = {"type": "allowed_tools"}
    if choice.allowed_mode is not None:
        found["mode"] = choice.allowed_mode
    found["tools"] = [
        {**entry, **_write_entry(entry["type"], name, entry)} for name, entry in zip(names, entries, strict=True)
    ]
    return {**extras, **found}
