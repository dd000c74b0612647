"""HTTP/1.1 on the server's side, as pure functions over bytes: requests in, response heads and chunks out.

Only what a peer of an API client needs; what it does not need (trailers, upgrades) is refused, not guessed. Source:
RFC 9112.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

MAX_HEAD = 256 * 1024


class BadRequest(Exception):
    """The bytes are no HTTP/1.1 request that this server reads."""


@dataclass(frozen=True, slots=True)
class Head:
    """A request line and headers."""

    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        """The first value of a header ("" if there is none)."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    @property
    def keeps_alive(self) -> bool:
        """Whether the client wants to send another request on this connection."""
        connection = self.get("connection").lower()
        return connection == "keep-alive" if self.version == "HTTP/1.0" else connection != "close"


def parse_head(raw: bytes) -> Head:
    """A head, without the empty line that ends it."""
    line, *lines = raw.decode("latin-1").split("\r\n")
    words = line.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequest(f"not an HTTP/1.1 request line: {line[:100]!r}")
    headers = []
    for text in lines:
        name, colon, value = text.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest(f"not a header: {text[:100]!r}")
        headers.append((name, value.strip()))
    return Head(words[0], words[1], words[2], tuple(headers))


class RequestReader:
    """Collects bytes and yields whole requests: `feed` bytes, then `next` until it returns None."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: Head | None = None

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        self._buffer += data

    @property
    def waiting_for_continue(self) -> bool:
        """Whether the client holds its body back until it is told to go on (Expect: 100-continue)."""
        return self._head is not None and self._head.get("expect").lower() == "100-continue"

    def next(self) -> tuple[Head, bytes] | None:
        """The next whole request, or None when more bytes are needed. BadRequest when they can never be one."""
        if self._head is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end == -1:
                if len(self._buffer) > MAX_HEAD:
                    raise BadRequest("the head of the request is too large")
                return None
            self._head = parse_head(bytes(self._buffer[:end]).lstrip(b"\r\n"))
            del self._buffer[: end + 4]
        body = self._body(self._head)
        if body is None:
            return None
        head, self._head = self._head, None
        return head, body

    def _body(self, head: Head) -> bytes | None:
        coding = head.get("transfer-encoding").lower()
        if coding and coding != "chunked":
            raise BadRequest(f"transfer-encoding {coding!r} is not read")
        if coding:
            return self._chunked()
        length = head.get("content-length") or "0"
        if not length.isdecimal():
            raise BadRequest(f"content-length {length!r} is not a number")
        if len(self._buffer) < int(length):
            return None
        body = bytes(self._buffer[: int(length)])
        del self._buffer[: int(length)]
        return body

    def _chunked(self) -> bytes | None:
        body = bytearray()
        position = 0
        while True:
            line_end = self._buffer.find(b"\r\n", position)
            if line_end == -1:
                return None
            size_text = bytes(self._buffer[position:line_end]).partition(b";")[0]
            try:
                size = int(size_text, 16)
            except ValueError as error:
                raise BadRequest(f"not a chunk size: {size_text[:40]!r}") from error
            start = line_end + 2
            if len(self._buffer) < start + size + 2:
                return None
            body += self._buffer[start : start + size]
            position = start + size + 2
            if size == 0:
                del self._buffer[:position]
                return bytes(body)


def response_head(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    """A status line and headers, with the empty line."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Site is overloaded" if status == 529 else "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
