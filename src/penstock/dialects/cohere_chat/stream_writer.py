"""Writing streams. An event of this dialect is its own frame with the holes filled; other dialects' events become
blocks (foreign_stream.py).

Source: https://docs.cohere.com/docs/streaming
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import wire
from penstock.dialects.cohere_chat.citations import write_citation
from penstock.dialects.cohere_chat.foreign_stream import ForeignStream, failed_delta
from penstock.dialects.cohere_chat.logprobs import write_logprobs
from penstock.dialects.cohere_chat.messages import write_block, write_call
from penstock.dialects.cohere_chat.names import NAME
from penstock.dialects.cohere_chat.stream import DONE
from penstock.dialects.cohere_chat.usage import write_usage
from penstock.dialects.dialect import Context, StreamRenderer
from penstock.dialects.framing import TRANSPORT, write_event
from penstock.dialects.stream_translator import GuardedRenderer
from penstock.types.content import ToolCall
from penstock.types.errors import MalformedError
from penstock.types.notes import Note
from penstock.types.stream import (
    HOLE,
    ArgumentsDelta,
    CitationDelta,
    Failure,
    PartStart,
    Start,
    Stop,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    UsageDelta,
)

Object = dict[str, Any]


class OwnStream:
    """Frames of this dialect, written again as they came, with the values that the deltas have now."""

    def __init__(self) -> None:
        self.notes: list[Note] = []

    def render(self, event: StreamEvent) -> bytes:
        """The frame of one event."""
        transport = (event.extras or {}).get(TRANSPORT)
        frame = event.frame
        if frame is None:
            failures = [delta.error for delta in event.deltas if type(delta) is Failure]
            if failures:
                frame = {"type": "message-end", "delta": failed_delta(failures[0])}
                return write_event(wire.encode(frame), "message-end", None)
            return write_event(b"", event.name, transport)
        if frame == DONE:
            return write_event(b"[DONE]", event.name, transport)
        kind = frame.get("type")
        name = kind if event.name is None else event.name or None
        return write_event(wire.encode(_filled(frame, _values(event))), name, transport)

    def close(self) -> bytes:
        """What was cut stays cut."""
        return b""


def _values(event: StreamEvent) -> Object:
    """What the deltas hold, by the key at which the frame has a hole."""
    values: Object = {}
    for delta in event.deltas:
        put = _HOLES.get(type(delta))
        if put is not None:
            put(delta, values)
    return values


def _put_text(delta: TextDelta, values: Object) -> None:
    values["text"] = values["tool_plan"] = values["arguments"] = delta.text
    if delta.logprobs is not None:
        values["logprobs"] = next(iter(write_logprobs(delta.logprobs)), None)


def _put_thinking(delta: ThinkingDelta, values: Object) -> None:
    values["thinking"] = values["tool_plan"] = delta.text


def _put_arguments(delta: ArgumentsDelta, values: Object) -> None:
    values["arguments"] = delta.text


def _put_part(delta: PartStart, values: Object) -> None:
    if type(delta.part) is ToolCall:
        values["tool_calls"] = write_call(delta.part)
    else:
        values["content"] = values["tool_calls"] = write_block(delta.part)


def _put_citation(delta: CitationDelta, values: Object) -> None:
    values["citations"] = write_citation(delta.citation)


def _put_start(delta: Start, values: Object) -> None:
    values["id"] = delta.id


def _put_stop(delta: Stop, values: Object) -> None:
    values["finish_reason"] = delta.native


def _put_usage(delta: UsageDelta, values: Object) -> None:
    values["usage"] = write_usage(delta.usage)


_HOLES: dict[type, Callable[[Any, Object], None]] = {
    TextDelta: _put_text,
    ThinkingDelta: _put_thinking,
    ArgumentsDelta: _put_arguments,
    PartStart: _put_part,
    CitationDelta: _put_citation,
    Start: _put_start,
    Stop: _put_stop,
    UsageDelta: _put_usage,
}


def _filled(frame: Object, values: Object) -> Object:
    """A copy of the frame with each hole filled."""
    found: Object = {}
    for key, value in frame.items():
        if value is HOLE:
            if key not in values:
                raise MalformedError("a delta of this frame was taken out of its event", key, NAME)
            found[key] = values[key]
        else:
            found[key] = _filled(value, values) if type(value) is dict else value
    return found


def stream_renderer(context: Context) -> StreamRenderer:
    """A renderer of one stream."""
    renderer: StreamRenderer = OwnStream() if context.source == NAME else ForeignStream(context)
    return GuardedRenderer(renderer, NAME)
