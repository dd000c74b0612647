"""Streams: JSON lines, each a whole answer with a piece of the message; the last one is done and has the counts.

Reading: the decoded line stays with its event (`StreamEvent.frame`) with a HOLE where a delta holds the value. Thinking
comes first, then text, and each tool call whole; the parts are numbered as they appear. Writing a line of this dialect
is filling the holes; other dialects' events become lines (foreign_stream.py).

Source: https://docs.ollama.com/api/streaming
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.dialect import Context, StreamParser, StreamRenderer
from penstock.dialects.framing import Frame, FramedParser, JsonLines, write_line
from penstock.dialects.ollama_chat.errors import error_of, render_error
from penstock.dialects.ollama_chat.foreign_stream import ForeignStream
from penstock.dialects.ollama_chat.messages import write_call
from penstock.dialects.ollama_chat.names import NAME
from penstock.dialects.ollama_chat.response import CREATED, KNOWN, read_message_of
from penstock.dialects.ollama_chat.stops import stop_reason
from penstock.dialects.ollama_chat.times import seconds_of
from penstock.dialects.ollama_chat.usage import KEYS, read_usage, write_usage
from penstock.dialects.stream_translator import GuardedRenderer
from penstock.dialects.token_logprobs import read_logprobs, write_logprobs
from penstock.dialects.tool_memo import recall
from penstock.types.content import Text, Thinking, ToolCall
from penstock.types.errors import DialectError
from penstock.types.notes import Memo, Note
from penstock.types.stream import (
    HOLE,
    ArgumentsDelta,
    Delta,
    End,
    Failure,
    PartEnd,
    PartStart,
    Start,
    Stop,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    UsageDelta,
)

Object = dict[str, Any]

_LINE = KNOWN | {"created_at", "done"}


class LineReader:
    """From lines to events. It knows which parts have begun."""

    def __init__(self, memo: Memo) -> None:
        self._memo = memo
        self._started = False
        self._seen = 0
        self._thinking: int | None = None
        self._text: int | None = None
        self._called = False
        self._message_extras: Object | None = None

    def read(self, frame: Frame) -> StreamEvent:
        """One line. Raises MalformedError where it is none of this dialect."""
        line = wire.obj(wire.decode(frame.data))
        if line.get("error"):
            return StreamEvent((Failure(error_of(200, {}, dict(line))),), None, None, line)
        deltas: list[Delta] = []
        if not self._started:
            self._start(line, deltas)
        self._read_message(line, deltas)
        if line.get("done") is True:
            self._finish(line, deltas)
        extras = None if line.keys() <= _LINE else {key: line[key] for key in line if key not in _LINE}
        return StreamEvent(tuple(deltas), None, extras, line)

    def _start(self, line: Object, deltas: list[Delta]) -> None:
        """The first line names the answer; what else it has beside its message is the answer's own."""
        self._started = True
        created = seconds_of(line.get("created_at"))
        extras = {key: value for key, value in line.items() if key not in _LINE}
        if created is not None:
            extras[CREATED] = line["created_at"]
        deltas.append(Start(None, wire.optional_string(line, "model"), created, extras=extras or None))

    def _next(self) -> int:
        self._seen += 1
        return self._seen - 1

    def _read_message(self, line: Object, deltas: list[Delta]) -> None:
        """The pieces that a line brings. Text after a call, or thinking after text, goes on where it was."""
        if line.get("message") is None and line.get("done") is True:
            return
        parts, extras = read_message_of(line)
        if extras is not None:
            self._message_extras = {**(self._message_extras or {}), **extras}
        message = line["message"]
        for part in parts:
            if type(part) is Text:
                message["content"] = HOLE
                self._text = self._next() if self._text is None else self._text
                deltas.append(TextDelta(self._text, part.text, 0, _logprobs(line)))
            elif type(part) is Thinking:
                message["thinking"] = HOLE
                self._thinking = self._next() if self._thinking is None else self._thinking
                deltas.append(ThinkingDelta(self._thinking, part.text))
            elif type(part) is ToolCall:
                message["tool_calls"] = HOLE
                self._read_call(part, deltas)
            else:
                index = self._next()
                deltas += (PartStart(index, part), PartEnd(index))

    def _read_call(self, call: ToolCall, deltas: list[Delta]) -> None:
        """A call comes whole. Its arguments are told as text, as everywhere; `fold` makes the object of it again."""
        self._called = True
        part = recall(call, self._memo)
        index = self._next()
        if not isinstance(part, ToolCall):
            deltas += (PartStart(index, part), PartEnd(index))
            return
        arguments = part.arguments
        empty: Any = "" if isinstance(arguments, str) else {}
        text = wire.as_text(arguments)
        deltas += (PartStart(index, replace(part, arguments=empty)), ArgumentsDelta(index, text), PartEnd(index))

    def _finish(self, line: Object, deltas: list[Delta]) -> None:
        native = wire.optional_string(line, "done_reason")
        if native is not None:
            line["done_reason"] = HOLE
        extras = None if self._message_extras is None else {"message": self._message_extras}
        deltas.append(Stop(stop_reason(native, True, self._called), native, extras=extras))
        usage = read_usage(line)
        if usage is not None:
            for key in KEYS & line.keys():
                line[key] = HOLE
            deltas.append(UsageDelta(usage))
        deltas.append(End())


