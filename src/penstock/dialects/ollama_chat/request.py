"""Requests of Ollama's chat. The table FIELDS is the specification: what is not in it is not modelled and travels in
`extras` (`keep_alive`, `truncate`, `shift` ...); `options` has a table of its own.

Ollama streams unless it is told not to. So a body that does not say is read as asking for a stream, and `spelling`
remembers that it did not say; a caller of another dialect who asks for no stream has that said.

Source: https://docs.ollama.com/api/chat, and `ChatRequest` in api/types.go of ollama/ollama
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.dialects.dialect import PathMatch
from penstock.dialects.function_tools import read_tool, write_tool
from penstock.dialects.ollama_chat import options as runtime
from penstock.dialects.ollama_chat.foreign import adapt
from penstock.dialects.ollama_chat.messages import read_message, write_message
from penstock.dialects.ollama_chat.modes import (
    read_format,
    read_think,
    write_format,
    write_think,
)
from penstock.dialects.ollama_chat.names import NAME
from penstock.dialects.places import Places
from penstock.dialects.wire import Field, Fields
from penstock.types.errors import DialectError
from penstock.types.notes import NO_MEMO, Note, Rendered
from penstock.types.profile import Profile
from penstock.types.request import Message, Request

Object = dict[str, Any]

UNSAID = "(default)"
"""In `spelling["stream"]`: the body did not say whether to stream."""


def _read_messages(value: Any) -> Any:
    return wire.each(read_message, value)


def _read_tools(value: Any) -> Any:
    return wire.each(read_tool, value)


FIELDS = Fields(
    Field("model", wire.string),
    Field("messages", _read_messages),
    Field("tools", _read_tools),
    Field("format", read_format, "response_format"),
    Field("options", wire.obj),
    Field("think", read_think, "reasoning"),
    Field("logprobs", wire.boolean),
    Field("top_logprobs", wire.integer),
    Field("stream", wire.boolean),
)


PLACES = Places("options", {"": (*FIELDS.spellings, "keep_alive", "truncate", "shift")})
"""Everything but these is a runtime parameter of the model: `num_ctx`, `min_p`, `mirostat` ..."""


def read_request(value: Any, match: PathMatch) -> Request:
    """A request body. One without messages only loads the model."""
    body = wire.obj(value)
    found = FIELDS.read(body)
    extras: Object = found.pop("extras", {})
    if found.get("tools") == ():
        extras["tools"] = []
    _mark_no_messages(body, found, extras)
    if found.get("response_format", 0) is None:
        del found["response_format"]
        extras["format"] = body["format"]
    if "options" in found:
        _read_options(found, extras)
    if "stream" not in found:
        found["stream"] = True
        found.setdefault("spelling", {})["stream"] = UNSAID
    found.setdefault("model", match.model)
    return Request(dialect=NAME, extras=extras or None, **found)


def _mark_no_messages(body: Object, found: Object, extras: Object) -> None:
    """How a body spells that it has no messages: not at all, with null (which is in the extras), or with a list."""
    if "messages" not in body:
        found.setdefault("spelling", {})["messages"] = UNSAID
    elif body["messages"] == []:
        extras["messages"] = []
    found.setdefault("messages", ())


def _read_options(found: Object, extras: Object) -> None:
    try:
        values, left = runtime.read_options(found.pop("options"))
    except DialectError as error:
        raise error.at("options") from None
    if left is not None:
        extras["options"] = left
    found |= values


def render_request(request: Request, profile: Profile) -> Rendered[Object]:
    """The request body for a host with this profile."""
    notes: list[Note] = []
    memo = NO_MEMO
    if request.dialect != NAME:
        request, memo = adapt(request, profile, notes)
    found = _write(request)
    _leave_out(found, profile, notes)
    return Rendered(found, tuple(notes), memo)


def _write(request: Request) -> Object:
    messages = request.messages
    spelling, extras = request.spelling or {}, request.extras
    if request.system:
        messages = (Message("system", request.system), *messages)
    found: Object = {}
    if messages or not (spelling.get("messages") == UNSAID or (extras and "messages" in extras)):
        found["messages"] = [write_message(message) for message in messages]
    for name in ("model", "logprobs", "top_logprobs"):
        value = getattr(request, name)
        if value is not None:
            found[name] = value
    if request.stream is not None and not (request.stream and spelling.get("stream") == UNSAID):
        found["stream"] = request.stream
    if request.tools:
        found["tools"] = [write_tool(tool) for tool in request.tools]
    if request.response_format is not None and request.response_format.kind != "text":
        found["format"] = write_format(request.response_format)
    if request.reasoning is not None:
        found["think"] = write_think(request.reasoning)
    options = runtime.write_options(request)
    if options:
        found["options"] = wire.merge(extras.get("options") if extras else None, options)
    return wire.merge(extras, found)


def _leave_out(found: Object, profile: Profile, notes: list[Note]) -> None:
    for name in sorted(profile.unsupported):
        holder = found
        key = FIELDS.wire_names.get(name, name)
        if name in runtime.FIELDS.wire_names and isinstance(found.get("options"), dict):
            key = runtime.FIELDS.wire_names[name]
            holder = found["options"] = dict(found["options"])
        if holder.pop(key, None) is not None:
            notes.append(Note(name, "dropped", "this host or model does not take it"))
