"""Errors of Responses: OpenAI's (dialects/openai_errors.py), also as the flat `error` event of its streams, and the few
words that a failed response has for what went wrong."""

from __future__ import annotations

from penstock.dialects.openai_errors import CODES, OpenAIErrors, write_own
from penstock.types.errors import ErrorKind

__all__ = [
    "CODES",
    "FAILURE_CODES",
    "error_of",
    "error_of_words",
    "read_error",
    "render_error",
    "tell_error",
    "write_own_error",
]

_ERRORS = OpenAIErrors("openai_responses")

read_error = _ERRORS.read
error_of = _ERRORS.of
error_of_words = _ERRORS.of_words
render_error = _ERRORS.render
tell_error = _ERRORS.tell
write_own_error = write_own

FAILURE_CODES: dict[ErrorKind, str] = {
    "rate_limit": "rate_limit_exceeded",
    "quota": "rate_limit_exceeded",
    "invalid_request": "invalid_prompt",
    "content_policy": "invalid_prompt",
    "context_window": "invalid_prompt",
    "unprocessable": "invalid_prompt",
    "too_large": "invalid_prompt",
}
"""The `code` of a failed response (https://platform.openai.com/docs/api-reference/responses/object). Every other kind
is "server_error".
"""
