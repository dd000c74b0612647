"""The signed assertion of a Google service account: a JWT that says who asks, for what, until when (RFC 7523;
google.aip.dev/auth/4112).

RS256 needs an RSA signature, which Python's standard library does not have: the `google` extra brings `cryptography`
(why: docs/decisions/0003-google-signatures.md). Every other way to Google needs no extra.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.providers.errors import ProviderError

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFETIME = 3600
"""Seconds that an assertion holds; Google accepts no more."""


def signed_assertion(account: Mapping[str, Any], *, audience: str, scope: str, now: float) -> str:
    """The JWT for `account` (a service account's key file, decoded). Raises ProviderError: missing_extra,
    malformed_credentials; KeyError.
    """
    header = {"alg": "RS256", "typ": "JWT"}
    if key_id := account.get("private_key_id"):
        header["kid"] = key_id
    email, issued = account["client_email"], int(now)
    claims = {"iss": email, "scope": scope, "aud": audience, "iat": issued, "exp": issued + LIFETIME}
    signed = f"{_segment(msgspec.json.encode(header))}.{_segment(msgspec.json.encode(claims))}"
    return f"{signed}.{_segment(_rs256(account['private_key'], signed.encode()))}"


def _segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _rs256(pem: str, message: bytes) -> bytes:
    try:
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import padding, rsa
    except ImportError:
        text = "Signing in with a Google service account's key file needs the package `cryptography`."
        fix = 'Install it with: pip install "penstock[google]" (or use `gcloud auth application-default login`).'
        raise ProviderError("missing_extra", text, fix) from None
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        text = "The private_key of the Google service account is not an RSA key in PEM form."
        raise ProviderError("malformed_credentials", text, "Download the key file anew.")
    return key.sign(message, padding.PKCS1v15(), hashes.SHA256())
