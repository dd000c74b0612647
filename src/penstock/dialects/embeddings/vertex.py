"""Vertex AI's older embeddings, `publishers/google/models/{model}:predict`: instances with a text each.

Source: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from penstock.dialects import wire
from penstock.dialects.dialect import PathMatch, boundary
from penstock.dialects.embeddings.dialect import EmbeddingDialect, Purposes, note_unsaid, texts_of
from penstock.dialects.embeddings.errors import errors_of
from penstock.dialects.leftovers import leftovers
from penstock.dialects.places import Places
from penstock.types.embedding import EmbeddingRequest, EmbeddingResponse, Vector
from penstock.types.errors import MalformedError
from penstock.types.notes import Rendered
from penstock.types.profile import Profile
from penstock.types.usage import Usage

NAME = "vertex_embed"

_PATH = re.compile(r"(?:^|/)publishers/google/models/(?P<model>[^/:]+):predict$")
_PURPOSES = Purposes(
    {
        "query": "RETRIEVAL_QUERY",
        "document": "RETRIEVAL_DOCUMENT",
        "classification": "CLASSIFICATION",
        "clustering": "CLUSTERING",
        "similarity": "SEMANTIC_SIMILARITY",
        "question_answering": "QUESTION_ANSWERING",
    }
)


def match_path(path: str) -> PathMatch | None:
    """`.../publishers/google/models/{model}:predict`."""
    found = _PATH.search(path)
    return None if found is None else PathMatch(unquote(found["model"]))


def recognises(body: dict[str, Any]) -> bool:
    """Instances with a text: other `predict` models take other instances."""
    instances = body.get("instances")
    return isinstance(instances, list) and all(isinstance(each, dict) and "content" in each for each in instances)


def read_request(value: Any, match: PathMatch) -> EmbeddingRequest:
    """A request body."""
    body = wire.obj(value)
    instances = [wire.obj(each) for each in wire.array(body.get("instances"))]
    if any(not isinstance(each.get("content"), str) for each in instances):
        raise MalformedError("expected a text", "instances.content")
    purpose = instances[0].get("task_type") if instances else None
    shared = (
        {"task_type"}
        if isinstance(purpose, str) and all(each.get("task_type") == purpose for each in instances)
        else set()
    )
    parameters = body.get("parameters")
    extras: dict[str, Any] = {key: found for key, found in body.items() if key != "instances"}
    left_over = [
        {key: found for key, found in each.items() if key != "content" and key not in shared} for each in instances
    ]
    if any(left_over):
        extras["instances"] = left_over
    found: dict[str, Any] = {}
    if isinstance(parameters, dict):
        extras["parameters"] = left = dict(parameters)
        if type(parameters.get("outputDimensionality")) is int:
            found["dimensions"] = left.pop("outputDimensionality")
        if isinstance(parameters.get("autoTruncate"), bool):
            found["truncate"] = left.pop("autoTruncate")
    if shared:
        found["input_type"] = _PURPOSES.read(str(purpose))
    inputs = tuple(each["content"] for each in instances)
    return EmbeddingRequest(dialect=NAME, model=match.model, inputs=inputs, extras=extras, **found)


def render_request(request: EmbeddingRequest, profile: Profile) -> Rendered[dict[str, Any]]:
    """The request body."""
    foreign = request.dialect != NAME
    notes = [*leftovers("", request.extras)] if foreign else []
    word = None if request.input_type is None else _PURPOSES.write(request.input_type)
    shared = {} if word is None else {"task_type": word}
    parameters: dict[str, Any] = {} if request.dimensions is None else {"outputDimensionality": request.dimensions}
    if request.truncate is not None:
        parameters["autoTruncate"] = request.truncate not in (False, "NONE")
    own = [] if foreign else (request.extras or {}).get("instances") or []
    texts = texts_of(request.inputs, notes)
    own = own if len(own) == len(texts) else [{}] * len(texts)
    body: dict[str, Any] = {
        "instances": [{**left, "content": text, **shared} for left, text in zip(own, texts, strict=True)]
    }
    if parameters:
        body["parameters"] = parameters
    if not foreign:
        extras = {key: found for key, found in (request.extras or {}).items() if key != "instances"}
        return Rendered(wire.deep_merge(extras, body), tuple(notes))
    said = {"dimensions", "truncate"} | ({"input_type"} if word else set())
    said |= {"encoding_format"} if request.encoding_format == "float" else set()
    note_unsaid(request, frozenset(said), notes)
    return Rendered(body, tuple(notes))


def read_response(value: Any) -> EmbeddingResponse:
    """A response body. Token counts stand beside each vector; their sum is the usage."""
    body = wire.obj(value)
    vectors: list[Vector] = []
    tokens = 0
    for index, each in enumerate(wire.array(body.get("predictions"))):
        prediction = wire.obj(each)
        embeddings = wire.obj(prediction.get("embeddings"))
        statistics = embeddings.get("statistics")
        count = statistics.get("token_count") if isinstance(statistics, dict) else None
        tokens += int(count) if isinstance(count, int | float) else 0
        left = {**prediction, "embeddings": {key: found for key, found in embeddings.items() if key != "values"}}
        vectors.append(Vector(index, wire.array(embeddings.get("values")), extras=left))
    usage = Usage(input_tokens=tokens, total_tokens=tokens)
    return EmbeddingResponse(
        dialect=NAME, vectors=tuple(vectors), usage=usage, extras=wire.rest(body, frozenset({"predictions"}))
    )


def render_response(response: EmbeddingResponse) -> Rendered[dict[str, Any]]:
    """A response body."""
    foreign = response.dialect != NAME
    predictions = [
        wire.deep_merge(None if foreign else vector.extras, {"embeddings": {"values": vector.values}})
        for vector in response.vectors
    ]
    if foreign:
        return Rendered({"predictions": predictions}, leftovers("", response.extras))
    return Rendered(wire.merge(response.extras, {"predictions": predictions}))


_parse_error, _render_error = errors_of("gemini")

DIALECT = EmbeddingDialect(
    name=NAME,
    match_path=match_path,
    recognises=recognises,
    parse_request=boundary(NAME)(read_request),
    render_request=boundary(NAME)(render_request),
    parse_response=boundary(NAME)(read_response),
    render_response=boundary(NAME)(render_response),
    parse_error=_parse_error,
    render_error=_render_error,
    max_inputs=250,
    places=Places("parameters", {"instances[*]": ("title", "task_type"), "": ("labels",)}),
)
