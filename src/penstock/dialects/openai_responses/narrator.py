"""Narrator: tells any dialect's stream as the official sequence of events of Responses.

    response.created, response.in_progress
    response.output_item.added                       for each item, when its first part begins
      response.content_part.added ... done           for each text or refusal of a message, and for reasoning text
      response.*.delta ... response.*.done
    response.output_item.done
    response.completed | incomplete | failed         with the whole answer

The numbers (`sequence_number`, `output_index`, `content_index`) and the ids of items are the narrator's own. Texts and
refusals that follow each other share a message item, which is done when anything else begins. Parts may begin without
notice, interleave, and never end: in_turn.py puts one after the other, so that each item is done before the next is
added. A call's `call_id` is fixed when its item is added, since clients know the item by it.

Source: https://platform.openai.com/docs/api-reference/responses-streaming.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.dialect import Context
from penstock.dialects.framing import write_event
from penstock.dialects.leftovers import findings
from penstock.dialects.openai_responses.content import write_citation, write_part
from penstock.dialects.openai_responses.errors import CODES, FAILURE_CODES
from penstock.dialects.openai_responses.fields import Item
from penstock.dialects.openai_responses.foreign_outcomes import with_outcome
from penstock.dialects.openai_responses.foreign_parts import adapt_citation
from penstock.dialects.openai_responses.foreign_response import (
    adapt_part,
    complete_logprob,
    item_id,
    item_type,
    status_of,
)
from penstock.dialects.openai_responses.in_turn import InTurn
from penstock.dialects.openai_responses.items import is_content, write_item
from penstock.dialects.openai_responses.places import DELTA_EVENTS, Message, Slot, item_head, settled
from penstock.dialects.openai_responses.response import complete_usage, envelope, measures, state
from penstock.dialects.server_outcomes import answers
from penstock.dialects.token_logprobs import write_logprobs
from penstock.dialects.tool_ids import call_id
from penstock.types.content import Part, Refusal, ServerToolCall, ServerToolResult, Text, Thinking, ToolCall
from penstock.types.errors import ErrorResponse
from penstock.types.fold import Fold
from penstock.types.notes import Note
from penstock.types.response import Choice, Response
from penstock.types.stream import (
    ArgumentsDelta,
    CitationDelta,
    Delta,
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

Body = dict[str, Any]


class Narrator:
    """State of one told stream. `notes` grows as losses are met, each path once."""

    def __init__(self, context: Context) -> None:
        self.notes: list[Note] = []
        self._context = context
        self._fold = Fold(context.source or "")
        self._in_turn = InTurn(self._note_too_late)
        self._number = 0
        self._out: list[bytes] = []
        self._started: Start | None = None
        self._joined = False
        self._finished = False
        self._slots: dict[int, Slot] = {}
        self._message: Message | None = None
        self._waiting: tuple[int, ServerToolCall, Part] | None = None
        self._output: list[Item | None] = []
        self._seed = context.id
        self._envelope: Body = {}

    def join(self, number: int | None) -> None:
        """Another hand wrote a frame with this sequence number: what is told from here on continues it."""
        self._joined = True
        self._number = self._number if number is None else number + 1

    @property
    def started(self) -> bool:
        """Whether anything has been told."""
        return self._started is not None

    def tell(self, event: StreamEvent) -> bytes:
        """The frames for one event."""
        if event.extras:
            self._note_all(findings("", event.extras))
        self._tell(self._in_turn.arrange(event.deltas))
        return self._flush()

    def _tell(self, deltas: list[Delta]) -> None:
        self._fold.add(StreamEvent(tuple(deltas)))
        for delta in deltas:
            if getattr(delta, "choice", 0):
                self._note(Note(f"choices[{delta.choice}]", "dropped", "Responses gives one answer"))  # type: ignore[union-attr]  # what has none gives 0 above
            elif not self._finished:
                _TELLERS[type(delta)](self, delta)

    def finish(self) -> bytes:
        """End everything that is open, and the response."""
        if not self._finished and not self._joined:
            self._finish()
        return self._flush()

    # Frames

    def _flush(self) -> bytes:
        frames = b"".join(self._out)
        self._out.clear()
        return frames

    def _emit(self, kind: str, body: Body) -> None:
        body["type"] = kind
        body["sequence_number"] = self._number
        self._number += 1
        self._out.append(write_event(wire.encode(body), kind))

    def _note(self, note: Note) -> None:
        if all(note.path != known.path for known in self.notes):
            self.notes.append(note)

    def _note_all(self, notes: Iterable[Note]) -> None:
        for note in notes:
            self._note(note)

    def _note_too_late(self, index: int, what: str) -> None:
        self._note(Note(f"choices[0].parts[{index}].{what}", "dropped", "it came after the next item had begun"))

    # The response as a whole

    def _start(self, delta: Start) -> None:
        self._note_all(findings("", delta.extras))
        if self._started is not None:
            return
        self._started = delta
        self._seed = delta.id or self._context.id
        self._envelope = envelope(delta.id, delta.created, delta.model, self._context)
        for word in ("created", "in_progress"):
            self._emit(f"response.{word}", {"response": self._response("in_progress", None, [])})

    def _ensure_started(self) -> None:
        if self._started is None:
            self._start(Start())

    def _response(self, status: str, reason: str | None, output: list[Item], error: Body | None = None) -> Body:
        return {**self._envelope, **state(status, reason, None, error), "output": output, "usage": None}

    def _snapshot(self, delta: Snapshot) -> None:
        response = delta.response
        if self._started is None:
            self._start(Start(response.id, response.model, response.created, response.service_tier))

    def _finish(self) -> None:
        self._ensure_started()
        self._tell(self._in_turn.end_all())
        response = self._fold.response()
        choice = response.choices[0] if response.choices else Choice()
        if not self._slots:
            for index, part in enumerate(choice.parts):
                self._begin(index, part)
                self._end(self._slots[index], part)
        for index in sorted(self._slots):
            self._end(self._slots[index], self._fold.part(index))
        self._release()
        self._leave_message()
        self._conclude(response, choice)

    def _conclude(self, response: Response, choice: Choice) -> None:
        self._finished = True
        notes = [*findings(f"choices[{choice.index}]", choice.extras)]
        status, reason = status_of(choice, notes)
        output = [item for item in self._output if item is not None]
        if status == "incomplete" and output and "status" in output[-1]:
            output[-1] = {**output[-1], "status": "incomplete"}
        body = {**self._envelope, **state(status, reason, choice.stop_native), "output": output}
        body |= measures(response, notes)
        self._note_all(notes)
        self._emit(f"response.{status}", {"response": body})

    def _fail(self, delta: Failure) -> None:
        """OpenAI tells an error twice: in an event of its own, and as the end of the response."""
        error = delta.error
        self._release()
        self._finished = True
        if not self._joined:
            self._ensure_started()
        code = error.code if isinstance(error.code, str) else CODES.get(error.kind, "server_error")
        self._emit("error", {"code": code, "message": error.message, "param": error.param})
        if not self._joined:
            self._emit("response.failed", {"response": self._failed(error)})

    def _failed(self, error: ErrorResponse) -> Body:
        told = {"code": FAILURE_CODES.get(error.kind, "server_error"), "message": error.message}
        usage = self._fold.response().usage
        body = self._response("failed", None, [item for item in self._output if item is not None], told)
        return body if usage is None else {**body, "usage": complete_usage(usage, [])}

    def _ignore(self, delta: Delta) -> None:
        """Stop and UsageDelta: the fold remembers them until the end."""

    def _complete(self, delta: End) -> None:
        self._finish()

    # Parts begin

    def _part_start(self, delta: PartStart) -> None:
        if delta.index not in self._slots:
            self._begin(delta.index, delta.part)

    def _begin(self, index: int, part: Part) -> None:
        """Open the part, and say at once what it holds already."""
        if isinstance(part, Text | Refusal):
            slot = self._open_content(index, "output_text" if isinstance(part, Text) else "refusal")
            self._say(slot, part.text)
            for citation in (part.citations or ()) if isinstance(part, Text) else ():
                self._cite(slot, citation, part.text)
        elif isinstance(part, Thinking):
            slot = self._open_reasoning(index)
            for paragraph, text in enumerate(part.summary or ()):
                self._say_summary(slot, text, paragraph)
            self._say(slot, part.text)
        elif isinstance(part, ToolCall):
            slot = self._open_call(index, part)
            given = part.arguments
            self._say(slot, wire.as_text(given) if given else "")
        else:
            self._ensure_started()
            self._slots[index] = Slot(index, "whole")

    def _new_item(self, item: Item) -> int:
        """Announce an item; its output_index."""
        self._ensure_started()
        self._release()
        self._leave_message()
        output_index = len(self._output)
        self._output.append(None)
        item["id"] = item_id(self._seed, item["type"], output_index)
        self._emit("response.output_item.added", {"output_index": output_index, "item": item})
        return output_index

    def _open_content(self, index: int, kind: str) -> Slot:
        message = self._message
        if message is None:
            item: Item = {"type": "message", "status": "in_progress", "role": "assistant", "content": []}
            output_index = self._new_item(item)
            message = self._message = Message(output_index, item["id"])
        slot = self._slots[index] = Slot(index, kind)
        slot.message, slot.content_index = message, len(message.contents)
        message.contents.append(None)
        message.open += 1
        slot.head = {"item_id": message.id, "output_index": message.output_index, "content_index": slot.content_index}
        empty: Body = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        empty = empty if kind == "output_text" else {"type": "refusal", "refusal": ""}
        self._emit("response.content_part.added", {**slot.head, "part": empty})
        return slot

    def _open_reasoning(self, index: int) -> Slot:
        slot = self._slots[index] = Slot(index, "reasoning_text")
        item: Item = {"type": "reasoning", "summary": []}
        output_index = self._new_item(item)
        slot.head = {"item_id": item["id"], "output_index": output_index}
        return slot

    def _open_call(self, index: int, part: ToolCall) -> Slot:
        slot = self._slots[index] = Slot(index, "custom_tool_call_input" if part.custom else "function_call_arguments")
        part = replace(part, call_id=part.call_id or call_id(self._seed, index), arguments="", native=None, extras=None)
        item = write_item(replace(part, id=None, signature=None))
        if not part.custom:
            item["status"] = "in_progress"
        slot.part = part
        output_index = self._new_item(item)
        slot.head = {"item_id": item["id"], "output_index": output_index}
        return slot

    # Parts grow

    def _text(self, delta: TextDelta) -> None:
        slot = self._slots.get(delta.index)
        if slot is None:
            slot = self._open_content(delta.index, "output_text")
        if slot.kind != "output_text" or slot.ended:
            return
        logprobs = write_logprobs([complete_logprob(entry) for entry in delta.logprobs or ()])
        slot.pieces.append(delta.text)
        self._emit("response.output_text.delta", {**slot.head, "delta": delta.text, "logprobs": logprobs})

    def _refusal(self, delta: RefusalDelta) -> None:
        slot = self._slots.get(delta.index) or self._open_content(delta.index, "refusal")
        self._say(slot, delta.text)

    def _thinking(self, delta: ThinkingDelta) -> None:
        slot = self._slots.get(delta.index) or self._open_reasoning(delta.index)
        self._say(slot, delta.text)

    def _arguments(self, delta: ArgumentsDelta) -> None:
        slot = self._slots.get(delta.index) or self._open_call(delta.index, ToolCall(None, "", ""))
        self._say(slot, delta.text)

    def _say(self, slot: Slot, text: str) -> None:
        """A delta in the slot's own kind of event."""
        if not text or slot.ended or slot.kind == "whole":
            return
        if slot.kind == "reasoning_text" and not slot.pieces:
            self._end_paragraph(slot)
            slot.head["content_index"] = 0
            self._emit("response.content_part.added", {**slot.head, "part": {"type": "reasoning_text", "text": ""}})
        slot.pieces.append(text)
        body = {**slot.head, "delta": text}
        if slot.kind == "output_text":
            body["logprobs"] = []
        self._emit(DELTA_EVENTS[slot.kind], body)

    def _summary(self, delta: SummaryDelta) -> None:
        slot = self._slots.get(delta.index) or self._open_reasoning(delta.index)
        if slot.kind == "reasoning_text" and not slot.ended:
            self._say_summary(slot, delta.text, delta.paragraph)

    def _say_summary(self, slot: Slot, text: str, paragraph: int) -> None:
        if slot.paragraph != paragraph:
            self._end_paragraph(slot)
            slot.paragraph = paragraph
            body = {**item_head(slot), "summary_index": paragraph, "part": {"type": "summary_text", "text": ""}}
            self._emit("response.reasoning_summary_part.added", body)
        if text:
            body = {**item_head(slot), "summary_index": paragraph, "delta": text}
            self._emit("response.reasoning_summary_text.delta", body)

    def _end_paragraph(self, slot: Slot) -> None:
        """The paragraph of a summary that was under way is complete: another one follows, or the reasoning itself."""
        if slot.paragraph is None:
            return
        part = slot.part if isinstance(slot.part, Thinking) else self._fold.part(slot.index)
        summary = (part.summary or ()) if isinstance(part, Thinking) else ()
        text = summary[slot.paragraph] if slot.paragraph < len(summary) else ""
        head = {**item_head(slot), "summary_index": slot.paragraph}
        self._emit("response.reasoning_summary_text.done", {**head, "text": text})
        body = {**head, "part": {"type": "summary_text", "text": text}}
        self._emit("response.reasoning_summary_part.done", body)
        slot.paragraph = None

    def _signature(self, delta: SignatureDelta) -> None:
        if delta.index not in self._slots:
            self._open_reasoning(delta.index)

    def _citation(self, delta: CitationDelta) -> None:
        slot = self._slots.get(delta.index) or self._open_content(delta.index, "output_text")
        if slot.kind == "output_text" and not slot.ended:
            self._cite(slot, delta.citation, "".join(slot.pieces))

    def _cite(self, slot: Slot, citation: Any, text: str) -> None:
        adapted = adapt_citation(citation, text)
        if adapted is None:
            return
        body = {**slot.head, "annotation_index": slot.citations, "annotation": write_citation(adapted)}
        self._emit("response.output_text.annotation.added", body)
        slot.citations += 1

    def _media(self, delta: MediaDelta) -> None:
        self._ensure_started()
        if delta.index not in self._slots:
            self._slots[delta.index] = Slot(delta.index, "whole")

    # Parts end

    def _part_end(self, delta: PartEnd) -> None:
        slot = self._slots.get(delta.index)
        if slot is None and delta.part is not None:
            self._begin(delta.index, delta.part)
            slot = self._slots[delta.index]
        if slot is not None:
            self._end(slot, delta.part or self._fold.part(delta.index))

    def _end(self, slot: Slot, part: Part | None) -> None:
        if slot.ended:
            return
        slot.ended = slot.kind == "whole"
        notes: list[Note] = []
        path = f"choices[0].parts[{slot.index}]"
        if isinstance(part, ServerToolResult) and self._join(part, path, notes):
            return
        adapted = None if part is None else adapt_part(part, slot.index, self._seed, path, notes)
        self._note_all(notes)
        if slot.kind != "whole":
            _ENDERS[slot.kind](self, slot, settled(slot, adapted))
            slot.ended = True
        elif isinstance(part, ServerToolCall) and adapted is not None:
            self._release()
            self._leave_message()
            self._waiting = slot.index, part, adapted
        elif adapted is not None:
            self._tell_whole(slot.index, adapted)

    def _join(self, result: ServerToolResult, path: str, notes: list[Note]) -> bool:
        """Tell the call that waits with what came of it, if `result` is that."""
        if self._waiting is None or not answers(result, self._waiting[1]):
            return False
        index, call, item = self._waiting
        joined = with_outcome(item, result, path, notes) if isinstance(item, ServerToolCall) else None
        if joined is None:
            return False
        self._note_all(notes)
        self._waiting = index, call, joined
        self._release()
        return True

    def _release(self) -> None:
        """Tell the call that waits for what comes of it: something else follows."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._tell_whole(waiting[0], waiting[2])

    def _tell_whole(self, index: int, part: Part) -> None:
        """A part that has no deltas: a text it became, or an item that is added and done."""
        if is_content(part):
            del self._slots[index]
            self._begin(index, part)
            self._end(self._slots[index], part)
            return
        item = write_item(part)
        begun: Item = {**item, "status": "in_progress"}
        if "result" in begun:
            begun["result"] = None
        output_index = self._new_item(begun)
        self._item_done(output_index, {**item, "id": item_id(self._seed, item_type(part), output_index)})

    def _end_content(self, slot: Slot, part: Part) -> None:
        if isinstance(part, Text):
            if not slot.pieces:
                self._say(slot, part.text)
            logprobs = write_logprobs(part.logprobs or ())
            self._emit("response.output_text.done", {**slot.head, "text": part.text, "logprobs": logprobs})
        elif isinstance(part, Refusal):
            self._emit("response.refusal.done", {**slot.head, "refusal": part.text})
        written = write_part(part, "output_text")
        self._emit("response.content_part.done", {**slot.head, "part": written})
        message = slot.message
        assert message is not None
        message.contents[slot.content_index] = written
        message.open -= 1
        if message.open == 0 and message is not self._message:
            self._message_done(message)

    def _leave_message(self) -> None:
        """Something else follows: the message takes no more, and is done unless some of it is still open."""
        message, self._message = self._message, None
        if message is not None and message.open == 0:
            self._message_done(message)

    def _message_done(self, message: Message) -> None:
        content = [part for part in message.contents if part is not None]
        item: Item = {
            "type": "message",
            "id": message.id,
            "status": "completed",
            "role": "assistant",
            "content": content,
        }
        self._item_done(message.output_index, item)

    def _item_done(self, output_index: int, item: Item) -> None:
        self._output[output_index] = item
        self._emit("response.output_item.done", {"output_index": output_index, "item": item})

    def _end_reasoning(self, slot: Slot, part: Part) -> None:
        assert isinstance(part, Thinking)
        slot.part = part
        self._end_paragraph(slot)
        if not slot.pieces:
            self._say(slot, part.text)
        if slot.pieces:
            self._emit("response.reasoning_text.done", {**slot.head, "text": part.text})
            body = {**slot.head, "part": {"type": "reasoning_text", "text": part.text}}
            self._emit("response.content_part.done", body)
        self._item_done(slot.head["output_index"], write_item(replace(part, id=slot.head["item_id"])))

    def _end_call(self, slot: Slot, part: Part) -> None:
        """A call's arguments are the text that was streamed, to the letter, since clients have added it up."""
        assert isinstance(part, ToolCall)
        assert isinstance(slot.part, ToolCall)
        if not slot.pieces:
            self._say(slot, str(part.arguments))
        arguments = "".join(slot.pieces)
        key = "input" if part.custom else "arguments"
        self._emit(f"response.{slot.kind}.done", {**slot.head, key: arguments})
        name = part.name or slot.part.name
        part = replace(part, name=name, call_id=slot.part.call_id, arguments=arguments, id=slot.head["item_id"])
        self._item_done(slot.head["output_index"], write_item(part))


_ENDERS: dict[str, Callable[[Narrator, Slot, Part], None]] = {
    "output_text": Narrator._end_content,
    "refusal": Narrator._end_content,
    "reasoning_text": Narrator._end_reasoning,
    "function_call_arguments": Narrator._end_call,
    "custom_tool_call_input": Narrator._end_call,
}

_TELLERS: dict[type, Callable[[Narrator, Any], None]] = {
    Start: Narrator._start,
    PartStart: Narrator._part_start,
    TextDelta: Narrator._text,
    ThinkingDelta: Narrator._thinking,
    SummaryDelta: Narrator._summary,
    SignatureDelta: Narrator._signature,
    RefusalDelta: Narrator._refusal,
    ArgumentsDelta: Narrator._arguments,
    CitationDelta: Narrator._citation,
    MediaDelta: Narrator._media,
    PartEnd: Narrator._part_end,
    Stop: Narrator._ignore,
    UsageDelta: Narrator._ignore,
    Snapshot: Narrator._snapshot,
    Failure: Narrator._fail,
    End: Narrator._complete,
}
