"""Messages and content blocks of this dialect, both ways and exact (https://platform.claude.com/docs/en/api/messages).

One table reads blocks by their `type`, one writes parts by their class. What another dialect's parts become here is
decided in foreign.py.

    text, compaction                     Text (`native` "compaction": a summary that stands for what came before)
    thinking, redacted_thinking          Thinking
    image, document, search_result, container_upload    Media
    tool_use / tool_result               ToolCall / ToolResult
    server_tool_use, mcp_tool_use        ServerToolCall: `name` generic, `native` the name on the wire where it differs
    *_tool_result                        ServerToolResult: `name` generic, `native` the type on the wire
    anything else                        Opaque

`Message.native` and `ToolResult.native` tell how `content` was written: None a list, "string", or "absent".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.anthropic_messages.access import (
    cache_at,
    each_at,
    keep_private,
    maybe_at,
    text_at,
    with_private,
    write_cache,
)
from penstock.dialects.anthropic_messages.citations import read_citation, write_citation
from penstock.dialects.anthropic_messages.media import (
    read_container_upload,
    read_media,
    read_search_result,
    write_media,
)
from penstock.dialects.anthropic_messages.signatures import ORIGIN, Place, open_envelope, seal
from penstock.types.content import (
    Extras,
    Json,
    Media,
    Opaque,
    Part,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from penstock.types.errors import DialectError, MalformedError
from penstock.types.request import Message

STRING, ABSENT = "string", "absent"
COMPACTION = "compaction"

ROLES: dict[str, Any] = {"user": "user", "assistant": "assistant", "system": "system"}

SERVER_TOOL_NAMES = {
    "bash_code_execution": "code_execution",
    "text_editor_code_execution": "code_execution",
    "tool_search_tool_bm25": "tool_search",
    "tool_search_tool_regex": "tool_search",
}
"""The generic name of a server tool where it differs from the name on the wire."""


def read_message(value: Any) -> Message:
    """One element of `messages`."""
    message = wire.obj(value)
    role = ROLES.get(text_at(message, "role"))
    if role is None:
        raise MalformedError(f"expected one of user, assistant, system, got {message['role']!r}", "role")
    native, parts = _read_content(message)
    extras = None if len(message) == 2 and native != ABSENT else wire.rest(message, _MESSAGE_KEYS)
    return Message(role, parts, native=native, extras=extras)


_MESSAGE_KEYS = frozenset({"role", "content"})


def _read_content(holder: dict[str, Any]) -> tuple[str | None, tuple[Part, ...]]:
    """(how it was written, parts) of the `content` of a message or a tool result."""
    content = holder.get("content")
    if type(content) is str:
        return STRING, (Text(content),)
    if content is None:
        return ABSENT, ()
    try:
        return None, read_blocks(content)
    except DialectError as error:
        raise error.at("content") from None


def read_blocks(value: Any) -> tuple[Part, ...]:
    """A list of content blocks. Signatures that were parked in blocks of their own go back to their parts."""
    if not isinstance(value, list):
        raise MalformedError(f"expected a string or a list of content blocks, got {wire.describe(value)}")
    parts: list[Part] = []
    parked = False
    index = 0
    try:
        for index, block in enumerate(value):  # noqa: B007 (the handler names the element)
            part = read_block(block)
            parked = parked or part.native == PARKED
            parts.append(part)
    except DialectError as error:
        raise error.at(index) from None
    return tuple(_return_parked(parts)) if parked else tuple(parts)


def read_block(value: Any) -> Part:
    """One content block."""
    if type(value) is not dict:
        raise MalformedError(f"expected a content block, got {wire.describe(value)}")
    kind = value.get("type")
    read = _READERS.get(kind) if type(kind) is str else None
    if read is not None:
        return read(value)
    kind = text_at(value, "type")
    if kind.endswith(_RESULT) and type(value.get("tool_use_id")) is str:
        return _read_server_result(value)
    return Opaque(value, native=kind)


def _read_text(block: dict[str, Any]) -> Part:
    text = text_at(block, "text")
    if len(block) == 2:
        return Text(text)
    cache = cache_at(block) if "cache_control" in block else None
    if cache is not None and len(block) == 3:
        return Text(text, cache=cache)
    citations = each_at(block, "citations", read_citation)
    return Text(text, citations, cache=cache, extras=wire.rest(block, _TEXT_KEYS))


_TEXT_KEYS = frozenset({"type", "text", "citations", "cache_control"})


def _read_compaction(block: dict[str, Any]) -> Part:
    text = maybe_at(block, "content", wire.string)
    extras = wire.rest(block, _COMPACTION_KEYS)
    if text is None and "content" not in block:
        return Opaque(block, native=COMPACTION)
    return Text(text or "", cache=cache_at(block), native=COMPACTION, extras=extras)


_COMPACTION_KEYS = frozenset({"type", "content", "cache_control"})


def _read_thinking(block: dict[str, Any]) -> Part:
    text, sealed = text_at(block, "thinking"), maybe_at(block, "signature", wire.string)
    signature, item_id = None, None
    if sealed is not None:
        signature, item_id, place = open_envelope(sealed)
        if place:
            signature, item_id = Signature(sealed, ORIGIN), None
    extras = None if len(block) == 3 and sealed is not None else wire.rest(block, _THINKING_KEYS)
    return Thinking(text, None, signature, cache=cache_at(block), id=item_id, extras=extras)


_THINKING_KEYS = frozenset({"type", "thinking", "signature", "cache_control"})


def _read_redacted(block: dict[str, Any]) -> Part:
    data = text_at(block, "data")
    signature, item_id, place = open_envelope(data)
    extras = wire.rest(block, _REDACTED_KEYS)
    if place and item_id is None and extras is None and "cache_control" not in block:
        return Opaque((signature, place, data), native=PARKED)
    if place:
        signature, item_id = Signature(data, ORIGIN), None
    return Thinking("", None, signature, True, cache_at(block), item_id, extras=extras)


_REDACTED_KEYS = frozenset({"type", "data", "cache_control"})
PARKED = "(parked signature)"
SIGNABLE = frozenset({Text, ToolCall, Media, ServerToolCall})
"""Parts whose signature has no place in their own block and is parked in a `redacted_thinking` block beside it (see
signatures.py).
"""
SIGNED_AFTER = "signed_after"
"""`native` of a part whose signature stood behind it."""


def _return_parked(parts: list[Part]) -> list[Part]:
    """The parts without parked signatures, each of which now is on its neighbour (or a withheld thought, if that cannot
    bear it).
    """
    found: list[Part] = []
    waiting: Signature | None = None
    for part in parts:
        if waiting is not None and _can_sign(part):
            part, waiting = _signed(part, waiting, ">"), None
        elif waiting is not None:
            found.append(Thinking(signature=waiting, redacted=True, native=">"))
            waiting = None
        if not (isinstance(part, Opaque) and part.native == PARKED):
            found.append(part)
            continue
        signature, place, _ = part.value
        if place == ">":
            waiting = signature
        elif found and _can_sign(found[-1]):
            found[-1] = _signed(found[-1], signature, place)
        else:
            found.append(Thinking(signature=signature, redacted=True, native=place))
    return found if waiting is None else [*found, Thinking(signature=waiting, redacted=True, native=">")]


def _can_sign(part: Part) -> bool:
    return type(part) in SIGNABLE and getattr(part, "signature", None) is None and part.native is None


def _signed(part: Part, signature: Signature, place: Place) -> Part:
    assert isinstance(part, Text | ToolCall | Media | ServerToolCall)
    return replace(part, signature=signature, native=SIGNED_AFTER if place == "<" else None)


def park(signature: Signature, place: Place) -> dict[str, Any]:
    """The block that carries a neighbour's signature."""
    return {"type": "redacted_thinking", "data": seal(signature, None, place)}


