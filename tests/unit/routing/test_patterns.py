"""Patterns, held to Python's own `re`, and linear where that is not."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from penstock.routing.patterns import LARGEST, MalformedPattern, Pattern

_ATOMS = st.sampled_from(
    ["a", "b", "c", ".", "[ab]", "[^a]", r"\w", r"\W", r"\s", r"\b", " ", r"\d", "[A-C]", r"[^b\d]", "^", r"\A", r"\Z"]
)


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    repeats = st.sampled_from(["*", "+", "?", "{1,3}", "{2}", "*?", "+?", "{0,2}?", "{2,}"])
    return st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(inner, repeats).map(lambda two: f"(?:{two[0]}){two[1]}"),
    )


@given(st.recursive(_ATOMS, _grown, max_leaves=8), st.text("abcAB 1_\né", max_size=9))
def test_it_finds_what_re_finds(source: str, text: str) -> None:
    try:
        pattern = Pattern(source)
    except MalformedPattern:
        assume(False)
    assert pattern.found(text) is bool(re.search(source, text, re.IGNORECASE))
    assert pattern.found(text) is bool(re.search(source, text, re.IGNORECASE)), "also with its states at hand"


@pytest.mark.parametrize("flags", ["(?s)", "(?m)", "(?ms)"])
@pytest.mark.parametrize("text", ["a\nb", "ab", "b\n", "\na"])
def test_flags(flags: str, text: str) -> None:
    for source in (f"{flags}^b", f"{flags}a.b", f"{flags}a.*b"):
        assert Pattern(source).found(text) is bool(re.search(source, text, re.IGNORECASE))


def test_ends_of_lines() -> None:
    assert Pattern("(?m)a$").found("xa\nb") and not Pattern("(?m)a$").found("ab\nb")


@pytest.mark.parametrize("source", ["(a+)+b", "(a|a)*b", "(a|aa)+b", "a*a*a*a*b", "(.*a){12}b"])
def test_a_text_is_read_once(source: str) -> None:
    """With backtracking, these would not end before the tests do."""
    assert not Pattern(source).found("a" * 5000)
    assert Pattern(source).found("a" * 5000 + "b")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("(", "no regular expression"),
        (r"(a)\1", "back-reference"),
        ("a(?=b)", "look-around"),
        ("(?<!a)b", "look-around"),
        ("(?>a)", "atomic"),
        ("a*+", "possessive"),
        ("a$", r"say \\Z"),
        ("(?i:a)b", "flags within"),
        ("(?a)a", "flags"),
        (f"(?:a{{{LARGEST}}}){{9}}", "too large"),
        ("((a{99}){99}){99}", "too large"),
    ],
)
def test_what_cannot_be_searched_in_linear_time_is_refused(source: str, why: str) -> None:
    with pytest.raises(MalformedPattern, match=why):
        Pattern(source)
