"""Candidates: which deployments of a group may be asked now, in which order, and when the others are back."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from penstock.routing.deployment import Deployment
from penstock.routing.health import HEALTHY, aged, rests
from penstock.routing.strategies import Healths, Random, Strategy, ordered


class Candidates(Struct, frozen=True):
    """`ready` may be asked, the best first. `next_back` is the one that rests for the shortest time, for `back_in`
    seconds more; None where none rests.
    """

    ready: tuple[Deployment, ...]
    next_back: Deployment | None = None
    back_in: float = 0.0


def candidates(
    deployments: Sequence[Deployment], healths: Healths, now: float, strategy: Strategy, random: Random
) -> Candidates:
    """Without those that rest, and those that have as many requests as they take."""
    known = {each.id: aged(healths.get(each.id, HEALTHY), now) for each in deployments}
    resting = [each for each in deployments if rests(known[each.id], now)]
    awake = [each for each in deployments if not rests(known[each.id], now)]
    free = [each for each in awake if each.most_in_flight is None or known[each.id].in_flight < each.most_in_flight]
    ready = tuple(ordered(strategy, free, known, random))
    if not resting:
        return Candidates(ready)
    first = min(resting, key=lambda each: known[each.id].rests_until)
    return Candidates(ready, first, known[first.id].rests_until - now)
