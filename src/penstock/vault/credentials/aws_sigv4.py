"""`aws-sigv4`: the agent's SDK signs with stub keys; the vault checks that, and signs anew with the real ones.

What is checked: the signature names the stub's access key id, and its scope the service and region of the binding.
What the client's signature says beyond that does not matter, and is dropped, as is a session token: the new signature
covers what the client's covered, and in any case the host, the content type, and every `x-amz-*` header. Its time is
the vault's own, so a sandbox with a wrong clock works.

The body, by `x-amz-content-sha256` (docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html): a hash is
compared where the body is at hand, and signed; `UNSIGNED-PAYLOAD` and unsigned chunks are signed as these words; signed
chunks are signed anew, one by one (`aws_chunks`). Without the header the vault needs the whole body, to hash it.

A presigned address (the signature in the query) is signed anew for at most PRESIGNED seconds, and only while the
client's own time has not run out. Refused: SigV4A, event streams, and calls that answer with new keys (STS, IAM, S3
Express), which would be real keys in the sandbox (docs/reference/credential-kinds.md).
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hmac import compare_digest
from urllib.parse import parse_qsl, quote, unquote

import msgspec

from penstock.vault.credentials.aws_chunks import SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER, ChunkSigner
from penstock.vault.credentials.contract import Kind, Signed, Tools, bad_value
from penstock.vault.credentials.fields import long_enough, read
from penstock.vault.credentials.sigv4 import (
    ALGORITHM,
    S3_FAMILY,
    Scope,
    canonical_headers,
    canonical_request,
    hashed,
    sign_request,
    signing_key,
    timestamp,
)
from penstock.vault.values import DEFAULT_PORTS, Destination, Headers, Refusal, RequestHead, Secret

PRESIGNED = 300
"""Seconds that a presigned address is valid after the vault has signed it anew: it is used at once."""

UNSIGNED = "UNSIGNED-PAYLOAD"
CONTENT_HASH = "x-amz-content-sha256"
_WORDS = (UNSIGNED, UNSIGNED_TRAILER, SIGNED, SIGNED_TRAILER)
_HASH = re.compile(r"[0-9a-f]{64}")
_HEADER = re.compile(
    rf"{ALGORITHM} +Credential=([A-Za-z0-9]+)/(\d{{8}})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request *,"
    r" *SignedHeaders=([a-z0-9;_.-]+) *, *Signature=([0-9a-f]{64})"
)
_CREDENTIAL = re.compile(r"([A-Za-z0-9]+)/(\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request")
_ACCESS_KEY = re.compile(r"[A-Za-z0-9]{16,128}")
_NOT_SIGNED = frozenset(
    ("accept-encoding", "authorization", "connection", "expect", "transfer-encoding", "user-agent", "x-amzn-trace-id")
)
"""What may still change on the way: never signed, even where the client did."""

_ISSUERS: Mapping[str, frozenset[str] | None] = {
    "sts": frozenset(("GetCallerIdentity", "DecodeAuthorizationMessage", "GetAccessKeyInfo")),
    "s3express": frozenset(),
    "iam": None,
}
"""Services that answer with keys: the only actions that are signed there; None: all but those of `_NEW_KEYS`."""

_NEW_KEYS = frozenset(("CreateAccessKey", "CreateServiceSpecificCredential", "ResetServiceSpecificCredential"))
_QUERY_AUTH = frozenset(
    (
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-signedheaders",
        "x-amz-signature",
        "x-amz-security-token",
    )
)


class Fields(msgspec.Struct, frozen=True):
    """The fields of the JSON value.

    Args:
        access_key_id: the public half.
        secret_access_key: the secret half.
        session_token: for temporary keys.
    """

    access_key_id: str
    secret_access_key: str
    session_token: str = ""

    def __repr__(self) -> str:
        return "Fields(...)"


class Claim(msgspec.Struct, frozen=True):
    """What a client's signature says of itself."""

    access_key_id: str
    scope: Scope
    signed: tuple[str, ...]


