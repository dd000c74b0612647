"""WebSocket between two parties who trust neither each other nor the vault: frames by the letter, nothing compressed.

RFC 6455, strictly: reserved bits are refused, for no extension is agreed on (`Sec-WebSocket-Extensions` is stripped
from the handshake); clients mask and servers do not; lengths are written in as few bytes as they need.

What a server sends is scrubbed, and so its frames are written anew. A secret may lie across the border of two frames,
so the scrubber holds back a tail that could be the beginning of one. The tail of a message's fragment goes out with the
next fragment, and a control frame between them does not wait for it: as RFC 6455 section 5.4 allows an intermediary, a
message is cut into other fragments than it came in. A message that came whole goes out whole. What a client sends is
checked, shown to the caller (who looks for stubs in it), and passed on as it is: no secret is ever put into a frame.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable
from typing import NamedTuple, Protocol

from penstock.vault.http_parts import FRAMING, is_token
from penstock.vault.values import Headers, Refusal, RequestHead, ResponseHead

FRAME_BYTES = 1 << 32
"""The longest frame. It streams through, so this bounds no memory, only what a length may claim."""
CONTROL_BYTES = 125
"""The longest payload of a ping, a pong or a close (RFC 6455 section 5.5)."""
EMPTY_FRAGMENTS = 64
"""The most fragments in a row that bring nothing."""

_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_FIN, _RESERVED, _OPCODE, _MASKED, _LENGTH = 0x80, 0x70, 0x0F, 0x80, 0x7F
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class ScrubStream(Protocol):
    """Replaces secrets in bytes that come in pieces; it may hold back a tail. A new one for each message."""

    def feed(self, data: bytes) -> bytes: ...

    def end(self) -> bytes: ...


# -- the handshake ----------------------------------------------------------------------------------------------------


class Handshake(NamedTuple):
    """What a client asks for: the key that its server must answer to, and the subprotocols that it offers."""

    key: str
    protocols: tuple[str, ...]


def check_request(head: RequestHead) -> Handshake:
    """Return what a client's handshake asks for (RFC 6455 section 4.1).

    Raises:
        Refusal: `bad_websocket` (400): it is none, has a body, or names another version than 13 (426).
    """
    _check_upgrade(head.headers, 400)
    if head.method != "GET" or any(name in FRAMING for name, _ in head.headers):
        raise _bad("its handshake is no GET without a body")
    if head.values("sec-websocket-version") != ["13"]:
        raise _bad("its handshake names another version than 13", 426)
    keys = head.values("sec-websocket-key")
    if len(keys) != 1 or not _is_key(keys[0]):
        raise _bad("its handshake has no key, several, or one that is not 16 bytes in base64")
    protocols = tuple(item.strip() for value in head.values("sec-websocket-protocol") for item in value.split(","))
    if not all(map(is_token, protocols)) or len(set(protocols)) < len(protocols):
        raise _bad("its handshake offers a subprotocol twice, or one that is no token")
    return Handshake(keys[0], protocols)


def check_response(asked: Handshake, head: ResponseHead) -> None:
    """Check the 101 of a server against what was asked for (RFC 6455 section 4.1, the client's requirements).

    Raises:
        Refusal: `bad_websocket` (502): it answers to another key, agrees on an extension, or on a protocol not offered.
    """
    values = {name: [value for key, value in head.headers if key == name] for name, _ in head.headers}
    if head.status != 101:
        raise _bad("the upstream did not change the protocol", 502)
    _check_upgrade(head.headers, 502)
    if values.get("sec-websocket-accept") != [accept_of(asked.key)]:
        raise _bad("the upstream's handshake answers to another key", 502)
    if "sec-websocket-extensions" in values:
        raise _bad("the upstream uses an extension that was not offered", 502)
    chosen = values.get("sec-websocket-protocol", [])
    if len(chosen) > 1 or not set(chosen) <= set(asked.protocols):
        raise _bad("the upstream chose a subprotocol that was not offered", 502)


def upstream_request(head: RequestHead) -> RequestHead:
    """Return the handshake to send to the server: no extension is offered, the fields of the connection are its own."""
    return RequestHead(head.method, head.target, _for_upgrade(head.headers))


def client_response(head: ResponseHead) -> ResponseHead:
    """Return the 101 to send to the client."""
    return ResponseHead(101, "Switching Protocols", _for_upgrade(head.headers))


def accept_of(key: str) -> str:
    """Return the `Sec-WebSocket-Accept` that answers to a `Sec-WebSocket-Key`."""
    return base64.b64encode(hashlib.sha1(key.encode() + _MAGIC, usedforsecurity=False).digest()).decode()


def _for_upgrade(fields: Headers) -> Headers:
    dropped = FRAMING | {"connection", "upgrade", "keep-alive", "sec-websocket-extensions"}
    kept = tuple(field for field in fields if field[0] not in dropped)
    return (*kept, ("connection", "Upgrade"), ("upgrade", "websocket"))


def _check_upgrade(fields: Headers, status: int) -> None:
    upgrades = [value.lower() for name, value in fields if name == "upgrade"]
    options = [item.strip().lower() for name, value in fields if name == "connection" for item in value.split(",")]
    if upgrades != ["websocket"] or "upgrade" not in options:
        raise _bad("the handshake does not ask for websocket alone", status)


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16 and len(key) == 24
    except (binascii.Error, ValueError):
        return False


def _bad(reason: str, status: int = 400) -> Refusal:
    return Refusal("bad_websocket", f"The WebSocket connection is malformed: {reason}.", status=status)


# -- frames -----------------------------------------------------------------------------------------------------------


class _Head(NamedTuple):
    """The head of one frame: `raw` as it came, the payload's length, the mask (empty: none)."""

    raw: bytes
    opcode: int
    fin: bool
    length: int
    mask: bytes


def _read_head(data: bytes, at: int, masked: bool, status: int) -> _Head | None:
    """Return the frame's head that begins at `at`, or None while it is not whole.

    Raises:
        Refusal: it has a reserved bit or opcode, the wrong masking, or a length that is too long or written too long.
    """
    if len(data) < at + 2:
        return None
    first, second = data[at], data[at + 1]
    opcode, short = first & _OPCODE, second & _LENGTH
    _check_bits(first, second, masked, status)
    wide = {126: 2, 127: 8}.get(short, 0)
    end = at + 2 + wide + (4 if masked else 0)
    if len(data) < end:
        return None
    length = int.from_bytes(data[at + 2 : at + 2 + wide]) if wide else short
    if (wide == 2 and length < 126) or (wide == 8 and length < 1 << 16):
        raise _bad("a frame's length is written in more bytes than it needs", status)
    if length > FRAME_BYTES:
        raise _bad(f"a frame is longer than {FRAME_BYTES} bytes", status)
    return _Head(data[at:end], opcode, bool(first & _FIN), length, data[end - 4 : end] if masked else b"")


def _check_bits(first: int, second: int, masked: bool, status: int) -> None:
    opcode = first & _OPCODE
    if first & _RESERVED:
        raise _bad("a frame uses an extension, and none was agreed on", status)
    if opcode not in (_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG):
        raise _bad("a frame is of no kind that is known", status)
    if bool(second & _MASKED) != masked:
        raise _bad("a client's frame is not masked" if masked else "a server's frame is masked", status)
    if opcode >= _CLOSE and (not first & _FIN or second & _LENGTH > CONTROL_BYTES):
        raise _bad("a control frame is in fragments, or too long", status)


def _write_head(opcode: int, fin: bool, length: int) -> bytes:
    first = bytes((opcode | (_FIN if fin else 0),))
    if length < 126:
        return first + bytes((length,))
    if length < 1 << 16:
        return first + b"\x7e" + length.to_bytes(2)
    return first + b"\x7f" + length.to_bytes(8)


def _check_close(payload: bytes, status: int) -> None:
    """Refuse a close that does not say why as RFC 6455 section 7.4 has it."""
    if not payload:
        return
    code = int.from_bytes(payload[:2])
    known = 1000 <= code <= 1014 and code not in (1004, 1005, 1006)
    if len(payload) == 1 or not (known or 3000 <= code <= 4999):
        raise _bad("a close has no code that a frame may have", status)
    try:
        payload[2:].decode()
        return
    except UnicodeDecodeError:
        pass
    raise _bad("the reason of a close is not UTF-8", status)


def _mask(payload: bytes, mask: bytes, at: int) -> bytes:
    """Return `payload`, which begins `at` bytes into its frame, with the mask put on or taken off."""
    key = mask[at % 4 :] + mask[: at % 4]
    repeated = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload) ^ int.from_bytes(repeated)).to_bytes(len(payload))


