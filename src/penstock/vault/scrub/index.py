"""Fast answers to three questions about a text: may a needle be in it, where is each, and where does the rest begin
one.

Measured with the library used here, on random bytes, JSON, base64 and HTML: up to 64 patterns are searched with vector
instructions at 4 to 14 GB/s, more of them at 0.1 to 0.6 GB/s; `bytes.find` takes 2.3 GB/s for seven patterns. Hence the
first question is asked of *seeds*, short parts of the needles, in groups of at most `GROUP`. The library chooses its
vector search for leftmost matches only, so the seeds are searched that way, which may hide one seed behind another:
nothing is lost by that, as any seed answers the question.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import product
from typing import NamedTuple

import ahocorasick_rs

from penstock.vault.scrub.needles import VALUES, Needle

GROUP = 48
"""Patterns in one vector search."""

SEED = 8
"""Length of a seed, in bytes."""

_HEAD = 4
_HEX = b"0123456789abcdef"


class Match(NamedTuple):
    """A needle in a text, from `start` to `end`."""

    start: int
    end: int
    needle: Needle


_DIVERSE = [bytes((at, at + 1)) * 4 for at in b"\x11\x21CUh\x8a\x9c\xae\xc1\xd3\xe5\xf7"]


def vector_search(patterns: Sequence[bytes]) -> ahocorasick_rs.BytesAhoCorasick:
    """Build a search of at most `GROUP` patterns that uses vector instructions.

    Where all patterns begin with, or contain, one of three bytes or fewer, the library looks for these bytes one by
    one,
    which is slow for digits; patterns that occur nowhere keep it from that.
    """
    return ahocorasick_rs.BytesAhoCorasick([*patterns, *_DIVERSE], matchkind=ahocorasick_rs.MatchKind.LeftmostLongest)


class Seeds:
    """Whether any of some short patterns is in a text."""

    def __init__(self, patterns: Iterable[bytes]) -> None:
        distinct = list(dict.fromkeys(patterns))
        self._groups = [vector_search(distinct[at : at + GROUP]) for at in range(0, len(distinct), GROUP)]

    def in_text(self, text: bytes) -> bool:
        """Say whether at least one pattern is in `text`."""
        return any(group.find_matches_as_indexes(text) for group in self._groups)


def _hex_seeds(pattern: bytes) -> list[bytes]:
    """Every way to write, in capitals or not, the four bytes (or so) of a hexadecimal form that have the fewest
    letters.
    """
    width = next(at for at in range(len(pattern)) if sum(c in _HEX for c in pattern[: at + 1]) >= SEED) + 1
    windows = [pattern[at : at + width] for at in range(len(pattern) - width + 1)]
    best = min(windows, key=lambda window: sum(c in b"abcdefx" for c in window))
    written = [bytes(choice) for choice in product(*({c, c - 32} if c in b"abcdefx" else {c} for c in best))]
    return sorted(written)


def seeds(needle: Needle) -> list[bytes]:
    """Return parts of a needle of which at least one stands whole in every occurrence.

    Base64 may be broken into lines, of at least 60 characters: of the two halves of its first 60, one is whole. The end
    of each half is taken, as secrets of a kind begin alike.
    """
    pattern = needle.pattern
    if needle.encoding == "hex":
        return _hex_seeds(pattern)
    if not needle.is_base64:
        return [pattern[-SEED:]]
    half = min(len(pattern) // 2, 30)
    return [pattern[max(0, half - SEED) : half], pattern[max(half, 2 * half - SEED) : 2 * half]]


class Index:
    """The needles of one reading of a text: of the text itself, or (`fold`) of the text in lower case."""

    def __init__(self, needles: Sequence[Needle], *, fold: bool = False) -> None:
        self.fold = fold
        distinct = list({needle.pattern: needle for needle in reversed(needles)}.values())
        self._needles = distinct
        self._all = ahocorasick_rs.BytesAhoCorasick([needle.pattern for needle in distinct])
        self._heads: dict[bytes, list[Needle]] = defaultdict(list)
        for needle in distinct:
            self._heads[needle.pattern[:_HEAD]].append(needle)
        self._head_list = list(self._heads)
        self._head_search = ahocorasick_rs.BytesAhoCorasick(self._head_list)
        self._starts = frozenset(head[:length] for head in self._heads for length in range(1, _HEAD))
        self._edged = frozenset(n.pattern[:length] for n in distinct if n.head for length in range(1, _HEAD))
        letters = b"".join(needle.pattern for needle in distinct)
        self.bytes = frozenset(letters + letters.upper() if fold else letters)
        heads = [needle.head for needle in distinct if needle.head]
        self._before = frozenset(
            byte for byte, value in VALUES.items() if any(value & head.mask == head.real for head in heads)
        )
        self.seeds = Seeds(seed for needle in distinct for seed in seeds(needle))
        self.longest = max(len(needle.pattern) for needle in distinct)

    def suspects(self, text: bytes) -> bool:
        """Say whether a needle may be in `text`: False is certain. Base64 may be broken into lines."""
        return self.seeds.in_text(text)

    def matches(self, text: bytes) -> list[Match]:
        """Return every occurrence, overlapping ones too, by its start; of those that start together the longest
        first.
        """
        found = self._all.find_matches_as_indexes(text.lower() if self.fold else text, overlapping=True)
        found.sort(key=lambda match: (match[1], -match[2]))
        return [Match(start, end, self._needles[which]) for which, start, end in found]

    def held_from(self, text: bytes) -> int:
        """Return where the longest end of `text` begins that more text could make a needle of; its length if there is
        none.

        The character before a base64 interior belongs to it, and a form with a tail waits for the character after it.
        """
        if not text or text[-1] not in self.bytes:
            return len(text) - (1 if text and text[-1] in self._before else 0)
        low = max(0, len(text) - self.longest)
        tail = text[low:].lower() if self.fold else text[low:]
        for which, start, _ in sorted(
            self._head_search.find_matches_as_indexes(tail, overlapping=True), key=lambda m: m[1]
        ):
            rest = tail[start:]
            for needle in self._heads[self._head_list[which]]:
                if needle.pattern.startswith(rest) and (len(rest) < len(needle.pattern) or needle.tail):
                    return max(0, low + start - (1 if needle.head else 0))
        for length in range(min(_HEAD - 1, len(tail)), 0, -1):
            if tail[-length:] in self._starts:
                return max(0, len(text) - length - (1 if tail[-length:] in self._edged else 0))
        return len(text) - (1 if text[-1] in self._before else 0)
