"""Bodies and replies, whichever version of HTTP carries them: what stands between a connection and an exchange."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from penstock.vault.http_parts import Data, End, Trailers
from penstock.vault.values import Headers, Refusal, ResponseHead


class Body(Protocol):
    """The body of a message, as it comes."""

    @property
    def length(self) -> int | None:
        """Bytes in all, where the head says so: 0 for a message without a body, None where only its end says it."""

    async def read(self) -> bytes:
        """Some bytes, or `b""` at the end. Raises Refusal or Closed: what came is no whole message."""

    @property
    def trailers(self) -> Headers:
        """The fields after the body, once it has ended."""


class Reply(Protocol):
    """Where the answer to one request goes."""

    @property
    def begun(self) -> bool:
        """Whether a head was sent: a refusal can no longer be told."""

    async def head(self, head: ResponseHead, length: int | None) -> None:
        """Send the head; `length` as in `Body`."""

    async def data(self, data: bytes) -> None:
        """Send some of the body; waits while the client is slow."""

    async def end(self, trailers: Headers = ()) -> None:
        """Send the end of the message."""

    def abort(self) -> None:
        """End in the middle, so that the client sees that it is not whole."""


class Whole:
    """A body that is there already, and can be sent again."""

    def __init__(self, data: bytes, trailers: Headers = ()) -> None:
        self.data = data
        self.trailers = trailers
        self._left = data

    @property
    def length(self) -> int:
        """Its size."""
        return len(self.data)

    async def read(self) -> bytes:
        """All of it, once."""
        data, self._left = self._left, b""
        return data

    def again(self) -> Whole:
        """The same body from its beginning."""
        return Whole(self.data, self.trailers)


EMPTY = Whole(b"")


async def whole(
    body: Body,
    most: int,
    too_large: Callable[[int], Refusal] | None = None,
    take: Callable[[int], None] = lambda count: None,
) -> Whole:
    """Read a body to its end.

    Args:
        body: that body.
        most: bytes that it may have.
        too_large: what is raised where it has more (default: `body_too_large`, 413).
        take: hears how many bytes will be held: of a whole body where its length is known, else of each piece. It may
            refuse.

    Raises:
        Refusal: what `too_large` says of `most`, before more than that and one chunk are held; what `take` says.
    """
    refusal = too_large or _too_large
    if isinstance(body, Whole):
        return body
    if body.length is not None and body.length > most:
        raise refusal(most)
    take(body.length or 0)
    parts, size = [], 0
    while data := await body.read():
        if body.length is None:
            take(len(data))
        parts.append(data)
        size += len(data)
        if size > most:
            raise refusal(most)
    return Whole(b"".join(parts), body.trailers)


def _too_large(most: int) -> Refusal:
    return Refusal(
        "body_too_large",
        f"The body is longer than the {most:,} bytes that the vault reads where a credential stands in a body.",
        fix="Bind the credential to a header, or send less at once.",
        status=413,
    )


class Events(Protocol):
    """The events of one message, in their order."""

    async def next(self) -> object:
        """The next one; waits for it."""


class Message:
    """A body out of the events of a parser, read while it comes."""

    def __init__(self, events: Events, length: int | None) -> None:
        self._events = events
        self.ended = False
        self.length = length
        self.trailers: Headers = ()

    async def read(self) -> bytes:
        """Some bytes, or `b""` at the end."""
        while not self.ended:
            event = await self._events.next()
            if isinstance(event, Data):
                return event.data
            if isinstance(event, Trailers):
                self.trailers = event.fields
            self.ended = isinstance(event, End)
        return b""
