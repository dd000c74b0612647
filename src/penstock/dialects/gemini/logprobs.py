"""logprobsResult, both ways: the tokens that were chosen, and for each the candidates that were considered.

The representation keeps probabilities with the text that they belong to. A result of any form that does not fit (a list
of alternatives of another length, tokens without a text) stays whole in the choice's extras.

Source: https://ai.google.dev/api/generate-content#LogprobsResult
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.types.content import TokenLogprob

KEY = "logprobsResult"

_KNOWN = frozenset({"token", "logProbability"})


def read_logprobs(result: Any) -> tuple[tuple[TokenLogprob, ...], dict[str, Any]] | None:
    """(the probabilities, what of the result they leave), or None where it does not fit."""
    if type(result) is not dict:
        return None
    chosen, top = result.get("chosenCandidates"), result.get("topCandidates")
    if type(chosen) is not list or not _are_tokens(chosen) or not (top is None or _fits(top, len(chosen))):
        return None
    found = tuple(
        _read(entry, tuple(_read(other, None) for other in top[place]["candidates"]) if top is not None else None)
        for place, entry in enumerate(chosen)
    )
    taken = ("chosenCandidates",) if top is None else ("chosenCandidates", "topCandidates")
    return found, {key: value for key, value in result.items() if key not in taken}


def _are_tokens(value: Any) -> bool:
    """Whether this is a list of one or more tokens, each with its text and, if any, a numeric probability."""
    return (
        type(value) is list
        and len(value) > 0
        and all(
            type(entry) is dict
            and type(entry.get("token")) is str
            and type(entry.get("logProbability")) in (float, int, type(None))
            for entry in value
        )
    )


def _fits(top: Any, count: int) -> bool:
    return (
        type(top) is list
        and len(top) == count
        and all(
            type(entry) is dict and entry.keys() == {"candidates"} and _are_tokens(entry["candidates"]) for entry in top
        )
    )


def _read(entry: dict[str, Any], top: tuple[TokenLogprob, ...] | None) -> TokenLogprob:
    return TokenLogprob(entry["token"], entry.get("logProbability"), top=top, extras=wire.rest(entry, _KNOWN))


def write_logprobs(logprobs: tuple[TokenLogprob, ...]) -> dict[str, Any]:
    """logprobsResult for these tokens."""
    found: dict[str, Any] = {"chosenCandidates": [_write(entry) for entry in logprobs]}
    if any(entry.top is not None for entry in logprobs):
        found["topCandidates"] = [{"candidates": [_write(other) for other in entry.top or ()]} for entry in logprobs]
    return found


def _write(entry: TokenLogprob) -> dict[str, Any]:
    found: dict[str, Any] = {"token": entry.token}
    if entry.logprob is not None:
        found["logProbability"] = entry.logprob
    return wire.merge(entry.extras, found)
