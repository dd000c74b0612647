"""A trust store for Java, which reads no PEM: PKCS #12 with the attribute that the JDK asks of trusted certificates.

The password is no secret: it is the one that every JDK has, and what it locks is public.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from cryptography.x509 import load_pem_x509_certificates

PASSWORD = b"changeit"


def java_store(pem: bytes) -> bytes:
    """Return a store that trusts the certificates in `pem`, for `-Djavax.net.ssl.trustStore`."""
    found = [
        pkcs12.PKCS12Certificate(each, f"penstock-{number}".encode())
        for number, each in enumerate(load_pem_x509_certificates(pem))
    ]
    return pkcs12.serialize_java_truststore(found, BestAvailableEncryption(PASSWORD))
