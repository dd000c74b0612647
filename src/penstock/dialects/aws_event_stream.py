"""The AWS event stream (application/vnd.amazon.eventstream): the binary framing of Bedrock's streams, both ways.

    +----------------+------------------+---------------+---------+---------+---------------+
    | total length 4 | headers length 4 | prelude CRC 4 | headers | payload | message CRC 4 |   numbers are big-endian
    +----------------+------------------+---------------+---------+---------+---------------+

The first CRC-32 covers the two lengths, so that a damaged length is not believed; the second covers everything before
it. A header is the length of its name (1 byte), the name, the type of its value (1 byte: `HeaderType`) and the value,
which for bytes and strings has its length in front (2 bytes).

The header `:message-type` says what a message is. An *event* has its name in `:event-type`, an *exception* (an error
that the service models) in `:exception-type`, an *error* (one that it does not) a code in `:error-code` and words in
`:error-message`. `Frame.event` holds whichever there is.

A frame with exactly the headers that `write_event` writes has no `transport`. For every other one it says how to write
the same bytes again: `{"message-type": "exception"}` for what `write_exception` writes, else
`{"headers": (Header, ...)}`.

Source: https://smithy.io/2.0/aws/amazon-eventstream.html. The limits are those of Amazon's own clients.
"""

from __future__ import annotations

import struct
from base64 import b64decode
from collections.abc import Iterable
from enum import IntEnum
from typing import Any, TypeAlias
from zlib import crc32

from msgspec import Struct

from penstock.dialects import wire
from penstock.dialects.framing import Frame
from penstock.types.errors import MalformedError

MEDIA_TYPE = "application/vnd.amazon.eventstream"
MAX_HEADERS = 128 * 1024
"""Bytes that the headers of one message may take."""
MAX_PAYLOAD = 24 * 1024 * 1024
"""Bytes that the payload of one message may take."""

_PRELUDE = 12
_OVERHEAD = 16
_lengths = struct.Struct(">II")
_prelude = struct.Struct(">III")
_crc = struct.Struct(">I")
_short = struct.Struct(">H")


class HeaderType(IntEnum):
    """The types of a header's value, as numbered on the wire. TIMESTAMP is in ms of Unix time, UUID 16 bytes."""

    TRUE = 0
    FALSE = 1
    BYTE = 2
    SHORT = 3
    INTEGER = 4
    LONG = 5
    BYTES = 6
    STRING = 7
    TIMESTAMP = 8
    UUID = 9


HeaderValue: TypeAlias = bool | int | bytes | str


class Header(Struct, frozen=True):
    """One header. The Python type of `value` follows from `type`; of the two booleans, the value is the type."""

    name: str
    value: HeaderValue
    type: HeaderType = HeaderType.STRING


_NUMBERS: dict[int, struct.Struct] = {
    HeaderType.BYTE: struct.Struct(">b"),
    HeaderType.SHORT: struct.Struct(">h"),
    HeaderType.INTEGER: struct.Struct(">i"),
    HeaderType.LONG: struct.Struct(">q"),
    HeaderType.TIMESTAMP: struct.Struct(">q"),
}


