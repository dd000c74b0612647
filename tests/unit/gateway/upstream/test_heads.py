"""Heads and origins: what an URL and headers become, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.gateway.upstream.heads import Head, Lines, Start
from penstock.gateway.upstream.origins import Origin, Place, Unsendable, parse


def make_head(method: str, place: Place, headers: list[tuple[str, str]]) -> Head:
    return Start(method, place).head(headers, {})


@pytest.mark.parametrize(
    ("url", "origin", "target", "shown"),
    [
        ("https://a.example", Origin("https", "a.example", 443), "/", "https://a.example"),
        ("HTTPS://A.Example:443/v1?x=%20#f", Origin("https", "a.example", 443), "/v1?x=%20", "https://a.example"),
        ("http://a.example:8080?x", Origin("http", "a.example", 8080), "/?x", "http://a.example:8080"),
        ("http://[::1]:80/", Origin("http", "::1", 80), "/", "http://[::1]"),
        ("http://under_score-1.example./", Origin("http", "under_score-1.example.", 80), "/", None),
        ("https://bücher.example/ü?ß", Origin("https", "xn--bcher-kva.example", 443), "/%C3%BC?%C3%9F", None),
        ("https://a.example/v1/a:b/%2F", Origin("https", "a.example", 443), "/v1/a:b/%2F", None),
        ("https://a.example\\@b.example/", Origin("https", "a.example", 443), "/\\@b.example/", None),
        ("unix:/run/a.sock:/key?x", Origin("unix", "/run/a.sock", 0), "/key?x", "unix:/run/a.sock"),
        ("unix:/run/a.sock", Origin("unix", "/run/a.sock", 0), "/", None),
    ],
)
def test_origins(url: str, origin: Origin, target: str, shown: str | None) -> None:
    place = parse(url)
    assert (place.origin, place.target) == (origin, target)
    assert shown is None or str(place.origin) == shown


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.example/v1",
        "ftp://a.example/",
        "https:///v1",
        "https://:443/",
        "https://a.example:0/",
        "https://a.example:65536/",
        "https://a.example:8a/",
        "https://a.example:١/",
        "https://a..b\n.example/",
        "https://a.example/a b",
        "https://a.example/\r\nx: y",
        "https://a.example/\0",
        "https://[::1/",
        "https://[::1]x/",
        "https://[a]/",
        "https://a,b.example/",
        "https://-a.example/",
        "https://a.example%00.b.example/",
        "unix:relative.sock:/",
    ],
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(Unsendable):
        parse(url)


def test_a_head() -> None:
    head = make_head(
        "POST", parse("https://a.example/v1?x"), [("Authorization", " Bearer k "), ("x-a", "ü"), ("x-b", "☃")]
    )
    assert head.begin == (
        b"POST /v1?x HTTP/1.1\r\nhost: a.example\r\nAuthorization: Bearer k\r\nx-a: \xfc\r\nx-b: \xe2\x98\x83\r\n"
        b"accept-encoding: identity\r\n"
    )
    assert (head.without_body, head.bodiless_answer, head.as_compressed) == (b"content-length: 0\r\n\r\n", False, False)


def test_what_a_request_may_bring_itself() -> None:
    place = parse("https://user:p%40ss@a.example/")
    head = make_head("HEAD", place, [("Host", "b.example"), ("Accept-Encoding", "gzip")])
    assert head.begin.count(b"ost: ") == 1 and b"Host: b.example\r\n" in head.begin and b"identity" not in head.begin
    assert b"authorization: Basic dXNlcjpwQHNz\r\n" in head.begin
    assert (head.without_body, head.bodiless_answer, head.as_compressed) == (b"\r\n", True, True)
    assert b"Basic" not in make_head("GET", place, [("authorization", "Bearer k")]).begin


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("x-a", "b\r\nx-c: d", "line break"),
        ("x-a", "b\nc", "line break"),
        ("x-a", "b\0c", "control character"),
        ("x-a", "sk-secret\n", "line break"),
        ("x-a", "\ud800", "half a character"),
        ("x a", "b", "no name"),
        ("x-a:", "b", "no name"),
        ("", "b", "no name"),
        ("x-ü", "b", "no name"),
        ("Content-Length", "3", "belongs to the connection"),
        ("Transfer-Encoding", "chunked", "belongs to the connection"),
        ("connection", "close", "belongs to the connection"),
    ],
)
def test_refused_headers(name: str, value: str, words: str) -> None:
    with pytest.raises(Unsendable, match=words) as refused:
        make_head("POST", parse("https://a.example"), [(name, value)])
    assert "secret" not in str(refused.value)


def test_lines_are_made_once() -> None:
    """And what one request brought is not in the next."""
    lines: Lines = {}
    start = Start("POST", parse("https://user:p@a.example/"))
    first = start.head(
        [("Host", "b.example"), ("authorization", "x"), ("accept-encoding", "gzip"), ("x-a", "1")], lines
    )
    second = start.head([("x-a", "1"), ("x-a", "2")], lines)
    assert first.begin.count(b"\r\n") == 5 and first.as_compressed and not second.as_compressed
    assert second.begin == start.request_line + b"host: a.example\r\nx-a: 1\r\nx-a: 2\r\n" + (
        b"authorization: Basic dXNlcjpw\r\naccept-encoding: identity\r\n"
    )
    assert len(lines) == 5
    with pytest.raises(Unsendable):
        start.head([("x-a", "1"), ("x-b", "\n")], lines)
    assert len(lines) == 5


@given(
    st.text(max_size=12),
    st.text(max_size=30),
    st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=3),
)
def test_nothing_adds_a_line(method: str, path: str, headers: list[tuple[str, str]]) -> None:
    """Whatever it is made of: a head has as many lines as it was given headers, or is refused."""
    try:
        head = make_head(method, parse(f"https://a.example/{path}"), headers)
    except Unsendable:
        return
    lines = head.begin.split(b"\r\n")
    assert head.begin.count(b"\n") == head.begin.count(b"\r") == len(lines) - 1
    names = {name.lower() for name, _ in headers}
    assert len(lines) - 2 == len(headers) + sum(name not in names for name in ("host", "accept-encoding"))
    assert lines[0].count(b" ") == 2
