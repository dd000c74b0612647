"""Another dialect's answer as one of this, for a client of Ollama's chat. One message with one text.

Durations are not known, and left out as Ollama leaves out what is zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import wire
from penstock.dialects.dialect import Context
from penstock.dialects.leftovers import findings, leftovers
from penstock.dialects.ollama_chat.messages import numbered, write_parts
from penstock.dialects.ollama_chat.stops import foreign_word
from penstock.dialects.ollama_chat.times import text_of
from penstock.dialects.ollama_chat.usage import write_foreign_usage
from penstock.dialects.token_logprobs import numbered_tokens, write_logprobs
from penstock.dialects.tool_ids import response_with_tool_ids
from penstock.dialects.tool_memo import as_object
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
    TokenLogprob,
    ToolCall,
    ToolResult,
)
from penstock.types.notes import Note, Rendered
from penstock.types.response import Choice, Response

Object = dict[str, Any]
Notes = list[Note]


def write_foreign(response: Response, context: Context) -> Rendered[Object]:
    """The answer object."""
    response = response_with_tool_ids(response, response.id or context.id)
    notes: Notes = []
    notes += findings("", response.extras)
    if response.service_tier is not None:
        notes.append(Note("service_tier", "dropped", "Ollama has no such field"))
    for choice in response.choices[1:]:
        notes.append(Note(f"choices[{choice.index}]", "dropped", "Ollama gives one answer"))
    choice = response.choices[0] if response.choices else Choice()
    found = {
        "model": context.model or response.model or "",
        "created_at": text_of(response.created or context.created),
        **_write_choice(choice, notes),
    }
    if response.usage is not None:
        found |= write_foreign_usage(response.usage, notes)
    return Rendered(found, tuple(notes))


def _write_choice(choice: Choice, notes: Notes) -> Object:
    path = f"choices[{choice.index}]"
    notes += findings(path, choice.extras)
    parts: list[Part] = []
    logprobs: list[TokenLogprob] = []
    for number, part in enumerate(choice.parts):
        place = f"{path}.parts[{number}]"
        notes += leftovers(place, part.extras)
        for adapted in _ADAPTERS[type(part)](part, place, notes):
            logprobs += adapted.logprobs or () if isinstance(adapted, Text) else ()
            parts.append(adapted)
    calls = [part for part in parts if isinstance(part, ToolCall)]
    others = [part for part in parts if not isinstance(part, ToolCall)]
    message = write_parts([*others, *(numbered(call, index) for index, call in enumerate(calls))])
    found: Object = {
        "message": {"role": "assistant", "content": "", **message},
        "done": True,
        "done_reason": foreign_word(choice.stop_reason, choice.stop_sequence, path, notes),
    }
    if logprobs:
        found["logprobs"] = write_logprobs(numbered_tokens(logprobs))
    return found


def _note_signature(signature: Signature | None, path: str, notes: Notes) -> None:
    if signature is not None:
        notes.append(Note(f"{path}.signature", "dropped", "Ollama signs nothing"))


def _text(part: Text, path: str, notes: Notes) -> list[Part]:
    _note_signature(part.signature, path, notes)
    if part.citations:
        notes.append(Note(f"{path}.citations", "dropped", "a message carries no citations"))
    return [Text(part.text, logprobs=part.logprobs)]


def _refusal(part: Refusal, path: str, notes: Notes) -> list[Part]:
    notes.append(Note(path, "changed", "a refusal became a text"))
    return [Text(part.text, logprobs=part.logprobs)]


def _json(part: Json, path: str, notes: Notes) -> list[Part]:
    return [Text(wire.encode(part.value).decode())]


def _thinking(part: Thinking, path: str, notes: Notes) -> list[Part]:
    text = part.text or "\n\n".join(part.summary or ())
    if not text:
        notes.append(Note(path, "dropped", "withheld thinking has no place here"))
        return []
    _note_signature(part.signature, path, notes)
    return [Thinking(text)]


def _call(part: ToolCall, path: str, notes: Notes) -> list[Part]:
    _note_signature(part.signature, path, notes)
    arguments, exact = ({"input": part.arguments}, True) if part.custom else as_object(part.arguments)
    if not exact:
        notes.append(Note(f"{path}.arguments", "changed", "they are no JSON object, and stand in one as `input`"))
    return [ToolCall(part.call_id, part.name, arguments)]


def _media(part: Media, path: str, notes: Notes) -> list[Part]:
    if part.transcript:
        notes.append(Note(path, "weakened", "of an audio only its transcript can be answered"))
        return [Text(part.transcript)]
    notes.append(Note(path, "dropped", f"an answer holds no {part.kind}"))
    return []


def _drop(part: ServerToolCall | ServerToolResult | ToolResult | Opaque, path: str, notes: Notes) -> list[Part]:
    notes.append(Note(path, "dropped", f"no place for {type(part).__name__} of another provider"))
    return []


_ADAPTERS: dict[type, Callable[[Any, str, Notes], list[Part]]] = {
    Text: _text,
    Refusal: _refusal,
    Json: _json,
    Thinking: _thinking,
    Media: _media,
    ToolCall: _call,
    ToolResult: _drop,
    ServerToolCall: _drop,
    ServerToolResult: _drop,
    Opaque: _drop,
}
