"""Cohere's rerank API (POST /v2/rerank): documents are texts, the answer never repeats them, a search unit is billed.

Source: https://docs.cohere.com/reference/rerank.
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.dialects.dialect import boundary
from penstock.dialects.rerank.dialect import (
    RerankDialect,
    RerankRequest,
    RerankResult,
    note_unsaid,
    read_results,
    text_of,
)
from penstock.types.notes import Rendered
from penstock.types.usage import Usage

NAME = "cohere_rerank"

_COUNTS: wire.Counts = {
    "billed_units": {"search_units": "search_units"},
    "tokens": {"input_tokens": "input_tokens", "output_tokens": "output_tokens"},
}


def render_request(request: RerankRequest) -> Rendered[dict[str, Any]]:
    """The request body."""
    found: dict[str, Any] = {
        "model": request.model,
        "query": request.query,
        "documents": [text_of(document, request.rank_fields) for document in request.documents],
    }
    if request.top_n is not None:
        found["top_n"] = request.top_n
    if request.max_tokens_per_doc is not None:
        found["max_tokens_per_doc"] = request.max_tokens_per_doc
    notes = note_unsaid(request, frozenset({"max_tokens_per_doc"}))
    return Rendered(wire.merge(request.extras, found), tuple(notes))


def parse_response(value: Any) -> RerankResult:
    """The answer."""
    body = wire.obj(value)
    meta = wire.obj(body.get("meta") or {})
    counts, _ = wire.read_counts(meta, _COUNTS)
    return RerankResult(
        results=read_results(body.get("results"), "results"),
        id=None if body.get("id") is None else wire.string(body["id"]),
        usage=Usage(**counts) if counts else None,
        meta=meta or None,
    )


DIALECT = RerankDialect(
    name=NAME,
    render_request=boundary(NAME)(render_request),
    parse_response=boundary(NAME)(parse_response),
    errors="cohere_chat",
)
