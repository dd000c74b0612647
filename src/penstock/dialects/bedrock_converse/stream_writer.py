"""Writing streams of ConverseStream: own events again (stream_own.py), other dialects' events in Converse's order.

    messageStart, for each block: [contentBlockStart] contentBlockDelta* contentBlockStop, then messageStop, metadata

Clients of Converse take one block after the other. Other dialects let parts overlap, and some do not say where a part
ends. So a part ends here when it is said to, or when the next one begins; only a tool call is waited for until its
arguments are one whole JSON object, and what arrives meanwhile is held back. Text that goes on after another part began
becomes a new block; so does a part that begins anew, or goes on as another kind, under its number. Counts come last,
whenever they arrived.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import tool_ids, wire
from penstock.dialects.aws_event_stream import write_event, write_exception
from penstock.dialects.bedrock_converse.blocks import park, system_tool_name, write_redacted
from penstock.dialects.bedrock_converse.citations import write_citation
from penstock.dialects.bedrock_converse.errors import exception_of
from penstock.dialects.bedrock_converse.foreign_parts import PartAdapter, image_format, server_content
from penstock.dialects.bedrock_converse.names import NAME
from penstock.dialects.bedrock_converse.response import STOP_FIELDS, adapt_tier, foreign_usage, stop_word
from penstock.dialects.bedrock_converse.signatures import seal
from penstock.dialects.bedrock_converse.stream_own import write_own
from penstock.dialects.dialect import Context
from penstock.dialects.leftovers import findings
from penstock.types.content import (
    Base64,
    Json,
    Media,
    Part,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Signature,
    Text,
    Thinking,
    ToolCall,
)
from penstock.types.errors import MalformedError
from penstock.types.notes import Note
from penstock.types.response import Choice
from penstock.types.stream import (
    ArgumentsDelta,
    CitationDelta,
    End,
    Failure,
    MediaDelta,
    PartEnd,
    PartStart,
    RefusalDelta,
    SignatureDelta,
    Snapshot,
    Start,
    Stop,
    StreamEvent,
    SummaryDelta,
    TextDelta,
    ThinkingDelta,
    UsageDelta,
)
from penstock.types.usage import Usage

Payload = dict[str, Any]
_JUST_END = (End(),)
"""What the reader adds when a stream ends without `metadata`: no message of its own."""


class _Block:
    """The open block: which part it holds, what kind it is, and what has to come before its end."""

    __slots__ = ("custom", "index", "kind", "pieces", "signature", "signed")

    def __init__(self, index: int, kind: type, custom: bool = False) -> None:
        self.index = index
        self.kind = kind
        self.custom = custom
        self.pieces: list[str] = []
        self.signature: Signature | None = None
        self.signed = False

    def is_unfinished_call(self) -> bool:
        """Whether more arguments must follow."""
        if self.kind is not ToolCall or self.custom:
            return self.custom
        try:
            return not isinstance(wire.decode("".join(self.pieces)), dict)
        except MalformedError:
            return True


class EventWriter:
    """From events to bytes. `notes` holds what the stream could not say."""

    def __init__(self, context: Context) -> None:
        self.notes: list[Note] = []
        self._context = context
        self._own = context.source == NAME
        self._adapter = PartAdapter(self.notes, answer=True)
        self._seed: str | None = None
        self._tier: str | None = None
        self._started = False
        self._stop_delta: Stop | None = None
        self._stopped = False
        self._ended = False
        self._called = False
        self._open: _Block | None = None
        self._last = -1
        self._seen: dict[int, type] = {}
        self._silent: set[int] = set()
        self._held: list[Any] = []
        self._usage: Usage | None = None

    def render(self, event: StreamEvent) -> bytes:
        """The messages of one event."""
        if self._own and (event.name is not None or event.deltas == _JUST_END):
            self._watch(event)
            return write_own(event)
        return b"".join([_WRITERS[type(delta)](self, delta) for delta in event.deltas])

    def close(self) -> bytes:
        """Finish a stream whose events ended without `End`."""
        return b"" if self._ended else self._end(End())

    def _watch(self, event: StreamEvent) -> None:
        """Know where a stream of this dialect stands, in case that it has to be finished for it."""
        self._started = True
        frame = event.frame
        index = frame.get("contentBlockIndex") if isinstance(frame, dict) else None
        if index is not None:
            closes = event.name == "contentBlockStop"
            self._last = index
            self._open = None if closes else self._open or _Block(index, Text)
        for delta in event.deltas:
            self._stopped = self._stopped or type(delta) is Stop
            self._ended = self._ended or type(delta) in (End, Failure)

    # Messages

    def _message(self, name: str, payload: Payload) -> bytes:
        begun = b""
        if not self._started:
            self._started = True
            begun = write_event(b'{"role":"assistant"}', "messageStart")
        return begun + write_event(wire.encode(payload), name)

    def _delta(self, delta: Payload) -> bytes:
        return self._message("contentBlockDelta", {"contentBlockIndex": self._last, "delta": delta})

    def _start(self, delta: Start) -> bytes:
        self._seed = self._seed or delta.id
        self._tier = delta.service_tier or self._tier
        self.notes += findings("", delta.extras)
        if self._started:
            return b""
        self._started = True
        return write_event(b'{"role":"assistant"}', "messageStart")

    # Blocks

    def _take(self, delta: Any) -> bytes:
        """A delta of a part: written now, or held back until the open tool call is whole."""
        if delta.choice:
            self._note(f"choices[{delta.choice}]", "dropped", "a stream of Converse has one choice")
            return b""
        if delta.index in self._silent:
            return b""
        if self._ended:
            self._note(f"choices[0].parts[{delta.index}]", "dropped", "it came after the end of the answer")
            return b""
        closed = b""
        if self._open is not None and self._open.index != delta.index:
            if self._held or self._open.is_unfinished_call():
                self._held.append(delta)
                return b""
            closed = self._close_block() if type(delta) is not PartEnd else b""
        written = closed + _PART_WRITERS[type(delta)](self, delta)
        return written + self._release() if self._held else written

    def _release(self, force: bool = False) -> bytes:
        """Write what was held back; with `force`, the open call ends even if it is not whole."""
        written = b""
        while self._held and (force or self._open is None or not self._open.is_unfinished_call()):
            written += self._close_block()
            held, self._held = self._held, []
            written += b"".join([self._take(delta) for delta in held])
            if len(self._held) == len(held):
                break
        return written

    def _block(self, index: int, kind: type, start: Payload | None = None, custom: bool = False) -> bytes:
        """Make sure that the block of part `index` is open, and is of this kind: one of another kind ends."""
        if self._is_open(index, kind):
            return b""
        closed = self._close_block()
        self._last += 1
        self._open = _Block(index, kind, custom)
        self._seen[index] = kind
        if start is None:
            return closed
        return closed + self._message("contentBlockStart", {"contentBlockIndex": self._last, "start": start})

    def _is_open(self, index: int, *kinds: type) -> bool:
        """Whether the open block is that of part `index`, and of one of these kinds."""
        return self._open is not None and self._open.index == index and self._open.kind in kinds

    def _close_block(self) -> bytes:
        block, self._open = self._open, None
        if block is None:
            return b""
        written = b""
        if block.kind in (ToolCall, ServerToolCall):
            written = self._close_call(block)
        written += self._message("contentBlockStop", {"contentBlockIndex": self._last})
        return written + self._write_parked(block.signature, "<")

    def _close_call(self, block: _Block) -> bytes:
        if block.custom:
            text = wire.encode({"input": "".join(block.pieces)}).decode()
            return self._delta({"toolUse": {"input": text}})
        return b"" if block.pieces else self._delta({"toolUse": {"input": "{}"}})

    def _write_parked(self, signature: Signature | None, place: Any) -> bytes:
        """A block of its own for the signature of the part beside it."""
        if signature is None:
            return b""
        self._last += 1
        written = self._delta(park(signature, place))
        return written + self._message("contentBlockStop", {"contentBlockIndex": self._last})

    # Deltas of parts

    def _text(self, delta: TextDelta | RefusalDelta) -> bytes:
        if not delta.text:
            return b""
        if delta.logprobs is not None:
            self._note(f"choices[0].parts[{delta.index}].logprobs", "dropped", "Converse has no log probabilities")
        return self._block(delta.index, Text) + self._delta({"text": delta.text})

    def _refusal(self, delta: RefusalDelta) -> bytes:
        self._note(f"choices[0].parts[{delta.index}]", "changed", "a refusal became a text")
        return self._text(delta)

    def _thinking(self, delta: ThinkingDelta | SummaryDelta) -> bytes:
        if not delta.text:
            return b""
        return self._block(delta.index, Thinking) + self._delta({"reasoningContent": {"text": delta.text}})

    def _summary(self, delta: SummaryDelta) -> bytes:
        """A new paragraph of a summary begins on a new line."""
        block = self._open
        begun = b""
        goes_on = self._is_open(delta.index, Thinking) and delta.text
        if block is not None and goes_on and block.pieces and block.pieces[-1] != str(delta.paragraph):
            begun = self._delta({"reasoningContent": {"text": "\n\n"}})
        written = begun + self._thinking(delta)
        if self._open is not None and delta.text:
            self._open.pieces.append(str(delta.paragraph))
        return written

    def _signature(self, delta: SignatureDelta) -> bytes:
        kind = self._seen.get(delta.index, Thinking)
        if kind is Thinking:
            opened = self._block(delta.index, Thinking)
            assert self._open is not None
            value = delta.signature.value if self._open.signed else seal(delta.signature)
            self._open.signed = True
            return opened + self._delta({"reasoningContent": {"signature": value}})
        if self._open is not None and self._open.index == delta.index:
            self._open.signature = delta.signature
        else:
            self._note(f"choices[0].parts[{delta.index}].signature", "dropped", "it came after the end of its part")
        return b""

    def _arguments(self, delta: ArgumentsDelta) -> bytes:
        begun = b""
        if delta.index not in self._seen:
            begun = self._part_start(PartStart(delta.index, ToolCall(None, "", "")))
        block = self._open
        if block is None or not self._is_open(delta.index, ToolCall, ServerToolCall):
            self._note(f"choices[0].parts[{delta.index}].arguments", "dropped", "no call is open to take them")
            return begun
        if not delta.text:
            return begun
        block.pieces.append(delta.text)
        return begun if block.custom else begun + self._delta({"toolUse": {"input": delta.text}})

    def _citation(self, delta: CitationDelta) -> bytes:
        path = f"choices[0].parts[{delta.index}].citations"
        citation = write_citation(self._adapter.citation(delta.citation, path))
        return self._block(delta.index, Text) + self._delta({"citation": citation})

    def _media(self, delta: MediaDelta) -> bytes:
        if delta.transcript:
            return self._block(delta.index, Text) + self._delta({"text": delta.transcript})
        if delta.kind != "image":
            self._note(f"choices[0].parts[{delta.index}]", "dropped", f"a stream of Converse holds no {delta.kind}")
            return b""
        if not delta.data:
            return b""
        start = {"image": {"format": image_format(None, delta.data)}}
        return self._block(delta.index, Media, start) + self._delta({"image": {"source": {"bytes": delta.data}}})

    def _part_start(self, delta: PartStart) -> bytes:
        write = _STARTS.get(type(delta.part))
        if write is None:
            self._silent.add(delta.index)
            detail = f"Converse has no block for {type(delta.part).__name__}"
            self._note(f"choices[0].parts[{delta.index}]", "dropped", detail)
            return b""
        self._adapter.note_leftovers(delta.part, f"choices[0].parts[{delta.index}]")
        return self._close_block() + write(self, delta.index, delta.part)

    def _start_text(self, index: int, part: Text) -> bytes:
        self._seen[index] = Text
        written = self._write_parked(part.signature, ">")
        written += self._text(TextDelta(index, part.text, logprobs=part.logprobs))
        return written + b"".join([self._citation(CitationDelta(index, citation)) for citation in part.citations or ()])

    def _start_refusal(self, index: int, part: Refusal) -> bytes:
        return self._refusal(RefusalDelta(index, part.text, logprobs=part.logprobs))

    def _start_json(self, index: int, part: Json) -> bytes:
        return self._text(TextDelta(index, wire.encode(part.value).decode()))

    def _start_thinking(self, index: int, part: Thinking) -> bytes:
        if part.redacted and part.signature is not None:
            blob = write_redacted(part.signature, part.id, None)
            return self._block(index, Thinking) + self._delta({"reasoningContent": {"redactedContent": blob}})
        self._seen[index] = Thinking
        text = part.text or "\n\n".join(part.summary or ())
        written = self._thinking(ThinkingDelta(index, text))
        if part.signature is None:
            return written
        written += self._block(index, Thinking)
        assert self._open is not None
        self._open.signed = True
        return written + self._delta({"reasoningContent": {"signature": seal(part.signature, part.id)}})

    def _start_call(self, index: int, part: ToolCall) -> bytes:
        self._called = True
        start = {"name": part.name, "toolUseId": part.call_id or self._call_id(index)}
        return self._write_call(index, part, start, part.custom)

    def _start_server_call(self, index: int, part: ServerToolCall) -> bytes:
        name = system_tool_name(part.name)
        start = {"name": name, "toolUseId": part.call_id or self._call_id(index), "type": "server_tool_use"}
        return self._write_call(index, part, start, False)

    def _write_call(self, index: int, part: ToolCall | ServerToolCall, start: Payload, custom: bool) -> bytes:
        written = self._write_parked(part.signature, ">")
        written += self._block(index, type(part), {"toolUse": start}, custom)
        arguments = part.arguments
        if isinstance(arguments, dict):
            arguments = wire.encode(arguments).decode() if arguments else ""
        return written + self._arguments(ArgumentsDelta(index, arguments or ""))

    def _call_id(self, index: int) -> str:
        return tool_ids.call_id(self._seed or self._context.id, index)

    def _start_result(self, index: int, part: ServerToolResult) -> bytes:
        start = {"toolUseId": part.call_id or self._call_id(index - 1), "type": f"{part.name}_result"}
        written = self._block(index, ServerToolResult, {"toolResult": start})
        return written if part.content is None else written + self._write_result(part)

    def _write_result(self, part: ServerToolResult) -> bytes:
        return self._delta({"toolResult": server_content(part.content)})

    def _start_media(self, index: int, part: Media) -> bytes:
        data = part.source.data if isinstance(part.source, Base64) else ""
        written = self._text(TextDelta(index, part.transcript or ""))
        if part.kind == "image":
            self._seen[index] = Media
            start = {"image": {"format": image_format(part.media_type, data)}}
            opened = self._block(index, Media, start) if data or part.source is None else b""
            return written + opened + self._media(MediaDelta(index, data, kind="image"))
        if data or not written:
            self._note(f"choices[0].parts[{index}]", "dropped", f"a stream of Converse holds no {part.kind}")
        return written

    def _part_end(self, delta: PartEnd) -> bytes:
        """The part is complete; one that is only now told whole is written now."""
        written = b""
        part = delta.part
        if part is not None and delta.index not in self._seen:
            written = self._part_start(PartStart(delta.index, part))
        elif isinstance(part, ServerToolResult) and self._is_open(delta.index, ServerToolResult):
            written = self._write_result(part)
        if self._open is not None and self._open.index == delta.index:
            written += self._close_block()
        return written + self._release()

    # The end

    def _flush(self) -> bytes:
        return self._release(force=True) + self._close_block()

    def _stop(self, delta: Stop) -> bytes:
        """The answer stops. The message that says so waits for the end, since some hosts let parts follow."""
        if delta.choice or self._stop_delta is not None:
            return b""
        self._stop_delta = delta
        return self._flush()

    def _write_stop(self) -> bytes:
        delta = self._stop_delta or Stop()
        written = self._flush()
        self.notes += findings("choices[0]", delta.extras)
        parts: tuple[Part, ...] = (ToolCall(None, "", ""),) if self._called else ()
        choice = Choice(parts, delta.reason, delta.native, delta.sequence)
        payload: Payload = {"stopReason": stop_word(choice, self.notes)}
        if delta.sequence is not None:
            payload = {STOP_FIELDS: {"stop_sequence": delta.sequence}, **payload}
        return written + self._message("messageStop", payload)

    def _add_usage(self, delta: UsageDelta) -> bytes:
        self._usage = delta.usage if self._usage is None else self._usage.merged(delta.usage)
        return b""

    def _snapshot(self, delta: Snapshot) -> bytes:
        """A whole response so far: at the start it names the stream, at the end it brings what was not said yet."""
        response = delta.response
        written = self._start(Start(response.id, response.model, response.created, response.service_tier))
        if response.usage is not None:
            self._add_usage(UsageDelta(response.usage))
        if not delta.final:
            return written
        for choice in response.choices[:1]:
            for index, part in enumerate(choice.parts):
                if index not in self._seen:
                    written += self._take(PartStart(index, part))
                    written += self._take(PartEnd(index))
            written += self._stop(Stop(choice.stop_reason, choice.stop_native, choice.stop_sequence))
        return written

    def _failure(self, delta: Failure) -> bytes:
        self._ended = True
        error = delta.error
        return write_exception(wire.encode({"message": error.message}), exception_of(error))

    def _end(self, delta: End) -> bytes:
        if self._ended:
            return b""
        written = b"" if self._stopped else self._write_stop()
        self._ended = True
        payload: Payload = {"metrics": {"latencyMs": 0}}
        tier = adapt_tier(self._tier, self.notes)
        if tier is not None:
            payload["serviceTier"] = {"type": tier}
        payload["usage"] = foreign_usage(self._usage, self.notes)
        return written + self._message("metadata", payload)

    def _note(self, path: str, kind: Any, detail: str) -> None:
        note = Note(path, kind, detail)
        if note not in self.notes:
            self.notes.append(note)


_STARTS: dict[type, Callable[[EventWriter, int, Any], bytes]] = {
    Text: EventWriter._start_text,
    Refusal: EventWriter._start_refusal,
    Json: EventWriter._start_json,
    Thinking: EventWriter._start_thinking,
    ToolCall: EventWriter._start_call,
    ServerToolCall: EventWriter._start_server_call,
    ServerToolResult: EventWriter._start_result,
    Media: EventWriter._start_media,
}
_PART_WRITERS: dict[type, Callable[[EventWriter, Any], bytes]] = {
    PartStart: EventWriter._part_start,
    TextDelta: EventWriter._text,
    ThinkingDelta: EventWriter._thinking,
    SummaryDelta: EventWriter._summary,
    RefusalDelta: EventWriter._refusal,
    SignatureDelta: EventWriter._signature,
    ArgumentsDelta: EventWriter._arguments,
    CitationDelta: EventWriter._citation,
    MediaDelta: EventWriter._media,
    PartEnd: EventWriter._part_end,
}
_WRITERS: dict[type, Callable[[EventWriter, Any], bytes]] = {
    **dict.fromkeys(_PART_WRITERS, EventWriter._take),
    Start: EventWriter._start,
    Stop: EventWriter._stop,
    UsageDelta: EventWriter._add_usage,
    Snapshot: EventWriter._snapshot,
    Failure: EventWriter._failure,
    End: EventWriter._end,
}


def stream_renderer(context: Context) -> EventWriter:
    """A renderer of one stream."""
    return EventWriter(context)
