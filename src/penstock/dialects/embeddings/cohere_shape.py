"""The shape of Cohere's embeddings, which its own API (/v2/embed) and Bedrock's `invoke` share.

Something to embed stands in `texts`, in `images` (addresses that hold the bytes, with the purpose "image"), or in
`inputs` (contents of texts and images together); `EmbeddingRequest.spelling` remembers which. `embeddings` is a list of
vectors in the old form, an object of lists by element type in the new one.

Source: https://docs.cohere.com/reference/embed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import wire
from penstock.dialects.dialect import PathMatch
from penstock.dialects.embeddings.dialect import Purposes, image_of, image_url, note_unsaid, pieces_of, texts_of
from penstock.dialects.leftovers import leftovers
from penstock.dialects.wire import Field, Fields
from penstock.types.content import Media, Opaque, Part, Text
from penstock.types.embedding import EmbeddingInput, EmbeddingRequest, EmbeddingResponse, Vector
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
    """A request body. Images and contents beside texts, or of other forms, stay as they are (`extras`)."""
    found = FIELDS.read(wire.obj(value))
    extras = dict(found.get("extras") or {})
    if "inputs" not in found and not ("images" in extras or "inputs" in extras):
        raise MalformedError("something to embed is missing", "texts")
    if "inputs" not in found and len(extras.keys() & _READERS.keys()) == 1:
        _read_media(found, extras)
    found.setdefault("inputs", ())
    found.setdefault("model", match.model)
    return EmbeddingRequest(dialect=name, **found)


def _read_media(found: dict[str, Any], extras: dict[str, Any]) -> None:
    """Move what `images` or `inputs` hold into `found`, if its form is known."""
    key = next(iter(extras.keys() & _READERS.keys()))
    inputs = _READERS[key](extras[key])
    if inputs is None:
        return
    found["inputs"] = inputs
    del extras[key]
    found["extras"] = extras or None
    found["spelling"] = {**(found.get("spelling") or {}), "inputs": key}
    if key == _IMAGES and found.get("input_type") == _IMAGE:  # says no more than the field
        del found["input_type"]
        found["spelling"]["input_type"] = _IMAGE


_IMAGES, _CONTENTS, _IMAGE = "images", "inputs", "image"


def _read_images(value: Any) -> tuple[EmbeddingInput, ...] | None:
    if not isinstance(value, list) or not value or not all(isinstance(url, str) for url in value):
        return None
    return tuple((image_of(url),) for url in value)


def _read_contents(value: Any) -> tuple[EmbeddingInput, ...] | None:
    contents = [each.get("content") if isinstance(each, dict) and len(each) == 1 else None for each in _list(value)]
    if not contents or not all(isinstance(content, list) and content for content in contents):
        return None
    return tuple(tuple(_read_part(part) for part in content) for content in contents if content)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _read_part(part: Any) -> Part:
    """A text, an image by its address; anything richer is kept whole."""
    if isinstance(part, dict) and part.keys() == {"type", "text"} and part["type"] == "text":
        if isinstance(part["text"], str):
            return Text(part["text"])
    elif isinstance(part, dict) and part.keys() == {"type", "image_url"} and part["type"] == "image_url":
        inner = part["image_url"]
        if isinstance(inner, dict) and inner.keys() == {"url"} and isinstance(inner["url"], str):
            return image_of(inner["url"])
    return Opaque(part)


_READERS: dict[str, Callable[[Any], tuple[EmbeddingInput, ...] | None]] = {
    _IMAGES: _read_images,
    _CONTENTS: _read_contents,
}


def _write_own_inputs(request: EmbeddingRequest) -> dict[str, Any]:
    form = (request.spelling or {}).get("inputs")
    notes: list[Note] = []
    if form == _IMAGES:
        return {_IMAGES: [_write_image(value) for value in request.inputs]}
    if form == _CONTENTS:
        return {_CONTENTS: _write_contents(request.inputs, notes)}
    return {"texts": list(request.inputs)} if request.inputs or not request.extras else {}


def _write_image(value: EmbeddingInput) -> str | None:
    image = next(iter(pieces_of(value)), None)
    return image_url(image) if isinstance(image, Media) else None


def _write_contents(inputs: tuple[EmbeddingInput, ...], notes: list[Note]) -> list[dict[str, Any]]:
    return [
        {"content": [_write_part(part, f"inputs[{number}][{place}]", notes) for place, part in enumerate(pieces)]}
        for number, pieces in enumerate(map(pieces_of, inputs))
    ]


def _write_part(part: Part, path: str, notes: list[Note]) -> Any:
    url = image_url(part) if isinstance(part, Media) and part.kind == "image" else None
    if url is not None:
        return {"type": "image_url", "image_url": {"url": url}}
    if isinstance(part, Opaque):
        return part.value
    if not isinstance(part, Text):
        notes.append(Note(path, "dropped", "Cohere embeds texts and images"))
    return {"type": "text", "text": part.text if isinstance(part, Text) else ""}


def _write_foreign_inputs(request: EmbeddingRequest, notes: list[Note]) -> dict[str, Any]:
    """Texts where there is nothing else; images alone, without a purpose, as such; else contents."""
    pieces = [pieces_of(value) for value in request.inputs]
    images = [len(each) == 1 and isinstance(each[0], Media) and image_url(each[0]) for each in pieces]
    if not any(isinstance(part, Media) and part.kind == "image" for each in pieces for part in each):
        return {"texts": texts_of(request.inputs, notes)}
    if all(images) and request.input_type is None:
        return {_IMAGES: images, "input_type": _IMAGE}
    known = tuple(tuple(part for part in each if not isinstance(part, Opaque)) for each in pieces)
    notes += [
        Note(f"inputs[{number}]", "dropped", "a part that only its own API knows")
        for number, each in enumerate(pieces)
        if len(known[number]) < len(each)
    ]
    return {_CONTENTS: _write_contents(known, notes)}


def render_request(
    name: str, request: EmbeddingRequest, profile: Profile, with_model: bool
) -> Rendered[dict[str, Any]]:
    """The request body."""
    notes: list[Note] = []
    found: dict[str, Any] = {}
    if request.dialect == name:
        if request.inputs or "texts" not in (request.extras or {}):
            found = _write_own_inputs(request)
        values: dict[str, Any] = {"output_dimension": request.dimensions, "truncate": request.truncate}
        types = request.encoding_format
        values |= {"embedding_types": None if types is None else list(types)}
        word = None if request.input_type is None else PURPOSES.write(request.input_type)
        values |= {"input_type": word or (request.spelling or {}).get("input_type")}
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
    inputs = _write_foreign_inputs(request, notes)
    if request.input_type is None:
        given = inputs.get("input_type", "search_document")
        notes.append(Note("input_type", "added", f"Cohere demands a purpose: {given}"))
    found: dict[str, Any] = {
        "input_type": word or "search_document",
        **inputs,
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
