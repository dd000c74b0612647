"""Certificates for tests, made anew each time: an authority, a provider, a client. Nothing here is secret."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Pair: TypeAlias = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def certificate(name: str, signer: Pair | None = None, *hosts: str) -> Pair:
    """A certificate with its key; without a signer, an authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.IPAddress(ipaddress.ip_address(h)) if h[0].isdigit() else x509.DNSName(h) for h in hosts]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer[0].subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if signer is not None:
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer[1].public_key())
        builder = builder.add_extension(authority, critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer[1] if signer else key, hashes.SHA256()), key


def write(folder: Path, name: str, pair: Pair, password: bytes | None = None) -> tuple[str, str]:
    """The paths of its two PEM files."""
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    public, private = folder / f"{name}.pem", folder / f"{name}.key"
    public.write_bytes(pair[0].public_bytes(pem))
    private.write_bytes(pair[1].private_bytes(pem, pkcs8, encryption))
    return str(public), str(private)


class Files:
    """An authority, a provider's context, and a client certificate (its key once with a password)."""

    def __init__(self, folder: Path) -> None:
        authority = certificate("an authority")
        self.authority, _ = write(folder, "authority", authority)
        server = write(folder, "server", certificate("localhost", authority, "localhost"))
        client_pair = certificate("a client", authority)
        self.client = write(folder, "client", client_pair)
        self.locked = write(folder, "locked", client_pair, b"open sesame")
        self.joined = folder / "joined.pem"
        self.joined.write_text("".join(Path(each).read_text() for each in self.client))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*server)
        self.context.set_alpn_protocols(["h2", "http/1.1"])
        self.asking = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.asking.load_cert_chain(*server)
        self.asking.load_verify_locations(self.authority)
        self.asking.verify_mode = ssl.CERT_REQUIRED
