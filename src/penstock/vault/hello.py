"""The ClientHello of TLS, read before anything answers it: whom the client wants, and by which protocol.

The vault decides on a tunnel before it mints a certificate, so it reads the client's first message itself, from bytes
that it has peeked at (RFC 8446 section 4.1.2; records: section 5.1; server name: RFC 6066 section 3; ALPN: RFC 7301).
The handshake itself is left to the TLS library: nothing here is trusted but for saying no.
"""

import re
from collections.abc import Mapping
from typing import Literal

import msgspec

from penstock.vault.values import Refusal

HELLO_BYTES = 16 * 1024
"""The longest ClientHello, without the heads of its records."""
HELLO_RECORDS = 64
"""The most records over which a ClientHello may be spread."""
MOST = 4 + HELLO_BYTES + 5 * HELLO_RECORDS
"""The most bytes that `parse` may need to see."""

_RECORD_BYTES = 16 * 1024
_HANDSHAKE, _CLIENT_HELLO = 0x16, 0x01
_SERVER_NAME, _ALPN, _SUPPORTED_VERSIONS = 0x0000, 0x0010, 0x002B
_ENCRYPTED = (0xFE0D, 0xFFCE)  # encrypted_client_hello, and the drafts' encrypted_server_name

Alert = Literal[
    "access_denied", "decode_error", "protocol_version", "internal_error", "unrecognized_name", "ech_required"
]
_ALERTS: Mapping[Alert, int] = {
    "access_denied": 49,
    "decode_error": 50,
    "protocol_version": 70,
    "internal_error": 80,
    "unrecognized_name": 112,
    "ech_required": 121,
}


class ClientHello(msgspec.Struct, frozen=True):
    """What a client says before anything is encrypted.

    Args:
        sni: the name that it wants, as it came (`names.canonical_host` judges it), or None.
        alpn: the protocols that it speaks, in its order, as latin-1 text: `h2`, `http/1.1`.
        ech: whether it carries an encrypted ClientHello, whose name may be another one; browsers make one up, too.
        versions: the versions of TLS that it takes, in its order, without the made-up ones: 0x0304 is TLS 1.3.
    """

    sni: str | None
    alpn: tuple[str, ...]
    ech: bool
    versions: tuple[int, ...]


def parse(data: bytes) -> ClientHello | None:
    """Return the ClientHello at the beginning of `data`, or None while it is not whole.

    Raises:
        Refusal: `not_tls`: the first byte is that of another protocol. `bad_client_hello`: it is malformed, longer than
            `HELLO_BYTES`, spread over more than `HELLO_RECORDS` records, or followed by something else in its record.
    """
    if data and data[0] != _HANDSHAKE:
        raise Refusal("not_tls", "The client speaks something else than TLS.", fix="Only TLS goes through this port.")
    message = _join_records(data)
    if message is None:
        return None
    return _parse_hello(_Reader(message))


def alert(description: Alert) -> bytes:
    """Return the record of a fatal alert (RFC 8446 section 6): why a client gets no handshake."""
    return bytes((0x15, 3, 3, 0, 2, 2, _ALERTS[description]))


def _bad(reason: str) -> Refusal:
    return Refusal("bad_client_hello", f"The client's TLS handshake is malformed: {reason}.")


def _join_records(data: bytes) -> bytes | None:
    """Return the ClientHello's body out of its records, or None while some of it is missing."""
    message, at = b"", 0
    for _ in range(HELLO_RECORDS):
        if len(data) < at + 5:
            _check_beginning(data[at:])
            return None
        _check_record(data[at : at + 5])
        length = int.from_bytes(data[at + 3 : at + 5])
        message += data[at + 5 : at + 5 + length]
        at += 5 + length
        wanted = _wanted(message)
        if wanted is not None and len(message) >= wanted:
            if len(message) > wanted or at > len(data):
                raise _bad("something follows it in its record")
            return message[4:]
        if at > len(data):
            return None
    raise _bad(f"it is spread over more than {HELLO_RECORDS} records")


def _check_beginning(head: bytes) -> None:
    """Refuse the beginning of a record that is none, so that nobody waits for its rest."""
    if head and (head[0] != _HANDSHAKE or head[1:2] not in (b"", b"\x03")):
        raise _bad("a record is none of a handshake")


