"""Ollama's chat: POST /api/chat, answered in JSON lines unless asked otherwise.

request.py     the body and its table of fields; options.py the model's parameters in it; modes.py `format` and `think`
messages.py    messages, with images as bare bytes and arguments as objects
response.py    answers; usage.py, stops.py, times.py parts of them; stream.py lines; errors.py refusals
foreign*.py    other dialects' values in the terms of this one
"""

from __future__ import annotations

import re

from penstock.dialects.dialect import Dialect, PathMatch, boundary
from penstock.dialects.ollama_chat import errors, request, response, stream
from penstock.dialects.ollama_chat.names import NAME

_PATH = re.compile(r"(?:^|/)api/chat/?$")


def match_path(path: str) -> PathMatch | None:
    """`.../api/chat`."""
    return PathMatch() if _PATH.search(path) else None


def path(model: str, stream: bool) -> str:
    """Ollama's own path."""
    return "/api/chat"


DIALECT = Dialect(
    name=NAME,
    match_path=match_path,
    path=path,
    parse_request=boundary(NAME)(request.read_request),
    render_request=boundary(NAME)(request.render_request),
    parse_response=boundary(NAME)(response.read_response),
    render_response=boundary(NAME)(response.render_response),
    parse_error=errors.read_error,
    render_error=errors.render_error,
    stream_parser=stream.stream_parser,
    stream_renderer=stream.stream_renderer,
    stream_media_type="application/x-ndjson",
    places=request.PLACES,
)
