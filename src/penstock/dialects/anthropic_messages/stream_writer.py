"""Writing streams. An event of this dialect is its own frame with the holes filled; one that has no frame (somebody put
it in, or made it of a whole answer) is written anew, like other dialects' events: foreign_stream.py.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from penstock.dialects import wire
from penstock.dialects.anthropic_messages.blocks import CALL, TEXT, THOUGHT, WHOLE, Block
from penstock.dialects.anthropic_messages.citations import write_citation
from penstock.dialects.anthropic_messages.errors import render_error, write_error
from penstock.dialects.anthropic_messages.foreign_stream import ForeignStream, frame_bytes
from penstock.dialects.anthropic_messages.messages import write_block
from penstock.dialects.anthropic_messages.names import NAME
from penstock.dialects.anthropic_messages.response import stop_word
from penstock.dialects.anthropic_messages.signatures import seal
from penstock.dialects.anthropic_messages.usage import TIERS, fill_usage, write_usage
from penstock.dialects.dialect import Context, StreamRenderer
from penstock.dialects.framing import TRANSPORT, write_event
from penstock.types.content import Citation, Text, Thinking, ToolCall
from penstock.types.errors import MalformedError
from penstock.types.notes import Note
from penstock.types.stream import (
    HOLE,
    ArgumentsDelta,
    CitationDelta,
    Failure,
    PartStart,
    SignatureDelta,
    Start,
    Stop,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    UsageDelta,
)
from penstock.types.usage import Usage

Object = dict[str, Any]


class OwnStream:
    """Frames of this dialect again. It knows what usage was said, and what would be missing if the events ended now."""

    def __init__(self, context: Context) -> None:
        self.notes: list[Note] = []
        self._context = context
        self._model = context.model
        self._loose: LooseStream | None = None
        self._usage: Usage | None = None
        self._open: int | None = None
        self._begun = self._stopped = self._ended = False

    def render(self, event: StreamEvent) -> bytes:
        """The frame of one event."""
        frame = event.frame
        if frame is None:
            return self._render_frameless(event)
        if not isinstance(frame, dict):
            return write_event(str(frame).encode(), event.name, (event.extras or {}).get(TRANSPORT))
        kind = str(frame.get("type"))
        fill = _FILLERS.get(kind) if event.deltas or kind in _ALWAYS else None
        payload = wire.encode(frame if fill is None else fill(self, frame, event.deltas))
        if event.name is None and event.extras is None:
            return b"event: %b\ndata: %b\n\n" % (kind.encode(), payload)
        name = kind if event.name is None else event.name or None
        return write_event(payload, name, (event.extras or {}).get(TRANSPORT))

    def _render_frameless(self, event: StreamEvent) -> bytes:
        if not event.deltas:
            return write_event(b"", event.name, (event.extras or {}).get(TRANSPORT))
        if self._begun:
            pieces = [_loose_piece(delta) for delta in event.deltas]
            return b"".join([frame_bytes(piece) for piece in pieces if piece is not None])
        if self._loose is None:
            self._loose = LooseStream(self._context)
        return self._loose.render(event)

    def close(self) -> bytes:
        """What the events left out at the end."""
        if self._loose is not None:
            return self._loose.close()
        if self._ended or not self._begun:
            return b""
        self._ended = True
        found = b""
        if self._open is not None:
            found += frame_bytes({"type": "content_block_stop", "index": self._open})
        if not self._stopped:
            delta = {"stop_reason": "end_turn", "stop_sequence": None}
            found += frame_bytes({"type": "message_delta", "delta": delta, "usage": {"output_tokens": self._output()}})
        return found + frame_bytes({"type": "message_stop"})

    def _output(self) -> int:
        return (self._usage.output_tokens if self._usage is not None else None) or 0

    def _start(self, frame: Object, deltas: Any) -> Object:
        self._begun = True
        message = dict(frame["message"])
        start = _one(deltas, Start)
        if message.get("id") is HOLE:
            message["id"] = start.id
        if message.get("model") is HOLE or self._model is not None:
            message["model"] = start.model if self._model is None else self._model
        self._fill_usage(message, deltas)
        return {**frame, "message": message}

    def _fill_usage(self, holder: Object, deltas: Any) -> None:
        if not isinstance(holder.get("usage"), dict):
            return
        usage: Usage = _one(deltas, UsageDelta).usage
        self._usage = usage if self._usage is None else self._usage.merged(usage)
        holder["usage"] = fill_usage(holder["usage"], usage, self._usage)

    def _block_start(self, frame: Object, deltas: Any) -> Object:
        self._open = frame["index"]
        return (
            frame
            if frame["content_block"] is not HOLE
            else {**frame, "content_block": write_block(_one(deltas, PartStart).part)}
        )

    def _block_delta(self, frame: Object, deltas: Any) -> Object:
        delta = frame["delta"]
        key = _PIECES.get(str(delta.get("type")))
        if key is None or delta.get(key) is not HOLE:
            return frame
        if not deltas:
            raise _taken_out()
        return {**frame, "delta": {**delta, key: _piece(deltas[0])}}

    def _block_stop(self, frame: Object, deltas: Any) -> Object:
        self._open = None
        return frame

    def _message_delta(self, frame: Object, deltas: Any) -> Object:
        self._stopped = True
        found = dict(frame)
        delta = frame.get("delta")
        if isinstance(delta, dict) and HOLE in delta.values():
            stop = _one(deltas, Stop)
            values = {"stop_reason": stop_word(stop.reason, stop.native), "stop_sequence": stop.sequence}
            found["delta"] = {key: values[key] if value is HOLE else value for key, value in delta.items()}
        self._fill_usage(found, deltas)
        return found

    def _stop(self, frame: Object, deltas: Any) -> Object:
        self._ended = True
        return frame

    def _failure(self, frame: Object, deltas: Any) -> Object:
        self._ended = True
        body: Object = render_error(_one(deltas, Failure).error)[1]
        return body


def _one(deltas: Any, kind: type) -> Any:
    found = next((delta for delta in deltas if type(delta) is kind), None)
    if found is None:
        raise _taken_out()
    return found


def _taken_out() -> MalformedError:
    return MalformedError("a piece of this frame was taken out of its event", dialect=NAME)


_PIECES = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "input_json_delta": "partial_json",
    "signature_delta": "signature",
    "citations_delta": "citation",
    "compaction_delta": "content",
}


def _piece(delta: Any) -> Any:
    if type(delta) is CitationDelta:
        return write_citation(delta.citation)
    return seal(delta.signature) if type(delta) is SignatureDelta else delta.text


_PIECE_TYPES: dict[type, str] = {
    TextDelta: "text_delta",
    ThinkingDelta: "thinking_delta",
    ArgumentsDelta: "input_json_delta",
    SignatureDelta: "signature_delta",
    CitationDelta: "citations_delta",
}


def _loose_piece(delta: Any) -> Object | None:
    """A piece that was put into a stream of frames, as one more delta of the block that it names; a failure is said as
    such.
    """
    if type(delta) is Failure:
        return write_error(delta.error)
    kind = _PIECE_TYPES.get(type(delta))
    if kind is None:
        return None
    inner = {"type": kind, _PIECES[kind]: _piece(delta)}
    return {"type": "content_block_delta", "index": delta.index, "delta": inner}


class LooseStream(ForeignStream):
    """Events of this dialect without frames: what is said is ours already, and only has to be put in order."""

    def _note_leftovers(self, notes: Iterable[Note]) -> None:
        """Extras of our own parts are written with them."""

    def _message(self) -> Object:
        found = {**(self._start.extras or {}), **super()._message()}
        tier = TIERS.get(self._start.service_tier or "")
        return found if tier is None else {**found, "usage": {"service_tier": tier, **found["usage"]}}

    def _begin_part(self, delta: PartStart) -> None:
        part, index = delta.part, delta.index
        call = part if isinstance(part, ToolCall) else None
        block = Block(index, _KINDS.get(type(part), WHOLE), write_block(part), call)
        self._blocks.all[index] = block
        self._blocks.give_turn(block)

    def _complete(self, block: Block, part: Any) -> None:
        """A part that is repeated whole says nothing new here."""

    def _write_usage(self, notes: list[Note]) -> Object:
        return {"input_tokens": 0, "output_tokens": 0, **(write_usage(self._usage) if self._usage is not None else {})}

    def _write_citation(self, citation: Citation, path: str) -> Object | None:
        return write_citation(citation)

    def _write_ending(self, stop: Stop) -> Object:
        word = stop_word(stop.reason, stop.native)
        delta = {"stop_reason": word, "stop_sequence": stop.sequence, **(stop.extras or {})}
        outer = {"context_management": delta.pop("context_management")} if "context_management" in delta else {}
        return {"type": "message_delta", "delta": delta, **outer}


_KINDS = {Text: TEXT, Thinking: THOUGHT, ToolCall: CALL}


_FILLERS: dict[str, Callable[[OwnStream, Object, Any], Object]] = {
    "message_start": OwnStream._start,
    "content_block_start": OwnStream._block_start,
    "content_block_delta": OwnStream._block_delta,
    "content_block_stop": OwnStream._block_stop,
    "message_delta": OwnStream._message_delta,
    "message_stop": OwnStream._stop,
    "error": OwnStream._failure,
}
_ALWAYS = frozenset({"message_delta", "content_block_delta"})
"""Frames that are looked at even when their event holds no deltas."""


def stream_renderer(context: Context) -> StreamRenderer:
    """A renderer of one stream."""
    return OwnStream(context) if context.source == NAME else ForeignStream(context)
