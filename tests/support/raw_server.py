"""A server that says exactly the bytes it is told: for what no well-behaved server, simulated or not, would send.

    with saying(b"HTTP/1.1 200 OK\r\n\r\n", HOLD) as server:
        httpx.get(server.url)

Each connection gets the next script (the last one over and over), after its request has come whole. A step is bytes, a
number (seconds to wait), HOLD (wait until the client leaves) or RESET (end with RST); after the last one it closes.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final, Literal, TypeAlias

HOLD: Final = "hold"
RESET: Final = "reset"
Step: TypeAlias = bytes | float | Literal["hold", "reset"]


class RawServer:
    """Where it listens, and what was asked of it (`asked`: head and body of each request)."""

    def __init__(self, scripts: Sequence[Sequence[Step]], tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[bytes] = []
        self._scripts, self._tls = scripts, tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}" if tls is None else f"https://localhost:{self.port}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        number = 0
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            script = self._scripts[min(number, len(self._scripts) - 1)]
            number += 1
            thread = threading.Thread(target=self._serve, args=(connection, script), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, script: Sequence[Step]) -> None:
        with suppress(OSError), connection:
            connection.settimeout(60)
            spoken = connection if self._tls is None else self._tls.wrap_socket(connection, server_side=True)
            with spoken:
                self.asked.append(_request(spoken))
                for step in script:
                    _do(spoken, step)

    def close(self) -> None:
        """Stop listening; connections end with their scripts."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(10)
        self._listener.close()


def _request(connection: socket.socket) -> bytes:
    heard = b""
    while b"\r\n\r\n" not in heard and (piece := connection.recv(65536)):
        heard += piece
    length = re.search(rb"content-length: (\d+)", heard, re.IGNORECASE)
    whole = heard.find(b"\r\n\r\n") + 4 + (int(length[1]) if length else 0)
    while len(heard) < whole and (piece := connection.recv(65536)):
        heard += piece
    return heard


def _do(connection: socket.socket, step: Step) -> None:
    if isinstance(step, bytes):
        connection.sendall(step)
    elif step == HOLD:
        while connection.recv(65536):
            pass
    elif step == RESET:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    elif isinstance(step, float):
        time.sleep(step)


@contextmanager
def saying(*script: Step, tls: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    """A server that says the same to everybody."""
    with saying_in_turn(script, tls=tls) as server:
        yield server


@contextmanager
def saying_in_turn(*scripts: Sequence[Step], tls: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    """A server that has a script for each connection."""
    server = RawServer(scripts, tls)
    try:
        yield server
    finally:
        server.close()
