"""Errors of Bedrock: `{"message": "..."}`, with their kind in the header `x-amzn-errortype`, and exceptions in streams.

The header reads `ValidationException:http://internal.amazon.com/coral/...`; the kind is what stands before the colon.
Services of AWS that a request meets on the way (signatures, quotas) put it into the body as `__type`, after a `#`, and
some write `Message`.

A body has no field of its own for the kind, and a dialect gives no headers. So for another dialect's error
`render_error` writes `__type`, which every AWS client reads too; whoever sends the answer may also put it (for an error
of this dialect: `ErrorResponse.type`) into the header.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html and the errors of Converse.
"""

from __future__ import annotations

import re
from typing import Any

from penstock.dialects import wire
from penstock.dialects.bedrock_converse.names import NAME
from penstock.dialects.dialect import Headers
from penstock.dialects.errors import BY_STATUS, classify, request_id, retry_after, status_of
from penstock.types.errors import ErrorKind, ErrorResponse, MalformedError

WORDS: dict[str, ErrorKind] = {
    "ValidationException": "invalid_request",
    "SerializationException": "invalid_request",
    "ConflictException": "conflict",
    "AccessDeniedException": "permission",
    "AccessDenied": "permission",
    "NotAuthorized": "permission",
    "OptInRequired": "permission",
    "UnrecognizedClientException": "authentication",
    "InvalidClientTokenId": "authentication",
    "InvalidSignatureException": "authentication",
    "SignatureDoesNotMatch": "authentication",
    "IncompleteSignature": "authentication",
    "IncompleteSignatureException": "authentication",
    "MissingAuthenticationToken": "authentication",
    "MissingAuthenticationTokenException": "authentication",
    "ExpiredToken": "authentication",
    "ExpiredTokenException": "authentication",
    "RequestExpired": "authentication",
    "ResourceNotFoundException": "not_found",
    "UnknownOperationException": "not_found",
    "ModelTimeoutException": "timeout",
    "RequestTimeoutException": "timeout",
    "ThrottlingException": "rate_limit",
    "Throttling": "rate_limit",
    "TooManyRequestsException": "rate_limit",
    "ServiceQuotaExceededException": "quota",
    "ModelNotReadyException": "unavailable",
    "ServiceUnavailableException": "unavailable",
    "ServiceUnavailable": "unavailable",
    "InternalServerException": "server",
    "InternalFailure": "server",
    "ModelErrorException": "server",
    "ModelStreamErrorException": "server",
    "RequestEntityTooLargeException": "too_large",
}

STATUSES: dict[str, int] = {
    "ValidationException": 400,
    "AccessDeniedException": 403,
    "ResourceNotFoundException": 404,
    "ModelTimeoutException": 408,
    "ModelErrorException": 424,
    "ModelStreamErrorException": 424,
    "ThrottlingException": 429,
    "ModelNotReadyException": 429,
    "InternalServerException": 500,
    "ServiceUnavailableException": 503,
}
"""The status that each exception has outside of a stream."""

TYPES: dict[ErrorKind, str] = {
    "authentication": "UnrecognizedClientException",
    "permission": "AccessDeniedException",
    "billing": "AccessDeniedException",
    "not_found": "ResourceNotFoundException",
    "conflict": "ConflictException",
    "timeout": "ModelTimeoutException",
    "rate_limit": "ThrottlingException",
    "quota": "ServiceQuotaExceededException",
    "server": "InternalServerException",
    "bad_gateway": "InternalServerException",
    "unavailable": "ServiceUnavailableException",
    "overloaded": "ServiceUnavailableException",
    "unknown": "InternalServerException",
}
"""For another dialect's errors; every kind that is not here is a ValidationException."""

STREAM_TYPES: dict[ErrorKind, str] = {
    "rate_limit": "throttlingException",
    "quota": "throttlingException",
    "server": "internalServerException",
    "bad_gateway": "modelStreamErrorException",
    "timeout": "modelStreamErrorException",
    "unavailable": "serviceUnavailableException",
    "overloaded": "serviceUnavailableException",
    "unknown": "internalServerException",
}
"""The same inside of a stream, which knows five; every other kind is a validationException."""

_UNKNOWN_MODEL = re.compile(
    r"model identifier is invalid|could not resolve the foundation model|reached the end of its life"
)
_KEYS = ("message", "Message")


def read_error(status: int, headers: Headers, body: bytes) -> ErrorResponse:
    """Any error body. Never raises."""
    try:
        value = wire.decode(body)
    except MalformedError:
        value = None
    holder = value if isinstance(value, dict) else {}
    word = kind_word(headers.get("x-amzn-errortype")) or kind_word(holder.get("__type"))
    message = _message(holder) or body[:2000].decode("utf-8", "replace").strip() or f"HTTP status {status}"
    return _error(status, word, message, value, headers)


def stream_error(exception: str | None, value: Any, message: str | None = None) -> ErrorResponse:
    """An exception inside of a stream, from its type and its decoded body."""
    word = exception or "internalServerException"
    word = word[:1].upper() + word[1:]
    holder = value if isinstance(value, dict) else {}
    status = STATUSES.get(word, 500)
    return _error(status, word, message or _message(holder) or word, value, {})


def _error(status: int, word: str | None, message: str, value: Any, headers: Headers) -> ErrorResponse:
    kind = _kind(status, word, message, value)
    key = _message_key(value) if isinstance(value, dict) else None
    left = {name: other for name, other in value.items() if name != key} if isinstance(value, dict) else None
    return ErrorResponse(
        kind=kind,
        status=status_of(status, kind),
        message=message,
        type=word,
        retry_after=retry_after(headers),
        request_id=request_id(headers),
        dialect=NAME,
        native=key,
        body=value,
        extras=left or None,
    )


def _kind(status: int, word: str | None, message: str, value: Any) -> ErrorKind:
    if _UNKNOWN_MODEL.search(message):
        return "not_found"
    original = value.get("originalStatusCode") if isinstance(value, dict) else None
    if type(original) is int and original in BY_STATUS:
        return BY_STATUS[original]
    return classify(status, (word,), message, WORDS)


def kind_word(text: Any) -> str | None:
    """`ValidationException` of `ValidationException:http://...` or `com.amazon.coral.service#ValidationException`."""
    if not isinstance(text, str):
        return None
    return text.rpartition("#")[2].partition(":")[0].strip() or None


def _message(holder: dict[str, Any]) -> str | None:
    key = _message_key(holder)
    return None if key is None else holder[key]


def _message_key(holder: dict[str, Any]) -> str | None:
    """The key of the words; empty ones say nothing, and stay where they are."""
    return next((key for key in _KEYS if isinstance(holder.get(key), str) and holder[key]), None)


def render_error(error: ErrorResponse) -> tuple[int, dict[str, Any]]:
    """(status, body). Another dialect's error bears its kind in `__type`."""
    if error.dialect == NAME:
        return error.status, _write_own(error)
    word = TYPES.get(error.kind, "ValidationException")
    return error.status, {"__type": word, "message": error.message}


def _write_own(error: ErrorResponse) -> dict[str, Any]:
    if error.native is not None:
        return wire.merge(error.extras, {error.native: error.message})
    return error.body if isinstance(error.body, dict) else {"message": error.message}


def exception_of(error: ErrorResponse) -> str:
    """The exception that a stream reports an error of another dialect with."""
    return STREAM_TYPES.get(error.kind, "validationException")
