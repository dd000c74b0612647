"""Errors of Ollama: `{"error": "..."}` and the status; inside a stream, a line of that shape.

error       {"error": "..."}, with `signin_url` for models in the cloud     the API
nested      {"error": {"message": "..."}}                                   its OpenAI-compatible half, and proxies
other       anything else, JSON or not: the text is the message

Source: https://docs.ollama.com/api/errors, and the messages in server/routes.go of ollama/ollama
"""

from __future__ import annotations

import re
from typing import Any

from penstock.dialects import wire
from penstock.dialects.dialect import Headers
from penstock.dialects.errors import classify, request_id, retry_after, status_of
from penstock.dialects.ollama_chat.names import NAME
from penstock.types.errors import ErrorKind, ErrorResponse, MalformedError

_BY_TEXT: tuple[tuple[re.Pattern[str], ErrorKind], ...] = (
    (re.compile(r"exceeds? the (available )?context|input length|context (length|window)"), "context_window"),
    (re.compile(r"does not support|is not supported"), "unsupported"),
    (re.compile(r"\bmodel\b.* not found|try pulling it"), "not_found"),
    (re.compile(r"server busy|maximum pending requests"), "overloaded"),
    (re.compile(r"usage limit"), "quota"),
    (re.compile(r"^unauthorized"), "authentication"),
)
"""(what the text says, what it then means), whatever the status."""


def read_error(status: int, headers: Headers, body: bytes) -> ErrorResponse:
    """Any error body. Never raises."""
    try:
        value = wire.decode(body)
    except MalformedError:
        value = None
    return error_of(status, headers, value, body)


def error_of(status: int, headers: Headers, value: Any, body: bytes = b"") -> ErrorResponse:
    """An error from its decoded body. A `status` below 400 (inside a stream) is replaced by what the error means."""
    native, message = _shape(value)
    text = message or body[:2000].decode("utf-8", "replace").strip() or f"HTTP status {status}"
    kind = next((kind for pattern, kind in _BY_TEXT if pattern.search(text)), None)
    if kind is None:
        kind = classify(status if status >= 400 else 500, (), text, {})
    extras = None
    if native == "error":
        extras = {key: other for key, other in value.items() if key != "error"} or None
    return ErrorResponse(
        kind=kind,
        status=status_of(status, kind),
        message=text,
        retry_after=retry_after(headers),
        request_id=request_id(headers),
        dialect=NAME,
        native=native,
        body=value,
        extras=extras,
    )


def _shape(value: Any) -> tuple[str, str | None]:
    """(the shape's name, the message)."""
    if isinstance(value, dict):
        error = value.get("error")
        if isinstance(error, str) and error:
            return "error", error
        inner = error.get("message") if isinstance(error, dict) else value.get("message")
        if isinstance(inner, str) and inner:
            return "nested", inner
    return "other", value if isinstance(value, str) and value else None


def render_error(error: ErrorResponse) -> tuple[int, dict[str, Any]]:
    """(status, body)."""
    if error.dialect == NAME and error.native == "error":
        return error.status, {**(error.extras or {}), "error": error.message}
    if error.dialect == NAME and error.native is not None and isinstance(error.body, dict):
        return error.status, error.body
    return error.status, {"error": error.message}
