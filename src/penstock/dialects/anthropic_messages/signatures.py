"""Signatures of any origin in Anthropic's two places for them: `thinking.signature` and `redacted_thinking.data`.

A client of this dialect sends its history back as it got it, whichever provider answered. So a proof that Gemini or
OpenAI wrote must survive the trip through these two strings, and must be told from Anthropic's own, which are plain
base64. An envelope does both:

    <base64>                     Anthropic's own
    gemini:<id>:<value>          a thought of another origin, with the provider's item id (often empty)
    gemini>:<id>:<value>         in `redacted_thinking` only: the signature of the part that follows (Gemini signs
                                 calls and texts, too)
    gemini<:<id>:<value>         the same, of the part before

Base64 knows no colon, hence nothing of Anthropic's can be mistaken for an envelope, and reading and writing are exact
inverses.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from penstock.types.content import Signature

ORIGIN = "anthropic"
FOREIGN = frozenset({"gemini", "openai"})

Place: TypeAlias = Literal["", ">", "<"]
"""Whose signature an envelope holds: the block's own, the next part's, the previous part's."""


def open_envelope(text: str) -> tuple[Signature, str | None, Place]:
    """(signature, item id, whose it is) of a `signature` or `data` string."""
    head, colon, rest = text.partition(":")
    if not colon:
        return Signature(text, ORIGIN), None, ""
    place: Place = ">" if head.endswith(">") else "<" if head.endswith("<") else ""
    origin = head[:-1] if place else head
    item_id, colon, value = rest.partition(":")
    if origin not in FOREIGN or not colon:
        return Signature(text, ORIGIN), None, ""
    return Signature(value, origin), item_id or None, place


def seal(signature: Signature, item_id: str | None = None, place: Place = "") -> str:
    """The `signature` or `data` string for a signature of any origin."""
    if signature.origin == ORIGIN:
        return signature.value
    return f"{signature.origin}{place}:{item_id or ''}:{signature.value}"
