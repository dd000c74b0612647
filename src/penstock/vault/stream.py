"""One connection as bytes in their order, with push-back both ways: who reads slowly holds back who writes.

asyncio's own StreamReader copies every byte twice more and stops at 64 KiB; here chunks are handed on as they came.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import cast

HIGH_WATER = 512 * 1024
"""Bytes that may wait to be read before the peer is held back; writing is held back at the same."""
LEFT_SECONDS = 2.0
"""A peer that has said its end, and hears nothing for so long afterwards, has left.

Over plain TCP nobody can tell a program that ended from one that only has nothing more to say. Taking both as gone at
once would fail the latter (`nc -N`); waiting for ever would let a model write on for an agent that was stopped.
"""


class Closed(ConnectionError):
    """The connection is gone: it was cut, or its peer left in the middle of something."""


class Stream(asyncio.Protocol):
    """A protocol of asyncio that is read and written by one task each.

    Args:
        lost: called once when the connection is gone, whoever ended it.
    """

    def __init__(self, lost: Callable[[], None] = lambda: None) -> None:
        self._on_lost = lost
        self.transport: asyncio.Transport  # set by `connection_made`
        self.is_connected = False
        self._chunks: deque[bytes] = deque()
        self._waiting = 0
        self._writes = 0
        self._paused = False
        self._ended = False
        self._lost = False
        self._is_gone = asyncio.Event()
        self._error: Exception | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None

    async def read(self, patience: float | None = None) -> bytes:
        """Return some bytes, or `b""` at the end.

        Args:
            patience: seconds that may pass without any.

        Raises:
            Closed: the connection broke.
            TimeoutError: nothing came.
        """
        while not self._chunks:
            if self._error is not None:
                raise Closed(type(self._error).__name__)
            if self._ended or self._lost:
                return b""
            await self._wait(patience)
        chunk = self._chunks.popleft()
        self._waiting -= len(chunk)
        if self._paused and self._waiting < HIGH_WATER // 2 and not self._lost:
            self._paused = False
            self.transport.resume_reading()
        return chunk

    async def _wait(self, patience: float | None) -> None:
        loop = asyncio.get_running_loop()
        reader = self._reader = loop.create_future()
        if patience is None:
            await reader
            return
        expiry = loop.call_later(patience, _expire, reader)
        try:
            await reader
        finally:
            expiry.cancel()

    def unread(self, data: bytes) -> None:
        """Put bytes back that belong to whoever reads next (what follows an upgrade)."""
        if data:
            self._chunks.appendleft(data)
            self._waiting += len(data)

    async def write(self, data: bytes) -> None:
        """Send `data`; waits while too much waits to be sent already.

        Raises:
            Closed: nobody will read it.
        """
        if self._lost:
            raise Closed("the connection is closed")
        self._writes += 1
        self.transport.write(data)
        if self._writable is not None:
            await asyncio.shield(self._writable)
            if self._lost:
                raise Closed("the connection is closed")

    def end(self) -> None:
        """Say that nothing more is sent, and close once all is written."""
        if not self._lost:
            self.transport.close()

    def cut(self) -> None:
        """Close at once; what waits is lost."""
        if not self._lost:
            self.transport.abort()

    async def gone(self) -> None:
        """Wait until the connection is gone: after `end`, until the peer has taken all that was written."""
        await self._is_gone.wait()

    @property
    def is_open(self) -> bool:
        """Whether bytes may still go both ways."""
        return not (self._lost or self._ended)

    # -- asyncio's side -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.is_connected = True
        self.transport.set_write_buffer_limits(high=HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        self._chunks.append(data)
        self._waiting += len(data)
        if self._waiting > HIGH_WATER and not self._paused:
            self._paused = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool | None:
        self._ended = True
        self._wake()
        if _is_tls(self.transport):
            return False  # a TLS transport cannot stay half open
        asyncio.get_running_loop().call_later(LEFT_SECONDS, self._look_who_listens, self._writes)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._is_gone.set()
        self._error = exc
        self._wake()
        self.resume_writing()
        self._on_lost()

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._writable is not None:
            self._writable.set_result(None)
            self._writable = None

    def _look_who_listens(self, writes: int) -> None:
        """Cut a half-open connection over which nothing was sent meanwhile: a write would tell, silence does not."""
        if self._lost:
            return
        if self._writes == writes and self._writable is None:
            self.cut()
        else:
            asyncio.get_running_loop().call_later(LEFT_SECONDS, self._look_who_listens, self._writes)

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
        self._reader = None


def _expire(reader: asyncio.Future[None]) -> None:
    if not reader.done():
        reader.set_exception(TimeoutError())


def _is_tls(transport: asyncio.Transport) -> bool:
    return transport.get_extra_info("ssl_object") is not None
