"""What the vault's parts say to each other: frozen values, no behaviour beyond reading them.

Header names are lower case; header values are text of one byte a character (latin-1), so that nothing is lost on the
way. A secret is always `bytes`, and no value here shows one when it is printed.
"""

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

Scheme = Literal["https", "http", "ssh"]
Headers = tuple[tuple[str, str], ...]

DEFAULT_PORTS: Mapping[Scheme, int] = {"https": 443, "http": 80, "ssh": 22}


class Refusal(Exception):
    """A request, a name or a rule that the vault will not have, and what a human can do about it.

    Args:
        code: a stable word for machines (`no_rule`, `bad_path` ...): docs/reference/vault-bindings.md lists them.
        reason: one sentence for people. It never holds a secret, nor the value of a credential that the client sent.
        fix: what to do, as a command or a setting where there is one.
        status: the HTTP status that tells the client.
        challenge: the value of `WWW-Authenticate` for a 401, where the client should ask its user or helper (git does).
    """

    def __init__(
        self, code: str, reason: str, *, fix: str = "", status: int = 403, challenge: str | None = None
    ) -> None:
        super().__init__(f"{reason} {fix}".strip())
        self.code = code
        self.reason = reason
        self.fix = fix
        self.status = status
        self.challenge = challenge


class Destination(msgspec.Struct, frozen=True):
    """Where a connection goes. `host` is canonical (`names.canonical_host`): lower case, IDNA, or an address."""

    scheme: Scheme
    host: str
    port: int


class RequestHead(msgspec.Struct, frozen=True):
    """The head of one request as parsed: `target` in origin form (`/path?query`), headers in their order."""

    method: str
    target: str
    headers: Headers

    def values(self, name: str) -> list[str]:
        """Return the values of the header `name` (lower case), in their order."""
        return [value for key, value in self.headers if key == name]


class ResponseHead(msgspec.Struct, frozen=True):
    """The head of one response as parsed."""

    status: int
    reason: str
    headers: Headers


class Secret:
    """The bytes of a secret with its name and version. Printing it, or what holds it, shows the name only."""

    __slots__ = ("name", "value", "version")

    def __init__(self, name: str, value: bytes, version: int = 1) -> None:
        self.name = name
        self.value = value
        self.version = version

    def __repr__(self) -> str:
        return f"Secret({self.name!r}, version={self.version})"


class Fetched(msgspec.Struct, frozen=True):
    """The answer to a call that the vault makes for itself (a token endpoint, a secret store)."""

    status: int
    headers: Headers
    body: bytes


class Fetch(Protocol):
    """Makes one HTTPS call of the vault's own: its checks of addresses, TLS verified, no redirect followed.

    Raises:
        Refusal: the address may not be called, or the call failed (`code="fetch_failed"`).
    """

    async def __call__(self, method: str, url: str, headers: Headers = (), body: bytes = b"") -> Fetched: ...


class Clock(Protocol):
    """Seconds since 1970, so that expiry can be tested without waiting."""

    def __call__(self) -> float: ...
