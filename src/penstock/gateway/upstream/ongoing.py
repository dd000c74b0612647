"""Ongoing: one request between `send` and its last callback, and who is told of it.

A receiver hears `head`, then `data` any number of times, then exactly one of `end` and `broken`; or `broken` alone; and
nothing at all once it called `cancel`. It is never called from within `send`. What it raises is reported to the loop's
exception handler and ends its own request only: an error in `head` or `data` is followed by `broken`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from penstock.exchange import Broken, HTTPRequest, Timeouts
from penstock.gateway.upstream.heads import Head

if TYPE_CHECKING:
    from penstock.gateway.upstream.connection import Connection
    from penstock.gateway.upstream.pool import Pool

__all__ = ["Ongoing", "Receiver"]


class Receiver(Protocol):
    """Who hears the answer."""

    def head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Status and headers: names in lower case, values without the spaces around them, in the order sent."""
        ...

    def data(self, data: bytes) -> None:
        """A piece of the body, never empty."""
        ...

    def end(self) -> None:
        """The body is whole. The connection is free again already: to send the next request from here may use it."""
        ...

    def broken(self, why: Broken) -> None:
        """There is no answer, or no more of it. `why.sent` is False only if the provider cannot have read a byte."""
        ...


class Ongoing:
    """What `send` returns."""

    __slots__ = (
        "connection",
        "deadline",
        "head",
        "loop",
        "paused",
        "perhaps_read",
        "pool",
        "receiver",
        "request",
        "retried",
        "timeouts",
    )

    def __init__(
        self,
        receiver: Receiver,
        request: HTTPRequest,
        head: Head | None,
        timeouts: Timeouts,
        deadline: float,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.receiver: Receiver | None = receiver
        self.request = request
        self.head = head
        self.timeouts = timeouts
        self.deadline = deadline
        self.loop = loop
        self.pool: Pool | None = None
        self.connection: Connection | None = None
        self.paused = False
        self.retried = False
        self.perhaps_read = False

    def hand_over(self, receiver: Receiver) -> None:
        """Another hears the rest, if there is any."""
        if self.receiver is not None:
            self.receiver = receiver
            if self.connection is not None:
                self.connection.receiver = receiver

    def pause(self) -> None:
        """Read no more from the provider for now. What was read already (256 KiB at most) may still come."""
        self.paused = True
        if self.connection is not None:
            self.connection.pause()

    def resume(self) -> None:
        """Read on."""
        self.paused = False
        if self.connection is not None:
            self.connection.resume()

    def cancel(self) -> None:
        """Nobody wants the answer any more: its connection is closed, and the receiver hears no more."""
        if self.receiver is None:
            return
        self.receiver = None
        connection, pool = self.connection, self.pool
        if connection is not None:
            self.connection = None
            connection.abandon()
        elif pool is not None:
            pool.forget(self)

    def fail(self, why: Broken) -> None:
        """Tell the receiver, if it wants to hear."""
        receiver, self.receiver, self.connection = self.receiver, None, None
        if receiver is None:
            return
        try:
            receiver.broken(why)
        except Exception as error:
            self.report(error)

    def report(self, error: BaseException) -> None:
        """A receiver's own failure."""
        message = f"a receiver of {self.request!r} failed"
        self.loop.call_exception_handler({"message": message, "exception": error})
