"""JSON in and out of the dialects, and the table that reads and writes an object field by field.

A dialect says once, in a table, which wire field means which field of the representation and how its value is read:

    FIELDS = fields(Field("temperature", number), Field("max_tokens", integer, synonyms=("max_completion_tokens",)),
    ...)

`read_fields` walks the object that came, never changes it (it may belong to the caller), and hands back the values it
knows together with the rest: everything unknown and every explicit null, which the same dialect writes back
untouched. So nothing is lost by forgetting a field.

Decoding is msgspec's; what JSON allows and msgspec refuses (a lone surrogate in a token that was cut in an emoji,
integers beyond 64 bits) falls back to the standard library, so that such an answer still arrives.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Set
from operator import attrgetter
from typing import Any, Final, NoReturn

import msgspec
from msgspec import Struct

from penstock.types.content import Extras
from penstock.types.errors import DialectError, MalformedError
from penstock.types.errors import describe as describe
from penstock.types.stream import HOLE

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedError(f"{name} is not JSON")


def decode(data: bytes | str) -> Any:
    """The JSON value in `data`. Raises MalformedError on anything that is not JSON."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _decode_leniently(data, error)


def _decode_leniently(data: bytes | str, error: Exception) -> Any:
    try:
        return json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise MalformedError(f"this is not JSON: {error}") from None


def encode(value: Any) -> bytes:
    """`value` as JSON. Raises MalformedError where it holds something that JSON cannot say (NaN becomes null, as in
    every browser).
    """
    try:
        return _encoder.encode(value)
    except (msgspec.EncodeError, OverflowError, UnicodeEncodeError, TypeError, RecursionError) as error:
        return _encode_leniently(value, error)


def as_text(value: Any) -> str:
    """A string as it is, any other value as its JSON text. Raises MalformedError as `encode` does."""
    return value if isinstance(value, str) else encode(value).decode()


def _encode_leniently(value: Any, error: Exception) -> bytes:
    try:
        return json.dumps(value, separators=(",", ":")).encode()
    except (ValueError, TypeError, RecursionError):
        raise MalformedError(f"this value cannot be written as JSON: {error}") from None


# Readers: each returns the value that the representation holds, or raises MalformedError. They are called with a
# non-null value.


def _expected(what: str, value: Any) -> NoReturn:
    raise MalformedError(f"expected {what}, got {describe(value)}")


def string(value: Any) -> str:
    """A JSON string."""
    return value if isinstance(value, str) else _expected("a string", value)


def optional_string(holder: Mapping[str, Any], key: str) -> str | None:
    """The string at `key`, None where there is none or an explicit null."""
    value = holder.get(key)
    if value is None or isinstance(value, str):
        return value
    raise MalformedError(f"expected a string, got {describe(value)}", key)


def number(value: Any) -> Any:
    """A JSON number, kept as int or float just as it was written."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else _expected("a number", value)


def integer(value: Any) -> Any:
    """A whole number; 100.0 is one too, since JavaScript cannot tell."""
    if isinstance(value, bool) or not (isinstance(value, int) or (isinstance(value, float) and value.is_integer())):
        _expected("an integer", value)
    return value


def boolean(value: Any) -> bool:
    """A JSON boolean."""
    return value if isinstance(value, bool) else _expected("a boolean", value)


def array(value: Any) -> list[Any]:
    """A JSON list. (A tuple is one too, where a Python caller built the value.)"""
    if isinstance(value, list):
        return value
    return list(value) if isinstance(value, tuple) else _expected("a list", value)


def obj(value: Any) -> dict[str, Any]:
    """A JSON object."""
    return value if isinstance(value, dict) else _expected("an object", value)


def strings(value: Any) -> tuple[str, ...]:
    """A list of strings."""
    return each(string, value)


def each(read: Callable[[Any], Any], value: Any) -> tuple[Any, ...]:
    """Every element of a list, read; an error names the element."""
    found: list[Any] = []
    elements = array(value)
    try:
        for element in elements:
            found.append(read(element))  # not a comprehension: its length says where an error happened
    except DialectError as error:
        raise error.at(len(found)) from None
    return tuple(found)


def anything(value: Any) -> Any:
    """Any JSON value, as it is."""
    return value


UNREAD: Final = object()
"""What a reader returns that leaves a value unmodelled where it was."""


def leniently(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`read`, but a value of another shape stays unmodelled: in an answer, an odd label is no reason to refuse the
    whole.
    """

    def read_or_leave(value: Any) -> Any:
        try:
            return read(value)
        except DialectError:
            return UNREAD

    return read_or_leave


class Field(Struct, frozen=True):
    """One wire field: its name on the wire, how to read it, and the field of the representation it means (`name`,
    default: the same word).

    `synonyms` are other wire names for the same; of several fields with one name, the first in the table is the usual
    spelling. The first one found on the wire is read, `spelling` remembers which; a second one stays in `extras`.
    """

    wire: str
    read: Callable[[Any], Any]
    name: str = ""
    synonyms: tuple[str, ...] = ()


