"""Error bodies of hosts that speak a dialect of OpenAI's: what each says, and that it comes back."""

import json
from typing import Any

import pytest

from penstock.dialects import registry
from penstock.dialects.openai_errors import says_error
from tests.contract import dialects as contract

CHAT, RESPONSES = registry.get("openai_chat"), registry.get("openai_responses")

FIELDS = [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required"}]
BODIES: list[tuple[int, Any, str, str, Any]] = [
    # status, body, kind, message, code
    (400, {"error": {"message": "no", "code": "content_filter"}}, "content_policy", "no", "content_filter"),
    (503, {"error": "busy"}, "unavailable", "busy", None),
    (400, {"error": "invalid", "error_description": "more"}, "invalid_request", "invalid", None),
    (400, {"error": "invalid", "message": "no"}, "invalid_request", "no", None),
    (400, {"error": ["a", "b"]}, "invalid_request", '["a","b"]', None),
    (400, {"error": {"message": {"a": 1}, "code": "x"}}, "invalid_request", '{"message":{"a":1},"code":"x"}', "x"),
    (400, [{"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}], "invalid_request", "no", 400),
    (422, {"detail": FIELDS}, "unprocessable", json.dumps(FIELDS, separators=(",", ":")), None),
    (422, {"detail": "no"}, "unprocessable", "no", None),
    (401, {"message": "no"}, "authentication", "no", None),
    (404, {"object": "error", "message": "no", "param": None, "code": 404}, "not_found", "no", 404),
    (400, {"object": "error", "message": {"detail": FIELDS[:0]}}, "invalid_request", '{"detail":[]}', None),
    (400, {"errors": [{"message": "no", "code": 5007}], "success": False}, "invalid_request", "no", 5007),
    (403, {"Message": "no"}, "permission", "no", None),
    (500, {"status": "error", "msg": "no"}, "server", "no", None),
    (500, {"title": "Oops", "detail": "no"}, "server", "no", None),
    (200, {"base_resp": {"status_code": 7, "status_msg": "out of credits"}}, "billing", "out of credits", 7),
    (200, {"error": {"message": "no", "code": "429"}}, "rate_limit", "no", "429"),
    (200, {"code": 500, "msg": "no", "success": False}, "server", "no", 500),
]  # fmt: skip


@pytest.mark.parametrize("dialect", [CHAT, RESPONSES], ids=lambda dialect: dialect.name)
@pytest.mark.parametrize(("status", "body", "kind", "message", "code"), BODIES, ids=lambda value: str(value)[:40])
def test_what_a_body_says(dialect: Any, status: int, body: Any, kind: str, message: str, code: Any) -> None:
    error = dialect.parse_error(status, {}, json.dumps(body).encode())
    assert (error.kind, error.message, error.code, error.body) == (kind, message, code, body)
    assert says_error(body)
    if status >= 400:
        contract.assert_error_exact(dialect, status, body)


@pytest.mark.parametrize("data", [b"<html>502 Bad Gateway</html>", b"Bad Gateway", b"", b"null", b"7"])
def test_a_body_that_no_client_reads_is_said_in_the_standard_form(data: bytes) -> None:
    error = CHAT.parse_error(502, {}, data)
    assert error.kind == "bad_gateway"
    status, body = CHAT.render_error(error)
    assert status == 502
    assert body == {"error": {"message": error.message, "type": "server_error", "param": None, "code": None}}


@pytest.mark.parametrize(
    "value",
    [{"choices": []}, {"id": "a", "usage": {}}, {"base_resp": {"status_code": 0, "status_msg": ""}}, {"error": None},
     {}, [], [1], None, "no", 7],
)  # fmt: skip
def test_what_says_no_error(value: Any) -> None:
    assert not says_error(value)
