"""Other dialects' streams as one of this: a block for each part, numbered as Cohere numbers them.

A text or thought that has not ended when another part begins is ended then, as Cohere does it; should more of it come,
a new block goes on with it. Calls stay open until their end is told.
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.dialects.cohere_chat.citations import foreign_citation, write_citation
from penstock.dialects.cohere_chat.errors import render_error
from penstock.dialects.cohere_chat.foreign_response import note_citation
from penstock.dialects.cohere_chat.logprobs import write_foreign_logprobs
from penstock.dialects.cohere_chat.stops import foreign_word
from penstock.dialects.cohere_chat.usage import write_foreign_usage
from penstock.dialects.dialect import Context
from penstock.dialects.framing import write_event
from penstock.dialects.stream_translator import CALL, TEXT, Logprobs, StreamTranslator, Told
from penstock.types.content import Citation
from penstock.types.errors import ErrorResponse
from penstock.types.stream import Stop

Object = dict[str, Any]


class ForeignStream(StreamTranslator):
    """Other dialects' events as frames of this one."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._numbers: dict[int, int] = {}
        self._open_block: Told | None = None
        self._blocks = 0
        self._calls = 0
        self._citations = 0
        self._first_text: int | None = None
        self._offsets: dict[int, int] = {}

    def _write(self, kind: str, fields: Object) -> None:
        self.out(write_event(wire.encode({"type": kind, **fields}), kind))

    def _write_in(self, kind: str, number: int | None, message: Object) -> None:
        fields: Object = {} if number is None else {"index": number}
        self._write(kind, {**fields, "delta": {"message": message}})

    def tell_start(self) -> None:
        message: Object = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        self._write("message-start", {"id": self.start.id or self.context.id, "delta": {"message": message}})

    def tell_begin(self, part: Told) -> None:
        self._close_block()
        if part.kind == CALL:
            self._begin_call(part)
        else:
            self._begin_block(part)

    def _begin_call(self, part: Told) -> None:
        number = self._numbers[part.index] = self._calls
        self._calls += 1
        name = "" if part.call is None else part.call.name
        function = {"name": name, "arguments": ""}
        call = {"id": self.call_id_of(part), "type": "function", "function": function}
        self._write_in("tool-call-start", number, {"tool_calls": call})

    def _begin_block(self, part: Told) -> None:
        number = self._numbers[part.index] = self._blocks
        self._blocks += 1
        self._open_block = part
        self._offsets[part.index] = sum(map(len, part.pieces[:-1])) if part.pieces else 0
        key = "text" if part.kind == TEXT else "thinking"
        if part.kind == TEXT and self._first_text is None:
            self._first_text = number
        self._write_in("content-start", number, {"content": {"type": key, key: ""}})

    def _close_block(self) -> None:
        if self._open_block is not None:
            self._write("content-end", {"index": self._numbers[self._open_block.index]})
            self._open_block = None

    def _turn_to(self, part: Told) -> int:
        """The number of the part's block, which is open then."""
        if self._open_block is not part:
            self._close_block()
            self._begin_block(part)
        return self._numbers[part.index]

    def tell_text(self, part: Told, text: str, logprobs: Logprobs) -> None:
        number = self._turn_to(part)
        message = {"content": {"text": text}}
        if logprobs is None:
            self._write_in("content-delta", number, message)
            return
        if any(entry.top for entry in logprobs):
            self.note(f"{part.path}.logprobs", "Cohere tells no alternatives", "weakened")
        pieces = write_foreign_logprobs(logprobs)
        piece = {
            "text": text,
            "token_ids": [],
            "logprobs": [number for piece in pieces for number in piece["logprobs"]],
        }
        self._write("content-delta", {"index": number, "delta": {"message": message}, "logprobs": piece})

    def tell_thought(self, part: Told, text: str) -> None:
        self._write_in("content-delta", self._turn_to(part), {"content": {"thinking": text}})

    def tell_arguments(self, part: Told, text: str) -> None:
        call = {"function": {"arguments": text}}
        self._write_in("tool-call-delta", self._numbers[part.index], {"tool_calls": call})

    def tell_citation(self, part: Told, citation: Citation) -> None:
        note_citation(citation, f"{part.path}.citations", self.notes)
        number = self._numbers[part.index]
        named = None if number == self._first_text else number
        offset = -self._offsets[part.index]
        written = write_citation(foreign_citation(citation, part.text, offset, named))
        self._write_in("citation-start", self._citations, {"citations": written})
        self._write("citation-end", {"index": self._citations})
        self._citations += 1

    def tell_part_end(self, part: Told) -> None:
        if part is self._open_block:
            self._close_block()
        elif part.kind == CALL:
            self._write("tool-call-end", {"index": self._numbers[part.index]})

    def tell_end(self, stop: Stop) -> None:
        self._close_block()
        word = foreign_word(stop.reason, stop.sequence, self._calls > 0, "choices[0]", self.notes)
        delta: Object = {"finish_reason": word}
        if self.usage is not None:
            delta["usage"] = write_foreign_usage(self.usage, self.notes)
        self._write("message-end", {"delta": delta})

    def tell_failure(self, error: ErrorResponse) -> None:
        self._write("message-end", {"delta": failed_delta(error)})


def failed_delta(error: ErrorResponse) -> Object:
    """What the last frame of a stream that failed says."""
    return {"finish_reason": "ERROR", "error": render_error(error)[1].get("message", error.message)}
