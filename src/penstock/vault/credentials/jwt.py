"""JSON Web Tokens, signing only (RFC 7515, 7518, 7519, 8037): claims and a key in, three base64url parts out.

The algorithm is what somebody wrote down, never what the key suggests, and a key that does not fit it is refused when
it is stored. ES256 signatures are the two 32-byte numbers side by side (RFC 7518, section 3.4), not DER.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from penstock.vault.credentials.contract import bad_value

ALGORITHMS = ("RS256", "ES256", "EdDSA", "HS256")
MIN_RSA_BITS = 2048  # RFC 7518, section 3.3
MIN_HMAC_BYTES = 32  # RFC 7518, section 3.2: as long as the hash


class Signer:
    """A key with its algorithm. It is never shown."""

    __slots__ = ("_sign", "algorithm", "key_id", "lines")

    def __init__(self, algorithm: str, sign: Callable[[bytes], bytes], key_id: str, lines: list[bytes]) -> None:
        self._sign = sign
        self.algorithm = algorithm
        self.key_id = key_id
        self.lines = lines

    def __repr__(self) -> str:
        return f"Signer({self.algorithm})"

    def token(self, claims: Mapping[str, object]) -> bytes:
        """Return the signed token."""
        signed = unsigned(self.algorithm, claims, self.key_id)
        return signed + b"." + _base64url(self._sign(signed))


def unsigned(algorithm: str, claims: Mapping[str, object], key_id: str = "") -> bytes:
    """Return the first two parts of a token: what is signed."""
    header = {"alg": algorithm, "typ": "JWT", **({"kid": key_id} if key_id else {})}
    return b".".join(_base64url(_compact(part)) for part in (header, claims))


def signer(name: str, algorithm: str, key: str, key_id: str = "", field: str = "private_key") -> Signer:
    """Read the key: PEM (PKCS#1, PKCS#8, SEC1), or for HS256 the shared secret as text.

    Args:
        name: the secret's name, for errors.
        algorithm: one of ALGORITHMS.
        key: its text; `\\n` spelled with a backslash is a line feed, as it becomes in environment variables.
        key_id: the header's `kid`, where the verifier has several keys.
        field: where the key stood, for errors.

    Raises:
        Refusal: `bad_secret`: not a key, one with a passphrase, one that does not fit the algorithm, or a weak one.
    """
    if algorithm == "HS256":
        return _shared(name, key, key_id, field)
    text = key if "\n" in key else key.replace("\\n", "\n")
    return Signer(algorithm, _private(name, algorithm, text, field), key_id, key_lines(text))


def key_lines(text: str) -> list[bytes]:
    """Return the lines of a PEM key that are worth hiding: those of its body, and the body in one line."""
    lines = [line.strip() for line in text.splitlines()]
    body = [line for line in lines if line and not line.startswith("-----") and ":" not in line]
    return [line.encode() for line in body if len(line) >= 16] + ["".join(body).encode()]


def _shared(name: str, key: str, key_id: str, field: str) -> Signer:
    shared = key.encode()
    if len(shared) < MIN_HMAC_BYTES:
        raise bad_value(name, f"the field {field!r} has fewer than the {MIN_HMAC_BYTES} bytes that HS256 needs")
    return Signer("HS256", lambda data: hmac.new(shared, data, hashlib.sha256).digest(), key_id, [shared])


def _private(name: str, algorithm: str, text: str, field: str) -> Callable[[bytes], bytes]:
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except TypeError:
        fix = "Remove the passphrase first: openssl pkey -in key.pem"
        raise bad_value(name, f"the key in {field!r} has a passphrase", fix) from None
    except (ValueError, UnsupportedAlgorithm):
        raise bad_value(name, f"the field {field!r} holds no private key in PEM") from None
    if algorithm == "RS256" and isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < MIN_RSA_BITS:
            raise bad_value(name, f"the key in {field!r} has fewer than {MIN_RSA_BITS} bits")
        rsa_key = key
        return lambda data: rsa_key.sign(data, padding.PKCS1v15(), SHA256())
    if algorithm == "ES256" and isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp256r1":
        curve_key = key
        return lambda data: _side_by_side(curve_key.sign(data, ec.ECDSA(SHA256())))
    if algorithm == "EdDSA" and isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign
    raise bad_value(name, f"the key in {field!r} is not one for {algorithm}")


def _side_by_side(der: bytes) -> bytes:
    return b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(der))


def _compact(part: Mapping[str, object]) -> bytes:
    return json.dumps(part, separators=(",", ":")).encode()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
