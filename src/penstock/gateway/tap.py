"""Tap: reads a copy of what is relayed, for usage, the reason of the end, and the id of the answer.

Of a stream, only the frames that bear usage are decoded, by the dialect's own parser and after the stream is over: the
first one (Anthropic tells the input there) and the last one. Frames that bear none are not looked into.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Struct

from penstock.dialects.dialect import Dialect
from penstock.types.errors import DialectError, ErrorResponse
from penstock.types.notes import NO_MEMO
from penstock.types.stream import Failure, Snapshot, Start, Stop, StreamEvent, UsageDelta
from penstock.types.usage import Usage


class Seen(Struct):
    """What was read of an answer. `error`: the provider reported one in the stream."""

    usage: Usage | None = None
    finish_reason: str | None = None
    response_id: str | None = None
    service_tier: str | None = None
    error: ErrorResponse | None = None


class Marks(Struct, frozen=True):
    """How frames of a dialect's stream are told, as bytes that stand in them. None can stand in a string that a model
    wrote: they are keys with their colon (quotes in strings are escaped), or whole beginnings of lines.

    usage     in every frame with usage; `no_usage`: in such a frame that says there is none yet
    last      lines that begin the frame which ends the stream; none: its end is the connection's
    error     in a frame that may report an error (whether it does, the dialect says)
    finish    in a frame that says why the answer ended: a stream that ends behind it is whole; none: only `last` is
    begins, ends   of a frame (with the line feeds behind it) that brings more text and nothing else
    """

    usage: bytes
    no_usage: bytes | None
    last: tuple[bytes, ...]
    error: tuple[bytes, ...]
    finish: tuple[bytes, ...] = ()
    begins: tuple[bytes, ...] = ()
    ends: tuple[bytes, ...] = ()


LONGEST_FRAME = 32 * 1024 * 1024
"""Bytes of a frame that are waited for; what is longer goes on unread."""


class StreamTap:
    """Reads one stream. `frames` counts them: about one is a token, where nobody says how many there were."""

    __slots__ = ("_dialect", "_finish", "_first", "_last", "_marks", "_tail", "ended", "failed", "finished", "frames")

    def __init__(self, dialect: Dialect, marks: Marks) -> None:
        self._dialect = dialect
        self._marks = marks
        self._first = self._finish = self._last = b""
        self._tail = bytearray()
        self.frames = 0
        self.ended = self.failed = self.finished = False

    @property
    def in_frame(self) -> bool:
        """Whether the stream stands in the middle of a frame."""
        return bool(self._tail)

    def feed(self, data: bytes) -> None:
        """Take a piece of the stream."""
        whole = self.whole(data)
        if whole:
            self.take(whole)

    def whole(self, data: bytes) -> bytes:
        """The frames that are whole with this piece; what has begun behind them is kept for the next."""
        if not self._tail:
            if data[-2:] == b"\n\n" or data[-4:] == b"\r\n\r\n":
                return data
            cut = _last_end(data, 0)
            if cut:
                self._tail += data[cut:]
                return data[:cut]
            self._tail += data
        else:
            seen = max(0, len(self._tail) - 3)
            self._tail += data
            if cut := _last_end(self._tail, seen):
                return self._cut(cut)
        return self._cut(len(self._tail)) if len(self._tail) > LONGEST_FRAME else b""

    def _cut(self, length: int) -> bytes:
        whole = bytes(self._tail[:length])
        del self._tail[:length]
        return whole

    def rest(self) -> bytes:
        """What stands behind the last whole frame, now that the stream is over: a frame where it is JSON, too."""
        rest = self._cut(len(self._tail)).rstrip(b"\r\n")
        return rest + b"\n\n" if rest else b""

    def is_plain(self, data: bytes) -> bool:
        """Whether this is one whole frame, like nearly all of a stream, of which only its text is news: it is counted,
        and needs no other look.
        """
        marks = self._marks
        if data.startswith(marks.begins) and data.endswith(marks.ends) and data.find(b"\n\n") == len(data) - 2:
            self.frames += 1
            return True
        return False

    def take(self, data: bytes) -> None:
        """Take whole frames."""
        marks = self._marks
        self.frames += data.count(b"data:")
        if marks.usage in data and not self._says_none(data):
            if self._first:
                self._last = data
            else:
                self._first = data
        for mark in marks.last:
            if mark in data and (data.startswith(mark) or b"\n" + mark in data):
                self.ended = True
                if not self._last:
                    self._last = data
        for mark in marks.finish:
            if mark in data:
                self.finished = True
                self._finish = data
        for mark in marks.error:
            if mark in data and self._reports_error(data):
                self.failed = True
                self._last = data

    def bad(self, data: bytes) -> int:
        """Where in these whole frames the first begins that cannot be read; -1: all can."""
        for found in _DATA.finditer(data):
            payload = found[1]
            if payload and payload != b"[DONE]":
                try:
                    _syntax(payload)
                except msgspec.DecodeError:
                    return self._first_bad(data)
        return -1

    def _first_bad(self, data: bytes) -> int:
        """Some frames say what is no JSON by itself: the dialect knows whether they may."""
        start = 0
        for end in [found.end() for found in _FRAME_END.finditer(data)]:
            try:
                parser = self._dialect.stream_parser(NO_MEMO)
                parser.feed(data[start:end])
            except DialectError:
                return start
            start = end
        return -1

    def _reports_error(self, data: bytes) -> bool:
        return error_in(data, self._dialect) is not None

    def _says_none(self, data: bytes) -> bool:
        nothing = self._marks.no_usage
        return nothing is not None and data.count(self._marks.usage) == data.count(nothing)

    def read(self) -> Seen:
        """What the stream has said."""
        seen = Seen()
        parser = self._dialect.stream_parser(NO_MEMO)
        try:
            events = [event for data in self._telling() for event in parser.feed(data)]
        except DialectError:
            return seen
        for event in events:
            read_event(event, seen)
        return seen

    def _telling(self) -> list[bytes]:
        """The frames that tell something, each once."""
        telling: list[bytes] = []
        for data in (self._first, self._finish, self._last, bytes(self._tail) + b"\n\n" if self._tail else b""):
            if data and not any(data is each for each in telling):
                telling.append(data)
        return telling


def _last_end(data: bytes | bytearray, start: int) -> int:
    """Where the last frame that is whole ends, looked for from `start` on; 0: none is."""
    lines, returns = data.rfind(b"\n\n", start), data.rfind(b"\r\n\r\n", start)
    return max(lines + 2 if lines >= 0 else 0, returns + 4 if returns >= 0 else 0)


def error_in(data: bytes, dialect: Dialect) -> ErrorResponse | None:
    """The error that whole frames of a dialect's stream report; None: none."""
    seen = Seen()
    try:
        for event in dialect.stream_parser(NO_MEMO).feed(data):
            read_event(event, seen)
    except DialectError:
        return None
    return seen.error


