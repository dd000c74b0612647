"""OpenAI Responses as a surface."""

from __future__ import annotations

from penstock.dialects.dialect import PathMatch
from penstock.dialects.openai_responses import DIALECT
from penstock.gateway.relay import Members, Peeked, count, text, true
from penstock.gateway.surfaces.chat import ChatSurface, Quick
from penstock.gateway.tap import Marks


def peek(members: Members, match: PathMatch) -> Peeked:
    """What the body says. Raises MalformedError."""
    found = Peeked(text(members, "model") or "", true(members, "stream"), count(members, "max_output_tokens"))
    if "user" in members:
        found.user = text(members, "user")
    if "prompt_cache_key" in members:
        found.session = text(members, "prompt_cache_key")
    return found


def cap(members: Members, tokens: int, word: str | None) -> None:
    """Set the limit."""
    members["max_output_tokens"] = tokens


def quick(body: bytes) -> Quick | None:
    """Its answers name the tools that were run: they are parsed."""
    return None


SURFACE = ChatSurface(
    dialect=DIALECT,
    id_prefix="resp_",
    peek=peek,
    quick=quick,
    marks=Marks(
        b'"usage":',
        b'"usage":null',
        tuple(
            line % kind
            for kind in (b"completed", b"incomplete", b"failed")
            for line in (b"event: response.%b", b"event:response.%b", b'data: {"type":"response.%b"')
        ),
        (b"event: error", b'"error":{', b'"error": {', b'"type":"error"', b'"type": "error"'),
        begins=(
            b"event: response.output_text.delta\ndata: {",
            b"event: response.function_call_arguments.delta\ndata: {",
        ),
        ends=(b"}\n\n",),
    ),
    cap=cap,
    keeps=True,
    continues=("previous_response_id", "conversation"),
    reasoning=frozenset({"reasoning"}),
)
