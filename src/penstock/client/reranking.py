"""Reranking: documents in the order in which they fit a query, in Cohere's shape, over any rerank format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from penstock.calls.bills import rerank_bill
from penstock.calls.options import Options
from penstock.calls.prepare import complete
from penstock.client.objects import Object
from penstock.client.operations import JSON, Body, Operation, Payload, ReadError
from penstock.client.result_objects import RerankResponse
from penstock.dialects import registry, rerank, wire
from penstock.dialects.rerank.dialect import RerankRequest, RerankResult, read_request, text_of
from penstock.exchange import Reply
from penstock.providers.endpoint import Endpoint
from penstock.types.errors import MalformedError


def _encode(body: Body, target: Endpoint, options: Options) -> Payload:
    request = replace(read_request(body), model=target.wire_model)
    rendered = rerank.get(target.format).render_request(request)
    return Payload(target, wire.encode(complete(rendered.value, target, options)), JSON, rendered.notes)


def _read(reply: Reply, target: Endpoint) -> RerankResponse:
    found = rerank.get(target.format).parse_response(wire.decode(reply.body))
    results = [
        {
            "index": each.index,
            "relevance_score": each.score,
            **({"document": each.document} if each.document is not None else {}),
        }
        for each in found.results
    ]
    return RerankResponse({"id": found.id, "results": results, "meta": _meta(found)})


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


def _finish(body: Body, answer: RerankResponse) -> RerankResponse:
    """The documents where they were asked for, whatever the format offers; none where they were not wanted."""
    request: RerankRequest = read_request(body)
    for result in answer.results:
        if request.return_documents is False:
            result.pop("document", None)
        elif request.return_documents and "document" not in result and 0 <= result["index"] < len(request.documents):
            document = request.documents[result["index"]]
            shown = {"text": document} if isinstance(document, str) else dict(document)
            result["document"] = Object({"text": text_of(document, request.rank_fields)} | shown)
    return answer


def _mock(value: Any, body: Body) -> RerankResponse:
    if not isinstance(value, Mapping):
        raise MalformedError("expected a RerankResponse or an exception", "mock_response")
    return RerankResponse(value)


def _errors(wire_format: str) -> ReadError:
    return registry.get(rerank.get(wire_format).errors).parse_error


def _checked(value: Any) -> Any:
    """Checked whole by `read_request`; here only what a list is."""
    return wire.array(value)


RERANK: Operation[RerankResponse] = Operation(
    name="rerank",
    capability="rerank",
    encode=_encode,
    read=_read,
    arguments={
        "query": wire.string,
        "documents": _checked,
        "top_n": wire.integer,
        "return_documents": wire.boolean,
    },
    required={"query": "the question, a text", "documents": "a list of texts"},
    example="cohere/rerank-v3.5",
    parameters=frozenset({"max_tokens_per_doc", "max_chunks_per_doc"}),
    bill=rerank_bill,
    mock=_mock,
    errors=_errors,
    finish=_finish,
)
