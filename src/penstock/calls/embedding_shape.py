"""Embeddings in OpenAI's shape over any format of embeddings: the request as a host says it, its answer as OpenAI
would.
"""

from __future__ import annotations

import base64
import struct
from typing import Any

from msgspec.structs import replace

from penstock.calls.passing import set_apart
from penstock.dialects import embeddings, wire
from penstock.dialects.dialect import PathMatch
from penstock.dialects.embeddings.openai import DIALECT as OPENAI
from penstock.providers.endpoint import Endpoint
from penstock.types.embedding import EmbeddingRequest, Vector
from penstock.types.embedding import EmbeddingResponse as Vectors
from penstock.types.notes import Note

Body = dict[str, Any]


def _request(body: Body, target: Endpoint) -> EmbeddingRequest:
    request = OPENAI.parse_request(body, PathMatch())
    if request.encoding_format in ("float", "base64") and target.format != OPENAI.name:
        request = replace(request, encoding_format=None)
    return replace(request, model=target.wire_model)


def encoded(body: Body, target: Endpoint) -> tuple[Body, tuple[Note, ...]]:
    """The body at `target`, and what it could not say. Raises DialectError."""
    dialect, request, passed = embeddings.get(target.format), _request(body, target), Body()
    if dialect.name != OPENAI.name:
        request, passed = set_apart(request, OPENAI.parameters)
    rendered = dialect.render_request(request, target.profile)
    return dialect.places.put(passed, rendered.value), rendered.notes


def read_answer(data: bytes, target: Endpoint) -> Body:
    """The answer in OpenAI's shape, its vectors as they came. Raises DialectError."""
    dialect = embeddings.get(target.format)
    parsed = dialect.parse_response(wire.decode(data))
    usage = parsed.usage
    if usage is not None and usage.input_tokens is None:
        tokens = usage.total_tokens if usage.billed_input_tokens is None else usage.billed_input_tokens
        usage = replace(usage, input_tokens=tokens)
    return _shown(replace(parsed, usage=usage, vectors=_one_each(parsed.vectors)), target)


def _one_each(vectors: tuple[Vector, ...]) -> tuple[Vector, ...]:
    """One vector for each input: of several forms of one, the numbers."""
    found: dict[int, Vector] = {}
    for vector in vectors:
        if vector.index not in found or (vector.kind in _NUMBERS and found[vector.index].kind not in _NUMBERS):
            found[vector.index] = vector
    return tuple(found[index] for index in sorted(found))


_NUMBERS = (None, "float")


def _shown(parsed: Vectors, target: Endpoint) -> Body:
    shown = OPENAI.render_response(parsed).value
    shown.setdefault("object", "list")
    shown.setdefault("model", target.model)
    usage = shown.get("usage")
    if isinstance(usage, dict) and "total_tokens" in usage:
        usage.setdefault("prompt_tokens", usage["total_tokens"])
    return shown


def in_form(vector: Any, wanted: str | None) -> Any:
    """A vector as numbers, or as base64 of little-endian 32-bit floats. Quantised vectors stay as they are."""
    if wanted == "base64" and isinstance(vector, list) and all(isinstance(each, int | float) for each in vector):
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    if wanted != "base64" and isinstance(vector, str):
        data = base64.b64decode(vector)
        return list(struct.unpack(f"<{len(data) // 4}f", data[: len(data) // 4 * 4]))
    return vector
