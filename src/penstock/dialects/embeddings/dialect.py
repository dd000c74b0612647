"""EmbeddingDialect: what every wire format for embeddings offers. The smaller sibling of
`penstock.dialects.dialect.Dialect`, with the same rules.

Three tools are shared here: the words for what a vector is for, which every provider spells in its own way, the reading
of texts, and that of images: an input is a text, or parts of which one vector is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.dialects import wire
from penstock.dialects.dialect import Headers, PathMatch
from penstock.dialects.media_types import media_type_of
from penstock.dialects.places import AT_THE_ROOT, Places
from penstock.types.content import Base64, Media, Part, Text, Url
from penstock.types.embedding import EmbeddingInput, EmbeddingRequest, EmbeddingResponse
from penstock.types.errors import ErrorResponse
from penstock.types.notes import Note, Rendered
from penstock.types.profile import Profile


@dataclass(frozen=True, slots=True)
class EmbeddingDialect:
    """A wire format for embeddings.

    name              also the value of `EmbeddingRequest.dialect`
    match_path        (path) -> PathMatch, or None where the path is not of this dialect
    recognises        (request body) -> whether it is of this dialect, for paths that several share
    parse_request     (wire, match) -> EmbeddingRequest
    render_request    (request, profile) -> Rendered[wire object]
    parse_response    (wire) -> EmbeddingResponse
    render_response   (response) -> Rendered[wire object]
    parse_error, render_error    as those of the chat dialect of the same host
    places, parameters    as those of `penstock.dialects.dialect.Dialect`
    max_inputs        how many inputs one request may hold (None: the host's own limit); callers cut longer lists
    """

    name: str
    match_path: Callable[[str], PathMatch | None]
    parse_request: Callable[[Any, PathMatch], EmbeddingRequest]
    render_request: Callable[[EmbeddingRequest, Profile], Rendered[dict[str, Any]]]
    parse_response: Callable[[Any], EmbeddingResponse]
    render_response: Callable[[EmbeddingResponse], Rendered[dict[str, Any]]]
    parse_error: Callable[[int, Headers, bytes], ErrorResponse]
    render_error: Callable[[ErrorResponse], tuple[int, dict[str, Any]]]
    recognises: Callable[[dict[str, Any]], bool] = lambda body: True
    max_inputs: int | None = None
    places: Places = AT_THE_ROOT
    parameters: frozenset[str] | None = None


class Purposes:
    """A dialect's words for what a vector is for. A word that no other provider has stays as it is."""

    def __init__(self, words: Mapping[str, str]) -> None:
        self._to_wire = dict(words)
        self._from_wire = {wire: word for word, wire in words.items()}

    def read(self, wire_word: str) -> str:
        """The unified word."""
        return self._from_wire.get(wire_word, wire_word)

    def write(self, word: str) -> str | None:
        """The wire's word for a unified one; None: it has none."""
        if word in self._to_wire:
            return self._to_wire[word]
        return word if word not in _UNIFIED else None


_UNIFIED = frozenset({"query", "document", "classification", "clustering", "similarity", "question_answering"})


def texts_of(inputs: tuple[EmbeddingInput, ...], notes: list[Note]) -> list[str]:
    """The inputs as texts, one each, so that vectors stay where they belong: what is no text becomes an empty one,
    with a note.
    """
    return [_text_of(value, f"inputs[{number}]", notes) for number, value in enumerate(inputs)]


def _text_of(value: EmbeddingInput, path: str, notes: list[Note]) -> str:
    if isinstance(value, str):
        return value
    texts = [part.text for part in value if isinstance(part, Text)]
    if len(texts) < len(value):
        notes.append(Note(path, "dropped", "this API embeds text only"))
    return " ".join(texts)


def pieces_of(value: EmbeddingInput) -> tuple[Part, ...]:
    """An input as parts, for an API that embeds images. A text that is nothing but an image's `data:` URL is that
    image: so callers of OpenAI's API, which takes texts alone, say it to hosts that take both.
    """
    if isinstance(value, str):
        return (image_of(value) if value.startswith("data:image/") else Text(value),)
    return tuple(part for part in value if not isinstance(part, int))


def image_of(url: str) -> Media:
    """An image at an address, which may hold the bytes themselves."""
    data = wire.data_url(url)
    return Media("image", Url(url)) if data is None else Media("image", Base64(data[1]), data[0])


def image_url(image: Media) -> str | None:
    """The address of an image, or its bytes as one; None where it has neither."""
    if isinstance(image.source, Url):
        return image.source.url
    if isinstance(image.source, Base64):
        return f"data:{media_type_of(image) or 'image/png'};base64,{image.source.data}"
    return None


def note_unsaid(request: EmbeddingRequest, said: frozenset[str], notes: list[Note]) -> None:
    """A note for each field that is set and that the target has no word for."""
    for name in ("dimensions", "encoding_format", "input_type", "truncate", "user"):
        if name not in said and getattr(request, name) is not None:
            notes.append(Note(name, "dropped", "this API has no such setting"))
