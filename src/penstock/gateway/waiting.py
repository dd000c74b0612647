"""Waiting: requests that wait in a line until somebody can be asked, in place of an error at once.

A request waits while every deployment of its group (and of the groups that it would fall back to) is at its most
requests in flight, has nothing left of its limits, or rests. Lines are per group, by priority and then in the order of
coming, and bounded for the worker as a whole; whoever has waited `queue_seconds` is answered 503 with Retry-After.

It costs nothing where nobody waits: a line is made when the first joins it, and the router tells of freed deployments
only while there is one. The event loop's `call_later` is the only clock that it sets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from penstock.gateway.route import Route, RouteRequest
from penstock.gateway.router import FREED_ELSEWHERE, Router
from penstock.providers.errors import ProviderError
from penstock.routing.queue import Line, Ticket
from penstock.types.errors import ErrorResponse

_AGAIN = 1.0
"""Seconds after which a line is looked at again where nobody knows when there will be room."""
_SOONEST = 0.005


class Timer(Protocol):
    """What `call_later` returns."""

    def cancel(self) -> None: ...


class Waiting:
    """One who waits: `go` when there is room, `refuse` when that took too long."""

    __slots__ = ("go", "group", "refuse", "request", "ticket")

    def __init__(
        self, request: RouteRequest, group: str, go: Callable[[], None], refuse: Callable[[ErrorResponse], None]
    ) -> None:
        self.request, self.group, self.go, self.refuse = request, group, go, refuse
        self.ticket: Ticket[Waiting] | None = None


class WaitingRoom:
    """The lines of a worker.

    router       the router in force: exchanged with each snapshot (`use`)
    call_later   the event loop's: (seconds, function) -> timer
    """

    def __init__(self, router: Router, call_later: Callable[[float, Callable[[], None]], Timer]) -> None:
        self._call_later = call_later
        self._lines: dict[str, Line[Waiting]] = {}
        self._timer: Timer | None = None
        self._serving = self._looks = False
        self.use(router)

    def use(self, router: Router) -> None:
        """A new snapshot has come: its router decides from now on."""
        self.router = router
        router.freed = self._freed if self._lines else None
        self._serve_all()

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def enter(
        self, request: RouteRequest, go: Callable[[], None], refuse: Callable[[ErrorResponse], None]
    ) -> Waiting | None:
        """Call `go` at once if somebody can be asked and nobody waits for the same, else when that is so; or `refuse`.
        What it returns waits, and can `leave`.
        """
        router = self.router
        size, seconds = router.settings.queue_size, router.settings.queue_seconds
        if not size or not seconds:
            go()
            return None
        router.choose(request)
        try:
            group = router.group_of(request)
        except ProviderError:  # there is none to wait for, which its plan tells the caller
            go()
            return None
        line = self._lines.get(group)
        wait = router.busy_for(request) if not line else None
        if wait == 0.0:
            go()
            return None
        return self._join(Waiting(request, group, go, refuse), size, router.now() + seconds)

    def knows(self, route: Route) -> bool:
        """Whether there is a line, by the router that made this route, in which its request would not be first."""
        router = self.router
        return router is route.router and router.settings.queue_size > 0 and router.busy_for(route.request) != 0.0

    def enter_again(
        self,
        request: RouteRequest,
        go: Callable[[], None],
        refuse: Callable[[ErrorResponse], None],
        seconds: float,
        before: Waiting | None = None,
    ) -> Waiting | None:
        """As `enter`, for a request that had been told to go, and came late: another worker has taken the last place.
        It waits for `seconds` more, in the place that it had (`before`).
        """
        router = self.router
        waiting = Waiting(request, router.group_of(request), go, refuse)
        number = None if before is None or before.ticket is None else before.ticket.number
        return self._join(waiting, router.settings.queue_size, router.now() + seconds, number)

    def _join(self, waiting: Waiting, size: int, deadline: float, number: int | None = None) -> Waiting | None:
        line = self._lines.setdefault(waiting.group, Line(size))
        line.most = max(len(line), size - (len(self) - len(line)))
        priority = waiting.request.overrides.priority
        ticket, out = line.join(waiting, 0 if priority is None else priority, deadline, number)
        if out is not None:
            out.value.refuse(self._sorry(out.value, "others came before it in a full line"))
        if ticket is None:
            self._forget(waiting.group)
            waiting.refuse(self._sorry(waiting, "the line is full"))
            return None
        waiting.ticket = ticket
        self.router.freed = self._freed
        self._set_timer()
        return waiting

    def leave(self, waiting: Waiting) -> None:
        """Its client has left."""
        line = self._lines.get(waiting.group)
        if line is not None and waiting.ticket is not None:
            line.leave(waiting.ticket)
            self._forget(waiting.group)

    # -- who is next --------------------------------------------------------------------------------------------------

    def _freed(self, deployment: str) -> None:
        """A request of a deployment is over: somebody who waits may have its place. (Which of the lines it is, a lookup
        per line says faster than an index would that must follow every snapshot.) Where workers share the deployment,
        those who wait at another one have the same chance: they look for it every now and then.
        """
        router = self.router
        if not router.table.is_limited(deployment):
            self._serve_all()
        elif not self._looks:
            self._looks = True
            self._call_later(router.random() * FREED_ELSEWHERE, self._look)

    def _look(self) -> None:
        self._looks = False
        self._serve_all()

    def _serve_all(self) -> None:
        if self._serving:  # a call that went at once and failed at once frees its deployment while others are served
            return
        self._serving = True
        try:
            for group in list(self._lines):
                self._serve(group)
        finally:
            self._serving = False
        self._set_timer()

    def _serve(self, group: str) -> None:
        line = self._lines[group]
        for late in line.late(self.router.now()):
            late.value.refuse(self._sorry(late.value, "it waited as long as it may"))
        for _ in range(len(line)):  # who comes late waits for the next time
            first = line.first()
            if first is None or self.router.busy_for(first.value.request) != 0.0:
                break
            line.pop()
            first.value.go()
        self._forget(group)

    def _forget(self, group: str) -> None:
        """Lines of nobody are not kept, and while there are none the router tells nothing."""
        if not self._lines[group]:
            del self._lines[group]
        if not self._lines:
            self.router.freed = None
            self._cancel()

    def _set_timer(self) -> None:
        self._cancel()
        if not self._lines:
            return
        now, waits = self.router.now(), [_AGAIN]
        for line in self._lines.values():
            deadline, first = line.next_deadline(), line.first()
            if deadline is not None:
                waits.append(deadline - now)
            if first is not None and (busy := self.router.busy_for(first.value.request)) is not None:
                waits.append(busy)
        self._timer = self._call_later(max(_SOONEST, min(waits)), self._serve_all)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sorry(self, waiting: Waiting, why: str) -> ErrorResponse:
        busy: Any = self.router.busy_for(waiting.request)
        return ErrorResponse(
            kind="unavailable",
            status=503,
            message=f"nobody of {waiting.request.group!r} can be asked now, and {why}",
            native="queue",
            retry_after=max(1.0, busy or 1.0),
        )
