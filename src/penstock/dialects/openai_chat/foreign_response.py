"""Other dialects' answers in the terms of a Chat Completions message.

A client of Chat Completions finds the text in `content`, reasoning in `reasoning_content` and, where it is signed or
withheld, in `thinking_blocks` too, so that it can send the message back and the signature survives. What a provider
ran itself is listed in `provider_specific_fields`.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.leftovers import findings, leftovers
from penstock.dialects.openai_chat.thinking import visible_text, write_block
from penstock.dialects.token_logprobs import completed
from penstock.types.content import (
    Citation,
    Json,
    Media,
    Opaque,
    Part,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Text,
    Thinking,
    ToolCall,
)
from penstock.types.notes import Note
from penstock.types.response import Choice


def adapt_choice(choice: Choice, notes: list[Note]) -> tuple[tuple[Part, ...], dict[str, Any]]:
    """(the parts that a message holds, further fields of the message)."""
    path = f"choices[{choice.index}]"
    notes += findings(path, choice.extras)
    parts: list[Part] = []
    fields: dict[str, Any] = {}
    offset = 0
    for number, part in enumerate(choice.parts):
        notes += leftovers(f"{path}.parts[{number}]", part.extras)
        if isinstance(part, Text):
            parts.append(_adapt_text(part, offset, fields))
            offset += len(part.text)
        elif isinstance(part, Thinking):
            _add_thinking(part, fields)
        elif isinstance(part, ToolCall):
            parts.append(_adapt_call(part))
        elif isinstance(part, ServerToolCall | ServerToolResult | Opaque):
            fields.setdefault("provider_specific_fields", {}).setdefault("server_parts", []).append(as_json(part))
        elif isinstance(part, Refusal):
            parts.append(Refusal(part.text, None if part.logprobs is None else completed(part.logprobs)))
        elif isinstance(part, Json):
            parts.append(Text(wire.encode(part.value).decode()))
        elif isinstance(part, Media) and part.kind in ("image", "audio") and part.source is not None:
            parts.append(replace(part, native=None, extras=None, cache=None))
        else:
            notes.append(
                Note(f"{path}.parts[{number}]", "dropped", f"a message has no place for {type(part).__name__}")
            )
    return tuple(parts), fields


def _adapt_text(part: Text, offset: int, fields: dict[str, Any]) -> Text:
    if part.signature is not None:
        fields.setdefault("provider_specific_fields", {})["thought_signature"] = part.signature.value
    citations = None
    if part.citations:
        citations = tuple(adapt_citation(citation, offset, len(part.text)) for citation in part.citations)
    return Text(part.text, citations, None if part.logprobs is None else completed(part.logprobs))


_BEYOND = ("cited_text", "file_id", "document_index", "unit", "source_start", "source_end")


def adapt_citation(citation: Citation, offset: int, length: int) -> Citation:
    """A URL citation with offsets into the joined text. What it cites, and where in which document that stands, goes
    along in fields that OpenAI does not have.
    """
    start = 0 if citation.start is None else citation.start
    end = length if citation.end is None else citation.end
    extra = {name: value for name in _BEYOND if (value := getattr(citation, name)) is not None}
    return Citation(
        citation.url or "",
        citation.title or "",
        start=offset + start,
        end=offset + end,
        extras={"url_citation": extra} if extra else None,
    )


def _add_thinking(part: Thinking, fields: dict[str, Any]) -> None:
    text = visible_text(part)
    if text:
        fields["reasoning_content"] = fields.get("reasoning_content", "") + text
    fields.setdefault("thinking_blocks", []).append(write_block(replace(part, native=None)))
    if part.redacted or part.signature is not None or text:
        return
    fields["thinking_blocks"].pop()


def _adapt_call(part: ToolCall) -> ToolCall:
    arguments = wire.as_text(part.arguments)
    extras: dict[str, Any] = {"type": "custom" if part.custom else "function"}
    if part.signature is not None:
        extras["provider_specific_fields"] = {"thought_signature": part.signature.value}
    return ToolCall(part.call_id, part.name, arguments or "{}", part.custom, extras=extras)


def as_json(part: ServerToolCall | ServerToolResult | Opaque) -> dict[str, Any]:
    """A part that the provider ran itself, or that only its own dialect knows, for `provider_specific_fields`."""
    if isinstance(part, Opaque):
        return {"type": part.native or "opaque", "value": part.value}
    kind = "server_tool_call" if isinstance(part, ServerToolCall) else "server_tool_result"
    found: dict[str, Any] = {"type": kind, "id": part.call_id, "name": part.name}
    if isinstance(part, ServerToolCall):
        found["arguments"] = part.arguments
        if part.server is not None:
            found["server"] = part.server
    else:
        found["content"] = part.content
        if part.is_error is not None:
            found["is_error"] = part.is_error
    return found
