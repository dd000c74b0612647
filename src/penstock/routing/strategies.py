"""Strategies: in which order deployments are asked. One function each, in one table.

A strategy takes deployments of the same `order`, what is known of them, and the situation, and gives them all back, the
best first. All but simple-shuffle compare deployments; where there are more than `MANY`, they compare two that are
drawn at random (the power of two choices: nearly as even as comparing all, at a cost that does not grow, and callers
who decide at the same time do not all run to the same one), and the others follow in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from math import log
from typing import TypeAlias

from penstock.routing.deployment import Deployment
from penstock.routing.health import HEALTHY, WINDOW, Health, latency_of
from penstock.routing.limits import NO_LIMITS, Limit
from penstock.routing.situation import Random, Situation

Healths: TypeAlias = Mapping[str, Health]
Strategy: TypeAlias = Callable[[Sequence[Deployment], Healths, Situation], list[Deployment]]

MANY = 16
"""More deployments than this are not all compared."""


def simple_shuffle(deployments: Sequence[Deployment], healths: Healths, situation: Situation) -> list[Deployment]:
    """At random, by weight; where nobody has one by rpm, then tpm, else all alike.

    Each draw takes one out with a chance proportional to its weight: the exponential-race method, whose smallest key
    is such a draw.
    """
    if len(deployments) == 1:
        return list(deployments)
    keys = [_race(situation.random(), weight) for weight in weights_of(deployments)]
    return [deployment for _, _, deployment in sorted(zip(keys, range(len(keys)), deployments, strict=True))]


def weights_of(deployments: Sequence[Deployment]) -> list[float]:
    """The shares of these among each other, of any sum."""
    for name in ("weight", "rpm", "tpm"):
        values = [getattr(deployment, name) for deployment in deployments]
        if any(value is not None for value in values):
            return [0.0 if value is None else float(value) for value in values]
    return [1.0] * len(deployments)


def _race(number: float, weight: float) -> float:
    """The arrival time of a runner with this speed; one without speed arrives after all others, in any order."""
    return -log(max(1.0 - number, 1e-300)) / weight if weight > 0 else 1e300 * (1.0 + number)


def _of_many(strategy: Strategy) -> Strategy:
    """The same with the power of two choices where deployments are many."""

    @wraps(strategy)
    def choose(deployments: Sequence[Deployment], healths: Healths, situation: Situation) -> list[Deployment]:
        count = len(deployments)
        if count <= MANY:
            return strategy(deployments, healths, situation)
        best = strategy(two_of(deployments, situation.random), healths, situation)
        cut = int(situation.random() * count)
        others = [*deployments[cut:], *deployments[:cut]]
        return [*best, *(each for each in others if each is not best[0] and each is not best[1])]

    return choose


def two_of(deployments: Sequence[Deployment], random: Random) -> list[Deployment]:
    """Two different ones at random."""
    count = len(deployments)
    one = int(random() * count)
    return [deployments[one], deployments[(one + 1 + int(random() * (count - 1))) % count]]


@_of_many
def least_busy(deployments: Sequence[Deployment], healths: Healths, situation: Situation) -> list[Deployment]:
    """The fewest requests in flight first; equals at random."""
    random = situation.random
    return sorted(deployments, key=lambda each: (healths.get(each.id, HEALTHY).in_flight, random()))


ALIKE = 1.1
"""Latencies within this factor of the best count as equal, so that not all traffic goes to one deployment."""


@_of_many
def latency(deployments: Sequence[Deployment], healths: Healths, situation: Situation) -> list[Deployment]:
    """The fastest first (a stream: to its first token), those about as fast at random; those that are not measured
    before all, so that they are.
    """
    now, random = situation.moment, situation.random
    known = {each.id: latency_of(healths.get(each.id, HEALTHY), now, situation.streams) for each in deployments}
    best = min((seconds for seconds in known.values() if seconds is not None), default=0.0)

    def rank(deployment: Deployment) -> tuple[float, float]:
        seconds = known[deployment.id]
        if seconds is None:
            return -1.0, random()
        return (0.0 if seconds <= best * ALIKE else seconds), random()

    return sorted(deployments, key=rank)


def cost(deployments: Sequence[Deployment], healths: Healths, situation: Situation) -> list[Deployment]:
    """The cheapest first; those without a known price last, for unknown is not free. (Two of many would not do: the
    cheapest is the cheapest.)
    """
    random = situation.random
    return sorted(deployments, key=lambda each: (each.price is None, each.price or 0, random()))


@_of_many
def most_headroom(deployments: Sequence[Deployment], healths: Healths, situation: Situation) -> list[Deployment]:
    """The largest share of its limits left first; equals by what is in flight, then at random. One without any known
    limit has all of it left.
    """
    random, now = situation.random, situation.moment

    def rank(deployment: Deployment) -> tuple[float, int, float]:
        health = healths.get(deployment.id, HEALTHY)
        return -headroom(deployment, health, now), health.in_flight, random()

    return sorted(deployments, key=rank)


def headroom(deployment: Deployment, health: Health, now: float) -> float:
    """The smallest share (0 to 1) that is left of a deployment's limits: of what its provider told (`Health.limits`),
    else of its own rpm and tpm in the minute that is counted here.
    """
    limits = health.limits or NO_LIMITS
    fresh = now - health.window_start < WINDOW
    requests, tokens = (health.requests, health.tokens) if fresh else (0, 0)
    since = max(0, health.begun - health.begun_when_told)
    return min(
        _share(limits.requests, since, deployment.rpm, requests, now),
        _share(limits.tokens, 0, deployment.tpm, tokens, now),
    )


def _share(told: Limit | None, since: int, own: float | None, spent: int, now: float) -> float:
    if told is not None and now < told.resets:
        return max(0.0, told.remaining - since) / told.limit if told.limit else 0.0
    return 1.0 if own is None else max(0.0, own - spent) / own if own else 0.0


STRATEGIES: dict[str, Strategy] = {
    "simple-shuffle": simple_shuffle,
    "shuffle": simple_shuffle,
    "least-busy": least_busy,
    "latency": latency,
    "lowest-latency": latency,
    "latency-based-routing": latency,
    "cost": cost,
    "lowest-cost": cost,
    "cost-based-routing": cost,
    "most-headroom": most_headroom,
    "usage-based-routing": most_headroom,
    "usage-based-routing-v2": most_headroom,
}
"""The table. (LiteLLM's longer names mean the same.)"""


def ordered(
    strategy: Strategy, deployments: Sequence[Deployment], healths: Healths, situation: Situation
) -> list[Deployment]:
    """All deployments, by their `order` first and the strategy within it."""
    orders = sorted({deployment.order for deployment in deployments})
    if len(orders) == 1:
        return strategy(deployments, healths, situation)
    found: list[Deployment] = []
    for order in orders:
        found += strategy([deployment for deployment in deployments if deployment.order == order], healths, situation)
    return found
