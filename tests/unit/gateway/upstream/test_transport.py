"""The transport for coroutines: replies, streams, and what becomes of them when nobody reads on."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from penstock.calls.async_world import AsyncWorld
from penstock.calls.body_limits import StreamBroken
from penstock.exchange import Broken, Close, ReadOn, Reply, Send, Timeouts
from penstock.gateway.upstream import UpstreamTransport
from penstock.gateway.upstream.transport import FULL
from penstock.providers.auth.commands import Fetch, Fetched, Unreachable
from tests.support.upstream import OK, Peer, ask, client, send, serving, turns

Run = Callable[[Any], None]
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def sends(url: str, stream: bool = False, **timeouts: float) -> Send:
    return Send(ask(url), stream, Timeouts(**timeouts))


def test_a_whole_answer(run: Run) -> None:
    async def provider(peer: Peer) -> None:
        await peer.request()
        peer.say(b"HTTP/1.1 418 Teapot\r\nX-A: 1\r\nx-a: 2\r\ncontent-length: 4\r\n\r\nte")
        await asyncio.sleep(0.02)
        peer.say(b"a!")

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            reply = await UpstreamTransport(upstream).send(sends(server.url))
            assert reply == Reply(418, {"x-a": "1, 2", "content-length": "4"}, b"tea!")

    run(main)


@pytest.mark.parametrize(
    "said",
    [b"HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\n{}", b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{}"],
)
def test_what_is_no_stream_comes_whole(run: Run, said: bytes) -> None:
    async def provider(peer: Peer) -> None:
        await peer.request()
        peer.say(said)

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            reply = await UpstreamTransport(upstream).send(sends(server.url, stream=True))
            assert isinstance(reply, Reply) and (reply.body, reply.stream) == (b"{}", None)

    run(main)


async def streaming(peer: Peer) -> None:
    await peer.request()
    peer.say(STREAM)
    for number in range(3):
        await asyncio.sleep(0.02)
        peer.say(b"2\r\nx%d\r\n" % number)
    if b"cut" not in peer.server.asked[-1]:
        await asyncio.sleep(0.02)
        peer.say(b"0\r\n\r\n")
        await peer.gone()


def test_a_stream(run: Run) -> None:
    async def main() -> None:
        async with serving(streaming) as server, client() as upstream:
            reply = await UpstreamTransport(upstream).send(sends(server.url, stream=True))
            assert isinstance(reply, Reply) and reply.body == b"x0"
            assert [piece async for piece in reply.stream] == [b"x1", b"x2"]
            assert upstream.stats()[0].idle == 1
            await reply.stream.aclose()
            assert upstream.stats()[0].idle == 1

    run(main)


def test_a_stream_that_is_cut(run: Run) -> None:
    async def main() -> None:
        async with serving(streaming) as server, client() as upstream:
            reply = await UpstreamTransport(upstream).send(sends(f"{server.url}/cut", stream=True))
            assert isinstance(reply, Reply)
            read = [reply.body]
            read += [await anext(reply.stream), await anext(reply.stream)]
            with pytest.raises(StreamBroken, match="closed"):
                await anext(reply.stream)
            assert read == [b"x0", b"x1", b"x2"]

    run(main)


def test_a_stream_that_nobody_reads_holds_its_provider_back(run: Run) -> None:
    size = 32 * 1024 * 1024

    async def provider(peer: Peer) -> None:
        await peer.request()
        peer.say(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        for _ in range(size // 65536):
            peer.say(b"x" * 65536)
            await peer.writer.drain()

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            reply = await UpstreamTransport(upstream).send(sends(server.url, stream=True))
            assert isinstance(reply, Reply)
            await asyncio.sleep(0.3)
            assert len(reply.body) <= 2 * FULL and reply.stream._answer._size <= 3 * FULL
            assert len(reply.body) + sum([len(piece) async for piece in reply.stream]) == size

    run(main)


def test_cancelled_while_waiting(run: Run) -> None:
    async def provider(peer: Peer) -> None:
        await peer.request()
        await peer.gone()

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            task = asyncio.create_task(UpstreamTransport(upstream).send(sends(server.url)))
            await turns(lambda: bool(server.asked))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await turns(lambda: server.open == 0)

    run(main)


def test_in_the_world_of_coroutines(run: Run) -> None:
    """AsyncWorld fetches tokens, reads on and closes over it, as it does over httpx."""

    async def provider(peer: Peer) -> None:
        while asked := await peer.request():
            if b"/token" in asked:
                peer.say(OK)
                continue
            peer.say(STREAM + b"2\r\nx0\r\n")
            await asyncio.sleep(0.02)
            peer.say(b"2\r\nx1\r\n")

    def steps(url: str) -> Any:
        fetched = yield Fetch(method="POST", url=f"{url}/token", body=b"{}", timeout=5.0)
        nobody = yield Fetch(method="POST", url="http://127.0.0.1:9/", body=b"{}", timeout=5.0, direct=True)
        reply = yield sends(url, stream=True)
        piece = yield ReadOn(reply.stream)
        yield Close(reply.stream)
        return fetched, nobody, reply.body, piece

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            transport = UpstreamTransport(upstream)
            fetched, nobody, first, piece = await AsyncWorld(transport, transport).drive(steps(server.url))
            assert isinstance(fetched, Fetched) and fetched.body == b"hi"
            assert isinstance(nobody, Unreachable) and not nobody.sent
            assert (first, piece) == (b"x0", b"x1")
            await turns(lambda: upstream.stats()[-1].open - upstream.stats()[-1].idle == 0)
            await transport.aclose()
            assert not isinstance(await transport.send(sends(f"{server.url}/token")), Broken)

    run(main)


def test_a_thousand_at_once(run: Run) -> None:
    async def provider(peer: Peer) -> None:
        while await peer.request() is not None:
            peer.say(OK)

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            heard = [send(upstream, server.url) for _ in range(300)]
            for each in heard:
                assert (await each.over()).body == b"hi"
            assert upstream.stats()[0].open == upstream.stats()[0].idle == server.connections

    run(main)


def test_importing_is_light() -> None:
    """A worker starts at once, and stays small: no HTTP library, no framework, no dialect comes along."""
    program = (
        "import sys, penstock.gateway.upstream;"
        "print(*sorted({'httpx', 'certifi', 'uvicorn', 'pydantic', 'urllib.request', 'http.client', 'uvloop',"
        "'penstock.dialects', 'penstock.client'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
