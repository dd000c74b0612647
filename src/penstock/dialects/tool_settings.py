"""Settings of provider-run tools on the wire: a table for each kind of tool, read and written; and what becomes of the
settings that a target cannot say.

A row names the field of ToolSettings and the place on the wire, whose dots lead into objects:

    WEB_SEARCH = Table(domains("filters.allowed_domains", "allowed_domains"), location("user_location"), ...)

Reading never fails: a value of an unexpected shape stays in the extras, as do the objects on the way, emptied, so that
the same format says it all again. What is there and was not understood, though it narrows the tool, is named in
`narrowed_by`.

Writing for another format follows one rule (docs/decisions/0007): what narrows a tool arrives, or the tool is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from penstock.dialects import wire
from penstock.types.content import Extras
from penstock.types.notes import Note
from penstock.types.request import Tool
from penstock.types.tool_settings import NARROWING, ToolSettings, UserLocation

Object = dict[str, Any]

UNREAD = object()
"""What a reader returns for a value of another shape than it expects."""


class Row(Struct, frozen=True):
    """One setting: its field, its place, and how the wire's value is read and written. A reader may leave something of
    an object: it returns (value, what is left) if `partly`.
    """

    name: str
    place: str
    read: Callable[[Any], Any]
    write: Callable[[Any], Any]
    partly: bool = False


def text(name: str, place: str = "") -> Row:
    """A string."""
    return Row(name, place or name, lambda value: value if type(value) is str else UNREAD, _same)


def count(name: str, place: str = "") -> Row:
    """A whole number."""
    return Row(name, place or name, lambda value: value if type(value) is int else UNREAD, _same)


def names(name: str, place: str = "") -> Row:
    """A list of strings."""
    return Row(name, place or name, _read_names, list)


def mapping(name: str, place: str = "") -> Row:
    """An object of strings."""
    return Row(name, place or name, _read_mapping, dict)


def location(place: str = "user_location", inner: str = "") -> Row:
    """A user's location; `inner` is the key of the object within the object that holds it (Chat Completions)."""
    return Row("user_location", place, lambda value: _read_location(value, inner), _LocationWriter(inner), True)


def _same(value: Any) -> Any:
    return value


def _read_names(value: Any) -> Any:
    return tuple(value) if type(value) is list and all(type(each) is str for each in value) else UNREAD


def _read_mapping(value: Any) -> Any:
    return value if type(value) is dict and all(type(each) is str for each in value.values()) else UNREAD


_LOCATION = UserLocation.__struct_fields__


def _read_location(value: Any, inner: str) -> Any:
    holder = value.get(inner) if inner and type(value) is dict else value
    if type(holder) is not dict:
        return UNREAD
    found = {name: holder[name] for name in _LOCATION if type(holder.get(name)) is str}
    left = {key: each for key, each in holder.items() if key not in found}
    return (UserLocation(**found), {**value, inner: left} if inner else left) if found else UNREAD


class _LocationWriter(Struct, frozen=True):
    inner: str

    def __call__(self, value: UserLocation) -> Object:
        said = {name: getattr(value, name) for name in _LOCATION if getattr(value, name) is not None}
        return {"type": "approximate", self.inner: said} if self.inner else {"type": "approximate", **said}


class Table:
    """The settings of one kind of tool in one format. Of several rows for one setting, the first is the usual place;
    that another one was used is remembered in the extras, under the setting's name in parentheses. `narrowing` names
    the places of what narrows the tool and is not modelled, each with a test of whether its value does.
    """

    __slots__ = ("_narrowing", "_usual", "names", "rows")

    def __init__(self, *rows: Row, narrowing: Mapping[str, Callable[[Any], bool]] | None = None) -> None:
        self.rows = rows
        self.names = frozenset(row.name for row in rows)
        self._usual = {row.name: row for row in reversed(rows)}
        unread = {row.place: says for row in rows if row.name in NARROWING}
        self._narrowing = {**unread, **(narrowing or {})}

    def read(self, tool: Object) -> tuple[ToolSettings | None, Object]:
        """(the settings, what is left of the object)."""
        if not tool:
            return None, tool
        left = dict(tool)
        values: Object = {}
        for row in self.rows:
            if row.name not in values and _take(left, row, values) and self._usual[row.name] is not row:
                left[f"({row.name})"] = row.place
        narrowed = [place for place, narrows in self._narrowing.items() if narrows(_at(left, place))]
        if narrowed:
            values["narrowed_by"] = tuple(narrowed)
        return ToolSettings(**values) if values else None, left

    def write(self, settings: ToolSettings | None, extras: Extras) -> Object:
        """The object again: what was left, overlaid with the settings."""
        rows = self._usual
        if extras:
            spelled = [row for row in self.rows if extras.get(f"({row.name})") == row.place]
            if spelled:
                rows = {**rows, **{row.name: row for row in spelled}}
                hidden = {f"({row.name})" for row in spelled}
                extras = {key: value for key, value in extras.items() if key not in hidden}
        found: Object = {}
        for name, row in rows.items() if settings is not None else ():
            value = getattr(settings, name)
            if value is not None:
                _put(found, row, row.write(value), extras)
        return wire.deep_merge(extras, found)


