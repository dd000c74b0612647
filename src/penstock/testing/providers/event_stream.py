"""AWS event stream encoding (vnd.amazon.eventstream), written from Amazon's description of the format.

A message is: total length (4 bytes), length of headers (4), CRC-32 of those eight bytes (4), headers, payload, CRC-32
of everything before (4); all numbers big-endian. A header is: length of name (1), name, type of value (1; 7 is a
string), length of value (2), value. Source: Smithy specification, "Amazon Event Stream".
"""

import struct
import zlib

_STRING = 7


def message(headers: dict[str, str], payload: bytes) -> bytes:
    """One message with string headers."""
    block = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + block + payload
    return body + struct.pack(">I", zlib.crc32(body))


def event(name: str, payload: bytes) -> bytes:
    """An event message with a JSON payload."""
    return message(
        {":event-type": name, ":content-type": "application/json", ":message-type": "event"},
        payload,
    )


def exception(name: str, payload: bytes) -> bytes:
    """An exception message: a modelled error in the middle of a stream, such as throttlingException."""
    return message(
        {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"},
        payload,
    )


def _header(name: str, value: str) -> bytes:
    encoded = value.encode()
    return bytes([len(name)]) + name.encode() + bytes([_STRING]) + struct.pack(">H", len(encoded)) + encoded
