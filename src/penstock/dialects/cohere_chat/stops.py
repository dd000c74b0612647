"""Finish reasons, both ways. Source: https://docs.cohere.com/reference/chat; the last four are words of v1 that some
hosts still send.
"""

from __future__ import annotations

from penstock.dialects.tool_memo import stop_after
from penstock.types.notes import Memo, Note
from penstock.types.response import StopReason

STOP_REASONS: dict[str, StopReason] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR": "error",
    "TIMEOUT": "error",
    "ERROR_TOXIC": "content_filter",
    "ERROR_LIMIT": "length",
    "USER_CANCEL": "error",
    "CONTENT_FILTER": "content_filter",
}

_WORDS: dict[StopReason, str] = {
    "stop": "COMPLETE",
    "length": "MAX_TOKENS",
    "tool_calls": "TOOL_CALL",
    "content_filter": "ERROR_TOXIC",
    "refusal": "COMPLETE",
    "pause": "MAX_TOKENS",
    "error": "ERROR",
}


def stop_reason(native: str | None, called: bool, memo: Memo) -> StopReason | None:
    """The unified word. A call that only stood for JSON was none."""
    reason = None if native is None else STOP_REASONS.get(native, "stop")
    if memo.json_tool is not None or called:
        return stop_after(reason, called)
    return reason


def foreign_word(reason: StopReason | None, sequence: str | None, called: bool, path: str, notes: list[Note]) -> str:
    """Cohere's word for another dialect's reason; None is taken for a natural end."""
    if reason in ("refusal", "pause"):
        notes.append(Note(f"{path}.stop_reason", "changed", f"Cohere has no word for {reason!r}"))
    if sequence is not None:
        notes.append(Note(f"{path}.stop_sequence", "dropped", "which one it was is not told"))
        return "STOP_SEQUENCE"
    if called and reason in ("stop", None):
        return "TOOL_CALL"
    return _WORDS[reason or "stop"]
