"""Timeouts: each stage that can stall, and what is said of it."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from penstock.exchange import Timeouts
from penstock.gateway.upstream.timers import NEVER, Awaited, Timed, Wheel
from tests.support.upstream import OK, Peer, ask, client, send, serving, turns

Run = Callable[[Any], None]
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"


@pytest.fixture
def deaf() -> Iterator[str]:
    """An address that takes no more connections: nobody accepts, and the queue is full."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(0)
    queued = [socket.socket() for _ in range(4)]
    for each in queued:
        each.setblocking(False)
        each.connect_ex(listening.getsockname())
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    for each in (*queued, listening):
        each.close()


def test_connecting(run: Run, deaf: str) -> None:
    async def main() -> None:
        async with client() as upstream:
            heard = await send(upstream, deaf, Timeouts(connect=0.1)).over()
            assert heard.why is not None and (heard.why.kind, heard.why.sent) == ("timeout", False)
            assert "0.1 s" in heard.why.message
            heard = await send(upstream, deaf, seconds_left=0.1).over()
            assert heard.why is not None and (heard.why.kind, heard.why.sent) == ("timeout", False)
            assert "deadline" in heard.why.message
            await turns(lambda: upstream.stats()[0].waiting == 0)

    run(main)


def test_connecting_while_the_loop_has_no_time(run: Run) -> None:
    """The connection is there; to see it takes turns of the loop, each of which takes longer than it may."""

    async def answer(peer: Peer) -> None:
        while await peer.request() is not None:
            peer.say(OK)

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def busy() -> None:
            time.sleep(0.3)
            if not heard.told:
                loop.call_soon(busy)

        async with serving(answer) as server, client() as upstream:
            heard = send(upstream, server.url, Timeouts(connect=1.0))
            loop.call_soon(busy)
            await heard.over()
            assert heard.why is None and heard.status == 200

    run(main)


class Tardy:
    """A loop whose timers come late, and its clock."""

    def __init__(self, late: float) -> None:
        self.now, self._late = 0.0, late
        self._due: tuple[float, Callable[[], None]] | None = None

    def call_later(self, seconds: float, function: Callable[[], None]) -> Any:
        self._due = seconds, function
        return self

    def cancel(self) -> None:
        self._due = None

    def run(self) -> None:
        assert self._due is not None
        (seconds, function), self._due = self._due, None
        self.now += seconds + self._late
        function()


@pytest.mark.parametrize(
    ("late", "least", "most"), [(0.0, 1.0, 1.2), (0.2, 1.0, 1.4), (0.6, 1.6, 5.0), (30.0, 1.0, 61.0)]
)
def test_how_long_a_busy_loop_waits_for_what_takes_turns(late: float, least: float, most: float) -> None:
    loop, ended = Tardy(late), list[float]()

    class Dial(Awaited):
        def late(self, now: float) -> None:
            ended.append(now)
            self.due = NEVER

    wheel = Wheel(loop, 0.1, lambda: loop.now)  # type: ignore[arg-type]  # what it needs of a loop
    wheel.place(Dial(wheel, 0.0, 1.0))
    while not ended:
        loop.run()
    assert least <= ended[0] <= most


STALLS: dict[str, tuple[bytes, float, bytes, Timeouts, float | None, str]] = {
    "before the head": (b"", 5, b"", Timeouts(first_token=0.1), None, "nothing came for 0.1 s"),
    "in the head": (HEAD[:20], 5, b"", Timeouts(first_token=0.1), None, "nothing came for 0.1 s"),
    "before the body": (HEAD, 5, b"", Timeouts(first_token=0.1), None, "nothing came for 0.1 s"),
    "in the body": (HEAD + b"hel", 5, b"", Timeouts(between_tokens=0.1), None, "nothing more came for 0.1 s"),
    "in the body after more": (HEAD + b"h", 0.05, b"e", Timeouts(between_tokens=0.2), None, "nothing more came"),
    "the deadline before the head": (b"", 5, b"", Timeouts(), 0.1, "deadline"),
    "the deadline in the body": (HEAD + b"hel", 5, b"", Timeouts(), 0.1, "deadline"),
}


