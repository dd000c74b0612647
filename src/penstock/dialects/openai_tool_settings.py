"""Settings of provider-run tools in OpenAI's words, which Responses has and Chat Completions carries for many hosts:
flat in the tool, or, of OpenRouter's tools, in its `parameters`.

Sources: https://platform.openai.com/docs/api-reference/responses/create (tools),
https://openrouter.ai/docs/guides/features/server-tools/web-search, https://docs.x.ai/docs/guides/tools/overview. What
Chat Completions carries to Claude has Anthropic's words: allowed_domains, max_uses ... beside `type`.
"""

from __future__ import annotations

from typing import Any

from penstock.dialects.tool_settings import (
    UNREAD,
    Object,
    Row,
    Table,
    count,
    location,
    mapping,
    names,
    says,
    text,
)
from penstock.types.content import Extras
from penstock.types.request import SERVER_TOOLS
from penstock.types.tool_settings import ToolSettings

_APPROVAL = Row(
    "require_approval",
    "require_approval",
    lambda value: value if type(value) in (str, dict) else UNREAD,
    lambda value: value,
)

_FLAT: dict[str, Table] = {
    "web_search": Table(
        names("allowed_domains", "filters.allowed_domains"),
        names("allowed_domains"),
        names("blocked_domains", "filters.excluded_domains"),
        names("blocked_domains", "filters.blocked_domains"),
        names("blocked_domains"),
        location(),
        text("search_context_size"),
        count("max_uses"),
        count("max_results"),
        narrowing={
            "filters": says,
            "external_web_access": lambda value: value is False,
            "web_search.search_domain_filter": says,  # Z.ai
        },
    ),
    "web_fetch": Table(
        names("allowed_domains"), names("blocked_domains"), count("max_uses"), count("max_content_tokens")
    ),
    "file_search": Table(
        names("stores", "vector_store_ids"), count("max_results", "max_num_results"), narrowing={"filters": says}
    ),
    "mcp": Table(
        text("server_label"),
        text("server_url"),
        text("server_description"),
        text("authorization"),
        mapping("headers"),
        names("allowed_tools"),
        names("allowed_tools", "allowed_tools.tool_names"),
        _APPROVAL,
    ),
}
_OPENROUTER: dict[str, Table] = {
    "web_search": Table(
        names("allowed_domains", "parameters.allowed_domains"),
        names("blocked_domains", "parameters.excluded_domains"),
        location("parameters.user_location"),
        text("search_context_size", "parameters.search_context_size"),
        count("max_uses", "parameters.max_uses"),
        count("max_results", "parameters.max_results"),
    ),
    "web_fetch": Table(
        names("allowed_domains", "parameters.allowed_domains"),
        names("blocked_domains", "parameters.blocked_domains"),
        count("max_uses", "parameters.max_uses"),
        count("max_content_tokens", "parameters.max_content_tokens"),
    ),
}
_PREFIX = "openrouter:"


def generic_of(kind: str) -> str:
    """The generic name in a type: "web_search" of "openrouter:web_search"; other types are their own."""
    last = kind.rpartition(":")[2]
    return last if last in SERVER_TOOLS else kind


def table_of(kind: str, name: str) -> Table | None:
    """The table for a tool of this type and generic name."""
    return (_OPENROUTER if kind.startswith(_PREFIX) else _FLAT).get(name)


def read_tool_settings(tool: Object, kind: str, name: str) -> tuple[ToolSettings | None, Extras]:
    """(the settings, the rest) of a tool; `tool` holds its own keys only, without `type`."""
    table = table_of(kind, name)
    if table is None or not tool:
        return None, tool or None
    settings, left = table.read(tool)
    return settings, left or None


def write_tool_settings(settings: ToolSettings | None, extras: Extras, kind: str, name: str) -> dict[str, Any]:
    """The tool's own keys again."""
    table = table_of(kind, name)
    return dict(extras or {}) if table is None else table.write(settings, extras)
