"""Gemini's embeddings: `batchEmbedContents` (a list of requests) and `embedContent` (one).

Source: https://ai.google.dev/api/embeddings. In the batch form each request repeats the model and the settings. Those
that all share are modelled once; what is a request's own stays with it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from penstock.dialects import wire
from penstock.dialects.dialect import PathMatch, boundary
from penstock.dialects.embeddings.dialect import EmbeddingDialect, Purposes, note_unsaid, pieces_of
from penstock.dialects.embeddings.errors import errors_of
from penstock.dialects.leftovers import leftovers
from penstock.dialects.media_types import KINDS, media_type_of
from penstock.dialects.places import AT_THE_ROOT, Places
from penstock.types.content import Base64, Media, Opaque, Part, Text
from penstock.types.embedding import EmbeddingInput, EmbeddingRequest, EmbeddingResponse, Vector
from penstock.types.errors import DialectError, MalformedError
from penstock.types.notes import Note, Rendered
from penstock.types.profile import Profile
from penstock.types.usage import Usage

NAME = "gemini_embed"

_PATH = re.compile(r"(?:^|/)models/(?P<model>[^/:]+):(?P<verb>batchEmbedContents|embedContent)$")
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
_REPEATED = "(requests)"
"""In the extras: what each request of a batch says of its own, where that is nothing but the model again."""
_SHARED = ("taskType", "outputDimensionality")
_COUNTS: wire.Counts = {"promptTokenCount": "input_tokens", "totalTokenCount": "total_tokens"}


def match_path(path: str) -> PathMatch | None:
    """`.../models/{model}:batchEmbedContents` and `:embedContent`."""
    found = _PATH.search(path)
    return None if found is None else PathMatch(unquote(found["model"]))


def _read_content(value: Any) -> EmbeddingInput:
    """A content of exactly one plain text is that text, one of texts and media its parts; anything richer is kept
    whole.
    """
    content = wire.obj(value)
    parts = content.get("parts")
    read = [_read_part(part) for part in parts] if content.keys() == {"parts"} and isinstance(parts, list) else [None]
    found = tuple(part for part in read if part is not None)
    if not found or len(found) < len(read):
        return (Opaque(content, native="content"),)
    first = found[0]
    return first.text if len(found) == 1 and isinstance(first, Text) else found


def _read_part(part: Any) -> Text | Media | None:
    if not isinstance(part, dict) or len(part) != 1:
        return None
    if isinstance(part.get("text"), str):
        return Text(part["text"])
    blob = part.get("inlineData")
    if not isinstance(blob, dict) or blob.keys() != {"mimeType", "data"}:
        return None
    if not all(isinstance(text, str) for text in blob.values()):
        return None
    kind = KINDS.get(blob["mimeType"].partition("/")[0], "file")
    return Media(kind, Base64(blob["data"]), blob["mimeType"])


def _write_content(value: EmbeddingInput, path: str, foreign: bool, notes: list[Note]) -> dict[str, Any]:
    if not foreign and isinstance(value, str):
        return {"parts": [{"text": value}]}
    pieces = pieces_of(value)
    if not foreign and pieces and isinstance(pieces[0], Opaque):
        content: dict[str, Any] = pieces[0].value
        return content
    written = [_write_part(piece) for piece in pieces]
    parts = [part for part in written if part is not None]
    if len(parts) < len(written) or (not isinstance(value, str) and not pieces):
        notes.append(Note(path, "dropped", "Gemini embeds texts, and media given as bytes"))
    return {"parts": parts or [{"text": ""}]}


def _write_part(part: Part) -> dict[str, Any] | None:
    if isinstance(part, Text):
        return {"text": part.text}
    if not isinstance(part, Media) or not isinstance(part.source, Base64):
        return None
    kind = part.media_type or media_type_of(part) or "image/png"
    return {"inlineData": {"mimeType": kind, "data": part.source.data}}


def read_request(value: Any, match: PathMatch) -> EmbeddingRequest:
    """A request body of either form."""
    body = wire.obj(value)
    if "requests" not in body:
        return _read_single(body, match)
    requests = wire.array(body["requests"])
    for number, request in enumerate(requests):
        if not isinstance(request, dict) or not isinstance(request.get("content"), dict):
            raise MalformedError("expected an object with a content", f"requests[{number}]")
    shared = {
        key: requests[0][key]
        for key in _SHARED
        if requests and all(key in request and request[key] == requests[0][key] for request in requests)
    }
    shared = {key: found for key, found in shared.items() if type(found) in (str, int)}
    left = [
        {key: found for key, found in request.items() if key != "content" and key not in shared} for request in requests
    ]
    rest = {key: found for key, found in body.items() if key != "requests"}
    return EmbeddingRequest(
        dialect=NAME,
        model=match.model,
        inputs=tuple(_read_content(request["content"]) for request in requests),
        extras={**rest, "requests": left} if any(own.keys() - {"model"} for own in left) else {**rest, _REPEATED: left},
        **_settings(shared),
    )


def _read_single(body: dict[str, Any], match: PathMatch) -> EmbeddingRequest:
    if not isinstance(body.get("content"), dict):
        raise MalformedError("something to embed is missing", "content")
    shared = {key: body[key] for key in _SHARED if type(body.get(key)) in (str, int)}
    return EmbeddingRequest(
        dialect=NAME,
        model=match.model,
        inputs=(_read_content(body["content"]),),
        single=True,
        extras=wire.rest(body, frozenset({"content", *shared})),
        **_settings(shared),
    )


def _settings(shared: dict[str, Any]) -> dict[str, Any]:
    try:
        return {
            "input_type": _PURPOSES.read(wire.string(shared["taskType"])) if "taskType" in shared else None,
            "dimensions": wire.integer(shared["outputDimensionality"]) if "outputDimensionality" in shared else None,
        }
    except DialectError as error:
        raise error.at("requests[0]") from None


def render_request(request: EmbeddingRequest, profile: Profile) -> Rendered[dict[str, Any]]:
    """The request body: one request an input, or the single form where the caller used it."""
    foreign = request.dialect != NAME
    notes = [*leftovers("", request.extras)] if foreign else []
    word = None if request.input_type is None else _PURPOSES.write(request.input_type)
    shared: dict[str, Any] = {} if word is None else {"taskType": word}
    if request.dimensions is not None:
        shared["outputDimensionality"] = request.dimensions
    contents = [
        _write_content(value, f"inputs[{number}]", foreign, notes) for number, value in enumerate(request.inputs)
    ]
    if not foreign and request.single and len(contents) == 1:
        return Rendered(wire.merge(request.extras, {"content": contents[0], **shared}), tuple(notes))
    if foreign:
        said = {"dimensions"} | ({"input_type"} if word else set())
        said |= {"encoding_format"} if request.encoding_format == "float" else set()
        note_unsaid(request, frozenset(said), notes)
        name = request.model or ""
        model = {"model": name if "/" in name else f"models/{name}"} if name else {}
        return Rendered({"requests": [{**model, "content": each, **shared} for each in contents]}, tuple(notes))
    extras = dict(request.extras or {})
    left: list[dict[str, Any]] = extras.pop(_REPEATED, None) or extras.get("requests") or []
    left = left if len(left) == len(contents) else [left[0] if left else {}] * len(contents)
    requests = [{**own, "content": each, **shared} for own, each in zip(left, contents, strict=True)]
    return Rendered({**extras, "requests": requests}, tuple(notes))


def read_response(value: Any) -> EmbeddingResponse:
    """A response body of either form."""
    body = wire.obj(value)
    single = isinstance(body.get("embedding"), dict)
    items = [body["embedding"]] if single else wire.array(body.get("embeddings"))
    vectors = tuple(_read_vector(item, index) for index, item in enumerate(items))
    usage = body.get("usageMetadata")
    return EmbeddingResponse(
        dialect=NAME,
        vectors=vectors,
        usage=None if usage is None else _read_usage(usage),
        native="single" if single else None,
        extras=wire.rest(body, frozenset({"embedding" if single else "embeddings", "usageMetadata"})),
    )


def _read_vector(value: Any, index: int) -> Vector:
    item = wire.obj(value)
    return Vector(index, wire.array(item.get("values")), extras=wire.rest(item, frozenset({"values"})))


def _read_usage(value: Any) -> Usage:
    values, left = wire.read_counts(wire.obj(value), _COUNTS)
    return Usage(**values, extras=left or None)


def render_response(response: EmbeddingResponse) -> Rendered[dict[str, Any]]:
    """A response body."""
    foreign = response.dialect != NAME
    items = [wire.merge(None if foreign else vector.extras, {"values": vector.values}) for vector in response.vectors]
    found: dict[str, Any] = (
        {"embedding": items[0]} if response.native == "single" and items and not foreign else {"embeddings": items}
    )
    if response.usage is not None:
        values = {
            "input_tokens": response.usage.input_tokens,
            "total_tokens": None if foreign else response.usage.total_tokens,
        }
        found["usageMetadata"] = wire.deep_merge(
            None if foreign else response.usage.extras, wire.write_counts(values, _COUNTS)
        )
    if foreign:
        return Rendered(found, leftovers("", response.extras))
    return Rendered(wire.merge(response.extras, found))


_parse_error, _render_error = errors_of("gemini")

DIALECT = EmbeddingDialect(
    name=NAME,
    match_path=match_path,
    parse_request=boundary(NAME)(read_request),
    render_request=boundary(NAME)(render_request),
    parse_response=boundary(NAME)(read_response),
    render_response=boundary(NAME)(render_response),
    parse_error=_parse_error,
    render_error=_render_error,
    max_inputs=100,
    places=Places("requests[*]"),
)


def _render_single(request: EmbeddingRequest, profile: Profile) -> Rendered[dict[str, Any]]:
    """The body of `embedContent`: the one request of a batch, without the model, which the path names."""
    rendered = render_request(request, profile)
    body = rendered.value
    if "requests" in body:
        body = {key: value for key, value in body["requests"][0].items() if key != "model"}
    return Rendered(body, rendered.notes)


SINGLE = replace(
    DIALECT,
    name="gemini_embed_content",
    render_request=boundary(NAME)(_render_single),
    max_inputs=1,
    places=AT_THE_ROOT,
)
"""`embedContent`, where a host (Vertex AI, for some models) offers no batches."""
