"""The fields of a Request that the caller said. A dialect lists those that it treats alike in one table: the ones that
it writes as they are (field -> wire name), or the ones that it has no place for (field -> values that ask for nothing).

Most fields of most requests are None, so the table is read in one step and nearly always answers with little.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from operator import attrgetter
from typing import Any, Generic, TypeVar

from penstock.types.notes import Note
from penstock.types.request import Request

T = TypeVar("T")


class Said(Generic[T]):
    """A table of at least two fields of Request, each with an entry; `but`: those of them to leave out."""

    __slots__ = ("_rows", "_silence", "_values")

    def __init__(self, table: Mapping[str, T], but: Collection[str] = ()) -> None:
        self._rows = tuple((name, entry) for name, entry in table.items() if name not in but)
        self._values = attrgetter(*(name for name, _ in self._rows))
        self._silence = (None,) * len(self._rows)

    def of(self, request: Request) -> list[tuple[str, T, Any]]:
        """(field, its entry in the table, its value) for every field that is not None, in the table's order."""
        values = self._values(request)
        if values == self._silence:
            return []
        return [(*self._rows[place], value) for place, value in enumerate(values) if value is not None]


def note_unspeakable(said: Said[tuple[object, ...]], request: Request, why: str, notes: list[Note]) -> None:
    """A note for each field of the table whose value is none of those that ask for nothing."""
    notes += [Note(name, "dropped", why) for name, silent, value in said.of(request) if value not in silent]
