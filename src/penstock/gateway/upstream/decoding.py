"""Decoding: a body that a provider compressed although nobody asked for it.

gzip and deflate (RFC 9110, 8.4.1; deflate also without zlib's wrapping, as some servers send it) are undone piece by
piece. What grows beyond all reason is a bomb and refused; so is what nobody can read here (br, zstd).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

__all__ = ["Decoder", "Undecodable", "decoder_for"]

PIECE = 64 * 1024
"""Bytes of a decoded piece, at most."""
FREE = 4 * 1024 * 1024
"""Decoded bytes that are not looked at."""
GROWTH = 200
"""How many times its compressed size a body may have beyond that. Text shrinks to a tenth; zlib can do 1,032 times."""


class Undecodable(Exception):
    """The body cannot be read. The message says why."""


class Decoder:
    """Undoes one encoding: `gzip` or `deflate`."""

    def __init__(self, encoding: str) -> None:
        self._gzip = encoding == "gzip"
        self._stream: Any = zlib.decompressobj(31) if self._gzip else None
        self._read = self._made = 0

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What `data` adds. Raises Undecodable."""
        self._read += len(data)
        while data:
            stream = self._stream_for(data)
            try:
                piece = stream.decompress(data, PIECE)
            except zlib.error:
                raise Undecodable("the answer's compressed body is damaged") from None
            self._made += len(piece)
            if self._made > FREE and self._made > self._read * GROWTH:
                raise Undecodable(f"the answer's compressed body grows to more than {GROWTH} times its size")
            if piece:
                yield piece
            data = stream.unused_data if stream.eof else stream.unconsumed_tail
            if not data and not stream.eof and len(piece) == PIECE:
                yield from self._rest(stream)

    def end(self) -> None:
        """The body is over. Raises Undecodable where something is missing."""
        if self._stream is not None and self._read and not self._stream.eof:
            raise Undecodable("the answer's compressed body ends before its end")

    def _rest(self, stream: Any) -> Iterator[bytes]:
        """What zlib still holds when a piece was full and all input was taken."""
        while piece := stream.decompress(b"", PIECE):
            self._made += len(piece)
            yield piece

    def _stream_for(self, data: bytes) -> Any:
        if self._stream is None:  # deflate: zlib's header, or none (RFC 1950, 2.2: method 8, a check modulo 31)
            self._stream = zlib.decompressobj(15 if data[0] & 15 == 8 else -15)
        elif self._stream.eof:
            if not self._gzip:
                raise Undecodable("the answer's compressed body goes on after its end")
            self._stream = zlib.decompressobj(31)  # RFC 1952, 2.2: a file may have several members
        return self._stream


def decoder_for(encodings: str) -> Decoder | None:
    """The decoder for the value of `content-encoding`; None: there is nothing to undo. Raises Undecodable."""
    named = [each for name in encodings.split(",") if (each := name.strip().lower()) not in ("", "identity")]
    if not named:
        return None
    if len(named) == 1 and named[0] in ("gzip", "x-gzip", "deflate"):
        return Decoder(named[0].removeprefix("x-"))
    listed = ", ".join(named)[:100]
    raise Undecodable(f"the answer is compressed with {listed}, which was not asked for and is not read here")
