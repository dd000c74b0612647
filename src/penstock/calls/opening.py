"""Opening: as much of a stream as it takes to see that it begins, and not with an error.

A stream's bytes come in any pieces, and some hosts send comments while the model thinks. So long as no event has said
anything, nothing has been given to the caller, and the attempt may still fail like any other: with the error that the
host reports first, or because the stream was none. (An announcement that came in one piece with the error behind it is
not held against it; one that came alone is given to the caller, who may wait for it.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from penstock.dialects.dialect import StreamParser
from penstock.exchange import Unfinished
from penstock.types.errors import DialectError, ErrorResponse, MalformedError
from penstock.types.response import Response
from penstock.types.stream import Failure, Start, StreamEvent, UsageDelta


@dataclass(slots=True)
class OpenStream:
    """A stream that has begun: its parser, the events that have come, and the dialect that it is in."""

    parser: StreamParser
    first: list[StreamEvent]
    dialect: str


@dataclass(slots=True)
class Opening:
    """The opening of one stream.

    parser   reads the events
    dialect  its name
    text     whether the dialect's streams are lines of text: one that begins like JSON is then a whole answer, whatever
             its content type says
    whole    reads the bytes of a whole answer
    refuse   (bytes, why they are no stream) -> the error
    """

    parser: StreamParser
    dialect: str
    text: bool
    whole: Callable[[bytes], Response | OpenStream | ErrorResponse]
    refuse: Callable[[bytes, DialectError], ErrorResponse]
    _pieces: list[bytes] = field(default_factory=list)
    _events: list[StreamEvent] = field(default_factory=list)
    _is_whole: bool | None = None

    def read(self, piece: bytes) -> Response | OpenStream | ErrorResponse | Unfinished[Response | OpenStream]:
        """What the stream is, now that this piece has come (empty: it is over)."""
        self._pieces.append(piece)
        try:
            if not piece:
                return self._over()
            if self._begins_whole(piece):
                return Unfinished(self.read)
            self._events += self.parser.feed(piece)
        except DialectError as error:
            return self.refuse(b"".join(self._pieces), error)
        return self._begun(self.parser) or Unfinished(self.read)

    def _begins_whole(self, piece: bytes) -> bool:
        if self._is_whole is None and (start := piece.removeprefix(b"\xef\xbb\xbf").lstrip()):
            self._is_whole = self.text and start.startswith(b"{")
        return bool(self._is_whole)

    def _begun(self, parser: StreamParser) -> OpenStream | ErrorResponse | None:
        """The stream, once an event has said something; the error, if that is what it said."""
        said = [delta for event in self._events for delta in event.deltas]
        first = next((delta for delta in said if not isinstance(delta, Start | UsageDelta)), None)
        if isinstance(first, Failure):
            return first.error
        return OpenStream(parser, self._events, self.dialect) if said else None

    def _over(self) -> Response | OpenStream | ErrorResponse:
        data = b"".join(self._pieces)
        if self._is_whole:
            return self.whole(data)
        self._events += self.parser.close()
        if any(event.deltas for event in self._events):
            return self._begun(ENDED) or _CUT
        return self.refuse(data, MalformedError("the stream ended before its first event"))


class Ended:
    """The parser of a stream that came whole: there is no more."""

    def feed(self, data: bytes) -> list[StreamEvent]:
        return []

    def close(self) -> list[StreamEvent]:
        return []


ENDED = Ended()
_CUT = ErrorResponse(
    kind="unavailable", status=503, message="the stream ended before a word of the answer", native="read"
)
