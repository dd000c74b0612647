"""The frames of a WebSocket after its handshake: both directions at once, until one side leaves.

What the upstream sends is scrubbed. What the client sends is looked at for stubs and never changed: no secret is put
into a frame.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from penstock.vault.scrub import ScrubStream
from penstock.vault.session import Session
from penstock.vault.stream import Stream
from penstock.vault.values import Refusal
from penstock.vault.websocket import ClientFrames, ServerFrames


class Relay:
    """One WebSocket.

    Args:
        session: whose stubs and secrets count.
        place: who the upstream is, for alarms and refusals.
        client, upstream: the connections; bytes that came with the handshakes were put back.
    """

    def __init__(self, session: Session, place: str, client: Stream, upstream: Stream) -> None:
        self._session = session
        self._place = place
        self._client = client
        self._upstream = upstream
        self._tail = b""

    async def run(self) -> None:
        """Pass frames until one side leaves or breaks the rules; then cut both."""
        up = self._pass(self._client, self._upstream, ClientFrames(self._look, self._look_control).feed, "bytes_out")
        down = self._pass(self._upstream, self._client, ServerFrames(self._scrubber).feed, "bytes_in")
        tasks = [asyncio.ensure_future(up), asyncio.ensure_future(down)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not any(isinstance(task.exception(), Refusal) for task in tasks if task.done()):
                await asyncio.wait(tasks, timeout=CLOSING_SECONDS)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            self._upstream.cut()
            self._client.end()
        for refusal in ended:
            if isinstance(refusal, Refusal):
                self._session.denied(refusal, destination=self._place)

    async def _pass(self, source: Stream, target: Stream, feed: Callable[[bytes], bytes], counted: str) -> None:
        while data := await source.read():
            self._session.traffic[counted] += len(data)
            await target.write(feed(data))
        target.end()

    def _scrubber(self) -> ScrubStream:
        return self._session.scrubber.stream()

    def _look(self, payload: bytes, last: bool) -> None:
        tail = self._session.look_through(self._tail, payload, "websocket", self._place)
        self._tail = b"" if last else tail

    def _look_control(self, payload: bytes) -> None:
        """A control frame may stand within a message: what was seen of that waits for its next piece."""
        self._session.look_at(payload, "websocket", self._place)


CLOSING_SECONDS = 5.0
"""How long the other side may take to leave after one did."""
