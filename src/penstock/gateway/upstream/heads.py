"""Heads: the bytes of a request up to its length, made of parts that are made once and used over and over.

What could make two requests of one, or a header of a value, is refused here: RFC 9110 5.5 (values hold no CR, LF, NUL),
RFC 9110 5.6.2 (names are tokens). The length of the body and the connection are ours to speak of: a request that
brings `content-length`, `transfer-encoding` or `connection` of its own is refused too, for it would be sent twice, or
be a lie. `accept-encoding: identity` is sent unless the request brings its own: a relay reads what it passes on.

Values that are not ASCII go out as Latin-1 (what came in as such leaves byte for byte), else as UTF-8.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeAlias

from penstock.gateway.upstream.origins import Place, Unsendable

__all__ = ["Head", "Lines", "Start", "basic"]


class Head:
    """The head of a request, all but its length.

    begin    the request line and the headers
    without_body  what ends the head where there is no body
    bodiless_answer   to HEAD, the answer has no body whatever its headers say
    as_compressed  the request brings its own `accept-encoding`: its answer is not uncompressed here
    """

    __slots__ = ("as_compressed", "begin", "bodiless_answer", "without_body")

    def __init__(self, begin: bytes, without_body: bytes, bodiless_answer: bool, as_compressed: bool) -> None:
        self.begin = begin
        self.without_body = without_body
        self.bodiless_answer = bodiless_answer
        self.as_compressed = as_compressed


class Start:
    """What URL and method decide of a head: how it begins, and what it holds unless a header says otherwise."""

    __slots__ = ("accept_encoding", "authorization", "bodiless_answer", "host", "proxy", "request_line", "without_body")

    def __init__(self, method: str, place: Place, by_proxy: bool = False, proxy_headers: str = "") -> None:
        """`by_proxy`: a proxy reads it, which wants the whole URL (RFC 9112, 3.2.2) and may want `proxy_headers` (whole
        lines). Raises Unsendable.
        """
        if not _TOKEN.fullmatch(method):
            raise Unsendable("the method is no HTTP method")
        target = f"{place.origin}{place.target}" if by_proxy else place.target
        self.request_line = f"{method} {target} HTTP/1.1\r\n".encode("ascii")
        self.host = f"host: {place.origin.authority}\r\n".encode("ascii")
        self.authorization = f"authorization: {basic(place.userinfo)}\r\n".encode("ascii") if place.userinfo else b""
        self.accept_encoding = b"accept-encoding: identity\r\n"
        self.proxy = proxy_headers.encode("ascii")
        self.without_body = b"\r\n" if method in _WITHOUT_BODY else b"content-length: 0\r\n\r\n"
        self.bodiless_answer = method == "HEAD"

    def head(self, headers: Iterable[tuple[str, str]], lines: Lines) -> Head:
        """The head with these headers. `lines`: those that are known already, and now the new ones. Raises
        Unsendable.
        """
        brought, parts = 0, [self.request_line, self.host]
        for pair in headers:
            known = lines.get(pair)
            if known is None:
                known = lines[pair] = _line(*pair)
            brought |= known[0]
            parts.append(known[1])
        if brought & _HOST:
            parts[1] = b""
        if not brought & _AUTHORIZATION:
            parts.append(self.authorization)
        if not brought & _ACCEPT_ENCODING:
            parts.append(self.accept_encoding)
        parts.append(self.proxy)
        return Head(b"".join(parts), self.without_body, self.bodiless_answer, bool(brought & _ACCEPT_ENCODING))


Lines: TypeAlias = dict[tuple[str, str], tuple[int, bytes]]
"""A header -> its line, and which of the headers is it that we would else add. Most of a request's are those of the one
before it, so that one that is new (a trace, a signature) costs one line."""
_HOST, _AUTHORIZATION, _ACCEPT_ENCODING = 1, 2, 4
_ELSE_ADDED = {"host": _HOST, "authorization": _AUTHORIZATION, "accept-encoding": _ACCEPT_ENCODING}


def _line(name: str, value: str) -> tuple[int, bytes]:
    lowered = _checked_name(name)
    return _ELSE_ADDED.get(lowered, 0), b"%b: %b\r\n" % (name.encode("ascii"), _checked_value(name, value))


_WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "TRACE"})
"""Methods of which nobody expects a body, so that its absence needs no word (RFC 9110, 8.6)."""
_OURS = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_BREAKS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def _checked_name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise Unsendable(f"{name[:60]!r} is no name that a header can have")
    lowered = name.lower()
    if lowered in _OURS:
        raise Unsendable(f"the header {lowered!r} belongs to the connection, not to the request: leave it out")
    return lowered


def _checked_value(name: str, value: str) -> bytes:
    value = value.strip(" \t")
    if _BREAKS.search(value):
        raise Unsendable(
            f"the value of the header {name.lower()!r} holds a line break or a control character: remove it"
        )
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return _utf8(name, value)


def _utf8(name: str, value: str) -> bytes:
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError:
        raise Unsendable(f"the value of the header {name.lower()!r} holds half a character: remove it") from None


def basic(userinfo: str) -> str:
    """`user:password` of an URL as Basic credentials (RFC 7617)."""
    from base64 import b64encode
    from urllib.parse import unquote_to_bytes

    user, _, password = userinfo.partition(":")
    return f"Basic {b64encode(unquote_to_bytes(user) + b':' + unquote_to_bytes(password)).decode('ascii')}"