class AwsEventStream:
    """Messages of an AWS event stream, as a `FrameParser`.

    A damaged message raises MalformedError, once the whole ones before it were returned, and from then on always:
    nothing after it can be trusted. A message that the end of the stream cuts off is not returned.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._needed = _PRELUDE
        self._damage: MalformedError | None = None

    def feed(self, data: bytes) -> list[Frame]:
        """Take more bytes; return the messages that are now whole. Raises MalformedError."""
        if self._damage is not None:
            raise self._damage
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._needed:
                return []
            data = bytes(self._buffer)
        frames: list[Frame] = []
        try:
            done = self._read(data, frames)
        except MalformedError as damage:
            self._damage = damage
            if not frames:
                raise
            done = len(data)
        self._buffer = bytearray(data[done:])
        return frames

    def close(self) -> list[Frame]:
        """The stream ended. A message under way was cut; damage that was not reported yet is raised."""
        if self._damage is not None:
            raise self._damage
        self._buffer.clear()
        return []

    def _read(self, data: bytes, frames: list[Frame]) -> int:
        """Append every whole message of `data` to `frames`; the number of bytes they took."""
        start, size = 0, len(data)
        while size - start >= _PRELUDE:
            total, headers_length = _read_prelude(data, start)
            if size - start < total:
                self._needed = total
                return start
            frames.append(_read_message(data[start : start + total], headers_length))
            start += total
        self._needed = _PRELUDE
        return start


def _read_prelude(data: bytes, start: int) -> tuple[int, int]:
    """(total length, length of the headers), checked."""
    total, headers_length, checksum = _prelude.unpack_from(data, start)
    if crc32(data[start : start + 8]) != checksum:
        raise MalformedError("the checksum of a prelude is wrong: the stream is damaged, or no AWS event stream")
    if headers_length > MAX_HEADERS:
        raise MalformedError(f"a message has {headers_length} bytes of headers, and may have {MAX_HEADERS}")
    payload_length = total - headers_length - _OVERHEAD
    if not 0 <= payload_length <= MAX_PAYLOAD:
        raise MalformedError(f"a message has {payload_length} bytes of payload, and may have 0 to {MAX_PAYLOAD}")
    return total, headers_length


def _read_message(message: bytes, headers_length: int) -> Frame:
    if crc32(message[:-4]) != _crc.unpack_from(message, len(message) - 4)[0]:
        raise MalformedError("the checksum of a message is wrong: the stream is damaged")
    end = _PRELUDE + headers_length
    block, payload = message[_PRELUDE:end], message[end:-4]
    event = _plain_name(block, _EVENT_HEAD, _EVENT_TAIL)
    if event is not None:
        return Frame(payload, event)
    exception = _plain_name(block, _EXCEPTION_HEAD, _EXCEPTION_TAIL)
    if exception is not None:
        return Frame(payload, exception, {"message-type": "exception"})
    headers = read_headers(block)
    return Frame(payload, _name_of(headers), {"headers": headers})


def _plain_name(block: bytes, head: bytes, tail: bytes) -> str | None:
    """The name between `head` and `tail` if `block` is exactly that: the headers that nearly every message has."""
    if not (block.startswith(head) and block.endswith(tail)):
        return None
    start, end = len(head) + 2, len(block) - len(tail)
    if end < start or _short.unpack_from(block, len(head))[0] != end - start:
        return None
    return _text(block[start:end])


def _name_of(headers: tuple[Header, ...]) -> str | None:
    by_name = {header.name: header.value for header in headers}
    found = (by_name.get(name) for name in (":event-type", ":exception-type", ":error-code"))
    return next((name for name in found if isinstance(name, str)), None)


def header_of(frame: Frame, name: str) -> HeaderValue | None:
    """The value of one header of a frame, or None."""
    transport = frame.transport
    if transport is None or "headers" not in transport:
        kind = "event" if transport is None else "exception"
        plain = {":message-type": kind, f":{kind}-type": frame.event, ":content-type": "application/json"}
        return plain.get(name)
    return next((header.value for header in transport["headers"] if header.name == name), None)


def unwrapped(frame: Frame) -> bytes:
    """The event that a message wraps, as a server-sent event: Bedrock's `invoke-with-response-stream` sends each event
    of the model's own API as base64, `{"bytes": "..."}`. Its `type` is its name, without which Anthropic's clients
    overlook it. Raises MalformedError where it is not so.

    Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModelWithResponseStream.html
    """
    wrapped = wire.obj(wire.decode(frame.data)).get("bytes")
    try:
        event = b64decode(wire.string(wrapped), validate=True)
    except ValueError as error:
        raise MalformedError(f"expected base64: {error}", "bytes") from error
    return _name_line(event) + b"data: " + event.replace(b"\n", b" ") + b"\n\n"


def _name_line(event: bytes) -> bytes:
    """The line that names an event; b"" where it has no name, or is none: who reads it will say so."""
    try:
        name = wire.obj(wire.decode(event)).get("type")
    except MalformedError:
        return b""
    return b"event: %b\n" % name.encode() if isinstance(name, str) and name.isidentifier() else b""


def read_headers(block: bytes) -> tuple[Header, ...]:
    """The headers of a message in order. Raises MalformedError on anything but whole, distinct headers."""
    headers: list[Header] = []
    position = 0
    while position < len(block):
        header, position = _read_header(block, position)
        headers.append(header)
    if len({header.name for header in headers}) < len(headers):
        raise MalformedError("a message has the same header twice")
    return tuple(headers)


def _read_header(block: bytes, position: int) -> tuple[Header, int]:
    name, position = _take(block, position + 1, block[position])
    kind_byte, position = _take(block, position, 1)
    kind = kind_byte[0]
    if kind > HeaderType.UUID:
        raise MalformedError(f"a header has a value of the unknown type {kind}")
    value, position = _read_value(block, position, kind)
    return Header(_text(name), value, HeaderType(kind)), position


def _read_value(block: bytes, position: int, kind: int) -> tuple[HeaderValue, int]:
    if kind <= HeaderType.FALSE:
        return kind == HeaderType.TRUE, position
    if kind == HeaderType.UUID:
        return _take(block, position, 16)
    number = _NUMBERS.get(kind)
    if number is not None:
        raw, position = _take(block, position, number.size)
        return number.unpack(raw)[0], position
    length, position = _take(block, position, 2)
    raw, position = _take(block, position, _short.unpack(length)[0])
    return (_text(raw) if kind == HeaderType.STRING else raw), position


def _take(block: bytes, position: int, length: int) -> tuple[bytes, int]:
    end = position + length
    if end > len(block):
        raise MalformedError("a header is cut off by the end of the headers")
    return block[position:end], end


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise MalformedError(f"a header is not UTF-8 text: {error}") from None


def write_message(headers: Iterable[Header], payload: bytes) -> bytes:
    """One message with any headers. Raises MalformedError where a header or the payload does not fit."""
    return _message(b"".join(_header(header) for header in headers), payload)


def write_event(payload: bytes, event: str, transport: dict[str, Any] | None = None) -> bytes:
    """One message with a JSON payload: the event `event`, or whatever a parsed frame's `transport` says it was."""
    if transport is None:
        name = event.encode()
        return _message(_EVENT_HEAD + _length(name) + name + _EVENT_TAIL, payload)
    if "headers" in transport:
        return write_message(transport["headers"], payload)
    return write_exception(payload, event)


