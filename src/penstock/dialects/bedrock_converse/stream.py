"""Reading streams of ConverseStream: AWS event-stream messages whose payloads are JSON.

    messageStart         {"role"}                                                                Start
    contentBlockStart    {"contentBlockIndex", "start": {"toolUse" | "toolResult" | "image"}}    PartStart
    contentBlockDelta    {"contentBlockIndex", "delta": {"text" | "toolUse" | ...}}              one or two deltas
    contentBlockStop     {"contentBlockIndex"}                                                   PartEnd
    messageStop          {"stopReason", "additionalModelResponseFields"}                         Stop
    metadata             {"usage", "metrics", "trace", "serviceTier"}                            UsageDelta, End
    ...Exception         {"message"}, in messages of the type "exception"                        Failure

Text and reasoning begin with their first delta. Most payloads hold `p`, padding that hides how long the text is.
The decoded payload stays with its event (`StreamEvent.frame`), with a HOLE for each value that a delta holds, in the
same order; stream_own.py fills them again. What names a block (ids, indexes) stays in the payload too.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.aws_event_stream import AwsEventStream, header_of
from penstock.dialects.bedrock_converse.blocks import SIGNED, SYSTEM_TOOLS, read_blob
from penstock.dialects.bedrock_converse.citations import read_citation
from penstock.dialects.bedrock_converse.errors import stream_error
from penstock.dialects.bedrock_converse.media import MEDIA_TYPES
from penstock.dialects.bedrock_converse.names import NAME
from penstock.dialects.bedrock_converse.response import STOP_FIELDS, STOP_REASONS
from penstock.dialects.bedrock_converse.signatures import BLOB, ORIGIN, open_blob, open_envelope
from penstock.dialects.bedrock_converse.usage import read_usage
from penstock.dialects.framing import TRANSPORT, Frame
from penstock.dialects.tool_memo import free_form
from penstock.types.content import (
    Media,
    Opaque,
    Part,
    ServerToolCall,
    ServerToolResult,
    Signature,
    Text,
    Thinking,
    ToolCall,
)
from penstock.types.errors import DialectError, MalformedError
from penstock.types.notes import Memo
from penstock.types.stream import (
    HOLE,
    ArgumentsDelta,
    CitationDelta,
    Delta,
    End,
    Failure,
    MediaDelta,
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

Payload = dict[str, Any]
PAYLOAD = "payload"
"""Key in the transport for a payload that is no JSON."""


class _Block:
    """What the reader knows of one content block. `number` is that of its part, once that has begun."""

    __slots__ = ("content", "custom", "json", "number", "parked", "part", "pieces")

    def __init__(self) -> None:
        self.number = -1
        self.part: Part | None = None
        self.parked = False
        self.json = False
        self.custom = False
        self.pieces: list[str] = []
        self.content: list[Any] = []


class EventReader:
    """From bytes to events.

    A damaged or malformed message raises MalformedError, once the events before it were returned.
    """

    def __init__(self, memo: Memo) -> None:
        self._memo = memo
        self._frames = AwsEventStream()
        self._blocks: dict[int, _Block] = {}
        self._parts = 0
        self._waiting: Signature | None = None
        self._called = False
        self._counted = False
        self._stopped = False
        self._ended = False
        self._damage: DialectError | None = None

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Take more bytes; return the events they complete. Raises MalformedError."""
        if self._damage is not None:
            raise self._damage
        events: list[StreamEvent] = []
        try:
            for frame in self._frames.feed(data):
                events.append(self._read(frame))
        except DialectError as damage:
            damage.dialect = damage.dialect or NAME
            self._damage = damage
            if not events:
                raise
        return events

    def close(self) -> list[StreamEvent]:
        """The bytes ended. An answer that stopped but whose counts did not arrive is whole all the same."""
        if self._damage is not None:
            raise self._damage
        try:
            self._frames.close()
        except DialectError as damage:
            damage.dialect = damage.dialect or NAME
            raise
        if self._stopped and not self._ended:
            return [StreamEvent(self._end())]
        return []

    def _read(self, frame: Frame) -> StreamEvent:
        if frame.transport is None:
            return self._read_event(frame.event or "", frame, None)
        if header_of(frame, ":message-type") in ("exception", "error"):
            return self._read_failure(frame)
        return self._read_event(frame.event or "", frame, {TRANSPORT: frame.transport})

    def _read_event(self, name: str, frame: Frame, extras: dict[str, Any] | None) -> StreamEvent:
        read = _EVENTS.get(name)
        if read is None:
            return _read_unknown(name, frame, extras)
        try:
            payload = wire.decode(frame.data)
            if type(payload) is not dict:
                raise MalformedError(f"expected an object, got {wire.describe(payload)}")
            deltas = read(self, payload)
        except DialectError as error:
            raise error.at(name) from None
        except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
            raise MalformedError(f"unexpected shape ({type(error).__name__}: {error})", name) from error
        return StreamEvent(deltas, name, extras, payload)

    def _read_failure(self, frame: Frame) -> StreamEvent:
        transport = dict(frame.transport or {})
        try:
            payload = wire.decode(frame.data)
        except MalformedError:
            payload = None
            transport[PAYLOAD] = frame.data
        words = header_of(frame, ":error-message")
        error = stream_error(frame.event, payload, words if isinstance(words, str) else None)
        self._ended = True
        return StreamEvent((Failure(error),), frame.event, {TRANSPORT: transport}, payload)

    # One method an event; each takes its values out of the payload and leaves holes.

    def _message_start(self, payload: Payload) -> tuple[Delta, ...]:
        return (Start(),)

    def _block_of(self, payload: Payload) -> _Block:
        index = payload.get("contentBlockIndex")
        block = self._blocks.get(index)  # type: ignore[arg-type]  # what is no number is in no table
        if block is None:
            if type(index) is not int:
                raise MalformedError(f"expected an integer, got {wire.describe(index)}", "contentBlockIndex")
            block = self._blocks[index] = _Block()
        return block

    def _begin(self, block: _Block, part: Part, deltas: list[Delta], announce: bool = True) -> None:
        """A part begins: it gets the next number, and a signature that was parked in the block before it."""
        block.number = self._parts
        self._parts += 1
        if self._waiting is not None and isinstance(part, SIGNED) and part.signature is None:
            part = replace(part, signature=self._waiting)
            announce = True
        self._waiting = None
        block.part = part
        if announce:
            deltas.append(PartStart(block.number, part))

    def _block_start(self, payload: Payload) -> tuple[Delta, ...]:
        block = self._block_of(payload)
        start = payload.get("start")
        deltas: list[Delta] = []
        for key, inner in start.items() if isinstance(start, dict) else ():
            begin = _STARTS.get(key)
            if begin is not None and inner is not None and block.part is None:
                try:
                    self._begin(block, begin(self, block, wire.obj(inner)), deltas)
                except DialectError as error:
                    raise error.at(key).at("start") from None
        return tuple(deltas)

    def _start_call(self, block: _Block, inner: Payload) -> Part:
        call_id, kind, name = _string(inner, "toolUseId"), _string(inner, "type"), wire.string(inner.get("name"))
        if kind is not None and kind != "tool_use":
            return ServerToolCall(call_id, SYSTEM_TOOLS.get(name, name), {}, native=kind)
        if name == self._memo.json_tool:
            block.json = True
            return Text("")
        self._called = True
        name = (self._memo.tool_names or {}).get(name, name)
        block.custom = name in self._memo.custom_tools
        return ToolCall(call_id, name, "" if block.custom else {}, block.custom, native=kind)

    def _start_result(self, block: _Block, inner: Payload) -> Part:
        call_id, kind, status = _string(inner, "toolUseId"), _string(inner, "type"), _string(inner, "status")
        name = (kind or "").removesuffix("_result")
        extras = None if status is None else {"toolResult": {"status": status}}
        return ServerToolResult(call_id, SYSTEM_TOOLS.get(name, name), native=kind, extras=extras)

    def _start_image(self, block: _Block, inner: Payload) -> Part:
        word = _string(inner, "format")
        if word is None:
            return Media("image", None)
        known = MEDIA_TYPES["image"].get(word)
        return Media("image", None, known or f"image/{word}", native=None if known else f"format:{word}")

    def _block_delta(self, payload: Payload) -> tuple[Delta, ...]:
        block = self._block_of(payload)
        delta = payload.get("delta")
        if type(delta) is not dict:
            raise MalformedError(f"expected an object, got {wire.describe(delta)}", "delta")
        text = delta.get("text")
        if type(text) is str and block.part is not None:  # by far the most frequent event
            delta["text"] = HOLE
            return (TextDelta(block.number, text),)
        deltas: list[Delta] = []
        for key, value in delta.items():
            read = _DELTAS.get(key)
            if read is not None and value is not None:
                try:
                    read(self, block, delta, value, deltas)
                except DialectError as error:
                    raise error.at(key).at("delta") from None
        return tuple(deltas)

    def _text(self, block: _Block, delta: Payload, value: Any, deltas: list[Delta]) -> None:
        text = wire.string(value)
        if block.part is None:
            self._begin(block, Text(""), deltas, announce=False)
        deltas.append(TextDelta(block.number, text))
        delta["text"] = HOLE

    def _tool_use(self, block: _Block, delta: Payload, value: Any, deltas: list[Delta]) -> None:
        inner = wire.obj(value)
        text = _string(inner, "input")
        if text is None:
            return
        if block.part is None:
            self._begin(block, ToolCall(None, "", {}), deltas)
        if block.custom:
            block.pieces.append(text)
            return
        inner["input"] = HOLE
        deltas.append(TextDelta(block.number, text) if block.json else ArgumentsDelta(block.number, text))

    def _reasoning(self, block: _Block, delta: Payload, value: Any, deltas: list[Delta]) -> None:
        inner = wire.obj(value)
        for key in inner:
            read = _REASONING.get(key)
            piece = _string(inner, key) if read is not None else None
            if read is not None and piece is not None and read(self, block, piece, deltas):
                inner[key] = HOLE

    def _reasoning_text(self, block: _Block, piece: str, deltas: list[Delta]) -> bool:
        if block.part is None:
            self._begin(block, Thinking(), deltas, announce=False)
        deltas.append(ThinkingDelta(block.number, piece))
        return True

    def _reasoning_signature(self, block: _Block, piece: str, deltas: list[Delta]) -> bool:
        signature, item_id, place = open_envelope(piece)
        if place:
            signature, item_id = Signature(piece, ORIGIN), None
        if block.part is None:
            self._begin(block, Thinking(), deltas, announce=False)
        deltas.append(SignatureDelta(block.number, signature, append=True))
        return item_id is None

    def _redacted(self, block: _Block, piece: str, deltas: list[Delta]) -> bool:
        if block.part is None:
            part = read_blob(piece)
            if isinstance(part, Opaque):
                return self._park(block, part, deltas)
            self._begin(block, part, deltas)
            return True
        opened = None if block.part.native == BLOB else open_blob(piece)  # more of the same, which stays in the frame
        deltas.append(SignatureDelta(block.number, Signature(opened or piece, ORIGIN), append=True))
        return False

    def _park(self, block: _Block, part: Opaque, deltas: list[Delta]) -> bool:
        """The signature of a part beside this block, which is then no part itself."""
        block.part, block.parked = part, True
        signature, place, _ = part.value
        if place == ">":
            self._waiting = signature
        elif self._parts:
            deltas.append(SignatureDelta(self._parts - 1, signature))
        return False

    def _citation(self, block: _Block, delta: Payload, value: Any, deltas: list[Delta]) -> None:
        citation = read_citation(value)
        if block.part is None:
            self._begin(block, Text(""), deltas, announce=False)
        deltas.append(CitationDelta(block.number, citation))
        delta["citation"] = HOLE

    def _image(self, block: _Block, delta: Payload, value: Any, deltas: list[Delta]) -> None:
        source = wire.obj(value).get("source")
        data = source.get("bytes") if isinstance(source, dict) else None
        if isinstance(data, str) and isinstance(source, dict):
            if block.part is None:
                self._begin(block, Media("image", None), deltas)
            deltas.append(MediaDelta(block.number, data, kind="image"))
            source["bytes"] = HOLE

    def _tool_result(self, block: _Block, delta: Payload, value: Any, deltas: list[Delta]) -> None:
        """Content of a tool that Amazon ran. It is handed on whole when the block ends."""
        if block.part is None:
            self._begin(block, ServerToolResult(None, ""), deltas)
        for piece in wire.array(value):
            last = block.content[-1] if block.content else None
            if last is not None and _is_text(piece) and _is_text(last):
                block.content[-1] = {"text": last["text"] + piece["text"]}
            else:
                block.content.append(piece)

    def _block_stop(self, payload: Payload) -> tuple[Delta, ...]:
        block = self._block_of(payload)
        part, number = block.part, block.number
        if part is None or block.parked:
            return ()
        if block.custom:
            return ArgumentsDelta(number, free_form("".join(block.pieces))), PartEnd(number)
        if isinstance(part, ServerToolResult):
            return (PartEnd(number, replace(part, content=block.content)),)
        return (PartEnd(number),)

    def _message_stop(self, payload: Payload) -> tuple[Delta, ...]:
        self._stopped = True
        native = payload.get("stopReason")
        reason = None
        if isinstance(native, str):
            payload["stopReason"] = HOLE
            reason = STOP_REASONS.get(native)
        if reason == "tool_calls" and self._memo.json_tool is not None and not self._called:
            reason = "stop"
        fields = payload.get(STOP_FIELDS)
        sequence = fields.get("stop_sequence") if isinstance(fields, dict) else None
        sequence = sequence if isinstance(sequence, str) else None
        stop = Stop(reason, native if isinstance(native, str) else None, sequence)
        return (stop, *self._end()) if self._counted else (stop,)

    def _metadata(self, payload: Payload) -> tuple[Delta, ...]:
        self._counted = True
        deltas: list[Delta] = []
        if payload.get("usage") is not None:
            try:
                deltas.append(UsageDelta(read_usage(payload["usage"])))
            except DialectError as error:
                raise error.at("usage") from None
            payload["usage"] = HOLE
        tier = payload.get("serviceTier")
        if isinstance(tier, dict) and isinstance(tier.get("type"), str):
            deltas.append(UsageDelta(Usage(service_tier=tier["type"])))
        return (*deltas, *self._end()) if self._stopped else tuple(deltas)

    def _end(self) -> tuple[Delta, ...]:
        self._ended = True
        return (End(),)


