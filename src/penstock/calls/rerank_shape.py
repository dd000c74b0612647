"""Reranking in Cohere's shape over any format of reranking."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from penstock.dialects import rerank, wire
from penstock.dialects.rerank.dialect import RerankRequest, RerankResult, read_request, text_of
from penstock.providers.endpoint import Endpoint
from penstock.types.notes import Note

Body = dict[str, Any]


def encoded(body: Body, target: Endpoint) -> tuple[Body, tuple[Note, ...]]:
    """The body at `target`, and what it could not say. Raises DialectError."""
    request = replace(read_request(body), model=target.wire_model)
    rendered = rerank.get(target.format).render_request(request)
    return rendered.value, rendered.notes


def read_answer(data: bytes, target: Endpoint) -> Body:
    """The answer in Cohere's shape. Raises DialectError."""
    found = rerank.get(target.format).parse_response(wire.decode(data))
    results = [
        {
            "index": each.index,
            "relevance_score": each.score,
            **({"document": each.document} if each.document is not None else {}),
        }
        for each in found.results
    ]
    return {"id": found.id, "results": results, "meta": _meta(found)}


def _meta(found: RerankResult) -> Body:
    """Cohere's own, or the counts of another in its form."""
    if found.meta is not None or found.usage is None:
        return found.meta or {}
    tokens = found.usage.input_tokens if found.usage.input_tokens is not None else found.usage.total_tokens
    counts = {"input_tokens": tokens, "total_tokens": found.usage.total_tokens}
    return {
        "billed_units": {name: count for name, count in counts.items() if count is not None},
        "tokens": {"input_tokens": tokens},
    }


def with_documents(body: Body, answer: Body) -> Body:
    """The documents where they were asked for, whatever the format offers; none where they were not wanted."""
    request: RerankRequest = read_request(body)
    for result in answer["results"]:
        if request.return_documents is False:
            result.pop("document", None)
        elif request.return_documents and "document" not in result and 0 <= result["index"] < len(request.documents):
            document = request.documents[result["index"]]
            shown = {"text": document} if isinstance(document, str) else dict(document)
            result["document"] = {"text": text_of(document, request.rank_fields)} | shown
    return answer
