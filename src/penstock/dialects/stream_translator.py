"""Other dialects' events in the few steps that a simple stream has: the base of the stream writers of such dialects.

Events may lack a PartStart (the first delta begins the part), may interleave, may come as a Snapshot only, may lack
Start, Stop, usage or End. A writer that builds on this class sees none of it: for each part it is told the beginning,
the pieces and one end; for the stream, one beginning and one end, or a failure.

    text      texts, refusals, JSON values, the transcripts of audio
    thought   thinking; the paragraphs of a summary are set apart
    call      tool calls; a free-form input is told as a whole, when it ends, as the object `{"input": ...}`

What has no step is noted, each path once. Only the first choice is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from penstock.dialects import wire
from penstock.dialects.dialect import Context, StreamRenderer, boundary
from penstock.dialects.framing import TRANSPORT
from penstock.dialects.leftovers import findings, leftovers
from penstock.dialects.tool_ids import call_id
from penstock.types.content import (
    Citation,
    Json,
    Media,
    Part,
    Refusal,
    Signature,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
)
from penstock.types.errors import ErrorResponse
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

TEXT: Final = "text"
THOUGHT: Final = "thought"
CALL: Final = "call"
SILENT: Final = "silent"
"""A part that the stream has no step for."""

Logprobs = tuple[TokenLogprob, ...] | None


class Told:
    """A part that has begun. `pieces` is what was told of it, `call` (of a call) its name and id."""

    __slots__ = ("call", "ended", "index", "kind", "paragraph", "pieces")

    def __init__(self, index: int, kind: str, call: ToolCall | None = None) -> None:
        self.index = index
        self.kind = kind
        self.call = call
        self.pieces: list[str] = []
        self.paragraph: int | None = None
        self.ended = False

    @property
    def path(self) -> str:
        """Where the part is, in the terms of the representation."""
        return f"choices[0].parts[{self.index}]"

    @property
    def text(self) -> str:
        """All that was told so far. O(its length)."""
        return "".join(self.pieces)


class StreamTranslator:
    """From other dialects' events to the bytes of one stream. A dialect overrides the `tell_*` methods, and calls `out`
    with the bytes of each frame.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.notes: list[Note] = []
        self.start = Start()
        self.usage: Usage | None = None
        self.parts: dict[int, Told] = {}
        self._noted: set[tuple[str, str]] = set()
        self._out: list[bytes] = []
        self._stop: Stop | None = None
        self._summary: Response | None = None
        self._begun = False
        self._ended = False

    # What a dialect says

    def tell_start(self) -> None:
        """The stream begins; `start` and `context` say with what."""

    def tell_begin(self, part: Told) -> None:
        """A part begins."""

    def tell_text(self, part: Told, text: str, logprobs: Logprobs) -> None:
        """More of a text."""

    def tell_thought(self, part: Told, text: str) -> None:
        """More of a thought."""

    def tell_arguments(self, part: Told, text: str) -> None:
        """More of the JSON text of a call's input."""

    def tell_citation(self, part: Told, citation: Citation) -> None:
        """One more citation of a text. By default, there is no step for it."""
        self.note(f"{part.path}.citations", "this stream carries no citations")

    def tell_part_end(self, part: Told) -> None:
        """A part is complete."""

    def tell_end(self, stop: Stop) -> None:
        """The stream is complete, all its parts are; `usage` holds the counts."""

    def tell_failure(self, error: ErrorResponse) -> None:
        """The stream ends with an error."""

    # What a writer is asked

    def render(self, event: StreamEvent) -> bytes:
        """The frames of one event."""
        if event.extras is not None:
            left = {key: value for key, value in event.extras.items() if key != TRANSPORT}
            self._note_all(findings("", left))
        for delta in event.deltas:
            _TAKERS[type(delta)](self, delta)
        return self._taken()

    def close(self) -> bytes:
        """Finish a stream whose events ended without `End`."""
        self._finish(End())
        return self._taken()

    # Helpers

    def out(self, frame: bytes) -> None:
        """One more frame."""
        self._out.append(frame)

    def note(self, path: str, detail: str, kind: Any = "dropped") -> None:
        """A note, once for a path and kind."""
        if (path, kind) not in self._noted:
            self._noted.add((path, kind))
            self.notes.append(Note(path, kind, detail))

    def call_id_of(self, part: Told) -> str:
        """The id of a call: its own, or one derived from the stream's."""
        given = part.call.call_id if part.call is not None else None
        return given or call_id(self.start.id or self.context.id, part.index)

    def _note_all(self, notes: Iterable[Note]) -> None:
        for note in notes:
            self.note(note.path, note.detail, note.kind)

    def _taken(self) -> bytes:
        found = b"".join(self._out)
        self._out.clear()
        return found

    # The stream

    def _first(self, delta: Any) -> bool:
        """Whether the delta is of the first choice; another is noted."""
        if delta.choice == 0:
            return True
        self.note(f"choices[{delta.choice}]", "one answer is given")
        return False

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self.tell_start()

    def _take_start(self, delta: Start) -> None:
        if self._begun:
            return
        self.start = delta
        if delta.service_tier is not None:
            self.note("service_tier", "there is no such field")
        self._note_all(findings("", delta.extras))
        self._begin()

    def _take_stop(self, delta: Stop) -> None:
        if self._first(delta):
            self._stop = delta
            self._note_all(findings("choices[0]", delta.extras))

    def _take_usage(self, delta: UsageDelta) -> None:
        self.usage = delta.usage if self.usage is None else self.usage.merged(delta.usage)

    def _take_snapshot(self, delta: Snapshot) -> None:
        response = delta.response
        self._take_start(Start(response.id, response.model, response.created))
        self._summary = response
        if response.usage is not None:
            self._take_usage(UsageDelta(response.usage))

    def _take_failure(self, delta: Failure) -> None:
        if not self._ended:
            self._ended = True
            self.tell_failure(delta.error)

    def _finish(self, delta: End) -> None:
        if self._ended:
            return
        self._ended = True
        self._begin()
        choice = self._summary.choices[0] if self._summary is not None and self._summary.choices else Choice()
        if not self.parts:
            for number, part in enumerate(choice.parts):
                self._take_part(PartStart(number, part))
        for told in list(self.parts.values()):
            self._end(told)
        self.tell_end(self._stop or Stop(choice.stop_reason, choice.stop_native, choice.stop_sequence))

    # Parts

    def _open(self, index: int, kind: str, call: ToolCall | None = None) -> Told:
        """The part at `index`; it begins now if it had not."""
        part = self.parts.get(index)
        if part is None:
            self._begin()
            if kind == CALL and call is None:
                call = ToolCall(None, "", "")
            part = self.parts[index] = Told(index, kind, call)
            if kind != SILENT:
                self.tell_begin(part)
        return part

    def _end(self, part: Told) -> None:
        if part.ended:
            return
        part.ended = True
        if part.call is not None and part.call.custom:
            self.tell_arguments(part, wire.as_text({"input": part.text}))
        if part.kind != SILENT:
            self.tell_part_end(part)

    def _take_part(self, delta: PartStart) -> None:
        if self._first(delta):
            part = delta.part
            self._note_all(leftovers(f"choices[0].parts[{delta.index}]", part.extras))
            begin = _BEGINNERS.get(type(part))
            if begin is None:
                told = self._open(delta.index, SILENT)
                self.note(told.path, f"no place for {type(part).__name__} of another provider")
            else:
                begin(self, delta.index, part)

    def _take_whole_text(self, index: int, part: Text) -> None:
        self._open(index, TEXT)
        if part.text or part.logprobs is not None:
            self._take_text(TextDelta(index, part.text, 0, part.logprobs))
        self._sign(index, part.signature)
        for citation in part.citations or ():
            self._take_citation(CitationDelta(index, citation))

    def _take_whole_refusal(self, index: int, part: Refusal) -> None:
        told = self._open(index, TEXT)
        self.note(told.path, "a refusal became a text", "changed")
        if part.text:
            self._take_text(TextDelta(index, part.text, 0, part.logprobs))

    def _take_whole_json(self, index: int, part: Json) -> None:
        self._take_text(TextDelta(index, wire.encode(part.value).decode()))

    def _take_whole_thought(self, index: int, part: Thinking) -> None:
        text = part.text or "\n\n".join(part.summary or ())
        if part.redacted and not text:
            told = self._open(index, SILENT)
            self.note(told.path, "withheld thinking has no place here")
            return
        self._open(index, THOUGHT)
        if text:
            self._take_thought(ThinkingDelta(index, text))
        self._sign(index, part.signature)

    def _take_whole_call(self, index: int, part: ToolCall) -> None:
        self._open(index, CALL, part)
        self._sign(index, part.signature)
        if part.arguments:
            self._take_arguments(ArgumentsDelta(index, wire.as_text(part.arguments)))

    def _take_whole_media(self, index: int, part: Media) -> None:
        self._take_media(MediaDelta(index, transcript=part.transcript or "", kind=part.kind))

    def _sign(self, index: int, signature: Signature | None) -> None:
        if signature is not None:
            self._take_signature(SignatureDelta(index, signature))

    def _take_text(self, delta: TextDelta | RefusalDelta) -> None:
        if delta.choice and not self._first(delta):
            return
        part = self._open(delta.index, TEXT)
        if part.kind == TEXT:
            part.pieces.append(delta.text)
            self.tell_text(part, delta.text, delta.logprobs)

    def _take_refusal(self, delta: RefusalDelta) -> None:
        self.note(f"choices[{delta.choice}].parts[{delta.index}]", "a refusal became a text", "changed")
        self._take_text(delta)

    def _take_thought(self, delta: ThinkingDelta) -> None:
        if delta.choice and not self._first(delta):
            return
        part = self._open(delta.index, THOUGHT)
        if part.kind == THOUGHT and delta.text:
            part.pieces.append(delta.text)
            self.tell_thought(part, delta.text)

    def _take_summary(self, delta: SummaryDelta) -> None:
        if not self._first(delta):
            return
        part = self._open(delta.index, THOUGHT)
        if part.paragraph not in (None, delta.paragraph) and delta.text:
            self._take_thought(ThinkingDelta(delta.index, "\n\n"))
        part.paragraph = delta.paragraph
        self._take_thought(ThinkingDelta(delta.index, delta.text))

    def _take_arguments(self, delta: ArgumentsDelta) -> None:
        if delta.choice and not self._first(delta):
            return
        part = self._open(delta.index, CALL)
        if part.kind != CALL or not delta.text:
            return
        part.pieces.append(delta.text)
        if part.call is not None and not part.call.custom:
            self.tell_arguments(part, delta.text)

    def _take_citation(self, delta: CitationDelta) -> None:
        if self._first(delta):
            part = self._open(delta.index, TEXT)
            if part.kind == TEXT:
                self.tell_citation(part, delta.citation)

    def _take_signature(self, delta: SignatureDelta) -> None:
        if self._first(delta):
            self.note(f"choices[0].parts[{delta.index}].signature", "this dialect signs nothing")

    def _take_media(self, delta: MediaDelta) -> None:
        if not self._first(delta):
            return
        if delta.kind != "audio":
            part = self._open(delta.index, SILENT)
            self.note(part.path, f"an answer holds no {delta.kind}")
            return
        part = self._open(delta.index, TEXT)
        self.note(part.path, "of an audio only its transcript can be answered", "weakened")
        if delta.transcript:
            self._take_text(TextDelta(delta.index, delta.transcript))

    def _take_part_end(self, delta: PartEnd) -> None:
        if not self._first(delta):
            return
        if delta.part is not None:
            self._complete(delta.index, delta.part)
        part = self.parts.get(delta.index)
        if part is not None:
            self._end(part)

    def _complete(self, index: int, whole: Part) -> None:
        """What only the repetition of a whole part says: all of it, if nothing was told; else its citations."""
        part = self.parts.get(index)
        if part is None:
            self._take_part(PartStart(index, whole))
        elif not part.pieces and not part.ended:
            if isinstance(whole, Text | Refusal) and whole.text:
                self._take_text(TextDelta(index, whole.text))
            elif isinstance(whole, Thinking):
                self._take_thought(ThinkingDelta(index, whole.text or "\n\n".join(whole.summary or ())))
            elif isinstance(whole, ToolCall):
                self._take_arguments(ArgumentsDelta(index, wire.as_text(whole.arguments)))


