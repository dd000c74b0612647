"""Credentials: what a flow obtains, for how long it holds, and the small cache that remembers it.

Times are Unix seconds and always come in as an argument: nothing here reads a clock. A credential counts as spent
`EXPIRY_MARGIN` seconds before it expires, so that no request leaves with one that dies on the way.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

from msgspec import Struct

from penstock.providers.errors import ProviderError

EXPIRY_MARGIN = 60.0
"""Seconds before its expiry from which a credential is not used any more."""


class NoCredential(Struct, frozen=True):
    """Nothing needs to be obtained: the authorisation carries its key itself."""

    expires_at: float | None = None


class Token(Struct, frozen=True):
    """An access token. `expires_at` is None where it holds until further notice; `headers` go with it."""

    value: str
    expires_at: float | None = None
    headers: dict[str, str] = {}

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


def require_sendable(value: str, what: str) -> None:
    """Raise ProviderError (malformed_credentials) where a header cannot carry `value`: it holds a line break, or a
    letter that is not in ASCII. Whoever sends would tell the whole value in its own error.
    """
    if value.isascii() and value.isprintable():
        return
    odd = next(place for place, letter in enumerate(value, 1) if not " " <= letter <= "~")
    message = f"The value for {what} holds a character that no header can carry (number {odd} of {len(value)})."
    raise ProviderError("malformed_credentials", message, "Fetch or copy it again, without line breaks.")


def unix_time(timestamp: str) -> float:
    """Unix seconds of an RFC 3339 timestamp ("2026-01-31T12:00:00Z"); one without a zone is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(timestamp)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


class Flight:
    """One credential on its way: who waits for it need not ask for it again. For all threads.

    over      whether it has ended
    outcome   then: the credential, the ProviderError that came instead, or None where whoever flew gave up
    thread    the thread that flies
    """

    __slots__ = ("_lock", "_waiting", "outcome", "over", "thread")

    def __init__(self) -> None:
        self.over = False
        self.outcome: Credential | ProviderError | None = None
        self.thread = threading.get_ident()
        self._waiting: list[Callable[[], object]] = []
        self._lock = threading.Lock()

    def then(self, wake: Callable[[], object]) -> None:
        """Call `wake` when it is over, from whichever thread lands it; at once if it is."""
        with self._lock:
            if not self.over:
                self._waiting.append(wake)
                return
        wake()

    def land(self, outcome: Credential | ProviderError | None) -> None:
        """It is over."""
        with self._lock:
            self.outcome, self.over = outcome, True
            waiting, self._waiting = self._waiting, []
        for wake in waiting:
            wake()


class CredentialCache:
    """Remembers credentials by the key of the authorisation that obtained them; the oldest go first when there are too
    many. Knows which ones are on their way. For all threads.
    """

    def __init__(self, capacity: int = 512) -> None:
        self._capacity = capacity
        self._credentials: OrderedDict[str, Credential] = OrderedDict()
        self._flights: dict[str, Flight] = {}
        self._lock = threading.Lock()

    def get(self, key: str, now: float) -> Credential | None:
        """The credential for `key`, if one is there and still usable."""
        with self._lock:
            credential = self._credentials.get(key)
            if credential is None or not is_usable(credential, now):
                return None
            self._credentials.move_to_end(key)
            return credential

    def claim(self, key: str, now: float) -> Credential | Flight | None:
        """What there is for `key`: a usable credential, or the flight that will bring one; None: it is for the caller
        to fly now, and to `land`.
        """
        known = self.get(key, now)
        if known is not None:
            return known
        with self._lock:
            flight = self._flights.get(key)
            if flight is None:
                self._flights[key] = Flight()
            return flight

    def land(self, key: str, outcome: Credential | ProviderError | None) -> None:
        """The flight for `key` is over: remember what it brought, and tell those who wait."""
        with self._lock:
            flight = self._flights.pop(key, None)
        if isinstance(outcome, NoCredential | Token | AwsCredentials):
            self.put(key, outcome)
        if flight is not None:
            flight.land(outcome)

    def put(self, key: str, credential: Credential) -> None:
        """Remember `credential` for `key`."""
        with self._lock:
            self._credentials[key] = credential
            self._credentials.move_to_end(key)
            while len(self._credentials) > self._capacity:
                self._credentials.popitem(last=False)

    def forget(self, key: str, credential: Credential | None = None) -> None:
        """Drop what is remembered for `key`, or only `credential` if that is it."""
        with self._lock:
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

    def claim(self, key: str, now: float) -> Credential | Flight | None:
        """See `CredentialCache.claim`. What comes of it is fresh."""
        self._lent = None
        return self._cache.claim(key, now)

    def land(self, key: str, outcome: Credential | ProviderError | None) -> None:
        """See `CredentialCache.land`."""
        self._cache.land(key, outcome)

    def refused(self) -> bool:
        """The host refused (401, 403). If what it refused was remembered, it is forgotten, and trying again helps."""
        if self._lent is None:
            return False
        self._cache.forget(*self._lent)
        self._lent = None
        return True
