"""Errors: `{"type": "error", "error": {"type", "message"}, "request_id"}`
(https://platform.claude.com/docs/en/api/errors), alone or inside a stream.

`ErrorResponse.native` names the shape that a body had: "standard", or "other" for what a host in front of the model
answers (Bedrock's `{"message"}`, Google's `{"error": {"status"}}`, also alone in a list, a proxy's page), which
`render_error` gives back as it came, and `tell_error` in Anthropic's shape.
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.dialects.anthropic_messages.names import NAME
from penstock.dialects.dialect import Headers
from penstock.dialects.errors import STATUS, alone, besides, classify, request_id, retry_after, status_of
from penstock.types.errors import DialectError, ErrorKind, ErrorResponse

WORDS: dict[str, ErrorKind] = {
    "invalid_request_error": "invalid_request",
    "authentication_error": "authentication",
    "billing_error": "billing",
    "permission_error": "permission",
    "not_found_error": "not_found",
    "conflict_error": "conflict",
    "request_too_large": "too_large",
    "rate_limit_error": "rate_limit",
    "api_error": "server",
    "timeout_error": "timeout",
    "overloaded_error": "overloaded",
    "AccessDeniedException": "permission",
    "ExpiredTokenException": "authentication",
    "InternalServerException": "server",
    "ModelErrorException": "server",
    "ModelNotReadyException": "unavailable",
    "ModelTimeoutException": "timeout",
    "ResourceNotFoundException": "not_found",
    "ServiceQuotaExceededException": "quota",
    "ServiceUnavailableException": "unavailable",
    "ThrottlingException": "rate_limit",
    "UnrecognizedClientException": "authentication",
    "ValidationException": "invalid_request",
    "PERMISSION_DENIED": "permission",
    "RESOURCE_EXHAUSTED": "rate_limit",
    "UNAUTHENTICATED": "authentication",
    "UNAVAILABLE": "unavailable",
}
"""The words of Anthropic, and of the hosts that serve this body elsewhere (Bedrock, Vertex)."""

TYPES: dict[ErrorKind, str] = {
    "invalid_request": "invalid_request_error",
    "context_window": "invalid_request_error",
    "content_policy": "invalid_request_error",
    "unsupported": "invalid_request_error",
    "authentication": "authentication_error",
    "billing": "billing_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "timeout": "timeout_error",
    "conflict": "conflict_error",
    "too_large": "request_too_large",
    "unprocessable": "invalid_request_error",
    "rate_limit": "rate_limit_error",
    "quota": "rate_limit_error",
    "server": "api_error",
    "bad_gateway": "api_error",
    "unavailable": "api_error",
    "overloaded": "overloaded_error",
    "unknown": "api_error",
}

_INNER_KEYS = frozenset({"type", "message"})


def read_error(status: int, headers: Headers, body: bytes) -> ErrorResponse:
    """Any error body. Never raises."""
    try:
        value = wire.decode(body)
    except DialectError:
        value = None
    return error_of(status, headers, value, body)


def error_of(status: int, headers: Headers, value: Any, body: bytes = b"") -> ErrorResponse:
    """An error from its decoded body. A `status` below 400 (inside a stream or a 200) is replaced by what the error
    says.
    """
    alone = value[0] if isinstance(value, list) and len(value) == 1 else value
    outer = alone if isinstance(alone, dict) else {}
    inner = outer.get("error")
    standard = (
        outer is value
        and isinstance(inner, dict)
        and _text(inner.get("message")) is not None
        and isinstance(inner.get("type"), str)
    )
    holder = inner if isinstance(inner, dict) else outer
    message = _message(holder, inner) or body[:2000].decode("utf-8", "replace").strip() or f"HTTP status {status}"
    word = _word(holder, headers)
    kind = classify(status if status >= 400 else STATUS[WORDS.get(word or "", "unknown")], (word,), message, WORDS)
    return ErrorResponse(
        kind=kind,
        status=status_of(status, kind),
        message=message,
        type=word,
        retry_after=retry_after(headers),
        request_id=_text(outer.get("request_id")) or request_id(headers),
        dialect=NAME,
        native="standard" if standard else "other",
        body=value,
        extras=_extras(outer, holder) if standard else None,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _message(holder: dict[str, Any], inner: Any) -> str | None:
    """Where hosts put the words: `message`, `Message` (AWS), or `error` itself."""
    return _text(holder.get("message")) or _text(holder.get("Message")) or _text(inner)


def _word(holder: dict[str, Any], headers: Headers) -> str | None:
    """The provider's word for the error; of AWS it stands in a header, before a colon."""
    own = _text(holder.get("type")) or _text(holder.get("status"))
    return own or _text((headers.get("x-amzn-errortype") or "").partition(":")[0])


def _extras(outer: dict[str, Any], inner: dict[str, Any]) -> dict[str, Any]:
    """What is not modelled at either level (the outer `type` too, which is always "error")."""
    left = {key: value for key, value in outer.items() if key != "error" and not (key == "request_id" and _text(value))}
    return {**left, "error": {key: value for key, value in inner.items() if key not in _INNER_KEYS}}


def render_error(error: ErrorResponse) -> tuple[int, Any]:
    """(status, body). Errors of another dialect get Anthropic's own word for their kind."""
    if error.dialect == NAME and error.native == "other" and isinstance(error.body, dict | list):
        return error.status, error.body
    return error.status, write_error(error)


def tell_error(error: ErrorResponse) -> tuple[int, dict[str, Any]]:
    """(status, body) as Anthropic's clients read it, also what a host in front of the model has answered."""
    status, own = render_error(error)
    body = alone(own)
    inner = body.get("error") if isinstance(body, dict) else None
    if isinstance(inner, dict) and body.get("type") == "error":
        return status, body
    if error.dialect == NAME and error.native == "standard":
        return status, {**body, "type": "error"}
    found = write_error(error)
    said = found["error"]
    return status, {**found, "error": {**said, **besides(body, error.message, said)}}


def write_error(error: ErrorResponse) -> dict[str, Any]:
    """The body in Anthropic's shape, whatever shape it came in: what a client finds in a stream."""
    if error.dialect == NAME and error.native == "standard":
        return _write_own(error)
    found: dict[str, Any] = {"type": "error", "error": {"type": TYPES[error.kind], "message": _words(error)}}
    if error.request_id is not None:
        found["request_id"] = error.request_id
    return found


TOO_LONG = "prompt is too long"


def _words(error: ErrorResponse) -> str:
    """The message. A full context window has no type of its own here: clients know it by these words."""
    if error.kind != "context_window" or TOO_LONG in error.message.lower():
        return error.message
    return f"{TOO_LONG}: {error.message}"


def _write_own(error: ErrorResponse) -> dict[str, Any]:
    found: dict[str, Any] = {"error": {"type": error.type, "message": error.message}}
    if isinstance(error.body, dict) and _text(error.body.get("request_id")):  # else it came in a header
        found["request_id"] = error.request_id
    return wire.deep_merge(error.extras, found)
