"""Streams of Responses, read: `event: <type>` and `data: {"type": <type>, "sequence_number": ..., ...}`, one typed
event a frame.

The decoded frame stays with its event (`StreamEvent.frame`), with a HOLE in the place of each value that a delta holds;
`stream_writer.py` fills it again. Which delta holds it, the frame's type says: HOLES is that table.

The wire numbers items (`output_index`) and the contents of a message (`content_index`); the representation numbers
parts in order of appearance. A part begins with its first content event, reasoning and calls that stream begin with
their item; an item that comes whole begins and ends when it is done. When a part ends, whatever its deltas did not
bring (hosts leave some out) is caught up, so that readers of deltas miss nothing.

Source: https://platform.openai.com/docs/api-reference/responses-streaming.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.dialect import StreamParser
from penstock.dialects.framing import Frame, FramedParser, ServerSentEvents
from penstock.dialects.openai_errors import says_error
from penstock.dialects.openai_responses.content import read_answer_part, read_citation
from penstock.dialects.openai_responses.errors import error_of, error_of_words
from penstock.dialects.openai_responses.items import read_answer_item
from penstock.dialects.openai_responses.messages import begin_message, read_envelope, read_output_item
from penstock.dialects.openai_responses.reasoning import MORE
from penstock.dialects.openai_responses.response import read_snapshot, rename_calls
from penstock.dialects.token_logprobs import logprobs_or_none
from penstock.types.content import Part, Refusal, ServerToolCall, Text, Thinking, ToolCall
from penstock.types.errors import DialectError, MalformedError
from penstock.types.notes import Memo
from penstock.types.response import Choice, Response
from penstock.types.stream import (
    HOLE,
    ArgumentsDelta,
    CitationDelta,
    Delta,
    End,
    Failure,
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

NAME = "openai_responses"
DONE = "[DONE]"
"""The frame of the end marker that some compatible hosts send after the last event."""
ERROR = "(error)"
"""The key of a frame's hole for an error, whose fields lie flat in the frame or under `error`."""

Body = dict[str, Any]
Deltas = tuple[Delta, ...]

_STREAMED = frozenset({"reasoning", "function_call", "custom_tool_call", "mcp_call"})
"""Types of items whose part begins with `response.output_item.added`. Every other item is known only when it is done.
"""
_FINAL = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})


class _Slot:
    """A part of the stream: its index, and what of it has been said in deltas."""

    __slots__ = ("citations", "ended", "index", "streamed")

    def __init__(self, index: int) -> None:
        self.index = index
        self.streamed = False
        self.citations = 0
        self.ended = False


