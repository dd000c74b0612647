"""Gemini's generateContent, as the Gemini API and Vertex AI speak it.

spelling.py      two spellings of every field; signatures.py thought signatures; schema.py two languages for schemas
request.py       the body; config.py generationConfig; tools.py tools and the choice among them
messages.py      contents; parts.py and media.py what they are made of
response.py      answers; usage.py, grounding.py, logprobs.py what stands beside them
frames.py        how streams are cut; stream.py and stream_writer.py their events; partial_args.py streamed arguments
errors.py        refusals
foreign*.py      other dialects' requests and answers in the terms of this one; names.py tool names
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from penstock.dialects.dialect import Dialect, PathMatch, boundary
from penstock.dialects.gemini import errors, request, response, stream, stream_writer
from penstock.dialects.gemini.foreign_media import reads_url
from penstock.dialects.gemini.frames import stream_type_asked

NAME = "gemini"

_PATH = re.compile(
    r"(?:^|/)(?:publishers/(?P<publisher>[^/]+)/)?(?P<kind>models|tunedModels|endpoints)/"
    r"(?P<model>[^:]+(?::[^:]+)*?):(?P<method>generateContent|streamGenerateContent)/?$"
)


def match_path(path: str) -> PathMatch | None:
    """`.../models/{model}:generateContent` and `:streamGenerateContent`, whatever stands before: a version, a project
    and a location of Vertex AI, a publisher.

    A tuned model or an endpoint keeps its collection in its name, a publisher other than Google its own
    ("tunedModels/mine", "endpoints/123", "meta/llama").
    """
    found = _PATH.search(unquote(path.partition("?")[0]))
    if found is None:
        return None
    model, kind, publisher = found["model"], found["kind"], found["publisher"]
    if kind != "models":
        model = f"{kind}/{model}"
    elif publisher not in (None, "google"):
        model = f"{publisher}/{model}"
    return PathMatch(model, found["method"] == "streamGenerateContent")


def path(model: str, stream: bool) -> str:
    """The Gemini API's path. Streams are asked for as server-sent events."""
    whole = model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return f"/v1beta/{quote(whole)}:{method}"


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
    stream_type_asked=stream_type_asked,
    carries_urls=frozenset({"image", "audio", "video", "file"}),
    reads_url=reads_url,
    places=request.PLACES,
)
