"""Streams of Chat Completions: `data: {chunk}` frames that end with `data: [DONE]`.

Reading: the decoded chunk stays with its event (`StreamEvent.frame`) with a HOLE in the place of each piece that a
delta holds, in the same order; so writing a chunk of one's own dialect is filling the holes. What names a part (a
call's id and name) stays in the frame too.

A choice has no numbered parts on the wire, only fields; the reader numbers them as they appear: thinking, text, each
tool call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import wire
from penstock.dialects.dialect import StreamParser
from penstock.dialects.framing import Frame, FramedParser, ServerSentEvents
from penstock.dialects.openai_chat import thinking
from penstock.dialects.openai_chat.errors import error_of
from penstock.dialects.openai_chat.json_tool import ChunkUnwrapper
from penstock.dialects.openai_chat.messages import read_citation
from penstock.dialects.openai_chat.response import read_logprobs, read_usage, stop_reason
from penstock.types.content import Media, Part, Refusal, Signature, Thinking, ToolCall
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
    PartStart,
    RefusalDelta,
    SignatureDelta,
    Start,
    Stop,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    UsageDelta,
)

_KNOWN = frozenset(
    {
        "id",
        "object",
        "created",
        "model",
        "choices",
        "usage",
        "service_tier",
        "system_fingerprint",
        "obfuscation",
        "error",
        "provider",
        "x_groq",
    }
)
"""Fields of a chunk that are modelled, or that only say which call this is: no note is due when another dialect
leaves them out.
"""
_ROLE_ONLY = frozenset({"role"})


class _Choice:
    """What the reader knows of one choice: which parts it has begun."""

    __slots__ = ("calls", "number", "parts", "seen", "thinking")

    def __init__(self, number: int) -> None:
        self.number = number
        self.parts: dict[str, int] = {}
        self.calls: dict[Any, int] = {}
        self.seen = 0
        self.thinking: int | None = None

    def next(self) -> int:
        self.seen += 1
        return self.seen - 1

    def plain_thinking(self) -> int | None:
        """The number of the plain thinking that is under way."""
        return next((self.parts[field] for field in thinking.PLAIN if field in self.parts), None)

    def end_plain_thinking(self) -> None:
        """More plain thinking will be another part."""
        for field in thinking.PLAIN:
            self.parts.pop(field, None)

    def part(self, key: str, make: Callable[[], Part] | None, deltas: list[Delta]) -> int:
        """The number of the one part that field `key` fills; it begins now if it had not, announced if it is not a
        plain text.
        """
        index = self.parts.get(key)
        if index is None:
            index = self.parts[key] = self.next()
            if make is not None:
                deltas.append(PartStart(index, make(), self.number))
        return index


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


class ChunkReader:
    """From frames to events."""

    def __init__(self, memo: Memo = NO_MEMO) -> None:
        self._started = False
        self._choices: dict[int, _Choice] = {}
        self._unwrapper = None if memo.json_tool is None else ChunkUnwrapper(memo.json_tool)

    def read(self, frame: Frame) -> StreamEvent:
        """One frame. Raises MalformedError where it is not a chunk."""
        if frame.data == b"[DONE]":
            return StreamEvent((End(),), frame.event)
        chunk = wire.obj(wire.decode(frame.data))
        if self._unwrapper is not None:
            self._unwrapper.unwrap(chunk)
        deltas: list[Delta] = []
        if not self._started:
            self._start(chunk, deltas)
        error = chunk.get("error")
        if error:
            deltas.append(Failure(error_of(200, {}, chunk)))
        choices = chunk.get("choices")
        if choices:
            self._read_choices(wire.array(choices), deltas)
        self._read_usage(chunk, deltas)
        extras = None if chunk.keys() <= _KNOWN else {key: value for key, value in chunk.items() if key not in _KNOWN}
        return StreamEvent(tuple(deltas), frame.event, extras, chunk)

    def _start(self, chunk: dict[str, Any], deltas: list[Delta]) -> None:
        self._started = True
        created = chunk.get("created")
        deltas.append(
            Start(
                _text(chunk.get("id")),
                _text(chunk.get("model")),
                created if type(created) in (int, float) else None,
                _text(chunk.get("service_tier")),
            )
        )

    def _read_usage(self, chunk: dict[str, Any], deltas: list[Delta]) -> None:
        usage = chunk.get("usage")
        if usage is None:
            groq = chunk.get("x_groq")
            usage = groq.get("usage") if isinstance(groq, dict) else None
        if usage is not None:
            deltas.append(UsageDelta(read_usage(usage)))

    def _read_choices(self, choices: list[Any], deltas: list[Delta]) -> None:
        for position, value in enumerate(choices):
            try:
                self._read_choice(wire.obj(value), position, deltas)
            except DialectError as error:
                raise error.at(position).at("choices") from None

    def _read_choice(self, choice: dict[str, Any], position: int, deltas: list[Delta]) -> None:
        number = choice.get("index")
        if type(number) is not int:
            number = position
        state = self._choices.get(number)
        if state is None:
            state = self._choices[number] = _Choice(number)
        delta = choice.get("delta")
        if delta:
            logprobs = choice.get("logprobs")
            for key, value in wire.obj(delta).items():
                read = _DELTA_READERS.get(key)
                if read is not None and value is not None:
                    try:
                        read(state, delta, value, deltas, logprobs)
                    except DialectError as error:
                        raise error.at(key).at("delta") from None
        reason = choice.get("finish_reason")
        if isinstance(reason, str):
            called: tuple[Part, ...] = (ToolCall(None, "", ""),) if state.calls else ()
            deltas.append(Stop(stop_reason(reason, called), reason, choice=number))


def _read_content(state: _Choice, delta: dict[str, Any], value: Any, deltas: list[Delta], logprobs: Any) -> None:
    if not isinstance(value, str):
        _read_content_list(state, value, deltas)
        return
    index = state.parts.get("content")
    if index is None:
        if not value and not logprobs:
            return
        index = state.parts["content"] = state.next()
    delta["content"] = HOLE
    deltas.append(TextDelta(index, value, state.number, _logprobs(logprobs, "content")))


def _logprobs(value: Any, key: str) -> Any:
    entries = value.get(key) if isinstance(value, dict) else None
    return None if entries is None else read_logprobs(entries)


def _read_content_list(state: _Choice, value: Any, deltas: list[Delta]) -> None:
    """Mistral's typed chunks: a thinking chunk holds a list of texts, a text chunk one."""
    for element in wire.array(value):
        chunk = wire.obj(element)
        if isinstance(chunk.get("text"), str):
            index = state.part("content", None, deltas)
            deltas.append(TextDelta(index, chunk["text"], state.number))
            chunk["text"] = HOLE
        for piece in chunk["thinking"] if isinstance(chunk.get("thinking"), list) else ():
            if isinstance(piece, dict) and isinstance(piece.get("text"), str):
                index = state.part("thinking", lambda: Thinking(native="thinking"), deltas)
                deltas.append(ThinkingDelta(index, piece["text"], state.number))
                piece["text"] = HOLE


