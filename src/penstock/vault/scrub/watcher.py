"""Compressed files that are a body of their own: watched, not altered, since no secret can be exchanged within them.

An upstream may build a `.gz`, `.tar.gz`, `.zst` or zlib file out of what it was sent. A body that begins like one is
decoded beside its way through, and the connection is cut before the bytes leave that complete a secret. Brotli has no
such beginning; encrypted files, and archives that pack each member by itself (zip, git packs), are not opened.
"""

from penstock.vault.scrub.codings import Decoder, decoder, is_zlib
from penstock.vault.scrub.stream import Scrubber
from penstock.vault.values import Refusal

DEPTH = 2
"""A gzip file within a gzip file is opened, one within that is not."""

_MAGIC = ((b"\x1f\x8b\x08", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))
_ENOUGH = 4


class Watcher:
    """Reads along a body without a content coding. Its bytes go on as they come."""

    def __init__(self, scrubber: Scrubber, *, depth: int = DEPTH) -> None:
        self._scrubber = scrubber
        self._depth = depth
        self._first = b""
        self._decided = False
        self._decoder: Decoder | None = None
        self._inner: Watcher | None = None
        self._certain = True
        self._stream = scrubber.stream()

    def feed(self, data: bytes) -> bytes:
        """Read the next bytes and return them.

        Raises:
            Refusal: `secret_in_archive`: they complete a secret; `bad_encoding`: they cannot be read any further.
        """
        if not self._decided:
            self._first += data
            if len(self._first) >= _ENOUGH:
                self._decide()
                self._read(self._first)
        else:
            self._read(data)
        return data

    def end(self) -> None:
        """Say that the body is over. One that is cut short is let go: what it says has been read.

        Raises:
            Refusal: `secret_in_archive`: the last bytes were a secret.
        """
        self._stream.end()
        self._check()
        if self._inner:
            self._inner.end()

    def _decide(self) -> None:
        self._decided = True
        names = [name for magic, name in _MAGIC if self._first.startswith(magic)]
        if not names and is_zlib(self._first):
            names, self._certain = ["deflate"], False  # two bytes: a text may begin so
        if names and self._depth and not self._scrubber.idle:
            self._decoder = decoder(names[0])
            self._inner = Watcher(self._scrubber, depth=self._depth - 1)

    def _read(self, data: bytes) -> None:
        if self._decoder is None or self._inner is None:
            return
        try:
            for piece in self._decoder.feed(data):
                self._certain = True
                self._inner.feed(piece)
                self._stream.feed(piece)
                self._check()
        except Refusal as refusal:
            if refusal.code != "bad_encoding" or self._certain:
                raise
            self._decoder = None

    def _check(self) -> None:
        if self._stream.found:
            raise Refusal(
                "secret_in_archive",
                "A compressed file in the response holds a secret, which cannot be exchanged there.",
                fix="Bind the secret to paths that do not return it.",
                status=502,
            )
