"""Errors of Chat Completions and its many compatible hosts: `{"error": {"message", "type", "param", "code"}}`, and
the shapes that others use instead.

standard    {"error": {...}}                        OpenAI, Groq, DeepSeek, OpenRouter, vLLM ...
flat        {"message": ..., "type": ...}           Mistral, Cerebras, Together's edge
detail      {"detail": "..." | [...]}               FastAPI hosts
other       anything else, JSON or not: the text is the message
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.dialects.dialect import Headers
from penstock.dialects.errors import classify, request_id, retry_after, status_of
from penstock.types.errors import ErrorKind, ErrorResponse, MalformedError

NAME = "openai_chat"

WORDS: dict[str, ErrorKind] = {
    "context_length_exceeded": "context_window",
    "string_above_max_length": "context_window",
    "content_policy_violation": "content_policy",
    "content_filter": "content_policy",
    "moderation_blocked": "content_policy",
    "unsupported_parameter": "unsupported",
    "unknown_parameter": "unsupported",
    "unsupported_value": "unsupported",
    "unsupported_model": "unsupported",
    "invalid_api_key": "authentication",
    "invalid_authentication": "authentication",
    "authentication_error": "authentication",
    "insufficient_quota": "quota",
    "billing_hard_limit_reached": "quota",
    "billing_not_active": "billing",
    "rate_limit_exceeded": "rate_limit",
    "rate_limit_error": "rate_limit",
    "model_not_found": "not_found",
    "not_found_error": "not_found",
    "permission_denied": "permission",
    "permission_error": "permission",
    "server_error": "server",
    "api_error": "server",
    "engine_overloaded": "overloaded",
    "overloaded_error": "overloaded",
    "timeout": "timeout",
    "invalid_request_error": "invalid_request",
}
TYPES: dict[ErrorKind, str] = {
    "authentication": "authentication_error",
    "permission": "permission_error",
    "rate_limit": "rate_limit_error",
    "quota": "insufficient_quota",
    "billing": "billing_error",
    "not_found": "not_found_error",
    "timeout": "timeout_error",
    "server": "server_error",
    "bad_gateway": "server_error",
    "unavailable": "server_error",
    "overloaded": "overloaded_error",
    "unknown": "server_error",
}
CODES: dict[ErrorKind, str] = {
    "context_window": "context_length_exceeded",
    "content_policy": "content_policy_violation",
    "unsupported": "unsupported_parameter",
    "authentication": "invalid_api_key",
    "quota": "insufficient_quota",
    "rate_limit": "rate_limit_exceeded",
    "not_found": "model_not_found",
}

_KEYS = frozenset({"message", "type", "param", "code"})


def read_error(status: int, headers: Headers, body: bytes) -> ErrorResponse:
    """Any error body. Never raises."""
    try:
        value = wire.decode(body)
    except MalformedError:
        value = None
    return error_of(status, headers, value, body)


def error_of(status: int, headers: Headers, value: Any, body: bytes = b"") -> ErrorResponse:
    """An error from its decoded body (also one inside a stream or a 200: `status` below 400 is replaced by what the
    error says).
    """
    native, holder, extras = _shape(value)
    message = _text(holder.get("message")) or body[:2000].decode("utf-8", "replace").strip() or f"HTTP status {status}"
    code, kind_word, param = holder.get("code"), holder.get("type"), holder.get("param")
    inner_status = _status_in(holder, status)
    kind = classify(inner_status, (code, kind_word), message, WORDS)
    return ErrorResponse(
        kind=kind,
        status=status_of(inner_status, kind),
        message=message,
        type=kind_word if isinstance(kind_word, str) else None,
        code=code if isinstance(code, str | int) and not isinstance(code, bool) else None,
        param=param if isinstance(param, str) else None,
        retry_after=retry_after(headers),
        request_id=request_id(headers),
        dialect=NAME,
        native=native,
        body=value,
        extras=extras,
    )


def _shape(value: Any) -> tuple[str, dict[str, Any], dict[str, Any] | None]:
    """(the shape's name, the object that holds message, type, code and param, what is not modelled)."""
    if isinstance(value, dict):
        inner = value.get("error")
        if isinstance(inner, dict) and isinstance(inner.get("message"), str):
            outer = {key: other for key, other in value.items() if key != "error"}
            return "standard", inner, {**outer, "error": _unmodelled(inner)}
        if isinstance(value.get("message"), str):
            return "flat", value, _unmodelled(value)
        if isinstance(inner, str):
            return "other", {"message": inner, **{key: value.get(key) for key in ("type", "code", "param")}}, None
        if "detail" in value:
            detail = value["detail"]
            return "other", {"message": detail if isinstance(detail, str) else wire.encode(detail).decode()}, None
    return "other", {}, None


def _unmodelled(holder: dict[str, Any]) -> dict[str, Any]:
    """What `error_of` does not take: other keys, nulls, and values of types that it does not know."""
    return {
        key: value
        for key, value in holder.items()
        if key not in _KEYS
        or not isinstance(value, str | int)
        or isinstance(value, bool)
        or (key in ("type", "param") and not isinstance(value, str))
    }


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _status_in(holder: dict[str, Any], status: int) -> int:
    """Inside a 200, hosts put the status into `code` or `status_code`."""
    if status >= 400:
        return status
    for key in ("status_code", "code", "status"):
        value = holder.get(key)
        if isinstance(value, int) and 400 <= value < 600:
            return value
    return status


def render_error(error: ErrorResponse) -> tuple[int, dict[str, Any]]:
    """(status, body). Errors of another dialect get OpenAI's own words for their kind."""
    if error.dialect == NAME and error.native is not None:
        return error.status, _write_own(error)
    return error.status, {
        "error": {
            "message": error.message,
            "type": TYPES.get(error.kind, "invalid_request_error"),
            "param": error.param,
            "code": CODES.get(error.kind),
        }
    }


def _write_own(error: ErrorResponse) -> dict[str, Any]:
    if error.native == "other":
        return error.body if isinstance(error.body, dict) else {"error": {"message": error.message}}
    values = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    found: dict[str, Any] = {key: value for key, value in values.items() if value is not None}
    return wire.deep_merge(error.extras, {"error": found} if error.native == "standard" else found)
