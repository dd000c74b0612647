"""An upstream that keeps the exact bytes of every request and answers what a test says; by default it echoes the
request, which is the worst that an upstream can do to a secret.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.certificates import certificate, write

Answering = Callable[["Asked"], Iterable[bytes]]
"""Gives an answer in parts, each sent as soon as it is there. It may raise `Silence` or `HangUp`, and wait."""


class Silence(Exception):
    """The upstream says no more, and waits for the other side to leave."""


class HangUp(Exception):
    """The upstream leaves.

    Args:
        reset: not with an end, but with a reset of the connection.
    """

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__()
        self.reset = reset


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    head: bytes
    body: bytes

    @property
    def line(self) -> str:
        """The request line."""
        return self.head.split(b"\r\n", 1)[0].decode("latin-1")

    @property
    def target(self) -> str:
        """What was asked for."""
        return self.line.split(" ")[1]

    def header(self, name: str) -> list[str]:
        """All values of a header."""
        lines = [line.partition(b":") for line in self.head.split(b"\r\n")[1:]]
        return [value.strip().decode("latin-1") for key, _, value in lines if key.decode().lower() == name.lower()]


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A response with a length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def in_chunks(*parts: bytes, trailers: str = "", headers: tuple[str, ...] = ()) -> bytes:
    """A response in chunks."""
    head = "\r\n".join(("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", *headers)).encode("latin-1")
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return head + b"\r\n\r\n" + chunks + b"0\r\n" + trailers.encode("latin-1") + b"\r\n"


def echo(asked: Asked) -> list[bytes]:
    """The whole request, said back."""
    return [answer(asked.head + asked.body, "200 OK", "Content-Type: text/plain")]


@dataclass
class RecordingUpstream:
    """A running one. `answering` may be changed at any time."""

    port: int
    ca_pem: str
    answering: Answering = echo
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    problems: list[str] = field(default_factory=list)

    def received(self) -> bytes:
        """All that it ever read."""
        return b"".join(each.head + each.body for each in self.asked)


@contextlib.contextmanager
def recording_upstream(
    folder: Path, *hosts: str, tls: bool = True, answering: Answering = echo
) -> Iterator[RecordingUpstream]:
    """Run one on a free port of 127.0.0.1 with a certificate for `hosts` (default: that address and localhost)."""
    authority = certificate("Test Upstream Authority")
    pair = certificate("upstream", authority, *(hosts or ("127.0.0.1", "localhost")))
    public, private = write(folder, "upstream", pair)
    ca_pem = Path(write(folder, "upstream-ca", authority)[0]).read_text()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    upstream = RecordingUpstream(listener.getsockname()[1], ca_pem, answering)
    thread = threading.Thread(target=_accept, args=(listener, context if tls else None, upstream), daemon=True)
    thread.start()
    try:
        yield upstream
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def _accept(listener: socket.socket, context: ssl.SSLContext | None, upstream: RecordingUpstream) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        upstream.connections += 1
        upstream.open += 1
        threading.Thread(target=_serve, args=(connection, context, upstream), daemon=True).start()


def _serve(connection: socket.socket, context: ssl.SSLContext | None, upstream: RecordingUpstream) -> None:
    connection.settimeout(20)
    stream = connection
    try:
        stream = context.wrap_socket(connection, server_side=True) if context else connection
        while (asked := _read(stream)) is not None:
            upstream.asked.append(asked)
            for part in upstream.answering(asked):
                stream.sendall(part)
    except Silence:
        with contextlib.suppress(OSError):
            while stream.recv(65536):
                pass
    except HangUp as how:
        if how.reset:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except (OSError, ValueError) as error:
        upstream.problems.append(f"{type(error).__name__}: {error}")
    finally:
        stream.close()
        upstream.open -= 1


def _read(stream: socket.socket) -> Asked | None:
    data = b""
    while b"\r\n\r\n" not in data:
        more = stream.recv(65536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    length = lengths[0] if lengths else 0
    chunked = b"transfer-encoding: chunked" in head.lower()
    while len(body) < length or (chunked and not body.endswith(b"0\r\n\r\n")):
        more = stream.recv(65536)
        if not more:
            raise ValueError("the request ended in its body")
        body += more
    return Asked(head + b"\r\n\r\n", body)
