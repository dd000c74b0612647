"""Requests: the body of generateContent and streamGenerateContent. Model and stream stand in the path, not here.

What the readers below do not know stays in the extras and goes back untouched: safetySettings, cachedContent,
modelArmorConfig, and all that Google will add.

Source: https://ai.google.dev/api/generate-content,
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import wire
from penstock.dialects.dialect import PathMatch
from penstock.dialects.gemini.config import read_config, write_config
from penstock.dialects.gemini.foreign import write_foreign
from penstock.dialects.gemini.messages import read_message, read_parts, write_message, write_parts
from penstock.dialects.gemini.spelling import Names, find, object_of
from penstock.dialects.gemini.tools import read_tool_choice, read_tools, write_tool_choice, write_tools
from penstock.types.content import Text
from penstock.types.errors import DialectError, MalformedError
from penstock.types.notes import Rendered
from penstock.types.profile import Profile
from penstock.types.request import Request

NAME = "gemini"


class _Body:
    """What has been read of a body: values by field, synonyms, and the rest."""

    __slots__ = ("extras", "found", "spelling")

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self.spelling: dict[str, str] = {}
        self.extras: dict[str, Any] = {}


def read_request(value: Any, match: PathMatch) -> Request:
    """A request body. `match` brings what the path said."""
    body = _Body()
    for key, inner in wire.obj(value).items():
        known = _READERS.get(key)
        if known is None or inner is None or known[0] in body.found:
            body.extras[key] = inner
            continue
        field, read = known
        try:
            read(body, key, inner)
        except DialectError as error:
            raise error.at(key) from None
        body.found.setdefault(field, None)
        if "_" in key:
            body.spelling[field] = key
    return _request(body, match)


def _request(body: _Body, match: PathMatch) -> Request:
    found = body.found
    if "messages" not in found:
        raise MalformedError("a list of contents is missing", "contents")
    for marker in ("config", "tool_config"):
        found.pop(marker, None)
    return Request(
        dialect=NAME,
        model=match.model,
        stream=match.stream,
        spelling=body.spelling or None,
        extras=body.extras or None,
        **found,
    )


def _read_contents(body: _Body, key: str, value: Any) -> None:
    if isinstance(value, dict):
        body.spelling["contents_shape"] = "object"
        body.found["messages"] = (read_message(value),)
    else:
        body.found["messages"] = wire.each(read_message, value)


def _read_system(body: _Body, key: str, value: Any) -> None:
    """A content whose role means nothing, or (some clients) just its text."""
    if isinstance(value, str):
        body.spelling["system_shape"] = "string"
        body.found["system"] = (Text(value),)
        return
    content = wire.obj(value)
    body.found["system"], shape = read_parts(content)
    role = content.get("role")
    if isinstance(role, str):
        body.spelling["system_role"] = role
    if shape:
        body.spelling["system_shape"] = shape
    rest = {name: inner for name, inner in content.items() if name not in ("parts", "role") or _unread(name, inner)}
    if rest:
        body.extras[key] = rest


def _unread(name: str, value: Any) -> bool:
    return value is None or (name == "role" and not isinstance(value, str))


def _read_tools(body: _Body, key: str, value: Any) -> None:
    body.found["tools"] = read_tools(value, body.spelling)


def _read_tool_config(body: _Body, key: str, value: Any) -> None:
    config = wire.obj(value)
    body.found["tool_config"] = None
    calling_key, _ = find(config, "functionCallingConfig")
    choice = None
    if calling_key:
        try:
            choice = read_tool_choice(object_of(config, calling_key), calling_key)
        except DialectError as error:
            raise error if error.path.startswith(calling_key) else error.at(calling_key) from None
    if choice is not None:
        body.found["tool_choice"] = choice
    rest = {name: inner for name, inner in config.items() if choice is None or name != calling_key}
    if rest or choice is None:
        body.extras[key] = rest


def _read_config(body: _Body, key: str, value: Any) -> None:
    found = read_config(value)
    rest = found.pop("extras", None)
    body.spelling |= found.pop("spelling", {})
    if rest or not found:
        body.extras[key] = rest or {}
    body.found |= found


def _read_simple(field: str, read: Callable[[Any], Any]) -> Callable[[_Body, str, Any], None]:
    def read_one(body: _Body, key: str, value: Any) -> None:
        body.found[field] = read(value)

    return read_one


_READERS: dict[str, tuple[str, Callable[[_Body, str, Any], None]]] = {
    "contents": ("messages", _read_contents),
    "systemInstruction": ("system", _read_system),
    "system_instruction": ("system", _read_system),
    "tools": ("tools", _read_tools),
    "toolConfig": ("tool_config", _read_tool_config),
    "tool_config": ("tool_config", _read_tool_config),
    "generationConfig": ("config", _read_config),
    "generation_config": ("config", _read_config),
    "labels": ("metadata", _read_simple("metadata", wire.obj)),
    "serviceTier": ("service_tier", _read_simple("service_tier", wire.string)),
    "service_tier": ("service_tier", _read_simple("service_tier", wire.string)),
    "store": ("store", _read_simple("store", wire.boolean)),
}


def render_request(request: Request, profile: Profile) -> Rendered[dict[str, Any]]:
    """The request body for a host with this profile."""
    return Rendered(_write_own(request)) if request.dialect == NAME else write_foreign(request, profile)


def _write_own(request: Request) -> dict[str, Any]:
    spelling = request.spelling or {}
    contents = [write_message(message) for message in request.messages]
    found: dict[str, Any] = {
        "contents": contents[0] if len(contents) == 1 and "contents_shape" in spelling else contents
    }
    if request.system is not None:
        found[spelling.get("system", "systemInstruction")] = _write_system(request, spelling)
    if request.tools is not None:
        found["tools"] = write_tools(request.tools, spelling)
    if request.tool_choice is not None:
        calling = Names(request.tool_choice.native)["functionCallingConfig"]
        found[spelling.get("tool_config", "toolConfig")] = {calling: write_tool_choice(request.tool_choice)}
    config = write_config(request, spelling)
    if config:
        found[spelling.get("config", "generationConfig")] = config
    if request.metadata is not None:
        found["labels"] = request.metadata
    if request.service_tier is not None:
        found[spelling.get("service_tier", "serviceTier")] = request.service_tier
    if request.store is not None:
        found["store"] = request.store
    return wire.deep_merge(request.extras, found)


def _write_system(request: Request, spelling: dict[str, str]) -> Any:
    parts = request.system or ()
    shape = spelling.get("system_shape", "")
    if shape == "string" and len(parts) == 1 and type(parts[0]) is Text:
        return parts[0].text
    content = write_parts(parts, Names(shape))
    return {"role": spelling["system_role"], **content} if "system_role" in spelling else content
