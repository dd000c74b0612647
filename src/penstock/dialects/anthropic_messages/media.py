"""Images and documents: blocks with a `source`, and two relatives without one, both ways.

    image             base64 (PNG, JPEG, GIF, WebP), url, file
    document          base64 (PDF), text, content (blocks, or a string), url, file; its title, its context and whether
                      to cite it
    search_result     a document of text blocks with a title and a `source`, which is `Media.origin`
    container_upload  a file for the code execution container

`Media.native` is None for the block that the kind suggests (image for an image, document for a file), else the wire
type; "document:string" is a content source that was a plain string.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from penstock.dialects import wire
from penstock.dialects.anthropic_messages.access import cache_at, maybe_at, text_at, write_cache
from penstock.types.content import Base64, Blocks, Extras, FileId, Media, Part, PlainText, Source, Text, Url
from penstock.types.errors import DialectError

ReadBlock: TypeAlias = Callable[[Any], Part]
WriteBlock: TypeAlias = Callable[[Part], dict[str, Any]]

STRING_SOURCE = "document:string"

_USED_KEYS = {
    "base64": frozenset({"type", "data", "media_type"}),
    "text": frozenset({"type", "data", "media_type"}),
    "url": frozenset({"type", "url", "media_type"}),
    "file": frozenset({"type", "file_id", "media_type"}),
    "content": frozenset({"type", "content"}),
}


def read_media(block: dict[str, Any], read_block: ReadBlock) -> Media:
    """An `image` or `document` block."""
    kind = block["type"]
    try:
        holder = wire.obj(block.get("source"))
        source, native, left = _read_source(holder, read_block)
        media_type = maybe_at(holder, "media_type", wire.string) if source is not None else None
    except DialectError as error:
        raise error.at("source") from None
    extras = wire.rest(block, _IMAGE_KEYS if kind == "image" else _DOCUMENT_KEYS)
    if left:
        extras = {**(extras or {}), "source": left}
    if kind == "image":
        return Media("image", source, media_type, cache=cache_at(block), native=native, extras=extras)
    cite, extras = _read_citing(block, extras)
    return Media(
        "file",
        source,
        media_type,
        maybe_at(block, "title", wire.string),
        context=maybe_at(block, "context", wire.string),
        cite=cite,
        cache=cache_at(block),
        native=native,
        extras=extras,
    )


_IMAGE_KEYS = frozenset({"type", "source", "cache_control"})
_DOCUMENT_KEYS = frozenset({"type", "source", "title", "context", "citations", "cache_control"})


def _read_citing(block: dict[str, Any], extras: Extras) -> tuple[bool | None, Extras]:
    """(whether the answer shall cite the document, the extras with what else `citations` says)."""
    citations = maybe_at(block, "citations", wire.obj)
    if citations is None:
        return None, extras
    cite = maybe_at(citations, "enabled", wire.boolean)
    left = wire.rest(citations, _CITING)
    return cite, {**(extras or {}), "citations": left or {}} if left or cite is None else extras


_CITING = frozenset({"enabled"})


def document_tails(media: Media) -> dict[str, Any]:
    """What is said of a document beside its content and its name."""
    found: dict[str, Any] = {}
    if media.context is not None:
        found["context"] = media.context
    if media.cite is not None:
        found["citations"] = {"enabled": media.cite}
    return found


def _read_source(source: dict[str, Any], read_block: ReadBlock) -> tuple[Source | None, str | None, Extras]:
    """(source, `native` of the Media, what is not modelled). A source type that is not known is left whole."""
    kind = text_at(source, "type")
    found: Source
    native = None
    if kind == "base64":
        found = Base64(text_at(source, "data"))
    elif kind == "url":
        found = Url(text_at(source, "url"))
    elif kind == "file":
        found = FileId(text_at(source, "file_id"))
    elif kind == "text":
        found = PlainText(text_at(source, "data"))
    elif kind == "content" and source.get("content") is not None:
        content = source["content"]
        native = STRING_SOURCE if isinstance(content, str) else None
        found = Blocks(
            (Text(content),) if isinstance(content, str) else maybe_at(source, "content", _each(read_block)) or ()
        )
    else:
        return None, None, source
    return found, native, wire.rest(source, _USED_KEYS[kind])


def _each(read_block: ReadBlock) -> Callable[[Any], tuple[Part, ...]]:
    def read(value: Any) -> tuple[Part, ...]:
        return wire.each(read_block, value)

    return read


def write_source(media: Media, write_block: WriteBlock) -> dict[str, Any]:
    """The `source` object, without what the extras add."""
    source = media.source
    if isinstance(source, Blocks):
        if media.native == STRING_SOURCE and len(source.parts) == 1 and isinstance(source.parts[0], Text):
            return {"type": "content", "content": source.parts[0].text}
        return {"type": "content", "content": [write_block(part) for part in source.parts]}
    found = _write_plain_source(source)
    if media.media_type is not None and found:
        found["media_type"] = media.media_type
    return found


def _write_plain_source(source: Source | None) -> dict[str, Any]:
    if isinstance(source, Base64):
        return {"type": "base64", "data": source.data}
    if isinstance(source, Url):
        return {"type": "url", "url": source.url}
    if isinstance(source, FileId):
        return {"type": "file", "file_id": source.id}
    if isinstance(source, PlainText):
        return {"type": "text", "data": source.text}
    return {}


def write_media(media: Media, write_block: WriteBlock) -> dict[str, Any]:
    """The block again, whichever of the four it was."""
    if media.native == "search_result":
        found = _write_search_result(media, write_block)
    elif media.native == "container_upload" and isinstance(media.source, FileId):
        found = {"type": "container_upload", "file_id": media.source.id}
    else:
        found = {"type": "image" if media.kind == "image" else "document"}
        source = write_source(media, write_block)
        if source:
            found["source"] = source
        if media.name is not None and media.kind != "image":
            found["title"] = media.name
        found |= document_tails(media)
    if media.cache is not None:
        found["cache_control"] = write_cache(media.cache)
    return wire.deep_merge(media.extras, found) if media.extras else found


def read_search_result(block: dict[str, Any], read_block: ReadBlock) -> Media:
    """A `search_result` block."""
    content = maybe_at(block, "content", _each(read_block))
    cite, extras = _read_citing(block, wire.rest(block, _SEARCH_KEYS))
    return Media(
        "file",
        None if content is None else Blocks(content),
        name=maybe_at(block, "title", wire.string),
        cite=cite,
        origin=maybe_at(block, "source", wire.string),
        cache=cache_at(block),
        native="search_result",
        extras=extras,
    )


_SEARCH_KEYS = frozenset({"type", "content", "title", "source", "citations", "cache_control"})


def _write_search_result(media: Media, write_block: WriteBlock) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "search_result"}
    if isinstance(media.source, Blocks):
        found["content"] = [write_block(part) for part in media.source.parts]
    if media.name is not None:
        found["title"] = media.name
    if media.origin is not None:
        found["source"] = media.origin
    return found | document_tails(media)


def read_container_upload(block: dict[str, Any], read_block: ReadBlock) -> Media:
    """A `container_upload` block."""
    extras = wire.rest(block, _UPLOAD_KEYS)
    return Media(
        "file", FileId(text_at(block, "file_id")), cache=cache_at(block), native="container_upload", extras=extras
    )


_UPLOAD_KEYS = frozenset({"type", "file_id", "cache_control"})
