"""Requests of Cohere's v2 chat. The table FIELDS is the specification: what is not in it is not modelled and travels in
`extras` (`safety_mode`, `citation_options`, `priority`, `raw_prompting` ...).

Source: https://docs.cohere.com/reference/chat, https://docs.cohere.com/reference/chat-stream
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.dialects.cohere_chat.documents import attach, detach, read_documents
from penstock.dialects.cohere_chat.foreign import adapt
from penstock.dialects.cohere_chat.messages import read_message, write_message
from penstock.dialects.cohere_chat.names import NAME
from penstock.dialects.cohere_chat.tools import (
    read_response_format,
    read_thinking,
    read_tool_choice,
    strict_of,
    with_strict,
    write_response_format,
    write_thinking,
    write_tool_choice,
)
from penstock.dialects.dialect import PathMatch
from penstock.dialects.function_tools import read_tool, write_tool
from penstock.dialects.said import Said
from penstock.dialects.wire import Field, Fields
from penstock.types.errors import MalformedError
from penstock.types.notes import NO_MEMO, Note, Rendered
from penstock.types.profile import Profile
from penstock.types.request import Message, Request

Object = dict[str, Any]


def _read_messages(value: Any) -> Any:
    return wire.each(read_message, value)


def _read_tools(value: Any) -> Any:
    return wire.each(read_tool, value)


def _read_stop(value: Any) -> Any:
    return value if isinstance(value, str) else wire.strings(value)


FIELDS = Fields(
    Field("model", wire.string),
    Field("messages", _read_messages),
    Field("tools", _read_tools),
    Field("strict_tools", wire.boolean),
    Field("documents", wire.array),
    Field("tool_choice", read_tool_choice),
    Field("response_format", read_response_format),
    Field("thinking", read_thinking, "reasoning"),
    Field("max_tokens", wire.integer),
    Field("temperature", wire.number),
    Field("p", wire.number, "top_p"),
    Field("k", wire.number, "top_k"),
    Field("stop_sequences", _read_stop, "stop"),
    Field("seed", wire.integer),
    Field("presence_penalty", wire.number),
    Field("frequency_penalty", wire.number),
    Field("logprobs", wire.boolean),
    Field("stream", wire.boolean),
)

_COMPOSED = ("messages", "tools", "strict_tools", "documents", "tool_choice", "response_format", "reasoning", "stop")
_PLAIN = Said(FIELDS.wire_names, _COMPOSED)
"""Fields that are written as they are."""


def read_request(value: Any, match: PathMatch) -> Request:
    """A request body."""
    found = FIELDS.read(wire.obj(value))
    if "messages" not in found:
        raise MalformedError("a list of messages is missing", "messages")
    extras: Object = found.pop("extras", {})
    strict, documents = found.pop("strict_tools", None), found.pop("documents", None)
    if found.get("tools") == ():
        extras["tools"] = []
    if strict is not None:
        if found.get("tools"):
            found["tools"] = with_strict(found["tools"], strict)
        else:
            extras["strict_tools"] = strict
    if documents is not None:
        _attach_documents(documents, found, extras)
    found.setdefault("model", match.model)
    return Request(dialect=NAME, extras=extras or None, **found)


def _attach_documents(values: list[Any], found: Object, extras: Object) -> None:
    try:
        documents = read_documents(values)
    except MalformedError as error:
        raise error.at("documents") from None
    messages = attach(documents, found["messages"]) if documents else None
    if messages is None:
        extras["documents"] = values
    else:
        found["messages"] = messages


def render_request(request: Request, profile: Profile) -> Rendered[Object]:
    """The request body for a host with this profile."""
    notes: list[Note] = []
    memo = NO_MEMO
    if request.dialect != NAME:
        request, memo = adapt(request, profile, notes)
    found = _write(request)
    for name in sorted(profile.unsupported):
        if found.pop(FIELDS.wire_names.get(name, name), None) is not None:
            notes.append(Note(name, "dropped", "this host or model does not take it"))
    return Rendered(found, tuple(notes), memo)


def _write(request: Request) -> Object:
    messages, documents = detach(request.messages)
    if request.system:
        messages = (Message("system", request.system), *messages)
    found: Object = {"messages": [write_message(message) for message in messages]}
    for _, key, value in _PLAIN.of(request):
        found[key] = value
    if documents:
        found["documents"] = documents
    if request.tools:
        found["tools"] = [write_tool(tool) for tool in request.tools]
        strict = strict_of(request.tools)
        if strict is not None:
            found["strict_tools"] = strict
    _write_choices(request, found)
    return wire.merge(request.extras, found)


def _write_choices(request: Request, found: Object) -> None:
    if request.stop is not None:
        found["stop_sequences"] = request.stop if isinstance(request.stop, str) else list(request.stop)
    if request.tool_choice is not None:
        word = write_tool_choice(request.tool_choice)
        if word is not None:
            found["tool_choice"] = word
    if request.response_format is not None:
        found["response_format"] = write_response_format(request.response_format)
    if request.reasoning is not None:
        found["thinking"] = write_thinking(request.reasoning)
