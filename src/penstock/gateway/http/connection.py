"""One connection of a client, as an asyncio protocol on httptools.

Whoever connects has shown no key yet. So a head may have `Limits.head` bytes and must be complete within
`head_seconds`; the service is asked (`admit`) as soon as the head is there, and only the body of who is admitted is
read, up to `Limits.body` bytes, with no more than `body_silence` seconds between two pieces, and at `body_rate` at
least: beyond the first `body_silence` seconds, time is earned by bytes. What llhttp finds wrong in a request (two
lengths, a length beside chunks, a bare line feed, a folded header, a bad chunk) is refused, and the connection ends:
who sends that may be about to smuggle a request past somebody.

Requests of one connection are answered in their order. While one is answered, the next ones are parsed as far as they
came with it, and then no more is read. While a client does not read what it was sent, nothing more is begun for it,
and the provider of a stream is not read either: what waits for one client is bounded. Who reads nothing for
`unread_seconds` is left.
"""

from __future__ import annotations

import asyncio
import re
import select
from collections import deque
from typing import Any, Protocol

import httptools
from msgspec import Struct

from penstock.gateway.http.connections import Connections
from penstock.gateway.http.heads import CONTINUE, JSON
from penstock.gateway.http.inbound import Answer, Inbound
from penstock.gateway.http.repeated import Repeated, repeatable
from penstock.gateway.outbox import Outgoing


class Limits(Struct, frozen=True, kw_only=True):
    """head, headers: bytes of a request's line and headers, and how many headers; body: bytes of its body (None: the
    service says); body_rate: bytes a second of it, at least (Apache's mod_reqtimeout has the same default); seconds for
    the whole head, between two pieces of a body, between two requests, and for which a client may read nothing of what
    waits for it."""

    head: int = 64 * 1024
    headers: int = 128
    body: int = 64 * 1024 * 1024
    head_seconds: float = 30.0
    body_silence: float = 30.0
    body_rate: int = 500
    idle_seconds: float = 75.0
    unread_seconds: float = 60.0


_METHODS = {name.encode(): name for name in ("GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS")}
LINGER = 2.0
"""Seconds for which what a refused client had under way is still read, and dropped: to close at once would take the
refusal away from it (a reset discards what was not read yet).
"""


class Service(Protocol):
    """Answers requests."""

    def admit(self, inbound: Inbound) -> Answer | None:
        """The head is there. An Answer refuses the request, and its body is not read. Who must ask somebody first sets
        `inbound.pending` and calls `connection.admitted` later.
        """
        ...

    def answer(self, inbound: Inbound) -> None:
        """The request is complete: answer it, now or later."""
        ...

    def malformed(self, status: int, message: str) -> Answer:
        """What to say to a request that is none."""
        ...


