"""The listener over real sockets: what somebody without a key may send, and for how long."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from penstock.gateway import listener
from penstock.gateway.listener import MAX_HEAD, Listener


async def application(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def port() -> Iterator[int]:
    server = uvicorn.Server(uvicorn.Config(application, http=Listener, lifespan="off", log_level="critical"))
    bound = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield bound.getsockname()[1]
    server.should_exit = True
    thread.join(10)
    bound.close()


def said(port: int, *pieces: bytes) -> bytes:
    """All that comes back until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        heard = b""
        try:
            for piece in pieces:
                client.sendall(piece)
            while piece := client.recv(65536):
                heard += piece
        except ConnectionError:  # it closed while there was more to come
            pass
    return heard


START = b"GET / HTTP/1.1\r\nHost: x\r\n"
END = b"Connection: close\r\n\r\n"


@pytest.mark.parametrize(
    "flood",
    [
        [START, *[b"x-%d: %s\r\n" % (number, b"a" * 1000) for number in range(1000)]],
        [START + b"x: ", *[b"a" * 1000] * 1000],
        [b"GET /", *[b"a" * 1000] * 1000],
    ],
    ids=["headers", "one header", "address"],
)
def test_a_head_without_an_end_is_left(port: int, flood: list[bytes]) -> None:
    assert said(port, *flood).startswith(b"HTTP/1.1 431 ")
    assert said(port, START + END).endswith(b"ok"), "others are served"


def test_a_head_that_is_too_large_is_told_so(port: int) -> None:
    heard = said(port, START + b"x: " + b"a" * MAX_HEAD)
    assert heard.startswith(b"HTTP/1.1 431 ") and heard.endswith(b"65,536 bytes at most")


def test_a_large_head_and_a_larger_body_are_fine(port: int) -> None:
    body = b"b" * (4 * MAX_HEAD)
    length = b"Content-Length: %d\r\n" % len(body)
    assert said(port, b"POST" + START[3:] + b"x: " + b"a" * 50_000 + b"\r\n" + length + END + body).endswith(b"ok")


def test_each_head_counts_for_itself(port: int) -> None:
    one = START + b"x: " + b"a" * 40_000 + b"\r\n\r\n"
    assert said(port, one, one, START + END).count(b"HTTP/1.1 200") == 3


@pytest.mark.parametrize(("pieces", "status"), [([START], b"HTTP/1.1 408 "), ([], b"")])
def test_a_head_that_does_not_come_is_not_waited_for(
    port: int, monkeypatch: pytest.MonkeyPatch, pieces: list[bytes], status: bytes
) -> None:
    monkeypatch.setattr(listener, "HEAD_SECONDS", 0.2)
    heard = said(port, *pieces)
    assert heard.startswith(status) and bool(heard) == bool(status)


def test_a_slow_body_is_none_of_its_business(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "HEAD_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(b"POST" + START[3:] + b"Content-Length: 2\r\n" + END + b"a")
        time.sleep(0.5)
        client.sendall(b"b")
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
