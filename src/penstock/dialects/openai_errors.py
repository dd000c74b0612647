"""OpenAI's errors, `{"error": {"message", "type", "param", "code"}}`, which both of its dialects share, and the shapes
that compatible hosts use instead.

    standard    {"error": {...}}                OpenAI, Azure, Groq, DeepSeek, OpenRouter, vLLM ...
    flat        {"message": ..., "type": ...}   Mistral, Cerebras, Bedrock's edge, the `error` event of Responses
    other       anything else, JSON or not, whose text is the message: {"detail": ...} of FastAPI hosts, a list of one
                error (Google's edge), {"errors": [...]} (Cloudflare), {"base_resp": {...}} inside a 200 (MiniMax), the
                HTML of proxies

Source: https://platform.openai.com/docs/guides/error-codes, and the codes of a failed response
(https://platform.openai.com/docs/api-reference/responses/object).
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.dialect import Headers
from penstock.dialects.errors import alone, besides, classify, request_id, retry_after, status_of
from penstock.types.errors import ErrorKind, ErrorResponse, MalformedError

WORDS: dict[str, ErrorKind] = {
    "context_length_exceeded": "context_window",
    "string_above_max_length": "context_window",
    "content_policy_violation": "content_policy",
    "content_filter": "content_policy",
    "moderation_blocked": "content_policy",
    "image_content_policy_violation": "content_policy",
    "misalignment_policy_violation": "content_policy",
    "bio_policy": "content_policy",
    "cyber_policy_violation": "content_policy",
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
    "slow_down": "rate_limit",
    "model_not_found": "not_found",
    "not_found_error": "not_found",
    "permission_denied": "permission",
    "permission_error": "permission",
    "server_error": "server",
    "api_error": "server",
    "vector_store_timeout": "timeout",
    "timeout": "timeout",
    "server_is_overloaded": "overloaded",
    "engine_overloaded": "overloaded",
    "overloaded_error": "overloaded",
    "invalid_prompt": "invalid_request",
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


class OpenAIErrors:
    """Reading and writing errors for one dialect: `name` is what its own errors are marked with."""

    def __init__(self, name: str) -> None:
        self._name = name

    def read(self, status: int, headers: Headers, body: bytes) -> ErrorResponse:
        """Any error body. Never raises."""
        try:
            value = wire.decode(body)
        except MalformedError:
            value = None
        return self.of(status, headers, value, body)

    def of(self, status: int, headers: Headers, value: Any, body: bytes = b"") -> ErrorResponse:
        """An error from its decoded body, also one inside a stream or a 200: a status below 400 is replaced by what
        the error says.
        """
        native, holder, extras = _shape(value)
        message = _text(holder.get("message")) or body[:2000].decode("utf-8", "replace").strip()
        code, word, param = holder.get("code"), holder.get("type"), holder.get("param")
        status = _status_in(holder, status)
        kind = classify(status, (code, word), message, WORDS)
        return ErrorResponse(
            kind=kind,
            status=status_of(status, kind),
            message=message or f"HTTP status {status}",
            type=_text(word),
            code=code if isinstance(code, str | int) and not isinstance(code, bool) else None,
            param=_text(param),
            retry_after=retry_after(headers),
            request_id=request_id(headers),
            dialect=self._name,
            native=native,
            body=value,
            extras=extras,
        )

    def of_words(self, data: bytes) -> ErrorResponse:
        """The error that a stream says in words, where JSON was expected: a proxy's, nearly always."""
        said = self.of(200, {}, None, data)
        kind: ErrorKind = "bad_gateway" if said.kind == "unknown" else said.kind
        message = f"the stream holds what is not JSON: {said.message}"
        return replace(said, kind=kind, status=status_of(200, kind), message=message)

    def render(self, error: ErrorResponse) -> tuple[int, dict[str, Any]]:
        """(status, body). Errors of another dialect get OpenAI's own words for their kind."""
        if error.dialect == self._name and error.native is not None and isinstance(error.body, dict | list):
            return error.status, write_own(error)
        return error.status, {
            "error": {
                "message": error.message,
                "type": TYPES.get(error.kind, "invalid_request_error"),
                "param": error.param,
                "code": CODES.get(error.kind),
            }
        }

    def tell(self, error: ErrorResponse) -> tuple[int, dict[str, Any]]:
        """(status, body) with an `error` object, without which OpenAI's clients find neither message nor code."""
        status, own = self.render(error)
        body = alone(own)
        if isinstance(body, dict) and isinstance(body.get("error"), dict):
            return status, body
        said = self.render(replace(error, dialect=None))[1]["error"]
        words = {"type": error.type, "code": error.code}
        said |= {key: word for key, word in words.items() if word is not None}
        return status, {"error": {**said, **besides(body, error.message, said)}}


