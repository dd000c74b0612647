"""Content blocks of Converse, both ways: `{"text": ...}`, `{"toolUse": {...}}`, `{"cachePoint": {...}}` ...

A block is an object with one member, whose name is its type. What a part has no place for stays in its `extras`, nested
as it was on the wire, so that writing is merging. A cache point is a block of its own, after the block that it marks;
here it becomes that part's `cache`.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.bedrock_converse.citations import BLOCK, read_citations_content, write_citations_content
from penstock.dialects.bedrock_converse.media import KINDS, read_media, read_search_result, write_media
from penstock.dialects.bedrock_converse.signatures import (
    BLOB,
    ORIGIN,
    Place,
    open_blob,
    open_envelope,
    seal,
    write_blob,
)
from penstock.dialects.tool_memo import as_object
from penstock.types.content import (
    Cache,
    Extras,
    Json,
    Media,
    Opaque,
    Part,
    ServerToolCall,
    ServerToolResult,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from penstock.types.errors import DialectError, MalformedError

SYSTEM_TOOLS: dict[str, str] = {"nova_grounding": "web_search", "nova_code_interpreter": "code_execution"}
"""Tools that Amazon runs itself -> their generic names (https://docs.aws.amazon.com/nova/latest/nova2-userguide/)."""
_SYSTEM_TOOL_NAMES = {generic: name for name, generic in SYSTEM_TOOLS.items()}

PARKED = "parked"
SIGNED_AFTER = "signed after"
NO_TEXT = "no_text"
_STATUS = {"success": False, "error": True}
_CACHE_KINDS = {"default": "ephemeral"}
_OWN_CALL = "tool_use"
_OWN_RESULT = "tool_result"
"""The `type` that some models put on calls to the caller's own tools, and on their results."""


# Reading


def read_blocks(value: Any, assistant: bool = False) -> tuple[Part, ...]:
    """A list of blocks; cache points are put on the parts before them."""
    parts: list[Part] = []
    parked = False
    readers = _ASSISTANT_READERS if assistant else _READERS
    index = 0
    try:
        for index, block in enumerate(wire.array(value)):  # noqa: B007 (the handler names the element)
            if type(block) is dict and len(block) == 1 and type(block.get("text")) is str:
                parts.append(Text(block["text"]))  # by far the most frequent block
                continue
            cache = read_cache_point(block) if parts and parts[-1].cache is None else None
            if cache is None:
                parts.append(_read_block(block, readers))
                parked = parked or parts[-1].native == PARKED
            else:
                parts[-1] = replace(parts[-1], cache=cache)
    except DialectError as error:
        raise (error.at(index) if isinstance(value, list | tuple) else error) from None
    return tuple(_return_parked(parts) if parked else parts)


def read_cache_point(block: Any) -> Cache | None:
    """The marker if `block` is a well-formed cache point and nothing else."""
    if not (isinstance(block, dict) and len(block) == 1 and "cachePoint" in block):
        return None
    point = block["cachePoint"]
    if not (isinstance(point, dict) and isinstance(point.get("type"), str)):
        return None
    ttl = point.get("ttl")
    if not isinstance(ttl, str | None):
        return None
    kind: str = point["type"]
    return Cache(ttl, _CACHE_KINDS.get(kind, kind), wire.rest(point, _POINT))


_POINT = frozenset({"type", "ttl"})


def _read_block(value: Any, readers: dict[str, Callable[[str, Any, Extras], Part]]) -> Part:
    block = wire.obj(value)
    for name, inner in block.items():
        read = readers.get(name)
        if read is not None and inner is not None:
            siblings = None if len(block) == 1 else {key: other for key, other in block.items() if key != name}
            try:
                return read(name, inner, siblings)
            except DialectError as error:
                raise error.at(name) from None
    return Opaque(block)


def _read_text(name: str, value: Any, siblings: Extras) -> Part:
    return Text(wire.string(value), extras=siblings)


def _read_json(name: str, value: Any, siblings: Extras) -> Part:
    return Json(value, extras=siblings)


def _read_tool_use(name: str, value: Any, siblings: Extras) -> Part:
    inner = wire.obj(value)
    call_id, tool = _optional(inner, "toolUseId"), _required(inner, "name")
    native = _optional(inner, "type")
    arguments: Any = inner.get("input")
    if not isinstance(arguments, dict):
        arguments = wire.encode(arguments).decode() if "input" in inner else ""
    extras = _nest(name, wire.rest(inner, _USE), siblings)
    if native is None or native == _OWN_CALL:
        return ToolCall(call_id, tool, arguments, native=native, extras=extras)
    return ServerToolCall(call_id, SYSTEM_TOOLS.get(tool, tool), arguments, native=native, extras=extras)


_USE = frozenset({"toolUseId", "name", "type", "input"})


def _read_tool_result(name: str, value: Any, siblings: Extras) -> Part:
    inner = wire.obj(value)
    native = _optional(inner, "type")
    if native is not None and native != _OWN_RESULT:
        return _read_server_result(name, value, siblings)
    status = inner.get("status")
    is_error = _STATUS.get(status) if isinstance(status, str) else None
    try:
        parts = read_blocks(inner.get("content"))
    except DialectError as error:
        raise error.at("content") from None
    extras = _nest(name, wire.rest(inner, _RESULT if is_error is not None else _RESULT_ODD), siblings)
    return ToolResult(_optional(inner, "toolUseId"), parts, is_error=is_error, native=native, extras=extras)


_RESULT_ODD = frozenset({"toolUseId", "content", "type"})
_RESULT = _RESULT_ODD | {"status"}


def _read_server_result(name: str, value: Any, siblings: Extras) -> Part:
    """What a tool of Amazon's own answered. The block does not repeat the tool's name; its `type` may hint at it."""
    inner = wire.obj(value)
    native = _optional(inner, "type")
    tool = (native or "").removesuffix("_result")
    extras = _nest(name, wire.rest(inner, _SERVER_RESULT), siblings)
    call_id = _optional(inner, "toolUseId")
    return ServerToolResult(call_id, SYSTEM_TOOLS.get(tool, tool), inner.get("content"), native=native, extras=extras)


_SERVER_RESULT = frozenset({"toolUseId", "content", "type"})


def _read_reasoning(name: str, value: Any, siblings: Extras) -> Part:
    inner = wire.obj(value)
    if isinstance(inner.get("reasoningText"), dict):
        return _read_reasoning_text(name, inner, siblings)
    blob = inner.get("redactedContent")
    if blob is None:
        return Opaque({**(siblings or {}), name: value})
    try:
        part = read_blob(blob)
    except DialectError as error:
        raise error.at("redactedContent") from None
    extras = _nest(name, wire.rest(inner, _REDACTED), siblings)
    if extras is None:
        return part
    if isinstance(part, Opaque):
        return Opaque({**(siblings or {}), name: inner})
    return replace(part, extras=extras)


_REDACTED = frozenset({"redactedContent"})


def _read_reasoning_text(name: str, inner: dict[str, Any], siblings: Extras) -> Part:
    reasoning = inner["reasoningText"]
    try:
        text, signature = _optional(reasoning, "text"), _optional(reasoning, "signature")
    except DialectError as error:
        raise error.at("reasoningText") from None
    left = wire.rest(reasoning, _REASONING)
    others = wire.rest(inner, _REASONING_TEXT)
    if left:
        others = {**(others or {}), "reasoningText": left}
    opened, item_id, place = (None, None, "") if signature is None else open_envelope(signature)
    if place:
        opened, item_id = Signature(signature or "", ORIGIN), None
    return Thinking(
        text or "",
        signature=opened,
        id=item_id,
        native=NO_TEXT if text is None else None,
        extras=_nest(name, others, siblings),
    )


_REASONING = frozenset({"text", "signature"})
_REASONING_TEXT = frozenset({"reasoningText"})


def read_blob(blob: Any) -> Thinking | Opaque:
    """Withheld reasoning; or, in an envelope of our own, the signature of a part beside it (`native` PARKED)."""
    text = wire.string(blob)
    opened = open_blob(text)
    if opened is None:
        return Thinking(signature=Signature(text, ORIGIN), redacted=True, native=BLOB)
    signature, item_id, place = open_envelope(opened)
    if place:
        return Opaque((signature, place, text), native=PARKED)
    return Thinking(signature=signature, redacted=True, id=item_id)


def _return_parked(parts: list[Part]) -> list[Part]:
    """The parts, with the signatures that were parked beside them. One without such a part stays withheld reasoning."""
    found: list[Part] = []
    for index, part in enumerate(parts):
        if part.native != PARKED or not isinstance(part, Opaque):
            found.append(part)
            continue
        signature, place, blob = part.value
        following = parts[index + 1] if index + 1 < len(parts) and part.cache is None else None
        if place == ">" and isinstance(following, SIGNED) and following.signature is None:
            parts[index + 1] = replace(following, signature=signature)
        elif place == "<" and part.cache is None and found and _can_be_signed_after(found[-1]):
            found[-1] = replace(found[-1], signature=signature, native=SIGNED_AFTER)
        else:
            found.append(Thinking(signature=Signature(blob, ORIGIN), redacted=True, cache=part.cache, native=BLOB))
    return found


def _can_be_signed_after(part: Part) -> bool:
    return isinstance(part, SIGNED) and part.signature is None and part.native is None and part.cache is None


SIGNED = (Text, ToolCall, ServerToolCall, Media)
"""Parts whose signature has no place in their own block and is parked in one beside it (see signatures.py)."""


def _read_guard(name: str, value: Any, siblings: Extras) -> Part:
    """`guardContent`: a text or an image that a guardrail shall look at."""
    inner = wire.obj(value)
    text, image = inner.get("text"), inner.get("image")
    if len(inner) == 1 and isinstance(text, dict) and isinstance(text.get("text"), str):
        left = wire.rest(text, _GUARD_TEXT)
        extras = {**(siblings or {}), name: {"text": left}} if left else siblings
        return Text(text["text"], native=name, extras=extras)
    if len(inner) == 1 and isinstance(image, dict):
        media = read_media("image", image, None)
        if media.native is None:
            extras = {**(siblings or {}), name: media.extras} if media.extras else siblings
            return replace(media, native=name, extras=extras)
    return Opaque({**(siblings or {}), name: value})


_GUARD_TEXT = frozenset({"text"})


def _required(inner: dict[str, Any], key: str) -> str:
    try:
        return wire.string(inner.get(key))
    except DialectError as error:
        raise error.at(key) from None


def _optional(inner: dict[str, Any], key: str) -> str | None:
    return None if inner.get(key) is None else _required(inner, key)


def _nest(name: str, left: Extras, siblings: Extras) -> Extras:
    return {**(siblings or {}), name: left} if left else siblings


_READERS: dict[str, Callable[[str, Any, Extras], Part]] = {
    "text": _read_text,
    **dict.fromkeys(KINDS, read_media),
    "toolUse": _read_tool_use,
    "toolResult": _read_tool_result,
    "reasoningContent": _read_reasoning,
    BLOCK: read_citations_content,
    "searchResult": read_search_result,
    "guardContent": _read_guard,
    "json": _read_json,
}
_ASSISTANT_READERS = {**_READERS, "toolResult": _read_server_result}
"""In the assistant's turn stand only the results of tools that Amazon runs."""


# Writing. These functions write this dialect's parts exactly, and others' as far as the fields exist; what to leave out
# of a foreign part, and the notes about it, is decided before, in foreign.py.


def write_blocks(parts: Iterable[Part]) -> list[dict[str, Any]]:
    """A list of blocks, with a cache point after each part that bears one."""
    blocks: list[dict[str, Any]] = []
    for part in parts:
        if type(part) is Text and part.native is None and part.extras is None and part.citations is None:
            block = {"text": part.text}
            if part.signature is None and part.cache is None:
                blocks.append(block)
                continue
        else:
            block = write_block(part)
        if isinstance(part, SIGNED) and part.signature is not None:
            after = part.native == SIGNED_AFTER
            envelope = park(part.signature, "<" if after else ">")
            blocks += (block, envelope) if after else (envelope, block)
        else:
            blocks.append(block)
        if part.cache is not None:
            blocks.append(write_cache_point(part.cache))
    return blocks


def park(signature: Signature, place: Place) -> dict[str, Any]:
    """The block that holds the signature of the part beside it."""
    return {"reasoningContent": {"redactedContent": write_blob(seal(signature, None, place))}}


def write_cache_point(cache: Cache) -> dict[str, Any]:
    """The marker as a block."""
    point = {"type": "default" if cache.kind == "ephemeral" else cache.kind}
    if cache.ttl is not None:
        point["ttl"] = cache.ttl
    return {"cachePoint": wire.merge(cache.extras, point)}


def write_block(part: Part) -> dict[str, Any]:
    """One part as a block, its cache marker aside. Raises MalformedError where Converse has no block for it."""
    write = _WRITERS.get(type(part))
    if write is None:
        raise MalformedError(f"Converse has no block for {type(part).__name__}")
    block: dict[str, Any] = write(part)
    return block


def _write_text(part: Text) -> dict[str, Any]:
    if part.native == BLOCK or part.citations is not None:
        return write_citations_content(part)
    if part.native == "guardContent":
        return wire.deep_merge(part.extras, {"guardContent": {"text": {"text": part.text}}})
    return wire.merge(part.extras, {"text": part.text})


def _write_media(part: Media) -> dict[str, Any]:
    if part.native == "guardContent":
        block = write_media(replace(part, native=None, extras=None))
        return wire.deep_merge(part.extras, {"guardContent": block})
    return write_media(part)


def _write_json(part: Json) -> dict[str, Any]:
    return wire.merge(part.extras, {"json": part.value})


def _write_thinking(part: Thinking) -> dict[str, Any]:
    if part.redacted:
        blob = "" if part.signature is None else write_redacted(part.signature, part.id, part.native)
        return wire.deep_merge(part.extras, {"reasoningContent": {"redactedContent": blob}})
    reasoning: dict[str, Any] = {} if part.native == NO_TEXT else {"text": part.text}
    if part.signature is not None:
        reasoning["signature"] = seal(part.signature, part.id)
    return wire.deep_merge(part.extras, {"reasoningContent": {"reasoningText": reasoning}})


def write_redacted(signature: Signature, item_id: str | None, native: str | None) -> str:
    """The blob of withheld reasoning."""
    return signature.value if native == BLOB else write_blob(seal(signature, item_id))


def _write_tool_call(part: ToolCall) -> dict[str, Any]:
    return _write_call(part, part.name)


def _write_server_call(part: ServerToolCall) -> dict[str, Any]:
    return _write_call(part, system_tool_name(part.name))


def system_tool_name(generic: str) -> str:
    """Amazon's name for a tool that it runs, or the name itself."""
    return _SYSTEM_TOOL_NAMES.get(generic, generic)


def _write_call(part: ToolCall | ServerToolCall, name: str) -> dict[str, Any]:
    inner: dict[str, Any] = {"name": name}
    if part.call_id is not None:
        inner["toolUseId"] = part.call_id
    if part.native not in (None, SIGNED_AFTER):
        inner["type"] = part.native
    if part.arguments != "":
        inner["input"] = _arguments(part.arguments)
    block = {"toolUse": inner}
    return wire.deep_merge(part.extras, block) if part.extras else block


def _arguments(arguments: dict[str, Any] | str | None) -> Any:
    """The input as a value: any JSON value, where this dialect gave it. Text that is none stands in an object."""
    if not isinstance(arguments, str):
        return arguments
    try:
        return wire.decode(arguments)
    except MalformedError:
        return as_object(arguments)[0]


def _write_tool_result(part: ToolResult) -> dict[str, Any]:
    inner: dict[str, Any] = {"content": write_blocks(part.parts)}
    if part.call_id is not None:
        inner["toolUseId"] = part.call_id
    if part.is_error is not None:
        inner["status"] = "error" if part.is_error else "success"
    if part.native is not None:
        inner["type"] = part.native
    block = {"toolResult": inner}
    return wire.deep_merge(part.extras, block) if part.extras else block


def _write_server_result(part: ServerToolResult) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    if part.call_id is not None:
        inner["toolUseId"] = part.call_id
    if part.content is not None:
        inner["content"] = part.content
    if part.native is not None:
        inner["type"] = part.native
    return wire.deep_merge(part.extras, {"toolResult": inner})


def _write_opaque(part: Opaque) -> dict[str, Any]:
    return wire.obj(part.value)


_WRITERS: dict[type, Callable[[Any], dict[str, Any]]] = {
    Text: _write_text,
    Media: _write_media,
    Json: _write_json,
    Thinking: _write_thinking,
    ToolCall: _write_tool_call,
    ToolResult: _write_tool_result,
    ServerToolCall: _write_server_call,
    ServerToolResult: _write_server_result,
    Opaque: _write_opaque,
}
