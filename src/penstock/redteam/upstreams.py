"""The hosts that probes reach, or must not: each keeps the exact bytes that it read, and does with a secret the
worst that an upstream can do.

One listener a role, on loopback. It speaks TLS or plain HTTP by the first byte. A request belongs to the probe whose
token stands in it; one that bears none belongs to nobody, and the suite counts those.
"""

from __future__ import annotations

import contextlib
import datetime
import re
import socket
import ssl
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from penstock.redteam.messages import response
from penstock.redteam.probe import Asked, Kit, Part

SECONDS = 12.0
"""After which a connection that says nothing is closed."""
MOST = 1 << 20

_DIGITS = re.compile(rb"\d+")
_LAST_CHUNK = re.compile(rb"(?:\A|\r\n)0[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n")

Answering = Callable[[Asked], Iterator[Part]]


class Authority(Struct, frozen=True):
    """A certificate authority of the upstreams: its certificate (also as PEM), and its key."""

    pem: str
    key: Any
    certificate: Any


def authority(name: str) -> Authority:
    """Make an authority."""
    certificate, key = _certificate(name, None, ())
    return Authority(_pem(certificate), key, certificate)


def server_context(signer: Authority | None, *names: str) -> ssl.SSLContext:
    """Return a server's context with a certificate for `names`; without a signer it vouches for itself."""
    from cryptography.hazmat.primitives import serialization

    certificate, key = _certificate(names[0], signer, names)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:  # the library reads keys from files only
        file.write(_pem(certificate).encode() + private)
        file.flush()
        context.load_cert_chain(file.name)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _certificate(name: str, signer: Authority | None, names: tuple[str, ...]) -> tuple[Any, Any]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder(subject_name=subject, public_key=key.public_key())
        .issuer_name(signer.certificate.subject if signer else subject)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), False)
    return builder.sign(signer.key if signer else key, hashes.SHA256()), key


def _pem(certificate: Any) -> str:
    from cryptography.hazmat.primitives import serialization

    return bytes(certificate.public_bytes(serialization.Encoding.PEM)).decode()


class Upstream:
    """One listener of a role."""

    def __init__(
        self, role: str, context: ssl.SSLContext | None, answering: Answering, address: str = "127.0.0.1"
    ) -> None:
        self.role = role
        self.asked: list[Asked] = []
        self._context = context
        self._answering = answering
        self._listener = socket.create_server((address, 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Close the listener and every connection."""
        for each in (self._listener, *list(self._open)):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(SECONDS)
        try:
            first = connection.recv(4096, socket.MSG_PEEK)
            if first[:1] == b"\x16" and self._context is not None:
                self.asked.append(Asked(role=self.role, first=first))
                stream: socket.socket = self._context.wrap_socket(connection, server_side=True)
            else:
                stream = connection
            with stream:
                self._converse(stream)
        except (OSError, ValueError):
            pass
        finally:
            self._open.discard(connection)
            connection.close()

    def _converse(self, stream: socket.socket) -> None:
        reader = _Reader(stream)
        while (asked := reader.request(self.role)) is not None:
            self.asked.append(asked)
            for part in self._answering(asked):
                if part == "close":
                    return
                if part == "reset":
                    _reset(stream)
                    return
                if isinstance(part, float):
                    threading.Event().wait(part)
                elif isinstance(part, bytes):
                    stream.sendall(part)


class _Reader:
    """Reads requests as a lenient server would: what a strict one refuses must not come in the first place."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self._held = b""

    def request(self, role: str) -> Asked | None:
        while b"\r\n\r\n" not in self._held:
            if not self._more():
                if self._held:  # no request, and still something that was sent
                    left, self._held = self._held, b""
                    return Asked(role=role, head=left)
                return None
        head, _, rest = self._held.partition(b"\r\n\r\n")
        lowered = head.lower()
        self._held = rest
        if b"\r\ntransfer-encoding: chunked" in lowered:
            body = self._chunks()
        elif b"\r\ncontent-length:" in lowered:
            digits = _DIGITS.search(lowered.split(b"\r\ncontent-length:")[1])
            body = self._exactly(int(digits[0]) if digits else 0)
        else:
            body = b""
        return Asked(role=role, head=head + b"\r\n\r\n", body=body)

    def _more(self) -> bool:
        data = self._stream.recv(65536)
        self._held += data
        return bool(data) and len(self._held) < MOST

    def _exactly(self, size: int) -> bytes:
        while len(self._held) < size and self._more():
            pass
        body, self._held = self._held[:size], self._held[size:]
        return body

    def _chunks(self) -> bytes:
        while (end := _LAST_CHUNK.search(self._held)) is None and self._more():
            pass
        size = end.end() if end else len(self._held)
        body, self._held = self._held[:size], self._held[size:]
        return body


def _reset(stream: socket.socket) -> None:
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.close()


def echo(asked: Asked, kit: Kit) -> Iterator[Part]:
    """Say the request back: the default, and the worst."""
    yield response(asked.head + asked.body, "200 OK", "Content-Type: text/plain")


class Upstreams:
    """All of them.

    Args:
        answers: what is said to the request of a probe, by its token.
        kit: what the examiner knows, once it is known.
    """

    def __init__(self, answers: Mapping[bytes, Callable[[Asked, Kit], Any]]) -> None:
        self.kit: Kit | None = None
        self.authority = authority("Upstreams of the red team")
        self._answers = answers
        names = ("*.bound.example", "packages.example", "plain.example", "*.attacker.example", "*.redirected.example")
        trusted = server_context(self.authority, *names)
        self.bound = Upstream("bound", trusted, self._answer)
        self.open = Upstream("open", trusted, self._answer)
        self.evil = Upstream("evil", trusted, self._answer)
        self.host = Upstream("host", trusted, self._answer, "0.0.0.0")  # noqa: S104  # the sandbox must not reach it
        self.self_signed = Upstream("evil", server_context(None, "self-signed.bound.example"), self._answer)
        self.other_name = Upstream("evil", server_context(self.authority, "somebody.else.example"), self._answer)
        self._all = (self.bound, self.open, self.evil, self.host, self.self_signed, self.other_name)

    def _answer(self, asked: Asked) -> Iterator[Part]:
        assert self.kit is not None
        yield from self._answers.get(asked.token, echo)(asked, self.kit)

    def asked(self) -> list[Asked]:
        """Everything that any of them read, up to now."""
        return [asked for upstream in self._all for asked in list(upstream.asked)]

    def close(self) -> None:
        """Close all of them."""
        for upstream in self._all:
            upstream.close()