def _call_extras(block: dict[str, Any], known: frozenset[str]) -> Extras:
    """That the model itself called (and not a program that it wrote) is no news to anybody else."""
    extras = wire.rest(block, known)
    return keep_private(extras, "caller") if block.get("caller") == _DIRECT else extras


_DIRECT = {"type": "direct"}


def _read_tool_use(block: dict[str, Any]) -> Part:
    arguments = block.get("input")
    if type(arguments) is not dict and arguments is not None:
        raise MalformedError(f"expected an object, got {wire.describe(arguments)}", "input")
    call_id, name = maybe_at(block, "id", wire.string), text_at(block, "name")
    if len(block) == 4 and call_id is not None and arguments is not None:
        return ToolCall(call_id, name, arguments)
    return ToolCall(
        call_id,
        name,
        {} if arguments is None else arguments,
        cache=cache_at(block),
        native=NO_INPUT if arguments is None else None,
        extras=_call_extras(block, _TOOL_USE_KEYS),
    )


_TOOL_USE_KEYS = frozenset({"type", "id", "name", "input", "cache_control"})
NO_INPUT = "no_input"
"""`ToolCall.native` of a call that came without `input` (or with a null), which some compatible hosts send for tools
without parameters.
"""


def _read_tool_result(block: dict[str, Any]) -> Part:
    native, parts = _read_content(block)
    call_id = maybe_at(block, "tool_use_id", wire.string)
    if len(block) == 3 and call_id is not None and native != ABSENT:
        return ToolResult(call_id, parts, native=native)
    return ToolResult(
        call_id,
        parts,
        is_error=maybe_at(block, "is_error", wire.boolean),
        cache=cache_at(block),
        native=native,
        extras=wire.rest(block, _TOOL_RESULT_KEYS),
    )


