"""Usage: counts and durations that stand in the answer itself, both ways.

`prompt_eval_count` counts the whole prompt, with what was found in the cache (`prompt_eval_cached_count`, since Ollama
0.34). Durations are in nanoseconds; only this dialect knows them.
Source: https://docs.ollama.com/api/usage
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.dialects.leftovers import findings
from penstock.types.notes import Note
from penstock.types.usage import Usage

COUNTS: wire.Counts = {
    "prompt_eval_count": "input_tokens",
    "prompt_eval_cached_count": "cache_read_tokens",
    "eval_count": "output_tokens",
}
DURATIONS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")

KEYS = frozenset({*COUNTS, *DURATIONS})
"""Fields of an answer that are its usage."""

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
    "billed_input_tokens",
    "billed_output_tokens",
    "search_units",
    "images",
    "characters",
    "seconds",
    "server_tool_calls",
    "service_tier",
    "cost",
)
"""Counts that Ollama has no place for (those that are parts or sums of others are left out)."""


def read_usage(body: dict[str, Any]) -> Usage | None:
    """The usage in an answer; None where it says nothing."""
    if KEYS.isdisjoint(body):
        return None
    values, left = wire.read_counts({key: body[key] for key in body if key in KEYS}, COUNTS)
    return Usage(**values, extras=left or None)


def write_usage(usage: Usage) -> dict[str, Any]:
    """The fields again."""
    values = {name: getattr(usage, name) for name in _NAMES}
    return wire.merge(usage.extras, wire.write_counts(values, COUNTS))


_NAMES = tuple(name for name in COUNTS.values() if isinstance(name, str))


def write_foreign_usage(usage: Usage, notes: list[Note]) -> dict[str, Any]:
    """Another dialect's counts."""
    notes += findings("usage", usage.extras)
    notes.extend(
        Note(f"usage.{name}", "dropped", "Ollama has no such count") for name in _UNSPEAKABLE if getattr(usage, name)
    )
    return wire.write_counts({name: getattr(usage, name) for name in _NAMES}, COUNTS)
