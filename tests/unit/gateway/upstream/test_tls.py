"""TLS: authorities of one's own, client certificates, names that do not match; all certificates are made here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.exchange import Timeouts
from penstock.gateway.upstream import NetworkSettings
from tests.support.certificates import Files
from tests.support.upstream import OK, Heard, Peer, ask, client, send, serving, turns

Run = Callable[[Any], None]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("certificates"))


async def polite(peer: Peer) -> None:
    while await peer.request() is not None:
        peer.say(OK)


def test_an_authority_of_ones_own(run: Run, files: Files) -> None:
    spoken: list[Any] = []

    async def provider(peer: Peer) -> None:
        connected = peer.writer.get_extra_info("ssl_object")
        spoken.append((connected.selected_alpn_protocol(), connected.version()))
        await polite(peer)

    async def main() -> None:
        async with serving(provider, files.context) as server, client() as upstream:
            network = NetworkSettings(ca_file=files.authority)
            for _ in range(3):
                assert (await send(upstream, server.url, network=network).over()).body == b"hi"
            assert spoken == [("http/1.1", "TLSv1.3")]

    run(main)


def test_the_environment_names_the_authority(run: Run, files: Files) -> None:
    async def main() -> None:
        environment = {"SSL_CERT_FILE": files.authority}
        async with serving(polite, files.context) as server, client(environment=environment) as upstream:
            assert (await send(upstream, server.url).over()).body == b"hi"
            heard = await send(upstream, server.url, network=NetworkSettings(trust_environment=False)).over()
            assert heard.why is not None and "CERTIFICATE" in heard.why.message.upper()

    run(main)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_who_is_not_trusted_or_not_meant(run: Run, files: Files, host: str) -> None:
    """An unknown authority, or a known one's certificate for another name: not a byte of the request leaves."""

    async def main() -> None:
        async with serving(polite, files.context) as server, client() as upstream:
            url = f"https://{host}:{server.port}"
            network = NetworkSettings(ca_file=files.authority if host == "127.0.0.1" else None)
            heard = await send(upstream, url, network=network).over()
            assert heard.why is not None and (heard.why.kind, heard.why.sent) == ("connect", False)
            assert "certificate" in heard.why.message.lower() or "mismatch" in heard.why.message.lower()
            assert server.asked == []
            assert (await send(upstream, url, network=NetworkSettings(verify=False)).over()).body == b"hi"

    run(main)


@pytest.mark.parametrize("how", ["pair", "joined", "with a password"])
def test_a_client_certificate(run: Run, files: Files, how: str) -> None:
    shown: list[Any] = []

    async def provider(peer: Peer) -> None:
        shown.append(peer.writer.get_extra_info("peercert")["subject"][0][0][1])
        await polite(peer)

    cert: Any = {
        "pair": files.client,
        "joined": str(files.joined),
        "with a password": (*files.locked, "open sesame"),
    }[how]

    async def main() -> None:
        async with serving(provider, files.asking) as server, client() as upstream:
            network = NetworkSettings(ca_file=files.authority, cert=cert)
            assert (await send(upstream, server.url, network=network).over()).body == b"hi"
            assert shown == ["a client"]

    run(main)


def test_no_client_certificate(run: Run, files: Files) -> None:
    """With TLS 1.3 the refusal comes after the handshake, when the request may be under way; it is never read."""

    async def main() -> None:
        async with serving(polite, files.asking) as server, client() as upstream:
            heard = await send(upstream, server.url, network=NetworkSettings(ca_file=files.authority)).over()
            assert heard.why is not None and heard.why.kind in ("connect", "read") and server.asked == []

    run(main)


def test_files_that_cannot_be_read(run: Run, files: Files, tmp_path: Path) -> None:
    async def main() -> None:
        async with client() as upstream:
            for network, words in (
                (NetworkSettings(ca_file=str(tmp_path / "none.pem")), "none.pem"),
                (NetworkSettings(cert=str(tmp_path / "missing.pem")), "missing.pem"),
                (NetworkSettings(cert=files.locked), "locked.pem"),
                (NetworkSettings(cert=(*files.locked, "wrong")), "locked.pem"),
            ):
                heard = await send(upstream, "https://localhost:9/", network=network).over()
                assert heard.why is not None and (heard.why.kind, heard.why.sent) == ("connect", False)
                assert words in heard.why.message and "wrong" not in heard.why.message

    run(main)


def test_plain_text_where_tls_should_be(run: Run) -> None:
    async def provider(peer: Peer) -> None:
        await peer.reader.read(1)
        peer.say(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            heard = await send(upstream, f"https://127.0.0.1:{server.port}").over()
            assert heard.why is not None and (heard.why.kind, heard.why.sent) == ("connect", False)

    run(main)


def test_a_handshake_that_stalls(run: Run) -> None:
    async def provider(peer: Peer) -> None:
        await peer.gone()

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            heard = await send(upstream, f"https://127.0.0.1:{server.port}", Timeouts(connect=0.1)).over()
            assert heard.why is not None and (heard.why.kind, heard.why.sent) == ("timeout", False)
            await turns(lambda: server.open == 0)

    run(main)


@pytest.mark.parametrize("ending", ["until the end", "in the body", "while idle", "as reused"])
def test_ends(run: Run, files: Files, ending: str) -> None:
    """What the end of a TLS connection means is what that of a plain one does."""

    async def provider(peer: Peer) -> None:
        await peer.request()
        if ending == "until the end":
            peer.say(b"HTTP/1.1 200 OK\r\n\r\nhi")
        elif ending == "in the body":
            peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi")
        else:
            peer.say(OK)
        if ending == "as reused" and peer.server.connections == 1:
            await peer.request()
            peer.reset()

    async def main() -> None:
        async with serving(provider, files.context) as server, client() as upstream:
            network = NetworkSettings(ca_file=files.authority)
            heard = await send(upstream, server.url, network=network).over()
            assert (heard.body, heard.told[-1]) == (b"hi", "broken" if ending == "in the body" else "end")
            if ending == "while idle":
                await turns(lambda: upstream.stats()[0].open == 0)
            if ending == "as reused":
                assert (await send(upstream, server.url, network=network).over()).body == b"hi"
                assert upstream.stats()[0].repeated == 1

    run(main)


def test_pause_and_large_bodies(run: Run, files: Files) -> None:
    body = b"0123456789abcdef" * 500_000

    async def provider(peer: Peer) -> None:
        asked = await peer.request()
        assert asked is not None and asked.endswith(body)
        peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body))
        peer.say(body)
        await peer.gone()

    async def main() -> None:
        async with serving(provider, files.context) as server, client() as upstream:

            def slow(heard: Heard) -> None:
                assert heard.ongoing is not None
                heard.ongoing.pause()
                asyncio.get_running_loop().call_later(0.001, heard.ongoing.resume)

            network = NetworkSettings(ca_file=files.authority)
            heard = await send(upstream, ask(server.url, body), network=network, heard=Heard(data=slow)).over()
            assert heard.body == body and heard.told[-1] == "end"

    run(main)
