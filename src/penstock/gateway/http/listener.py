"""The listener: takes the connections that wait for a worker, all of them each time the loop turns.

The servers of uvloop take one a turn (0.23, with libuv 1.52). A turn is short while there is little to do; with
thousands of streams it is a tenth of a second, and of 5,000 new clients 2,900 had not been heard a minute later.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable

__all__ = ["Listener"]

A_TURN = 128
"""Connections that are taken in one go, so that those which are open do not wait for a crowd."""
REST = 1.0
"""Seconds for which none is taken when the system has no room for more: they wait in its queue."""

_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_log = logging.getLogger("penstock.gateway")


class Listener:
    """Accepts the connections of a socket that listens already, and does not block. `make` makes their protocols."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, listening: socket.socket, make: Callable[[], asyncio.Protocol]
    ) -> None:
        self._loop, self._socket, self._make = loop, listening, make
        self._opening: set[asyncio.Task[None]] = set()
        self._resting: asyncio.TimerHandle | None = None
        loop.add_reader(listening, self._accept)

    def close(self) -> None:
        """Take no more. The socket stays open."""
        self._loop.remove_reader(self._socket)
        if self._resting is not None:
            self._resting.cancel()

    def _accept(self) -> None:
        for _ in range(A_TURN):
            try:
                connected, _ = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _NO_ROOM:
                    self._rest(error)
                    return
                continue  # accept(2): what went wrong with a connection that waited, and is no more
            connected.setblocking(False)
            task = self._loop.create_task(self._open(connected))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, connected: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make, connected)
        except OSError:  # it has gone already
            connected.close()

    def _rest(self, error: OSError) -> None:
        _log.error("no more connections can be taken for now: %s (is the limit of open files too low?)", error.strerror)
        self._loop.remove_reader(self._socket)
        self._resting = self._loop.call_later(REST, self._loop.add_reader, self._socket, self._accept)
