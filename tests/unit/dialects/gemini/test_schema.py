"""The two languages of schemas: from the subset and exactly back, and from JSON Schema down, each cut told."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.dialects.gemini.schema import ODD, Cut, from_subset, restore, to_subset

READ: tuple[tuple[dict[str, Any], dict[str, Any], tuple[str, ...]], ...] = (
    ({"type": "object"}, {"type": "object"}, ()),
    ({"type": "OBJECT"}, {"type": "object"}, ("capitals",)),
    ({"type": "string", "nullable": True}, {"type": ["string", "null"]}, ("nullable",)),
    ({"type": "string", "nullable": False}, {"type": "string", "nullable": False}, ()),
    ({"type": "STRING", "nullable": True}, {"type": ["string", "null"]}, ("capitals", "nullable")),
    (
        {"anyOf": [{"type": "STRING"}], "nullable": True},
        {"anyOf": [{"type": "string"}], "nullable": True},
        ("capitals",),
    ),
    ({"type": "ARRAY", "maxItems": "3"}, {"type": "array", "maxItems": 3}, (ODD,)),
    ({"any_of": [{"type": "string"}]}, {"anyOf": [{"type": "string"}]}, (ODD,)),
    ({"type": "OBJECT", "items": {"type": "string"}}, {"type": "object", "items": {"type": "string"}}, (ODD,)),
    ({"ref": "#/defs/a", "defs": {"a": {}}}, {"$ref": "#/defs/a", "$defs": {"a": {}}}, (ODD,)),
    ({"properties": {"type": {"type": "STRING"}}}, {"properties": {"type": {"type": "string"}}}, ("capitals",)),
    ({"default": {"type": "STRING"}, "enum": ["STRING"]}, {"default": {"type": "STRING"}, "enum": ["STRING"]}, ()),
)


@pytest.mark.parametrize(("subset", "schema", "shapes"), READ, ids=str)
def test_reading(subset: dict[str, Any], schema: dict[str, Any], shapes: tuple[str, ...]) -> None:
    assert from_subset(subset) == (schema, shapes)
    if shapes != (ODD,):
        assert restore(schema, shapes) == subset


def test_a_schema_that_needs_no_change_is_the_same_object() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert from_subset(schema)[0] is schema


KEYS_TEXT = """
    type nullable properties items anyOf oneOf any_of enum format description required maxItems min_items default
    $ref $defs defs additionalProperties prefixItems const allOf title a
