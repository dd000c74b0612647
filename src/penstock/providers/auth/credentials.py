"""Credentials: what a flow obtains, for how long it holds, and the small cache that remembers it.

Times are Unix seconds and always come in as an argument: nothing here reads a clock. A credential counts as spent
`EXPIRY_MARGIN` seconds before it expires, so that no request leaves with one that dies on the way; `REFRESH_MARGIN`
seconds before, a new one is worth fetching while the old one still serves.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from datetime import UTC, datetime
from typing import TypeAlias

from msgspec import Struct

EXPIRY_MARGIN = 60.0
"""Seconds before its expiry from which a credential is not used any more."""

REFRESH_MARGIN = 300.0
"""Seconds before its expiry from which a new one should be fetched."""


class NoCredential(Struct, frozen=True):
    """Nothing needs to be obtained: the authorisation carries its key itself."""

    expires_at: float | None = None


class Token(Struct, frozen=True):
    """An access token. `expires_at` is None where it holds until further notice."""

    value: str
    expires_at: float | None = None

    def __repr__(self) -> str:
        return f"Token(expires_at={self.expires_at})"


class AwsCredentials(Struct, frozen=True, kw_only=True):
    """AWS keys; `session_token` for temporary ones. `source` says where they came from, for people who wonder."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None
    expires_at: float | None = None
    source: str = ""

    def __repr__(self) -> str:
        return f"AwsCredentials({self.access_key_id[:4]}..., source={self.source!r}, expires_at={self.expires_at})"


Credential: TypeAlias = NoCredential | Token | AwsCredentials


def is_usable(credential: Credential, now: float, margin: float = EXPIRY_MARGIN) -> bool:
    """Whether `credential` still holds `margin` seconds after `now`."""
    return credential.expires_at is None or credential.expires_at - margin > now


def digest(*parts: object) -> str:
    """A key for the cache that does not hold the secrets it was made from."""
    return hashlib.sha256("\0".join(repr(part) for part in parts).encode()).hexdigest()


def unix_time(timestamp: str) -> float:
    """Unix seconds of an RFC 3339 timestamp ("2026-01-31T12:00:00Z"); one without a zone is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(timestamp)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


class CredentialCache:
    """Remembers credentials by the key of the authorisation that obtained them; the oldest go first when there are too
    many.

    Not locked: a driver that shares one between threads guards it, and lets one of them refresh.
    """

    def __init__(self, capacity: int = 512) -> None:
        self._capacity = capacity
        self._credentials: OrderedDict[str, Credential] = OrderedDict()

    def get(self, key: str, now: float) -> Credential | None:
        """The credential for `key`, if one is there and still usable."""
        credential = self._credentials.get(key)
        if credential is None or not is_usable(credential, now):
            return None
        self._credentials.move_to_end(key)
        return credential

    def refresh_due(self, key: str, now: float) -> bool:
        """Whether a new credential for `key` is worth fetching now."""
        credential = self._credentials.get(key)
        return credential is None or not is_usable(credential, now, REFRESH_MARGIN)

    def put(self, key: str, credential: Credential) -> None:
        """Remember `credential` for `key`."""
        self._credentials[key] = credential
        self._credentials.move_to_end(key)
        while len(self._credentials) > self._capacity:
            self._credentials.popitem(last=False)

    def forget(self, key: str, credential: Credential | None = None) -> None:
        """Drop what is remembered for `key`, or only `credential` if that is it."""
        if credential is None or self._credentials.get(key) == credential:
            self._credentials.pop(key, None)


class Borrowing:
    """What one attempt takes from the cache and puts into it. It knows whether the credential that went out was a
    remembered one: if the host refuses that, it may have been revoked since, and a fresh one is worth a try.
    """

    __slots__ = ("_cache", "_lent")

    def __init__(self, cache: CredentialCache) -> None:
        self._cache = cache
        self._lent: tuple[str, Credential] | None = None

    def get(self, key: str, now: float) -> Credential | None:
        """The remembered credential, if one is still usable."""
        found = self._cache.get(key, now)
        self._lent = None if found is None else (key, found)
        return found

    def put(self, key: str, credential: Credential) -> None:
        """Remember a fresh credential."""
        self._lent = None
        self._cache.put(key, credential)

    def refused(self) -> bool:
        """The host refused (401, 403). If what it refused was remembered, it is forgotten, and trying again helps."""
        if self._lent is None:
            return False
        self._cache.forget(*self._lent)
        self._lent = None
        return True
