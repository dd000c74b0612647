"""The shapes of request bodies, as data: which names exist, which are required, what each may hold.

A provider's table (the fields of its documented API) is written with these few kinds; `check` finds the first way in
which a value leaves the table, as a `Violation`, which each provider words its own way. Rules that relate one part of a
request to another (a tool result answers a tool call) are not shapes: they are functions beside the tables.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Path: TypeAlias = tuple[str | int, ...]

ViolationKind: TypeAlias = Literal[
    "unknown", "missing", "type", "value", "tag", "low", "high", "short", "long", "pattern", "one_of"
]


@dataclass(frozen=True, slots=True)
class Violation:
    """How a value leaves its shape. `path` ends at the value (or at the name that is missing or unknown). `expected` is
    what the shape wants, in words or as a bound; `value` what came."""

    kind: ViolationKind
    path: Path
    expected: Any
    value: Any = None


class Shape:
    """What a value may be."""

    def check(self, value: Any, path: Path = ()) -> Violation | None:
        """The first violation, depth first, in the order of the value's own fields; None when there is none."""
        raise NotImplementedError

    json_types: tuple[str, ...] = ()


@dataclass(frozen=True)
class Anything(Shape):
    """Any JSON value."""

    json_types = ("any",)

    def check(self, value: Any, path: Path = ()) -> Violation | None:
        return None


@dataclass(frozen=True)
class Null(Shape):
    """null."""

    json_types = ("null",)

    def check(self, value: Any, path: Path = ()) -> Violation | None:
        return None if value is None else Violation("type", path, "null", value)


@dataclass(frozen=True)
class Boolean(Shape):
    """true or false."""

    json_types = ("boolean",)

    def check(self, value: Any, path: Path = ()) -> Violation | None:
        return None if isinstance(value, bool) else Violation("type", path, "boolean", value)


@dataclass(frozen=True)
class Number(Shape):
    """A number within bounds (inclusive)."""

    low: float | None = None
    high: float | None = None
    integer: bool = False

    @property
    def json_types(self) -> tuple[str, ...]:  # type: ignore[override]  # an attribute of the other shapes
        return ("integer",) if self.integer else ("integer", "number")

    def check(self, value: Any, path: Path = ()) -> Violation | None:
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not isinstance(value, int | float) or (self.integer and not whole):
            return Violation("type", path, "integer" if self.integer else "number", value)
        if self.low is not None and value < self.low:
            return Violation("low", path, self.low, value)
        if self.high is not None and value > self.high:
            return Violation("high", path, self.high, value)
        return None


@dataclass(frozen=True)
class String(Shape):
    """A string: of a few values, of a pattern (whole match), or of a length."""

    values: tuple[str, ...] = ()
    pattern: str | None = None
    shortest: int = 0
    longest: int | None = None

    json_types = ("string",)

    def check(self, value: Any, path: Path = ()) -> Violation | None:
        if not isinstance(value, str):
            return Violation("type", path, "string", value)
        if self.values and value not in self.values:
            return Violation("value", path, self.values, value)
        if len(value) < self.shortest:
            return Violation("short", path, self.shortest, value)
        if self.longest is not None and len(value) > self.longest:
            return Violation("long", path, self.longest, value)
        if self.pattern is not None and re.fullmatch(self.pattern, value, re.DOTALL) is None:
            return Violation("pattern", path, self.pattern, value)
        return None


@dataclass(frozen=True)
class ListOf(Shape):
    """An array."""

    item: Shape
    shortest: int = 0
    longest: int | None = None

    json_types = ("array",)

    def check(self, value: Any, path: Path = ()) -> Violation | None:
        if not isinstance(value, list):
            return Violation("type", path, "array", value)
        if len(value) < self.shortest:
            return Violation("short", path, self.shortest, value)
        if self.longest is not None and len(value) > self.longest:
            return Violation("long", path, self.longest, value)
        for index, item in enumerate(value):
            if violation := self.item.check(item, (*path, index)):
                return violation
        return None


