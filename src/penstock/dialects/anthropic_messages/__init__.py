"""Anthropic Messages: POST /v1/messages, and the same body on Bedrock (`invoke`) and Vertex (`rawPredict`), where the
path names the model.

request.py     the body and its table of fields; tools.py, thinking.py, formats.py its larger fields
messages.py    messages and blocks; media.py, citations.py, signatures.py parts of blocks
response.py    answers; usage.py, stops.py parts of them; stream.py and stream_writer.py frames; errors.py refusals
foreign*.py    other dialects' values in the terms of this one; turns.py the order of their messages
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from penstock.dialects.anthropic_messages import errors, request, response, stream, stream_writer
from penstock.dialects.anthropic_messages.names import NAME
from penstock.dialects.dialect import Dialect, PathMatch, boundary

_MESSAGES = re.compile(r"(?:^|/)v1/messages/?$")
_INVOKE = re.compile(r"(?:^|/)model/(?P<model>[^/]*anthropic[^/]*)/invoke(?P<stream>-with-response-stream)?$")
_PREDICT = re.compile(r"(?:^|/)publishers/anthropic/models/(?P<model>[^/:]+):(?P<verb>rawPredict|streamRawPredict)$")
_COUNT_TOKENS = "count-tokens"
"""The name under which Vertex counts tokens: the same form of path, but no chat."""


def match_path(path: str) -> PathMatch | None:
    """`.../v1/messages`, and the paths of Bedrock and Vertex that carry this body. (Bedrock's streamed `invoke` wraps
    the frames in another framing, which whoever reads them must take off first.)
    """
    if _MESSAGES.search(path):
        return PathMatch()
    invoke = _INVOKE.search(path)
    if invoke is not None:
        return PathMatch(unquote(invoke["model"]), invoke["stream"] is not None)
    predict = _PREDICT.search(path)
    if predict is None or predict["model"] == _COUNT_TOKENS:
        return None
    return PathMatch(unquote(predict["model"]), predict["verb"] == "streamRawPredict")


def path(model: str, stream: bool) -> str:
    """Anthropic's own path."""
    return "/v1/messages"


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
    tell_error=errors.tell_error,
    stream_parser=stream.stream_parser,
    stream_renderer=stream_writer.stream_renderer,
    carries_urls=frozenset({"image", "file"}),
)
