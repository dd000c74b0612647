"""Tools and tool choice, both ways.

    custom (or no type)       a function of the caller (https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use)
    <name>_<yyyymmdd>         a tool that Anthropic runs or defines: versioned; server_tools.py reads its settings
    mcp_toolset, *_toolset_*  tools of a server or a family; they bear no `name`

`disable_parallel_tool_use` stands inside of `tool_choice` on the wire and is `Request.parallel_tool_calls` in the
representation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from penstock.dialects import wire
from penstock.dialects.anthropic_messages.access import (
    cache_at,
    keep_private,
    maybe_at,
    text_at,
    with_private,
    write_cache,
)
from penstock.dialects.anthropic_messages.server_tools import SERVER, TABLES, read_toolset, write_toolset
from penstock.types.errors import MalformedError
from penstock.types.request import Tool, ToolChoice

GENERIC_NAMES = {
    "tool_search_tool_bm25": "tool_search",
    "tool_search_tool_regex": "tool_search",
    "mcp_toolset": "mcp",
    "computer_toolset": "computer",
}
"""Type without its version -> generic name, where the two differ."""

DEFAULT_TYPES: dict[str, tuple[str, str]] = {
    "web_search": ("web_search_20250305", "web_search"),
    "web_fetch": ("web_fetch_20250910", "web_fetch"),
    "code_execution": ("code_execution_20250825", "code_execution"),
    "bash": ("bash_20250124", "bash"),
    "text_editor": ("text_editor_20250728", "str_replace_based_edit_tool"),
    "memory": ("memory_20250818", "memory"),
    "tool_search": ("tool_search_tool_bm25_20251119", "tool_search_tool_bm25"),
    "mcp": ("mcp_toolset", "mcp_toolset"),
}
"""(type, name) that a generic server tool of another dialect becomes: the most widely served version of those that
need no settings. Source: https://platform.claude.com/docs/en/agents-and-tools/tool-use/tool-reference"""


def own_name(generic: str) -> str:
    """What Anthropic's tool with this generic name is called in a choice."""
    return DEFAULT_TYPES[generic][1] if generic in DEFAULT_TYPES else generic


_VERSION = re.compile(r"_\d{8}$")
_BASES = {base for base, _ in DEFAULT_TYPES.items()} | {*GENERIC_NAMES, "computer", "advisor"}


def base_name(kind: str) -> str:
    """A type without its version: "web_search" of "web_search_20250305"."""
    return _VERSION.sub("", kind)


def is_versioned(kind: str) -> bool:
    """Whether this is a version of one of the tools that we know to be Anthropic's."""
    return _VERSION.search(kind) is not None and base_name(kind) in _BASES


def read_tool(value: Any) -> Tool:
    """One element of `tools`."""
    tool = wire.obj(value)
    kind = maybe_at(tool, "type", wire.string)
    if kind is not None and kind != "custom":
        return _read_server_tool(tool, kind)
    name, schema = text_at(tool, "name"), maybe_at(tool, "input_schema", wire.obj)
    description = maybe_at(tool, "description", wire.string)
    if len(tool) == 3 and schema is not None and description is not None:
        return Tool(name, "function", description, schema)
    return Tool(
        name,
        "function",
        description,
        schema,
        maybe_at(tool, "strict", wire.boolean),
        cache=cache_at(tool),
        native=kind,
        extras=wire.rest(tool, _TOOL_KEYS),
    )


_TOOL_KEYS = frozenset({"type", "name", "description", "input_schema", "strict", "cache_control"})


def _read_server_tool(tool: dict[str, Any], kind: str) -> Tool:
    """Its `name` on the wire is a setting like the others: the same for all users of a version."""
    base = base_name(kind)
    extras, settings = wire.rest(tool, _SERVER_TOOL_KEYS), None
    if base == _TOOLSET:
        settings, extras = read_toolset(extras or {})
    elif base in TABLES and extras is not None:
        settings, extras = TABLES[base].read(extras)
    return Tool(
        GENERIC_NAMES.get(base, base),
        "server",
        cache=cache_at(tool),
        native=kind,
        extras=keep_private(extras or None, "name"),
        settings=settings,
    )


_SERVER_TOOL_KEYS = frozenset({"type", "cache_control"})
_TOOLSET = "mcp_toolset"


