"""A key's record as a row of the table, and back: JSON for lists and objects, microseconds for times. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.control.store.calls import microseconds
from penstock.control.store.keys import KeyRecord

_JSON = frozenset({"models", "aliases", "tags", "metadata", "extra"})
_TIMES = frozenset({"expires", "budget_reset_at", "last_active", "created_at", "updated_at"})

FIELDS = KeyRecord.__struct_fields__
UNCHANGEABLE = frozenset({"token", "source", "created_at", "created_by", "total_spend", "budget_period"})


def to_row(key: KeyRecord) -> dict[str, Any]:
    """The columns of this key."""
    return {name: _stored(name, getattr(key, name)) for name in FIELDS}


def _stored(name: str, value: Any) -> Any:
    if name in _JSON:
        return msgspec.json.encode(value).decode()
    if name in _TIMES and value is not None:
        return microseconds(value)
    return value


def from_row(row: Any) -> KeyRecord:
    """The key in this row (anything that has the columns as attributes)."""
    return msgspec.convert({name: _read(name, getattr(row, name)) for name in FIELDS}, KeyRecord, strict=False)


def _read(name: str, value: Any) -> Any:
    if name in _JSON:
        return msgspec.json.decode(value)
    if name in _TIMES and value is not None:
        return value / 1e6
    return int(value) if name in ("spend", "total_spend") else value


def changed(key: KeyRecord, changes: Mapping[str, Any], at: float, by: str | None) -> KeyRecord:
    """The key with these fields changed. Who sets `spend` begins a new period. Raises ValueError."""
    unknown = [name for name in changes if name not in FIELDS or name in UNCHANGEABLE]
    if unknown:
        raise ValueError(f"{', '.join(map(repr, unknown))} of a key cannot be changed")
    fields = {**changes, "updated_at": at, "updated_by": by}
    if "spend" in changes:
        fields["budget_period"] = key.budget_period + 1
    try:
        return msgspec.convert({**msgspec.structs.asdict(key), **fields}, KeyRecord, strict=True)
    except msgspec.ValidationError as error:
        raise ValueError(f"a key cannot be changed in this way: {error}") from None
