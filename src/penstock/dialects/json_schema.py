"""JSON Schemas, as far as dialects change them: keywords taken out, objects closed. Nothing here judges a value."""

from __future__ import annotations

from typing import Any

from penstock.types.notes import Note

_NAMED = frozenset({"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"})
_LISTED = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_LITERAL = frozenset({"enum", "const", "default", "examples"})

BOUNDS = frozenset(
    {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "maxItems",
        "uniqueItems",
        "minProperties",
        "maxProperties",
    }
)
"""Keywords that bound a value: decoders of strict formats do not enforce them."""


def without_refused(schema: dict[str, Any], refused: frozenset[str], path: str, notes: list[Note]) -> dict[str, Any]:
    """`schema` without the keywords that a host refuses (`Profile.schema_unsupported`); noted where it had any."""
    cleaned: dict[str, Any] = without_keywords(schema, refused) if refused else schema
    if cleaned != schema:
        notes.append(Note(path, "weakened", "schema keywords that this host refuses were left out"))
    return cleaned


def without_keywords(schema: Any, keywords: frozenset[str]) -> Any:
    """A copy of a JSON Schema without some keywords. Names of properties are not keywords, nor are literal values."""
    if isinstance(schema, list):
        return [without_keywords(element, keywords) for element in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _inner(key, value, keywords) for key, value in schema.items() if key not in keywords}


def _inner(key: str, value: Any, keywords: frozenset[str]) -> Any:
    if key in _LITERAL:
        return value
    if key in _NAMED and isinstance(value, dict):
        return {name: without_keywords(inner, keywords) for name, inner in value.items()}
    return without_keywords(value, keywords)


def object_schema(schema: dict[str, Any] | None) -> dict[str, Any]:
    """The schema of a tool's input with its type said: a function without parameters takes an empty object."""
    if schema is None:
        return {"type": "object", "properties": {}}
    return schema if "type" in schema else {"type": "object", **schema}


def closed(schema: dict[str, Any], refused: frozenset[str]) -> tuple[dict[str, Any], set[str]]:
    """(a copy in which every object is closed and no `refused` keyword is left, the keywords that lost their force).

    Providers with strict schemas want `additionalProperties: false` on every object; one that allows others by a word
    loses something, one that is silent does not. Refused keywords move into the description, where the model at least
    reads them.
    """
    told: set[str] = set()
    found: dict[str, Any] = _closed(schema, refused, told)
    return found, told


def _closed(schema: Any, refused: frozenset[str], told: set[str]) -> Any:
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {}
    words: list[str] = []
    for key, value in schema.items():
        if key in refused:
            told.add(key)
            words.append(f"{key}: {value}")
        elif key in _NAMED and isinstance(value, dict):
            found[key] = {name: _closed(inner, refused, told) for name, inner in value.items()}
        elif key in _LISTED and isinstance(value, list):
            found[key] = [_closed(inner, refused, told) for inner in value]
        else:
            found[key] = _closed(value, refused, told) if key == "items" else value
    if found.get("type") == "object" or ("properties" in found and "type" not in found):
        if found.get("additionalProperties") not in (None, False):
            told.add("additionalProperties")
        found["additionalProperties"] = False
    if words:
        found["description"] = f"{found.get('description', '')} ({', '.join(words)})".strip()
    return found
