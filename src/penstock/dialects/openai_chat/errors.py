"""Errors of Chat Completions: OpenAI's, and those of its many compatible hosts (dialects/openai_errors.py)."""

from __future__ import annotations

from penstock.dialects.openai_errors import OpenAIErrors

_ERRORS = OpenAIErrors("openai_chat")

read_error = _ERRORS.read
error_of = _ERRORS.of
error_of_words = _ERRORS.of_words
render_error = _ERRORS.render
tell_error = _ERRORS.tell