"""
KEYS = KEYS_TEXT.split()
VALUES = (
    st.sampled_from(
        ["OBJECT", "STRING", "string", "array", "Integer", "null", "TYPE_UNSPECIFIED", "#/$defs/a", "#", "3"]
    )
    | st.booleans()
    | st.none()
    | st.integers(-3, 3)
)
SCHEMAS = st.recursive(
    VALUES,
    lambda inner: st.dictionaries(st.sampled_from(KEYS), inner, max_size=5) | st.lists(inner, max_size=3),
    max_leaves=20,
)


@given(SCHEMAS.filter(lambda value: isinstance(value, dict)))
def test_the_way_back_is_exact_unless_it_is_odd(subset: dict[str, Any]) -> None:
    schema, shapes = from_subset(subset)
    assert ODD in shapes or restore(schema, shapes) == subset


@given(SCHEMAS.filter(lambda value: isinstance(value, dict)))
def test_any_schema_can_be_cut_down(schema: dict[str, Any]) -> None:
    found, _ = to_subset(schema)
    assert isinstance(found, dict)


CUT_DOWN: dict[str, tuple[Any, Any, list[tuple[str, str]]]] = {
    "types": (
        {"type": "object", "properties": {"a": {"type": ["integer", "null"]}, "b": {"type": ["string", "number"]}}},
        {
            "type": "OBJECT",
            "properties": {
                "a": {"type": "INTEGER", "nullable": True},
                "b": {"anyOf": [{"type": "STRING"}, {"type": "NUMBER"}]},
            },
        },
        [],
    ),
    "only null": (
        {"type": "null"},
        {"type": "STRING", "nullable": True},
        [("", "the null type became a nullable string")],
    ),
    "references": (
        {
            "$defs": {
                "A": {"type": "object", "properties": {"b": {"$ref": "#/$defs/B~1C"}}},
                "B/C": {"type": "string"},
            },
            "$ref": "#/$defs/A",
            "description": "beside",
        },
        {"type": "OBJECT", "properties": {"b": {"type": "STRING"}}, "description": "beside"},
        [],
    ),
    "a recursive reference": (
        {"$ref": "#/$defs/N", "$defs": {"N": {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}}}},
        {"type": "OBJECT", "properties": {"next": {"type": "OBJECT"}}},
        [("properties.next", "a recursive reference became an object of any shape")],
    ),
    "references that lead nowhere": (
        {"properties": {"a": {"$ref": "https://example.com/s"}, "b": {"$ref": "#/gone"}}},
        {"type": "OBJECT", "properties": {"a": {}, "b": {}}},
        [
            ("properties.a", "the reference https://example.com/s leads nowhere"),
            ("properties.b", "the reference #/gone leads nowhere"),
        ],
    ),
    "null among alternatives": (
        {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None, "title": "T"},
        {"type": "STRING", "nullable": True, "default": None, "title": "T"},
        [],
    ),
    "alternatives": (
        {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]},
        [("oneOf", "exactly one became at least one")],
    ),
    "all of": (
        {
            "allOf": [
                {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
                {"properties": {"b": {"type": "string"}}, "required": ["b"]},
            ]
        },
        {
            "type": "OBJECT",
            "properties": {"a": {"type": "STRING"}, "b": {"type": "STRING"}},
            "required": ["a", "b"],
        },
        [],
    ),
    "enumerations": (
        {"properties": {"a": {"enum": ["x", None]}, "b": {"const": "y"}, "c": {"type": "integer", "enum": [1, 2]}}},
        {
            "type": "OBJECT",
            "properties": {
                "a": {"type": "STRING", "enum": ["x"], "nullable": True},
                "b": {"type": "STRING", "enum": ["y"]},
                "c": {"type": "STRING", "enum": ["1", "2"]},
            },
        },
        [("properties.c.enum", "only strings can be enumerated: the values became strings")],
    ),
    "formats": (
        {"properties": {"a": {"type": "string", "format": "date-time"}, "b": {"type": "string", "format": "uri"}}},
        {
            "type": "OBJECT",
            "properties": {"a": {"type": "STRING", "format": "date-time"}, "b": {"type": "STRING"}},
        },
        [("properties.b.format", "the format uri is not known")],
    ),
    "lists": (
        {"type": "array", "prefixItems": [{"type": "number"}, {"type": "number"}, {"type": "string"}]},
        {"type": "ARRAY", "items": {"anyOf": [{"type": "NUMBER"}, {"type": "STRING"}]}},
        [("prefixItems", "the places of a list cannot differ: each may be any of them")],
    ),
    "a list of anything": ({"type": "array"}, {"type": "ARRAY", "items": {}}, []),
    "required names": (
        {"type": "object", "properties": {"a": {}}, "required": ["a", "gone"]},
        {"type": "OBJECT", "properties": {"a": {}}, "required": ["a"]},
        [],
    ),
    "closed and open objects": (
        {"type": "object", "additionalProperties": False, "properties": {"a": {"additionalProperties": {"type": "x"}}}},
        {"type": "OBJECT", "properties": {"a": {}}},
        [("properties.a.additionalProperties", "this keyword has no counterpart")],
    ),
    "keywords": (
        {"type": "string", "minLength": 1, "pattern": "a", "contentEncoding": "x", "not": {}, "$comment": "c"},
        {"type": "STRING", "minLength": 1, "pattern": "a"},
        [("contentEncoding", "this keyword has no counterpart"), ("not", "this keyword has no counterpart")],
    ),
    "nothing is allowed": (
        {"properties": {"a": False, "b": True}},
        {"type": "OBJECT", "properties": {"a": {}, "b": {}}},
        [("properties.a", "a schema that allows nothing has no counterpart")],
    ),
}


@pytest.mark.parametrize("label", CUT_DOWN)
def test_cutting_down(label: str) -> None:
    schema, subset, cuts = CUT_DOWN[label]
    assert to_subset(schema) == (subset, [Cut(path, detail) for path, detail in cuts])


def test_references_that_multiply_are_bounded() -> None:
    """Each definition names the next one twice: thirty of them would stand for a billion."""
    levels = {f"L{n}": {"properties": {side: {"$ref": f"#/$defs/L{n + 1}"} for side in "ab"}} for n in range(30)}
    found, cuts = to_subset({"$ref": "#/$defs/L0", "$defs": {**levels, "L30": {"type": "string"}}})
    assert found["type"] == "OBJECT"
    assert [cut.detail for cut in cuts] == ["the schema grows without end: from here on, anything is allowed"]
