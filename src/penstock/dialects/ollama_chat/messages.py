"""Messages, both ways. The message of an answer, and of each line of a stream, is the same object.

    {"role", "content", "thinking", "images", "tool_calls", "tool_name", "tool_call_id"}

`content` is always a string, so an empty one is no part. Images are bare base64 and stand before the text, where
Ollama's templates put them. The arguments of a call are an object; its id is there since Ollama 0.12 only. Without
ids, a result finds its call by `tool_name` (see dialects/tool_ids.py).

Source: https://docs.ollama.com/api/chat, and `Message` in api/types.go of ollama/ollama
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.dialects import constants, wire
from penstock.dialects.media_types import KINDS, sniffed
from penstock.types.content import Base64, Media, Opaque, Part, Text, Thinking, ToolCall, ToolResult
from penstock.types.errors import DialectError, MalformedError
from penstock.types.request import Message, Role

Object = dict[str, Any]

ROLES: dict[str, Role] = {
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "developer": "developer",
    "control": "system",
}
"""Roles, in lower case as Ollama reads them -> ours. `control` switches IBM's Granite models into thinking."""

_SPEAKERS = frozenset({"system", "user", "assistant"})
_CONTENT = {"content": ""}
_INDEX = "(index)"
_OBJECT_KEYS = frozenset({"function", "id"})
_NO_ARGUMENTS = "no_arguments"


# Reading


def read_message(value: Any) -> Message:
    """One element of `messages`."""
    message = wire.obj(value)
    role, content = message.get("role"), message.get("content")
    if type(content) is str and content and len(message) == 2 and type(role) is str and role in _SPEAKERS:
        return Message(role, (Text(content),))  # type: ignore[arg-type]  # the frequent shape
    if not isinstance(role, str) or role.lower() not in ROLES:
        raise MalformedError(f"expected one of {', '.join(ROLES)}, got {role!r}", "role")
    ours = ROLES[role.lower()]
    native = None if ours == role else role
    if ours == "tool":
        return _read_tool(message, native)
    parts, extras = read_parts(message, frozenset({"role"}))
    return Message(ours, parts, native=native, extras=extras)


def read_parts(message: Object, known: frozenset[str]) -> tuple[tuple[Part, ...], Object | None]:
    """The parts of a message, and what of it is neither modelled nor in `known`."""
    consumed = set(known)
    parts: list[Part] = []
    for key, read in _FIELDS:
        value = message.get(key)
        if value is not None:
            found = read(value, key)
            parts += found
            if found or (key == "content"):
                consumed.add(key)
    extras = constants.rest(message, frozenset(consumed), _CONTENT)
    return tuple(parts), extras


def _string(value: Any, key: str) -> str:
    if not isinstance(value, str):
        raise MalformedError(f"expected a string, got {wire.describe(value)}", key)
    return value


def _read_thinking(value: Any, key: str) -> list[Part]:
    text = _string(value, key)
    return [Thinking(text)] if text else []


def _read_content(value: Any, key: str) -> list[Part]:
    text = _string(value, key)
    return [Text(text)] if text else []


def _read_images(value: Any, key: str) -> list[Part]:
    try:
        images: tuple[str, ...] = wire.strings(value)
    except DialectError as error:
        raise error.at(key) from None
    return [_read_image(data) for data in images]


def _read_image(data: str) -> Media:
    """A picture, unless the bytes show that it is none: newer models take audio in the same field."""
    media_type = sniffed(data)
    kind = "image" if media_type is None else KINDS.get(media_type.partition("/")[0], "file")
    return Media(kind, Base64(data), media_type)


def _read_calls(value: Any, key: str) -> list[Part]:
    try:
        calls: tuple[ToolCall, ...] = wire.each(read_call, value)
    except DialectError as error:
        raise error.at(key) from None
    return list(calls)


