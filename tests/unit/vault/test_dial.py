"""Dialling: whatever a resolver says, nothing private is reached unless it was named, and TLS is always verified."""

import asyncio
import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any, cast

import pytest
import uvloop

from penstock.vault import dial
from penstock.vault.ca import SessionCA
from penstock.vault.dial import (
    AddressInfo,
    Dialer,
    Fetcher,
    Network,
    UpstreamProxy,
    is_own,
    parse_proxy,
    permitted_networks,
    resolve,
    upstream_context,
)
from penstock.vault.values import Destination, Refusal
from tests.support import need

CANARY = "fake-canary-9f2c81d4e07b"
LOOPBACK = (ip_network("127.0.0.0/8"),)


def refusal(*codes: str) -> Any:
    return pytest.raises(Refusal, check=lambda error: error.code in codes)


def resolver(**table: list[str]) -> Callable[[str, int], Awaitable[Sequence[AddressInfo]]]:
    """A resolver that says this, each name once: who asks again is told of an address of this machine."""
    asked: list[str] = []

    async def getaddrinfo(host: str, port: int) -> Sequence[AddressInfo]:
        answers = ["127.0.0.1"] if host in asked else table.get(host.split(".")[0], [])
        asked.append(host)
        if not answers:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        family = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(family[":" in each], socket.SOCK_STREAM, 6, "", (each, port)) for each in answers]

    return getaddrinfo


async def look_up(answers: list[str], permitted: Sequence[str] = (), **settings: Any) -> list[str]:
    networks = [ip_network(each) for each in permitted]
    return await resolve("h.example", 443, networks, getaddrinfo=resolver(h=answers), **settings)


# -- what may be dialled ----------------------------------------------------------------------------------------------

_PRIVATE = """
127.0.0.1 127.9.9.9 10.0.0.1 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 100.100.100.200 0.0.0.0 224.0.0.1
255.255.255.255 240.0.0.1 192.0.2.1 198.18.0.1 ::1 :: fe80::1 fe80::1%lo fc00::1 fd00:ec2::254 ff02::1
::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 2002:7f00:1::1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe
2001:db8::1 ::127.0.0.1
"""
NEVER_UNNAMED = _PRIVATE.split()


@pytest.mark.parametrize("address", NEVER_UNNAMED)
def test_a_private_answer_is_refused_alone_and_among_others(address: str) -> None:
    for answers in ([address], ["8.8.8.8", address], [address, "8.8.8.8"], ["2606:4700::1111", "8.8.8.8", address]):
        with refusal("private_address", "own_address"):
            asyncio.run(look_up(answers))


@pytest.mark.parametrize("address", [each for each in NEVER_UNNAMED if "%" not in each])
def test_a_literal_private_address_is_refused_as_well(address: str) -> None:
    with refusal("private_address", "own_address"):
        asyncio.run(resolve(address, 443))


def test_global_answers_take_turns() -> None:
    found = asyncio.run(look_up(["2606:4700::1", "2606:4700::2", "2606:4700::1", "8.8.8.8", "8.8.4.4", "1.1.1.1"]))
    assert found == ["2606:4700::1", "8.8.8.8", "2606:4700::2", "8.8.4.4", "1.1.1.1"]


@pytest.mark.parametrize(
    ("address", "permitted", "allowed"),
    [
        ("10.1.2.3", ["10.1.0.0/16"], True),
        ("10.2.2.3", ["10.1.0.0/16"], False),
        ("fd00::5", ["fd00::/8"], True),
        ("127.0.0.1", ["127.0.0.1/32"], True),
        ("127.0.0.2", ["127.0.0.1/32"], False),
        ("::ffff:10.1.2.3", ["10.1.0.0/16"], False),
        ("169.254.169.254", ["0.0.0.0/0"], False),
        ("169.254.169.254", ["128.0.0.0/1"], False),
        ("169.254.169.254", ["169.254.169.254/32"], True),
        ("fe80::1", ["::/0"], False),
        ("fe80::1%lo", ["fe80::/10"], False),
        ("224.0.0.1", ["0.0.0.0/0"], False),
        ("0.0.0.0", ["0.0.0.0/0"], False),
        ("::", ["::/0"], False),
    ],
)
def test_a_network_that_is_named_opens_itself_only(address: str, permitted: list[str], allowed: bool) -> None:
    if allowed:
        assert asyncio.run(look_up([address], permitted)) == [address]
    else:
        with refusal("private_address", "own_address"):
            asyncio.run(look_up([address], permitted))


