"""Whether a text holds an escape that matters: one of a byte that some needle has, or one that begins such an escape.

Ordinary text is full of escapes that do not matter (`\\"`, `\\n`, `%20`, `&nbsp;`). A vector search looks for what
relevant
escapes begin with, and only where it finds something do regular expressions look closely. The views are laxer than this
gate, so that what it lets pass without a view cannot be read by one: a chain of escapes ends in one that matters.
"""

import re
from string import ascii_letters, digits, hexdigits

from penstock.vault.scrub.index import vector_search
from penstock.vault.scrub.views import NAMES, SIMPLE, ZEROS, decimal_class, hex_class

_FEW = 64
_WRITTEN = ascii_letters.encode() + digits.encode() + b"%\\&#;{}+/=-_\r\n\t "


def _percent(relevant: bytes) -> re.Pattern[bytes]:
    """An escape among bytes that a secret may have: in random bytes `%41` is common, and what is around it tells.

    Either four bytes after it fit, or it is near the end of a secret of at least eight, and those before it fit.
    """
    fits = b"[" + b"".join(re.escape(bytes((byte,))) for byte in sorted({*relevant, *_WRITTEN})) + b"]"
    unit = rb"%(?:25)*(?:u00)?" + hex_class(relevant + b"&\\")  # `%25` alone matters only where digits follow
    return re.compile(unit + rb"(?:(?=" + fits + rb"{4})|(?<=" + fits + rb"{6}))")


def _json(relevant: bytes) -> tuple[re.Pattern[bytes], list[bytes], list[bytes]]:
    pairs = hex_class(relevant + b"%\\")
    simple = [b"\\" + name for name, value in SIMPLE.items() if value in relevant and name not in b"nr"]
    closely = rb"\\(?:(?:u00|x|U000000|u\{0{0,6})(?:%s|26(?:[#%%\\]|[A-Za-z]{2,32};))|[01][0-7]{2})" % pairs
    openers = [
        b"\\u0",
        b"\\u{",
        b"\\U0",
        *(b"\\x" + digit.encode() for digit in hexdigits),
        *(b"\\%02o" % value for value in range(16)),
    ]
    return re.compile(closely), openers, simple


def _html(relevant: bytes) -> tuple[re.Pattern[bytes], list[bytes]]:
    wanted = {*relevant, *b"%&\\"}
    names = [name for name, value in NAMES.items() if value in wanted and (name.lower() != b"amp" or b"&" in relevant)]
    closely = rb"&(?:amp;)*(?:#0{0,%d}(?:%s)(?![0-9])|#[xX]0{0,%d}%s(?![0-9a-fA-F])|(?:%s);)" % (
        ZEROS, decimal_class(wanted), ZEROS, hex_class(wanted), b"|".join(names),
    )  # fmt: skip
    openers = [prefix + name + b";" for name in names for prefix in (b"&", b"&amp;")]
    return re.compile(closely), [
        b"&amp;#",
        b"&amp;amp;",
        *(b"&#" + bytes((digit,)) for digit in b"0123456789xX"),
        *openers,
    ]


class Gate:
    """The escapes that matter for needles made of the bytes `relevant`."""

    def __init__(self, relevant: bytes) -> None:
        self._percent = _percent(relevant)
        json, json_openers, self._simple = _json(relevant)
        html, html_openers = _html(relevant)
        self._others = ((b"\\", json, vector_search(json_openers)), (b"&", html, vector_search(html_openers)))

    def open(self, text: bytes) -> bool:
        """Say whether an escape that matters is in `text`."""
        if b"%" in text and self._percent.search(text):
            return True
        if any(simple in text for simple in self._simple):
            return True
        return any(
            first in text and _closely(closely, text, openers.find_matches_as_indexes(text))
            for first, closely, openers in self._others
        )


def _closely(closely: re.Pattern[bytes], text: bytes, openers: list[tuple[int, int, int]]) -> bool:
    if len(openers) > _FEW:
        return closely.search(text, openers[0][1]) is not None
    return any(closely.match(text, start) for _, start, _ in openers)
