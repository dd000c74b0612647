"""A connection: one request at a time, written in one go; reading.py reads the answer.

**When a kept connection turns out closed.** A provider may close one that nobody uses at the very moment in which it is
used again. The request is then sent once more, on a new connection, if not one byte of an answer came and

- the provider's end came before it had acknowledged one byte of the request (the kernel knows: SIOCOUTQ), so that it
  cannot have read it; or
- the connection was reset within `RACE` of the request: a reset is what a closed socket answers.

An end that came after the request was acknowledged is no race: the provider had it, and may have acted on it. That is
`Broken(sent=True)`, and what to do is the decision of the exchange. (curl and nginx repeat in that case too.) Where the
kernel does not tell, every end within `RACE` counts as the race.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from httptools import HttpParserError

from penstock.calls.body_limits import OVER, silent
from penstock.exchange import Broken
from penstock.gateway.outbox import Outgoing
from penstock.gateway.upstream.decoding import Undecodable
from penstock.gateway.upstream.ongoing import Ongoing
from penstock.gateway.upstream.reading import LONG_HEAD, MAX_HEAD, Reading
from penstock.gateway.upstream.timers import NEVER
from penstock.gateway.upstream.unread import unacknowledged

if TYPE_CHECKING:
    from penstock.gateway.upstream.pool import Pool

__all__ = ["Connection"]

JOINED = 16 * 1024
"""A body of so many bytes at most is copied behind its head: that is cheaper than to write two."""
RACE = 1.0
"""Seconds after a request within which a reset is that of a connection closed before: longer than any round trip."""


class Connection(Reading):
    """One connection of a pool. Its life: `start`, then idle (in `pool.idle`) or closed, and so on.

    alive  it may be used;  used  it has been, so that its end may be that of an idle connection
    born   when it was made;  heard  when something was last heard of the request (seconds of the pool's clock)
    begun  a byte of the body has come;  quiet  bytes that came without one
    """

    __slots__ = ("alive", "begun", "born", "heard", "paused", "pool", "quiet", "transport", "used")

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool.limits.idle_seconds)
        self.pool = pool
        self.transport: Any = None
        self.alive = self.used = self.begun = self.paused = False
        self.born = self.heard = 0.0
        self.quiet = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = Outgoing(transport, self.pool.outbox)
        self.alive = True
        self.born = self.pool.clock()

    # The way of a request

    def start(self, ongoing: Ongoing, now: float) -> bool:
        """Send a request; False: the connection is closed, and nothing was written."""
        request, head = ongoing.request, ongoing.head
        assert head is not None
        body = request.body
        if self.transport.is_closing():  # of which we shall still hear
            self.close()
            return False
        if not body:
            self.transport.write(head.begin + head.without_body)
        elif len(body) <= JOINED:
            self.transport.write(b"%bcontent-length: %d\r\n\r\n%b" % (head.begin, len(body), body))
        else:
            self.transport.writelines((b"%bcontent-length: %d\r\n\r\n" % (head.begin, len(body)), body))
        self.ongoing, self.receiver = ongoing, ongoing.receiver
        ongoing.connection = self
        self.complete = self.begun = self.until_end = False
        self.in_head = True
        self.quiet = 0
        self.heard = now
        if self.noticed:
            self.noticed = {}
        if head.bodiless_answer:
            self.noticed[b"head"] = b""
        first, due = ongoing.timeouts.first_token, ongoing.deadline
        self.due = due = due if first is None or now + first > due else now + first
        if due < self.looked_at:
            self.pool.wheel.place(self)
        if ongoing.paused:
            self.pause()
        return True

    def data_received(self, data: bytes) -> None:
        if self.receiver is None:
            self.close()  # nobody asked
            return
        self.seen = False
        if len(data) > MAX_HEAD and self.in_head:
            self.noticed[b"long"] = b""
        try:
            self.parser.feed_data(data)
        except HttpParserError as error:
            if not self.complete:
                self._unreadable(error)
                return
            self.extra = True
        if self.receiver is None:
            return
        if self.complete:
            self._finish(self.keeps and not self.extra)
        elif self.seen:
            self.heard = self.pool.clock()
            self.quiet = 0
            if not self.begun:
                self.begun = True  # from now on it is the time between pieces that counts
                self._count_again()
        else:
            self.quiet += len(data)
            if self.quiet > MAX_HEAD:
                self.fail(Broken("protocol", LONG_HEAD))

    # Ends

    def _finish(self, keep: bool) -> None:
        """The answer is whole."""
        ongoing, receiver = self.ongoing, self.receiver
        assert ongoing is not None and receiver is not None
        if self.decoder is not None and not self._decoded():
            return
        self.receiver = self.ongoing = ongoing.receiver = ongoing.connection = None
        if self.paused:
            self.resume()
        if keep and not self.transport.get_write_buffer_size():
            self.used = True
            self.pool.release(self)
        else:
            self.abort()  # what is not written yet, when an answer comes before the request has gone, goes nowhere
        try:
            receiver.end()
        except Exception as error:
            ongoing.report(error)

    def _decoded(self) -> bool:
        """Whether the compressed body had its end; tells if not."""
        try:
            if self.decoder is not None:
                self.decoder.end()
        except Undecodable as error:
            self.fail(Broken("protocol", str(error)))
            return False
        self.decoder = None
        return True

    def _unreadable(self, error: HttpParserError) -> None:
        """httptools, or one of our own functions that it called, refused to read on."""
        if self.receiver is None:
            self.abort()
            return
        why = self.fault or f"the answer is not HTTP/1.1: {error}"
        self.fail(Broken("protocol", why))

    def fail(self, why: Broken) -> None:
        """End the request and the connection."""
        ongoing = self.ongoing
        self._detach()
        self.abort()
        if ongoing is not None:
            ongoing.fail(why)

    def abandon(self) -> None:
        """Nobody wants the answer."""
        self._detach()
        self.abort()

    def _detach(self) -> None:
        self.receiver = self.ongoing = None
        self.decoder = None
        if self.paused:
            self.resume()

    def eof_received(self) -> None:
        if self.ongoing is None:
            self.close()
        else:
            self._ended(None)

    def connection_lost(self, error: Exception | None) -> None:
        if self.ongoing is None:
            self.close()
        else:
            self._ended(error)

    def _ended(self, error: Exception | None) -> None:
        """The provider closed the connection, or (with an error) it broke."""
        if self.in_head and not self.quiet:
            self._unanswered(error)
        elif not self.in_head and self.until_end and error is None:
            self._finish(keep=False)
        else:
            where = "head" if self.in_head else "body"
            self.fail(Broken("read", f"the connection {_how(error)} in the midst of the answer's {where}"))

    def _unanswered(self, error: Exception | None) -> None:
        """It ended before the first byte of an answer: see above what that means."""
        ongoing = self.ongoing
        assert ongoing is not None and ongoing.head is not None
        waiting = unacknowledged(self.transport) if error is None else None
        unread = waiting is not None and waiting >= len(ongoing.head.begin) + len(ongoing.request.body)
        race = unread or (waiting is None and self.pool.clock() - self.heard < RACE)
        ongoing.perhaps_read = ongoing.perhaps_read or not unread
        if not (self.used and race):  # who is repeated got a connection that was not used: it is not repeated again
            why = f"the connection {_how(error)} before an answer came"
            self.fail(Broken("read", why, ongoing.perhaps_read))
            return
        self._detach()
        ongoing.connection = None
        self.abort()
        ongoing.retried = True
        self.pool.again(ongoing)

    def close(self) -> None:
        """Close the connection in good order, if it is not closed."""
        if self.alive:
            self._gone()
            self.transport.close()

    def abort(self) -> None:
        """Close the connection at once; what was not written yet is dropped."""
        if self.alive:
            self._gone()
            self.transport.abort()

    def _gone(self) -> None:
        self.alive = False
        self.due = NEVER
        self.pool.wheel.remove(self)
        self.pool.lost(self)

    def is_due(self, now: float) -> None:
        ongoing = self.ongoing
        if ongoing is None:
            self.close()  # idle for long enough
            return
        if now >= ongoing.deadline:
            self.fail(Broken("timeout", OVER))
            return
        self.due = self._silence_ends(ongoing)
        if self.due <= now:
            timeouts = ongoing.timeouts
            allowed = timeouts.between_tokens if self.begun else timeouts.first_token
            self.fail(Broken("timeout", silent(allowed or 0.0, self.begun)))

    # A slow client

    def pause(self) -> None:
        """Read no more for now. Time does not count meanwhile, but for the deadline."""
        if not self.paused:
            self.paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self.paused:
            self.paused = False
            self.heard = self.pool.clock()
            self._count_again()
            if self.alive:
                self.transport.resume_reading()

    def _count_again(self) -> None:
        """Another silence is measured than before, and may be over sooner."""
        ongoing = self.ongoing
        if ongoing is not None:
            self.due = self._silence_ends(ongoing)
            if self.due < self.looked_at:
                self.pool.wheel.place(self)

    def _silence_ends(self, ongoing: Ongoing) -> float:
        """When something must have come, or all be over."""
        allowed = ongoing.timeouts.between_tokens if self.begun else ongoing.timeouts.first_token
        return ongoing.deadline if allowed is None or self.paused else min(self.heard + allowed, ongoing.deadline)


def _how(error: Exception | None) -> str:
    return "was closed" if error is None else f"broke ({getattr(error, 'strerror', None) or error})"
