"""Usage: `{"billed_units": {...}, "tokens": {...}, "cached_tokens": n}`, both ways.

`tokens` counts what the model read and wrote, with the prompt that Cohere puts around the conversation; `billed_units`
is what the caller pays for. The API's numbers are of type double: a whole one is read as an integer,
and written as it was.
Source: https://docs.cohere.com/reference/chat (usage)
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.dialects.leftovers import findings
from penstock.types.notes import Note
from penstock.types.usage import Usage

COUNTS: wire.Counts = {
    "billed_units": {
        "input_tokens": "billed_input_tokens",
        "output_tokens": "billed_output_tokens",
        "search_units": "search_units",
        "images": "images",
    },
    "tokens": {"input_tokens": "input_tokens", "output_tokens": "output_tokens"},
    "cached_tokens": "cache_read_tokens",
}

_BILLED = {"input_tokens": "billed_input_tokens", "output_tokens": "billed_output_tokens"}
"""Where counts come from if `tokens` says nothing. They are then marked in `spelling`, and not written twice."""

_UNSPEAKABLE = (
    "cache_write_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "input_image_tokens",
    "output_image_tokens",
    "input_video_tokens",
    "tool_use_input_tokens",
    "accepted_prediction_tokens",
    "rejected_prediction_tokens",
    "characters",
    "seconds",
    "server_tool_calls",
    "service_tier",
    "cost",
)
"""Counts that Cohere has no place for (those that are parts or sums of others are left out)."""


_FLOATS = "(floats)"
"""In `Usage.spelling`: the counts that were written as 5.0, by their names in the representation."""


def read_usage(value: Any) -> Usage:
    """`usage`."""
    values, left = wire.read_counts(wire.obj(value), COUNTS)
    spelling: dict[str, str] = {}
    floats = [name for name, count in values.items() if type(count) is float and count.is_integer()]
    if floats:
        values |= {name: int(values[name]) for name in floats}
        spelling[_FLOATS] = " ".join(floats)
    for name, billed in _BILLED.items():
        if name not in values and billed in values:
            values[name] = values[billed]
            spelling[name] = f"billed_units.{name}"
    return Usage(**values, spelling=spelling or None, extras=left or None)


def write_usage(usage: Usage) -> dict[str, Any]:
    """`usage` again."""
    spelled = usage.spelling or {}
    values = {name: getattr(usage, name) for name in _NAMES if name not in spelled}
    for name in spelled.get(_FLOATS, "").split():
        if values.get(name) is not None:
            values[name] = float(values[name])
    return wire.deep_merge(usage.extras, wire.write_counts(values, COUNTS))


_NAMES = wire.count_names(COUNTS)


def write_foreign_usage(usage: Usage, notes: list[Note]) -> dict[str, Any]:
    """Another dialect's counts. Clients read either of the two groups, so both are filled."""
    notes += findings("usage", usage.extras)
    notes.extend(
        Note(f"usage.{name}", "dropped", "Cohere has no such count") for name in _UNSPEAKABLE if getattr(usage, name)
    )
    values = {name: getattr(usage, name) for name in _NAMES}
    for name, billed in _BILLED.items():
        values[name] = values[name] or 0
        if values[billed] is None:
            values[billed] = values[name]
    return wire.write_counts(values, COUNTS)