_TOOL_RESULT_KEYS = frozenset({"type", "tool_use_id", "content", "is_error", "cache_control"})


def _read_server_call(block: dict[str, Any]) -> Part:
    name = text_at(block, "name")
    generic = SERVER_TOOL_NAMES.get(name, name)
    return ServerToolCall(
        maybe_at(block, "id", wire.string),
        generic,
        maybe_at(block, "input", wire.obj),
        cache=cache_at(block),
        native=None if generic == name else name,
        extras=_call_extras(block, _TOOL_USE_KEYS),
    )


def _read_mcp_call(block: dict[str, Any]) -> Part:
    return ServerToolCall(
        maybe_at(block, "id", wire.string),
        text_at(block, "name"),
        maybe_at(block, "input", wire.obj),
        maybe_at(block, "server_name", wire.string),
        cache=cache_at(block),
        native="mcp_tool_use",
        extras=_call_extras(block, _MCP_KEYS),
    )


_MCP_KEYS = frozenset({"type", "id", "name", "server_name", "input", "cache_control"})
_RESULT = "_tool_result"


def _read_server_result(block: dict[str, Any]) -> Part:
    kind: str = block["type"]
    name = kind.removesuffix(_RESULT)
    return ServerToolResult(
        maybe_at(block, "tool_use_id", wire.string),
        SERVER_TOOL_NAMES.get(name, name),
        block.get("content"),
        maybe_at(block, "is_error", wire.boolean),
        cache_at(block),
        native=kind,
        extras=_call_extras(block, _SERVER_RESULT_KEYS),
    )


_SERVER_RESULT_KEYS = frozenset({"type", "tool_use_id", "content", "is_error", "cache_control"})

_READERS: dict[str, Callable[[dict[str, Any]], Part]] = {
    "text": _read_text,
    "compaction": _read_compaction,
    "thinking": _read_thinking,
    "redacted_thinking": _read_redacted,
    "image": lambda block: read_media(block, read_block),
    "document": lambda block: read_media(block, read_block),
    "search_result": lambda block: read_search_result(block, read_block),
    "container_upload": lambda block: read_container_upload(block, read_block),
    "tool_use": _read_tool_use,
    "tool_result": _read_tool_result,
    "server_tool_use": _read_server_call,
    "mcp_tool_use": _read_mcp_call,
}


# Writing: exact inverses of the above.


def write_message(message: Message) -> dict[str, Any]:
    """A message of this dialect again."""
    found: dict[str, Any] = {"role": _WIRE_ROLES[message.role]}
    _write_content(message.native, message.parts, found)
    return {**message.extras, **found} if message.extras else found


_WIRE_ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system", "tool": "user"}


def _write_content(native: str | None, parts: tuple[Part, ...], found: dict[str, Any]) -> None:
    if native is None:
        found["content"] = write_blocks(parts)
    elif native == STRING and len(parts) == 1 and type(parts[0]) is Text and parts[0] == Text(parts[0].text):
        found["content"] = parts[0].text
    elif native != ABSENT or parts:
        found["content"] = write_blocks(parts)


def write_blocks(parts: tuple[Part, ...]) -> list[dict[str, Any]]:
    """Content blocks of this dialect's own parts."""
    blocks: list[dict[str, Any]] = []
    for part in parts:
        kind = type(part)
        blocks.append(_WRITERS[kind](part))
        if kind in SIGNABLE and part.signature is not None:  # type: ignore[union-attr]  # types in SIGNABLE have these
            after = part.native == SIGNED_AFTER
            blocks.insert(len(blocks) - (not after), park(part.signature, "<" if after else ">"))  # type: ignore[union-attr]  # types in SIGNABLE have these
    return blocks


