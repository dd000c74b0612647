"""Tools that a host runs itself, in Chat Completions, both ways.

OpenAI has one, and that not among the tools; hosts have many. What stands in `tools`:

    openrouter:web_search, openrouter:web_fetch     OpenRouter's; their settings in `parameters`
    browser_search, code_interpreter                Groq's
    web_search_20250305, mcp, file_search ...       Anthropic's and OpenAI's own, which proxies pass on; settings flat
    {"googleSearch": {}}                            Gemini's, without a type

What stands at the root of the request, and becomes the last tool (its `native` is the name; ROOT holds them all):

    web_search_options       OpenAI's search models
    search_domain_filter     the same, with Perplexity's list of domains beside it ("-" before a domain excludes it)
    plugins                  OpenRouter's older way: the entry with the id "web"
    search_parameters        xAI's Live Search, of which one source is the web

The suffix `:online` of OpenRouter's models is a part of the model's name, and stays one.

Sources: https://platform.openai.com/docs/guides/tools-web-search, https://docs.perplexity.ai (search_domain_filter),
https://openrouter.ai/docs/guides/features/server-tools/web-search, https://docs.x.ai/docs/guides/live-search.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.leftovers import leftovers
from penstock.dialects.openai_tool_settings import generic_of, read_tool_settings, table_of, write_tool_settings
from penstock.dialects.tool_settings import (
    UNREAD,
    Row,
    Table,
    count,
    hide,
    location,
    names,
    one_list,
    sayable,
    says,
    text,
    unhidden,
    unversioned,
)
from penstock.types.content import Cache, Extras
from penstock.types.notes import Note
from penstock.types.profile import Profile
from penstock.types.request import Tool
from penstock.types.tool_settings import ToolSettings, UserLocation

Object = dict[str, Any]

OPTIONS, FILTERED, PLUGINS, LIVE = "web_search_options", "search_domain_filter", "plugins", "search_parameters"
ROOT = frozenset({OPTIONS, FILTERED, PLUGINS, LIVE})
"""`Tool.native` of the tools that do not stand in `tools`."""
UNTYPED = "untyped"
"""`Tool.native` of a tool without a type."""

_ALIASES = {
    "browser_search": "web_search",
    "web_search_preview": "web_search",
    "web_search_preview_2025_03_11": "web_search",
    "web_search_2025_08_26": "web_search",
    "code_interpreter": "code_execution",
}
"""Type -> generic name, where they differ."""
_GOOGLE_KEYS = {
    "googleSearch": "web_search",
    "google_search": "web_search",
    "enterpriseWebSearch": "web_search",
    "codeExecution": "code_execution",
    "code_execution": "code_execution",
    "urlContext": "web_fetch",
    "url_context": "web_fetch",
    "googleMaps": "maps",
    "google_maps": "maps",
}
"""Key of a tool without a type -> generic name."""

_GOOGLE = Table(
    names("blocked_domains", "googleSearch.excludeDomains"),
    names("blocked_domains", "google_search.exclude_domains"),
    names("blocked_domains", "enterpriseWebSearch.excludeDomains"),
    narrowing=dict.fromkeys(("googleSearch", "google_search", "enterpriseWebSearch", "urlContext"), says),
)

# Tools in `tools`.


def is_untyped(tool: Object) -> bool:
    """Whether it is a tool of Google's in Google's own words, beside nothing but a cache marker."""
    keys = tool.keys() - {"cache_control"}
    return len(keys) == 1 and not keys.isdisjoint(_GOOGLE_KEYS)


def read_server_tool(tool: Object, cache: Cache | None) -> Tool:
    """One element of `tools` that is neither a function nor a custom tool. Raises MalformedError for a type that is no
    string.
    """
    rest = wire.rest(tool, _KEYS) or {}
    if "type" not in tool:
        settings, left = _GOOGLE.read(rest)
        name = next(name for key, name in _GOOGLE_KEYS.items() if key in rest)
        return Tool(name, "server", cache=cache, native=UNTYPED, extras=left, settings=settings)
    kind = wire.string(tool["type"])
    name = _ALIASES.get(kind) or generic_of(kind)
    settings, extras = read_tool_settings(rest, kind, unversioned(name))
    if extras is not None and extras.get("name") == unversioned(name):
        hide(extras, "name")  # a constant of Anthropic's
    return Tool(name, "server", cache=cache, native=kind, extras=extras, settings=settings)


_KEYS = frozenset({"type", "cache_control"})


def write_server_tool(tool: Tool) -> Object:
    """The element of `tools` again, without its cache marker."""
    if tool.native == UNTYPED:
        return _GOOGLE.write(tool.settings, tool.extras)
    kind = tool.native or tool.name
    extras = unhidden(tool.extras, "name")
    return {**write_tool_settings(tool.settings, extras, kind, unversioned(tool.name)), "type": kind}


# Tools at the root.

_OPTIONS = Table(
    text("search_context_size"),
    location(inner="approximate"),
    location(),
    names("allowed_domains", "filters.allowed_domains"),
    narrowing={"filters": says},
)
_PLUGIN = Table(
    names("allowed_domains", "include_domains"),
    names("blocked_domains", "exclude_domains"),
    location(),
    count("max_uses"),
    count("max_results"),
)
_LIVE = Table(count("max_results", "max_search_results"), narrowing={"from_date": says, "to_date": says})
_WEB_SOURCE = Table(
    names("allowed_domains", "allowed_websites"),
    names("blocked_domains", "excluded_websites"),
    Row(
        "user_location",
        "country",
        lambda value: UserLocation(country=value) if type(value) is str else UNREAD,
        lambda value: value.country,
    ),
)
_SOURCE, _PLACE = "(source)", "(place)"
"""Keys of a tool's extras: what is left of xAI's web source; where among the plugins or sources ours stood."""


def read_root_tools(extras: Object) -> list[Tool]:
    """The tools at the root, taken out of the request's unmodelled fields."""
    found = [read(extras) for name, read in _READERS.items() if name in extras]
    return [tool for tool in found if tool is not None]