def test_an_address_of_this_machine_is_refused_although_it_is_global() -> None:
    with refusal("own_address"):
        asyncio.run(look_up(["8.8.8.8"], own=lambda address: address == "8.8.8.8"))
    assert asyncio.run(look_up(["8.8.8.8"], ["8.8.8.8/32"], own=lambda address: True)) == ["8.8.8.8"]


def test_the_vaults_own_ports_are_never_dialled() -> None:
    with refusal("own_address"):
        asyncio.run(look_up(["127.0.0.1"], ["127.0.0.0/8"], own_ports={443}))


def test_which_addresses_are_ours() -> None:
    assert is_own("127.0.0.1")
    assert not is_own("192.0.2.77")
    assert not is_own("8.8.8.8")


@pytest.mark.parametrize(
    ("named", "addresses", "host", "networks"),
    [
        ("localhost", {}, "localhost", ["127.0.0.0/8", "::1/128"]),
        ("*", {}, "localhost", []),
        ("evil.example", {}, "evil.example", []),
        ("10.1.2.3", {}, "10.1.2.3", ["10.1.2.3/32"]),
        ("*", {}, "10.1.2.3", []),
        ("2001:db8::1", {}, "2001:db8::1", ["2001:db8::1/128"]),
        ("a.lab", {"a.lab": ["10.0.0.0/8"], "b.lab": ["172.16.0.0/12"]}, "a.lab", ["10.0.0.0/8"]),
        ("*.lab", {"*.lab": ["10.0.0.0/8"]}, "x.lab", ["10.0.0.0/8"]),
    ],
)
def test_what_a_binding_names(named: str, addresses: dict[str, list[str]], host: str, networks: list[str]) -> None:
    assert permitted_networks(named, addresses, host) == tuple(ip_network(each) for each in networks)


def test_a_name_without_addresses_is_said_to_have_none() -> None:
    with refusal("no_such_host"):
        asyncio.run(look_up([]))


# -- connections ------------------------------------------------------------------------------------------------------


Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """`asyncio.run`, on either loop: the vault's process has uvloop's."""

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        loop = uvloop.new_event_loop if request.param == "uvloop" else None
        with asyncio.Runner(loop_factory=loop) as runner:
            return runner.run(work)

    return run


class Collect(asyncio.Protocol):
    """Says something, and collects what comes back until the other side ends."""

    def __init__(self, say: bytes = b"GET / HTTP/1.1\r\n\r\n") -> None:
        self.say, self.data, self.ended = say, b"", asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(self.say)  # uvloop's own is none by inheritance

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(self.data)


