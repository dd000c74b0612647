"""A slow client holds its provider back; one that leaves ends its request at any stage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from penstock.exchange import Timeouts
from tests.support.upstream import OK, Heard, Peer, ask, client, send, serving, turns

Run = Callable[[Any], None]
MANY = 64 * 1024 * 1024


async def generous(peer: Peer) -> None:
    """Sends 64 MiB, and counts what left."""
    await peer.request()
    peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % MANY)
    for _ in range(MANY // 65536):
        peer.say(b"x" * 65536)
        await peer.writer.drain()
        peer.server.port += 65536  # a count that is at hand
    await peer.gone()


def test_a_paused_provider_is_not_read(run: Run) -> None:
    """Meanwhile only the sockets hold anything; nothing is lost when reading goes on."""

    async def main() -> None:
        async with serving(generous) as server, client() as upstream:
            sizes: list[int] = []
            heard = Heard(data=lambda heard: sizes.append(len(heard.pieces.pop())))
            send(upstream, server.url, heard=heard)
            ongoing = heard.ongoing
            assert ongoing is not None
            ongoing.pause()
            await asyncio.sleep(0.1)
            before = sum(sizes)
            await asyncio.sleep(0.2)
            assert sum(sizes) == before <= 512 * 1024
            ongoing.resume()
            await heard.over()
            assert sum(sizes) == MANY and heard.told[-1] == "end"

    run(main)


def test_pause_from_within_data(run: Run) -> None:
    async def main() -> None:
        async with serving(generous) as server, client() as upstream:
            total = 0

            def slow(heard: Heard) -> None:
                nonlocal total
                total += len(heard.pieces.pop())
                assert heard.ongoing is not None
                heard.ongoing.pause()
                asyncio.get_running_loop().call_soon(heard.ongoing.resume)

            await send(upstream, server.url, heard=Heard(data=slow)).over()
            assert total == MANY

    run(main)


def test_a_pause_is_no_silence_of_the_provider(run: Run) -> None:
    """between_tokens does not count while nobody reads; the deadline does."""

    async def provider(peer: Peer) -> None:
        await peer.request()
        peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhi")
        await asyncio.sleep(0.02)
        peer.say(b"ho")
        await peer.gone()

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            timeouts = Timeouts(between_tokens=0.1)
            heard = send(upstream, server.url, timeouts, heard=Heard(data=pause))
            await asyncio.sleep(0.4)
            assert heard.told == ["head", "data"] and heard.ongoing is not None
            heard.ongoing.resume()
            assert (await heard.over()).body == b"hiho"
            late = await send(upstream, server.url, timeouts, 0.2, heard=Heard(data=pause)).over()
            assert late.why is not None and "deadline" in late.why.message

    run(main)


def pause(heard: Heard) -> None:
    assert heard.ongoing is not None
    heard.ongoing.pause()


def test_a_pause_does_not_outlive_its_request(run: Run) -> None:
    """Paused with its last piece: the connection reads again for the next request, and notices its end."""

    async def provider(peer: Peer) -> None:
        for _ in range(2):
            await peer.request()
            peer.say(OK)

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            first = await send(upstream, server.url, heard=Heard(data=pause)).over()
            assert (await send(upstream, server.url).over()).body == b"hi"
            assert server.connections == 1 and first.ongoing is not None
            first.ongoing.pause()
            await turns(lambda: upstream.stats()[0].open == 0)

    run(main)


def test_paused_before_there_is_a_connection(run: Run) -> None:
    async def provider(peer: Peer) -> None:
        await peer.request()
        peer.say(OK)
        await peer.gone()

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            heard = send(upstream, server.url)
            pause(heard)
            await turns(lambda: bool(server.asked))
            await asyncio.sleep(0.05)
            assert not heard.told and heard.ongoing is not None
            heard.ongoing.resume()
            assert (await heard.over()).body == b"hi"

    run(main)


def leave(heard: Heard) -> None:
    assert heard.ongoing is not None
    heard.ongoing.cancel()


@pytest.mark.parametrize("stage", ["at once", "before the head", "head", "data", "later", "in the queue"])
def test_cancel(run: Run, stage: str) -> None:
    """The provider sees the connection end, and nothing more is told."""

    async def provider(peer: Peer) -> None:
        await peer.request()
        if stage != "before the head":
            peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhel")
            await asyncio.sleep(0.05)
            peer.say(b"lo")
        await peer.gone()

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            heard = send(upstream, server.url, heard=Heard(**{stage: leave} if stage in ("head", "data") else {}))
            if stage == "before the head":
                await turns(lambda: bool(server.asked))
            elif stage == "later":
                await heard.until(lambda heard: heard.body == b"hello")
            elif stage in ("head", "data"):
                await heard.until(lambda heard: stage in heard.told)
            leave(heard)
            told = list(heard.told)
            await asyncio.sleep(0.1)
            leave(heard)
            assert heard.told == told and "end" not in told and "broken" not in told
            open_now = 1 if stage in ("at once", "in the queue") else 0  # it will be of use to another
            await turns(lambda: server.open == open_now == upstream.stats()[0].open)

    run(main)


def test_cancel_and_others_after_the_end_change_nothing(run: Run) -> None:
    """A handle that outlived its request has no power over the connection's next one."""

    async def provider(peer: Peer) -> None:
        while await peer.request() is not None:
            await asyncio.sleep(0.02)
            peer.say(OK)

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            first = await send(upstream, server.url).over()
            second = send(upstream, server.url)
            assert first.ongoing is not None
            first.ongoing.pause()
            first.ongoing.cancel()
            assert (await second.over()).body == b"hi" and server.connections == 1

    run(main)


def test_cancel_while_a_large_body_is_sent(run: Run) -> None:
    async def provider(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.1)
        await peer.gone()

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            heard = send(upstream, ask(server.url, b"x" * 50_000_000))
            await turns(lambda: server.connections == 1)
            leave(heard)
            await turns(lambda: server.open == 0)
            assert not heard.told and upstream.stats()[0].open == 0

    run(main)


def test_large_bodies_both_ways(run: Run) -> None:
    body = bytes(range(256)) * 40_000

    async def provider(peer: Peer) -> None:
        asked = await peer.request()
        assert asked is not None and asked.endswith(body)
        peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body))
        peer.say(body)
        await peer.gone()

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            assert (await send(upstream, ask(server.url, body)).over()).body == body

    run(main)
