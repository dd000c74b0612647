"""A pool: the connections of one route, and who waits for one.

The connection that came back last is used first, so that those too many grow old and are closed. Who finds none waits;
as many connections are being made as there are who wait, within the limit, and each that is made or comes back goes to
who has waited longest. A connection that cannot be made is the failure of one who waits; how long each waits is its own
affair (`Timeouts.connect`, counted by the clockwork).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from penstock.calls.body_limits import OVER
from penstock.exchange import Broken
from penstock.gateway.outbox import Outbox
from penstock.gateway.upstream.connection import Connection
from penstock.gateway.upstream.dialling import Route
from penstock.gateway.upstream.settings import Limits
from penstock.gateway.upstream.timers import NEVER, Awaited, Wheel

if TYPE_CHECKING:
    from penstock.gateway.upstream.ongoing import Ongoing

__all__ = ["Pool", "PoolStats"]


class PoolStats(Struct, frozen=True, kw_only=True):
    """One pool at one moment. `open` counts all connections, `idle` those of them that nobody uses; `connecting` is
    being made; `waiting` requests have none yet. The rest counts since the start: connections `made`, `failed` to be
    made, and requests `repeated` because a kept connection was closed.
    """

    origin: str
    open: int
    idle: int
    connecting: int
    waiting: int
    made: int
    failed: int
    repeated: int


class Dial(Protocol):
    """Starts to make a connection for a pool: `opened` or `not_opened` is called when that is over."""

    def __call__(self, pool: Pool, seconds: float | None) -> None: ...


class Pool:
    """The connections of one route."""

    def __init__(
        self,
        route: Route,
        limits: Limits,
        wheel: Wheel,
        outbox: Outbox,
        clock: Callable[[], float],
        dial: Dial,
    ) -> None:
        self.route = route
        self.limits = limits
        self.wheel = wheel
        self.outbox = outbox
        self.clock = clock
        self._dial = dial
        self.idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._connecting = 0
        self._waiting: dict[Ongoing, _Waiting] = {}
        self._closed = False
        self._made = self._failed = self._repeated = 0

    def send(self, ongoing: Ongoing, now: float) -> None:
        """Give it a connection, now or later."""
        ongoing.pool = self
        idle = self.idle
        while idle:
            if idle.pop().start(ongoing, now):
                return
        self._wait(ongoing, now)

    def again(self, ongoing: Ongoing) -> None:
        """Give it a new connection: the one that was kept was closed."""
        self._repeated += 1
        self._wait(ongoing, self.clock())

    def forget(self, ongoing: Ongoing) -> None:
        """It waits no more. (A connection that is being made for it will be of use to another.)"""
        waiting = self._waiting.pop(ongoing, None)
        if waiting is not None:
            self.wheel.remove(waiting)
            waiting.due = NEVER

    def _wait(self, ongoing: Ongoing, now: float) -> None:
        waiting = self._waiting[ongoing] = _Waiting(self, ongoing, now)
        self.wheel.place(waiting)
        self._dial_for_all(ongoing.timeouts.connect)

    def _dial_for_all(self, seconds: float | None) -> None:
        while (
            not self._closed
            and self._connecting < len(self._waiting)
            and self._connecting + len(self._open) < self.limits.connections
        ):
            self._connecting += 1
            self._dial(self, seconds)

    # What connections tell

    def opened(self, connection: Connection) -> None:
        """It was made."""
        self._connecting -= 1
        self._made += 1
        self._open.add(connection)
        if self._closed:
            connection.abort()
        elif not self._serve(connection, new=True):
            self.release(connection)

    def not_opened(self, why: Broken | None) -> None:
        """None was made. `why` is nothing where it only took too long: who waits knows that itself."""
        self._connecting -= 1
        self._failed += 1
        if why is not None and self._waiting:
            self._end(next(iter(self._waiting)), why)
        self._dial_for_all(self._patience())

    def release(self, connection: Connection) -> None:
        """Its request is done: keep it for the next one, if there is none yet."""
        if self._waiting and self._serve(connection, new=False):
            return
        limits, now = self.limits, self.clock()
        if (
            now - connection.born > limits.age_seconds
            or len(self.idle) >= limits.idle
            or not connection.idle_seconds
            or len(self._waiting) > self._connecting  # who waits needs a new one, and has no room for it
        ):
            connection.close()
            return
        self.idle.append(connection)
        connection.due = due = now + connection.idle_seconds
        if due < connection.looked_at:
            self.wheel.place(connection)

    def lost(self, connection: Connection) -> None:
        """It is closed."""
        self._open.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)
        if self._waiting:
            self._dial_for_all(self._patience())

    def _serve(self, connection: Connection, new: bool) -> bool:
        """Hand the connection to who has waited longest. A request that is repeated takes only a new one."""
        now = self.clock()
        if not new and now - connection.born > self.limits.age_seconds:
            return False
        for ongoing in self._waiting:
            if new or not ongoing.retried:
                self.forget(ongoing)
                return connection.start(ongoing, now) or self._put_back(ongoing, now)
        return False

    def _put_back(self, ongoing: Ongoing, now: float) -> bool:
        self._wait(ongoing, now)
        return True

    def _patience(self) -> float | None:
        """How long who waits longest would let a connection be made."""
        return next(iter(self._waiting)).timeouts.connect if self._waiting else 0.0

    def too_late(self, ongoing: Ongoing, now: float) -> None:
        """It has waited for as long as it may."""
        if now >= ongoing.deadline:
            self._end(ongoing, Broken("timeout", OVER))
            return
        full = len(self._open) >= self.limits.connections
        what = "no connection came free" if full else "the connection was not made"
        self._end(ongoing, Broken("timeout", f"{what} in time: {self.route.origin}, {ongoing.timeouts.connect:g} s"))

    def _end(self, ongoing: Ongoing, why: Broken) -> None:
        self.forget(ongoing)
        ongoing.fail(Broken(why.kind, why.message, ongoing.perhaps_read))

    # From outside

    def stats(self) -> PoolStats:
        """The pool now."""
        return PoolStats(
            origin=str(self.route.origin),
            open=len(self._open),
            idle=len(self.idle),
            connecting=self._connecting,
            waiting=len(self._waiting),
            made=self._made,
            failed=self._failed,
            repeated=self._repeated,
        )

    @property
    def unused(self) -> bool:
        """Whether nothing is open, being made or waiting."""
        return not (self._open or self._connecting or self._waiting)

    def close(self) -> None:
        """Close what is idle, end what goes on."""
        self._closed = True
        for ongoing in list(self._waiting):
            self._end(ongoing, Broken("connect", CLOSING))
        for connection in list(self._open):
            if connection.ongoing is None:
                connection.close()
            else:
                connection.fail(Broken("read", CLOSING))


CLOSING = "the gateway is closing its connections"


class _Waiting(Awaited):
    """Who waits, in the clockwork."""

    __slots__ = ("_ongoing", "_pool")

    def __init__(self, pool: Pool, ongoing: Ongoing, now: float) -> None:
        super().__init__(pool.wheel, now, ongoing.timeouts.connect, ongoing.deadline)
        self._pool, self._ongoing = pool, ongoing

    def late(self, now: float) -> None:
        self._pool.too_late(self._ongoing, now)
