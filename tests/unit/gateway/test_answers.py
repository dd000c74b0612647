"""What goes back to clients: headers made safe, keys taken out, errors with a status of errors."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.dialects import registry
from penstock.gateway.answers import HEADER_ROOM, Redactor, header_text, refusal
from penstock.types.errors import ErrorResponse

CHAT = registry.get("openai_chat")


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("openai/gpt-4o", "openai/gpt-4o"),
        ("a\r\nset-cookie: b=c", r"a\r\nset-cookie: b=c"),
        ("a\x00\x7f\t", r"a\x00\x7f\t"),
        ("\u00e9\u4e2d\U0001f600", r"\xe9\u4e2d\U0001f600"),
        (" spaces ", "spaces"),
        ("", ""),
    ],
)
def test_the_text_of_a_header(text: str, safe: str) -> None:
    assert header_text(text) == safe


@given(st.text())
def test_a_header_is_one_line_of_printable_ascii(text: str) -> None:
    safe = header_text(text)
    assert safe.isascii() and (safe.isprintable() or not safe)
    assert len(safe) <= HEADER_ROOM


def test_keys_are_taken_out() -> None:
    redact = Redactor(["sk-fake-long", "sk-fake-long-and-longer", "short", ""])
    assert redact(b"a sk-fake-long-and-longer b sk-fake-long c short") == b"a [key removed] b [key removed] c short"


@given(st.binary(), st.binary())
def test_no_key_is_left(before: bytes, after: bytes) -> None:
    assert b"sk-fake-key" not in Redactor(["sk-fake-key"])(before + b"sk-fake-key" + after)


@pytest.mark.parametrize(
    ("waiting", "header"),
    [(0.0, "0"), (0.2, "1"), (3600.0, "3600"), (1234567.0, "1234567"), (None, None), (-1.0, None)],
)
def test_waiting_is_said_in_whole_seconds(waiting: float | None, header: str | None) -> None:
    error = ErrorResponse(kind="rate_limit", status=429, message="slow down", retry_after=waiting)
    assert refusal(CHAT, error, {}, Redactor()).headers.get("retry-after") == header


@pytest.mark.parametrize("waiting", [float("inf"), float("nan"), 1e300])
def test_a_wait_that_is_none_is_not_said(waiting: float) -> None:
    error = ErrorResponse(kind="rate_limit", status=429, message="slow down", retry_after=waiting)
    assert "retry-after" not in refusal(CHAT, error, {}, Redactor()).headers


@pytest.mark.parametrize("status", [100, 302, 399, 600, 999])
def test_a_status_that_is_none_of_errors_is_not_passed_on(status: int) -> None:
    answer = refusal(CHAT, ErrorResponse(kind="server", status=status, message="odd"), {}, Redactor())
    assert answer.status == 502


def test_a_key_is_found_in_json_and_in_addresses_too() -> None:
    redact = Redactor(['fake"key/with+odd'])
    assert redact(b'{"m":"fake\\"key/with+odd"} ?key=fake%22key%2Fwith%2Bodd') == (
        b'{"m":"[key removed]"} ?key=[key removed]'
    )


def test_an_address_that_the_client_gave_is_told_back() -> None:
    error = ErrorResponse(
        kind="invalid_request", status=400, message="http://10.0.0.1/a was not fetched", native="media"
    )
    assert b"http://10.0.0.1/a was not" in refusal(CHAT, error, {}, Redactor(["sk-fake-key"])).body
    theirs = ErrorResponse(kind="server", status=500, message="http://10.0.0.1/a failed", dialect="openai_chat")
    assert b'"[address removed] failed"' in refusal(CHAT, theirs, {}, Redactor()).body


@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic_messages", "gemini"])
def test_an_error_inside_a_200_has_a_status_of_errors(dialect: str) -> None:
    error = ErrorResponse(kind="server", status=200, message="it says 200")
    answer = refusal(registry.get(dialect), error, {}, Redactor())
    assert answer.status == 502
    assert "it says 200" in json.loads(answer.body)["error"]["message"]
