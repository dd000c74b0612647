"""Documents: what a model may cite. In `documents` of the request, and as blocks of tool results.

A document is a string, or `{"data": {...} | "...", "id": "..."}`. One with a text becomes a file of plain text with a
title, as every dialect that knows documents has it; in a tool result, and where there is no text, the data is a JSON
value as such.

    documents[*]            the last user message's first parts, native "documents" (a bare string: "documents:string")
    {"type": "document"}    where the block stands, native "document"

Source: https://docs.cohere.com/reference/chat (documents), https://docs.cohere.com/docs/rag-complete-example
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.cohere_chat.names import DOCUMENT, DOCUMENT_TEXTS, DOCUMENTS
from penstock.types.content import Json, Media, Part, PlainText, Text
from penstock.types.request import Message

_TEXT_KEYS = ("text", "snippet")
_TEXT_KEY = "(text_key)"
"""Remembers which of the keys held the text, where it was not the first."""

_TOP = frozenset({DOCUMENTS, DOCUMENT_TEXTS})
_KNOWN = frozenset({"data", "id"})


def read_document(value: Any, native: str, structured: bool = False) -> Part:
    """One document. `structured`: its data is a result as such, not a text with a title."""
    document = wire.obj(value)
    data = document.get("data")
    name = document.get("id")
    known = _KNOWN if isinstance(name, str) else frozenset({"data"})
    extras = wire.rest(document, known)
    name = name if isinstance(name, str) else None
    if isinstance(data, str):
        return Media("file", PlainText(data), id=name, native=f"{native}:text", extras=extras)
    if isinstance(data, dict) and not structured:
        key = next((key for key in _TEXT_KEYS if isinstance(data.get(key), str)), None)
        if key is not None:
            return _read_text(data, key, name, native, extras)
    if "data" not in document:
        return Json(None, id=name, native=f"{native}:no data", extras=extras)
    return Json(data, id=name, native=native, extras=_without_data(extras))


def _without_data(extras: dict[str, Any] | None) -> dict[str, Any] | None:
    """Explicit nulls are kept in extras; that of `data` is the Json's value."""
    return {key: value for key, value in (extras or {}).items() if key != "data"} or None


def _read_text(data: dict[str, Any], key: str, name: str | None, native: str, extras: dict[str, Any] | None) -> Part:
    title = data.get("title")
    title = title if isinstance(title, str) else None
    left = {other: inner for other, inner in data.items() if other != key and (other != "title" or title is None)}
    found = {**(extras or {})}
    if left:
        found["data"] = left
    if key != _TEXT_KEYS[0]:
        found[_TEXT_KEY] = key
    return Media("file", PlainText(data[key]), name=title, id=name, native=native, extras=found or None)


def write_document(part: Part) -> Any:
    """The document again: a string, or an object."""
    extras = dict(part.extras or {})
    key = extras.pop(_TEXT_KEY, _TEXT_KEYS[0])
    native = part.native or ""
    if isinstance(part, Media) and isinstance(part.source, PlainText):
        if native == DOCUMENT_TEXTS:
            return part.source.text
        data: Any = part.source.text
        if not native.endswith(":text"):
            data = {key: data} if part.name is None else {key: data, "title": part.name}
        found: dict[str, Any] = {"data": data}
    else:
        found = {} if native.endswith(":no data") else {"data": part.value if isinstance(part, Json) else None}
    if part.id is not None:
        found["id"] = part.id
    return wire.deep_merge(extras, found)


def is_document(part: Part) -> bool:
    """Whether the part stands for a document of this dialect."""
    return type(part) in (Media, Json) and (part.native or "").startswith(DOCUMENT)


def _is_top(part: Part) -> bool:
    return type(part) in (Media, Json) and (part.native or "").startswith(DOCUMENTS)


def read_documents(values: list[Any]) -> tuple[Part, ...]:
    """The request's `documents`."""
    return wire.each(_read_top, values)


def _read_top(value: Any) -> Part:
    if isinstance(value, str):
        return Media("file", PlainText(value), native=DOCUMENT_TEXTS)
    return read_document(value, DOCUMENTS)


def attach(documents: tuple[Part, ...], messages: tuple[Message, ...]) -> tuple[Message, ...] | None:
    """The messages with the documents in front of the last user message. None: there is no such message."""
    for number in range(len(messages) - 1, -1, -1):
        message = messages[number]
        if message.role == "user":
            message = replace(message, parts=documents + message.parts)
            return (*messages[:number], message, *messages[number + 1 :])
    return None


def _any_top(messages: tuple[Message, ...]) -> bool:
    for message in messages:
        for part in message.parts:
            if type(part) is not Text and _is_top(part):
                return True
    return False


def detach(messages: tuple[Message, ...]) -> tuple[tuple[Message, ...], list[Any]]:
    """(the messages without them, the request's `documents` on the wire)."""
    if not _any_top(messages):
        return messages, []
    found = [write_document(part) for message in messages for part in message.parts if _is_top(part)]
    kept = tuple(
        replace(message, parts=tuple(part for part in message.parts if not _is_top(part))) for message in messages
    )
    return kept, found