class EventReader:
    """From frames to events."""

    def __init__(self, memo: Memo) -> None:
        self._memo = memo
        self._slots: dict[tuple[Any, Any], _Slot] = {}
        self._messages: dict[Any, Body] = {}
        self._started = False
        self._ended = False
        self._called = False

    def read(self, frame: Frame) -> StreamEvent:
        """One frame. Raises MalformedError where it is not an event."""
        if frame.data == b"[DONE]":
            return StreamEvent(() if self._ended else (End(),), frame.event, None, DONE)
        try:
            body = wire.decode(frame.data)
        except MalformedError:
            return _read_words(frame)
        if type(body) is not dict:
            return _read_other(body, frame)
        kind = body.get("type")
        read = _READERS.get(kind) if isinstance(kind, str) else None
        if read is not None:
            return StreamEvent(read(self, body), frame.event, None, body)
        if kind == "error" or isinstance(body.get("error"), dict) or (type(kind) is not str and says_error(body)):
            return self._read_error(body, frame.event)
        extras = None if type(kind) is str and kind in _SILENT else {str(kind): body}
        return StreamEvent((), frame.event, extras, body)

    def _read_error(self, body: Body, name: str | None) -> StreamEvent:
        head = {key: body.pop(key) for key in ("type", "sequence_number") if key in body}
        return StreamEvent((Failure(error_of(200, {}, body)),), name, None, {**head, ERROR: HOLE})

    # Slots

    def _slot(self, key: tuple[Any, Any]) -> _Slot:
        """The part at (output_index, content_index); it begins now if it had not."""
        slot = self._slots.get(key)
        if slot is None:
            if type(key[0]) is not int or type(key[1]) is not int:
                raise MalformedError("expected output_index and content_index to be integers")
            slot = self._slots[key] = _Slot(len(self._slots))
        return slot

    # Deltas

    def _text(self, body: Body) -> Deltas:
        slot = self._slots.get((body.get("output_index", 0), body.get("content_index", 0)))
        if slot is None:
            slot = self._slot((body.get("output_index", 0), body.get("content_index", 0)))
        text, logprobs = body.get("delta"), body.get("logprobs")
        if type(text) is not str:
            text = wire.string(text)
        body["delta"] = HOLE
        if logprobs is not None:
            logprobs = logprobs_or_none(logprobs)
            if logprobs is not None:
                body["logprobs"] = HOLE
        slot.streamed = True
        return (TextDelta(slot.index, text, 0, logprobs),)

    def _refusal(self, body: Body) -> Deltas:
        slot = self._slot((body.get("output_index", 0), body.get("content_index", 0)))
        return (RefusalDelta(slot.index, _piece(slot, body)),)

    def _thinking(self, body: Body) -> Deltas:
        slot = self._slot((body.get("output_index", 0), body.get("content_index", 0)))
        return (ThinkingDelta(slot.index, _piece(slot, body)),)

    def _summary(self, body: Body) -> Deltas:
        slot = self._slot((body.get("output_index", 0), 0))
        paragraph = body.get("summary_index", 0)
        return (SummaryDelta(slot.index, _piece(slot, body), wire.integer(paragraph)),)

    def _arguments(self, body: Body) -> Deltas:
        slot = self._slot((body.get("output_index", 0), 0))
        return (ArgumentsDelta(slot.index, _piece(slot, body)),)

    def _annotation(self, body: Body) -> Deltas:
        annotation = body.get("annotation")
        if not isinstance(annotation, dict):
            return ()
        slot = self._slot((body.get("output_index", 0), body.get("content_index", 0)))
        slot.citations += 1
        body["annotation"] = HOLE
        return (CitationDelta(slot.index, read_citation(annotation)),)

    # Contents of messages and of reasoning

    def _content_added(self, body: Body) -> Deltas:
        part, key = body.get("part"), (body.get("output_index", 0), body.get("content_index", 0))
        if not isinstance(part, dict) or key in self._slots:
            return ()
        slot = self._slot(key)
        if part.get("type") == "reasoning_text":
            return (PartStart(slot.index, Thinking("", native=MORE)),)
        body["part"] = HOLE
        begun = self._content(part, key, "in_progress")
        slot.streamed = bool(getattr(begun, "text", ""))
        return (PartStart(slot.index, begun),)

    def _content_done(self, body: Body) -> Deltas:
        part, key = body.get("part"), (body.get("output_index", 0), body.get("content_index", 0))
        if not isinstance(part, dict) or part.get("type") == "reasoning_text":
            return ()
        known = key in self._slots
        slot = self._slot(key)
        if slot.ended:
            return ()
        body["part"] = HOLE
        return tuple(_ending(slot, self._content(part, key, "completed"), known))

    def _content(self, value: Body, key: tuple[Any, Any], status: str) -> Part:
        """A content part, with what its message item said. How the item ends is not said yet: as its content does."""
        part = read_answer_part(value, "output_text")
        item = self._messages.get(key[0])
        if item is None:
            return part
        item_id, extras = read_envelope({**item, "status": status} if "status" in item else item)
        return begin_message((part,), item_id, extras)[0] if key[1] == 0 else replace(part, id=item_id)

    # Items

    def _item_added(self, body: Body) -> Deltas:
        item, output_index = body.get("item"), body.get("output_index", 0)
        if not isinstance(item, dict):
            return ()
        kind = item.get("type")
        if kind == "message":
            self._messages[output_index] = item
            return ()
        if kind not in _STREAMED:
            self._slot((output_index, 0))
            return ()
        body["item"] = HOLE
        deltas: list[Delta] = []
        for number, part in enumerate(self._parts(item)):
            slot = self._slot((output_index, number))
            slot.streamed = bool(_said(part))
            deltas.append(PartStart(slot.index, part))
        return tuple(deltas)

    def _item_done(self, body: Body) -> Deltas:
        item, output_index = body.get("item"), body.get("output_index", 0)
        if not isinstance(item, dict):
            return ()
        if item.get("type") == "message":
            return self._message_done(body, item, output_index)
        parts = self._parts(item)
        keys = [(output_index, number) for number in range(len(parts))]
        if any(key in self._slots and self._slots[key].ended for key in keys):
            return ()
        body["item"] = HOLE
        streamed = item.get("type") in _STREAMED
        deltas: list[Delta] = []
        for key, part in zip(keys, parts, strict=True):
            known = streamed and key in self._slots
            deltas += _ending(self._slot(key), part, known)
        return tuple(deltas)

    def _message_done(self, body: Body, item: Body, output_index: Any) -> Deltas:
        """Usually its contents have ended before. Where none has, this is their end; where some have, the rest just
        ends.
        """
        content = item.get("content")
        keys = [(output_index, number) for number in range(len(content) if isinstance(content, list) else 0)]
        open_keys = [key for key in keys if key not in self._slots or not self._slots[key].ended]
        deltas: list[Delta] = []
        if open_keys != keys or not keys:
            for slot in [self._slots[key] for key in open_keys if key in self._slots]:
                slot.ended = True
                deltas.append(PartEnd(slot.index))
            return tuple(deltas)
        body["item"] = HOLE
        for key, part in zip(keys, read_output_item(item), strict=True):
            known = key in self._slots
            deltas += _ending(self._slot(key), part, known)
        return tuple(deltas)

    def _parts(self, item: Body) -> tuple[Part, ...]:
        parts = rename_calls(read_answer_item(item), self._memo)
        self._called = self._called or any(type(part) is ToolCall for part in parts)
        return parts

    # The response as a whole

    def _lifecycle(self, body: Body) -> Deltas:
        value = body.get("response")
        if not isinstance(value, dict):
            return ()
        try:
            response = read_snapshot(value, self._memo)
        except DialectError as error:
            raise error.at("response") from None
        body["response"] = HOLE
        deltas: list[Delta] = []
        if not self._started:
            self._started = True
            deltas.append(Start(response.id, response.model, response.created, response.service_tier))
        if body["type"] in _FINAL:
            self._finish(response, value, deltas)
        else:
            deltas.append(Snapshot(response))
        return tuple(deltas)

    def _finish(self, response: Response, value: Body, deltas: list[Delta]) -> None:
        """The last event: the whole answer, and for readers of deltas what it means."""
        response = self._with_calls(response)
        choice = response.choices[0] if response.choices else Choice()
        if not self._slots:
            for number, part in enumerate(choice.parts):
                deltas += _ending(self._slot((number, 0)), part, False)
        deltas.append(Snapshot(response, final=True))
        deltas.append(Stop(choice.stop_reason, choice.stop_native))
        if response.usage is not None:
            deltas.append(UsageDelta(response.usage))
        if isinstance(value.get("error"), dict):
            deltas.append(Failure(error_of(200, {}, {"error": value["error"]})))
        self._ended = True
        deltas.append(End())

    def _with_calls(self, response: Response) -> Response:
        """Some hosts leave the output of the last event empty: whether the answer calls tools, the stream has said."""
        if not self._called or not response.choices or response.choices[0].stop_reason != "stop":
            return response
        return replace(response, choices=(replace(response.choices[0], stop_reason="tool_calls"),))