class _Frames:
    """Reads the frames of one direction, payloads in pieces as they come."""

    _masked: bool
    _status: int  # of a refusal: whose fault it would be

    def __init__(self) -> None:
        self._waiting = b""  # the beginning of a frame's head, or of a control frame
        self._frame: _Head | None = None
        self._got = 0  # bytes of this frame's payload that came
        self._kind = 0  # text or binary while a message is under way, else 0
        self._empty = 0
        self._broken = False
        self.closed = False
        """Whether a close came: nothing may follow it."""

    def feed(self, data: bytes) -> bytes:
        """Return what goes on to the other side for what came.

        Raises:
            Refusal: `bad_websocket`: cut both connections. Nothing of this call goes on.
        """
        if self._broken:
            raise _bad("more bytes on a connection that was refused", self._status)
        self._broken = True  # unless this call ends well
        data, self._waiting = self._waiting + data, b""
        out: list[bytes] = []
        at = 0
        while at < len(data):
            after = self._step(data, at, out)
            if after == at:
                break
            at = after
        self._waiting = data[at:]
        self._broken = False
        return b"".join(out)

    def eof(self) -> None:
        """Take note that this side has closed its connection.

        Raises:
            Refusal: in the middle of a frame or a message.
        """
        if not self.closed and (self._waiting or self._frame is not None or self._kind):
            self._broken = True
            raise _bad("the connection ended in the middle of a message", self._status)

    def _step(self, data: bytes, at: int, out: list[bytes]) -> int:
        """Handle a head, a control frame or a piece of payload; return its end, or `at` while too little is there."""
        if self._frame is not None:
            return self._payload(self._frame, data, at, out)
        if self.closed:
            raise _bad("something follows a close", self._status)
        head = _read_head(data, at, self._masked, self._status)
        if head is None:
            return at
        start = at + len(head.raw)
        if head.opcode >= _CLOSE:
            end = start + head.length
            return self._whole_control(head, data[start:end], out, end) if end <= len(data) else at
        self._begin(head)
        self._head_came(head, out)
        return self._payload(head, data, start, out)

    def _whole_control(self, head: _Head, payload: bytes, out: list[bytes], end: int) -> int:
        plain = _mask(payload, head.mask, 0) if head.mask else payload
        if head.opcode == _CLOSE:
            _check_close(plain, self._status)
            self.closed = True
        self._control(head, payload, plain, out)
        return end

    def _begin(self, head: _Head) -> None:
        if (head.opcode == _CONTINUATION) != bool(self._kind):
            raise _bad("a fragment without its message, or a message within another", self._status)
        self._kind = self._kind or head.opcode
        self._empty = 0 if head.length or head.fin else self._empty + 1
        if self._empty > EMPTY_FRAGMENTS:
            raise _bad("a flood of empty fragments", self._status)
        self._frame, self._got = head, 0

    def _payload(self, frame: _Head, data: bytes, at: int, out: list[bytes]) -> int:
        piece = data[at : at + frame.length - self._got]
        at_in_frame = self._got
        self._got += len(piece)
        over = self._got == frame.length
        if over:
            self._frame = None
        self._piece(frame, piece, at_in_frame, over and frame.fin, out)
        if over and frame.fin:
            self._kind = 0
        return at + len(piece)

    def _head_came(self, head: _Head, out: list[bytes]) -> None:
        """A data frame begins."""

    def _piece(self, frame: _Head, piece: bytes, at: int, last: bool, out: list[bytes]) -> None:
        """Payload came, which begins `at` bytes into its frame; `last`: the message ends with it."""
        raise NotImplementedError

    def _control(self, head: _Head, payload: bytes, plain: bytes, out: list[bytes]) -> None:
        """A whole control frame came."""
        raise NotImplementedError


