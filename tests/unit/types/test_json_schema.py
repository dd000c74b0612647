"""Our validator against the `jsonschema` package, on schemas and values that hypothesis draws; and the words of its
errors.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from penstock.types.json_schema import check_schema, errors_in

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from([0.5, 1.0, 2.5])
    | st.sampled_from(["", "a", "ab", "b1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
    max_leaves=6,
)
_TYPES = ["object", "array", "string", "number", "integer", "boolean", "null"]
_small = st.integers(0, 3)


def _schemas() -> st.SearchStrategy[Any]:
    return st.recursive(st.booleans(), _few, max_leaves=6)


def _few(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A schema of one to three keywords: with all of them at once, nothing would ever fit."""
    chosen = st.lists(st.sampled_from(sorted(_KEYS)), min_size=1, max_size=3, unique=True)
    return chosen.flatmap(lambda keys: st.fixed_dictionaries({key: _keyword(key, inner) for key in keys}))


def _keyword(key: str, inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(["a", "b", "c"])
    if key in _BOUNDS:
        return _small
    table: dict[str, st.SearchStrategy[Any]] = {
        "type": st.sampled_from(_TYPES) | st.lists(st.sampled_from(_TYPES), min_size=1, max_size=2, unique=True),
        "enum": st.lists(values, min_size=1, max_size=3),
        "const": values,
        "properties": st.dictionaries(names, inner, max_size=2),
        "required": st.lists(names, max_size=2, unique=True),
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "b|c"]), inner, max_size=1),
        "dependentRequired": st.dictionaries(names, st.lists(names, max_size=2, unique=True), max_size=2),
        "multipleOf": st.sampled_from([1, 2, 0.5]),
        "uniqueItems": st.booleans(),
        "pattern": st.sampled_from(["^a", "b", r"\d$"]),
        **dict.fromkeys(("prefixItems", "anyOf", "oneOf", "allOf"), st.lists(inner, min_size=1, max_size=2)),
    }
    return table.get(key, inner)


_BOUNDS = frozenset(f"{side}{of}" for side in ("min", "max") for of in ("imum", "Length", "Items", "Properties")) | {
    "exclusiveMinimum",
    "exclusiveMaximum",
}
_KEYS = _BOUNDS | {
    *("type", "enum", "const", "properties", "required", "patternProperties", "dependentRequired", "multipleOf"),
    *("uniqueItems", "pattern", "prefixItems", "anyOf", "oneOf", "allOf", "additionalProperties", "propertyNames"),
    *("items", "contains", "not", "if", "then", "else"),
}
schemas = _schemas()


@given(schemas, values)
def test_agrees_with_the_reference_validator(schema: Any, value: Any) -> None:
    assert (errors_in(value, schema) == []) == Draft202012Validator(schema).is_valid(value)


@given(schemas)
def test_every_schema_of_the_language_is_one(schema: Any) -> None:
    Draft202012Validator.check_schema(schema)
    assert check_schema(schema) is None


def test_references_lead_into_definitions_and_back() -> None:
    tree = {
        "$defs": {
            "node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "value": {"type": "integer"}}}
        },
        "$ref": "#/$defs/node",
    }
    assert errors_in({"next": {"next": {"value": 1}}}, tree) == []
    assert errors_in({"next": {"next": {"value": "x"}}}, tree) == ["next.next.value: expected integer, got a string"]


def test_a_schema_that_refers_to_itself_alone_does_not_hang() -> None:
    assert errors_in(1, {"$ref": "#"}) == []


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ("object", "schema must be an object, not a string"),
        ({"type": "objekt"}, "schema.type is 'objekt'"),
        ({"type": "object", "properties": ["a"]}, "schema.properties must be an object of schemas, not a list"),
        ({"properties": {"a": {"type": "strng"}}}, "schema.properties.a.type is 'strng'"),
        ({"required": "a"}, "schema.required must be a list of names, not a string"),
        ({"enum": "a"}, "schema.enum must be a list, not a string"),
        ({"anyOf": []}, "schema.anyOf must be a list of schemas with at least one"),
        ({"pattern": "("}, "schema.pattern is not a regular expression"),
        ({"minimum": "1"}, "schema.minimum must be a number, not a string"),
        ({"$ref": "#/$defs/missing"}, "schema.$ref '#/$defs/missing' leads nowhere"),
    ],
)
def test_a_wrong_schema_is_told_with_its_path(schema: Any, words: str) -> None:
    problem = check_schema(schema)
    assert problem is not None and words in problem


def test_errors_name_the_place_and_what_was_expected() -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "array", "items": {"type": "integer"}}},
        "required": ["city", "country"],
        "additionalProperties": False,
    }
    assert errors_in({"city": 1, "days": [1, "x"], "extra": None}, schema) == [
        "value: 'country' is missing",
        "city: expected string, got an integer",
        "days[1]: expected integer, got a string",
        "value: 'extra' is not allowed",
    ]