def _check_record(head: bytes) -> None:
    _check_beginning(head)
    if head[2] > 4:
        raise _bad("a record has an unknown version")
    if not 1 <= int.from_bytes(head[3:5]) <= _RECORD_BYTES:
        raise _bad("a record is empty or too long")


def _wanted(message: bytes) -> int | None:
    """Return the length of the whole message, of which `message` is the beginning; None while that is not known."""
    if message[:1] not in (b"", bytes((_CLIENT_HELLO,))):
        raise _bad("the first message is no ClientHello")
    if len(message) < 4:
        return None
    length = int.from_bytes(message[1:4])
    if length > HELLO_BYTES:
        raise _bad(f"it is longer than {HELLO_BYTES} bytes")
    return 4 + length


class _Reader:
    """Takes vectors off bytes; what is shorter than it says is refused."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def over(self) -> bool:
        return self._at == len(self._data)

    def take(self, count: int) -> bytes:
        part = self._data[self._at : self._at + count]
        if len(part) < count:
            raise _bad("a part is shorter than it says")
        self._at += count
        return part

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width))

    def vector(self, width: int) -> "_Reader":
        return _Reader(self.take(self.number(width)))

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    def finish(self) -> None:
        if not self.over:
            raise _bad("a part is longer than what is in it")


def _parse_hello(hello: _Reader) -> ClientHello:
    version = hello.number(2)
    if not 0x0301 <= version <= 0x0303:
        raise _bad("its version is none of TLS")
    hello.take(32)  # random
    if len(hello.vector(1).rest()) > 32:
        raise _bad("its session is too long")
    ciphers = len(hello.vector(2).rest())
    if ciphers == 0 or ciphers % 2:
        raise _bad("its list of ciphers is empty or odd")
    if 0 not in hello.vector(1).rest():
        raise _bad("it does not take uncompressed data")
    found = _extensions(hello)
    hello.finish()
    return ClientHello(
        sni=_sni(found[_SERVER_NAME]) if _SERVER_NAME in found else None,
        alpn=_alpn(found[_ALPN]) if _ALPN in found else (),
        ech=any(kind in found for kind in _ENCRYPTED),
        versions=_versions(found[_SUPPORTED_VERSIONS]) if _SUPPORTED_VERSIONS in found else (version,),
    )


def _extensions(hello: _Reader) -> dict[int, _Reader]:
    """Return the extensions by their number; two of one number are forbidden (RFC 8446 section 4.2)."""
    found: dict[int, _Reader] = {}
    extensions = _Reader(b"") if hello.over else hello.vector(2)
    while not extensions.over:
        kind = extensions.number(2)
        if kind in found:
            raise _bad("an extension is there twice")
        found[kind] = extensions.vector(2)
    return found


def _sni(extension: _Reader) -> str:
    names = extension.vector(2)
    extension.finish()
    if names.number(1) != 0:
        raise _bad("its server name is no host's")
    name = names.vector(2).rest()
    names.finish()
    if not 1 <= len(name) <= 255 or not re.fullmatch(rb"[\x21-\x7e]+", name):
        raise _bad("its server name holds a character that no host's name holds, or is empty or too long")
    return name.decode("ascii")


def _alpn(extension: _Reader) -> tuple[str, ...]:
    protocols, found = extension.vector(2), []
    extension.finish()
    while not protocols.over:
        found.append(protocols.vector(1).rest().decode("latin-1"))
    if not found or "" in found:
        raise _bad("its list of protocols is empty, or one of them is")
    return tuple(found)


def _versions(extension: _Reader) -> tuple[int, ...]:
    versions, found = extension.vector(1), []
    extension.finish()
    while not versions.over:
        found.append(versions.number(2))
    if not found:
        raise _bad("its list of versions is empty")
    return tuple(number for number in found if not _is_grease(number))


def _is_grease(number: int) -> bool:
    """Return whether `number` is one of those that mean nothing and keep servers tolerant (RFC 8701)."""
    return number & 0x0F0F == 0x0A0A and number >> 8 == number & 0xFF
