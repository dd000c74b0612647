"""The session's certificate authority: in memory, gone with its session, good for the session's hosts only.

The sandbox trusts this CA, so whatever its key signs is believed there. Three things keep that small. The key is made
for one session and is never written anywhere. The certificate bears critical name constraints (RFC 5280, 4.2.1.10)
for the hosts that are intercepted, so that clients refuse anything else even if the key were stolen. And a leaf is
made for a permitted host only, whoever asks.

    hosts                         permitted DNS names                 permitted addresses
    api.example.com               api.example.com and below           none (all are excluded)
    *.example.com                 example.com and below               none
    10.1.2.3, 2001:db8::1         names below none.invalid            these
    *                             all                                 none, unless named besides

A constraint cannot say "this name, but not those below it": minting does. A type of name of which there is none is
closed explicitly, because a constraint on one type leaves the others open. An address is never meant by `*`: name it.

Hosts that are approved later get a further CA (`extend`), since a certificate cannot change; the bundle grows, and
programs that have read it before do not know the new one. All leaves of a session share one key: its secrecy protects
nothing that the CA's does not, and making keys takes most of the time. A leaf and its key reach OpenSSL through a
memory file.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import ssl
import tempfile
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from penstock.vault import names
from penstock.vault.values import Clock, Refusal

LIFETIME = 7 * 24 * 3600.0
"""Seconds that a CA is valid, when nothing else is asked for."""
LEAF_LIFETIME = 24 * 3600.0
BACKDATED = 24 * 3600.0
"""Seconds before now from which certificates are valid: clocks in sandboxes are wrong."""
CONTEXTS = 256
"""Hosts whose TLS contexts are kept; the one that was not used for longest goes."""
NOBODY = "none.invalid"
"""A name that nobody can have (RFC 2606): permitting it alone closes the type, without the empty name that would
exclude all, on which clients differ."""
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"

_EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))


class _Issuer(NamedTuple):
    hosts: frozenset[str]
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    authority: x509.AuthorityKeyIdentifier


class _Kept(NamedTuple):
    context: ssl.SSLContext
    renew_at: float


class SessionCA:
    """One session's CA, with the TLS contexts of its hosts.

    Args:
        hosts: what is intercepted: canonical names, `*.name`, `*`, addresses.
        clock: seconds since 1970.
        lifetime: seconds for which the CA's certificates are valid from now: no less than the session may last.

    Raises:
        Refusal: `bad_host`: a host is not canonical.
    """

    def __init__(self, hosts: Sequence[str], clock: Clock = time.time, *, lifetime: float = LIFETIME) -> None:
        self._clock = clock
        self._lifetime = lifetime
        self._leaf_key = ec.generate_private_key(ec.SECP256R1())
        self._leaf_key_pem = self._leaf_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._leaf_id = x509.SubjectKeyIdentifier.from_public_key(self._leaf_key.public_key())
        self._contexts: OrderedDict[tuple[str, tuple[str, ...]], _Kept] = OrderedDict()
        self._issuers: list[_Issuer] = []
        self.extend(hosts)

    def __repr__(self) -> str:
        return f"SessionCA({self.hosts!r})"

    @property
    def hosts(self) -> tuple[str, ...]:
        """What this CA may sign for, as it was given."""
        return tuple(host for issuer in self._issuers for host in sorted(issuer.hosts))

    @property
    def pem(self) -> bytes:
        """The CA certificates, oldest first: what the sandbox trusts. `extend` adds to the end."""
        return b"".join(self.certificates)

    @property
    def certificates(self) -> list[bytes]:
        """The CA certificates as PEM, one each."""
        return [issuer.certificate.public_bytes(serialization.Encoding.PEM) for issuer in self._issuers]

    def extend(self, hosts: Sequence[str]) -> bytes:
        """Make a further CA certificate for hosts that no other covers; return it as PEM (empty: none was needed).

        Raises:
            Refusal: `bad_host`.
        """
        for host in hosts:
            _check_host(host)
        wanted = frozenset(host for host in hosts if not self.permits(host))
        if not wanted and self._issuers:
            return b""
        issuer = _issuer(wanted, self._clock(), self._lifetime)
        self._issuers.append(issuer)
        return issuer.certificate.public_bytes(serialization.Encoding.PEM)

    def permits(self, host: str) -> bool:
        """Say whether a leaf for `host` (canonical; or a pattern) would be made."""
        return any(_covers(issuer.hosts, host) for issuer in self._issuers)

    def context(self, host: str, alpn: Sequence[str] = ("http/1.1",)) -> ssl.SSLContext:
        """Return the server's TLS context for `host`: TLS 1.2 or newer; no tickets, renegotiation or early data.

        Args:
            host: canonical, as the client named it (CONNECT, SNI).
            alpn: the protocols that are offered, best first: `h2`, `http/1.1`.

        Raises:
            Refusal: `host_not_intercepted`.
        """
        key, now = (host, tuple(alpn)), self._clock()
        kept = self._contexts.get(key)
        if kept is not None and now < kept.renew_at:
            self._contexts.move_to_end(key)
            return kept.context
        context = _server_context(self.leaf(host) + self._leaf_key_pem, alpn)
        self._contexts[key] = _Kept(context, now + LEAF_LIFETIME / 2)
        self._contexts.move_to_end(key)
        while len(self._contexts) > CONTEXTS:
            self._contexts.popitem(last=False)
        return context

    def leaf(self, host: str) -> bytes:
        """Sign a certificate for `host`, and return it as PEM.

        Raises:
            Refusal: `host_not_intercepted`.
        """
        issuer = next((issuer for issuer in self._issuers if _covers(issuer.hosts, host)), None)
        if issuer is None or "*" in host:
            raise Refusal(
                "host_not_intercepted",
                f"This session has no rule and no binding for {host}, so the vault makes no certificate for it.",
                fix="`penstock vault why` shows the rule that would be needed.",
            )
        certificate = _sign(self._leaf_builder(issuer, host), issuer.key)
        return certificate.public_bytes(serialization.Encoding.PEM)

    def _leaf_builder(self, issuer: _Issuer, host: str) -> x509.CertificateBuilder:
        """A leaf of an address has no subject: GnuTLS holds a common name against the constraints on DNS names."""
        now = self._clock()
        ends = min(_moment(now + LEAF_LIFETIME), issuer.certificate.not_valid_after_utc)
        subject = x509.Name([]) if names.is_address(host) else _name("Penstock leaf")
        return (
            _builder(subject, issuer.certificate.subject, _moment(now - BACKDATED), ends)
            .public_key(self._leaf_key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([_general_name(host)]), critical=not subject.rdns)
            .add_extension(self._leaf_id, critical=False)
            .add_extension(issuer.authority, critical=False)
        )


# -- hosts: pure ------------------------------------------------------------------------------------------------------


def _check_host(host: str) -> None:
    name = host.removeprefix("*.")
    if host != "*" and (names.canonical_host(name) != name or (name != host and names.is_address(name))):
        raise Refusal("bad_host", f"{host!r} is not a canonical host.", fix=f"Write {names.canonical_host(name)}.")


def _covers(hosts: frozenset[str], host: str) -> bool:
    if host in hosts:
        return True
    if names.is_address(host):
        return False
    labels = host.split(".")
    return "*" in hosts or any("*." + ".".join(labels[skip:]) in hosts for skip in range(1, len(labels)))


def name_constraints(hosts: frozenset[str]) -> x509.NameConstraints:
    """Return what the table at the head of this file says for these hosts."""
    addresses = [ip_network(host) for host in sorted(hosts) if host != "*" and names.is_address(host)]
    subtrees = sorted({host.removeprefix("*.") for host in hosts if not names.is_address(host)})
    permitted: list[x509.GeneralName] = [x509.IPAddress(network) for network in addresses]
    if "*" not in hosts:
        permitted += [x509.DNSName(subtree) for subtree in subtrees or [NOBODY]]
    excluded = None if addresses else [x509.IPAddress(network) for network in _EVERYWHERE]
    return x509.NameConstraints(permitted or None, excluded)


def _general_name(host: str) -> x509.GeneralName:
    return x509.IPAddress(ip_address(host)) if names.is_address(host) else x509.DNSName(host)


# -- certificates: pure, but for keys and serial numbers --------------------------------------------------------------


def _issuer(hosts: frozenset[str], now: float, lifetime: float) -> _Issuer:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(f"Penstock session {secrets.token_hex(4)}")
    identity = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identity)
    builder = (
        _builder(subject, subject, _moment(now - BACKDATED), _moment(now + lifetime))
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True), critical=True)
        .add_extension(name_constraints(hosts), critical=True)
        .add_extension(identity, critical=False)
        .add_extension(authority, critical=False)
    )
    return _Issuer(hosts, _sign(builder, key), key, authority)


def _builder(subject: x509.Name, issuer: x509.Name, begins: datetime, ends: datetime) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        serial_number=x509.random_serial_number(),
        not_valid_before=begins,
        not_valid_after=ends,
    )


def _sign(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    return builder.sign(key, hashes.SHA256())


def _name(text: str) -> x509.Name:
    """A name of one part, as UTF8String: some clients compare the issuer's name byte by byte."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _moment(seconds: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(seconds))


# -- TLS --------------------------------------------------------------------------------------------------------------


def _server_context(pem: bytes, alpn: Sequence[str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.num_tickets = 0
    context.set_ciphers(CIPHERS)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    with _as_file(pem) as path:
        context.load_cert_chain(path)
    return context


@contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """Give `data` a path for the time of a call: in memory; where the system has no such files, in a closed folder."""
    try:
        handle = os.memfd_create("leaf", os.MFD_CLOEXEC)
    except (AttributeError, OSError):
        with _on_disk(data) as path:
            yield path
        return
    try:
        os.write(handle, data)
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)


@contextmanager
def _on_disk(data: bytes) -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="leaf-"))  # 0700
    path = folder / "leaf.pem"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        yield str(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        folder.rmdir()
