"""Where the cursor of a terminal is, followed through text and control sequences without a picture of the screen. Pure.

A program may ask (`CSI 6 n`), and begin to draw only when it knows. The terminals of viewers cannot answer: there may
be none, or two of different sizes. Rows and columns count from 1.

Source: ECMA-48; "XTerm Control Sequences" (invisible-island.net) for margins, saved positions, wrapping.
"""

from __future__ import annotations

import re
import unicodedata

_PIECES = re.compile("([\x07-\x0f])")
_TAB = 8


class Cursor:
    """A cursor in a screen of this size."""

    def __init__(self, rows: int = 24, columns: int = 80) -> None:
        self._rows, self._columns = rows, columns
        self._row, self._offset = 1, 0  # the offset is `columns` after the last column was written: the next one wraps
        self._top, self._bottom = 1, rows
        self._saved = (1, 0)

    @property
    def position(self) -> tuple[int, int]:
        """Row and column."""
        return self._row, min(self._offset + 1, self._columns)

    def resize(self, rows: int, columns: int) -> None:
        """The screen has another size: margins are gone, the cursor stays inside."""
        self._rows, self._columns = rows, columns
        self._top, self._bottom = 1, rows
        self._go(self._row, self._offset + 1)

    def text(self, text: str) -> None:
        """Text, with control characters that move."""
        for piece in _PIECES.split(text):
            if piece and piece in "\x07\x0e\x0f":
                continue
            if piece == "\r":
                self._offset = 0
            elif piece == "\b":
                self._offset = max(min(self._offset, self._columns - 1) - 1, 0)
            elif piece == "\t":
                self._offset = min((self._offset // _TAB + 1) * _TAB, self._columns - 1)
            elif piece in ("\n", "\x0b", "\x0c"):
                self._down()
            else:
                self._advance(_width(piece))

    def escape(self, final: int) -> None:
        """ESC and one character."""
        if final == ord("7"):
            self._saved = (self._row, self._offset)
        elif final == ord("8"):
            self._row, self._offset = self._saved
        elif final in b"DE":
            self._down()
            self._offset = 0 if final == ord("E") else self._offset
        elif final == ord("M") and self._row != self._top:
            self._row = max(self._row - 1, 1)

    def control(self, parameters: bytes, final: int) -> None:
        """A control sequence (CSI)."""
        if parameters[:1] in (b"?", b">", b"<", b"="):
            if parameters in (b"?1049", b"?1048"):
                self.escape(ord("7") if final == ord("h") else ord("8"))
            return
        numbers = [int(each) if each.isdigit() else 0 for each in parameters.split(b";")]
        first = max(min(numbers[0], 9999), 1)
        second = max(min(numbers[1], 9999), 1) if len(numbers) > 1 else 1
        row, column = self.position
        to = {
            "A": (row - first, column), "B": (row + first, column), "C": (row, column + first),
            "D": (row, column - first), "E": (row + first, 1), "F": (row - first, 1), "G": (row, first),
            "`": (row, first), "d": (first, column), "H": (first, second), "f": (first, second), "r": (1, 1),
        }.get(chr(final))  # fmt: skip
        if to is not None:
            self._go(*to)
        if final == ord("r"):
            bottom = min(second, self._rows) if len(numbers) > 1 and numbers[1] else self._rows
            self._top, self._bottom = (first, bottom) if first < bottom else (1, self._rows)
        elif final in b"su" and not parameters:
            self.escape(ord("7") if final == ord("s") else ord("8"))

    def _go(self, row: int, column: int) -> None:
        self._row = max(min(row, self._rows), 1)
        self._offset = max(min(column, self._columns), 1) - 1

    def _advance(self, width: int) -> None:
        self._offset += width
        lines = max(self._offset - 1, 0) // self._columns
        self._offset -= lines * self._columns
        for _ in range(min(lines, self._rows)):
            self._down()

    def _down(self) -> None:
        if self._row != self._bottom:
            self._row = min(self._row + 1, self._rows)


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else not unicodedata.combining(char) for char in text)
