"""OpenAI Chat Completions, the dialect that most hosts speak in one form or another.

request.py     the body and its table of fields; reasoning.py its many ways to ask for thinking; quirks.py what single
               hosts refuse
messages.py    messages and parts; media.py the elements of content lists; thinking.py the places of reasoning;
               citations.py annotations
response.py    answers and usage; errors.py refusals
stream.py      chunks read, with calls.py for tool calls in pieces; stream_writer.py chunks written
foreign.py     other dialects' requests, foreign_response.py other dialects' answers, in the terms of this one
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from penstock.dialects.dialect import Dialect, PathMatch, boundary
from penstock.dialects.openai_chat import errors, request, response, stream, stream_writer

NAME = "openai_chat"

_PATH = re.compile(r"(?:^|/)(?:deployments/(?P<model>[^/]+)/)?chat/completions/?$")


def match_path(path: str) -> PathMatch | None:
    """`.../chat/completions`, and Azure's form with the deployment in the path."""
    found = _PATH.search(path)
    if found is None:
        return None
    model = found["model"]
    return PathMatch(unquote(model) if model else None)


def path(model: str, stream: bool) -> str:
    """OpenAI's own path."""
    return "/v1/chat/completions"


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
    carries_urls=frozenset({"image", "video"}),
    parameters=request.PARAMETERS,
)
