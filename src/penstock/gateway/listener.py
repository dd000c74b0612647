"""The listener: uvicorn's protocol on httptools, with the limits that it leaves open.

Whoever connects has shown no key yet. So a head may have `MAX_HEAD` bytes and must be complete within `HEAD_SECONDS`,
or the connection ends: nobody fills the memory with headers, or holds a connection by never finishing one. (A body is
read only for who has a key, and limited where it is read: app.py.)
"""

from __future__ import annotations

import asyncio
import math
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 64 * 1024
"""Bytes that a request line and its headers may have."""
LINGER = 2.0
"""Seconds for which what a refused client had under way is still read, and dropped: to close at once would take the
refusal away from it (a reset discards what was not read yet).
"""
HEAD_SECONDS = 30.0
"""Seconds from the first moment of a connection, or the first byte of a later request, to the end of the head."""


class Listener(HttpToolsProtocol):
    """One connection."""

    _in_head = True
    _begun = False
    _head_size = 0
    _refused = False
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return  # it had more under way
        under_way = self._in_head
        super().data_received(data)
        if not (under_way and self._in_head):
            return  # a later head begins uncounted in the piece that ended the body before it: one piece more at most
        self._head_size += len(data)
        if self._head_size > MAX_HEAD:
            self._end("431 Request Header Fields Too Large", f"a request's head may have {MAX_HEAD:,} bytes at most")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._begun, self._head_size = True, True, 0
        if self._timer is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_came()
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self._too_late)

    def _head_came(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        self._timer = None
        if self._begun:
            self._end("408 Request Timeout", f"a request's head must come within {math.ceil(HEAD_SECONDS)} s")
        else:
            self.transport.close()

    def _end(self, status: str, message: str) -> None:
        """Refuse, if nobody else is being answered on this connection, and close it."""
        cycle: Any = self.cycle  # None before the first request, whatever uvicorn's types say
        if cycle is None or cycle.response_complete:
            head = f"HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {len(message)}\r\n"
            self.transport.write(f"{head}connection: close\r\n\r\n{message}".encode())
        self._refused = True
        self._head_came()
        self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.abort)
