"""Fetches over real sockets: to the address that was checked and to no other, within a size and a time.

The hosts are made by hand, byte by byte, for what is tested is how a hostile one is met.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from penstock.calls import world
from penstock.calls.pinned import fetch_pinned
from penstock.resolve import FetchedMedia, FetchPinned, LookUp, NotFetched


class Host:
    """A server on loopback that does `serve` with each connection, and counts them."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                data = b""
                while b"\r\n\r\n" not in data and (piece := connection.recv(65536)):
                    data += piece
                if data:
                    self.requests.append(data)
                with suppress(OSError):  # the client has left: that is what some tests are about
                    self._serve(connection)

    def close(self) -> None:
        self._stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


@contextmanager
def host(answer: bytes | Callable[[socket.socket], None]) -> Iterator[Host]:
    made = Host(answer if callable(answer) else lambda connection: connection.sendall(answer))
    try:
        yield made
    finally:
        made.close()


def command(server: Host, path: str = "/x.png", **fields: Any) -> FetchPinned:
    return FetchPinned(f"http://pictures.example:{server.port}{path}", "127.0.0.1", **fields)


OK = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 3\r\nSet-Cookie: a=b\r\n\r\nPNG"


def test_it_asks_the_address_in_the_name_of_the_host() -> None:
    with host(OK) as server:
        found = fetch_pinned(command(server, "/a b/x.png?y=1#z"))
        assert isinstance(found, FetchedMedia)
        assert (found.status, found.headers["content-type"], found.body) == (200, "image/png", b"PNG")
        head = server.requests[0].decode().split("\r\n")
        assert head[0] == "GET /a%20b/x.png?y=1 HTTP/1.1"
        assert f"host: pictures.example:{server.port}" in [line.lower() for line in head]
        assert not [line for line in head if line.lower().startswith(("cookie", "authorization", "user-agent"))]


def test_no_proxy_of_the_environment_stands_between(monkeypatch: pytest.MonkeyPatch) -> None:
    with host(OK) as server, host(OK) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert isinstance(fetch_pinned(command(server)), FetchedMedia)
        assert proxy.requests == []


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    with host(OK) as private:
        moved = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{private.port}/\r\nContent-Length: 0\r\n\r\n"
        with host(moved.encode()) as server:
            found = fetch_pinned(command(server))
        assert isinstance(found, FetchedMedia) and found.status == 302
        assert private.requests == []


@pytest.mark.parametrize("head", [b"Content-Length: 1000", b"Transfer-Encoding: chunked", b"Connection: close"])
def test_a_body_that_is_too_large_is_left(head: bytes) -> None:
    body = b"3e8\r\n" + b"x" * 1000 + b"\r\n0\r\n\r\n" if b"chunked" in head else b"x" * 1000
    with host(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + body) as server:
        assert fetch_pinned(command(server, max_bytes=999)) == NotFetched("it is larger than 999 bytes")
        assert isinstance(fetch_pinned(command(server, max_bytes=1000)), FetchedMedia)


def test_a_body_without_an_end_is_left_when_it_is_too_large() -> None:
    def serve(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with host(serve) as server:
        assert isinstance(fetch_pinned(command(server, max_bytes=1_000_000)), NotFetched)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"", b""),
        (b"HTTP/1.1 200 OK\r\nX: ", b"y"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
    ids=["silence", "a dripping head", "a dripping body", "dripping chunks"],
)
def test_a_host_that_drips_meets_the_deadline(head: bytes, piece: bytes) -> None:
    """Each byte comes well before any timeout for silence: only a deadline over the whole ends this."""
    stopped = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.sendall(head)
        while not stopped.wait(0.02):
            connection.sendall(piece)

    with host(serve) as server:
        try:
            assert fetch_pinned(command(server, timeout=0.3)) == NotFetched("it took longer than 0.3 seconds")
        finally:
            stopped.set()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nPNG",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    ],
)
def test_what_is_no_whole_answer_is_no_media(answer: bytes) -> None:
    with host(answer) as server:
        assert isinstance(fetch_pinned(command(server)), NotFetched)


def test_a_compressed_body_is_refused_for_it_may_be_a_bomb() -> None:
    with host(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nxyz") as server:
        found = fetch_pinned(command(server))
        assert isinstance(found, NotFetched) and "compressed" in found.reason


def test_nobody_at_home() -> None:
    with host(OK) as server:
        port = server.port
    assert isinstance(
        fetch_pinned(FetchPinned(f"http://pictures.example:{port}/", "127.0.0.1", timeout=2.0)), NotFetched
    )


@pytest.mark.parametrize(
    "url", ["http://exa mple/", "http://[::1", "http://a\x00b/", "http://" + "a" * 300 + ".example/"]
)
def test_an_address_that_is_none_raises_nothing(url: str) -> None:
    assert isinstance(fetch_pinned(FetchPinned(url, "127.0.0.1", timeout=2.0)), NotFetched | FetchedMedia)


@pytest.mark.parametrize("name", ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "localhost"])
def test_spellings_of_loopback_are_looked_up_as_what_they_are(name: str) -> None:
    found = world.look_up(LookUp(name, 80)).addresses
    assert {"127.0.0.1", "::1"} & set(found) or found == ()


@pytest.mark.parametrize("name", ["no-such-host.invalid", "a" * 70 + ".example", "..", "\u2603" * 90])
def test_a_name_that_is_none_has_no_address(name: str) -> None:
    assert world.look_up(LookUp(name, 80)).addresses == ()
