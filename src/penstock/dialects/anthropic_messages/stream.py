"""Reading streams: message_start, content_block_start/_delta/_stop, message_delta, message_stop, ping, error.

The decoded frame stays with its event (`StreamEvent.frame`) with a HOLE where a delta holds the value, for
stream_writer.py to fill again. An event name that differs from the frame's `type` is kept in `StreamEvent.name` (""
where there was none). Source: https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.anthropic_messages.access import maybe_at, text_at
from penstock.dialects.anthropic_messages.citations import read_citation
from penstock.dialects.anthropic_messages.errors import error_of
from penstock.dialects.anthropic_messages.messages import COMPACTION, PARKED, SIGNABLE, read_block
from penstock.dialects.anthropic_messages.names import NAME
from penstock.dialects.anthropic_messages.response import CLOSING_KEYS, closing_extras, recall
from penstock.dialects.anthropic_messages.signatures import ORIGIN, open_envelope
from penstock.dialects.anthropic_messages.stops import STOP_REASONS
from penstock.dialects.anthropic_messages.usage import SERVED, read_usage, usage_with_holes
from penstock.dialects.dialect import StreamParser
from penstock.dialects.framing import Frame, FramedParser, ServerSentEvents
from penstock.types.content import Part, Signature, Text, ToolCall
from penstock.types.errors import DialectError, MalformedError
from penstock.types.notes import Memo
from penstock.types.stream import (
    HOLE,
    ArgumentsDelta,
    CitationDelta,
    Delta,
    End,
    Failure,
    PartEnd,
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
Deltas = tuple[Delta, ...]

DONE = "[DONE]"
"""What some compatible hosts send at the end, as OpenAI does. `StreamEvent.frame` is this string."""

_STARTED = frozenset({"id", "type", "role", "model", "content", "usage"})
"""Fields of `message_start.message` that are modelled, or constant there."""


class FrameReader:
    """From frames to events. It knows which blocks have begun, and what usage was said."""

    def __init__(self, memo: Memo) -> None:
        self._memo = memo
        self._indexes: dict[int, int] = {}
        self._count = 0
        self._usage: Usage | None = None
        self._unwrapped: dict[int, ToolCall] = {}
        self._pieces: dict[int, list[str]] = {}
        self._compactions: dict[int, Text] = {}
        self._signature: Signature | None = None
        self._called = False
        self._unknown: Object | None = None

    def read(self, frame: Frame) -> StreamEvent:
        """One frame. Raises MalformedError where it is none of this dialect."""
        if frame.data == b"[DONE]":
            return StreamEvent((), frame.event, None, DONE)
        event = wire.obj(wire.decode(frame.data))
        kind = event.get("type")
        read = _READERS.get(kind) if type(kind) is str else None
        if read is None:
            return self._read_unknown(event, frame)
        deltas = read(self, event)
        extras, self._unknown = self._unknown, None
        return StreamEvent(deltas, None if frame.event == kind else frame.event or "", extras, event)

    def _read_unknown(self, event: Object, frame: Frame) -> StreamEvent:
        """A frame of a type that we do not know; or of none, with an error in it, as hosts in front of the model send
        it.
        """
        deltas: Deltas = (Failure(error_of(200, {}, event)),) if "error" in event else ()
        kind = event.get("type")
        name = None if type(kind) is str and frame.event == kind else frame.event or ""
        return StreamEvent(deltas, name, None if deltas else event, event)

    def index(self, event: Object) -> int:
        """The part's number in the answer, for the block's number on the wire."""
        number = event.get("index")
        if type(number) is not int:
            raise MalformedError(f"expected an integer, got {wire.describe(number)}", "index")
        found = self._indexes.get(number)
        if found is None:
            found = self._indexes[number] = self._count
            self._count += 1
        return found

    def _message_start(self, event: Object) -> Deltas:
        try:
            message = wire.obj(event.get("message"))
            usage = self._read_usage(message)
            start = Start(
                _take(message, "id"),
                _take(message, "model"),
                service_tier=None if usage is None else SERVED.get(usage.usage.service_tier or ""),
                extras={
                    key: value
                    for key, value in message.items()
                    if key not in _STARTED and key not in CLOSING_KEYS and value is not None and key != "stop_sequence"
                }
                or None,
            )
        except DialectError as error:
            raise error.at("message") from None
        return (start,) if usage is None else (start, usage)

    def _read_usage(self, holder: Object) -> UsageDelta | None:
        if holder.get("usage") is None:
            return None
        try:
            usage = read_usage(holder["usage"], self._usage)
        except DialectError as error:
            raise error.at("usage") from None
        self._usage = usage if self._usage is None else self._usage.merged(usage)
        holder["usage"] = usage_with_holes(holder["usage"])
        return UsageDelta(usage)

    def _block_start(self, event: Object) -> Deltas:
        try:
            part = read_block(event.get("content_block"))
        except DialectError as error:
            raise error.at("content_block") from None
        if part.native == PARKED:
            return self._park(part)
        index = self.index(event)
        event["content_block"] = HOLE
        if type(part) is ToolCall:
            part = self._begin_call(index, part)
        elif part.native == COMPACTION and type(part) is Text:
            self._compactions[index] = part
        if self._signature is not None and type(part) in SIGNABLE:
            part = replace(part, signature=self._signature)
            self._signature = None
        return (PartStart(index, part),)

    def _park(self, part: Any) -> Deltas:
        """A block that only carries a neighbour's signature: its frame stays whole, and it counts as no part."""
        signature, place, _ = part.value
        if place == "<" and self._count:
            return (SignatureDelta(self._count - 1, signature),)
        self._signature = signature
        return ()

    def _begin_call(self, index: int, part: ToolCall) -> Part:
        recalled = recall(part, self._memo)
        if type(recalled) is Text:
            self._unwrapped[index] = part
            return Text("")
        self._called = True
        if type(recalled) is ToolCall and recalled.custom:
            self._unwrapped[index], self._pieces[index] = part, []
            return replace(recalled, arguments="")
        return recalled

    def _block_delta(self, event: Object) -> Deltas:
        delta = event.get("delta")
        if type(delta) is not dict:
            raise MalformedError(f"expected an object, got {wire.describe(delta)}", "delta")
        kind = delta.get("type")
        read = _DELTA_READERS.get(kind) if type(kind) is str else None
        if read is None:
            self._unknown = {"delta": delta}
            return ()
        try:
            return read(self, self.index(event), delta)
        except DialectError as error:
            raise (error if error.path == "index" else error.at("delta")) from None

    def _text(self, index: int, delta: Object) -> Deltas:
        text = text_at(delta, "text")
        delta["text"] = HOLE
        return (TextDelta(index, text),)

    def _thinking(self, index: int, delta: Object) -> Deltas:
        text = text_at(delta, "thinking")
        delta["thinking"] = HOLE
        return (ThinkingDelta(index, text),)

    def _arguments(self, index: int, delta: Object) -> Deltas:
        text = text_at(delta, "partial_json")
        delta["partial_json"] = HOLE
        if index in self._pieces:
            self._pieces[index].append(text)
            return ()
        return (TextDelta(index, text),) if index in self._unwrapped else (ArgumentsDelta(index, text),)

    def _seal(self, index: int, delta: Object) -> Deltas:
        """A signature. One in an envelope stays whole in its frame, since its item id is part of it."""
        sealed = text_at(delta, "signature")
        signature, _, place = open_envelope(sealed)
        if signature.origin == ORIGIN or place:
            delta["signature"] = HOLE
            signature = Signature(sealed, ORIGIN)
        return (SignatureDelta(index, signature),)

    def _citation(self, index: int, delta: Object) -> Deltas:
        try:
            citation = read_citation(delta.get("citation"))
        except DialectError as error:
            raise error.at("citation") from None
        delta["citation"] = HOLE
        return (CitationDelta(index, citation),)

    def _compaction(self, index: int, delta: Object) -> Deltas:
        """The summary, in one piece or several, and what the server wants back with it."""
        text = maybe_at(delta, "content", wire.string)
        part = self._compactions.get(index)
        if part is not None:
            known = {key: value for key, value in (part.extras or {}).items() if key != "content"}
            known |= {key: value for key, value in delta.items() if key not in ("type", "content")}
            self._compactions[index] = replace(part, text=part.text + (text or ""), extras=known or None)
        if text is None:
            return ()
        delta["content"] = HOLE
        return (TextDelta(index, text),)

    def _block_stop(self, event: Object) -> Deltas:
        number = event.get("index")
        if number not in self._indexes:
            if type(number) is not int:
                self.index(event)
            return ()
        index = self._indexes[number]
        if index in self._compactions:
            return (PartEnd(index, self._compactions.pop(index)),)
        if index in self._pieces:
            call = replace(self._unwrapped[index], arguments="".join(self._pieces.pop(index)))
            recalled = recall(call, self._memo)
            assert isinstance(recalled, ToolCall)
            return (ArgumentsDelta(index, str(recalled.arguments)), PartEnd(index))
        return (PartEnd(index),)

    def _message_delta(self, event: Object) -> Deltas:
        deltas: list[Delta] = []
        delta = event.get("delta")
        if delta is not None:
            try:
                deltas += self._read_stop(wire.obj(delta), event)
            except DialectError as error:
                raise error.at("delta") from None
        usage = self._read_usage(event)
        return tuple(deltas) if usage is None else (*deltas, usage)

    def _read_stop(self, delta: Object, event: Object) -> Deltas:
        native = maybe_at(delta, "stop_reason", wire.string)
        if native is None:
            return ()
        reason = STOP_REASONS.get(native, "stop")
        if reason == "tool_calls" and self._memo.json_tool is not None and not self._called:
            reason = "stop"
        extras = {**(closing_extras(event) or {}), **(closing_extras(delta) or {})}
        sequence = _take(delta, "stop_sequence")
        delta["stop_reason"] = HOLE
        return (Stop(reason, native, sequence, extras=extras or None),)

    def _message_stop(self, event: Object) -> Deltas:
        return (End(),)

    def _ping(self, event: Object) -> Deltas:
        return ()

    def _error(self, event: Object) -> Deltas:
        return (Failure(error_of(200, {}, event)),)


def _take(holder: Object, key: str) -> str | None:
    """The string at `key`, leaving a hole."""
    value = maybe_at(holder, key, wire.string)
    if value is not None:
        holder[key] = HOLE
    return value


_READERS: dict[str, Callable[[FrameReader, Object], Deltas]] = {
    "message_start": FrameReader._message_start,
    "content_block_start": FrameReader._block_start,
    "content_block_delta": FrameReader._block_delta,
    "content_block_stop": FrameReader._block_stop,
    "message_delta": FrameReader._message_delta,
    "message_stop": FrameReader._message_stop,
    "ping": FrameReader._ping,
    "error": FrameReader._error,
}
_DELTA_READERS: dict[str, Callable[[FrameReader, int, Object], Deltas]] = {
    "text_delta": FrameReader._text,
    "thinking_delta": FrameReader._thinking,
    "input_json_delta": FrameReader._arguments,
    "signature_delta": FrameReader._seal,
    "citations_delta": FrameReader._citation,
    "compaction_delta": FrameReader._compaction,
}


def stream_parser(memo: Memo) -> StreamParser:
    """A parser of the bytes of one stream."""
    return FramedParser(ServerSentEvents(), FrameReader(memo).read, NAME)
