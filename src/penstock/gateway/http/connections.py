"""All connections of a worker, and the one clock that watches them: a sweep each half second, not a timer a
connection.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any, Protocol

from penstock.gateway.http.heads import date_line
from penstock.gateway.http.inbound import Inbound
from penstock.gateway.outbox import Outbox

GRAIN = 0.5
"""Seconds between two sweeps: so late a deadline may be noticed."""


class Watched(Protocol):
    """What a sweep looks at."""

    deadline: float
    current: Inbound | None

    def admitted_not_begun(self) -> list[Inbound]: ...
    def too_late(self) -> None: ...
    def drain(self) -> None: ...
    def abort(self) -> None: ...
    def use(self, limits: Any) -> None: ...


class Connections:
    """The connections of one worker. `now` is the loop's time at the last sweep, `date` the header of that second;
    `outbox` is what they write to.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.outbox = Outbox(loop)
        self._open: set[Watched] = set()
        self._gone: asyncio.Event | None = None
        self._draining = False
        self.now = loop.time()
        self.date = date_line(time.time())
        self._timer = loop.call_later(GRAIN, self._sweep)

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Watched) -> None:
        """A connection was made. One that was on its way when the others were drained comes too late."""
        self._open.add(connection)
        if self._draining:
            connection.drain()

    def remove(self, connection: Watched) -> None:
        """A connection is no more."""
        self._open.discard(connection)
        if self._gone is not None and not self._open:
            self._gone.set()

    def __iter__(self) -> Iterator[Watched]:
        return iter(tuple(self._open))

    def drain(self) -> None:
        """End every connection as soon as nothing is under way on it."""
        self._draining = True
        for connection in list(self._open):
            connection.drain()

    async def gone(self) -> None:
        """Wait until there is none."""
        self._gone = asyncio.Event()
        if self._open:
            await self._gone.wait()

    def abort(self) -> None:
        """End every connection now."""
        for connection in list(self._open):
            connection.abort()

    def close(self) -> None:
        """Stop watching."""
        self._timer.cancel()

    def _sweep(self) -> None:
        self.now = now = self._loop.time()
        self.date = date_line(time.time())
        self._timer = self._loop.call_later(GRAIN, self._sweep)
        late = [connection for connection in self._open if connection.deadline < now]
        for connection in late:
            connection.too_late()
