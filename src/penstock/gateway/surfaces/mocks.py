"""Mocks: what `mock_response` of a deployment comes to for calls that are no chat, as the SDK's own mocks do.

Each takes (what was scripted, the body of the request) and gives the answer in the surface's shape, or bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock.types.errors import MalformedError

Body = dict[str, Any]


def embedding(scripted: Any, body: Body) -> Body:
    """A vector, for each input."""
    if isinstance(scripted, Mapping):
        return dict(scripted)
    if not isinstance(scripted, list | tuple):
        raise MalformedError("expected a vector, the name of an exception or a whole answer", "mock_response")
    given = body.get("input")
    several = isinstance(given, list) and bool(given) and not isinstance(given[0], int)
    count = len(given) if several and isinstance(given, list) else 1
    data = [{"object": "embedding", "index": index, "embedding": list(scripted)} for index in range(count)]
    usage = {"prompt_tokens": 10, "total_tokens": 10}
    return {"object": "list", "data": data, "model": body.get("model"), "usage": usage}


def image(scripted: Any, body: Body) -> Body:
    """An image's address, as often as images were asked for."""
    if isinstance(scripted, Mapping):
        return dict(scripted)
    count = int(body["n"]) if str(body.get("n")).isdigit() else 1
    return {"created": 0, "data": [{"url": _text(scripted, "an image's address")}] * count}


def transcription(scripted: Any, body: Body) -> Body | bytes:
    """What was said."""
    if isinstance(scripted, Mapping):
        return dict(scripted)
    text = _text(scripted, "a text")
    return text.encode() if body.get("response_format") in ("text", "srt", "vtt") else {"text": text}


def speech(scripted: Any, body: Body) -> bytes:
    """The sound, which a configuration can only say as text."""
    return _text(scripted, "the bytes as text").encode()


def rerank(scripted: Any, body: Body) -> Body:
    """The whole answer."""
    return _whole(scripted)


def moderation(scripted: Any, body: Body) -> Body:
    """The whole answer."""
    return _whole(scripted)


def _whole(scripted: Any) -> Body:
    if not isinstance(scripted, Mapping):
        raise MalformedError("expected a whole answer or the name of an exception", "mock_response")
    return dict(scripted)


def _text(scripted: Any, what: str) -> str:
    if not isinstance(scripted, str):
        raise MalformedError(f"expected {what}, the name of an exception or a whole answer", "mock_response")
    return scripted
