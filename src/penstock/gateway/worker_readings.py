"""What of a worker is read at each report of its metrics: connections, what is under way, what is known of deployments.

The parts that are read know nothing of metrics; here is what they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sized
from typing import Protocol

from penstock.gateway.metrics import Metrics
from penstock.gateway.principal import Quota
from penstock.routing.health import Circuit, Health, circuit
from penstock.routing.limits import Limit

_STATES: Mapping[Circuit, float] = {"closed": 0, "half-open": 1, "open": 2}


class Pool(Protocol):
    """Connections to one origin (`upstream.PoolStats`)."""

    @property
    def origin(self) -> str: ...
    @property
    def open(self) -> int: ...
    @property
    def idle(self) -> int: ...
    @property
    def connecting(self) -> int: ...
    @property
    def waiting(self) -> int: ...


def watch_worker(
    metrics: Metrics,
    *,
    connections: Sized,
    pools: Callable[[], Iterable[Pool]],
    healths: Callable[[], Mapping[str, Health]],
    now: Callable[[], float],
    version: Callable[[], int],
    queue: Callable[[], int] | None = None,
    unspent: Callable[[], Iterable[tuple[Quota, int]]] = tuple,
    alias: Callable[[str], str | None] = lambda token: None,
) -> None:
    """Have a worker read for each report.

    connections   of clients (`http.Connections`)
    pools         connections to providers (`Upstream.stats`)
    healths       what is known of deployments, by id (`router.table.healths`), on the clock `now`
    version       of the snapshot in force
    queue         requests that wait for capacity; None: they do not
    unspent       what leases are held of each quota, and no call has taken
    alias         the alias of a key (by its token), where it may be a label
    """
    metrics.gauge("penstock_client_connections", lambda: len(connections))
    metrics.gauge("penstock_upstream_connections", lambda: states(pools()))
    metrics.gauge("penstock_upstream_waiting", lambda: waiting(pools()))
    if queue is not None:
        metrics.gauge("penstock_queue_length", queue)
    metrics.gauge("penstock_config_version", version)
    metrics.gauge("penstock_key_remaining", lambda: held(unspent(), alias, money=False))
    metrics.gauge("penstock_key_budget_remaining_dollars", lambda: held(unspent(), alias, money=True))
    metrics.gauge("penstock_deployment_state", lambda: circuits(healths(), now()))
    metrics.gauge(
        "penstock_deployment_in_flight", lambda: {(name,): health.in_flight for name, health in healths().items()}
    )
    metrics.gauge("penstock_requests_in_flight", lambda: sum(health.in_flight for health in healths().values()))
    metrics.gauge("penstock_deployment_requests_remaining", lambda: remaining(healths(), now(), "requests"))
    metrics.gauge("penstock_deployment_tokens_remaining", lambda: remaining(healths(), now(), "tokens"))


def held(
    unspent: Iterable[tuple[Quota, int]], alias: Callable[[str], str | None], *, money: bool
) -> dict[tuple[str, ...], float]:
    """What this worker holds of the limits (or budgets, in dollars) of keys: the keeper says the rest."""
    found: dict[tuple[str, ...], float] = {}
    for quota, units in unspent:
        if (quota.kind == "money") is money and (name := alias(quota.name.split(":", 2)[1])):
            found[(name,) if money else (name, quota.kind)] = units / 10**12 if money else units
    return found


def states(pools: Iterable[Pool]) -> dict[tuple[str, ...], float]:
    """Connections by origin and state. Several pools may have one origin, by different proxies or certificates."""
    found: dict[tuple[str, ...], float] = {}
    for pool in pools:
        origin = _named(pool)
        for state, number in (
            ("busy", pool.open - pool.idle),
            ("idle", pool.idle),
            ("connecting", pool.connecting),
        ):
            found[origin, state] = found.get((origin, state), 0) + number
    return found


def waiting(pools: Iterable[Pool]) -> dict[tuple[str, ...], float]:
    """Attempts that wait for a connection, by origin."""
    found: dict[tuple[str, ...], float] = {}
    for pool in pools:
        found[_named(pool),] = found.get((_named(pool),), 0) + pool.waiting
    return found


def _named(pool: Pool) -> str:
    """The origin as a label. A Unix socket has a path that is another in each run: it is the keeper's."""
    return "keeper" if pool.origin.startswith("unix:") else pool.origin


def circuits(healths: Mapping[str, Health], now: float) -> dict[tuple[str, ...], float]:
    """The states of the circuits, by deployment."""
    return {(name,): _STATES[circuit(health, now)] for name, health in healths.items()}


def remaining(healths: Mapping[str, Health], now: float, what: str) -> dict[tuple[str, ...], float]:
    """What providers said is left of a limit ("requests" or "tokens") that has not begun anew since."""
    found: dict[tuple[str, ...], float] = {}
    for name, health in healths.items():
        limit: Limit | None = None if health.limits is None else getattr(health.limits, what)
        if limit is not None and now < limit.resets:
            found[name,] = limit.remaining
    return found
