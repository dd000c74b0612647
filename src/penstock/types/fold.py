"""fold: the one accumulator. It adds StreamEvents up to the Response that the provider would have sent without
streaming.

Pieces are kept in lists and joined once, when somebody asks, so that a step costs the same at the start and at the
end of a long stream.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from msgspec import DecodeError, json
from msgspec.structs import replace

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
    TokenLogprob,
    ToolCall,
)
from penstock.types.errors import ErrorResponse
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


class _OpenPart:
    """A part that is still growing: its value so far, and the pieces to be joined at the end."""

    __slots__ = ("citations", "data", "logprobs", "part", "signature", "summary", "text", "transcript")

    def __init__(self, part: Part) -> None:
        self.part = part
        self.text: list[str] = []
        self.data: list[str] = []
        self.transcript: list[str] = []
        self.summary: dict[int, list[str]] = {}
        self.citations: list[Citation] = []
        self.logprobs: list[TokenLogprob] | None = None
        self.signature: Signature | None = None

    def add_logprobs(self, logprobs: tuple[TokenLogprob, ...]) -> None:
        if self.logprobs is None:
            self.logprobs = []
        self.logprobs += logprobs

    def close(self) -> Part:
        return _CLOSERS.get(type(self.part), _close_other)(self)


def _close_text(open_part: _OpenPart) -> Part:
    part = open_part.part
    assert isinstance(part, Text)
    citations = (*(part.citations or ()), *open_part.citations)
    return replace(
        part,
        text=part.text + "".join(open_part.text),
        citations=citations or part.citations,
        logprobs=part.logprobs if open_part.logprobs is None else (*(part.logprobs or ()), *open_part.logprobs),
        signature=open_part.signature or part.signature,
    )


def _close_refusal(open_part: _OpenPart) -> Part:
    part = open_part.part
    assert isinstance(part, Refusal)
    logprobs = part.logprobs if open_part.logprobs is None else (*(part.logprobs or ()), *open_part.logprobs)
    return replace(part, text=part.text + "".join(open_part.text), logprobs=logprobs)


def _close_thinking(open_part: _OpenPart) -> Part:
    part = open_part.part
    assert isinstance(part, Thinking)
    paragraphs = list(part.summary or ())
    for number, pieces in sorted(open_part.summary.items()):
        paragraphs += [""] * (number + 1 - len(paragraphs)) if number < len(paragraphs) + 1_000 else [""]
        paragraphs[min(number, len(paragraphs) - 1)] += "".join(pieces)
    return replace(
        part,
        text=part.text + "".join(open_part.text),
        summary=tuple(paragraphs) if paragraphs else part.summary,
        signature=open_part.signature or part.signature,
    )


def _close_call(open_part: _OpenPart) -> Part:
    part = open_part.part
    assert isinstance(part, ToolCall | ServerToolCall)
    text = "".join(open_part.text)
    if text:
        before = part.arguments if isinstance(part.arguments, str) else ""
        part = replace(part, arguments=_arguments(before + text, isinstance(part.arguments, dict)))
    return replace(part, signature=open_part.signature) if open_part.signature else part


def _arguments(text: str, as_object: bool) -> dict[str, Any] | str:
    """The streamed JSON text; where the call began with an object (dialects that carry one when they do not stream),
    the object that it spells.
    """
    if not as_object:
        return text
    try:
        value = json.decode(text)
    except DecodeError:
        return text
    return value if isinstance(value, dict) else text


def _close_media(open_part: _OpenPart) -> Part:
    part = open_part.part
    assert isinstance(part, Media)
    if open_part.data:
        before = part.source.data if isinstance(part.source, Base64) else ""
        part = replace(part, source=Base64(_join_base64([before, *open_part.data])))
    if open_part.transcript:
        part = replace(part, transcript=(part.transcript or "") + "".join(open_part.transcript))
    return replace(part, signature=open_part.signature) if open_part.signature else part


def _join_base64(pieces: list[str]) -> str:
    """One base64 text. Pieces that were padded each on its own are joined as the bytes that they mean."""
    if any(piece.endswith("=") for piece in pieces[:-1]):
        with suppress(ValueError):
            return b64encode(b"".join([b64decode(piece) for piece in pieces])).decode()
    return "".join(pieces)


def _close_other(open_part: _OpenPart) -> Part:
    return open_part.part


_CLOSERS: dict[type, Callable[[_OpenPart], Part]] = {
    Text: _close_text,
    Refusal: _close_refusal,
    Thinking: _close_thinking,
    ToolCall: _close_call,
    ServerToolCall: _close_call,
    Media: _close_media,
}


class Fold:
    """Adds StreamEvents up to a Response: the only accumulator there is.

    `response()` may be asked at any time (a cut stream yields what arrived); `complete` says whether the end was
    seen; `error` holds an error that the stream itself reported.
    """

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self.complete = False
        self.error: ErrorResponse | None = None
        self._start = Start()
        self._usage: Usage | None = None
        self._snapshot: Snapshot | None = None
        self._stops: dict[int, Stop] = {}
        self._parts: dict[int, dict[int, _OpenPart]] = {0: {}}

    def add(self, event: StreamEvent) -> None:
        """Take one step. O(size of the step)."""
        for delta in event.deltas:
            _ADDERS[type(delta)](self, delta)

    @property
    def stopped(self) -> bool:
        """Whether every choice that began was said to have ended, so that no content is missing. (Usage may be: it
        comes behind, in some dialects.)
        """
        return bool(self._stops) and all(number in self._stops for number, parts in self._parts.items() if parts)

    def response(self) -> Response:
        """Everything so far as one Response."""
        choices = tuple(self._choice(number) for number in sorted({*self._parts, *self._stops}))
        if self._snapshot is not None:
            return self._from_snapshot(self._snapshot.response, choices)
        start = self._start
        return Response(
            dialect=self.dialect,
            id=start.id,
            model=start.model,
            created=start.created,
            choices=choices,
            usage=self._usage,
            service_tier=start.service_tier,
            extras=start.extras,
        )

    def part(self, index: int, choice: int = 0) -> Part | None:
        """The part at `index` as it is now; None where it has not begun. (Some renderers repeat one that ends.)"""
        open_part = self._parts.get(choice, {}).get(index)
        return None if open_part is None else open_part.close()

    def _from_snapshot(self, snapshot: Response, choices: tuple[Choice, ...]) -> Response:
        """The provider's own summary wins, but a summary without parts does not erase what was streamed."""
        if not any(choice.parts for choice in snapshot.choices):
            stopped = snapshot.choices[0] if snapshot.choices else Choice()
            choices = tuple(
                replace(
                    stopped,
                    parts=choice.parts,
                    index=choice.index,
                    stop_reason=stopped.stop_reason or choice.stop_reason,
                )
                for choice in choices
            )
            snapshot = replace(snapshot, choices=choices)
        return snapshot if snapshot.usage is not None or self._usage is None else replace(snapshot, usage=self._usage)

    def _choice(self, number: int) -> Choice:
        stop = self._stops.get(number, _NO_STOP)
        parts = self._parts.get(number, {})
        return Choice(
            parts=tuple(parts[index].close() for index in sorted(parts)),
            stop_reason=stop.reason,
            stop_native=stop.native,
            stop_sequence=stop.sequence,
            index=number,
            extras=stop.extras,
        )

    def _open(self, delta: Any, make: Callable[[], Part]) -> _OpenPart:
        parts = self._parts.get(delta.choice)
        if parts is None:
            parts = self._parts[delta.choice] = {}
        part = parts.get(delta.index)
        if part is None:
            part = parts[delta.index] = _OpenPart(make())
        return part

    def _add_text(self, delta: TextDelta) -> None:
        part = self._open(delta, _new_text)
        part.text.append(delta.text)
        if delta.logprobs is not None:
            part.add_logprobs(delta.logprobs)

    def _add_refusal(self, delta: RefusalDelta) -> None:
        part = self._open(delta, _new_refusal)
        part.text.append(delta.text)
        if delta.logprobs is not None:
            part.add_logprobs(delta.logprobs)

    def _add_thinking(self, delta: ThinkingDelta) -> None:
        self._open(delta, Thinking).text.append(delta.text)

    def _add_summary(self, delta: SummaryDelta) -> None:
        self._open(delta, Thinking).summary.setdefault(delta.paragraph, []).append(delta.text)

    def _add_arguments(self, delta: ArgumentsDelta) -> None:
        self._open(delta, _new_call).text.append(delta.text)

    def _add_signature(self, delta: SignatureDelta) -> None:
        part = self._open(delta, Thinking)
        value = delta.signature
        before = part.signature or getattr(part.part, "signature", None)
        if delta.append and before is not None:
            value = Signature(before.value + value.value, value.origin)
        part.signature = value

    def _add_citation(self, delta: CitationDelta) -> None:
        self._open(delta, _new_text).citations.append(delta.citation)

    def _add_media(self, delta: MediaDelta) -> None:
        part = self._open(delta, lambda: Media(delta.kind, None))
        if delta.data:
            part.data.append(delta.data)
        if delta.transcript:
            part.transcript.append(delta.transcript)

    def _add_part_start(self, delta: PartStart) -> None:
        self._parts.setdefault(delta.choice, {})[delta.index] = _OpenPart(delta.part)

    def _add_part_end(self, delta: PartEnd) -> None:
        if delta.part is not None:
            self._parts.setdefault(delta.choice, {})[delta.index] = _OpenPart(delta.part)

    def _add_start(self, delta: Start) -> None:
        self._start = delta

    def _add_stop(self, delta: Stop) -> None:
        self._stops[delta.choice] = delta

    def _add_usage(self, delta: UsageDelta) -> None:
        self._usage = delta.usage if self._usage is None else self._usage.merged(delta.usage)

    def _add_snapshot(self, delta: Snapshot) -> None:
        self._snapshot = delta

    def _add_failure(self, delta: Failure) -> None:
        self.error = delta.error

    def _add_end(self, delta: End) -> None:
        self.complete = True


_NO_STOP = Stop()


def _new_text() -> Part:
    return Text("")


def _new_refusal() -> Part:
    return Refusal("")


def _new_call() -> Part:
    return ToolCall(None, "", "")


_ADDERS: dict[type, Callable[[Fold, Any], None]] = {
    Start: Fold._add_start,
    PartStart: Fold._add_part_start,
    TextDelta: Fold._add_text,
    ThinkingDelta: Fold._add_thinking,
    SummaryDelta: Fold._add_summary,
    SignatureDelta: Fold._add_signature,
    RefusalDelta: Fold._add_refusal,
    ArgumentsDelta: Fold._add_arguments,
    CitationDelta: Fold._add_citation,
    MediaDelta: Fold._add_media,
    PartEnd: Fold._add_part_end,
    Stop: Fold._add_stop,
    UsageDelta: Fold._add_usage,
    Snapshot: Fold._add_snapshot,
    Failure: Fold._add_failure,
    End: Fold._add_end,
}


def fold(events: Iterable[StreamEvent], dialect: str) -> Response:
    """Add a whole stream up. Use `Fold` to see whether it was complete."""
    total = Fold(dialect)
    for event in events:
        total.add(event)
    return total.response()
