"""Bounds: how many tokens a request can come to at most, before anybody has counted them.

A limit that must never be passed has to reserve what a call may use, not what it probably uses. No tokenizer makes
more tokens of a text than it has bytes, so bytes bound the input; a call that is over uses what the provider counted,
and the rest of the reservation is given back. Far from a limit the length of the body is bound enough. Near it
`tight` counts only what a model gets to read.
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.types.errors import DialectError

LONG = 16 * 1024
"""Bytes above which a body is looked into at once: images come as base64 in it."""
MEDIUM = 4096
"""Characters of a text without a space from which on it is taken for a medium (an image, a file) and not for words."""
A_MEDIUM = 6000
"""Tokens that a medium is taken to need at least; a long one needs a token for `BYTES_A_TOKEN` bytes."""
BYTES_A_TOKEN = 48
A_MESSAGE = 8
"""Tokens of a chat template around one message, a tool or a part."""
_DESCRIBING = frozenset({"tools", "functions", "response_format", "input_schema", "parameters", "schema"})
"""Members whose names are given to the model too."""


def loose(body: bytes) -> int:
    """Tokens that can go in, by the body's length."""
    return len(body) if len(body) <= LONG else tight(body)


def tight(body: bytes) -> int:
    """Tokens that can go in: what a model gets to read of the body. (Of one that is nested too deep: all of it.)"""
    try:
        return _of(wire.decode(body), named=False)
    except (DialectError, RecursionError):
        return len(body)


def _of(value: Any, named: bool) -> int:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        total = A_MESSAGE
        for name, inner in value.items():
            describes = named or name in _DESCRIBING
            total += (len(name) + 2 if describes else 0) + _of(inner, describes)
        return total
    if isinstance(value, list):
        return sum(_of(inner, named) for inner in value)
    return 4 if named else 0


def _text(text: str) -> int:
    if len(text) >= MEDIUM and " " not in text[:MEDIUM]:
        return max(A_MEDIUM, len(text) // BYTES_A_TOKEN)
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
