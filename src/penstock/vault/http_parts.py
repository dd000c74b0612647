"""What an HTTP message is made of, whichever version carried it: the events of all parsers, and which fields may pass.

A parser turns bytes into these events, in this order: a head (`values.RequestHead` or `values.ResponseHead`), any
number of `Data`, at most one `Trailers`, one `End`. HTTP/2 adds `Reset`, `GoAway`, `Refused` and `Sendable`, which
HTTP/1 says by closing the connection. A field that one reader could understand otherwise than another is refused here,
never mended: RFC 9110 section 5 gives the characters, RFC 9112 section 11 the reason (request smuggling).
"""

import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from penstock.vault.values import Headers, Refusal

HEAD_BYTES = 64 * 1024
"""The most bytes of one head: the start line and all fields, or an HTTP/2 header list as RFC 9113 counts it."""
HEAD_FIELDS = 128
"""The most fields of one head."""
TARGET_BYTES = 8 * 1024
"""The longest target of a request."""
METHOD_BYTES = 32
"""The longest method."""
TRAILER_BYTES = 8 * 1024
"""The most bytes of the trailers of one message."""
TRAILER_FIELDS = 32
"""The most fields among the trailers of one message."""
INFORMATIONAL_HEADS = 16
"""The most 1xx heads before the final head of one response."""
AUTHORITY_BYTES = 512
"""The longest `host:port`; `names` allows less."""
LENGTH_DIGITS = 16
"""The most digits of a Content-Length (ten petabytes)."""

Side = Literal["request", "response"]


class Data(msgspec.Struct, frozen=True):
    """Bytes of the body, in their order; never empty."""

    data: bytes


class Trailers(msgspec.Struct, frozen=True):
    """The fields after the body; never empty."""

    fields: Headers


class End(msgspec.Struct, frozen=True):
    """The message is over."""


class Reset(msgspec.Struct, frozen=True):
    """The stream ended before its message did: what came of it is no message. `code` as in RFC 9113 section 7."""

    code: int


class Refused(msgspec.Struct, frozen=True):
    """The message of this stream will not be had; the other streams go on."""

    refusal: Refusal


class Sendable(msgspec.Struct, frozen=True):
    """The peer takes more bytes of this stream (of every stream, on stream 0)."""


class GoAway(msgspec.Struct, frozen=True):
    """The peer takes no streams after `last_stream`; those up to it are still answered. `code`: RFC 9113 section 7."""

    last_stream: int
    code: int


def bad_message(side: Side, reason: str, status: int = 400) -> Refusal:
    """Return the refusal of a malformed message of the client (`bad_request`) or the upstream (`bad_response`, 502).

    `reason` must not quote what came: it may hold a credential.
    """
    if side == "request":
        return Refusal("bad_request", f"The request is not well-formed HTTP: {reason}.", status=status)
    return Refusal("bad_response", f"The upstream's response is not well-formed HTTP: {reason}.", status=502)


_TCHARS = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_IS_TOKEN = re.compile(_TCHARS)
_IS_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_IS_TARGET = re.compile(r"[\x21\x22\x24-\x7e]+")
_IS_LENGTH = re.compile(rf"[0-9]{{1,{LENGTH_DIGITS}}}")
_IS_AUTHORITY = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:%\[\]-]+")

FRAMING = frozenset({"content-length", "transfer-encoding"})
"""The fields that say where a body ends. They are never copied: whoever renders a message writes them anew."""

_GATEWAY_TWINS = frozenset({"content-length", "transfer-encoding", "host", "connection", "upgrade"})

FORBIDDEN_TRAILERS = FRAMING | {
    *("host", "connection", "keep-alive", "proxy-connection", "upgrade", "te", "trailer", "expect", "max-forwards"),
    *("authorization", "proxy-authorization", "proxy-authenticate", "www-authenticate", "cookie", "set-cookie"),
    *("content-encoding", "content-type", "content-range", "range", "cache-control", "location"),
}
"""Fields that may not come after the body: they frame, route, authenticate or describe it (RFC 9110 section 6.5.1)."""


def is_token(text: str) -> bool:
    """Return whether `text` is a token, as methods and field names must be (RFC 9110 section 5.6.2)."""
    return _IS_TOKEN.fullmatch(text) is not None


def is_value(text: str) -> bool:
    """Return whether `text` may be a field's value or a reason phrase: latin-1, no control character but the tab."""
    return _IS_VALUE.fullmatch(text) is not None


def is_target(text: str) -> bool:
    """Return whether `text` may be a target: visible ASCII, no fragment, not too long. `paths` judges the rest."""
    return len(text) <= TARGET_BYTES and _IS_TARGET.fullmatch(text) is not None


def is_authority(text: str) -> bool:
    """Return whether `text` has the characters of `host` or `host:port`, and no user information. `names` judges it."""
    return len(text) <= AUTHORITY_BYTES and _IS_AUTHORITY.fullmatch(text) is not None


def check_names(side: Side, fields: Iterable[tuple[str, str]]) -> None:
    """Refuse names that CGI and WSGI take for another field: `Content_Length` becomes Content-Length there."""
    for name, _ in fields:
        if "_" in name and name.replace("_", "-") in _GATEWAY_TWINS:
            raise bad_message(side, "a field's name is that of a framing or routing field, with underscores")


def check_trailers(side: Side, fields: Headers) -> None:
    """Refuse trailers that belong before the body, or that are too many."""
    if len(fields) > TRAILER_FIELDS:
        raise bad_message(side, f"more than {TRAILER_FIELDS} trailers", 431)
    if any(name in FORBIDDEN_TRAILERS for name, _ in fields):
        raise bad_message(side, "a field that may not come after the body is among the trailers")


def content_length(side: Side, fields: Headers) -> int | None:
    """Return the length that the head declares, or None.

    Raises:
        Refusal: it is there twice, even with equal values, or is anything but digits.
    """
    found = [value for name, value in fields if name == "content-length"]
    if not found:
        return None
    if len(found) > 1:
        raise bad_message(side, "more than one Content-Length")
    if not _IS_LENGTH.fullmatch(found[0]):
        raise bad_message(side, "Content-Length is not a plain number")
    return int(found[0])