class AwsSigV4:
    """A pair of keys that signs."""

    kind = "aws-sigv4"

    def __init__(self, name: str, fields: Fields, version: int, tools: Tools) -> None:
        self._name = name
        self._fields = fields
        self._version = version
        self._tools = tools

    async def value(self) -> Secret:
        """Return the access key id, which the stub stands for. The secret half never stands anywhere."""
        return Secret(self._name, self._fields.access_key_id.encode(), self._version)

    async def rejected(self, seen: Secret) -> bool:
        """Return False: nobody but a human can make new keys."""
        return False

    def live(self) -> list[bytes]:
        """Return all three: AWS repeats the access key id in its errors."""
        fields = self._fields
        return [
            part.encode() for part in (fields.access_key_id, fields.secret_access_key, fields.session_token) if part
        ]

    def shapes(self) -> Mapping[str, bytes]:
        """Return the shapes of the two halves. Which stub of the first was used is how a session is recognised."""
        prefix = self._fields.access_key_id[:4].encode() if self._fields.access_key_id[:2] in ("AK", "AS") else b"AKIA"
        return {"AWS_ACCESS_KEY_ID": prefix + b"X7" * 8, "AWS_SECRET_ACCESS_KEY": b"xX0x" * 10}

    def needs_body(self, head: RequestHead) -> bool:
        """Tell whether the body's hash must be computed, or its action be read, for this request."""
        in_query = _is_presigned(head) and not head.values("authorization")
        try:
            service = (_query_claim(head) if in_query else _header_claim(head)).scope.service
        except Refusal:
            return False  # `sign` refuses it, and says why
        if _has_no_body(head):
            return False
        said = service in S3_FAMILY if in_query else bool(head.values(CONTENT_HASH))
        return not said or service in _ISSUERS

    async def sign(
        self, destination: Destination, head: RequestHead, body: bytes | None, *, stub: bytes, scope: str
    ) -> Signed:
        """Sign anew. See `contract.SigningCredential`.

        Raises:
            Refusal: `not_signed`, `stub_missing` (another key), `wrong_scope`, `payload_mismatch`, `body_needed`,
                `sigv4_refused` (what is never signed).
        """
        in_query = _is_presigned(head)
        if in_query and head.values("authorization"):
            raise _refused("The request is signed twice: in its head and in its address.", status=400)
        claim = _query_claim(head) if in_query else _header_claim(head)
        _check(claim, stub, scope)
        _refuse_new_keys(claim.scope.service, head, body)
        if in_query:
            return self._sign_query(destination, head, body, claim)
        return self._sign_header(destination, head, body, claim)

    def _sign_header(self, destination: Destination, head: RequestHead, body: bytes | None, claim: Claim) -> Signed:
        payload = _payload(head, body)
        moment, scope, key = self._now(claim)
        headers = _without(head.headers, ("authorization", "x-amz-date", "x-amz-security-token", "host", "date"))
        headers = (("host", _host(destination)), *headers, ("x-amz-date", moment))
        if self._fields.session_token:
            headers = (*headers, ("x-amz-security-token", self._fields.session_token))
        if claim.scope.service in S3_FAMILY and not head.values(CONTENT_HASH):
            headers = (*headers, (CONTENT_HASH, payload))
        covered = _covered(headers, claim.signed)
        path, _, query = head.target.partition("?")
        canonical = canonical_request(head.method, path, query, covered, payload, scope.service)
        made = sign_request(key, moment, scope, canonical)
        names = ";".join(name for name, _ in canonical_headers(covered))
        proof = f"{ALGORITHM} Credential={self._fields.access_key_id}/{scope}, SignedHeaders={names}, Signature={made}"
        signed = msgspec.structs.replace(head, headers=(*headers, ("authorization", proof)))
        return Signed(signed, _chunks(payload, key, moment, scope, made))

    def _sign_query(self, destination: Destination, head: RequestHead, body: bytes | None, claim: Claim) -> Signed:
        path, _, query = head.target.partition("?")
        lasts = _lasts(query, self._tools.clock())
        moment, scope, key = self._now(claim)
        headers = (("host", _host(destination)), *_without(head.headers, ("host", "x-amz-security-token")))
        covered = _covered(headers, claim.signed)
        names = ";".join(name for name, _ in canonical_headers(covered))
        proof = {
            "X-Amz-Algorithm": ALGORITHM,
            "X-Amz-Credential": f"{self._fields.access_key_id}/{scope}",
            "X-Amz-Date": moment,
            "X-Amz-Expires": str(lasts),
            "X-Amz-SignedHeaders": names,
        }
        if self._fields.session_token:
            proof["X-Amz-Security-Token"] = self._fields.session_token
        kept = [pair for pair in query.split("&") if pair and _name_of(pair) not in _QUERY_AUTH]
        new = "&".join([*kept, *(f"{name}={quote(value, safe='-_.~')}" for name, value in proof.items())])
        payload = UNSIGNED if scope.service in S3_FAMILY else _payload(head, body)
        made = sign_request(
            key, moment, scope, canonical_request(head.method, path, new, covered, payload, scope.service)
        )
        return Signed(RequestHead(head.method, f"{path}?{new}&X-Amz-Signature={made}", headers))

    def _now(self, claim: Claim) -> tuple[str, Scope, bytes]:
        moment = timestamp(self._tools.clock())
        scope = msgspec.structs.replace(claim.scope, date=moment[:8])
        return moment, scope, signing_key(self._fields.secret_access_key.encode(), scope)