def write_block(part: Part) -> dict[str, Any]:
    """One content block of this dialect's own part."""
    return _WRITERS[type(part)](part)


def _finish(part: Any, found: dict[str, Any]) -> dict[str, Any]:
    if part.cache is not None:
        found["cache_control"] = write_cache(part.cache)
    return {**with_private(part.extras, "caller"), **found} if part.extras else found


def _write_text(part: Text) -> dict[str, Any]:
    if part.native == COMPACTION:
        found: dict[str, Any] = {"type": COMPACTION}
        if part.text or not part.extras or "content" not in part.extras:
            found["content"] = part.text
        return _finish(part, found)
    found = {"type": "text", "text": part.text}
    if part.citations is not None:
        found["citations"] = [write_citation(citation) for citation in part.citations]
    if part.cache is None and part.extras is None:
        return found
    return _finish(part, found)


def _write_thinking(part: Thinking) -> dict[str, Any]:
    signature = part.signature
    if part.redacted:
        place: Place = part.native if part.native in (">", "<") else ""  # type: ignore[assignment]  # one of Place, as was asked
        data = "" if signature is None else seal(signature, part.id, place)
        return _finish(part, {"type": "redacted_thinking", "data": data})
    found = {"type": "thinking", "thinking": part.text}
    if signature is not None:
        found["signature"] = seal(signature, part.id)
    return _finish(part, found)


def _write_media(part: Media) -> dict[str, Any]:
    return write_media(part, write_block)


def _write_tool_use(part: ToolCall) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "tool_use"}
    if part.call_id is not None:
        found["id"] = part.call_id
    found["name"] = part.name
    if part.native != NO_INPUT or part.arguments:
        found["input"] = as_object(part.arguments)
    if part.cache is None and part.extras is None:
        return found
    return _finish(part, found)


def as_object(arguments: dict[str, Any] | str | None) -> dict[str, Any]:
    """Arguments as the object that `input` must be. Text that is no JSON object (cut, or free-form) stands in it as
    `input`.
    """
    if isinstance(arguments, dict):
        return arguments
    if not arguments or not arguments.strip():
        return {}
    try:
        value = wire.decode(arguments)
    except DialectError:
        value = None
    return value if isinstance(value, dict) else {"input": arguments}


def _write_tool_result(part: ToolResult) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "tool_result"}
    if part.call_id is not None:
        found["tool_use_id"] = part.call_id
    _write_content(part.native, part.parts, found)
    if part.is_error is not None:
        found["is_error"] = part.is_error
    return _finish(part, found)


def _write_server_call(part: ServerToolCall) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "mcp_tool_use" if part.native == "mcp_tool_use" else "server_tool_use"}
    if part.call_id is not None:
        found["id"] = part.call_id
    found["name"] = part.name if found["type"] == "mcp_tool_use" else part.native or part.name
    if part.server is not None:
        found["server_name"] = part.server
    if part.arguments is not None:
        found["input"] = as_object(part.arguments)
    return _finish(part, found)


def _write_server_result(part: ServerToolResult) -> dict[str, Any]:
    found: dict[str, Any] = {"type": part.native or f"{part.name}{_RESULT}"}
    if part.call_id is not None:
        found["tool_use_id"] = part.call_id
    if part.content is not None:
        found["content"] = part.content
    if part.is_error is not None:
        found["is_error"] = part.is_error
    return _finish(part, found)


def _write_opaque(part: Opaque) -> dict[str, Any]:
    if not isinstance(part.value, dict):
        raise MalformedError("an unknown block must be an object")
    return part.value


_WRITERS: dict[type, Callable[[Any], dict[str, Any]]] = {
    Text: _write_text,
    Thinking: _write_thinking,
    Media: _write_media,
    ToolCall: _write_tool_use,
    ToolResult: _write_tool_result,
    ServerToolCall: _write_server_call,
    ServerToolResult: _write_server_result,
    Opaque: _write_opaque,
    Refusal: lambda part: {"type": "text", "text": part.text},
    Json: lambda part: {"type": "text", "text": wire.encode(part.value).decode()},
}
