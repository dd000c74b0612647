"""Paths that every reader reads the same pass; the others are refused."""

import posixpath
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.vault.paths import Target, canonical_pattern, parse_target, query_pairs
from penstock.vault.values import Refusal

ACCEPTED = {
    "/": "/",
    "/v1/messages": "/v1/messages",
    "/v1/": "/v1/",
    "/.well-known/openid-configuration": "/.well-known/openid-configuration",
    "/repos/o/r/compare/a...b": "/repos/o/r/compare/a...b",
    "/team/app.git/info/refs": "/team/app.git/info/refs",
    "/v1beta/models/gemini:generateContent": "/v1beta/models/gemini:generateContent",
    "/bucket/a%20b%2Bc.txt": "/bucket/a%20b+c.txt",
    "/100%25": "/100%25",
    "/%7euser": "/~user",
    "/%40scope/name": "/@scope/name",
    "/%E2%82%AC": "/%E2%82%AC",
    "/%e2%82%ac": "/%E2%82%AC",
    "/a(b)'c!*,$&=d": "/a(b)'c!*,$&=d",
    "/restconf/data/ietf-interfaces:interfaces/interface=GigabitEthernet1": (
        "/restconf/data/ietf-interfaces:interfaces/interface=GigabitEthernet1"
    ),
    "/Case/MATTERS": "/Case/MATTERS",
    "/q%3Fx": "/q%3Fx",
}

REFUSED = [
    "", "*", "v1", "http://a.example/", "//", "//evil.example/x", "/a//b", "/a/b//", "/.", "/..", "/a/.", "/a/..",
    "/a/./b", "/a/../b", "/...", "/a/..../b", "/%2e", "/%2E%2e/admin", "/.%2e/admin", "/%2e./admin", "/a%2eb",
    "/a%2f..%2fadmin", "/..%2fadmin", "/%2fadmin", "/a%2f%2fb", "/a%2f", "/a%2f/b", "/%252e%252e/admin", "/%252fadmin",
    "/a%2541", "/%25252e", "/a%5cb", "/a%5C..%5Cadmin", "/a\\b", "/\\..\\admin", "/a;b", "/a;jsessionid=1/b",
    "/..;/admin",
    "/a%3bb", "/..%3b/admin", "/a%00", "/a%00.html", "/a%0d%0aX:%20y", "/a%0ab", "/a%7f", "/a%1b", "/a#b", "/a b",
    "/a\tb", "/a\r\nb", "/a\0b", "/a\x7fb", "/\u00fc", "/%fc", "/%c0%ae%c0%ae/admin", "/%c0%af", "/%e0%80%af",
    "/%ef%bc%8e%ef%bc%8e/admin", "/a%ef%bc%8fb", "/a%ef%bc%bcb", "/a%e2%88%95b", "/a%e2%81%84b", "/a%e2%88%96b",
    "/%e2%80%a5/admin", "/%u002e%u002e/admin", "/%",
    "/%2", "/%zz", "/%2g", "/.. /admin", "/..%20/admin", "/%20../admin", "/..%09", "/a<b", '/a"b', "/a`b",
    "/a\u2028b", "/a%e2%84%80b", "/" + "a" * 70_000,
]  # fmt: skip


@pytest.mark.parametrize("path", ACCEPTED)
def test_a_path_has_one_canonical_text(path: str) -> None:
    assert parse_target(path) == Target(ACCEPTED[path], None)
    assert parse_target(path + "?a=1&b") == Target(ACCEPTED[path], "a=1&b")


@pytest.mark.parametrize("path", REFUSED, ids=lambda path: ascii(path)[:40])
def test_what_can_be_read_in_two_ways_is_refused(path: str) -> None:
    with pytest.raises(Refusal) as caught:
        parse_target(path)
    assert (caught.value.code, caught.value.status) == ("bad_path", 400)


@pytest.mark.parametrize("path", ["/@scope%2fname", "/@scope%2Fname", "/%40scope%2fname"])
def test_an_encoded_slash_is_kept_and_said(path: str) -> None:
    assert parse_target(path) == Target("/@scope%2Fname", None, encoded_slash=True)


@given(st.text("abA/.%2eEfFcC5;\\0 ?#", max_size=24).map("/".__add__))
def test_no_accepted_path_leads_elsewhere_in_any_reading(path: str) -> None:
    """Decoded once, twice, with backslashes for slashes, without parameters: it never climbs."""
    try:
        target = parse_target(path)
    except Refusal:
        return
    sent = path.partition("?")[0]
    for reading in (sent, unquote(sent), unquote(unquote(sent)), unquote(sent).replace("\\", "/")):
        assert posixpath.normpath(reading).rstrip("/") == reading.rstrip("/")
        assert ";" not in reading
    assert parse_target(target.path).path == target.path


@pytest.mark.parametrize("query", ["a b", "a#b", "a\r\n", "\u00fc", 'a"b', "<", "\0"])
def test_odd_queries_are_refused(query: str) -> None:
    with pytest.raises(Refusal):
        parse_target("/?" + query)


def test_a_query_is_read_as_forms_are() -> None:
    assert query_pairs("a=1&b=x%20y+z&c&%6bey=v=w&&") == [
        ("a", "1", "a=1"),
        ("b", "x y z", "b=x%20y+z"),
        ("c", "", "c"),
        ("key", "v=w", "%6bey=v=w"),
        ("", "", ""),
        ("", "", ""),
    ]
    assert query_pairs("") == []


@pytest.mark.parametrize("query", ["a=1;key=2", "a=%zz", "a=%", "a=%ff", "%c0%ae=1"])
def test_a_query_that_splits_or_decodes_in_two_ways_is_refused(query: str) -> None:
    with pytest.raises(Refusal) as caught:
        query_pairs(query)
    assert caught.value.code == "bad_query"


def test_patterns_are_canonical_too() -> None:
    assert canonical_pattern("/%7ea/*") == "/~a/*"
    assert canonical_pattern("/@*%2f*") == "/@*%2F*"
    for pattern in ("/a//*", "/../*", "/%2e%2e/*", "a/*", "/%2a"):
        with pytest.raises(Refusal):
            canonical_pattern(pattern)
