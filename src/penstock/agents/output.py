"""What a harness's program prints, as events that fit into the log. Pure.

Lines are cut out of the stream as they become whole; one that is longer than `MOST_LINE` is left out, and said so, for
nobody can hold what never ends. A draft that is too large for one event is split where it is a model's words, and
shortened where it is what a program printed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from penstock.agents.events import Draft, Error, Move, Text, Thinking, fitted

MOST_LINE = 8 * 1024 * 1024
"""Bytes of one line of output. Harnesses print whole messages as a line, with files in them."""
MOST_WORDS = 20_000
"""Characters of a model's words in one event; a character may take 12 bytes there."""
KEPT_ERRORS = 16 * 1024
"""Bytes of the end of standard error that a harness is given."""


class Lines:
    """Cuts lines out of a stream."""

    def __init__(self, most: int = MOST_LINE) -> None:
        self._most = most
        self._kept = bytearray()
        self._skipping = False
        self.left_out = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are whole now, without their ends."""
        *whole, rest = data.split(b"\n")
        found = []
        for part in whole:
            line = self._ended(part)
            if line is not None:
                found.append(line)
        self._grow(rest)
        return found

    def end(self) -> list[bytes]:
        """What is left, though no line break follows."""
        line = self._ended(b"")
        return [line] if line else []

    def _ended(self, part: bytes) -> bytes | None:
        self._grow(part)
        line, self._kept = bytes(self._kept), bytearray()
        skipped, self._skipping = self._skipping, False
        return None if skipped else line.removesuffix(b"\r")

    def _grow(self, part: bytes) -> None:
        if not self._skipping and len(self._kept) + len(part) > self._most:
            self._skipping = True
            self.left_out += 1
            self._kept.clear()
        if not self._skipping:
            self._kept += part


def too_long(count: int) -> Error:
    """What is said of lines that were left out."""
    return Error("line_too_long", f"{count} lines of the program's output had more than {MOST_LINE:,} bytes each")


def sized(drafts: Iterable[Draft]) -> Iterator[Draft]:
    """The same drafts, none larger than an event may be."""
    for draft in drafts:
        if isinstance(draft, Text | Thinking) and len(draft.text) > MOST_WORDS:
            yield from _split(draft)
        else:
            yield draft if isinstance(draft, Move) else fitted(draft)


def _split(draft: Text | Thinking) -> Iterator[Draft]:
    part = draft.part or "long"
    for at in range(0, len(draft.text), MOST_WORDS):
        piece = draft.text[at : at + MOST_WORDS]
        more = draft.more or at + MOST_WORDS < len(draft.text)
        yield msgspec.structs.replace(draft, text=piece, part=part, more=more)
