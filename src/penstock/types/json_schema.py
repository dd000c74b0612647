"""JSON Schema, as far as structured output and tools need it: is this a schema, and does this value fit it?

The base install has no room for a validator with its four dependencies (docs/decisions/0005), and models are asked
with a small part of the language anyway. Supported are the keywords of draft 2020-12's core, applicator, validation
and unevaluated-free vocabularies that providers take: type, enum, const, properties, required, additionalProperties,
patternProperties, propertyNames, items, prefixItems, contains, anyOf, oneOf, allOf, not, if/then/else,
dependentRequired, local $ref, and the bounds of numbers, strings, arrays and objects. Others (`format`, remote
references ...) are annotations here: they refuse nothing. A differential test holds this file to the `jsonschema`
package.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from penstock.types.errors import describe

_MOST_ERRORS = 20
_DEEPEST = 100


def check_schema(schema: Any, path: str = "schema") -> str | None:
    """What is wrong with a schema, with its path; None: nothing. A wrong schema is refused by providers with less
    helpful words, or taken and ignored.
    """
    if isinstance(schema, bool):
        return None
    if not isinstance(schema, dict):
        return f"{path} must be an object, not {describe(schema)}"
    for key, check in _SCHEMA_CHECKS.items():
        if key in schema:
            problem = check(schema[key], f"{path}.{key}")
            if problem is not None:
                return problem
    reference = schema.get("$ref")
    if path == "schema" and isinstance(reference, str):
        return None if resolve(schema, reference) is not None else f"{path}.$ref {reference!r} leads nowhere"
    return None


_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})


def _check_type(value: Any, path: str) -> str | None:
    names = value if isinstance(value, list) else [value]
    wrong = next((name for name in names if name not in _TYPES), None)
    return None if wrong is None else f"{path} is {wrong!r}; the types are {', '.join(sorted(_TYPES))}"


def _check_map(value: Any, path: str) -> str | None:
    if not isinstance(value, dict):
        return f"{path} must be an object of schemas, not {describe(value)}"
    return next((found for name, inner in value.items() if (found := check_schema(inner, f"{path}.{name}"))), None)


def _check_list(value: Any, path: str) -> str | None:
    if not isinstance(value, list) or not value:
        return f"{path} must be a list of schemas with at least one, not {describe(value)}"
    found = (check_schema(inner, f"{path}[{number}]") for number, inner in enumerate(value))
    return next((problem for problem in found if problem), None)


def _check_names(value: Any, path: str) -> str | None:
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return None
    return f"{path} must be a list of names, not {describe(value)}"


def _check_enum(value: Any, path: str) -> str | None:
    return None if isinstance(value, list) else f"{path} must be a list, not {describe(value)}"


def _check_number(value: Any, path: str) -> str | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return None if is_number else f"{path} must be a number, not {describe(value)}"


def _check_pattern(value: Any, path: str) -> str | None:
    if not isinstance(value, str):
        return f"{path} must be a string, not {describe(value)}"
    try:
        re.compile(value)
    except re.error as error:
        return f"{path} is not a regular expression: {error}"
    return None


_SCHEMA_CHECKS: dict[str, Callable[[Any, str], str | None]] = {
    "type": _check_type,
    "properties": _check_map,
    "patternProperties": _check_map,
    "$defs": _check_map,
    "definitions": _check_map,
    "required": _check_names,
    "enum": _check_enum,
    "items": check_schema,
    "contains": check_schema,
    "not": check_schema,
    "if": check_schema,
    "then": check_schema,
    "else": check_schema,
    "propertyNames": check_schema,
    "additionalProperties": check_schema,
    "prefixItems": _check_list,
    "anyOf": _check_list,
    "oneOf": _check_list,
    "allOf": _check_list,
    "pattern": _check_pattern,
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), _check_number),
    **dict.fromkeys(
        ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), _check_number
    ),
}


def errors_in(value: Any, schema: Any) -> list[str]:
    """Where `value` departs from `schema`, at most 20 places, each as "path: what is wrong"; empty: it fits."""
    validator = _Validator(schema if isinstance(schema, dict) else {})
    found: list[str] = []
    for error in validator.errors(value, schema, "", 0):
        found.append(error)
        if len(found) == _MOST_ERRORS:
            break
    return found


def resolve(root: Mapping[str, Any], reference: str) -> Any:
    """The schema behind a local reference ("#/$defs/City", "#"); None where there is none, or it is not local."""
    if not reference.startswith("#"):
        return None
    found: Any = root
    for step in reference[1:].split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
        elif isinstance(found, Mapping) and step in found:
            found = found[step]
        else:
            return None
    return found


class _Validator:
    """One walk over a value, with the root that references start from."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root

    def errors(self, value: Any, schema: Any, path: str, depth: int) -> Iterator[str]:
        """The departures of `value` from `schema`."""
        if schema is False:
            yield f"{path or 'value'}: nothing is allowed here"
        if not isinstance(schema, dict) or depth > _DEEPEST:
            return
        reference = schema.get("$ref")
        if isinstance(reference, str):
            target = resolve(self._root, reference)
            if target is not None:
                yield from self.errors(value, target, path, depth + 1)
        for key, check in _CHECKS.items():
            if key in schema:
                yield from check(self, value, schema, path, depth + 1)

    def fits(self, value: Any, schema: Any, depth: int) -> bool:
        """Whether there is no departure."""
        return next(self.errors(value, schema, "", depth), None) is None


