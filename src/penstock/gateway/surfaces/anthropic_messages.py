"""Anthropic Messages as a surface."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from penstock.dialects.anthropic_messages import DIALECT
from penstock.dialects.dialect import PathMatch
from penstock.gateway.relay import Members, Peeked, count, obj, text, true
from penstock.gateway.surfaces.chat import ChatSurface, Quick
from penstock.gateway.tap import Marks


def peek(members: Members, match: PathMatch) -> Peeked:
    """What the body says. Raises MalformedError."""
    found = Peeked(text(members, "model") or "", true(members, "stream"), count(members, "max_tokens"))
    if "metadata" in members:
        user = obj(members, "metadata").get("user_id")
        found.user = found.session = user if isinstance(user, str) else None
    return found


def cap(members: Members, tokens: int, word: str | None) -> None:
    """Set the limit."""
    members["max_tokens"] = tokens


class _Usage(Struct):
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    server_tool_use: msgspec.Raw | None = None
    service_tier: str | None = None


class _Answer(Struct):
    usage: _Usage
    id: str | None = None
    model: str | None = None
    stop_reason: str | None = None


_answer = msgspec.json.Decoder(_Answer)
_REASONS = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls"}


def quick(body: bytes) -> Quick | None:
    """The counts, where nothing was written to a cache and no tool was run."""
    try:
        read = _answer.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    usage = read.usage
    tools = usage.server_tool_use
    if usage.cache_creation_input_tokens or (tools is not None and bytes(tools) != b"null"):
        return None
    cached = usage.cache_read_input_tokens or 0
    reason = _REASONS.get(read.stop_reason or "", read.stop_reason)
    inward, outward = usage.input_tokens + cached, usage.output_tokens
    return Quick(inward, cached, outward, None, reason, read.id, read.model, usage.service_tier)


SURFACE = ChatSurface(
    dialect=DIALECT,
    id_prefix="msg_",
    peek=peek,
    quick=quick,
    marks=Marks(
        b'"usage":',
        None,
        (
            b"event: message_stop",
            b"event:message_stop",
            b'data: {"type":"message_stop"',
            b'data: {"type": "message_stop"',
        ),
        (b"event: error", b'"type":"error"', b'"type": "error"'),
        begins=(b"event: content_block_delta\ndata: {",),
        ends=(b"}}\n\n", b"} }\n\n"),
    ),
    cap=cap,
    reasoning=frozenset({"thinking"}),
)