class GuardedRenderer:
    """A stream renderer whose every error is a DialectError of `dialect`."""

    def __init__(self, renderer: StreamRenderer, dialect: str) -> None:
        self.notes = renderer.notes
        self.render = boundary(dialect)(renderer.render)
        self.close = boundary(dialect)(renderer.close)


_BEGINNERS: dict[type, Callable[[StreamTranslator, int, Any], None]] = {
    Text: StreamTranslator._take_whole_text,
    Refusal: StreamTranslator._take_whole_refusal,
    Json: StreamTranslator._take_whole_json,
    Thinking: StreamTranslator._take_whole_thought,
    ToolCall: StreamTranslator._take_whole_call,
    Media: StreamTranslator._take_whole_media,
}
_TAKERS: dict[type, Callable[[StreamTranslator, Any], None]] = {
    Start: StreamTranslator._take_start,
    PartStart: StreamTranslator._take_part,
    TextDelta: StreamTranslator._take_text,
    RefusalDelta: StreamTranslator._take_refusal,
    ThinkingDelta: StreamTranslator._take_thought,
    SummaryDelta: StreamTranslator._take_summary,
    ArgumentsDelta: StreamTranslator._take_arguments,
    SignatureDelta: StreamTranslator._take_signature,
    CitationDelta: StreamTranslator._take_citation,
    MediaDelta: StreamTranslator._take_media,
    PartEnd: StreamTranslator._take_part_end,
    Stop: StreamTranslator._take_stop,
    UsageDelta: StreamTranslator._take_usage,
    Snapshot: StreamTranslator._take_snapshot,
    Failure: StreamTranslator._take_failure,
    End: StreamTranslator._finish,
}