def _thinking_reader(field: str) -> Callable[..., None]:
    def read(state: _Choice, delta: dict[str, Any], value: Any, deltas: list[Delta], logprobs: Any) -> None:
        if not isinstance(value, str) or any(delta.get(key) for key in thinking.TYPED):
            return
        index = state.parts.get(field)
        if index is None:
            if not value:
                return
            index = state.part(field, lambda: Thinking(native=field), deltas)
        delta[field] = HOLE
        deltas.append(ThinkingDelta(index, value, state.number))

    return read


def _typed_thinking_reader(field: str, read_all: Callable[[Any], tuple[Thinking, ...]]) -> Callable[..., None]:
    """Typed thinking arrives in pieces of the same shape as whole blocks: text pieces join until a signature or
    another kind closes the block. A signature alone, behind plain thinking, is that thinking's.
    """

    def read(state: _Choice, delta: dict[str, Any], value: Any, deltas: list[Delta], logprobs: Any) -> None:
        for piece in read_all(value):
            plain = None if piece.redacted or piece.text or piece.summary is not None else state.plain_thinking()
            if plain is not None and state.thinking is None and piece.signature is not None:
                deltas.append(SignatureDelta(plain, piece.signature, state.number))
                state.end_plain_thinking()
                continue
            if piece.redacted or piece.summary is not None or state.thinking is None:
                state.thinking = state.next()
                deltas.append(PartStart(state.thinking, piece, state.number))
            else:
                if piece.text:
                    deltas.append(ThinkingDelta(state.thinking, piece.text, state.number))
                if piece.signature is not None:
                    deltas.append(SignatureDelta(state.thinking, piece.signature, state.number))
            if piece.redacted or piece.signature is not None:
                state.thinking = None

    return read


def _read_refusal(state: _Choice, delta: dict[str, Any], value: Any, deltas: list[Delta], logprobs: Any) -> None:
    index = state.part("refusal", lambda: Refusal(""), deltas)
    delta["refusal"] = HOLE
    deltas.append(RefusalDelta(index, wire.string(value), state.number, _logprobs(logprobs, "refusal")))