def write_own(error: ErrorResponse) -> dict[str, Any]:
    """The body of an error that a dialect of OpenAI's read, exactly."""
    if error.native == "other" and isinstance(error.body, dict | list):
        return error.body  # type: ignore[return-value]  # the one shape that is no object is a list of one error
    values = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    found: dict[str, Any] = {key: value for key, value in values.items() if value is not None}
    return wire.deep_merge(error.extras, {"error": found} if error.native == "standard" else found)


def _shape(value: Any) -> tuple[str, dict[str, Any], dict[str, Any] | None]:
    """(the shape's name, the object that holds message, type, code and param, what is not modelled)."""
    if isinstance(value, list) and value:
        return "other", _shape(value[0])[1], None
    if not isinstance(value, dict):
        return "other", {"message": value}, None
    inner = value.get("error")
    if isinstance(inner, dict) and _text(inner.get("message")):
        outer = {key: other for key, other in value.items() if key != "error"}
        return "standard", inner, {**outer, "error": _unmodelled(inner)}
    if _text(value.get("message")):
        return "flat", value, _unmodelled(value)
    return "other", _told(value), None


def _told(value: dict[str, Any]) -> dict[str, Any]:
    """The error object of any other shape: its words, whatever they are called, as the message."""
    base = value.get("base_resp")
    if isinstance(base, dict):
        return {"message": base.get("status_msg"), "code": base.get("status_code")}
    inner = value.get("error")
    holder = inner if isinstance(inner, dict) else value
    for words in (value.get(key) for key in _WORDS_OF_HOSTS):
        if isinstance(words, list) and len(words) == 1 and isinstance(words[0], dict) and "message" in words[0]:
            return words[0]
        if words:
            return {**holder, "message": wire.as_text(words)}
    return holder


_WORDS_OF_HOSTS = ("error", "message", "detail", "errors", "msg", "Message", "title")
"""Where hosts put what went wrong, the most telling first."""


def says_error(value: Any) -> bool:
    """Whether a decoded value that is no answer says what went wrong. (A 200 and a stream can hold either.)"""
    if isinstance(value, list) and value:
        return isinstance(value[0], dict) and says_error(value[0])
    if not isinstance(value, dict):
        return False
    base = value.get("base_resp")
    if isinstance(base, dict) and base.get("status_code"):
        return True
    return value.get("object") == "error" or any(value.get(key) for key in _WORDS_OF_HOSTS)


def _text(value: Any) -> str | None:
    """A text that says something."""
    return value if isinstance(value, str) and value else None


def _unmodelled(holder: dict[str, Any]) -> dict[str, Any]:
    """What of an error object is not modelled: other keys, nulls, and values that say nothing or are of another
    type.
    """
    return {key: value for key, value in holder.items() if key not in _KEYS or not _is_modelled(key, value)}


def _is_modelled(key: str, value: Any) -> bool:
    if key == "code":
        return isinstance(value, str | int) and not isinstance(value, bool)
    return _text(value) is not None


def _status_in(holder: dict[str, Any], status: int) -> int:
    """Inside a 200, hosts put the status into `code` or `status_code`."""
    if status >= 400:
        return status
    for key in ("status_code", "code", "status"):
        value = holder.get(key)
        value = int(value) if isinstance(value, str) and value.isdecimal() else value
        if isinstance(value, int) and 400 <= value < 600:
            return value
    return status