def _read_words(frame: Frame) -> StreamEvent:
    """A frame that is no JSON: the words of an error. Raises MalformedError for one that began as an event."""
    words = frame.data.decode("utf-8", "replace")
    if not words.strip() or words.lstrip()[0] in '{["' or "\ufffd" in words:
        wire.decode(frame.data)
    return StreamEvent((Failure(error_of_words(frame.data)),), frame.event, None, words)


def _read_other(value: Any, frame: Frame) -> StreamEvent:
    """JSON that is no object: a list of one error (Google's edge). Raises MalformedError for anything else."""
    if not says_error(value):
        wire.obj(value)
    return StreamEvent((Failure(error_of(200, {}, value)),), frame.event, None, value)


def _piece(slot: _Slot, body: Body) -> str:
    """The `delta` of a frame, which leaves a hole."""
    text = body.get("delta")
    if type(text) is not str:
        raise MalformedError(f"expected a string, got {wire.describe(text)}", "delta")
    body["delta"] = HOLE
    slot.streamed = True
    return text


def _said(part: Part) -> Any:
    """What of a part its deltas would bring."""
    if isinstance(part, Thinking):
        return part.text or part.summary
    if isinstance(part, ToolCall | ServerToolCall):
        return part.arguments
    return part.text if isinstance(part, Text | Refusal) else None


