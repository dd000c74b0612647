"""Log probabilities of other dialects: what of a token everybody may see."""

from __future__ import annotations

from penstock.types.content import TokenLogprob


def without_extras(entries: tuple[TokenLogprob, ...]) -> tuple[TokenLogprob, ...]:
    """The same tokens without what only their own dialect knows (their numbers in its vocabulary)."""
    return tuple([_bare(entry) for entry in entries])


def _bare(entry: TokenLogprob) -> TokenLogprob:
    return TokenLogprob(
        entry.token, entry.logprob, entry.bytes, None if entry.top is None else without_extras(entry.top)
    )


def completed(entries: tuple[TokenLogprob, ...]) -> tuple[TokenLogprob, ...]:
    """As `without_extras`, with what OpenAI's clients demand of each: its bytes, and a list of alternatives."""
    return tuple([_complete(entry, tuple([_complete(other, None) for other in entry.top or ()])) for entry in entries])


def _complete(entry: TokenLogprob, top: tuple[TokenLogprob, ...] | None) -> TokenLogprob:
    data = entry.bytes if entry.bytes is not None else tuple(entry.token.encode("utf-8", "replace"))
    return TokenLogprob(entry.token, entry.logprob, data, top)
