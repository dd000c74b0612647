"""Cohere's other endpoints: POST /v2/embed, /v2/rerank, /v1/tokenize, GET /v1/models.

Source: Cohere API reference, "Embed", "Rerank", "Tokenize", "List Models".
"""

import base64
from typing import Any

from penstock.testing.providers.cohere import COHERE, checked, exchange_id, invalid
from penstock.testing.providers.script import ProviderError
from penstock.testing.providers.shapes import ANY, INT, NAME, OBJECT, STRING, ListOf, Number, Struct, nullable, one_of
from penstock.testing.providers.vectors import pack, ranked, vector
from penstock.testing.providers.wire import JSON, Ask, Body, Call, Operation, Turn, estimate, json_body, words

_EMBED_TYPES = one_of("float", "int8", "uint8", "binary", "ubinary", "base64")
EMBED_BODY = Struct(
    {
        "model": NAME,
        "input_type": one_of("search_document", "search_query", "classification", "clustering", "image"),
        "texts": nullable(ListOf(STRING, longest=96)),
        "images": nullable(ListOf(STRING, longest=1)),
        "inputs": nullable(ListOf(OBJECT, longest=96)),
        "max_tokens": nullable(INT),
        "output_dimension": nullable(Number(1, 4096, integer=True)),
        "embedding_types": nullable(ListOf(_EMBED_TYPES)),
        "truncate": nullable(one_of("NONE", "START", "END")),
        "priority": nullable(INT),
    },
    required=("model", "input_type"),
)
RERANK_BODY = Struct(
    {
        "model": NAME,
        "query": STRING,
        "documents": ListOf(STRING, shortest=1, longest=10000),
        "top_n": nullable(Number(1, integer=True)),
        "max_tokens_per_doc": nullable(INT),
        "relevant_spans": nullable(ANY),
        "priority": nullable(INT),
    },
    required=("model", "query", "documents"),
)
_TOKENIZE_BODY = Struct({"model": NAME, "text": NAME}, required=("model", "text"))

_check_embed = checked(EMBED_BODY)


def _validate_embed(call: Call) -> ProviderError | None:
    if error := _check_embed(call):
        return error
    given = [name for name in ("texts", "images", "inputs") if call.body.get(name)]
    return None if len(given) == 1 else invalid("exactly one of texts, images or inputs must be specified")


def _embed(turn: Turn, call: Call) -> Body:
    body = call.body
    texts = body.get("texts") or [str(item) for item in body.get("inputs") or body.get("images") or []]
    kinds = body.get("embedding_types") or ["float"]
    vectors = [vector(text, body.get("output_dimension") or 8) for text in texts]
    embeddings: JSON = {kind: [_as_kind(values, kind) for values in vectors] for kind in kinds}
    billed = {"input_tokens": sum(map(estimate, texts))}
    meta = {"api_version": {"version": "2"}, "billed_units": billed}
    answer: JSON = {
        "id": exchange_id(call),
        "embeddings": embeddings,
        "response_type": "embeddings_by_type",
        "meta": meta,
    }
    return json_body({**answer, "texts": body.get("texts") or []})


def _as_kind(values: list[float], kind: str) -> Any:
    """The vector in one of the other number formats: rounded, shifted or packed."""
    match kind:
        case "float":
            return values
        case "base64":
            return base64.b64encode(pack(values)).decode()
        case "int8":
            return [round(value * 127) for value in values]
        case "uint8":
            return [round(value * 127) + 128 for value in values]
        case _:
            bits = [value > 0 for value in values]
            packed = [sum(bit << (7 - i) for i, bit in enumerate(bits[at : at + 8])) for at in range(0, len(bits), 8)]
            return packed if kind == "ubinary" else [byte - 128 for byte in packed]


def _rerank(turn: Turn, call: Call) -> Body:
    body = call.body
    results = [
        {"index": index, "relevance_score": score}
        for index, score in ranked(body["query"], body["documents"], body.get("top_n"))
    ]
    meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
    return json_body({"id": exchange_id(call), "results": results, "meta": meta})


def _tokenize(turn: Turn, call: Call) -> Body:
    tokens = list(words(call.body["text"]))
    numbers = [sum(token.encode()) for token in tokens]
    return json_body({"tokens": numbers, "token_strings": tokens, "meta": {"api_version": {"version": "1"}}})


def _nothing_to_check(call: Call) -> ProviderError | None:
    return None


def _models(turn: Turn, call: Call) -> Body:
    names = sorted(call.world.models or {"command-a-03-2025"})
    listed = [{"name": name, "endpoints": ["chat"], "context_length": 256000} for name in names]
    return json_body({"models": listed, "next_page_token": None})


def _asks_model(call: Call) -> Ask:
    return Ask(model=str(call.body.get("model", "")))


EMBED = Operation("cohere_embed", COHERE, _validate_embed, _embed, _asks_model)
RERANK = Operation("cohere_rerank", COHERE, checked(RERANK_BODY), _rerank, _asks_model)
TOKENIZE = Operation("cohere_tokenize", COHERE, checked(_TOKENIZE_BODY), _tokenize)
MODELS = Operation("cohere_models", COHERE, _nothing_to_check, _models)
