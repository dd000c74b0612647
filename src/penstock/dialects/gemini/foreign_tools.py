"""Tools of other dialects, and the choice among them, as Gemini's.

All functions stand in one object, each server tool in one of its own, MCP servers in a list. A free-form tool becomes
a function with the one string `input`. Gemini's way to promise what `strict` promises is the mode VALIDATED (or ANY,
which implies it).

Source: https://ai.google.dev/gemini-api/docs/function-calling#function_calling_modes
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from penstock.dialects.gemini.schema import to_subset
from penstock.dialects.gemini.tool_settings import TABLES, write_tool_settings
from penstock.dialects.json_schema import without_refused
from penstock.dialects.leftovers import leftovers
from penstock.dialects.tool_memo import FREE_FORM, ToolNames
from penstock.dialects.tool_settings import mcp_server, sayable, unversioned, without_schemes
from penstock.types.notes import NO_MEMO, Memo, Note
from penstock.types.profile import Profile
from penstock.types.request import Request, Tool, ToolChoice
from penstock.types.tool_settings import ToolSettings

SERVER_TOOLS: dict[str, str] = {
    "web_search": "googleSearch",
    "code_execution": "codeExecution",
    "web_fetch": "urlContext",
    "maps": "googleMaps",
    "file_search": "fileSearch",
    "mcp": "mcpServers",
}
"""Generic name -> key. Computer use is not among them: the calls that its models make are Google's own."""

_GOOGLE = "Gemini"
_STORE = "fileSearchStores/"
"""What the names of Google's stores begin with: others cannot be read."""

JSON_TOOL = "json_tool_call"
"""The forced tool that stands in for structured output where a model has no JSON mode."""


def write_tools(request: Request, profile: Profile, names: ToolNames, notes: list[Note], found: dict[str, Any]) -> Memo:
    """Put `tools` and `toolConfig` into `found`; return what the reader of the answer must know of the names."""
    tools = request.tools or ()
    if not profile.tools:
        notes += [Note(f"tools[{number}]", "dropped", "this model calls no tools") for number in range(len(tools))]
        tools = ()
    functions = [_function(tool, f"tools[{i}]", profile, names, notes) for i, tool in enumerate(tools) if _ours(tool)]
    json_tool = _json_tool(request, profile, names)
    functions += [json_tool] if json_tool else []
    served = _served(tools, functions, profile, notes)
    objects: list[dict[str, Any]] = [{"functionDeclarations": functions}] if functions else []
    objects += [{key: value} for key, value in served.items()]
    if objects:
        found["tools"] = objects
    config = _tool_config(request, profile, names, notes, functions, json_tool)
    if functions and served and profile.mixed_tools == "flagged":
        config["includeServerSideToolInvocations"] = True
    if config:
        found["toolConfig"] = config
    return _memo(request, names, json_tool)


def _ours(tool: Tool) -> bool:
    return tool.kind != "server"


def _memo(request: Request, names: ToolNames, json_tool: dict[str, Any] | None) -> Memo:
    custom = frozenset(tool.name for tool in request.tools or () if tool.kind == "custom")
    memo = Memo(names.changed(), json_tool["name"] if json_tool else None, custom)
    return NO_MEMO if memo == NO_MEMO else memo


def _function(tool: Tool, path: str, profile: Profile, names: ToolNames, notes: list[Note]) -> dict[str, Any]:
    notes += leftovers(path, tool.extras)
    if tool.cache is not None:
        notes.append(Note(f"{path}.cache", "dropped", "Gemini caches prefixes by itself"))
    if tool.strict and not profile.strict_tools:
        notes.append(Note(f"{path}.strict", "dropped", "this model does not promise to keep to the schema"))
    found: dict[str, Any] = {"name": names.write(tool.name), "description": tool.description or ""}
    parameters = tool.parameters
    if tool.kind == "custom":
        parameters = FREE_FORM
        if tool.format is not None:
            notes.append(Note(f"{path}.format", "dropped", "Gemini enforces no grammars"))
    if parameters is not None:
        key, schema = write_schema(parameters, f"{path}.parameters", profile, notes)
        if schema:
            found["parameters" if key == "subset" else "parametersJsonSchema"] = schema
    return found


def write_schema(schema: dict[str, Any], path: str, profile: Profile, notes: list[Note]) -> tuple[str, dict[str, Any]]:
    """("subset" or "json", the schema) in the language that the profile asks for, with a note for each cut."""
    if profile.schema_subset:
        found, cuts = to_subset(schema)
        notes += [Note(f"{path}.{cut.path}".rstrip("."), "weakened", cut.detail) for cut in cuts]
        return "subset", {} if found == {"type": "OBJECT"} else found
    return "json", without_refused(schema, profile.schema_unsupported, path, notes)


def _json_tool(request: Request, profile: Profile, names: ToolNames) -> dict[str, Any] | None:
    wanted = request.response_format
    if wanted is None or wanted.kind != "json_schema" or profile.structured_output != "tool" or not profile.tools:
        return None
    schema = wanted.schema or {"type": "object"}
    found: dict[str, Any] = {"name": names.free(JSON_TOOL), "description": "The final answer. Call it exactly once."}
    key, parameters = write_schema(schema, "response_format.schema", profile, [])
    if parameters:
        found["parameters" if key == "subset" else "parametersJsonSchema"] = parameters
    return found


