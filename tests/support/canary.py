"""The canary: a secret, in none of its encodings, may stand anywhere that a sandbox, a log or a store can show.

    canary = Canary(b"fake-...")
    canary.absent("what the client read", data)          # bytes
    canary.absent_from_files(folder)                     # files, the pages of SQLite databases, their journals
    canary.absent_from_process(pid)                      # its environment and its command line

It is a second implementation on purpose: it shares no line with the scrubber that it checks. An encoding is searched
for as a window of its characters, for a leak of half a secret is one, too.
"""

from __future__ import annotations

import base64
import html
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote_from_bytes

WINDOW = 12
"""So many bytes of a secret in a row are found; fewer could stand somewhere by chance."""


class Canary:
    """A secret that must be nowhere.

    Args:
        secret: at least `WINDOW` bytes.
    """

    def __init__(self, *secrets: bytes) -> None:
        self._needles = [(name, needle) for secret in secrets for name, needle in _needles(secret)]

    def absent(self, where: str, *data: bytes | str) -> None:
        """Assert that it is not in some bytes, nor in what they say when they are unpacked."""
        for each in data:
            raw = each.encode("utf-8", "surrogateescape") if isinstance(each, str) else each
            for view, text in _unpacked(raw):
                found = [name for name, needle in self._needles if needle in text]
                assert not found, f"the canary is in {where}{view}, as {found[0]}"

    def absent_from_files(self, *places: Path) -> None:
        """Assert that it is in no file of these folders: neither in its bytes nor in its name."""
        for place in places:
            for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
                self.absent(f"the name of {path}", str(path))
                if path.is_file() and not path.is_symlink():
                    self.absent(str(path), path.read_bytes())

    def absent_from_process(self, pid: int) -> None:
        """Assert that nobody can read it of a process: neither in its environment nor among its arguments."""
        for name in ("environ", "cmdline"):
            try:
                data = Path(f"/proc/{pid}/{name}").read_bytes()
            except OSError:
                continue  # the process is not to be looked into, or has ended
            self.absent(f"{name} of process {pid}", data)


def _needles(secret: bytes) -> Iterator[tuple[str, bytes]]:
    assert len(secret) >= WINDOW, "a canary of so few bytes could be met by chance"
    for start in range(0, len(secret) - WINDOW + 1, WINDOW // 2):
        piece = secret[start : start + WINDOW]
        yield "plain", piece
        yield "hex", piece.hex().encode()
        yield "HEX", piece.hex().upper().encode()
        for offset in range(3):
            middle = base64.b64encode(b"\0" * offset + piece + b"\0" * 2)
            for name, encoded in (("base64", middle), ("url-safe base64", middle.translate(_URL_SAFE))):
                yield name, encoded[_begin(offset) : (offset + len(piece)) * 8 // 6]
        yield "percent", b"".join(b"%%%02X" % byte for byte in piece)
        yield "\\u", "".join(f"\\u{byte:04x}" for byte in piece).encode()
        yield "&#", b"".join(b"&#%d;" % byte for byte in piece)
        yield "&#x", b"".join(b"&#x%x;" % byte for byte in piece)
        text = piece.decode("latin-1")
        yield "percent where needed", quote_from_bytes(piece, safe="").encode()
        yield "JSON", json.dumps(text)[1:-1].encode()
        yield "HTML", html.escape(text).encode("latin-1")
        yield "reversed", piece[::-1]


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _begin(offset: int) -> int:
    return (offset * 8 + 5) // 6


def _unpacked(data: bytes) -> Iterator[tuple[str, bytes]]:
    """What was given, and every gzip or zlib stream that begins in it."""
    yield "", data
    for found in re.finditer(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]", data):
        unpack = zlib.decompressobj(31 if data[found.start()] == 0x1F else 15)
        try:
            yield f" (unpacked at {found.start()})", unpack.decompress(data[found.start() :], 1 << 20)
        except zlib.error:
            continue
