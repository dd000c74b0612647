"""Other dialects' streams as lines of this one: a line for each piece of text or thinking, one for each whole call.

Calls wait until their end, or the end of the stream: their arguments are an object here. What all lines share (model
and time) is encoded once.
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.dialects.framing import write_line
from penstock.dialects.ollama_chat.errors import render_error
from penstock.dialects.ollama_chat.messages import numbered, write_call
from penstock.dialects.ollama_chat.stops import foreign_word
from penstock.dialects.ollama_chat.times import text_of
from penstock.dialects.ollama_chat.usage import write_foreign_usage
from penstock.dialects.stream_translator import CALL, Logprobs, StreamTranslator, Told
from penstock.dialects.token_logprobs import numbered_tokens, write_logprobs
from penstock.dialects.tool_memo import as_object
from penstock.types.content import ToolCall
from penstock.types.errors import ErrorResponse
from penstock.types.stream import Stop

Object = dict[str, Any]


class ForeignStream(StreamTranslator):
    """Other dialects' events as lines of this one."""

    _head = b""
    _calls = 0

    def tell_start(self) -> None:
        head = {
            "model": self.context.model or self.start.model or "",
            "created_at": text_of(self.start.created or self.context.created),
        }
        self._head = wire.encode(head)[:-1]

    def _write(self, fields: Object) -> None:
        self.out(b"%b,%b\n" % (self._head, wire.encode(fields)[1:]))

    def _write_message(self, fields: Object) -> None:
        self._write({"message": {"role": "assistant", "content": "", **fields}, "done": False})

    def tell_text(self, part: Told, text: str, logprobs: Logprobs) -> None:
        if logprobs is not None:
            message = {"role": "assistant", "content": text}
            self._write({"message": message, "done": False, "logprobs": write_logprobs(numbered_tokens(logprobs))})
        elif text:
            self._write_message({"content": text})

    def tell_thought(self, part: Told, text: str) -> None:
        self._write_message({"thinking": text})

    def tell_part_end(self, part: Told) -> None:
        if part.kind != CALL:
            return
        name = "" if part.call is None else part.call.name
        custom = part.call is not None and part.call.custom
        arguments, exact = ({"input": part.text}, True) if custom else as_object(part.text)
        if not exact:
            self.note(f"{part.path}.arguments", "they are no JSON object, and stand in one as `input`", "changed")
        call = numbered(ToolCall(self.call_id_of(part), name, arguments), self._calls)
        self._calls += 1
        self._write_message({"tool_calls": [write_call(call)]})

    def tell_end(self, stop: Stop) -> None:
        word = foreign_word(stop.reason, stop.sequence, "choices[0]", self.notes)
        usage = {} if self.usage is None else write_foreign_usage(self.usage, self.notes)
        message = {"role": "assistant", "content": ""}
        self._write({"message": message, "done": True, "done_reason": word, **usage})

    def tell_failure(self, error: ErrorResponse) -> None:
        self.out(write_line(wire.encode(render_error(error)[1])))
