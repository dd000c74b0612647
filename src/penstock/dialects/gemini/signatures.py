"""Thought signatures: Gemini's own, and other providers' on their way through a Gemini client.

`thoughtSignature` is bytes, in JSON as base64, that a client sends back with its history. An answer of another provider
has signatures of another origin: without them its thinking is refused on the next turn. So they travel in the same
field, in an envelope that says whose they are:

    base64("penstock:<origin>:<kind>:<item id>:<value>")      kind: "" or "redacted" (the part's text is withheld)

The prefix has 9 bytes, so its base64 is the same in every envelope. Google's own values begin otherwise: they are
protocol buffers, and "p" is no tag of theirs.

Source: https://ai.google.dev/gemini-api/docs/thought-signatures
"""

from __future__ import annotations

from base64 import b64decode, b64encode

from msgspec import Struct

from penstock.types.content import Signature

ORIGIN = "gemini"

SKIP_VALIDATION = "skip_thought_signature_validator"
"""The documented stand-in for a tool call whose signature is not to be had (made by another model, or by hand)."""

URL_SAFE = "signature=urlsafe"
"""The shape word for an envelope in the other base64 alphabet: Google's Python client re-encodes what it sends back."""

_MARK = b64encode(b"penstock:").decode()
_TO_STANDARD = str.maketrans("-_", "+/")
_TO_URL_SAFE = str.maketrans("+/", "-_")


class Sealed(Struct, frozen=True):
    """What a `thoughtSignature` says: the signature, whether its part is redacted, the item's id, the shape word."""

    signature: Signature | None
    redacted: bool = False
    item_id: str | None = None
    shape: str = ""


UNSIGNED = Sealed(None)


def read_signature(value: str) -> Sealed:
    """A `thoughtSignature`. What only looks like an envelope is Google's own."""
    if not value.startswith(_MARK):
        return Sealed(Signature(value, ORIGIN))
    standard = value.translate(_TO_STANDARD)
    try:
        _, origin, kind, item_id, inner = b64decode(standard, validate=True).decode().split(":", 4)
    except ValueError:
        return Sealed(Signature(value, ORIGIN))
    signature, redacted, shape = Signature(inner, origin), kind == "redacted", URL_SAFE if standard != value else ""
    if write_signature(signature, redacted, item_id, bool(shape)) != value:
        return Sealed(Signature(value, ORIGIN))
    return Sealed(signature, redacted, item_id or None, shape)


def write_signature(
    signature: Signature, redacted: bool = False, item_id: str | None = None, url_safe: bool = False
) -> str:
    """The `thoughtSignature` for a signature of any origin."""
    if signature.origin == ORIGIN:
        return signature.value
    content = f"{signature.origin}:{'redacted' if redacted else ''}:{item_id or ''}:{signature.value}"
    found = _MARK + b64encode(content.encode()).decode()
    return found.translate(_TO_URL_SAFE) if url_safe else found
