"""AWS Signature Version 4: a request and a secret in, the headers that prove who sent it out.

Three steps, in the words of the specification (docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html):
1. the *canonical request*: method, path, query, signed headers and a hash of the body, each in its one spelling;
2. the *string to sign*: algorithm, time, scope (date/region/service) and a hash of step 1;
3. the *signature*: step 2 under a key derived from the secret for exactly that scope.

Signed are `host`, `content-type` and every `x-amz-*` header: what a proxy on the way may not change. For every service
but S3 the path is normalised and percent-encoded once more than on the wire.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote, unquote, urlsplit

from penstock.providers.auth.credentials import AwsCredentials

ALGORITHM = "AWS4-HMAC-SHA256"
_UNRESERVED = "-_.~"
_DEFAULT_PORTS = {"http": 80, "https": 443}


def sign(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    credentials: AwsCredentials,
    region: str,
    service: str,
    now: float,
) -> dict[str, str]:
    """The headers to add to the request: X-Amz-Date, X-Amz-Security-Token (temporary keys only) and Authorization.

    `url` is the address as it will be sent, `headers` those that will be sent (other ones may be added later, except
    x-amz-*), `now` Unix seconds.
    """
    moment = datetime.fromtimestamp(now, UTC)
    timestamp = moment.strftime("%Y%m%dT%H%M%SZ")
    added = {"X-Amz-Date": timestamp}
    if credentials.session_token:
        added["X-Amz-Security-Token"] = credentials.session_token
    signed = _signed_headers(url, {**headers, **added})
    names = ";".join(signed)
    scope = f"{timestamp[:8]}/{region}/{service}/aws4_request"
    canonical = canonical_request(method, url, signed, body)
    to_sign = "\n".join((ALGORITHM, timestamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = signing_key(credentials.secret_access_key, timestamp[:8], region, service)
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    credential = f"{credentials.access_key_id}/{scope}"
    added["Authorization"] = f"{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return added


def canonical_request(method: str, url: str, signed_headers: Mapping[str, str], body: bytes) -> str:
    """Step 1. `signed_headers` are sorted, with lower-case names."""
    parts = urlsplit(url)
    headers = "".join(f"{name}:{value}\n" for name, value in signed_headers.items())
    return "\n".join(
        (
            method.upper(),
            quote(normal_path(parts.path), safe="/" + _UNRESERVED),
            canonical_query(parts.query),
            headers,
            ";".join(signed_headers),
            hashlib.sha256(body).hexdigest(),
        )
    )


def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The key of step 3: the secret, narrowed down to a day, a region and a service."""
    key = ("AWS4" + secret).encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def normal_path(path: str) -> str:
    """The path without `.`, `..` and empty segments; a slash at its end stays."""
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(segment)
    trailing = "/" if path.endswith(("/", "/.", "/..")) and segments else ""
    return "/" + "/".join(segments) + trailing


def canonical_query(query: str) -> str:
    """The parameters in their one encoding, sorted by name, then by value."""
    pairs = (pair.partition("=")[::2] for pair in query.split("&") if pair)
    return "&".join(f"{name}={value}" for name, value in sorted((_once(name), _once(value)) for name, value in pairs))


def _once(text: str) -> str:
    return quote(unquote(text), safe=_UNRESERVED)


def _signed_headers(url: str, headers: Mapping[str, str]) -> dict[str, str]:
    lowered = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    lowered.setdefault("host", _host(url))
    chosen = {name for name in lowered if name in ("host", "content-type") or name.startswith("x-amz-")}
    return {name: lowered[name] for name in sorted(chosen)}


def _host(url: str) -> str:
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{parts.port}" if parts.port and parts.port != _DEFAULT_PORTS.get(parts.scheme) else host
