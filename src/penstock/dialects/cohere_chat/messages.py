"""Messages, both ways. The assistant's message of a response is the same object and read by the same functions.

An assistant message keeps its kinds of content in separate fields; the representation has one list of parts, in the
order in which a stream brings them: `content` (thinking, text), then `tool_plan`, then `tool_calls`.

`tool_plan` is a Text, not a Thinking: Cohere shows it to the user, cites sources in it, and takes no text in `content`
beside tool calls; it is what other models say as text before they call a tool. `native` (PLAN) leads it back.

Source: https://docs.cohere.com/reference/chat, https://docs.cohere.com/docs/tool-use-overview
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from penstock.dialects import constants, wire
from penstock.dialects.cohere_chat.citations import ORDER, assign, collect
from penstock.dialects.cohere_chat.documents import is_document, read_document, write_document
from penstock.dialects.cohere_chat.names import DOCUMENT, PLAN
from penstock.types.content import Base64, Json, Media, Opaque, Part, Source, Text, Thinking, ToolCall, ToolResult, Url
from penstock.types.errors import DialectError, MalformedError
from penstock.types.request import Message

Object = dict[str, Any]

BLOCK = "content"
"""`native` of a block whose type is not known."""

LISTED = "text"
"""`native` of a text that stood in a list, where a plain string is usual."""

PLAIN = "string"
"""`native` of a text that was a plain string, where a list is usual (answers)."""

_ROLES = ("system", "developer", "user", "assistant", "tool")
_SPEAKERS = frozenset({"system", "developer", "user", "assistant"})
_KNOWN = frozenset({"role", "content"})
_KNOWN_TOOL = frozenset({"role", "content", "tool_call_id"})
_TEXT_KEYS = frozenset({"type", "text"})
_THINKING_KEYS = frozenset({"type", "thinking"})
_CALL_KEYS = frozenset({"id", "function"})
_FUNCTION_KEYS = frozenset({"name", "arguments"})
_FUNCTION = {"type": "function"}
_NO_ARGUMENTS = "no_arguments"


# Reading


def read_message(value: Any) -> Message:
    """One element of `messages`."""
    message = wire.obj(value)
    role, content = message.get("role"), message.get("content")
    if type(content) is str and len(message) == 2 and type(role) is str and role in _SPEAKERS:
        return Message(role, (Text(content),))  # type: ignore[arg-type]  # the frequent shape
    if not isinstance(role, str) or role not in _ROLES:
        raise MalformedError(f"expected one of {', '.join(_ROLES)}, got {role!r}", "role")
    if role == "assistant":
        return _read_assistant(message)
    if role == "tool":
        return _read_tool(message)
    parts, left = read_content(message, read_block)
    extras = wire.rest(message, _KNOWN)
    return Message(role, parts, extras={**(extras or {}), **left} if left else extras)  # type: ignore[arg-type]  # a role, as was checked


def read_content(message: Object, read: Callable[[Any], Part]) -> tuple[tuple[Part, ...], Object]:
    """The parts of `content`, and `content` itself where it is an empty list (which has no parts to remember it by)."""
    content = message.get("content")
    if isinstance(content, str):
        return (Text(content),), {}
    if content is None:
        return (), {}
    try:
        parts: tuple[Part, ...] = wire.each(read, content)
    except DialectError as error:
        raise error.at("content") from None
    return parts, {} if parts else {"content": []}


def _read_tool(message: Object) -> Message:
    parts, left = read_content(message, _read_result_block)
    call_id = message.get("tool_call_id")
    try:
        result = ToolResult(None if call_id is None else wire.string(call_id), parts)
    except DialectError as error:
        raise error.at("tool_call_id") from None
    extras = wire.rest(message, _KNOWN_TOOL)
    return Message("tool", (result,), extras={**(extras or {}), **left} if left else extras)


def _read_assistant(message: Object) -> Message:
    parts, extras = read_answer(message, False)
    return Message("assistant", parts, extras=extras)


def read_answer(message: Object, answered: bool) -> tuple[tuple[Part, ...], Object | None]:
    """The parts of an assistant's message, and what of it is not modelled. `answered`: it stood in a response, where
    content is a list.
    """
    content, left = read_content(message, read_block)
    parts = list(content)
    if answered:
        parts = [_as_answered(part, isinstance(message.get("content"), str)) for part in parts]
    known = {"content"} if answered else {"role", "content"}
    blocks = len(parts)
    plan, calls = message.get("tool_plan"), message.get("tool_calls")
    if isinstance(plan, str) and plan:
        known.add("tool_plan")
        parts.append(Text(plan, native=PLAN))
    elif plan is not None and not isinstance(plan, str):
        raise MalformedError(f"expected a string, got {wire.describe(plan)}", "tool_plan")
    if calls:
        known.add("tool_calls")
        parts += _read_calls(calls)
    if message.get("citations") is not None:
        known.add("citations")
        try:
            parts, homeless = assign(message["citations"], parts, blocks)
        except DialectError as error:
            raise error.at("citations") from None
        left = {**left, **homeless}
    extras = constants.rest(message, frozenset(known), _ANSWERED) if answered else wire.rest(message, frozenset(known))
    return tuple(parts), {**(extras or {}), **left} if left else extras


_ANSWERED = {"role": "assistant"}


def _as_answered(part: Part, plain: bool) -> Part:
    """In an answer a list is usual and a string is not."""
    if type(part) is Text:
        return Text(part.text, native=PLAIN if plain else None, extras=part.extras)
    return part


def _read_calls(values: Any) -> tuple[Part, ...]:
    try:
        calls: tuple[Part, ...] = wire.each(read_call, values)
    except DialectError as error:
        raise error.at("tool_calls") from None
    return calls


def read_call(value: Any) -> ToolCall:
    """One element of `tool_calls`."""
    call = wire.obj(value)
    call_id, function = call.get("id"), call.get("function")
    try:
        call_id = None if call_id is None else wire.string(call_id)
    except DialectError as error:
        raise error.at("id") from None
    try:
        inner = wire.obj(function)
        name, arguments = wire.string(inner.get("name")), inner.get("arguments")
    except DialectError as error:
        raise error.at("function") from None
    if not isinstance(arguments, str | dict | None):
        raise MalformedError(f"expected a string, got {wire.describe(arguments)}", "function.arguments")
    extras = constants.rest(call, _CALL_KEYS if call_id is not None else frozenset({"function"}), _FUNCTION)
    left = wire.rest(inner, _FUNCTION_KEYS)
    return ToolCall(
        call_id,
        name,
        "" if arguments is None else arguments,
        native=_NO_ARGUMENTS if arguments is None else None,
        extras={**(extras or {}), "function": left} if left else extras,
    )


def read_block(value: Any) -> Part:
    """One element of a content list. A type that is not known becomes Opaque."""
    block = wire.obj(value)
    kind = block.get("type")
    read = _READERS.get(kind) if isinstance(kind, str) else None
    return Opaque(block, native=BLOCK) if read is None else read(block)


def _read_result_block(value: Any) -> Part:
    """One element of a tool result, where a document is structured data."""
    block = wire.obj(value)
    return _read_document_block(block, True) if block.get("type") == "document" else read_block(block)


def _read_text(block: Object) -> Part:
    return Text(_string_at(block, "text"), native=LISTED, extras=wire.rest(block, _TEXT_KEYS))


def _read_thinking(block: Object) -> Part:
    return Thinking(_string_at(block, "thinking"), extras=wire.rest(block, _THINKING_KEYS))


def _string_at(block: Object, key: str) -> str:
    value = block.get(key)
    if not isinstance(value, str):
        raise MalformedError(f"expected a string, got {wire.describe(value)}", key)
    return value


def _read_image(block: Object) -> Part:
    try:
        inner = wire.obj(block.get("image_url"))
        url = _string_at(inner, "url")
        detail = inner.get("detail")
        detail = None if detail is None else _string_at(inner, "detail")
    except DialectError as error:
        raise error.at("image_url") from None
    data = wire.data_url(url)
    source: Source = Url(url) if data is None else Base64(data[1])
    extras = wire.rest(block, frozenset({"type", "image_url"}))
    left = wire.rest(inner, frozenset({"url", "detail"}))
    extras = {**(extras or {}), "image_url": left} if left else extras
    return Media("image", source, None if data is None else data[0], detail=detail, extras=extras)


def _read_document_block(block: Object, structured: bool = False) -> Part:
    if not isinstance(block.get("document"), dict):
        return Opaque(block, native=BLOCK)
    part = read_document(block["document"], DOCUMENT, structured)
    extras = wire.rest(block, frozenset({"type", "document"}))
    if extras is None:
        return part
    return Opaque(block, native=BLOCK)


_READERS: dict[str, Callable[[Object], Part]] = {
    "text": _read_text,
    "thinking": _read_thinking,
    "image_url": _read_image,
    "document": _read_document_block,
}


# Writing


def write_message(message: Message) -> Object:
    """The message again."""
    if len(message.parts) == 1 and message.extras is None:
        part = message.parts[0]  # nearly always a plain text
        if type(part) is Text and part.native is None and part.extras is None and part.citations is None:
            return {"role": message.role, "content": part.text}
    if message.role == "assistant":
        return _write_assistant(message)
    if message.role == "tool":
        return _write_tool(message)
    found = wire.merge(message.extras, {"role": message.role})
    if message.parts:
        found["content"] = write_content(message.parts)
    return found


def _write_tool(message: Message) -> Object:
    result = message.parts[0] if message.parts else None
    if not isinstance(result, ToolResult) or len(message.parts) > 1:
        raise MalformedError("a tool message must hold one tool result")
    found = wire.merge(message.extras, {"role": "tool"})
    if result.parts:
        found["content"] = write_content(result.parts)
    if result.call_id is not None:
        found["tool_call_id"] = result.call_id
    return found


def write_content(parts: Sequence[Part]) -> str | list[Any]:
    """A plain string for one plain text, else a list."""
    if len(parts) == 1 and type(parts[0]) is Text and parts[0].native is None and parts[0].extras is None:
        return parts[0].text
    return [write_block(part) for part in parts]


def write_answer(parts: Sequence[Part], extras: Object | None) -> Object:
    """The `message` of a response again."""
    found = constants.merge(extras, _ANSWERED, _write_fields(parts, extras, _write_answered))
    found.pop(ORDER, None)
    return found


def _write_assistant(message: Message) -> Object:
    fields = _write_fields(message.parts, message.extras, write_content)
    fields["role"] = "assistant"
    found = wire.merge(message.extras, fields)
    found.pop(ORDER, None)
    return found


def _write_fields(parts: Sequence[Part], extras: Object | None, write: Callable[[list[Part]], Any]) -> Object:
    """The fields that hold the parts of an assistant's message."""
    content: list[Part] = []
    fields: Object = {}
    calls = [write_call(part) for part in parts if type(part) is ToolCall]
    if calls:
        fields["tool_calls"] = calls
        if len(calls) == len(parts) and extras is None:
            return fields
    for part in parts:
        if part.native == PLAN and type(part) is Text:
            fields["tool_plan"] = fields.get("tool_plan", "") + part.text
        elif type(part) is not ToolCall:
            content.append(part)
    if content:
        fields["content"] = write(content)
    citations = collect(parts, extras)
    if citations is not None:
        fields["citations"] = citations
    return fields


