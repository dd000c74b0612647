"""Amazon Bedrock Converse and ConverseStream: one dialect for all models that Bedrock hosts.

request.py    the body and its table of fields; additional.py what goes on to the model; tools.py `toolConfig`
messages.py   messages; blocks.py their content blocks; media.py images and documents; citations.py cited text;
              signatures.py the proofs of reasoning
response.py   answers; usage.py counts; errors.py refusals
stream.py     reads event streams; stream_own.py and stream_writer.py write them
foreign.py    other dialects' requests in the terms of this one: turns.py their order, foreign_parts.py their parts,
              schemas.py structured output, names.py what Bedrock allows as a name, cache_points.py how many markers
"""

from __future__ import annotations

from penstock.dialects.aws_event_stream import MEDIA_TYPE
from penstock.dialects.bedrock_converse import errors, request, response, stream, stream_writer
from penstock.dialects.bedrock_converse.names import NAME
from penstock.dialects.dialect import Dialect, boundary

__all__ = ["DIALECT", "NAME"]

DIALECT = Dialect(
    name=NAME,
    match_path=request.match_path,
    path=request.path,
    parse_request=boundary(NAME)(request.read_request),
    render_request=boundary(NAME)(request.render_request),
    parse_response=boundary(NAME)(response.read_response),
    render_response=boundary(NAME)(response.render_response),
    parse_error=errors.read_error,
    render_error=errors.render_error,
    stream_parser=stream.stream_parser,
    stream_renderer=stream_writer.stream_renderer,
    stream_media_type=MEDIA_TYPE,
    places=request.PLACES,
)
