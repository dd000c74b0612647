"""Making and reading messages for probes: HTTP/1.1 as bytes, responses as they came, frames of HTTP/2, a ClientHello.

Requests are made by hand, for most of them are such as no library would write. Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from penstock.redteam.probe import Kit

PATH = "/@TOKEN@/x"
BEARER = "Authorization: Bearer @STUB@"
CLOSE = "Connection: close"


def request(
    method: str = "GET",
    path: str = PATH,
    *headers: str,
    host: str = "api.bound.example",
    auth: str = BEARER,
    body: bytes = b"",
    close: bool = True,
) -> bytes:
    """Return a request to a bound host as a well-behaved client would send it, plus whatever `headers` say."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *([auth] if auth else []), *headers]
    if body:
        lines.append("Content-Length: @LENGTH@")  # marks in the body are filled later
    if close:
        lines.append(CLOSE)
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def raw(*lines: str, body: bytes = b"") -> bytes:
    """Return lines with their ends, and an empty one."""
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def response(body: bytes, status: str = "200 OK", *headers: str, length: int | None = None) -> bytes:
    """Return a response with a length."""
    size = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {size}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def chunked(pieces: Sequence[bytes], *headers: str, trailers: Sequence[str] = ()) -> list[bytes]:
    """Return a response in chunks, each piece by itself."""
    head = "\r\n".join(("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", *headers)).encode("latin-1") + b"\r\n\r\n"
    end = "".join(f"{line}\r\n" for line in trailers).encode("latin-1")
    return [head, *(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces), b"0\r\n" + end + b"\r\n"]


class Response(Struct, frozen=True):
    """A response that came back. `complete`: its body ended where its head said."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    complete: bool
    trailers: bytes = b""

    def values(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for key, value in self.headers if key == name]

    @property
    def refusal(self) -> str:
        """The code of the vault's refusal, "" where it is none."""
        return next(iter(self.values("x-penstock-refusal")), "")


def responses(data: bytes, ended: bool = True) -> list[Response]:
    """Read the responses one after the other; 1xx heads are left out."""
    found = []
    while data.startswith(b"HTTP/1."):
        head, blank, rest = data.partition(b"\r\n\r\n")
        if not blank:
            break
        first, *lines = head.decode("latin-1").split("\r\n")
        _, status, reason = (*first.split(" ", 2), "", "")[:3]
        pairs = [line.partition(":") for line in lines]
        headers = tuple((name.strip().lower(), value.strip()) for name, _, value in pairs)
        number = int(status) if status.isdigit() else 0
        if 100 <= number < 200 and number != 101:
            data = rest
            continue
        body, data, complete, trailers = _body(number, dict(headers), rest, ended)
        found.append(Response(number, reason, headers, body, complete, trailers))
    return found


def _body(status: int, headers: dict[str, str], data: bytes, ended: bool) -> tuple[bytes, bytes, bool, bytes]:
    if status in (101, 204, 304):
        return (data, b"", True, b"") if status == 101 else (b"", data, True, b"")
    if "chunked" in headers.get("transfer-encoding", ""):
        return _dechunked(data)
    if "content-length" in headers:
        size = int(headers["content-length"])
        return data[:size], data[size:], len(data) >= size, b""
    return data, b"", ended, b""


def _dechunked(data: bytes) -> tuple[bytes, bytes, bool, bytes]:
    body = b""
    while True:
        line, end, rest = data.partition(b"\r\n")
        try:
            size = int(line.partition(b";")[0], 16)
        except ValueError:
            return body + data, b"", False, b""
        if not end or (size and len(rest) < size + 2):
            return body + rest, b"", False, b""
        if size == 0:
            if rest.startswith(b"\r\n"):
                return body, rest[2:], True, b""
            trailers, blank, after = rest.partition(b"\r\n\r\n")
            return body, after, bool(blank), trailers
        body, data = body + rest[:size], rest[size + 2 :]


# -- HTTP/2 -----------------------------------------------------------------------------------------------------------

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 6, 7, 9
END_STREAM, END_HEADERS = 1, 4


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return one frame (RFC 9113 section 4.1)."""
    return struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + payload


def fields(*pairs: tuple[str, str]) -> bytes:
    """Return a header block of literals, without Huffman's code or a table (RFC 7541 section 6.2.2)."""
    return b"".join(b"\x00" + _text(name) + _text(value) for name, value in pairs)


