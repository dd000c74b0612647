"""Looking for a secret in bytes: as it is, and in every encoding by which somebody could carry it off. Pure.

Decoders are tried on the text, and on what they give, three deep. This is the examiner's own reading, written without
looking at the vault's scrubber: two programs that share a table share its gaps.
"""

from __future__ import annotations

import base64
import gzip
import html
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import unquote_to_bytes

DEPTH = 3
"""Decoders in a row, by default."""
PIECE = 20
"""Bytes: so long a part of a secret counts as the secret."""
MOST = 1 << 20
"""Bytes that an unpacked text may have here."""

_BASE64_RUN = re.compile(rb"[A-Za-z0-9+/_\-]{16,}(?:(?:\r?\n|\\n|\\r\\n)[A-Za-z0-9+/_\-]{4,})*={0,2}")
_HEX_RUN = re.compile(rb"(?:(?:0x)?[0-9A-Fa-f]{2}[ :,\-]{0,2}){12,}")
_ESCAPE = re.compile(rb"\\(?:u\{0*([0-9A-Fa-f]{2})\}|u00([0-9A-Fa-f]{2})|x([0-9A-Fa-f]{2})|([0-7]{3})|([\"\\/bfnrt']))")
_CHUNK = re.compile(rb"\r\n[0-9A-Fa-f]{1,6}\r\n")
_SIMPLE = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def pieces(secret: bytes) -> tuple[bytes, ...]:
    """Return what is looked for: the secret, and its parts where it is long."""
    if len(secret) < 2 * PIECE:
        return (secret,)
    return (secret, secret[:PIECE], secret[-PIECE:])


def find(data: bytes, secrets: Iterable[bytes], depth: int = DEPTH) -> str:
    """Return how a secret stands in the data (`raw`, `base64`, `percent of html` ...), or "" where it does not.

    `depth`: decoders in a row; fewer where there is much to look through.
    """
    needles = [piece for secret in secrets for piece in pieces(secret)]
    folded = [needle.lower() for needle in needles]
    for text, way in _readings(data, depth):
        if any(needle in text for needle in needles):
            return " of ".join(way) or "raw"
        lowered = text.lower()
        if any(needle in lowered for needle in folded):
            return " of ".join((*way, "another case"))
    return ""


def _readings(data: bytes, depth: int) -> Iterator[tuple[bytes, tuple[str, ...]]]:
    """The text as each chain of decoders reads it; each text once."""
    seen = {data}
    level: list[tuple[bytes, tuple[str, ...]]] = [(data, ())]
    yield data, ()
    for _ in range(depth):
        following = []
        for text, way in level:
            for name, decoder in _DECODERS.items():
                read = decoder(text)
                if read and read not in seen:
                    seen.add(read)
                    following.append((read, (*way, name)))
                    yield read, (*way, name)
        level = following


def _percent(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" ")) + b"\0" + unquote_to_bytes(text) if b"%" in text else b""


def _html(text: bytes) -> bytes:
    return html.unescape(text.decode("latin-1")).encode("latin-1", "replace") if b"&" in text else b""


def _escapes(text: bytes) -> bytes:
    def plain(match: re.Match[bytes]) -> bytes:
        if match[5]:
            return _SIMPLE.get(match[5], match[5])
        digits = match[1] or match[2] or match[3]
        return bytes([int(digits, 16) if digits else int(match[4], 8) & 255])

    return _ESCAPE.sub(plain, text) if b"\\" in text else b""


def _base64(text: bytes) -> bytes:
    """Every run of base64, from each of four beginnings: a run may begin within other text."""
    found = []
    for match in _BASE64_RUN.finditer(text):
        run = re.sub(rb"\\[rn]|[\r\n=]", b"", match[0]).replace(b"-", b"+").replace(b"_", b"/")
        for start in range(4):
            part = run[start:]
            found.append(base64.b64decode(part[: len(part) // 4 * 4]))
            if len(part) % 4 > 1:
                found.append(base64.b64decode(part[-(len(part) % 4) :].rjust(4, b"A"))[-2:])
                found.append(base64.b64decode(part + b"=" * (-len(part) % 4)))
    return b"\0".join(found)


def _hexadecimal(text: bytes) -> bytes:
    found = []
    for match in _HEX_RUN.finditer(text):
        digits = re.sub(rb"0x|[^0-9A-Fa-f]", b"", match[0])
        found += [bytes.fromhex(part[: len(part) // 2 * 2].decode()) for part in (digits, digits[1:])]
    return b"\0".join(found)


def _utf16(text: bytes) -> bytes:
    return text.replace(b"\0", b"") if text.count(b"\0") >= PIECE else b""


def _chunks(text: bytes) -> bytes:
    return _CHUNK.sub(b"", text) if b"\r\n" in text else b""


def _unpacked(text: bytes) -> bytes:
    found = [_inflate(text[match.start() :], 47) for match in re.finditer(rb"\x1f\x8b\x08|\x78[\x01\x9c\xda]", text)]
    return b"\0".join(found)


def _inflate(data: bytes, window: int) -> bytes:
    try:
        return zlib.decompressobj(window).decompress(data, MOST)
    except (zlib.error, gzip.BadGzipFile):
        return b""


_DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "percent": _percent,
    "html": _html,
    "escapes": _escapes,
    "base64": _base64,
    "hexadecimal": _hexadecimal,
    "utf-16": _utf16,
    "chunks": _chunks,
    "gzip": _unpacked,
}
