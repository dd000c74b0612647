"""Health: what is known of a deployment from its traffic. A value for each; an event makes another.

Cooldown rules, after LiteLLM's (reference: litellm.md 3): an error that will not pass by itself within a second (429,
401, 402, 404, 408) rests a deployment at once; others rest it when more than half of at least five requests of the
last minute failed, or more than `allowed_fails` if that was set. What the caller did wrong (400, 413, 422) says
nothing about a deployment and rests it only where `fails_by_kind` names it. A deployment that is the only one of its
group is never rested, for that would turn one failure into many. When the rest is over it is simply tried again.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from penstock.types.errors import ErrorKind, ErrorResponse

WINDOW = 60.0
"""Seconds that failures are counted over."""
LATENCY_MEMORY = 300.0
"""Seconds after which a latency is forgotten, so that a deployment that was slow once is measured again."""
_AT_ONCE: frozenset[ErrorKind] = frozenset(
    {"rate_limit", "quota", "billing", "authentication", "permission", "not_found", "timeout"}
)
_CALLERS: frozenset[ErrorKind] = frozenset(
    {"invalid_request", "context_window", "content_policy", "unsupported", "too_large", "unprocessable"}
)
"""Errors that say something about the request and nothing about the deployment."""
_SMOOTHING = 0.3
"""Share of the newest latency in the average: about the last five calls count."""


class CooldownRules(Struct, frozen=True, kw_only=True):
    """seconds: how long a rest is (a Retry-After that is longer counts, up to `longest`); allowed_fails: failures a
    minute before a rest (None: the half of five); fails_by_kind: the same after an error of that kind; enabled:
    whether at all.
    """

    seconds: float = 5.0
    allowed_fails: int | None = None
    fails_by_kind: Mapping[ErrorKind, int] = {}
    enabled: bool = True
    longest: float = 600.0


class Health(Struct, frozen=True):
    """One deployment. `latency` is the smoothed time to the answer (of a stream: to its first piece) in seconds, None
    where it is not known; `measured` is when it was taken last.
    """

    in_flight: int = 0
    latency: float | None = None
    measured: float = 0.0
    window_start: float = 0.0
    successes: int = 0
    failures: int = 0
    rests_until: float = 0.0


HEALTHY = Health()


def started(health: Health) -> Health:
    """A request was sent."""
    return replace(health, in_flight=health.in_flight + 1)


def left(health: Health) -> Health:
    """A request is over, however it ended: nobody reads from it any more."""
    return replace(health, in_flight=max(0, health.in_flight - 1))


def succeeded(health: Health, now: float, seconds: float) -> Health:
    """A request was answered after `seconds`."""
    health = _window(health, now)
    old = aged(health, now).latency
    latency = seconds if old is None else old + _SMOOTHING * (seconds - old)
    return replace(health, latency=latency, measured=now, successes=health.successes + 1)


def failed(health: Health, now: float, error: ErrorResponse, rules: CooldownRules, alone: bool) -> Health:
    """A request failed. `alone`: there is no other deployment in the group."""
    if error.kind in _CALLERS and error.kind not in rules.fails_by_kind:
        return health
    health = _window(health, now)
    health = replace(health, failures=health.failures + 1)
    if alone or not rules.enabled or not _must_rest(health, error, rules):
        return health
    until = now + max(rules.seconds, min(error.retry_after or 0.0, rules.longest))
    return replace(health, rests_until=max(until, health.rests_until), failures=0, successes=0)


def _must_rest(health: Health, error: ErrorResponse, rules: CooldownRules) -> bool:
    allowed = rules.fails_by_kind.get(error.kind, rules.allowed_fails)
    if allowed is not None:
        return health.failures > allowed
    total = health.failures + health.successes
    return error.kind in _AT_ONCE or (total >= 5 and health.failures * 2 > total)


def _window(health: Health, now: float) -> Health:
    if now - health.window_start < WINDOW:
        return health
    return replace(health, window_start=now, successes=0, failures=0)


def aged(health: Health, now: float) -> Health:
    """The same without a latency that is too old to go by."""
    if health.latency is None or now - health.measured < LATENCY_MEMORY:
        return health
    return replace(health, latency=None)


def rests(health: Health, now: float) -> bool:
    """Whether the deployment is not to be asked now."""
    return now < health.rests_until