def _header_claim(head: RequestHead) -> Claim:
    found = head.values("authorization")
    if not found:
        fix = "Give the SDK the stubs: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the session's environment."
        raise Refusal("not_signed", "The request is not signed.", fix=fix)
    if len(found) == 1 and found[0].startswith("AWS4-ECDSA-P256-SHA256"):
        fix = "Name one region: multi-region access points and SigV4A are not signed by the vault."
        raise _refused("The request is signed for several regions (SigV4A).", fix)
    match = _HEADER.fullmatch(found[0]) if len(found) == 1 else None
    if not match:
        raise Refusal("not_signed", "The request is not signed with Signature Version 4.", fix="Use an AWS SDK.")
    return Claim(match[1], Scope(match[2], match[3], match[4]), tuple(match[5].split(";")))


def _query_claim(head: RequestHead) -> Claim:
    pairs = parse_qsl(head.target.partition("?")[2], keep_blank_values=True)
    found: dict[str, str] = {}
    for name, value in pairs:
        if name.lower() in _QUERY_AUTH and found.setdefault(name.lower(), value) != value:
            raise _refused("The address says its signature twice.", status=400)
    match = _CREDENTIAL.fullmatch(found.get("x-amz-credential", ""))
    if found.get("x-amz-algorithm") != ALGORITHM or not match:
        raise Refusal("not_signed", "The address is not presigned with Signature Version 4.", fix="Use an AWS SDK.")
    names = tuple(found.get("x-amz-signedheaders", "host").lower().split(";"))
    return Claim(match[1], Scope(match[2], match[3], match[4]), names)


def _check(claim: Claim, stub: bytes, scope: str) -> None:
    """Hold the claim to the session's stub and to the binding's scope."""
    if not compare_digest(claim.access_key_id.encode(), stub):
        raise Refusal("stub_missing", "The request is signed with a key that is not this session's stub.")
    service, _, region = scope.partition("/")
    if claim.scope.service != service or region not in ("*", claim.scope.region):
        said = f"{claim.scope.service}/{claim.scope.region}"
        reason = f"The request is signed for {said}, and the binding allows sigv4:{scope}."
        raise Refusal("wrong_scope", reason, fix="Sign for that region, or bind this scope, too.")


def _refuse_new_keys(service: str, head: RequestHead, body: bytes | None) -> None:
    """Refuse what would be answered with keys, for these would be real ones in the sandbox."""
    if service not in _ISSUERS:
        return
    if body is None and not _has_no_body(head):
        raise Refusal("body_needed", "The body must be read whole before it can be signed.", status=413)
    pairs = parse_qsl(head.target.partition("?")[2]) + parse_qsl((body or b"").decode("latin-1"))
    actions = {value for name, value in pairs if name == "Action"}
    allowed = _ISSUERS[service]
    if not actions or (actions & _NEW_KEYS if allowed is None else actions - allowed):
        fix = "Bind the keys of the role itself as a secret of their own, instead of asking for them in the sandbox."
        raise _refused("The answer would be new AWS keys, and the sandbox may not have real ones.", fix)


