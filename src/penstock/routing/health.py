"""Health: what is known of a deployment from its traffic. A value for each; an event makes another.

Cooldown is a circuit breaker. **Closed**: the deployment is asked. Failures open the circuit, after LiteLLM's rules
(reference: litellm.md 3): one that will not pass by itself within a second (429, 401, 402, 404, 408) at once; others
when more than half of at least five requests of the last minute failed, or `consecutive` in a row however long that
took; or more than `allowed_fails` a minute, where that is set. **Open**: it rests, and is not asked. When the rest is
over the circuit is **half open**: exactly one request, the probe, is let through (`claimed`). Its success closes the
circuit; its failure opens it again, for twice as long each time, up to `longest`.

What the caller did wrong (400, 413, 422) says nothing about a deployment and rests it only where `fails_by_kind` names
it. A deployment that is the only one of its group is not rested, for that would turn one failure into many, unless the
rules say so (`single`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from penstock.routing.limits import Limits
from penstock.types.errors import ErrorKind, ErrorResponse

WINDOW = 60.0
"""Seconds that requests and failures are counted over."""
LATENCY_MEMORY = 300.0
"""Seconds after which a latency is forgotten, so that a deployment that was slow once is measured again."""
CLAIM = 5.0
"""Seconds within which a request that was chosen as the probe must have begun, or another may be."""
_AT_ONCE: frozenset[ErrorKind] = frozenset(
    {"rate_limit", "quota", "billing", "authentication", "permission", "not_found", "timeout"}
)
_CALLERS: frozenset[ErrorKind] = frozenset(
    {"invalid_request", "context_window", "content_policy", "unsupported", "too_large", "unprocessable"}
)
"""Errors that say something about the request and nothing about the deployment."""
_SMOOTHING = 0.3
"""Share of the newest latency in the average: about the last five calls count."""
_NEVER = float("inf")


class CooldownRules(Struct, frozen=True, kw_only=True):
    """When a deployment rests, and how long.

    seconds        how long the first rest is (a Retry-After that is longer counts)
    allowed_fails  failures a minute before a rest; None: the half of five, or `consecutive`
    fails_by_kind  the same after an error of that kind
    consecutive    failures in a row, without a success between them, before a rest
    enabled        whether anybody rests at all
    single         whether the only deployment of a group rests too
    longest        seconds that no rest is longer than: not by a Retry-After, and not by probes that fail
    """

    seconds: float = 5.0
    allowed_fails: int | None = None
    fails_by_kind: Mapping[ErrorKind, int] = {}
    consecutive: int = 5
    enabled: bool = True
    single: bool = False
    longest: float = 600.0


class Health(Struct, frozen=True):
    """One deployment.

    in_flight         requests that are under way
    latency           smoothed seconds to a whole answer, `measured` when it was taken last; None: not known
    first_token       smoothed seconds to the first piece of a stream, taken last at `heard`; None: not known
    window_start      when the minute began that the following three are counted in
    requests          that began in it
    tokens            that they used, as far as it was told
    successes, failures    of requests in it
    failures_in_a_row without a success between them, whenever
    rests_until       end of its last rest; 0: the circuit is closed
    trips             rests without a success between them
    probed_until      until then another request is the probe, and no second one is let through
    begun             requests that ever began
    limits            what its provider told of its limits, when `begun_when_told` had begun; None: nothing
    """

    in_flight: int = 0
    latency: float | None = None
    measured: float = 0.0
    window_start: float = 0.0
    successes: int = 0
    failures: int = 0
    rests_until: float = 0.0
    first_token: float | None = None
    heard: float = 0.0
    requests: int = 0
    tokens: int = 0
    failures_in_a_row: int = 0
    trips: int = 0
    probed_until: float = 0.0
    begun: int = 0
    limits: Limits | None = None
    begun_when_told: int = 0


HEALTHY = Health()
Circuit = Literal["closed", "open", "half-open"]

# -- what happens to it -----------------------------------------------------------------------------------------------


def started(health: Health, now: float = 0.0) -> Health:
    """A request was sent. A probe that was claimed has begun, and is the only one until it is over."""
    if now - health.window_start >= WINDOW:
        health = _window(health, now)
    if health.probed_until > now:
        health = replace(health, probed_until=_NEVER)
    return replace(health, in_flight=health.in_flight + 1, requests=health.requests + 1, begun=health.begun + 1)


def left(health: Health) -> Health:
    """A request is over, however it ended: nobody reads from it any more. A probe that came to nothing is another's to
    make.
    """
    if health.probed_until == _NEVER:
        health = replace(health, probed_until=0.0)
    return replace(health, in_flight=max(0, health.in_flight - 1))


def succeeded(
    health: Health, now: float, seconds: float, streams: bool = False, left: bool = False, tokens: int = 0
) -> Health:
    """A request was answered after `seconds`; with `streams`, a stream began then. `left`: and it is over. `tokens`:
    what it used, as far as that is known already.
    """
    if now - health.window_start >= WINDOW:
        health = _window(health, now)
    if health.rests_until and (now >= health.rests_until or health.probed_until):
        health = replace(health, rests_until=0.0, trips=0, probed_until=0.0, failures=0)
    in_flight = max(0, health.in_flight - 1) if left else health.in_flight
    if streams:
        first_token = _smoothed(health.first_token, health.heard, now, seconds)
        return replace(
            health,
            in_flight=in_flight,
            first_token=first_token,
            heard=now,
            successes=health.successes + 1,
            failures_in_a_row=0,
        )
    latency = _smoothed(health.latency, health.measured, now, seconds)
    return replace(
        health,
        in_flight=in_flight,
        latency=latency,
        measured=now,
        successes=health.successes + 1,
        failures_in_a_row=0,
        tokens=health.tokens + tokens,
    )


def failed(health: Health, now: float, error: ErrorResponse, rules: CooldownRules, alone: bool) -> Health:
    """A request failed. `alone`: there is no other deployment in the group."""
    if error.kind in _CALLERS and error.kind not in rules.fails_by_kind:
        return _answered_at_least(health, now, error)
    health = _window(health, now)
    health = replace(health, failures=health.failures + 1, failures_in_a_row=health.failures_in_a_row + 1)
    if (alone and not rules.single) or not rules.enabled or not _must_rest(health, now, error, rules):
        return health
    trips = health.trips if rests(health, now) else health.trips + 1  # what failed late is no failure of a probe
    rest = min(rules.seconds * 2.0 ** min(max(trips - 1, 0), 30), max(rules.longest, rules.seconds))
    until = now + max(rest, min(error.retry_after or 0.0, rules.longest))
    return replace(
        health,
        rests_until=max(until, health.rests_until),
        trips=trips,
        probed_until=0.0,
        failures=0,
        successes=0,
        failures_in_a_row=0,
    )


def rested(health: Health, until: float, trips: int) -> Health:
    """Another process has seen it fail, and says until when it rests."""
    return replace(health, rests_until=max(until, health.rests_until), trips=max(trips, health.trips))


def recovered(health: Health) -> Health:
    """Another process has seen it answer its probe."""
    return replace(health, rests_until=0.0, trips=0, probed_until=0.0, failures=0, failures_in_a_row=0)


def used(health: Health, now: float, tokens: int) -> Health:
    """An answer told how many tokens it took, in and out."""
    health = _window(health, now)
    return replace(health, tokens=health.tokens + tokens)


def told(health: Health, limits: Limits) -> Health:
    """An answer told what is left of the provider's limits. Of which it says nothing, that stays as it was."""
    before = health.limits
    if before is not None and limits.requests is None and limits.tokens is None:
        return health
    if before is not None:
        limits = Limits(limits.told, limits.requests or before.requests, limits.tokens or before.tokens)
    return replace(health, limits=limits, begun_when_told=health.begun)


