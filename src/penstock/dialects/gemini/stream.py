"""Streams: every frame is a whole answer object that holds the next pieces.

Pieces of text of one kind continue the same part, whatever frame they come in; a signature often comes in a last,
empty piece and belongs to the part before. Function calls, media and code come whole (but see partial_args.py). Usage
stands in each frame, the last one counts. There is no end marker: the stream is complete when every choice has given
its reason and the bytes end between two frames, so `End` comes from `close`.

The decoded frame stays with its event, with a HOLE in the place of each piece of text, so that writing a frame of this
dialect is filling the holes.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.dialect import StreamParser
from penstock.dialects.framing import Frame, FramedParser
from penstock.dialects.gemini.errors import error_in_stream
from penstock.dialects.gemini.frames import GeminiFrames
from penstock.dialects.gemini.grounding import KEYS as SOURCES
from penstock.dialects.gemini.grounding import derive, set_aside
from penstock.dialects.gemini.logprobs import KEY as LOGPROBS
from penstock.dialects.gemini.logprobs import read_logprobs
from penstock.dialects.gemini.partial_args import PartialArguments
from penstock.dialects.gemini.parts import read_part
from penstock.dialects.gemini.response import read_feedback, read_finish, read_time, stop_reason, with_searches
from penstock.dialects.gemini.signatures import read_signature
from penstock.dialects.gemini.spelling import maybe_text
from penstock.dialects.gemini.usage import read_usage
from penstock.dialects.tool_memo import recall
from penstock.types.content import Base64, Citation, Media, Text, Thinking, ToolCall
from penstock.types.errors import DialectError, MalformedError
from penstock.types.notes import NO_MEMO, Memo
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

NAME = "gemini"

_KNOWN = frozenset({"candidates", "usageMetadata", "modelVersion", "responseId", "createTime", "promptFeedback"})
_CANDIDATE_KEYS = frozenset({"content", "finishReason", "index"})
_SOURCES = frozenset(SOURCES)
_TEXT_KEYS = frozenset({"text", "thought", "thoughtSignature"})


class _Choice:
    """What the reader knows of one choice: its parts so far, which one is open, what the candidate said beside."""

    __slots__ = ("call", "called", "cited", "extras", "index", "kind", "number", "partial", "seen", "stop", "texts")

    def __init__(self, number: int) -> None:
        self.number = number
        self.seen = 0
        self.index = 0
        self.kind: Any = None  # the type of the part that is open at `index`: Text, Thinking, a MIME type of audio
        self.called = False
        self.call: ToolCall | None = None
        self.partial: PartialArguments | None = None
        self.stop: str | None = None
        self.texts: dict[int, list[str]] = {}
        self.cited: list[tuple[int, Citation]] = []
        self.extras: dict[str, Any] = {}

    def begin(self, kind: Any) -> int:
        """The number of a new part."""
        self.index, self.kind = self.seen, kind
        self.seen += 1
        return self.index

    def whole_texts(self) -> dict[int, str]:
        """The texts so far. O(their length)."""
        return {index: "".join(pieces) for index, pieces in self.texts.items()}


class FrameReader:
    """From frames to events. `finished` says that every choice has given its reason to stop."""

    def __init__(self, memo: Memo) -> None:
        self._memo = memo
        self._started = False
        self._failed = False
        self._grounded = False
        self._late: list[Delta] = []
        self._choices: dict[int, _Choice] = {}

    @property
    def finished(self) -> bool:
        choices = self._choices.values()
        return not self._failed and bool(choices) and all(choice.stop is not None for choice in choices)

    def read(self, frame: Frame) -> StreamEvent:
        """One frame. Raises MalformedError where it is not an answer object."""
        body = wire.decode(frame.data)
        if type(body) is not dict:
            body = _body(body)
        deltas: list[Delta] = []
        extras = None if _KNOWN.issuperset(body) else self._read_unknown(body, deltas)
        if not self._started:
            self._start(body, extras, deltas)
        candidates = body.get("candidates")
        if candidates:
            self._read_candidates(candidates, deltas)
        elif body.get("promptFeedback") is not None:
            self._read_feedback(body["promptFeedback"], deltas)
        usage = body.get("usageMetadata")
        if usage is not None:
            counts = read_usage(usage)
            if self._grounded:
                counts = with_searches(counts, [choice.extras for choice in self._choices.values()])
            deltas.append(UsageDelta(counts))
        return StreamEvent(tuple(deltas), frame.event, extras, body)

    def _read_unknown(self, body: dict[str, Any], deltas: list[Delta]) -> dict[str, Any]:
        """An error, or fields that are not modelled."""
        if "error" in body:
            self._failed = True
            deltas.append(Failure(error_in_stream(body)))
        return {key: value for key, value in body.items() if key not in _KNOWN}

    def _start(self, body: dict[str, Any], extras: dict[str, Any] | None, deltas: list[Delta]) -> None:
        self._started = True
        created = read_time(body.get("createTime"))[0]
        name, model = maybe_text(body, "responseId"), maybe_text(body, "modelVersion")
        deltas.append(Start(name, model, created, extras=extras))

    def _read_feedback(self, feedback: Any, deltas: list[Delta]) -> None:
        """A blocked prompt: a choice that holds its refusal, and stopped."""
        blocked = read_feedback(feedback)
        if blocked is None:
            return
        choice = self._choices.setdefault(0, _Choice(0))
        for part in blocked.parts:
            index = choice.begin(None)
            deltas += (PartStart(index, part), PartEnd(index))
        choice.stop = blocked.stop_native
        deltas.append(Stop(blocked.stop_reason, blocked.stop_native, extras=blocked.extras))

    def _read_candidates(self, candidates: Any, deltas: list[Delta]) -> None:
        """Probabilities that come behind their text are told last, since only texts have holes in the frame."""
        self._late.clear()
        for position, value in enumerate(wire.array(candidates)):
            try:
                self._read_candidate(wire.obj(value), position, deltas)
            except DialectError as error:
                raise error.at(position).at("candidates") from None
        if self._late:
            deltas += self._late

    def _read_candidate(self, candidate: dict[str, Any], position: int, deltas: list[Delta]) -> None:
        choice = self._choice(candidate.get("index", position))
        beside = None if _CANDIDATE_KEYS.issuperset(candidate) else self._read_beside(choice, candidate)
        content = candidate.get("content")
        logprobs = read_logprobs(candidate[LOGPROBS]) if beside and LOGPROBS in beside else None
        taken = content is not None and self._read_content(choice, wire.obj(content), deltas, logprobs)
        if logprobs is not None and not taken and choice.texts:
            self._late.append(TextDelta(max(choice.texts), "", choice.number, logprobs[0]))
            _leave(choice.extras, logprobs[1])
        reason = candidate.get("finishReason")
        if reason is not None:
            reason = read_finish(candidate)[0]
        if reason is not None or beside:
            self._read_end(choice, reason, beside, deltas)

    def _choice(self, number: Any) -> _Choice:
        choice = self._choices.get(number) if type(number) is int else None
        if choice is None:
            if type(number) is not int:
                raise MalformedError(f"expected an integer, got {wire.describe(number)}", "index")
            choice = self._choices[number] = _Choice(number)
        return choice

    def _read_end(
        self, choice: _Choice, reason: str | None, beside: dict[str, Any] | None, deltas: list[Delta]
    ) -> None:
        """The reason to stop, and what the candidate says beside; if the latter comes late, the choice stops again."""
        if beside and not _SOURCES.isdisjoint(beside):
            self._grounded = True
            self._cite(choice, deltas)
        if reason is not None:
            self._finish(choice, deltas)
            choice.stop = reason
        if choice.stop is not None:
            stop = stop_reason(choice.stop, choice.called)
            extras = set_aside(choice.extras, choice.whole_texts()) if self._grounded else choice.extras
            deltas.append(Stop(stop, choice.stop, choice=choice.number, extras=dict(extras) or None))

    def _read_beside(self, choice: _Choice, candidate: dict[str, Any]) -> dict[str, Any]:
        """Whatever else the candidate says; later frames add to what earlier ones said."""
        beside = {key: value for key, value in candidate.items() if key not in _CANDIDATE_KEYS}
        choice.extras |= beside
        return beside

    def _read_content(self, choice: _Choice, content: dict[str, Any], deltas: list[Delta], logprobs: Any) -> bool:
        """The parts. True where a text among them took the probabilities."""
        parts = content.get("parts")
        if parts is None:
            return False
        tokens, rest = (None, None) if logprobs is None else logprobs
        for place, part in enumerate(wire.array(parts) if type(parts) is not dict else (parts,)):
            try:
                text = self._read_part(choice, wire.obj(part), deltas, tokens)
            except DialectError as error:
                raise error.at(place).at("content.parts") from None
            if text and tokens is not None:
                tokens = None
                _leave(choice.extras, rest)
        return logprobs is not None and tokens is None

    def _read_part(self, choice: _Choice, part: dict[str, Any], deltas: list[Delta], tokens: Any) -> bool:
        """One part. True where it was a piece of text (which then has the tokens' probabilities)."""
        text = part.get("text")
        if type(text) is str and _TEXT_KEYS.issuperset(part):
            return self._read_text(choice, part, text, deltas, tokens)
        if part.keys() == {"thoughtSignature"} and choice.kind in (Text, Thinking):
            deltas.append(_signature(choice, part))
            return False
        call = part.get("functionCall")
        if type(call) is dict and (choice.partial is not None or _begins(call)):
            self._read_partial_call(choice, part, call, deltas)
        else:
            self._read_whole(choice, part, deltas)
        return False

    def _read_text(self, choice: _Choice, part: dict[str, Any], text: str, deltas: list[Delta], tokens: Any) -> bool:
        thought = part.get("thought") is True
        kind = Thinking if thought else Text
        if choice.kind is not kind:
            choice.begin(kind)
        part["text"] = HOLE
        if thought:
            deltas.append(ThinkingDelta(choice.index, text, choice.number))
        else:
            choice.texts.setdefault(choice.index, []).append(text)
            deltas.append(TextDelta(choice.index, text, choice.number, tokens))
        if part.get("thoughtSignature") is not None:
            deltas.append(_signature(choice, part))
        return not thought

    def _read_whole(self, choice: _Choice, part: dict[str, Any], deltas: list[Delta]) -> None:
        """A part that came whole. Audio comes in many such parts, which are pieces of one."""
        found: Any = read_part(part)
        if type(found) is Media and found.kind == "audio" and self._read_audio(choice, found, deltas):
            return
        if type(found) is ToolCall:
            self._add_call(choice, found, deltas)
            return
        index = choice.begin(None)
        if type(found) is Text:
            choice.texts[index] = [found.text]
        deltas += (PartStart(index, found, choice.number), PartEnd(index, choice=choice.number))

    def _read_audio(self, choice: _Choice, found: Media, deltas: list[Delta]) -> bool:
        """Take a piece of audio, or the first one. False where it is more than that, and thus a part of its own."""
        if type(found.source) is not Base64 or found != Media("audio", found.source, found.media_type):
            return False
        if choice.kind is not None and choice.kind == found.media_type:
            deltas.append(MediaDelta(choice.index, found.source.data, choice=choice.number))
        else:
            deltas.append(PartStart(choice.begin(None), found, choice.number))
        # Base64 can be joined only where there is no padding.
        choice.kind = None if found.source.data.endswith("=") else found.media_type
        return True

    def _add_call(self, choice: _Choice, call: ToolCall, deltas: list[Delta]) -> None:
        """A whole call: its beginning, its arguments as text, its end."""
        mine: Any = call if self._memo is NO_MEMO else recall(call, self._memo)
        if type(mine) is Text:
            index = choice.begin(Text)
            choice.texts[index] = [mine.text]
            deltas.append(TextDelta(index, mine.text, choice.number))
            return
        choice.called = True
        index = choice.begin(None)
        self._announce(index, mine, choice.number, deltas)

    def _announce(self, index: int, call: ToolCall, number: int, deltas: list[Delta]) -> None:
        arguments = wire.as_text(call.arguments)
        begun: dict[str, Any] | str = "" if isinstance(call.arguments, str) else {}
        head = ToolCall(
            call.call_id, call.name, begun, call.custom, call.signature, None, call.id, call.native, call.extras
        )
        deltas.append(PartStart(index, head, number))
        deltas.append(ArgumentsDelta(index, arguments, number))
        deltas.append(PartEnd(index, choice=number))

    def _read_partial_call(
        self, choice: _Choice, part: dict[str, Any], call: dict[str, Any], deltas: list[Delta]
    ) -> None:
        """A piece of a call whose arguments are streamed. The whole call is told when it is there."""
        if call.get("name") is not None:
            self._finish(choice, deltas)
            pure = {key: value for key, value in call.items() if key not in ("willContinue", "partialArgs")}
            found = read_part({**part, "functionCall": pure})
            assert isinstance(found, ToolCall)
            choice.call, choice.partial = found, PartialArguments(wire.obj(found.arguments))
        assert choice.partial is not None, "it begins with the call's name"
        if call.get("partialArgs") is not None:
            choice.partial.add(call["partialArgs"])
        if call.get("willContinue") is not True:
            self._finish(choice, deltas)

    def _finish(self, choice: _Choice, deltas: list[Delta]) -> None:
        """Tell the call that is under way, if there is one."""
        if choice.call is None or choice.partial is None:
            return
        call, arguments = choice.call, choice.partial.arguments
        choice.call = choice.partial = None
        native = " ".join(word for word in (call.native or "").split() if word != "-args") or None
        self._add_call(choice, replace(call, arguments=arguments, native=native), deltas)

    def _cite(self, choice: _Choice, deltas: list[Delta]) -> None:
        """Citations for what the metadata say by now, as far as they have not been told."""
        for index, citation in derive(choice.extras, choice.whole_texts()):
            if (index, citation) not in choice.cited:
                choice.cited.append((index, citation))
                deltas.append(CitationDelta(index, citation, choice.number))


def _leave(extras: dict[str, Any], rest: dict[str, Any] | None) -> None:
    """Of probabilities that went to a text, keep what the text did not take."""
    if rest:
        extras[LOGPROBS] = rest
    else:
        del extras[LOGPROBS]


def _body(value: Any) -> dict[str, Any]:
    """The answer object of a frame; an error that breaks off a stream may come in a list."""
    return wire.obj(value[0] if type(value) is list and len(value) == 1 else value)


def _begins(call: dict[str, Any]) -> bool:
    """Whether a call is the first piece of one that is streamed."""
    return call.get("willContinue") is True and call.get("name") is not None


def _signature(choice: _Choice, part: dict[str, Any]) -> SignatureDelta:
    """The signature of the part that is open."""
    value = maybe_text(part, "thoughtSignature")
    sealed = read_signature(value or "")
    assert sealed.signature is not None
    return SignatureDelta(choice.index, sealed.signature, choice.number)


class GeminiStream(FramedParser):
    """The parser of one stream's bytes. The stream has no end mark: it is complete when every candidate is, and no
    frame was cut.
    """

    def __init__(self, memo: Memo) -> None:
        self._bytes = GeminiFrames()
        self._reader = FrameReader(memo)
        super().__init__(self._bytes, self._reader.read, NAME)

    def close(self) -> list[StreamEvent]:
        """The bytes ended: a last frame without its blank line, and `End` if nothing is missing."""
        found = super().close()
        if self._bytes.complete and not self.cut and self._reader.finished:
            found.append(StreamEvent((End(),)))
        return found


def stream_parser(memo: Memo) -> StreamParser:
    """A parser of the bytes of one stream."""
    return GeminiStream(memo)
