"""The channel between the keeper and its workers: messages over a Unix socket, either end may ask and tell.

A message is a frame: its length (4 bytes, big-endian), then MessagePack of [what, number, kind, payload]. What it can
be: tell (no answer), ask, answer, failure (the payload says why). What a kind of message means, and of which type its
payload is, stands in one table of handlers that each end is given when it is made.

Messages arrive in the order in which they were sent, or the connection ends: whoever sends one knows that all earlier
ones were heard first. The messages of one turn of the event loop are written at once.

Whatever is not a frame, is too long, has no handler, or makes its handler fail, ends the connection: the two ends would
not agree any more on what was said. A worker then connects anew and says all that it has.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec
from msgspec import Struct

MOST_BYTES = 64 * 1024 * 1024
"""Bytes that a frame may have; a snapshot of a very large configuration is a few."""
MOST_BACKLOG = 128 * 1024 * 1024
"""Bytes that may wait to be read by the other end: one that does not read is not there."""
RECONNECT_SECONDS = 0.02
"""Seconds between two attempts of a worker to reach the keeper."""

AWAY = "the keeper is not there; it is started again at once, so try again"
LOST = "the connection to the other process was lost before it answered"
LATE = "the other process did not answer in time"

_TELL, _ASK, _ANSWER, _FAILURE = range(4)
_LENGTH = struct.Struct(">I")
_log = logging.getLogger("penstock.control")


class ChannelError(Exception):
    """The other end says what this one does not understand; the connection is closed."""


class _Frame(Struct, array_like=True):
    what: int
    number: int
    kind: str
    payload: msgspec.Raw


class _Sent(Struct, array_like=True):
    what: int
    number: int
    kind: str
    payload: Any


class Reply:
    """How a handler answers: once, now or later. To a message that was told, the answer goes nowhere."""

    __slots__ = ("_connection", "_number")

    def __init__(self, connection: Connection, number: int) -> None:
        self._connection: Connection | None = connection if number else None
        self._number = number

    def answer(self, payload: Any) -> None:
        """Answer."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.send(_Sent(_ANSWER, self._number, "", payload))

    def fail(self, why: str) -> None:
        """Say why there is no answer."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.send(_Sent(_FAILURE, self._number, "", why))


class Handler:
    """What a kind of message means: `handle(connection, payload, reply)`, the payload being decoded as `type`."""

    __slots__ = ("decode", "handle")

    def __init__(self, handle: Callable[[Connection, Any, Reply], None], type: Any = Any) -> None:
        self.handle = handle
        self.decode = msgspec.msgpack.Decoder(type).decode


Handlers = Mapping[str, Handler]
"""Kind of message -> handler."""


class _Asked:
    """A question that waits for its answer."""

    __slots__ = ("answered", "decode", "failed", "kind", "payload", "timer")

    def __init__(
        self, kind: str, payload: Any, answered: Callable[[Any], None], failed: Callable[[str], None], type: Any
    ) -> None:
        self.kind, self.payload = kind, payload
        self.answered, self.failed = answered, failed
        self.decode = msgspec.msgpack.Decoder(type).decode
        self.timer: asyncio.TimerHandle | None = None

    def over(self) -> None:
        if self.timer is not None:
            self.timer.cancel()


class Connection(asyncio.Protocol):
    """One connection, at either end.

    opened, closed  called with the connection (and why it ended), once each
    state           for who owns this end to note what it likes: the name of the worker, say
    pid             the process at the other end; None where the system does not tell
    """

    def __init__(
        self,
        handlers: Handlers,
        opened: Callable[[Connection], None],
        closed: Callable[[Connection, str], None],
    ) -> None:
        self._handlers = handlers
        self._opened, self._closed = opened, closed
        self._loop = asyncio.get_running_loop()
        self._frames = msgspec.msgpack.Decoder(_Frame)
        self._encode = msgspec.msgpack.Encoder().encode
        self._transport: asyncio.Transport | None = None
        self._input = bytearray()
        self._output: list[bytes] = []
        self._asked: dict[int, _Asked] = {}
        self._number = 0
        self._why = "the other end closed it"
        self.open = False
        self.pid: int | None = None
        self.state: Any = None

    # -- saying -------------------------------------------------------------------------------------------------------

    def tell(self, kind: str, payload: Any) -> None:
        """Say something. If the connection is closed it goes nowhere: `closed` tells of that."""
        self.send(_Sent(_TELL, 0, kind, payload))

    def ask(
        self,
        kind: str,
        payload: Any,
        answered: Callable[[Any], None],
        failed: Callable[[str], None],
        timeout: float,
        type: Any = Any,
    ) -> None:
        """Ask: either `answered` (with the answer, decoded as `type`) or `failed` (with the reason) is called, once,
        after
        this has returned and within `timeout` seconds.
        """
        asked = _Asked(kind, payload, answered, failed, type)
        if not self.open:
            self._loop.call_soon(failed, LOST)
            return
        self._put(asked, timeout)

    def _put(self, asked: _Asked, timeout: float) -> None:
        self._number = number = self._number + 1
        self._asked[number] = asked
        asked.timer = self._loop.call_later(timeout, self._late, number)
        self.send(_Sent(_ASK, number, asked.kind, asked.payload))

    def send(self, frame: _Sent) -> None:
        """Queue a frame; it leaves with all others of this turn of the loop."""
        if not self.open:
            return
        encoded = self._encode(frame)
        if len(encoded) > MOST_BYTES:
            raise ValueError(f"a message of {len(encoded)} bytes is too long for the channel ({MOST_BYTES})")
        if not self._output:
            self._loop.call_soon(self._flush)
        self._output += (_LENGTH.pack(len(encoded)), encoded)

    def _flush(self) -> None:
        output, self._output = self._output, []
        if self._transport is None or not self.open:
            return
        self._transport.write(b"".join(output))
        if self._transport.get_write_buffer_size() > MOST_BACKLOG:
            self.end("the other end does not read")

    def end(self, why: str) -> None:
        """Close the connection at once. What the other end has not read is lost."""
        if self.open and self._transport is not None:
            self._why = why
            self.open = False
            self._transport.abort()

    def _late(self, number: int) -> None:
        asked = self._asked.pop(number, None)
        if asked is not None:
            asked.failed(LATE)

    # -- hearing ------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The event loop has connected us."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self.pid = process_of(transport.get_extra_info("socket"))
        self.open = True
        self._opened(self)

    def data_received(self, data: bytes) -> None:
        """The event loop has read something: handle the frames that are complete."""
        self._input += data
        position = 0
        try:
            while self.open and len(self._input) >= position + 4:
                (length,) = _LENGTH.unpack_from(self._input, position)
                if length > MOST_BYTES:
                    raise ChannelError(f"a frame of {length} bytes")
                if len(self._input) < position + 4 + length:
                    break
                frame = bytes(self._input[position + 4 : position + 4 + length])
                position += 4 + length
                self._hear(self._frames.decode(frame))
        except (ChannelError, msgspec.MsgspecError) as error:
            self._refuse(str(error))
        except Exception as error:
            _log.exception("a message on the channel could not be handled")
            self._refuse(f"its handler failed: {type(error).__name__}")
        del self._input[:position]

    def _refuse(self, why: str) -> None:
        _log.error("the channel is closed, for what came over it is not understood: %s", why)
        self.end(f"what it said is not understood: {why}")

    def _hear(self, frame: _Frame) -> None:
        if frame.what in (_TELL, _ASK):
            handler = self._handlers.get(frame.kind)
            if handler is None:
                raise ChannelError(f"no handler for {frame.kind!r}")
            handler.handle(self, handler.decode(frame.payload), Reply(self, frame.number))
            return
        asked = self._asked.pop(frame.number, None)
        if asked is None:  # it came too late
            return
        asked.over()
        if frame.what == _ANSWER:
            asked.answered(asked.decode(frame.payload))
        elif frame.what == _FAILURE:
            asked.failed(msgspec.msgpack.decode(frame.payload, type=str))
        else:
            raise ChannelError(f"a frame that is neither said, asked nor answered: {frame.what}")

    def connection_lost(self, error: Exception | None) -> None:
        """The event loop says that the connection is over."""
        self.open = False
        asked, self._asked = self._asked, {}
        for one in asked.values():
            one.over()
        self._closed(self, self._why if error is None else str(error))
        for one in asked.values():
            one.failed(LOST)


class Channel:
    """The worker's end: connects, and connects again whenever the connection is lost.

    path       of the keeper's Unix socket
    handlers   what the keeper may say
    connected  called when there is a new connection: say who you are, first of all
    lost       called with the reason when it has ended
    """

    def __init__(
        self,
        path: str,
        handlers: Handlers,
        connected: Callable[[], None],
        lost: Callable[[str], None],
    ) -> None:
        self._path = path
        self._handlers = handlers
        self._connected, self._lost = connected, lost
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._waiting: list[Callable[[], None]] = []

    @property
    def open(self) -> bool:
        """Whether there is a connection."""
        return self._connection is not None and self._connection.open

    def start(self) -> None:
        """Begin to connect. Needs a running event loop."""
        if not self._closing and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._connect())

    def tell(self, kind: str, payload: Any) -> None:
        """Say something to the keeper, if it is there."""
        if self._connection is not None:
            self._connection.tell(kind, payload)

    def ask(
        self,
        kind: str,
        payload: Any,
        answered: Callable[[Any], None],
        failed: Callable[[str], None],
        timeout: float,
        type: Any = Any,
        *,
        again: bool = False,
    ) -> None:
        """Ask the keeper: `answered` or `failed` is called once, after this has returned. With `again`, a question that
        may be asked twice without harm waits for the keeper where it is away, and is asked anew where it died over it.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout

        def once_more(why: str) -> None:
            if self.open:
                attempt()
            elif not again or self._closing:
                failed(why)
            else:
                self._wait(attempt, failed, until)

        def attempt() -> None:
            left = until - loop.time()
            if self._connection is None or left <= 0:
                failed(LATE if left <= 0 else LOST)
                return
            refused = (lambda why: once_more(why) if why == LOST else failed(why)) if again else failed
            self._connection.ask(kind, payload, answered, refused, left, type)

        if self.open:
            attempt()
        else:
            loop.call_soon(once_more, AWAY)

    def _wait(self, attempt: Callable[[], None], failed: Callable[[str], None], until: float) -> None:
        def late() -> None:
            self._waiting.remove(on_time)
            failed(AWAY)

        def on_time() -> None:
            timer.cancel()
            attempt()

        timer = asyncio.get_running_loop().call_at(until, late)
        self._waiting.append(on_time)

    async def aclose(self) -> None:
        """Say what is still to be said, and close."""
        self._closing = True
        if self._task is not None:
            self._task.cancel()
        if self._connection is not None:
            await drained(self._connection)
            self._connection.end("it was closed")
        waiting, self._waiting = self._waiting, []
        for attempt in waiting:
            attempt()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._closing:
            try:
                await loop.create_unix_connection(
                    lambda: Connection(self._handlers, self._came, self._went), self._path
                )
                return
            except OSError:
                await asyncio.sleep(RECONNECT_SECONDS)

    def _came(self, connection: Connection) -> None:
        self._connection = connection
        self._connected()
        waiting, self._waiting = self._waiting, []
        for attempt in waiting:
            attempt()

    def _went(self, connection: Connection, why: str) -> None:
        self._connection = None
        self._lost(why)
        if not self._closing:
            asyncio.get_running_loop().call_later(RECONNECT_SECONDS, self.start)