def _ending(slot: _Slot, part: Part, known: bool) -> Iterator[Delta]:
    """The end of a part: with all of it where it was not known before, with what was not said where it was."""
    slot.ended = True
    if not known:
        yield PartStart(slot.index, part)
        yield PartEnd(slot.index)
        return
    if not slot.streamed:
        yield from _unsaid(slot.index, part)
    if isinstance(part, Text):
        for citation in (part.citations or ())[slot.citations :]:
            yield CitationDelta(slot.index, citation)
    if isinstance(part, Thinking) and part.signature is not None:
        yield SignatureDelta(slot.index, part.signature)
    yield PartEnd(slot.index, part)


def _unsaid(index: int, part: Part) -> Iterator[Delta]:
    if isinstance(part, Text) and part.text:
        yield TextDelta(index, part.text, 0, part.logprobs)
    elif isinstance(part, Refusal) and part.text:
        yield RefusalDelta(index, part.text)
    elif isinstance(part, Thinking):
        if part.text:
            yield ThinkingDelta(index, part.text)
        for paragraph, text in enumerate(part.summary or ()):
            yield SummaryDelta(index, text, paragraph)
    elif isinstance(part, ToolCall | ServerToolCall) and isinstance(part.arguments, str) and part.arguments:
        yield ArgumentsDelta(index, part.arguments)


_READERS: dict[str, Callable[[EventReader, Body], Deltas]] = {
    "response.created": EventReader._lifecycle,
    "response.queued": EventReader._lifecycle,
    "response.in_progress": EventReader._lifecycle,
    **dict.fromkeys(_FINAL, EventReader._lifecycle),
    "response.output_item.added": EventReader._item_added,
    "response.output_item.done": EventReader._item_done,
    "response.content_part.added": EventReader._content_added,
    "response.content_part.done": EventReader._content_done,
    "response.output_text.delta": EventReader._text,
    "response.output_text.annotation.added": EventReader._annotation,
    "response.refusal.delta": EventReader._refusal,
    "response.reasoning_text.delta": EventReader._thinking,
    "response.reasoning_summary_text.delta": EventReader._summary,
    "response.function_call_arguments.delta": EventReader._arguments,
    "response.custom_tool_call_input.delta": EventReader._arguments,
    "response.mcp_call_arguments.delta": EventReader._arguments,
}

_SILENT = frozenset(
    {
        "keepalive",
        "response.output_text.done",
        "response.refusal.done",
        "response.reasoning_text.done",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_part.done",
        "response.reasoning_summary_text.done",
        "response.function_call_arguments.done",
        "response.custom_tool_call_input.done",
        "response.mcp_call_arguments.done",
        "response.mcp_call.in_progress",
        "response.mcp_call.completed",
        "response.mcp_call.failed",
        "response.mcp_list_tools.in_progress",
        "response.mcp_list_tools.completed",
        "response.mcp_list_tools.failed",
        "response.web_search_call.in_progress",
        "response.web_search_call.searching",
        "response.web_search_call.completed",
        "response.file_search_call.in_progress",
        "response.file_search_call.searching",
        "response.file_search_call.completed",
        "response.code_interpreter_call.in_progress",
        "response.code_interpreter_call.interpreting",
        "response.code_interpreter_call.completed",
        "response.code_interpreter_call_code.delta",
        "response.code_interpreter_call_code.done",
        "response.image_generation_call.in_progress",
        "response.image_generation_call.generating",
        "response.image_generation_call.partial_image",
        "response.image_generation_call.completed",
        "response.shell_call_command.added",
        "response.shell_call_command.delta",
        "response.shell_call_command.done",
        "response.shell_call_output_content.delta",
        "response.shell_call_output_content.done",
        "response.compaction.compacting",
    }
)
"""Events that repeat what deltas said, or show the progress of an item that comes whole when it is done: another
dialect loses nothing without them.
"""


def stream_parser(memo: Memo) -> StreamParser:
    """A parser of the bytes of one stream."""
    return FramedParser(ServerSentEvents(), EventReader(memo).read, NAME)
