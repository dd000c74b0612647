"""QuirkTable: what the hosts of a dialect may want differently, each a field of the Profile with a function.

Most profiles differ from the default in little, so the table is read in one step, and only what differs is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import compress
from operator import attrgetter, ne
from typing import Generic, TypeVar

from penstock.types.profile import DEFAULT_PROFILE, Profile

T = TypeVar("T")


class QuirkTable(Generic[T]):
    """At least two fields of Profile, each with what is to be done where it is not the default."""

    __slots__ = ("_quirks", "_usual", "_values")

    def __init__(self, table: Mapping[str, T]) -> None:
        self._quirks = tuple(table.values())
        self._values = attrgetter(*table)
        self._usual = self._values(DEFAULT_PROFILE)

    def of(self, profile: Profile) -> Iterator[T]:
        """What is to be done for hosts of this profile, in the table's order."""
        return compress(self._quirks, map(ne, self._values(profile), self._usual))
