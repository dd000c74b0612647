"""Reading streams: message-start, content-start/-delta/-end, tool-plan-delta, tool-call-start/-delta/-end,
citation-start/-end, message-end, debug; some hosts add `[DONE]`.

The decoded frame stays with its event (`StreamEvent.frame`) with a HOLE where a delta holds the value, for
stream_writer.py to fill again. `content` and `tool_calls` are numbered each for itself on the wire, and the plan not at
all; here all parts are numbered as they appear. An event name that differs from the frame's `type` is kept in
`StreamEvent.name` ("" where there was none).

Source: https://docs.cohere.com/docs/streaming, https://docs.cohere.com/docs/tool-use-streaming
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from penstock.dialects import constants, wire
from penstock.dialects.cohere_chat.citations import NOWHERE, read_citation, target_of
from penstock.dialects.cohere_chat.errors import error_of
from penstock.dialects.cohere_chat.logprobs import read_piece
from penstock.dialects.cohere_chat.messages import LISTED, read_block, read_call
from penstock.dialects.cohere_chat.names import NAME, PLAN
from penstock.dialects.cohere_chat.stops import stop_reason
from penstock.dialects.cohere_chat.usage import read_usage
from penstock.dialects.dialect import StreamParser
from penstock.dialects.framing import Frame, FramedParser, ServerSentEvents
from penstock.dialects.tool_memo import free_form, recall
from penstock.types.content import Part, Text, Thinking, ToolCall
from penstock.types.errors import DialectError, MalformedError
from penstock.types.notes import Memo
from penstock.types.stream import (
    HOLE,
    ArgumentsDelta,
    CitationDelta,
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
Deltas = tuple[Delta, ...]

DONE = "[DONE]"
"""What some hosts send at the end, as OpenAI does. `StreamEvent.frame` is this string."""

_BLANK: Object = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
"""The message of a `message-start`."""


_EMPTY_PARTS: dict[Any, Part] = {"text": Text(""), "thinking": Thinking()}


class FrameReader:
    """From frames to events. It knows which parts have begun."""

    def __init__(self, memo: Memo) -> None:
        self._memo = memo
        self._parts: list[Part] = []
        self._blocks: dict[Any, int] = {}
        self._calls: dict[Any, int] = {}
        self._plan: int | None = None
        self._stands_for_json: set[int] = set()
        self._free_form: dict[int, list[str]] = {}
        self._message: Object | None = None

    def read(self, frame: Frame) -> StreamEvent:
        """One frame. Raises MalformedError where it is none of this dialect."""
        if frame.data == b"[DONE]":
            return StreamEvent((), frame.event, None, DONE)
        event = wire.obj(wire.decode(frame.data))
        kind = event.get("type", frame.event)
        name = None if frame.event == event.get("type") else frame.event or ""
        read = _READERS.get(kind) if type(kind) is str else None
        if read is None:
            return self._read_unknown(event, name)
        return StreamEvent(read(self, event), name, None, event)

    def _read_unknown(self, event: Object, name: str | None) -> StreamEvent:
        """A frame of a type that we do not know; or of none, with an error in it, as hosts in front send it."""
        if "type" not in event and ("message" in event or "error" in event):
            return StreamEvent((Failure(error_of(200, {}, dict(event))),), name, None, event)
        extras = {key: value for key, value in event.items() if key != "type"}
        return StreamEvent((), name, extras or None, event)

    def _begin(self, part: Part) -> int:
        self._parts.append(part)
        return len(self._parts) - 1

    def _message_start(self, event: Object) -> Deltas:
        delta = event.get("delta")
        message = delta.get("message") if isinstance(delta, dict) else None
        self._message = message if isinstance(message, dict) else None
        name = event.get("id")
        if isinstance(name, str):
            event["id"] = HOLE
            return (Start(name),)
        return (Start(),)

    def _content_start(self, event: Object) -> Deltas:
        message = _message_in(event)
        content = message.get("content")
        part = self._first_of(content)
        if part is None:
            part = _read_start(content)
            message["content"] = HOLE
        index = self._blocks[_number(event)] = self._begin(part)
        return (PartStart(index, part),)

    def _first_of(self, content: Any) -> Part | None:
        """The part of a start that says no more than what will come; None: it says more."""
        if content is None:
            return Text("")
        if type(content) is not dict or len(content) != 1:
            return None
        kind = content.get("type")
        return _EMPTY_PARTS.get(kind) if type(kind) is str else None

    def _content_delta(self, event: Object) -> Deltas:
        content = _message_in(event).get("content")
        if type(content) is not dict:
            raise MalformedError(f"expected an object, got {wire.describe(content)}", "delta.message.content")
        text = content.get("text")
        if type(text) is str:
            index = self._block(event, Text)
            content["text"] = HOLE
            return (TextDelta(index, text, 0, _logprobs(event)),)
        text = content.get("thinking")
        if type(text) is not str:
            return ()
        index = self._block(event, Thinking)
        content["thinking"] = HOLE
        return (ThinkingDelta(index, text),)

    def _block(self, event: Object, kind: type) -> int:
        """The part that a delta is of. It begins now if it had not, or if a part of another kind had its number."""
        number = _number(event)
        index = self._blocks.get(number)
        if index is None or type(self._parts[index]) is not kind:
            index = self._blocks[number] = self._begin(Text("") if kind is Text else Thinking())
        return index

    def _content_end(self, event: Object) -> Deltas:
        index = self._blocks.get(_number(event))
        return () if index is None else (PartEnd(index),)

    def _tool_plan(self, event: Object) -> Deltas:
        message = _message_in(event)
        text = message.get("tool_plan")
        if type(text) is not str:
            raise MalformedError(f"expected a string, got {wire.describe(text)}", "delta.message.tool_plan")
        message["tool_plan"] = HOLE
        aside = self._memo.json_tool is not None
        begun = self._plan is None
        if self._plan is None:
            self._plan = self._begin(Thinking() if aside else Text("", native=PLAN))
        index = self._plan
        more = ThinkingDelta(index, text) if aside else TextDelta(index, text)
        return (PartStart(index, self._parts[index]), more) if begun else (more,)

    def _call_start(self, event: Object) -> Deltas:
        message = _message_in(event)
        try:
            call = read_call(message.get("tool_calls"))
        except DialectError as error:
            raise error.at("delta.message.tool_calls") from None
        message["tool_calls"] = HOLE
        part = recall(call, self._memo)
        index = self._calls[_number(event)] = self._begin(part)
        if type(part) is Text:
            self._stands_for_json.add(index)
        elif isinstance(part, ToolCall) and part.custom:
            self._free_form[index] = [wire.as_text(call.arguments)]
            part = replace(part, arguments="")
        return (PartStart(index, part),)

    def _call_delta(self, event: Object) -> Deltas:
        call = _message_in(event).get("tool_calls")
        function = call.get("function") if type(call) is dict else None
        if type(function) is not dict:
            raise MalformedError(
                f"expected an object, got {wire.describe(function)}", "delta.message.tool_calls.function"
            )
        text = function.get("arguments")
        if type(text) is not str:
            return ()
        function["arguments"] = HOLE
        number = _number(event)
        index = self._calls.get(number)
        if index is None:
            index = self._calls[number] = self._begin(ToolCall(None, "", ""))
        if index in self._free_form:
            self._free_form[index].append(text)
            return ()
        return (TextDelta(index, text),) if index in self._stands_for_json else (ArgumentsDelta(index, text),)

    def _call_end(self, event: Object) -> Deltas:
        index = self._calls.get(_number(event))
        if index is None:
            return ()
        pieces = self._free_form.pop(index, None)
        return (PartEnd(index),) if pieces is None else (_free_input(index, pieces), PartEnd(index))

    def _citation_start(self, event: Object) -> Deltas:
        message = _message_in(event)
        value = message.get("citations")
        try:
            citation = read_citation(value)
        except DialectError as error:
            raise error.at("delta.message.citations") from None
        target = self._target(value)
        if target == NOWHERE:
            return ()
        message["citations"] = HOLE
        return (CitationDelta(target, citation),)

    def _target(self, citation: Any) -> int:
        """The part that a citation is of. `content_index` is the wire's number."""
        number = citation.get("content_index")
        if citation.get("type") != "PLAN" and type(number) is int:
            index = self._blocks.get(number, NOWHERE)
            return index if index != NOWHERE and type(self._parts[index]) is Text else NOWHERE
        content = [self._parts[index] for index in sorted(self._blocks.values())]
        plan = [] if self._plan is None else [self._parts[self._plan]]
        found = target_of(citation, [*content, *plan], len(content))
        if found == NOWHERE:
            return NOWHERE
        return sorted(self._blocks.values())[found] if found < len(content) else self._plan or 0

    def _nothing(self, event: Object) -> Deltas:
        return ()

    def _message_end(self, event: Object) -> Deltas:
        delta = event.get("delta")
        if delta is None:
            return (*self._unfinished(), End())
        if type(delta) is not dict:
            raise MalformedError(f"expected an object, got {wire.describe(delta)}", "delta")
        usage = self._read_usage(delta)
        error = delta.get("error")
        if isinstance(error, str) and error:
            return (*usage, Failure(error_of(200, {}, {"message": error})))
        return (*self._unfinished(), *self._read_stop(delta), *usage, End())

    def _read_stop(self, delta: Object) -> Deltas:
        native = delta.get("finish_reason")
        if native is None:
            return ()
        if type(native) is not str:
            raise MalformedError(f"expected a string, got {wire.describe(native)}", "delta.finish_reason")
        delta["finish_reason"] = HOLE
        called = any(type(part) is ToolCall for part in self._parts)
        return (Stop(stop_reason(native, called, self._memo), native, extras=self._message_extras()),)

    def _message_extras(self) -> Object | None:
        """What a whole answer has in the extras of its choice."""
        if self._message is None:
            return {"message": {constants.ABSENT: ["role"]}}
        left = {key: value for key, value in self._message.items() if _BLANK.get(key, HOLE) != value}
        if "role" not in self._message:
            left[constants.ABSENT] = ["role"]
        return {"message": left} if left else None

    def _read_usage(self, delta: Object) -> Deltas:
        if delta.get("usage") is None:
            return ()
        try:
            usage = read_usage(delta["usage"])
        except DialectError as error:
            raise error.at("delta.usage") from None
        delta["usage"] = HOLE
        return (UsageDelta(usage),)

    def _unfinished(self) -> Deltas:
        """Free-form inputs whose end was not told."""
        found = tuple(_free_input(index, pieces) for index, pieces in self._free_form.items())
        self._free_form.clear()
        return found


