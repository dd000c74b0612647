"""The first bytes of a connection, looked at without taking them: they say which protocol the client speaks, and the
handshake of TLS must find them where they were.

`StreamWriter.start_tls` on a stream that has read already loses what it read (the handshake hangs), so the socket stays
raw until it is known who reads it.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import TypeVar

from penstock.vault.stream import Closed
from penstock.vault.wire import readable

Found = TypeVar("Found")

PATIENCE = 0.005
"""Seconds between two looks at a Unix socket, which does not know how much is awaited of it."""


async def peek(sock: socket.socket, look: Callable[[bytes], Found | None], limit: int) -> Found:
    """Return what `look` makes of the bytes that wait, once they are enough for it; they stay unread.

    Args:
        sock: a socket that does not block.
        look: returns None while it needs more bytes; what it raises is passed on.
        limit: the most bytes that it is shown.

    Raises:
        Closed: the client left, or sent `limit` bytes that `look` could not decide about.
    """
    seen = 0
    try:
        while True:
            await readable(sock)
            data = sock.recv(limit, socket.MSG_PEEK)
            found = look(data) if data else None
            if found is not None:
                return found
            if not data or len(data) >= limit:
                raise Closed("the connection ended before it said what it wants")
            if len(data) == seen:
                await asyncio.sleep(PATIENCE)
            seen = len(data)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, seen + 1)
    except OSError as error:
        raise Closed(str(error)) from None
    finally:
        if seen and sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)


def take(sock: socket.socket, count: int) -> bytes:
    """Take `count` bytes that `peek` has shown."""
    data = sock.recv(count)
    if len(data) != count:
        raise Closed("bytes that were there are gone")
    return data
