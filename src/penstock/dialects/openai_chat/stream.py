"""Streams of Chat Completions: `data: {chunk}` frames that end with `data: [DONE]`.

Reading: the decoded chunk stays with its event (`StreamEvent.frame`) with a HOLE in the place of each piece that a
delta holds, in the same order; so writing a chunk of one's own dialect is filling the holes. What names a part (a
call's id and name) stays in the frame too.

A choice has no numbered parts on the wire, only fields; the reader numbers them as they appear: thinking, text, each
tool call (calls.py).

What hosts do besides: they begin with a chunk that names no answer yet (Azure's filter results); they send errors of
any shape, also as plain text; they put usage into a choice (Moonshot) or into `x_groq`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.dialect import StreamParser
from penstock.dialects.framing import Frame, FramedParser, ServerSentEvents
from penstock.dialects.openai_chat import thinking
from penstock.dialects.openai_chat.calls import Calls
from penstock.dialects.openai_chat.citations import SOURCES, read_citation, read_sources
from penstock.dialects.openai_chat.errors import error_of, error_of_words
from penstock.dialects.openai_chat.json_tool import ChunkUnwrapper
from penstock.dialects.openai_chat.media import REASONING_CHUNK, read_content_part
from penstock.dialects.openai_chat.messages import read_image
from penstock.dialects.openai_chat.response import read_usage, stop_reason
from penstock.dialects.openai_errors import says_error
from penstock.dialects.token_logprobs import logprobs_or_none
from penstock.types.content import Media, Opaque, Part, Refusal, Signature, Thinking, ToolCall
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
        *SOURCES,
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
        self.calls = Calls(number, self.next)
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
            return self._end(frame.event, None)
        try:
            chunk = wire.decode(frame.data)
        except MalformedError:
            return self._read_words(frame)
        if type(chunk) is not dict:
            return self._read_other(chunk, frame)
        if self._unwrapper is not None:
            self._unwrapper.unwrap(chunk)
        deltas: list[Delta] = []
        if not self._started and (chunk.get("id") or chunk.get("choices")):
            self._start(chunk, deltas)
        choices = chunk.get("choices")
        if chunk.get("error") or (choices is None and says_error(chunk)):
            deltas.append(Failure(error_of(200, {}, chunk)))
        if choices:
            self._read_choices(wire.array(choices), deltas)
        if "citations" in chunk or "search_results" in chunk:
            self._read_sources(chunk, deltas)
        self._read_usage(chunk, deltas)
        extras = None if chunk.keys() <= _KNOWN else {key: value for key, value in chunk.items() if key not in _KNOWN}
        return StreamEvent(tuple(deltas), frame.event, extras, chunk)

    def _end(self, name: str | None, frame: str | None) -> StreamEvent:
        """The end, and before it the calls that were never known well enough to begin."""
        held = [delta for state in self._choices.values() for delta in state.calls.release()]
        return StreamEvent((*held, End()), name, None, frame)

    def _read_words(self, frame: Frame) -> StreamEvent:
        """A frame that is no JSON: an end mark in another spelling, or the words of an error. Raises MalformedError for
        one that began as a chunk.
        """
        words = frame.data.decode("utf-8", "replace")
        if words.strip().upper() == "[DONE]":
            return self._end(frame.event, words)
        if not words.strip() or words.lstrip()[0] in '{["' or "\ufffd" in words:
            wire.decode(frame.data)
        return StreamEvent((Failure(error_of_words(frame.data)),), frame.event, None, words)

    def _read_other(self, value: Any, frame: Frame) -> StreamEvent:
        """JSON that is no object: the end mark as a string, or a list of one error (Google's edge)."""
        if value == "[DONE]":
            return self._end(frame.event, frame.data.decode())
        if not says_error(value):
            wire.obj(value)
        return StreamEvent((Failure(error_of(200, {}, value)),), frame.event, None, value)

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
        if usage is None and "x_groq" in chunk:
            usage = _read_groq(chunk["x_groq"], deltas)
        if isinstance(usage, dict):
            deltas.append(UsageDelta(read_usage(usage)))

    def _read_sources(self, chunk: dict[str, Any], deltas: list[Delta]) -> None:
        """The sources of the answer, which some hosts repeat in every chunk: they are told once, when it stops."""
        state = self._choices.get(0)
        index = None if state is None else state.parts.get("content")
        if index is not None and any(type(delta) is Stop for delta in deltas):
            sources = [CitationDelta(index, source) for source in read_sources(chunk)]
            place = next(number for number, delta in enumerate(deltas) if type(delta) is Stop)
            deltas[place:place] = sources

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
        if "usage" in choice and isinstance(choice["usage"], dict):
            deltas.append(UsageDelta(read_usage(choice["usage"])))
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
            deltas += state.calls.release()
            called: tuple[Part, ...] = (ToolCall(None, "", ""),) if state.calls.any else ()
            deltas.append(Stop(stop_reason(reason, called), reason, choice=number))


def _read_content(state: _Choice, delta: dict[str, Any], value: Any, deltas: list[Delta], logprobs: Any) -> None:
    if not isinstance(value, str):
        for chunk in value if isinstance(value, list) else (value,):
            _read_chunk_of_content(state, chunk, deltas)
        return
    entries = None if not logprobs else _logprobs(logprobs, "content")
    index = state.parts.get("content")
    if index is None:
        if not value and not entries:
            return
        index = state.parts["content"] = state.next()
    delta["content"] = HOLE
    deltas.append(TextDelta(index, value, state.number, entries))


def _logprobs(value: Any, key: str) -> Any:
    return logprobs_or_none(value.get(key)) if isinstance(value, dict) else None


def _read_chunk_of_content(state: _Choice, chunk: Any, deltas: list[Delta]) -> None:
    """A typed chunk: a text; Mistral's `thinking` with a list of texts; Databricks' `reasoning` with a list of
    summaries. What is none of these is a part by itself, and what follows it another text.
    """
    kind = chunk.get("type") if isinstance(chunk, dict) else None
    if kind == "thinking" and isinstance(chunk.get("thinking"), list):
        _read_thoughts(state, chunk["thinking"], "thinking", deltas)
    elif kind == "reasoning" and isinstance(chunk.get("summary"), list):
        _read_thoughts(state, chunk["summary"], REASONING_CHUNK, deltas)
    elif isinstance(chunk, dict) and isinstance(chunk.get("text"), str):
        index = state.part("content", None, deltas)
        deltas.append(TextDelta(index, chunk["text"], state.number))
        chunk["text"] = HOLE
    elif chunk is not None:
        deltas.append(PartStart(state.next(), _other_content(chunk), state.number))
        state.parts.pop("content", None)


def _other_content(chunk: Any) -> Part:
    try:
        return read_content_part(chunk)
    except DialectError:
        return Opaque(chunk, native="content")


def _read_thoughts(state: _Choice, pieces: list[Any], native: str, deltas: list[Delta]) -> None:
    for piece in pieces:
        if not isinstance(piece, dict) or not isinstance(piece.get("text"), str):
            continue
        index = state.part(native, lambda: Thinking(native=native), deltas)
        deltas.append(ThinkingDelta(index, piece["text"], state.number))
        piece["text"] = HOLE
        if isinstance(piece.get("signature"), str) and piece["signature"]:
            deltas.append(SignatureDelta(index, Signature(piece["signature"], "anthropic"), state.number))


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


def _typed_thinking_reader(field: str, read_all: Callable[[Any], tuple[Any, ...]]) -> Callable[..., None]:
    """Typed thinking arrives in pieces of the same shape as whole blocks: text pieces join until a signature or
    another kind closes the block. A signature alone, behind plain thinking, is that thinking's. An empty one is none:
    LiteLLM's gateway puts it into every piece.
    """

    def read(state: _Choice, delta: dict[str, Any], value: Any, deltas: list[Delta], logprobs: Any) -> None:
        if not isinstance(value, list):
            return
        for piece in read_all(value):
            if isinstance(piece, Opaque):
                deltas.append(PartStart(state.next(), piece, state.number))
                continue
            if piece.signature is not None and not piece.signature.value:
                piece = replace(piece, signature=None)
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
    if not isinstance(value, str):
        return
    index = state.part("refusal", lambda: Refusal(""), deltas)
    delta["refusal"] = HOLE
    deltas.append(RefusalDelta(index, value, state.number, _logprobs(logprobs, "refusal")))


def _read_audio(state: _Choice, delta: dict[str, Any], value: Any, deltas: list[Delta], logprobs: Any) -> None:
    if not isinstance(value, dict):
        return
    audio, name = value, value.get("id")
    index = state.part(
        "audio", lambda: Media("audio", None, id=name if isinstance(name, str) else None, native="audio"), deltas
    )
    data, transcript = _text(audio.get("data")), _text(audio.get("transcript"))
    if data is not None or transcript is not None:
        deltas.append(MediaDelta(index, data or "", transcript or "", choice=state.number))


def _read_annotations(state: _Choice, delta: dict[str, Any], value: Any, deltas: list[Delta], logprobs: Any) -> None:
    for annotation in [element for element in value if isinstance(element, dict)] if isinstance(value, list) else ():
        index = state.part("content", None, deltas)
        deltas.append(CitationDelta(index, read_citation(annotation), state.number))


def _read_images(state: _Choice, delta: dict[str, Any], value: Any, deltas: list[Delta], logprobs: Any) -> None:
    """Images come whole, one part each."""
    for element in value if isinstance(value, list) else ():
        try:
            image = read_image(element)
        except DialectError:
            continue
        deltas.append(PartStart(state.next(), image, state.number))


def _read_tool_calls(state: _Choice, delta: dict[str, Any], value: Any, deltas: list[Delta], logprobs: Any) -> None:
    state.calls.read(value if isinstance(value, list) else [value], deltas)


def _read_function_call(state: _Choice, delta: dict[str, Any], value: Any, deltas: list[Delta], logprobs: Any) -> None:
    """The one call of the time before tools: the name first, then the arguments in pieces."""
    if not isinstance(value, dict):
        return
    name, arguments = value.get("name"), value.get("arguments")
    index = state.part("function_call", lambda: ToolCall(None, _text(name) or "", "", native="function_call"), deltas)
    if isinstance(arguments, str):
        value["arguments"] = HOLE
        deltas.append(ArgumentsDelta(index, arguments, state.number))


def _read_groq(value: Any, deltas: list[Delta]) -> Any:
    """The usage that Groq reports beside the chunk; an error there has ended the stream early."""
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("error"), str) and value["error"]:
        deltas.append(Failure(error_of(200, {}, {"error": value["error"]})))
    return value.get("usage")


_DELTA_READERS: dict[str, Callable[..., None]] = {
    "content": _read_content,
    "reasoning_content": _thinking_reader("reasoning_content"),
    "reasoning": _thinking_reader("reasoning"),
    "thinking_blocks": _typed_thinking_reader("thinking_blocks", thinking.read_blocks),
    "reasoning_details": _typed_thinking_reader("reasoning_details", thinking.read_details),
    "refusal": _read_refusal,
    "audio": _read_audio,
    "annotations": _read_annotations,
    "images": _read_images,
    "tool_calls": _read_tool_calls,
    "function_call": _read_function_call,
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
