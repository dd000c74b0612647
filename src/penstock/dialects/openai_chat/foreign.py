"""Other dialects' requests in the terms of Chat Completions: what has a place is moved to it, what has none is noted.

The result is a Request whose messages `messages.write_message` can write one to one. Differences that matter:

- instructions stand in a system message;
- tool results are messages of their own, right after the call, and hold text only: media in them follows in a user
message;
- reasoning goes back only to hosts that want it (`profile.replay_thinking`), signatures only to those that can verify
them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.documents import words_about
from penstock.dialects.leftovers import leftovers
from penstock.dialects.media_types import derived_name, media_type_of
from penstock.dialects.openai_chat.server_tools import ROOT, adapt_server_tool
from penstock.dialects.openai_tiers import adapt_tier
from penstock.dialects.tool_ids import with_tool_ids
from penstock.types.content import (
    Base64,
    Blocks,
    FileId,
    Json,
    Media,
    Part,
    PlainText,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from penstock.types.notes import Note
from penstock.types.profile import Profile
from penstock.types.request import Message, Request, Role, Tool


def adapt(request: Request, profile: Profile, notes: list[Note]) -> Request:
    """`request` with messages and tools that Chat Completions can write."""
    request = with_tool_ids(request)
    messages: list[Message] = []
    if request.system:
        parts = _texts(request.system, "system", profile, notes)
        messages.append(Message(profile.system_role or "system", parts))
    for number, message in enumerate(request.messages):
        messages += _adapt_message(message, f"messages[{number}]", profile, notes)
    notes += leftovers("", request.extras)
    tools = _adapt_tools(request.tools, profile, notes)
    cache = request.cache if profile.message_extensions else None
    if request.cache is not None and cache is None:
        notes.append(Note("cache", "dropped", "this host takes no cache markers"))
    if request.betas:
        notes.append(Note("betas", "dropped", "Chat Completions has no betas"))
    tier = adapt_tier(request.service_tier, notes)
    return replace(request, system=None, messages=tuple(messages), tools=tools, cache=cache, service_tier=tier)


def _adapt_tools(tools: tuple[Tool, ...] | None, profile: Profile, notes: list[Note]) -> tuple[Tool, ...] | None:
    if tools is None:
        return None
    found: list[Tool] = []
    for number, tool in enumerate(tools):
        path = f"tools[{number}]"
        if tool.kind == "server":
            adapted = adapt_server_tool(tool, path, profile, notes)
            if adapted is not None and adapted.native in ROOT and any(each.native == adapted.native for each in found):
                notes.append(Note(path, "dropped", "this host takes one web search"))
            elif adapted is not None:
                found.append(adapted)
            continue
        notes += leftovers(path, tool.extras)
        found.append(replace(tool, native=None, extras=None, parameters=_object_schema(tool)))
    return tuple(sorted(found, key=lambda tool: tool.native in ROOT))


def _object_schema(tool: Tool) -> dict[str, Any] | None:
    """OpenAI takes a function without parameters as one without arguments; other hosts want the empty object spelled
    out.
    """
    return (
        {"type": "object", "properties": {}} if tool.parameters is None and tool.kind == "function" else tool.parameters
    )


def _adapt_message(message: Message, path: str, profile: Profile, notes: list[Note]) -> list[Message]:
    """One foreign message as one or several of ours: tool results first, then what else the turn holds."""
    found: list[Message] = []
    kept: list[Part] = []
    notes += leftovers(path, message.extras)
    for number, part in enumerate(message.parts):
        part_path = f"{path}.parts[{number}]"
        if isinstance(part, ToolResult):
            result, media = _adapt_result(part, part_path, profile, notes)
            found.append(Message("tool", (result,)))
            if media and message.role == "assistant":  # which carries none
                found.append(Message("user", tuple(media)))
            else:
                kept += media
        else:
            kept += _adapt_part(part, message.role, part_path, profile, notes)
    role: Role = "user" if message.role == "tool" else message.role
    if not kept and not found and not message.parts and role != "assistant":
        kept.append(Text(""))
    if kept or (not found and not message.parts):
        found.append(Message(role, tuple(kept), message.name))
    return found


def _adapt_result(part: ToolResult, path: str, profile: Profile, notes: list[Note]) -> tuple[ToolResult, list[Part]]:
    """A tool result with text only, and the media that has to follow in a user message."""
    texts: list[Part] = []
    media: list[Part] = []
    for number, inner in enumerate(part.parts):
        adapted = _adapt_part(inner, "user", f"{path}.parts[{number}]", profile, notes)
        texts += [piece for piece in adapted if not isinstance(piece, Media)]
        media += [piece for piece in adapted if isinstance(piece, Media)]
    if media:
        notes.append(Note(path, "changed", "tool results hold only text here: the media follows in a user message"))
    if part.is_error:
        notes.append(Note(f"{path}.is_error", "dropped", "Chat Completions has no flag for a failed tool"))
    notes += leftovers(path, part.extras)
    return ToolResult(part.call_id, tuple(texts), cache=_cache(part, path, profile, notes)), media


def _texts(parts: tuple[Part, ...], path: str, profile: Profile, notes: list[Note]) -> tuple[Part, ...]:
    return tuple(
        piece
        for number, part in enumerate(parts)
        for piece in _adapt_part(part, "system", f"{path}[{number}]", profile, notes)
    )


def _adapt_part(part: Part, role: str, path: str, profile: Profile, notes: list[Note]) -> list[Part]:
    adapt_one = _ADAPTERS.get(type(part))
    if adapt_one is None:
        notes.append(Note(path, "dropped", f"Chat Completions has no place for {type(part).__name__}"))
        return []
    notes += leftovers(path, part.extras)
    return adapt_one(part, role, path, profile, notes)


def _cache(part: Any, path: str, profile: Profile, notes: list[Note]) -> Any:
    if part.cache is None or profile.message_extensions:
        return part.cache
    notes.append(Note(f"{path}.cache", "dropped", "this host takes no cache markers"))
    return None


def _adapt_text(part: Text, role: str, path: str, profile: Profile, notes: list[Note]) -> list[Part]:
    if part.citations:
        notes.append(Note(f"{path}.citations", "dropped", "a request carries no citations"))
    if part.logprobs:
        notes.append(Note(f"{path}.logprobs", "dropped", "a request carries no log probabilities"))
    if part.signature is not None:
        notes.append(Note(f"{path}.signature", "dropped", "a text carries no signature here"))
    return [Text(part.text, cache=_cache(part, path, profile, notes))]


def _adapt_json(part: Json, role: str, path: str, profile: Profile, notes: list[Note]) -> list[Part]:
    return [Text(wire.encode(part.value).decode(), cache=_cache(part, path, profile, notes))]


def _adapt_refusal(part: Refusal, role: str, path: str, profile: Profile, notes: list[Note]) -> list[Part]:
    if part.logprobs:
        notes.append(Note(f"{path}.logprobs", "dropped", "a request carries no log probabilities"))
    return [Refusal(part.text)] if role == "assistant" else [Text(part.text)]


def _adapt_thinking(part: Thinking, role: str, path: str, profile: Profile, notes: list[Note]) -> list[Part]:
    signed = part.signature is not None and part.signature.origin == profile.signature_origin
    if signed and profile.message_extensions and (native := _signed_field(profile)):
        return [replace(part, native=native, extras=None, cache=None)]
    if profile.replay_thinking and not part.redacted:
        if part.signature is not None:
            notes.append(Note(f"{path}.signature", "dropped", "this host cannot verify it"))
        return [Thinking(part.text, part.summary, native=profile.thinking_field)]
    notes.append(Note(path, "dropped", "this host takes no earlier reasoning"))
    return []


def _signed_field(profile: Profile) -> str | None:
    """The message field that carries signed thoughts: OpenRouter's, or the one that hosts of Claude took over from
    Anthropic. Others have none.
    """
    if profile.thinking_field == "reasoning_details":
        return "reasoning_details"
    return "thinking_blocks" if profile.signature_origin == "anthropic" else None


def _adapt_media(part: Media, role: str, path: str, profile: Profile, notes: list[Note]) -> list[Part]:
    if isinstance(part.source, PlainText | Blocks):
        return _adapt_document(part, part.source, path, profile, notes)
    if role == "assistant" and not (part.kind == "audio" and part.id):
        notes.append(Note(path, "dropped", "an assistant message carries no media"))
        return []
    if role == "assistant":
        if part.transcript is not None or part.source is not None:
            notes.append(Note(path, "changed", "an earlier audio answer goes by its id"))
        return [Media("audio", None, id=part.id)]
    if not _has_place(part):
        notes.append(Note(path, "dropped", f"Chat Completions takes no {part.kind} by {_carrier(part)}"))
        return []
    if part.signature is not None:
        notes.append(Note(f"{path}.signature", "dropped", "media carries no signature here"))
    plain = replace(part, native=None, extras=None, signature=None, context=None, cite=None, origin=None)
    if part.kind == "file" and isinstance(part.source, Base64):
        plain = _complete_file(plain, path, notes)
    about = words_about(part, path, notes)
    told = [] if about is None else [Text(about)]
    return [*told, replace(plain, cache=_cache(part, path, profile, notes))]


def _complete_file(part: Media, path: str, notes: list[Note]) -> Media:
    """A file given as bytes, with the type and the name that OpenAI refuses it without."""
    media_type = media_type_of(part) or "application/pdf"
    if part.name is not None:
        return replace(part, media_type=media_type)
    notes.append(Note(f"{path}.name", "added", "a file must have a name here"))
    return replace(part, media_type=media_type, name=derived_name(media_type))


def _adapt_document(
    part: Media, source: PlainText | Blocks, path: str, profile: Profile, notes: list[Note]
) -> list[Part]:
    """A document that is given as text or blocks, with what is told about it in front."""
    about = words_about(part, path, notes, title=True)
    if isinstance(source, PlainText):
        notes.append(Note(path, "changed", "a text document became a text"))
        text = source.text if about is None else f"{about}\n\n{source.text}"
        return [Text(text, cache=_cache(part, path, profile, notes))]
    notes.append(Note(path, "changed", "a document of blocks became its blocks"))
    told = [] if about is None else [Text(about)]
    return [*told, *_texts(source.parts, f"{path}.source.parts", profile, notes)]


def _has_place(part: Media) -> bool:
    """Whether Chat Completions takes this kind of media from this kind of source."""
    if part.kind == "audio":
        return isinstance(part.source, Base64)
    if isinstance(part.source, FileId):
        return part.kind == "file"
    return part.source is not None


def _carrier(part: Media) -> str:
    return "file id" if isinstance(part.source, FileId) else "address"


def _adapt_call(part: ToolCall, role: str, path: str, profile: Profile, notes: list[Note]) -> list[Part]:
    if role != "assistant":
        notes.append(Note(path, "dropped", "only the assistant calls tools"))
        return []
    arguments = wire.as_text(part.arguments)
    extras: dict[str, Any] = {"type": "custom" if part.custom else "function"}
    if part.signature is not None and part.signature.origin == profile.signature_origin == "gemini":
        extras["extra_content"] = {"google": {"thought_signature": part.signature.value}}
    elif part.signature is not None:
        notes.append(Note(f"{path}.signature", "dropped", "this host cannot verify it"))
    if part.cache is not None:
        notes.append(Note(f"{path}.cache", "dropped", "a tool call carries no cache marker here"))
    return [ToolCall(part.call_id, part.name, arguments, part.custom, extras=extras)]


_ADAPTERS: dict[type, Callable[[Any, str, str, Profile, list[Note]], list[Part]]] = {
    Text: _adapt_text,
    Json: _adapt_json,
    Refusal: _adapt_refusal,
    Thinking: _adapt_thinking,
    Media: _adapt_media,
    ToolCall: _adapt_call,
}
