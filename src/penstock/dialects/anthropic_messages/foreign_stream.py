"""Another dialect's events as a stream of this one: a message whose content blocks open and close one after the other.

Other dialects are freer: parts begin without notice, several grow at once, endings come before usage or not at all.
What the official client's accumulator demands, and how it is kept:

    message_start first                 written before the first content, with what is known by then
    one block at a time                 a text or thought is closed when another part speaks; a tool call only when its
                                        input is whole, and until then the others wait (their pieces are kept, in order)
    tool input as JSON text             free-form input is wrapped as {"input": ...} once it is whole
    a signature ends its block          it is kept until then; one that belongs to a call or a text goes into a block
                                        of its own (signatures.py)
    message_delta, message_stop last    written when the events end, since usage may come after the reason to stop
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import wire
from penstock.dialects.anthropic_messages.citations import write_foreign_citation
from penstock.dialects.anthropic_messages.errors import write_error
from penstock.dialects.anthropic_messages.foreign_response import visible_thought
from penstock.dialects.anthropic_messages.leftovers import note_leftovers
from penstock.dialects.anthropic_messages.messages import park
from penstock.dialects.anthropic_messages.signatures import Place, seal
from penstock.dialects.anthropic_messages.stops import foreign_stop_word
from penstock.dialects.anthropic_messages.usage import write_foreign_usage
from penstock.dialects.dialect import Context
from penstock.dialects.tool_ids import call_id
from penstock.types.content import Json, Media, Part, Refusal, Signature, Text, Thinking, ToolCall
from penstock.types.errors import DialectError
from penstock.types.notes import Note
from penstock.types.response import Choice, Response
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

Object = dict[str, Any]


def frame_bytes(event: Object) -> bytes:
    """The bytes of one frame."""
    return b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), wire.encode(event))


class Block:
    """One part of the answer, and its block while that is written."""

    __slots__ = (
        "call",
        "closed",
        "ended",
        "index",
        "is_whole",
        "judged_at",
        "kind",
        "paragraph",
        "pieces",
        "signature",
        "spoken",
        "waiting",
        "wire_index",
    )

    def __init__(self, index: int, kind: str, call: ToolCall | None = None) -> None:
        self.index = index
        self.kind = kind
        self.call = call
        self.wire_index = -1
        self.pieces: list[str] = []
        self.waiting: list[Object] = []
        self.signature: Signature | None = None
        self.paragraph: int | None = None
        self.spoken = self.ended = self.closed = False
        self.is_whole, self.judged_at = False, 0

    def may_close(self) -> bool:
        """Whether nothing more can belong to this block: anything but a call whose input is still cut."""
        if self.call is None or self.ended:
            return True
        if self.judged_at != len(self.pieces):
            self.judged_at, self.is_whole = len(self.pieces), not self.call.custom and _is_object("".join(self.pieces))
        return self.is_whole


def _is_object(text: str) -> bool:
    try:
        return isinstance(wire.decode(text), dict)
    except DialectError:
        return False


TEXT, THOUGHT, WITHHELD, CALL, SILENT = "text", "thinking", "redacted_thinking", "tool_use", ""


class ForeignStream:
    """Events in, frames out. `notes` holds what they could not say."""

    def __init__(self, context: Context) -> None:
        self.notes: list[Note] = []
        self._context = context
        self._start = Start()
        self._usage: Usage | None = None
        self._stop: Stop | None = None
        self._summary: Response | None = None
        self._blocks: dict[int, Block] = {}
        self._open: Block | None = None
        self._last: Block | None = None
        self._next = 0
        self._begun = self._ended = False
        self._out: list[bytes] = []

    def render(self, event: StreamEvent) -> bytes:
        """The frames of one event."""
        if self._ended:
            return b""
        if event.extras:
            self._note_event(event.extras)
        if not self._begun:
            self._look_ahead(event)
        for delta in event.deltas:
            if getattr(delta, "choice", 0):
                self._note(f"choices[{delta.choice}]", "a message has one alternative")  # type: ignore[union-attr]
                continue
            _WRITERS[type(delta)](self, delta)
        return self._flush()

    def close(self) -> bytes:
        """End the message, if the events did not."""
        if not self._ended:
            self._finish(End())
        return self._flush()

    def _flush(self) -> bytes:
        found = b"".join(self._out)
        self._out.clear()
        return found

    def _note(self, path: str, detail: str, kind: Any = "dropped") -> None:
        note = Note(path, kind, detail)
        if note not in self.notes:
            self.notes.append(note)

    def _note_event(self, extras: Object) -> None:
        found: list[Note] = []
        note_leftovers("", extras, found)
        for note in found:
            self._note(note.path, note.detail)

    def _write(self, event: Object) -> None:
        self._out.append(frame_bytes(event))

    # The frame around the blocks

    def _look_ahead(self, event: StreamEvent) -> None:
        """Usage that comes with the first content belongs into message_start."""
        for delta in event.deltas:
            if type(delta) is UsageDelta:
                self._add_usage(delta)

    def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        context, start = self._context, self._start
        message: Object = {
            "id": start.id or context.id,
            "type": "message",
            "role": "assistant",
            "model": context.model or start.model or "",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": write_foreign_usage(self._usage, []),
        }
        self._write({"type": "message_start", "message": message})

    def _remember(self, start: Start) -> None:
        self._start = start
        note_leftovers("", start.extras, self.notes)
        self._begin()

    def _add_usage(self, delta: UsageDelta) -> None:
        self._usage = delta.usage if self._usage is None else self._usage.merged(delta.usage)

    def _remember_stop(self, stop: Stop) -> None:
        self._stop = stop
        note_leftovers("choices[0]", stop.extras, self.notes)

    def _summarise(self, delta: Snapshot) -> None:
        """A whole response so far. The last one says what the stream itself may have left out."""
        response = delta.response
        if not self._begun:
            self._start = Start(response.id, response.model)
            self._begin()
        self._summary = response
        if response.usage is not None:
            self._add_usage(UsageDelta(response.usage))

    def _fail(self, delta: Failure) -> None:
        self._ended = True
        self._write({"type": "error", **write_error(delta.error)})

    def _finish(self, delta: End) -> None:
        self._begin()
        choice = self._summary.choices[0] if self._summary is not None and self._summary.choices else Choice()
        if not self._blocks:
            for number, part in enumerate(choice.parts):
                self._begin_part(PartStart(number, part))
                self._end_part(PartEnd(number))
        self._close_all()
        stop = self._stop or Stop(choice.stop_reason, choice.stop_native, choice.stop_sequence)
        calls = any(block.kind == CALL for block in self._blocks.values())
        if stop.reason == "error":
            self._note("choices[0].stop_reason", f"no word for {stop.native or 'an error'!r}", "changed")
        ending = {"stop_reason": foreign_stop_word(stop.reason, stop.sequence, calls), "stop_sequence": stop.sequence}
        usage = write_foreign_usage(self._usage, self.notes)
        self._write({"type": "message_delta", "delta": ending, "usage": usage})
        self._write({"type": "message_stop"})
        self._ended = True

    # Blocks: opening, closing, waiting

    def _block(self, index: int, kind: str) -> Block:
        block = self._blocks.get(index)
        if block is None:
            call = ToolCall(None, "", "") if kind == CALL else None
            block = self._blocks[index] = Block(index, kind, call)
        return block

    def _say(self, block: Block, delta: Object) -> None:
        """One more piece of a block, now if it is its turn, else as soon as it is."""
        if block is not self._open and not self._give_turn(block):
            block.waiting.append(delta)
            return
        self._write({"type": "content_block_delta", "index": block.wire_index, "delta": delta})

    def _give_turn(self, block: Block) -> bool:
        """Make `block` the open one, if the one that is open can be closed."""
        if self._open is not None:
            if not self._open.may_close():
                return False
            self._close(self._open)
        if block.closed and block.kind == CALL:
            self._note(self._path(block), "more input came after the call was whole")
            return False
        self._open_block(block)
        return True

    def _open_block(self, block: Block) -> None:
        self._begin()
        if block.call is not None and block.signature is not None:
            self._park(block.signature, ">")
            block.signature = None
        block.wire_index = self._next
        self._next += 1
        self._open, block.closed = block, False
        self._write({"type": "content_block_start", "index": block.wire_index, "content_block": self._empty(block)})
        for delta in block.waiting:
            self._write({"type": "content_block_delta", "index": block.wire_index, "delta": delta})
        block.waiting.clear()

    def _empty(self, block: Block) -> Object:
        if block.kind == THOUGHT:
            return {"type": THOUGHT, "thinking": "", "signature": ""}
        if block.call is None:
            return {"type": TEXT, "text": ""}
        call = block.call
        name = call.call_id or call_id(self._start.id or self._context.id, block.index)
        return {"type": CALL, "id": name, "name": call.name, "input": {}}

    def _close(self, block: Block) -> None:
        """End the open block: with its signature, or the whole of a free-form input."""
        index = block.wire_index
        if block.call is not None and block.call.custom:
            text = wire.encode({"input": "".join(block.pieces)}).decode()
            delta: Object = {"type": "input_json_delta", "partial_json": text}
            self._write({"type": "content_block_delta", "index": index, "delta": delta})
        if block.kind == THOUGHT and block.signature is not None:
            delta = {"type": "signature_delta", "signature": seal(block.signature)}
            self._write({"type": "content_block_delta", "index": index, "delta": delta})
        self._write({"type": "content_block_stop", "index": index})
        if block.kind != THOUGHT and block.signature is not None:
            self._park(block.signature, "<")
        block.closed, block.signature = True, None
        self._open, self._last = None, block

    def _park(self, signature: Signature, place: Place) -> None:
        self._whole(park(signature, place))

    def _whole(self, content_block: Object) -> None:
        """A block that is complete as it begins."""
        self._begin()
        self._write({"type": "content_block_start", "index": self._next, "content_block": content_block})
        self._write({"type": "content_block_stop", "index": self._next})
        self._next += 1

    def _advance(self) -> None:
        """Let those that wait speak, in the order in which they appeared."""
        for block in self._blocks.values():
            if block.waiting and block is not self._open and not self._give_turn(block):
                return
            if block is self._open and block.ended:
                self._close(block)

    def _close_all(self) -> None:
        for block in self._blocks.values():
            block.ended = True
        if self._open is not None:
            self._close(self._open)
        self._advance()
        for block in self._blocks.values():
            if not block.closed:
                self._close_silent(block)

    def _close_silent(self, block: Block) -> None:
        """A part that never spoke: a call without input, a withheld thought, or nothing."""
        if block.kind == CALL:
            self._open_block(block)
            self._close(block)
        elif block.kind == WITHHELD and block.signature is not None:
            self._whole({"type": WITHHELD, "data": seal(block.signature)})
        elif block.kind == THOUGHT and block.signature is not None:
            self._open_block(block)
            self._close(block)
        elif block.kind == TEXT and block.signature is not None and self._last is not None:
            self._park(block.signature, "<")
        block.closed = True

    def _path(self, block: Block) -> str:
        return f"choices[0].parts[{block.index}]"

    # Parts

    def _begin_part(self, delta: PartStart) -> None:
        part = delta.part
        path = f"choices[0].parts[{delta.index}]"
        note_leftovers(path, part.extras, self.notes)
        if isinstance(part, ToolCall):
            self._begin_call(delta.index, part)
        elif isinstance(part, Thinking):
            self._begin_thought(delta.index, part)
        elif isinstance(part, Text | Refusal | Json):
            self._begin_text(delta.index, part)
        elif isinstance(part, Media) and part.kind == "audio":
            self._block(delta.index, TEXT)
            self._add_media(MediaDelta(delta.index, transcript=part.transcript or "", kind=part.kind))
        else:
            self._block(delta.index, SILENT)
            self._note(path, f"no block for {type(part).__name__} of another provider")

    def _begin_call(self, index: int, part: ToolCall) -> None:
        block = self._blocks[index] = Block(index, CALL, part)
        block.signature = part.signature
        if self._open is None or self._open.may_close():
            self._give_turn(block)
        if part.arguments:
            text = part.arguments if isinstance(part.arguments, str) else wire.encode(part.arguments).decode()
            self._add_arguments(ArgumentsDelta(index, text))

    def _begin_thought(self, index: int, part: Thinking) -> None:
        block = self._block(index, WITHHELD if part.redacted else THOUGHT)
        block.signature = part.signature
        text = visible_thought(part)
        if text and not part.redacted:
            self._add_thought(ThinkingDelta(index, text))

    def _begin_text(self, index: int, part: Text | Refusal | Json) -> None:
        block = self._block(index, TEXT)
        if isinstance(part, Text):
            block.signature = part.signature
        text = wire.encode(part.value).decode() if isinstance(part, Json) else part.text
        self._add_text(TextDelta(index, text))
        for citation in (part.citations or ()) if isinstance(part, Text) else ():
            self._add_citation(CitationDelta(index, citation))

    def _add_text(self, delta: TextDelta | RefusalDelta) -> None:
        block = self._blocks.get(delta.index) or self._block(delta.index, TEXT)
        if delta.logprobs:
            self._note("choices[0].logprobs", "the API knows no log probabilities")
        if delta.text and block.kind == TEXT:
            self._say(block, {"type": "text_delta", "text": delta.text})

    def _add_thought(self, delta: ThinkingDelta) -> None:
        block = self._blocks.get(delta.index) or self._block(delta.index, THOUGHT)
        if delta.text and block.kind == THOUGHT:
            block.spoken = True
            self._say(block, {"type": "thinking_delta", "thinking": delta.text})

    def _add_summary(self, delta: SummaryDelta) -> None:
        block = self._block(delta.index, THOUGHT)
        if block.paragraph not in (None, delta.paragraph) and delta.text:
            self._add_thought(ThinkingDelta(delta.index, "\n\n"))
        block.paragraph = delta.paragraph
        self._add_thought(ThinkingDelta(delta.index, delta.text))

    def _add_arguments(self, delta: ArgumentsDelta) -> None:
        block = self._blocks.get(delta.index) or self._block(delta.index, CALL)
        if block.call is None or not delta.text:
            return
        block.pieces.append(delta.text)
        if block.call.custom:
            if block is not self._open:
                self._give_turn(block)
            return
        if not (block.closed and not delta.text.strip()):
            self._say(block, {"type": "input_json_delta", "partial_json": delta.text})

    def _add_citation(self, delta: CitationDelta) -> None:
        block = self._block(delta.index, TEXT)
        path = f"{self._path(block)}.citations"
        written = write_foreign_citation(delta.citation, path, self.notes)
        if written is not None and block.kind == TEXT:
            self._say(block, {"type": "citations_delta", "citation": written})

    def _add_media(self, delta: MediaDelta) -> None:
        block = self._block(delta.index, TEXT if delta.kind == "audio" else SILENT)
        if delta.kind != "audio":
            self._note(self._path(block), f"an answer holds no {delta.kind}")
        else:
            self._note(self._path(block), "of an audio only its transcript can be answered", "weakened")
            self._add_text(TextDelta(delta.index, delta.transcript))

    def _add_signature(self, delta: SignatureDelta) -> None:
        block = self._block(delta.index, THOUGHT)
        if not block.closed:
            before = block.signature.value if delta.append and block.signature is not None else ""
            block.signature = Signature(before + delta.signature.value, delta.signature.origin)
        elif block is self._last and self._open is None:
            if block.kind == THOUGHT:
                self._whole({"type": WITHHELD, "data": seal(delta.signature)})
            else:
                self._park(delta.signature, "<")
        else:
            self._note(f"{self._path(block)}.signature", "it came after the next part had begun")

    def _end_part(self, delta: PartEnd) -> None:
        block = self._blocks.get(delta.index)
        part: Part | None = delta.part
        if block is None:
            if part is not None:
                self._begin_part(PartStart(delta.index, part))
                self._end_part(PartEnd(delta.index))
            return
        self._complete(block, part)
        block.ended = True
        if block is self._open:
            self._close(block)
            self._advance()

    def _complete(self, block: Block, part: Part | None) -> None:
        """What only the repetition of a whole part says: its signature, or all of it, if nothing was streamed."""
        if isinstance(part, Thinking):
            if block.signature is None and not block.closed:
                block.signature = part.signature
            if not block.spoken and block.kind == THOUGHT:
                self._add_thought(ThinkingDelta(block.index, visible_thought(part)))
        elif isinstance(part, ToolCall) and not block.pieces and part.arguments:
            text = part.arguments if isinstance(part.arguments, str) else wire.encode(part.arguments).decode()
            self._add_arguments(ArgumentsDelta(block.index, text))


_WRITERS: dict[type, Callable[[ForeignStream, Any], None]] = {
    Start: ForeignStream._remember,
    PartStart: ForeignStream._begin_part,
    TextDelta: ForeignStream._add_text,
    RefusalDelta: ForeignStream._add_text,
    ThinkingDelta: ForeignStream._add_thought,
    SummaryDelta: ForeignStream._add_summary,
    ArgumentsDelta: ForeignStream._add_arguments,
    SignatureDelta: ForeignStream._add_signature,
    CitationDelta: ForeignStream._add_citation,
    MediaDelta: ForeignStream._add_media,
    PartEnd: ForeignStream._end_part,
    Stop: ForeignStream._remember_stop,
    UsageDelta: ForeignStream._add_usage,
    Snapshot: ForeignStream._summarise,
    Failure: ForeignStream._fail,
    End: ForeignStream._finish,
}
