"""Errors: `{"error": {"code", "message", "status", "details"}}`, alone or (from the streaming method) in a list of one.

`status` is one of Google's canonical codes, a detail's `reason` says more. A 429 says in its details which quota was
met: one of a minute passes by waiting, one of a day does not (and both come with the same message).

Sources: https://ai.google.dev/gemini-api/docs/troubleshooting, https://cloud.google.com/apis/design/errors,
https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.dialect import Headers
from penstock.dialects.errors import alone, besides, classify, request_id, retry_after, status_of
from penstock.types.errors import ErrorKind, ErrorResponse, MalformedError

NAME = "gemini"

WORDS: dict[str, ErrorKind] = {
    # reasons (google.rpc.ErrorInfo)
    "API_KEY_INVALID": "authentication",
    "ACCESS_TOKEN_EXPIRED": "authentication",
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": "permission",
    "ACCESS_TOKEN_TYPE_UNSUPPORTED": "authentication",
    "CREDENTIALS_MISSING": "authentication",
    "ACCOUNT_STATE_INVALID": "authentication",
    "API_KEY_SERVICE_BLOCKED": "permission",
    "API_KEY_HTTP_REFERRER_BLOCKED": "permission",
    "API_KEY_IP_ADDRESS_BLOCKED": "permission",
    "API_KEY_ANDROID_APP_BLOCKED": "permission",
    "API_KEY_IOS_APP_BLOCKED": "permission",
    "CONSUMER_INVALID": "permission",
    "CONSUMER_SUSPENDED": "permission",
    "IAM_PERMISSION_DENIED": "permission",
    "SERVICE_DISABLED": "permission",
    "USER_PROJECT_DENIED": "permission",
    "BILLING_DISABLED": "billing",
    "RATE_LIMIT_EXCEEDED": "rate_limit",
    "rateLimitExceeded": "rate_limit",
    "RESOURCE_QUOTA_EXCEEDED": "quota",
    # canonical codes (google.rpc.Code)
    "INVALID_ARGUMENT": "invalid_request",
    "FAILED_PRECONDITION": "invalid_request",
    "OUT_OF_RANGE": "invalid_request",
    "UNAUTHENTICATED": "authentication",
    "PERMISSION_DENIED": "permission",
    "NOT_FOUND": "not_found",
    "ALREADY_EXISTS": "conflict",
    "ABORTED": "conflict",
    "RESOURCE_EXHAUSTED": "rate_limit",
    "CANCELLED": "timeout",
    "DEADLINE_EXCEEDED": "timeout",
    "UNIMPLEMENTED": "unsupported",
    "INTERNAL": "server",
    "UNKNOWN": "server",
    "DATA_LOSS": "server",
    "UNAVAILABLE": "unavailable",
}
"""Google's words -> kind."""

STATUS_WORDS: dict[ErrorKind, str] = {
    "authentication": "UNAUTHENTICATED",
    "permission": "PERMISSION_DENIED",
    "billing": "PERMISSION_DENIED",
    "not_found": "NOT_FOUND",
    "conflict": "ABORTED",
    "rate_limit": "RESOURCE_EXHAUSTED",
    "quota": "RESOURCE_EXHAUSTED",
    "timeout": "DEADLINE_EXCEEDED",
    "server": "INTERNAL",
    "unknown": "UNKNOWN",
    "bad_gateway": "UNAVAILABLE",
    "unavailable": "UNAVAILABLE",
    "overloaded": "UNAVAILABLE",
}
"""Kind -> the canonical code of an error that came from elsewhere. All others: INVALID_ARGUMENT."""

_TYPE = "type.googleapis.com/google.rpc."
_KEYS = frozenset({"code", "message", "status"})
_STATUS_OF_CODE = {
    3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 13: 500, 14: 503, 16: 401
}  # fmt: skip
"""gRPC code -> HTTP status, for errors inside of a stream that carry the former."""


def read_error(status: int, headers: Headers, body: bytes) -> ErrorResponse:
    """Any error body. Never raises."""
    try:
        value = wire.decode(body)
    except MalformedError:
        value = None
    return _error(status, headers, value, body)


def error_in_stream(value: dict[str, Any]) -> ErrorResponse:
    """An error that a frame of a stream reported: its own code is its status."""
    return _error(200, {}, value, b"")


def _error(status: int, headers: Headers, value: Any, body: bytes) -> ErrorResponse:
    shape, holder = _shape(value)
    error = holder.get("error") if shape else None
    inner: dict[str, Any] = error if isinstance(error, dict) else {}
    message = inner.get("message") if isinstance(inner.get("message"), str) else None
    message = message or (error if isinstance(error, str) else None) or body[:2000].decode("utf-8", "replace").strip()
    details = [detail for detail in _list(inner.get("details")) if isinstance(detail, dict)]
    status = status if status >= 400 else _status_of(inner.get("code"))
    kind = _kind(status, inner, details, message)
    return ErrorResponse(
        kind=kind,
        status=status_of(status, kind),
        message=message or f"HTTP status {status}",
        type=inner["status"] if isinstance(inner.get("status"), str) else None,
        code=inner["code"] if type(inner.get("code")) is int else None,
        param=_field(details),
        retry_after=_retry_delay(details, headers),
        request_id=request_id(headers),
        dialect=NAME,
        native=shape or None,
        body=value,
        extras=_unmodelled(holder, inner) if inner else None,
    )


