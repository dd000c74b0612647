"""Parts: what a message is made of.

A part is a frozen value with no identity beyond its content. Every part kind has the same four tails:

- `cache`   a prompt-cache breakpoint that follows the part (Anthropic `cache_control`, Bedrock `cachePoint`);
- `id`      the provider's own item id, where it gives one (OpenAI Responses);
- `native`  the dialect's own name or spelling for this part, where it has several for one meaning (a text that stood
            in a list instead of a plain string, `reasoning` beside `reasoning_content`). None: the dialect's plainest
            form;
- `extras`  fields of the wire form that this model has no place for, exactly as they were decoded.

`native` and `extras` belong to the dialect named at the root (`Request.dialect`, `Response.dialect`) and go out again
only to it. Binary content stays base64 text, as every one of the wire formats carries it: nothing is decoded on the
way through.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from msgspec import Struct

Extras: TypeAlias = dict[str, Any] | None
"""Unmodelled wire fields, or None where there are none. Never mutated."""


class Cache(Struct, frozen=True):
    """A prompt-cache breakpoint. `ttl` is the provider's spelling ("5m", "1h"); None means its default."""

    ttl: str | None = None
    kind: str = "ephemeral"
    extras: Extras = None


class Signature(Struct, frozen=True):
    """An opaque proof that thinking is genuine, to be sent back unchanged, and only to a model of the same `origin`.

    `origin` is "anthropic", "gemini" or "openai": who can verify the value, whatever host or dialect carried it.
    """

    value: str
    origin: str


class Citation(Struct, frozen=True):
    """Where a text comes from. `start` and `end` are character offsets into the citing text, `cited_text` the
    source's words.

    Where in the source they stand: from `source_start` up to `source_end`, in `unit`s (characters and blocks count
    from 0, pages from 1; the end is the first that is no longer meant). `document_index` counts the documents of the
    request from 0; with the unit "result", it counts its search results, and the span their blocks.
    """

    url: str | None = None
    title: str | None = None
    cited_text: str | None = None
    start: int | None = None
    end: int | None = None
    file_id: str | None = None
    document_index: int | None = None
    unit: Literal["char", "page", "block", "result"] | None = None
    source_start: int | None = None
    source_end: int | None = None
    native: str | None = None
    extras: Extras = None


class TokenLogprob(Struct, frozen=True):
    """One output token with its natural-log probability and the alternatives that were considered (`top`)."""

    token: str
    logprob: float | None = None
    bytes: tuple[int, ...] | None = None
    top: tuple[TokenLogprob, ...] | None = None
    extras: Extras = None


class Text(Struct, frozen=True):
    """Text, written by anybody."""

    text: str
    citations: tuple[Citation, ...] | None = None
    logprobs: tuple[TokenLogprob, ...] | None = None
    signature: Signature | None = None
    cache: Cache | None = None
    id: str | None = None
    native: str | None = None
    extras: Extras = None


class Thinking(Struct, frozen=True):
    """Reasoning that the model shows, summarises or withholds.

    `text` is the reasoning itself, `summary` the paragraphs of a summary. `redacted` says that reasoning happened but
    that only its `signature` (the encrypted form) may leave the provider.
    """

    text: str = ""
    summary: tuple[str, ...] | None = None
    signature: Signature | None = None
    redacted: bool = False
    cache: Cache | None = None
    id: str | None = None
    native: str | None = None
    extras: Extras = None


class Refusal(Struct, frozen=True):
    """The model's words for why it does not answer."""

    text: str
    logprobs: tuple[TokenLogprob, ...] | None = None
    cache: Cache | None = None
    id: str | None = None
    native: str | None = None
    extras: Extras = None


class Base64(Struct, frozen=True, tag="base64"):
    """Bytes in the message itself, as standard base64 text without a `data:` prefix."""

    data: str


class Url(Struct, frozen=True, tag="url"):
    """A reference to fetch: https:, gs:, s3: or a provider's file URI. Never fetched by a dialect."""

    url: str


class FileId(Struct, frozen=True, tag="file_id"):
    """A file that was uploaded to the provider before."""

    id: str


