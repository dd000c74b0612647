"""The outbox: what is written goes out when the events at hand have been handled, not in between.

An event loop hears of many sockets at once. To write as soon as each event is handled wakes a peer on another processor
each time, and goes to the kernel and back twice an event: a relayed request cost a worker 97 us so, and costs 70 with
the outbox (decision 0013). A write waits until the loop turns, until `TOGETHER` connections have something to send, or
until `LARGE` bytes wait on one of them, whichever comes first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["Outbox", "Outgoing"]

TOGETHER = 64
"""Connections that are written to in one go, at most: so many events an answer may have to wait for."""
LARGE = 64 * 1024
"""Bytes that wait on one connection, at most."""


class Outbox:
    """The outbox of one event loop."""

    __slots__ = ("_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[Outgoing] = []

    def add(self, outgoing: Outgoing) -> None:
        """It has something to send."""
        waiting = self._waiting
        waiting.append(outgoing)
        if len(waiting) == 1:
            self._loop.call_soon(self.send)
        elif len(waiting) >= TOGETHER:
            self.send()

    def send(self) -> None:
        """Send what waits."""
        waiting, self._waiting = self._waiting, []
        for outgoing in waiting:
            try:
                outgoing.flush()
            except Exception as error:  # one connection's fault keeps nothing from the others
                self._loop.call_exception_handler({"message": "what waited could not be sent", "exception": error})
                outgoing.abort()


class Outgoing:
    """A transport that writes by way of an outbox. What else connections ask of it is the transport's own."""

    __slots__ = (
        "_outbox",
        "_pieces",
        "_size",
        "_transport",
        "can_write_eof",
        "get_extra_info",
        "is_closing",
        "pause_reading",
        "resume_reading",
    )

    def __init__(self, transport: Any, outbox: Outbox) -> None:
        self._transport, self._outbox = transport, outbox
        self._pieces: list[bytes] = []
        self._size = 0
        self.can_write_eof: Callable[[], bool] = transport.can_write_eof
        self.get_extra_info: Callable[[str], Any] = transport.get_extra_info
        self.is_closing: Callable[[], bool] = transport.is_closing
        self.pause_reading: Callable[[], None] = transport.pause_reading
        self.resume_reading: Callable[[], None] = transport.resume_reading

    def write(self, data: bytes) -> None:
        """Send it soon, after what was written before."""
        pieces = self._pieces
        pieces.append(data)
        self._size += len(data)
        if self._size > LARGE:
            self.flush()
        elif len(pieces) == 1:
            self._outbox.add(self)

    def writelines(self, pieces: Sequence[bytes]) -> None:
        """Send them now, without joining them: for what is too large to be copied."""
        self._pieces.extend(pieces)
        self.flush()

    def flush(self) -> None:
        """Send what waits."""
        pieces = self._pieces
        if not pieces:
            return
        self._pieces, self._size = [], 0
        try:
            if len(pieces) == 1:
                self._transport.write(pieces[0])
            else:
                self._transport.writelines(pieces)
        except RuntimeError:  # uvloop's word for a transport that is closed, of which its protocol hears otherwise
            pass

    def get_write_buffer_size(self) -> int:
        """Bytes that the kernel has not taken yet."""
        return self._size + int(self._transport.get_write_buffer_size())

    def write_eof(self) -> None:
        """Send what waits, and no more."""
        self.flush()
        self._transport.write_eof()

    def close(self) -> None:
        """Send what waits, and close."""
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        """Close now; what waits is dropped."""
        self._pieces, self._size = [], 0
        self._transport.abort()
