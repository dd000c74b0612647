"""Messages of Chat Completions, both ways. The assistant message of a response is the same object and read by the
same functions.

An assistant message keeps its kinds of content in separate fields; the representation has one list of parts. The
order in which the fields are read is the order in which every other dialect expects the parts: thinking, text,
refusal, media, tool calls.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from penstock.dialects import wire
from penstock.dialects.openai_chat import thinking
from penstock.dialects.openai_chat.calls import call_signature
from penstock.dialects.openai_chat.citations import SOURCE, read_citation, write_citation
from penstock.dialects.openai_chat.media import (
    read_cache,
    read_content_part,
    source_of_url,
    write_cache,
    write_media,
    write_text,
    write_thinking,
)
from penstock.types.content import (
    Base64,
    Extras,
    Json,
    Media,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from penstock.types.errors import DialectError, MalformedError
from penstock.types.request import Message

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_PLAIN_ROLES = frozenset({"system", "developer", "user", "assistant"})
_KNOWN = frozenset({"role", "content", "name", "cache_control"})
_KNOWN_TOOL = _KNOWN | {"tool_call_id"}


def read_messages(value: Any) -> tuple[Message, ...]:
    """`messages`."""
    found: list[Message] = []
    elements = wire.array(value)
    try:
        for element in elements:
            if type(element) is dict and len(element) == 2:  # a role and a text: by far the most frequent shape
                role, content = element.get("role"), element.get("content")
                if type(content) is str and role in _PLAIN_ROLES:
                    found.append(Message(role, (Text(content),)))
                    continue
            found.append(read_message(element))
    except DialectError as error:
        raise error.at(len(found)) from None
    return tuple(found)


def read_message(value: Any) -> Message:
    """One element of `messages`."""
    message = wire.obj(value)
    role = message.get("role")
    if role not in _ROLES:
        raise MalformedError(f"expected one of {', '.join(sorted(_ROLES))}, got {role!r}", "role")
    if role == "assistant":
        return _read_assistant(message)
    if role in ("tool", "function"):
        return _read_tool(message)
    parts, content_rest = _read_content(message)
    name = message.get("name")
    extras = wire.rest(message, _KNOWN)
    return Message(
        role,
        parts,
        None if name is None else wire.string(name),
        cache=read_cache(message.get("cache_control")),
        native=None if "content" in message else NO_CONTENT,
        extras={**(extras or {}), **content_rest} if content_rest else extras,
    )


NO_CONTENT = "no content"
"""The native of a message, or of a tool's result, that has no `content` at all."""


def _read_content(message: dict[str, Any]) -> tuple[tuple[Part, ...], dict[str, Any]]:
    """The parts of `content`, and `content` itself where it is an empty list (which has no parts to remember it by)."""
    content = message.get("content")
    if isinstance(content, str):
        return (Text(content),), {}
    if content is None:
        return (), {}
    try:
        parts = wire.each(read_content_part, content)
    except DialectError as error:
        raise error.at("content") from None
    return parts, {} if parts else {"content": []}


def _read_tool(message: dict[str, Any]) -> Message:
    parts, content_rest = _read_content(message)
    call_id, name = message.get("tool_call_id"), message.get("name")
    legacy = message["role"] == "function"
    result = ToolResult(
        None if call_id is None else wire.string(call_id),
        parts,
        None if name is None else wire.string(name),
        cache=read_cache(message.get("cache_control")),
        native=None if "content" in message else NO_CONTENT,
    )
    extras = wire.rest(message, _KNOWN_TOOL)
    extras = {**(extras or {}), **content_rest} if content_rest else extras
    return Message("tool", (result,), native="function" if legacy else None, extras=extras)


def _read_assistant(message: dict[str, Any]) -> Message:
    calls = message.get("tool_calls")
    if calls and len(message) == 3 and message.get("content", "") is None:  # calls and nothing else: a frequent shape
        try:
            return Message("assistant", wire.each(_read_tool_call, calls), extras=_NULL_CONTENT)
        except DialectError as error:
            raise error.at("tool_calls") from None
    parts, extras = read_answer(message, role_known=True)
    name = message.get("name")
    return Message(
        "assistant",
        parts,
        None if name is None else wire.string(name),
        cache=read_cache(message.get("cache_control")),
        extras=extras,
    )


_NULL_CONTENT: dict[str, Any] = {"content": None}


