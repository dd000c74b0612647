"""Reading an answer: what httptools finds in the bytes of a connection, told to the receiver of its request.

What is strict here keeps one answer from being taken for another. httptools refuses what RFC 9112 calls smuggling: two
lengths, length and chunked, bare CR or LF, folded headers, NUL, bad chunk sizes. To that comes: a transfer encoding
that is not just `chunked`, a head without an end, and any byte after the end of an answer, which ends the connection.
"""

from __future__ import annotations

import asyncio
from typing import NoReturn

from httptools import HttpResponseParser

from penstock.gateway.upstream.decoding import Decoder, Undecodable, decoder_for
from penstock.gateway.upstream.ongoing import Ongoing, Receiver
from penstock.gateway.upstream.timers import Timed

__all__ = ["LONG_HEAD", "MAX_HEAD", "Reading"]

MAX_HEAD = 64 * 1024
"""Bytes that the head of an answer may have; also what lies between pieces of its body (chunk extensions, trailers)."""
LONG_HEAD = f"the answer's head is longer than {MAX_HEAD:,} bytes"


class _Stop(Exception):
    """Ends the parsing; why is in `fault`, or nobody listens any more."""


class Reading(Timed, asyncio.Protocol):
    """The reading half of a connection.

    ongoing, receiver   the request that is being answered, and who hears of it; none while idle
    in_head   the head (not an interim one) is not whole yet
    complete  the answer is whole; `extra`: and bytes came after it; `keeps`: the provider would keep the connection
    until_end the body has no length: it ends with the connection
    seen      some of the body was in these bytes
    noticed   headers and facts for which the head must be looked at more closely
    fault     why the reading was ended, if it was for a reason of ours
    usual_idle, idle_seconds   how long we would keep a connection, and how long the provider would let us
    """

    __slots__ = (
        "complete",
        "decoder",
        "extra",
        "fault",
        "headers",
        "idle_seconds",
        "in_head",
        "keep_alive",
        "keeps",
        "noticed",
        "ongoing",
        "parser",
        "receiver",
        "seen",
        "until_end",
        "usual_idle",
    )

    def __init__(self, usual_idle: float) -> None:
        Timed.__init__(self)
        self.usual_idle = self.idle_seconds = usual_idle
        self.ongoing: Ongoing | None = None
        self.receiver: Receiver | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        self.noticed: dict[bytes, bytes] = {}
        self.keep_alive = b""
        self.fault = ""
        self.decoder: Decoder | None = None
        self.in_head = self.complete = True
        self.extra = self.seen = self.keeps = self.until_end = False
        self.parser = HttpResponseParser(self)

    # httptools calls these

    def on_message_begin(self) -> None:
        if self.complete:
            self.extra = True
            raise _Stop
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        self.headers.append((name, value.rstrip()))
        if name in _WATCHED and self.in_head:
            self._notice(name, value.strip().lower())

    def on_headers_complete(self) -> None:
        status = self.parser.get_status_code()
        headers, self.headers = self.headers, []
        self.keeps = self.parser.should_keep_alive()
        if status < 200:
            self._interim(status)
            return
        if self.noticed or not self.keeps:
            headers = self._look_closer(status, headers)
        self.in_head = False
        receiver = self.receiver
        if receiver is None:
            raise _Stop
        try:
            receiver.head(status, headers)
        except Exception as error:
            self._receiver_failed(error)
        if self.complete:  # an answer without a body, of which httptools knows nothing
            raise _Stop

    def on_body(self, data: bytes) -> None:
        receiver = self.receiver
        if receiver is None:
            raise _Stop
        self.seen = True
        try:
            if self.decoder is None:
                receiver.data(data)
            else:
                self._decode(self.decoder, data)
        except Exception as error:
            self._receiver_failed(error)

    def on_message_complete(self) -> None:
        if self.in_head:  # it was an interim one
            return
        self.complete = True

    # What is rare

    def _notice(self, name: bytes, value: bytes) -> None:
        """A header that says how to read on."""
        if name == b"keep-alive":
            if value != self.keep_alive:
                self.keep_alive = value
                self.idle_seconds = _idle_seconds(value, self.usual_idle)
            return
        if name == b"transfer-encoding" and (value != b"chunked" or name in self.noticed):
            self._stop(f"the answer's transfer encoding is not just chunked, but {_shown(value)}")
        before = self.noticed.get(name)
        self.noticed[name] = value if before is None else before + b", " + value

    def _interim(self, status: int) -> None:
        """A head before the head (RFC 9110, 15.2): 100 and 103 say nothing to us; 101 we did not ask for."""
        if status < 100 or status == 101:
            self._stop(f"the answer's status is {status}")

    def _look_closer(self, status: int, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """The headers of an answer that is not quite usual: it may be without a body, long, compressed, or end with the
        connection.
        """
        ongoing = self.ongoing
        if ongoing is None or ongoing.head is None:
            raise _Stop
        if sum(len(name) + len(value) for name, value in headers) > MAX_HEAD:
            self._stop(LONG_HEAD)
        self.complete = ongoing.head.bodiless_answer
        names = {name for name, _ in headers}
        self.until_end = not self.keeps and not names & _LENGTHS and status not in (204, 304)
        if self.complete or status in (204, 304) or ongoing.head.as_compressed:
            return headers
        try:
            self.decoder = decoder_for(self.noticed.get(b"content-encoding", b"").decode("latin-1"))
        except Undecodable as error:
            self._stop(str(error))
        if self.decoder is None:
            return headers
        return [pair for pair in headers if pair[0] not in (b"content-encoding", b"content-length")]

    def _decode(self, decoder: Decoder, data: bytes) -> None:
        try:
            for piece in decoder.pieces(data):
                if self.receiver is None:
                    return
                self.receiver.data(piece)
        except Undecodable as error:
            self._stop(str(error))

    def _stop(self, why: str) -> NoReturn:
        """The answer cannot be read: end the parsing, and tell."""
        self.fault = why
        raise _Stop

    def _receiver_failed(self, error: Exception) -> NoReturn:
        ongoing = self.ongoing
        if isinstance(error, _Stop) or ongoing is None:
            raise _Stop
        ongoing.report(error)
        self._stop("the gateway failed to pass the answer on; its log says why")


_WATCHED = frozenset({b"transfer-encoding", b"content-encoding", b"keep-alive"})
_LENGTHS = frozenset({b"content-length", b"transfer-encoding"})


def _idle_seconds(keep_alive: bytes, usual: float) -> float:
    """What `keep-alive: timeout=5, max=100` leaves us: a second less, so that we are the first to close."""
    for part in keep_alive.split(b","):
        name, _, seconds = part.partition(b"=")
        if name.strip() == b"timeout" and seconds.strip().isdigit():
            return min(usual, max(float(seconds[:9]) - 1.0, 0.0))
    return usual


def _shown(value: bytes) -> str:
    return repr(value[:60].decode("latin-1"))
