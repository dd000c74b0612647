"""Why a message ended: https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons."""

from __future__ import annotations

from penstock.types.response import StopReason

STOP_REASONS: dict[str, StopReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "compaction": "pause",
    "refusal": "refusal",
}

STOP_WORDS: dict[StopReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
    "pause": "pause_turn",
    "error": "end_turn",
}


def foreign_stop_word(reason: StopReason | None, sequence: str | None, calls_tools: bool) -> str:
    """The word for another dialect's ending. Some hosts say "stop" though tools are called: the calls decide."""
    if calls_tools and reason in (None, "stop"):
        return "tool_use"
    if reason in (None, "stop") and sequence is not None:
        return "stop_sequence"
    return STOP_WORDS[reason or "stop"]