class Fields:
    """A dialect's table of one object: what is read, and under which wire name it is written again."""

    __slots__ = ("_by_wire", "names", "spellings", "wire_names")

    def __init__(self, *table: Field) -> None:
        self._by_wire: dict[str, tuple[str, Callable[[Any], Any], bool]] = {}
        self.wire_names: dict[str, str] = {}
        for field in table:
            name = field.name or field.wire
            usual = self.wire_names.setdefault(name, field.wire)
            for wire in (field.wire, *field.synonyms):
                if wire in self._by_wire:
                    raise ValueError(f"wire field {wire!r} stands twice in the table")
                self._by_wire[wire] = (name, field.read, wire != usual)
        self.names = frozenset(self.wire_names)
        self.spellings = frozenset(self._by_wire)

    def read(self, wire: Mapping[str, Any]) -> dict[str, Any]:
        """Values by the representation's field names, plus "extras" and "spelling" where there are any."""
        found: dict[str, Any] = {}
        extras: dict[str, Any] = {}
        spelling: dict[str, str] = {}
        by_wire = self._by_wire
        for key, value in wire.items():
            known = by_wire.get(key)
            if known is None or value is None or known[0] in found:
                extras[key] = value
                continue
            name, read, is_synonym = known
            try:
                value = read(value)
            except DialectError as error:
                raise error.at(key) from None
            if value is UNREAD:
                extras[key] = wire[key]
                continue
            found[name] = value
            if is_synonym:
                spelling[name] = key
        if extras:
            found["extras"] = extras
        if spelling:
            found["spelling"] = spelling
        return found


def rest(wire: Mapping[str, Any], known: Set[str]) -> Extras:
    """What of `wire` is not modelled: the unknown keys, and known ones that hold an explicit null."""
    if wire.keys() <= known and None not in wire.values():
        return None
    return {key: value for key, value in wire.items() if key not in known or value is None} or None


def merge(extras: Extras, modelled: dict[str, Any]) -> dict[str, Any]:
    """The wire object again: what was not modelled, overlaid with what is."""
    return {**extras, **modelled} if extras else modelled


def deep_merge(extras: Extras, modelled: dict[str, Any]) -> dict[str, Any]:
    """As `merge`, but nested objects (and lists, element by element) that stand on both sides are merged too. Neither
    argument is changed.
    """
    if not extras:
        return modelled
    merged = dict(extras)
    for key, value in modelled.items():
        merged[key] = _merge_value(merged.get(key), value)
    return merged


def _merge_value(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        return deep_merge(below, above)
    if isinstance(below, list) and isinstance(above, list) and len(below) == len(above):
        return [_merge_value(old, new) for old, new in zip(below, above, strict=True)]
    return above


Counts = Mapping[str, "str | Counts"]
"""A table of usage counts: wire name -> Usage field, or -> the table of a nested object."""


def read_counts(wire: Mapping[str, Any], table: Counts) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values by Usage field, and what the table does not know. Nested objects stay in the rest even when emptied:
    they were there.
    """
    values: dict[str, Any] = {}
    left: dict[str, Any] = {}
    for key, value in wire.items():
        known = table.get(key)
        if isinstance(known, str):
            if type(value) in (int, float):
                values[known] = value
                continue
        elif known is not None and isinstance(value, dict):
            inner, left[key] = read_counts(value, known)
            values.update(inner)
            continue
        left[key] = value
    return values, left


def count_names(table: Counts) -> tuple[str, ...]:
    """Every Usage field that the table knows."""
    nested = [(known,) if isinstance(known, str) else count_names(known) for known in table.values()]
    return tuple([name for names in nested for name in names])


def counts_of(names: tuple[str, ...]) -> Callable[[Any], dict[str, Any]]:
    """What reads these fields (at least two) of a Usage: the value of each by its name."""
    read = attrgetter(*names)
    return lambda usage: dict(zip(names, read(usage), strict=True))


def write_counts(values: Mapping[str, Any], table: Counts) -> dict[str, Any]:
    """The wire object of every count in `values` that the table knows and that is not None."""
    found: dict[str, Any] = {}
    for key, known in table.items():
        if isinstance(known, str):
            value = values.get(known)
            if value is not None:
                found[key] = value
        elif inner := write_counts(values, known):
            found[key] = inner
    return found


def fill(frame: Any, values: Iterator[Any]) -> Any:
    """A copy of a decoded frame with each HOLE replaced by the next of `values`, in order of appearance."""
    if frame is HOLE:
        return next(values)
    if isinstance(frame, dict):
        return {
            key: fill(value, values) if value is HOLE or type(value) in _NESTED else value
            for key, value in frame.items()
        }
    if isinstance(frame, list):
        return [fill(value, values) for value in frame]
    return frame


_NESTED = frozenset({dict, list})


def data_url(url: str) -> tuple[str, str] | None:
    """(media type with its parameters, base64 text) of a `data:` URL in base64, else None."""
    if not url.startswith("data:"):
        return None
    head, marker, data = url.partition(";base64,")
    return (head[5:], data) if marker else None
