"""Another dialect's events as a stream of this one: a message as the official client's accumulator demands it.

message_start                   written before the first content, with what is known by then
content blocks                  one after the other: blocks.py
tool input                      JSON text; free-form input is wrapped as {"input": ...} once it is whole
signatures                      one, before the block ends; kept until then
message_delta, message_stop     written when the events end, since usage may come after the reason to stop
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.anthropic_messages.blocks import CALL, SILENT, TEXT, THOUGHT, WHOLE, WITHHELD, Block, Blocks
from penstock.dialects.anthropic_messages.citations import write_foreign_citation
from penstock.dialects.anthropic_messages.errors import write_error
from penstock.dialects.anthropic_messages.foreign_response import visible_thought
from penstock.dialects.anthropic_messages.server_parts import write_server_call, write_server_result
from penstock.dialects.anthropic_messages.stops import foreign_stop_word
from penstock.dialects.anthropic_messages.usage import write_foreign_usage
from penstock.dialects.dialect import Context
from penstock.dialects.leftovers import findings, leftovers
from penstock.dialects.tool_ids import call_id
from penstock.types.content import (
    Citation,
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


class ForeignStream:
    """Events in, frames out. `notes` holds what they could not say."""

    def __init__(self, context: Context) -> None:
        self.notes: list[Note] = []
        self._context = context
        self._start = Start()
        self._usage: Usage | None = None
        self._stop: Stop | None = None
        self._summary: Response | None = None
        self._begun = self._ended = False
        self._server_id: str | None = None
        self._out: list[bytes] = []
        self._blocks = Blocks(self._write, self._note_too_late)

    def render(self, event: StreamEvent) -> bytes:
        """The frames of one event."""
        if self._ended:
            return b""
        if event.extras:
            self._note_leftovers(findings("", event.extras))
        if not self._begun:
            self._look_ahead(event)
        for delta in event.deltas:
            if getattr(delta, "choice", 0):
                self._note(f"choices[{delta.choice}]", "a message has one alternative")  # type: ignore[union-attr]  # what has none gives 0 above
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

    def _write(self, event: Object) -> None:
        if not self._begun:
            self._begin()
        self._out.append(frame_bytes(event))

    def _note(self, path: str, detail: str, kind: Any = "dropped") -> None:
        note = Note(path, kind, detail)
        if note not in self.notes:
            self.notes.append(note)

    def _note_leftovers(self, notes: Iterable[Note]) -> None:
        for note in notes:
            self._note(note.path, note.detail)

    def _note_too_late(self, block: Block) -> None:
        self._note(_path(block.index), "more input came after the call was whole")

    # The frame around the blocks

    def _look_ahead(self, event: StreamEvent) -> None:
        """Usage that comes with the first content belongs into message_start."""
        for delta in event.deltas:
            if type(delta) is UsageDelta:
                self._add_usage(delta)

    def _begin(self) -> None:
        self._begun = True
        self._write({"type": "message_start", "message": self._message()})

    def _message(self) -> Object:
        """The message that begins."""
        context, start = self._context, self._start
        return {
            "id": start.id or context.id,
            "type": "message",
            "role": "assistant",
            "model": context.model or start.model or "",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": self._write_usage([]),
        }

    def _write_usage(self, notes: list[Note]) -> Object:
        usage, tier = self._usage, self._start.service_tier
        if tier is not None and (usage is None or usage.service_tier is None):
            usage = replace(usage or Usage(), service_tier=tier)
        return write_foreign_usage(usage, notes)

    def _write_ending(self, stop: Stop) -> Object:
        """message_delta, without usage."""
        if stop.reason == "error":
            self._note("choices[0].stop_reason", f"no word for {stop.native or 'an error'!r}", "changed")
        calls = any(block.head["type"] == "tool_use" for block in self._blocks.all.values() if block.kind == CALL)
        word = foreign_stop_word(stop.reason, stop.sequence, calls)
        return {"type": "message_delta", "delta": {"stop_reason": word, "stop_sequence": stop.sequence}}

    def _remember(self, start: Start) -> None:
        if self._begun:
            return
        self._start = start
        self._note_leftovers(findings("", start.extras))
        self._begin()

    def _add_usage(self, delta: UsageDelta) -> None:
        self._usage = delta.usage if self._usage is None else self._usage.merged(delta.usage)

    def _remember_stop(self, stop: Stop) -> None:
        self._stop = stop
        self._note_leftovers(findings("choices[0]", stop.extras))

    def _summarise(self, delta: Snapshot) -> None:
        """A whole response so far. The last one says what the stream itself may have left out."""
        response = delta.response
        self._remember(Start(response.id, response.model, service_tier=response.service_tier))
        self._summary = response
        if response.usage is not None:
            self._add_usage(UsageDelta(response.usage))

    def _fail(self, delta: Failure) -> None:
        self._begun = self._ended = True
        self._write({"type": "error", **write_error(delta.error)})

    def _finish(self, delta: End) -> None:
        if not self._begun:
            self._begin()
        choice = self._summary.choices[0] if self._summary is not None and self._summary.choices else Choice()
        if not self._blocks.all:
            for number, part in enumerate(choice.parts):
                self._begin_part(PartStart(number, part))
                self._end_part(PartEnd(number))
        self._blocks.end_all()
        ending = self._write_ending(self._stop or Stop(choice.stop_reason, choice.stop_native, choice.stop_sequence))
        self._write({**ending, "usage": self._write_usage(self.notes)})
        self._write({"type": "message_stop"})
        self._ended = True

    # Parts

    def _block(self, index: int, kind: str) -> Block:
        """The block of part `index`, which begins now if it had not."""
        block = self._blocks.all.get(index)
        if block is None:
            call = ToolCall(None, "", "") if kind == CALL else None
            block = self._blocks.all[index] = Block(index, kind, self._head(index, kind, call), call)
        return block

    def _head(self, index: int, kind: str, call: ToolCall | None) -> Object:
        if kind == THOUGHT:
            return {"type": "thinking", "thinking": "", "signature": ""}
        if call is None:
            return {"type": "text", "text": ""}
        name = call.call_id or call_id(self._start.id or self._context.id, index)
        return {"type": "tool_use", "id": name, "name": call.name, "input": {}}

    def _begin_part(self, delta: PartStart) -> None:
        part, index = delta.part, delta.index
        self._note_leftovers(leftovers(_path(index), part.extras))
        if isinstance(part, ToolCall):
            self._begin_call(index, part)
        elif isinstance(part, Thinking):
            self._begin_thought(index, part)
        elif isinstance(part, Text | Refusal | Json):
            self._begin_text(index, part)
        elif isinstance(part, ServerToolCall) and (head := write_server_call(self._identified(part, index))):
            self._begin_server_call(index, part, head)
        elif isinstance(part, ServerToolResult) and (head := self._write_result(part, index)):
            self._blocks.give_turn(self._blocks.add(Block(index, WHOLE, head)))
        elif isinstance(part, Media) and part.kind == "audio":
            self._add_media(MediaDelta(index, transcript=part.transcript or "", kind=part.kind))
        else:
            self._block(index, SILENT)
            self._note(_path(index), f"no block for {type(part).__name__} of another provider")

    def _begin_call(self, index: int, part: ToolCall) -> None:
        block = self._blocks.all[index] = Block(index, CALL, self._head(index, CALL, part), part)
        block.signature = part.signature
        self._blocks.give_turn(block)
        if part.arguments:
            self._add_arguments(ArgumentsDelta(index, wire.as_text(part.arguments)))

    def _begin_server_call(self, index: int, part: ServerToolCall, head: Object) -> None:
        """A call that the provider runs itself streams like one of the caller's tools."""
        arguments = head["input"]
        call = ToolCall(head["id"], head["name"], {})
        block = self._blocks.add(Block(index, CALL, {**head, "input": {}}, call))
        block.signature = part.signature
        self._blocks.give_turn(block)
        if arguments:
            self._add_arguments(ArgumentsDelta(index, wire.as_text(arguments)))

    def _identified(self, part: ServerToolCall, index: int) -> ServerToolCall:
        """The call with an id, which its result repeats: one without is that of the latest call."""
        if part.call_id is None:
            part = replace(part, call_id=call_id(self._start.id or self._context.id, index))
        self._server_id = part.call_id
        return part

    def _write_result(self, part: ServerToolResult, index: int) -> Object | None:
        identified = part if part.call_id is not None else replace(part, call_id=self._server_id)
        return write_server_result(identified, _path(index), self.notes)

    def _begin_thought(self, index: int, part: Thinking) -> None:
        block = self._block(index, THOUGHT)
        block.signature, block.item_id = part.signature, part.id
        if part.redacted and not block.opened:
            block.kind = WITHHELD
        elif visible_thought(part):
            self._add_thought(ThinkingDelta(index, visible_thought(part)))

    def _begin_text(self, index: int, part: Text | Refusal | Json) -> None:
        block = self._block(index, TEXT)
        if isinstance(part, Text):
            block.signature = part.signature
        text = wire.encode(part.value).decode() if isinstance(part, Json) else part.text
        self._add_text(TextDelta(index, text))
        for citation in (part.citations or ()) if isinstance(part, Text) else ():
            self._add_citation(CitationDelta(index, citation))

    def _add_text(self, delta: TextDelta | RefusalDelta) -> None:
        block = self._blocks.all.get(delta.index) or self._block(delta.index, TEXT)
        if delta.logprobs:
            self._note("choices[0].logprobs", "the API knows no log probabilities")
        if delta.text and block.kind == TEXT:
            self._blocks.say(block, {"type": "text_delta", "text": delta.text})

    def _add_thought(self, delta: ThinkingDelta) -> None:
        block = self._blocks.all.get(delta.index) or self._block(delta.index, THOUGHT)
        if delta.text and block.kind == THOUGHT:
            self._blocks.say(block, {"type": "thinking_delta", "thinking": delta.text})

    def _add_summary(self, delta: SummaryDelta) -> None:
        block = self._block(delta.index, THOUGHT)
        if block.paragraph not in (None, delta.paragraph) and delta.text:
            self._add_thought(ThinkingDelta(delta.index, "\n\n"))
        block.paragraph = delta.paragraph
        self._add_thought(ThinkingDelta(delta.index, delta.text))

    def _add_arguments(self, delta: ArgumentsDelta) -> None:
        block = self._blocks.all.get(delta.index) or self._block(delta.index, CALL)
        if block.call is None or not delta.text:
            return
        block.pieces.append(delta.text)
        if block.call.custom:
            self._blocks.give_turn(block)
        elif not (block.closed and not delta.text.strip()):
            self._blocks.say(block, {"type": "input_json_delta", "partial_json": delta.text})

    def _add_citation(self, delta: CitationDelta) -> None:
        block = self._block(delta.index, TEXT)
        written = self._write_citation(delta.citation, f"{_path(delta.index)}.citations")
        if written is not None and block.kind == TEXT:
            self._blocks.say(block, {"type": "citations_delta", "citation": written})

    def _write_citation(self, citation: Citation, path: str) -> Object | None:
        return write_foreign_citation(citation, path, self.notes)

    def _add_media(self, delta: MediaDelta) -> None:
        if delta.kind != "audio":
            self._block(delta.index, SILENT)
            self._note(_path(delta.index), f"an answer holds no {delta.kind}")
        else:
            self._block(delta.index, TEXT)
            self._note(_path(delta.index), "of an audio only its transcript can be answered", "weakened")
            self._add_text(TextDelta(delta.index, delta.transcript))

    def _add_signature(self, delta: SignatureDelta) -> None:
        block = self._block(delta.index, THOUGHT)
        if not block.closed:
            before = block.signature.value if delta.append and block.signature is not None else ""
            block.signature = Signature(before + delta.signature.value, delta.signature.origin)
        elif not self._blocks.sign_late(block, delta.signature):
            self._note(f"{_path(delta.index)}.signature", "it came after the next part had begun")

    def _end_part(self, delta: PartEnd) -> None:
        block = self._blocks.all.get(delta.index)
        if block is None:
            if delta.part is None:
                return
            self._begin_part(PartStart(delta.index, delta.part))
            block = self._blocks.all[delta.index]
        elif delta.part is not None:
            self._complete(block, delta.part)
        self._blocks.end(block)

    def _complete(self, block: Block, part: Part) -> None:
        """What only the repetition of a whole part says: its signature, or all of it, if nothing was streamed."""
        if isinstance(part, Thinking) and not block.closed:
            block.signature = block.signature or part.signature
            block.item_id = block.item_id or part.id
            if part.redacted and not block.opened:
                block.kind = WITHHELD
            elif not block.opened and not block.waiting:
                self._add_thought(ThinkingDelta(block.index, visible_thought(part)))
        elif isinstance(part, ToolCall) and not block.pieces and part.arguments:
            self._add_arguments(ArgumentsDelta(block.index, wire.as_text(part.arguments)))
        elif isinstance(part, ServerToolCall) and block.kind == CALL and not block.pieces:
            written = write_server_call(part)
            if written is not None and written["input"]:
                self._add_arguments(ArgumentsDelta(block.index, wire.as_text(written["input"])))


def _path(index: int) -> str:
    return f"choices[0].parts[{index}]"


_WRITERS: dict[type, Callable[[ForeignStream, Any], None]] = {
    Start: ForeignStream._remember,
    PartStart: lambda stream, delta: stream._begin_part(delta),
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
