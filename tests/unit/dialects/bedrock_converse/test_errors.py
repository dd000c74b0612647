"""Refusals of Bedrock: their kind, wherever Amazon says it, and other dialects' errors for a client of Bedrock."""

import json
from typing import Any, get_args

import pytest

from penstock.dialects.bedrock_converse import DIALECT
from penstock.types.errors import ErrorKind, ErrorResponse


def error(status: int, body: Any, **headers: str) -> ErrorResponse:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return DIALECT.parse_error(status, {name.replace("_", "-"): value for name, value in headers.items()}, data)


TYPED = [
    ("ValidationException", 400, "invalid_request"),
    ("AccessDeniedException", 403, "permission"),
    ("UnrecognizedClientException", 403, "authentication"),
    ("ExpiredTokenException", 403, "authentication"),
    ("InvalidSignatureException", 403, "authentication"),
    ("ResourceNotFoundException", 404, "not_found"),
    ("ModelTimeoutException", 408, "timeout"),
    ("ModelErrorException", 424, "server"),
    ("ThrottlingException", 429, "rate_limit"),
    ("ModelNotReadyException", 429, "unavailable"),
    ("ServiceQuotaExceededException", 400, "quota"),
    ("InternalServerException", 500, "server"),
    ("ServiceUnavailableException", 503, "unavailable"),
]


@pytest.mark.parametrize(("word", "status", "kind"), TYPED)
def test_the_kind_stands_in_the_header(word: str, status: int, kind: str) -> None:
    found = error(status, {"message": "m"}, x_amzn_errortype=f"{word}:http://internal.amazon.com/coral/x/")
    assert (found.kind, found.status, found.type, found.message) == (kind, status, word, "m")


@pytest.mark.parametrize(("word", "status", "kind"), TYPED)
def test_or_in_the_body(word: str, status: int, kind: str) -> None:
    found = error(status, {"__type": f"com.amazon.coral.service#{word}", "Message": "m"})
    assert (found.kind, found.type, found.message) == (kind, word, "m")


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "The provided model identifier is invalid.", "not_found"),
        (400, "Input is too long for requested model.", "context_window"),
        (400, "Malformed input request: #/messages/2: extraneous key", "invalid_request"),
        (429, "Too many tokens, please wait before trying again.", "rate_limit"),
        (403, "The security token included in the request is invalid.", "permission"),
        (503, "Bedrock is unable to process your request.", "unavailable"),
        (413, "", "too_large"),
    ],
)
def test_without_a_word_the_status_and_the_text_decide(status: int, message: str, kind: str) -> None:
    assert error(status, {"message": message}).kind == kind


def test_the_original_status_of_a_model_error_decides() -> None:
    body = {"message": "m", "originalStatusCode": 429, "resourceName": "r"}
    found = error(424, body, x_amzn_errortype="ModelErrorException")
    assert (found.kind, found.status, found.extras) == (
        "rate_limit",
        424,
        {"originalStatusCode": 429, "resourceName": "r"},
    )
    assert DIALECT.render_error(found) == (424, body)


def test_what_the_headers_add() -> None:
    found = error(429, {"message": "m"}, x_amzn_requestid="req-1", retry_after="7")
    assert (found.request_id, found.retry_after) == ("req-1", 7.0)


@pytest.mark.parametrize(
    "body",
    [
        {"message": "m"},
        {"Message": "m", "__type": "x#ThrottlingException"},
        {"message": None},
        {"message": 5, "more": [1]},
        {},
        {"message": "m", "Message": "n"},
        {"message": ""},
        {"Output": {"__type": "com.amazon.coral.service#UnknownOperationException"}, "Version": "1.0"},
    ],
)
def test_bodies_come_back(body: dict[str, Any]) -> None:
    assert DIALECT.render_error(error(400, body)) == (400, body)


@pytest.mark.parametrize("body", [b"", b"<html>Bad Gateway</html>", b"[1]", b'"text"', b"\xff", b"null"])
def test_any_body_is_an_error(body: bytes) -> None:
    found = error(502, body)
    assert (found.kind, found.status) == ("bad_gateway", 502)
    assert found.message
    assert DIALECT.render_error(found) == (502, {"message": found.message})


@pytest.mark.parametrize("kind", get_args(ErrorKind))
def test_errors_of_other_dialects_bear_their_kind(kind: ErrorKind) -> None:
    """`__type` is what AWS clients read where the header is missing; it is read back as the same or a kindred kind."""
    status, body = DIALECT.render_error(ErrorResponse(kind=kind, status=499, message="It broke.", dialect="contract"))
    assert (status, set(body), body["message"]) == (499, {"__type", "message"}, "It broke.")
    assert body["__type"].endswith("Exception")
    kindred = {"billing": "permission", "overloaded": "unavailable", "bad_gateway": "server", "unknown": "server"}
    again = error(STATUSES.get(body["__type"], 400), body).kind
    said_as_invalid = {"context_window", "content_policy", "unsupported", "too_large", "unprocessable"}
    assert again == ("invalid_request" if kind in said_as_invalid else kindred.get(kind, kind))


STATUSES = {"ThrottlingException": 429, "InternalServerException": 500, "ServiceUnavailableException": 503}
