"""Amazon Nova multimodal embeddings on Bedrock: one input a request, with its purpose and truncation inside.

Source: https://docs.aws.amazon.com/nova/latest/userguide/embeddings-schema.html.
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.dialects.dialect import PathMatch, boundary
from penstock.dialects.embeddings.bedrock import match_invoke
from penstock.dialects.embeddings.dialect import EmbeddingDialect, Purposes, note_unsaid, texts_of
from penstock.dialects.embeddings.errors import errors_of
from penstock.dialects.leftovers import leftovers
from penstock.dialects.places import Places
from penstock.types.embedding import EmbeddingRequest, EmbeddingResponse, Vector
from penstock.types.errors import DialectError
from penstock.types.notes import Note, Rendered
from penstock.types.profile import Profile
from penstock.types.usage import Usage

NAME = "bedrock_nova_embed"
_PARAMETERS = "singleEmbeddingParams"
_PURPOSES = Purposes(
    {
        "document": "GENERIC_INDEX",
        "query": "GENERIC_RETRIEVAL",
        "classification": "CLASSIFICATION",
        "clustering": "CLUSTERING",
    }
)


def recognises(body: dict[str, Any]) -> bool:
    """Nova's task type."""
    return "taskType" in body and bool(body.keys() & {_PARAMETERS, "segmentedEmbeddingParams"})


def read_request(value: Any, match: PathMatch) -> EmbeddingRequest:
    """A request body. Images, audio and video stay as they are (`extras`)."""
    body = wire.obj(value)
    extras = dict(body)
    found: dict[str, Any] = {"inputs": ()}
    if isinstance(body.get(_PARAMETERS), dict):
        try:
            extras[_PARAMETERS] = _read_parameters(body[_PARAMETERS], found)
        except DialectError as error:
            raise error.at(_PARAMETERS) from None
    return EmbeddingRequest(dialect=NAME, model=match.model, single=True, extras=extras, **found)


def _read_parameters(parameters: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Read what is modelled into `found`; return the rest, with its nested objects."""
    left = dict(parameters)
    if isinstance(parameters.get("embeddingPurpose"), str):
        found["input_type"] = _PURPOSES.read(left.pop("embeddingPurpose"))
    if parameters.get("embeddingDimension") is not None:
        found["dimensions"] = wire.integer(left.pop("embeddingDimension"))
    text = parameters.get("text")
    if isinstance(text, dict):
        left["text"] = inner = dict(text)
        if isinstance(text.get("value"), str):
            found["inputs"] = (inner.pop("value"),)
        if isinstance(text.get("truncationMode"), str):
            found["truncate"] = inner.pop("truncationMode")
    return left


def render_request(request: EmbeddingRequest, profile: Profile) -> Rendered[dict[str, Any]]:
    """The request body, for the first input: callers cut longer lists (`max_inputs`)."""
    foreign = request.dialect != NAME
    notes = [*leftovers("", request.extras)] if foreign else []
    texts = texts_of(request.inputs, notes)
    notes += [Note(f"inputs[{number}]", "dropped", "one input a request") for number in range(1, len(texts))]
    word = None if request.input_type is None else _PURPOSES.write(request.input_type)
    text: dict[str, Any] = {"value": texts[0]} if texts else {}
    if isinstance(request.truncate, str):
        text["truncationMode"] = request.truncate
    parameters: dict[str, Any] = {"text": text} if text else {}
    if request.dimensions is not None:
        parameters["embeddingDimension"] = request.dimensions
    if word is not None:
        parameters["embeddingPurpose"] = word
    if not foreign:
        modelled = {_PARAMETERS: parameters} if parameters else {}
        return Rendered(wire.deep_merge(request.extras, modelled), tuple(notes))
    parameters.setdefault("embeddingPurpose", "GENERIC_INDEX")
    text.setdefault("truncationMode", "END" if request.truncate is not False else "NONE")
    note_unsaid(request, frozenset({"dimensions", "truncate"} | ({"input_type"} if word else set())), notes)
    return Rendered({"taskType": "SINGLE_EMBEDDING", _PARAMETERS: parameters}, tuple(notes))


def read_response(value: Any) -> EmbeddingResponse:
    """A response body."""
    body = wire.obj(value)
    vectors = wire.each(_read_vector, body.get("embeddings"))
    tokens = body.get("inputTextTokenCount")
    usage = Usage(input_tokens=tokens, total_tokens=tokens) if type(tokens) is int else None
    known = frozenset({"embeddings"} | ({"inputTextTokenCount"} if usage else set()))
    return EmbeddingResponse(dialect=NAME, vectors=vectors, usage=usage, extras=wire.rest(body, known))


def _read_vector(value: Any) -> Vector:
    item = wire.obj(value)
    kind = item.get("embeddingType")
    known = frozenset({"embedding"} | ({"embeddingType"} if isinstance(kind, str) else set()))
    numbers = wire.array(item.get("embedding"))
    return Vector(0, numbers, kind if isinstance(kind, str) else None, wire.rest(item, known))


def render_response(response: EmbeddingResponse) -> Rendered[dict[str, Any]]:
    """A response body."""
    foreign = response.dialect != NAME
    embeddings = []
    for vector in response.vectors:
        kind = "TEXT" if foreign else vector.kind
        found = {"embedding": vector.values} | ({"embeddingType": kind} if kind is not None else {})
        embeddings.append(wire.merge(None if foreign else vector.extras, found))
    body: dict[str, Any] = {"embeddings": embeddings}
    if response.usage is not None and response.usage.input_tokens is not None:
        body["inputTextTokenCount"] = response.usage.input_tokens
    if foreign:
        return Rendered(body, leftovers("", response.extras))
    return Rendered(wire.merge(response.extras, body))


_parse_error, _render_error = errors_of("bedrock_converse")

DIALECT = EmbeddingDialect(
    name=NAME,
    match_path=match_invoke,
    recognises=recognises,
    parse_request=boundary(NAME)(read_request),
    render_request=boundary(NAME)(render_request),
    parse_response=boundary(NAME)(read_response),
    render_response=boundary(NAME)(render_response),
    parse_error=_parse_error,
    render_error=_render_error,
    max_inputs=1,
    places=Places(_PARAMETERS, {"": ("taskType", "schemaVersion")}),
)
