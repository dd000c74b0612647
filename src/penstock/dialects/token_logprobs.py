"""Log probabilities: `{"token", "logprob", "bytes", "top_logprobs"}` for each token, the object that OpenAI's APIs and
those who follow them share, both ways; and what of another dialect's token everybody may see.

Source: https://platform.openai.com/docs/api-reference/chat/object; `Logprob` in api/types.go of ollama/ollama.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from penstock.dialects import wire
from penstock.types.content import TokenLogprob
from penstock.types.errors import DialectError

_KEYS = frozenset({"token", "logprob", "bytes", "top_logprobs"})


def read_logprobs(value: Any) -> tuple[TokenLogprob, ...]:
    """A list of tokens. Raises MalformedError."""
    if value == []:
        return ()  # nearly every event of a stream
    found: tuple[TokenLogprob, ...] = wire.each(_read_entry, value)
    return found


def logprobs_or_none(value: Any) -> tuple[TokenLogprob, ...] | None:
    """As `read_logprobs`; None where there are none or in another form (Together's, the one of old completions)."""
    if value is None:
        return None
    try:
        return read_logprobs(value)
    except DialectError:
        return None


def _read_entry(value: Any) -> TokenLogprob:
    entry = wire.obj(value)
    data, top, logprob = entry.get("bytes"), entry.get("top_logprobs"), entry.get("logprob")
    try:
        token = wire.string(entry.get("token"))
    except DialectError as error:
        raise error.at("token") from None
    return TokenLogprob(
        token,
        None if logprob is None else wire.number(logprob),
        None if data is None else wire.each(wire.integer, data),
        None if top is None else read_logprobs(top),
        wire.rest(entry, _KEYS),
    )


def write_logprobs(entries: Iterable[TokenLogprob]) -> list[dict[str, Any]]:
    """The list again."""
    return [_write_entry(entry) for entry in entries]


def _write_entry(entry: TokenLogprob) -> dict[str, Any]:
    found: dict[str, Any] = {"token": entry.token}
    if entry.logprob is not None:
        found["logprob"] = entry.logprob
    if entry.bytes is not None:
        found["bytes"] = list(entry.bytes)
    if entry.top is not None:
        found["top_logprobs"] = write_logprobs(entry.top)
    return wire.merge(entry.extras, found)


def without_extras(entries: tuple[TokenLogprob, ...]) -> tuple[TokenLogprob, ...]:
    """The same tokens without what only their own dialect knows (their numbers in its vocabulary)."""
    return tuple([_bare(entry) for entry in entries])


def _bare(entry: TokenLogprob) -> TokenLogprob:
    return TokenLogprob(
        entry.token, entry.logprob, entry.bytes, None if entry.top is None else without_extras(entry.top)
    )


def numbered_tokens(entries: Iterable[TokenLogprob]) -> tuple[TokenLogprob, ...]:
    """As `without_extras`, and without the tokens that have no probability, for clients that demand one of each."""
    return tuple(
        [
            TokenLogprob(entry.token, entry.logprob, entry.bytes, entry.top and numbered_tokens(entry.top))
            for entry in entries
            if entry.logprob is not None
        ]
    )


def completed(entries: tuple[TokenLogprob, ...]) -> tuple[TokenLogprob, ...]:
    """As `without_extras`, with what OpenAI's clients demand of each: its bytes, and a list of alternatives."""
    return tuple([_complete(entry, tuple([_complete(other, None) for other in entry.top or ()])) for entry in entries])


def _complete(entry: TokenLogprob, top: tuple[TokenLogprob, ...] | None) -> TokenLogprob:
    data = entry.bytes if entry.bytes is not None else tuple(entry.token.encode("utf-8", "replace"))
    return TokenLogprob(entry.token, entry.logprob, data, top)
