"""Tap: reads a copy of what is relayed, for usage, the reason of the end, and the id of the answer.

Of a stream, only the frames that bear usage are decoded, by the dialect's own parser and after the stream is over: the
first one (Anthropic tells the input there) and the last one. Frames that bear none are not looked into.
"""

from __future__ import annotations

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
    """How frames of a dialect's stream are told, as bytes that stand in them.

    usage     in every frame with usage; `no_usage`: in such a frame that says there is none yet
    last      in the frame that ends the stream
    error     in a frame that reports an error
    """

    usage: bytes
    no_usage: bytes | None
    last: tuple[bytes, ...]
    error: bytes


class StreamTap:
    """Reads one stream. `frames` counts them: about one is a token, where nobody says how many there were."""

    __slots__ = ("_dialect", "_first", "_last", "_marks", "_tail", "ended", "failed", "frames")

    def __init__(self, dialect: Dialect, marks: Marks) -> None:
        self._dialect = dialect
        self._marks = marks
        self._first = self._last = self._tail = b""
        self.frames = 0
        self.ended = self.failed = False

    @property
    def in_frame(self) -> bool:
        """Whether the stream stands in the middle of a frame."""
        return bool(self._tail)

    def feed(self, data: bytes) -> None:
        """Take a piece of the stream."""
        if self._tail:
            data = self._tail + data
            self._tail = b""
        if data[-2:] != b"\n\n" and data[-4:] != b"\r\n\r\n":
            cut = max(data.rfind(b"\n\n") + 2, data.rfind(b"\r\n\r\n") + 4)
            if cut < 4:
                self._tail = data
                return
            data, self._tail = data[:cut], data[cut:]
        self.take(data)

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
            if mark in data:
                self.ended = True
                if not self._last:
                    self._last = data
        if marks.error in data:
            self.failed = True
            self._last = data

    def _says_none(self, data: bytes) -> bool:
        nothing = self._marks.no_usage
        return nothing is not None and data.count(self._marks.usage) == data.count(nothing)

    def read(self) -> Seen:
        """What the stream has said."""
        seen = Seen()
        parser = self._dialect.stream_parser(NO_MEMO)
        try:
            events = parser.feed(self._first)
            if self._last is not self._first:
                events = [*events, *parser.feed(self._last)]
            if self._tail:
                events = [*events, *parser.feed(self._tail + b"\n\n")]
        except DialectError:
            return seen
        for event in events:
            read_event(event, seen)
        return seen


def read_event(event: StreamEvent, seen: Seen) -> None:
    """Add to `seen` what an event says."""
    for delta in event.deltas:
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