def _logprobs(line: Object) -> Any:
    """The tokens of a piece of text; there is a hole then."""
    value = line.get("logprobs")
    if value is None:
        return None
    try:
        found = read_logprobs(value)
    except DialectError as error:
        raise error.at("logprobs") from None
    line["logprobs"] = HOLE
    return found


def stream_parser(memo: Memo) -> StreamParser:
    """A parser of the bytes of one stream."""
    return FramedParser(JsonLines(), LineReader(memo).read, NAME)


# Writing


class OwnStream:
    """Lines of this dialect, written again as they came, with the values that the deltas have now."""

    def __init__(self, context: Context) -> None:
        self.notes: list[Note] = []
        self._model = context.model

    def render(self, event: StreamEvent) -> bytes:
        """The line of one event; a failure that no line brought is one of its own."""
        if event.frame is None:
            failures = [delta.error for delta in event.deltas if type(delta) is Failure]
            return b"".join([write_line(wire.encode(render_error(error)[1])) for error in failures])
        frame = _filled(event)
        if self._model is not None and "model" in frame:
            frame["model"] = self._model
        return write_line(wire.encode(frame))

    def close(self) -> bytes:
        """What was cut stays cut."""
        return b""


def _filled(event: StreamEvent) -> Object:
    """A copy of the line with each hole filled."""
    frame: Object = dict(event.frame)
    message = frame.get("message")
    message = dict(message) if type(message) is dict else {}
    calls: list[ToolCall] = []
    for delta in event.deltas:
        put = _HOLES.get(type(delta))
        if put is not None:
            put(delta, frame, message, calls)
    if calls:
        message["tool_calls"] = [write_call(call) for call in calls]
    if message:
        frame["message"] = message
    return frame


def _put_text(delta: TextDelta, frame: Object, message: Object, calls: list[ToolCall]) -> None:
    message["content"] = delta.text
    if delta.logprobs is not None:
        frame["logprobs"] = write_logprobs(delta.logprobs)


def _put_thinking(delta: ThinkingDelta, frame: Object, message: Object, calls: list[ToolCall]) -> None:
    message["thinking"] = delta.text


def _put_call(delta: PartStart, frame: Object, message: Object, calls: list[ToolCall]) -> None:
    if isinstance(delta.part, ToolCall):
        calls.append(delta.part)


def _put_arguments(delta: ArgumentsDelta, frame: Object, message: Object, calls: list[ToolCall]) -> None:
    if calls:
        calls[-1] = _with_arguments(calls[-1], delta.text)


def _put_stop(delta: Stop, frame: Object, message: Object, calls: list[ToolCall]) -> None:
    if delta.native is not None:
        frame["done_reason"] = delta.native


def _put_usage(delta: UsageDelta, frame: Object, message: Object, calls: list[ToolCall]) -> None:
    frame |= write_usage(delta.usage)


_HOLES: dict[type, Callable[[Any, Object, Object, list[ToolCall]], None]] = {
    TextDelta: _put_text,
    ThinkingDelta: _put_thinking,
    PartStart: _put_call,
    ArgumentsDelta: _put_arguments,
    Stop: _put_stop,
    UsageDelta: _put_usage,
}


def _with_arguments(call: ToolCall, text: str) -> ToolCall:
    if isinstance(call.arguments, str):
        return replace(call, arguments=text)
    value = wire.decode(text)
    return replace(call, arguments=value if isinstance(value, dict) else text)


def stream_renderer(context: Context) -> StreamRenderer:
    """A renderer of one stream."""
    renderer: StreamRenderer = OwnStream(context) if context.source == NAME else ForeignStream(context)
    return GuardedRenderer(renderer, NAME)
