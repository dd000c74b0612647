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

**Several vaults over one store** take turns, and read the store again when theirs has come. A rotated refresh token is
stored together with the access token that came with it, so whoever was second uses that instead of refreshing again.
"""

import json
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from penstock.vault.credentials.contract import Kind, Tools, Turn, bad_value
from penstock.vault.credentials.fields import (
    MAX_VALUE,
    convert,
    document,
    https_url,
    long_enough,
    merged,
    one_of,
    within,
)
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
        access_token: what came with this refresh token: the vault writes it, with the next two, nobody else.
        expires_in: seconds for which that is good.
        issued_at: seconds since 1970.
    """

    client_id: str
    refresh_token: str
    token_url: str
    client_secret: str = ""
    scopes: tuple[str, ...] = ()
    client_authentication: str = "basic"
    leeway: float = LEEWAY
    parameters: dict[str, str] = {}
    access_token: str = ""
    expires_in: float | None = None
    issued_at: float = 0.0

    @property
    def granted(self) -> Granted | None:
        """The access token that is stored here."""
        if not self.access_token:
            return None
        return Granted(self.access_token.encode(), self.expires_in, self.issued_at)

    @property
    def login(self) -> "Fields":
        """The same without what changes when a login is refreshed."""
        return replace(self, refresh_token="", access_token="", expires_in=None, issued_at=0.0)

    def __repr__(self) -> str:
        return "Fields(...)"


class OAuthRefresh:
    """A login, and the access token that it is good for now."""

    kind = "oauth-refresh"

    def __init__(self, name: str, value: bytes, options: Mapping[str, str], tools: Tools) -> None:
        self._name = name
        self._options = options
        self._stored, self._fields = _read(name, value, options)
        self._tools = tools
        fields = self._fields
        self._client = Client(fields.client_id, fields.client_secret, fields.client_authentication)
        self._refresh_tokens = [fields.refresh_token]
        self._unsaved: Answer | None = None
        self._tokens = Tokens(name, self._obtain, tools.clock, fields.leeway)
        self._use_stored()

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

    def learn(self, value: bytes) -> bool:
        """Go on with what another vault has stored of this login. False: somebody set another one."""
        stored, fields = _read(self._name, value, self._options)
        if stored == self._stored:
            return True
        if not fields.access_token or fields.login != self._fields.login:
            return False
        self._unsaved = None
        self._stored, self._fields = stored, fields
        self._remember(fields.refresh_token)
        self._use_stored()
        return True

    def _use_stored(self) -> bool:
        """Use the stored access token, if it is still good."""
        granted = self._fields.granted
        if granted is None or not self._tokens.is_good(granted):
            return False
        self._tokens.take(granted)
        return True

    def _remember(self, refresh_token: str) -> None:
        if refresh_token != self._refresh_tokens[0]:
            self._refresh_tokens = [refresh_token, *self._refresh_tokens[:3]]

    async def _obtain(self) -> Granted:
        """Refresh, when our turn has come; or use what another vault was given while we waited."""
        before = self._stored
        async with self._tools.turn() as turn:
            if turn.value is not None and not self.learn(turn.value):
                raise _set_anew(self._name)
            granted = self._fields.granted
            if self._stored is not before and granted is not None and self._tokens.is_good(granted):
                return granted
            answer = self._unsaved or await self._refresh()
            if answer.refresh_token and answer.refresh_token != self._fields.refresh_token:
                await self._store(turn, answer, answer.refresh_token)
            return answer.granted

    async def _refresh(self) -> Answer:
        form = {"grant_type": "refresh_token", "refresh_token": self._refresh_tokens[0], **self._fields.parameters}
        if self._fields.scopes:
            form["scope"] = " ".join(self._fields.scopes)
        answer = await ask(self._tools, self._name, self._fields.token_url, form, self._client)
        return replace(answer, granted=replace(answer.granted, issued_at=self._tools.clock()))

    async def _store(self, turn: Turn, answer: Answer, refresh_token: str) -> None:
        """Make the rotated refresh token durable; only then is anything of the answer used."""
        self._unsaved = answer
        self._remember(refresh_token)
        value = _renewed(self._stored, answer.granted, refresh_token)
        try:
            await turn.keep(value)
        except Refusal as refusal:
            if refusal.code not in ("secret_changed", "secret_revoked"):
                raise _not_stored(self._name, refusal) from None
            self._unsaved = None  # it belongs to a login that its owner has replaced
            raise
        except Exception as error:
            raise _not_stored(self._name, error) from None
        self._stored, self._fields = _read(self._name, value, self._options)
        self._unsaved = None


def _renewed(stored: Mapping[str, object], granted: Granted, refresh_token: str) -> bytes:
    """Return the document with a new pair in it; without the access token where both together are too long."""
    kept = {name: value for name, value in stored.items() if name not in ("access_token", "expires_in", "issued_at")}
    kept["refresh_token"] = refresh_token
    token = {"access_token": granted.token.decode(), "expires_in": granted.expires_in, "issued_at": granted.issued_at}
    whole = json.dumps({**kept, **token}).encode()
    return whole if len(whole) <= MAX_VALUE else json.dumps(kept).encode()


def _not_stored(name: str, error: Exception) -> Refusal:
    reason = f"The new refresh token of {name!r} could not be stored ({type(error).__name__})."
    fix = "Make room or mend the store; the vault holds it in memory, and tries again."
    return Refusal("not_stored", reason, fix=fix, status=503)


def _set_anew(name: str) -> Refusal:
    reason = f"The secret {name!r} was set anew while its login was to be refreshed."
    return Refusal("secret_changed", reason, fix="Try again.", status=503)


def _read(name: str, value: bytes, options: Mapping[str, str]) -> tuple[dict[str, object], Fields]:
    """Return the document and its fields, checked. Raises Refusal: `bad_secret`."""
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
    if fields.access_token:
        long_enough(name, fields.access_token.encode(), "access_token")
    return stored, fields


def make(name: str, value: bytes, version: int, options: Mapping[str, str], tools: Tools) -> OAuthRefresh:
    """Read and check the value. Raises Refusal: `bad_secret`."""
    return OAuthRefresh(name, value, options, tools)


SECRET = ("refresh_token", "client_secret", "access_token")
KIND = Kind("oauth-refresh", make, Fields.__struct_fields__, ("header", "basic", "query", "json", "form"))
