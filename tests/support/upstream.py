"""A provider that does what a coroutine says, on real sockets, and a receiver that writes down what it hears.

async def provider(peer: Peer) -> None:             # one connection
    while await peer.request() is not None:
        peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")

async with serving(provider) as server, client() as upstream:
    heard = send(upstream, server.url)
    await heard.over()
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from penstock.exchange import Broken, HTTPRequest, Timeouts
from penstock.gateway.upstream import Limits, NetworkSettings, Ongoing, Upstream

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
PATIENCE = 20.0
"""Seconds after which a test that hangs fails."""


class Peer:
    """The provider's end of one connection."""

    def __init__(self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server, self.reader, self.writer = server, reader, writer

    async def request(self) -> bytes | None:
        """The next request, head and body; None: the client left."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"\r\ncontent-length: (\d+)", head)
            asked = head + (await self.reader.readexactly(int(length[1])) if length else b"")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        self.server.asked.append(asked)
        return asked

    def say(self, data: bytes) -> None:
        with suppress(RuntimeError):  # uvloop's word for a client that left
            self.writer.write(data)

    async def gone(self) -> None:
        """Wait until the client closes."""
        with suppress(ConnectionError):
            while await self.reader.read(65536):
                pass

    def reset(self) -> None:
        """End with RST."""
        connected = self.writer.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Handler = Callable[[Peer], Awaitable[None]]


class Server:
    """Where it listens, what it was asked, and how many connections there were (`open`: are)."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.asked: list[bytes] = []
        self.connections = self.open = 0
        self.failures: list[BaseException] = []
        self.url = ""
        self.port = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open += 1
        try:
            await self.handler(Peer(self, reader, writer))
        except asyncio.CancelledError:
            pass
        except ConnectionError:
            pass
        except Exception as error:
            self.failures.append(error)
        finally:
            self.open -= 1
            self._tasks.discard(task)
            writer.close()

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)


@asynccontextmanager
async def serving(
    handler: Handler, tls: ssl.SSLContext | None = None, path: str | None = None, limit: int = 2**16
) -> AsyncIterator[Server]:
    """A server on a port of its own, or (`path`) on a Unix socket."""
    server = Server(handler)
    if path is not None:
        listening = await asyncio.start_unix_server(server.serve, path, limit=limit)
        server.url = f"unix:{path}:"
    else:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls, limit=limit)
        server.port = listening.sockets[0].getsockname()[1]
        server.url = f"https://localhost:{server.port}" if tls else f"http://127.0.0.1:{server.port}"
    try:
        yield server
    finally:
        listening.close()
        await server.stop()
    assert not server.failures, server.failures


class Heard:
    """A receiver. `told` has the names of what was called, in order; `on` maps a name to what to do then."""

    def __init__(self, **on: Callable[[Heard], None]) -> None:
        self.told: list[str] = []
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.pieces: list[bytes] = []
        self.why: Broken | None = None
        self.ongoing: Ongoing | None = None
        self._on = on
        self._changed = asyncio.Event()

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.status, self.headers = status, headers
        self._tell("head")

    def data(self, data: bytes) -> None:
        assert data
        self.pieces.append(data)
        self._tell("data")

    def end(self) -> None:
        self._tell("end")

    def broken(self, why: Broken) -> None:
        self.why = why
        self._tell("broken")

    def _tell(self, what: str) -> None:
        assert "end" not in self.told and "broken" not in self.told, f"{what} after {self.told}"
        self.told.append(what)
        self._changed.set()
        if what in self._on:
            self._on[what](self)

    async def until(self, condition: Callable[[Heard], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()

    async def over(self) -> Heard:
        await self.until(lambda heard: "end" in heard.told or "broken" in heard.told)
        return self


def ask(url: str, body: bytes = b"{}", method: str = "POST", **headers: str) -> HTTPRequest:
    return HTTPRequest(method, url, tuple((name.replace("_", "-"), value) for name, value in headers.items()), body)


def send(
    upstream: Upstream,
    request: HTTPRequest | str,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
    seconds_left: float | None = None,
    network: NetworkSettings = NetworkSettings(),  # noqa: B008 - frozen
    heard: Heard | None = None,
) -> Heard:
    heard = heard or Heard()
    asked = ask(request) if isinstance(request, str) else request
    heard.ongoing = upstream.send(asked, timeouts, seconds_left, network, heard)
    assert not heard.told, "nothing is told from within send"
    return heard


@asynccontextmanager
async def client(
    limits: Limits = Limits(),  # noqa: B008 - frozen
    environment: dict[str, str] | None = None,
    grain: float = 0.01,
) -> AsyncIterator[Upstream]:
    upstream = Upstream(asyncio.get_running_loop(), limits, environment or {}, grain)
    try:
        yield upstream
    finally:
        await upstream.aclose()


async def turns(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.005)
