"""Cohere's v2 chat: POST /v2/chat.

request.py     the body and its table of fields; tools.py its larger fields; documents.py what a model may cite
messages.py    messages and blocks; citations.py where a text comes from
response.py    answers; usage.py, stops.py, logprobs.py parts of them; errors.py refusals
stream.py      frames, read; stream_writer.py frames, written
foreign*.py    other dialects' values in the terms of this one; turns.py the order of their messages
"""

from __future__ import annotations

import re

from penstock.dialects.cohere_chat import errors, request, response, stream, stream_writer
from penstock.dialects.cohere_chat.names import NAME
from penstock.dialects.dialect import Dialect, PathMatch, boundary

_PATH = re.compile(r"(?:^|/)v2/chat/?$")


def match_path(path: str) -> PathMatch | None:
    """`.../v2/chat`."""
    return PathMatch() if _PATH.search(path) else None


def path(model: str, stream: bool) -> str:
    """Cohere's own path."""
    return "/v2/chat"


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
    stream_renderer=stream_writer.stream_renderer,
    carries_urls=frozenset({"image"}),
)
