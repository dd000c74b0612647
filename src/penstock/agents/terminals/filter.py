"""What of a program's terminal output may reach the terminal of whoever looks at it, and what the program is answered.
Pure.

A terminal does more than show text: it sets titles, writes the clipboard, loads fonts, answers questions by typing the
answer, moves windows. A program that nobody trusts may draw, and nothing else. So:

    kept      text; C0 controls that move (BS, HT, LF, VT, FF, CR, BEL); cursor, colours, modes of the screen (CSI)
    dropped   what is no UTF-8, and the 8 bit forms of controls; ENQ; every DCS, SOS, PM, APC and OSC (titles, 8 links,
              50 fonts, 52 clipboard)
    dropped   CSI that make the terminal answer (`n`, `c`, `x`, DECRQM `$p`, XTVERSION `>q`), window operations (`t`),
              and key or media copy (`i`)
    dropped   what changes how keys are sent (kitty's `u`, `>m`; CSI 2 h locks the keyboard), so that a viewer can
              always leave, and every mode that is not in the table below
    dropped   ESC sequences but those of the table below; no reset of the terminal (`ESC c`)

Programs wait for answers to some of those questions before they draw. They get ours (`answers`), never a viewer's: of
those there may be none, or several, and what a terminal types by itself could end in the viewer's own shell.

A sequence may be cut anywhere; what is not complete is held back, up to `MOST_HELD` bytes, and then dropped.

Source: ECMA-48; "XTerm Control Sequences" (invisible-island.net).
"""

from __future__ import annotations

import codecs
import re

from penstock.agents.terminals.cursor import Cursor

MOST_HELD = 4096
_ESC = 0x1B
_STRINGS = frozenset(b"]PX^_")
"""After ESC: OSC, DCS, SOS, PM, APC. They end with BEL or ESC \\."""
_KEPT_ESC = re.compile(rb"\x1b(?:[()*+][0-9A-Za-z]|[78=>DEHMNO])")
"""Character sets, saved cursor, keypad, index, tabs, single shifts."""
_ANSWERS = frozenset(b"ncxti")
"""Finals of CSI after which the terminal types, moves its window, or prints."""
_PRIVATE_MODES = frozenset(
    b"%d" % mode
    for mode in (1, 5, 6, 7, 12, 25, 45, 47, 66, *range(1000, 1008), 1015, 1016, 1047, 1048, 1049, 2004, 2026)
)
"""Modes (`CSI ? ... h`) of cursor keys, screen, wrapping, cursor, mouse, focus, paste and drawing at once."""
RESTORE = b"".join(
    (b"\x1b[0m\x1b>\x1b(B\x1b)B\x0f\x1b[r\x1b[4l\x1b[0 q",
     *(b"\x1b[?%bl" % mode for mode in sorted(_PRIVATE_MODES - {b"7", b"25", b"1048", b"1049"})),
     b"\x1b[?7h\x1b[?25h\x1b[?1049l")
)  # fmt: skip
"""Undoes whatever a program may have done to the terminal of a viewer; the last step leaves the screen of its own."""
_ATTRIBUTES, _SECONDARY, _READY = b"\x1b[?62;22c", b"\x1b[>1;10;0c", b"\x1b[0n"
"""What we say that we are: a VT220 with colours; and that all is well."""
_CONTROL = re.compile("[\x00-\x06\x10-\x1f\x7f-\x9f]")
"""Characters that neither show nor move."""
_BROKEN_CSI = re.compile(rb"\x1b\[[ -?]*")
_CSI = re.compile(rb"\x1b\[([0-?]*)([ -/]*)([@-~])")


class TerminalFilter:
    """Filters one stream of output. `cursor` must be told the terminal's size."""

    def __init__(self) -> None:
        self.cursor = Cursor()
        self._answers = bytearray()
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

    def answers(self) -> bytes:
        """What the program is to be told since the last call, as if a terminal had typed it."""
        taken = bytes(self._answers)
        self._answers.clear()
        return taken

    def _text(self, data: bytes) -> bytes:
        """Characters without controls but those that move. What is no UTF-8 is no text."""
        text = _CONTROL.sub("", self._decoder.decode(data))
        self.cursor.text(text)
        return text.encode()

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
            return self._control_sequence(data, at)
        if kind in b"()*+" and at + 2 == len(data):
            return 0, b""
        kept = _KEPT_ESC.match(data, at)
        if kept:
            self.cursor.escape(kind)
        return (kept.end() - at, kept[0]) if kept else (1 if kind == _ESC else 2, b"")

    def _control_sequence(self, data: bytes, at: int) -> tuple[int, bytes]:
        found = _CSI.match(data, at)
        if found is None:
            broken = _BROKEN_CSI.match(data, at)
            assert broken is not None
            return (0, b"") if broken.end() == len(data) else (broken.end() - at, b"")
        parameters, intermediates, final = found[1], found[2], found[3][0]
        self._answers += self._answer(parameters, intermediates, final)
        if not _draws(parameters, intermediates, final):
            return found.end() - at, b""
        self.cursor.control(parameters, final)
        return found.end() - at, found[0]

    def _answer(self, parameters: bytes, intermediates: bytes, final: int) -> bytes:
        """What a question is answered; nothing where it is none, or one that programs do not wait for."""
        row, column = self.cursor.position
        if intermediates and final != ord("p"):
            return b""
        if final == ord("p") and intermediates == b"$" and parameters[1:].isdigit():
            return b"\x1b[%b;0$y" % parameters  # a mode that we do not know
        return {
            (b"", ord("c")): _ATTRIBUTES,
            (b"0", ord("c")): _ATTRIBUTES,
            (b">", ord("c")): _SECONDARY,
            (b">0", ord("c")): _SECONDARY,
            (b"5", ord("n")): _READY,
            (b"6", ord("n")): b"\x1b[%d;%dR" % (row, column),
            (b"?6", ord("n")): b"\x1b[?%d;%dR" % (row, column),
        }.get((parameters, final), b"")

    def _hold(self, rest: bytes) -> None:
        self._held = rest if len(rest) <= MOST_HELD else b""


def _draws(parameters: bytes, intermediates: bytes, final: int) -> bool:
    """Whether a control sequence does no more than draw."""
    private = parameters[:1] if parameters[:1] in (b"<", b"=", b">", b"?") else b""
    if final in b"hl":
        modes = set(parameters.removeprefix(b"?").split(b";"))
        return modes <= _PRIVATE_MODES if private == b"?" else modes <= {b"4"}
    if final in _ANSWERS or (final == ord("p") and intermediates != b"!"):
        return False
    return not (private and final in b"umqfsr")
