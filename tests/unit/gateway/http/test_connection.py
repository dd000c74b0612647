"""The listener: what is answered, in which order, and what is refused before anybody reads it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from penstock.gateway.http.connection import Connection, Limits
from penstock.gateway.http.connections import Connections
from penstock.gateway.http.inbound import Answer, Inbound

TEXT = b"content-type: text/plain\r\n"


async def until(so: Callable[[], object]) -> None:
    """Wait until it is so; the run's own limit ends one that never is."""
    while not so():  # noqa: ASYNC110  # see below
        await asyncio.sleep(0.01)  # what is waited for is another connection's doing, which sets no event


class Echo:
    """Answers with the body; `hold` keeps answers back until `let_go`."""

    def __init__(self) -> None:
        self.seen: list[Inbound] = []
        self.left = 0
        self.slow: list[bool] = []
        self.hold = False
        self.refuse: Answer | None = None

    def admit(self, inbound: Inbound) -> Answer | None:
        return self.refuse

    def answer(self, inbound: Inbound) -> None:
        self.seen.append(inbound)
        inbound.client_left = self._left
        inbound.slow = self.slow.append
        if not self.hold:
            inbound.respond(200, TEXT, inbound.body)

    def malformed(self, status: int, message: str) -> Answer:
        return Answer(status, TEXT, message.encode())

    def _left(self) -> None:
        self.left += 1


class Asking(Echo):
    """Must ask somebody before it admits a request, and hears a little later: all but /no may come in."""

    def admit(self, inbound: Inbound) -> Answer | None:
        inbound.pending = True
        refusal = Answer(401, TEXT, b"no") if inbound.path == "/no" else None
        asyncio.get_running_loop().call_later(0.05, inbound.connection.admitted, inbound, refusal)
        return None


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, bytes]:
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return int(head.split()[1]), await self.reader.readexactly(int(length.split()[1]))

    async def rest(self) -> bytes:
        return await asyncio.wait_for(self.reader.read(), 5)


Connect = Callable[[], Awaitable[Client]]


@asynccontextmanager
async def served(echo: Echo, limits: Limits | None = None) -> AsyncIterator[tuple[Connect, Connections]]:
    loop = asyncio.get_running_loop()
    connections = Connections(loop)
    server = await loop.create_server(lambda: Connection(echo, limits or Limits(), connections), "127.0.0.1", 0)
    clients: list[Client] = []

    async def connect() -> Client:
        clients.append(Client(*await asyncio.open_connection(*server.sockets[0].getsockname())))
        return clients[-1]

    try:
        yield connect, connections
    finally:
        for client in clients:
            client.writer.close()
        server.close()
        connections.close()


def post(body: bytes = b"hello", *more: bytes) -> bytes:
    lines = b"".join(line + b"\r\n" for line in more)
    return b"POST /a HTTP/1.1\r\nhost: x\r\n%bcontent-length: %d\r\n\r\n%b" % (lines, len(body), body)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_requests_of_one_connection_are_answered_in_their_order() -> None:
    async def scenario() -> None:
        echo = Echo()
        async with served(echo) as (connect, _):
            client = await connect()
            client.send(b"".join(post(b"%d" % number) for number in range(50)))
            assert [await client.answer() for _ in range(50)] == [(200, b"%d" % number) for number in range(50)]

    run(scenario)


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_a_request_may_come_in_any_pieces(size: int) -> None:
    async def scenario() -> None:
        async with served(Echo()) as (connect, _):
            client = await connect()
            data = post(b"x" * 200) + b"GET /b?c=%20d HTTP/1.1\r\nhost: y\r\n\r\n"
            for start in range(0, len(data), size):
                client.send(data[start : start + size])
                await asyncio.sleep(0)
            assert await client.answer() == (200, b"x" * 200)
            assert await client.answer() == (200, b"")

    run(scenario)


def test_what_a_request_says() -> None:
    async def scenario() -> None:
        echo = Echo()
        async with served(echo) as (connect, _):
            client = await connect()
            client.send(b"GET http://h:1/v1/a%20b?q=1%2F2 HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a: 2\r\n\r\n")
            await client.answer()
        found = echo.seen[0]
        assert (found.method, found.path, found.query) == ("GET", "/v1/a b", "q=1%2F2")
        assert found.headers[b"x-a"] == b"1, 2"
        assert found.header(b"none") == ""

    run(scenario)


