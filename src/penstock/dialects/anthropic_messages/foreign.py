"""Other dialects' parts as content blocks of a request.

One table by class of part. Each function gives the blocks that say the same here, and notes what they cannot say.
`Draft` holds what grows while a request is written: notes, names, call ids and cache markers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import wire
from penstock.dialects.anthropic_messages.access import write_cache
from penstock.dialects.anthropic_messages.media import document_tails
from penstock.dialects.anthropic_messages.messages import as_object
from penstock.dialects.anthropic_messages.server_parts import write_server_call, write_server_result
from penstock.dialects.anthropic_messages.signatures import ORIGIN, seal
from penstock.dialects.anthropic_messages.tools import Names
from penstock.dialects.leftovers import leftovers
from penstock.dialects.media_types import media_type_of, plain_text_of
from penstock.types.content import (
    Base64,
    Blocks,
    Cache,
    FileId,
    Json,
    Media,
    Opaque,
    Part,
    PlainText,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Url,
)
from penstock.types.notes import Note
from penstock.types.profile import Profile
from penstock.types.request import Role

Block = dict[str, Any]

MAX_CACHE_MARKERS = 4
"""The API refuses a fifth (https://platform.claude.com/docs/en/build-with-claude/prompt-caching)."""


class CallIds:
    """Call ids as Anthropic wants them: of letters, digits, `_` and `-`, and unique in the conversation.

    (That every call and result has one is seen to before, by `with_tool_ids`.)
    """

    def __init__(self) -> None:
        self._names = Names()

    def call(self, call_id: str) -> str:
        """The wire id of a call. Some models number the calls of every turn anew: a repeated id gets a new one."""
        return self._names.fresh(call_id)

    def result(self, call_id: str) -> str:
        """The wire id of the latest call with this id."""
        return self._names.wire(call_id)


class Draft:
    """A request under way: whom it is for, what was noted, and the tables that span messages.

    Of the tools that the provider runs: `servers` are the MCP servers on the wire, `server_tools` the generic names of
    the other tools, `answered` the ids of calls whose results can be written, `replayed` those that were.
    """

    def __init__(self, profile: Profile, names: Names) -> None:
        self.profile = profile
        self.names = names
        self.ids = CallIds()
        self.notes: list[Note] = []
        self.origin = profile.signature_origin or ORIGIN
        self.custom_tools: set[str] = set()
        self.servers: list[Block] = []
        self.server_tools: frozenset[str] = frozenset()
        self.answered: frozenset[str | None] = frozenset()
        self.replayed: set[str | None] = set()
        self._markers: list[tuple[Block, str]] = []

    def note(self, path: str, kind: Any, detail: str) -> None:
        """Add a note."""
        self.notes.append(Note(path, kind, detail))

    def server_labels(self) -> set[str]:
        """What the request calls its MCP servers."""
        return {server["name"] for server in self.servers}

    def drop(self, path: str, detail: str) -> list[Block]:
        """Note that a part is not there any more; no blocks."""
        self.notes.append(Note(path, "dropped", detail))
        return []

    def mark(self, block: Block, cache: Cache | None, path: str) -> Block:
        """`block`, with the marker."""
        if cache is None:
            return block
        ttl = cache.ttl
        if ttl not in (None, "5m", "1h"):
            self.note(f"{path}.cache.ttl", "dropped", "a marker lives 5m or 1h here")
            ttl = None
        self.notes += leftovers(f"{path}.cache", cache.extras)
        block["cache_control"] = write_cache(Cache(ttl))
        self._markers.append((block, path))
        return block

    def limit_markers(self, taken: int) -> None:
        """Leave as many markers as the API takes: the first (what all conversations share), and the last ones (where
        this one goes on).
        """
        room = MAX_CACHE_MARKERS - taken
        for block, path in self._markers[1 : max(1, len(self._markers) - room + 1)]:
            del block["cache_control"]
            self.note(f"{path}.cache", "dropped", f"at most {MAX_CACHE_MARKERS} cache markers are taken")


def write_parts(parts: tuple[Part, ...], role: Role, path: str, draft: Draft) -> list[Block]:
    """The blocks of a message's parts."""
    blocks: list[Block] = []
    for number, part in enumerate(parts):
        place = f"{path}[{number}]"
        if part.extras:
            draft.notes += leftovers(place, part.extras)
        blocks += _WRITERS[type(part)](part, role, place, draft)
    return blocks


def _note_signature(signature: Signature | None, path: str, draft: Draft) -> None:
    if signature is not None:
        draft.note(f"{path}.signature", "dropped", "Claude signs only its thoughts")


def _write_text(part: Text, role: Role, path: str, draft: Draft) -> list[Block]:
    if part.citations:
        draft.note(f"{path}.citations", "dropped", "only Claude's own citations can be sent back")
    if part.logprobs:
        draft.note(f"{path}.logprobs", "dropped", "the API knows no log probabilities")
    _note_signature(part.signature, path, draft)
    if not part.text.strip():
        return draft.drop(path, "empty texts are refused")
    return [draft.mark({"type": "text", "text": part.text}, part.cache, path)]


def _write_refusal(part: Refusal, role: Role, path: str, draft: Draft) -> list[Block]:
    return _write_text(Text(part.text, logprobs=part.logprobs, cache=part.cache), role, path, draft)


def _write_json(part: Json, role: Role, path: str, draft: Draft) -> list[Block]:
    return _write_text(Text(wire.encode(part.value).decode(), cache=part.cache), role, path, draft)


def _write_thinking(part: Thinking, role: Role, path: str, draft: Draft) -> list[Block]:
    if role != "assistant":
        return draft.drop(path, "only the assistant thinks")
    if part.cache is not None:
        draft.note(f"{path}.cache", "dropped", "a thought carries no cache marker")
    signature = part.signature
    text = part.text or "\n\n".join(part.summary or ())
    if signature is not None and signature.value and signature.origin == draft.origin:
        if part.redacted:
            return [{"type": "redacted_thinking", "data": seal(signature, part.id)}]
        return [{"type": "thinking", "thinking": text, "signature": seal(signature, part.id)}]
    if draft.profile.replay_thinking and text:
        if signature is not None and signature.value:
            draft.note(f"{path}.signature", "dropped", "this model cannot verify it")
        return [{"type": "thinking", "thinking": text, "signature": ""}]
    return draft.drop(path, "a thought without a signature that this model can verify is refused")


IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


def _write_media(part: Media, role: Role, path: str, draft: Draft) -> list[Block]:
    if part.transcript and part.kind == "audio":
        draft.note(path, "weakened", "of an audio only its transcript is sent")
        return _write_text(Text(part.transcript, cache=part.cache), role, path, draft)
    if role not in ("user", "tool"):
        return draft.drop(path, f"a message of the {role} carries text only")
    if part.kind in ("audio", "video"):
        return draft.drop(path, f"Claude takes no {part.kind}")
    if part.detail not in (None, "auto"):
        draft.note(f"{path}.detail", "dropped", "images have one fidelity")
    _note_signature(part.signature, path, draft)
    if part.origin is not None and isinstance(part.source, PlainText | Blocks):
        return _write_search_result(part, part.source, part.origin, path, draft)
    media_type = media_type_of(part)
    image = (media_type or "").startswith("image/") or (part.kind == "image" and media_type is None)
    source = (
        _write_image_source(part, media_type, path, draft)
        if image
        else _write_document_source(part, media_type, path, draft)
    )
    if source is None:
        return []
    block: Block = {"type": "image" if image else "document", "source": source}
    if part.name is not None:
        if image:
            draft.note(f"{path}.name", "dropped", "images have no names")
        else:
            block["title"] = part.name
    if image:
        _note_image(part, path, draft)
    else:
        block |= document_tails(part)
    return [draft.mark(block, part.cache, path)]


def _note_image(part: Media, path: str, draft: Draft) -> None:
    if part.context is not None:
        draft.note(f"{path}.context", "dropped", "only documents have a context")
    if part.cite:
        draft.note(f"{path}.cite", "dropped", "images are not cited")


def _write_search_result(part: Media, source: PlainText | Blocks, origin: str, path: str, draft: Draft) -> list[Block]:
    """A search result holds texts only, and must have a title."""
    pieces: tuple[Part, ...] = (Text(source.text),) if isinstance(source, PlainText) else source.parts
    for number, piece in enumerate(pieces):
        if type(piece) is not Text:
            draft.note(f"{path}.source.parts[{number}]", "dropped", "a search result holds texts only")
    if part.context is not None:
        draft.note(f"{path}.context", "dropped", "a search result has no context")
    texts = tuple(piece for piece in pieces if type(piece) is Text)
    content = write_parts(texts, "user", f"{path}.source.parts", draft)
    if not content:
        return draft.drop(path, "a search result without words is refused")
    block: Block = {"type": "search_result", "source": origin, "title": part.name or origin, "content": content}
    return [draft.mark(block | document_tails(part), part.cache, path)]


def _write_image_source(part: Media, media_type: str | None, path: str, draft: Draft) -> Block | None:
    if isinstance(part.source, Base64):
        if media_type is not None and media_type not in IMAGE_TYPES:
            draft.drop(path, f"images are PNG, JPEG, GIF or WebP, not {media_type}")
            return None
        return {"type": "base64", "media_type": media_type or "image/png", "data": part.source.data}
    return _write_reference(part, path, draft)


def _write_reference(part: Media, path: str, draft: Draft) -> Block | None:
    """A source by URL or file id."""
    if isinstance(part.source, FileId):
        return {"type": "file", "file_id": part.source.id}
    if not isinstance(part.source, Url):
        draft.drop(path, "there is nothing to send")
        return None
    if not part.source.url.startswith(("https://", "http://")):
        draft.drop(path, "only web addresses are fetched: resolve it first")
        return None
    if not draft.profile.image_urls:
        draft.drop(path, "this host fetches nothing: resolve it first")
        return None
    return {"type": "url", "url": part.source.url}


def _write_document_source(part: Media, media_type: str | None, path: str, draft: Draft) -> Block | None:
    source = part.source
    if isinstance(source, PlainText):
        return {"type": "text", "media_type": "text/plain", "data": source.text}
    if isinstance(source, Blocks):
        return {"type": "content", "content": write_parts(source.parts, "user", f"{path}.source.parts", draft)}
    if not isinstance(source, Base64):
        return _write_reference(part, path, draft)
    if media_type == "application/pdf":
        return {"type": "base64", "media_type": media_type, "data": source.data}
    text = plain_text_of(part)
    if text is None:
        draft.drop(path, f"documents are PDF or text, not {media_type or 'of an unknown type'}")
        return None
    return {"type": "text", "media_type": "text/plain", "data": text}


def _write_call(part: ToolCall, role: Role, path: str, draft: Draft) -> list[Block]:
    if role != "assistant":
        return draft.drop(path, "only the assistant calls tools")
    _note_signature(part.signature, path, draft)
    arguments = (
        {"input": part.arguments} if part.custom and isinstance(part.arguments, str) else as_object(part.arguments)
    )
    if not part.custom and isinstance(part.arguments, str) and arguments == {"input": part.arguments}:
        draft.note(f"{path}.arguments", "changed", "they are no JSON object, and stand in one as `input`")
    call_id = draft.ids.call(part.call_id or "")
    block = {"type": "tool_use", "id": call_id, "name": draft.names.wire(part.name), "input": arguments}
    return [draft.mark(block, part.cache, path)]


def _write_result(part: ToolResult, role: Role, path: str, draft: Draft) -> list[Block]:
    if role not in ("user", "tool"):
        return draft.drop(path, f"the {role} gives no tool results")
    block: Block = {"type": "tool_result", "tool_use_id": draft.ids.result(part.call_id or "")}
    block["content"] = _write_result_content(part, path, draft)
    if part.is_error is not None:
        block["is_error"] = part.is_error
    return [draft.mark(block, part.cache, path)]


def _write_result_content(part: ToolResult, path: str, draft: Draft) -> list[Block]:
    """The blocks of a result. An empty text needs no note: an empty list says the same."""
    parts = tuple(inner for inner in part.parts if not (type(inner) is Text and not inner.text))
    return write_parts(parts, "tool", f"{path}.parts", draft)


def _write_server_call(part: ServerToolCall, role: Role, path: str, draft: Draft) -> list[Block]:
    block = write_server_call(part) if role == "assistant" else None
    has_tool = part.name in draft.server_tools if part.server is None else part.server in draft.server_labels()
    if block is None or not has_tool:
        return draft.drop(path, f"another provider ran {part.name!r}: it cannot be replayed here")
    if part.call_id not in draft.answered:
        return draft.drop(path, "a call without its result is refused")
    draft.replayed.add(part.call_id)
    _note_signature(part.signature, path, draft)
    return [draft.mark(block, part.cache, path)]


def _write_server_result(part: ServerToolResult, role: Role, path: str, draft: Draft) -> list[Block]:
    block = write_server_result(part, path, draft.notes) if part.call_id in draft.replayed else None
    if block is None:
        return draft.drop(path, f"another provider ran {part.name!r}: it cannot be replayed here")
    return [draft.mark(block, part.cache, path)]


def _write_opaque(part: Opaque, role: Role, path: str, draft: Draft) -> list[Block]:
    return draft.drop(path, f"a block that only its own dialect knows ({part.native or 'unknown'})")


_WRITERS: dict[type, Callable[[Any, Role, str, Draft], list[Block]]] = {
    Text: _write_text,
    Refusal: _write_refusal,
    Json: _write_json,
    Thinking: _write_thinking,
    Media: _write_media,
    ToolCall: _write_call,
    ToolResult: _write_result,
    ServerToolCall: _write_server_call,
    ServerToolResult: _write_server_result,
    Opaque: _write_opaque,
}
