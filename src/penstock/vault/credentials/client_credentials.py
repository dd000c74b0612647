"""`client-credentials`: a service that speaks for itself (RFC 6749, section 4.4), by a secret or a signed assertion.

With `client_secret` the client proves itself in the Basic header or in the form; with `private_key` by
`private_key_jwt` (RFC 7523, section 2.2): a token signed for this one request. There is no refresh token: a new access
token is asked for.
"""

from collections.abc import Mapping

import msgspec

from penstock.vault.credentials.contract import Kind, Tools, bad_value
from penstock.vault.credentials.fields import https_url, long_enough, one_of, read, within
from penstock.vault.credentials.jwt import ALGORITHMS, signer
from penstock.vault.credentials.token_endpoint import CLIENT_AUTHENTICATION, Client, ask
from penstock.vault.credentials.tokens import LEEWAY, Granted, Tokens
from penstock.vault.values import Secret


class Fields(msgspec.Struct, frozen=True):
    """The fields of the JSON value.

    Args:
        client_id: the client.
        token_url: the token endpoint, https.
        client_secret: its secret; or
        private_key: its private key in PEM.
        algorithm: of the assertion: RS256, ES256 or EdDSA.
        key_id: the `kid` of the key, where the service asks for it.
        assertion_audience: the assertion's `aud`; the token endpoint where nothing is said.
        scopes: what the token may do.
        client_authentication: `basic` or `post`, for a client secret.
        leeway: seconds before its end from which on a token is replaced.
        parameters: further fields of the form (`audience`, `resource`).
    """

    client_id: str
    token_url: str
    client_secret: str = ""
    private_key: str = ""
    algorithm: str = "RS256"
    key_id: str = ""
    assertion_audience: str = ""
    scopes: tuple[str, ...] = ()
    client_authentication: str = "basic"
    leeway: float = LEEWAY
    parameters: dict[str, str] = {}

    def __repr__(self) -> str:
        return "Fields(...)"


class ClientCredentials:
    """A client, and the access token that it was granted."""

    kind = "client-credentials"

    def __init__(self, name: str, fields: Fields, client: Client, tools: Tools) -> None:
        self._name = name
        self._fields = fields
        self._client = client
        self._tools = tools
        self._tokens = Tokens(name, self._obtain, tools.clock, fields.leeway)

    async def value(self) -> Secret:
        """Return an access token that is valid now. Raises Refusal as the token endpoint's answers demand."""
        return await self._tokens.current()

    async def rejected(self, seen: Secret) -> bool:
        """Ask for a new token, once for everyone who saw this one fail."""
        return await self._tokens.rejected(seen)

    def live(self) -> list[bytes]:
        """Return access tokens, the client's secret, and the lines of its key."""
        secret = [self._fields.client_secret.encode()] if self._fields.client_secret else []
        lines = self._client.signer.lines if self._client.signer else []
        return [*self._tokens.live(), *secret, *lines]

    def shapes(self) -> Mapping[str, bytes]:
        """Return a token's usual shape."""
        return {"": b"oauth_" + b"xX0x" * 14}

    async def _obtain(self) -> Granted:
        form = {"grant_type": "client_credentials", **self._fields.parameters}
        if self._fields.scopes:
            form["scope"] = " ".join(self._fields.scopes)
        return (await ask(self._tools, self._name, self._fields.token_url, form, self._client)).granted


def make(name: str, value: bytes, version: int, options: Mapping[str, str], tools: Tools) -> ClientCredentials:
    """Read and check the value. Raises Refusal: `bad_secret`."""
    fields = read(Fields, name, value, options, secret=SECRET)
    https_url(name, "token_url", fields.token_url)
    within(name, "leeway", fields.leeway, 0, 3600)
    if bool(fields.client_secret) == bool(fields.private_key):
        raise bad_value(name, "it needs either 'client_secret' or 'private_key'")
    if fields.client_secret:
        long_enough(name, fields.client_secret.encode(), "client_secret")
    one_of(name, "client_authentication", fields.client_authentication, CLIENT_AUTHENTICATION)
    return ClientCredentials(name, fields, _client(name, fields), tools)


def _client(name: str, fields: Fields) -> Client:
    if fields.client_secret:
        return Client(fields.client_id, fields.client_secret, fields.client_authentication)
    one_of(name, "algorithm", fields.algorithm, [word for word in ALGORITHMS if word != "HS256"])
    key = signer(name, fields.algorithm, fields.private_key, fields.key_id)
    return Client(fields.client_id, signer=key, audience=fields.assertion_audience)


SECRET = ("client_secret", "private_key")
KIND = Kind("client-credentials", make, Fields.__struct_fields__, ("header", "basic", "query", "json", "form"))
