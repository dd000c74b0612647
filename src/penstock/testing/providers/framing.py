"""How events become bytes: server-sent events, JSON lines, AWS event stream, and Gemini's streamed JSON array."""

from collections.abc import Sequence

from penstock.testing.providers import event_stream
from penstock.testing.providers.script import ScriptError
from penstock.testing.providers.wire import SSE_TYPE, Event, Framing


class ServerSentEvents(Framing):
    """`event:` (where the event has a name) and `data:`, ended by an empty line (WHATWG HTML, server-sent events)."""

    def __init__(self, content_type: str = SSE_TYPE) -> None:
        self.content_type = content_type

    def frames(self, events: Sequence[Event], line_end: str) -> list[bytes]:
        end = line_end.encode()
        last = end + end
        return [
            (b"event: " + event.name.encode() + end + b"data: " + event.payload + last)
            if event.name
            else (b"data: " + event.payload + last)
            for event in events
        ]

    def comment(self, text: str, line_end: str) -> bytes:
        return f"{text if text.startswith(':') else ': ' + text}{line_end}{line_end}".encode()


class JSONLines(Framing):
    """One JSON value a line. An empty line is the only thing that carries nothing."""

    content_type = "application/x-ndjson"

    def frames(self, events: Sequence[Event], line_end: str) -> list[bytes]:
        return [event.payload + line_end.encode() for event in events]

    def comment(self, text: str, line_end: str) -> bytes:
        return line_end.encode()


class EventStream(Framing):
    """AWS event stream: binary, so there are no lines to end and no comments."""

    content_type = "application/vnd.amazon.eventstream"

    def frames(self, events: Sequence[Event], line_end: str) -> list[bytes]:
        if line_end != "\n":
            raise ScriptError("an AWS event stream has no line ends")
        return [
            (event_stream.exception if event.exception else event_stream.event)(event.name, event.payload)
            for event in events
        ]


class JSONArray(Framing):
    """One JSON array that grows: what Gemini streams when it is not asked for `alt=sse`."""

    content_type = "application/json; charset=UTF-8"

    def frames(self, events: Sequence[Event], line_end: str) -> list[bytes]:
        comma = f",{line_end}".encode()
        frames = [(comma if i else b"[") + event.payload for i, event in enumerate(events)]
        if frames:
            frames[-1] += b"]"
        return frames or [b"[]"]


SSE = ServerSentEvents()
JSON_LINES = JSONLines()
EVENT_STREAM = EventStream()
JSON_ARRAY = JSONArray()
