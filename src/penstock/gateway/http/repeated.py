"""The head that a client says again. On a connection that is kept, one request's head is nearly always that of the one
before it, but for the length of the body: then it need not be parsed again, nor its key hashed.

A head is taken for the same only where every byte but the digits of `content-length` is the same, and the parser has
found nothing in it that asks for more than reading on. Who may call, and whether, is asked anew each time.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from penstock.gateway.http.inbound import Inbound

if TYPE_CHECKING:
    from penstock.gateway.http.connection import Connection

_DIGITS = 15
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: ([0-9]{1,15})(?=\r\n)")
_MORE = frozenset({b"transfer-encoding", b"expect"})


class Repeated:
    """One head. `before` and `after` are its bytes on either side of the length's digits; the rest is what was read of
    it (nothing that belongs to the request alone: that would keep it alive).
    """

    __slots__ = ("_headers", "_key_digest", "_method", "_path", "_plain", "_query", "_target", "after", "before")

    def __init__(self, before: bytes, after: bytes, first: Inbound) -> None:
        self.before, self.after = before, after
        self._method, self._target, self._path, self._query = first.method, first.target, first.path, first.query
        self._headers, self._key_digest, self._plain = first.headers, first.key_digest, first.plain

    def body_of(self, data: bytes, most: int) -> bytes | None:
        """The body, where `data` is this head and a whole body of no more than `most` bytes; else None."""
        before, after = self.before, self.after
        if not data.startswith(before):
            return None
        start = len(before)
        end = data.find(b"\r", start, start + _DIGITS + 1)
        digits = data[start:end]
        if end < 0 or not digits.isdigit() or not data.startswith(after, end):
            return None
        size = int(digits)
        begin = end + len(after)
        return data[begin:] if len(data) - begin == size <= most else None

    def inbound(self, connection: Connection, body: bytes) -> Inbound:
        """A request with this head, and this body."""
        inbound = Inbound(connection)
        inbound.method, inbound.target = self._method, self._target
        inbound.path, inbound.query = self._path, self._query
        inbound.headers = {**self._headers, b"content-length": b"%d" % len(body)}
        inbound.key_digest, inbound.plain = self._key_digest, self._plain
        inbound.keep_alive = not connection.draining
        inbound.body, inbound.size, inbound.complete = body, len(body), True
        return inbound


def repeatable(data: bytes, first: Inbound) -> Repeated | None:
    """The head of a request that came whole, and alone, as `data`; None where it may mean more than it says."""
    usual = first.keep_alive and first.chunked and first.size and first.refusal is None  # HTTP/1.0 reads no chunks
    if not usual or not _MORE.isdisjoint(first.headers):
        return None
    head = data[: len(data) - first.size]
    found = _LENGTH.search(head)
    if found is None or int(found[1]) != first.size or data.find(b"\r\n\r\n") + 4 != len(head):
        return None
    return Repeated(head[: found.start(1)], head[found.end(1) :], first)
