"""The side of HTTP/1.1 that faces an upstream: connections of one tunnel to one destination, never shared with another.

A connection serves one exchange at a time and is kept for the next. One that the upstream closed while it lay idle is
noticed when it is used; then a request that may be repeated (RFC 9110 section 9.2.2) is sent once more on a new one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from penstock.vault import http1
from penstock.vault.bodies import Body, Message, Whole
from penstock.vault.http1 import Framing, ResponseFacts, ResponseParser
from penstock.vault.stream import Closed, Stream
from penstock.vault.values import Refusal, RequestHead, ResponseHead

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
HEAD_SECONDS = 900.0
"""How long an upstream may think before it answers."""
SILENT_SECONDS = 900.0
"""How long an answer that has begun may bring nothing."""


class Answered:
    """A response: its head, its body, and for a changed protocol the connection itself."""

    def __init__(self, head: ResponseHead, body: Message, connection: Connection, facts: ResponseFacts) -> None:
        self.head = head
        self.body = body
        self.connection = connection
        self.facts = facts
        self.upstream: Http1Upstream | None = None

    def done(self) -> None:
        """Give the connection back: for the next request, if this response was read to its end."""
        if self.upstream is None or not self.upstream.take_back(self):
            self.connection.cut()


class Connection:
    """One connection to an upstream."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._parser = ResponseParser()
        self._events: deque[object] = deque()
        self._sending: asyncio.Task[None] | None = None
        self._answering = False  # whether anything of the response that is awaited has come
        self._failure: Refusal | None = None  # why the request was not sent to its end

    async def exchange(self, head: RequestHead, body: Body) -> Answered:
        """Send a request; return its response as soon as its head is here, while the body may still be on its way up.

        Raises:
            Closed: the upstream left without an answer.
            Refusal: its answer is no HTTP.
        """
        upgrade = next(iter(head.values("upgrade")), "").lower()
        self._parser.expect(head.method, upgrade)
        self._answering = False
        framing: Framing = "chunked" if body.length is None else (body.length or _empty_framing(head))
        await self.stream.write(http1.render_request(head, framing))
        self._sending = asyncio.ensure_future(self._send(body, framing))
        async with asyncio.timeout(HEAD_SECONDS):
            response = await self._final_head()
        facts = self._parser.facts
        assert facts is not None
        return Answered(response, Message(self, _length(facts, response.status)), self, facts)

    async def _send(self, body: Body, framing: Framing) -> None:
        """Send the body. What stops it stops the connection: the upstream must never take a part for the whole."""
        try:
            while data := await body.read():
                await self.stream.write(http1.render_chunk(data) if framing == "chunked" else data)
            if framing == "chunked":
                await self.stream.write(http1.render_last_chunk(body.trailers))
        except (Refusal, ConnectionError, TimeoutError) as error:
            self._failure = error if isinstance(error, Refusal) else None
            self.cut()

    async def _final_head(self) -> ResponseHead:
        while True:
            event = await self.next()
            if isinstance(event, ResponseHead) and (event.status == 101 or event.status >= 200):
                return event

    async def next(self) -> object:
        """The next event of the response."""
        while not self._events:
            data = await self.stream.read(SILENT_SECONDS)
            if not data and self._failure is not None:
                raise self._failure
            if not data and not self._answering:
                raise Closed("the upstream closed the connection")
            self._answering = True
            self._events.extend(self._parser.feed(data) if data else self._parser.eof())
            if not data and not self._events:
                raise Closed("the upstream closed the connection")
        return self._events.popleft()

    def finish(self) -> bool:
        """After a response was read to its end: whether the connection can take another request."""
        if self._sending is not None and not self._sending.done():
            self._sending.cancel()
            return False  # it answered before it had the whole request
        return self._parser.reusable and self.stream.is_open and not self._events

    def rest(self) -> bytes:
        """What came after the head of a response that changed the protocol."""
        return self._parser.rest()

    def cut(self) -> None:
        """Close at once."""
        if self._sending is not None:
            self._sending.cancel()
        self.stream.cut()


def _length(facts: ResponseFacts, status: int) -> int | None:
    """How long the body is; where none follows, what is said of the one that GET would bring (HEAD, 304)."""
    if isinstance(facts.framing, int):
        return facts.framing
    if facts.framing == "none":
        return facts.declared if status >= 200 and status != 204 else 0
    return None


def _empty_framing(head: RequestHead) -> Framing:
    """How a request says that it has no body: methods that usually have one say `Content-Length: 0` (RFC 9110 8.6)."""
    return 0 if head.method in ("POST", "PUT", "PATCH") else "none"


class Http1Upstream:
    """The connections of one tunnel to one destination.

    Args:
        dial: opens a connection; raises Refusal.
    """

    def __init__(self, dial: Callable[[], Awaitable[Stream]]) -> None:
        self._dial = dial
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()

    async def exchange(self, head: RequestHead, body: Body) -> Answered:
        """Send a request and return its response.

        Raises:
            Refusal: nobody answers, or not in HTTP.
        """
        while self._idle:
            connection = self._idle.pop()
            if not connection.stream.is_open:
                connection.cut()
                continue
            try:
                return await self._on(connection, head, body)
            except Closed:
                if head.method not in IDEMPOTENT or not isinstance(body, Whole):
                    raise
                body = body.again()
        return await self._on(Connection(await self._dial()), head, body)

    async def _on(self, connection: Connection, head: RequestHead, body: Body) -> Answered:
        self._busy.add(connection)
        try:
            answered = await connection.exchange(head, body)
            answered.upstream = self
            return answered
        except BaseException:
            self._busy.discard(connection)
            connection.cut()
            raise

    def take_back(self, answered: Answered) -> bool:
        """Keep a connection whose response was read, if it can take another request."""
        connection = answered.connection
        if connection not in self._busy:
            return False
        self._busy.discard(connection)
        kept = answered.body.ended and connection.finish()
        if kept:
            self._idle.append(connection)
        return kept

    def cut(self) -> None:
        """Close all connections at once."""
        for connection in (*self._busy, *self._idle):
            connection.cut()
        self._busy.clear()
        self._idle.clear()