def _read_unknown(name: str, frame: Frame, extras: dict[str, Any] | None) -> StreamEvent:
    """An event that this version does not know passes through."""
    try:
        return StreamEvent((), name, extras, wire.decode(frame.data))
    except MalformedError:
        return StreamEvent((), name, {TRANSPORT: {**(frame.transport or {}), PAYLOAD: frame.data}})


def _string(inner: Payload, key: str) -> str | None:
    value = inner.get(key)
    if value is None or type(value) is str:
        return value
    raise MalformedError(f"expected a string, got {wire.describe(value)}", key)


def _is_text(piece: Any) -> bool:
    return isinstance(piece, dict) and piece.keys() == {"text"} and isinstance(piece["text"], str)


_EVENTS: dict[str, Callable[[EventReader, Payload], tuple[Delta, ...]]] = {
    "messageStart": EventReader._message_start,
    "contentBlockStart": EventReader._block_start,
    "contentBlockDelta": EventReader._block_delta,
    "contentBlockStop": EventReader._block_stop,
    "messageStop": EventReader._message_stop,
    "metadata": EventReader._metadata,
}
_STARTS: dict[str, Callable[[EventReader, _Block, Payload], Part]] = {
    "toolUse": EventReader._start_call,
    "toolResult": EventReader._start_result,
    "image": EventReader._start_image,
}
_DELTAS: dict[str, Callable[[EventReader, _Block, Payload, Any, list[Delta]], None]] = {
    "text": EventReader._text,
    "toolUse": EventReader._tool_use,
    "reasoningContent": EventReader._reasoning,
    "citation": EventReader._citation,
    "image": EventReader._image,
    "toolResult": EventReader._tool_result,
}
_REASONING: dict[str, Callable[[EventReader, _Block, str, list[Delta]], bool]] = {
    "text": EventReader._reasoning_text,
    "signature": EventReader._reasoning_signature,
    "redactedContent": EventReader._redacted,
    "data": EventReader._redacted,
}
"""`data` is `redactedContent` under the name that some of Amazon's clients give it. True: a delta holds the value."""


def stream_parser(memo: Memo) -> EventReader:
    """A parser of one stream."""
    return EventReader(memo)
