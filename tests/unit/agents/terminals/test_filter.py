"""A program in a session's terminal may draw, and nothing else, however its output is cut."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.agents.terminals.filter import MOST_HELD, RESTORE, TerminalFilter

DROPPED = {
    "clipboard": b"\x1b]52;c;aGVsbG8=\x07",
    "clipboard, other end": b"\x1b]52;c;aGVsbG8=\x1b\\",
    "clipboard question": b"\x1b]52;c;?\x07",
    "title": b"\x1b]0;owned\x07",
    "icon title": b"\x1b]1;owned\x07",
    "link": b"\x1b]8;;https://example.com\x1b\\",
    "font": b"\x1b]50;$(id)\x07",
    "palette question": b"\x1b]4;1;?\x07",
    "working folder": b"\x1b]7;file://host/etc\x07",
    "notification": b"\x1b]9;hello\x07",
    "inline file": b"\x1b]1337;File=name=eA==:AAAA\x07",
    "device control": b"\x1bP$qm\x1b\\",
    "user keys": b"\x1bP0;0|17/6c730a\x1b\\",
    "application command": b"\x1b_Ga=T,f=100;AAAA\x1b\\",
    "privacy message": b"\x1b^hidden\x1b\\",
    "start of string": b"\x1bXhidden\x1b\\",
    "status question": b"\x1b[5n",
    "cursor question": b"\x1b[6n",
    "attributes question": b"\x1b[c",
    "secondary attributes": b"\x1b[>c",
    "version question": b"\x1b[>0q",
    "mode question": b"\x1b[?2026$p",
    "parameters question": b"\x1b[x",
    "window title question": b"\x1b[21t",
    "window moved": b"\x1b[3;0;0t",
    "printing": b"\x1b[5i",
    "reset": b"\x1bc",
    "enquiry": b"\x05",
    "8 bit clipboard, as UTF-8": b"\xc2\x9d",
    "8 bit CSI, as UTF-8": b"\xc2\x9b",
    "8 bit CSI, around a sequence": b"\xc2\x1b[6n\x9b",
    "8 bit OSC, raw": b"\x9d",
    "kitty's keys": b"\x1b[>1u",
    "kitty's keys, at once": b"\x1b[=1;1u",
    "kitty's question": b"\x1b[?u",
    "other keys modified": b"\x1b[>4;2m",
    "keyboard locked": b"\x1b[2h",
    "an older terminal": b"\x1b[?2l",
    "132 columns": b"\x1b[?3h",
    "one mode of two": b"\x1b[?25;2h",
    "modes saved": b"\x1b[?1s",
    "conformance level": b'\x1b[61"p',
}
KEPT = {
    "text": "schön 🙂\r\n".encode(),
    "colour": b"\x1b[1;38;5;200mred\x1b[0m",
    "cursor": b"\x1b[2J\x1b[H\x1b[10;20H\x1b[K",
    "screen": b"\x1b[?1049h\x1b[?25l\x1b[?2004h",
    "cursor shape": b"\x1b[4 q",
    "lines": b"\x1b(0lqk\x1b(B",
    "saved": b"\x1b7\x1b8",
    "mouse, paste, one step": b"\x1b[?1000;1006h\x1b[?2026h\x1b[?2026l",
    "region": b"\x1b[2;10r\x1b[4h",
}
ANSWERED = {
    b"\x1b[c": b"\x1b[?62;22c",
    b"\x1b[0c": b"\x1b[?62;22c",
    b"\x1b[>c": b"\x1b[>1;10;0c",
    b"\x1b[5n": b"\x1b[0n",
    b"one\r\ntwo\x1b[6n": b"\x1b[2;4R",
    b"\x1b[7;3H\x1b[?6n": b"\x1b[?7;3R",
    b"\x1b[?2026$p": b"\x1b[?2026;0$y",
}


def _filtered(data: bytes, *cuts: int) -> bytes:
    reader = TerminalFilter()
    marks = [0, *sorted(cuts), len(data)]
    return b"".join(reader.feed(data[start:end]) for start, end in pairwise(marks))


@pytest.mark.parametrize("payload", DROPPED.values(), ids=DROPPED.keys())
def test_what_commands_a_terminal_is_dropped_at_every_cut(payload: bytes) -> None:
    data = b"before" + payload + b"after"
    for cut in range(len(data) + 1):
        assert _filtered(data, cut) == b"beforeafter"


@pytest.mark.parametrize("drawing", KEPT.values(), ids=KEPT.keys())
def test_what_draws_is_kept_at_every_cut(drawing: bytes) -> None:
    for cut in range(len(drawing) + 1):
        assert _filtered(drawing, cut) == drawing


@given(st.lists(st.sampled_from([*DROPPED.values(), *KEPT.values(), b"\x1b", b"]", b"x"])), st.data())
def test_no_control_string_comes_out_of_any_mixture(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=5))
    shown = _filtered(stream, *cuts)
    assert shown == _filtered(stream)
    assert not re.search(rb"\x1b[\]PX^_c]|\x1b\[[0-?]*[ -/]*[ncxti]|\xc2[\x80-\x9f]|[\x05\x7f]", shown)


def test_a_sequence_without_end_holds_little_and_then_nothing() -> None:
    reader = TerminalFilter()
    assert reader.feed(b"\x1b[" + b"1;" * MOST_HELD) == b""
    assert b"visible" in reader.feed(b"mvisible")


@pytest.mark.parametrize(("question", "answer"), ANSWERED.items())
def test_a_question_is_answered_to_the_program_and_once(question: bytes, answer: bytes) -> None:
    for cut in range(len(question) + 1):
        reader = TerminalFilter()
        reader.feed(question[:cut])
        reader.feed(question[cut:])
        assert (reader.answers(), reader.answers()) == (answer, b"")


@pytest.mark.parametrize("mode", [1, 5, 12, 66, 1000, 1003, 1006, 1049, 2004, 2026])
def test_what_may_be_switched_on_is_switched_off_when_a_viewer_leaves(mode: int) -> None:
    assert _filtered(b"\x1b[?%dh" % mode) != b""
    assert b"\x1b[?%dl" % mode in RESTORE
