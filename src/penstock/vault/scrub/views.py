"""How a text reads once its escapes are undone, and how a change to that reading is written back in the same length.

An escape may stand for any character of a secret, or for none: no list of needles covers every subset. So a text is
read
through decoders, one kind at a time, each reading being a `View` that knows where each of its characters came from;
views of views give the compositions. A decoder undoes only escapes of characters that some needle has, or that other
escapes are written with: the rest cannot matter, and ordinary text has few of these.

Percent: RFC 3986, section 2.1, and `%u0041`. JSON and JavaScript: RFC 8259, section 7; ECMA-262, section 12.9.4
(`\\x41`,
`\\u{41}`, octal). HTML: the character references of the HTML standard, section 13.5.
Each unit is replaced by one of its own length: `%41` by `%78`, `\\u0041` by `\\u0078`, `&#65;` by `&#88;`. A unit too
short
to say the stub's character says another: `\\/` stays `\\/`, and `&#65;` for `z` (122) becomes `&#88;`.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from html.entities import html5
from string import hexdigits
from typing import NamedTuple

_SYNTAX = b"%\\&#;{}xXuU" + hexdigits.encode()
_BASE64 = rb"A-Za-z0-9+/_-"
SIMPLE = {b'"': 0x22, b"\\": 0x5C, b"/": 0x2F, b"b": 8, b"f": 12, b"'": 0x27, b"t": 9, b"n": 10, b"r": 13}
_SIMPLE_OF = {value: name for name, value in SIMPLE.items()}
ZEROS = 32
"""Most leading zeros that a numeric reference of HTML may have; `\\u{41}` may have six."""


class Kind(NamedTuple):
    """One decoder. `unit` finds whole escapes, `partial` the beginning of one at the end of a text (its group 1)."""

    name: str
    unit: re.Pattern[bytes]
    partial: re.Pattern[bytes]
    value: Callable[[re.Match[bytes]], bytes]
    write: Callable[[bytes, int], bytes]


class Unit(NamedTuple):
    """An escape: where it stands in the view and in the text below, its length there, and that of what it says: 0 or
    1.
    """

    at: int
    below: int
    length: int
    said: int


def hex_class(values: Iterable[int]) -> bytes:
    """A regular expression of the two hexadecimal digits of `values`, in any case."""
    rows: dict[str, str] = {}
    for value in sorted(set(values)):
        high, low = f"{value >> 4:x}", f"{value & 15:x}"
        rows[high] = rows.get(high, "") + (low + low.upper() if low.isalpha() else low)
    both = (
        f"(?:{high}|{high.upper()})[{lows}]" if high.isalpha() else f"{high}[{lows}]" for high, lows in rows.items()
    )
    return f"(?:{'|'.join(both)})".encode()


def decimal_class(values: Iterable[int]) -> bytes:
    """A regular expression of the decimal numbers of `values`, without alternatives that begin alike."""
    rows: dict[str, str] = {}
    for value in sorted(set(values)):
        rows[str(value)[:-1]] = rows.get(str(value)[:-1], "") + str(value)[-1]
    return f"(?:{'|'.join(f'{tens}[{ones}]' for tens, ones in rows.items())})".encode()


def _like(unit: bytes, digits: bytes) -> bytes:
    """Write hexadecimal digits in the case that the unit has."""
    return digits if any(97 <= byte <= 102 for byte in unit[-len(digits) :]) else digits.upper()


# --- percent
# -----------------------------------------------------------------------------------------------------------


def _percent_value(match: re.Match[bytes]) -> bytes:
    return bytes((int(match[1], 16),)) if match[1] else b" "


def _percent_write(unit: bytes, byte: int) -> bytes:
    if unit == b"+":
        return b"+" if byte == 0x20 or not chr(byte).isalnum() else bytes((byte,))
    return unit[:-2] + _like(unit, b"%02x" % byte)


def _percent(relevant: bytes, plus: bool) -> Kind:
    unit = rb"%(?:u00)?(" + hex_class(relevant + _SYNTAX) + rb")" + (rb"|\+" if plus else rb"")
    partial = re.compile(rb"(%(?:u0{0,2})?[0-9a-fA-F]?)\Z")
    return Kind("form" if plus else "percent", re.compile(unit), partial, _percent_value, _percent_write)


# --- JSON, JavaScript, unicode-escape
# ----------------------------------------------------------------------------------


def _json_value(match: re.Match[bytes]) -> bytes:
    digits = match[1] or match[4]
    if digits:
        return bytes((int(digits, 16),))
    return bytes((int(match[2], 8),)) if match[2] else bytes((SIMPLE[match[3]],))


def _json_write(unit: bytes, byte: int) -> bytes:
    if len(unit) == 2:
        return b"\\" + _SIMPLE_OF[byte] if byte in _SIMPLE_OF else unit
    if unit[1:2] in b"01":
        return b"\\%03o" % (byte if byte < 128 else ord("X"))
    end = b"}" if unit.endswith(b"}") else b""
    digits = unit[: len(unit) - len(end)]
    return digits[:-2] + _like(digits, b"%02x" % byte) + end


def _json(relevant: bytes) -> Kind:
    digits = hex_class(relevant + _SYNTAX)
    # A line break written `\n` is left: it parts lines far more often than it is part of a secret, whose spellings
    # have it.
    simple = b"".join(re.escape(name) for name, value in SIMPLE.items() if value in relevant and name not in b"nr")
    unit = rb"\\(?:(?:u00|x|U000000)(%s)|([01][0-7]{2})|([\\%s])|u\{0{0,6}(%s)\})" % (digits, simple, digits)
    partial = rb"(\\(?:u0{0,2}[0-9a-fA-F]?|u\{[0-9a-fA-F]{0,8}|U0{0,6}[0-9a-fA-F]?|x[0-9a-fA-F]?|[01][0-7]?)?)\Z"
    return Kind("json", re.compile(unit), re.compile(partial), _json_value, _json_write)


# --- HTML
# --------------------------------------------------------------------------------------------------------------


NAMES = {
    name[:-1].encode(): ord(text)
    for name, text in html5.items()
    if name.endswith(";") and len(text) == 1 and text.isascii()
}  # fmt: skip


def _html_value(match: re.Match[bytes]) -> bytes:
    if match[1]:
        return bytes((int(match[1]),))
    return bytes((int(match[2], 16),)) if match[2] else bytes((NAMES[match[3]],))


def _html_write(unit: bytes, byte: int) -> bytes:
    end = b";" if unit.endswith(b";") else b""
    if unit[1:3] in (b"#x", b"#X"):
        digits = unit[: len(unit) - len(end)]
        return digits[:-2] + _like(digits, b"%02x" % byte) + end
    room = len(unit) - 2 - len(end)
    if room < 2:
        return unit  # `&lt;`: no reference of four characters says anything but itself
    return b"&#%0*d" % (room, byte if len(str(byte)) <= room else ord("X")) + end


def _html(relevant: bytes) -> Kind:
    wanted = sorted(set(relevant + _SYNTAX), reverse=True)
    decimal = decimal_class(wanted)
    names = b"|".join(sorted((name for name, value in NAMES.items() if value in wanted), reverse=True))
    # Without its semicolon a reference ends where its digits end; at the end of the text nobody knows yet.
    end = rb"(?:;|(?=[^0-9A-Fa-f;]))"
    zeros = rb"0{0,%d}" % ZEROS
    unit = rb"&(?:#" + zeros + rb"(" + decimal + rb")(?:;|(?=[^0-9;]))"
    unit += rb"|#[xX]" + zeros + rb"(" + hex_class(wanted) + rb")" + end + rb"|(" + names + rb");)"
    partial = rb"(&(?:#[xX]?[0-9a-fA-F]{0,%d}|[A-Za-z]{0,32})?)\Z" % (ZEROS + 3)
    return Kind("html", re.compile(unit), re.compile(partial), _html_value, _html_write)


# --- line breaks within base64
# -----------------------------------------------------------------------------------------


def _nothing(match: re.Match[bytes]) -> bytes:
    return b""


def _as_is(unit: bytes, byte: int) -> bytes:
    return unit


_BREAK = rb"(?:\r\n|\n|\\+r\\+n|\\+n)[ \t]*"  # no lookbehind: with one, the search has no first bytes to look for
LINES = Kind(
    "lines",
    re.compile(_BREAK + rb"(?=[=" + _BASE64 + rb"])"),
    re.compile(rb"(?<=[" + _BASE64 + rb"])((?:\r?\n|(?:\\+r)?\\+n)[ \t]{0,32}|\r|\\+r?|\\+r\\+)\Z"),
    _nothing,
    _as_is,
)
"""Reads base64 in lines (RFC 2045: 76; RFC 7468: 64), also as JSON has it (`\\n`) and YAML (indented), as one line."""


def kinds(relevant: bytes) -> list[Kind]:
    """Return the decoders of escapes, for needles that are made of the bytes `relevant`."""
    found = [_percent(relevant, plus=False), _json(relevant), _html(relevant)]
    return [*found, _percent(relevant, plus=True)] if b" " in relevant else found


class View:
    """A text as one more decoder reads it. `below` is the view whose text was decoded, None for the text as it came.

    The map back is made when it is first asked for: most views hold nothing.
    """

    def __init__(self, text: bytes, kind: Kind | None = None, below: "View | None" = None) -> None:
        self.text = text
        self.kind = kind
        self.below = below
        self._units: list[Unit] | None = None
        self._at: list[int] = []

    @property
    def path(self) -> list[str]:
        """Return the names of the decoders, the last one first."""
        return [self.kind.name, *self.below.path] if self.kind and self.below else []

    def decode(self, kind: Kind) -> "View | None":
        """Read the text through `kind`; None if it has nothing to undo."""
        text, count = kind.unit.subn(kind.value, self.text)
        return View(text, kind, self) if count else None

    def _map(self, kind: Kind, below: "View") -> list[Unit]:
        if self._units is None:
            self._units, shorter = [], 0
            for match in kind.unit.finditer(below.text):
                start, end = match.span()
                said = len(kind.value(match))
                self._units.append(Unit(start - shorter, start, end - start, said))
                shorter += end - start - said
            self._at = [unit.at for unit in self._units]
        return self._units

    def _below(self, at: int, kind: Kind, below: "View") -> tuple[int, int]:
        """Where the character `at` stands in the text below, and how long it is there."""
        if at == len(self.text):
            return len(below.text), 1
        units = self._map(kind, below)
        which = bisect_right(self._at, at) - 1
        if which < 0:
            return at, 1
        unit = units[which]
        if at < unit.at + unit.said:
            return unit.below, unit.length
        return unit.below + unit.length + at - unit.at - unit.said, 1

    def origin(self, at: int) -> int:
        """Where the character `at` begins in the text as it came; `at` may be the length of the text."""
        view, place = self, at
        while view.below and view.kind:
            place, view = view._below(place, view.kind, view.below)[0], view.below
        return place

    def write(self, at: int, byte: int, put: Callable[[int, int], None]) -> None:
        """Say `byte` in place of the character `at`: calls `put` with the places and bytes of the text as it came."""
        if self.below is None or self.kind is None:
            put(at, byte)
            return
        if byte == self.text[at]:
            return
        start, length = self._below(at, self.kind, self.below)
        said = bytes((byte,))
        if length > 1 or self.below.text[start : start + 1] != self.text[at : at + 1]:
            said = self.kind.write(self.below.text[start : start + length], byte)
        for place, new in enumerate(said, start):
            self.below.write(place, new, put)
