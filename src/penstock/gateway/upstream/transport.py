"""The transport: the client as coroutines see it, in the place of httpx. What fetches tokens, drives a preparation or
waits for a whole answer (penstock.calls.async_world) works with it; the hot path does not come by here.
"""

from __future__ import annotations

import asyncio
from collections import deque

from penstock.calls.body_limits import StreamBroken, WholeBody
from penstock.calls.transport import is_stream
from penstock.exchange import Broken, Reply, Send
from penstock.gateway.upstream.client import Upstream
from penstock.gateway.upstream.ongoing import Ongoing
from penstock.gateway.upstream.settings import NetworkSettings

__all__ = ["UpstreamTransport"]

FULL = 256 * 1024
"""Bytes that wait for a slow reader before the provider is read no more."""


class UpstreamTransport:
    """`penstock.calls.transport.AsyncTransport` over an Upstream (which it does not close: others use it too)."""

    def __init__(self, upstream: Upstream, network: NetworkSettings = NetworkSettings()) -> None:  # noqa: B008 - frozen
        self._upstream, self._network = upstream, network

    async def send(self, send: Send) -> Reply | Broken:
        """The answer; of a stream, its first piece, with the rest to be read."""
        answer = _Answer()
        answer.ongoing = self._upstream.send(send.request, send.timeouts, send.seconds_left, self._network, answer)
        try:
            return await answer.reply(send.stream)
        except StreamBroken as cut:
            return cut.broken
        except BaseException:
            answer.ongoing.cancel()
            raise

    async def aclose(self) -> None:
        """Nothing: the connections are the Upstream's."""


class _Answer:
    """Hears an answer, and lets a coroutine read it."""

    ongoing: Ongoing

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._over = False
        self._why: Broken | None = None
        self._waiter: asyncio.Future[None] | None = None

    # The receiver's side

    def head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.status = status
        for name_bytes, value_bytes in headers:
            name, value = name_bytes.decode("latin-1"), value_bytes.decode("latin-1")
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value
        self._wake()

    def data(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        if self._size > FULL:
            self.ongoing.pause()
        self._wake()

    def end(self) -> None:
        self._over = True
        self._wake()

    def broken(self, why: Broken) -> None:
        self._why = why
        self._wake()

    # The reader's side

    async def reply(self, stream: bool) -> Reply:
        """The answer. Raises StreamBroken."""
        while not self.status and self._why is None:
            await self._wait()
        if self._why is not None and not self.status:
            raise StreamBroken(self._why)
        if stream and is_stream(self.status, self.headers):
            return Reply(self.status, self.headers, await self.piece(), _Stream(self))
        return Reply(self.status, self.headers, await self._whole())

    async def _whole(self) -> bytes:
        body = WholeBody(self.status)
        try:
            while piece := await self.piece():
                if body.has_enough(piece):
                    break
        finally:
            self.ongoing.cancel()
        return body.whole()

    async def piece(self) -> bytes:
        """What has come of the body since; nothing: it is over. Raises StreamBroken."""
        while not self._pieces:
            if self._why is not None:
                raise StreamBroken(self._why)
            if self._over:
                return b""
            await self._wait()
        if self._size > FULL:
            self.ongoing.resume()
        piece = self._pieces.popleft() if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        return piece

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Stream:
    """The rest of a streamed body. Iterating raises StreamBroken."""

    def __init__(self, answer: _Answer) -> None:
        self._answer = answer

    def __aiter__(self) -> _Stream:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._answer.piece()
        if not piece:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        """Give the rest up, if there is any."""
        self._answer.ongoing.cancel()
