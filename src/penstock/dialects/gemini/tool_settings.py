"""Settings of the tools that Google runs, in both spellings (spelling.py says why there are two).

    googleSearch, enterpriseWebSearch    excludeDomains (Vertex AI)
    fileSearch                           fileSearchStoreNames, topK
    mcpServers                           name, streamableHttpTransport.url and .headers; its tools are called unasked

A span of time, a threshold for phishing sites or a filter over metadata narrow a tool in words that only Google has.

Source: https://ai.google.dev/api/caching#Tool,
https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/Tool
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from penstock.dialects.tool_settings import Row, Table, count, mapping, names, says, text
from penstock.types.content import Extras
from penstock.types.tool_settings import ToolSettings

_TRANSPORT = "streamableHttpTransport"


def _both(row: Row, other: str) -> tuple[Row, Row]:
    """The row, and the same in snake_case."""
    return row, replace(row, place=other)


TABLES: dict[str, Table] = {
    "web_search": Table(
        *_both(names("blocked_domains", "excludeDomains"), "exclude_domains"),
        narrowing=dict.fromkeys(
            (
                "timeRangeFilter",
                "time_range_filter",
                "blockingConfidence",
                "blocking_confidence",
                "customConfigs",
                "custom_configs",
            ),
            says,
        ),
    ),
    "file_search": Table(
        *_both(names("stores", "fileSearchStoreNames"), "file_search_store_names"),
        *_both(count("max_results", "topK"), "top_k"),
        narrowing=dict.fromkeys(("metadataFilter", "metadata_filter"), says),
    ),
    "mcp": Table(
        text("server_label", "name"),
        *_both(text("server_url", f"{_TRANSPORT}.url"), "streamable_http_transport.url"),
        *_both(mapping("headers", f"{_TRANSPORT}.headers"), "streamable_http_transport.headers"),
    ),
}
"""Generic name -> the settings of Google's tool."""


def read_tool_settings(name: str, inner: dict[str, Any]) -> tuple[ToolSettings | None, Extras]:
    """(the settings, the rest) of the object under a tool's key."""
    table = TABLES.get(name)
    if table is None:
        return None, inner or None
    settings, left = table.read(inner)
    if name == "mcp":
        settings = replace(settings or ToolSettings(), require_approval="never")
    return settings, left or None


def write_tool_settings(name: str, settings: ToolSettings | None, extras: Extras) -> dict[str, Any]:
    """The object again."""
    table = TABLES.get(name)
    return dict(extras or {}) if table is None else table.write(settings, extras)