def read_answer(message: dict[str, Any], role_known: bool = False) -> tuple[tuple[Part, ...], dict[str, Any] | None]:
    """The parts of an assistant message, and what of it is not modelled (`role` too, unless the caller models it).

    In an answer, a field of a shape that we do not know is left unmodelled; in a request it is the caller's error.
    """
    consumed = set(_OWN_KEYS if role_known else _CONTENT_KEY)
    parts: list[Part] = [] if _THINKING_KEYS.isdisjoint(message) else _read_thinking(message, consumed)
    value = message.get("content")
    if value is None:
        content, content_rest = _NOTHING
    else:
        content, content_rest = _read_content(message) if role_known or type(value) is str else _read_any(message)
    parts += _with_annotations(content, message, consumed) if "annotations" in message else content
    for key, read in [pair for pair in _ANSWER_FIELDS if pair[0] in message]:
        value = message[key]
        if value is not None:
            try:
                found = read(value)
            except DialectError as error:
                if not role_known:
                    continue
                raise error.at(key) from None
            if found:
                consumed.add(key)
                parts += found
    twice = {} if _THINKING_KEYS.isdisjoint(message) else _said_twice(message, parts, consumed)
    extras = wire.rest(message, consumed)
    if twice:
        extras = {**(extras or {}), TWICE: twice}
    return tuple(parts), {**(extras or {}), **content_rest} if content_rest else extras


TWICE = "(thoughts)"
"""The key in the extras of a message for plain thoughts that a part holds already: other dialects lose nothing."""


def _said_twice(message: dict[str, Any], parts: list[Part], consumed: set[str]) -> dict[str, Any]:
    """The plain thoughts that repeat the typed or the other plain ones."""
    first = parts[0] if parts else None
    if not isinstance(first, Thinking):
        return {}
    typed = first.native in thinking.TYPED
    found = {
        key: message[key]
        for key in thinking.PLAIN
        if key not in consumed and isinstance(message.get(key), str) and (typed or message[key] == first.text)
    }
    consumed.update(found)
    return found


_NOTHING: tuple[tuple[Part, ...], dict[str, Any]] = ((), {})
_CONTENT_KEY = frozenset({"content"})
_OWN_KEYS = frozenset({"role", "name", "cache_control", "content"})
_THINKING_KEYS = frozenset({*thinking.TYPED, *thinking.PLAIN})


def _read_any(message: dict[str, Any]) -> tuple[tuple[Part, ...], dict[str, Any]]:
    """The parts of an answer's `content`, whatever it is: an element that we cannot read is kept whole, and a value
    that is neither a text nor a list (some hosts parse the JSON that was asked for) is the answer itself.
    """
    content = message["content"]
    if not isinstance(content, list):
        return (Json(content, native=WHOLE),), {}
    return tuple([_read_any_part(element) for element in content]), {} if content else {"content": []}


WHOLE = "content value"
"""The native of a Json that is the whole `content` of an answer."""


def _read_any_part(value: Any) -> Part:
    try:
        return read_content_part(value)
    except DialectError:
        return Opaque(value, native="content")


def _read_thinking(message: dict[str, Any], consumed: set[str]) -> list[Part]:
    for key, read in (("thinking_blocks", thinking.read_blocks), ("reasoning_details", thinking.read_details)):
        value = message.get(key)
        if value and isinstance(value, list):
            consumed.add(key)
            try:
                return list(read(value))
            except DialectError as error:
                raise error.at(key) from None
    for key in thinking.PLAIN:
        value = message.get(key)
        if isinstance(value, str):
            consumed.add(key)
            return [Thinking(value, native=key)]
    return []


def _with_annotations(parts: tuple[Part, ...], message: dict[str, Any], consumed: set[str]) -> Iterable[Part]:
    """`annotations` belong to the text of the message: to the first one, where content is a list."""
    annotations = message.get("annotations")
    if not isinstance(annotations, list) or not parts or not isinstance(parts[0], Text):
        return parts
    try:
        citations = wire.each(read_citation, annotations)
    except DialectError as error:
        raise error.at("annotations") from None
    consumed.add("annotations")
    first = parts[0]
    return (Text(first.text, citations, cache=first.cache, native=first.native, extras=first.extras), *parts[1:])


def _read_refusal(value: Any) -> list[Part]:
    return [Refusal(wire.string(value))]


def _read_audio(value: Any) -> list[Part]:
    audio = wire.obj(value)
    data, audio_id, transcript = audio.get("data"), audio.get("id"), audio.get("transcript")
    if not audio:
        return []
    return [
        Media(
            "audio",
            None if data is None else Base64(wire.string(data)),
            id=None if audio_id is None else wire.string(audio_id),
            transcript=None if transcript is None else wire.string(transcript),
            native="audio",
            extras=wire.rest(audio, frozenset({"data", "id", "transcript"})),
        )
    ]


def _read_images(value: Any) -> list[Part]:
    """Images that a model made, as OpenRouter and Gemini-compatible hosts return them."""
    images: list[Part] = []
    for element in wire.array(value):
        images.append(read_image(element))
    return images


