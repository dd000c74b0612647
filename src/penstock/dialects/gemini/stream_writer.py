"""Writing streams: own frames by filling them, other dialects' events as frames that Google's clients take.

Every frame has a candidate with content, since clients drop a turn of a chat otherwise. So what has no content waits:

- arguments of a function call, which Gemini carries as an object, until the part ends or the choice stops;
- a signature, until its part ends or another one goes on;
- the reason to stop, usage and citations, for a last frame at the end of the stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.dialect import Context, StreamRenderer
from penstock.dialects.documents import note_source_span
from penstock.dialects.framing import TRANSPORT, write_event
from penstock.dialects.gemini.errors import render_error
from penstock.dialects.gemini.foreign_response import (
    ANSWER_WRITERS,
    finish,
    function_call,
    note_arguments,
    note_usage,
)
from penstock.dialects.gemini.frames import ARRAY_TYPE, ArrayRenderer
from penstock.dialects.gemini.grounding import write_grounding
from penstock.dialects.gemini.logprobs import KEY as LOGPROBS
from penstock.dialects.gemini.logprobs import write_logprobs
from penstock.dialects.gemini.signatures import write_signature
from penstock.dialects.gemini.usage import write_foreign_tier, write_foreign_usage
from penstock.dialects.leftovers import findings, leftovers
from penstock.dialects.token_logprobs import without_extras
from penstock.types.content import (
    Base64,
    Citation,
    Media,
    Part,
    Refusal,
    ServerToolCall,
    Signature,
    Text,
    Thinking,
    ToolCall,
)
from penstock.types.errors import MalformedError
from penstock.types.notes import Note
from penstock.types.response import Choice
from penstock.types.stream import (
    HOLE,
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

NAME = "gemini"

_STREAMED_AUDIO = "audio/L16;rate=24000"
"""What OpenAI streams (16-bit samples at 24 kHz), in Google's words; other dialects stream no audio."""


class _Part:
    """A part that is under way: what it began as, and what waits to be written."""

    __slots__ = ("arguments", "citations", "paragraph", "part", "signature", "text")

    def __init__(self, part: Part) -> None:
        self.part = part
        self.arguments: list[str] = []
        self.text: list[str] = []
        self.citations: list[Citation] = []
        self.signature: Signature | None = None
        self.paragraph = 0


class _Candidate:
    """One choice under way. `signed` is the part whose signature waits."""

    __slots__ = ("parts", "signed", "stop")

    def __init__(self) -> None:
        self.parts: dict[int, _Part] = {}
        self.signed: int | None = None
        self.stop: Stop | None = None