def _read_start(content: Any) -> Part:
    try:
        part = read_block(content)
    except DialectError as error:
        raise error.at("delta.message.content") from None
    return replace(part, native=None) if type(part) is Text and part.native == LISTED else part


def _free_input(index: int, pieces: list[str]) -> Delta:
    return ArgumentsDelta(index, free_form("".join(pieces)))


def _number(event: Object) -> Any:
    """The wire's number of a block or call; hosts that leave it out have one."""
    number = event.get("index", 0)
    if type(number) is not int:
        raise MalformedError(f"expected an integer, got {wire.describe(number)}", "index")
    return number


def _message_in(event: Object) -> Object:
    delta = event.get("delta")
    if type(delta) is not dict:
        raise MalformedError(f"expected an object, got {wire.describe(delta)}", "delta")
    message = delta.get("message")
    if type(message) is not dict:
        raise MalformedError(f"expected an object, got {wire.describe(message)}", "delta.message")
    return message


def _logprobs(event: Object) -> Any:
    """The tokens of a piece of text; there is a hole then."""
    piece = event.get("logprobs")
    if piece is None:
        return None
    try:
        found = read_piece(piece)
    except DialectError as error:
        raise error.at("logprobs") from None
    event["logprobs"] = HOLE
    return found


_READERS: dict[str, Callable[[FrameReader, Object], Deltas]] = {
    "message-start": FrameReader._message_start,
    "content-start": FrameReader._content_start,
    "content-delta": FrameReader._content_delta,
    "content-end": FrameReader._content_end,
    "tool-plan-delta": FrameReader._tool_plan,
    "tool-call-start": FrameReader._call_start,
    "tool-call-delta": FrameReader._call_delta,
    "tool-call-end": FrameReader._call_end,
    "citation-start": FrameReader._citation_start,
    "citation-end": FrameReader._nothing,
    "message-end": FrameReader._message_end,
}


def stream_parser(memo: Memo) -> StreamParser:
    """A parser of the bytes of one stream."""
    return FramedParser(ServerSentEvents(), FrameReader(memo).read, NAME)
