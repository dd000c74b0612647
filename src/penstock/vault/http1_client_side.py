"""The side of HTTP/1.1 that faces the sandbox: requests of one connection, one after the other, each with its reply."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from penstock.vault import http1
from penstock.vault.bodies import Message
from penstock.vault.http1 import Framing, RequestFacts, RequestParser, Target
from penstock.vault.refusals import refuse
from penstock.vault.stream import Closed, Stream
from penstock.vault.values import Headers, Refusal, RequestHead, ResponseHead

HEAD_SECONDS = 30.0
"""From the first byte of a head to its last: who takes longer is not a client but a weight."""
BODY_SECONDS = 300.0
"""How long a body may bring nothing."""
IDLE_SECONDS = 300.0
"""How long a connection may wait for its next request."""
LEFT_OVER = 256 * 1024
"""Bytes of a refused request's body that are read and dropped, so that the connection can go on."""


LAST = RequestFacts("1.1", Target("origin", "", "", "/"), "none", False, False, "")
"""Of a request that could not be read: it is answered, and the connection ends."""


class Asked:
    """One request of a client over HTTP/1.1: what it asked, its body, and where the answer goes."""

    def __init__(self, side: ClientSide, head: RequestHead, facts: RequestFacts) -> None:
        self.head = head
        self.facts = facts
        length = facts.framing if isinstance(facts.framing, int) else (0 if facts.framing == "none" else None)
        self.reply = Http1Reply(side.stream, head.method, facts)
        self.body = _ClientBody(side, length, facts.expect_continue, self.reply)
        self._side = side

    def switch(self) -> Stream:
        """Give the connection away to another protocol, with what came after the handshake."""
        self.reply.begun, self.reply.keep_alive = True, False
        self._side.stream.unread(self._side.rest())
        return self._side.stream

    @property
    def parts(self) -> tuple[RequestHead, Message, Http1Reply, Callable[[], Stream] | None]:
        """What an exchange needs: the head with its target in origin form, the body, the reply, a way to WebSocket."""
        head = self.head
        if self.facts.target.form == "absolute":
            head = RequestHead(head.method, self.facts.target.path or "/", head.headers)
        return head, self.body, self.reply, self.switch if self.facts.upgrade == "websocket" else None


class _ClientBody(Message):
    """The body of a request. The first read says `100 Continue` to a client that waits for it.

    Once a reply has begun that is too late: such a client sends no body, and the connection ends.
    """

    def __init__(self, side: ClientSide, length: int | None, expected: bool, reply: Http1Reply) -> None:
        super().__init__(side, length)
        self._stream = side.stream
        self._reply = reply
        self.is_awaited = expected
        """Whether the client still waits to be told that it may send."""

    async def read(self) -> bytes:
        if self.is_awaited and self._reply.begun:
            return b""
        if self.is_awaited:
            self.is_awaited = False
            await self._stream.write(http1.CONTINUE)
        return await super().read()


class Http1Reply:
    """The answer to one request. A client of HTTP/1.0 gets no chunks: the end of the connection ends its body."""

    def __init__(self, stream: Stream, method: str, facts: RequestFacts) -> None:
        self._stream = stream
        self._method = method
        self._facts = facts
        self._framing: Framing = "none"
        self.begun = False
        self.keep_alive = facts.keep_alive

    async def head(self, head: ResponseHead, length: int | None) -> None:
        """Send the head."""
        self.begun = True
        self._framing = self._framing_of(head, length)
        self.keep_alive = self.keep_alive and self._framing != "close"
        headers = head.headers if self.keep_alive else (*head.headers, ("connection", "close"))
        await self._stream.write(http1.render_response(ResponseHead(head.status, head.reason, headers), self._framing))

    def _framing_of(self, head: ResponseHead, length: int | None) -> Framing:
        if head.status == 204 or (length is None and (self._method == "HEAD" or head.status == 304)):
            return "none"
        if length is not None:
            return length
        return "chunked" if self._facts.version == "1.1" else "close"

    async def data(self, data: bytes) -> None:
        """Send some of the body."""
        if self._method == "HEAD" or self._framing == "none" or not data:
            return
        await self._stream.write(http1.render_chunk(data) if self._framing == "chunked" else data)

    async def end(self, trailers: Headers = ()) -> None:
        """Send the end."""
        if self._framing == "chunked":
            await self._stream.write(http1.render_last_chunk(trailers))

    def abort(self) -> None:
        """Cut the connection."""
        self._stream.cut()


class ClientSide:
    """One connection from the sandbox that speaks HTTP/1.1.

    Args:
        stream: the connection.
        refused: hears of a request that cannot be read.
    """

    def __init__(self, stream: Stream, refused: Callable[[Refusal], None] = lambda refusal: None) -> None:
        self.stream = stream
        self._refused = refused
        self._parser = RequestParser()
        self._events: deque[object] = deque()

    async def serve(self, answer: Callable[[Asked], Awaitable[None]]) -> None:
        """Hand each request to `answer` until the client leaves, or something went wrong.

        `answer` sends a whole reply, or aborts it.
        """
        try:
            while (asked := await self._next_request()) is not None:
                await answer(asked)
                if not await self._goes_on(asked):
                    break
                self._events.extend(self._parser.next())
        except Refusal as refusal:
            self._refused(refusal)
            await refuse(Http1Reply(self.stream, "GET", LAST), refusal)
        finally:
            self.stream.end()

    async def _next_request(self) -> Asked | None:
        """The next request; None where the client left, or takes too long. What came too slowly is answered (408)."""
        try:
            async with asyncio.timeout(HEAD_SECONDS if self._parser.begun else IDLE_SECONDS) as patience:
                while not self._events:
                    data = await self.stream.read()
                    if not data:
                        return None
                    if not self._parser.begun:
                        patience.reschedule(asyncio.get_running_loop().time() + HEAD_SECONDS)
                    self._events.extend(self._parser.feed(data))
        except TimeoutError:
            if self._parser.begun:
                raise Refusal("too_slow", "The head of the request took too long.", status=408) from None
            return None
        head = self._events.popleft()
        assert isinstance(head, RequestHead) and self._parser.facts is not None
        return Asked(self, head, self._parser.facts)

    async def next(self) -> object:
        """The next event of the message that is being read."""
        while not self._events:
            try:
                data = await self.stream.read(BODY_SECONDS)
            except TimeoutError:
                raise Refusal("too_slow", f"The body brought nothing for {BODY_SECONDS} s.", status=408) from None
            if not data:
                raise Closed("the client left in the middle of its request")
            self._events.extend(self._parser.feed(data))
        return self._events.popleft()

    async def _goes_on(self, asked: Asked) -> bool:
        """Whether the connection can take another request: what little is left of this one is read and dropped."""
        if not asked.reply.keep_alive or asked.body.is_awaited or not self.stream.is_open:
            return False
        left = LEFT_OVER
        try:
            while not asked.body.ended and left > 0:
                left -= len(await asked.body.read())
        except Refusal:
            return False  # it was answered already: nothing may be said twice
        return asked.body.ended

    def rest(self) -> bytes:
        """What came after the head of a request that changed the protocol."""
        return self._parser.rest()
