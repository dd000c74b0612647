"""Reranking: documents in the order in which they fit a query, in Cohere's shape, over any rerank format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock.calls.bills import rerank_bill
from penstock.calls.options import Options
from penstock.calls.prepare import complete
from penstock.calls.rerank_shape import encoded, read_answer, with_documents
from penstock.client.objects import Object
from penstock.client.operations import JSON, Body, Operation, Payload, ReadError
from penstock.client.result_objects import RerankResponse
from penstock.dialects import registry, rerank, wire
from penstock.exchange import Reply
from penstock.providers.endpoint import Endpoint
from penstock.types.errors import MalformedError


def _encode(body: Body, target: Endpoint, options: Options) -> Payload:
    said, notes = encoded(body, target)
    return Payload(target, wire.encode(complete(said, target, options)), JSON, notes)


def _read(reply: Reply, target: Endpoint) -> RerankResponse:
    return RerankResponse(read_answer(reply.body, target))


def _finish(body: Body, answer: RerankResponse) -> RerankResponse:
    with_documents(body, answer)
    for result in answer.results:
        if "document" in result:
            result["document"] = Object(result["document"])
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
