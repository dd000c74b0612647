"""Notes for what another dialect's value carries beyond the representation.

Extras hold two sorts of things: fields that mean something, and the constants of a wire format (`"type": "function"`,
`"object": "chat.completion"`), which mean nothing elsewhere. Only the first are a loss. Keys in parentheses are of use
to their own dialect alone, and an empty value says nothing.
"""

from __future__ import annotations

from penstock.dialects import wire
from penstock.types.content import Extras
from penstock.types.notes import Note


def note_findings(path: str, extras: Extras, notes: list[Note]) -> None:
    """The same for what stands beside an answer, where flat facts are a provider's remarks and no loss. O(size of
    `extras`).
    """
    if extras:
        notes += wire.note_findings(path, extras)


def note_leftovers(path: str, extras: Extras, notes: list[Note]) -> None:
    """Add a note for every unmodelled field of `extras` that says something. O(size of `extras`)."""
    if extras:
        notes += wire.note_extras(path, extras)