class ServerFrames(_Frames):
    """What a server sends, scrubbed, on its way to the client.

    Args:
        scrubber: makes a stream of the scrubber: one for each message, one for each control frame.
    """

    _masked = False
    _status = 502

    def __init__(self, scrubber: Callable[[], ScrubStream]) -> None:
        super().__init__()
        self._scrubber = scrubber
        self._stream: ScrubStream | None = None
        self._begun = False  # whether the client has got a fragment of the message

    def _piece(self, frame: _Head, piece: bytes, at: int, last: bool, out: list[bytes]) -> None:
        if self._stream is None:
            self._stream = self._scrubber()
        clean = self._stream.feed(piece) if piece else b""
        if last:
            clean += self._stream.end()
            self._stream = None
        if clean or last:
            opcode = _CONTINUATION if self._begun else self._kind
            out += [_write_head(opcode, last, len(clean)), clean]
            self._begun = not last

    def _control(self, head: _Head, payload: bytes, plain: bytes, out: list[bytes]) -> None:
        stream = self._scrubber()
        clean = stream.feed(plain) + stream.end()
        if len(clean) > CONTROL_BYTES:
            raise _bad("a control frame cannot hold what stands for a secret in it", self._status)
        out += [_write_head(head.opcode, True, len(clean)), clean]


class ClientFrames(_Frames):
    """What a client sends, checked, on its way to the server.

    Args:
        look: is shown the payload of each message in pieces, unmasked, and whether the message ends with this one.
            What it raises is passed on, and nothing of that call goes on.
        look_control: is shown the payload of each control frame, which may stand between two pieces of a message.
    """

    _masked = True
    _status = 400

    def __init__(
        self,
        look: Callable[[bytes, bool], None] | None = None,
        look_control: Callable[[bytes], None] | None = None,
    ) -> None:
        super().__init__()
        self._look = look
        self._look_control = look_control

    def _head_came(self, head: _Head, out: list[bytes]) -> None:
        out.append(head.raw)

    def _piece(self, frame: _Head, piece: bytes, at: int, last: bool, out: list[bytes]) -> None:
        if self._look is not None and (piece or last):
            self._look(_mask(piece, frame.mask, at), last)
        out.append(piece)

    def _control(self, head: _Head, payload: bytes, plain: bytes, out: list[bytes]) -> None:
        if self._look_control is not None:
            self._look_control(plain)
        out += [head.raw, payload]
