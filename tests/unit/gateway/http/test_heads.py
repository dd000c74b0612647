"""Heads of answers: whatever a text holds, it stays one header."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.gateway.http.heads import ROOM, header_line, header_value, retry_after


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("openai/gpt-4o", b"openai/gpt-4o"),
        ("a\r\nset-cookie: b=c", rb"a\r\nset-cookie: b=c"),
        ("a\x00\x7f\t", rb"a\x00\x7f\t"),
        ("\u00e9\u4e2d\U0001f600", rb"\xe9\u4e2d\U0001f600"),
        (" spaces ", b"spaces"),
        ("", b""),
    ],
)
def test_the_text_of_a_header(text: str, safe: bytes) -> None:
    assert header_value(text) == safe


@given(st.text())
def test_a_header_is_one_line_of_printable_ascii(text: str) -> None:
    safe = header_value(text).decode("ascii")
    assert safe.isprintable()
    assert len(safe) <= ROOM
    assert header_line("x-a", text).count(b"\n") == 1


@pytest.mark.parametrize(
    ("waiting", "line"),
    [
        (0.0, b"retry-after: 0\r\n"),
        (0.2, b"retry-after: 1\r\n"),
        (3600.0, b"retry-after: 3600\r\n"),
        (1234567.0, b"retry-after: 1234567\r\n"),
        (None, b""),
        (-1.0, b""),
        (float("inf"), b""),
        (float("nan"), b""),
        (1e300, b""),
    ],
)
def test_waiting_is_said_in_whole_seconds_or_not_at_all(waiting: float | None, line: bytes) -> None:
    assert retry_after(waiting) == line
