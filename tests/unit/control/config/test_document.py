"""YAML as users expect it, each value with its line; mistakes and attacks refused."""

from __future__ import annotations

import contextlib
import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from penstock.control.config.document import MOST_DEPTH, MOST_NODES, parse, plain
from penstock.control.config.problems import ConfigErrors


def value(text: str) -> Any:
    return plain(parse(f"x: {text}\n", "f"))["x"]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("no", "no"),  # Norway
        ("NO", "NO"),
        ("on", "on"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("", None),
        ("~", None),
        ("null", None),
        ("12", 12),
        ("-3", -3),
        ("010", 10),  # YAML 1.1: eight
        ("0o10", 8),
        ("0x1F", 31),
        ("1e3", 1000.0),  # YAML 1.1: a text
        ("2.5e-06", 2.5e-06),
        (".5", 0.5),
        ("1.", 1.0),
        ("12:30", "12:30"),  # YAML 1.1: 750
        ("1:30:00", "1:30:00"),
        ("2024-10-21", "2024-10-21"),  # YAML 1.1: a date
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("=", "="),
        ("1.2.3", "1.2.3"),
        ('"12"', "12"),
        ("'true'", "true"),
        ("!!str 12", "12"),
        ("!!int '12'", 12),
        ("[1, a, [b]]", [1, "a", ["b"]]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
        ("|\n  two\n  lines\n", "two\nlines\n"),
        ("gpt-4o # a remark", "gpt-4o"),
        ("sk-1#2", "sk-1#2"),
        ("münchen ☃", "münchen ☃"),
    ],
)
def test_values(text: str, meant: Any) -> None:
    found = value(text)
    assert (found, type(found)) == (meant, type(meant))


def test_infinity_and_no_number_are_numbers() -> None:
    assert value(".inf") == float("inf")
    assert value("-.INF") == -float("inf")
    assert value(".nan") != value(".nan")


def test_each_value_knows_its_line_and_its_path() -> None:
    root = parse("# remark\nmodels:\n  - name: a\n    tags:\n      - x\n      - y\nodd key.x: {b: 1}\n", "f.yaml")
    places = {node.path: node.place.line for node in root.walk()}
    assert places == {
        "": 2,
        "models": 2,
        "models[0]": 3,
        "models[0].name": 3,
        "models[0].tags": 4,
        "models[0].tags[0]": 5,
        "models[0].tags[1]": 6,
        "['odd key.x']": 7,
        "['odd key.x'].b": 7,
    }


def test_merge_keys_and_aliases() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {<<: *a, y: 9}\nd: {<<: [*a, *b]}\ne: *a\n"
    found = plain(parse(text, "f"))
    assert found["c"] == {"x": 1, "y": 9}
    assert found["d"] == {"x": 1, "y": 2, "z": 4}
    assert found["e"] == {"x": 1, "y": 2}


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~", "\ufeff"])
def test_nothing_is_an_empty_mapping(text: str) -> None:
    assert plain(parse(text, "f")) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "a, line 3 of f: the key stands twice, first in line 1: keep one"),
        ("m:\n  - a: 1\n    a: 1\n", "m[0].a, line 3 of f: the key stands twice, first in line 2: keep one"),
        ("a: 1\n--- \nb: 2\n", "a second document begins here"),
        ("a: &a [*a]\n", "a[0], line 1 of f: an alias stands within what it names"),
        ("a: *nobody\n", "line 1 of f: not valid YAML: found undefined alias"),
        ("a: !!python/object/apply:os.system [x]\n", "a, line 1 of f: the tag tag:yaml.org,2002:python/object/apply"),
        ("a: !secret x\n", "a, line 1 of f: the tag !secret is not supported"),
        ("a: !!binary aGk=\n", "is not supported"),
        ("a: !!int x\n", "'x' is marked as int and is none"),
        ("- a\n- b\n", "a configuration is a mapping"),
        ("a text", "a configuration is a mapping"),
        ("? [a, b]\n: 1\n", "line 1 of f: a key must be a text"),
        ("a: b: c\n", "line 1 of f: not valid YAML: mapping values are not allowed"),
        ("a:\n\t- b\n", "line 2 of f: not valid YAML: .*a tab cannot indent"),
        ('a: "x\n', "not valid YAML"),
        ("a: @x\n", "needs quotes"),
        ("a: 1\x00", "not valid YAML"),
        ("<<: 1\n", "`<<` merges mappings only"),
    ],
)
def test_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        parse(text, "f")
    assert re.search(said if ".*" in said else re.escape(said), str(caught.value))


def test_all_doubled_keys_are_named_at_once() -> None:
    with pytest.raises(ConfigErrors) as caught:
        parse("a: 1\na: 2\nb: {c: 1, c: 2}\n", "f")
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("text", [b"a: \xff\n", "a: \ud800\n"])
def test_what_is_no_text(text: str | bytes) -> None:
    with pytest.raises(ConfigErrors, match="not UTF-8"):
        parse(text, "f")


def test_bytes_are_read_as_utf_8() -> None:
    assert plain(parse("\ufeffa: ü".encode(), "f")) == {"a": "ü"}


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000, "a: " + "[" * (MOST_DEPTH + 1)])
def test_what_is_too_deep_is_refused_and_crashes_nobody(text: str) -> None:
    with pytest.raises(ConfigErrors, match="nested too deeply"):
        parse(text, "f")


def test_aliases_cannot_fill_the_memory() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(ConfigErrors, match="too large"):
        parse("\n".join(lines), "f")
    assert MOST_NODES < 10**6


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ConfigErrors):
        assert isinstance(parse(text, "f").value, dict)


_text = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029\ufeff"), max_size=12)
_plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(_text, _plain, max_size=4))
def test_json_is_read_as_what_it_is(value: dict[str, Any]) -> None:
    """Every JSON document is YAML 1.2."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError:  # a character that PyYAML does not take
        return
    assert plain(parse(text, "f")) == value
