"""Log probabilities: `{"text", "token_ids", "logprobs"}` for each piece of text, both ways.

A piece may be of several tokens, whose own texts are not told: the first has the text, the others have none and are
marked as JOINED to it. Sums and means over the tokens come out right. Source: https://docs.cohere.com/reference/chat
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.dialects import wire
from penstock.types.content import TokenLogprob

JOINED = "(joined)"
_NUMBER = "(token_id)"
_WHOLE = "(piece)"
"""Marks a piece that is kept as it is; its value says whether its text is modelled."""

_KNOWN = frozenset({"text", "token_ids", "logprobs"})


def read_logprobs(value: Any) -> tuple[TokenLogprob, ...]:
    """A list of pieces."""
    pieces: tuple[tuple[TokenLogprob, ...], ...] = wire.each(read_piece, value)
    return tuple(entry for piece in pieces for entry in piece)


def read_piece(value: Any) -> tuple[TokenLogprob, ...]:
    """The tokens of one piece. One that is not as it should be is a single token with everything in its extras."""
    piece = wire.obj(value)
    text, ids, logprobs = piece.get("text"), piece.get("token_ids"), piece.get("logprobs")
    if not isinstance(text, str) or not isinstance(ids, list) or not isinstance(logprobs, list) or not logprobs:
        return (_irregular(piece),)
    if len(ids) != len(logprobs) or not all(type(number) in (int, float) for number in logprobs):
        return (_irregular(piece),)
    extras = {_NUMBER: ids[0], **(wire.rest(piece, _KNOWN) or {})}
    others = zip(ids[1:], logprobs[1:], strict=True)
    return (
        TokenLogprob(text, logprobs[0], extras=extras),
        *(TokenLogprob("", number, extras={JOINED: True, _NUMBER: token}) for token, number in others),
    )


def _irregular(piece: dict[str, Any]) -> TokenLogprob:
    text = piece.get("text")
    if not isinstance(text, str):
        return TokenLogprob("", extras={_WHOLE: False, **piece})
    return TokenLogprob(text, extras={_WHOLE: True, **(wire.rest(piece, frozenset({"text"})) or {})})


def write_logprobs(entries: Sequence[TokenLogprob]) -> list[dict[str, Any]]:
    """The pieces again."""
    found: list[dict[str, Any]] = []
    for entry in entries:
        extras = dict(entry.extras or {})
        token = extras.pop(_NUMBER, None)
        if extras.pop(JOINED, False) and found and "logprobs" in found[-1]:
            found[-1]["token_ids"].append(token)
            found[-1]["logprobs"].append(entry.logprob)
        elif _WHOLE in extras:
            found.append({**extras, "text": entry.token} if extras.pop(_WHOLE) else extras)
        else:
            found.append({**extras, "text": entry.token, "token_ids": [token], "logprobs": [entry.logprob]})
    return found


def write_foreign_logprobs(entries: Sequence[TokenLogprob]) -> list[dict[str, Any]]:
    """Another dialect's tokens, one a piece; nobody knows their numbers."""
    return [
        {"text": entry.token, "token_ids": [], "logprobs": [] if entry.logprob is None else [entry.logprob]}
        for entry in entries
    ]
