"""New connections: hosts with several addresses, names that are asked for once, and attempts that are given up."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from penstock.exchange import Timeouts
from penstock.gateway.upstream import Upstream, dialling
from penstock.gateway.upstream.names import Names, _in_turn
from tests.support.upstream import OK, Peer, client, send, serving, turns

Run = Callable[[Any], None]
V4, V6 = socket.AF_INET, socket.AF_INET6


async def polite(peer: Peer) -> None:
    while await peer.request() is not None:
        peer.say(OK)


@pytest.fixture
def deaf() -> Iterator[tuple[str, int]]:
    """An address where connecting takes for ever: the queue is full, and nobody accepts."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(0)
    queued = [socket.socket() for _ in range(4)]
    for each in queued:
        each.setblocking(False)
        each.connect_ex(listening.getsockname())
    yield listening.getsockname()
    for each in (*queued, listening):
        each.close()


def resolving(upstream: Upstream, addresses: list[Any]) -> None:
    """Have every name lead to these."""

    async def found(host: str, port: int) -> list[Any]:
        return addresses

    upstream._names.addresses = found  # type: ignore[method-assign]  # names are looked up nowhere


def test_an_address_that_is_deaf_costs_a_quarter_second(run: Run, deaf: tuple[str, int]) -> None:
    async def main() -> None:
        async with serving(polite) as server, client() as upstream:
            resolving(upstream, [(V4, deaf), (V4, ("127.0.0.1", server.port))])
            heard = await send(upstream, "http://two.example/", Timeouts(connect=15)).over()
            assert heard.body == b"hi" and server.connections == 1

    run(main)


def test_one_that_refuses_costs_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialling, "HEAD_START", 1000.0)

    async def main() -> None:
        async with serving(polite) as gone:
            refusing = ("127.0.0.1", gone.port)
        async with serving(polite) as server, client() as upstream:
            resolving(upstream, [(V4, refusing), (V4, refusing), (V4, ("127.0.0.1", server.port))])
            assert (await send(upstream, "http://three.example/").over()).body == b"hi"
            resolving(upstream, [(V4, refusing), (V4, refusing)])
            heard = await send(upstream, "http://none.example/").over()
            assert heard.why is not None and (heard.why.kind, heard.why.sent) == ("connect", False)
            assert "refused" in heard.why.message and "http://none.example" in heard.why.message

    run(main)


def test_all_deaf(run: Run, deaf: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """When time is over every attempt is given up: nothing goes on trying."""
    monkeypatch.setattr(dialling, "HEAD_START", 0.01)

    async def main() -> None:
        async with client() as upstream:
            resolving(upstream, [(V4, deaf), (V4, deaf)])
            heard = await send(upstream, "http://two.example/", Timeouts(connect=0.1)).over()
            assert heard.why is not None and heard.why.kind == "timeout"
            await turns(lambda: upstream.stats()[0].connecting == 0 and len(asyncio.all_tasks()) == 1)

    run(main)


def test_names_are_asked_for_once(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        asked: list[Any] = []

        class Loop:
            create_task = loop.create_task
            call_later = loop.call_later

            async def getaddrinfo(self, host: str, port: int, **_: Any) -> list[Any]:
                asked.append(host)
                await asyncio.sleep(0.01)
                if host == "gone.example":
                    raise socket.gaierror(-2, "Name or service not known")
                return [(V4, socket.SOCK_STREAM, 6, "", ("192.0.2.1", port))]

        names = Names(Loop(), seconds=0.1)  # type: ignore[arg-type]  # as much of a loop as is asked
        found = await asyncio.gather(*(names.addresses("a.example", 443) for _ in range(50)))
        assert found == [[(V4, ("192.0.2.1", 443))]] * 50 and asked == ["a.example"]
        await asyncio.sleep(0.2)
        await names.addresses("a.example", 443)
        assert asked == ["a.example", "a.example"]
        failed = await asyncio.gather(*(names.addresses("gone.example", 443) for _ in range(5)), return_exceptions=True)
        assert all(isinstance(each, socket.gaierror) for each in failed)
        await asyncio.gather(names.addresses("gone.example", 443), return_exceptions=True)
        assert asked.count("gone.example") == 2

    run(main)


def test_one_that_stops_waiting_for_a_name_takes_it_from_nobody(run: Run) -> None:
    async def main() -> None:
        names = Names(asyncio.get_running_loop())
        first, second = (asyncio.create_task(names.addresses("localhost", 80)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert await second

    run(main)


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..example", "300.300.300.300"])
def test_names_that_are_none(run: Run, host: str) -> None:
    async def main() -> None:
        async with client() as upstream:
            heard = await send(upstream, f"http://{host}/").over()
            assert heard.why is not None and (heard.why.kind, heard.why.sent) == ("connect", False)

    run(main)


def test_families_take_turns() -> None:
    found: list[Any] = [(V6, 1), (V6, 2), (V6, 3), (V4, 4)]
    assert _in_turn(found) == [(V6, 1), (V4, 4), (V6, 2), (V6, 3)]
    assert _in_turn([(V4, 1), (V6, 2), (V6, 3)]) == [(V4, 1), (V6, 2), (V6, 3)]


def test_closed_as_soon_as_made(run: Run) -> None:
    """A provider (a balancer with nobody behind it) that accepts and closes."""

    async def provider(peer: Peer) -> None:
        peer.reset()

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            for _ in range(20):
                heard = await send(upstream, server.url).over()
                assert heard.why is not None and heard.why.kind in ("connect", "read")
            stats = upstream.stats()[0]
            assert (stats.open, stats.connecting, stats.waiting) == (0, 0, 0)

    run(main)


def test_closing_while_connecting(run: Run, deaf: tuple[str, int]) -> None:
    async def main() -> None:
        async with client() as upstream:
            heard = send(upstream, f"http://127.0.0.1:{deaf[1]}/")
            await asyncio.sleep(0.02)
            await upstream.aclose()
            assert heard.told == ["broken"] and len(asyncio.all_tasks()) == 1
            assert upstream.stats()[0].connecting == 0

    run(main)
