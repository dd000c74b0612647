"""Errors of Cohere: `{"message": "..."}`, often with an `id`, and the status. The text tells what a status leaves open.

message     {"message": "...", "id": "..."}       the API
other       anything else, JSON or not: the text is the message

Source: https://docs.cohere.com/errors-reference
"""

from __future__ import annotations

import re
from typing import Any

from penstock.dialects import wire
from penstock.dialects.cohere_chat.names import NAME
from penstock.dialects.dialect import Headers
from penstock.dialects.errors import classify, request_id, retry_after, status_of
from penstock.types.errors import ErrorKind, ErrorResponse, MalformedError

_BY_TEXT: tuple[tuple[re.Pattern[str], frozenset[int], ErrorKind], ...] = (
    (re.compile(r"max[ _]tokens must be"), frozenset({400, 422}), "invalid_request"),
    (re.compile(r"per month|monthly"), frozenset({429}), "quota"),
    (re.compile(r"\bblocked\b|\btoxic\b", re.IGNORECASE), frozenset({400, 403, 422}), "content_policy"),
    (re.compile(r"not supported|unknown field|unrecognized", re.IGNORECASE), frozenset({400, 422}), "unsupported"),
)
"""(what the text says, with which status, what it then means)."""

_STATUS = {498: 401}
"""Statuses of Cohere's own: 498 is an invalid token."""


def read_error(status: int, headers: Headers, body: bytes) -> ErrorResponse:
    """Any error body. Never raises."""
    try:
        value = wire.decode(body)
    except MalformedError:
        value = None
    return error_of(status, headers, value, body)


def error_of(status: int, headers: Headers, value: Any, body: bytes = b"") -> ErrorResponse:
    """An error from its decoded body. A `status` below 400 (inside a stream) is replaced by what the error means."""
    message = _message(value)
    native = "message" if isinstance(value, dict) and value.get("message") == message is not None else "other"
    text = message or body[:2000].decode("utf-8", "replace").strip() or f"HTTP status {status}"
    kind = _kind(status, text)
    return ErrorResponse(
        kind=kind,
        status=status_of(status, kind),
        message=text,
        retry_after=retry_after(headers),
        request_id=request_id(headers) or headers.get("x-debug-trace-id"),
        dialect=NAME,
        native=native,
        body=value,
        extras={key: other for key, other in value.items() if key != "message"} if native == "message" else None,
    )


def _message(value: Any) -> str | None:
    if not isinstance(value, dict):
        return value if isinstance(value, str) and value else None
    for key in ("message", "error", "detail"):
        inner = value.get(key)
        inner = inner.get("message") if isinstance(inner, dict) else inner
        if isinstance(inner, str) and inner:
            return inner
    return None


def _kind(status: int, text: str) -> ErrorKind:
    found = classify(_STATUS.get(status, status if status >= 400 else 500), (), text, {})
    for pattern, statuses, kind in _BY_TEXT:
        if status in statuses and pattern.search(text):
            return kind
    return found


def render_error(error: ErrorResponse) -> tuple[int, dict[str, Any]]:
    """(status, body)."""
    if error.dialect != NAME or error.native is None:
        return error.status, {"message": error.message}
    if error.native == "other":
        return error.status, error.body if isinstance(error.body, dict) else {"message": error.message}
    return error.status, {**(error.extras or {}), "message": error.message}