def _write_answered(content: list[Part]) -> str | list[Any]:
    first = content[0]
    if len(content) == 1 and type(first) is Text and first.native == PLAIN:
        return first.text
    return [write_block(part) for part in content]


def write_call(part: ToolCall) -> Object:
    """One element of `tool_calls`."""
    inner: Object = {"name": part.name}
    if part.native != _NO_ARGUMENTS or part.arguments:
        inner["arguments"] = part.arguments
    found: Object = {"function": inner}
    if part.call_id is not None:
        found["id"] = part.call_id
    extras = part.extras
    if extras and "function" in extras:
        found["function"] = wire.merge(extras["function"], inner)
    return constants.merge(extras, _FUNCTION, found)


def write_block(part: Part) -> Any:
    """One element of a content list."""
    write = _WRITERS.get(type(part))
    if write is None:
        raise MalformedError(f"{type(part).__name__} has no place in message content")
    return write(part)


def _write_text(part: Text) -> Object:
    return wire.merge(part.extras, {"type": "text", "text": part.text})


def _write_thinking(part: Thinking) -> Object:
    return wire.merge(part.extras, {"type": "thinking", "thinking": part.text})


def _write_media(part: Media) -> Object:
    if is_document(part):
        return {"type": "document", "document": write_document(part)}
    if part.kind != "image" or not isinstance(part.source, Url | Base64):
        raise MalformedError(f"Cohere takes no {part.kind} from this source")
    source = part.source
    media_type = "image/png" if part.media_type is None else part.media_type
    inner: Object = {"url": source.url if isinstance(source, Url) else f"data:{media_type};base64,{source.data}"}
    if part.detail is not None:
        inner["detail"] = part.detail
    return wire.deep_merge(part.extras, {"type": "image_url", "image_url": inner})


def _write_json(part: Json) -> Object:
    return {"type": "document", "document": write_document(part)}


def _write_opaque(part: Opaque) -> Any:
    return dict(part.value) if isinstance(part.value, dict) else part.value


_WRITERS: dict[type, Callable[[Any], Any]] = {
    Text: _write_text,
    Thinking: _write_thinking,
    Media: _write_media,
    Json: _write_json,
    Opaque: _write_opaque,
}
