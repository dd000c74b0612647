"""Retry: the values that the exchange and its plans speak in. What was tried, what to try next, how long to wait.

The exchange (exchange.py) asks a plan; a plan is pure and knows no network, so it needs these words and nothing else
of the exchange.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from penstock.types.errors import ErrorKind, ErrorResponse

RETRYABLE: frozenset[ErrorKind] = frozenset(
    {"timeout", "conflict", "rate_limit", "server", "bad_gateway", "unavailable", "overloaded"}
)
"""Errors that pass by waiting. (`quota`, `billing` and `authentication` do not.)"""


class Tried(Struct, frozen=True):
    """One attempt that failed: whom, with what error, and how long it took. `sent` says whether the provider may have
    seen the request.
    """

    name: str
    provider: str
    model: str
    error: ErrorResponse
    seconds: float
    sent: bool = True


class Again(Struct, frozen=True):
    """Try `attempt` after `wait` seconds. `then`, where there is one, is asked after the wait what to do instead, for
    much may have changed meanwhile: the same, another, another wait; None: give up.
    """

    attempt: Any
    wait: float = 0.0
    then: Callable[[], Again | None] | None = None


class Backoff(Struct, frozen=True, kw_only=True):
    """How long to wait before the n-th retry: `initial` doubled each time up to `longest` seconds, less a random
    share of up to `jitter`.

    A provider's Retry-After is honoured up to `longest_retry_after`; one that asks for more ends the retries of that
    attempt. The figures are those of the `openai` package, which LiteLLM's users are used to.
    """

    initial: float = 0.5
    longest: float = 8.0
    jitter: float = 0.25
    longest_retry_after: float = 60.0

    def wait(self, retry: int, error: ErrorResponse, random: float) -> float | None:
        """Seconds before retry number `retry` (from 0); None: not worth waiting. `random` is in [0, 1)."""
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= self.longest_retry_after else None
        delay: float = min(self.initial * 2.0 ** min(retry, 30), self.longest)
        return delay * (1.0 - self.jitter * random)
