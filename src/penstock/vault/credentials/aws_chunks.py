"""Bodies that are signed chunk by chunk, signed anew while they stream: S3's `aws-chunked` with `STREAMING-AWS4-...`.

Each chunk bears a signature over its data and the signature before it, the first over the request's own
(docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html, and sigv4-streaming-trailers.html for what may follow
the last chunk). The client made this chain with the stub's key, so every link is made anew with the real one. A
signature always has 64 digits, so the body keeps its length, and the head's Content-Length stays true. A chunk is held
until it is whole, for its signature stands before its data: at most MAX_CHUNK bytes (SDKs send 64 KiB to 1 MiB).
"""

import re
from collections.abc import Callable
from enum import Enum

from penstock.vault.credentials.sigv4 import Scope, hashed, signature
from penstock.vault.values import Refusal

SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

MAX_CHUNK = 16 * 1024 * 1024
"""Bytes of data in one chunk."""

MAX_TRAILER = 8 * 1024
"""Bytes of all trailing lines."""

_HEADER = re.compile(rb"([0-9a-fA-F]{1,8});chunk-signature=([0-9a-f]{64})")
_TRAILER = re.compile(rb"([A-Za-z0-9-]+):([\x20-\x7e]*)")
_MAX_LINE = 8 + len(b";chunk-signature=") + 64
_EMPTY = hashed(b"")


class _Step(Enum):
    HEADER = "header"
    DATA = "data"
    TRAILER = "trailer"
    LAST_LINE = "last line"
    END = "end"


class ChunkSigner:
    """Re-signs one body. Feed it the body as the client sent it.

    Args:
        key: the signing key of the scope.
        moment: the request's new time.
        scope: the request's new scope.
        seed: the signature of the request's head.
        trailer: whether signed trailing lines follow the last chunk.
    """

    def __init__(self, key: bytes, moment: str, scope: Scope, seed: str, *, trailer: bool) -> None:
        self._key = key
        self._moment = moment
        self._scope = scope
        self._previous = seed
        self._trailer = trailer
        self._held = bytearray()
        self._size = 0
        self._digits = b""
        self._lines: list[bytes] = []
        self._blank = False
        self._step = _Step.HEADER

    def __repr__(self) -> str:
        return f"ChunkSigner({self._step.value})"

    def feed(self, data: bytes) -> bytes:
        """Take some of the body, and return what is signed. Raises Refusal(`bad_chunk`) at what is no such body."""
        self._held += data
        out = bytearray()
        steps: dict[_Step, Callable[[], bytes | None]] = {
            _Step.HEADER: self._read_header,
            _Step.DATA: self._read_data,
            _Step.TRAILER: self._read_trailer,
            _Step.LAST_LINE: self._read_last_line,
            _Step.END: self._read_nothing,
        }
        while (made := steps[self._step]()) is not None:
            out += made
        return bytes(out)

    def end(self) -> bytes:
        """Return nothing more: all is out with the last chunk. Raises Refusal where that is missing."""
        trailed = self._step is _Step.LAST_LINE and self._trailer and not self._held  # some clients send no empty line
        if self._step is not _Step.END and not trailed:
            raise _bad("it ends in the middle")
        return b""

    def _read_header(self) -> bytes | None:
        line = self._line(_MAX_LINE)
        if line is None:
            return None
        found = _HEADER.fullmatch(line)
        if not found:
            raise _bad("a chunk has no signature")
        self._digits, self._size = found[1], int(found[1], 16)
        if self._size > MAX_CHUNK:
            raise _bad(f"a chunk has more than {MAX_CHUNK} bytes", "Make the client send smaller chunks.")
        if self._size == 0:
            return self._signed(b"", b"", after=_Step.TRAILER if self._trailer else _Step.LAST_LINE)
        self._step = _Step.DATA
        return b""

    def _read_data(self) -> bytes | None:
        if len(self._held) < self._size + 2:
            return None
        data = bytes(self._held[: self._size])
        if self._held[self._size : self._size + 2] != b"\r\n":
            raise _bad("a chunk is longer than it says")
        del self._held[: self._size + 2]
        return self._signed(data, data + b"\r\n", after=_Step.HEADER)

    def _read_last_line(self) -> bytes | None:
        if len(self._held) < 2:
            return None
        if self._held[:2] != b"\r\n":
            raise _bad("something follows the last chunk")
        del self._held[:2]
        self._step = _Step.END
        return b"\r\n"

    def _signed(self, data: bytes, wire: bytes, *, after: _Step) -> bytes:
        lines = ("AWS4-HMAC-SHA256-PAYLOAD", self._moment, str(self._scope), self._previous, _EMPTY, hashed(data))
        self._previous = signature(self._key, lines)
        self._step = after
        return b"%s;chunk-signature=%s\r\n%s" % (self._digits, self._previous.encode(), wire)

    def _read_trailer(self) -> bytes | None:
        line = self._line(MAX_TRAILER)
        if line is None:
            return None
        if line == b"":
            return self._blank_line()
        found = _TRAILER.fullmatch(line.rstrip(b"\n"))
        if not found:
            raise _bad("its trailer is malformed")
        if found[1].lower() != b"x-amz-trailer-signature":
            self._lines.append(line)
            if sum(map(len, self._lines)) > MAX_TRAILER:
                raise _bad("its trailer is too long")
            return b""
        return self._end_of_trailer()

    def _blank_line(self) -> bytes:
        """Some clients (MinIO's) end the last chunk with a line of its own, before the trailer."""
        if self._blank or self._lines:
            raise _bad("its trailer has no signature")
        self._blank = True
        return b"\r\n"

    def _end_of_trailer(self) -> bytes:
        self._step = _Step.LAST_LINE
        trailing = sorted(self._canonical(line) for line in self._lines)
        lines = ("AWS4-HMAC-SHA256-TRAILER", self._moment, str(self._scope), self._previous, hashed(b"".join(trailing)))
        made = signature(self._key, lines).encode()
        return b"".join(line + b"\r\n" for line in self._lines) + b"x-amz-trailer-signature:" + made + b"\r\n"

    @staticmethod
    def _canonical(line: bytes) -> bytes:
        name, _, value = line.rstrip(b"\n").partition(b":")
        return name.lower() + b":" + value.strip() + b"\n"

    def _read_nothing(self) -> bytes | None:
        if self._held:
            raise _bad("something follows its end")
        return None

    def _line(self, longest: int) -> bytes | None:
        end = self._held.find(b"\r\n", 0, longest + 2)
        if end < 0:
            if len(self._held) > longest + 1:
                raise _bad("a line is too long")
            return None
        line = bytes(self._held[:end])
        del self._held[: end + 2]
        return line


def _bad(what: str, fix: str = "Use an AWS SDK, or send the body unsigned (UNSIGNED-PAYLOAD).") -> Refusal:
    return Refusal("bad_chunk", f"The body is not signed chunk by chunk as its head says: {what}.", fix=fix, status=400)
