"""How a Gemini stream is cut into frames: server-sent events (`?alt=sse`), or one JSON array that grows piece by piece.

    data: {...}\\n\\ndata: {...}\\n\\n          with alt=sse
    [{...}\\n,\\r\\n{...}\\n]                   without; an error is `[{"error": ...}]` or a bare `{"error": ...}`

The first byte that is not blank tells which it is. The array is not decoded but cut: a scan for quotes, backslashes and
braces finds the end of each object, and each byte is looked at once, however the bytes arrive.

Source: https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs

from penstock.dialects.dialect import StreamRenderer
from penstock.dialects.framing import MAX_FRAME, Frame, FrameParser, ServerSentEvents
from penstock.types.errors import MalformedError
from penstock.types.notes import Note
from penstock.types.stream import End, Failure, StreamEvent

ARRAY_TYPE = "application/json"
"""Content type of a stream that is an array."""


def stream_type_asked(query: str) -> str | None:
    """The content type of a stream that the query does not ask to be server-sent events."""
    wanted = parse_qs(query)
    return None if "sse" in (*wanted.get("alt", ()), *wanted.get("$alt", ())) else ARRAY_TYPE


_STRUCTURE = re.compile(rb'["{}]')
_IN_STRING = re.compile(rb'["\\]')
_GAP = re.compile(rb"[ \t\r\n,]*")
_FOLLOWS = {b"[": b"", b"]": b"["}
"""Which bracket must have come before."""
_BLANK = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"


class JsonArray:
    """Frames of a JSON array of objects (or of bare objects), as it arrives."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._place = 0  # how far the buffer has been looked at
        self._depth = 0  # how many braces are open; if any, the buffer begins with the first of them
        self._in_string = False
        self._bracket = b""  # the last one seen
        self._damage: MalformedError | None = None

    @property
    def cut(self) -> bool:
        """Whether the bytes so far end inside of the array or of an object."""
        return self._bracket == b"[" or self._depth > 0

    def feed(self, data: bytes) -> list[Frame]:
        """Take more bytes; return the objects that are now whole. Raises MalformedError, once they were returned."""
        if self._damage is not None:
            raise self._damage
        self._buffer += data
        found: list[Frame] = []
        begin = 0
        try:
            while self._depth or self._skip():
                begin = begin if self._depth else self._place
                if not self._scan():
                    break
                found.append(Frame(_copied(self._buffer, begin, self._place)))
        except MalformedError as damage:
            self._damage = damage
            if not found:
                raise
        done = begin if self._depth else self._place
        del self._buffer[:done]
        self._place -= done
        if len(self._buffer) > MAX_FRAME and not found:
            raise MalformedError(f"an object of the stream is longer than {MAX_FRAME} bytes")
        return found

    def close(self) -> list[Frame]:
        """The bytes ended: what is left of an object that was cut. Raises the MalformedError that waits to be told."""
        if self._damage is not None:
            raise self._damage
        rest = bytes(self._buffer)
        self._buffer.clear()
        return [Frame(rest)] if rest.strip() else []

    def _skip(self) -> bool:
        """Go to the next object. False where it has not arrived."""
        while True:
            gap = _GAP.match(self._buffer, self._place)
            self._place = gap.end() if gap is not None else self._place
            sign = bytes(self._buffer[self._place : self._place + 1])
            if not sign or (sign == b"{" and self._bracket != b"]"):
                return bool(sign)
            if _FOLLOWS.get(sign) != self._bracket:
                rest = bytes(self._buffer[self._place : self._place + 20])
                raise MalformedError(f"expected an object of a stream, got {rest!r}")
            self._bracket = sign
            self._place += 1

    def _scan(self) -> bool:
        """Go to the end of the object. False where it has not arrived."""
        buffer, place, depth, in_string = self._buffer, self._place, self._depth, self._in_string
        while True:
            match = (_IN_STRING if in_string else _STRUCTURE).search(buffer, place)
            if match is None:
                self._place, self._depth, self._in_string = max(place, len(buffer)), depth, in_string
                return False
            place = match.end()
            sign = match[0]
            if sign == b"\\":
                place += 1  # what follows is escaped, even if it has not arrived yet
            elif sign == b'"':
                in_string = not in_string
            elif sign == b"{":
                depth += 1
            else:
                depth -= 1
                if depth == 0:
                    self._place, self._depth, self._in_string = place, 0, False
                    return True


def _copied(buffer: bytearray, start: int, end: int) -> bytes:
    """A stretch of the buffer, copied once (a slice of a bytearray would be a copy of its own)."""
    with memoryview(buffer) as view:
        return bytes(view[start:end])


class GeminiFrames:
    """Frames of either form. `complete` says, once the stream is closed, that it was not cut inside a frame (or before
    the end of its array).
    """

    def __init__(self) -> None:
        self.complete = True
        self._frames: FrameParser | None = None
        self._head = b""

    def feed(self, data: bytes) -> list[Frame]:
        """Take more bytes; return the frames that are now whole. Raises MalformedError."""
        if self._frames is not None:
            return self._frames.feed(data)
        head = self._head + data
        if _BOM.startswith(head):
            self._head = head
            return []
        head = head.removeprefix(_BOM).lstrip(_BLANK)
        self._head = b"" if head else _BOM
        if not head:
            return []
        self._frames = JsonArray() if head[:1] in (b"[", b"{") else ServerSentEvents()
        return self._frames.feed(head)

    def close(self) -> list[Frame]:
        """The bytes ended: what is left of the last frame."""
        if self._frames is None:
            return []
        rest = self._frames.close()
        if isinstance(self._frames, JsonArray):
            self.complete = not self._frames.cut
        return rest


class ArrayRenderer:
    """The frames of a renderer of server-sent events as one array. What events carry beside their data (comments,
    names) has no place in it.
    """

    def __init__(self, events: StreamRenderer) -> None:
        self.notes: list[Note] = events.notes
        self._events = events
        self._begun = False
        self._ended = False

    def render(self, event: StreamEvent) -> bytes:
        """The elements of one event. The last one is followed by the end of the array: the stream's end, or a failure
        (after which nothing comes).
        """
        found = self._elements(self._events.render(event))
        last = any(type(delta) is End or type(delta) is Failure for delta in event.deltas)
        return found + self._end() if last else found

    def close(self) -> bytes:
        """The rest, and the end of the array."""
        return self._elements(self._events.close()) + self._end()

    def _elements(self, events: bytes) -> bytes:
        found: list[bytes] = []
        for line in events.split(b"\n"):
            if line.startswith(b"data: "):
                found += (b",\r\n" if self._begun else b"[", line[6:], b"\n")
                self._begun = True
        return b"".join(found)

    def _end(self) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        return b"]" if self._begun else b"[]"
