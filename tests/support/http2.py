"""Both ends of HTTP/2 for tests, by the `h2` package on plain sockets: an upstream that echoes, and a client."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    InformationalResponseReceived,
    RequestReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)

from tests.support.certificates import certificate, write

Fields = list[tuple[str, str]]


class Asked2(NamedTuple):
    """One request as it came."""

    fields: Fields
    body: bytes

    def field(self, name: str) -> list[str]:
        """All values of a field."""
        return [value for key, value in self.fields if key == name]


class Said(NamedTuple):
    """One answer: its fields (with `:status`), body, trailers; `held` says that it never ends."""

    fields: Fields
    body: bytes = b""
    trailers: Fields = []
    held: bool = False


def echo(asked: Asked2) -> Said:
    """The request, said back."""
    text = "".join(f"{key}: {value}\n" for key, value in asked.fields).encode() + asked.body
    return Said([(":status", "200"), ("content-type", "text/plain")], text)


@dataclass
class Http2Upstream:
    """A running one. `answering` may be changed at any time."""

    port: int
    ca_pem: str
    answering: Callable[[Asked2], Said | None] = echo
    asked: list[Asked2] = field(default_factory=list)
    resets: int = 0
    connections: int = 0
    open: int = 0


@contextlib.contextmanager
def http2_upstream(folder: Path, *hosts: str) -> Iterator[Http2Upstream]:
    """Run one on a free port of 127.0.0.1. An answer of None resets the stream."""
    authority = certificate("Test HTTP/2 Authority")
    public, private = write(folder, "http2", certificate("http2", authority, *hosts))
    ca_pem = Path(write(folder, "http2-ca", authority)[0]).read_text()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    context.set_alpn_protocols(["h2", "http/1.1"])
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    upstream = Http2Upstream(listener.getsockname()[1], ca_pem)
    thread = threading.Thread(target=_accept, args=(listener, context, upstream), daemon=True)
    thread.start()
    try:
        yield upstream
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def _accept(listener: socket.socket, context: ssl.SSLContext, upstream: Http2Upstream) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        upstream.connections += 1
        upstream.open += 1
        threading.Thread(target=_serve, args=(connection, context, upstream), daemon=True).start()


def _serve(connection: socket.socket, context: ssl.SSLContext, upstream: Http2Upstream) -> None:
    connection.settimeout(20)
    with contextlib.suppress(OSError, ValueError):
        stream = context.wrap_socket(connection, server_side=True)
        with stream:
            _Server(stream, upstream).run()
    connection.close()
    upstream.open -= 1


class _Server:
    def __init__(self, stream: ssl.SSLSocket, upstream: Http2Upstream) -> None:
        self._stream = stream
        self._upstream = upstream
        self._lib = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._heads: dict[int, Fields] = {}
        self._bodies: dict[int, bytes] = {}

    def run(self) -> None:
        self._lib.initiate_connection()
        self._flush()
        while data := self._stream.recv(65536):
            for event in self._lib.receive_data(data):
                self._take(event)
            self._flush()

    def _flush(self) -> None:
        self._stream.sendall(self._lib.data_to_send())

    def _take(self, event: object) -> None:
        if isinstance(event, RequestReceived):
            self._heads[event.stream_id or 0] = [(str(key), str(value)) for key, value in event.headers or []]
            self._bodies[event.stream_id or 0] = b""
        elif isinstance(event, DataReceived):
            self._bodies[event.stream_id or 0] += event.data or b""
            self._lib.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
        elif isinstance(event, StreamReset):
            self._upstream.resets += 1
        elif isinstance(event, StreamEnded):
            self._answer(event.stream_id or 0)

    def _answer(self, number: int) -> None:
        asked = Asked2(self._heads[number], self._bodies[number])
        self._upstream.asked.append(asked)
        said = self._upstream.answering(asked)
        if said is None:
            self._lib.reset_stream(number)
            return
        nothing = not said.body and not said.trailers and not said.held
        self._lib.send_headers(number, said.fields, end_stream=nothing)
        if said.body:
            self._lib.send_data(number, said.body, end_stream=not said.trailers and not said.held)
        if said.trailers:
            self._lib.send_headers(number, said.trailers, end_stream=True)


class Answer2(NamedTuple):
    """One answer as a client read it; `reset`: the code of a reset, -1 where the connection ended before."""

    fields: Fields
    body: bytes
    trailers: Fields
    reset: int | None = None

    @property
    def status(self) -> int:
        return int(dict(self.fields).get(":status", "0"))

    @property
    def all(self) -> bytes:
        """Everything that the client saw."""
        return repr((self.fields, self.trailers)).encode() + self.body


class Client2:
    """A client of HTTP/2 on a connection of TLS. It checks nothing of what it is told to send."""

    def __init__(self, stream: ssl.SSLSocket) -> None:
        assert stream.selected_alpn_protocol() == "h2"
        self.stream = stream
        self.lib = H2Connection(
            H2Configuration(
                header_encoding="utf-8",
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self.lib.initiate_connection()
        self._answers: dict[int, Answer2] = {}
        self._over: set[int] = set()
        self.flush()

    def flush(self) -> None:
        """Send what waits."""
        self.stream.sendall(self.lib.data_to_send())

    def begin(self, fields: Sequence[tuple[str, str]], body: bytes | None = None, *, end: bool = True) -> int:
        """Send a request; return the number of its stream."""
        number = self.lib.get_next_available_stream_id()
        self._answers[number] = Answer2([], b"", [])
        self.lib.send_headers(number, list(fields), end_stream=body is None and end)
        if body is not None:
            self.lib.send_data(number, body, end_stream=end)
        self.flush()
        return number

    def answer(self, number: int) -> Answer2:
        """The answer to a request, once it is over."""
        while number not in self._over:
            data = self.stream.recv(65536)
            if not data:
                return self._answers[number]._replace(reset=-1)
            for event in self.lib.receive_data(data):
                self._take(event)
            self.flush()
        return self._answers[number]

    def ask(self, fields: Sequence[tuple[str, str]], body: bytes | None = None) -> Answer2:
        """A request and its answer."""
        return self.answer(self.begin(fields, body))

    def _take(self, event: object) -> None:
        number = getattr(event, "stream_id", 0) or 0
        found = self._answers.get(number)
        if isinstance(event, ConnectionTerminated):
            for each in self._answers.keys() - self._over:
                self._answers[each] = self._answers[each]._replace(reset=-1)
            self._over.update(self._answers)
        if found is None or isinstance(event, InformationalResponseReceived):
            return
        if isinstance(event, ResponseReceived):
            self._answers[number] = found._replace(
                fields=[(str(key), str(value)) for key, value in event.headers or []]
            )
        elif isinstance(event, TrailersReceived):
            self._answers[number] = found._replace(trailers=[(str(k), str(v)) for k, v in event.headers or []])
        elif isinstance(event, DataReceived):
            self._answers[number] = found._replace(body=found.body + (event.data or b""))
            self.lib.acknowledge_received_data(event.flow_controlled_length or 0, number)
        elif isinstance(event, StreamEnded):
            self._over.add(number)
        elif isinstance(event, StreamReset) and number not in self._over:
            self._answers[number] = found._replace(reset=int(event.error_code or 0))
            self._over.add(number)
