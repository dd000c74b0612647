"""Reading one key of an object, with an error that names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from penstock.dialects import wire
from penstock.types.content import Cache, Extras
from penstock.types.errors import DialectError, MalformedError

T = TypeVar("T")


def text_at(holder: dict[str, Any], key: str) -> str:
    """The string that must stand at `key`."""
    value = holder.get(key)
    if type(value) is str:
        return value
    what = f"expected a string, got {wire.describe(value)}" if key in holder else "a string is missing"
    raise MalformedError(what, key)


def maybe_at(holder: dict[str, Any], key: str, read: Callable[[Any], T]) -> T | None:
    """The value at `key`, read; None where there is none or an explicit null (which stays in the extras)."""
    value = holder.get(key)
    if value is None:
        return None
    try:
        return read(value)
    except DialectError as error:
        raise error.at(key) from None


def each_at(holder: dict[str, Any], key: str, read: Callable[[Any], T]) -> tuple[T, ...] | None:
    """The list at `key`, every element read; None as for `maybe_at`."""
    return maybe_at(holder, key, lambda value: wire.each(read, value))


def cache_at(holder: dict[str, Any]) -> Cache | None:
    """The `cache_control` marker of a block, a tool or a request (https://platform.claude.com/docs/en/build-with-
    claude/prompt-caching).
    """
    return maybe_at(holder, "cache_control", read_cache)


def read_cache(value: Any) -> Cache:
    """`{"type": "ephemeral", "ttl": "5m" | "1h"}`."""
    marker = wire.obj(value)
    kind = text_at(marker, "type")
    if len(marker) == 1:
        return Cache(None, kind)
    return Cache(maybe_at(marker, "ttl", wire.string), kind, wire.rest(marker, _CACHE_KEYS))


_CACHE_KEYS = frozenset({"type", "ttl"})


def write_cache(cache: Cache) -> dict[str, Any]:
    """The marker again."""
    marker: dict[str, Any] = {"type": cache.kind}
    if cache.ttl is not None:
        marker["ttl"] = cache.ttl
    return wire.merge(cache.extras, marker)


def keep_private(extras: Extras, key: str) -> Extras:
    """`extras` with the value at `key` under "(key)": of use to this dialect alone, so that no other notes its loss."""
    if extras is None or key not in extras:
        return extras
    return {**{name: value for name, value in extras.items() if name != key}, f"({key})": extras[key]}


def with_private(extras: dict[str, Any], key: str) -> dict[str, Any]:
    """The extras as they are on the wire again."""
    private = f"({key})"
    if private not in extras:
        return extras
    return {**{name: value for name, value in extras.items() if name != private}, key: extras[private]}
