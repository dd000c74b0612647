"""Cohere's embedding models on Bedrock: Cohere's shape through `invoke`, the model in the path.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from penstock.dialects.dialect import boundary
from penstock.dialects.embeddings import cohere_shape
from penstock.dialects.embeddings.bedrock import match_invoke
from penstock.dialects.embeddings.dialect import EmbeddingDialect
from penstock.dialects.embeddings.errors import errors_of

NAME = "bedrock_cohere_embed"


def recognises(body: dict[str, Any]) -> bool:
    """`texts` or `images`, and a purpose."""
    return "input_type" in body and bool(body.keys() & {"texts", "images", "inputs"})


_parse_error, _render_error = errors_of("bedrock_converse")

DIALECT = EmbeddingDialect(
    name=NAME,
    match_path=match_invoke,
    recognises=recognises,
    parse_request=boundary(NAME)(partial(cohere_shape.read_request, NAME)),
    render_request=boundary(NAME)(partial(cohere_shape.render_request, NAME, with_model=False)),
    parse_response=boundary(NAME)(partial(cohere_shape.read_response, NAME)),
    render_response=boundary(NAME)(partial(cohere_shape.render_response, NAME)),
    parse_error=_parse_error,
    render_error=_render_error,
    max_inputs=96,
)
