"""What an error means: status and the provider's own words first, the text of the message last.

Each dialect brings a table from its native words (`context_length_exceeded`, `overloaded_error`,
`ThrottlingException`) to the unified kind. Where a provider gives no word worth having, the status decides; only for
the few kinds that hide inside a general 400 (a full context window, a content policy) is the text asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from penstock.dialects import wire
from penstock.types.errors import ErrorKind

BY_STATUS: dict[int, ErrorKind] = {
    400: "invalid_request",
    401: "authentication",
    402: "billing",
    403: "permission",
    404: "not_found",
    405: "unsupported",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    415: "unsupported",
    422: "unprocessable",
    424: "server",
    429: "rate_limit",
    499: "timeout",
    500: "server",
    502: "bad_gateway",
    503: "unavailable",
    504: "timeout",
    520: "bad_gateway",
    522: "bad_gateway",
    524: "timeout",
    529: "overloaded",
}

STATUS: dict[ErrorKind, int] = {
    "invalid_request": 400,
    "context_window": 400,
    "content_policy": 400,
    "unsupported": 400,
    "authentication": 401,
    "billing": 402,
    "permission": 403,
    "not_found": 404,
    "timeout": 408,
    "conflict": 409,
    "too_large": 413,
    "unprocessable": 422,
    "rate_limit": 429,
    "quota": 429,
    "server": 500,
    "bad_gateway": 502,
    "unavailable": 503,
    "overloaded": 529,
    "unknown": 500,
}
"""The status that stands for a kind, for errors that come without one (inside a stream)."""

_CONTEXT_WINDOW = re.compile(
    r"context[ _](length|window|size)|maximum context|too many (input )?tokens"
    r"|(prompt|input) is too long|reduce the length of the (messages|prompt)"
    r"|exceeds? the (maximum|model'?s|available)[\w ]*(token|context)"
    r"|input token count .* exceeds|maximum (allowed )?(number of )?(input )?tokens",
    re.IGNORECASE,
)
_CONTENT_POLICY = re.compile(
    r"content (management )?(policy|filter)|content_filter|safety (system|filter|settings)"
    r"|responsible ai|usage polic(y|ies)|flagged (for|as)|moderation",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    r"insufficient[_ ](quota|balance|credit|funds)|credit balance|exceeded your current quota"
    r"|billing|payment required|out of credits",
    re.IGNORECASE,
)


def classify(status: int, words: Iterable[object], message: str, table: Mapping[str, ErrorKind]) -> ErrorKind:
    """The kind of an error. `words` are the provider's own codes and types, the most telling first.

    A word that says no more than its class of statuses ("server_error") leaves the say to the status (503, 529).
    """
    general = ("invalid_request", "rate_limit", "server") if status >= 500 else ("invalid_request", "rate_limit")
    for word in words:
        kind = table.get(word) if isinstance(word, str) else None
        if kind is not None and kind not in general:
            return kind
    by_status = BY_STATUS.get(status) or _by_class(status)
    if by_status in ("invalid_request", "unprocessable", "too_large", "permission"):
        return _hidden_in_text(message) or by_status
    if by_status == "rate_limit" and _QUOTA.search(message):
        return "quota"
    if by_status == "unknown":
        said = next((table[word] for word in words if isinstance(word, str) and word in table), None)
        return said or _hidden_in_text(message) or by_status
    return by_status


def _by_class(status: int) -> ErrorKind:
    if 400 <= status < 500:
        return "invalid_request"
    return "server" if status >= 500 else "unknown"


def _hidden_in_text(message: str) -> ErrorKind | None:
    if _CONTEXT_WINDOW.search(message):
        return "context_window"
    if _QUOTA.search(message):
        return "billing"
    return "content_policy" if _CONTENT_POLICY.search(message) else None


def status_of(status: int, kind: ErrorKind) -> int:
    """`status` if it is an error status, else the one that stands for `kind` (errors inside a 200 have none of their
    own).
    """
    return status if status >= 400 else STATUS[kind]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `retry-after-ms`, or `retry-after` in seconds or as an HTTP date (measured against the
    answer's own `date`: no clock is read).
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or value is None:
        return seconds
    from email.utils import parsedate_to_datetime  # loaded for the few answers that name a date

    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers["date"])
    except (ValueError, TypeError, KeyError):
        return None
    return max(0.0, wait.total_seconds())


def _number(value: str | None) -> float | None:
    try:
        seconds = float(value) if value is not None else -1.0
    except ValueError:
        return None
    return seconds if 0 <= seconds < 1e9 else None


def request_id(headers: Mapping[str, str]) -> str | None:
    """The provider's id of the request, under any of the names in use."""
    names = ("x-request-id", "request-id", "x-amzn-requestid", "x-goog-request-id", "apim-request-id", "cf-ray")
    return next((headers[name] for name in names if name in headers), None)


def alone(body: Any) -> Any:
    """An error's body, without the list that Google's edge puts it into."""
    return body[0] if isinstance(body, list) and len(body) == 1 else body


def besides(body: Any, message: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """What the body of an error holds besides its message and what is said of it already; under `provider_said` what
    has the name of something that is said otherwise.
    """
    if isinstance(body, list) and body:
        return {"errors": body}
    if not isinstance(body, dict):
        return {}
    inner = body.get("error")
    if isinstance(inner, dict):
        body = {**{key: value for key, value in body.items() if key != "error"}, **inner}
    left = {key: value for key, value in body.items() if value is not None and wire.as_text(value) != message}
    found = {key: value for key, value in left.items() if key not in said}
    otherwise = {key: value for key, value in left.items() if key in said and value != said[key]}
    return {**found, "provider_said": otherwise} if otherwise else found
