"""Voyage's rerank API (POST /v1/rerank): `top_k`, and results under `data`.

Source: https://docs.voyageai.com/reference/reranker-api.
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

NAME = "voyage_rerank"

_COUNTS: wire.Counts = {"total_tokens": "total_tokens"}


def render_request(request: RerankRequest) -> Rendered[dict[str, Any]]:
    """The request body."""
    found: dict[str, Any] = {
        "model": request.model,
        "query": request.query,
        "documents": [text_of(document, request.rank_fields) for document in request.documents],
    }
    if request.top_n is not None:
        found["top_k"] = request.top_n
    if request.return_documents is not None:
        found["return_documents"] = request.return_documents
    return Rendered(wire.merge(request.extras, found), tuple(note_unsaid(request, frozenset())))


def parse_response(value: Any) -> RerankResult:
    """The answer."""
    body = wire.obj(value)
    counts, _ = wire.read_counts(wire.obj(body.get("usage") or {}), _COUNTS)
    return RerankResult(
        results=read_results(body.get("data"), "data"),
        model=None if body.get("model") is None else wire.string(body["model"]),
        usage=Usage(**counts) if counts else None,
    )


DIALECT = RerankDialect(
    name=NAME,
    render_request=boundary(NAME)(render_request),
    parse_response=boundary(NAME)(parse_response),
    errors="openai_chat",
)
