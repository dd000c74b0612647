"""Tokenizers: how many tokens a text is. By a real tokenizer where the extra `[tokenizers]` is installed, else by an
estimate; never by asking or downloading anything.

The extra brings one package with the vocabularies of OpenAI's models inside it (docs/decisions/0006). Other makers
publish none that could be carried, and models of theirs that are open have one each, so for these the count is an
estimate on the same pieces: OpenAI's `o200k_base`, times a factor a family (token_families.py).

Without the extra, `pieces` guesses how `o200k_base` would cut a text: by its own rule for words, numbers, punctuation
and spaces, with a length a kind of piece.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

ENCODINGS = frozenset({"cl100k_base", "o200k_base", "o200k_harmony"})
"""The encodings that the extra carries for us."""

EXTRA = "tokenizers"


@lru_cache(maxsize=1)
def counter() -> Callable[[Sequence[str], str], list[int]] | None:
    """(texts, encoding) -> tokens of each text, by the extra; None where it is not installed."""
    try:
        import toktok
    except ImportError:
        return None

    def count(texts: Sequence[str], encoding: str) -> list[int]:
        found: list[int] = toktok.batch_count(texts, encoding)
        return found

    return count


def count_texts(texts: Sequence[str], encoding: str) -> tuple[int, bool]:
    """(tokens of all texts, whether a real tokenizer counted them)."""
    count = counter()
    if count is None:
        return sum(map(pieces, texts)), False
    return sum(count(texts, encoding)), True


_PIECE = re.compile(
    r"(?P<word> ?[A-Za-z]+)"
    r"|(?P<digits>\d+)"
    r"|(?P<wide>[\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff])"
    r"|(?P<picture>[\u2190-\u2bff\U0001f000-\U0001faff])"
    r"|(?P<other> ?(?:[^\W\d_]|[\u0300-\u036f\u0900-\u0eff])+)"
    r"|(?P<space>\s+)"
    r"|(?P<mark>[^\w\s]+|_+)"
)
_CHARACTERS = {"digits": 3.0, "wide": 1.35, "picture": 0.6, "other": 4.0, "mark": 3.4}
"""Characters a token, by kind of piece: measured against `o200k_base` on the texts of recorded requests."""
_ORDINARY_WORD = 12
_BEYOND = 5.0
"""A word of up to 12 letters is one token; of a longer one, every 5 more letters are another."""


def pieces(text: str) -> int:
    """About how many tokens `o200k_base` makes of a text."""
    total = 0.0
    for piece in _PIECE.finditer(text):
        kind, length = str(piece.lastgroup), piece.end() - piece.start()
        if kind == "word":
            total += 1 + max(0, length - _ORDINARY_WORD) / _BEYOND
        elif kind == "space":
            total += 0 if piece[0] == " " else 1
        elif kind in ("wide", "picture"):
            total += 1 / _CHARACTERS[kind]
        else:
            total += max(1.0, length / _CHARACTERS[kind])
    return round(total)