@contextlib.contextmanager
def serving(context: ssl.SSLContext | None, reply: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A server that answers `reply` to whatever comes first, and notes it."""
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    raw, _ = listener.accept()
                    raw.settimeout(20)
                    with (
                        contextlib.suppress(OSError),
                        context.wrap_socket(raw, server_side=True) if context else raw as stream,
                    ):
                        seen.append(stream.recv(65536))
                        stream.sendall(reply)
                        if isinstance(stream, ssl.SSLSocket):
                            stream.unwrap()
                    raw.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], seen
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def exchange(dialer: Dialer, destination: Destination, **settings: Any) -> tuple[bytes, str]:
    connected = await dialer.connect(destination, Collect, **settings)
    async with asyncio.timeout(20):
        data = await connected.protocol.ended
    connected.transport.close()
    return data, connected.address


def local(**table: list[str]) -> Dialer:
    return Dialer(getaddrinfo=resolver(**table))


def test_the_checked_address_is_dialled_and_the_name_is_resolved_once(run: Run) -> None:
    ca = SessionCA(["up.example"])
    with serving(ca.context("up.example"), REPLY) as (port, seen):
        destination = Destination("https", "up.example", port)
        dialer = local(up=["127.0.0.7", "127.0.0.1"])  # nobody listens at the first
        got = run(exchange(dialer, destination, permitted=LOOPBACK, extra_ca=ca.pem.decode()))
    assert got == (REPLY, "127.0.0.1")
    assert len(seen) == 1


def test_plain_http_goes_plain(run: Run) -> None:
    with serving(None, REPLY) as (port, _):
        destination = Destination("http", "up.example", port)
        assert run(exchange(local(up=["127.0.0.1"]), destination, permitted=LOOPBACK))[0] == REPLY


@pytest.mark.parametrize("case", ["unknown CA", "another name", "out of date", "plain"])
def test_tls_is_verified_whatever_the_reason(run: Run, case: str) -> None:
    now = 1_000_000_000.0 if case == "out of date" else None
    ca = SessionCA(["up.example", "other.example"], *([lambda: now] if now else []))
    context: ssl.SSLContext | None = ca.context("other.example" if case == "another name" else "up.example")
    pem = None if case == "unknown CA" else ca.pem.decode()
    with serving(None if case == "plain" else context, REPLY) as (port, seen):
        destination = Destination("https", "up.example", port)
        with refusal("upstream_tls", "upstream_unreachable") as caught:
            run(exchange(local(up=["127.0.0.1"]), destination, permitted=LOOPBACK, extra_ca=pem))
    assert not any(b"GET" in each for each in seen)
    assert caught.value.status == 502


def test_a_context_cannot_be_made_lenient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    monkeypatch.setenv("PYTHONHTTPSVERIFY", "0")
    context = upstream_context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.keylog_filename is None
    with refusal("bad_upstream_ca"):
        upstream_context("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


def test_contexts_are_kept() -> None:
    dialer = Dialer()
    assert dialer.context() is dialer.context()
    assert dialer.context(None, ("h2", "http/1.1")) is not dialer.context()


def test_a_port_that_nobody_listens_on_is_said_to_be_so(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with refusal("upstream_unreachable"):
        run(exchange(local(up=["127.0.0.1"]), Destination("http", "up.example", port), permitted=LOOPBACK))


def test_a_self_signed_device_is_trusted_when_its_certificate_is_given(run: Run, tmp_path: Path) -> None:
    need(command="openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=device"
    extension = ["-addext", "subjectAltName=DNS:device.lab", "-addext", "basicConstraints=critical,CA:FALSE"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *extension, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serving(context, REPLY) as (port, _):
        for pem in (certificate.read_text(), None):
            work = exchange(
                local(device=["127.0.0.1"]), Destination("https", "device.lab", port), permitted=LOOPBACK, extra_ca=pem
            )
            if pem:
                assert run(work)[0] == REPLY
            else:
                with refusal("upstream_tls"):
                    run(work)


# -- the company's proxy ----------------------------------------------------------------------------------------------


def test_the_address_of_a_proxy() -> None:
    proxy = parse_proxy("http://user:p%40ss@proxy.corp:8080")
    assert (proxy.host, proxy.port, proxy.authorization) == ("proxy.corp", 8080, "Basic dXNlcjpwQHNz")
    assert "dXNl" not in repr(proxy)
    for bad in ("https://proxy:1", "proxy:3128", "http://", "http://p:99999", "http://p/x", "http://p?x"):
        with refusal("bad_proxy"):
            parse_proxy(bad)


@pytest.mark.parametrize("first", [b"", b"SSH-2.0-fake\r\n"], ids=["silent upstream", "upstream speaks at once"])
def test_a_proxy_is_asked_to_connect_and_not_a_byte_of_the_upstream_is_lost(run: Run, first: bytes) -> None:
    with serving(None, b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n" + first) as (port, seen):
        proxy = UpstreamProxy("127.0.0.1", port, "Basic ZmFrZQ==")
        dialer = Dialer(upstream_proxy=proxy, getaddrinfo=resolver())
        data, address = run(exchange(dialer, Destination("ssh", "git.example", 22)))
    assert (data, address) == (first, "127.0.0.1")
    assert seen[0].startswith(b"CONNECT git.example:22 HTTP/1.1\r\nHost: git.example:22\r\n")
    assert b"Proxy-Authorization: Basic ZmFrZQ==" in seen[0]


@pytest.mark.parametrize(
    "reply", [b"HTTP/1.1 407 No\r\n\r\n", b"junk\r\n\r\n", b"HTTP/1.1 2000 x\r\n\r\n", b"HTTP/1.1", b"x" * 9000]
)
def test_a_proxy_that_refuses_is_an_error(run: Run, reply: bytes) -> None:
    with serving(None, reply) as (port, _), refusal("upstream_proxy", "upstream_unreachable"):
        dialer = Dialer(upstream_proxy=UpstreamProxy("127.0.0.1", port), getaddrinfo=resolver())
        run(exchange(dialer, Destination("https", "up.example", 443)))


@pytest.mark.parametrize(("host", "table"), [("127.0.0.1", {}), ("up.example", {"up": ["10.0.0.1"]}), ("::1", {})])
def test_a_proxy_is_no_way_to_private_addresses(run: Run, host: str, table: dict[str, list[str]]) -> None:
    with serving(None, b"HTTP/1.1 200 ok\r\n\r\n") as (port, seen), refusal("private_address", "own_address"):
        dialer = Dialer(upstream_proxy=UpstreamProxy("127.0.0.1", port), getaddrinfo=resolver(**table))
        run(exchange(dialer, Destination("https", host, 443)))
    assert seen == []


# -- calls of the vault's own -----------------------------------------------------------------------------------------


def fetcher(ca: SessionCA | None, **table: list[str]) -> Fetcher:
    networks: tuple[Network, ...] = LOOPBACK
    permitted = {f"{name}.example": networks for name in table}
    return Fetcher(local(**table), permitted=permitted, extra_ca=ca.pem.decode() if ca else None)


def test_a_call_of_the_vaults_own(run: Run) -> None:
    ca = SessionCA(["up.example"])
    reply = b"HTTP/1.1 302 Found\r\nLocation: https://evil.example/\r\nX-A: 1\r\nContent-Length: 2\r\n\r\n{}"
    with serving(ca.context("up.example"), reply) as (port, seen):
        url = f"https://up.example:{port}/token?x=1"
        got = run(fetcher(ca, up=["127.0.0.1"])("POST", url, (("authorization", CANARY),), b"a=b"))
    assert (got.status, got.body) == (302, b"{}")
    assert ("x-a", "1") in got.headers
    assert seen[0].startswith(b"POST /token?x=1 HTTP/1.1\r\n")
    assert len(seen) == 1, "a redirect is not followed"


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        CANARY.encode(),
        b"HTTP/1.1 abc " + CANARY.encode() + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 2_000_000,
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab",
    ],
    ids=["nothing", "no HTTP", "no status", "too short", "too long", "encoded"],
)
def test_a_bad_answer_is_an_error_that_shows_nothing(run: Run, reply: bytes) -> None:
    ca = SessionCA(["up.example"])
    with serving(ca.context("up.example"), reply) as (port, _), refusal("fetch_failed") as caught:
        url = f"https://up.example:{port}/{CANARY}"
        run(fetcher(ca, up=["127.0.0.1"])("GET", url, (("authorization", CANARY),)))
    assert CANARY not in f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"


def test_a_call_is_given_up_in_time(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "FETCH_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, refusal("fetch_failed"):
        url = f"https://up.example:{silent.getsockname()[1]}/"
        run(fetcher(SessionCA(["up.example"]), up=["127.0.0.1"])("GET", url))


@pytest.mark.parametrize(
    "url",
    [
        "http://up.example/", "ftp://up.example/", "https://user:pw@up.example/", "https://up.example/#x", "https://",
        "https://up.example:99999/", "https://exämple.com/", "https://127.1/", "//up.example/", "",
    ],
)  # fmt: skip
def test_addresses_that_the_vault_does_not_call(run: Run, url: str) -> None:
    with refusal("fetch_failed", "bad_host"):
        run(Fetcher(local(up=["8.8.8.8"]))("GET", url))


def test_plain_http_is_for_loopback_that_was_named(run: Run) -> None:
    with serving(None, REPLY) as (port, _):
        got = run(fetcher(None, up=["127.0.0.1"])("GET", f"http://up.example:{port}/"))
        assert got.body == b"ok"


def test_headers_cannot_be_broken_out_of(run: Run) -> None:
    ca = SessionCA(["up.example"])
    with serving(ca.context("up.example"), REPLY) as (port, _), refusal("fetch_failed"):
        headers = (("authorization", "x\r\nx-evil: 1"),)
        run(fetcher(ca, up=["127.0.0.1"])("GET", f"https://up.example:{port}/", headers))
