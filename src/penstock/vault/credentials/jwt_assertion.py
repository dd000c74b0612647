"""`jwt-assertion`: a key that signs tokens, sent as they are or exchanged for an access token.

Without `token_url` the signed token is what takes the stub's place. By default one token serves for half of its life;
`single_use` signs a new one, with an id of its own (`jti`), for each request: some services refuse to see one twice.

With `token_url` it is exchanged (RFC 7523, section 2.1) and the access token takes the stub's place. A Google service
account's key file is accepted as it is: with `scopes` it is exchanged at its `token_uri`, with `audience` it signs for
that API itself (developers.google.com/identity/protocols/oauth2/service-account).
"""

from collections import deque
from collections.abc import Mapping

import msgspec

from penstock.vault.credentials.contract import Kind, Tools, bad_value
from penstock.vault.credentials.fields import convert, document, https_url, merged, one_of, within
from penstock.vault.credentials.jwt import ALGORITHMS, Signer, signer, unsigned
from penstock.vault.credentials.token_endpoint import JWT_BEARER, ask
from penstock.vault.credentials.tokens import LEEWAY, Granted, Tokens
from penstock.vault.values import Secret

RECENT = 256
"""How many single-use tokens that are still valid are kept in mind to be scrubbed."""

_GOOGLE = (
    "type",
    "project_id",
    "private_key_id",
    "client_email",
    "client_id",
    "auth_uri",
    "token_uri",
    "auth_provider_x509_cert_url",
    "client_x509_cert_url",
    "universe_domain",
)


class Fields(msgspec.Struct, frozen=True):
    """The fields of the JSON value.

    Args:
        private_key: PEM; for HS256 the shared secret, at least 32 bytes.
        issuer: the claim `iss`.
        subject: the claim `sub`; the issuer where nothing is said.
        audience: the claim `aud`; the token endpoint where it is exchanged.
        algorithm: RS256, ES256, EdDSA or HS256.
        key_id: the header's `kid`.
        ttl: seconds that a signed token is valid.
        claims: further claims, all text.
        single_use: a new token, with `jti`, for each request.
        token_url: where it is exchanged for an access token; nowhere where nothing is said.
        scopes: what the access token may do (the claim `scope`).
        leeway: seconds before its end from which on an access token is replaced.
    """

    private_key: str
    issuer: str
    subject: str = ""
    audience: str = ""
    algorithm: str = "RS256"
    key_id: str = ""
    ttl: int = 300
    claims: dict[str, str] = {}
    single_use: bool = False
    token_url: str = ""
    scopes: tuple[str, ...] = ()
    leeway: float = LEEWAY

    def __repr__(self) -> str:
        return "Fields(...)"