def _shape(value: Any) -> tuple[str, dict[str, Any]]:
    """("error" or "list", the object that has the error), or ("", {}) where there is none."""
    holder = value[0] if isinstance(value, list) and len(value) == 1 else value
    if not isinstance(holder, dict) or holder.get("error") is None:
        return "", {}
    return ("list" if isinstance(value, list) else "error"), holder


def _unmodelled(holder: dict[str, Any], inner: dict[str, Any]) -> dict[str, Any]:
    """Everything but code, message and status (as far as these are of the right type)."""
    kinds = {"code": int, "message": str, "status": str}
    left = {key: value for key, value in inner.items() if key not in kinds or type(value) is not kinds[key]}
    return {**{key: value for key, value in holder.items() if key != "error"}, "error": left}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _status_of(code: Any) -> int:
    if type(code) is not int:
        return 0
    return code if 400 <= code < 600 else _STATUS_OF_CODE.get(code, 500)


def _kind(status: int, inner: dict[str, Any], details: list[dict[str, Any]], message: str) -> ErrorKind:
    reasons = [detail.get("reason") for detail in details]
    reasons += [error.get("reason") for error in _list(inner.get("errors")) if isinstance(error, dict)]
    if status == 429:
        return _kind_of_limit(reasons, details, message)
    found = classify(status, [*reasons, inner.get("status")], message, WORDS)
    return "overloaded" if found == "unavailable" and "overloaded" in message.lower() else found


def _kind_of_limit(reasons: list[Any], details: list[dict[str, Any]], message: str) -> ErrorKind:
    """rate_limit or quota. Google's message speaks of quota and billing in both cases: the details decide."""
    if "RESOURCE_QUOTA_EXCEEDED" in reasons:
        return "quota"
    limits = list(_limits(details))
    if not limits and "rateLimitExceeded" not in reasons and "RATE_LIMIT_EXCEEDED" not in reasons:
        return "rate_limit" if "plan and billing" in message else classify(429, (), message, WORDS)
    return "quota" if any("PerDay" in name or value == "0" for name, value in limits) else "rate_limit"


def _limits(details: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """(the quota's id, its value) of every limit that was met."""
    for detail in details:
        for violation in _list(detail.get("violations")):
            if isinstance(violation, dict) and isinstance(violation.get("quotaId"), str):
                yield violation["quotaId"], str(violation.get("quotaValue"))
        metadata = detail.get("metadata")
        if isinstance(metadata, dict) and isinstance(metadata.get("quota_limit"), str):
            yield metadata["quota_limit"], str(metadata.get("quota_limit_value"))


def _field(details: list[dict[str, Any]]) -> str | None:
    """The first field that a BadRequest complains of."""
    for detail in details:
        for violation in _list(detail.get("fieldViolations")):
            if isinstance(violation, dict) and isinstance(violation.get("field"), str):
                return str(violation["field"])
    return None


def _retry_delay(details: list[dict[str, Any]], headers: Headers) -> float | None:
    """Seconds to wait, from RetryInfo ("34.07s"), else from the headers."""
    for detail in details:
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and delay.endswith("s"):
            seconds = retry_after({"retry-after": delay[:-1]})
            if seconds is not None:
                return seconds
    return retry_after(headers)


def render_error(error: ErrorResponse) -> tuple[int, Any]:
    """(status, body). Errors of another dialect get Google's own words for their kind."""
    if error.dialect == NAME and error.native is not None:
        found = _write_own(error)
        return error.status, [found] if error.native == "list" else found
    word = STATUS_WORDS.get(error.kind, "INVALID_ARGUMENT")
    inner: dict[str, Any] = {"code": error.status, "message": error.message, "status": word}
    details = list(_details(error))
    return error.status, {"error": {**inner, "details": details} if details else inner}


def tell_error(error: ErrorResponse) -> tuple[int, dict[str, Any]]:
    """(status, body) with an `error` object, as Google's clients read it. (Who asked for an array gets it in one.)"""
    status, own = render_error(error)
    body = alone(own)
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        return status, body
    said = render_error(replace(error, dialect=None))[1]["error"]
    return status, {"error": {**said, **besides(error.body, error.message, said)}}


def _write_own(error: ErrorResponse) -> dict[str, Any]:
    if not isinstance(error.extras, dict):
        return {"error": error.message}
    values = {"code": error.code, "status": error.type}
    found: dict[str, Any] = {key: value for key, value in values.items() if value is not None}
    if "message" not in error.extras["error"]:
        found["message"] = error.message
    return wire.deep_merge(error.extras, {"error": found})


def _details(error: ErrorResponse) -> Iterator[dict[str, Any]]:
    if error.param is not None:
        violation = {"field": error.param, "description": error.message}
        yield {"@type": f"{_TYPE}BadRequest", "fieldViolations": [violation]}
    if error.retry_after is not None:
        yield {"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{error.retry_after:g}s"}
    if isinstance(error.code, str):
        yield {"@type": f"{_TYPE}ErrorInfo", "reason": error.code, "domain": "penstock"}