REFUSED = {
    "two lengths": b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "two lengths in one": b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1, 2\r\n\r\nab",
    "length and chunks": (
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "chunks and length": (
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n"
    ),
    "a negative length": b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
    "a length with a sign": b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: +1\r\n\r\na",
    "a length in hexadecimal": b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0x1\r\n\r\na",
    "an endless length": b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999999\r\n\r\na",
    "a bare line feed": b"POST / HTTP/1.1\r\nhost: x\ncontent-length: 1\r\n\r\na",
    "a head of bare line feeds": b"GET / HTTP/1.1\nhost: x\n\n",
    "a folded header": b"GET / HTTP/1.1\r\nhost: x\r\nx-a: 1\r\n 2\r\n\r\n",
    "a space before the colon": b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length : 1\r\n\r\na",
    "a bad chunk size": b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\na\r\n0\r\n\r\n",
    "a signed chunk size": b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n",
    "a chunk that is longer than it says": (
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n"
    ),
    "an encoding that is none": b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunks not last": b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "two encodings": (
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "no version": b"GET /\r\n\r\n",
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a control character in a name": b"GET / HTTP/1.1\r\nhost: x\r\nx\x01a: 1\r\n\r\n",
    "a zero in a value": b"GET / HTTP/1.1\r\nhost: x\r\nx-a: 1\x002\r\n\r\n",
    "a carriage return in a value": b"GET / HTTP/1.1\r\nhost: x\r\nx-a: 1\r2\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
    "a tunnel": b"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n",
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_what_may_smuggle_is_refused_and_the_connection_ends(data: bytes) -> None:
    async def scenario() -> None:
        echo = Echo()
        async with served(echo) as (connect, _):
            client = await connect()
            client.send(data + post(b"smuggled"))
            said = await client.rest()
        assert said.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")), said
        assert said.count(b"HTTP/1.1 ") == 1
        assert b"smuggled" not in [each.body for each in echo.seen]

    run(scenario)


def test_an_offer_of_another_protocol_is_not_taken_up() -> None:
    async def scenario() -> None:
        async with served(Echo()) as (connect, _):
            client = await connect()
            offer = post(b"one", b"connection: upgrade, http2-settings", b"upgrade: h2c", b"http2-settings: AAMAAABk")
            client.send(offer + post(b"two"))
            assert await client.answer() == (200, b"one")
            assert await client.answer() == (200, b"two")

    run(scenario)


def test_a_head_that_is_too_long_is_refused() -> None:
    async def scenario() -> None:
        async with served(Echo(), Limits(head=1000)) as (connect, _):
            client = await connect()
            client.send(b"GET / HTTP/1.1\r\nhost: x\r\nx-a: " + b"a" * 2000)
            assert (await client.rest()).startswith(b"HTTP/1.1 431 ")

    run(scenario)


def test_a_head_that_is_too_long_is_refused_also_where_it_comes_at_once() -> None:
    async def scenario() -> None:
        async with served(Echo(), Limits(head=1000)) as (connect, _):
            client = await connect()
            client.send(b"GET / HTTP/1.1\r\nhost: x\r\nx-a: " + b"a" * 2000 + b"\r\n\r\n")
            assert (await client.rest()).startswith(b"HTTP/1.1 431 ")

    run(scenario)


def test_a_body_may_be_longer_than_a_head() -> None:
    async def scenario() -> None:
        async with served(Echo(), Limits(head=1000)) as (connect, _):
            client = await connect()
            client.send(post(b"a" * 2000, b"x-a: " + b"a" * 900))
            assert await client.answer() == (200, b"a" * 2000)

    run(scenario)


def test_too_many_headers_are_refused() -> None:
    async def scenario() -> None:
        async with served(Echo(), Limits(headers=10)) as (connect, _):
            client = await connect()
            client.send(b"GET / HTTP/1.1\r\nhost: x\r\n" + b"".join(b"x-%d: a\r\n" % n for n in range(20)) + b"\r\n")
            assert (await client.rest()).startswith(b"HTTP/1.1 431 ")

    run(scenario)


def test_a_body_that_is_announced_too_long_is_refused_before_it_is_read() -> None:
    async def scenario() -> None:
        echo = Echo()
        async with served(echo, Limits(body=10)) as (connect, _):
            client = await connect()
            client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 11\r\n\r\n")
            assert (await client.rest()).startswith(b"HTTP/1.1 413 ")
        assert not echo.seen

    run(scenario)


def test_a_chunked_body_that_grows_too_long_is_refused() -> None:
    async def scenario() -> None:
        echo = Echo()
        async with served(echo, Limits(body=10)) as (connect, _):
            client = await connect()
            client.send(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" + b"6\r\nabcdef\r\n" * 2)
            assert (await client.rest()).startswith(b"HTTP/1.1 413 ")
        assert not echo.seen

    run(scenario)


def test_who_is_refused_is_not_read_further() -> None:
    async def scenario() -> None:
        echo = Echo()
        echo.refuse = Answer(401, TEXT, b"no")
        async with served(echo) as (connect, _):
            client = await connect()
            client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n" + b"x" * 1000)
            said = await client.rest()
            assert said.startswith(b"HTTP/1.1 401 ")
            assert b"connection: close" in said
        assert not echo.seen

    run(scenario)


def test_who_is_refused_without_a_body_may_go_on() -> None:
    async def scenario() -> None:
        echo = Echo()
        echo.refuse = Answer(401, TEXT, b"no")
        async with served(echo) as (connect, _):
            client = await connect()
            client.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            assert await client.answer() == (401, b"no")
            echo.refuse = None
            client.send(post(b"yes"))
            assert await client.answer() == (200, b"yes")

    run(scenario)


def test_who_expects_to_be_told_to_go_on_is_told() -> None:
    async def scenario() -> None:
        async with served(Echo()) as (connect, _):
            client = await connect()
            client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n")
            assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.send(b"ab")
            assert await client.answer() == (200, b"ab")

    run(scenario)


def test_a_service_that_must_ask_somebody_first_is_waited_for() -> None:
    async def scenario() -> None:
        async with served(Asking()) as (connect, _):
            client = await connect()
            client.send(post(b"one") + post(b"two"))
            assert await client.answer() == (200, b"one")
            assert await client.answer() == (200, b"two")
            client.send(b"POST /no HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n")
            assert (await client.rest()).startswith(b"HTTP/1.1 401 ")

    run(scenario)


def test_who_is_refused_for_what_came_after_the_head_is_not_refused_again() -> None:
    """Others wait for the same answer: one that could not be given must not keep it from them."""
    asked: list[Inbound] = []

    class NeverTold(Echo):
        def admit(self, inbound: Inbound) -> Answer | None:
            inbound.pending = True
            asked.append(inbound)
            return None

    async def scenario() -> None:
        async with served(NeverTold()) as (connect, _):
            client = await connect()
            client.send(b"POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nno size\r\n")
            assert (await client.answer())[0] == 400
            asked[0].connection.admitted(asked[0], Answer(401, TEXT, b"no"))
            assert await client.rest() == b""

    run(scenario)


def test_garbage_behind_a_request_whose_key_is_looked_up_takes_not_its_answer() -> None:
    async def scenario() -> None:
        async with served(Asking()) as (connect, _):
            client = await connect()
            client.send(post(b"one") + b"no request at all\r\n\r\n")
            assert await client.answer() == (200, b"one")
            assert await client.rest() == b""

    run(scenario)


def test_a_client_that_goes_is_noticed() -> None:
    async def scenario() -> None:
        echo = Echo()
        echo.hold = True
        async with served(echo) as (connect, connections):
            client = await connect()
            client.send(post())
            await until(lambda: echo.seen)
            client.writer.close()
            await until(lambda: echo.left)
            echo.seen[0].respond(200, TEXT, b"late")  # to nobody
            assert echo.left == 1
            assert len(connections) == 0

    run(scenario)


def test_a_stream_is_chunked_and_a_slow_reader_is_told_of() -> None:
    async def scenario() -> None:
        echo = Echo()
        echo.hold = True
        async with served(echo) as (connect, _):
            client = await connect()
            client.send(post())
            await until(lambda: echo.seen)
            inbound = echo.seen[0]
            inbound.begin(200, TEXT)
            sent = 0
            while True not in echo.slow:
                inbound.write(b"x" * 65536)
                sent += 65536
                assert sent < 64 << 20
            head = await client.reader.readuntil(b"\r\n\r\n")
            assert b"transfer-encoding: chunked" in head
            read = 0
            while False not in echo.slow:
                size = int(await client.reader.readline(), 16)
                read += len(await client.reader.readexactly(size))
                await client.reader.readexactly(2)
            inbound.end(b"!")
            while size := int(await client.reader.readline(), 16):
                read += len(await client.reader.readexactly(size))
                await client.reader.readexactly(2)
            assert read == sent + 1

    run(scenario)


def test_an_old_client_reads_a_stream_to_the_end_of_the_connection() -> None:
    async def scenario() -> None:
        echo = Echo()
        echo.hold = True
        async with served(echo) as (connect, _):
            client = await connect()
            client.send(b"GET / HTTP/1.0\r\n\r\n")
            await until(lambda: echo.seen)
            echo.seen[0].begin(200, TEXT)
            echo.seen[0].write(b"abc")
            echo.seen[0].end(b"def")
            said = await client.rest()
        assert said.endswith(b"\r\n\r\nabcdef")
        assert b"chunked" not in said

    run(scenario)


def test_an_answer_that_cannot_be_completed_is_seen_to_be_cut() -> None:
    async def scenario() -> None:
        echo = Echo()
        echo.hold = True
        async with served(echo) as (connect, _):
            client = await connect()
            client.send(post())
            await until(lambda: echo.seen)
            echo.seen[0].begin(200, TEXT)
            echo.seen[0].write(b"abc")
            await client.reader.readuntil(b"abc\r\n")
            echo.seen[0].abort()
            with suppress(ConnectionResetError):
                assert await client.rest() == b""

    run(scenario)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Limits:
    monkeypatch.setattr("penstock.gateway.http.connections.GRAIN", 0.02)
    return Limits(head_seconds=0.2, body_silence=0.2, idle_seconds=0.2, unread_seconds=0.2)


SLOW = {
    "says nothing": (b"", b""),
    "does not finish a head": (b"GET / HTTP/1.1\r\nhost:", b"HTTP/1.1 408 "),
    "does not finish a body": (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nab", b"HTTP/1.1 408 "),
}


@pytest.mark.parametrize(("data", "said"), SLOW.values(), ids=SLOW)
def test_slow_senders_are_cut_off(data: bytes, said: bytes, impatient: Limits) -> None:
    async def scenario() -> None:
        async with served(Echo(), impatient) as (connect, _):
            client = await connect()
            client.send(data)
            answer = await client.rest()
            assert answer.startswith(said) if said else answer == b""

    run(scenario)


UNHEARD = {
    "of nothing yet": (b"", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"),
    "of half a head": (b"GET / HTTP/1.1\r\n", b"host: x\r\n\r\n"),
    "of a body": (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n", b"late"),
}


@pytest.mark.parametrize(("before", "after"), UNHEARD.values(), ids=UNHEARD)
def test_who_was_not_heard_in_time_is_not_late(before: bytes, after: bytes) -> None:
    """The loop was busy for longer than the deadline, and the sweep comes before what the client has sent."""

    async def scenario() -> None:
        async with served(Echo()) as (connect, connections):
            client = await connect()
            client.send(before)
            await until(lambda: len(connections))
            await asyncio.sleep(0.05)
            (connection,) = connections
            client.send(after)
            connection.too_late()
            assert (await client.answer())[0] == 200

    run(scenario)


def test_who_drips_a_body_is_cut_off_and_who_is_only_slow_is_not(impatient: Limits) -> None:
    async def scenario() -> None:
        async with served(Echo(), impatient) as (connect, _):
            dripping, slow = await connect(), await connect()
            for client in (dripping, slow):
                client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n")
            for _ in range(10):
                await asyncio.sleep(0.05)
                dripping.send(b"a")
                slow.send(b"a" * 100)
            assert (await dripping.rest()).startswith(b"HTTP/1.1 408 ")
            assert (await slow.answer())[1] == b"a" * 1000

    run(scenario)


class Generous(Echo):
    """Answers with more than the buffers on the way hold."""

    def answer(self, inbound: Inbound) -> None:
        self.seen.append(inbound)
        inbound.client_left = self._left
        inbound.respond(200, TEXT, b"x" * 8_000_000)


def test_nothing_more_is_begun_for_who_does_not_read() -> None:
    async def scenario() -> None:
        echo = Generous()
        async with served(echo) as (connect, _):
            client = await connect()
            client.reader._transport.pause_reading()  # type: ignore[attr-defined]  # asyncio's own, which it does not show
            client.send(post() * 3)
            await until(lambda: echo.seen)
            await asyncio.sleep(0.2)
            assert len(echo.seen) == 1
            client.reader._transport.resume_reading()  # type: ignore[attr-defined]  # asyncio's own, which it does not show
            for _ in range(3):
                assert len((await client.answer())[1]) == 8_000_000

    run(scenario)


def test_who_reads_nothing_is_left(impatient: Limits) -> None:
    async def scenario() -> None:
        echo = Generous()
        async with served(echo, impatient) as (connect, connections):
            client = await connect()
            client.reader._transport.pause_reading()  # type: ignore[attr-defined]  # asyncio's own, which it does not show
            client.send(post())
            await until(lambda: echo.seen)
            await until(lambda: not len(connections))

    run(scenario)


def test_a_slow_reader_of_a_stream_is_left_when_it_reads_nothing(impatient: Limits) -> None:
    async def scenario() -> None:
        echo = Echo()
        echo.hold = True
        async with served(echo, impatient) as (connect, _):
            client = await connect()
            client.reader._transport.pause_reading()  # type: ignore[attr-defined]  # asyncio's own, which it does not show
            client.send(post())
            await until(lambda: echo.seen)
            echo.seen[0].begin(200, TEXT)
            echo.seen[0].write(b"x" * 8_000_000)
            await until(lambda: echo.left)
            assert echo.slow == [True]

    run(scenario)


def test_a_client_that_goes_is_noticed_though_somebody_had_to_be_asked_first() -> None:
    async def scenario() -> None:
        echo = Asking()
        echo.hold = True
        async with served(echo) as (connect, _):
            client = await connect()
            client.send(post())
            await until(lambda: echo.seen)
            client.writer.close()
            await until(lambda: echo.left)

    run(scenario)


def test_a_slow_answer_is_not_a_slow_client(impatient: Limits) -> None:
    async def scenario() -> None:
        echo = Echo()
        echo.hold = True
        async with served(echo, impatient) as (connect, _):
            client = await connect()
            client.send(post(b"abc"))
            await asyncio.sleep(0.6)
            echo.seen[0].respond(200, TEXT, b"done")
            assert await client.answer() == (200, b"done")
            assert await client.rest() == b""  # idle now

    run(scenario)


def test_one_that_comes_while_others_are_drained_is_ended_too() -> None:
    """It was taken before, and is open only now: nobody would wait for its end."""

    async def scenario() -> None:
        async with served(Echo()) as (connect, connections):
            connections.drain()
            late = await connect()
            assert await late.rest() == b""
            assert len(connections) == 0

    run(scenario)


def test_draining_ends_what_is_idle_and_lets_the_rest_finish() -> None:
    async def scenario() -> None:
        echo = Echo()
        async with served(echo) as (connect, connections):
            idle, busy = await connect(), await connect()
            idle.send(post())
            await idle.answer()
            echo.hold = True
            busy.send(post(b"busy"))
            await until(lambda: len(echo.seen) >= 2)
            connections.drain()
            assert await idle.rest() == b""
            echo.seen[1].respond(200, TEXT, b"done")
            said = await busy.rest()
            assert b"connection: close" in said
            assert said.endswith(b"done")
            assert len(connections) == 0

    run(scenario)