def read_event(event: StreamEvent, seen: Seen) -> None:
    """Add to `seen` what an event says."""
    for delta in event.deltas:
        if type(delta) not in _TELLING:
            continue
        if isinstance(delta, UsageDelta):
            seen.usage = delta.usage if seen.usage is None else seen.usage.merged(delta.usage)
        elif isinstance(delta, Stop):
            seen.finish_reason = delta.reason
        elif isinstance(delta, Start):
            seen.response_id = delta.id or seen.response_id
            seen.service_tier = delta.service_tier or seen.service_tier
        elif isinstance(delta, Snapshot):
            response = delta.response
            seen.usage = response.usage or seen.usage
            seen.response_id = response.id or seen.response_id
            seen.service_tier = response.service_tier or seen.service_tier
            if response.choices and response.choices[0].stop_reason:
                seen.finish_reason = response.choices[0].stop_reason
        elif isinstance(delta, Failure):
            seen.error = delta.error


_TELLING = frozenset({UsageDelta, Stop, Start, Snapshot, Failure})
"""What says something about an answer; all else is in it."""
_DATA = re.compile(rb"(?:^|\n)data: ?([^\r\n]*)")
_FRAME_END = re.compile(rb"\n\n|\r\n\r\n")
_syntax = msgspec.json.Decoder(msgspec.Raw).decode