class FrameWriter:
    """From events to bytes. `notes` holds what the frames could not say."""

    def __init__(self, context: Context) -> None:
        self.notes: list[Note] = []
        self._context = context
        self._own = context.source == NAME
        self._start = Start()
        self._tail = b""
        self._usage: Usage | None = None
        self._candidates: dict[int, _Candidate] = {}
        self._before = b""  # what must go out before the next frame
        self._ended = False

    def render(self, event: StreamEvent) -> bytes:
        """The frames of one event."""
        if self._own:
            return self._render_own(event)
        found = b"".join([_WRITERS[type(delta)](self, delta) for delta in event.deltas])
        before, self._before = self._before, b""
        return found + before

    def close(self) -> bytes:
        """Finish a stream whose events ended without `End`."""
        return b"" if self._ended or self._own else self._end(End())

    def _render_own(self, event: StreamEvent) -> bytes:
        """The frame as it was, with its pieces as they are now."""
        transport = (event.extras or {}).get(TRANSPORT)
        if event.frame is None:  # `End`, a comment, or an error that was not the provider's
            failed = b"".join([self._failure(delta) for delta in event.deltas if type(delta) is Failure])
            empty = event.name is None and transport is None
            return failed if empty else failed + write_event(b"", event.name, transport)
        pieces = iter(
            [delta.text for delta in event.deltas if type(delta) is TextDelta or type(delta) is ThinkingDelta]
        )
        try:
            frame = _filled(event.frame, pieces)
        except StopIteration:
            raise MalformedError("a piece of this frame was taken out of its event", dialect=NAME) from None
        if self._context.model is not None and type(frame) is dict and "modelVersion" in frame:
            frame = {**frame, "modelVersion": self._context.model}
        payload = wire.encode(frame)
        if event.name is None and transport is None:
            return b"data: " + payload + b"\n\n"
        return write_event(payload, event.name, transport)

    # What stands in frames of their own.

    def _frame(self, parts: list[dict[str, Any]], choice: int, **beside: Any) -> bytes:
        """A frame with these parts of one choice."""
        candidate = {"content": {"parts": parts, "role": "model"}, **beside, "index": choice}
        if not self._tail:
            self._tail = b"," + wire.encode(self._identity())[1:] + b"\n\n"
        before, self._before = self._before, b""
        return before + b'data: {"candidates":[' + wire.encode(candidate) + b"]" + self._tail

    def _identity(self) -> dict[str, Any]:
        start, context = self._start, self._context
        return {"modelVersion": context.model or start.model or "", "responseId": start.id or context.id}

    def _begin(self, delta: Start) -> bytes:
        self._add_notes(findings("", delta.extras))
        if not self._tail:
            self._start = delta
        return b""

    def _open(self, delta: Any, make: Callable[[], Part]) -> _Part:
        """The part of a delta; it begins now if it had not."""
        candidate = self._candidates.get(delta.choice)
        if candidate is None:
            candidate = self._candidates[delta.choice] = _Candidate()
        if candidate.signed is not None and candidate.signed != delta.index:
            signed, candidate.signed = candidate.signed, None
            self._before += self._flush(candidate.parts[signed], delta.choice, signed)
        part = candidate.parts.get(delta.index)
        if part is None:
            part = candidate.parts[delta.index] = _Part(make())
        return part

    def _text(self, delta: TextDelta) -> bytes:
        self._open(delta, _new_text).text.append(delta.text)
        if delta.logprobs:
            tokens = {LOGPROBS: write_logprobs(without_extras(delta.logprobs))}
            return self._frame([{"text": delta.text}], delta.choice, **tokens)
        return self._frame([{"text": delta.text}], delta.choice) if delta.text else b""

    def _refusal(self, delta: RefusalDelta) -> bytes:
        self._open(delta, _new_refusal)
        return self._frame([{"text": delta.text}], delta.choice) if delta.text else b""

    def _thinking(self, delta: ThinkingDelta) -> bytes:
        self._open(delta, Thinking)
        return self._frame([{"text": delta.text, "thought": True}], delta.choice) if delta.text else b""

    def _summary(self, delta: SummaryDelta) -> bytes:
        """Paragraphs of a summary are thoughts with an empty line between them."""
        part = self._open(delta, Thinking)
        gap = "\n\n" if delta.paragraph > part.paragraph else ""
        part.paragraph = max(part.paragraph, delta.paragraph)
        return self._frame([{"text": gap + delta.text, "thought": True}], delta.choice)

    def _media(self, delta: MediaDelta) -> bytes:
        part = self._open(delta, lambda: Media(delta.kind, None)).part
        media_type = getattr(part, "media_type", None) or _STREAMED_AUDIO
        found: dict[str, Any] = {}
        if delta.data:
            found["inlineData"] = {"mimeType": media_type, "data": delta.data}
        if delta.transcript:
            found["audioTranscription"] = {"text": delta.transcript}
        if "inlineData" not in found:
            found["text"] = ""
        return self._frame([found], delta.choice)

    # What waits.

    def _arguments(self, delta: ArgumentsDelta) -> bytes:
        self._open(delta, _new_call).arguments.append(delta.text)
        return b""

    def _signature(self, delta: SignatureDelta) -> bytes:
        part = self._open(delta, Thinking)
        before = part.signature if delta.append else None
        value = delta.signature
        part.signature = value if before is None else Signature(before.value + value.value, value.origin)
        if isinstance(part.part, Text | Thinking):
            self._candidates[delta.choice].signed = delta.index
        return b""

    def _citation(self, delta: CitationDelta) -> bytes:
        found: list[Note] = []
        note_source_span(delta.citation, f"choices[{delta.choice}].parts[{delta.index}].citations", found)
        self._add_notes(found)
        self._open(delta, _new_text).citations.append(delta.citation)
        return b""

    def _part_start(self, delta: PartStart) -> bytes:
        part = self._open(delta, lambda: delta.part)
        part.part = delta.part
        self._add_notes(leftovers(f"choices[{delta.choice}].parts[{delta.index}]", delta.part.extras))
        if isinstance(delta.part, Text | Thinking):
            return self._begin_text(delta.part, part, delta)
        if isinstance(delta.part, Media) and not isinstance(delta.part.source, Base64) and delta.part.source is None:
            return b""
        return b"" if isinstance(delta.part, ToolCall | ServerToolCall) else self._whole(delta.part, delta)

    def _begin_text(self, begun: Text | Thinking, part: _Part, delta: PartStart) -> bytes:
        """A text or thinking may begin with some of it, and with its signature."""
        part.signature = begun.signature
        if begun.signature is not None:
            self._candidates[delta.choice].signed = delta.index
        if isinstance(begun, Text):
            part.text.append(begun.text)
            part.citations += begun.citations or ()
            return self._frame([{"text": begun.text}], delta.choice) if begun.text else b""
        text = begun.text or "\n\n".join(begun.summary or ())
        part.paragraph = max(0, len(begun.summary or ()) - 1)
        return self._frame([{"text": text, "thought": True}], delta.choice) if text else b""

    def _whole(self, part: Part, delta: Any) -> bytes:
        write = ANSWER_WRITERS.get(type(part))
        found = write(part) if write is not None else None
        if found is None:
            self._note(f"choices[{delta.choice}].parts[{delta.index}]", f"no place for {type(part).__name__}")
        return self._frame(found, delta.choice) if found else b""

    def _part_end(self, delta: PartEnd) -> bytes:
        """The part is complete; one that is only now told begins now, too, so that its choice is known to have one."""
        candidate = self._candidates.get(delta.choice)
        part = candidate.parts.get(delta.index) if candidate is not None else None
        if part is not None:
            if delta.part is not None and type(delta.part) is type(part.part):
                self._settle(part, delta.part)
            return self._flush(part, delta.choice, delta.index)
        if delta.part is None:
            return b""
        begun = self._part_start(PartStart(delta.index, delta.part, delta.choice))
        return begun + self._flush(self._candidates[delta.choice].parts[delta.index], delta.choice, delta.index)

    def _settle(self, part: _Part, final: Any) -> None:
        """The part as its provider repeats it at the end: what was not written yet is taken from there."""
        if isinstance(final, ToolCall | ServerToolCall):
            part.part, part.arguments = final, []
        signature = getattr(final, "signature", None)
        if signature is not None:
            part.signature = signature
            part.part = replace(part.part, id=final.id or part.part.id)
        if isinstance(final, Text) and final.citations:
            part.citations = list(final.citations)

    def _flush(self, part: _Part, choice: int, index: int) -> bytes:
        """Write what has waited for the end of this part."""
        begun: Any = part.part
        if isinstance(begun, ToolCall | ServerToolCall):
            part.part = Text("")  # written: not again
            return self._call(begun, part, choice, index)
        if part.signature is None or not isinstance(begun, Text | Thinking):
            return b""
        redacted = isinstance(begun, Thinking) and begun.redacted
        found: dict[str, Any] = {"text": "", "thoughtSignature": write_signature(part.signature, redacted, begun.id)}
        part.signature = None
        return self._frame([{**found, "thought": True} if isinstance(begun, Thinking) else found], choice)

    def _call(self, begun: ToolCall | ServerToolCall, part: _Part, choice: int, index: int) -> bytes:
        text = "".join(part.arguments)
        arguments: Any = (
            (begun.arguments if isinstance(begun.arguments, str) else "") + text if text else begun.arguments
        )
        signature = part.signature or begun.signature
        if isinstance(begun, ServerToolCall):
            position = _Position(choice, index)
            return self._whole(replace(begun, arguments=arguments, signature=signature), position)
        self._add_notes(note_arguments(begun, arguments, f"choices[{choice}].parts[{index}]"))
        found: dict[str, Any] = {"functionCall": function_call(begun, arguments)}
        if signature is not None:
            found["thoughtSignature"] = write_signature(signature, False, begun.id)
        return self._frame([found], choice)

    def _stop(self, delta: Stop) -> bytes:
        """The calls that the choice leaves to its caller; the reason itself waits for the end."""
        candidate = self._candidates.setdefault(delta.choice, _Candidate())
        candidate.stop = delta
        self._add_notes(findings(f"choices[{delta.choice}]", delta.extras))
        if delta.sequence is not None:
            self._note(f"choices[{delta.choice}].stop_sequence", "Gemini does not say which sequence it met")
        return self._flush_all(candidate, delta.choice)

    def _flush_all(self, candidate: _Candidate, choice: int) -> bytes:
        return b"".join([self._flush(candidate.parts[index], choice, index) for index in sorted(candidate.parts)])

    def _add_usage(self, delta: UsageDelta) -> bytes:
        self._usage = delta.usage if self._usage is None else self._usage.merged(delta.usage)
        return b""

    def _snapshot(self, delta: Snapshot) -> bytes:
        """A whole response so far: at the start it names the stream, at the end it brings what was not streamed."""
        response = delta.response
        self._begin(Start(response.id, response.model))
        if not delta.final:
            return b""
        if response.usage is not None:
            self._add_usage(UsageDelta(response.usage))
        return b"".join([self._settle_choice(choice) for choice in response.choices])

    def _settle_choice(self, choice: Choice) -> bytes:
        candidate = self._candidates.setdefault(choice.index, _Candidate())
        found = b""
        if not candidate.parts:
            for index, part in enumerate(choice.parts):
                found += self._part_start(PartStart(index, part, choice.index))
        if candidate.stop is None:
            found += self._stop(Stop(choice.stop_reason, choice.stop_native, choice=choice.index))
        return found

    def _failure(self, delta: Failure) -> bytes:
        self._ended = True
        return b"data: " + wire.encode(render_error(delta.error)[1]) + b"\n\n"

    def _end(self, delta: End) -> bytes:
        """The last frame of each choice; the last one of all has the usage."""
        if self._ended:
            return b""
        self._ended = True
        candidates = self._candidates or {0: _Candidate()}
        found = b"".join([self._flush_all(candidate, number) for number, candidate in sorted(candidates.items())])
        last = {"candidates": [self._last(number, candidate) for number, candidate in sorted(candidates.items())]}
        usage = {} if self._usage is None else {"usageMetadata": self._write_usage(self._usage)}
        return found + b"data: " + wire.encode({**last, **usage, **self._identity()}) + b"\n\n"

    def _write_usage(self, usage: Usage) -> dict[str, Any]:
        self._add_notes(note_usage(usage))
        notes: list[Note] = []
        found = {**write_foreign_usage(usage), **write_foreign_tier(usage, self._start.service_tier, notes)}
        self._add_notes(notes)
        return found

    def _last(self, number: int, candidate: _Candidate) -> dict[str, Any]:
        stop = candidate.stop or Stop()
        found: dict[str, Any] = {"content": {"parts": [{"text": ""}], "role": "model"}}
        found |= finish(stop.reason, stop.native)
        found["index"] = number
        grounding = write_grounding(_cited(candidate))
        return found if grounding is None else {**found, "groundingMetadata": grounding}

    def _note(self, path: str, detail: str) -> None:
        self._add_notes([Note(path, "dropped", detail)])

    def _add_notes(self, notes: Iterable[Note]) -> None:
        """Each of them once."""
        self.notes += [note for note in notes if note not in self.notes]


