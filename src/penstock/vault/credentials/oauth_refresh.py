"""`oauth-refresh`: a login that was made once, kept alive by its refresh token (RFC 6749, section 6).

The agent holds a stub in place of the access token and never sees the refresh token.

**Rotation.** Many services answer a refresh with a new refresh token and end the old one (RFC 9700, section 4.14.2).
The new one is stored, durably, *before* the new access token is used. So these are the points at which `kill -9` may
strike: before the service heard us, nothing is lost; after it is stored, nothing is lost; in between, that is for the
time of the answer on its way and one fsync, the new refresh token is lost with the process. No client can close that
window: the token exists nowhere else yet. The old one is tried again then, which services with a grace period accept;
the others answer invalid_grant, and the refusal says: log in again. Where storing fails (a full disk), the pair stays
in memory, nothing of it is used, and the next request stores first instead of refreshing again: to present the old
refresh token a second time would make the service revoke the whole login.
"""

import json
from collections.abc import Mapping

import msgspec

from penstock.vault.credentials.contract import Kind, Tools, bad_value
from penstock.vault.credentials.fields import convert, document, https_url, long_enough, merged, one_of, within
from penstock.vault.credentials.token_endpoint import CLIENT_AUTHENTICATION, Answer, Client, ask
from penstock.vault.credentials.tokens import LEEWAY, Granted, Tokens
from penstock.vault.values import Refusal, Secret


class Fields(msgspec.Struct, frozen=True):
    """The fields of the JSON value.

    Args:
        client_id: the client that logged in.
        refresh_token: what the login left.
        token_url: the token endpoint, https.
        client_secret: for confidential clients.
        scopes: fewer scopes than the login's, where fewer will do.
        client_authentication: `basic` (the header) or `post` (in the form: GitHub wants this).
        leeway: seconds before its end from which on an access token is replaced.
        parameters: further fields of the form (`resource`, `audience`).
    """

    client_id: str
    refresh_token: str
    token_url: str
    client_secret: str = ""
    scopes: tuple[str, ...] = ()
    client_authentication: str = "basic"
    leeway: float = LEEWAY
    parameters: dict[str, str] = {}

    def __repr__(self) -> str:
        return "Fields(...)"


class OAuthRefresh:
    """A login, and the access token that it is good for now."""

    kind = "oauth-refresh"

    def __init__(self, name: str, stored: Mapping[str, object], fields: Fields, tools: Tools) -> None:
        self._name = name
        self._stored = dict(stored)
        self._fields = fields
        self._tools = tools
        self._client = Client(fields.client_id, fields.client_secret, fields.client_authentication)
        self._refresh_tokens = [fields.refresh_token]
        self._unsaved: Answer | None = None
        self._tokens = Tokens(name, self._obtain, tools.clock, fields.leeway)

    async def value(self) -> Secret:
        """Return an access token that is valid now. Raises Refusal: `login_needed` and others of the endpoint."""
        return await self._tokens.current()

    async def rejected(self, seen: Secret) -> bool:
        """Refresh once for everyone who saw this token fail."""
        return await self._tokens.rejected(seen)

    def live(self) -> list[bytes]:
        """Return access tokens, refresh tokens and the client's secret."""
        unsaved = [self._unsaved.granted.token] if self._unsaved else []
        long_lived = [token.encode() for token in (*self._refresh_tokens, self._fields.client_secret) if token]
        return [*self._tokens.live(), *unsaved, *long_lived]

    def shapes(self) -> Mapping[str, bytes]:
        """Return a token's usual shape: the first one is not obtained only to be imitated."""
        return {"": b"oauth_" + b"xX0x" * 14}

    async def _obtain(self) -> Granted:
        answer = self._unsaved or await self._refresh()
        if answer.refresh_token and answer.refresh_token != self._stored["refresh_token"]:
            await self._store(answer, answer.refresh_token)
        return answer.granted

    async def _refresh(self) -> Answer:
        form = {"grant_type": "refresh_token", "refresh_token": self._refresh_tokens[0], **self._fields.parameters}
        if self._fields.scopes:
            form["scope"] = " ".join(self._fields.scopes)
        return await ask(self._tools, self._name, self._fields.token_url, form, self._client)

    async def _store(self, answer: Answer, refresh_token: str) -> None:
        """Make the rotated refresh token durable; only then is anything of the answer used."""
        self._unsaved = answer
        if refresh_token != self._refresh_tokens[0]:
            self._refresh_tokens = [refresh_token, *self._refresh_tokens[:3]]
        changed = {**self._stored, "refresh_token": refresh_token}
        try:
            await self._tools.keep(json.dumps(changed).encode())
        except Exception as error:
            reason = f"The new refresh token of {self._name!r} could not be stored ({type(error).__name__})."
            fix = "Make room or mend the store; the vault holds it in memory, and tries again."
            raise Refusal("not_stored", reason, fix=fix, status=503) from None
        self._stored = changed
        self._unsaved = None


def make(name: str, value: bytes, version: int, options: Mapping[str, str], tools: Tools) -> OAuthRefresh:
    """Read and check the value. Raises Refusal: `bad_secret`."""
    stored = document(name, value)
    fields = convert(Fields, name, merged(Fields, name, stored, options, secret=SECRET))
    https_url(name, "token_url", fields.token_url)
    one_of(name, "client_authentication", fields.client_authentication, CLIENT_AUTHENTICATION)
    within(name, "leeway", fields.leeway, 0, 3600)
    long_enough(name, fields.refresh_token.encode(), "refresh_token")
    if fields.client_secret:
        long_enough(name, fields.client_secret.encode(), "client_secret")
    if not fields.client_id:
        raise bad_value(name, "the field 'client_id' is empty")
    return OAuthRefresh(name, stored, fields, tools)


SECRET = ("refresh_token", "client_secret")
KIND = Kind("oauth-refresh", make, Fields.__struct_fields__, ("header", "basic", "query", "json", "form"))
