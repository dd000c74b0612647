"""AWS Signature Version 4, as a pure function of a request, a key and a time.

The words are those of docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html: the canonical
request, the string to sign, the signing key. S3's family signs the path as it is, once encoded; every other service
signs the path normalised and encoded once more. Text is what stands on the wire, one character a byte.

The vault writes this anew, though the SDK has a signer: what guards secrets imports nothing outside of the vault.
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from urllib.parse import quote, unquote_to_bytes

import msgspec

ALGORITHM = "AWS4-HMAC-SHA256"
S3_FAMILY = frozenset(("s3", "s3-object-lambda", "s3-outposts"))
"""Services whose paths are signed as they stand."""

_UNRESERVED = "-_.~"


class Scope(msgspec.Struct, frozen=True):
    """The credential scope: `date/region/service/aws4_request`."""

    date: str
    region: str
    service: str

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def timestamp(now: float) -> str:
    """Return `20130524T000000Z` for Unix seconds."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")


def signing_key(secret: bytes, scope: Scope) -> bytes:
    """Return the secret narrowed down to a day, a region and a service."""
    key = b"AWS4" + secret
    for part in (scope.date, scope.region, scope.service, "aws4_request"):
        key = hmac.new(key, part.encode("latin-1"), hashlib.sha256).digest()
    return key


def signature(key: bytes, lines: Iterable[str]) -> str:
    """Return the signature of a string to sign, given by its lines."""
    return hmac.new(key, "\n".join(lines).encode("latin-1"), hashlib.sha256).hexdigest()


def sign_request(key: bytes, moment: str, scope: Scope, canonical: str) -> str:
    """Return the signature of a canonical request."""
    return signature(key, (ALGORITHM, moment, str(scope), hashed(canonical.encode("latin-1"))))


def canonical_request(
    method: str, path: str, query: str, headers: Sequence[tuple[str, str]], payload: str, service: str
) -> str:
    """Return the one spelling of a request that is signed.

    Args:
        method: as sent.
        path: as sent, without the query.
        query: as sent, without X-Amz-Signature.
        headers: those to sign, names lower case, in any order.
        payload: the hash of the body, or the word that stands for it.
        service: the service of the scope.
    """
    joined = canonical_headers(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in joined)
    names = ";".join(name for name, _ in joined)
    return "\n".join((method, canonical_path(path, service), canonical_query(query), lines, names, payload))


def canonical_headers(headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers sorted, spaces single, values of one name joined with commas."""
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name, []).append(" ".join(value.split()))
    return [(name, ",".join(found[name])) for name in sorted(found)]


def canonical_path(path: str, service: str) -> str:
    """Return the path as the service signs it."""
    if service in S3_FAMILY:
        return _encoded_once(path or "/", safe="/")
    return quote(_normal(path).encode("latin-1"), safe="/" + _UNRESERVED)


def canonical_query(query: str) -> str:
    """Return the parameters in their one encoding, sorted by name, then by value."""
    pairs = (pair.partition("=")[::2] for pair in query.split("&") if pair)
    return "&".join(f"{name}={value}" for name, value in sorted((_encoded_once(a), _encoded_once(b)) for a, b in pairs))


def hashed(data: bytes) -> str:
    """Return SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def _normal(path: str) -> str:
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(segment)
    trailing = "/" if segments and path.endswith(("/", "/.", "/..")) else ""
    return "/" + "/".join(segments) + trailing


def _encoded_once(text: str, safe: str = "") -> str:
    return quote(unquote_to_bytes(text.encode("latin-1")), safe=safe + _UNRESERVED)
