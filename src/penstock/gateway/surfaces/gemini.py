"""Gemini's generateContent as a surface: the path names the model, and whether to stream."""

from __future__ import annotations

from penstock.dialects.dialect import PathMatch
from penstock.dialects.gemini import DIALECT
from penstock.gateway.relay import Members, Peeked, obj
from penstock.gateway.surfaces.chat import ChatSurface, Quick
from penstock.gateway.tap import Marks


def peek(members: Members, match: PathMatch) -> Peeked:
    """What path and body say."""
    config = obj(members, _config(members))
    limit = config.get("maxOutputTokens", config.get("max_output_tokens"))
    choices = config.get("candidateCount", config.get("candidate_count"))
    return Peeked(
        match.model or "",
        bool(match.stream),
        limit if type(limit) is int and limit >= 0 else None,
        choices if type(choices) is int and choices > 0 else 1,
    )


def cap(members: Members, tokens: int, word: str | None) -> None:
    """Set the limit."""
    name = _config(members)
    config = {key: value for key, value in obj(members, name).items() if key != "max_output_tokens"}
    members[name] = {**config, "maxOutputTokens": tokens}


def _config(members: Members) -> str:
    """The name of the configuration: Google's servers read both spellings."""
    return "generation_config" if "generation_config" in members else "generationConfig"


def quick(body: bytes) -> Quick | None:
    """Its counts differ by modality: they are parsed."""
    return None


SURFACE = ChatSurface(
    dialect=DIALECT,
    id_prefix="",
    peek=peek,
    quick=quick,
    marks=Marks(b'"usageMetadata":', None, (), (b'"error":',), (b'"finishReason":"', b'"finishReason": "')),
    cap=cap,
    names_model_in_body=False,
    model_key="modelVersion",
)
