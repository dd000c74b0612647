"""Nothing that an agent writes commands the terminal of who looks at it."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.agents.events import Error, Payload, SessionEvent, Text, ToolCall
from penstock.agents.types import Usage
from penstock.cli.shown_events import Shown, call_of, cost_of, line_of, plain
from tests.support.agents import NOON

PAYLOADS = {
    "clipboard": "\x1b]52;c;aGVsbG8=\x07",
    "clipboard, other end": "\x1b]52;c;aGVsbG8=\x1b\\",
    "title": "\x1b]0;owned\x07",
    "link": "\x1b]8;;https://example.com\x1b\\text\x1b]8;;\x1b\\",
    "font": "\x1b]50;name\x07",
    "answerback": "\x05",
    "device status": "\x1b[6n",
    "8 bit control": "\x9b6n\x9d52;c;YQ==\x9c",
    "clear screen": "\x1b[2J\x1b[H",
    "backspace": "rm -rf /\x08\x08\x08",
    "carriage return": "harmless\rharmful",
    "device control": "\x1bPq...\x1b\\",
    "unfinished": "\x1b]52;c;aGVs",
    "right to left": "\u202egnp.exe",
    "reset": "\x1bc",
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_no_payload_reaches_the_terminal(payload: str) -> None:
    words, rest = io.StringIO(), io.StringIO()
    shown = Shown(words, rest)
    drafts: tuple[Payload, ...] = (Text(f"a{payload}b"), Error("code", payload), ToolCall("1", payload, {"x": payload}))
    for draft in drafts:
        shown.show(SessionEvent(1, NOON, draft))
    for said in (words.getvalue(), rest.getvalue()):
        assert not any((ord(char) < 32 and char not in "\n\t") or 127 <= ord(char) < 160 for char in said), repr(said)
        assert "\u202e" not in said


@given(st.text())
def test_plain_text_has_no_controls_and_stays_as_it_is_without(text: str) -> None:
    shown = plain(text)
    assert not any((ord(char) < 32 and char not in "\n\t") or 127 <= ord(char) < 160 for char in shown)
    assert plain(shown) == shown
    assert len(line_of(text)) <= 100 and "\n" not in line_of(text)


def test_words_of_one_part_are_one_line_and_everything_else_goes_elsewhere() -> None:
    words, rest = io.StringIO(), io.StringIO()
    shown = Shown(words, rest)
    drafts: tuple[Payload, ...] = (
        Text("Hel", "1", True),
        Text("lo", "1", False),
        ToolCall("c", "shell", {"command": "ls -la"}),
    )
    for number, draft in enumerate(drafts, 1):
        shown.show(SessionEvent(number, NOON, draft))
    assert (words.getvalue(), rest.getvalue()) == ("Hello\n", "• shell ls -la\n")


def test_a_call_is_one_line_and_a_cost_is_what_people_read() -> None:
    assert call_of("edit", {"path": "a.py", "old": "x\ny", "new": "z"}) == "edit path=a.py, old=x y, new=z"
    assert call_of("stop", None) == "stop"
    usage = Usage(dollars=Decimal("0.00123"), input_tokens=1234, output_tokens=5, requests=1)
    assert cost_of(usage, 2.04) == "$0.00123 · 1,234 tokens in · 5 out · 1 model call · 2.0 s"
