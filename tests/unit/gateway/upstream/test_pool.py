"""Who gets which connection, how many there are, and when they end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from penstock.exchange import Broken, Timeouts
from penstock.gateway.upstream import Limits, NetworkSettings
from tests.support.upstream import OK, Heard, Peer, ask, client, send, serving, turns

Run = Callable[[Any], None]


async def polite(peer: Peer) -> None:
    while await peer.request() is not None:
        await asyncio.sleep(0.01)
        peer.say(OK)


def test_the_limit_holds_and_who_waits_is_served_in_order(run: Run) -> None:
    async def main() -> None:
        async with serving(polite) as server, client(Limits(connections=3)) as upstream:
            ended: list[int] = []
            heard = [
                send(upstream, ask(server.url, body=b"%d" % n), heard=Heard(end=lambda _, n=n: ended.append(n)))  # type: ignore[misc]  # mypy infers no lambda with a default
                for n in range(30)
            ]
            stats = upstream.stats()[0]
            assert (stats.connecting, stats.waiting) == (3, 30)
            for each in heard:
                await each.over()
            assert server.connections == 3
            assert [int(asked.partition(b"\r\n\r\n")[2]) // 3 for asked in server.asked] == [n // 3 for n in range(30)]
            assert sorted(ended) == list(range(30))

    run(main)


def test_who_waits_too_long_is_told(run: Run) -> None:
    async def slow(peer: Peer) -> None:
        await peer.request()
        await peer.gone()

    async def main() -> None:
        async with serving(slow) as server, client(Limits(connections=1)) as upstream:
            first = send(upstream, server.url)
            await turns(lambda: bool(server.asked))
            second = await send(upstream, server.url, Timeouts(connect=0.05)).over()
            assert second.why is not None
            assert (second.why.kind, second.why.sent) == ("timeout", False) and "came free" in second.why.message
            assert first.told == [] and len(server.asked) == 1

    run(main)


def test_who_leaves_the_queue_is_not_served(run: Run) -> None:
    async def main() -> None:
        async with serving(polite) as server, client(Limits(connections=1)) as upstream:
            heard = [send(upstream, ask(server.url, body=b"%d" % n)) for n in range(3)]
            assert heard[1].ongoing is not None
            heard[1].ongoing.cancel()
            await heard[0].over()
            await heard[2].over()
            assert heard[1].told == [] and len(server.asked) == 2

    run(main)


def test_a_next_request_from_within_the_end_uses_the_same_connection(run: Run) -> None:
    async def main() -> None:
        async with serving(polite) as server, client() as upstream:
            second = Heard()
            await send(
                upstream, server.url, heard=Heard(end=lambda _: void(send(upstream, server.url, heard=second)))
            ).over()
            await second.over()
            assert (len(server.asked), server.connections) == (2, 1)

    run(main)


def void(_: object) -> None:
    """A statement where an expression stands."""


def test_idle_connections_end(run: Run) -> None:
    async def main() -> None:
        async with serving(polite) as server, client(Limits(idle_seconds=0.05)) as upstream:
            await send(upstream, server.url).over()
            assert upstream.stats()[0].idle == 1
            await turns(lambda: upstream.stats()[0].open == 0)
            await turns(lambda: server.open == 0)
            await turns(lambda: not len(upstream._wheel))

    run(main)


def test_only_so_many_are_kept(run: Run) -> None:
    async def main() -> None:
        async with serving(polite) as server, client(Limits(idle=2)) as upstream:
            for each in [send(upstream, server.url) for _ in range(8)]:
                await each.over()
            stats = upstream.stats()[0]
            assert (stats.open, stats.idle, stats.made) == (2, 2, 8)

    run(main)


def test_old_connections_are_not_used_again(run: Run) -> None:
    async def main() -> None:
        async with serving(polite) as server, client(Limits(age_seconds=0.0)) as upstream:
            for _ in range(3):
                await send(upstream, server.url).over()
            assert server.connections == 3 and upstream.stats()[0].open == 0

    run(main)


def test_settings_and_origins_do_not_share_connections(run: Run) -> None:
    async def main() -> None:
        async with serving(polite) as server, serving(polite) as other, client() as upstream:
            await send(upstream, server.url).over()
            await send(upstream, f"{server.url}/another/path?x").over()
            await send(upstream, other.url).over()
            await send(upstream, server.url, network=NetworkSettings(verify=False)).over()
            assert (server.connections, other.connections, len(upstream.stats())) == (2, 1, 3)

    run(main)


def test_nobody_listens(run: Run) -> None:
    async def main() -> None:
        async with serving(polite) as server:
            gone = server.url
        async with client() as upstream:
            heard = [send(upstream, gone) for _ in range(5)]
            for each in heard:
                await each.over()
                assert each.why is not None and (each.why.kind, each.why.sent) == ("connect", False)
                assert gone in each.why.message
            assert (upstream.stats()[0].failed, upstream.stats()[0].waiting) == (5, 0)

    run(main)


def test_a_name_that_does_not_exist(run: Run) -> None:
    async def main() -> None:
        async with client() as upstream:
            heard = await send(upstream, "http://no-such-host.invalid/v1").over()
            assert heard.why is not None and (heard.why.kind, heard.why.sent) == ("connect", False)
            assert "looked up" in heard.why.message and "no-such-host.invalid" in heard.why.message

    run(main)


def test_unix_sockets(run: Run, tmp_path: Any) -> None:
    async def main() -> None:
        async with serving(polite, path=str(tmp_path / "api.sock")) as server, client() as upstream:
            for _ in range(3):
                assert (await send(upstream, f"{server.url}/key/generate?x=1").over()).body == b"hi"
            assert server.connections == 1
            assert server.asked[0].startswith(b"POST /key/generate?x=1 HTTP/1.1\r\nhost: localhost\r\n")
            missing = await send(upstream, f"unix:{tmp_path}/missing.sock:/").over()
            assert missing.why is not None and (missing.why.kind, missing.why.sent) == ("connect", False)

    run(main)


def test_closing_ends_everything(run: Run) -> None:
    async def slow(peer: Peer) -> None:
        await peer.request()
        peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhal")
        await peer.gone()

    async def main() -> None:
        async with serving(polite) as quick, serving(slow) as server, client(Limits(connections=1)) as upstream:
            await send(upstream, quick.url).over()
            halfway = send(upstream, server.url)
            await halfway.until(lambda heard: heard.body == b"hal")
            queued = send(upstream, server.url)
            await upstream.aclose()
            after = await send(upstream, server.url).over()
            assert [each.why and (each.why.kind, each.why.sent) for each in (halfway, queued, after)] == [
                ("read", True),
                ("connect", False),
                ("connect", False),
            ]
            await turns(lambda: quick.open == server.open == 0)

    run(main)


def test_a_receiver_that_fails_harms_only_itself(run: Run) -> None:
    """In `head` or `data` it is told that it is over; others, and the next on a kept connection, go on."""

    def fail(_: Heard) -> None:
        raise RuntimeError("a fault of the receiver")

    async def main() -> None:
        async with serving(polite) as server, client() as upstream:
            for what in ("head", "data", "end"):
                heard = await send(upstream, server.url, heard=Heard(**{what: fail})).over()
                assert heard.told[-1] == ("end" if what == "end" else "broken")
                assert (await send(upstream, server.url).over()).body == b"hi"
            broken = Heard(broken=fail)
            broken.ongoing = upstream.send(ask("http://x y"), Timeouts(), None, NetworkSettings(), broken)
            await broken.over()
            assert isinstance(broken.why, Broken) and not broken.why.sent
            assert upstream.stats()[0].open == upstream.stats()[0].idle == 1

    run(main)


def test_what_cannot_be_sent_is_refused_before_anything_is_opened(run: Run) -> None:
    async def main() -> None:
        async with serving(polite) as server, client() as upstream:
            for request in (
                ask(f"{server.url}/a b"),
                ask(f"{server.url}/a\r\nx: y"),
                ask(server.url, x_key="a\r\nx-injected: 1"),
                ask(server.url, b"{}", "POST", **{"bad name": "x"}),
                ask(server.url, content_length="3"),
                ask(server.url, transfer_encoding="chunked"),
                ask(server.url, method="GET / HTTP/1.1\r\nx:"),
                ask("ftp://example.com/"),
            ):
                heard = await send(upstream, request).over()
                assert heard.why is not None and (heard.why.kind, heard.why.sent) == ("protocol", False), request
            assert server.connections == 0

    run(main)


def test_remembered_heads_and_pools_are_bounded(run: Run, monkeypatch: Any) -> None:
    from penstock.gateway.upstream import client as client_module

    monkeypatch.setattr(client_module, "REMEMBERED", 8)

    async def main() -> None:
        async with serving(polite) as server, client() as upstream:
            for number in range(40):
                await send(upstream, ask(server.url, x_trace=str(number))).over()
                assert len(upstream._heads) <= 8 and len(upstream._lines) <= 8
            for number in range(20):
                network = NetworkSettings(ca_file=str(number))
                await send(upstream, server.url, network=network).over()
                for pool in upstream._pools.values():
                    for idle in list(pool.idle):
                        idle.close()
                assert len(upstream._pools) <= 9

    run(main)
