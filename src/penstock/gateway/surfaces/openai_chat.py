"""OpenAI Chat Completions as a surface."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from penstock.dialects.dialect import PathMatch
from penstock.dialects.openai_chat import DIALECT
from penstock.gateway.relay import Members, Peeked, count, obj, text, true
from penstock.gateway.surfaces.chat import ChatSurface, Quick
from penstock.gateway.tap import Marks


def peek(members: Members, match: PathMatch) -> Peeked:
    """What the body says. Raises MalformedError."""
    found = Peeked(text(members, "model") or match.model or "")
    if "stream" in members:
        found.stream = true(members, "stream")
        found.counts = obj(members, "stream_options").get("include_usage") is True
    limit = count(members, "max_completion_tokens")
    found.max_output = count(members, "max_tokens") if limit is None else limit
    if "n" in members:
        found.choices = count(members, "n") or 1
    if "user" in members:
        found.user = text(members, "user")
    if "prompt_cache_key" in members:
        found.session = text(members, "prompt_cache_key")
    return found


def cap(members: Members, tokens: int, word: str | None) -> None:
    """Set the limit, under the name that the body uses, or else that of the host."""
    name = next((name for name in ("max_completion_tokens", "max_tokens") if name in members), word or "max_tokens")
    members[name] = tokens


def ask_for_usage(members: Members) -> None:
    """Ask for the usage of the stream."""
    members["stream_options"] = {**obj(members, "stream_options"), "include_usage": True}


# What follows is the shape of a plain answer. A count that is another's to read may stand in it as zero, or not at all:
# an answer that says more does not fit.
Zero = Literal[0, None]


class _PromptDetails(Struct):
    cached_tokens: int | None = None
    audio_tokens: Zero = None
    cache_creation_tokens: Zero = None
    cache_write_tokens: Zero = None
    image_tokens: Zero = None
    video_tokens: Zero = None


class _CompletionDetails(Struct):
    reasoning_tokens: int | None = None
    audio_tokens: Zero = None
    image_tokens: Zero = None
    accepted_prediction_tokens: int | None = None
    rejected_prediction_tokens: Zero = None


class _Usage(Struct):
    prompt_tokens: int
    completion_tokens: int
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    total_tokens: int | None = None
    prompt_cache_hit_tokens: Zero = None
    cache_read_input_tokens: Zero = None
    cache_creation_input_tokens: Zero = None
    server_tool_use: None = None
    num_search_queries: Zero = None
    cost: None = None


class _Choice(Struct):
    finish_reason: str | None = None


class _Answer(Struct):
    usage: _Usage
    choices: list[_Choice] = []
    id: str | None = None
    model: str | None = None
    service_tier: str | None = None


_answer = msgspec.json.Decoder(_Answer)


def quick(body: bytes) -> Quick | None:
    """The counts, where nothing but text went in and out."""
    try:
        read = _answer.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    usage = read.usage
    output, inward, outward = usage.completion_tokens, usage.prompt_tokens_details, usage.completion_tokens_details
    if usage.total_tokens is not None and usage.total_tokens != usage.prompt_tokens + output:
        return None  # some hosts count thoughts apart: the dialect knows them
    return Quick(
        usage.prompt_tokens,
        0 if inward is None else inward.cached_tokens or 0,
        output,
        None if outward is None else outward.reasoning_tokens,
        read.choices[0].finish_reason if read.choices else None,
        read.id,
        read.model,
        read.service_tier,
    )


SURFACE = ChatSurface(
    dialect=DIALECT,
    id_prefix="chatcmpl-",
    peek=peek,
    quick=quick,
    marks=Marks(
        b'"usage":',
        b'"usage":null',
        (b"data: [DONE]", b"data:[DONE]"),
        (b'"error":',),
        (b'"finish_reason":"', b'"finish_reason": "'),
        begins=(b"data: {",),
        ends=(
            b'"finish_reason":null}]}\n\n',
            b'"finish_reason":null}],"usage":null}\n\n',
            b'"finish_reason": null}]}\n\n',
            b'"finish_reason": null}], "usage": null}\n\n',
        ),
    ),
    cap=cap,
    count=ask_for_usage,
    prefers=False,
    reasoning=frozenset({"reasoning_effort", "reasoning"}),
)
