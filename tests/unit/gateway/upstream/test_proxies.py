"""Proxies: which one an environment names, and how it is spoken to."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.gateway.upstream import NetworkSettings
from penstock.gateway.upstream.origins import Unsendable, parse
from penstock.gateway.upstream.proxies import ProxyRules, as_proxy
from tests.support.certificates import Files
from tests.support.upstream import OK, Peer, Server, client, send, serving

Run = Callable[[Any], None]

RULES: list[tuple[dict[str, str], str, str | None]] = [
    ({}, "https://a.example", None),
    ({"HTTPS_PROXY": "http://p:1"}, "https://a.example", "http://p:1"),
    ({"HTTPS_PROXY": "http://p:1"}, "http://a.example", None),
    ({"https_proxy": "http://low:1", "HTTPS_PROXY": "http://up:1"}, "https://a.example", "http://low:1"),
    ({"HTTP_PROXY": "p:3128"}, "http://a.example", "http://p:3128"),
    ({"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, "http://a.example", None),
    ({"ALL_PROXY": "http://p:1"}, "https://a.example", "http://p:1"),
    ({"ALL_PROXY": "http://all:1", "HTTPS_PROXY": "http://p:1"}, "https://a.example", "http://p:1"),
    ({"HTTPS_PROXY": ""}, "https://a.example", None),
    ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, "https://a.example", None),
    ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "b.example, a.example"}, "https://a.example", None),
    ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a.example"}, "https://x.a.example", None),
    ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a.example"}, "https://xa.example", "http://p:1"),
    ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".a.example"}, "https://x.a.example", None),
    ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".a.example"}, "https://a.example", "http://p:1"),
    ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "A.Example"}, "https://a.example", None),
    ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.1"}, "https://10.0.0.1", None),
    ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.1"}, "https://210.0.0.1", "http://p:1"),
    ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "::1"}, "https://[::1]:8443", None),
    ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "localhost"}, "https://localhost:8443", None),
    ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "localhost"}, "https://x.localhost", "http://p:1"),
    ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "https://a.example:8443"}, "https://a.example:8443", None),
    ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "https://a.example:8443"}, "https://a.example", "http://p:1"),
    ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "all://*.a.example"}, "https://x.a.example", None),
    ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a.example:8443"}, "https://a.example:8443", None),
    ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a.example:8443"}, "https://a.example", "http://p:1"),
]


@pytest.mark.parametrize(("environment", "url", "expected"), RULES)
def test_rules(environment: dict[str, str], url: str, expected: str | None) -> None:
    found = ProxyRules(environment).proxy(parse(url).origin)
    assert (None if found is None else str(found.origin)) == expected


@pytest.mark.parametrize(("environment", "url", "expected"), RULES)
def test_rules_are_those_of_the_sdk(
    environment: dict[str, str], url: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """httpx is the oracle."""
    import httpx
    from httpx._utils import URLPattern, get_environment_proxies

    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_PROXY".upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    mounts = sorted((URLPattern(key), value) for key, value in get_environment_proxies().items())
    found = next((value for pattern, value in mounts if pattern.matches(httpx.URL(url))), None)
    assert found == expected


def test_what_is_no_proxy_we_speak_to() -> None:
    for url in ("socks5://p:1080", "http://", "http://a b:1"):
        with pytest.raises(Unsendable, match="proxy"):
            as_proxy(url)


def test_nothing_prints_a_secret() -> None:
    network = NetworkSettings(proxy="http://user:secret@p:1", cert=("a", "b", "secret"))
    assert "secret" not in repr(network) and "secret" not in repr(as_proxy("http://user:secret@p:1"))


async def polite(peer: Peer) -> None:
    while await peer.request() is not None:
        peer.say(OK)


def tunnelling(
    answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n", inner: bytes = b""
) -> Callable[..., Any]:
    """A proxy that answers CONNECT so, and passes everything on to localhost."""

    async def proxy(peer: Peer) -> None:
        asked = await peer.request()
        assert asked is not None
        peer.say(b"HTTP/1.1 200 Connection established\r\n\r\n")
        found = re.match(rb"CONNECT \S+:(\d+) HTTP/1\.1\r\n", asked)
        assert found is not None
        reader, writer = await asyncio.open_connection("127.0.0.1", int(found[1]))
        await asyncio.gather(copy(peer.reader, writer), copy(reader, peer.writer))

    return proxy


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("certificates"))


def proxied(server: Server, files: Files, scheme: str = "http") -> NetworkSettings:
    return NetworkSettings(proxy=f"{scheme}://us%65r:p%40ss@localhost:{server.port}", ca_file=files.authority)


CREDENTIALS = b"proxy-authorization: Basic dXNlcjpwQHNz\r\n"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_http_is_asked_for_by_its_whole_url(run: Run, files: Files, scheme: str) -> None:
    async def main() -> None:
        context: ssl.SSLContext | None = files.context if scheme == "https" else None
        async with serving(polite, context) as proxy, client() as upstream:
            for _ in range(2):
                heard = send(upstream, "http://a.example:81/v1?x", network=proxied(proxy, files, scheme))
                assert (await heard.over()).body == b"hi"
            assert proxy.asked[0].startswith(b"POST http://a.example:81/v1?x HTTP/1.1\r\nhost: a.example:81\r\n")
            assert CREDENTIALS in proxy.asked[0] and proxy.connections == 1

    run(main)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_https_goes_through_a_tunnel(run: Run, files: Files, scheme: str) -> None:
    """The proxy sees CONNECT with its credentials, the provider the request without them; the tunnel is kept."""

    async def main() -> None:
        context = files.context if scheme == "https" else None
        async with (
            serving(polite, files.context) as server,
            serving(tunnelling(), context) as proxy,
            client() as upstream,
        ):
            for _ in range(3):
                heard = await send(upstream, f"{server.url}/v1", network=proxied(proxy, files, scheme)).over()
                assert heard.body == b"hi", heard.why
            assert len(proxy.asked) == 1 and proxy.asked[0].startswith(b"CONNECT localhost:%d HTTP/1.1" % server.port)
            assert CREDENTIALS in proxy.asked[0]
            assert server.asked[0].startswith(b"POST /v1 HTTP/1.1\r\n") and b"proxy-" not in server.asked[0]

    run(main)


def test_the_environments_proxy(run: Run, files: Files) -> None:
    async def main() -> None:
        async with serving(polite) as proxy:
            environment = {"HTTP_PROXY": f"http://127.0.0.1:{proxy.port}", "NO_PROXY": "127.0.0.1"}
            async with serving(polite) as server, client(environment=environment) as upstream:
                await send(upstream, "http://a.example/").over()
                await send(upstream, server.url).over()
                direct = NetworkSettings(trust_environment=False)
                await send(upstream, "http://no-such-host.invalid/", network=direct).over()
                assert (len(proxy.asked), len(server.asked)) == (1, 1)

    run(main)


@pytest.mark.parametrize(
    ("answer", "inner", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", b"", "407"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", b"", "2000"),
        (b"SSH-2.0\r\n\r\n", b"", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"x" * 20_000, b"", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"surprise", "before we spoke"),
        (b"", b"", "closed the connection"),
    ],
)
def test_a_proxy_that_refuses(run: Run, files: Files, answer: bytes, inner: bytes, words: str) -> None:
    async def refusing(peer: Peer) -> None:
        await peer.request()
        peer.say(answer + inner)

    async def main() -> None:
        async with serving(refusing) as proxy, client() as upstream:
            heard = await send(upstream, "https://localhost:1/", network=proxied(proxy, files)).over()
            assert heard.why is not None and (heard.why.kind, heard.why.sent) == ("connect", False)
            assert words in heard.why.message and "p@ss" not in heard.why.message

    run(main)


def test_a_tunnel_to_somebody_else(run: Run, files: Files, tmp_path: Path) -> None:
    """A proxy that answers in the provider's place does not have its certificate."""
    other = Files(tmp_path)

    async def main() -> None:
        async with serving(polite, other.context) as server, serving(tunnelling()) as proxy, client() as upstream:
            heard = await send(upstream, f"{server.url}/v1", network=proxied(proxy, files)).over()
            assert heard.why is not None and (heard.why.kind, heard.why.sent) == ("connect", False)
            assert server.asked == []

    run(main)