def _read_audio(state: _Choice, delta: dict[str, Any], value: Any, deltas: list[Delta], logprobs: Any) -> None:
    audio = wire.obj(value)
    name = audio.get("id")
    index = state.part(
        "audio", lambda: Media("audio", None, id=name if isinstance(name, str) else None, native="audio"), deltas
    )
    data, transcript = _text(audio.get("data")), _text(audio.get("transcript"))
    if data is not None or transcript is not None:
        deltas.append(MediaDelta(index, data or "", transcript or "", choice=state.number))


def _read_annotations(state: _Choice, delta: dict[str, Any], value: Any, deltas: list[Delta], logprobs: Any) -> None:
    for annotation in wire.array(value):
        index = state.part("content", None, deltas)
        deltas.append(CitationDelta(index, read_citation(annotation), state.number))


def _read_tool_calls(state: _Choice, delta: dict[str, Any], value: Any, deltas: list[Delta], logprobs: Any) -> None:
    for position, element in enumerate(wire.array(value)):
        try:
            _read_tool_call(state, wire.obj(element), position, deltas)
        except DialectError as error:
            raise error.at(position) from None


def _read_tool_call(state: _Choice, call: dict[str, Any], position: int, deltas: list[Delta]) -> None:
    """One piece of a call. A new index, or a new id under an old index (some hosts number every call 0), begins a
    call.
    """
    custom = isinstance(call.get("custom"), dict)
    inner = call.get("custom" if custom else "function")
    inner = inner if isinstance(inner, dict) else {}
    call_id = call.get("id") if isinstance(call.get("id"), str) else None
    slot = call.get("index")
    key = slot if type(slot) is int else position
    index = state.calls.get(key)
    name = inner.get("name")
    if (
        index is None
        or (call_id and name and state.calls.get(call_id, index) != index)
        or (call_id and name and call_id not in state.calls)
    ):
        index = state.calls[key] = state.next()
        if call_id:
            state.calls[call_id] = index
        part = ToolCall(
            call_id,
            name if isinstance(name, str) else "",
            "",
            custom,
            _signature(call),
            extras=_call_extras(call, custom),
        )
        deltas.append(PartStart(index, part, state.number))
    input_key = "input" if custom else "arguments"
    arguments = inner.get(input_key)
    if isinstance(arguments, dict):
        arguments = wire.encode(arguments).decode()
        deltas.append(ArgumentsDelta(index, arguments, state.number))
    elif isinstance(arguments, str):
        inner[input_key] = HOLE
        deltas.append(ArgumentsDelta(index, arguments, state.number))


def _call_extras(call: dict[str, Any], custom: bool) -> dict[str, Any] | None:
    known = ("id", "function", "custom", "index")
    return {key: value for key, value in call.items() if key not in known} or None


def _signature(call: dict[str, Any]) -> Signature | None:
    own = call.get("extra_content")
    google = own.get("google") if isinstance(own, dict) else None
    for holder in (google, call.get("provider_specific_fields")):
        if isinstance(holder, dict) and isinstance(holder.get("thought_signature"), str):
            return Signature(holder["thought_signature"], "gemini")
    return None


_DELTA_READERS: dict[str, Callable[..., None]] = {
    "content": _read_content,
    "reasoning_content": _thinking_reader("reasoning_content"),
    "reasoning": _thinking_reader("reasoning"),
    "thinking_blocks": _typed_thinking_reader("thinking_blocks", thinking.read_blocks),
    "reasoning_details": _typed_thinking_reader("reasoning_details", thinking.read_details),
    "refusal": _read_refusal,
    "audio": _read_audio,
    "annotations": _read_annotations,
    "tool_calls": _read_tool_calls,
}


def stream_parser(memo: Memo) -> StreamParser:
    """A parser of the bytes of one stream."""
    return FramedParser(ServerSentEvents(), ChunkReader(memo).read, "openai_chat")


_PIECES: dict[type, Callable[[Any], str]] = {
    TextDelta: lambda delta: delta.text,
    ThinkingDelta: lambda delta: delta.text,
    RefusalDelta: lambda delta: delta.text,
    ArgumentsDelta: lambda delta: delta.text,
}


def fill_frame(event: StreamEvent) -> Any:
    """The chunk of an event of this dialect again, with the pieces as they are now."""
    pieces = iter([piece(delta) for delta in event.deltas if (piece := _PIECES.get(type(delta))) is not None])
    try:
        return wire.fill(event.frame, pieces)
    except StopIteration:
        raise MalformedError("a piece of this frame was taken out of its event") from None