_FIELDS = (
    ("thinking", _read_thinking),
    ("images", _read_images),
    ("content", _read_content),
    ("tool_calls", _read_calls),
)
"""In the order of the parts."""


def read_call(value: Any) -> ToolCall:
    """One element of `tool_calls`."""
    call = wire.obj(value)
    call_id, function = call.get("id"), call.get("function")
    if call_id is not None:
        call_id = _string(call_id, "id")
    if not isinstance(function, dict):
        raise MalformedError(f"expected an object, got {wire.describe(function)}", "function")
    name = _string(function.get("name"), "function.name")
    arguments = function.get("arguments")
    if not isinstance(arguments, dict | str | None):
        raise MalformedError(f"expected an object, got {wire.describe(arguments)}", "function.arguments")
    extras = wire.rest(call, _OBJECT_KEYS if call_id is not None else frozenset({"function"})) or {}
    left = wire.rest(function, frozenset({"name", "arguments"})) or {}
    if type(left.get("index")) is int:
        extras[_INDEX] = left.pop("index")
    if left:
        extras["function"] = left
    native = _NO_ARGUMENTS if arguments is None else None
    return ToolCall(call_id, name, {} if arguments is None else arguments, native=native, extras=extras or None)


def _read_tool(message: Object, native: str | None) -> Message:
    call_id, name = message.get("tool_call_id"), message.get("tool_name")
    call_id = None if call_id is None else _string(call_id, "tool_call_id")
    name = None if name is None else _string(name, "tool_name")
    known = frozenset({"role", "tool_call_id", "tool_name"})
    parts, extras = read_parts(message, known)
    return Message("tool", (ToolResult(call_id, parts, name),), native=native, extras=extras)


# Writing


def write_message(message: Message) -> Object:
    """The message again."""
    if len(message.parts) == 1 and message.extras is None and message.native is None:
        part = message.parts[0]  # nearly always a plain text
        if type(part) is Text and part.native is None and part.extras is None:
            return {"role": message.role, "content": part.text}
    fields: Object = {"role": message.native or message.role}
    parts: Sequence[Part] = message.parts
    if message.role == "tool":
        result = parts[0] if parts else None
        if not isinstance(result, ToolResult) or len(parts) > 1:
            raise MalformedError("a tool message must hold one tool result")
        if result.call_id is not None:
            fields["tool_call_id"] = result.call_id
        if result.name is not None:
            fields["tool_name"] = result.name
        parts = result.parts
    return constants.merge(message.extras, _CONTENT, {**fields, **write_parts(parts)})


def write_parts(parts: Sequence[Part]) -> Object:
    """The fields of a message that hold these parts."""
    fields: Object = {}
    for part in parts:
        if type(part) is Text:
            fields["content"] = fields.get("content", "") + part.text
        elif type(part) is Thinking:
            fields["thinking"] = fields.get("thinking", "") + part.text
        elif type(part) is ToolCall:
            fields.setdefault("tool_calls", []).append(write_call(part))
        elif type(part) is Media and isinstance(part.source, Base64):
            fields.setdefault("images", []).append(part.source.data)
        else:
            kind = part.native if isinstance(part, Opaque) else type(part).__name__
            raise MalformedError(f"a message of Ollama has no place for {kind}")
    return fields


def write_call(part: ToolCall) -> Object:
    """One element of `tool_calls`."""
    extras = dict(part.extras or {})
    function: Object = {"name": part.name}
    if part.native != _NO_ARGUMENTS or part.arguments:
        function["arguments"] = part.arguments
    index = extras.pop(_INDEX, None)
    if index is not None:
        function["index"] = index
    found: Object = {"function": wire.merge(extras.pop("function", None), function)}
    if part.call_id is not None:
        found["id"] = part.call_id
    return wire.merge(extras, found)


def numbered(part: ToolCall, index: int) -> ToolCall:
    """A call of an answer, with its number among the calls."""
    return ToolCall(part.call_id, part.name, part.arguments, extras={_INDEX: index})
