"""Heads of answers, as bytes that were made once."""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus

_REASONS = {status.value: status.phrase for status in HTTPStatus} | {529: "Overloaded"}
_LINES = {code: f"HTTP/1.1 {code} {phrase}\r\n".encode() for code, phrase in _REASONS.items()}

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
JSON = b"content-type: application/json\r\n"
TEXT = b"content-type: text/plain; charset=utf-8\r\n"


def status_line(status: int, date: bytes) -> bytes:
    """The first line of an answer, and its date."""
    return (_LINES.get(status) or b"HTTP/1.1 %d -\r\n" % status) + date


def date_line(now: float) -> bytes:
    """The header `date` for this Unix time: it is made once a second, not once an answer."""
    return b"date: " + formatdate(now, usegmt=True).encode() + b"\r\n"


def last_chunk(data: bytes) -> bytes:
    """The end of a chunked body, after `data`."""
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n"


def header_line(name: str, value: str) -> bytes:
    """One header as bytes. What is not printable ASCII is escaped, so that no value can write a header of its own."""
    return b"%b: %b\r\n" % (name.encode("ascii"), header_value(value))


ROOM = 4000
"""Characters that one header value may have: proxies refuse heads of more than 8 KiB."""


def header_value(text: str) -> bytes:
    """`text` as the value of a header: printable ASCII, all else escaped, and not too long."""
    if not (text.isascii() and text.isprintable()):
        text = "".join(character if " " <= character <= "~" else ascii(character)[1:-1] for character in text)
    return text[:ROOM].strip().encode("ascii")


def retry_after(seconds: float | None) -> bytes:
    """The header line that says how long to wait, in whole seconds; nothing for what is no time to wait."""
    if seconds is None or not 0 <= seconds < 1e9:
        return b""
    return b"retry-after: %d\r\n" % -int(-seconds // 1)


def ids_of(call_id: str) -> bytes:
    """Header lines with the id of a call, under the names that the official clients look for."""
    name = call_id.encode()
    return b"x-penstock-call-id: %b\r\nx-request-id: %b\r\nrequest-id: %b\r\n" % (name, name, name)
