"""The wire formats for embeddings, one file each, and their table. They share the representation of
`penstock.types.embedding`.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from penstock.dialects.embeddings.dialect import EmbeddingDialect

HOMES: dict[str, str] = {
    "openai_embeddings": "openai",
    "cohere_embed": "cohere",
    "gemini_embed": "gemini",
    "vertex_embed": "vertex",
    "bedrock_titan_embed": "bedrock_titan",
    "bedrock_cohere_embed": "bedrock_cohere",
    "bedrock_nova_embed": "bedrock_nova",
    "ollama_embed": "ollama",
}
"""Each dialect's name and the module here that holds it as `DIALECT`."""

VARIANTS: dict[str, str] = {"gemini_embed_content": "gemini"}
"""Wire formats that are a form of a dialect, with an address of their own; its module holds each as `SINGLE`."""


@cache
def get(name: str) -> EmbeddingDialect:
    """The dialect (or the form of one) of that name. Raises KeyError for a name that is not in the tables."""
    if name in VARIANTS:
        form: EmbeddingDialect = import_module(f"{__name__}.{VARIANTS[name]}").SINGLE
        return form
    if name not in HOMES:
        raise KeyError(f"there is no embedding dialect {name!r}; there are {', '.join(HOMES)}")
    dialect: EmbeddingDialect = import_module(f"{__name__}.{HOMES[name]}").DIALECT
    return dialect


def dialects() -> tuple[EmbeddingDialect, ...]:
    """All of them, in the order of the table."""
    return tuple(get(name) for name in HOMES)
