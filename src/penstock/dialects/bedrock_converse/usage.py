"""Token counts of Converse, both ways.

    {"inputTokens", "outputTokens", "totalTokens", "cacheReadInputTokens", "cacheWriteInputTokens",
     "cacheDetails": [{"ttl": "1h", "inputTokens": 0}, {"ttl": "5m", "inputTokens": 1298}]}

`inputTokens` counts only what the cache had no part in, `totalTokens` all; `Usage.input_tokens` counts all input.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.types.usage import Usage

_COUNTS: wire.Counts = {
    "cacheReadInputTokens": "cache_read_tokens",
    "cacheWriteInputTokens": "cache_write_tokens",
    "inputTokens": "input_tokens",
    "outputTokens": "output_tokens",
    "totalTokens": "total_tokens",
}
_TWINS = {"cacheReadInputTokenCount": "cache_read_tokens", "cacheWriteInputTokenCount": "cache_write_tokens"}
"""Fields in which Amazon repeats a count."""
_ALSO = "(also)"
"""Key in `extras` for those of them that were there, and said the same."""
_DETAILS = {"1h": "cache_write_1h_tokens", "5m": "cache_write_5m_tokens"}
_DETAIL_KEYS = frozenset({"ttl", "inputTokens"})


def read_usage(value: Any) -> Usage:
    """A `usage` object."""
    usage = wire.obj(value)
    values, left = wire.read_counts(usage, _COUNTS)
    twins = [key for key, name in _TWINS.items() if key in left and left[key] == values.get(name)]
    if twins and all(type(left[key]) is int for key in twins):
        left = {key: value for key, value in left.items() if key not in twins} | {_ALSO: twins}
    if "input_tokens" in values:
        values["input_tokens"] += _cached(values)
    details = left.get("cacheDetails")
    if details is not None and _are_plain(details):
        values |= {_DETAILS[detail["ttl"]]: detail["inputTokens"] for detail in details}
        del left["cacheDetails"]
    return Usage(**values, extras=left or None)


def _cached(values: dict[str, Any]) -> int:
    """An integer, whatever way JavaScript wrote it: a 3.0 must not make the sum a float."""
    return int((values.get("cache_read_tokens") or 0) + (values.get("cache_write_tokens") or 0))


def _are_plain(details: Any) -> bool:
    """Whether `write_usage` writes exactly this list again: known lifetimes, each once, the longer one first."""
    if not isinstance(details, list) or not details:
        return False
    if not all(isinstance(detail, dict) and detail.keys() == _DETAIL_KEYS for detail in details):
        return False
    lifetimes = [detail["ttl"] for detail in details]
    return lifetimes in (["1h"], ["5m"], ["1h", "5m"]) and all(type(detail["inputTokens"]) is int for detail in details)


def write_usage(usage: Usage, own: bool) -> dict[str, Any]:
    """A `usage` object; of another dialect's counts, the three that every answer must have are there at least."""
    values = {name: getattr(usage, name) for name in _COUNTS.values() if isinstance(name, str)}
    if usage.input_tokens is not None:
        values["input_tokens"] = max(0, usage.input_tokens - _cached(values))
    if not own:
        for name in ("input_tokens", "output_tokens"):
            values[name] = values[name] or 0
        if values["total_tokens"] is None:
            values["total_tokens"] = values["input_tokens"] + values["output_tokens"] + _cached(values)
    found = wire.write_counts(values, _COUNTS)
    details = [
        {"ttl": lifetime, "inputTokens": count}
        for lifetime, name in _DETAILS.items()
        if (count := getattr(usage, name)) is not None
    ]
    if details:
        found["cacheDetails"] = details
    return _with_rest(usage, values, found) if own else found


def _with_rest(usage: Usage, values: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """`found` with what is not modelled, and with the counts that were given twice."""
    if not usage.extras:
        return found
    merged = {**usage.extras, **found}
    for twin in merged.pop(_ALSO, ()):
        if values[_TWINS[twin]] is not None:
            merged[twin] = values[_TWINS[twin]]
    return merged