class Connection(asyncio.Protocol):
    """One connection. `current` is the request that is being answered; `full`: its client does not keep up."""

    def __init__(self, service: Service, limits: Limits, connections: Connections) -> None:
        self._service = service
        self._limits = limits
        self._connections = connections
        self._parser: Any = httptools.HttpRequestParser(self)
        self._reading: Inbound | None = None
        self._in_head = True
        self._head_size = 0
        self._waiting: deque[Inbound] = deque()
        self._paused = False
        self._unread = 0
        self._refused = False
        self._repeated: Repeated | None = None
        self._completed: Inbound | None = None
        self.transport: Any = None
        self.address = ""
        self.current: Inbound | None = None
        self.deadline = 0.0
        self.draining = False
        self.full = False

    def use(self, limits: Limits) -> None:
        """The configuration has changed: these hold from now on."""
        self._limits = limits

    @property
    def date(self) -> bytes:
        """The header `date`."""
        return self._connections.date

    # -- the transport's side -----------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        self.transport = Outgoing(transport, self._connections.outbox)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if isinstance(peer, tuple) else ""
        self.deadline = self._connections.now + self._limits.head_seconds
        self._connections.add(self)

    def eof_received(self) -> None:
        self.transport.flush()  # the loop closes its transport now, which knows nothing of what waits

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.remove(self)
        self._parser = None  # which refers back: what connections leave behind would wait for the collector
        self._waiting.clear()
        self._reading = None
        current, self.current = self.current, None
        if current is not None:
            current.answering = None
            if current.client_left is not None:
                current.client_left()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return  # it had more under way
        at_rest = self.current is None and self._reading is None and not self._waiting and not self.full
        if at_rest and self._repeated is not None and self._again(self._repeated, data):
            return
        if self._in_head:
            self._head_size += len(data)
        else:
            limits = self._limits
            earned = self.deadline + len(data) / limits.body_rate
            self.deadline = min(earned, self._connections.now + limits.body_silence)
        self._feed(data)
        completed, self._completed = self._completed, None
        if completed is not None:
            self._repeated = repeatable(data, completed) if at_rest else None
        if self._in_head and self._head_size > self._limits.head:
            self._malformed(431, self._head_limit())

    def _feed(self, data: bytes) -> None:
        if self._in_head and b"pgrade:" in data:
            data = _without_offer(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._malformed(400, "this connection speaks HTTP/1.1 only: no upgrade")
        except httptools.HttpParserError as error:
            self._malformed(400, f"this is no HTTP request: {_reason(error)}")

    def pause_writing(self) -> None:
        self.full = True
        self._watch_reader()
        current = self.current
        if current is not None and current.slow is not None:
            current.slow(True)

    def resume_writing(self) -> None:
        self.full = False
        current = self.current
        if current is None:
            self.deadline = self._connections.now + self._limits.idle_seconds
            self._next()
            return
        self.deadline = float("inf")
        if current.slow is not None:
            current.slow(False)

    # -- the parser's side --------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._reading = Inbound(self)
        self._in_head = True
        if self.current is None:
            self.deadline = self._connections.now + self._limits.head_seconds

    def on_url(self, url: bytes) -> None:
        reading = self._reading
        if reading is not None:
            reading.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        reading = self._reading
        if reading is None:
            return
        headers = reading.headers
        name = name.lower()
        if name in headers:
            if name == b"host":
                raise ValueError("two hosts")
            headers[name] += b", " + value
        else:
            headers[name] = value

    def on_headers_complete(self) -> None:
        self._in_head = False
        heard, self._head_size = self._head_size, 0
        reading, parser = self._reading, self._parser
        if reading is None or self._refused:
            return
        method = parser.get_method()
        reading.method = _METHODS.get(method) or method.decode("latin-1")
        reading.keep_alive = parser.should_keep_alive() and not self.draining
        version = parser.get_http_version()
        reading.chunked = version == "1.1"
        reading.locate()
        reading.refusal = self._problem(reading, version)
        if heard > self._limits.head and _size_of_head(reading) > self._limits.head:
            reading.refusal = self._long_head()
        if reading.refusal is not None:
            self._refuse(reading)
            return
        reading.refusal = self._service.admit(reading)
        if reading.refusal is not None:
            if b"transfer-encoding" in reading.headers or reading.headers.get(b"content-length", b"0") != b"0":
                self._refuse(reading)
        elif b"expect" in reading.headers:
            self._continue(reading)
        if reading.pending:
            self._pause()

    def on_body(self, data: bytes) -> None:
        reading = self._reading
        if reading is None or reading.refusal is not None:
            return
        reading.size += len(data)
        if reading.size > self._limits.body:
            reading.refusal = self._too_large()
            reading.pieces.clear()
            self._refuse(reading)
        else:
            reading.pieces.append(data)

    def on_message_complete(self) -> None:
        self._in_head = True
        reading, self._reading = self._reading, None
        if reading is None or self._refused:
            return
        pieces = reading.pieces
        reading.body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        reading.pieces = []
        reading.complete = True
        self._completed = reading
        if self.current is None and not self._waiting and not self.full:
            self._serve(reading)
        else:
            self._waiting.append(reading)
            self._pause()

    # -- the service's side -------------------------------------------------------------------------------------------

    def admitted(self, inbound: Inbound, refusal: Answer | None) -> None:
        """What `admit` could not tell at once."""
        inbound.pending = False
        inbound.refusal = inbound.refusal or refusal
        if inbound.complete:
            if self.current is None and self._waiting and self._waiting[0] is inbound and not self.full:
                self._serve(self._waiting.popleft())
        elif self._reading is not inbound:
            return  # what came after its head was no request, which is answered; or its client has left
        elif inbound.refusal is not None:
            self._refuse(inbound)
        else:
            self._resume()

    def answered(self, inbound: Inbound) -> None:
        """An answer was written to its end."""
        inbound.client_left = inbound.slow = inbound.answering = None
        self.current = None
        if self.full:
            self._watch_reader()
        else:
            self.deadline = self._connections.now + self._limits.idle_seconds
        if not inbound.keep_alive or self.draining or (self._refused and not self._waiting):
            self._close()
        elif not self.full:
            self._next()

    def admitted_not_begun(self) -> list[Inbound]:
        """Requests that were let in by their heads, and are not answered yet."""
        return [inbound for inbound in (self._reading, *self._waiting) if inbound is not None]

    def drain(self) -> None:
        """End as soon as nothing is under way."""
        self.draining = True
        if self.current is not None:
            self.current.keep_alive = self.current.streaming and self.current.keep_alive
        elif self._reading is None and not self._waiting:
            self._close()

    def abort(self) -> None:
        """End now, whatever is under way."""
        self.transport.abort()

    def too_late(self) -> None:
        """The deadline has passed."""
        if self.full:
            self._leave_unless_it_reads()
            return
        if self.current is not None:
            return
        if not self._paused and not self.transport.is_closing() and _is_heard(self.transport):  # it is we who are late
            self.deadline = self._connections.now + self._limits.head_seconds
            return
        if self._reading is None and self.transport.get_write_buffer_size():
            self.abort()  # it was not read: to close in good order would wait for that
            return
        if self._reading is None or not self._reading.method:
            quiet = self._reading is None
            self._close() if quiet else self._malformed(408, "the head of the request did not come in time")
        elif not self._reading.pending:
            limits = self._limits
            slow = f"nothing more for {limits.body_silence:g} s, or less than {limits.body_rate} bytes a second"
            self._malformed(408, f"the body of the request came too slowly: {slow}")

    # -- inside -------------------------------------------------------------------------------------------------------

    def _again(self, known: Repeated, data: bytes) -> bool:
        """Serve a request whose head is the one before; False: it is another, or not whole, and is to be parsed."""
        body = known.body_of(data, self._limits.body)
        if body is None:
            return False
        inbound = known.inbound(self, body)
        inbound.refusal = self._service.admit(inbound)
        if inbound.refusal is not None:
            self._refuse(inbound)
            return True
        if inbound.pending:
            self._pause()
        self._serve(inbound)
        return True

    def _next(self) -> None:
        """Go on with what waits, or read on."""
        if self._waiting:
            if not self._waiting[0].pending:
                self._serve(self._waiting.popleft())
        elif self._paused:
            self._resume()

    def _watch_reader(self) -> None:
        self._unread = self.transport.get_write_buffer_size()
        self.deadline = self._connections.now + self._limits.unread_seconds

    def _leave_unless_it_reads(self) -> None:
        before = self._unread
        self._watch_reader()
        if self._unread >= before:
            self.abort()

    def _serve(self, inbound: Inbound) -> None:
        self.current = inbound
        self.deadline = float("inf")
        if inbound.pending:
            self.current = None
            self._waiting.appendleft(inbound)
            return
        if self._paused and not self._waiting:
            self._resume()  # who does not read does not notice that the client leaves, either
        if inbound.refusal is not None:
            answer = inbound.refusal
            inbound.respond(answer.status, answer.headers, answer.body)
        else:
            self._service.answer(inbound)

    def _problem(self, reading: Inbound, version: str) -> Answer | None:
        """What speaks against reading this request's body."""
        headers = reading.headers
        if version not in ("1.1", "1.0") or reading.method == "CONNECT":
            return self._service.malformed(400, "this connection speaks HTTP/1.1, and is no tunnel")
        if b"host" not in headers and version == "1.1":
            return self._service.malformed(400, "the request names no host")
        if len(headers) > self._limits.headers:
            return self._service.malformed(431, f"a request may have {self._limits.headers} headers at most")
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self._limits.body:
            return self._too_large()
        encoding = headers.get(b"content-encoding", b"identity")
        if encoding.lower() != b"identity":
            return self._service.malformed(415, "send the body uncompressed: no content-encoding is read here")
        return None

    def _long_head(self) -> Answer:
        return self._service.malformed(431, self._head_limit())

    def _head_limit(self) -> str:
        return f"a request's head may have {self._limits.head:,} bytes at most"

    def _too_large(self) -> Answer:
        return self._service.malformed(413, f"a body may have {self._limits.body:,} bytes at most")

    def _continue(self, reading: Inbound) -> None:
        if reading.headers[b"expect"].lower() == b"100-continue" and self.current is None and not reading.pending:
            self.transport.write(CONTINUE)

    def _refuse(self, inbound: Inbound) -> None:
        """Refuse a request whose body has not been read: nothing more can be read from this connection."""
        answer = inbound.refusal
        inbound.keep_alive = False
        self._reading = None
        self._refused = True
        if self.current is None and not self._waiting and answer is not None:
            self.current = inbound
            inbound.respond(answer.status, answer.headers, answer.body)
        else:
            inbound.complete = True
            self._waiting.append(inbound)

    def _malformed(self, status: int, message: str) -> None:
        """Answer what is no request, if no request before it is yet to be answered, and end the connection."""
        if self._refused:
            return
        self._refused = True
        self._reading = None
        if self.current is None and not self._waiting:
            answer = self._service.malformed(status, message)
            inbound = Inbound(self)
            inbound.keep_alive = False
            self.current = inbound
            inbound.respond(answer.status, answer.headers, answer.body)

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self.transport.pause_reading()

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self.transport.resume_reading()

    def _close(self) -> None:
        """Close; a client that may still be sending gets time to read what it was told. What it asked for behind the
        last request that is answered is not begun.
        """
        self._waiting.clear()
        if self._refused and self.transport.can_write_eof():
            self._resume()
            self.transport.write_eof()
            asyncio.get_running_loop().call_later(LINGER, self.transport.abort)
        else:
            self.transport.close()


def _is_heard(transport: Any) -> bool:
    """Whether the client has said something that was not read yet: the loop is busy elsewhere."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0 or not hasattr(select, "poll"):
        return False
    waiting = select.poll()
    waiting.register(sock.fileno(), select.POLLIN)
    return bool(waiting.poll(0))


_OFFER = re.compile(rb"(?i)\r\nupgrade:")


def _without_offer(data: bytes) -> bytes:
    """The head without the offer of another protocol, which a server may ignore (RFC 9110, section 7.8): some clients
    offer HTTP/2 with their first request, and the parser would take what follows for that.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    return _OFFER.sub(b"\r\nx-offered-upgrade:", head) + end + rest


def _size_of_head(inbound: Inbound) -> int:
    """Its bytes, but for the first line's other words."""
    return len(inbound.target) + sum(len(name) + len(value) + 4 for name, value in inbound.headers.items())


def _reason(error: Exception) -> str:
    """What the parser says, in so far as it can be said to the one who sent it."""
    text = str(error)
    return text if text.isascii() and text.isprintable() and len(text) < 200 else type(error).__name__


__all__ = ["JSON", "LINGER", "Connection", "Limits", "Service"]
