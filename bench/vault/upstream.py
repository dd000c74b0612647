"""An upstream for the vault's benchmark: TLS, kept-alive connections, `GET /bytes/N` gives N bytes of JSON-like text.

`python -m bench.vault.upstream CERTIFICATE KEY` prints its port.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import cast

import uvloop

ROW = b'{"id": 12345, "name": "a row of an answer", "tags": ["one", "two"], "score": 0.75, "more": null},\n'
TEXT = (ROW * 700)[:65536]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class Server(asyncio.Protocol):
    """Answers one request after another."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's of TLS is one by its methods only
        self._data = b""
        self._left = 0
        self._writing = True

    def data_received(self, data: bytes) -> None:
        self._data += data
        while b"\r\n\r\n" in self._data:
            head, _, self._data = self._data.partition(b"\r\n\r\n")
            size = int(head.split(b" ")[1].rpartition(b"/")[2])
            self._transport.write(HEAD % size)
            self._left = size
            self._send()

    def _send(self) -> None:
        while self._left and self._writing:
            part = TEXT[: self._left]
            self._left -= len(part)
            self._transport.write(part)

    def pause_writing(self) -> None:
        self._writing = False

    def resume_writing(self) -> None:
        self._writing = True
        self._send()


async def main(certificate: str, key: str) -> None:
    """Serve until killed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
