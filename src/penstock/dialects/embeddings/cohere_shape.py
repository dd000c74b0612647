"""The shape of Cohere's embeddings, which its own API (/v2/embed) and Bedrock's `invoke` share.

Source: https://docs.cohere.com/reference/embed. `embeddings` is a list of vectors in the old form, an object of lists
by element type in the new one.
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.dialects.dialect import PathMatch
from penstock.dialects.embeddings.dialect import Purposes, note_unsaid, texts_of
from penstock.dialects.leftovers import leftovers
from penstock.dialects.wire import Field, Fields
from penstock.types.embedding import EmbeddingRequest, EmbeddingResponse, Vector
from penstock.types.errors import MalformedError
from penstock.types.notes import Note, Rendered
from penstock.types.profile import Profile
from penstock.types.usage import Usage

PURPOSES = Purposes(
    {
        "query": "search_query",
        "document": "search_document",
        "classification": "classification",
        "clustering": "clustering",
    }
)
_COUNTS: wire.Counts = {
    "billed_units": {"input_tokens": "input_tokens", "image_tokens": "input_image_tokens", "images": "images"}
}


def _read_purpose(value: Any) -> str:
    return PURPOSES.read(wire.string(value))


FIELDS = Fields(
    Field("model", wire.string),
    Field("texts", wire.strings, "inputs"),
    Field("input_type", _read_purpose),
    Field("embedding_types", wire.strings, "encoding_format"),
    Field("output_dimension", wire.integer, "dimensions"),
    Field("truncate", wire.string),
)


def read_request(name: str, value: Any, match: PathMatch) -> EmbeddingRequest:
    """A request body. Images and mixed `inputs` stay as they are (`extras`)."""
    found = FIELDS.read(wire.obj(value))
    extras = found.get("extras") or {}
    if "inputs" not in found and not ("images" in extras or "inputs" in extras):
        raise MalformedError("something to embed is missing", "texts")
    found.setdefault("inputs", ())
    found.setdefault("model", match.model)
    return EmbeddingRequest(dialect=name, **found)


def render_request(
    name: str, request: EmbeddingRequest, profile: Profile, with_model: bool
) -> Rendered[dict[str, Any]]:
    """The request body."""
    notes: list[Note] = []
    found: dict[str, Any] = {}
    if request.dialect == name:
        if request.inputs or "texts" not in (request.extras or {}):
            found = {"texts": list(request.inputs)} if request.inputs or not request.extras else {}
        values: dict[str, Any] = {"output_dimension": request.dimensions, "truncate": request.truncate}
        types = request.encoding_format
        values |= {"embedding_types": None if types is None else list(types)}
        values |= {"input_type": None if request.input_type is None else PURPOSES.write(request.input_type)}
        found |= {key: value for key, value in values.items() if value is not None}
        found = wire.merge(request.extras, found)
    else:
        found = _foreign(request, notes)
    if with_model and request.model is not None:
        found["model"] = request.model
    return Rendered(found, tuple(notes))


def _foreign(request: EmbeddingRequest, notes: list[Note]) -> dict[str, Any]:
    """Another dialect's request. Cohere demands a purpose: "document" unless the caller said one."""
    notes += leftovers("", request.extras)
    word = None if request.input_type is None else PURPOSES.write(request.input_type)
    if request.input_type is None:
        notes.append(Note("input_type", "added", "Cohere demands a purpose: search_document"))
    found: dict[str, Any] = {
        "texts": texts_of(request.inputs, notes),
        "input_type": word or "search_document",
        "embedding_types": _types(request, notes),
    }
    if request.dimensions is not None:
        found["output_dimension"] = request.dimensions
    if isinstance(request.truncate, str):
        found["truncate"] = request.truncate
    elif request.truncate is not None:
        found["truncate"] = "END" if request.truncate else "NONE"
    said = {"dimensions", "truncate", "encoding_format"} | ({"input_type"} if word else set())
    note_unsaid(request, frozenset(said), notes)
    return found


def _types(request: EmbeddingRequest, notes: list[Note]) -> list[str]:
    wanted = request.encoding_format
    if isinstance(wanted, tuple):
        return list(wanted)
    if wanted == "base64":
        notes.append(Note("encoding_format", "changed", "the vectors come as numbers"))
    return ["float"] if wanted in (None, "base64") else [str(wanted)]


def read_response(name: str, value: Any) -> EmbeddingResponse:
    """A response body, in either form."""
    body = wire.obj(value)
    embeddings = body.get("embeddings")
    old_form = isinstance(embeddings, list)
    groups = {None: embeddings} if old_form else wire.obj(embeddings)
    vectors = tuple(
        Vector(index, _numbers(numbers), kind)
        for kind, group in groups.items()
        if group is not None
        for index, numbers in enumerate(wire.array(group))
    )
    extras = dict(wire.rest(body, frozenset({"embeddings", "id", "meta"})) or {})
    if not old_form:
        extras["embeddings"] = {kind: None if group is None else [] for kind, group in groups.items()}
    return EmbeddingResponse(
        dialect=name,
        vectors=vectors,
        id=None if body.get("id") is None else wire.string(body["id"]),
        usage=None if body.get("meta") is None else _read_meta(body["meta"]),
        native="list" if old_form else None,
        extras=extras or None,
    )


def _numbers(value: Any) -> list[float] | str:
    if not isinstance(value, list | str):
        raise MalformedError("expected a list of numbers or base64 text", "embeddings")
    return value


def _read_meta(value: Any) -> Usage:
    values, left = wire.read_counts(wire.obj(value), _COUNTS)
    return Usage(**values, extras={"meta": left})


def render_response(name: str, response: EmbeddingResponse) -> Rendered[dict[str, Any]]:
    """A response body."""
    if response.dialect != name:
        found: dict[str, Any] = {
            "id": response.id or "",
            "embeddings": {"float": [vector.values for vector in response.vectors]},
            "texts": [],
            "response_type": "embeddings_by_type",
        }
        tokens = None if response.usage is None else response.usage.input_tokens
        if tokens is not None:
            found["meta"] = {"billed_units": {"input_tokens": tokens}}
        return Rendered(found, leftovers("", response.extras))
    extras = dict(response.extras or {})
    if response.native == "list":
        extras["embeddings"] = [vector.values for vector in response.vectors]
    else:
        groups: dict[str, Any] = {
            kind: None if group is None else [] for kind, group in (extras.get("embeddings") or {}).items()
        }
        for vector in response.vectors:
            groups.setdefault(vector.kind or "float", []).append(vector.values)
        extras["embeddings"] = groups
    if response.id is not None:
        extras["id"] = response.id
    if response.usage is not None:
        values = {key: getattr(response.usage, key) for key in ("input_tokens", "input_image_tokens", "images")}
        meta = (response.usage.extras or {}).get("meta")
        extras["meta"] = wire.deep_merge(meta, wire.write_counts(values, _COUNTS))
    return Rendered(extras)
