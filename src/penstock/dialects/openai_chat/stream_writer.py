"""Writing streams of Chat Completions: own chunks by filling their frame, other dialects' events one chunk a delta.

The head of a chunk is the same for a whole stream, so it is encoded once. Usage goes out in a last
chunk with empty `choices`, as `stream_options.include_usage` asks for
(https://platform.openai.com/docs/api-reference/chat-streaming), then `[DONE]`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.dialect import Context
from penstock.dialects.framing import TRANSPORT, write_event
from penstock.dialects.leftovers import leftovers
from penstock.dialects.openai_chat.citations import write_citation
from penstock.dialects.openai_chat.errors import render_error
from penstock.dialects.openai_chat.foreign_response import adapt_citation, as_json
from penstock.dialects.openai_chat.messages import write_answer
from penstock.dialects.openai_chat.response import STOP_WORDS, note_stop, write_usage
from penstock.dialects.openai_chat.stream import fill_frame
from penstock.dialects.openai_chat.thinking import visible_text, write_block
from penstock.dialects.openai_tiers import adapt_tier
from penstock.dialects.token_logprobs import completed, write_logprobs
from penstock.dialects.tool_ids import call_id
from penstock.types.content import (
    Json,
    Media,
    Opaque,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Text,
    Thinking,
    ToolCall,
)
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

Body: TypeAlias = dict[str, Any]
"""What one chunk says besides its head (`id`, `object`, `created`, `model`)."""


class ChunkWriter:
    """From events to chunks: `chunks` gives them as objects, `render` as bytes. `notes` holds what they could not
    say.
    """

    def __init__(self, context: Context) -> None:
        self.notes: list[Note] = []
        self.head: dict[str, Any] = {}
        self._context = context
        self._own = context.source == NAME
        self._encoded_head = b""
        self._usage: Usage | None = None
        self._calls: dict[tuple[int, int], int] = {}
        self._counts: dict[int, int] = {}
        self._server_parts: dict[tuple[int, int], ServerToolCall | ServerToolResult | Opaque] = {}
        self._silent: set[tuple[int, int]] = set()
        self._thoughts: dict[tuple[int, int], Thinking] = {}
        self._unproven: dict[tuple[int, int], Thinking] = {}
        self._stopped: set[int] = set()
        self._ended = False

    def render(self, event: StreamEvent) -> bytes:
        """The frames of one event."""
        if self._own:
            return self._render_own(event)
        found = b"".join([self._frame(body) for body in self.bodies(event)])
        return found + DONE if event.deltas and type(event.deltas[-1]) is End else found

    def close(self) -> bytes:
        """Finish a stream whose events ended without `End`."""
        if self._ended:
            return b""
        if self._own:
            return DONE
        return b"".join([self._frame(body) for body in self._end(End())]) + DONE

    def chunks(self, event: StreamEvent) -> list[dict[str, Any]]:
        """The chunks of one event as objects, for callers in the same process. The end mark is none."""
        if not self._own:
            return [{**self.head, **body} if "error" not in body else body for body in self.bodies(event)]
        return [fill_frame(event)] if type(event.frame) is dict else []

    def bodies(self, event: StreamEvent) -> list[Body]:
        """What the chunks of a foreign event say; `head` is known once there is one."""
        deltas = event.deltas
        if len(deltas) == 1:
            return _WRITERS[type(deltas[0])](self, deltas[0])
        return [body for delta in deltas for body in _WRITERS[type(delta)](self, delta)]

    def _frame(self, body: Body) -> bytes:
        if "error" in body:
            return b"data: " + wire.encode(body) + b"\n\n"
        return b"%b,%b\n\n" % (self._encoded_head, wire.encode(body)[1:])

    def _render_own(self, event: StreamEvent) -> bytes:
        transport = (event.extras or {}).get(TRANSPORT)
        if event.deltas and type(event.deltas[-1]) is End:
            self._ended = True
            return write_event(b"[DONE]" if event.frame is None else event.frame.encode(), event.name, transport)
        if event.deltas and type(event.deltas[-1]) is Failure:
            self._ended = True
            if type(event.frame) is str:
                return write_event(event.frame.encode(), event.name, transport)
        if event.frame is None:
            said = [body for delta in event.deltas if type(delta) is Failure for body in self._failure(delta)]
            return b"".join(map(self._frame, said)) or write_event(b"", event.name, transport)
        chunk = fill_frame(event)
        if self._context.model is not None and type(chunk) is dict and "model" in chunk:
            chunk["model"] = self._context.model
        if event.name is None and transport is None:
            return b"data: " + wire.encode(chunk) + b"\n\n"
        return write_event(wire.encode(chunk), event.name, transport)

    def _start(self, delta: Start) -> list[Body]:
        if self.head:
            return []
        context = self._context
        self.head = {
            "id": delta.id or context.id,
            "object": "chat.completion.chunk",
            "created": int(delta.created or context.created),
            "model": context.model or delta.model or "",
        }
        tier = adapt_tier(delta.service_tier, self.notes)
        if tier is not None:
            self.head["service_tier"] = tier
        self._encoded_head = b"data: " + wire.encode(self.head)[:-1]
        return self._chunk({"role": "assistant", "content": ""}, 0)

    def _begun(self) -> list[Body]:
        """The first chunk, if it has not been written."""
        return [] if self.head else self._start(Start())

    def _chunk(self, delta: dict[str, Any], choice: int, logprobs: Any = None) -> list[Body]:
        found: dict[str, Any] = {"index": choice, "delta": delta, "finish_reason": None}
        if logprobs is not None:
            found["logprobs"] = logprobs
        body = {"choices": [found]}
        return [body] if self.head else [*self._begun(), body]

    def _text(self, delta: TextDelta) -> list[Body]:
        logprobs = None
        if delta.logprobs is not None:
            logprobs = {"content": write_logprobs(completed(delta.logprobs)), "refusal": None}
        return self._chunk({"content": delta.text}, delta.choice, logprobs)

    def _thinking(self, delta: ThinkingDelta | SummaryDelta) -> list[Body]:
        said: Body = {"reasoning_content": delta.text}
        key = delta.choice, delta.index
        if key in self._thoughts:
            said["thinking_blocks"] = [{"type": "thinking", "thinking": delta.text, **self._named(key)}]
        if key in self._unproven:
            self._unproven[key] = replace(self._unproven[key], redacted=False)
        return self._chunk(said, delta.choice)

    def _refusal(self, delta: RefusalDelta) -> list[Body]:
        return self._chunk({"refusal": delta.text}, delta.choice)

    def _signature(self, delta: SignatureDelta) -> list[Body]:
        number = self._calls.get((delta.choice, delta.index))
        if number is None:
            key = delta.choice, delta.index
            self._unproven.pop(key, None)
            block = {**write_block(Thinking(signature=delta.signature)), **self._named(key)}
            return self._chunk({"thinking_blocks": [block]}, delta.choice)
        call = {"index": number, "provider_specific_fields": {"thought_signature": delta.signature.value}}
        return self._chunk({"tool_calls": [call]}, delta.choice)

    def _arguments(self, delta: ArgumentsDelta) -> list[Body]:
        key = (delta.choice, delta.index)
        if key in self._silent:
            return []
        whole = self._server_parts.get(key)
        if whole is not None:
            if isinstance(whole, ServerToolCall) and isinstance(whole.arguments, str | None):
                self._server_parts[key] = replace(whole, arguments=(whole.arguments or "") + delta.text)
            return []
        begun: list[Body] = []
        if key not in self._calls:
            begun = self._part_start(PartStart(delta.index, ToolCall(None, "", ""), delta.choice))
        call = {"index": self._calls[key], "function": {"arguments": delta.text}}
        return [*begun, *self._chunk({"tool_calls": [call]}, delta.choice)]

    def _citation(self, delta: CitationDelta) -> list[Body]:
        return self._chunk({"annotations": [write_citation(adapt_citation(delta.citation, 0, 0))]}, delta.choice)

    def _media(self, delta: MediaDelta) -> list[Body]:
        pieces = {"data": delta.data, "transcript": delta.transcript}
        return self._chunk({"audio": {key: piece for key, piece in pieces.items() if piece}}, delta.choice)

    def _part_start(self, delta: PartStart) -> list[Body]:
        part = delta.part
        if isinstance(part, ToolCall):
            return self._begin_call(delta, part)
        if isinstance(part, Text | Refusal):
            key = "content" if isinstance(part, Text) else "refusal"
            return self._chunk({key: part.text}, delta.choice) if part.text else []
        if isinstance(part, Thinking):
            return self._begin_thinking(delta, part)
        if isinstance(part, Media):
            return self._begin_media(delta, part)
        if isinstance(part, ServerToolCall | ServerToolResult | Opaque):
            self._server_parts[delta.choice, delta.index] = part
            return []
        if isinstance(part, Json):
            return self._chunk({"content": wire.encode(part.value).decode()}, delta.choice)
        self._silent.add((delta.choice, delta.index))
        self._note(delta, f"a chunk has no place for {type(part).__name__}")
        return []

    def _begin_call(self, delta: PartStart, part: ToolCall) -> list[Body]:
        number = self._counts.get(delta.choice, 0)
        self._counts[delta.choice] = number + 1
        self._calls[delta.choice, delta.index] = number
        arguments = part.arguments
        if not isinstance(arguments, str):
            arguments = wire.encode(arguments).decode() if arguments else ""
        key, input_key = ("custom", "input") if part.custom else ("function", "arguments")
        call: dict[str, Any] = {
            "index": number,
            "id": part.call_id or call_id(self.head.get("id", self._context.id), delta.index, delta.choice),
            "type": key,
            key: {"name": part.name, input_key: arguments},
        }
        if part.signature is not None:
            call["provider_specific_fields"] = {"thought_signature": part.signature.value}
        return self._chunk({"tool_calls": [call]}, delta.choice)

    def _begin_thinking(self, delta: PartStart, part: Thinking) -> list[Body]:
        """Thoughts that will be signed are said twice, as in LiteLLM's chunks: for those who read the text, and as the
        pieces of a block for those who send it back. The proof comes last, once, whenever it was known.
        """
        text, key = visible_text(part), (delta.choice, delta.index)
        if part.signature is not None:
            self._thoughts[key] = part
            if part.signature.value or part.redacted:
                self._unproven[key] = part
        return self._thinking(ThinkingDelta(delta.index, text, delta.choice)) if text else []

    def _prove(self, key: tuple[int, int]) -> list[Body]:
        """The block with the proof of thoughts that have none yet."""
        part = self._unproven.pop(key, None)
        if part is None:
            return []
        block = {**write_block(Thinking(signature=part.signature, redacted=part.redacted)), **self._named(key)}
        return self._chunk({"thinking_blocks": [block]}, key[0])

    def _named(self, key: tuple[int, int]) -> Body:
        """The id of these thoughts, on the first piece of their block."""
        part = self._thoughts.get(key)
        if part is None or part.id is None:
            return {}
        self._thoughts[key] = replace(part, id=None)
        return {"id": part.id}

    def _begin_media(self, delta: PartStart, part: Media) -> list[Body]:
        if part.source is None and part.id is None:
            return []
        try:
            return self._chunk(write_answer((part,), None), delta.choice)
        except MalformedError as error:
            self._note(delta, error.message)
            return []

    def _part_end(self, delta: PartEnd) -> list[Body]:
        key = delta.choice, delta.index
        begun = self._server_parts.get(key)
        if begun is not None and type(delta.part) is type(begun):
            self._server_parts[key] = delta.part
        return [*self._show(key), *self._prove(key)]

    def _show(self, key: tuple[int, int]) -> list[Body]:
        """What the provider ran itself, once it is whole, as in a whole answer."""
        part = self._server_parts.pop(key, None)
        if part is None:
            return []
        for note in leftovers(f"choices[{key[0]}].parts[{key[1]}]", part.extras):
            if note not in self.notes:
                self.notes.append(note)
        return self._chunk({"provider_specific_fields": {"server_parts": [as_json(part)]}}, key[0])

    def _stop(self, delta: Stop) -> list[Body]:
        self._stopped.add(delta.choice)
        word = STOP_WORDS.get(delta.reason or "stop", "stop")
        note_stop(delta.reason, delta.choice, self.notes)
        choice: dict[str, Any] = {"index": delta.choice, "delta": {}, "finish_reason": word}
        if delta.native is not None and delta.native != word:
            choice["native_finish_reason"] = delta.native
        proofs = [body for key in list(self._unproven) if key[0] == delta.choice for body in self._prove(key)]
        proofs += [body for key in list(self._server_parts) if key[0] == delta.choice for body in self._show(key)]
        return [*proofs, *self._begun(), {"choices": [choice]}]

    def _add_usage(self, delta: UsageDelta) -> list[Body]:
        self._usage = delta.usage if self._usage is None else self._usage.merged(delta.usage)
        return []

    def _snapshot(self, delta: Snapshot) -> list[Body]:
        """A whole response so far: at the start it names the stream, at the end it brings usage and the reason to
        stop.
        """
        response = delta.response
        begun = self._start(Start(response.id, response.model, response.created, response.service_tier))
        if not delta.final:
            return begun
        if response.usage is not None:
            self._add_usage(UsageDelta(response.usage))
        unstopped = [choice for choice in response.choices if choice.index not in self._stopped]
        stops = [Stop(choice.stop_reason, choice.stop_native, choice=choice.index) for choice in unstopped]
        return [*begun, *(body for stop in stops for body in self._stop(stop))]

    def _failure(self, delta: Failure) -> list[Body]:
        self._ended = True
        return [render_error(delta.error)[1]]

    def _end(self, delta: End) -> list[Body]:
        if self._ended:
            return []
        self._ended = True
        begun = self._begun()
        if self._usage is None or not self._context.stream_usage:
            return begun
        return [*begun, {"choices": [], "usage": write_usage(self._usage, True)}]

    def _note(self, delta: PartStart, detail: str) -> None:
        note = Note(f"choices[{delta.choice}].parts[{delta.index}]", "dropped", detail)
        if note not in self.notes:
            self.notes.append(note)


_WRITERS: dict[type, Callable[[ChunkWriter, Any], list[Body]]] = {
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
