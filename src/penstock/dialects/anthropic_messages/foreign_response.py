"""Another dialect's answer as content blocks, for a client of this one.

The client will send these blocks back in its next request. So every proof that a provider gave goes along: a foreign
signature in an envelope (signatures.py), one that has no place in its block in a `redacted_thinking` block before it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import wire
from penstock.dialects.anthropic_messages.citations import write_foreign_citation
from penstock.dialects.anthropic_messages.messages import as_object, park
from penstock.dialects.anthropic_messages.server_parts import write_server_call, write_server_result
from penstock.dialects.anthropic_messages.signatures import seal
from penstock.dialects.anthropic_messages.stops import foreign_stop_word
from penstock.dialects.leftovers import findings, leftovers
from penstock.types.content import (
    Json,
    Media,
    Opaque,
    Part,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from penstock.types.notes import Note
from penstock.types.response import Choice

Block = dict[str, Any]
Write = Callable[[Any, str, list[Note]], list[Block]]


def write_foreign_choice(choice: Choice, notes: list[Note]) -> tuple[list[Block], str]:
    """(content, stop reason) of a choice."""
    path = f"choices[{choice.index}]"
    notes += findings(path, choice.extras)
    content: list[Block] = []
    for number, part in enumerate(choice.parts):
        content += write_foreign_part(part, f"{path}.parts[{number}]", notes)
    calls = any(block["type"] == "tool_use" for block in content)
    if choice.stop_reason == "error":
        notes.append(Note(f"{path}.stop_reason", "changed", f"no word for {choice.stop_native or 'an error'!r}"))
    return content, foreign_stop_word(choice.stop_reason, choice.stop_sequence, calls)


def write_foreign_part(part: Part, path: str, notes: list[Note]) -> list[Block]:
    """The blocks of one part, the parked signature of it included."""
    notes += leftovers(path, part.extras)
    return _WRITERS[type(part)](part, path, notes)


def _signed(block: Block, signature: Signature | None) -> list[Block]:
    return [block] if signature is None else [park(signature, ">"), block]


def _write_text(part: Text, path: str, notes: list[Note]) -> list[Block]:
    if part.logprobs:
        notes.append(Note(f"{path}.logprobs", "dropped", "the API knows no log probabilities"))
    if not part.text and not part.citations and part.signature is None:
        return []
    block: Block = {"type": "text", "text": part.text}
    if part.citations:
        written = [
            write_foreign_citation(citation, f"{path}.citations[{number}]", notes)
            for number, citation in enumerate(part.citations)
        ]
        block["citations"] = [citation for citation in written if citation is not None]
    return _signed(block, part.signature)


def _write_refusal(part: Refusal, path: str, notes: list[Note]) -> list[Block]:
    return _write_text(Text(part.text, logprobs=part.logprobs), path, notes)


def _write_json(part: Json, path: str, notes: list[Note]) -> list[Block]:
    return [{"type": "text", "text": wire.encode(part.value).decode()}]


def visible_thought(part: Thinking) -> str:
    """The text of a thought, or else its summary."""
    return part.text or "\n\n".join(part.summary or ())


def _write_thinking(part: Thinking, path: str, notes: list[Note]) -> list[Block]:
    sealed = "" if part.signature is None else seal(part.signature, part.id)
    text = visible_thought(part)
    if part.redacted and sealed:
        return [{"type": "redacted_thinking", "data": sealed}]
    if not text and not sealed:
        return []
    return [{"type": "thinking", "thinking": text, "signature": sealed}]


def _write_media(part: Media, path: str, notes: list[Note]) -> list[Block]:
    if part.transcript:
        notes.append(Note(path, "weakened", "of an audio only its transcript can be answered"))
        return [{"type": "text", "text": part.transcript}]
    notes.append(Note(path, "dropped", f"an answer holds no {part.kind}"))
    return []


def _write_call(part: ToolCall, path: str, notes: list[Note]) -> list[Block]:
    if part.custom and isinstance(part.arguments, str):
        arguments: dict[str, Any] = {"input": part.arguments}
    else:
        arguments = as_object(part.arguments)
    block = {"type": "tool_use", "id": part.call_id or "", "name": part.name, "input": arguments}
    return _signed(block, part.signature)


def _write_server_call(part: ServerToolCall, path: str, notes: list[Note]) -> list[Block]:
    block = write_server_call(part)
    return _drop(part, path, notes) if block is None else _signed(block, part.signature)


def _write_server_result(part: ServerToolResult, path: str, notes: list[Note]) -> list[Block]:
    block = write_server_result(part, path, notes)
    return _drop(part, path, notes) if block is None else [block]


def _drop(part: ServerToolCall | ServerToolResult | ToolResult | Opaque, path: str, notes: list[Note]) -> list[Block]:
    notes.append(Note(path, "dropped", f"no block for {type(part).__name__} of another provider"))
    return []


_WRITERS: dict[type, Write] = {
    Text: _write_text,
    Refusal: _write_refusal,
    Json: _write_json,
    Thinking: _write_thinking,
    Media: _write_media,
    ToolCall: _write_call,
    ToolResult: _drop,
    ServerToolCall: _write_server_call,
    ServerToolResult: _write_server_result,
    Opaque: _drop,
}
