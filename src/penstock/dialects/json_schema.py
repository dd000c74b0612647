"""JSON Schemas, as far as dialects change them: nothing here judges a value."""

from __future__ import annotations

from typing import Any

_NAMED = frozenset({"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"})
_LITERAL = frozenset({"enum", "const", "default", "examples"})


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
