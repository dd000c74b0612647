"""Effort and budget: two ways to say how much a model shall think, and the table between them.

Some providers take a word, some a number of tokens. The numbers are those that LiteLLM's users are used to
(reference: litellm.md 1.3).
"""

from __future__ import annotations

from msgspec.structs import replace

from penstock.types.notes import Note
from penstock.types.request import Reasoning

BUDGETS: dict[str, int] = {
    "none": 0,
    "minimal": 512,
    "low": 1024,
    "medium": 2048,
    "high": 4096,
    "xhigh": 8192,
    "max": 16384,
}
"""Thinking tokens for each effort, weakest first."""


def budget(reasoning: Reasoning, default: int = 2048) -> int | None:
    """The token budget that `reasoning` asks for: its own, that of its effort, `default` where it is just switched
    on; 0 is off, None nothing said.
    """
    if reasoning.budget_tokens is not None:
        return reasoning.budget_tokens
    if reasoning.effort is not None:
        return BUDGETS.get(reasoning.effort, default)
    return (
        None if reasoning.enabled is None and reasoning.adaptive is None else default * (reasoning.enabled is not False)
    )


def effort(reasoning: Reasoning, known: tuple[str, ...] = ()) -> str | None:
    """The effort word that `reasoning` asks for, as the nearest one in `known` (weakest first; empty: every word).
    None: nothing said.
    """
    word = reasoning.effort
    if word is None:
        tokens = budget(reasoning)
        if tokens is None:
            return None
        word = next((name for name, limit in BUDGETS.items() if limit >= tokens), "max")
    return nearest(word, known)


def with_known_effort(reasoning: Reasoning, notes: list[Note]) -> Reasoning:
    """`reasoning` without an effort that has no place in the table (a host's own word, as Groq's "default"): nobody
    knows its strength. Noted.
    """
    if reasoning.effort is None or reasoning.effort in BUDGETS:
        return reasoning
    notes.append(Note("reasoning.effort", "dropped", f"{reasoning.effort!r} is a word of another host"))
    return replace(reasoning, effort=None)


def nearest(word: str, known: tuple[str, ...]) -> str:
    """`word` itself if it is known (or nothing is known), else the nearest known one in strength, the weaker of two."""
    order = list(BUDGETS)
    if not known or word in known or word not in order:
        return word
    return min(known, key=lambda name: abs(order.index(name) - order.index(word)) if name in order else len(order))
