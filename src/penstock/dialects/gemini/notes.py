"""Notes for what another dialect's value carries beyond the representation.

Extras hold two sorts of things: fields that mean something, and the constants of a wire format (`"type": "function"`),
which mean nothing elsewhere. Only the first are a loss.
"""

from __future__ import annotations

from penstock.dialects.framing import TRANSPORT
from penstock.types.content import Extras
from penstock.types.notes import Note

_CONSTANTS = frozenset({"type", "object", "role", "index", "status", TRANSPORT})


def note_leftovers(path: str, extras: Extras, notes: list[Note]) -> None:
    """Add a note for every unmodelled field of `extras` that says something, however deep it lies."""
    for key, value in (extras or {}).items():
        if value is None or value in ([], {}, "") or key in _CONSTANTS or _is_memory(key, value):
            continue
        place = f"{path}.{key}" if path else key
        if isinstance(value, dict):
            note_leftovers(place, value, notes)
        else:
            notes.append(Note(place, "dropped", "only its own dialect can say this"))


def _is_memory(key: str, value: object) -> bool:
    """Keys in parentheses are no wire fields but what a dialect remembers of a spelling (as TRANSPORT); an object under
    one may hold fields.
    """
    return key.startswith("(") and not isinstance(value, dict)
