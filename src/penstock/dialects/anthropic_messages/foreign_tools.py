"""Provider-run tools of other dialects as Anthropic's, with their settings.

A tool that bears the name of a version of Anthropic's is Anthropic's, whoever carried it (callers of Chat Completions
send `{"type": "web_search_20250305", ...}` to Claude): it keeps its version, and all that was said to it. Others become
the version in DEFAULT_TYPES. An MCP server becomes an entry of `mcp_servers` and a toolset.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from penstock.dialects.anthropic_messages.foreign import Draft
from penstock.dialects.anthropic_messages.server_tools import MCP_SETTINGS, TABLES, write_servers, write_toolset
from penstock.dialects.anthropic_messages.tools import DEFAULT_TYPES, base_name, is_versioned
from penstock.dialects.leftovers import leftovers
from penstock.dialects.tool_settings import mcp_server, one_list, sayable, without_schemes
from penstock.types.request import Tool
from penstock.types.tool_settings import ToolSettings

Body = dict[str, Any]
_ANTHROPIC = "Anthropic"
_NONE: frozenset[str] = frozenset()


def write_server_tool(tool: Tool, path: str, draft: Draft) -> list[Body]:
    """The tool, in a list that is empty where it cannot be said."""
    if is_versioned(tool.name):
        return _write_own(tool, path, draft)
    draft.notes += leftovers(path, tool.extras)
    if tool.name == "mcp":
        return _write_mcp(tool, path, draft)
    known = DEFAULT_TYPES.get(tool.name)
    if known is None:
        return draft.drop(path, f"Anthropic runs no tool {tool.name!r}, or it needs settings that were not said")
    settings = _settings(tool, tool.name, path, draft)
    if settings is None:
        return []
    table = TABLES.get(tool.name)
    said = {} if table is None else table.write(settings, None)
    return [draft.mark({"type": known[0], "name": known[1], **said}, tool.cache, path)]


def _settings(tool: Tool, name: str, path: str, draft: Draft) -> ToolSettings | None:
    table = TABLES.get(name)
    settings = sayable(tool, path, _NONE if table is None else table.names, draft.notes, _ANTHROPIC)
    settings = settings and one_list(settings, path, draft.notes, _ANTHROPIC)
    return settings and without_schemes(settings)


def _write_own(tool: Tool, path: str, draft: Draft) -> list[Body]:
    """One of Anthropic's own, in its own words: what the carrier did not understand goes along."""
    name = base_name(tool.name)
    extras = {key: value for key, value in (tool.extras or {}).items() if not key.startswith("(")}
    plain = replace(tool, settings=replace(tool.settings, narrowed_by=())) if tool.settings else tool
    settings = _settings(plain, name, path, draft)
    if settings is None:
        return []
    table = TABLES.get(name)
    said = extras if table is None else table.write(settings, extras)
    return [draft.mark({"name": name, **said, "type": tool.name}, tool.cache, path)]


def _write_mcp(tool: Tool, path: str, draft: Draft) -> list[Body]:
    settings = mcp_server(tool, path, MCP_SETTINGS, draft.notes, _ANTHROPIC)
    if settings is None:
        return []
    taken = {server["name"] for server in draft.servers}
    label = _free(settings.server_label or "mcp", taken)
    if label != settings.server_label:
        draft.note(f"{path}.settings.server_label", "changed", f"each server has a name of its own here: {label!r}")
    settings = replace(settings, server_label=label)
    draft.servers += write_servers([Tool("mcp", "server", settings=settings)])
    return [draft.mark({"type": "mcp_toolset", **write_toolset(settings, None)}, tool.cache, path)]


def _free(label: str, taken: set[str]) -> str:
    return next(name for name in (label, *(f"{label}_{number}" for number in range(2, 999))) if name not in taken)