@dataclass(frozen=True)
class MapOf(Shape):
    """An object with free names."""

    item: Shape = field(default_factory=Anything)

    json_types = ("object",)

    def check(self, value: Any, path: Path = ()) -> Violation | None:
        if not isinstance(value, dict):
            return Violation("type", path, "object", value)
        for name, item in value.items():
            if violation := self.item.check(item, (*path, name)):
                return violation
        return None


@dataclass(frozen=True)
class Struct(Shape):
    """An object with known names.

    `open` lets unknown names in. `exactly_one` wants one name, no more (a union written as an object). `canonical`
    turns a name into the one in the table (Gemini takes camelCase and snake_case).
    """

    fields: Mapping[str, Shape]
    required: tuple[str, ...] = ()
    open: bool = False
    exactly_one: bool = False
    canonical: Callable[[str], str] | None = None

    json_types = ("object",)

    def check(self, value: Any, path: Path = ()) -> Violation | None:
        if not isinstance(value, dict):
            return Violation("type", path, "object", value)
        names = {(self.canonical(name) if self.canonical else name): item for name, item in value.items()}
        for name in self.required:
            if name not in names:
                return Violation("missing", (*path, name), tuple(self.fields), None)
        for (name, item), given in zip(names.items(), value, strict=False):
            shape = self.fields.get(name)
            if shape is None and not self.open:
                return Violation("unknown", (*path, given), tuple(self.fields), item)
            if shape is not None and (violation := shape.check(item, (*path, name))):
                return violation
        if self.exactly_one and len(names) != 1:
            return Violation("one_of", path, tuple(self.fields), value)
        return None


@dataclass(frozen=True)
class Tagged(Shape):
    """An object whose `tag` field says which of several structs it is. `default` stands for a missing tag."""

    tag: str
    variants: Mapping[str, Shape]
    default: str | None = None
    open: bool = False

    json_types = ("object",)

    def check(self, value: Any, path: Path = ()) -> Violation | None:
        if not isinstance(value, dict):
            return Violation("type", path, "object", value)
        tag = value.get(self.tag, self.default)
        if tag is None:
            return Violation("missing", (*path, self.tag), tuple(self.variants), None)
        variant = self.variants.get(tag) if isinstance(tag, str) else None
        if variant is None:
            return None if self.open else Violation("tag", (*path, self.tag), tuple(self.variants), tag)
        return variant.check(value, path)


@dataclass(frozen=True)
class Either(Shape):
    """One of several shapes, told apart by their JSON types."""

    options: tuple[Shape, ...]

    @property
    def json_types(self) -> tuple[str, ...]:  # type: ignore[override]  # an attribute of the other shapes
        return tuple(kind for option in self.options for kind in option.json_types)

    def check(self, value: Any, path: Path = ()) -> Violation | None:
        kind = json_type(value)
        for option in self.options:
            if kind in option.json_types or "any" in option.json_types:
                return option.check(value, path)
        return Violation("type", path, " or ".join(dict.fromkeys(self.json_types)), value)


def either(*options: Shape) -> Either:
    """One of several shapes."""
    return Either(options)


def nullable(shape: Shape) -> Either:
    """The shape, or null."""
    return Either((Null(), shape))


def one_of(*values: str) -> String:
    """One of a few strings."""
    return String(values=values)


ANY = Anything()
BOOL = Boolean()
INT = Number(integer=True)
NUMBER = Number()
STRING = String()
NAME = String(shortest=1)
OBJECT = MapOf()
STRINGS = ListOf(STRING)


def json_type(value: Any) -> str:
    """The JSON type of a decoded value; an integer is told from a number."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "integer" if value.is_integer() else "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def dotted(path: Path) -> str:
    """messages.0.content"""
    return ".".join(str(step) for step in path)


def bracketed(path: Path) -> str:
    """messages[0].content"""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