def _payload(head: RequestHead, body: bytes | None) -> str:
    """Return what is signed of the body: its hash, or the word that the client sent."""
    said = head.values(CONTENT_HASH)
    if len(said) > 1:
        raise _refused("The request says the hash of its body twice.", status=400)
    if said and said[0] in _WORDS:
        return said[0]
    if said and not _HASH.fullmatch(said[0]):
        fix = "Signed are hashes, UNSIGNED-PAYLOAD and HMAC chunks; event streams and SigV4A are not."
        raise _refused("The request's x-amz-content-sha256 is of a kind that the vault does not sign.", fix)
    if body is None and not said and not _has_no_body(head):
        raise Refusal("body_needed", "The body must be read whole before it can be signed.", status=413)
    if said and body is not None and not compare_digest(hashed(body), said[0]):
        raise Refusal("payload_mismatch", "The body is not the one that x-amz-content-sha256 names.", status=400)
    return said[0] if said else hashed(body or b"")


def _chunks(payload: str, key: bytes, moment: str, scope: Scope, seed: str) -> ChunkSigner | None:
    if payload not in (SIGNED, SIGNED_TRAILER):
        return None
    return ChunkSigner(key, moment, scope, seed, trailer=payload == SIGNED_TRAILER)


def _covered(headers: Headers, asked: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return the headers to sign: what the client signed and still is there, and what must be signed."""
    return [
        (name, value)
        for name, value in headers
        if name not in _NOT_SIGNED and (name in asked or name in ("host", "content-type") or name.startswith("x-amz-"))
    ]


def _without(headers: Headers, names: tuple[str, ...]) -> Headers:
    return tuple((name, value) for name, value in headers if name not in names)


def _has_no_body(head: RequestHead) -> bool:
    framed = head.values("content-length") or head.values("transfer-encoding")
    return framed == ["0"] or (not framed and head.method in ("GET", "HEAD", "DELETE"))


def _host(destination: Destination) -> str:
    host = f"[{destination.host}]" if ":" in destination.host else destination.host
    return host if destination.port == DEFAULT_PORTS[destination.scheme] else f"{host}:{destination.port}"


def _is_presigned(head: RequestHead) -> bool:
    return any(_name_of(pair) in _QUERY_AUTH for pair in head.target.partition("?")[2].split("&"))


def _name_of(pair: str) -> str:
    return unquote(pair.partition("=")[0]).lower()


def _lasts(query: str, now: float) -> int:
    """Return for how long the address may still be signed. Raises Refusal where its time has run out."""
    said = {name.lower(): value for name, value in parse_qsl(query)}
    try:
        begins = datetime.strptime(said.get("x-amz-date", ""), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
        expires = int(said.get("x-amz-expires", ""))
    except ValueError:
        raise _refused("The presigned address does not say until when it is valid.", status=400) from None
    left = min(begins + min(expires, 604800) - now, PRESIGNED)
    if left < 1:
        raise _refused("The presigned address has expired.", "Make a new one.")
    return int(left)


def _refused(reason: str, fix: str = "", status: int = 403) -> Refusal:
    return Refusal("sigv4_refused", reason, fix=fix, status=status)


def make(name: str, value: bytes, version: int, options: Mapping[str, str], tools: Tools) -> AwsSigV4:
    """Read and check the value. Raises Refusal: `bad_secret`."""
    fields = read(Fields, name, value, options, secret=Fields.__struct_fields__)
    if not _ACCESS_KEY.fullmatch(fields.access_key_id):
        raise bad_value(name, "the field 'access_key_id' is no access key id")
    long_enough(name, fields.secret_access_key.encode(), "secret_access_key")
    if not all("!" <= character <= "~" for character in fields.secret_access_key + fields.session_token):
        raise bad_value(name, "a key or token holds a space or a line feed")
    return AwsSigV4(name, fields, version, tools)


KIND = Kind("aws-sigv4", make, Fields.__struct_fields__, ("sigv4",))
