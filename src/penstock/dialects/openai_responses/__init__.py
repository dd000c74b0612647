"""OpenAI Responses: POST /v1/responses, a list of items in and a list of items out.

request.py     the body and its table of fields; tools.py tools and the choice among them; quirks.py what single hosts
               refuse
messages.py    the two lists of items as messages and as parts; items.py the items that are not messages, with
               reasoning.py and hosted.py (tools that OpenAI defines); content.py and media.py what messages hold;
               fields.py how unmodelled fields are kept
response.py    answers and usage; errors.py refusals
stream.py      events read; stream_writer.py our own events written, narrator.py (with places.py) those of others, whose
               parts in_turn.py puts one after the other
foreign.py     other dialects' requests in the terms of this one, with foreign_settings.py; foreign_response.py their
               answers, with foreign_outcomes.py; foreign_parts.py what both have in common
"""

from __future__ import annotations

from penstock.dialects.dialect import Context, Dialect, PathMatch, StreamRenderer, boundary
from penstock.dialects.openai_responses.errors import read_error, render_error, tell_error
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
    tell_error=_guard(tell_error),
    stream_parser=stream_parser,
    stream_renderer=_stream_renderer,
    carries_urls=frozenset({"image", "file"}),
)