def _read_options(extras: Object) -> Tool | None:
    options = extras[OPTIONS]
    if not isinstance(options, dict):
        return None
    del extras[OPTIONS]
    settings, left = _OPTIONS.read(options)
    domains = extras.get(FILTERED)
    lists = _split_domains(domains) if settings is None or settings.allowed_domains is None else None
    if lists is not None:
        del extras[FILTERED]
        settings = replace(settings or ToolSettings(), **lists)
    elif says(domains):
        settings = settings or ToolSettings()
        settings = replace(settings, narrowed_by=(*settings.narrowed_by, FILTERED))
    native = OPTIONS if lists is None else FILTERED
    return Tool("web_search", "server", native=native, extras=left or None, settings=settings)


def _split_domains(domains: Any) -> dict[str, tuple[str, ...]] | None:
    """Perplexity's list: domains to search, or, all of them behind "-", domains not to search."""
    if type(domains) is not list or not domains or not all(type(each) is str for each in domains):
        return None
    excluded = [each.startswith("-") for each in domains]
    if all(excluded):
        return {"blocked_domains": tuple(each[1:] for each in domains)}
    return None if any(excluded) else {"allowed_domains": tuple(domains)}


def _read_plugin(extras: Object) -> Tool | None:
    plugins = extras[PLUGINS]
    if type(plugins) is not list or not all(type(each) is dict for each in plugins):
        return None
    place = next((number for number, each in enumerate(plugins) if each.get("id") == "web"), None)
    if place is None or plugins[place].get("enabled") not in (None, True):
        return None
    others = [*plugins[:place], *plugins[place + 1 :]]
    if others:
        extras[PLUGINS] = others
    else:
        del extras[PLUGINS]
    settings, left = _PLUGIN.read(plugins[place])
    del left["id"]
    if left.get("enabled") is True:
        hide(left, "enabled")
    return Tool("web_search", "server", native=PLUGINS, extras={**left, _PLACE: place}, settings=settings)


def _read_live(extras: Object) -> Tool | None:
    """`search_parameters` that search the web. Other sources (X, news, feeds) are xAI's alone."""
    options = extras[LIVE]
    if type(options) is not dict or options.get("mode") not in (None, "on", "auto"):
        return None
    sources = options.get("sources")
    place, source = _web_source(sources)
    if source is None and says(sources):
        return None
    del extras[LIVE]
    settings, left = _LIVE.read(options)
    if left.get("mode") == "auto":
        hide(left, "mode")
    if source is not None and type(sources) is list:
        domains, rest = _WEB_SOURCE.read(source)
        settings = _joined(settings, domains)
        left = {**left, _SOURCE: rest, _PLACE: place, "sources": [*sources[:place], *sources[place + 1 :]]}
    return Tool("web_search", "server", native=LIVE, extras=left or None, settings=settings)