@pytest.mark.parametrize("name", STALLS)
def test_stalls(run: Run, name: str) -> None:
    first, seconds, second, timeouts, left, words = STALLS[name]

    async def provider(peer: Peer) -> None:
        await peer.request()
        peer.say(first)
        await asyncio.sleep(seconds)
        peer.say(second)
        await peer.gone()

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            heard = await send(upstream, server.url, timeouts, left).over()
            assert heard.why is not None and (heard.why.kind, heard.why.sent) == ("timeout", True)
            assert words in heard.why.message
            assert upstream.stats()[0].open == 0

    run(main)


def test_a_body_that_drips_within_its_limit_is_whole(run: Run) -> None:
    """first_token ends with the first byte of the body; from then on each piece has its own time."""

    async def provider(peer: Peer) -> None:
        await peer.request()
        peer.say(HEAD)
        for _ in range(9):
            await asyncio.sleep(0.15)
            peer.say(b"x")

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            heard = await send(upstream, server.url, Timeouts(first_token=1.2, between_tokens=1.2), 20).over()
            assert heard.body == b"x" * 9

    run(main)


def test_a_request_body_that_nobody_reads(run: Run) -> None:
    async def provider(peer: Peer) -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            heard = await send(upstream, ask(server.url, b"x" * 30_000_000), Timeouts(first_token=0.2)).over()
            assert heard.why is not None and heard.why.kind == "timeout"

    run(main)


def test_a_short_limit_counts_on_a_kept_connection(run: Run) -> None:
    """The clockwork would look at the connection much later, for its idle time; the new limit is nearer."""

    async def provider(peer: Peer) -> None:
        await peer.request()
        peer.say(OK)
        await peer.request()
        await peer.gone()

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            await send(upstream, server.url).over()
            heard = await send(upstream, server.url, Timeouts(first_token=0.05)).over()
            assert heard.why is not None and heard.why.kind == "timeout" and server.connections == 1

    run(main)


class Noted(Timed):
    """Writes down when it was told."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self.clock, self.told = clock, list[float]()

    def is_due(self, now: float) -> None:
        self.told.append(now)


def test_the_clockwork(run: Run) -> None:
    """Moments that move back are told once, at the last; those that move forth at the nearer; those removed never."""

    async def main() -> None:
        now = 1000.0
        wheel = Wheel(asyncio.get_running_loop(), grain=0.001, clock=lambda: now)
        back, forth, removed, never = (Noted(lambda: now) for _ in range(4))
        back.due, forth.due, removed.due = now + 1, now + 50, now + 1
        for each in (back, forth, removed, never):
            wheel.place(each)
        assert len(wheel) == 3
        back.due = now + 3
        forth.due = now + 2
        wheel.place(forth)
        wheel.remove(removed)
        for _ in range(400):
            now += 0.01
            await asyncio.sleep(0)
            wheel._turn()
        wheel.stop()
        assert [len(each.told) for each in (back, forth, removed, never)] == [1, 1, 0, 0]
        assert 1003 <= back.told[0] < 1003.05 and 1002 <= forth.told[0] < 1002.05
        assert (back.looked_at, len(wheel)) == (NEVER, 0)

    run(main)


def test_one_that_fails_does_not_stop_the_clockwork() -> None:
    class Failing(Timed):
        def is_due(self, now: float) -> None:
            raise RuntimeError("a fault")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        reported: list[Any] = []
        loop.set_exception_handler(lambda _, context: reported.append(context))
        wheel = Wheel(loop, grain=0.005)
        failing, noted = Failing(), Noted(lambda: 0.0)
        for each in (failing, noted):
            each.due = 0.001
            wheel.place(each)
        await turns(lambda: bool(noted.told))
        assert len(reported) == 1
        wheel.stop()

    asyncio.run(main())
