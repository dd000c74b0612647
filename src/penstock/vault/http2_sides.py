"""HTTP/2 on a connection, towards the sandbox or an upstream: streams side by side, each an exchange of its own.

One task reads the connection and hands each event to the queue of its stream; whoever writes a body waits there until
the peer has room for more of that stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable

from penstock.vault.bodies import Body, Message
from penstock.vault.http2 import CANCEL, INTERNAL_ERROR, NO_ERROR, ClientConnection, ServerConnection
from penstock.vault.http_parts import Data, End, Refused, Reset, Sendable, content_length
from penstock.vault.refusals import refusal_response, refuse
from penstock.vault.stream import Closed, Stream
from penstock.vault.values import Headers, Refusal, RequestHead, ResponseHead

HEAD_SECONDS = 900.0
"""How long an upstream may think before it answers."""
SILENT_SECONDS = 900.0
"""How long a body may bring nothing."""
IDLE_SECONDS = 300.0
"""How long a client's connection may be without a stream."""


class _Channel:
    """The events of one stream of a connection, in their order. It is what a `Message` reads."""

    def __init__(self, link: _Link, number: int) -> None:
        self.link = link
        self.number = number
        self._events: deque[object] = deque()
        self._came = asyncio.Event()
        self.sendable = asyncio.Event()
        self.left: Callable[[], object] = lambda: None
        """Called when the peer ends the stream before its time: nobody waits for an answer any more."""

    def put(self, event: object) -> None:
        """Take an event in."""
        if isinstance(event, Sendable | Reset | Refused):
            self.sendable.set()
        if not isinstance(event, Sendable):
            self._events.append(event)
            self._came.set()
        if isinstance(event, Reset):
            self.left()

    @property
    def has_ended(self) -> bool:
        """Whether nothing is left to read but the end."""
        return bool(self._events) and isinstance(self._events[0], End)

    async def next(self) -> object:
        """The next event; bytes that are taken here make room for more."""
        while not self._events:
            self._came.clear()
            await self._patiently()
        event = self._events.popleft()
        if isinstance(event, Reset):
            raise Closed("the other side ended the stream")
        if isinstance(event, Refused):
            raise event.refusal
        if isinstance(event, Data):
            self.link.connection.acknowledge(self.number, len(event.data))
            await self.link.flush()
        return event

    async def _patiently(self) -> None:
        try:
            async with asyncio.timeout(SILENT_SECONDS):
                await self._came.wait()
        except TimeoutError:
            if isinstance(self.link.connection, ServerConnection):
                reason = f"The body brought nothing for {SILENT_SECONDS} s."
                raise Refusal("too_slow", reason, status=408) from None
            raise

    async def send(self, data: bytes) -> None:
        """Send bytes of the body, as fast as the peer takes them."""
        while data:
            self.sendable.clear()
            sent = self.link.connection.send_data(self.number, data)
            await self.link.flush()
            data = data[sent:]
            if data:
                await self.sendable.wait()

    async def finish(self, trailers: Headers) -> None:
        """End this direction."""
        if trailers:
            self.link.connection.send_trailers(self.number, trailers)
        else:
            self.link.connection.send_data(self.number, b"", end=True)
        await self.link.flush()

    def reset(self) -> None:
        """End the stream before it is over."""
        self.link.connection.reset(self.number, CANCEL)
        self.link.flush_soon()


class _Link:
    """A connection, its streams, and what is told to the one who opens them."""

    def __init__(self, stream: Stream, connection: ServerConnection | ClientConnection) -> None:
        self.stream = stream
        self.connection = connection
        self.channels: dict[int, _Channel] = {}

    async def flush(self) -> None:
        """Send what the protocol wants to send."""
        data = self.connection.out()
        if data:
            await self.stream.write(data)

    def flush_soon(self) -> None:
        """The same for who cannot wait."""
        data = self.connection.out()
        if data and not self.stream.transport.is_closing():
            self.stream.transport.write(data)

    async def read(
        self,
        opened: Callable[[int, RequestHead], None] | None = None,
        refused: Callable[[Refusal], None] = lambda refusal: None,
    ) -> None:
        """Read the connection to its end. Whoever waits on a stream then hears that it is over.

        Args:
            opened: takes a new stream of a client; None towards an upstream.
            refused: hears of what cannot be read.
        """
        try:
            await self.flush()
            while data := await self._next_bytes(opened is not None):
                events = self.connection.feed(data, time.monotonic())
                for number, event in events:
                    self._hand_out(number, event, opened, refused)
                await self.flush()
        except Refusal as refusal:
            refused(refusal)
            self.connection.close(INTERNAL_ERROR)
        except (ConnectionError, TimeoutError):
            self.connection.close()
        finally:
            self.flush_soon()
            for number, reset in self.connection.eof():
                self._hand_out(number, reset, None, refused)
            for channel in list(self.channels.values()):
                channel.put(Reset(CANCEL))
            self.stream.end()

    async def _next_bytes(self, times_out: bool) -> bytes:
        """What comes next. Raises TimeoutError: a client's connection has lain idle."""
        while times_out:
            try:
                return await self.stream.read(IDLE_SECONDS)
            except TimeoutError:
                if not self.channels:
                    raise
        return await self.stream.read()

    def _hand_out(
        self,
        number: int,
        event: object,
        opened: Callable[[int, RequestHead], None] | None,
        refused: Callable[[Refusal], None],
    ) -> None:
        if number == 0:
            for channel in self.channels.values() if isinstance(event, Sendable) else ():
                channel.sendable.set()
        elif isinstance(event, RequestHead) and opened is not None:
            opened(number, event)
        elif number in self.channels:
            self.channels[number].put(event)
        elif isinstance(event, Refused) and isinstance(self.connection, ServerConnection):
            refused(event.refusal)
            _answer_malformed(self.connection, number, event.refusal)


