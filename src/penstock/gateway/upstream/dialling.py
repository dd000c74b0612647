"""Dialling: from a route to an open connection: name, TCP, proxy, TLS. The one place that waits in a task: a connection
is made once and used by many requests.

Addresses are tried in turn, each a quarter second after the one before it, or as soon as that one failed (Happy
Eyeballs, RFC 8305): a host whose IPv6 leads nowhere costs 250 ms. Behind a proxy an https origin is reached by CONNECT
(RFC 9110, 9.3.6); an http one is asked for by its whole URL (heads.py).
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from msgspec import Struct

from penstock.gateway.upstream.names import Address, Names
from penstock.gateway.upstream.origins import Origin, Unsendable
from penstock.gateway.upstream.proxies import Proxy
from penstock.gateway.upstream.settings import NetworkSettings
from penstock.gateway.upstream.tls import Contexts

__all__ = ["Dialler", "Refused", "Route"]

HEAD_START = 0.25
"""Seconds that an address has for itself: RFC 8305, 5."""


class Route(Struct, frozen=True):
    """Whom to reach, and how."""

    origin: Origin
    proxy: Proxy | None
    network: NetworkSettings


class Refused(Exception):
    """No connection could be made. The message says why."""


class Dialler:
    """Makes connections."""

    def __init__(self, loop: asyncio.AbstractEventLoop, names: Names, contexts: Contexts) -> None:
        self._loop, self._names, self._contexts = loop, names, contexts

    async def dial(self, route: Route, make: Callable[[], asyncio.Protocol]) -> None:
        """Make the protocol and connect it. Raises Refused."""
        try:
            await self._dial(route, make)
        except (OSError, Unsendable, UnicodeError) as error:
            raise Refused(_why(error, route)) from None

    async def _dial(self, route: Route, make: Callable[[], asyncio.Protocol]) -> None:
        origin, proxy = route.origin, route.proxy
        if origin.scheme == "unix":
            await self._loop.create_unix_connection(make, origin.host)
        elif proxy is None:
            await self._connect(origin, route, make)
        elif origin.scheme == "http":
            await self._connect(proxy.origin, route, make)
        else:
            await self._tunnel(proxy, route, make)

    async def _connect(
        self, origin: Origin, route: Route, make: Callable[[], Any]
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """A connection to `origin` itself, with TLS where its scheme says so."""
        context = self._contexts.context(route.network) if origin.scheme == "https" else None
        connected = await self._reach(await self._names.addresses(origin.host, origin.port))
        name = origin.host if context is not None else None
        try:
            return await self._loop.create_connection(make, sock=connected, ssl=context, server_hostname=name)
        except BaseException:
            connected.close()
            raise

    async def _tunnel(self, proxy: Proxy, route: Route, make: Callable[[], asyncio.Protocol]) -> None:
        transport, found = await self._connect(proxy.origin, route, lambda: _Connect(self._loop))
        assert isinstance(found, _Connect)
        try:
            transport.write(_connect_head(route.origin, proxy))
            await found.opened
            protocol, context = make(), self._contexts.context(route.network)
            secured = await self._loop.start_tls(transport, protocol, context, server_hostname=route.origin.host)
        except BaseException:
            transport.abort()
            raise
        assert secured is not None
        protocol.connection_made(secured)

    async def _reach(self, addresses: list[Address]) -> socket.socket:
        """The first of the addresses that answers."""
        if len(addresses) == 1:
            return await self._to(addresses[0])
        failures: list[OSError] = []
        trying: set[asyncio.Task[socket.socket]] = set()
        waiting = list(addresses)
        try:
            while waiting or trying:
                if waiting:
                    trying.add(self._loop.create_task(self._to(waiting.pop(0))))
                done, trying = await asyncio.wait(
                    trying, timeout=HEAD_START if waiting else None, return_when=asyncio.FIRST_COMPLETED
                )
                reached = [task.result() for task in done if not _failed(task, failures)]
                for spare in reached[1:]:
                    spare.close()
                if reached:
                    return reached[0]
        finally:
            await _give_up(trying)
        raise failures[0]

    async def _to(self, address: Address) -> socket.socket:
        family, where = address
        connecting = socket.socket(family, socket.SOCK_STREAM)
        try:
            connecting.setblocking(False)
            await self._loop.sock_connect(connecting, where)
            _set_options(connecting)
        except BaseException:
            connecting.close()
            raise
        return connecting


def _failed(task: asyncio.Task[socket.socket], failures: list[OSError]) -> bool:
    error = task.exception()
    if isinstance(error, OSError):
        failures.append(error)
    elif error is not None:
        raise error
    return error is not None


async def _give_up(trying: set[asyncio.Task[socket.socket]]) -> None:
    """Stop what is still trying; what succeeds at this very moment is closed."""
    for task in trying:
        task.cancel()
    for outcome in await asyncio.gather(*trying, return_exceptions=True):
        if isinstance(outcome, socket.socket):
            outcome.close()


def _set_options(connected: socket.socket) -> None:
    """No waiting to fill packets; and a sign of life each minute: models think longer than a NAT remembers."""
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL"):
        if hasattr(socket, name):
            with suppress(OSError):
                connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), 60)


def _why(error: Exception, route: Route) -> str:
    if isinstance(error, Unsendable):
        return str(error)
    where, by = route.origin, f" by way of the proxy {route.proxy.origin}" if route.proxy else ""
    if isinstance(error, socket.gaierror):
        return f"the name could not be looked up ({error.strerror or error}){by}: is {where} the right address?"
    return f"no connection could be made ({_said(error)}){by}: is {where} the right address?"


def _said(error: Exception) -> str:
    """What went wrong, in the words of whoever knows best: of a certificate, why it does not hold; else the system."""
    if hasattr(error, "reason"):  # ssl's errors have one, and an errno that is none
        return getattr(error, "verify_message", "") or str(error.reason) or str(error)
    errno = getattr(error, "errno", None)
    return os.strerror(errno) if errno else str(error) or type(error).__name__


def _connect_head(origin: Origin, proxy: Proxy) -> bytes:
    where = origin.host_and_port
    return f"CONNECT {where} HTTP/1.1\r\nhost: {where}\r\n{proxy.authorization}\r\n".encode("ascii")


class _Connect(asyncio.Protocol):
    """Waits for a proxy's answer to CONNECT. `opened` is done when the tunnel is, or fails with OSError."""

    LONGEST = 16 * 1024
    """Bytes that its head may have."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.opened: asyncio.Future[None] = loop.create_future()
        self._heard = b""

    def data_received(self, data: bytes) -> None:
        self._heard += data
        head, end, more = self._heard.partition(b"\r\n\r\n")
        if not end and len(self._heard) <= self.LONGEST:
            return
        status = head.split(b" ", 2)[1:2] if head.startswith(b"HTTP/1.") else []
        if not end or not status:
            self._fail("the proxy's answer is not HTTP")
        elif not (status[0].startswith(b"2") and len(status[0]) == 3 and status[0].isdigit()):
            self._fail(f"the proxy answered {status[0][:20].decode('latin-1')}")
        elif more:
            self._fail("the proxy sent something before we spoke")
        elif not self.opened.done():
            self.opened.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._fail("the proxy closed the connection")

    def _fail(self, why: str) -> None:
        if not self.opened.done():
            self.opened.set_exception(OSError(why))
            self.opened.exception()  # who waited may have gone
