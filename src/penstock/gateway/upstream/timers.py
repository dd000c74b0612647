"""Timers: one coarse clockwork for all timeouts, so that a request costs none.

What can be late has a moment (`due`, seconds of the monotonic clock). It lies in the bucket of a tick not after that
moment; when the tick comes, it is looked at: due means told, not yet due means laid into a later bucket. So a moment
that only moves back, as that of a connection in use does with each request, is an assignment. Timeouts are late by up
to one grain. While nothing waits, nothing ticks.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from time import monotonic

__all__ = ["NEVER", "Awaited", "Timed", "Wheel"]

NEVER = math.inf
BEHIND = 0.25
"""Seconds by which the loop may be late without being called busy."""
PATIENCE = 4
"""How many times its time something may take, when the loop is busy."""


class Timed:
    """Something that can be late. Whoever moves `due` to before `looked_at` calls `Wheel.place`."""

    __slots__ = ("due", "looked_at", "tick")

    def __init__(self) -> None:
        self.due = NEVER
        self.looked_at = NEVER
        self.tick = 0

    def is_due(self, now: float) -> None:
        """Its moment has come. It lies in no bucket now; a later `due` set here counts."""
        raise NotImplementedError


class Wheel:
    """The clockwork. `grain`: seconds between two ticks; `clock`: seconds that only grow.

    behind  seconds by which the last tick came late: for so long the loop had no time for anybody
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, grain: float = 0.1, clock: Callable[[], float] = monotonic
    ) -> None:
        self._loop, self._grain, self._clock = loop, grain, clock
        self._buckets: dict[int, set[Timed]] = {}
        self._turned = 0
        self._next = 0.0
        self.behind = 0.0
        self._handle: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))

    def place(self, timed: Timed) -> None:
        """Lay it where its `due` is not missed."""
        if timed.tick:
            self.remove(timed)
        if timed.due == NEVER:
            return
        if self._handle is None:
            now = self._clock()
            self._turned, self._next = int(now / self._grain), now + self._grain
            self._handle = self._loop.call_later(self._grain, self._turn)
        timed.tick = max(int(timed.due / self._grain) + 1, self._turned + 1)
        timed.looked_at = timed.tick * self._grain
        self._buckets.setdefault(timed.tick, set()).add(timed)

    def remove(self, timed: Timed) -> None:
        """It can be late no more."""
        bucket = self._buckets.get(timed.tick)
        if bucket is not None:
            bucket.discard(timed)
            if not bucket:
                del self._buckets[timed.tick]
        timed.tick, timed.looked_at = 0, NEVER

    def stop(self) -> None:
        """Forget all."""
        self._buckets.clear()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _turn(self) -> None:
        now = self._clock()
        self.behind, self._next = max(0.0, now - self._next), now + self._grain
        tick = int(now / self._grain)
        passed, self._turned = range(self._turned + 1, tick + 1), tick
        for bucket in [self._buckets.pop(each) for each in passed if each in self._buckets]:
            for timed in bucket:
                timed.tick, timed.looked_at = 0, NEVER
            for timed in bucket:
                self._look_at(timed, now)
        self._handle = self._loop.call_later(self._grain, self._turn) if self._buckets else None

    def _look_at(self, timed: Timed, now: float) -> None:
        if timed.tick:
            return  # it was laid elsewhere by what another one of this bucket did
        if timed.due <= now:
            try:
                timed.is_due(now)
            except Exception as error:  # the clockwork goes on for all others
                self._loop.call_exception_handler({"message": "a timeout could not be told", "exception": error})
                timed.due = NEVER
        if timed.due > now and not timed.tick:
            self.place(timed)


class Awaited(Timed):
    """Something that comes about in several turns of the loop, as a connection does, and may take `seconds` (None: any
    time), but not beyond `deadline`. A loop that is busy sees late what is there already: for as long as it was behind,
    the moment moves, until all has taken `PATIENCE` times as long.
    """

    __slots__ = ("_latest", "_wheel")

    def __init__(self, wheel: Wheel, now: float, seconds: float | None, deadline: float = NEVER) -> None:
        super().__init__()
        self._wheel = wheel
        self.due = deadline if seconds is None else min(now + seconds, deadline)
        self._latest = deadline if seconds is None else min(now + seconds * PATIENCE, deadline)

    def is_due(self, now: float) -> None:
        behind = self._wheel.behind
        if behind > BEHIND and now < self._latest:
            self.due = min(now + behind, self._latest)
        else:
            self.late(now)

    def late(self, now: float) -> None:
        """Its moment has come indeed."""
        raise NotImplementedError