def _write_server_tool(tool: Tool) -> dict[str, Any]:
    kind, name = (tool.native, None) if tool.native else DEFAULT_TYPES.get(tool.name, (tool.name, tool.name))
    extras = with_private(tool.extras, "name") if tool.extras else None
    base = GENERIC_NAMES.get(base_name(kind or ""), base_name(kind or ""))
    if base == "mcp":
        found = write_toolset(tool.settings, extras)
    elif base in TABLES:
        found = TABLES[base].write(tool.settings, extras)
    else:
        found = dict(extras or {})
    found = {**found, "type": kind} if name is None or base == "mcp" else {"name": name, **found, "type": kind}
    if tool.cache is not None:
        found["cache_control"] = write_cache(tool.cache)
    return found


def is_listed(tool: Tool) -> bool:
    """Whether the tool stands in `tools`: a server without a toolset stands in `mcp_servers` alone."""
    return tool.native != SERVER


def write_tool(tool: Tool) -> dict[str, Any]:
    """A tool of this dialect again."""
    if tool.kind == "server":
        return _write_server_tool(tool)
    found: dict[str, Any] = {"name": tool.name}
    if tool.native is not None:
        found["type"] = tool.native
    if tool.description is not None:
        found["description"] = tool.description
    if tool.parameters is not None:
        found["input_schema"] = tool.parameters
    if tool.strict is not None:
        found["strict"] = tool.strict
    if tool.cache is not None:
        found["cache_control"] = write_cache(tool.cache)
    return {**tool.extras, **found} if tool.extras else found


_MODES: dict[str, Any] = {"auto": "auto", "any": "required", "tool": "tool", "none": "none"}
_WORDS = {mode: word for word, mode in _MODES.items()}


def read_tool_choice(value: Any) -> tuple[ToolChoice, bool | None]:
    """(choice, whether parallel calls are allowed) of `tool_choice`."""
    choice = wire.obj(value)
    mode = _MODES.get(text_at(choice, "type"))
    if mode is None:
        raise MalformedError(f"expected one of auto, any, tool, none, got {choice['type']!r}", "type")
    disabled = maybe_at(choice, "disable_parallel_tool_use", wire.boolean)
    name = text_at(choice, "name") if mode == "tool" else None
    known = _CHOICE_KEYS if mode == "tool" else _NAMELESS_KEYS
    return ToolChoice(mode, name, extras=wire.rest(choice, known)), None if disabled is None else not disabled


_CHOICE_KEYS = frozenset({"type", "name", "disable_parallel_tool_use"})
_NAMELESS_KEYS = frozenset({"type", "disable_parallel_tool_use"})


def write_tool_choice(choice: ToolChoice | None, parallel: bool | None) -> dict[str, Any]:
    """`tool_choice` again. Without a choice, the permission of parallel calls is one of its own: auto, or not in
    parallel.
    """
    mode = "auto" if choice is None else choice.mode
    if choice is not None and mode == "allowed":
        mode = choice.allowed_mode or "auto"
    found: dict[str, Any] = {"type": _WORDS[mode]}
    if choice is not None and choice.name is not None:
        found["name"] = choice.name
    if parallel is not None:
        found["disable_parallel_tool_use"] = not parallel
    return wire.merge(None if choice is None else choice.extras, found)


_FORBIDDEN = re.compile(r"[^a-zA-Z0-9_-]")
MAX_NAME = 128


class Names:
    """Wire names for names that may hold anything, one to one, and the way back.

    Anthropic takes `^[a-zA-Z0-9_-]{1,128}$` for tools, and the same characters for call ids. A name that fits stays
    as it is.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.back: dict[str, str] = {}
        self._wire: dict[str, str] = {}
        for name in taken:
            if not _FORBIDDEN.search(name) and 0 < len(name) <= MAX_NAME:
                self._wire[name] = self.back[name] = name

    def wire(self, name: str) -> str:
        """The wire name of `name`: always the same one."""
        return self._wire.get(name) or self.fresh(name)

    def fresh(self, name: str) -> str:
        """A wire name for `name` that nothing else has, which `wire` gives from now on."""
        base = _FORBIDDEN.sub("_", name)[:MAX_NAME] or "_"
        found, number = base, 2
        while found in self.back:
            ending = f"_{number}"
            found, number = base[: MAX_NAME - len(ending)] + ending, number + 1
        self._wire[name], self.back[found] = found, name
        return found

    def changed(self) -> dict[str, str] | None:
        """Wire name -> name, of those that differ."""
        return {found: name for found, name in self.back.items() if found != name} or None
