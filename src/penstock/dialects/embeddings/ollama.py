"""Ollama's embeddings, POST /api/embed; and its older form, POST /api/embeddings: one `prompt`, one `embedding`.

Source: https://docs.ollama.com/api/embed, https://github.com/ollama/ollama/blob/main/docs/api.md#generate-embedding
"""

from __future__ import annotations

import re
from typing import Any

from penstock.dialects import wire
from penstock.dialects.dialect import PathMatch, boundary
from penstock.dialects.embeddings.dialect import EmbeddingDialect, note_unsaid, texts_of
from penstock.dialects.embeddings.errors import errors_of
from penstock.dialects.leftovers import leftovers
from penstock.dialects.places import Places
from penstock.dialects.wire import Field, Fields
from penstock.types.embedding import EmbeddingRequest, EmbeddingResponse, Vector
from penstock.types.errors import MalformedError
from penstock.types.notes import Rendered
from penstock.types.profile import Profile
from penstock.types.usage import Usage

NAME = "ollama_embed"

_PATH = re.compile(r"(?:^|/)api/embed(?:dings)?/?$")
_OLDER = "prompt"
"""`EmbeddingRequest.spelling["inputs"]`, and `EmbeddingResponse.native`, of the older form."""


def match_path(path: str) -> PathMatch | None:
    """`/api/embed`, `/api/embeddings`."""
    return PathMatch() if _PATH.search(path) else None


def _read_input(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else wire.strings(value)


FIELDS = Fields(
    Field("model", wire.string),
    Field("input", _read_input, "inputs", (_OLDER,)),
    Field("truncate", wire.boolean),
    Field("dimensions", wire.integer),
)


def read_request(value: Any, match: PathMatch) -> EmbeddingRequest:
    """A request body."""
    body = wire.obj(value)
    found = FIELDS.read(body)
    if "inputs" not in found:
        raise MalformedError("something to embed is missing", "input")
    found.setdefault("model", match.model)
    given = body[(found.get("spelling") or {}).get("inputs", "input")]
    return EmbeddingRequest(dialect=NAME, single=isinstance(given, str), **found)


def render_request(request: EmbeddingRequest, profile: Profile) -> Rendered[dict[str, Any]]:
    """The request body."""
    foreign = request.dialect != NAME
    notes = [*leftovers("", request.extras)] if foreign else []
    texts = texts_of(request.inputs, notes)
    key = "input" if foreign else (request.spelling or {}).get("inputs", "input")
    found: dict[str, Any] = {key: texts[0] if request.single and len(texts) == 1 else texts}
    if request.model is not None:
        found["model"] = request.model
    if request.dimensions is not None:
        found["dimensions"] = request.dimensions
    if request.truncate is not None:
        found["truncate"] = request.truncate not in (False, "NONE")
    if not foreign:
        return Rendered(wire.merge(request.extras, found), tuple(notes))
    said = {"dimensions", "truncate"} | ({"encoding_format"} if request.encoding_format == "float" else set())
    note_unsaid(request, frozenset(said), notes)
    return Rendered(found, tuple(notes))


def read_response(value: Any) -> EmbeddingResponse:
    """A response body."""
    body = wire.obj(value)
    if isinstance(body.get("embedding"), list) and "embeddings" not in body:
        extras = wire.rest(body, frozenset({"embedding"}))
        return EmbeddingResponse(dialect=NAME, vectors=(Vector(0, body["embedding"]),), native=_OLDER, extras=extras)
    vectors = tuple(Vector(index, wire.array(each)) for index, each in enumerate(wire.array(body.get("embeddings"))))
    tokens, model = body.get("prompt_eval_count"), body.get("model")
    known = {"embeddings"}
    known |= {"prompt_eval_count"} if type(tokens) is int else set()
    known |= {"model"} if isinstance(model, str) else set()
    return EmbeddingResponse(
        dialect=NAME,
        vectors=vectors,
        model=model if isinstance(model, str) else None,
        usage=Usage(input_tokens=tokens, total_tokens=tokens) if type(tokens) is int else None,
        extras=wire.rest(body, frozenset(known)),
    )


def render_response(response: EmbeddingResponse) -> Rendered[dict[str, Any]]:
    """A response body."""
    if response.dialect == NAME and response.native == _OLDER and response.vectors:
        return Rendered(wire.merge(response.extras, {"embedding": response.vectors[0].values}))
    found: dict[str, Any] = {"embeddings": [vector.values for vector in response.vectors]}
    if response.model is not None:
        found["model"] = response.model
    if response.usage is not None and response.usage.input_tokens is not None:
        found["prompt_eval_count"] = response.usage.input_tokens
    if response.dialect == NAME:
        return Rendered(wire.merge(response.extras, found))
    return Rendered(found, leftovers("", response.extras))


_parse_error, _render_error = errors_of("ollama_chat")

DIALECT = EmbeddingDialect(
    name=NAME,
    match_path=match_path,
    parse_request=boundary(NAME)(read_request),
    render_request=boundary(NAME)(render_request),
    parse_response=boundary(NAME)(read_response),
    render_response=boundary(NAME)(render_response),
    parse_error=_parse_error,
    render_error=_render_error,
    places=Places("options", {"": (*FIELDS.spellings, "keep_alive")}),
)
