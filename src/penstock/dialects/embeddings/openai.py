"""OpenAI's embeddings (POST /v1/embeddings), which Mistral, Voyage, Jina, NVIDIA and every local server speak with
small additions; Jina also `{"image": address or bytes}`.

Source: https://platform.openai.com/docs/api-reference/embeddings. Voyage and NVIDIA say `input_type`, Voyage and
Cohere-like hosts `output_dimension` and `truncation`.
"""

from __future__ import annotations

import re
from typing import Any

from penstock.dialects import wire
from penstock.dialects.dialect import PathMatch, boundary
from penstock.dialects.embeddings.dialect import EmbeddingDialect, Purposes, image_of, image_url, note_unsaid
from penstock.dialects.embeddings.errors import errors_of
from penstock.dialects.leftovers import leftovers
from penstock.dialects.wire import Field, Fields
from penstock.types.content import Base64, Media, Opaque, Part, Text
from penstock.types.embedding import EmbeddingInput, EmbeddingRequest, EmbeddingResponse, Vector
from penstock.types.errors import MalformedError
from penstock.types.notes import Note, Rendered
from penstock.types.profile import Profile
from penstock.types.usage import Usage

NAME = "openai_embeddings"

_PATH = re.compile(r"(?:^|/)(?:deployments/(?P<model>[^/]+)/)?embeddings/?$")
_PURPOSES = Purposes({"query": "query", "document": "document"})
_BARE = "bare"
"""The native of a text in an object without a type."""
_NO_INDEX = "(no index)"
"""In the extras of a vector: it came without a number."""
_COUNTS: wire.Counts = {"prompt_tokens": "input_tokens", "total_tokens": "total_tokens"}


def match_path(path: str) -> PathMatch | None:
    """`.../embeddings`."""
    found = _PATH.search(path)
    return None if found is None else PathMatch(found["model"])


def recognises(body: dict[str, Any]) -> bool:
    """Something to embed, under OpenAI's name (Ollama's older API has the same path, and says `prompt`)."""
    return "prompt" not in body or "input" in body


def _read_input(value: Any) -> EmbeddingInput:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return (_read_part(value),)
    elements = wire.array(value)
    if elements and isinstance(elements[0], dict):
        return tuple(_read_part(wire.obj(element)) for element in elements)
    return wire.each(wire.integer, elements)


def _read_part(part: dict[str, Any]) -> Part:
    if part.keys() == {"type", "text"} and part["type"] == "text" and isinstance(part["text"], str):
        return Text(part["text"], native="text")
    if part.keys() == {"text"} and isinstance(part["text"], str):
        return Text(part["text"], native=_BARE)
    if part.keys() == {"image"} and isinstance(part["image"], str):
        image = part["image"]
        return image_of(image) if image.startswith(("data:", "http")) else Media("image", Base64(image))
    return Opaque(part)


def _is_single(value: Any) -> bool:
    """A bare text, or one list of token ids."""
    return isinstance(value, str) or (isinstance(value, list) and bool(value) and isinstance(value[0], int))


def _read_inputs(value: Any) -> tuple[EmbeddingInput, ...]:
    return (_read_input(value),) if _is_single(value) else wire.each(_read_input, value)


def _read_truncate(value: Any) -> Any:
    return value if isinstance(value, bool) else wire.string(value)


def _read_purpose(value: Any) -> str:
    return _PURPOSES.read(wire.string(value))


FIELDS = Fields(
    Field("model", wire.string),
    Field("input", _read_inputs, "inputs"),
    Field("dimensions", wire.integer, synonyms=("output_dimension",)),
    Field("encoding_format", wire.string),
    Field("input_type", _read_purpose),
    Field("truncate", _read_truncate, synonyms=("truncation",)),
    Field("user", wire.string),
)


def read_request(value: Any, match: PathMatch) -> EmbeddingRequest:
    """A request body."""
    body = wire.obj(value)
    found = FIELDS.read(body)
    if "inputs" not in found:
        raise MalformedError("something to embed is missing", "input")
    found.setdefault("model", match.model)
    return EmbeddingRequest(dialect=NAME, single=_is_single(body["input"]), **found)


def render_request(request: EmbeddingRequest, profile: Profile) -> Rendered[dict[str, Any]]:
    """The request body."""
    foreign = request.dialect != NAME
    notes = [*leftovers("", request.extras)] if foreign else []
    spelling = {} if foreign else request.spelling or {}
    inputs = [
        _write_input(value, f"inputs[{number}]", not foreign, notes) for number, value in enumerate(request.inputs)
    ]
    found: dict[str, Any] = {"input": inputs[0] if request.single and len(inputs) == 1 else inputs}
    encoding = request.encoding_format if isinstance(request.encoding_format, str) else None
    values = {
        "model": request.model,
        "dimensions": request.dimensions,
        "encoding_format": encoding,
        "user": request.user,
    }
    if not foreign:
        values |= {"input_type": request.input_type, "truncate": request.truncate}
    for name, value in values.items():
        if value is not None and name not in profile.unsupported:
            found[profile.renames.get(name, spelling.get(name, name))] = value
    if foreign:
        _write_foreign_purpose(request, profile, found, notes)
    return Rendered(found if foreign else wire.merge(request.extras, found), tuple(notes))