class ChannelServer:
    """The keeper's end: one connection for each worker.

    handlers   what workers may say
    opened, closed  called with each connection, when it comes and (with the reason) when it has ended
    """

    def __init__(
        self,
        handlers: Handlers,
        opened: Callable[[Connection], None],
        closed: Callable[[Connection, str], None],
    ) -> None:
        self._handlers = handlers
        self._opened, self._closed = opened, closed
        self._server: asyncio.AbstractServer | None = None
        self.connections: set[Connection] = set()

    async def start(self, listener: socket.socket) -> None:
        """Answer on a Unix socket that listens. It is not closed at the end: it outlives the keeper."""
        loop = asyncio.get_running_loop()
        own = listener.dup()
        own.setblocking(False)
        self._server = await loop.create_unix_server(
            lambda: Connection(self._handlers, self._came, self._went), sock=own, **_keeps_path()
        )

    def tell_all(self, kind: str, payload: Any) -> None:
        """Say something to every worker that is connected."""
        for connection in list(self.connections):
            connection.tell(kind, payload)

    async def aclose(self) -> None:
        """Say what is still to be said, and close."""
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            await drained(connection)
            connection.end("the keeper ends")

    def _came(self, connection: Connection) -> None:
        self.connections.add(connection)
        self._opened(connection)

    def _went(self, connection: Connection, why: str) -> None:
        self.connections.discard(connection)
        self._closed(connection, why)


def _keeps_path() -> dict[str, Any]:
    """From Python 3.13 on, a server takes its socket's path away when it closes; ours outlives the keeper."""
    import sys

    return {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}


async def drained(connection: Connection, seconds: float = 1.0) -> None:
    """Wait until the other end has read what was said, but not for long."""
    connection._flush()
    transport = connection._transport
    for _ in range(int(seconds / 0.005)):
        if not connection.open or transport is None or not transport.get_write_buffer_size():
            return
        await asyncio.sleep(0.005)


def process_of(peer: socket.socket) -> int | None:
    """The id of the process at the other end of a Unix socket, as the kernel knows it; None where it does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    pid, _, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, option, 12))
    return int(pid) or None
