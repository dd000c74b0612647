"""Writing streams of Chat Completions: own chunks by filling their frame, other dialects' events one chunk a delta.

The head and the tail of a chunk are the same for a whole stream, so they are encoded once. Usage goes out in a last
chunk with empty `choices`, as `stream_options.include_usage` asks for
(https://platform.openai.com/docs/api-reference/chat-streaming), then `[DONE]`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import wire
from penstock.dialects.dialect import Context
from penstock.dialects.framing import TRANSPORT, write_event
from penstock.dialects.openai_chat.errors import render_error
from penstock.dialects.openai_chat.foreign_response import adapt_citation
from penstock.dialects.openai_chat.messages import write_answer, write_citation
from penstock.dialects.openai_chat.response import STOP_WORDS, write_logprob, write_usage
from penstock.dialects.openai_chat.stream import fill_frame
from penstock.dialects.openai_chat.thinking import visible_text, write_block
from penstock.types.content import Media, Refusal, Text, Thinking, ToolCall
from penstock.types.errors import MalformedError
from penstock.types.notes import Note
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

NAME = "openai_chat"
DONE = b"data: [DONE]\n\n"


class ChunkWriter:
    """From events to bytes. `notes` holds what the chunks could not say."""

    def __init__(self, context: Context) -> None:
        self.notes: list[Note] = []
        self._context = context
        self._own = context.source == NAME
        self._head = b""
        self._tail = b""
        self._usage: Usage | None = None
        self._calls: dict[tuple[int, int], int] = {}
        self._counts: dict[int, int] = {}
        self._silent: set[tuple[int, int]] = set()
        self._stopped: set[int] = set()
        self._ended = False

    def render(self, event: StreamEvent) -> bytes:
        """The frames of one event."""
        if self._own:
            return self._render_own(event)
        return b"".join([_WRITERS[type(delta)](self, delta) for delta in event.deltas])

    def close(self) -> bytes:
        """Finish a stream whose events ended without `End`."""
        return b"" if self._ended else self._end(End())

    def _render_own(self, event: StreamEvent) -> bytes:
        transport = (event.extras or {}).get(TRANSPORT)
        if event.deltas and type(event.deltas[-1]) is End:
            self._ended = True
            return write_event(b"[DONE]", event.name, transport)
        if event.frame is None:
            return write_event(b"", event.name, transport)
        if event.name is None and transport is None:
            return b"data: " + wire.encode(fill_frame(event)) + b"\n\n"
        return write_event(wire.encode(fill_frame(event)), event.name, transport)

    def _start(self, delta: Start) -> bytes:
        if self._head:
            return b""
        context = self._context
        head = {
            "id": delta.id or context.id,
            "object": "chat.completion.chunk",
            "created": int(delta.created or context.created),
            "model": context.model or delta.model or "",
        }
        if delta.service_tier is not None:
            head["service_tier"] = delta.service_tier
        self._head = b"data: " + wire.encode(head)[:-1]
        self._tail = b',"finish_reason":null}]}\n\n'
        return self._chunk({"role": "assistant", "content": ""}, 0)

    def _chunk(self, delta: dict[str, Any], choice: int, logprobs: Any = None) -> bytes:
        begun = b"" if self._head else self._start(Start())
        extra = b"" if logprobs is None else b',"logprobs":' + wire.encode(logprobs)
        return b'%b%b,"choices":[{"index":%d,"delta":%b%b%b' % (
            begun,
            self._head,
            choice,
            wire.encode(delta),
            extra,
            self._tail,
        )

    def _text(self, delta: TextDelta) -> bytes:
        logprobs = (
            None
            if delta.logprobs is None
            else {"content": [write_logprob(entry) for entry in delta.logprobs], "refusal": None}
        )
        return self._chunk({"content": delta.text}, delta.choice, logprobs)

    def _thinking(self, delta: ThinkingDelta | SummaryDelta) -> bytes:
        return self._chunk({"reasoning_content": delta.text}, delta.choice)

    def _refusal(self, delta: RefusalDelta) -> bytes:
        return self._chunk({"refusal": delta.text}, delta.choice)

    def _signature(self, delta: SignatureDelta) -> bytes:
        if (delta.choice, delta.index) in self._calls:
            call = {
                "index": self._calls[delta.choice, delta.index],
                "provider_specific_fields": {"thought_signature": delta.signature.value},
            }
            return self._chunk({"tool_calls": [call]}, delta.choice)
        return self._chunk({"thinking_blocks": [write_block(Thinking(signature=delta.signature))]}, delta.choice)

    def _arguments(self, delta: ArgumentsDelta) -> bytes:
        key = (delta.choice, delta.index)
        if key in self._silent:
            return b""
        begun = (
            b""
            if key in self._calls
            else self._part_start(PartStart(delta.index, ToolCall(None, "", ""), delta.choice))
        )
        call = {"index": self._calls[key], "function": {"arguments": delta.text}}
        return begun + self._chunk({"tool_calls": [call]}, delta.choice)

    def _citation(self, delta: CitationDelta) -> bytes:
        annotation = write_citation(adapt_citation(delta.citation, 0, 0))
        return self._chunk({"annotations": [annotation]}, delta.choice)

    def _media(self, delta: MediaDelta) -> bytes:
        pieces = {"data": delta.data, "transcript": delta.transcript}
        return self._chunk({"audio": {key: piece for key, piece in pieces.items() if piece}}, delta.choice)

    def _part_start(self, delta: PartStart) -> bytes:
        part = delta.part
        if isinstance(part, ToolCall):
            return self._begin_call(delta, part)
        if isinstance(part, Text | Refusal):
            key = "content" if isinstance(part, Text) else "refusal"
            return self._chunk({key: part.text}, delta.choice) if part.text else b""
        if isinstance(part, Thinking):
            return self._begin_thinking(delta, part)
        if isinstance(part, Media):
            return self._begin_media(delta, part)
        self._silent.add((delta.choice, delta.index))
        self._note(f"choices[{delta.choice}].parts[{delta.index}]", f"a chunk has no place for {type(part).__name__}")
        return b""

    def _begin_call(self, delta: PartStart, part: ToolCall) -> bytes:
        number = self._counts.get(delta.choice, 0)
        self._counts[delta.choice] = number + 1
        self._calls[delta.choice, delta.index] = number
        arguments = (
            part.arguments
            if isinstance(part.arguments, str)
            else wire.encode(part.arguments).decode()
            if part.arguments
            else ""
        )
        call: dict[str, Any] = {
            "index": number,
            "id": part.call_id or f"call_{self._context.id}_{delta.choice}_{number}",
            "type": "function",
            "function": {"name": part.name, "arguments": arguments},
        }
        if part.custom:
            call |= {"type": "custom", "custom": {"name": part.name, "input": arguments}}
            del call["function"]
        if part.signature is not None:
            call["provider_specific_fields"] = {"thought_signature": part.signature.value}
        return self._chunk({"tool_calls": [call]}, delta.choice)

    def _begin_thinking(self, delta: PartStart, part: Thinking) -> bytes:
        text = visible_text(part)
        found = self._chunk({"reasoning_content": text}, delta.choice) if text else b""
        if part.signature is not None:
            found += self._chunk(
                {"thinking_blocks": [write_block(Thinking(signature=part.signature, redacted=part.redacted))]},
                delta.choice,
            )
        return found

    def _begin_media(self, delta: PartStart, part: Media) -> bytes:
        if part.source is None and part.id is None:
            return b""
        try:
            return self._chunk(write_answer((part,), None), delta.choice)
        except MalformedError as error:
            self._note(f"choices[{delta.choice}].parts[{delta.index}]", error.message)
            return b""

    def _part_end(self, delta: PartEnd) -> bytes:
        return b""

    def _stop(self, delta: Stop) -> bytes:
        begun = b"" if self._head else self._start(Start())
        self._stopped.add(delta.choice)
        choice: dict[str, Any] = {
            "index": delta.choice,
            "delta": {},
            "finish_reason": STOP_WORDS.get(delta.reason or "stop", "stop"),
        }
        if delta.native is not None and delta.native != choice["finish_reason"]:
            choice["native_finish_reason"] = delta.native
        return begun + self._head + b',"choices":' + wire.encode([choice]) + b"}\n\n"

    def _add_usage(self, delta: UsageDelta) -> bytes:
        self._usage = delta.usage if self._usage is None else self._usage.merged(delta.usage)
        return b""

    def _snapshot(self, delta: Snapshot) -> bytes:
        """A whole response so far: at the start it names the stream, at the end it brings usage and the reason to
        stop.
        """
        response = delta.response
        begun = (
            b""
            if self._head
            else self._start(Start(response.id, response.model, response.created, response.service_tier))
        )
        if not delta.final:
            return begun
        if response.usage is not None:
            self._add_usage(UsageDelta(response.usage))
        stops = [
            Stop(choice.stop_reason, choice.stop_native, choice=choice.index)
            for choice in response.choices
            if choice.index not in self._stopped
        ]
        return begun + b"".join([self._stop(stop) for stop in stops])

    def _failure(self, delta: Failure) -> bytes:
        self._ended = True
        return b"data: " + wire.encode(render_error(delta.error)[1]) + b"\n\n"

    def _end(self, delta: End) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        begun = b"" if self._head else self._start(Start())
        if self._usage is None or not self._context.stream_usage:
            return begun + DONE
        usage = wire.encode(write_usage(self._usage, True))
        return begun + self._head + b',"choices":[],"usage":' + usage + b"}\n\n" + DONE

    def _note(self, path: str, detail: str) -> None:
        note = Note(path, "dropped", detail)
        if note not in self.notes:
            self.notes.append(note)


_WRITERS: dict[type, Callable[[ChunkWriter, Any], bytes]] = {
    Start: ChunkWriter._start,
    PartStart: ChunkWriter._part_start,
    TextDelta: ChunkWriter._text,
    ThinkingDelta: ChunkWriter._thinking,
    SummaryDelta: ChunkWriter._thinking,
    SignatureDelta: ChunkWriter._signature,
    RefusalDelta: ChunkWriter._refusal,
    ArgumentsDelta: ChunkWriter._arguments,
    CitationDelta: ChunkWriter._citation,
    MediaDelta: ChunkWriter._media,
    PartEnd: ChunkWriter._part_end,
    Stop: ChunkWriter._stop,
    UsageDelta: ChunkWriter._add_usage,
    Snapshot: ChunkWriter._snapshot,
    Failure: ChunkWriter._failure,
    End: ChunkWriter._end,
}


def stream_renderer(context: Context) -> ChunkWriter:
    """A renderer of one stream."""
    return ChunkWriter(context)
