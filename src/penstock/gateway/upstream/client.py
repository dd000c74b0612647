"""The client: routes requests to their pools. `send` is the whole hot path: look the head up, take an idle connection,
write.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from time import monotonic

from penstock.exchange import Broken, HTTPRequest, Timeouts
from penstock.gateway.outbox import Outbox
from penstock.gateway.upstream.connection import Connection
from penstock.gateway.upstream.dialling import Dialler, Refused, Route
from penstock.gateway.upstream.heads import Head, Lines, Start
from penstock.gateway.upstream.names import Names
from penstock.gateway.upstream.ongoing import Ongoing, Receiver
from penstock.gateway.upstream.origins import Origin, Unsendable, parse
from penstock.gateway.upstream.pool import CLOSING, Pool, PoolStats
from penstock.gateway.upstream.proxies import Proxy, ProxyRules, as_proxy
from penstock.gateway.upstream.settings import Limits, NetworkSettings
from penstock.gateway.upstream.timers import NEVER, Awaited, Wheel
from penstock.gateway.upstream.tls import Contexts

__all__ = ["Upstream"]

REMEMBERED = 1024
"""Heads, lines of heads and URLs that are kept, each."""


class Upstream:
    """Connections to providers, for one event loop.

    limits       for each route
    environment  variables that may name proxies and certificate authorities; read now
    grain        seconds by which a timeout may be late
    clock        seconds that only grow
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: Limits = Limits(),  # noqa: B008 - a frozen value
        environment: Mapping[str, str] | None = None,
        grain: float = 0.1,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        environment = dict(os.environ if environment is None else environment)
        self._loop, self._limits, self._clock = loop, limits, clock
        self._wheel = Wheel(loop, grain, clock)
        self._outbox = Outbox(loop)
        self._names = Names(loop)
        self._dialler = Dialler(loop, self._names, Contexts(environment))
        self._rules = ProxyRules(environment)
        self._pools: dict[Route, Pool] = {}
        self._heads: dict[object, tuple[Head, Pool]] = {}
        self._starts: dict[object, tuple[Start, Pool]] = {}
        self._lines: Lines = {}
        self._dialling: set[asyncio.Task[None]] = set()
        self._closed = False

    def send(
        self,
        request: HTTPRequest,
        timeouts: Timeouts,
        seconds_left: float | None,
        network: NetworkSettings,
        receiver: Receiver,
    ) -> Ongoing:
        """Send a request; the receiver hears of it later, never from within this call. Seconds: None is forever.

        `timeouts.connect` runs until there is a connection, `first_token` from then to the first byte of the body,
        `between_tokens` between two pieces of it, `seconds_left` over it all (`timeouts.total` is the exchange's).
        """
        now = self._clock()
        deadline = NEVER if seconds_left is None else now + seconds_left
        found = self._heads.get((request.url, request.headers, request.method, network))
        if found is None:
            return self._send_first(request, timeouts, deadline, network, receiver, now)
        head, pool = found
        ongoing = Ongoing(receiver, request, head, timeouts, deadline, self._loop)
        pool.send(ongoing, now)
        return ongoing

    def _send_first(
        self,
        request: HTTPRequest,
        timeouts: Timeouts,
        deadline: float,
        network: NetworkSettings,
        receiver: Receiver,
        now: float,
    ) -> Ongoing:
        """Send one whose head is not known yet, if it can have one."""
        ongoing = Ongoing(receiver, request, None, timeouts, deadline, self._loop)
        try:
            ongoing.head, pool = self._remember(request, network)
        except Unsendable as error:
            self._loop.call_soon(ongoing.fail, Broken("protocol", str(error), sent=False))
            return ongoing
        if self._closed:
            self._loop.call_soon(ongoing.fail, Broken("connect", CLOSING, sent=False))
        else:
            pool.send(ongoing, now)
        return ongoing

    def _remember(self, request: HTTPRequest, network: NetworkSettings) -> tuple[Head, Pool]:
        """Make its head. What no other request will ask for again is soon forgotten."""
        if len(self._heads) >= REMEMBERED or len(self._lines) >= REMEMBERED:
            self._forget()
        key = (request.url, request.method, network)
        found = self._starts.get(key)
        if found is None:
            found = self._starts[key] = self._start(request, network)
        start, pool = found
        head = start.head(request.headers, self._lines)
        self._heads[request.url, request.headers, request.method, network] = head, pool
        return head, pool

    def _start(self, request: HTTPRequest, network: NetworkSettings) -> tuple[Start, Pool]:
        place = parse(request.url)
        proxy = self._proxy(place.origin, network)
        by_proxy = proxy is not None and place.origin.scheme == "http"
        authorization = proxy.authorization if proxy is not None and by_proxy else ""
        start = Start(request.method, place, by_proxy, authorization)
        return start, self._pool(Route(place.origin, proxy, network))

    def _forget(self) -> None:
        """Start anew with heads and lines. Where one works at many URLs, with those too, and with unused pools."""
        self._heads.clear()
        self._lines.clear()
        if len(self._starts) >= REMEMBERED:
            self._starts.clear()
            self._pools = {route: pool for route, pool in self._pools.items() if not pool.unused}

    def _proxy(self, origin: Origin, network: NetworkSettings) -> Proxy | None:
        if origin.scheme == "unix":
            return None
        if network.proxy is not None:
            return as_proxy(network.proxy)
        return self._rules.proxy(origin) if network.trust_environment else None

    def _pool(self, route: Route) -> Pool:
        pool = self._pools.get(route)
        if pool is None:
            pool = self._pools[route] = Pool(route, self._limits, self._wheel, self._outbox, self._clock, self._dial)
        return pool

    def _dial(self, pool: Pool, seconds: float | None) -> None:
        task = self._loop.create_task(self._dial_for(pool, seconds))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _dial_for(self, pool: Pool, seconds: float | None) -> None:
        connection, made = Connection(pool), False
        why: Broken | None = None
        try:
            async with asyncio.timeout(None) as patience:
                dialling = _Dialling(self._wheel, self._clock(), seconds, patience)
                self._wheel.place(dialling)
                try:
                    await self._dialler.dial(pool.route, lambda: connection)
                finally:
                    self._wheel.remove(dialling)
            made = connection.alive
            if not made:
                why = Broken("connect", f"the connection was closed as soon as it was made: {pool.route.origin}", False)
        except TimeoutError:
            pass  # who waits counts its own time
        except Refused as error:
            why = Broken("connect", str(error), sent=False)
        except Exception as error:  # a fault of ours: who waits shall not wait in vain
            why = Broken("connect", f"no connection could be made ({error!r})", sent=False)
        finally:
            if made:
                pool.opened(connection)
            else:
                connection.abort()
                pool.not_opened(why)

    def stats(self) -> list[PoolStats]:
        """What each pool holds, for metrics. Two pools may have one origin: by different proxies or certificates."""
        return [pool.stats() for pool in self._pools.values()]

    async def aclose(self) -> None:
        """Close idle connections, end requests that go on (they are `broken`), and refuse new ones."""
        self._closed = True
        self._heads.clear()
        for pool in self._pools.values():
            pool.close()
        self._names.close()
        dialling = list(self._dialling)
        for task in dialling:
            task.cancel()
        await asyncio.gather(*dialling, return_exceptions=True)
        self._wheel.stop()
        await asyncio.sleep(0)  # so that transports tell that they are closed


class _Dialling(Awaited):
    """A connection that is being made, in the clockwork."""

    __slots__ = ("_patience",)

    def __init__(self, wheel: Wheel, now: float, seconds: float | None, patience: asyncio.Timeout) -> None:
        super().__init__(wheel, now, seconds)
        self._patience = patience

    def late(self, now: float) -> None:
        self._patience.reschedule(0.0)
