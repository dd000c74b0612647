"""The wire formats for reranking, one file each, and their table."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from penstock.dialects.rerank.dialect import RerankDialect

HOMES: dict[str, str] = {"cohere_rerank": "cohere", "jina_rerank": "jina", "voyage_rerank": "voyage"}
"""Each format's name and the module here that holds it as `DIALECT`."""


@cache
def get(name: str) -> RerankDialect:
    """The format of that name. Raises KeyError for a name that is not in the table."""
    if name not in HOMES:
        raise KeyError(f"there is no rerank format {name!r}; there are {', '.join(HOMES)}")
    dialect: RerankDialect = import_module(f"{__name__}.{HOMES[name]}").DIALECT
    return dialect
