"""Voyage AI and Jina AI: POST /v1/embeddings and /v1/rerank, each with its own fields and its own `detail` errors.

Source: Voyage AI API reference ("Text embedding models", "Rerankers"); Jina AI API ("Embeddings API", "Reranker API").
"""

from collections.abc import Callable
from typing import Any

from penstock.testing.providers.openai_media import embedding_list
from penstock.testing.providers.script import ProviderError
from penstock.testing.providers.shapes import (
    ANY,
    BOOL,
    INT,
    NAME,
    OBJECT,
    STRING,
    ListOf,
    Number,
    Struct,
    bracketed,
    either,
    nullable,
    one_of,
)
from penstock.testing.providers.vectors import ranked
from penstock.testing.providers.wire import Ask, Body, Call, Family, Operation, Turn, estimate, json_body

VOYAGE_EMBED_BODY = Struct(
    {
        "model": NAME,
        "input": either(STRING, ListOf(STRING, shortest=1, longest=1000)),
        "input_type": nullable(one_of("query", "document")),
        "truncation": nullable(BOOL),
        "output_dimension": nullable(Number(1, 4096, integer=True)),
        "output_dtype": nullable(one_of("float", "int8", "uint8", "binary", "ubinary")),
        "encoding_format": nullable(one_of("base64")),
    },
    required=("model", "input"),
)
VOYAGE_RERANK_BODY = Struct(
    {
        "model": NAME,
        "query": STRING,
        "documents": ListOf(STRING, shortest=1, longest=1000),
        "top_k": nullable(Number(1, integer=True)),
        "return_documents": nullable(BOOL),
        "truncation": nullable(BOOL),
    },
    required=("model", "query", "documents"),
)
JINA_EMBED_BODY = Struct(
    {
        "model": NAME,
        "input": either(STRING, ListOf(either(STRING, OBJECT), shortest=1)),
        "task": nullable(STRING),
        "dimensions": nullable(Number(1, 4096, integer=True)),
        "normalized": nullable(BOOL),
        "late_chunking": nullable(BOOL),
        "truncate": nullable(BOOL),
        "embedding_type": nullable(ANY),
        "return_multivector": nullable(BOOL),
    },
    required=("model", "input"),
)
JINA_RERANK_BODY = Struct(
    {
        "model": NAME,
        "query": ANY,
        "documents": ListOf(either(STRING, OBJECT), shortest=1),
        "top_n": nullable(Number(1, integer=True)),
        "return_documents": nullable(BOOL),
        "max_chunk_length": nullable(INT),
        "overlap_tokens": nullable(INT),
    },
    required=("model", "query", "documents"),
)


def _authenticate(call: Call) -> ProviderError | None:
    token = call.request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    return None if call.world.lets_in(token) else ProviderError(401, "Provided API key is invalid.")


def _error(error: ProviderError, call: Call) -> Body:
    defaults = {429: "You exceeded your rate limit.", 500: "Internal server error", 503: "Service unavailable"}
    return json_body({"detail": error.message or defaults.get(error.status, "Invalid request.")}, error.status)


def _unknown_path(call: Call) -> Body:
    return json_body({"detail": "Not Found"}, 404)


VOYAGE = Family("voyage", _authenticate, _error, _unknown_path)
JINA = Family("jina", _authenticate, _error, _unknown_path)


def _checked(shape: Struct) -> Callable[[Call], ProviderError | None]:
    def validate(call: Call) -> ProviderError | None:
        try:
            value = call.request.json
        except ValueError:
            return ProviderError(400, "Request body is not valid JSON.")
        if violation := shape.check(value):
            name = bracketed(violation.path)
            if violation.kind == "unknown":
                return ProviderError(400, f"Argument '{name}' is not supported by our API")
            return ProviderError(400, f"Value error at '{name}': expected {violation.expected} ({violation.kind})")
        model = call.body["model"]
        return None if call.world.knows_model(model) else ProviderError(400, f"Model {model} is not supported.")

    return validate


def _asks(call: Call) -> Ask:
    return Ask(model=str(call.body.get("model", "")))


def _texts(given: Any) -> list[str]:
    items = given if isinstance(given, list) else [given]
    return [item if isinstance(item, str) else str(item.get("text", "")) for item in items]


def _embed(turn: Turn, call: Call) -> Body:
    body = call.body
    texts = _texts(body["input"])
    size = body.get("output_dimension") or body.get("dimensions") or 8
    encoded = body.get("encoding_format") == "base64" or body.get("embedding_type") == "base64"
    tokens = {"total_tokens": sum(map(estimate, texts))}
    data = embedding_list(texts, size, encoded)
    return json_body({"object": "list", "data": data, "model": body["model"], "usage": tokens})


def _voyage_rerank(turn: Turn, call: Call) -> Body:
    body = call.body
    shown = body["documents"] if body.get("return_documents") else None
    data = [
        {"relevance_score": score, "index": index, **({"document": shown[index]} if shown else {})}
        for index, score in ranked(body["query"], body["documents"], body.get("top_k"))
    ]
    tokens = {"total_tokens": estimate([body["query"], body["documents"]])}
    return json_body({"object": "list", "data": data, "model": body["model"], "usage": tokens})


def _jina_rerank(turn: Turn, call: Call) -> Body:
    body = call.body
    texts = _texts(body["documents"])
    shown = body.get("return_documents") is not False
    results = [
        {"index": index, "relevance_score": score, **({"document": {"text": texts[index]}} if shown else {})}
        for index, score in ranked(str(body["query"]), texts, body.get("top_n"))
    ]
    tokens = {"total_tokens": estimate([body["query"], texts])}
    return json_body({"model": body["model"], "object": "list", "usage": tokens, "results": results})


VOYAGE_EMBED = Operation("voyage_embeddings", VOYAGE, _checked(VOYAGE_EMBED_BODY), _embed, _asks)
VOYAGE_RERANK = Operation("voyage_rerank", VOYAGE, _checked(VOYAGE_RERANK_BODY), _voyage_rerank, _asks)
JINA_EMBED = Operation("jina_embeddings", JINA, _checked(JINA_EMBED_BODY), _embed, _asks)
JINA_RERANK = Operation("jina_rerank", JINA, _checked(JINA_RERANK_BODY), _jina_rerank, _asks)
