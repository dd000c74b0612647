"""The one table of dialects. A dialect is loaded when it is first asked for, so that nobody pays for those they do
not speak.

Adding one: a folder that offers `DIALECT`, and its name here. A test loads every name and holds each to the contract
suite.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from penstock.dialects.dialect import Dialect

NAMES: tuple[str, ...] = (
    "openai_chat",
    "openai_responses",
    "anthropic_messages",
    "gemini",
    "bedrock_converse",
    "cohere_chat",
    "ollama_chat",
)
"""The chat dialects. Each is a package of `penstock.dialects`, and the value of `Request.dialect`."""


@cache
def get(name: str) -> Dialect:
    """The dialect of that name. Raises KeyError for a name that is not in the table."""
    if name not in NAMES:
        raise KeyError(f"there is no dialect {name!r}; the dialects are {', '.join(NAMES)}")
    dialect: Dialect = import_module(f"penstock.dialects.{name}").DIALECT
    return dialect


def dialects() -> tuple[Dialect, ...]:
    """All of them, in the order of the table."""
    return tuple(get(name) for name in NAMES)
