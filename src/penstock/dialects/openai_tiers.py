"""The service tiers of OpenAI's dialects, and what other providers call the default one.

Source: https://platform.openai.com/docs/api-reference/chat/create#chat-create-service_tier
"""

from __future__ import annotations

from penstock.types.notes import Note

TIERS = {
    **{name: name for name in ("auto", "default", "flex", "priority", "scale", "fast", "ultrafast")},
    "standard": "default",
    "standard_only": "default",
    "on_demand": "default",
}


def adapt_tier(tier: str | None, notes: list[Note]) -> str | None:
    """Another dialect's tier in OpenAI's words; none (and a note) for one that it has no word for."""
    if tier is not None and tier not in TIERS:
        notes.append(Note("service_tier", "dropped", f"OpenAI has no tier {tier!r}"))
    return None if tier is None else TIERS.get(tier)
