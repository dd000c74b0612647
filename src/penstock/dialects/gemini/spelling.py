"""Two spellings of every field: Google's servers read `inlineData` and `inline_data` alike, and clients mix them.

A reader takes whichever is there (`find`) and remembers each snake_case name in the value's `native`, a list of words
with blanks between. A writer asks `native` how to say a name (`Names`). A word without an underscore in it is not a
name but a shape: what is absent in this object though the plainest form has it ("-role"), or how it differs from it
 ("parts={}": one object instead of a list). None is the plainest form: camelCase, nothing missing.

Source: https://protobuf.dev/programming-guides/json/ (parsers accept the lowerCamelCase name and the original one).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any

from penstock.dialects import wire
from penstock.types.content import Extras
from penstock.types.errors import DialectError, MalformedError

_HUMP = re.compile(r"([A-Z])")


def snake(name: str) -> str:
    """`inlineData` -> `inline_data`."""
    return _HUMP.sub(lambda match: "_" + match[1].lower(), name)


SNAKE: dict[str, str] = {
    name: snake(name)
    for name in (
        "allowedFunctionNames",
        "codeExecutionResult",
        "displayName",
        "executableCode",
        "fileData",
        "fileUri",
        "functionCall",
        "functionCallingConfig",
        "functionDeclarations",
        "functionResponse",
        "generationConfig",
        "includeThoughts",
        "inlineData",
        "mcpServers",
        "mediaResolution",
        "mimeType",
        "parametersJsonSchema",
        "responseJsonSchema",
        "responseMimeType",
        "responseSchema",
        "serviceTier",
        "speechConfig",
        "systemInstruction",
        "thinkingBudget",
        "thinkingConfig",
        "thinkingLevel",
        "thoughtSignature",
        "toolCall",
        "toolConfig",
        "toolResponse",
        "toolType",
    )
}
"""The names that are modelled and have two spellings. All others stay in extras, as they were spelled."""


def find(holder: Mapping[str, Any], name: str) -> tuple[str, Any]:
    """(the key as it is spelled, its value) of a field; ("", None) where it is absent or null in both spellings."""
    value = holder.get(name)
    if value is not None:
        return name, value
    other = SNAKE[name]
    value = holder.get(other)
    return (other, value) if value is not None else ("", None)


@lru_cache(maxsize=1024)
def words(used: tuple[str, ...], *shapes: str) -> str | None:
    """`native` for an object: the snake_case names among the keys that were read, then shapes, without empty words."""
    return " ".join([key for key in used if "_" in key] + [shape for shape in shapes if shape]) or None


def present(holder: Mapping[str, Any], keys: Iterable[str]) -> tuple[str, ...]:
    """Those of `keys` that hold a value."""
    return tuple([key for key in keys if holder.get(key) is not None])


def left(holder: Mapping[str, Any], used: Collection[str]) -> Extras:
    """What of `holder` was not read: all keys but `used` (every one of which holds a value that is not null)."""
    if len(used) == len(holder):
        return None
    return {key: value for key, value in holder.items() if key not in used}


class Names(frozenset[str]):
    """The words of a `native`. `names_of(native)["inlineData"]` is "inlineData" or "inline_data"; `in` finds shapes."""

    __slots__ = ()

    def __getitem__(self, name: str) -> str:
        if not self:  # the plainest form, which is nearly every object
            return name
        other = SNAKE[name]
        return other if other in self else name


@lru_cache(maxsize=1024)
def names_of(native: str | None) -> Names:
    """The words of `native`."""
    return Names(native.split() if native else ())


def text_of(holder: Mapping[str, Any], key: str) -> str:
    """The string under `key`. Raises MalformedError with the key as its path."""
    value = holder.get(key)
    if type(value) is str:
        return value
    raise MalformedError(f"expected a string, got {wire.describe(value)}", key)


def maybe_text(holder: Mapping[str, Any], key: str) -> str | None:
    """The string under `key`, or None where the key is "" (not found), absent or null."""
    return None if not key or holder.get(key) is None else text_of(holder, key)


def object_of(holder: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The object under `key`. Raises MalformedError with the key as its path."""
    value = holder.get(key)
    if type(value) is dict:
        return value
    try:
        return wire.obj(value)
    except DialectError as error:
        raise error.at(key) from None
