"""Cohere's own embeddings API, POST /v2/embed (and its older /v1/embed)."""

from __future__ import annotations

import re
from functools import partial

from penstock.dialects.dialect import PathMatch, boundary
from penstock.dialects.embeddings import cohere_shape
from penstock.dialects.embeddings.dialect import EmbeddingDialect
from penstock.dialects.embeddings.errors import errors_of

NAME = "cohere_embed"

_PATH = re.compile(r"(?:^|/)v[12]/embed/?$")


def match_path(path: str) -> PathMatch | None:
    """`/v2/embed`."""
    return PathMatch() if _PATH.search(path) else None


_parse_error, _render_error = errors_of("cohere_chat")

DIALECT = EmbeddingDialect(
    name=NAME,
    match_path=match_path,
    parse_request=boundary(NAME)(partial(cohere_shape.read_request, NAME)),
    render_request=boundary(NAME)(partial(cohere_shape.render_request, NAME, with_model=True)),
    parse_response=boundary(NAME)(partial(cohere_shape.read_response, NAME)),
    render_response=boundary(NAME)(partial(cohere_shape.render_response, NAME)),
    parse_error=_parse_error,
    render_error=_render_error,
    max_inputs=96,
)
