"""How items and parts keep what the representation has no place for, and how their plain fields are read.

Unmodelled fields of an item lie in the extras of its part. Two keys are our own: ITEM, for what says nothing to another
dialect (a state, or what the part's class says already), so that its loss is not noted; and, for messages of an
answer, ENVELOPE for the rest of the item's fields, beside those of the part itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import wire
from penstock.types.content import Extras
from penstock.types.errors import DialectError, MalformedError

Item = dict[str, Any]

ITEM = "(item)"
"""The key in `extras` for fields of an item that say nothing to another dialect (its status), so that their loss is not
noted. On the first part of an output message it also marks where the message begins.
"""
ENVELOPE = "item"
"""The key in the `extras` of an output message's first part for the message's other unmodelled fields (`phase`)."""

COMPLETED: dict[str, Any] = {ITEM: {"status": "completed"}}
"""The extras of an item that says nothing more than this."""
_IN_PROGRESS: Extras = {ITEM: {"status": "in_progress"}}
_BY_STATUS = {"completed": COMPLETED, "in_progress": _IN_PROGRESS}


def required_string(holder: dict[str, Any], key: str) -> str:
    """The string at `key`."""
    value = holder.get(key)
    if isinstance(value, str):
        return value
    raise MalformedError(f"expected a string, got {wire.describe(value) if key in holder else 'nothing'}", key)


def at(key: str, read: Callable[..., Any], *arguments: Any) -> Any:
    """`read(*arguments)`, with `key` put in front of an error's path."""
    try:
        return read(*arguments)
    except DialectError as error:
        raise error.at(key) from None


def rest_of_item(item: Item, known: frozenset[str]) -> Extras:
    """The unmodelled fields of an item, its status set aside. `known` names `status` too."""
    status = item.get("status")
    if isinstance(status, str):
        extras = _BY_STATUS.get(status) or {ITEM: {"status": status}}
        left = wire.rest(item, known)
        return {**left, **extras} if left else extras
    left = wire.rest(item, known)
    if status is not None and left is None:
        return {"status": status}
    return {**left, "status": status} if status is not None and left else left


def hide(extras: Extras, key: str) -> Extras:
    """`extras` with a field set aside under ITEM, since the part's class says the same."""
    if extras is None or not isinstance(extras.get(key), str):
        return extras
    left = {name: value for name, value in extras.items() if name != key}
    return {**left, ITEM: {**left.get(ITEM, {}), key: extras[key]}}


def add_extras(found: Item, extras: Extras) -> Item:
    """The item with its unmodelled fields again. `found` is changed; what it holds already stands."""
    if not extras:
        return found
    for key, value in extras.items():
        if key in (ITEM, ENVELOPE):
            for name, inner in value.items():
                if name not in found and not name.startswith("("):
                    found[name] = inner
        elif key not in found:
            found[key] = value
    return found