def _answer_malformed(connection: ServerConnection, number: int, refusal: Refusal) -> None:
    """Answer a request whose head was refused, so that nobody was told of it."""
    with contextlib.suppress(Refusal):  # the client has left the stream
        head, body = refusal_response(refusal)
        connection.send_response(number, head, len(body))
        connection.send_data(number, body, end=True)
        connection.reset(number, NO_ERROR)


# -- towards the sandbox ----------------------------------------------------------------------------------------------


class Http2Reply:
    """The answer to one request of HTTP/2."""

    def __init__(self, channel: _Channel, connection: ServerConnection, method: str) -> None:
        self._channel = channel
        self._connection = connection
        self._method = method
        self._over = False
        self.begun = False

    async def head(self, head: ResponseHead, length: int | None) -> None:
        """Send the head."""
        self.begun = True
        self._over = self._method == "HEAD" or head.status in (204, 304)
        self._connection.send_response(self._channel.number, head, length, end=self._over)
        await self._channel.link.flush()

    async def data(self, data: bytes) -> None:
        """Send some of the body."""
        if not self._over:
            await self._channel.send(data)

    async def end(self, trailers: Headers = ()) -> None:
        """Send the end."""
        if not self._over:
            await self._channel.finish(trailers)

    def abort(self) -> None:
        """Reset the stream."""
        self._channel.reset()


Answer = Callable[[RequestHead, Body, "Http2Reply"], Awaitable[None]]


async def serve(stream: Stream, answer: Answer, refused: Callable[[Refusal], None] = lambda refusal: None) -> None:
    """Serve a client that speaks HTTP/2, until it leaves. `refused` hears of requests that cannot be read."""
    connection = ServerConnection()
    link = _Link(stream, connection)
    tasks: set[asyncio.Task[None]] = set()

    def opened(number: int, head: RequestHead) -> None:
        channel = link.channels[number] = _Channel(link, number)
        task = asyncio.ensure_future(_one(channel, connection, head, answer))
        channel.left = task.cancel
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    try:
        await link.read(opened, refused)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _one(channel: _Channel, connection: ServerConnection, head: RequestHead, answer: Answer) -> None:
    reply = Http2Reply(channel, connection, head.method)
    try:
        length = 0 if channel.has_ended else content_length("request", head.headers)
        await answer(head, Message(channel, length), reply)
    except Refusal as refusal:  # the stream took no more
        if refusal.code != "stream_closed":
            await refuse(reply, refusal, head)
    except ConnectionError:
        pass
    finally:
        channel.reset()  # one that is over is left alone
        channel.link.channels.pop(channel.number, None)


# -- towards an upstream ----------------------------------------------------------------------------------------------


class Http2Answered:
    """A response of HTTP/2."""

    def __init__(self, head: ResponseHead, body: Message, channel: _Channel, sending: asyncio.Task[None]) -> None:
        self.head = head
        self.body = body
        self._channel = channel
        self._sending = sending

    def done(self) -> None:
        """Forget the stream; one that is not over is reset."""
        _forget(self._channel, self._sending)


class Http2Upstream:
    """One connection to an upstream that chose HTTP/2; its streams are those of one tunnel."""

    def __init__(self, stream: Stream) -> None:
        self._connection = ClientConnection()
        self._link = _Link(stream, self._connection)
        self._reading = asyncio.ensure_future(self._link.read())

    @property
    def is_usable(self) -> bool:
        """Whether it takes another request."""
        return self._connection.usable and self._link.stream.is_open

    @property
    def is_over(self) -> bool:
        """Whether the connection is gone."""
        return self._reading.done()

    async def exchange(self, head: RequestHead, body: Body) -> Http2Answered:
        """Send a request; return its response once its head is here.

        Raises:
            Closed: the upstream ended the stream or the connection.
            Refusal: its answer is malformed.
        """
        number = self._connection.send_request(head, body.length, end=body.length == 0)
        channel = self._link.channels[number] = _Channel(self._link, number)
        sending = asyncio.ensure_future(_send(channel, body) if body.length != 0 else asyncio.sleep(0))
        try:
            await self._link.flush()
            async with asyncio.timeout(HEAD_SECONDS):
                answer = await _final_head(channel)
        except BaseException:
            _forget(channel, sending)
            raise
        length = content_length("response", answer.headers)
        if answer.status == 204 or (channel.has_ended and head.method != "HEAD" and answer.status != 304):
            length = 0
        return Http2Answered(answer, Message(channel, length), channel, sending)

    def cut(self) -> None:
        """Close the connection at once."""
        self._reading.cancel()
        self._link.stream.cut()


async def _final_head(channel: _Channel) -> ResponseHead:
    while True:
        event = await channel.next()
        if isinstance(event, ResponseHead) and event.status >= 200:
            return event


def _forget(channel: _Channel, sending: asyncio.Task[None]) -> None:
    """Have no more of a stream; one that is not over is reset."""
    sending.cancel()
    channel.reset()
    channel.link.channels.pop(channel.number, None)


async def _send(channel: _Channel, body: Body) -> None:
    """Send a body. What stops it resets the stream: the upstream must never take a part for the whole."""
    try:
        while data := await body.read():
            await channel.send(data)
        await channel.finish(body.trailers)
    except (Refusal, ConnectionError, TimeoutError) as error:
        channel.put(Refused(error) if isinstance(error, Refusal) else Reset(CANCEL))
        channel.reset()
