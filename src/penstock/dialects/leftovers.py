"""Notes for what another dialect's value carries beyond the representation.

Extras hold two sorts of things: fields that mean something, and the constants of a wire format (`"type": "function"`,
`"object": "chat.completion"`), which mean nothing elsewhere. Only the first are a loss. Keys in parentheses are of use
to their own dialect alone, and an empty value says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from penstock.types.content import Extras
from penstock.types.notes import Note

_CONSTANTS = frozenset({"type", "object", "role", "index", "status"})


def note_leftovers(path: str, extras: Extras, notes: list[Note]) -> None:
    """Add a note for every unmodelled field of `extras` that says something. O(size of `extras`)."""
    if extras:
        notes.extend(Note(place, "dropped", "only its own dialect can say this") for place in _meaningful(path, extras))


def _meaningful(path: str, extras: dict[str, Any]) -> Iterator[str]:
    for key, value in extras.items():
        if value is None or key in _CONSTANTS or key.startswith("(") or value in ({}, [], ""):
            continue
        place = f"{path}.{key}" if path else key
        if isinstance(value, dict):
            yield from _meaningful(place, value)
        else:
            yield place