def _take(left: Object, row: Row, values: Object) -> bool:
    """Move one setting from `left` to `values`; whether it was there. Objects on the way are copied, not changed."""
    there = _at(left, row.place)
    value: Any = UNREAD if there is None else row.read(there)
    if value is UNREAD:
        return False
    *outer, last = row.place.split(".")
    for step in outer:
        left[step] = dict(left[step])
        left = left[step]
    if row.partly:
        value, left[last] = value
    else:
        del left[last]
    values[row.name] = value
    return True


def _at(holder: Any, place: str) -> Any:
    for step in place.split("."):
        if type(holder) is not dict:
            return None
        holder = holder.get(step)
    return holder


def _put(found: Object, row: Row, value: Any, extras: Extras) -> None:
    """Set `value` at its place. An object that the wire had keeps its own constants (`"type": "approximate"`)."""
    *outer, last = row.place.split(".")
    for step in outer:
        found = found.setdefault(step, {})
    if row.partly and type(_at(extras, row.place)) is dict:
        value = {key: each for key, each in value.items() if key != "type"}
    found[last] = value


def hide(left: Object, key: str) -> None:
    """Put what stands at `key` under "(key)": the same format has use for it, and no other needs to note its loss."""
    if key in left:
        left[f"({key})"] = left.pop(key)


def unhidden(extras: Extras, *keys: str) -> Object:
    """The extras with what `hide` did to these keys undone."""
    hidden = {f"({key})": key for key in keys}
    return {hidden.get(key, key): value for key, value in (extras or {}).items()}


def says(value: Any) -> bool:
    """Whether there is anything in a value, however deep: empty objects and lists, and nulls, say nothing."""
    if type(value) is dict:
        return any(says(each) for each in value.values())
    return value not in (None, [], "")


# What a target says of another format's tool.

_VERSION = re.compile(r"_\d{8}$")


def unversioned(name: str) -> str:
    """The generic name, without the version that a tool of Anthropic's bears where another format carries it."""
    return _VERSION.sub("", name)


def sayable(
    tool: Tool, path: str, known: Iterable[str], notes: list[Note], whose: str = "this target"
) -> ToolSettings | None:
    """The settings of `tool` for a target that can say those named in `known`; the others are noted. None: the tool
    must be left out, since what the target cannot say narrows it.
    """
    settings = tool.settings
    if settings is None:
        return _NOTHING
    lost = [name for name in ToolSettings.__struct_fields__ if name not in known and _matters(settings, name)]
    narrowing = [name for name in lost if name in NARROWING]
    for name in narrowing or lost:
        if name != "narrowed_by":
            notes.append(Note(f"{path}.settings.{name}", "dropped", f"{whose} has no such setting"))
    if narrowing:
        notes.append(_left_out(path, settings, narrowing, whose))
        return None
    return replace(settings, **dict.fromkeys(lost)) if lost else settings


_NOTHING = ToolSettings()


def _matters(settings: ToolSettings, name: str) -> bool:
    """Whether a setting asks for anything. An empty list of domains asks for nothing, one of tools for none of them."""
    value = getattr(settings, name)
    if name == "require_approval":
        return value not in (None, "never")
    return value is not None and (value not in ((), {}) or name == "allowed_tools")


