"""A proxy that makes every mistake of the threat model: it puts the secret wherever the stub stands, believes
whatever a client says of its destination, passes bytes on without reading them, and scrubs nothing.
"""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import ssl
import threading
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import unquote

import h2.config
import h2.connection
import h2.events
from h2.exceptions import H2Error

SECONDS = 4.0


class NaiveProxy:
    """A running one.

    Args:
        context: of its server side, for any name.
        swaps: stub to secret.
        where: the port on loopback where a host lies, or None.
    """

    def __init__(
        self, context: ssl.SSLContext, swaps: Mapping[bytes, bytes], where: Callable[[str], int | None]
    ) -> None:
        self._context = context
        self._swaps = swaps
        self._where = where
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address: tuple[str, int] = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept no more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(SECONDS)
        with contextlib.suppress(OSError, ValueError, H2Error), connection:
            first = connection.recv(65536, socket.MSG_PEEK)
            dialled = ""
            if first.startswith(b"CONNECT"):
                head = connection.recv(65536).decode("latin-1")
                dialled = head[8:].partition(" HTTP")[0].rpartition(":")[0]
                connection.sendall(b"HTTP/1.1 200 Sure\r\n\r\n")
                first = connection.recv(3, socket.MSG_PEEK)
            if first[:1] != b"\x16":
                self._speak(connection, dialled)
                return
            with self._context.wrap_socket(connection, server_side=True) as stream:
                http2 = stream.selected_alpn_protocol() == "h2"
                (self._speak_http2 if http2 else self._speak)(stream, dialled)

    def _speak(self, stream: socket.socket, dialled: str) -> None:
        """Send all that comes to the host that the first request names."""
        data = stream.recv(1 << 20)
        upstream = self._dial(data, dialled)
        if upstream is None:
            stream.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return
        with upstream:
            upstream.sendall(self.swapped(data))
            threading.Thread(target=self._pump, args=(stream, upstream), daemon=True).start()
            with contextlib.suppress(OSError):
                while data := upstream.recv(65536):
                    stream.sendall(data)

    def _pump(self, stream: socket.socket, upstream: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            while data := stream.recv(65536):
                upstream.sendall(self.swapped(data))

    def _dial(self, data: bytes, dialled: str) -> socket.socket | None:
        """Believe an absolute target, else Host, else CONNECT."""
        absolute = re.match(rb"[A-Z]+ +https?://([^/ ]+)", data)
        named = re.search(rb"(?im)^ ?host ?: *([^\r\n]+)", data)
        text = (absolute or named or [b"", dialled.encode("latin-1")])[1].decode("latin-1")
        for host in (text, dialled):
            port = self._where(plain_host(host))
            if port is not None:
                return socket.create_connection(("127.0.0.1", port), SECONDS)
        return None

    def _speak_http2(self, stream: socket.socket, dialled: str) -> None:
        """Turn each stream into a request of HTTP/1.1, fields as they come."""
        settings = h2.config.H2Configuration(
            client_side=False,
            header_encoding="latin-1",
            validate_inbound_headers=False,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            normalize_inbound_headers=False,
        )
        connection = h2.connection.H2Connection(settings)
        connection.initiate_connection()
        stream.sendall(connection.data_to_send())
        while data := stream.recv(65536):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    self._answer_http2(connection, event, dialled)
            stream.sendall(connection.data_to_send())

    def _answer_http2(
        self, connection: h2.connection.H2Connection, event: h2.events.RequestReceived, dialled: str
    ) -> None:
        fields = [(str(name), str(value)) for name, value in event.headers or ()]
        special = dict(fields)
        lines = [f"{special.get(':method')} {special.get(':path', '/')} HTTP/1.1"]
        lines.append(f"Host: {special.get(':authority', dialled)}")
        lines += [f"{name}: {value}" for name, value in fields if not name.startswith(":")]
        data = "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")
        upstream = self._dial(data, dialled)
        answered = b""
        if upstream is not None:
            with upstream, contextlib.suppress(OSError):
                upstream.sendall(self.swapped(data))
                upstream.shutdown(socket.SHUT_WR)
                while more := upstream.recv(65536):
                    answered += more
        head, _, body = answered.partition(b"\r\n\r\n")
        stream_id = event.stream_id or 0
        status = head[9:12].decode() or "502"
        connection.send_headers(
            stream_id, [(":status", status), ("x-was", head.decode("latin-1").replace("\r\n", " "))]
        )
        connection.send_data(stream_id, body[:16000], end_stream=True)

    def swapped(self, data: bytes) -> bytes:
        """Put secrets wherever stubs stand."""
        for stub, secret in self._swaps.items():
            data = data.replace(stub, secret)
        return re.sub(rb"(?<=Basic )[A-Za-z0-9+/=]+", self._swapped_basic, data)

    def _swapped_basic(self, match: re.Match[bytes]) -> bytes:
        with contextlib.suppress(ValueError):
            plain = base64.b64decode(match[0])
            for stub, secret in self._swaps.items():
                plain = plain.replace(stub, secret)
            return base64.b64encode(plain)
        return match[0]


def plain_host(text: str) -> str:
    """Mend a host as helpful programs do."""
    with contextlib.suppress(UnicodeError):
        text = text.encode("latin-1").decode("utf-8")
    text = unicodedata.normalize("NFKC", unquote(text)).casefold().replace("\u3002", ".")
    text = text.partition("\0")[0].rpartition("@")[2]
    for mark in "\\/#?\t\r ":
        text = text.partition(mark)[0]
    host = (
        text.strip("[]") if text.startswith("[") and text.endswith("]") else re.sub(r"(:\d+)+$", "", text).strip("[]")
    )
    return ".".join(label for label in host.split(".") if label)


@contextlib.contextmanager
def naive_proxy(
    context: ssl.SSLContext, swaps: Mapping[bytes, bytes], where: Callable[[str], int | None]
) -> Iterator[NaiveProxy]:
    """Run one."""
    proxy = NaiveProxy(context, swaps, where)
    try:
        yield proxy
    finally:
        proxy.close()
