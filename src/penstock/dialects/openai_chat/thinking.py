"""Reasoning in Chat Completions, which OpenAI itself does not show and every compatible host shows in its own way.

    reasoning_content   plain text (DeepSeek, Qwen, Moonshot, vLLM ...)
    reasoning           the same under another name (Groq, OpenRouter, Together)
    thinking_blocks     signed blocks in Anthropic's shape, the convention of LiteLLM's users; `format` names another
                        origin, `id` is the provider's id, which OpenAI wants back beside the signature
    reasoning_details   OpenRouter's typed list: reasoning.text, reasoning.summary, reasoning.encrypted
                        (https://openrouter.ai/docs/use-cases/reasoning-tokens)

A message may carry a plain text and a typed list of the same thoughts. The typed list is then read, since it alone
has the signatures, and the plain text stays in the extras.
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.types.content import Extras, Opaque, Signature, Thinking

PLAIN = ("reasoning_content", "reasoning")
TYPED = ("thinking_blocks", "reasoning_details")

_ORIGIN_OF_FORMAT = {
    "anthropic-claude-v1": "anthropic",
    "openai-responses-v1": "openai",
    "google-gemini-v1": "gemini",
    "xai-responses-v1": "xai",
}
_FORMAT_OF_ORIGIN = {origin: name for name, origin in _ORIGIN_OF_FORMAT.items()}


_FORMAT = "(format)"
"""The key in `extras` for the format of an element, which the signature's origin says to others."""
_NO_TEXT = "(no text)"
"""The key in `extras` that says that an element had a signature and no text at all."""


def read_blocks(value: Any) -> tuple[Thinking | Opaque, ...]:
    """`thinking_blocks` as parts. An element of a kind that we do not know is kept whole."""
    found: tuple[Thinking | Opaque, ...] = wire.each(_read_block, value)
    return found


def _read_block(value: Any) -> Thinking | Opaque:
    block = wire.obj(value)
    redacted, origin = block.get("type") == "redacted_thinking", block.get("format") or "anthropic"
    key = "data" if redacted else "thinking"
    said, signature = block.get(key), block.get(key if redacted else "signature")
    shapes = isinstance(said, str if redacted else str | None) and isinstance(signature, str | None)
    if block.get("type") not in _BLOCKS or not shapes or not isinstance(origin, str):
        return Opaque(block, native="thinking_blocks")
    name = block["id"] if isinstance(block.get("id"), str) else None
    known = {"type", "data", "format"} if redacted else {key, "signature"}
    known |= {"format"} if signature is not None else set()
    extras = wire.rest(block, frozenset(known if name is None else {*known, "id"}))
    return Thinking(
        "" if redacted else said or "",
        signature=None if signature is None else Signature(signature, origin),
        redacted=redacted,
        id=name,
        native="thinking_blocks",
        extras=extras if key in block else {**(extras or {}), _NO_TEXT: True},
    )


_BLOCKS = ("thinking", "redacted_thinking")


def write_block(part: Thinking) -> dict[str, Any]:
    """One element of `thinking_blocks`."""
    signature = part.signature
    if part.redacted:
        block: dict[str, Any] = {"type": "redacted_thinking", "data": signature.value if signature else ""}
    else:
        block = {"type": "thinking", "thinking": visible_text(part)}
        if signature is not None:
            block["signature"] = signature.value
    if signature is not None and signature.origin != "anthropic":
        block["format"] = signature.origin
    if part.id is not None:
        block["id"] = part.id
    return _with_extras(block, part.extras, "thinking") if part.native == "thinking_blocks" else block


def _with_extras(found: dict[str, Any], extras: Extras, key: str) -> dict[str, Any]:
    """`found` with its unmodelled fields, and without `key` if it had none and has none now."""
    if not extras:
        return found
    if _NO_TEXT in extras and not found.get(key):
        found.pop(key, None)
    found |= {name: value for name, value in extras.items() if name not in (_NO_TEXT, _FORMAT)}
    return {**found, "format": extras[_FORMAT]} if _FORMAT in extras else found


def read_details(value: Any) -> tuple[Thinking | Opaque, ...]:
    """`reasoning_details` as parts. An element of a kind that we do not know is kept whole."""
    found: tuple[Thinking | Opaque, ...] = wire.each(_read_detail, value)
    return found


_DETAIL_TEXTS = {"reasoning.encrypted": "data", "reasoning.summary": "summary", "reasoning.text": "text"}


def _read_detail(value: Any) -> Thinking | Opaque:
    detail = wire.obj(value)
    name, kind = detail.get("format"), detail.get("type")
    key = _DETAIL_TEXTS.get(kind) if isinstance(kind, str) else None
    said, signature = None if key is None else detail.get(key), detail.get("signature")
    if key is None or not isinstance(said, str | None) or not isinstance(signature, str | None):
        return Opaque(detail, native="reasoning_details")
    item_id = detail["id"] if isinstance(detail.get("id"), str) else None
    known = {key} if kind == "reasoning.encrypted" else {key, "signature"}
    extras = wire.rest(detail, frozenset(known | {"format"} | ({"id"} if item_id is not None else set())))
    if name is not None:
        extras = {**(extras or {}), _FORMAT: name}
    if said is None and kind != "reasoning.text":
        return Opaque(detail, native="reasoning_details")
    if said is None and "text" not in detail:
        extras = {**(extras or {}), _NO_TEXT: True}
    value = said if kind == "reasoning.encrypted" else signature
    origin = _ORIGIN_OF_FORMAT.get(name, name) if isinstance(name, str) else "unknown"
    return Thinking(
        said or "" if kind == "reasoning.text" else "",
        (said or "",) if kind == "reasoning.summary" else None,
        None if value is None else Signature(value, origin),
        kind == "reasoning.encrypted",
        id=item_id,
        native="reasoning_details",
        extras=extras,
    )


def write_detail(part: Thinking) -> dict[str, Any]:
    """One element of `reasoning_details`."""
    own = part.native == "reasoning_details"
    if part.redacted:
        detail: dict[str, Any] = {"type": "reasoning.encrypted", "data": part.signature.value if part.signature else ""}
    elif part.summary is not None:
        detail = {"type": "reasoning.summary", "summary": "\n\n".join(part.summary)}
    else:
        detail = {"type": "reasoning.text", "text": part.text}
    if part.signature is not None and not part.redacted:
        detail["signature"] = part.signature.value
    if part.signature is not None and not own:
        detail["format"] = _FORMAT_OF_ORIGIN.get(part.signature.origin, part.signature.origin)
    if part.id is not None:
        detail["id"] = part.id
    return _with_extras(detail, part.extras, "text") if own else detail


def visible_text(part: Thinking) -> str:
    """The thoughts as one text: the reasoning itself, else its summary."""
    return part.text or "\n\n".join(part.summary or ())