class PlainText(Struct, frozen=True, tag="text"):
    """A document given as text."""

    text: str


class Blocks(Struct, frozen=True, tag="blocks"):
    """A document given as parts (Anthropic's `content` source)."""

    parts: tuple[Part, ...]


Source: TypeAlias = Base64 | Url | FileId | PlainText | Blocks
MediaKind: TypeAlias = Literal["image", "audio", "video", "file"]


class Media(Struct, frozen=True):
    """An image, audio, video or file (PDF and other documents).

    `media_type` is a MIME type ("image/png"); `name` a file name or title; `detail` OpenAI's image fidelity ("low",
    "high", "auto"); `transcript` the words of an audio answer.

    Of a document, `context` is what the model is told about it beside its content, `cite` whether the answer shall
    cite it, `origin` where a search found it (an address or another name): a document with an origin is a search
    result.
    """

    kind: MediaKind
    source: Source | None
    media_type: str | None = None
    name: str | None = None
    detail: str | None = None
    transcript: str | None = None
    context: str | None = None
    cite: bool | None = None
    origin: str | None = None
    signature: Signature | None = None
    cache: Cache | None = None
    id: str | None = None
    native: str | None = None
    extras: Extras = None


class Json(Struct, frozen=True):
    """A JSON value given as such (a tool's structured result)."""

    value: Any
    cache: Cache | None = None
    id: str | None = None
    native: str | None = None
    extras: Extras = None


class ToolCall(Struct, frozen=True):
    """The model asks its caller to run a tool.

    `arguments` is a dict where the dialect carries an object, or the JSON text exactly as the model wrote it (which
    may be cut or invalid) where it carries a string. Of a `custom` tool (free-form input, no JSON) it is that text.
    `call_id` is what the result must name; `id` the provider's item id where it differs.
    """

    call_id: str | None
    name: str
    arguments: dict[str, Any] | str
    custom: bool = False
    signature: Signature | None = None
    cache: Cache | None = None
    id: str | None = None
    native: str | None = None
    extras: Extras = None


class ToolResult(Struct, frozen=True):
    """What the caller's tool answered to the call `call_id`. `name` is the tool's name where the dialect carries it
    (Gemini).
    """

    call_id: str | None
    parts: tuple[Part, ...]
    name: str | None = None
    is_error: bool | None = None
    custom: bool = False
    cache: Cache | None = None
    id: str | None = None
    native: str | None = None
    extras: Extras = None


class ServerToolCall(Struct, frozen=True):
    """The provider ran a tool of its own (web search, code execution, file search, MCP ...).

    `name` is the generic name (see `request.SERVER_TOOLS`) or the provider's own; `native` the wire type of the
    block. Of a tool of an MCP server, `server` is what the request calls the server (`ToolSettings.server_label`), and
    `name` the tool's name there. Where one wire item holds both call and outcome (OpenAI Responses: code, MCP, file
    search), the outcome is a ServerToolResult right after.
    """

    call_id: str | None
    name: str
    arguments: dict[str, Any] | str | None = None
    server: str | None = None
    signature: Signature | None = None
    cache: Cache | None = None
    id: str | None = None
    native: str | None = None
    extras: Extras = None


class ServerToolResult(Struct, frozen=True):
    """What a provider-run tool answered; `content` is the provider's JSON as it is (dialects/server_outcomes.py reads
    it). What an MCP server answered has the name "mcp", whatever its tool is called.
    """

    call_id: str | None
    name: str
    content: Any = None
    is_error: bool | None = None
    cache: Cache | None = None
    id: str | None = None
    native: str | None = None
    extras: Extras = None


class Opaque(Struct, frozen=True):
    """A block that this version does not know: kept whole, sent back to the same dialect, reported by every other."""

    value: Any
    cache: Cache | None = None
    id: str | None = None
    native: str | None = None
    extras: Extras = None


Part: TypeAlias = (
    Text | Thinking | Refusal | Media | Json | ToolCall | ToolResult | ServerToolCall | ServerToolResult | Opaque
)