def _web_source(sources: Any) -> tuple[int, Object | None]:
    """(place, source) of the only source that is the web."""
    if type(sources) is not list or not all(type(each) is dict for each in sources):
        return -1, None
    found = [(place, each) for place, each in enumerate(sources) if each.get("type") == "web"]
    return found[0] if len(found) == 1 else (-1, None)


def _joined(settings: ToolSettings | None, other: ToolSettings | None) -> ToolSettings | None:
    if settings is None or other is None:
        return settings or other
    said = {name: getattr(other, name) for name in other.__struct_fields__ if getattr(other, name) is not None}
    return replace(settings, **{**said, "narrowed_by": (*settings.narrowed_by, *other.narrowed_by)})


_READERS = {PLUGINS: _read_plugin, LIVE: _read_live, OPTIONS: _read_options}


def write_root_tool(tool: Tool, extras: Extras, found: Object) -> None:
    """Put a tool at the root of the body `found`; `extras` are the request's."""
    _WRITERS[tool.native or OPTIONS](tool, extras or {}, found)


def _write_options(tool: Tool, extras: Object, found: Object) -> None:
    found[OPTIONS] = _OPTIONS.write(tool.settings, tool.extras)


def _write_filtered(tool: Tool, extras: Object, found: Object) -> None:
    settings = tool.settings or ToolSettings()
    plain = replace(settings, allowed_domains=None)
    found[OPTIONS] = _OPTIONS.write(plain, tool.extras)
    blocked = [f"-{each}" for each in settings.blocked_domains or ()]
    domains = [*(settings.allowed_domains or ()), *blocked]
    if domains:
        found[FILTERED] = domains


def _write_plugin(tool: Tool, extras: Object, found: Object) -> None:
    left = unhidden(tool.extras, "enabled")
    place = left.pop(_PLACE, 0)
    others = extras.get(PLUGINS)
    plugins = list(others) if isinstance(others, list) else []
    plugins.insert(place, {**_PLUGIN.write(tool.settings, left), "id": "web"})
    found[PLUGINS] = plugins


def _write_live(tool: Tool, extras: Object, found: Object) -> None:
    left = unhidden(tool.extras, "mode")
    source, place = left.pop(_SOURCE, None), left.pop(_PLACE, 0)
    domains = _WEB_SOURCE.write(tool.settings, source)
    if source is not None or domains:
        others = left.get("sources")
        sources = list(others) if isinstance(others, list) else []
        sources.insert(place, {"type": "web", **domains})
        left["sources"] = sources
    found[LIVE] = _LIVE.write(tool.settings, left)


_WRITERS = {OPTIONS: _write_options, FILTERED: _write_filtered, PLUGINS: _write_plugin, LIVE: _write_live}

# Tools of other dialects.

_SEARCH = frozenset({"search_context_size", "user_location"})
_SAYABLE: dict[str, frozenset[str]] = {
    OPTIONS: _SEARCH,
    FILTERED: _SEARCH | {"allowed_domains", "blocked_domains"},
    PLUGINS: _PLUGIN.names,
}
"""The settings that the tools at the root take. Those in `tools` take what their tables say."""
_DEMANDS: dict[str, Object] = {"code_interpreter": {"container": {"type": "auto"}}}
_CHAT = "this host"


def adapt_server_tool(tool: Tool, path: str, profile: Profile, notes: list[Note]) -> Tool | None:
    """`tool` as one that the host runs, or None. `notes` grows."""
    name = unversioned(tool.name)
    form = profile.server_tools.get(name, OPTIONS if name == "web_search" else None)
    if form is None:
        notes.append(Note(path, "dropped", f"Chat Completions has no provider-run tool {tool.name!r}"))
        return None
    notes += leftovers(path, tool.extras)
    table = table_of(form, name) if form.startswith("openrouter:") else None
    known = _SAYABLE.get(form, frozenset() if table is None else table.names)
    settings = sayable(tool, path, known, notes, _CHAT)
    settings = settings and one_list(settings, path, notes, _CHAT)
    if settings is None:
        return None
    return Tool(name, "server", native=form, extras=_DEMANDS.get(form), settings=settings)
