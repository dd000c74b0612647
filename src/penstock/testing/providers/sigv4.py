"""AWS Signature Version 4, checked from the receiver's side: recompute the signature of a request and compare.

Source: AWS General Reference, "Create a signed AWS API request". Written for the check alone, so that a signer under
test meets an independent reading of the rules.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from penstock.testing.providers.wire import ReceivedRequest

_HEADER = re.compile(r"AWS4-HMAC-SHA256 Credential=([^,\s]+),\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Signature:
    """What an Authorization header of Signature Version 4 says."""

    access_key: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str


def parse(authorization: str) -> Signature:
    """The header's parts. ValueError says what is wrong with its form."""
    match = _HEADER.fullmatch(authorization)
    if match is None:
        raise ValueError(
            "Authorization header is not AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., Signature=..."
        )
    credential = match[1].split("/")
    if len(credential) != 5 or credential[4] != "aws4_request":
        raise ValueError(f"Credential {match[1]!r} is not KEY/DATE/REGION/SERVICE/aws4_request")
    key, date, region, service, _ = credential
    return Signature(key, date, region, service, tuple(match[2].split(";")), match[3])


def expected(signature: Signature, request: ReceivedRequest, secret: str) -> str:
    """The signature that this request bears when it is signed with that secret."""
    canonical = "\n".join(
        [
            request.method,
            _canonical_path(request.path),
            _canonical_query(request.query),
            *(f"{name}:{_squeezed(request.headers.get(name, ''))}" for name in signature.signed_headers),
            "",
            ";".join(signature.signed_headers),
            hashlib.sha256(request.body).hexdigest(),
        ]
    )
    scope = f"{signature.date}/{signature.region}/{signature.service}/aws4_request"
    moment = request.headers.get("x-amz-date", "")
    text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = b"AWS4" + secret.encode()
    for part in (signature.date, signature.region, signature.service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def problem(request: ReceivedRequest, secrets: Mapping[str, str] | None) -> str | None:
    """What is wrong with the request's signature, in AWS's words; None if nothing. Without secrets only the form is
    looked at."""
    try:
        signature = parse(request.headers.get("authorization", ""))
    except ValueError as error:
        return str(error)
    for header in ("host", "x-amz-date"):
        if header not in signature.signed_headers:
            return f"'{header}' must be a 'SignedHeader' in the AWS Authorization."
    if not request.headers.get("x-amz-date", "").startswith(signature.date):
        return "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP"
    if signature.service != "bedrock":
        return f"Credential should be scoped to correct service: 'bedrock', not {signature.service!r}."
    if secrets is None:
        return None
    secret = secrets.get(signature.access_key)
    if secret is None:
        return "The security token included in the request is invalid."
    if not hmac.compare_digest(expected(signature, request, secret), signature.signature):
        return (
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method. Consult the service documentation for details."
        )
    return None


def _canonical_path(path: str) -> str:
    """Every segment encoded once more than it came (all services but S3)."""
    return "/".join(quote(segment, safe="-_.~") for segment in path.split("/")) or "/"


def _canonical_query(query: Mapping[str, list[str]]) -> str:
    pairs = sorted(
        (quote(unquote(name), safe="-_.~"), quote(value, safe="-_.~")) for name in query for value in query[name]
    )
    return "&".join(f"{name}={value}" for name, value in pairs)


def _squeezed(value: str) -> str:
    return " ".join(value.split())
