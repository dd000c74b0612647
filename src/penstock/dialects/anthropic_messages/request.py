"""Requests of the Messages API. The table FIELDS is the specification: what is not in it is not modelled and travels
in `extras`.

Source: https://platform.claude.com/docs/en/api/messages. The same body without `model` and `stream`, and with
`anthropic_version`, is what Bedrock's `invoke` and Vertex's `rawPredict` take: there the path says both, and
`spelling` remembers it ({"model": "path"}).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.anthropic_messages.access import maybe_at, read_cache, write_cache
from penstock.dialects.anthropic_messages.foreign_request import NO_FIELD, UNSPEAKABLE, write_foreign
from penstock.dialects.anthropic_messages.formats import read_format, write_format
from penstock.dialects.anthropic_messages.messages import (
    SIGNABLE,
    STRING,
    read_blocks,
    read_message,
    write_blocks,
    write_message,
)
from penstock.dialects.anthropic_messages.names import NAME
from penstock.dialects.anthropic_messages.server_tools import join_servers, write_servers
from penstock.dialects.anthropic_messages.thinking import read_reasoning, write_thinking
from penstock.dialects.anthropic_messages.tools import (
    is_listed,
    read_tool,
    read_tool_choice,
    write_tool,
    write_tool_choice,
)
from penstock.dialects.dialect import PathMatch
from penstock.dialects.said import Said, note_unspeakable
from penstock.dialects.wire import Field, Fields
from penstock.types.content import Part, Text, Thinking
from penstock.types.errors import DialectError, MalformedError
from penstock.types.notes import Note, Rendered
from penstock.types.profile import Profile
from penstock.types.request import Request, Tool

TIERS = {"standard_only": "default"}
"""`service_tier` on the wire -> the unified word. "auto" is the same in both."""


def _read_messages(value: Any) -> Any:
    return wire.each(read_message, value)


def _read_tools(value: Any) -> Any:
    return wire.each(read_tool, value)


FIELDS = Fields(
    Field("model", wire.string),
    Field("messages", _read_messages),
    Field("system", wire.anything),
    Field("tools", _read_tools),
    Field("mcp_servers", wire.anything),
    Field("tool_choice", read_tool_choice),
    Field("max_tokens", wire.integer),
    Field("temperature", wire.number),
    Field("top_p", wire.number),
    Field("top_k", wire.number),
    Field("stop_sequences", wire.strings, "stop"),
    Field("thinking", wire.obj),
    Field("output_config", wire.obj),
    Field("output_format", wire.obj),
    Field("metadata", wire.obj, "user"),
    Field("service_tier", wire.string),
    Field("cache_control", read_cache, "cache"),
    Field("anthropic_beta", wire.anything, "betas"),
    Field("stream", wire.boolean),
)


def read_request(value: Any, match: PathMatch) -> Request:
    """A request body; `match` brings what the path said."""
    found = FIELDS.read(wire.obj(value))
    if "messages" not in found:
        raise MalformedError("a list of messages is missing", "messages")
    extras: dict[str, Any] = found.pop("extras", None) or {}
    spelling: dict[str, str] = {}
    for key, read in _COMPOUND.items():
        if key in found:
            try:
                read(found, extras, spelling)
            except DialectError as error:
                raise error.at(key) from None
    if "thinking" in found or "effort" in found:
        _read_thinking(found, extras)
    _read_path(found, match, spelling)
    return Request(dialect=NAME, extras=extras or None, spelling=spelling or None, **found)


Found = dict[str, Any]


def _read_system(found: Found, extras: Found, spelling: dict[str, str]) -> None:
    value = found["system"]
    if isinstance(value, str):
        found["system"] = (Text(value),)
        spelling["system"] = STRING
    else:
        found["system"] = read_blocks(value)


def _read_servers(found: Found, extras: Found, spelling: dict[str, str]) -> None:
    """Each server goes to its toolset, or becomes a tool of its own. A list that is not as expected stays as it is."""
    servers = found.pop("mcp_servers")
    joined = join_servers(found.get("tools", ()), servers)
    if joined is None or not servers:
        extras["mcp_servers"] = servers
        return
    if found.get("tools") == ():
        extras["tools"] = []
    found["tools"], places = joined
    if places != sorted(places):
        spelling["mcp_servers"] = wire.encode(places).decode()


def _split_tool_choice(found: Found, extras: Found, spelling: dict[str, str]) -> None:
    found["tool_choice"], found["parallel_tool_calls"] = found["tool_choice"]


def _read_metadata(found: Found, extras: Found, spelling: dict[str, str]) -> None:
    metadata = found.pop("user")
    found["user"] = maybe_at(metadata, "user_id", wire.string)
    left = wire.rest(metadata, _USER_KEYS)
    if left is not None or found["user"] is None:
        extras["metadata"] = left or {}


_USER_KEYS = frozenset({"user_id"})


def _read_output_config(found: Found, extras: Found, spelling: dict[str, str]) -> None:
    config = found.pop("output_config")
    effort = maybe_at(config, "effort", wire.string)
    wanted = maybe_at(config, "format", read_format)
    if effort is not None:
        found["effort"] = effort
    if wanted is not None:
        found["response_format"] = wanted
    left = {key: value for key, value in config.items() if key not in _CONFIG_KEYS or value is None}
    if wanted is None and config.get("format") is not None:
        left["format"] = config["format"]
    if left or not config:
        extras["output_config"] = left


_CONFIG_KEYS = frozenset({"effort", "format"})


def _read_output_format(found: Found, extras: Found, spelling: dict[str, str]) -> None:
    """The place of the format before `output_config` (still accepted with its beta header)."""
    value = found.pop("output_format")
    wanted = read_format(value)
    if wanted is None or "response_format" in found:
        extras["output_format"] = value
    else:
        found["response_format"] = wanted
        spelling["response_format"] = "output_format"


def _read_tier(found: Found, extras: Found, spelling: dict[str, str]) -> None:
    word = found["service_tier"]
    found["service_tier"] = TIERS.get(word, word)
    if word in TIERS.values():
        spelling["service_tier"] = word


def _read_betas(found: Found, extras: Found, spelling: dict[str, str]) -> None:
    """A list of names. Anything else stays as it is."""
    names = found.pop("betas")
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        found["betas"] = tuple(names)
    else:
        extras["anthropic_beta"] = names


_COMPOUND: dict[str, Callable[[Found, Found, dict[str, str]], None]] = {
    "system": _read_system,
    "mcp_servers": _read_servers,
    "tool_choice": _split_tool_choice,
    "user": _read_metadata,
    "output_config": _read_output_config,
    "output_format": _read_output_format,
    "service_tier": _read_tier,
    "betas": _read_betas,
}
"""Fields whose value becomes several, or one of several spellings: (found, extras, spelling) are changed in place."""


def _read_thinking(found: Found, extras: Found) -> None:
    thinking = found.pop("thinking", None)
    try:
        found["reasoning"], left = read_reasoning(thinking, found.pop("effort", None))
    except DialectError as error:
        raise error.at("thinking") from None
    if left or thinking == {}:
        extras["thinking"] = left or {}


def _read_path(found: Found, match: PathMatch, spelling: dict[str, str]) -> None:
    found.setdefault("model", None)
    for name in ("model", "stream"):
        value = getattr(match, name)
        if value is not None and found.get(name) is None:
            found[name] = value
            spelling[name] = "path"


def render_request(request: Request, profile: Profile) -> Rendered[dict[str, Any]]:
    """The request body for a host with this profile."""
    notes: list[Note] = []
    if profile.unsupported:
        request = _without_unsupported(request, profile, notes)
    if request.dialect != NAME:
        rendered = write_foreign(request, profile)
        return Rendered(_fit_host(rendered.value, profile), (*notes, *rendered.notes), rendered.memo)
    if profile.signature_origin is not None:
        request = _without_strange_signatures(request, profile.signature_origin, notes)
    note_unspeakable(UNSPEAKABLE, request, NO_FIELD, notes)
    body = wire.deep_merge(request.extras, _write_own(request))
    return Rendered(_fit_host(body, profile), tuple(notes))


def _without_unsupported(request: Request, profile: Profile, notes: list[Note]) -> Request:
    refused = [name for name in sorted(profile.unsupported & _OPTIONAL) if getattr(request, name) is not None]
    notes += [Note(name, "dropped", "this host or model does not take it") for name in refused]
    return replace(request, **dict.fromkeys(refused)) if refused else request


_OPTIONAL = frozenset(Request.__struct_fields__) - {"dialect", "model", "messages", "spelling", "extras"}


def _without_strange_signatures(request: Request, origin: str, notes: list[Note]) -> Request:
    """Without the proofs of other models, which a client of ours carries in its history and this model would refuse."""
    messages = list(request.messages)
    for number, message in enumerate(messages):
        parts = [
            _without_signature(part, origin, f"messages[{number}].parts[{index}]", notes)
            for index, part in enumerate(message.parts)
        ]
        if any(new is not old for new, old in zip(parts, message.parts, strict=True)):
            messages[number] = replace(message, parts=tuple(part for part in parts if part is not None))
    return replace(
        request, messages=tuple(message for message in messages if message.parts or message.native is not None)
    )


def _without_signature(part: Part, origin: str, path: str, notes: list[Note]) -> Part | None:
    signature = getattr(part, "signature", None)
    if signature is None or signature.origin == origin:
        return part
    if isinstance(part, Thinking):
        notes.append(Note(path, "dropped", f"a thought signed by {signature.origin} is refused by this model"))
        return None
    if type(part) in SIGNABLE:
        notes.append(Note(f"{path}.signature", "dropped", f"signed by {signature.origin}"))
        return replace(part, signature=None)
    return part


_PLAIN = Said(dict.fromkeys(("model", "max_tokens", "temperature", "top_p", "top_k", "stream")))


def _write_own(request: Request) -> dict[str, Any]:
    """The modelled fields of a request of this dialect."""
    spelling = request.spelling or {}
    found: dict[str, Any] = {name: value for name, _, value in _PLAIN.of(request) if name not in spelling}
    found["messages"] = [write_message(message) for message in request.messages]
    if request.system is not None:
        found["system"] = _write_system(request.system, spelling)
    if request.tools is not None:
        _write_tools(request.tools, spelling, found)
    if request.tool_choice is not None or request.parallel_tool_calls is not None:
        found["tool_choice"] = write_tool_choice(request.tool_choice, request.parallel_tool_calls)
    _write_own_rest(request, spelling, found)
    return found


def _write_tools(tools: tuple[Tool, ...], spelling: dict[str, str], found: dict[str, Any]) -> None:
    served = [tool for tool in tools if tool.kind == "server"]
    if not served:
        found["tools"] = [write_tool(tool) for tool in tools]
        return
    listed = [write_tool(tool) for tool in tools if is_listed(tool)]
    if listed:
        found["tools"] = listed
    places = spelling.get("mcp_servers")
    servers = write_servers(served, None if places is None else wire.decode(places))
    if servers:
        found["mcp_servers"] = servers


def _write_own_rest(request: Request, spelling: dict[str, str], found: dict[str, Any]) -> None:
    if request.stop is not None:
        found["stop_sequences"] = [request.stop] if isinstance(request.stop, str) else list(request.stop)
    if request.reasoning is not None:
        thinking = write_thinking(request.reasoning)
        if thinking:
            found["thinking"] = thinking
        if request.reasoning.effort is not None:
            found["output_config"] = {"effort": request.reasoning.effort}
    if request.response_format is not None and request.response_format.kind == "json_schema":
        wanted = write_format(request.response_format)
        if spelling.get("response_format") == "output_format":
            found["output_format"] = wanted
        else:
            found.setdefault("output_config", {})["format"] = wanted
    if request.user is not None:
        found["metadata"] = {"user_id": request.user}
    if request.service_tier is not None:
        found["service_tier"] = spelling.get("service_tier") or _TIER_WORDS.get(
            request.service_tier, request.service_tier
        )
    if request.cache is not None:
        found["cache_control"] = write_cache(request.cache)
    if request.betas is not None:
        found["anthropic_beta"] = list(request.betas)


_TIER_WORDS = {unified: word for word, unified in TIERS.items()}


def _write_system(system: tuple[Part, ...], spelling: dict[str, str]) -> Any:
    if (
        spelling.get("system") == STRING
        and len(system) == 1
        and isinstance(system[0], Text)
        and system[0] == Text(system[0].text)
    ):
        return system[0].text
    return write_blocks(system)


def _fit_host(body: dict[str, Any], profile: Profile) -> dict[str, Any]:
    """The body with the host's own names of fields."""
    for name, host_name in profile.renames.items():
        if name in body:
            body = {host_name if key == name else key: inner for key, inner in body.items()}
    return body
