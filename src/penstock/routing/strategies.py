"""Strategies: in which order deployments are asked. One function each, in one table.

A strategy takes deployments of the same `order`, their health and a source of numbers in [0, 1), and gives them all
back, the best first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import log
from typing import TypeAlias

from penstock.routing.deployment import Deployment
from penstock.routing.health import HEALTHY, Health

Healths: TypeAlias = Mapping[str, Health]
Random: TypeAlias = Callable[[], float]
Strategy: TypeAlias = Callable[[Sequence[Deployment], Healths, Random], list[Deployment]]


def simple_shuffle(deployments: Sequence[Deployment], healths: Healths, random: Random) -> list[Deployment]:
    """At random, by weight; where nobody has one by rpm, then tpm, else all alike.

    Each draw takes one out with a chance proportional to its weight: the exponential-race method, whose smallest key
    is such a draw.
    """
    weights = _weights(deployments)
    keys = [_race(random(), weight) for weight in weights]
    return [deployment for _, _, deployment in sorted(zip(keys, range(len(keys)), deployments, strict=True))]


def _weights(deployments: Sequence[Deployment]) -> list[float]:
    for name in ("weight", "rpm", "tpm"):
        values = [getattr(deployment, name) for deployment in deployments]
        if any(value is not None for value in values):
            return [0.0 if value is None else float(value) for value in values]
    return [1.0] * len(deployments)


def _race(number: float, weight: float) -> float:
    """The arrival time of a runner with this speed; one without speed arrives after all others, in any order."""
    return -log(max(1.0 - number, 1e-300)) / weight if weight > 0 else 1e300 * (1.0 + number)


def least_busy(deployments: Sequence[Deployment], healths: Healths, random: Random) -> list[Deployment]:
    """The fewest requests in flight first; equals at random."""
    return sorted(deployments, key=lambda each: (healths.get(each.id, HEALTHY).in_flight, random()))


ALIKE = 1.1
"""Latencies within this factor of the best count as equal, so that not all traffic goes to one deployment."""


def latency(deployments: Sequence[Deployment], healths: Healths, random: Random) -> list[Deployment]:
    """The fastest first, those about as fast at random; those that are not measured before all, so that they are."""
    known = {each.id: healths.get(each.id, HEALTHY).latency for each in deployments}
    best = min((seconds for seconds in known.values() if seconds is not None), default=0.0)

    def rank(deployment: Deployment) -> tuple[float, float]:
        seconds = known[deployment.id]
        if seconds is None:
            return -1.0, random()
        return (0.0 if seconds <= best * ALIKE else seconds), random()

    return sorted(deployments, key=rank)


def cost(deployments: Sequence[Deployment], healths: Healths, random: Random) -> list[Deployment]:
    """The cheapest first; those without a known price last, for unknown is not free."""
    return sorted(deployments, key=lambda each: (each.price is None, each.price or 0, random()))


STRATEGIES: dict[str, Strategy] = {
    "simple-shuffle": simple_shuffle,
    "shuffle": simple_shuffle,
    "least-busy": least_busy,
    "latency": latency,
    "latency-based-routing": latency,
    "cost": cost,
    "cost-based-routing": cost,
}
"""The table. (LiteLLM's longer names mean the same.)"""


def ordered(
    strategy: Strategy, deployments: Sequence[Deployment], healths: Healths, random: Random
) -> list[Deployment]:
    """All deployments, by their `order` first and the strategy within it."""
    found: list[Deployment] = []
    for order in sorted({deployment.order for deployment in deployments}):
        found += strategy([deployment for deployment in deployments if deployment.order == order], healths, random)
    return found
