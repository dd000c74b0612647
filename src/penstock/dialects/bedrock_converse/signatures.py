"""Signatures of any origin inside of Converse's two places for them: `reasoningText.signature` and `redactedContent`.

A client of Converse sends its history back as it got it, whichever provider answered. So a proof that Gemini or OpenAI
wrote must survive the trip through these two strings, and must be told from Claude's own, which are plain base64. An
envelope does both:

    <base64>                   Claude's own
    gemini:<id>:<value>        a thought of another origin, with the provider's item id (often empty)
    gemini>:<id>:<value>       in `redactedContent` only: the signature of the part that follows (Gemini signs calls)
    gemini<:<id>:<value>       the same, of the part before

Base64 knows no colon, so nothing of Claude's can be mistaken for an envelope, and reading and writing are exact
inverses.

`redactedContent` is a blob: on the wire it is base64 of what Anthropic's own API carries as text. The representation
holds that text, fit for either API; a blob that is something else is kept as it is, and is then marked as `BLOB`.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Literal, TypeAlias

from penstock.types.content import Signature

ORIGIN = "anthropic"
"""Whose signatures Bedrock's models write: of the families there, only Claude signs its reasoning."""

BLOB = "blob"
FOREIGN = frozenset({"gemini", "openai", "xai"})

Place: TypeAlias = Literal["", ">", "<"]
"""Whose signature an envelope holds: the block's own, the next part's, the previous part's."""


def open_envelope(text: str) -> tuple[Signature, str | None, Place]:
    """(signature, item id, whose it is) of a signature as text."""
    head, colon, rest = text.partition(":")
    if not colon:
        return Signature(text, ORIGIN), None, ""
    place: Place = ">" if head.endswith(">") else "<" if head.endswith("<") else ""
    origin = head[:-1] if place else head
    item_id, colon, value = rest.partition(":")
    if not colon or not (origin in FOREIGN or (place and origin == ORIGIN)):
        return Signature(text, ORIGIN), None, ""
    return Signature(value, origin), item_id or None, place


def seal(signature: Signature, item_id: str | None = None, place: Place = "") -> str:
    """The text for a signature of any origin."""
    if signature.origin == ORIGIN and not place:
        return signature.value
    return f"{signature.origin}{place}:{item_id or ''}:{signature.value}"


def open_blob(blob: str) -> str | None:
    """The text in a blob, or None where it holds something else."""
    try:
        text = b64decode(blob, validate=True).decode("ascii")
    except ValueError:
        return None
    return text if write_blob(text) == blob else None


def write_blob(text: str) -> str:
    """The blob for a text."""
    return b64encode(text.encode()).decode()
