"""Comparison of JSON values: equal, or the first path where they differ. Object keys have no order; 1, 1.0 and true
are three different values.
"""

from __future__ import annotations

from typing import Any

_SHORT = 60


def first_difference(recorded: Any, rendered: Any, path: str = "") -> str | None:
    """Where `rendered` departs from `recorded` for the first time, and how; None: nowhere."""
    if isinstance(recorded, dict) and isinstance(rendered, dict):
        return _objects(recorded, rendered, path)
    if isinstance(recorded, list) and isinstance(rendered, list):
        return _lists(recorded, rendered, path)
    if type(recorded) is type(rendered) and recorded == rendered:
        return None
    return f"{path or '(root)'}: {_short(recorded)} became {_short(rendered)}"


def _objects(recorded: dict[str, Any], rendered: dict[str, Any], path: str) -> str | None:
    for key, value in recorded.items():
        step = f"{path}.{key}" if path else key
        if key not in rendered:
            return f"{step}: {_short(value)} was lost"
        found = first_difference(value, rendered[key], step)
        if found is not None:
            return found
    for key in rendered:
        if key not in recorded:
            return f"{path}.{key}: {_short(rendered[key])} was added".lstrip(".")
    return None


def _lists(recorded: list[Any], rendered: list[Any], path: str) -> str | None:
    for index, (old, new) in enumerate(zip(recorded, rendered, strict=False)):
        found = first_difference(old, new, f"{path}[{index}]")
        if found is not None:
            return found
    if len(recorded) != len(rendered):
        return f"{path}: {len(recorded)} elements became {len(rendered)}"
    return None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}..."
