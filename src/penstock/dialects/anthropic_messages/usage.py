"""Usage: Anthropic counts input without what was read from or written to the cache; the representation counts all of
it.

    Usage.input_tokens = input_tokens + cache_read_input_tokens + cache_creation_input_tokens

In a stream the two halves may come in different frames (`message_start` has all, a `message_delta` often only some),
so a reader and a writer of frames must know what was said before. Source:
https://platform.claude.com/docs/en/build-with-claude/prompt-caching#tracking-cache-performance
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.dialects.leftovers import findings
from penstock.types.notes import Note
from penstock.types.stream import HOLE
from penstock.types.usage import Usage

COUNTS: wire.Counts = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
    "cache_creation": {
        "ephemeral_5m_input_tokens": "cache_write_5m_tokens",
        "ephemeral_1h_input_tokens": "cache_write_1h_tokens",
    },
    "output_tokens_details": {"thinking_tokens": "reasoning_tokens"},
}

SERVER_COUNTS = ("web_search", "web_fetch")
"""Server tools whose uses are counted: in `server_tool_use`, as `<name>_requests`."""
_REQUESTS = "_requests"

TIERS = {"default": "standard", "standard": "standard", "priority": "priority", "batch": "batch"}
"""Unified tier -> `usage.service_tier`."""

SERVED = {"standard": "default", "priority": "priority"}
"""`usage.service_tier` -> the unified tier of the response."""

_SAID = frozenset(
    {
        "input_tokens",
        "output_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "cache_write_5m_tokens",
        "cache_write_1h_tokens",
        "reasoning_tokens",
        "server_tool_calls",
        "service_tier",
        "total_tokens",
        "input_text_tokens",
        "output_text_tokens",
        "spelling",
        "extras",
    }
)
"""Fields of Usage that the API reports, or that follow from those it reports."""


def _outside(usage: Usage) -> int:
    """Input tokens that `input_tokens` on the wire leaves out."""
    written = usage.cache_write_tokens
    if written is None:
        written = (usage.cache_write_5m_tokens or 0) + (usage.cache_write_1h_tokens or 0)
    return int((usage.cache_read_tokens or 0) + written)  # JavaScript's 3.0 must not make the sum a float


def read_usage(value: Any, before: Usage | None = None) -> Usage:
    """A `usage` object; `before` is what earlier frames of the same stream added up to."""
    source = wire.obj(value)
    values, left = wire.read_counts(source, COUNTS)
    if "server_tool_use" in left and isinstance(left["server_tool_use"], dict):
        values["server_tool_calls"], left["server_tool_use"] = _read_server_counts(left["server_tool_use"])
    if isinstance(left.get("service_tier"), str):
        values["service_tier"] = left.pop("service_tier")
    usage = Usage(**values, extras=left or None)
    plain = values.get("input_tokens")
    if plain is None and before is not None and before.input_tokens is not None:
        plain = before.input_tokens - _outside(before)
    if plain is None:
        return usage
    outside = _outside(usage if before is None else before.merged(usage))
    return Usage(**{**values, "input_tokens": plain + outside}, extras=left or None) if outside or before else usage


def _read_server_counts(counts: dict[str, Any]) -> tuple[dict[str, int] | None, dict[str, Any]]:
    calls: dict[str, int] = {}
    left: dict[str, Any] = {}
    for key, count in counts.items():
        if key.endswith(_REQUESTS) and type(count) is int:
            calls[key.removesuffix(_REQUESTS)] = count
        else:
            left[key] = count
    return calls or None, left


def write_usage(usage: Usage, total: Usage | None = None) -> dict[str, Any]:
    """The `usage` object of this dialect again; `total` is what the stream has added up to, this frame included."""
    found = _write_counts(usage, usage if total is None else total)
    return wire.deep_merge(usage.extras, found)


def _write_counts(usage: Usage, total: Usage) -> dict[str, Any]:
    found = _write_plain_counts(usage, _outside(total))
    if usage.server_tool_calls:
        found["server_tool_use"] = {f"{name}{_REQUESTS}": count for name, count in usage.server_tool_calls.items()}
    if usage.service_tier is not None:
        found["service_tier"] = usage.service_tier
    return found


def _write_plain_counts(usage: Usage, outside: int) -> dict[str, Any]:
    """The counts of the table, the input without what is told apart from it."""
    values = _counts_of(usage)
    if usage.input_tokens is not None:
        values["input_tokens"] = max(0, usage.input_tokens - outside)
    return wire.write_counts(values, COUNTS)


_counts_of = wire.counts_of(wire.count_names(COUNTS))


def usage_with_holes(source: dict[str, Any]) -> dict[str, Any]:
    """A copy of a `usage` object with a hole for each count that `read_usage` models."""
    return _with_holes(source, _HOLES)


def _holes(table: wire.Counts) -> dict[str, Any]:
    return {key: True if isinstance(known, str) else _holes(known) for key, known in table.items()}


_HOLES: dict[str, Any] = {**_holes(COUNTS), "service_tier": True, "server_tool_use": {}}


def _with_holes(source: dict[str, Any], table: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in source.items():
        known = table.get(key)
        if key == "server_tool_use" and isinstance(value, dict):
            known = {name: True for name, count in value.items() if name.endswith(_REQUESTS) and type(count) is int}
        counted = isinstance(value, str) if key == "service_tier" else type(value) in (int, float)
        if known is True and counted:
            found[key] = HOLE
        else:
            found[key] = _with_holes(value, known) if isinstance(known, dict) and isinstance(value, dict) else value
    return found


def fill_usage(holes: dict[str, Any], usage: Usage, total: Usage) -> dict[str, Any]:
    """The `usage` object of a frame: its holes filled with what `usage` says."""
    return _filled(holes, _write_counts(usage, total))


def _filled(holes: dict[str, Any], counts: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in holes.items():
        if value is HOLE:
            found[key] = counts.get(key, 0)
        else:
            found[key] = _filled(value, counts.get(key, {})) if isinstance(value, dict) else value
    return found


_NO_CREATION = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}


def write_foreign_usage(usage: Usage | None, notes: list[Note], path: str = "usage") -> dict[str, Any]:
    """Another dialect's usage for a client of this one, who always finds the two totals."""
    if usage is None:
        return {"input_tokens": 0, "output_tokens": 0}
    notes += findings(path, usage.extras)
    found = {"input_tokens": 0, "output_tokens": 0, **_write_plain_counts(usage, _outside(usage))}
    if "cache_creation" in found:  # clients want both lifetimes
        found["cache_creation"] = {**_NO_CREATION, **found["cache_creation"]}
    if usage.server_tool_calls:
        calls = dict(usage.server_tool_calls)
        if any(name in calls for name in SERVER_COUNTS):
            found["server_tool_use"] = {f"{name}{_REQUESTS}": calls.pop(name, 0) for name in SERVER_COUNTS}
        notes.extend(Note(f"{path}.server_tool_calls.{name}", "dropped", "not counted here") for name in calls)
    tier = TIERS.get(usage.service_tier or "")
    if tier is not None:
        found["service_tier"] = tier
    elif usage.service_tier is not None:
        notes.append(Note(f"{path}.service_tier", "dropped", f"no tier {usage.service_tier!r}"))
    unsaid = _unsaid_of(usage)
    if any(unsaid.values()):
        notes += [Note(f"{path}.{name}", "dropped", "not reported here") for name, value in unsaid.items() if value]
    return found


_unsaid_of = wire.counts_of(tuple(name for name in Usage.__struct_fields__ if name not in _SAID))
