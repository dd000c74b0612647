"""Deterministic embeddings and scores: the same text gives the same unit vector, equal words give near vectors.

Each word adds a direction taken from its digest, so a text lies nearer to another the more words they share. It is no
model of language; it makes "the right document ranks first" a thing that a test may assert.
"""

import hashlib
import math
import struct


def vector(text: str, size: float = 8) -> list[float]:
    """A unit vector for a text, of 32-bit floats. `size` is whole, if perhaps written as 8.0."""
    dimensions = int(size)
    sums = [0.0] * dimensions
    for word in text.lower().split() or [""]:
        for place, value in enumerate(_direction(word.strip(".,;:!?'\""), dimensions)):
            sums[place] += value
    length = math.sqrt(sum(value * value for value in sums)) or 1.0
    packed = pack([value / length for value in sums])
    return list(struct.unpack(f"<{dimensions}f", packed))


def pack(values: list[float]) -> bytes:
    """Little-endian 32-bit floats: what `encoding_format: base64` carries."""
    return struct.pack(f"<{len(values)}f", *values)


def similarity(query: str, document: str) -> float:
    """A score from 0 to 1: how near the two texts lie."""
    product = sum(a * b for a, b in zip(vector(query, 256), vector(document, 256), strict=True))
    return round(max(0.0, min(1.0, (1 + product) / 2)), 6)


def ranked(query: str, documents: list[str], top_n: float | None) -> list[tuple[int, float]]:
    """(index, score) of the documents, best first."""
    scored = [(index, similarity(query, text)) for index, text in enumerate(documents)]
    return sorted(scored, key=lambda pair: -pair[1])[: int(top_n or len(scored))]


def _direction(word: str, dimensions: int) -> list[float]:
    values: list[float] = []
    block = 0
    while len(values) < dimensions:
        digest = hashlib.sha256(f"{block}:{word}".encode()).digest()
        values += [byte / 127.5 - 1 for byte in digest]
        block += 1
    return values[:dimensions]
