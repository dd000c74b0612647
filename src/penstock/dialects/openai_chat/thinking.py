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
from penstock.types.content import Signature, Thinking

PLAIN = ("reasoning_content", "reasoning")
TYPED = ("thinking_blocks", "reasoning_details")

_ORIGIN_OF_FORMAT = {
    "anthropic-claude-v1": "anthropic",
    "openai-responses-v1": "openai",
    "google-gemini-v1": "gemini",
    "xai-responses-v1": "xai",
}
_FORMAT_OF_ORIGIN = {origin: name for name, origin in _ORIGIN_OF_FORMAT.items()}


def read_blocks(value: Any) -> tuple[Thinking, ...]:
    """`thinking_blocks` as parts."""
    found: tuple[Thinking, ...] = wire.each(_read_block, value)
    return found


def _read_block(value: Any) -> Thinking:
    block = wire.obj(value)
    origin = block.get("format") or "anthropic"
    name = block["id"] if isinstance(block.get("id"), str) else None
    own = {"format"} if name is None else {"format", "id"}
    if block.get("type") == "redacted_thinking":
        signature = Signature(wire.string(block.get("data")), wire.string(origin))
        extras = wire.rest(block, frozenset({"type", "data", *own}))
        return Thinking(signature=signature, redacted=True, id=name, native="thinking_blocks", extras=extras)
    signature_value = block.get("signature")
    return Thinking(
        wire.string(block.get("thinking") or ""),
        signature=None if signature_value is None else Signature(wire.string(signature_value), wire.string(origin)),
        id=name,
        native="thinking_blocks",
        extras=wire.rest(
            block,
            frozenset(
                {"thinking", "signature", *own} if signature_value is not None else {"thinking", *own} - {"format"}
            ),
        ),
    )


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
    return {**block, **(part.extras or {})} if part.native == "thinking_blocks" else block


def read_details(value: Any) -> tuple[Thinking, ...]:
    """`reasoning_details` as parts."""
    found: tuple[Thinking, ...] = wire.each(_read_detail, value)
    return found


def _read_detail(value: Any) -> Thinking:
    detail = wire.obj(value)
    name = detail.get("format")
    origin = _ORIGIN_OF_FORMAT.get(name, name) if isinstance(name, str) else "unknown"
    kind = detail.get("type")
    if kind == "reasoning.encrypted":
        taken, text, summary, signature = "data", "", None, wire.string(detail.get("data"))
    elif kind == "reasoning.summary":
        taken, text, summary, signature = "summary", "", (wire.string(detail.get("summary")),), None
    else:
        taken, text, summary = "text", wire.string(detail.get("text") or ""), None
        signature = None if detail.get("signature") is None else wire.string(detail["signature"])
    return Thinking(
        text,
        summary,
        None if signature is None else Signature(signature, origin),
        kind == "reasoning.encrypted",
        native="reasoning_details",
        extras=wire.rest(detail, frozenset({taken, "signature"})),
    )


def write_detail(part: Thinking) -> dict[str, Any]:
    """One element of `reasoning_details`."""
    if part.redacted:
        detail: dict[str, Any] = {"type": "reasoning.encrypted", "data": part.signature.value if part.signature else ""}
    elif part.summary is not None:
        detail = {"type": "reasoning.summary", "summary": "\n\n".join(part.summary)}
    else:
        detail = {"type": "reasoning.text", "text": part.text}
    if part.signature is not None and not part.redacted:
        detail["signature"] = part.signature.value
    if part.signature is not None:
        detail["format"] = _FORMAT_OF_ORIGIN.get(part.signature.origin, part.signature.origin)
    return {**detail, **(part.extras or {})} if part.native == "reasoning_details" else detail


def visible_text(part: Thinking) -> str:
    """The thoughts as one text: the reasoning itself, else its summary."""
    return part.text or "\n\n".join(part.summary or ())
