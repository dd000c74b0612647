"""What the keeper answers, on its way through a worker: whole, or, where it is told piece by piece, as it comes."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from penstock.gateway.control_plane import ControlPlane
from penstock.gateway.http.connection import Connection, Limits
from penstock.gateway.http.connections import Connections
from penstock.gateway.http.inbound import Answer, Inbound
from penstock.gateway.upstream import Upstream

PIECE = b"x" * 65536
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nx-penstock-total: 3\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
REQUEST = b"GET /spend/logs HTTP/1.1\r\nhost: h\r\n\r\n"

Keep = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Worker:
    """As much of a worker as passes requests on to the keeper."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane

    def admit(self, inbound: Inbound) -> Answer | None:
        return None

    def answer(self, inbound: Inbound) -> None:
        self._plane.begin(None, inbound, None)

    def malformed(self, status: int, message: str) -> Answer:
        return Answer(status, b"", message.encode())


@asynccontextmanager
async def between(keep: Keep) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A client's connection to a worker, whose keeper answers by `keep`."""

    async def kept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        with suppress(ConnectionError):
            await keep(writer)
        writer.close()

    loop = asyncio.get_running_loop()
    upstream = Upstream(loop)
    with tempfile.TemporaryDirectory() as folder:
        address = str(Path(folder, "keeper"))
        keeper = await asyncio.start_unix_server(kept, address)
        connections, worker = Connections(loop), Worker(ControlPlane(upstream, address))
        server = await loop.create_server(lambda: Connection(worker, Limits(), connections), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), limit=65536)
        try:
            yield reader, writer
        finally:
            writer.close()
            server.close()
            keeper.close()
            await upstream.aclose()
            connections.close()


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 30))


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The pieces of a body, to its end."""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        yield (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)


def test_an_answer_of_known_length_is_passed_on_whole() -> None:
    async def keep(keeper: asyncio.StreamWriter) -> None:
        keeper.write(HEAD + b"content-length: 5\r\n\r\nhel")
        await keeper.drain()
        keeper.write(b"lo")

    async def scenario() -> None:
        async with between(keep) as (reader, writer):
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"content-length: 5\r\n" in head and b"transfer-encoding" not in head
            assert await reader.readexactly(5) == b"hello"

    run(scenario)


def test_an_answer_in_pieces_is_passed_on_as_they_come() -> None:
    async def scenario() -> None:
        arrived = asyncio.Event()

        async def keep(keeper: asyncio.StreamWriter) -> None:
            keeper.write(CHUNKED + chunk(b"first"))
            await arrived.wait()
            keeper.write(chunk(b"second") + b"0\r\n\r\n")

        async with between(keep) as (reader, writer):
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"x-penstock-total: 3\r\n" in head and head.count(b"transfer-encoding") == 1
            body = chunks(reader)
            assert await anext(body) == b"first"
            arrived.set()
            assert b"".join([piece async for piece in body]) == b"second"
            writer.write(REQUEST)
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200 "), "the connection is still good"

    run(scenario)


def test_whoever_reads_slowly_has_the_keeper_wait() -> None:
    """What waits for a client waits in the keeper's database, not in a worker."""
    pieces = 512

    async def scenario() -> None:
        told = 0

        async def keep(keeper: asyncio.StreamWriter) -> None:
            nonlocal told
            keeper.write(CHUNKED)
            for _ in range(pieces):
                keeper.write(chunk(PIECE))
                await keeper.drain()
                told += 1
            keeper.write(b"0\r\n\r\n")

        async with between(keep) as (reader, writer):
            writer.write(REQUEST)
            await reader.readuntil(b"\r\n\r\n")
            before = -1
            while before != told:
                before = told
                await asyncio.sleep(0.2)
            assert 0 < told < pieces
            assert sum([len(piece) async for piece in chunks(reader)]) == pieces * len(PIECE)
            assert told == pieces

    run(scenario)


def test_a_keeper_that_breaks_off_has_not_told_all() -> None:
    async def breaks_off(keeper: asyncio.StreamWriter) -> None:
        keeper.write(CHUNKED + chunk(b"half"))

    async def says_nothing(keeper: asyncio.StreamWriter) -> None:
        pass

    async def scenario() -> None:
        async with between(breaks_off) as (reader, writer):
            writer.write(REQUEST)
            with suppress(ConnectionResetError):  # what came before it may be lost, too
                assert not (await reader.read()).endswith(b"0\r\n\r\n")
        async with between(says_nothing) as (reader, writer):
            writer.write(REQUEST)
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 503 ")

    run(scenario)


def test_nobody_tells_on_who_has_left() -> None:
    async def scenario() -> None:
        noticed = asyncio.Event()

        async def keep(keeper: asyncio.StreamWriter) -> None:
            keeper.write(CHUNKED)
            try:
                while True:
                    keeper.write(chunk(PIECE))
                    await keeper.drain()
            except ConnectionError:
                noticed.set()

        async with between(keep) as (reader, writer):
            writer.write(REQUEST)
            await reader.readexactly(len(PIECE))
            writer.transport.abort()
            await noticed.wait()

    run(scenario)
