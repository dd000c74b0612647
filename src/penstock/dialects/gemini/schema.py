"""Schemas: Gemini has two languages for them, JSON Schema and an older one, a subset of OpenAPI 3.0 with own habits.

    `parametersJsonSchema`, `responseJsonSchema`     JSON Schema as such: the default for what we write
    `parameters`, `response`, `responseSchema`       the subset: types in capitals, `nullable`, no `$ref`

Reading, the subset becomes JSON Schema (`from_subset`), as the representation promises to other dialects.
The way back is exact (`restore`) when the schema differed in capitals and `nullable` alone. For a host that has only
the subset, JSON Schema is cut down to it (`to_subset`), and each cut is told.

Source: https://ai.google.dev/api/caching#Schema
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import unquote

from penstock.dialects.gemini.numbers import SCHEMA_TYPES, word_of

Schema = dict[str, Any]

CAPITALS, NULLABLE, ODD = "capitals", "nullable", "odd"
"""How a schema of the subset differed from JSON Schema. "odd": in a way that has no exact way back."""

_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
_OF_SCHEMAS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_BY_NAME = frozenset({"properties", "$defs", "definitions"})
_SNAKE = {
    "any_of": "anyOf",
    "max_items": "maxItems",
    "min_items": "minItems",
    "max_length": "maxLength",
    "min_length": "minLength",
    "max_properties": "maxProperties",
    "min_properties": "minProperties",
    "additional_properties": "additionalProperties",
    "prefix_items": "prefixItems",
    "ref": "$ref",
    "defs": "$defs",
}
_COUNTS = frozenset({"maxItems", "minItems", "maxLength", "minLength", "maxProperties", "minProperties"})
"""Keywords whose values are 64-bit integers: JSON of protocol buffers writes them as strings."""


# From the subset to JSON Schema, and back.


def from_subset(schema: Schema) -> tuple[Schema, tuple[str, ...]]:
    """(the schema as JSON Schema, how it differed). A schema that does not differ is returned as it is."""
    seen: set[str] = set()
    found = _from_subset(schema, seen)
    if not seen & {CAPITALS, NULLABLE, ODD}:
        return schema, ()
    exact = ODD not in seen and not {CAPITALS, "lower"} <= seen and not {NULLABLE, "list"} <= seen
    return found, tuple(sorted(seen & {CAPITALS, NULLABLE})) if exact else (ODD,)


def _from_subset(schema: Any, seen: set[str]) -> Any:
    if type(schema) is not dict:
        return schema
    found: Schema = {}
    for key, value in schema.items():
        read = _SUBSET_READERS.get(key)
        if read is not None:
            value = read(value, seen)
        elif key in _SNAKE and _SNAKE[key] not in schema:
            seen.add(ODD)
            key = _SNAKE[key]
            value = _SUBSET_READERS[key](value, seen) if key in _SUBSET_READERS else value
        found[key] = value
    if found.get("nullable") is True:
        _nullable_to_type(found, seen)
    return found


def _read_by_name(value: Any, seen: set[str]) -> Any:
    return {name: _from_subset(inner, seen) for name, inner in value.items()} if type(value) is dict else value


def _read_branches(value: Any, seen: set[str]) -> Any:
    return [_from_subset(inner, seen) for inner in value] if type(value) is list else value


def _read_count(value: Any, seen: set[str]) -> Any:
    if type(value) is not str or not value.isdecimal():
        return value
    seen.add(ODD)
    return int(value)


def _read_type(value: Any, seen: set[str]) -> Any:
    if type(value) is not str:
        numbered = word_of(value, SCHEMA_TYPES)
        seen.add("list" if numbered is None else ODD)
        return value if numbered is None else numbered.lower()
    found = _TYPES_IN_CAPITALS.get(value)
    if found is not None:
        seen.add(CAPITALS)
        return found
    lower = value.lower()
    seen.add(ODD if lower != value and lower in _TYPES else "lower")
    return lower if lower in _TYPES else value


_TYPES_IN_CAPITALS = {name.upper(): name for name in _TYPES}
_SUBSET_READERS: dict[str, Callable[[Any, set[str]], Any]] = {
    "type": _read_type,
    "items": _from_subset,
    "additionalProperties": _from_subset,
    **dict.fromkeys(_BY_NAME, _read_by_name),
    **dict.fromkeys(_OF_SCHEMAS, _read_branches),
    **dict.fromkeys(_COUNTS, _read_count),
}


def _nullable_to_type(found: Schema, seen: set[str]) -> None:
    """`nullable: true` as a second type. On a schema without one type it stays where it was."""
    if type(found.get("type")) is str:
        del found["nullable"]
        found["type"] = [found["type"], "null"]
        seen.add(NULLABLE)


def restore(schema: Schema, shapes: Iterable[str]) -> Schema:
    """The inverse of `from_subset`, for a schema that differed in these ways."""
    found: Schema = _restore(schema, CAPITALS in shapes, NULLABLE in shapes)
    return found


def _restore(schema: Any, capitals: bool, nullable: bool) -> Any:
    if type(schema) is not dict:
        return schema
    found: Schema = {}
    for key, value in schema.items():
        if key == "type":
            if nullable and type(value) is list and len(value) == 2 and value[1] == "null":
                found["nullable"] = True
                value = value[0]
            value = value.upper() if capitals and type(value) is str else value
        elif type(value) is dict and key in _BY_NAME:
            value = {name: _restore(inner, capitals, nullable) for name, inner in value.items()}
        elif key in ("items", "additionalProperties"):
            value = _restore(value, capitals, nullable)
        elif type(value) is list and key in _OF_SCHEMAS:
            value = [_restore(inner, capitals, nullable) for inner in value]
        found[key] = value
    return found


# From JSON Schema down to the subset.


class Cut(NamedTuple):
    """Something that the subset cannot say: where in the schema ("properties.x.pattern"), and what became of it."""

    path: str
    detail: str


_KEPT = frozenset(
    {
        "title",
        "description",
        "default",
        "example",
        "nullable",
        "pattern",
        "minimum",
        "maximum",
        "propertyOrdering",
        *_COUNTS,
    }
)
_SILENT = frozenset({"$schema", "$id", "$comment", "$anchor", "$defs", "definitions", "$ref", "readOnly", "writeOnly"})
"""Keywords that constrain nothing (or whose work is done by inlining): leaving them out is no loss."""
_FORMATS = {
    "string": frozenset({"enum", "date-time"}),
    "number": frozenset({"float", "double"}),
    "integer": frozenset({"int32", "int64"}),
}
MAX_SCHEMAS = 10_000
"""Schemas that one may grow to when its references are inlined (a few lines of them can stand for millions)."""
_ELSEWHERE = frozenset(
    {"type", "enum", "const", "format", "properties", "required", "items", "anyOf", "oneOf", "allOf"}
)


def to_subset(schema: Schema) -> tuple[Schema, list[Cut]]:
    """(the schema in the subset, what was cut). References are inlined; a recursive one becomes any object."""
    cuts: list[Cut] = []
    writer = _SubsetWriter(schema, cuts)
    return writer.write(schema, "", ()), cuts


class _SubsetWriter:
    """Walks one schema. `root` is where references lead, `cuts` collects what was lost."""

    def __init__(self, root: Schema, cuts: list[Cut]) -> None:
        self._root = root
        self._cuts = cuts
        self._left = MAX_SCHEMAS

    def write(self, schema: Any, path: str, refs: tuple[str, ...]) -> Schema:
        """The schema at `path`. `refs` are the references that are being inlined around it."""
        if schema is True or schema == {}:
            return {}
        self._left -= 1
        if self._left < 0:
            return {}
        if self._left == 0:
            self._cut(path, "the schema grows without end: from here on, anything is allowed")
            return {}
        if type(schema) is not dict:
            self._cut(path, "a schema that allows nothing has no counterpart")
            return {}
        schema, refs = self._inline(schema, path, refs)
        schema = self._merge_all_of(schema, path, refs)
        found: Schema = {key: value for key, value in schema.items() if key in _KEPT}
        self._write_type(schema, found, path)
        self._write_enum(schema, found, path)
        self._write_format(schema, found, path)
        self._write_children(schema, found, path, refs)
        self._write_alternatives(schema, found, path, refs)
        self._note_rest(schema, path)
        return found

    def _cut(self, path: str, detail: str) -> None:
        self._cuts.append(Cut(path, detail))

    def _inline(self, schema: Schema, path: str, refs: tuple[str, ...]) -> tuple[Schema, tuple[str, ...]]:
        while type(schema.get("$ref")) is str:
            ref: str = schema["$ref"]
            beside = {key: value for key, value in schema.items() if key != "$ref"}
            if ref in refs:
                self._cut(path, "a recursive reference became an object of any shape")
                return {"type": "object", **beside}, refs
            target = _resolve(self._root, ref)
            if target is None:
                self._cut(path, f"the reference {ref} leads nowhere")
                return beside, refs
            schema, refs = {**target, **beside}, (*refs, ref)
        return schema, refs

    def _merge_all_of(self, schema: Schema, path: str, refs: tuple[str, ...]) -> Schema:
        """All branches of `allOf` in one: properties and requirements add up, for the rest the later one counts."""
        branches = schema.get("allOf")
        if type(branches) is not list:
            return schema
        merged: Schema = {}
        for branch in [*branches, {key: value for key, value in schema.items() if key != "allOf"}]:
            if type(branch) is not dict:
                continue
            branch = self._merge_all_of(self._inline(branch, path, refs)[0], path, refs)
            properties = {**_dict(merged.get("properties")), **_dict(branch.get("properties"))}
            required = [*_list(merged.get("required")), *_list(branch.get("required"))]
            merged |= branch
            merged |= {"properties": properties} if properties else {}
            merged |= {"required": required} if required else {}
        return merged

    def _write_type(self, schema: Schema, found: Schema, path: str) -> None:
        kind = schema.get("type")
        kinds = [kind] if type(kind) is str else [word for word in _list(kind) if type(word) is str]
        real = [word.lower() for word in kinds if word.lower() != "null"]
        if len(real) < len(kinds):
            found["nullable"] = True
        if len(real) == 1:
            found["type"] = real[0].upper()
        elif len(real) > 1:
            found["anyOf"] = [{"type": word.upper()} for word in real]
        elif kinds:
            found["type"] = "STRING"
            self._cut(path, "the null type became a nullable string")
        elif type(schema.get("properties")) is dict:
            found["type"] = "OBJECT"

    def _write_enum(self, schema: Schema, found: Schema, path: str) -> None:
        values = [schema["const"]] if "const" in schema else schema.get("enum")
        if type(values) is not list:
            return
        if None in values:
            found["nullable"] = True
        words = [value if type(value) is str else _word(value) for value in values if value is not None]
        if found.get("type") not in (None, "STRING") or any(type(value) not in (str, type(None)) for value in values):
            self._cut(_join(path, "enum"), "only strings can be enumerated: the values became strings")
        found["type"] = "STRING"
        found["enum"] = words

    def _write_format(self, schema: Schema, found: Schema, path: str) -> None:
        name = schema.get("format")
        if type(name) is not str:
            return
        if name in _FORMATS.get(str(found.get("type")).lower(), ()):
            found["format"] = name
        else:
            self._cut(_join(path, "format"), f"the format {name} is not known")

    def _write_children(self, schema: Schema, found: Schema, path: str, refs: tuple[str, ...]) -> None:
        properties = schema.get("properties")
        if type(properties) is dict and properties:
            found["properties"] = {
                name: self.write(inner, _join(path, f"properties.{name}"), refs) for name, inner in properties.items()
            }
        required = schema.get("required")
        if type(required) is list:
            names = dict.fromkeys(name for name in required if type(name) is str)
            known = [name for name in names if name in found.get("properties", {})]
            found |= {"required": known} if known else {}
        items = schema.get("items")
        if type(items) is dict:
            found["items"] = self.write(items, _join(path, "items"), refs)
        elif type(items) is list or type(schema.get("prefixItems")) is list:
            self._write_tuple(schema, found, path, refs)
        elif found.get("type") == "ARRAY":
            found["items"] = {}

    def _write_tuple(self, schema: Schema, found: Schema, path: str, refs: tuple[str, ...]) -> None:
        """A list whose places have schemas of their own: every element may be any of them."""
        items = schema["items"] if type(schema.get("items")) is list else schema["prefixItems"]
        name = "items" if items is schema.get("items") else "prefixItems"
        branches: list[Schema] = []
        for number, item in enumerate(items):
            branch = self.write(item, _join(path, f"{name}[{number}]"), refs)
            branches += [branch] if branch not in branches else []
        found["items"] = branches[0] if len(branches) == 1 else {"anyOf": branches}
        self._cut(_join(path, name), "the places of a list cannot differ: each may be any of them")

    def _write_alternatives(self, schema: Schema, found: Schema, path: str, refs: tuple[str, ...]) -> None:
        name = next((key for key in ("anyOf", "oneOf") if type(schema.get(key)) is list), None)
        if name is None:
            return
        branches = []
        for number, branch in enumerate(schema[name]):
            if type(branch) is dict and branch.get("type") == "null":
                found["nullable"] = True
            else:
                branches.append(self.write(branch, _join(path, f"{name}[{number}]"), refs))
        if name == "oneOf" and len(branches) > 1:
            self._cut(_join(path, name), "exactly one became at least one")
        if len(branches) == 1:
            found |= {**branches[0], **{key: value for key, value in found.items() if key != "anyOf"}}
        elif branches:
            found["anyOf"] = branches

    def _note_rest(self, schema: Schema, path: str) -> None:
        for key, value in schema.items():
            known = key in _KEPT or key in _SILENT or key in _ELSEWHERE or key == "prefixItems"
            if not known and not (key == "additionalProperties" and type(value) is bool):
                self._cut(_join(path, key), "this keyword has no counterpart")


def _dict(value: Any) -> Schema:
    return value if type(value) is dict else {}


def _list(value: Any) -> list[Any]:
    return value if type(value) is list else []


def _resolve(root: Schema, ref: str) -> Schema | None:
    """What a local reference ("#/$defs/Node") points at."""
    if not ref.startswith("#"):
        return None
    place: Any = root
    for step in ref[1:].split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if type(place) is list and name.isdecimal() and int(name) < len(place):
            place = place[int(name)]
        else:
            place = place.get(name) if type(place) is dict else None
    return place if type(place) is dict else None


def _join(path: str, step: str) -> str:
    return f"{path}.{step}" if path else step


def _word(value: Any) -> str:
    """A value as a word of an enumeration, in JSON's spelling."""
    return {True: "true", False: "false"}[value] if type(value) is bool else str(value)