def _served(tools: tuple[Tool, ...], functions: list[Any], profile: Profile, notes: list[Note]) -> dict[str, Any]:
    """The server tools that go out, by key."""
    found: dict[str, Any] = {}
    for number, tool in enumerate(tools):
        path = f"tools[{number}]"
        if tool.kind != "server":
            continue
        if tool.cache is not None:
            notes.append(Note(f"{path}.cache", "dropped", "Gemini caches prefixes by itself"))
        name = unversioned(tool.name)
        key = SERVER_TOOLS.get(name)
        if key is None:
            notes.append(Note(path, "dropped", f"Gemini has no tool {tool.name!r}, or it needs Gemini's own settings"))
        elif name in profile.unsupported:
            notes.append(Note(path, "dropped", "this host does not run it"))
        elif functions and profile.mixed_tools == "refused":
            notes.append(Note(path, "dropped", "this model takes either functions or its own tools"))
        else:
            _serve(replace(tool, name=name), key, path, profile, notes, found)
    return found


def _serve(tool: Tool, key: str, path: str, profile: Profile, notes: list[Note], found: dict[str, Any]) -> None:
    """Put one tool into `found`, unless it cannot be kept to its settings."""
    notes += leftovers(path, tool.extras)
    settings = _settings(tool, path, profile, notes)
    if settings is None:
        return
    said = write_tool_settings(tool.name, settings, None)
    if tool.name == "mcp":
        found.setdefault(key, []).append(said)
    elif found.setdefault(key, said) != said:
        notes.append(Note(path, "dropped", "Gemini takes one tool of a kind, with one set of settings"))


def _settings(tool: Tool, path: str, profile: Profile, notes: list[Note]) -> ToolSettings | None:
    """What Gemini can be told of the tool's settings; None where it must be left out."""
    if tool.name == "mcp":
        return mcp_server(tool, path, TABLES["mcp"].names, notes, _GOOGLE)
    if tool.name == "file_search":
        stores = () if tool.settings is None else tool.settings.stores or ()
        if not stores or not all(store.startswith(_STORE) for store in stores):
            notes.append(Note(path, "dropped", "Gemini reads only file search stores of its own"))
            return None
    table = TABLES.get(tool.name)
    known = frozenset() if table is None else table.names
    if not profile.search_excludes:
        known -= {"blocked_domains"}
    settings = sayable(tool, path, known, notes, _GOOGLE)
    return settings and without_schemes(settings)


def _tool_config(
    request: Request,
    profile: Profile,
    names: ToolNames,
    notes: list[Note],
    functions: list[Any],
    json_tool: dict[str, Any] | None,
) -> dict[str, Any]:
    if request.parallel_tool_calls is False:
        notes.append(Note("parallel_tool_calls", "dropped", "Gemini calls as many tools at once as it likes"))
    choice = request.tool_choice
    if choice is not None and "tool_choice" in profile.unsupported:
        notes.append(Note("tool_choice", "dropped", "this host or model does not take it"))
        choice = None
    if not functions:
        if choice is not None and choice.mode not in ("auto", "none"):
            notes.append(Note("tool_choice", "dropped", "there is no function to choose"))
        return {}
    if choice is not None:
        notes += leftovers("tool_choice", choice.extras)
    declared = {function["name"] for function in functions}
    if json_tool is not None:
        allowed = _forced(choice, names, declared, json_tool["name"])
        return {"functionCallingConfig": {"mode": "ANY", **({"allowedFunctionNames": allowed} if allowed else {})}}
    strict = profile.strict_tools and any(tool.strict for tool in request.tools or () if _ours(tool))
    config = _calling(choice, strict, names, declared, notes)
    return {"functionCallingConfig": config} if config else {}


def _forced(choice: ToolChoice | None, names: ToolNames, declared: set[str], json_tool: str) -> list[str]:
    """With an answer tool, the model must call that or one of the caller's; which of them, the caller's choice says.
    Empty: any.
    """
    if choice is None or choice.mode == "auto":
        return []
    if choice.mode == "none":
        return [json_tool]
    if choice.mode == "required":
        return sorted(declared - {json_tool})
    wanted = (choice.name,) if choice.mode == "tool" else choice.names or ()
    allowed = [names.write(name) for name in wanted if name is not None and names.write(name) in declared]
    return [*allowed, json_tool] if choice.allowed_mode == "auto" else allowed


def _calling(
    choice: ToolChoice | None, strict: bool, names: ToolNames, declared: set[str], notes: list[Note]
) -> dict[str, Any]:
    auto = "VALIDATED" if strict else "AUTO"
    if choice is None:
        return {"mode": auto} if strict else {}
    if choice.mode in ("tool", "allowed"):
        wanted = (choice.name,) if choice.mode == "tool" else choice.names or ()
        allowed = [names.write(name) for name in wanted if name is not None and names.write(name) in declared]
        if len(allowed) < len(wanted):
            notes.append(Note("tool_choice", "weakened", "only functions can be chosen, not tools of the provider"))
        if not allowed:
            return {"mode": auto}
        forced = choice.mode == "tool" or choice.allowed_mode == "required"
        return {"mode": "ANY" if forced else "VALIDATED", "allowedFunctionNames": allowed}
    return {"mode": {"required": "ANY", "none": "NONE"}.get(choice.mode, auto)}