def _write_foreign_purpose(
    request: EmbeddingRequest, profile: Profile, found: dict[str, Any], notes: list[Note]
) -> None:
    """OpenAI itself has no purpose; hosts that have say so by a rename or by not refusing it."""
    said = {"dimensions", "encoding_format", "user"}
    word = None if request.input_type is None else _PURPOSES.write(request.input_type)
    if word is not None and "input_type" in profile.renames:
        found[profile.renames["input_type"]] = word
        said.add("input_type")
    note_unsaid(request, frozenset(said), notes)


def _write_input(value: EmbeddingInput, path: str, own: bool, notes: list[Note]) -> Any:
    if isinstance(value, str):
        return value
    written = [_write_part(part, own) for part in value]
    if all(isinstance(element, int) for element in written):
        return written
    texts = [element for element in written if isinstance(element, str)]
    if len(texts) == len(written):
        return " ".join(texts)
    objects = [element for element in written if isinstance(element, dict)]
    if len(objects) < len(written):
        notes.append(Note(path, "dropped", "this API embeds text only"))
    return objects[0] if len(objects) == 1 else objects or ""


def _write_part(part: Any, own: bool) -> Any:
    if isinstance(part, int):
        return part
    if isinstance(part, Text):
        if own and part.native == _BARE:
            return {"text": part.text}
        return {"type": "text", "text": part.text} if part.native == "text" else part.text
    if isinstance(part, Media) and own:
        bare = isinstance(part.source, Base64) and part.media_type is None
        return {"image": part.source.data if bare and isinstance(part.source, Base64) else image_url(part)}
    return part.value if isinstance(part, Opaque) and isinstance(part.value, dict) else None


def read_response(value: Any) -> EmbeddingResponse:
    """A response body."""
    body = wire.obj(value)
    vectors = wire.each(_read_vector, body.get("data"))
    usage = body.get("usage")
    model = body.get("model")
    return EmbeddingResponse(
        dialect=NAME,
        vectors=vectors,
        id=body["id"] if isinstance(body.get("id"), str) else None,
        model=None if model is None else wire.string(model),
        usage=None if usage is None else _read_usage(usage),
        extras=wire.rest(
            body, frozenset({"data", "usage", "model", *({"id"} if isinstance(body.get("id"), str) else ())})
        ),
    )


def _read_vector(value: Any) -> Vector:
    item = wire.obj(value)
    numbers = item.get("embedding")
    if not isinstance(numbers, list | str):
        raise MalformedError("expected a list of numbers or base64 text", "embedding")
    index = item.get("index")
    extras = wire.rest(item, frozenset({"embedding", *({"index"} if type(index) is int else ())}))
    if "index" not in item:
        extras = {**(extras or {}), _NO_INDEX: True}
    return Vector(index if type(index) is int else 0, numbers, extras=extras)


def _read_usage(value: Any) -> Usage:
    values, left = wire.read_counts(wire.obj(value), _COUNTS)
    return Usage(**values, extras=left or None)


def render_response(response: EmbeddingResponse) -> Rendered[dict[str, Any]]:
    """A response body, for a client of OpenAI's API."""
    foreign = response.dialect != NAME
    found: dict[str, Any] = {"data": [_write_vector(vector, foreign) for vector in response.vectors]}
    if response.model is not None:
        found["model"] = response.model
    if response.id is not None and not foreign:
        found["id"] = response.id
    if response.usage is not None:
        found["usage"] = _write_usage(response.usage, foreign)
    if not foreign:
        return Rendered(wire.merge(response.extras, found))
    return Rendered({"object": "list", **found}, leftovers("", response.extras))


def _write_vector(vector: Vector, foreign: bool) -> dict[str, Any]:
    if foreign:
        return {"object": "embedding", "index": vector.index, "embedding": vector.values}
    extras = dict(vector.extras or {})
    found: dict[str, Any] = {"embedding": vector.values}
    if not extras.pop(_NO_INDEX, False) and "index" not in extras:
        found["index"] = vector.index
    return wire.merge(extras, found)


def _write_usage(usage: Usage, foreign: bool) -> dict[str, Any]:
    values = {"input_tokens": usage.input_tokens, "total_tokens": usage.total_tokens}
    if foreign:
        tokens = usage.input_tokens if usage.input_tokens is not None else usage.total_tokens or 0
        values = {"input_tokens": tokens, "total_tokens": usage.total_tokens or tokens}
    return wire.deep_merge(None if foreign else usage.extras, wire.write_counts(values, _COUNTS))


_parse_error, _render_error = errors_of("openai_chat")

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
    max_inputs=2048,
    parameters=FIELDS.spellings,
)
