"""The fields of a Request that the caller said. A dialect lists those that it treats alike in one table: the ones that
it writes as they are (field -> wire name), or the ones that it has no place for (field -> values that ask for nothing).

Most fields of most requests are None, so the table is read in one step and nearly always answers with little.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import compress, repeat
from operator import attrgetter, is_not
from typing import Any, Generic, TypeVar

from penstock.types.notes import Note
from penstock.types.request import Request

T = TypeVar("T")


class Said(Generic[T]):
    """A table of at least two fields of Request, each with an entry; `but`: those of them to leave out."""

    __slots__ = ("_entries", "_names", "_values")

    def __init__(self, table: Mapping[str, T], but: Collection[str] = ()) -> None:
        self._names = tuple(name for name in table if name not in but)
        self._entries = tuple(table[name] for name in self._names)
        self._values = attrgetter(*self._names)

    def of(self, request: Request) -> list[tuple[str, T, Any]]:
        """(field, its entry in the table, its value) for every field that is not None, in the table's order."""
        values = self._values(request)
        rows = zip(self._names, self._entries, values, strict=True)
        return list(compress(rows, map(is_not, values, repeat(None))))


def note_unspeakable(said: Said[tuple[object, ...]], request: Request, why: str, notes: list[Note]) -> None:
    """A note for each field of the table whose value is none of those that ask for nothing."""
    notes += [Note(name, "dropped", why) for name, silent, value in said.of(request) if value not in silent]
