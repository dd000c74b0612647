"""Notes for what another dialect's value carries beyond the representation.

Extras hold two sorts of things: fields that mean something, and the constants of a wire format (`"type": "function"`,
`"object": "chat.completion"`), which mean nothing elsewhere. Only the first are a loss. Keys in parentheses are of use
to their own dialect alone, and explicit nulls and empty values say nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from penstock.types.content import Extras
from penstock.types.notes import Note

_CONSTANTS = frozenset({"type", "object", "role", "index", "status"})
_SILENT: tuple[Any, ...] = (None, {}, [], "")


def leftovers(path: str, extras: Extras) -> tuple[Note, ...]:
    """A note for every unmodelled field of `extras` that says something. O(size of `extras`)."""
    if not extras:
        return ()
    left = {key: value for key, value in extras.items() if value is not None and key not in _CONSTANTS}
    if not left:
        return ()  # nearly always
    return tuple([Note(place, "dropped", "only its own dialect can say this") for place in _meaningful(path, left)])


def _meaningful(path: str, extras: Mapping[str, Any]) -> Iterator[str]:
    for key, value in extras.items():
        if value in _SILENT or key in _CONSTANTS or key.startswith("("):
            continue
        place = f"{path}.{key}" if path else key
        if isinstance(value, dict):
            yield from _meaningful(place, value)
        else:
            yield place


def findings(path: str, extras: Extras) -> tuple[Note, ...]:
    """The same for what stands beside an answer: in the response itself, its usage, its choices.

    A flat fact there (a duration, a fingerprint; in a response or its usage also an object of such) is a provider's
    remark on its own work, which nobody asked for: it is no loss to a client of another API, and a caller of the SDK
    finds it in `_hidden_params`. What has more depth (what a moderation found, what an answer is grounded in, the
    message of a choice) is noted.
    """
    if not extras:
        return ()
    deep = {
        key: value
        for key, value in extras.items()
        if isinstance(value, dict | list) and not _is_flat(value, int(path in _FLAT))
    }
    return leftovers(path, deep)


_FLAT = ("", "usage")
"""Where an object may be a remark: the response itself, its counts."""


def _is_flat(value: Any, depth: int) -> bool:
    if isinstance(value, dict):
        return depth > 0 and all(_is_flat(inner, depth - 1) or not inner for inner in value.values())
    return not isinstance(value, list)
