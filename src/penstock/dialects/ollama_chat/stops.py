"""Reasons to stop, both ways. Ollama says `stop` also where the model calls a tool: the calls decide.

Source: https://docs.ollama.com/api/chat (`done_reason`); `load` and `unload` answer a request without messages.
"""

from __future__ import annotations

from penstock.dialects.tool_memo import stop_after
from penstock.types.notes import Note
from penstock.types.response import StopReason

STOP_REASONS: dict[str, StopReason] = {
    "stop": "stop",
    "length": "length",
    "load": "stop",
    "unload": "stop",
}

_WORDS: dict[StopReason, str] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "stop",
    "content_filter": "stop",
    "refusal": "stop",
    "pause": "length",
    "error": "stop",
}
_EXACT = frozenset({"stop", "length", "tool_calls"})


def stop_reason(native: str | None, done: bool, called: bool) -> StopReason | None:
    """The unified word; None where the answer is not done. Old versions are done without a reason."""
    if native is None and not done:
        return None
    reason = STOP_REASONS.get(native or "stop", "stop")
    return stop_after(reason, True) if called else reason


def foreign_word(reason: StopReason | None, sequence: str | None, path: str, notes: list[Note]) -> str:
    """Ollama's word for another dialect's reason; None is taken for a natural end."""
    if reason is not None and reason not in _EXACT:
        notes.append(Note(f"{path}.stop_reason", "changed", f"Ollama has no word for {reason!r}"))
    if sequence is not None:
        notes.append(Note(f"{path}.stop_sequence", "dropped", "which one it was is not told"))
    return _WORDS[reason or "stop"]
