"""Settings of the tools that Anthropic runs, and its MCP servers, both ways.

    web_search_*, web_fetch_*    their settings stand flat in the tool
    mcp_toolset                  which tools of a server may be called: all but those that are off, or, where
                                 `default_config` says off, only those that `configs` turns on
    mcp_servers                  at the request's root: address and token of each server, by name

A toolset and its server are one Tool. A server without a toolset (the beta of April 2025 had none: which of its tools
are allowed stands in the server's `tool_configuration`) is a Tool too, with the native SERVER, behind the others. The
API calls every tool unasked, so `require_approval` is "never".

Source: https://platform.claude.com/docs/en/agents-and-tools/mcp-connector
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.tool_settings import Table, count, hide, location, names, says, text, unhidden
from penstock.types.content import Extras
from penstock.types.request import Tool
from penstock.types.tool_settings import ToolSettings

Object = dict[str, Any]

TABLES: dict[str, Table] = {
    "web_search": Table(names("allowed_domains"), names("blocked_domains"), location(), count("max_uses")),
    "web_fetch": Table(
        names("allowed_domains"),
        names("blocked_domains"),
        count("max_uses"),
        count("max_content_tokens"),
        narrowing={"url_sources": says},
    ),
}
"""Generic name -> the settings of Anthropic's tool."""

SERVER = "mcp_server"
"""`Tool.native` of a server without a toolset, and the key in the extras of a toolset for what else its server says."""
_TYPE = {"type": "url"}

_BESIDE_TOOLSET = Table(
    text("server_label", "name"),
    text("server_url", "url"),
    text("authorization", "authorization_token"),
    narrowing={"tool_configuration": says},
)
_ALONE = Table(
    *_BESIDE_TOOLSET.rows,
    names("allowed_tools", "tool_configuration.allowed_tools"),
    narrowing={"tool_configuration.enabled": lambda value: value is False},
)
_LABEL = Table(text("server_label", "mcp_server_name"), narrowing={"tools": says})

MCP_SETTINGS = frozenset({"server_label", "server_url", "authorization", "allowed_tools"})
"""What can be said of an MCP server here."""


# Toolsets.


def read_toolset(tool: Object) -> tuple[ToolSettings, Extras]:
    """The settings of an `mcp_toolset`, and what is left of it."""
    settings, left = _LABEL.read(tool)
    settings = replace(settings or ToolSettings(), require_approval="never")
    default, configs = left.get("default_config"), left.get("configs")
    off = isinstance(default, dict) and default.get("enabled") is False
    if isinstance(default, dict) and off and _are_objects(configs):
        allowed = [name for name, config in (configs or {}).items() if config.get("enabled") is True]
        left["default_config"] = _without_switch(default)
        if configs is not None:
            left["configs"] = {name: _without_switch(config, name in allowed) for name, config in configs.items()}
            if not any(says(_without_switch(config)) for config in configs.values()):
                hide(left, "configs")
        return replace(settings, allowed_tools=tuple(allowed)), left or None
    if off or not _all_on(configs):
        settings = replace(settings, narrowed_by=(*settings.narrowed_by, "configs"))
    return settings, left or None


def _are_objects(configs: Any) -> bool:
    return configs is None or (isinstance(configs, dict) and all(isinstance(each, dict) for each in configs.values()))


def _all_on(configs: Any) -> bool:
    return configs is None or (
        _are_objects(configs) and all(each.get("enabled") is not False for each in configs.values())
    )


def _without_switch(config: Object, wanted: bool = True) -> Object:
    return {key: value for key, value in config.items() if key != "enabled"} if wanted else config


def write_toolset(settings: ToolSettings | None, extras: Extras) -> Object:
    """The toolset again, without its type."""
    left = {key: value for key, value in unhidden(extras, "configs").items() if key != SERVER}
    found = _LABEL.write(settings, left)
    if settings is None or settings.allowed_tools is None:
        return found
    switches: Object = {"default_config": {"enabled": False}}
    if settings.allowed_tools:
        switches["configs"] = {name: {"enabled": True} for name in settings.allowed_tools}
    return wire.deep_merge(found, switches)


# Servers.


def join_servers(tools: tuple[Tool, ...], servers: Any) -> tuple[tuple[Tool, ...], list[int]] | None:
    """The tools with their servers, and the place of each server of the list among all that `write_servers` gives. None
    where `servers` is no list of named objects.
    """
    if not isinstance(servers, list) or not all(
        isinstance(each, dict) and type(each.get("name")) is str for each in servers
    ):
        return None
    joined = list(tools)
    waiting: dict[str, int] = {}
    for number, tool in enumerate(tools):
        if tool.native == "mcp_toolset" and tool.settings is not None and tool.settings.server_label is not None:
            waiting.setdefault(tool.settings.server_label, number)
    places: list[int] = []
    for server in servers:
        number = waiting.pop(server["name"], -1)
        if number < 0:
            joined.append(_server_alone(server))
            number = len(joined) - 1
        else:
            joined[number] = _with_server(joined[number], server)
        places.append(number)
    ranks = {number: rank for rank, number in enumerate(sorted(places))}
    return tuple(joined), [ranks[number] for number in places]


def _server_alone(server: Object) -> Tool:
    settings, left = _ALONE.read(server)
    if left.get("tool_configuration") == {"enabled": True}:
        hide(left, "tool_configuration")
    settings = replace(settings or ToolSettings(), require_approval="never")
    return Tool("mcp", "server", native=SERVER, extras={SERVER: left}, settings=settings)


def _with_server(tool: Tool, server: Object) -> Tool:
    settings, left = _BESIDE_TOOLSET.read(server)
    own = tool.settings or ToolSettings()
    if settings is not None:
        narrowed = (*own.narrowed_by, *settings.narrowed_by)
        own = replace(own, server_url=settings.server_url, authorization=settings.authorization, narrowed_by=narrowed)
    return replace(tool, settings=own, extras={**(tool.extras or {}), SERVER: left})


def write_servers(tools: Iterable[Tool], places: Any = None) -> list[Object]:
    """`mcp_servers` for these tools, in the order of `places` where that fits."""
    found = [_write_server(tool) for tool in tools if tool.kind == "server" and tool.name == "mcp"]
    servers = [server for server in found if server is not None]
    if isinstance(places, list) and sorted(places) == list(range(len(servers))):
        return [servers[place] for place in places]
    return servers


def _write_server(tool: Tool) -> Object | None:
    extras = tool.extras or {}
    if tool.settings is None or (tool.settings.server_url is None and SERVER not in extras and tool.native != SERVER):
        return None
    table = _ALONE if tool.native == SERVER else _BESIDE_TOOLSET
    return table.write(tool.settings, unhidden(extras.get(SERVER, _TYPE), "tool_configuration"))
