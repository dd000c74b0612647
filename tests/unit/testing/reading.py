"""How the tests of the simulated providers read: streams that break, and bare sockets that see every byte."""

import socket
from collections.abc import Callable, Iterable
from typing import Any

from penstock.testing.providers import SimulatedProviders


def drain(events: Iterable[Any], into: list[Any]) -> None:
    """Read to the end; what had come before an exception is in the list."""
    for event in events:
        into += [event]


def request_bytes(path: str, body: bytes = b"", method: str = "POST", **headers: str) -> bytes:
    """A request as it goes over the wire; underscores in header names stand for dashes."""
    lines = [f"{method} {path} HTTP/1.1", "host: localhost", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def talk(provider: SimulatedProviders, sent: bytes, seconds: float = 5.0) -> bytes:
    """Everything that the server says until it closes the connection (or resets it, or the time is over)."""
    with socket.create_connection(("127.0.0.1", provider.port), timeout=seconds) as sock:
        sock.sendall(sent)
        return receive(sock)


def receive(sock: socket.socket) -> bytes:
    """What comes until the connection ends or nothing comes within its timeout."""
    received = b""
    while True:
        try:
            data = sock.recv(65536)
        except (TimeoutError, ConnectionResetError):
            return received
        if not data:
            return received
        received += data


def receive_until(sock: socket.socket, enough: Callable[[bytes], bool], quiet: float = 0.1) -> bytes:
    """What comes until it is enough, however long that takes; then whatever else comes before it is quiet for a while.

    So a slow machine makes a test slow, and never wrong.
    """
    sock.settimeout(60)
    received = b""
    while not enough(received):
        data = sock.recv(65536)
        assert data, f"the connection ended after {received!r}"
        received += data
    sock.settimeout(quiet)
    return received + receive(sock)


def unchunk(raw: bytes) -> tuple[list[bytes], bool]:
    """The chunks of a chunked body, and whether it came to its end."""
    body = raw.partition(b"\r\n\r\n")[2]
    chunks: list[bytes] = []
    while b"\r\n" in body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            return chunks, True
        chunks.append(rest[:length])
        body = rest[length + 2 :]
    return chunks, False
