"""Content codings undone, so that the scrubber sees what the client would: in small steps, within limits, failing
closed.

gzip (RFC 1952), deflate (RFC 9110, section 8.4.1.2: zlib, RFC 1950; some send RFC 1951 without its wrapper), br
(RFC 7932), zstd (RFC 8878; a window of at most 8 MiB, RFC 9659). What is truncated, corrupt, followed by something
else,
or larger than the limits, ends in a `Refusal`.
"""

import zlib
from collections.abc import Iterator
from typing import Protocol

import brotli  # type: ignore[import-untyped]  # says nothing of its types
import zstandard

from penstock.vault.values import Refusal

STEP = 64 * 1024
"""Most bytes that are decoded and handed on at once."""

RATIO, FREE = 200, 16 * 1024 * 1024
"""A body may grow to `RATIO` times what came, and `FREE` bytes besides, before it is taken for a bomb."""

LARGEST = 64 * 1024**3
"""Most bytes of one decoded body."""

MOST_CODINGS = 3
"""Codings that may be stacked in one `Content-Encoding`."""

_ZSTD_STEP = 128  # a block of four bytes may say 128 KiB, and the library has no limit of its own: 4 MiB at the most
_ZSTD_WINDOW = 8 * 1024 * 1024


def bad_encoding(reason: str) -> Refusal:
    """Return the refusal of a body that cannot be decoded. The reason holds nothing of the body."""
    return Refusal("bad_encoding", reason, fix="The upstream's answer was dropped.", status=502)


class Coding(Protocol):
    """One coding being undone."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` says, in pieces of at most `STEP` bytes, as far as they are asked for."""

    def end(self) -> None:
        """Say that no more comes; raises if something is missing."""


class _Zlib:
    """gzip (`wbits` 31), zlib (15) and raw deflate (-15). Of gzip, many members may follow each other."""

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._object = zlib.decompressobj(wbits)
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._object.eof:
                if self._wbits != 31:
                    raise bad_encoding("More bytes follow the end of a deflate body.")
                self._object = zlib.decompressobj(self._wbits)
            self._begun = True
            try:
                said = self._object.decompress(data, STEP)
            except zlib.error:
                raise bad_encoding("A gzip or deflate body is corrupt.") from None
            data = self._object.unused_data if self._object.eof else self._object.unconsumed_tail
            if said:
                yield said
        while not self._object.eof and (said := self._pending()):
            yield said

    def _pending(self) -> bytes:
        """What is still within the decoder although it has taken all its input."""
        try:
            return self._object.decompress(b"", STEP)
        except zlib.error:
            raise bad_encoding("A gzip or deflate body is corrupt.") from None

    def end(self) -> None:
        if self._begun and not self._object.eof:
            raise bad_encoding("A gzip or deflate body ends too early.")


class _Deflate:
    """`deflate`: which of the two formats it is, its first two bytes tell (RFC 1950, section 2.2)."""

    def __init__(self) -> None:
        self._first = b""
        self._inner: _Zlib | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._inner is None:
            self._first += data
            if len(self._first) < 2:
                return
            data = self._first
            self._inner = _Zlib(15 if is_zlib(data) else -15)
        yield from self._inner.feed(data)

    def end(self) -> None:
        if self._inner:
            self._inner.end()
        elif self._first:
            raise bad_encoding("A deflate body ends too early.")


class _Brotli:
    def __init__(self) -> None:
        self._object = brotli.Decompressor()
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data or (self._begun and not self._object.can_accept_more_data()):
            if self._object.is_finished():
                raise bad_encoding("More bytes follow the end of a br body.")
            self._begun = True
            try:
                said = self._object.process(data, output_buffer_limit=STEP)
            except brotli.error:
                raise bad_encoding("A br body is corrupt.") from None
            data = b""
            for at in range(0, len(said), STEP):
                yield said[at : at + STEP]

    def end(self) -> None:
        if self._begun and not self._object.is_finished():
            raise bad_encoding("A br body ends too early.")


class _Zstd:
    def __init__(self) -> None:
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._object = self._decompressor.decompressobj()
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), _ZSTD_STEP):
            piece = data[at : at + _ZSTD_STEP]
            while piece:
                if self._object.eof:  # a further frame; anything else is corrupt
                    self._object = self._decompressor.decompressobj()
                self._begun = True
                try:
                    said = self._object.decompress(piece)
                except zstandard.ZstdError:
                    raise bad_encoding("A zstd body is corrupt, or its window is larger than 8 MiB.") from None
                piece = self._object.unused_data if self._object.eof else b""
                for start in range(0, len(said), STEP):
                    yield said[start : start + STEP]

    def end(self) -> None:
        if self._begun and not self._object.eof:
            raise bad_encoding("A zstd body ends too early.")


_CODINGS: dict[str, type[_Brotli] | type[_Zstd] | type[_Deflate]] = {"br": _Brotli, "zstd": _Zstd, "deflate": _Deflate}


def is_zlib(data: bytes) -> bool:
    """Say whether the first two bytes are the header of a zlib stream."""
    return len(data) >= 2 and data[0] & 0x8F == 0x08 and (data[0] << 8 | data[1]) % 31 == 0 and not data[1] & 0x20


def _coding(name: str) -> Coding:
    if name in ("gzip", "x-gzip"):
        return _Zlib(31)
    if name not in _CODINGS:
        raise bad_encoding("The response has a content coding that the vault cannot read.")
    return _CODINGS[name]()


class Decoder:
    """All codings of a body undone. `feed` is a generator: memory stays flat as long as each piece is used at once."""

    def __init__(self, codings: list[Coding]) -> None:
        self._codings = codings
        self._came = 0
        self._said = 0

    @property
    def identity(self) -> bool:
        """Say whether the body is not coded at all."""
        return not self._codings

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the next bytes of the body say, in pieces of at most `STEP` bytes. Exhaust it before feeding more.

        Raises:
            Refusal: `bad_encoding`: corrupt, followed by something else, or larger than `RATIO` and `LARGEST` allow.
        """
        self._came += len(data)
        for piece in self._through(0, data):
            self._said += len(piece)
            if self._said > min(LARGEST, FREE + RATIO * self._came):
                raise bad_encoding("The body grows too much when it is decoded.")
            yield piece

    def _through(self, depth: int, data: bytes) -> Iterator[bytes]:
        if depth == len(self._codings):
            for at in range(0, len(data), STEP):
                yield data[at : at + STEP]
            return
        for piece in self._codings[depth].feed(data):
            yield from self._through(depth + 1, piece)

    def end(self) -> None:
        """Say that the body is over. A body of no bytes at all (of a HEAD, a 304) is well in every coding.

        Raises:
            Refusal: `bad_encoding`: it ends too early.
        """
        for coding in self._codings if self._came else ():
            coding.end()


def decoder(content_encoding: str) -> Decoder:
    """Make the decoder for the value of a `Content-Encoding` header; several values are joined with commas.

    Raises:
        Refusal: `bad_encoding`: an unknown coding, or more than `MOST_CODINGS`.
    """
    names = [name.strip().lower() for name in content_encoding.split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if len(names) > MOST_CODINGS:
        raise bad_encoding(f"The response has more than {MOST_CODINGS} content codings on top of each other.")
    return Decoder([_coding(name) for name in reversed(names)])
