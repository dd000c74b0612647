"""Embeddings: the second, smaller family of calls that has dialects of its own.

An input is text, a list of token ids, or parts (multimodal embeddings). A vector is a list of numbers or the base64
text of one, as it came: packing and unpacking is the caller's choice, not the wire's.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from penstock.types.content import Extras, Part
from penstock.types.usage import Usage

EmbeddingInput: TypeAlias = str | tuple[int, ...] | tuple[Part, ...]
"""One thing to embed."""


class EmbeddingRequest(Struct, frozen=True, kw_only=True):
    """A request for one vector an input.

    `input_type` is the unified word for what the vector is for (query, document, classification, clustering,
    similarity ..., or the provider's own); `encoding_format` "float", "base64" or a quantised type; `truncate`
    "NONE", "START", "END" or a provider's word. `single` remembers that the caller gave one bare input and not a list
    of one.
    """

    dialect: str
    model: str | None
    inputs: tuple[EmbeddingInput, ...]
    dimensions: int | None = None
    encoding_format: str | tuple[str, ...] | None = None
    input_type: str | None = None
    truncate: str | bool | None = None
    user: str | None = None
    single: bool = False
    spelling: dict[str, str] | None = None
    extras: Extras = None


class Vector(Struct, frozen=True):
    """One embedding. `values` are numbers, or base64 text of little-endian float32; `kind` is the element type where
    several are offered.
    """

    index: int
    values: list[float] | list[int] | str
    kind: str | None = None
    extras: Extras = None


class EmbeddingResponse(Struct, frozen=True, kw_only=True):
    """The vectors in the order of the inputs."""

    dialect: str
    vectors: tuple[Vector, ...]
    id: str | None = None
    model: str | None = None
    usage: Usage | None = None
    native: str | None = None
    extras: Extras = None
