"""Log probabilities: `{"token", "logprob", "bytes", "top_logprobs"}` for each token, both ways.

Source: `Logprob` in api/types.go of ollama/ollama
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.dialects import wire
from penstock.types.content import TokenLogprob
from penstock.types.errors import MalformedError

_KEYS = frozenset({"token", "logprob", "bytes", "top_logprobs"})


def read_logprobs(value: Any) -> tuple[TokenLogprob, ...]:
    """A list of tokens."""
    found: tuple[TokenLogprob, ...] = wire.each(_read_entry, value)
    return found


def _read_entry(value: Any) -> TokenLogprob:
    entry = wire.obj(value)
    token, data, top = entry.get("token"), entry.get("bytes"), entry.get("top_logprobs")
    if not isinstance(token, str):
        raise MalformedError(f"expected a string, got {wire.describe(token)}", "token")
    return TokenLogprob(
        token,
        wire.number(entry["logprob"]) if entry.get("logprob") is not None else None,
        None if data is None else wire.each(wire.integer, data),
        None if top is None else wire.each(_read_entry, top),
        wire.rest(entry, _KEYS),
    )


def write_logprobs(entries: Sequence[TokenLogprob], foreign: bool = False) -> list[dict[str, Any]]:
    """The list again. `foreign`: extras are another dialect's, and a token without a number is left out, since clients
    demand one.
    """
    return [_write_entry(entry, foreign) for entry in entries if not foreign or entry.logprob is not None]


def _write_entry(entry: TokenLogprob, foreign: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"token": entry.token}
    if entry.logprob is not None:
        found["logprob"] = entry.logprob
    if entry.bytes is not None:
        found["bytes"] = list(entry.bytes)
    if entry.top is not None:
        found["top_logprobs"] = write_logprobs(entry.top, foreign)
    return found if foreign else wire.merge(entry.extras, found)
