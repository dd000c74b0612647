"""What is looked for: every fixed form in which a secret may stand in a text, each with a replacement of equal length.

A secret is cut into terms (itself, pieces of at most `PIECE` bytes if it is long, and each long line of one with
several
lines), so that a part is found as well and no text is held for longer than a piece. Each term gives needles: raw,
UTF-16, hexadecimal, and the *interior* of its base64: the characters that are made of nothing but the term, at each of
the three offsets that it may have in a longer text (RFC 4648, section 4). The character on either edge is made of bits
of the term and of its neighbour; a needle knows these bits, so that they can be exchanged as well.
Escapes of any subset of characters are no needles: they are what `views` is for.
"""

import base64
import html
import json
import quopri
from collections.abc import Iterator
from itertools import pairwise
from math import ceil
from typing import NamedTuple
from urllib.parse import quote, quote_plus

PIECE = 256
"""Longest term, in bytes."""

LINE = 32
"""Shortest line of a secret with several lines that is a term of its own, in bytes."""

SEPARATORS = (b"", b":", b" ", b"-", b", ", b",")
"""What may stand between the bytes of a hexadecimal form; `, ` and `,` with `0x` before each byte, as sources have
it.
"""


class Term(NamedTuple):
    """A part of a secret, or a usual spelling of it, and what stands in its place: equally long."""

    secret: int
    name: str
    real: bytes
    fake: bytes


class Edge(NamedTuple):
    """The character beside a base64 interior: which of its six bits are the term's, their value there and in the
    stub.
    """

    mask: int
    real: int
    fake: int


class Needle(NamedTuple):
    """A form of a term. `head` and `tail` are the edges of base64, None where the form ends with a whole character.

    `encoding` names the outermost encoding first: `base64+json` is JSON within base64.
    """

    secret: int
    encoding: str
    pattern: bytes
    replacement: bytes
    head: Edge | None = None
    tail: Edge | None = None

    @property
    def is_base64(self) -> bool:
        """Say whether line breaks may stand within it."""
        return self.encoding.startswith("base64")