class JwtAssertion:
    """A signing key, and the tokens that it made."""

    kind = "jwt-assertion"

    def __init__(self, name: str, fields: Fields, key: Signer, tools: Tools) -> None:
        self._name = name
        self._fields = fields
        self._key = key
        self._tools = tools
        self._used = 0
        self._shape = _shape(fields)
        self._recent: deque[tuple[bytes, float]] = deque(maxlen=RECENT)
        leeway = fields.leeway if fields.token_url else fields.ttl / 2
        self._tokens = Tokens(name, self._obtain, tools.clock, leeway)

    async def value(self) -> Secret:
        """Return a token that is valid now. Raises Refusal where it is exchanged, and that fails."""
        if not self._fields.single_use:
            return await self._tokens.current()
        self._used += 1
        token = self._signed()
        self._recent.appendleft((token, self._tools.clock() + self._fields.ttl))
        return Secret(self._name, token, self._used)

    async def rejected(self, seen: Secret) -> bool:
        """Replace an exchanged token, once for everyone; what the key itself signs would be rejected again."""
        return bool(self._fields.token_url) and await self._tokens.rejected(seen)

    def live(self) -> list[bytes]:
        """Return the tokens that are still valid, and the lines of the key."""
        now = self._tools.clock()
        recent = [token for token, ends in self._recent if now < ends]
        return [*self._tokens.live(), *recent, *self._key.lines]

    def shapes(self) -> Mapping[str, bytes]:
        """Return the shape of a token: one with three parts where it is signed here."""
        if self._fields.token_url:
            return {"": b"oauth_" + b"xX0x" * 14}
        return {"": self._shape}

    def _signed(self) -> bytes:
        now = int(self._tools.clock())
        fields = self._fields
        claims: dict[str, object] = {"iss": fields.issuer, "sub": fields.subject or fields.issuer}
        claims["aud"] = fields.audience or fields.token_url
        claims.update({"iat": now, "exp": now + fields.ttl})
        if fields.single_use:
            claims["jti"] = self._tools.random(16).hex()
        if fields.scopes:
            claims["scope"] = " ".join(fields.scopes)
        return self._key.token({**fields.claims, **claims})

    async def _obtain(self) -> Granted:
        assertion = self._signed()
        if not self._fields.token_url:
            return Granted(assertion, float(self._fields.ttl))
        self._recent.appendleft((assertion, self._tools.clock() + self._fields.ttl))
        form = {"grant_type": JWT_BEARER, "assertion": assertion.decode()}
        return (await ask(self._tools, self._name, self._fields.token_url, form)).granted


def _shape(fields: Fields) -> bytes:
    """Return a token that clients can read, with a signature of nobody's: what it says is no secret."""
    signature = b"xX0-" * (85 if fields.algorithm == "RS256" else 21)
    claims = {"iss": fields.issuer, "sub": fields.subject or fields.issuer, "aud": fields.audience}
    return unsigned(fields.algorithm, claims) + b"." + signature


def make(name: str, value: bytes, version: int, options: Mapping[str, str], tools: Tools) -> JwtAssertion:
    """Read and check the value. Raises Refusal: `bad_secret`."""
    found = document(name, value)
    if found.get("type") == "service_account":
        found = _from_google(name, found, options)
    fields = convert(Fields, name, merged(Fields, name, found, options, secret=("private_key",)))
    _check(name, fields)
    return JwtAssertion(name, fields, signer(name, fields.algorithm, fields.private_key, fields.key_id), tools)


def _from_google(name: str, found: Mapping[str, object], options: Mapping[str, str]) -> dict[str, object]:
    """Turn a key file into our fields; what else it holds is known, and not needed."""
    rest = {field: given for field, given in found.items() if field not in _GOOGLE}
    taken: dict[str, object] = {"issuer": found.get("client_email", ""), "key_id": found.get("private_key_id", "")}
    if "ttl" not in rest and "ttl" not in options:
        taken["ttl"] = 3600
    if "scopes" in rest or "scopes" in options:
        return {**rest, **taken, "token_url": found.get("token_uri", "")}
    if "audience" in rest or "audience" in options:
        return {**rest, **taken}
    fix = (
        "Add --option scopes=https://www.googleapis.com/auth/..., or --option audience=https://SERVICE.googleapis.com/."
    )
    raise bad_value(name, "a service account needs 'scopes' or 'audience'", fix)


def _check(name: str, fields: Fields) -> None:
    one_of(name, "algorithm", fields.algorithm, ALGORITHMS)
    within(name, "ttl", fields.ttl, 10, 3600)
    within(name, "leeway", fields.leeway, 0, 3600)
    if fields.token_url:
        https_url(name, "token_url", fields.token_url)
        if fields.single_use:
            raise bad_value(name, "'single_use' and 'token_url' exclude each other: each exchange signs anew anyway")
    elif not fields.audience:
        raise bad_value(name, "the field 'audience' is missing: whom is the token for?")
    if not fields.issuer:
        raise bad_value(name, "the field 'issuer' is empty")


KIND = Kind("jwt-assertion", make, Fields.__struct_fields__, ("header", "basic", "query", "json", "form"))
