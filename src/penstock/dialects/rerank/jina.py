"""Jina's rerank API (POST /v1/rerank), which vLLM, Together, SiliconFlow, Infinity and most local servers speak too:
Cohere's names, tokens instead of search units, and documents that come back unless one says no.

Source: https://jina.ai/reranker/ (API), https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html (Re-rank
API).
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

NAME = "jina_rerank"

COUNTS: wire.Counts = {"prompt_tokens": "input_tokens", "total_tokens": "total_tokens"}


def render_request(request: RerankRequest) -> Rendered[dict[str, Any]]:
    """The request body."""
    found: dict[str, Any] = {
        "model": request.model,
        "query": request.query,
        "documents": [text_of(document, request.rank_fields) for document in request.documents],
    }
    if request.top_n is not None:
        found["top_n"] = request.top_n
    if request.return_documents is not None:
        found["return_documents"] = request.return_documents
    return Rendered(wire.merge(request.extras, found), tuple(note_unsaid(request, frozenset())))


def parse_response(value: Any) -> RerankResult:
    """The answer. Together bills tokens in a `usage` of the same form."""
    body = wire.obj(value)
    usage = wire.obj(body.get("usage") or {})
    counts, _ = wire.read_counts(usage, COUNTS)
    return RerankResult(
        results=read_results(body.get("results"), "results"),
        id=None if body.get("id") is None else wire.string(body["id"]),
        model=None if body.get("model") is None else wire.string(body["model"]),
        usage=Usage(**counts) if counts else None,
    )


DIALECT = RerankDialect(
    name=NAME,
    render_request=boundary(NAME)(render_request),
    parse_response=boundary(NAME)(parse_response),
    errors="openai_chat",
)