def write_exception(payload: bytes, exception: str) -> bytes:
    """One message with a JSON payload: the exception `exception`, such as "throttlingException"."""
    name = exception.encode()
    return _message(_EXCEPTION_HEAD + _length(name) + name + _EXCEPTION_TAIL, payload)


def _message(block: bytes, payload: bytes) -> bytes:
    if len(block) > MAX_HEADERS or len(payload) > MAX_PAYLOAD:
        sizes = f"{len(block)} bytes of headers and {len(payload)} of payload"
        raise MalformedError(f"{sizes} do not fit a message: {MAX_HEADERS} and {MAX_PAYLOAD} are the most")
    lengths = _lengths.pack(_OVERHEAD + len(block) + len(payload), len(block))
    message = b"".join((lengths, _crc.pack(crc32(lengths)), block, payload))
    return message + _crc.pack(crc32(message))


def _header(header: Header) -> bytes:
    name = header.name.encode()
    if not 0 < len(name) < 256:
        raise MalformedError(f"the name of a header has 1 to 255 bytes: {header.name!r}")
    return bytes((len(name),)) + name + bytes((header.type,)) + _value(header)


def _value(header: Header) -> bytes:
    value = header.value
    if header.type <= HeaderType.FALSE:
        return b""
    if header.type == HeaderType.UUID and isinstance(value, bytes) and len(value) == 16:
        return value
    if header.type == HeaderType.BYTES and isinstance(value, bytes):
        return _length(value) + value
    if header.type == HeaderType.STRING and isinstance(value, str):
        return _length(value.encode()) + value.encode()
    try:
        return _NUMBERS[header.type].pack(value)
    except (KeyError, struct.error):
        raise MalformedError(f"the header {header.name!r} cannot hold {value!r} as {header.type.name}") from None


def _length(raw: bytes) -> bytes:
    if len(raw) > 0xFFFF:
        raise MalformedError(f"the value of a header has at most {0xFFFF} bytes, not {len(raw)}")
    return _short.pack(len(raw))


def _plain(name: str, value: str) -> bytes:
    return _header(Header(name, value))


_NAME_TAIL = _plain(":content-type", "application/json")
_EVENT_HEAD = _plain(":event-type", "")[:-2]
_EVENT_TAIL = _NAME_TAIL + _plain(":message-type", "event")
_EXCEPTION_HEAD = _plain(":exception-type", "")[:-2]
_EXCEPTION_TAIL = _NAME_TAIL + _plain(":message-type", "exception")