def read_image(value: Any) -> Media:
    """One of them."""
    image = wire.obj(value)
    inner = wire.obj(image.get("image_url"))
    source, media_type = source_of_url(wire.string(inner.get("url")))
    extras = wire.rest(image, frozenset({"image_url"})) or {}
    extras["image_url"] = wire.rest(inner, frozenset({"url"})) or {}
    return Media("image", source, media_type, native="images", extras=extras)


def read_tool_calls(value: Any) -> list[Part]:
    """`tool_calls`: functions, and custom tools with free-form input."""
    return list(wire.each(_read_tool_call, value))


def _read_tool_call(value: Any) -> Part:
    call = wire.obj(value)
    call_id = call.get("id")
    kind = call.get("type")
    custom = kind == "custom"
    key, input_key = ("custom", "input") if custom else ("function", "arguments")
    inner = call.get(key)
    if not isinstance(inner, dict):
        if kind in (None, key):
            wire.obj(inner)
        return Opaque(call, native="tool_calls")  # what a host ran itself (Z.ai's search, MCP)
    arguments = inner.get(input_key)
    if not isinstance(arguments, str | dict | None):
        raise MalformedError(f"expected a string, got {wire.describe(arguments)}", f"{key}.{input_key}")
    if len(call) == 3 and kind == "function" and type(call_id) is str:
        extras: Extras = _FUNCTION
    else:
        extras = wire.rest(call, _CALL_KEYS[key] if isinstance(call_id, str | None) else frozenset({key}))
    left = wire.rest(inner, _INNER_KEYS[key])
    signature = call_signature(call) if len(call) > 3 else None
    return ToolCall(
        call_id if isinstance(call_id, str) else None,
        wire.string(inner.get("name")),
        "" if arguments is None else arguments,
        custom,
        signature,
        native=None if arguments is not None else "no_arguments",
        extras={**(extras or {}), key: left} if left else extras,
    )


_FUNCTION = {"type": "function"}
"""What nearly every call leaves beside its function and id: one object for all of them, since extras never change."""

_CALL_KEYS = {"function": frozenset({"id", "function"}), "custom": frozenset({"id", "custom"})}
_INNER_KEYS = {"function": frozenset({"name", "arguments"}), "custom": frozenset({"name", "input"})}


def _read_function_call(value: Any) -> list[Part]:
    """The one call of the time before tools."""
    call = wire.obj(value)
    name, arguments = call.get("name"), call.get("arguments")
    if not isinstance(name, str) or not isinstance(arguments, str | dict | None):
        return []
    extras = wire.rest(call, frozenset({"name", "arguments"}))
    asked = "" if arguments is None else arguments
    return [ToolCall(None, name, asked, native="function_call" if arguments is not None else NO_INPUT, extras=extras)]


NO_INPUT = "function_call without arguments"


_ANSWER_FIELDS = (
    ("refusal", _read_refusal),
    ("audio", _read_audio),
    ("images", _read_images),
    ("tool_calls", read_tool_calls),
    ("function_call", _read_function_call),
)


# Writing. These functions write parts of this dialect exactly, and parts of others as far as the fields exist; what
# to leave out, and the notes about it, is
# decided before, in foreign.py.


def write_message(message: Message) -> dict[str, Any]:
    """A message of one role, whose parts all have a place in it."""
    if message.extras is None and len(message.parts) == 1 and message.name is None and message.cache is None:
        part = message.parts[0]
        if type(part) is Text and part.native is None and part.cache is None and part.citations is None:
            return {"role": message.role, "content": part.text}
    if message.role == "tool":
        return _write_tool(message)
    if message.role == "assistant":
        found = {"role": "assistant", **write_answer(message.parts, message.extras)}
    else:
        found = wire.merge(message.extras, {"role": message.role})
        if message.parts or ("content" not in found and message.native != NO_CONTENT):
            found["content"] = write_content(message.parts)
    if message.name is not None:
        found["name"] = message.name
    if message.cache is not None:
        found["cache_control"] = write_cache(message.cache)
    return found


def write_content(parts: tuple[Part, ...]) -> str | list[dict[str, Any]]:
    """A plain string for one plain text, else a list."""
    if len(parts) == 1 and type(parts[0]) is Text and parts[0].native is None and parts[0].cache is None:
        return parts[0].text
    return [_write_content_part(part) for part in parts]


def _write_content_part(part: Part) -> Any:
    if isinstance(part, Text):
        return write_text(part)
    if isinstance(part, Media):
        return write_media(part)
    if isinstance(part, Refusal):
        return wire.merge(part.extras, {"type": "refusal", "refusal": part.text})
    if isinstance(part, Thinking):
        return write_thinking(part)
    if isinstance(part, Opaque):
        return part.value
    if isinstance(part, Json):
        return {"type": "text", "text": wire.encode(part.value).decode()}
    raise MalformedError(f"{type(part).__name__} has no place in message content")


