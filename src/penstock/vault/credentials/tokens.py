"""Tokens that expire: obtained once for all who wait, held until shortly before their end, replaced once on a 401.

**Single flight.** One task obtains a token, however many requests need it; it belongs to none of them, so a request
that is cancelled does not cancel it. That matters most where a refresh token rotates: a call that was sent must be
heard to its end, or the only valid refresh token is lost. (Vaults over one store take turns: `turns.py`.)

**Failures are held, too.** A token service that said no is asked again after HOLD seconds, whatever the agent does.

**A 401** replaces the token that was seen, once. Everyone whose 401 came from the same token waits for the same new one
(True: try once more). A token that was itself obtained after a 401 less than HOLD seconds ago is not replaced again
(False): then the token is not what is wrong.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import msgspec

from penstock.vault.values import Clock, Refusal, Secret

HOLD = 10.0
"""Seconds during which a failure, or the answer to a 401, stands."""

LEEWAY = 60.0
"""Seconds before its end from which on a token is not used any more; at most half of its life."""

LIFETIME = 3600.0
"""Seconds that a token without `expires_in` is used."""

REMEMBERED = 600.0
"""Seconds, at least, that a replaced token is still scrubbed from answers."""

KEPT = 16
"""How many tokens that may still be valid are kept in mind to be scrubbed, besides the current one."""


class Granted(msgspec.Struct, frozen=True):
    """A token as it was issued: for `expires_in` seconds, None where nobody said; at `issued_at`, None for now."""

    token: bytes
    expires_in: float | None = None
    issued_at: float | None = None

    def __repr__(self) -> str:
        return f"Granted(expires_in={self.expires_in})"

    def span(self, now: float, leeway: float) -> tuple[float, float]:
        """Return until when it is used, and when it ends (seconds since 1970)."""
        lasts = LIFETIME if self.expires_in is None else max(self.expires_in, 0.0)
        ends = (now if self.issued_at is None else self.issued_at) + lasts
        return ends - min(leeway, lasts / 2), ends


class Tokens:
    """The current token of one secret, and those before it that may still be valid.

    Args:
        name: the secret's name.
        obtain: gets a new token; raises Refusal.
        clock: seconds since 1970.
        leeway: seconds before the end from which on a token is replaced.
    """

    def __init__(
        self, name: str, obtain: Callable[[], Awaitable[Granted]], clock: Clock, leeway: float = LEEWAY
    ) -> None:
        self._name = name
        self._obtain = obtain
        self._clock = clock
        self._leeway = leeway
        self._current: Secret | None = None
        self._good_until = 0.0
        self._past: deque[tuple[bytes, float]] = deque(maxlen=KEPT)
        self._ends = 0.0
        self._version = 0
        self._flight: asyncio.Task[Secret] | None = None
        self._failure: tuple[Refusal, float] | None = None
        self._replaced_at = float("-inf")

    async def current(self) -> Secret:
        """Return a token that is valid now. Raises Refusal where none can be obtained."""
        if self._current is not None and self._clock() < self._good_until:
            return self._current
        return await self._fly()

    def is_good(self, granted: Granted) -> bool:
        """Whether a token would still be used."""
        now = self._clock()
        return now < granted.span(now, self._leeway)[0]

    def take(self, granted: Granted) -> Secret:
        """Use a token from now on; the one before it is remembered."""
        now = self._clock()
        if self._current is not None and self._current.value != granted.token:
            self._past.appendleft((self._current.value, max(self._ends, now + REMEMBERED)))
        self._version += 1
        self._current = Secret(self._name, granted.token, self._version)
        self._good_until, self._ends = granted.span(now, self._leeway)
        return self._current

    async def rejected(self, seen: Secret) -> bool:
        """Replace the token that got a 401, if it is still the current one. True: there is a newer one."""
        if self._current is None or seen.version != self._current.version:
            return True
        if self._flight is None:
            if self._clock() - self._replaced_at < HOLD:
                return False
            self._replaced_at = self._clock()
        await self._fly()
        return True

    def live(self) -> list[bytes]:
        """Return the current token and those before it whose end has not come."""
        now = self._clock()
        past = [token for token, ends in self._past if now < ends]
        return ([self._current.value] if self._current else []) + past

    async def _fly(self) -> Secret:
        """Wait for the one flight under way, or begin it."""
        if self._flight is None:
            self._raise_held_failure()
            self._flight = asyncio.ensure_future(self._renew())
            self._flight.add_done_callback(self._landed)
        try:
            return await asyncio.shield(self._flight)
        except Refusal as refusal:
            raise again(refusal) from None

    def _raise_held_failure(self) -> None:
        if self._failure is not None and self._clock() < self._failure[1]:
            raise again(self._failure[0])

    def _landed(self, flight: asyncio.Task[Secret]) -> None:
        self._flight = None
        if flight.cancelled():
            return
        error = flight.exception()  # asked for, so that a flight for which nobody waits any more does not complain
        self._failure = (again(error), self._clock() + HOLD) if isinstance(error, Refusal) else None

    async def _renew(self) -> Secret:
        return self.take(await self._obtain())


def again(refusal: Refusal) -> Refusal:
    """Return a copy, for everyone who hears of a failure raises it with a traceback of their own."""
    return Refusal(refusal.code, refusal.reason, fix=refusal.fix, status=refusal.status, challenge=refusal.challenge)
