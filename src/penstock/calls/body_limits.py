"""Body limits: how long the body of an answer may keep its reader waiting, and how much of it is read.

Until the first piece it is `first_token`, between two pieces `between_tokens`, and never longer than what is left of
the whole call. httpx knows one limit for all of a body, so where these three are not one, the waiting is limited here:
a coroutine's piece by piece, a blocking reader's by a thread that shuts the connection when the time is over.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

from penstock.exchange import Broken, Send

OVER = "the deadline for the whole call is over"


class StreamBroken(Exception):
    """A stream could not be read to its end."""

    def __init__(self, broken: Broken) -> None:
        super().__init__(broken.message)
        self.broken = broken


class BodyLimits:
    """The limits of one body. `simple` says that httpx's own (`read`) does."""

    def __init__(self, send: Send) -> None:
        self._first, self._between = send.timeouts.first_token, send.timeouts.between_tokens
        self._deadline = None if send.seconds_left is None else time.monotonic() + send.seconds_left
        self.simple = self._deadline is None and self._first == self._between

    @property
    def read(self) -> float | None:
        """The limit for each read, where there is nothing better."""
        given = [seconds for seconds in (self._between, self.left()) if seconds is not None]
        return max(0.001, min(given)) if given else None

    def left(self) -> float | None:
        """Seconds until the whole call must be over; None: it may last."""
        return None if self._deadline is None else self._deadline - time.monotonic()

    def wait(self, begun: bool) -> tuple[float | None, Broken]:
        """Seconds that the next piece may take (`begun`: it is not the first), and what to say when they are over.
        Raises StreamBroken where there are none.
        """
        silence, left = self._between if begun else self._first, self.left()
        if left is not None and left <= 0:
            raise StreamBroken(Broken("timeout", OVER))
        if left is not None and (silence is None or left <= silence):
            return left, Broken("timeout", OVER)
        return silence, Broken("timeout", silent(silence or 0.0, begun))


def silent(seconds: float, begun: bool) -> str:
    """What to say of a body that kept silent."""
    return f"nothing {'more ' if begun else ''}came for {seconds:g} s"


async def pieces_in_time(pieces: AsyncIterator[bytes], limits: BodyLimits) -> AsyncIterator[bytes]:
    """The pieces, each within its limit. Raises StreamBroken."""
    import asyncio

    begun = False
    while True:
        seconds, late = limits.wait(begun)
        try:
            async with asyncio.timeout(seconds):
                piece = await anext(pieces)
        except TimeoutError:
            raise StreamBroken(late) from None
        except StopAsyncIteration:
            return
        begun = True
        yield piece


def pieces_watched(pieces: Iterator[bytes], limits: BodyLimits, connection: Any) -> Iterator[bytes]:
    """The pieces, each within its limit; `connection` is the socket that they come from. Raises StreamBroken."""
    watchdog = Watchdog(connection, *limits.wait(False))
    try:
        try:
            for piece in pieces:
                watchdog.pause()
                yield piece
                watchdog.expect(*limits.wait(True))
        except Exception:
            if watchdog.struck is None:
                raise
        if watchdog.struck is not None:
            raise StreamBroken(watchdog.struck)
    finally:
        watchdog.stop()


class WholeBody:
    """A body that is read whole, as far as that is sane: what a host sends without an end, or packed a thousandfold,
    shall not fill the memory. Of an error, the beginning does.
    """

    LONGEST = 1024 * 1024 * 1024
    LONGEST_ERROR = 1024 * 1024
    """Bytes, uncompressed."""

    def __init__(self, status: int) -> None:
        self._is_error = not 200 <= status < 300
        self._pieces: list[bytes] = []
        self._size = 0

    def has_enough(self, piece: bytes) -> bool:
        """Take one more piece; whether that is enough. Raises StreamBroken where an answer is longer than any is."""
        self._pieces.append(piece)
        self._size += len(piece)
        if self._is_error:
            return self._size > self.LONGEST_ERROR
        if self._size > self.LONGEST:
            raise StreamBroken(Broken("protocol", f"the answer is longer than {self.LONGEST:,} bytes"))
        return False

    def whole(self) -> bytes:
        """The body; of a long error, its beginning."""
        return b"".join(self._pieces)


class Watchdog:
    """A thread that ends a connection when what is expected of it does not come in time. `struck` says that it did."""

    def __init__(self, connection: Any, seconds: float | None, late: Broken) -> None:
        self.struck: Broken | None = None
        self._late = late
        self._due = _moment(seconds)
        self._sleeps_until: float | None = None
        self._stopped = False
        self._changed = threading.Condition()
        # A handle of its own: to shut a TLS socket in the midst of its reader's work would leave that without its keys.
        self._connection = socket.socket(fileno=os.dup(connection.fileno()))
        threading.Thread(target=self._watch, name="penstock-watchdog", daemon=True).start()

    def expect(self, seconds: float | None, late: Broken) -> None:
        """Something must come within so many seconds from now."""
        self._set(_moment(seconds), late)

    def pause(self) -> None:
        """It came; until `expect` nothing needs to."""
        self._set(None, self._late)

    def stop(self) -> None:
        """It is over."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _set(self, due: float | None, late: Broken) -> None:
        with self._changed:
            self._due, self._late = due, late
            if due is not None and (self._sleeps_until is None or due < self._sleeps_until):
                self._changed.notify()  # only a moment that is nearer needs the thread awake

    def _watch(self) -> None:
        with self._connection, self._changed:
            while not self._stopped:
                now = time.monotonic()
                if self._due is not None and self._due <= now:
                    self.struck = self._late
                    with suppress(OSError):
                        self._connection.shutdown(socket.SHUT_RDWR)
                    return
                self._sleeps_until = self._due
                self._changed.wait(None if self._due is None else self._due - now)


def _moment(seconds: float | None) -> float | None:
    return None if seconds is None else time.monotonic() + seconds
