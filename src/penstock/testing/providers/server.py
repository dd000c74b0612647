"""The sockets: an asyncio server in its own thread that turns requests into steps and steps into bytes.

It knows HTTP and time, and nothing of providers: `respond` is given each request and returns a `Plan`. One task a
connection; a client that leaves ends its exchange at once, whatever that was waiting for.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from penstock.testing.providers.delivery import Hangup, Hold, Pause, Step
from penstock.testing.providers.http import CONTINUE, BadRequest, Head, RequestReader, response_head


@dataclass(frozen=True)
class Plan:
    """What happens to one request: the steps of the answer, and who is told how it ended."""

    steps: Iterable[Step]
    finished: Callable[[str], None]
    keep_alive: bool = True


class Connection(asyncio.Protocol):
    """One client connection: requests in, steps out, one after the other."""

    def __init__(self, respond: Callable[[Head, bytes], Plan], open_connections: set["Connection"]) -> None:
        self._respond = respond
        self._open = open_connections
        self._reader = RequestReader()
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._left = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    # -- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open.add(self)
        self._writable.set()
        self._task = asyncio.get_running_loop().create_task(self._serve(transport))

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        self._arrived.set()

    def eof_received(self) -> bool:
        return False  # a client that half-closes has left

    def connection_lost(self, exc: Exception | None) -> None:
        self._left.set()
        self._arrived.set()
        self._writable.set()
        self._open.discard(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # -- what the connection does

    async def shut(self) -> None:
        """End the connection and its task, whatever they wait for."""
        if self._transport is not None:
            self._transport.abort()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _serve(self, transport: asyncio.Transport) -> None:
        while not self._left.is_set():
            try:
                request = await self._next_request(transport)
            except BadRequest as error:
                body = str(error).encode()
                head = response_head(400, [("content-length", str(len(body))), ("connection", "close")])
                transport.write(head + body)
                break
            if request is None:
                break
            plan = self._respond(*request)
            outcome = await self._play(plan.steps, transport)
            plan.finished(outcome)
            if outcome != "complete" or not plan.keep_alive or transport.is_closing():
                break
        transport.close()

    async def _next_request(self, transport: asyncio.Transport) -> tuple[Head, bytes] | None:
        continued = False
        while True:
            if request := self._reader.next():
                return request
            if self._reader.waiting_for_continue and not continued:
                continued = True
                transport.write(CONTINUE)
            self._arrived.clear()
            await self._arrived.wait()
            if self._left.is_set():
                return None

    async def _play(self, steps: Iterable[Step], transport: asyncio.Transport) -> str:
        """Carry the steps out; says how it ended: complete, faulted, or client left."""
        for step in steps:
            if isinstance(step, bytes):
                transport.write(step)
                await asyncio.sleep(0)  # other connections take their turn between two writes
                if not self._writable.is_set():
                    await self._writable.wait()
            elif isinstance(step, Hangup):
                self._hang_up(transport, step.reset)
                return "faulted" if step.fault else "complete"
            else:
                await self._wait(None if isinstance(step, Hold) else step.seconds)
            if self._left.is_set():
                return "client left"
        return "complete"

    async def _wait(self, seconds: float | None) -> None:
        """Wait so long, or until the client leaves."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._left.wait(), seconds)

    def _hang_up(self, transport: asyncio.Transport, reset: bool) -> None:
        if reset:
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            transport.close()


class ServerThread:
    """A listening socket and its event loop, in a daemon thread. `start` returns when it accepts connections."""

    def __init__(self, respond: Callable[[Head, bytes], Plan], host: str, port: int) -> None:
        self._respond = respond
        self._address = (host, port)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connections: set[Connection] = set()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="simulated-providers", daemon=True)
        self.port = port

    def start(self) -> None:
        """Listen; OSError if the address cannot be had."""
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def stop(self) -> None:
        """Close the socket and every connection, and wait for the thread. Safe to call again."""
        if self._thread.ident is None:  # it never started
            return
        if self._loop is not None and self._stop is not None:
            with suppress(RuntimeError):  # the loop is closed: it stopped before
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        try:
            server = await self._loop.create_server(
                lambda: Connection(self._respond, self._connections),
                *self._address,
                backlog=1024,
                reuse_address=True,
            )
        except OSError as error:
            self._failure = error
            self._ready.set()
            return
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for connection in list(self._connections):
            await connection.shut()


__all__ = ["Connection", "Pause", "Plan", "ServerThread"]