def _write_tool(message: Message) -> dict[str, Any]:
    result = message.parts[0] if message.parts else None
    if not isinstance(result, ToolResult):
        raise MalformedError("a tool message must hold a tool result")
    found: dict[str, Any] = wire.merge(message.extras, {"role": message.native or "tool"})
    if result.parts or ("content" not in found and result.native != NO_CONTENT):
        found["content"] = write_content(result.parts) if result.parts else ""
    if result.call_id is not None:
        found["tool_call_id"] = result.call_id
    if result.name is not None:
        found["name"] = result.name
    if result.cache is not None:
        found["cache_control"] = write_cache(result.cache)
    return found


def write_answer(parts: tuple[Part, ...], extras: dict[str, Any] | None) -> dict[str, Any]:
    """The fields of an assistant message for `parts`."""
    content: list[Part] = []
    fields: dict[str, Any] = {}
    for part in parts:
        write = _PART_FIELDS.get(type(part))
        if write is None or _stood_in_content(part):
            content.append(part)
        else:
            write(part, fields)
    if content:
        only = content[0] if len(content) == 1 else None
        whole = isinstance(only, Json) and only.native == WHOLE
        fields["content"] = only.value if whole and isinstance(only, Json) else write_content(tuple(content))
        citations = [part.citations for part in content if isinstance(part, Text) and part.citations is not None]
        told = [each for group in citations for each in group if each.native != SOURCE]
        if told or any(not group for group in citations):
            fields["annotations"] = [write_citation(each) for each in told]
    if extras and TWICE in extras:
        extras = {**{key: value for key, value in extras.items() if key != TWICE}, **extras[TWICE]}
    return wire.merge(extras, fields)


def _stood_in_content(part: Part) -> bool:
    """Whether a part that usually has a field of its own came as an element of the content."""
    return part.native is not None and type(part) is not ToolCall and part.native.partition(":")[0] in _IN_CONTENT


_IN_CONTENT = frozenset(
    {
        "content",
        "refusal",
        "thinking",
        "image_url",
        "video_url",
        "audio_url",
        "document_url",
        "file",
        "input_audio",
    }
)


def _write_refusal(part: Any, fields: dict[str, Any]) -> None:
    fields["refusal"] = fields.get("refusal", "") + part.text


def _write_thinking(part: Any, fields: dict[str, Any]) -> None:
    if part.native == "thinking_blocks":
        fields.setdefault("thinking_blocks", []).append(thinking.write_block(part))
    elif part.native == "reasoning_details":
        fields.setdefault("reasoning_details", []).append(thinking.write_detail(part))
    else:
        key = part.native if part.native in thinking.PLAIN else thinking.PLAIN[0]
        fields[key] = fields.get(key, "") + thinking.visible_text(part)


def _write_media(part: Any, fields: dict[str, Any]) -> None:
    if part.kind == "audio":
        audio = {"id": part.id, "transcript": part.transcript, "data": part.source.data if part.source else None}
        fields["audio"] = wire.merge(part.extras, {key: value for key, value in audio.items() if value is not None})
    else:
        image = {"type": "image_url", "image_url": {"url": write_media(part)["image_url"]["url"]}}
        extras = part.extras
        if part.native == "images":
            image = wire.deep_merge(extras, {"image_url": image["image_url"]})
        fields.setdefault("images", []).append(image)


def write_tool_call(part: ToolCall) -> dict[str, Any]:
    """One element of `tool_calls`."""
    key, input_key = ("custom", "input") if part.custom else ("function", "arguments")
    arguments = part.arguments
    inner: dict[str, Any] = {"name": part.name}
    if part.native != "no_arguments":
        inner[input_key] = arguments
    found: dict[str, Any] = {key: inner}
    if part.call_id is not None:
        found["id"] = part.call_id
    return wire.deep_merge(part.extras, found)


def _write_call(part: Any, fields: dict[str, Any]) -> None:
    if part.native == "function_call":
        fields["function_call"] = wire.merge(part.extras, {"name": part.name, "arguments": part.arguments})
    elif part.native == NO_INPUT:
        fields["function_call"] = wire.merge(part.extras, {"name": part.name})
    else:
        fields.setdefault("tool_calls", []).append(write_tool_call(part))


def _write_opaque(part: Any, fields: dict[str, Any]) -> None:
    fields.setdefault(part.native or "tool_calls", []).append(part.value)


_PART_FIELDS: dict[type, Any] = {
    Opaque: _write_opaque,
    Thinking: _write_thinking,
    Refusal: _write_refusal,
    Media: _write_media,
    ToolCall: _write_call,
}
