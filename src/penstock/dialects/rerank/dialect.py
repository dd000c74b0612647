"""RerankDialect: what every wire format for reranking offers: documents in, each one's place and score out.

The SDK's own shape is Cohere's. What a format has no word for becomes a note; what only one provider knows goes
through `extras` untouched, as these APIs are young and differ in little but names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from penstock.dialects import wire
from penstock.types.content import Extras
from penstock.types.errors import MalformedError
from penstock.types.notes import Note, Rendered
from penstock.types.usage import Usage

Document = str | dict[str, Any]


class RerankRequest(Struct, frozen=True, kw_only=True):
    """Documents to be put into the order in which they fit `query`.

    `top_n` limits the answer; `return_documents` asks for the documents' text in it; `rank_fields` are the fields of
    a document that count; `max_tokens_per_doc` and `max_chunks_per_doc` cut long ones.
    """

    model: str | None
    query: str
    documents: tuple[Document, ...]
    top_n: int | None = None
    return_documents: bool | None = None
    rank_fields: tuple[str, ...] | None = None
    max_tokens_per_doc: int | None = None
    max_chunks_per_doc: int | None = None
    extras: Extras = None


class Ranked(Struct, frozen=True):
    """One document: its place in the request, its score (higher fits better), and its text where it came along."""

    index: int
    score: float
    document: dict[str, Any] | None = None


class RerankResult(Struct, frozen=True, kw_only=True):
    """The documents, best first."""

    results: tuple[Ranked, ...]
    id: str | None = None
    model: str | None = None
    usage: Usage | None = None
    meta: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RerankDialect:
    """A wire format for reranking.

    name              also the name of the wire format in the catalog
    render_request    (request) -> Rendered[wire object]
    parse_response    (wire) -> RerankResult
    errors            the chat dialect whose errors look the same
    """

    name: str
    render_request: Callable[[RerankRequest], Rendered[dict[str, Any]]]
    parse_response: Callable[[Any], RerankResult]
    errors: str


def read_request(body: dict[str, Any]) -> RerankRequest:
    """The SDK's own arguments. Raises MalformedError with the argument's name."""
    found = _FIELDS.read(body)
    for name in ("query", "documents"):
        if name not in found:
            raise MalformedError("a value is required", name)
    found.pop("spelling", None)
    found.setdefault("model", None)
    return RerankRequest(**found)


def _read_documents(value: Any) -> tuple[Document, ...]:
    documents = wire.each(_read_document, value)
    if not documents:
        raise MalformedError("there must be at least one document")
    return documents


def _read_document(value: Any) -> Document:
    return value if isinstance(value, str) else wire.obj(value)


_FIELDS = wire.Fields(
    wire.Field("model", wire.string),
    wire.Field("query", wire.string),
    wire.Field("documents", _read_documents),
    wire.Field("top_n", wire.integer),
    wire.Field("return_documents", wire.boolean),
    wire.Field("rank_fields", wire.strings),
    wire.Field("max_tokens_per_doc", wire.integer),
    wire.Field("max_chunks_per_doc", wire.integer),
)


def text_of(document: Document, fields: tuple[str, ...] | None) -> str:
    """A document as one text: its `text`, or the fields that count, each on a line of its own with its name (the form
    that Cohere's guide recommends for structured documents, https://docs.cohere.com/docs/rerank-overview).
    """
    if isinstance(document, str):
        return document
    if fields is None and isinstance(document.get("text"), str):
        text: str = document["text"]
        return text
    names = fields or tuple(document)
    return "\n".join(f"{name}: {document[name]}" for name in names if name in document)


def note_unsaid(request: RerankRequest, said: frozenset[str]) -> list[Note]:
    """A note for each setting that is set and that the target has no word for."""
    settings = ("max_tokens_per_doc", "max_chunks_per_doc")
    return [
        Note(name, "dropped", "this API has no such setting")
        for name in settings
        if name not in said and getattr(request, name) is not None
    ]


def read_results(value: Any, path: str) -> tuple[Ranked, ...]:
    """A list of results, best first. Raises MalformedError."""
    try:
        found = wire.each(_read_result, value)
    except MalformedError as error:
        raise error.at(path) from None
    return tuple(sorted(found, key=lambda result: -result.score))


def _read_result(value: Any) -> Ranked:
    item = wire.obj(value)
    score = item.get("relevance_score", item.get("score"))
    document = item.get("document")
    if isinstance(document, str):
        document = {"text": document}
    return Ranked(wire.integer(item.get("index")), wire.number(score), None if document is None else wire.obj(document))
