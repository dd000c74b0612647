"""A head that a client says again is read as if it were parsed again: whatever comes, however it is cut into pieces."""

import asyncio
import gc
import weakref
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.gateway.http.connection import Connection, Limits
from penstock.gateway.http.connections import Connections
from penstock.gateway.http.inbound import Answer, Inbound
from penstock.gateway.http.repeated import Repeated, repeatable
from tests.support.wire import Wire

TEXT = b"content-type: text/plain\r\n"


class Echo:
    """Answers with the body; refuses what is in `barred`."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str, dict[bytes, bytes], bytes, bool, bool]] = []
        self.admitted: list[Inbound] = []
        self.barred = False

    def admit(self, inbound: Inbound) -> Answer | None:
        self.admitted.append(inbound)
        return Answer(401, TEXT, b"no") if self.barred else None

    def answer(self, inbound: Inbound) -> None:
        asked = (inbound.method, inbound.path, inbound.query, dict(inbound.headers), inbound.body)
        self.seen.append((*asked, inbound.keep_alive, inbound.chunked))
        inbound.respond(200, TEXT, inbound.body)

    def malformed(self, status: int, message: str) -> Answer:
        return Answer(status, TEXT, message.encode())


class Never(Connection):
    """A connection that parses every head."""

    def _again(self, known: Repeated, data: bytes) -> bool:
        return False


def fed(pieces: list[bytes], kind: type[Connection] = Connection, echo: Echo | None = None) -> tuple[Echo, Wire]:
    echo = echo or Echo()

    async def feed() -> Wire:
        connections, transport = Connections(asyncio.get_running_loop()), Wire()
        connection = kind(echo, Limits(body=1000), connections)
        connection.connection_made(transport)
        for piece in pieces:
            connection.data_received(piece)
        connections.close()
        connections.outbox.send()
        transport.written = transport.written.replace(connections.date, b"")
        return transport

    return echo, asyncio.run(feed())


def post(body: bytes, more: bytes = b"", path: bytes = b"/a?b=c", name: bytes = b"Content-Length") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: x\r\n%b%b: %d\r\nX-End: 1\r\n\r\n%b" % (path, more, name, len(body), body)


def test_the_same_head_with_another_body_is_read_right() -> None:
    bodies = [b"one", b"twelve bytes", b"x" * 300, b"4"]
    echo, transport = fed([post(body) for body in bodies])
    assert [said[4] for said in echo.seen] == bodies
    assert [said[3][b"content-length"] for said in echo.seen] == [b"%d" % len(body) for body in bodies]
    assert {said[:3] for said in echo.seen} == {("POST", "/a", "b=c")}
    assert not transport.closed


def test_it_is_really_taken_for_the_same() -> None:
    """Else the other tests would show nothing."""
    calls = []

    class Watched(Connection):
        def on_headers_complete(self) -> None:
            calls.append(1)
            super().on_headers_complete()

    fed([post(b"a"), post(b"bb"), post(b"ccc")], Watched)
    assert len(calls) == 1


REQUESTS = [
    post(b"a"),
    post(b"b" * 20),
    post(b"{}", name=b"content-length"),
    post(b"other", b"X-Length: 5\r\n"),
    post(b"other", b"X-Length: 77\r\n"),
    post(b"key", b"Authorization: Bearer sk-1\r\n"),
    post(b"key", b"Authorization: Bearer sk-2\r\n"),
    post(b"POST / HTTP/1.1\r\nHost: y\r\nContent-Length: 3\r\n\r\nabc"),
    post(b"last", b"Connection: close\r\n"),
    post(b"waits", b"Expect: 100-continue\r\n"),
    post(b"up", b"Upgrade: h2c\r\n"),
    post(b""),
    post(b"x" * 1001),
    b"GET /g HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"POST /d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    b"POST /e HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc",
    b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nX-End: 1\r\n\r\nabPOST",
    b"POST /f HTTP/1.0\r\nHost: x\r\nContent-Length: 1\r\n\r\na",
    b"POST /f HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na",
    b"\r\n" + post(b"after a line"),
]


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_whatever_comes_is_read_as_if_every_head_were_parsed(data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=8))
    again = [each for each in chosen for _ in range(data.draw(st.integers(1, 3)))]
    stream = b"".join(again)
    whole = [sum(map(len, again[:number])) for number in range(len(again) + 1)]
    cuts = set(whole) if data.draw(st.booleans()) else set(data.draw(st.lists(st.sampled_from(whole))))
    cuts |= set(data.draw(st.lists(st.integers(0, len(stream)), max_size=3))) | {0, len(stream)}
    places = sorted(cuts)
    pieces = [stream[start:end] for start, end in pairwise(places)]
    short, long = fed(pieces), fed(pieces, Never)
    assert short[0].seen == long[0].seen
    assert short[1].written == long[1].written
    assert short[1].closed == long[1].closed


def test_who_may_call_is_asked_anew() -> None:
    echo = Echo()
    fed([post(b"a"), post(b"b")], echo=echo)
    assert len(echo.admitted) == 2
    echo.barred = True
    _, transport = fed([post(b"c")], echo=echo)
    assert transport.written.startswith(b"HTTP/1.1 401 ")


def test_a_barred_client_is_refused_in_mid_connection() -> None:
    class Barring(Echo):
        def answer(self, inbound: Inbound) -> None:
            super().answer(inbound)
            self.barred = True

    echo, transport = fed([post(b"a"), post(b"b"), post(b"c")], echo=Barring())
    assert [said[4] for said in echo.seen] == [b"a"]
    assert transport.written.count(b"HTTP/1.1 401 ") == 1
    assert transport.closed


@pytest.mark.parametrize("digits", [b"", b"-1", b"+1", b" 1", b"1 ", b"0x1", b"\xb2", b"1" * 17])
def test_only_digits_are_a_length(digits: bytes) -> None:
    first = Inbound(None)  # type: ignore[arg-type]  # no connection is asked for
    first.body, first.size, first.headers = b"a", 1, {b"content-length": b"1"}
    known = repeatable(post(b"a"), first)
    assert known is not None
    assert known.body_of(post(b"b"), 10) == b"b"
    assert known.body_of(post(b"b").replace(b"Length: 1", b"Length: " + digits), 10) is None


def test_a_body_over_the_limit_is_left_to_the_parser() -> None:
    echo, transport = fed([post(b"a"), post(b"x" * 1001)])
    assert [said[4] for said in echo.seen] == [b"a"]
    assert b"HTTP/1.1 413 " in transport.written


class Forgetful(Echo):
    """Keeps no request."""

    def admit(self, inbound: Inbound) -> Answer | None:
        return None


def test_a_connection_that_is_gone_is_freed_at_once() -> None:
    async def run() -> None:
        connections, transport = Connections(asyncio.get_running_loop()), Wire()
        connection = Connection(Forgetful(), Limits(), connections)
        connection.connection_made(transport)
        connection.data_received(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nhi")
        gone = weakref.ref(connection)
        connection.connection_lost(None)
        gc.disable()
        try:
            del connection
            assert gone() is None
        finally:
            gc.enable()

    asyncio.run(run())