def _filled(frame: dict[str, Any], pieces: Iterator[str]) -> dict[str, Any]:
    """A copy of a frame with the next of `pieces` in each hole: the texts of parts, where the reader leaves them."""
    candidates = frame.get("candidates")
    if not candidates:
        return frame
    filled = [
        {**candidate, "content": _filled_content(candidate["content"], pieces)}
        if candidate.get("content")
        else candidate
        for candidate in candidates
    ]
    return {**frame, "candidates": filled}


def _filled_content(content: dict[str, Any], pieces: Iterator[str]) -> dict[str, Any]:
    parts = content.get("parts")
    if not parts:
        return content
    if type(parts) is dict:
        return {**content, "parts": _filled_part(parts, pieces)}
    return {**content, "parts": [_filled_part(part, pieces) for part in parts]}


def _filled_part(part: dict[str, Any], pieces: Iterator[str]) -> dict[str, Any]:
    return {**part, "text": next(pieces)} if part.get("text") is HOLE else part


class _Position:
    """Where a part stands."""

    __slots__ = ("choice", "index")

    def __init__(self, choice: int, index: int) -> None:
        self.choice = choice
        self.index = index


def _cited(candidate: _Candidate) -> dict[int, Text]:
    """The texts that have citations, with them."""
    return {
        index: Text("".join(part.text), tuple(part.citations))
        for index, part in sorted(candidate.parts.items())
        if part.citations
    }


def _new_text() -> Part:
    return Text("")


def _new_refusal() -> Part:
    return Refusal("")


def _new_call() -> Part:
    return ToolCall(None, "", "")


_WRITERS: dict[type, Callable[[FrameWriter, Any], bytes]] = {
    Start: FrameWriter._begin,
    PartStart: FrameWriter._part_start,
    TextDelta: FrameWriter._text,
    ThinkingDelta: FrameWriter._thinking,
    SummaryDelta: FrameWriter._summary,
    SignatureDelta: FrameWriter._signature,
    RefusalDelta: FrameWriter._refusal,
    ArgumentsDelta: FrameWriter._arguments,
    CitationDelta: FrameWriter._citation,
    MediaDelta: FrameWriter._media,
    PartEnd: FrameWriter._part_end,
    Stop: FrameWriter._stop,
    UsageDelta: FrameWriter._add_usage,
    Snapshot: FrameWriter._snapshot,
    Failure: FrameWriter._failure,
    End: FrameWriter._end,
}


def stream_renderer(context: Context) -> StreamRenderer:
    """A renderer of one stream."""
    return ArrayRenderer(FrameWriter(context)) if context.stream_type == ARRAY_TYPE else FrameWriter(context)
