"""OpenAI Responses: POST /v1/responses. What stands where: items.py and messages.py say how its lists of items become
parts and messages.
"""

from __future__ import annotations

from penstock.dialects.dialect import Context, Dialect, PathMatch, StreamRenderer, boundary
from penstock.dialects.openai_responses.errors import read_error, render_error
from penstock.dialects.openai_responses.request import NAME, read_request, render_request
from penstock.dialects.openai_responses.response import read_response, render_response
from penstock.dialects.openai_responses.stream import stream_parser
from penstock.dialects.openai_responses.stream_writer import EventWriter


def _match_path(path: str) -> PathMatch | None:
    """`.../responses`. What lies below it (`/responses/{id}`, `/responses/compact`) is another call."""
    place = path.partition("?")[0].rstrip("/")
    return PathMatch() if place.endswith("/responses") else None


def _path(model: str, stream: bool) -> str:
    return "/v1/responses"


def _stream_renderer(context: Context) -> StreamRenderer:
    return EventWriter(context)


_guard = boundary(NAME)

DIALECT = Dialect(
    name=NAME,
    match_path=_match_path,
    path=_path,
    parse_request=_guard(read_request),
    render_request=_guard(render_request),
    parse_response=_guard(read_response),
    render_response=_guard(render_response),
    parse_error=read_error,
    render_error=_guard(render_error),
    stream_parser=stream_parser,
    stream_renderer=_stream_renderer,
    carries_urls=frozenset({"image", "file"}),
)