def _left_out(path: str, settings: ToolSettings, names: list[str], whose: str) -> Note:
    words = [name for name in names if name != "narrowed_by"]
    words += settings.narrowed_by if "narrowed_by" in names else ()
    said = ", ".join(dict.fromkeys(words))
    reason = f"left out: {whose} cannot keep it to its {said}, and without, it would reach further"
    return Note(path, "dropped", reason)


def one_list(settings: ToolSettings, path: str, notes: list[Note], whose: str) -> ToolSettings | None:
    """The settings for a target that takes either allowed or blocked domains. Of blocked ones beside allowed ones, only
    those that lie within an allowed one mean anything: where there are such, None (the tool must be left out).
    """
    allowed, blocked = settings.allowed_domains, settings.blocked_domains
    if not blocked:
        return settings if blocked is None or not allowed else replace(settings, blocked_domains=None)
    if not allowed:
        return settings if allowed is None else replace(settings, allowed_domains=None)
    if any(_within(inner, outer) for inner in blocked for outer in allowed):
        reason = f"left out: {whose} takes either allowed or blocked domains, and here both narrow it"
        notes.append(Note(f"{path}.settings.blocked_domains", "dropped", f"{whose} takes no blocked domains here"))
        notes.append(Note(path, "dropped", reason))
        return None
    return replace(settings, blocked_domains=None)


def _within(one: str, other: str) -> bool:
    """Whether one of the domains is the other or lies in it. Paths are not looked at: what is unsure lies within."""
    first, second = f".{_host(one)}", f".{_host(other)}"
    return first.endswith(second) or second.endswith(first)


_SCHEME = re.compile(r"^[a-z]+://", re.IGNORECASE)


def _host(domain: str) -> str:
    return _SCHEME.sub("", domain).removeprefix("*.").partition("/")[0].lower()


def without_schemes(settings: ToolSettings) -> ToolSettings:
    """The settings with plain domains, for targets that refuse `https://`."""
    domains = {
        name: tuple(_SCHEME.sub("", domain).rstrip("/") for domain in getattr(settings, name))
        for name in ("allowed_domains", "blocked_domains")
        if getattr(settings, name)
    }
    return replace(settings, **domains) if domains else settings


# MCP servers.

_BEARER = re.compile(r"bearer +(\S+)", re.IGNORECASE)


def mcp_server(tool: Tool, path: str, known: Iterable[str], notes: list[Note], whose: str) -> ToolSettings | None:
    """The settings of an MCP server for a target that can say `known`, or None where it must be left out. A target
    without `require_approval` never asks, so it gets only servers whose every allowed tool may be called unasked.
    """
    settings = tool.settings
    if settings is None or settings.server_url is None:
        notes.append(Note(path, "dropped", f"{whose} needs the address of the server"))
        return None
    known = frozenset(known)
    if "require_approval" not in known:
        unasked = _never_asks(settings)
        settings = replace(settings, require_approval="never" if unasked else settings.require_approval or "always")
    if "headers" not in known:
        settings = _token_of_headers(settings)
    elif "authorization" not in known and settings.authorization is not None:
        headers = {**(settings.headers or {}), "Authorization": f"Bearer {settings.authorization}"}
        settings = replace(settings, authorization=None, headers=headers)
    settings = sayable(replace(tool, settings=settings), path, known | {"server_url"}, notes, whose)
    if settings is not None and settings.server_label is None:
        notes.append(Note(f"{path}.settings.server_label", "added", f"{whose} wants a name for the server"))
        settings = replace(settings, server_label="mcp")
    return settings


def _never_asks(settings: ToolSettings) -> bool:
    """Whether no tool that may be called needs consent."""
    wanted = settings.require_approval
    if not isinstance(wanted, dict):
        return wanted == "never"
    never = wanted.get("never")
    unasked = never.get("tool_names") if isinstance(never, dict) and never.keys() == {"tool_names"} else None
    if not isinstance(unasked, list) or settings.allowed_tools is None or says(wanted.get("always")):
        return False
    return all(name in unasked for name in settings.allowed_tools)


def _token_of_headers(settings: ToolSettings) -> ToolSettings:
    """The bearer token as such, where the only header is the one that carries it."""
    headers = settings.headers or {}
    token = _BEARER.fullmatch(next(iter(headers.values()))) if len(headers) == 1 else None
    if token is None or next(iter(headers)).lower() != "authorization" or settings.authorization is not None:
        return settings
    return replace(settings, authorization=token[1], headers=None)
