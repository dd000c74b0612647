"""Frames: how a byte stream is cut into messages. Incremental: any split of the bytes gives the same frames.

Three framings exist: server-sent events and JSON lines (here), and the AWS event stream (aws_event_stream.py). Each
is a `FrameParser` that holds only its own buffer, and a function that writes one frame. `FramedParser` joins a
framing with a dialect's function from frame to StreamEvent.

Server-sent events follow https://html.spec.whatwg.org/multipage/server-sent-events.html, with three liberties that real
providers need: an event that the end of the stream cuts off before its blank line is still delivered, and comments
are kept (some providers send keep-alives that a lossless relay must show); and a block of bare JSON, as some servers
break off a stream with an error, is a frame like any other.

Every byte is looked at and copied a fixed number of times, however it arrives: an image of 20 MB in one frame comes in
a thousand pieces, which wait as they came (`Pieces`) and are joined once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from msgspec import Struct

from penstock.dialects.dialect import UNFORESEEN, as_dialect_error
from penstock.types.errors import DialectError, MalformedError
from penstock.types.stream import StreamEvent

MAX_FRAME = 64 * 1024 * 1024
"""Bytes that a single frame may hold (images arrive as base64 inside one). A longer one is refused, not buffered."""

TRANSPORT = "(transport)"
"""The key in `StreamEvent.extras` for what the framing itself carried: comments, event ids, reconnection times."""


class Frame(Struct, frozen=True):
    """One message: its payload, its event name if the framing has one, and other transport fields (comments, ids) if
    there were any.
    """

    data: bytes
    event: str | None = None
    transport: dict[str, Any] | None = None


class FrameParser(Protocol):
    """Bytes in, whole frames out."""

    def feed(self, data: bytes) -> list[Frame]:
        """Take more bytes; return the frames that are now whole. Raises MalformedError."""
        ...

    def close(self) -> list[Frame]:
        """The stream ended: return what can still be made of the rest (possibly a frame that was cut)."""
        ...


class Pieces:
    """Bytes of a frame that is not whole yet, `size` in all, in the pieces in which they came. `what` names the frame
    in errors.
    """

    __slots__ = ("_pieces", "_what", "size")

    def __init__(self, what: str) -> None:
        self._what = what
        self._pieces: list[bytes] = []
        self.size = 0

    def begin(self, data: bytes) -> None:
        """Keep the first bytes of a new frame. (How long it is, the next ones tell: frames before it go out first.)"""
        self._pieces, self.size = [data], len(data)

    def add(self, data: bytes) -> None:
        """Keep more bytes. Raises MalformedError where the frame is longer than MAX_FRAME."""
        if data:
            self._pieces.append(data)
            self.size += len(data)
        if self.size > MAX_FRAME:
            raise MalformedError(f"{self._what} is longer than {MAX_FRAME} bytes")

    def ends_with(self, byte: bytes) -> bool:
        """Whether the last byte is this one."""
        return self.size > 0 and self._pieces[-1].endswith(byte)

    def take(self, more: bytes = b"") -> bytes:
        """All bytes, followed by `more`; none are kept."""
        found = b"".join([*self._pieces, more])
        self._pieces, self.size = [], 0
        return found


class ServerSentEvents:
    """Frames of a text/event-stream."""

    def __init__(self) -> None:
        self._waiting = Pieces("a server-sent event")
        self._held = b""
        self._started = False

    def feed(self, data: bytes) -> list[Frame]:
        waiting = self._waiting
        if self._started and not waiting.size and not self._held and (payload := _single_payload(data)):
            return [Frame(payload)]
        data = self._normalised(data)
        if b"\n\n" not in data and not (data[:1] == b"\n" and waiting.ends_with(b"\n")):
            waiting.add(data)
            return []
        if waiting.size:
            data = waiting.take(data)
        *blocks, rest = data.split(b"\n\n")
        if rest:
            waiting.begin(rest)
        return [frame for block in blocks if block and (frame := _read_block(block)) is not None]

    def close(self) -> list[Frame]:
        block = self._waiting.take(self._held.replace(b"\r", b"\n"))
        self._held = b""
        frame = _read_block(block.rstrip(b"\n")) if block.strip() else None
        return [] if frame is None else [frame]

    def _normalised(self, data: bytes) -> bytes:
        """`data` with every line end as a line feed. A carriage return at the very end waits: a line feed may
        follow.
        """
        if not self._started:
            data = self._held + data
            if len(data) < 3 and b"\xef\xbb\xbf".startswith(data):
                self._held = data
                return b""
            self._started, self._held = True, b""
            data = data.removeprefix(b"\xef\xbb\xbf")
        if self._held or b"\r" in data:
            data = self._held + data
            self._held = b"\r" if data.endswith(b"\r") else b""
            data = data.removesuffix(b"\r") if self._held else data
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return data


def _single_payload(data: bytes) -> bytes:
    """The payload where `data` is exactly one event of one data line, as most servers write them; else b""."""
    if not data.startswith(b"data: ") or not data.endswith(b"\n\n" if b"\r" not in data else b"\r\n\r\n"):
        return b""
    ends = 2 if data[-2:] == b"\n\n" else 4
    payload = data[6:-ends]
    return b"" if b"\n" in payload or b"\r" in payload else payload


def _read_block(block: bytes) -> Frame | None:
    if block.startswith(b"data: ") and b"\n" not in block:
        return Frame(block[6:])
    if block.startswith((b"{", b"[")):  # no field begins so: a bare JSON error that breaks off the stream (Google does)
        return Frame(block)
    data: list[bytes] = []
    event: str | None = None
    transport: dict[str, Any] = {}
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value)
        elif name == b"event":
            event = value.decode("utf-8", "replace")
        elif line:
            key = name.decode("utf-8", "replace") or "comments"
            transport.setdefault(key, []).append(value.decode("utf-8", "replace"))
    if not data and event is None and not transport:
        return None
    return Frame(b"\n".join(data), event, transport or None)


def write_event(payload: bytes, event: str | None = None, transport: dict[str, Any] | None = None) -> bytes:
    """One server-sent event. Without a payload (a comment, a bare event name) there is no data line."""
    head = b""
    for key, values in (transport or {}).items():
        name = "" if key == "comments" else key
        head += b"".join(f"{name}: {value}\n".encode("utf-8", "replace") for value in values)
    if event is not None:
        head += f"event: {event}\n".encode()
    if payload:
        head += b"data: " + payload.replace(b"\n", b"\ndata: ") + b"\n"
    return head + b"\n"


class JsonLines:
    """Frames of application/x-ndjson: one JSON value a line."""

    def __init__(self) -> None:
        self._waiting = Pieces("a line")

    def feed(self, data: bytes) -> list[Frame]:
        if b"\n" not in data:
            self._waiting.add(data)
            return []
        if self._waiting.size:
            data = self._waiting.take(data)
        *lines, rest = data.split(b"\n")
        if rest:
            self._waiting.begin(rest)
        return [Frame(line) for line in lines if line and not line.isspace()]

    def close(self) -> list[Frame]:
        line = self._waiting.take()
        return [Frame(line)] if line.strip() else []


def write_line(payload: bytes) -> bytes:
    """One JSON line."""
    return payload + b"\n"


class FramedParser:
    """A dialect's stream parser: a framing, and the dialect's `read` from a frame to what it says (None: nothing).

    A frame that cannot be read raises, once the events before it were returned, and from then on always: so any split
    of the bytes gives the same events before the same error. At the end of the bytes a last frame that cannot be read
    was cut (`cut` says so); it is left out, and since no `End` was seen, the fold knows.
    """

    def __init__(self, frames: FrameParser, read: Callable[[Frame], StreamEvent | None], dialect: str = "") -> None:
        self._frames = frames
        self._read = read
        self._dialect = dialect
        self._damage: DialectError | None = None
        self.cut = False

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Take more bytes; return the events they complete. Raises DialectError."""
        if self._damage is not None:
            raise self._damage
        events: list[StreamEvent] = []
        try:
            for frame in self._frames.feed(data):
                event = self._event(frame)
                if event is not None:
                    events.append(event)
        except UNFORESEEN as error:
            self._damage = as_dialect_error(error, self._dialect)
            if not events:
                raise self._damage from error
        return events

    def close(self) -> list[StreamEvent]:
        """The bytes ended: the events that were still under way. Raises the DialectError that waits to be told."""
        if self._damage is not None:
            raise self._damage
        try:
            rest = self._frames.close()
        except DialectError as error:
            raise as_dialect_error(error, self._dialect) from None
        try:
            return [event for frame in rest if (event := self._event(frame)) is not None]
        except UNFORESEEN:
            self.cut = True
            return []

    def _event(self, frame: Frame) -> StreamEvent | None:
        event = self._read(frame) if frame.data else StreamEvent(name=frame.event)
        if frame.transport is None or event is None:
            return event
        return StreamEvent(event.deltas, event.name, {**(event.extras or {}), TRANSPORT: frame.transport}, event.frame)
