"""JSON in and out of the dialects: nothing but MalformedError, nothing lost, nothing of the caller's changed."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.dialects import wire
from penstock.dialects.wire import Field, Fields
from penstock.types.errors import MalformedError
from penstock.types.stream import HOLE

_LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4))


@given(JSON)
def test_what_is_encoded_is_decoded_again(value: Any) -> None:
    assert wire.decode(wire.encode(value)) == value


def _refuse(name: str) -> None:
    raise ValueError(name)


@given(st.binary() | st.text())
def test_any_bytes_are_json_or_malformed(data: bytes | str) -> None:
    try:
        value = wire.decode(data)
    except MalformedError:
        with pytest.raises(ValueError):
            json.loads(data, parse_constant=_refuse)
    else:
        wire.encode(value)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": 123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
        (b'"\\ud83d"', "\ud83d"),
        (b"1e400", math.inf),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b" \n[1]\n", [1]),
    ],
)
def test_what_json_allows_arrives(data: bytes, value: Any) -> None:
    assert wire.decode(data) == value


@pytest.mark.parametrize("data", [b"", b"{", b"{'a': 1}", b"NaN", b"[Infinity]", b"\xff", b"nul", b"[" * 100_000])
def test_what_it_does_not_allow_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError, match="not JSON"):
        wire.decode(data)


@pytest.mark.parametrize("value", [object(), {1, object()}, {"a": lambda: 0}, {("a", "b"): 1}])
def test_what_json_cannot_say_is_malformed(value: Any) -> None:
    with pytest.raises(MalformedError, match="cannot be written"):
        wire.encode(value)


def test_a_value_that_holds_itself_is_malformed() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(MalformedError):
        wire.encode(value)


@pytest.mark.parametrize(
    ("read", "good", "bad"),
    [
        (wire.string, ["", "a"], [None, 1, True, [], {}]),
        (wire.number, [0, 1.5, -2], [None, "1", True, []]),
        (wire.integer, [0, 100.0, -2, 10**30], [None, 1.5, "1", False, math.inf, math.nan]),
        (wire.boolean, [True, False], [None, 0, 1, "true"]),
        (wire.array, [[], [1], (1, 2)], [None, "ab", {}, 1]),
        (wire.obj, [{}, {"a": 1}], [None, [], "a", 1]),
        (wire.strings, [[], ["a"], ("a", "b")], [None, "ab", ["a", 1]]),
    ],
)
def test_readers(read: Any, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        found = read(value)
        assert (list(found) == list(value)) if isinstance(value, list | tuple) else found == value
    for value in bad:
        with pytest.raises(MalformedError, match="expected"):
            read(value)


def test_an_error_names_the_element() -> None:
    with pytest.raises(MalformedError) as caught:
        wire.each(lambda value: wire.strings(value), [["a"], ["b", 3]])
    assert caught.value.path == "[1][1]"
    assert str(caught.value) == "expected a string, got an integer at [1][1]"


TABLE = Fields(
    Field("temperature", wire.number),
    Field("max_tokens", wire.integer, synonyms=("max_completion_tokens",)),
    Field("stop", wire.strings, name="stop_sequences"),
)


def test_a_table_reads_what_it_knows_and_keeps_the_rest() -> None:
    found = TABLE.read({"temperature": 1, "max_completion_tokens": 5, "stop": ["x"], "seed": 4, "user": None})
    assert found == {
        "temperature": 1,
        "max_tokens": 5,
        "stop_sequences": ("x",),
        "spelling": {"max_tokens": "max_completion_tokens"},
        "extras": {"seed": 4, "user": None},
    }


def test_of_two_spellings_the_first_is_read_and_the_second_kept() -> None:
    found = TABLE.read({"max_tokens": 5, "max_completion_tokens": 6, "temperature": None})
    assert found == {"max_tokens": 5, "extras": {"max_completion_tokens": 6, "temperature": None}}


def test_an_error_names_the_field() -> None:
    with pytest.raises(MalformedError) as caught:
        TABLE.read({"stop": ["a", 1]})
    assert caught.value.path == "stop[1]"


def test_a_field_stands_once_in_a_table() -> None:
    with pytest.raises(ValueError, match="twice"):
        Fields(Field("a", wire.string), Field("b", wire.string, synonyms=("a",)))


@given(st.dictionaries(st.sampled_from(["temperature", "max_tokens", "max_completion_tokens", "stop", "x"]), JSON))
def test_a_table_never_changes_what_it_reads_and_raises_nothing_else(value: dict[str, Any]) -> None:
    before = copy.deepcopy(value)
    path = _path_of_error(value)
    assert path is None or path.partition("[")[0] in value
    assert value == before


def _path_of_error(value: dict[str, Any]) -> str | None:
    try:
        TABLE.read(value)
    except MalformedError as error:
        return error.path
    return None


@given(st.dictionaries(st.text(max_size=2), JSON, max_size=4), st.dictionaries(st.text(max_size=2), JSON, max_size=4))
def test_a_merge_has_all_of_the_upper_and_the_rest_of_the_lower(below: dict[str, Any], above: dict[str, Any]) -> None:
    before = copy.deepcopy((below, above))
    merged = wire.deep_merge(below, above)
    assert (below, above) == before
    assert merged.keys() == below.keys() | above.keys()
    for key, value in above.items():
        if not isinstance(value, dict | list):
            assert merged[key] == value
    assert wire.deep_merge(above, above) == above


def test_nested_objects_are_merged_and_lists_only_where_they_are_as_long() -> None:
    below = {"a": {"x": 1, "y": {"z": 1}}, "l": [{"p": 1}, {"q": 1}], "s": [1]}
    above = {"a": {"y": {"w": 2}}, "l": [{"r": 2}, {}], "s": [2, 3]}
    assert wire.deep_merge(below, above) == {
        "a": {"x": 1, "y": {"z": 1, "w": 2}},
        "l": [{"p": 1, "r": 2}, {"q": 1}],
        "s": [2, 3],
    }


def test_a_text_stays_as_it_is_and_another_value_becomes_its_json() -> None:
    assert wire.as_text('{"a"') == '{"a"'
    assert wire.as_text({"a": 1}) == '{"a":1}'


def test_a_string_may_be_missing_but_nothing_else() -> None:
    assert wire.optional_string({"a": "b"}, "a") == "b"
    assert wire.optional_string({"a": None}, "a") is wire.optional_string({}, "a") is None
    with pytest.raises(MalformedError, match="expected a string, got an integer at a"):
        wire.optional_string({"a": 1}, "a")


def test_a_table_of_counts_names_its_fields_at_any_depth() -> None:
    assert wire.count_names({"in": "input_tokens", "details": {"deep": {"cached": "cache_read_tokens"}}}) == (
        "input_tokens",
        "cache_read_tokens",
    )


def test_holes_are_filled_in_their_order() -> None:
    frame = {"a": HOLE, "b": [{"c": HOLE}, 1, HOLE], "d": {"e": 2}}
    assert wire.fill(frame, iter([1, 2, 3])) == {"a": 1, "b": [{"c": 2}, 1, 3], "d": {"e": 2}}