def _cut(start: int, end: int) -> Iterator[tuple[int, int]]:
    count = max(1, ceil((end - start) / PIECE))
    borders = [start + (end - start) * step // count for step in range(count + 1)]
    yield from pairwise(borders)


def _lines(secret: bytes) -> Iterator[tuple[int, int]]:
    start = 0
    for line in secret.splitlines(keepends=True):
        body = line.rstrip(b"\r\n")
        if len(body) >= LINE and not body.startswith(b"-----"):  # the boundary lines of PEM are no secret
            yield start, start + len(body)
        start += len(line)


def _spans(secret: bytes) -> list[tuple[int, int]]:
    start, end = len(secret) - len(secret.lstrip()), len(secret.rstrip())
    spans = list(_cut(start, end))
    if len(secret.strip().splitlines()) > 1:
        spans += [piece for line in _lines(secret) for piece in _cut(*line)]
    return list(dict.fromkeys(spans))


def terms(secret: bytes, stub: bytes, index: int) -> list[Term]:
    """Cut a secret and its stub, which are equally long, into terms at the same places."""
    return [Term(index, "raw", secret[start:end], stub[start:end]) for start, end in _spans(secret)]


def _fit(spelled: bytes, fake: bytes, length: int) -> bytes:
    """The stub's spelling if it is as long as the secret's; else its letters and digits, as often as fit."""
    if len(spelled) == length:
        return spelled
    plain = bytes(byte for byte in fake if chr(byte).isalnum() and byte < 128) or b"x"
    return (plain * (length // len(plain) + 1))[:length]


def _json(value: bytes) -> bytes:
    return json.dumps(value.decode("utf-8", "surrogateescape"), ensure_ascii=False)[1:-1].encode(
        "utf-8", "surrogateescape"
    )


def _json_ascii(value: bytes) -> bytes:
    return json.dumps(value.decode("utf-8", "replace"))[1:-1].encode()


def _json_twice(value: bytes) -> bytes:
    return _json(_json(value))


def _json_ascii_upper(value: bytes) -> bytes:
    return b"\\u".join(
        part[:4].upper() + part[4:] if place else part for place, part in enumerate(_json_ascii(value).split(b"\\u"))
    )


def _crlf(value: bytes) -> bytes:
    return value.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _json_crlf(value: bytes) -> bytes:
    return _json(_crlf(value))


def _lf(value: bytes) -> bytes:
    return value.replace(b"\r\n", b"\n")


def _percent(value: bytes) -> bytes:
    return quote(value, safe="").encode()


def _form(value: bytes) -> bytes:
    return quote_plus(value).encode()


def _html(value: bytes) -> bytes:
    return html.escape(value.decode("latin-1")).encode("latin-1")


def _html_decimal(value: bytes) -> bytes:
    return value.decode("utf-8", "replace").encode("ascii", "xmlcharrefreplace")


def _html_hex(value: bytes) -> bytes:
    return "".join(c if c.isascii() else f"&#x{ord(c):x};" for c in value.decode("utf-8", "replace")).encode()


def _quoted_printable(value: bytes) -> bytes:
    return quopri.encodestring(value, quotetabs=False).replace(b"=\n", b"")


_SPELLINGS = (
    ("json", _json), ("json", _json_ascii), ("json", _json_ascii_upper), ("json+json", _json_twice), ("crlf", _crlf),
    ("json", _json_crlf), ("lf", _lf), ("percent", _percent), ("form", _form), ("html", _html), ("html", _html_decimal),
    ("html", _html_hex), ("quoted-printable", _quoted_printable),
)  # fmt: skip


def spellings(term: Term) -> list[Term]:
    """Return the usual spellings of a term that differ from it, so that base64 of them is found as well."""
    found = {term.real: term}
    for name, spell in _SPELLINGS:
        real = spell(term.real)
        found.setdefault(real, Term(term.secret, name, real, _fit(spell(term.fake), term.fake, len(real))))
    return list(found.values())[1:]


def _interior(value: bytes, offset: int) -> tuple[bytes, bytes, bytes]:
    """The character before the interior, the interior, and the one after it, for a value after `offset` other bytes."""
    text = base64.b64encode(bytes(offset) + value + bytes(3))
    first, last = (0, 2, 3)[offset], 8 * (offset + len(value)) // 6
    return text[first - 1 : first] if offset else b"", text[first:last], text[last : last + 1]


ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
VALUES = {byte: value for value, byte in enumerate(ALPHABET)} | {ord("-"): 62, ord("_"): 63}
"""What the characters of both alphabets say."""

_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _edge(real: bytes, fake: bytes, mask: int) -> Edge | None:
    return Edge(mask, ALPHABET.index(real) & mask, ALPHABET.index(fake) & mask) if mask else None


def _base64(term: Term, offset: int) -> Needle:
    (before, body, after), (fake_before, fake, fake_after) = _interior(term.real, offset), _interior(term.fake, offset)
    head = _edge(before, fake_before, (0, 0b1111, 0b11)[offset])
    tail = _edge(after, fake_after, (0, 0b110000, 0b111100)[(offset + len(term.real)) % 3])
    name = "base64" if term.name == "raw" else f"base64+{term.name}"
    return Needle(term.secret, name, body, fake, head, tail)


def _both_alphabets(needle: Needle) -> Iterator[Needle]:
    yield needle
    url_safe = needle.pattern.translate(_URL_SAFE)
    if url_safe != needle.pattern:
        yield needle._replace(pattern=url_safe, replacement=needle.replacement.translate(_URL_SAFE))


def base64_needles(term: Term) -> Iterator[Needle]:
    """Yield the needles of a term within base64: three offsets, both alphabets; for a term itself, base64 of base64
    too.
    """
    for offset in range(3):
        inner = _base64(term, offset)
        yield from _both_alphabets(inner)
        if term.name == "raw":
            again = Term(term.secret, "base64", inner.pattern, inner.replacement)
            yield from (outer for turn in range(3) for outer in _both_alphabets(_base64(again, turn)))


def hex_needles(term: Term) -> Iterator[Needle]:
    """Yield the hexadecimal forms, in lower case: they are looked for in text that was made so."""
    for separator in SEPARATORS:
        prefix = b"0x" if separator[:1] == b"," else b""
        real, fake = ((separator + prefix).join(b"%02x" % byte for byte in value) for value in (term.real, term.fake))
        yield Needle(term.secret, "hex", real, fake)


def exact_needles(term: Term) -> Iterator[Needle]:
    """Yield every needle of a term whose case matters."""
    for spelling in (term, *spellings(term)):
        yield Needle(term.secret, spelling.name, spelling.real, spelling.fake)
        yield from base64_needles(spelling)
    if term.real.isascii():
        # Without the outer NULs, the little and the big endian form are the same bytes.
        wide, wide_fake = (b"\0".join(bytes((byte,)) for byte in value) for value in (term.real, term.fake))
        yield Needle(term.secret, "utf-16", wide, wide_fake)
        utf16 = Term(term.secret, "utf-16", wide, wide_fake)
        yield from (_base64(utf16, offset) for offset in range(3))
