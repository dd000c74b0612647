"""Authorization: how one target's requests are authorised, with the material already at hand. Pure: it signs, and it
says how to obtain what it needs.

Three steps for whoever sends requests, the same for every kind:

    credential = cache.get(auth.cache_key, now)            # 1 what is remembered
    if credential is None:                                 # 2 else drive the flow (auth/commands.py), once for all
        credential = drive(obtain_once(cache, auth.cache_key, auth.obtain, now))           # auth/single_flight.py
    signed = auth.sign(method, url, headers, body, credential, now)   # 3 the address and the headers to send

Step 2 of a plain key yields no command at all, so step 1 may be skipped where `needs_credential` is false. An
authorization never shows its secrets in its representation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import quote

from msgspec import Struct

from penstock.providers.auth.commands import Flow, call
from penstock.providers.auth.credentials import Credential, NoCredential, Token, require_sendable
from penstock.providers.errors import ProviderError


class Signed(Struct, frozen=True):
    """What to send: the address (with a key in it, where the host wants that) and the headers to add."""

    url: str
    headers: dict[str, str]

    def __repr__(self) -> str:
        return f"Signed({self.url.partition('?')[0]}, headers={sorted(self.headers)})"


class Authorization(Protocol):
    """How requests to one target are authorised."""

    @property
    def needs_credential(self) -> bool:
        """Whether `obtain` has anything to do."""
        ...

    @property
    def cache_key(self) -> str:
        """What the credential is remembered under: the same for the same identity, and no secret; "" for one that is
        not remembered.
        """
        ...

    def obtain(self, now: float) -> Flow[Credential]:
        """The flow that obtains the credential."""
        ...

    def sign(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, credential: Credential, now: float
    ) -> Signed:
        """The address and headers that authorise this request. `url` is complete, query included; `headers` are those
        to be sent.
        """
        ...


class KeyAuthorization(Struct, frozen=True, kw_only=True):
    """A key that goes into a header or the address as it is. No key, no header."""

    headers: dict[str, str] = {}
    query: dict[str, str] = {}

    needs_credential = False
    cache_key = ""

    def obtain(self, now: float) -> Flow[Credential]:
        yield from ()
        return NoCredential()

    def sign(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, credential: Credential, now: float
    ) -> Signed:
        for name, value in self.query.items():
            url += f"{'&' if '?' in url else '?'}{quote(name)}={quote(value, safe='')}"
        return Signed(url, dict(self.headers))

    def __repr__(self) -> str:
        return f"KeyAuthorization(headers={sorted(self.headers)}, query={sorted(self.query)})"


class TokenAuthorization(Struct, frozen=True, kw_only=True):
    """A token that `flow` obtains, sent as `Authorization: <scheme> <token>` (or in another header, without a scheme).

    `identity` tells one identity's tokens from another's ("": they are not remembered); `kind` names it for people.
    """

    kind: str
    identity: str
    flow: Callable[[float], Flow[Token]]
    header: str = "Authorization"
    scheme: str = "Bearer"
    headers: dict[str, str] = {}

    needs_credential = True

    @property
    def cache_key(self) -> str:
        return f"{self.kind}:{self.identity}" if self.identity else ""

    def obtain(self, now: float) -> Flow[Credential]:
        return (yield from self.flow(now))

    def sign(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, credential: Credential, now: float
    ) -> Signed:
        assert isinstance(credential, Token), "a token authorisation signs with a Token"
        require_sendable(credential.value, f"the {self.header} header, the {self.kind} token")
        value = f"{self.scheme} {credential.value}" if self.scheme else credential.value
        return Signed(url, {**self.headers, **credential.headers, self.header: value})

    def __repr__(self) -> str:
        return f"TokenAuthorization({self.kind})"


def user_token(function: Callable[[], Any]) -> Flow[Token]:
    """The token that the user's own function returns. It is asked for each request, and its token is not remembered:
    how long it holds, and whose it is, is the function's business.
    """
    value = yield from call(function)
    if not isinstance(value, str) or not value:
        message = f"The function that was given for a key returned {type(value).__name__}, not a string."
        raise ProviderError("malformed_credentials", message, "Let it return the key or token.")
    return Token(value)
