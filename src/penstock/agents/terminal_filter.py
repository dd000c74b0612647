"""What of a program's terminal output may reach the terminal of whoever looks at it. Pure.

A terminal does more than show text: it sets titles, writes the clipboard, loads fonts, answers questions by typing the
answer, moves windows. A program that nobody trusts may draw, and nothing else. So:

    kept      text; C0 controls that move (BS, HT, LF, VT, FF, CR, BEL); cursor, colours, modes of the screen (CSI)
    dropped   what is no UTF-8, and the 8 bit forms of controls; ENQ; every DCS, SOS, PM, APC and OSC (titles, 8 links,
              50 fonts, 52 clipboard)
    dropped   CSI that make the terminal answer (`n`, `c`, `x`, DECRQM `$p`, XTVERSION `>q`), window operations (`t`),
              and key or media copy (`i`)
    dropped   ESC sequences but those of the table below; no reset of the terminal (`ESC c`)

A sequence may be cut anywhere; what is not complete is held back, up to `MOST_HELD` bytes, and then dropped.

Source: ECMA-48; "XTerm Control Sequences" (invisible-island.net).
"""

from __future__ import annotations

import codecs
import re

MOST_HELD = 4096
_ESC = 0x1B
_STRINGS = frozenset(b"]PX^_")
"""After ESC: OSC, DCS, SOS, PM, APC. They end with BEL or ESC \\."""
_KEPT_ESC = re.compile(rb"\x1b(?:[()*+][0-9A-Za-z]|[78=>DEHMNO])")
"""Character sets, saved cursor, keypad, index, tabs, single shifts."""
_ANSWERS = frozenset(b"ncxti")
"""Finals of CSI after which the terminal types, moves its window, or prints."""
_CONTROLS = frozenset("\x07\x08\t\n\x0b\x0c\r\x0e\x0f")
_CSI = re.compile(rb"\x1b\[([0-?]*)([ -/]*)([@-~])")


class TerminalFilter:
    """Filters one stream of output."""

    def __init__(self) -> None:
        self._held = b""
        self._in_string = False
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")

    def feed(self, data: bytes) -> bytes:
        """What may be shown now."""
        data, self._held = self._held + data, b""
        shown, at = bytearray(), 0
        while at < len(data):
            if self._in_string:
                at = self._skip_string(data, at)
            elif data[at] == _ESC:
                self._decoder.reset()  # half a character before a sequence is none: its other half could make a control
                step, kept = self._sequence(data, at)
                if not step:
                    self._hold(data[at:])
                    break
                shown += kept
                at += step
            else:
                end = data.find(b"\x1b", at)
                end = len(data) if end < 0 else end
                shown += self._text(data[at:end])
                at = end
        return bytes(shown)

    def _text(self, data: bytes) -> bytes:
        """Characters without controls but those that move. What is no UTF-8 is no text."""
        return "".join(char for char in self._decoder.decode(data) if not _is_control(char)).encode()

    def _skip_string(self, data: bytes, at: int) -> int:
        """Behind the end of a control string, or of the data."""
        for here in range(at, len(data)):
            if data[here] in (0x07, 0x18, 0x1A):
                self._in_string = False
                return here + 1
            if data[here] == _ESC:
                if here + 1 == len(data):
                    self._held = data[here:]
                    return len(data)
                self._in_string = False
                return here + 2 if data[here + 1 : here + 2] == b"\\" else here
        return len(data)

    def _sequence(self, data: bytes, at: int) -> tuple[int, bytes]:
        """How long the sequence is that begins here, and what of it is shown; 0: it is not complete."""
        if at + 1 == len(data):
            return 0, b""
        kind = data[at + 1]
        if kind in _STRINGS:
            self._in_string = True
            return 2, b""
        if kind == ord("["):
            return _control_sequence(data, at)
        if kind in b"()*+" and at + 2 == len(data):
            return 0, b""
        kept = _KEPT_ESC.match(data, at)
        return (kept.end() - at, kept[0]) if kept else (1 if kind == _ESC else 2, b"")

    def _hold(self, rest: bytes) -> None:
        self._held = rest if len(rest) <= MOST_HELD else b""


def _is_control(char: str) -> bool:
    return (char < " " and char not in _CONTROLS) or "\x7f" <= char <= "\x9f"


def _control_sequence(data: bytes, at: int) -> tuple[int, bytes]:
    found = _CSI.match(data, at)
    if found is None:
        broken = re.compile(rb"\x1b\[[ -?]*").match(data, at)
        assert broken is not None
        return (0, b"") if broken.end() == len(data) else (broken.end() - at, b"")
    parameters, intermediates, final = found[1], found[2], found[3][0]
    asks_mode = final == ord("p") and b"$" in intermediates
    asks_version = final == ord("q") and parameters[:1] == b">"
    if final in _ANSWERS or asks_mode or asks_version:
        return found.end() - at, b""
    return found.end() - at, found[0]
