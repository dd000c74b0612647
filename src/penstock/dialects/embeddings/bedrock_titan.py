"""Amazon Titan embeddings (text and image) on Bedrock: one input a request.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html and
...-titan-embed-mm.html.
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.dialects.dialect import PathMatch, boundary
from penstock.dialects.embeddings.bedrock import match_invoke
from penstock.dialects.embeddings.dialect import EmbeddingDialect, note_unsaid, pieces_of
from penstock.dialects.embeddings.errors import errors_of
from penstock.dialects.leftovers import leftovers
from penstock.dialects.wire import Field, Fields
from penstock.types.content import Base64, Media, Text
from penstock.types.embedding import EmbeddingInput, EmbeddingRequest, EmbeddingResponse, Vector
from penstock.types.notes import Note, Rendered
from penstock.types.profile import Profile
from penstock.types.usage import Usage

NAME = "bedrock_titan_embed"


_IMAGE = "inputImage"


def _read_text(value: Any) -> tuple[str, ...]:
    return (wire.string(value),)


FIELDS = Fields(
    Field("inputText", _read_text, "inputs"),
    Field("dimensions", wire.integer),
    Field("embeddingTypes", wire.strings, "encoding_format"),
)


def recognises(body: dict[str, Any]) -> bool:
    """A text or an image under Titan's names, and nothing that makes a text model write."""
    return bool(body.keys() & {"inputText", "inputImage"}) and "textGenerationConfig" not in body


def read_request(value: Any, match: PathMatch) -> EmbeddingRequest:
    """A request body: one input, of a text, an image or both."""
    found = FIELDS.read(wire.obj(value))
    extras = found.get("extras") or {}
    if isinstance(extras.get(_IMAGE), str):
        texts = tuple(Text(text) for text in found.get("inputs", ()))
        found["inputs"] = ((*texts, Media("image", Base64(extras[_IMAGE]))),)
        found["extras"] = {key: inner for key, inner in extras.items() if key != _IMAGE} or None
    found.setdefault("inputs", ())
    return EmbeddingRequest(dialect=NAME, model=match.model, single=True, **found)


def render_request(request: EmbeddingRequest, profile: Profile) -> Rendered[dict[str, Any]]:
    """The request body, for the first input: callers cut longer lists (`max_inputs`)."""
    foreign = request.dialect != NAME
    notes = [*leftovers("", request.extras)] if foreign else []
    found = _write_input(request.inputs[0], foreign, notes) if request.inputs else {}
    notes += [Note(f"inputs[{number}]", "dropped", "one input a request") for number in range(1, len(request.inputs))]
    if request.dimensions is not None:
        found["dimensions"] = request.dimensions
    if isinstance(request.encoding_format, tuple):
        found["embeddingTypes"] = list(request.encoding_format)
    if not foreign:
        return Rendered(wire.merge(request.extras, found), tuple(notes))
    said = {"dimensions"} | (
        {"encoding_format"} if "embeddingTypes" in found or request.encoding_format == "float" else set()
    )
    note_unsaid(request, frozenset(said), notes)
    return Rendered(found, tuple(notes))


def _write_input(value: EmbeddingInput, foreign: bool, notes: list[Note]) -> dict[str, Any]:
    """The text and the image of one input."""
    if not foreign and isinstance(value, str):
        return {"inputText": value}
    pieces = pieces_of(value)
    texts = [piece.text for piece in pieces if isinstance(piece, Text)]
    images = [piece.source.data for piece in pieces if isinstance(piece, Media) and isinstance(piece.source, Base64)]
    if len(texts) + len(images[:1]) < len(pieces) or not pieces:
        notes.append(Note("inputs[0]", "dropped", "Titan embeds a text and one image, given as bytes"))
    found = {"inputText": " ".join(texts)} if texts or not images else {}
    return {**found, _IMAGE: images[0]} if images else found


def read_response(value: Any) -> EmbeddingResponse:
    """A response body: one vector, in one or several element types."""
    body = wire.obj(value)
    vectors: list[Vector] = []
    if isinstance(body.get("embedding"), list):
        vectors.append(Vector(0, body["embedding"]))
    by_type = body.get("embeddingsByType")
    if isinstance(by_type, dict):
        vectors += [Vector(0, wire.array(numbers), kind) for kind, numbers in by_type.items() if numbers is not None]
    tokens = body.get("inputTextTokenCount")
    known = {"embeddingsByType"} | ({"embedding"} if isinstance(body.get("embedding"), list) else set())
    usage = None
    if type(tokens) is int:
        known.add("inputTextTokenCount")
        usage = Usage(input_tokens=tokens, total_tokens=tokens)
    extras = dict(wire.rest(body, frozenset(known)) or {})
    if isinstance(by_type, dict):
        extras["embeddingsByType"] = {kind: None if numbers is None else [] for kind, numbers in by_type.items()}
    return EmbeddingResponse(dialect=NAME, vectors=tuple(vectors), usage=usage, extras=extras or None)


def render_response(response: EmbeddingResponse) -> Rendered[dict[str, Any]]:
    """A response body."""
    foreign = response.dialect != NAME
    found: dict[str, Any] = {} if foreign else dict(response.extras or {})
    plain = [vector for vector in response.vectors if foreign or vector.kind is None]
    if plain:
        found["embedding"] = plain[0].values
    if not foreign and "embeddingsByType" in found:
        typed = {vector.kind: vector.values for vector in response.vectors if vector.kind is not None}
        found["embeddingsByType"] = {**(found["embeddingsByType"] or {}), **typed}
    if response.usage is not None and response.usage.input_tokens is not None:
        found["inputTextTokenCount"] = response.usage.input_tokens
    return Rendered(found, leftovers("", response.extras) if foreign else ())


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
)