def claimed(health: Health, now: float) -> Health | None:
    """The same with a request chosen for it, which shall begin at once; None where it must not: it rests, or another
    request is its probe. Where the circuit is closed this changes nothing.
    """
    if not health.rests_until:
        return health
    if not may_be_asked(health, now):
        return None
    return replace(health, probed_until=now + CLAIM)


def _answered_at_least(health: Health, now: float, error: ErrorResponse) -> Health:
    """A refusal of the caller's request by the provider itself shows that the deployment answers: that closes the
    circuit. One of our own (nothing was received: no body) shows nothing.
    """
    if not health.rests_until or now < health.rests_until or error.body is None:
        return health
    return recovered(health)


def _must_rest(health: Health, now: float, error: ErrorResponse, rules: CooldownRules) -> bool:
    if health.rests_until and now >= health.rests_until:
        return True  # half open: whoever fails now was the probe, or as good as it
    allowed = rules.fails_by_kind.get(error.kind, rules.allowed_fails)
    if allowed is not None:
        return health.failures > allowed
    total = health.failures + health.successes
    if error.kind in _AT_ONCE or health.failures_in_a_row >= rules.consecutive:
        return True
    return total >= 5 and health.failures * 2 > total


def _window(health: Health, now: float) -> Health:
    if now - health.window_start < WINDOW:
        return health
    return replace(health, window_start=now, successes=0, failures=0, requests=0, tokens=0)


def _smoothed(old: float | None, measured: float, now: float, seconds: float) -> float:
    if old is None or now - measured >= LATENCY_MEMORY:
        return seconds
    return old + _SMOOTHING * (seconds - old)


# -- what it says -----------------------------------------------------------------------------------------------------


def aged(health: Health, now: float) -> Health:
    """The same without latencies that are too old to go by."""
    if health.latency is not None and now - health.measured >= LATENCY_MEMORY:
        health = replace(health, latency=None)
    if health.first_token is not None and now - health.heard >= LATENCY_MEMORY:
        health = replace(health, first_token=None)
    return health


def latency_of(health: Health, now: float, streams: bool) -> float | None:
    """Seconds to what a caller waits for: the whole answer, or the first piece of a stream. Where only the other is
    known it stands in. None: nothing is known that is not too old.
    """
    health = aged(health, now)
    first, other = (health.first_token, health.latency) if streams else (health.latency, health.first_token)
    return other if first is None else first


def rests(health: Health, now: float) -> bool:
    """Whether the deployment is not to be asked now."""
    return now < health.rests_until


def may_be_asked(health: Health, now: float) -> bool:
    """Whether its circuit is closed, or half open with no probe under way."""
    return not health.rests_until or (now >= health.rests_until and now >= health.probed_until)


def circuit(health: Health, now: float) -> Circuit:
    """The state of the circuit breaker."""
    if not health.rests_until:
        return "closed"
    return "open" if rests(health, now) else "half-open"
