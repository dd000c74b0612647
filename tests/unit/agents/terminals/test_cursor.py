"""Where the cursor is, for programs that ask before they draw."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.agents.terminals.filter import TerminalFilter

AT = {
    b"": (1, 1),
    b"abc": (1, 4),
    b"a\r\nb": (2, 2),
    b"a\nb": (2, 3),
    b"abc\b\b": (1, 2),
    b"a\tb": (1, 10),
    b"x" * 20: (1, 20),  # it stays on the last column, and the next character wraps
    b"x" * 21: (2, 2),
    b"x" * 45: (3, 6),
    b"\n" * 30: (10, 1),
    b"\x1b[4;7Hx": (4, 8),
    b"\x1b[99;99H": (10, 20),
    b"\x1b[5;5H\x1b[2A\x1b[3C\x1b[B\x1b[2D": (4, 6),
    b"\x1b[3;3H\x1b7\x1b[H\x1b8": (3, 3),
    b"\x1b[3;3H\x1b[s\x1b[H\x1b[u": (3, 3),
    b"\x1b[3;3H\x1b[?1049h\x1b[H\x1b[?1049l": (3, 3),
    b"\x1b[2;4r\x1b[4;1H\n\n\n": (4, 1),  # the last row of a region scrolls
    b"\x1b[9G\x1b[5d": (5, 9),
    b"\x1b[5;5H\x1b[E": (6, 1),
    b"\x1b[5;5H\x1b[F": (4, 1),
    b"\x1b[5;5H\x1bM\x1bM": (3, 5),
    b"\x1b[5;5H\x1bE\x1bD": (7, 1),
    "日本".encode(): (1, 5),
    "e\N{COMBINING ACUTE ACCENT}x".encode(): (1, 3),
    b"\x1b[31mred\x1b[0m\x1b]0;title\x07": (1, 4),
}


@pytest.mark.parametrize(("data", "position"), AT.items())
def test_it_is_followed(data: bytes, position: tuple[int, int]) -> None:
    reader = TerminalFilter()
    reader.cursor.resize(10, 20)
    reader.feed(data)
    assert reader.cursor.position == position


@given(st.binary(max_size=200), st.integers(1, 50), st.integers(1, 50))
def test_it_never_leaves_the_screen(data: bytes, rows: int, columns: int) -> None:
    reader = TerminalFilter()
    reader.cursor.resize(10, 20)
    reader.feed(data)
    reader.cursor.resize(rows, columns)
    reader.feed(data)
    row, column = reader.cursor.position
    assert 1 <= row <= rows
    assert 1 <= column <= columns
