"""Provider-run tools of other dialects as OpenAI's.

SERVER_TOOLS says which of OpenAI's tools each is, with the settings that OpenAI demands, and which settings of the
caller it can be given. An MCP server and a file search are nothing without theirs.

Sources: https://platform.openai.com/docs/api-reference/responses/create (tools),
https://developers.openai.com/api/docs/guides/tools-connectors-mcp.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from penstock.dialects.openai_responses.tools import HOSTED
from penstock.dialects.tool_settings import mcp_server, one_list, sayable, unversioned, without_schemes
from penstock.types.notes import Note
from penstock.types.profile import Profile
from penstock.types.request import Tool
from penstock.types.tool_settings import ToolSettings

_OPENAI = "Responses"


class Hosted(Struct, frozen=True):
    """One of OpenAI's tools: its type, what it demands, the settings that it takes."""

    type: str
    demands: dict[str, Any] | None = None
    settings: frozenset[str] = frozenset()


SERVER_TOOLS: dict[str, Hosted] = {
    "web_search": Hosted("web_search", None, frozenset({"allowed_domains", "user_location", "search_context_size"})),
    "code_execution": Hosted("code_interpreter", {"container": {"type": "auto"}}),
    "image_generation": Hosted("image_generation"),
    "computer": Hosted("computer"),
    "bash": Hosted("shell", {"environment": {"type": "local"}}),
    "tool_search": Hosted("tool_search"),
    "file_search": Hosted("file_search", None, frozenset({"stores", "max_results"})),
    "mcp": Hosted(
        "mcp",
        None,
        frozenset(
            {
                "server_label",
                "server_url",
                "server_description",
                "authorization",
                "headers",
                "allowed_tools",
                "require_approval",
            }
        ),
    ),
}
"""Generic name -> OpenAI's tool."""
assert all(HOSTED[hosted.type] == name for name, hosted in SERVER_TOOLS.items())

_GOOGLE_STORE = "fileSearchStores/"
"""What the names of Google's stores begin with, which OpenAI cannot read."""


def adapt_server_tool(tool: Tool, path: str, profile: Profile, notes: list[Note]) -> Tool | None:
    """`tool` as one of OpenAI's, or None. `notes` grows."""
    name = unversioned(tool.name)
    hosted = SERVER_TOOLS.get(name)
    if hosted is None:
        notes.append(Note(path, "dropped", f"Responses has no tool {tool.name!r}"))
        return None
    settings = _SPECIAL.get(name, _settings)(tool, path, hosted, profile, notes)
    if settings is None:
        return None
    return Tool(name, "server", native=hosted.type, extras=hosted.demands, settings=settings)


def _settings(tool: Tool, path: str, hosted: Hosted, profile: Profile, notes: list[Note]) -> ToolSettings | None:
    return sayable(tool, path, hosted.settings, notes, _OPENAI)


def _search(tool: Tool, path: str, hosted: Hosted, profile: Profile, notes: list[Note]) -> ToolSettings | None:
    known = hosted.settings | {"blocked_domains"} if profile.search_excludes else hosted.settings
    settings = sayable(tool, path, known, notes, _OPENAI)
    settings = settings and one_list(settings, path, notes, _OPENAI)
    return settings and without_schemes(settings)


def _files(tool: Tool, path: str, hosted: Hosted, profile: Profile, notes: list[Note]) -> ToolSettings | None:
    stores = () if tool.settings is None else tool.settings.stores or ()
    if not stores or any(store.startswith(_GOOGLE_STORE) for store in stores):
        notes.append(Note(path, "dropped", "Responses reads only the files in its own provider's vector stores"))
        return None
    return sayable(tool, path, hosted.settings, notes, _OPENAI)


_LABEL = re.compile(r"[^A-Za-z0-9_-]")


def _server(tool: Tool, path: str, hosted: Hosted, profile: Profile, notes: list[Note]) -> ToolSettings | None:
    settings = mcp_server(tool, path, hosted.settings, notes, _OPENAI)
    if settings is None or settings.server_label is None:
        return settings
    label = _LABEL.sub("_", settings.server_label)
    label = label if label[:1].isalpha() else f"mcp_{label}"
    if label != settings.server_label:
        notes.append(Note(f"{path}.settings.server_label", "changed", f"a label starts with a letter here: {label!r}"))
    return replace(settings, server_label=label)


_SPECIAL: dict[str, Any] = {"web_search": _search, "file_search": _files, "mcp": _server}
