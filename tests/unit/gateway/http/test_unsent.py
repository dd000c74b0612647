"""What was answered and waits in the outbox while the connection goes on: the client's next request, its end, ours."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from penstock.gateway.http.connection import Connection, Limits
from penstock.gateway.http.connections import Connections
from penstock.gateway.http.inbound import Answer, Inbound

Run = Callable[[Callable[[], Awaitable[None]]], None]
BODY = b"a" * 50_000
"""Less than a transport takes before it says that it is full; two are more."""


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    def run(scenario: Callable[[], Awaitable[None]]) -> None:
        make = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=make) as runner:
            runner.run(asyncio.wait_for(scenario(), 20))

    return run


class Service:
    """Answers at once, but for /later."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.later: Any = None

    def admit(self, inbound: Inbound) -> Answer | None:
        return None

    def answer(self, inbound: Inbound) -> None:
        self.seen.append(inbound.path)
        if inbound.path == "/later":
            self.later = inbound
        else:
            inbound.respond(200, b"", BODY)

    def malformed(self, status: int, message: str) -> Answer:
        return Answer(status, b"", message.encode())


class Served:
    """A connection with little room on its way, and the client's end of it."""

    def __init__(self, service: Service, connections: Connections, ours: Connection, client: socket.socket) -> None:
        self.service, self.connections, self.ours, self.client = service, connections, ours, client

    async def ask(self, *paths: str) -> None:
        """In one piece."""
        asked = b"".join(b"GET %b HTTP/1.1\r\nhost: h\r\n\r\n" % path.encode() for path in paths)
        before = len(self.service.seen)
        await asyncio.get_running_loop().sock_sendall(self.client, asked)
        while len(self.service.seen) == before:  # noqa: ASYNC110  # what is waited for tells nobody
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)

    async def read(self) -> bytes:
        """All, to the end."""
        loop, pieces = asyncio.get_running_loop(), list[bytes]()
        while piece := await loop.sock_recv(self.client, 65536):
            pieces.append(piece)
        return b"".join(pieces)


@asynccontextmanager
async def served() -> AsyncIterator[Served]:
    loop = asyncio.get_running_loop()
    service, connections = Service(), Connections(loop)
    ours, theirs = socket.socketpair()
    for each in (ours, theirs):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        each.setblocking(False)
    _, protocol = await loop.create_connection(lambda: Connection(service, Limits(), connections), sock=ours)
    try:
        yield Served(service, connections, protocol, theirs)
    finally:
        connections.abort()
        theirs.close()
        connections.close()
        await asyncio.sleep(0.01)


def test_a_stream_behind_an_unread_answer_is_told_that_nobody_reads(run: Run) -> None:
    """The answer before it is found too much when it leaves the outbox. By then this request is under way, and as long
    as it had not begun to answer there was nobody to be told.
    """

    async def scenario() -> None:
        async with served() as here:
            await here.ask("/a")
            assert not here.ours.full
            await here.ask("/a", "/later")
            assert here.ours.full
            slow: list[bool] = []
            stream = here.service.later
            stream.begin(200, b"")
            stream.pace(slow.append)
            assert slow == [True]
            stream.end(b"last")
            reading = asyncio.create_task(here.read())
            while here.ours.full:  # noqa: ASYNC110  # what is waited for tells nobody
                await asyncio.sleep(0.001)
            here.connections.drain()
            read = await reading
            assert read.count(BODY) == 2 and read.endswith(b"4\r\nlast\r\n0\r\n\r\n")

    run(scenario)


def test_nobody_is_told_of_a_client_that_has_left(run: Run) -> None:
    """What a provider says is still read for what it cost: it must not wait for a reader that never comes."""

    async def scenario() -> None:
        async with served() as here:
            await here.ask("/a")
            await here.ask("/a", "/later")
            here.ours.abort()
            await asyncio.sleep(0.01)
            slow: list[bool] = []
            here.service.later.pace(slow.append)
            assert slow == []

    run(scenario)


def test_a_client_that_has_said_all_hears_the_answer(run: Run) -> None:
    """Its end is in the bytes behind the request, and the loop tells both before it turns. Then it closes its own
    transport, which sends what was written to it, and knows nothing of what was not.
    """

    async def scenario() -> None:
        async with served() as here:
            transport = here.ours.transport._transport
            here.ours.data_received(b"GET /a HTTP/1.1\r\nhost: h\r\n\r\n")
            here.ours.eof_received()
            transport.close()
            assert (await here.read()).endswith(BODY)

    run(scenario)


def test_nothing_is_begun_on_a_connection_that_closes(run: Run) -> None:
    """The worker drains: a request that waits behind the last one that is answered is not made, and not paid for."""

    async def scenario() -> None:
        async with served() as here:
            await here.ask("/a")
            await here.ask("/later", "/a")
            here.connections.drain()
            here.service.later.respond(200, b"", BODY)
            assert here.ours.full
            assert (await here.read()).count(BODY) == 2
            assert here.service.seen == ["/a", "/later"]

    run(scenario)
