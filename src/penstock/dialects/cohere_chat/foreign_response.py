"""Another dialect's answer as the `message` of this one, for a client of Cohere's v2 chat.

Text beside tool calls goes to `tool_plan`, since the client will send the message back and Cohere takes it only there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import wire
from penstock.dialects.cohere_chat.foreign_parts import as_assistant
from penstock.dialects.cohere_chat.logprobs import write_foreign_logprobs
from penstock.dialects.cohere_chat.messages import write_answer
from penstock.dialects.cohere_chat.stops import foreign_word
from penstock.dialects.cohere_chat.usage import write_foreign_usage
from penstock.dialects.dialect import Context
from penstock.dialects.documents import note_source_span
from penstock.dialects.leftovers import findings, leftovers
from penstock.dialects.tool_ids import response_with_tool_ids
from penstock.types.content import (
    Citation,
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
        notes.append(Note("service_tier", "dropped", "Cohere has no such field"))
    for choice in response.choices[1:]:
        notes.append(Note(f"choices[{choice.index}]", "dropped", "Cohere gives one answer"))
    choice = response.choices[0] if response.choices else Choice()
    found = {"id": response.id or context.id, **_write_choice(choice, notes)}
    if response.usage is not None:
        found["usage"] = write_foreign_usage(response.usage, notes)
    return Rendered(found, tuple(notes))


def _write_choice(choice: Choice, notes: Notes) -> Object:
    path = f"choices[{choice.index}]"
    notes += findings(path, choice.extras)
    parts: list[Part] = []
    logprobs: list[TokenLogprob] = []
    for number, part in enumerate(choice.parts):
        place = f"{path}.parts[{number}]"
        notes += leftovers(place, part.extras)
        adapted = adapt_part(part, place, notes)
        parts += adapted
        logprobs += adapted[0].logprobs or () if adapted and isinstance(adapted[0], Text) else ()
    called = any(type(part) is ToolCall for part in parts)
    found: Object = {
        "message": write_answer(as_assistant(parts), None),
        "finish_reason": foreign_word(choice.stop_reason, choice.stop_sequence, called, path, notes),
    }
    if logprobs:
        found["logprobs"] = write_foreign_logprobs(logprobs)
    return found


def adapt_part(part: Part, path: str, notes: Notes) -> list[Part]:
    """The part as one of this dialect (at most one)."""
    return _ADAPTERS[type(part)](part, path, notes)


def note_signature(signature: Signature | None, path: str, notes: Notes) -> None:
    """Cohere's messages have no place for a proof."""
    if signature is not None:
        notes.append(Note(f"{path}.signature", "dropped", "Cohere signs nothing"))


def note_citation(citation: Citation, path: str, notes: Notes) -> None:
    """What only the citation's own dialect can say."""
    notes += leftovers(path, citation.extras)
    note_source_span(citation, path, notes)


def _text(part: Text, path: str, notes: Notes) -> list[Part]:
    note_signature(part.signature, path, notes)
    for number, citation in enumerate(part.citations or ()):
        note_citation(citation, f"{path}.citations[{number}]", notes)
    if any(entry.top for entry in part.logprobs or ()):
        notes.append(Note(f"{path}.logprobs", "weakened", "Cohere tells no alternatives"))
    return [Text(part.text, part.citations, part.logprobs)]


def _refusal(part: Refusal, path: str, notes: Notes) -> list[Part]:
    notes.append(Note(path, "changed", "a refusal became a text"))
    return _text(Text(part.text, logprobs=part.logprobs), path, notes)


def _json(part: Json, path: str, notes: Notes) -> list[Part]:
    return [Text(wire.encode(part.value).decode())]


def _thinking(part: Thinking, path: str, notes: Notes) -> list[Part]:
    text = part.text or "\n\n".join(part.summary or ())
    if not text:
        notes.append(Note(path, "dropped", "withheld thinking has no place here"))
        return []
    note_signature(part.signature, path, notes)
    return [Thinking(text)]


def _call(part: ToolCall, path: str, notes: Notes) -> list[Part]:
    note_signature(part.signature, path, notes)
    arguments = wire.as_text({"input": part.arguments}) if part.custom else wire.as_text(part.arguments) or "{}"
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