Errors = Iterator[str]


def _is(value: Any, kind: str) -> bool:
    match kind:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case "integer":
            return _is_number(value) and (isinstance(value, int) or value.is_integer())
        case "number":
            return _is_number(value)
    return True


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(left: Any, right: Any) -> bool:
    """Equality of JSON: 1 is 1.0, but true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    return (type(left) is type(right) and left == right) or (_is_number(left) and _is_number(right) and left == right)


def _at(path: str, message: str) -> str:
    return f"{path or 'value'}: {message}"


def _type(walk: _Validator, value: Any, schema: dict[str, Any], path: str, depth: int) -> Errors:
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if not any(_is(value, kind) for kind in kinds):
        yield _at(path, f"expected {' or '.join(map(str, kinds))}, got {describe(value)}")


def _enum(walk: _Validator, value: Any, schema: dict[str, Any], path: str, depth: int) -> Errors:
    if not any(_same(value, each) for each in schema["enum"]):
        yield _at(path, f"{value!r:.80} is none of {', '.join(repr(each) for each in schema['enum'][:10])}")


def _const(walk: _Validator, value: Any, schema: dict[str, Any], path: str, depth: int) -> Errors:
    if not _same(value, schema["const"]):
        yield _at(path, f"expected {schema['const']!r}")


def _properties(walk: _Validator, value: Any, schema: dict[str, Any], path: str, depth: int) -> Errors:
    if isinstance(value, dict):
        for name, inner in schema["properties"].items():
            if name in value:
                yield from walk.errors(value[name], inner, f"{path}.{name}".lstrip("."), depth)


def _pattern_properties(walk: _Validator, value: Any, schema: dict[str, Any], path: str, depth: int) -> Errors:
    if isinstance(value, dict):
        for pattern, inner in schema["patternProperties"].items():
            for name in value:
                if _regex(pattern).search(name):
                    yield from walk.errors(value[name], inner, f"{path}.{name}".lstrip("."), depth)


def _required(walk: _Validator, value: Any, schema: dict[str, Any], path: str, depth: int) -> Errors:
    if isinstance(value, dict):
        for name in schema["required"]:
            if name not in value:
                yield _at(path, f"{name!r} is missing")


def _additional(walk: _Validator, value: Any, schema: dict[str, Any], path: str, depth: int) -> Errors:
    if not isinstance(value, dict):
        return
    known = schema.get("properties", {})
    patterns = [_regex(pattern) for pattern in schema.get("patternProperties", {})]
    for name in value:
        if name in known or any(pattern.search(name) for pattern in patterns):
            continue
        if schema["additionalProperties"] is False:
            yield _at(path, f"{name!r} is not allowed")
        else:
            yield from walk.errors(value[name], schema["additionalProperties"], f"{path}.{name}".lstrip("."), depth)


def _property_names(walk: _Validator, value: Any, schema: dict[str, Any], path: str, depth: int) -> Errors:
    for name in value if isinstance(value, dict) else ():
        yield from walk.errors(name, schema["propertyNames"], f"{path}.{name}".lstrip("."), depth)


def _dependent_required(walk: _Validator, value: Any, schema: dict[str, Any], path: str, depth: int) -> Errors:
    for name, others in schema["dependentRequired"].items() if isinstance(value, dict) else ():
        for other in others if name in value else ():
            if other not in value:
                yield _at(path, f"{other!r} is missing, which {name!r} needs")


def _items(walk: _Validator, value: Any, schema: dict[str, Any], path: str, depth: int) -> Errors:
    if isinstance(value, list):
        start = len(schema.get("prefixItems", ()))
        for number, element in enumerate(value[start:], start):
            yield from walk.errors(element, schema["items"], f"{path}[{number}]", depth)


def _prefix_items(walk: _Validator, value: Any, schema: dict[str, Any], path: str, depth: int) -> Errors:
    if isinstance(value, list):
        for number, (element, inner) in enumerate(zip(value, schema["prefixItems"], strict=False)):
            yield from walk.errors(element, inner, f"{path}[{number}]", depth)


def _contains(walk: _Validator, value: Any, schema: dict[str, Any], path: str, depth: int) -> Errors:
    if isinstance(value, list):
        count = sum(walk.fits(element, schema["contains"], depth) for element in value)
        least, most = schema.get("minContains", 1), schema.get("maxContains", math.inf)
        if not least <= count <= most:
            yield _at(path, f"{count} elements fit `contains`")


def _any_of(walk: _Validator, value: Any, schema: dict[str, Any], path: str, depth: int) -> Errors:
    if not any(walk.fits(value, inner, depth) for inner in schema["anyOf"]):
        yield _at(path, "fits none of the alternatives (anyOf)")


def _one_of(walk: _Validator, value: Any, schema: dict[str, Any], path: str, depth: int) -> Errors:
    count = sum(walk.fits(value, inner, depth) for inner in schema["oneOf"])
    if count != 1:
        yield _at(path, f"fits {count} of the alternatives, not exactly one (oneOf)")


def _all_of(walk: _Validator, value: Any, schema: dict[str, Any], path: str, depth: int) -> Errors:
    for inner in schema["allOf"]:
        yield from walk.errors(value, inner, path, depth)


def _not(walk: _Validator, value: Any, schema: dict[str, Any], path: str, depth: int) -> Errors:
    if walk.fits(value, schema["not"], depth):
        yield _at(path, "fits what it must not (not)")


def _if(walk: _Validator, value: Any, schema: dict[str, Any], path: str, depth: int) -> Errors:
    branch = "then" if walk.fits(value, schema["if"], depth) else "else"
    if branch in schema:
        yield from walk.errors(value, schema[branch], path, depth)


def _bound(
    key: str, kind: Callable[[Any], bool], measure: Callable[[Any], Any], holds: Callable[[Any, Any], bool], words: str
) -> Any:
    def check(walk: _Validator, value: Any, schema: dict[str, Any], path: str, depth: int) -> Errors:
        if kind(value) and not holds(measure(value), schema[key]):
            yield _at(path, f"{words} {schema[key]}")

    return check


def _multiple(value: Any, step: Any) -> bool:
    quotient = value / step
    return math.isfinite(quotient) and quotient == round(quotient)


def _pattern(walk: _Validator, value: Any, schema: dict[str, Any], path: str, depth: int) -> Errors:
    if isinstance(value, str) and not _regex(schema["pattern"]).search(value):
        yield _at(path, f"does not match {schema['pattern']!r}")


def _unique(walk: _Validator, value: Any, schema: dict[str, Any], path: str, depth: int) -> Errors:
    elements = value if schema["uniqueItems"] and isinstance(value, list) else []
    if any(_same(left, right) for number, left in enumerate(elements) for right in elements[:number]):
        yield _at(path, "has equal elements")


@lru_cache(maxsize=256)
def _regex(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _itself(value: Any) -> Any:
    return value


_CHECKS: dict[str, Callable[[_Validator, Any, dict[str, Any], str, int], Errors]] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "required": _required,
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional,
    "propertyNames": _property_names,
    "dependentRequired": _dependent_required,
    "prefixItems": _prefix_items,
    "items": _items,
    "contains": _contains,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "allOf": _all_of,
    "not": _not,
    "if": _if,
    "pattern": _pattern,
    "uniqueItems": _unique,
    "minimum": _bound("minimum", _is_number, _itself, lambda found, bound: found >= bound, "must be at least"),
    "maximum": _bound("maximum", _is_number, _itself, lambda found, bound: found <= bound, "must be at most"),
    "exclusiveMinimum": _bound(
        "exclusiveMinimum", _is_number, _itself, lambda found, bound: found > bound, "must be above"
    ),
    "exclusiveMaximum": _bound(
        "exclusiveMaximum", _is_number, _itself, lambda found, bound: found < bound, "must be below"
    ),
    "multipleOf": _bound("multipleOf", _is_number, _itself, _multiple, "must be a multiple of"),
    "minLength": _bound(
        "minLength", _is_text, len, lambda found, bound: found >= bound, "must have at least this many characters:"
    ),
    "maxLength": _bound(
        "maxLength", _is_text, len, lambda found, bound: found <= bound, "must have at most this many characters:"
    ),
    "minItems": _bound(
        "minItems", _is_list, len, lambda found, bound: found >= bound, "must have at least this many elements:"
    ),
    "maxItems": _bound(
        "maxItems", _is_list, len, lambda found, bound: found <= bound, "must have at most this many elements:"
    ),
    "minProperties": _bound(
        "minProperties", _is_object, len, lambda found, bound: found >= bound, "must have at least this many fields:"
    ),
    "maxProperties": _bound(
        "maxProperties", _is_object, len, lambda found, bound: found <= bound, "must have at most this many fields:"
    ),
}
"""Each keyword and its check."""
