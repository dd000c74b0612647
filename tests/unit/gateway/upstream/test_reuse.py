"""A kept connection that turns out closed: a request is sent again only where the provider cannot have read it."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from penstock.exchange import Timeouts
from penstock.gateway.upstream import Limits, connection
from tests.support.raw_server import _request as read_request
from tests.support.upstream import OK, Peer, ask, client, send, serving, turns

Run = Callable[[Any], None]


def test_a_kept_connection_is_used_again(run: Run) -> None:
    async def provider(peer: Peer) -> None:
        while await peer.request() is not None:
            peer.say(OK)

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            for _ in range(20):
                assert (await send(upstream, server.url).over()).body == b"hi"
            assert server.connections == 1
            (stats,) = upstream.stats()
            assert (stats.open, stats.idle, stats.made, stats.repeated) == (1, 1, 1, 0)

    run(main)


def test_one_that_was_closed_while_idle_is_not_used(run: Run) -> None:
    async def provider(peer: Peer) -> None:
        await peer.request()
        peer.say(OK)

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            for _ in range(5):
                await send(upstream, server.url).over()
                await turns(lambda: upstream.stats()[0].open == 0)
            assert (server.connections, upstream.stats()[0].repeated) == (5, 0)

    run(main)


@pytest.mark.parametrize("reset", [False, True])
def test_an_end_that_comes_before_the_request_was_written_has_read_nothing_of_it(run: Run, reset: bool) -> None:
    """The request still waits in the outbox: it is sent again, and the one that waited never goes out."""

    async def provider(peer: Peer) -> None:
        while await peer.request() is not None:
            peer.say(OK)

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            await send(upstream, server.url).over()
            (pool,) = upstream._pools.values()
            kept = pool.idle[0]
            heard = send(upstream, server.url)
            if reset:
                kept.connection_lost(ConnectionResetError())
            else:
                kept.eof_received()
            assert (await heard.over()).body == b"hi"
            assert (len(server.asked), server.connections, pool.stats().repeated) == (2, 2, 1)

    run(main)


def test_closed_just_as_reused_is_sent_again(run: Run) -> None:
    """The provider closes in the same moment: its end and our request cross. It has read nothing of it."""

    async def provider(peer: Peer) -> None:
        await peer.request()
        peer.say(OK)
        if peer.server.connections == 1:
            await peer.server.closing.wait()  # type: ignore[attr-defined]  # this test's own
            return
        await peer.gone()

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            server.closing = asyncio.Event()  # type: ignore[attr-defined]  # this test's own
            await send(upstream, server.url).over()
            server.closing.set()  # type: ignore[attr-defined]  # this test's own
            held = upstream._pools.popitem()[1]
            upstream._pools[held.route] = held
            transport = held.idle[0].transport
            transport.pause_reading()  # so that the end is not seen before the request is written
            await turns(lambda: server.open == 0)
            heard = send(upstream, server.url)
            transport.resume_reading()
            assert (await heard.over()).body == b"hi"
            assert (len(server.asked), upstream.stats()[0].repeated) == (2, 1)

    run(main)


@pytest.mark.skipif("not __import__('sys').platform.startswith('linux')", reason="only on Linux: the kernel tells")
def test_one_that_was_read_is_not_sent_again(run: Run) -> None:
    """The provider reads the second request and closes without a word: it may have acted on it."""

    async def provider(peer: Peer) -> None:
        await peer.request()
        peer.say(OK)
        await peer.request()

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            await send(upstream, server.url).over()
            heard = await send(upstream, server.url).over()
            assert heard.why is not None and (heard.why.kind, heard.why.sent) == ("read", True)
            assert len(server.asked) == 2

    run(main)


def test_a_reset_is_sent_again_once(run: Run) -> None:
    async def provider(peer: Peer) -> None:
        await peer.request()
        if peer.server.connections == 1:
            peer.say(OK)
            await peer.request()
        peer.reset()

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            await send(upstream, server.url).over()
            heard = await send(upstream, server.url).over()
            assert heard.told == ["broken"] and heard.why is not None and heard.why.sent
            assert server.connections == 2 and upstream.stats()[0].repeated == 1

    run(main)


def test_what_was_reset_long_after_is_not_sent_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that thought about it, and then broke: no race of an idle connection takes so long."""
    monkeypatch.setattr(connection, "RACE", 0.02)

    async def provider(peer: Peer) -> None:
        await peer.request()
        peer.say(OK)
        await peer.request()
        await asyncio.sleep(0.1)
        peer.reset()

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            await send(upstream, server.url).over()
            heard = await send(upstream, server.url).over()
            assert heard.told == ["broken"] and heard.why is not None and heard.why.sent
            assert server.connections == 1

    run(main)


def test_not_sent_again_after_one_byte_of_an_answer(run: Run) -> None:
    async def provider(peer: Peer) -> None:
        await peer.request()
        peer.say(OK)
        await peer.request()
        peer.say(b"H")
        await asyncio.sleep(0.02)
        peer.reset()

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            await send(upstream, server.url).over()
            heard = await send(upstream, server.url).over()
            assert heard.why is not None and "answer's head" in heard.why.message
            assert server.connections == 1

    run(main)


def test_what_cannot_be_sent_again_says_whether_it_was_read(run: Run) -> None:
    """The kept connection is reset, and nobody listens any more: perhaps the first writing was read."""

    async def provider(peer: Peer) -> None:
        await peer.request()
        peer.say(OK)
        await peer.request()
        listening.close()
        peer.reset()

    listening: Any = None

    async def main() -> None:
        nonlocal listening
        async with serving(provider) as server, client() as upstream:
            listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
            url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
            await send(upstream, url).over()
            heard = await send(upstream, url).over()
            assert heard.why is not None and (heard.why.kind, heard.why.sent) == ("connect", True)

    run(main)


def test_a_full_pool_makes_room_for_what_is_sent_again(run: Run) -> None:
    async def provider(peer: Peer) -> None:
        await peer.request()
        peer.say(OK)
        if peer.server.connections == 1:
            await peer.request()
            peer.reset()
            return
        while await peer.request() is not None:
            peer.say(OK)

    async def main() -> None:
        async with serving(provider) as server, client(Limits(connections=2)) as upstream:
            both = [send(upstream, server.url), send(upstream, server.url)]
            for each in both:
                await each.over()
            later = [send(upstream, server.url, Timeouts(connect=5)) for _ in range(6)]
            assert [(await each.over()).body for each in later] == [b"hi"] * 6

    run(main)


class Hasty:
    """A provider in threads of its own that closes each connection a moment after an answer, as likely before as
    after the next request: the true race. `read` has every request that it took from a socket.
    """

    def __init__(self) -> None:
        self.read: list[bytes] = []
        self._random = random.Random(7)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                accepted, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(accepted,), daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        with suppress(OSError), accepted:
            asked = read_request(accepted)
            if asked:
                self.read.append(asked)
                accepted.sendall(OK)
                time.sleep(self._random.random() * 0.002)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def test_many_races(run: Run) -> None:
    """Each request is answered, and read exactly once: none was lost, none doubled."""
    provider = Hasty()

    async def main() -> None:
        async with client() as upstream:
            for number in range(400):
                heard = await send(upstream, ask(provider.url, body=b"%d" % number)).over()
                assert heard.body == b"hi", (number, heard.why)
                await asyncio.sleep(random.Random(number).random() * 0.002)
            bodies = [asked.partition(b"\r\n\r\n")[2] for asked in provider.read]
            assert sorted(bodies, key=int) == [b"%d" % number for number in range(400)]

    try:
        run(main)
    finally:
        provider.close()
