"""Nearest names: which of many names somebody may have meant, found fast enough to be asked by anybody at any time.

Comparing one name with a thousand takes a worker's whole attention for a tenth of a second. So names are first told
apart by the pairs of letters that they share, and only the few that share most are compared.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from difflib import get_close_matches

LONGEST = 200
"""Characters of a name that are compared, and told back to who asked for it: it comes from anybody. (Not how long a
name may be to be kept: that is `made_up.LONGEST_NAME`.)"""
_COMPARED = 24


class NearestNames:
    """Names, to be asked which are near another."""

    def __init__(self, names: Iterable[str]) -> None:
        self._pairs: defaultdict[str, list[str]] = defaultdict(list)
        for name in dict.fromkeys(names):
            for pair in _pairs(name):
                self._pairs[pair].append(name)

    def to(self, name: str, may: Callable[[str], bool] = lambda name: True) -> list[str]:
        """The nearest three at most, the best first, of those that may be told."""
        name = name[:LONGEST]
        own = _pairs(name)
        shared: Counter[str] = Counter()
        for pair in own:
            shared.update(self._pairs.get(pair, ()))
        like = sorted(shared, key=lambda other: shared[other] / (len(own) + len(other)), reverse=True)
        told: list[str] = []
        for other in like:
            if may(other):
                told.append(other)
                if len(told) == _COMPARED:
                    break
        return get_close_matches(name, told, n=3)


def _pairs(name: str) -> set[str]:
    return {name[at : at + 2] for at in range(max(1, len(name) - 1))}
