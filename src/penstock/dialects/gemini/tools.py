"""Tools and the choice among them, both ways.

The wire has a list of objects, each of which may hold several tools under different keys:

    [{"functionDeclarations": [{...}, {...}], "googleSearch": {}}, {"codeExecution": {}}]

The representation has one flat list. Which tools shared an object is remembered in their `native` ("new" begins an
object); objects that hold no tool at all, and keys that are null, are remembered in the request's `spelling`.

    functionDeclarations     Tool of kind "function", one for each declaration
    mcpServers               Tool "mcp", one for each server
    any other key            Tool of kind "server"; tool_settings.py reads its settings

Source: https://ai.google.dev/api/caching#Tool, https://ai.google.dev/api/caching#ToolConfig
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.gemini.numbers import CALLING_MODES, word_of
from penstock.dialects.gemini.schema import CAPITALS, NULLABLE, ODD, from_subset, restore
from penstock.dialects.gemini.spelling import Names, find, left, maybe_text, names_of, object_of, snake, text_of, words
from penstock.dialects.gemini.tool_settings import read_tool_settings, write_tool_settings
from penstock.types.errors import DialectError
from penstock.types.request import Tool, ToolChoice

SERVER_TOOLS: dict[str, str] = {
    "googleSearch": "web_search",
    "codeExecution": "code_execution",
    "urlContext": "web_fetch",
    "googleMaps": "maps",
    "fileSearch": "file_search",
    "computerUse": "computer",
    "mcpServers": "mcp",
    "googleSearchRetrieval": "web_search",
    "enterpriseWebSearch": "web_search",
    "parallelAiSearch": "web_search",
    "exaAiSearch": "web_search",
    "retrieval": "file_search",
}
"""Key of a tool object -> generic name. A key that is not here is its own name."""
SERVER_KEYS: dict[str, str] = {name: key for key, name in reversed(SERVER_TOOLS.items())}
"""Generic name -> the usual key."""

_GENERIC = {**SERVER_TOOLS, **{snake(key): name for key, name in SERVER_TOOLS.items()}}
_LISTS = {
    "functionDeclarations": "functionDeclarations",
    "function_declarations": "functionDeclarations",
    "mcpServers": "mcpServers",
    "mcp_servers": "mcpServers",
}
_KNOWN = frozenset({*_GENERIC, *_LISTS})
_NEW, _ONE = "new", "one"
"""Shapes of a tool: it begins an object; it stood alone where a list is usual."""


def read_tools(value: Any, spelling: dict[str, str]) -> tuple[Tool, ...]:
    """`tools`. What of the list holds no tool goes to `spelling["tools"]`, as JSON."""
    if isinstance(value, dict):
        spelling["tools_shape"] = "object"
        value = [value]
    found: list[Tool] = []
    unread: list[tuple[int, bool, dict[str, Any]]] = []
    for number, element in enumerate(wire.array(value)):
        try:
            tools, rest = _read_object(wire.obj(element), _NEW if found else "")
        except DialectError as error:
            raise error.at(number) from None
        found += tools
        if rest or not tools:
            unread.append((number, not tools, rest))
    if unread:
        spelling["tools"] = wire.encode(unread).decode()
    return tuple(found)


def _read_object(element: dict[str, Any], shape: str) -> tuple[list[Tool], dict[str, Any]]:
    """(the tools of one object, its keys that hold none)."""
    found: list[Tool] = []
    rest: dict[str, Any] = {}
    for key, inner in element.items():
        if inner is None or (inner == [] and key in _LISTS) or (key not in _KNOWN and not isinstance(inner, dict)):
            rest[key] = inner
            continue
        try:
            for tool in _read_key(key, inner):
                found.append(_shaped(tool, shape))
                shape = ""
        except DialectError as error:
            raise error.at(key) from None
    return found, rest


def _shaped(tool: Tool, shape: str) -> Tool:
    if not shape:
        return tool
    native = f"{tool.native} {shape}" if tool.native else shape
    return replace(tool, native=native)


def _read_key(key: str, inner: Any) -> list[Tool]:
    name = _LISTS.get(key)
    if name is None:
        return [_server_tool(_GENERIC.get(key, key), key, wire.obj(inner))]
    if isinstance(inner, dict):
        return [_read_element(name, key, inner, _ONE)]
    try:
        return [_read_element(name, key, wire.obj(element), "") for element in wire.array(inner)]
    except DialectError:
        wire.each(lambda element: _read_element(name, key, wire.obj(element), ""), inner)  # finds out which it was
        raise


def _server_tool(name: str, native: str, inner: dict[str, Any]) -> Tool:
    settings, extras = read_tool_settings(name, inner)
    return Tool(name, "server", native=native, extras=extras, settings=settings)


def _read_element(name: str, key: str, element: dict[str, Any], shape: str) -> Tool:
    if name == "mcpServers":
        return _server_tool("mcp", f"{key} {shape}".rstrip(), element)
    return read_function(element, key, shape)


def read_function(declaration: dict[str, Any], list_key: str, shape: str = "") -> Tool:
    """One function declaration; `list_key` is the spelling of the list that it stands in."""
    used = ["name"]
    description = declaration.get("description")
    if description is not None:
        description = text_of(declaration, "description")
        used.append("description")
    key, parameters, shapes = _read_parameters(declaration)
    extras = None
    if key:
        used.append(key)
        extras = {key: declaration[key]} if ODD in shapes else None
    if len(used) < len(declaration):
        extras = {**(left(declaration, used) or {}), **(extras or {})} or None
    native = words((list_key, key), "parameters" if key == "parameters" else "", *shapes, shape)
    return Tool(text_of(declaration, "name"), "function", description, parameters, native=native, extras=extras)


def _read_parameters(declaration: dict[str, Any]) -> tuple[str, dict[str, Any] | None, tuple[str, ...]]:
    """(the key as spelled, the JSON Schema, how it differed) of a function's parameters. A schema that is no object
    (`true`) says nothing, and is left where it is.
    """
    key, schema = find(declaration, "parametersJsonSchema")
    if type(schema) is bool:
        return "", None, ()
    if key:
        return key, object_of(declaration, key), ()
    if declaration.get("parameters") is None:
        return "", None, ()
    return ("parameters", *from_subset(object_of(declaration, "parameters")))


def write_tools(tools: tuple[Tool, ...], spelling: dict[str, str]) -> Any:
    """`tools` of a request of this dialect."""
    objects: list[dict[str, Any]] = []
    for tool in tools:
        native = tool.native or ""
        names = names_of(tool.native)
        key = _wire_key(tool, names)
        if not objects or native == _NEW or native.endswith(f" {_NEW}") or (key in objects[-1] and key not in _LISTS):
            objects.append({})
        if key in _LISTS and _ONE not in names:
            objects[-1].setdefault(key, []).append(_write_element(tool, names))
        else:
            objects[-1][key] = _write_element(tool, names)
    if "tools" in spelling:
        _put_back(objects, wire.decode(spelling["tools"]))
    return objects[0] if len(objects) == 1 and "tools_shape" in spelling else objects


def _wire_key(tool: Tool, names: Names) -> str:
    if tool.kind == "server":
        native = (tool.native or "").removesuffix(f" {_NEW}").removesuffix(f" {_ONE}")
        return native or SERVER_KEYS.get(tool.name, tool.name)
    return names["functionDeclarations"]


def _write_element(tool: Tool, names: Names) -> dict[str, Any]:
    if tool.kind == "server":
        return write_tool_settings(tool.name, tool.settings, tool.extras)
    return write_function(tool, names)


def _put_back(objects: list[dict[str, Any]], unread: list[Any]) -> None:
    """Objects without tools to their places, other keys into the objects that they came from."""
    for number, whole, rest in unread:
        if whole or number >= len(objects):
            objects.insert(number, rest)
        else:
            objects[number].update(rest)


def write_function(tool: Tool, names: Names) -> dict[str, Any]:
    """A function declaration of this dialect."""
    found: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        found["description"] = tool.description
    if tool.parameters is not None:
        key = "parameters" if "parameters" in names else names["parametersJsonSchema"]
        found[key] = restore_schema(tool.parameters, names, (tool.extras or {}).get(key))
    return wire.merge(tool.extras, found)


def restore_schema(schema: dict[str, Any], names: Names, original: Any) -> dict[str, Any]:
    """A schema as it was spelled: by the way back where there is one, else by the `original`, unless it was changed."""
    if ODD in names and isinstance(original, dict) and from_subset(original)[0] == schema:
        return original
    return restore(schema, names) if CAPITALS in names or NULLABLE in names else schema


# The choice among tools.

MODES: dict[str, Literal["auto", "none", "required"]] = {
    "AUTO": "auto",
    "VALIDATED": "auto",
    "ANY": "required",
    "NONE": "none",
}
MODES |= {str(number): MODES.get(word, "auto") for number, word in enumerate(CALLING_MODES)}
"""`mode`, as a word or (with its digits) as a number -> the unified mode."""
MODE_OF: dict[str, str] = {"auto": "AUTO", "required": "ANY", "none": "NONE"}


def read_tool_choice(calling: dict[str, Any], key: str) -> ToolChoice | None:
    """`functionCallingConfig`, spelled `key`. None where it says nothing about the choice."""
    numbered = word_of(calling.get("mode"), CALLING_MODES) is not None
    mode = str(calling["mode"]) if numbered else maybe_text(calling, "mode")
    names_key, value = find(calling, "allowedFunctionNames")
    if mode is None and not value:
        return None
    allowed = None
    if value:
        try:
            allowed = wire.strings(value)
        except DialectError as error:
            raise error.at(names_key) from None
    unified = MODES.get((mode or "AUTO").upper(), "auto")
    spelled = mode is not None and len(mode.split()) == 1  # a word that `native` can hold; else it stays in the extras
    used = (*(("mode",) if spelled else ()), *((names_key,) if allowed else ()))
    native = words((key, *used), "-mode" if not spelled else "" if mode == MODE_OF[unified] else f"mode={mode}")
    extras = left(calling, used)
    if not allowed or unified == "none":
        extras = {**(extras or {}), names_key: value} if allowed else extras
        return ToolChoice(unified, native=native, extras=extras)
    if unified == "required" and len(allowed) == 1:
        return ToolChoice("tool", allowed[0], native=native, extras=extras)
    return ToolChoice("allowed", names=allowed, allowed_mode=unified, native=native, extras=extras)


def write_tool_choice(choice: ToolChoice) -> dict[str, Any]:
    """`functionCallingConfig` of a request of this dialect."""
    names = names_of(choice.native)
    wanted = "required" if choice.mode == "tool" else choice.allowed_mode if choice.mode == "allowed" else choice.mode
    found: dict[str, Any] = {}
    if "-mode" not in names or wanted != "auto":
        found["mode"] = _mode_word(wanted or "auto", names)
    allowed = [choice.name] if choice.mode == "tool" else list(choice.names or ())
    if allowed and choice.mode in ("tool", "allowed"):
        found[names["allowedFunctionNames"]] = allowed
    return wire.merge(choice.extras, found)


def _mode_word(unified: str, names: Names) -> str | int:
    """The word (or number) that was used, if it still means the same, else the usual one."""
    used = next((word[5:] for word in names if word.startswith("mode=")), "")
    if not used or MODES.get(used.upper(), "auto") != unified:
        return MODE_OF[unified]
    return int(used) if used.isdecimal() else used