def _text(text: str) -> bytes:
    data = text.encode("latin-1")
    if len(data) < 127:
        return bytes([len(data)]) + data
    rest, out = len(data) - 127, bytearray([127])
    while rest >= 128:
        out.append(rest % 128 + 128)
        rest //= 128
    out.append(rest)
    return bytes(out) + data


def h2_fields(
    *more: tuple[str, str], authority: str = "api.bound.example", path: str = PATH
) -> tuple[tuple[str, str], ...]:
    """Return the fields of a GET."""
    return ((":method", "GET"), (":scheme", "https"), (":authority", authority), (":path", path), *more)


def h2_request(*pairs: tuple[str, str], stream: int = 1, first: bool = True) -> Callable[[Kit], bytes]:
    """Return what makes a request: marks are filled before the lengths are written."""

    def made(kit: Kit) -> bytes:
        block = fields(*((name, kit.fill_text(value)) for name, value in pairs))
        opening = PREFACE + frame(SETTINGS, 0, 0) if first else b""
        return opening + frame(HEADERS, END_STREAM | END_HEADERS, stream, block)

    return made


class H2Answers(Struct, frozen=True):
    """What came back over HTTP/2: the heads and the data of each stream, what was reset, and why all ended."""

    heads: dict[int, list[tuple[str, str]]]
    data: dict[int, bytes]
    resets: dict[int, int]
    goaway: int | None


def h2_answers(data: bytes) -> H2Answers:
    """Read what came back over HTTP/2."""
    import hpack

    decoder = hpack.Decoder()
    found = H2Answers({}, {}, {}, None)
    goaway = None
    while len(data) >= 9:
        size = int.from_bytes(data[:3], "big")
        kind, flags, stream = data[3], data[4], int.from_bytes(data[5:9], "big")
        payload, data = data[9 : 9 + size], data[9 + size :]
        if kind == HEADERS and flags & END_HEADERS:
            heads = [(str(name), str(value)) for name, value in decoder.decode(payload)]
            found.heads.setdefault(stream, []).extend(heads)
        elif kind == DATA:
            found.data[stream] = found.data.get(stream, b"") + payload
        elif kind == RST:
            found.resets[stream] = int.from_bytes(payload[:4], "big")
        elif kind == GOAWAY:
            goaway = int.from_bytes(payload[4:8], "big")
    return H2Answers(found.heads, found.data, found.resets, goaway)


# -- WebSocket --------------------------------------------------------------------------------------------------------


def ws_frame(payload: bytes, opcode: int = 1, *, final: bool = True, mask: bytes = b"") -> bytes:
    """Return one frame (RFC 6455 section 5.2); clients mask theirs."""
    first = (0x80 if final else 0) | opcode
    flag = 0x80 if mask else 0
    size = bytes([flag | len(payload)]) if len(payload) < 126 else bytes([flag | 126]) + struct.pack("!H", len(payload))
    if mask:
        payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return bytes([first]) + size + mask + payload


# -- TLS --------------------------------------------------------------------------------------------------------------


def client_hello(
    name: str | None, *extensions: bytes, version: int = 0x0303, versions: Sequence[int] = (0x0304,)
) -> bytes:
    """Return a ClientHello in one record (RFC 8446 section 4.1.2), good enough to be judged, not to be finished.

    `versions` empty leaves the extension out, as before TLS 1.3.
    """
    parts = list(extensions)
    if name is not None:
        host = name.encode("latin-1")
        parts.append(extension(0, struct.pack("!HBH", len(host) + 3, 0, len(host)) + host))
    if versions:
        listed = b"".join(struct.pack("!H", each) for each in versions)
        parts.append(extension(43, bytes([len(listed)]) + listed))
    parts.append(extension(10, b"\x00\x02\x00\x1d"))
    parts.append(extension(13, b"\x00\x04\x04\x03\x08\x04"))
    parts.append(extension(51, b"\x00\x24\x00\x1d\x00\x20" + b"\x07" * 32))
    block = b"".join(parts)
    suites = b"\x13\x01\x13\x02\xc0\x2b\xc0\x2f\x00\x2f"
    hello = struct.pack("!H", version) + b"\x05" * 32 + b"\x00" + struct.pack("!H", len(suites)) + suites + b"\x01\x00"
    hello += struct.pack("!H", len(block)) + block
    message = b"\x01" + struct.pack("!I", len(hello))[1:] + hello
    return b"\x16\x03\x01" + struct.pack("!H", len(message)) + message


def extension(number: int, payload: bytes) -> bytes:
    """Return one extension."""
    return struct.pack("!HH", number, len(payload)) + payload
