"""Streams of Responses, written.

Events of this dialect's own stream are their frames with the holes filled. Events of another dialect, and events
without frames (an answer that was unfolded into a stream), are told by a Narrator (narrator.py) as the official
sequence of events.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import wire
from penstock.dialects.dialect import Context, boundary
from penstock.dialects.framing import TRANSPORT, write_event
from penstock.dialects.openai_responses.content import write_citation, write_part
from penstock.dialects.openai_responses.errors import write_own_error
from penstock.dialects.openai_responses.fields import Item
from penstock.dialects.openai_responses.messages import write_output
from penstock.dialects.openai_responses.narrator import Narrator
from penstock.dialects.openai_responses.response import write_response
from penstock.dialects.openai_responses.stream import ERROR, NAME
from penstock.dialects.token_logprobs import write_logprobs
from penstock.types.content import Part
from penstock.types.errors import MalformedError
from penstock.types.notes import Note
from penstock.types.stream import (
    HOLE,
    CitationDelta,
    Failure,
    PartEnd,
    PartStart,
    Snapshot,
    StreamEvent,
    TextDelta,
)

Body = dict[str, Any]


class EventWriter:
    """From events to the bytes of a stream."""

    def __init__(self, context: Context) -> None:
        self._own = context.source == NAME
        self._model = context.model
        self._relayed = False
        self._narrator = Narrator(context)
        self.notes: list[Note] = self._narrator.notes

    @boundary(NAME)
    def render(self, event: StreamEvent) -> bytes:
        """The frames of one event. Raises MalformedError where a frame's delta was taken out of its event."""
        if self._own and event.frame is not None:
            return self._relay(event)
        if event.deltas:
            return self._narrator.tell(event)
        transport = (event.extras or {}).get(TRANSPORT)
        return write_event(b"", event.name, transport) if self._own else b""

    @boundary(NAME)
    def close(self) -> bytes:
        """The end, if the events did not bring it. An own stream that was cut stays cut."""
        cut = self._relayed or (self._own and not self._narrator.started)
        return b"" if cut else self._narrator.finish()

    def _relay(self, event: StreamEvent) -> bytes:
        frame = event.frame
        transport = event.extras.get(TRANSPORT) if event.extras else None
        if type(frame) is not dict:
            written = frame.encode() if type(frame) is str else wire.encode(frame)
            return write_event(written, event.name, transport)
        body = fill_frame(event)
        response = body.get("response")
        if self._model is not None and type(response) is dict and "model" in response:
            body["response"] = {**response, "model": self._model}
        number = body.get("sequence_number")
        self._relayed = True
        self._narrator.join(number if type(number) is int else None)
        return write_event(wire.encode(body), event.name, transport)


def fill_frame(event: StreamEvent) -> Body:
    """The frame of an event of this dialect again, with its values as they are now."""
    body: Body = dict(event.frame)
    kind = body.get("type")
    fill = _FILLERS.get(kind) if type(kind) is str else None
    if ERROR in body:
        _fill_error(body, event)
    elif fill is not None:
        fill(body, event)
    return body


def _find(event: StreamEvent, kind: type) -> Any:
    for delta in event.deltas:
        if type(delta) is kind:
            return delta
    raise MalformedError(f"the {kind.__name__} of this frame was taken out of its event")


def _fill_text(body: Body, event: StreamEvent) -> None:
    delta = _find(event, TextDelta)
    body["delta"] = delta.text
    if delta.logprobs is not None:
        body["logprobs"] = write_logprobs(delta.logprobs)
    elif body.get("logprobs") is HOLE:
        del body["logprobs"]


def _fill_piece(body: Body, event: StreamEvent) -> None:
    if not event.deltas:
        raise MalformedError("the delta of this frame was taken out of its event")
    piece: Any = event.deltas[0]
    body["delta"] = piece.text


def _fill_annotation(body: Body, event: StreamEvent) -> None:
    if body.get("annotation") is HOLE:
        body["annotation"] = write_citation(_find(event, CitationDelta).citation)


def _parts(event: StreamEvent) -> list[Part]:
    found = [
        delta.part
        for delta in event.deltas
        if isinstance(delta, PartStart) or (isinstance(delta, PartEnd) and delta.part is not None)
    ]
    return [part for part in found if part is not None]


def _fill_content(body: Body, event: StreamEvent) -> None:
    if body.get("part") is not HOLE:
        return
    parts = _parts(event)
    if not parts:
        raise MalformedError("the part of this frame was taken out of its event")
    body["part"] = write_part(parts[0], "output_text")


def _fill_item(body: Body, event: StreamEvent) -> None:
    if body.get("item") is not HOLE:
        return
    parts = _parts(event)
    items: list[Item] = write_output(parts) if parts else []
    if not items:
        raise MalformedError("the item of this frame was taken out of its event")
    body["item"] = items[0]


def _fill_response(body: Body, event: StreamEvent) -> None:
    if body.get("response") is HOLE:
        body["response"] = write_response(_find(event, Snapshot).response)


def _fill_error(body: Body, event: StreamEvent) -> None:
    del body[ERROR]
    body.update(write_own_error(_find(event, Failure).error))


_LIFECYCLE = ("created", "queued", "in_progress", "completed", "incomplete", "failed", "cancelled")

_FILLERS: dict[str, Callable[[Body, StreamEvent], None]] = {
    **{f"response.{word}": _fill_response for word in _LIFECYCLE},
    "response.output_item.added": _fill_item,
    "response.output_item.done": _fill_item,
    "response.content_part.added": _fill_content,
    "response.content_part.done": _fill_content,
    "response.output_text.delta": _fill_text,
    "response.output_text.annotation.added": _fill_annotation,
    "response.refusal.delta": _fill_piece,
    "response.reasoning_text.delta": _fill_piece,
    "response.reasoning_summary_text.delta": _fill_piece,
    "response.function_call_arguments.delta": _fill_piece,
    "response.custom_tool_call_input.delta": _fill_piece,
    "response.mcp_call_arguments.delta": _fill_piece,
}
