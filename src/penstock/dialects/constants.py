"""Constants of a wire format (`"type": "function"`, `"role": "assistant"`): they say nothing elsewhere, so they leave
no trace in the representation.

One that is missing is remembered under ABSENT, one with another value stays in the extras like any unknown field. So
the same dialect writes back what came, and another one finds nothing in the extras that it would have to note.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock.types.content import Extras

ABSENT = "(absent)"
"""The key in extras for the names of constants that were not there."""


def rest(value: Mapping[str, Any], known: frozenset[str], constants: Mapping[str, Any]) -> Extras:
    """What of `value` is neither modelled nor constant: unknown keys, explicit nulls, and constants that are none."""
    extras = {
        key: inner
        for key, inner in value.items()
        if inner is None or (key not in known and (key not in constants or constants[key] != inner))
    }
    absent = [key for key in constants if key not in value]
    if absent:
        extras[ABSENT] = absent
    return extras or None


def merge(extras: Extras, constants: Mapping[str, Any], modelled: dict[str, Any]) -> dict[str, Any]:
    """The object again: constants, what was not modelled, and over them what is."""
    if not extras:
        return {**constants, **modelled}
    absent = extras.get(ABSENT, ())
    found = {key: inner for key, inner in constants.items() if key not in absent}
    found |= extras
    found.pop(ABSENT, None)
    return found | modelled
