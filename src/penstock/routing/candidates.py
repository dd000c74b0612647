"""Candidates: which deployments of a group may be asked now, in which order, and when the others are back.

First who is meant at all: by the tags of the request, by what it needs of a deployment, and by its length where both
that and the deployment's are known (context window). Then who is free: not resting, no probe of it under way, fewer
requests in flight than it takes. Then the order: the strategy's; those that have nothing left of their limits come
last, for they are likely to refuse.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from msgspec import Struct

from penstock.routing.deployment import Deployment
from penstock.routing.health import HEALTHY, Health, may_be_asked
from penstock.routing.situation import Need, Situation
from penstock.routing.strategies import Healths, Strategy, headroom, ordered

DEFAULT_TAG = "default"
PROBED = 1.0
"""Seconds until it makes sense to come again where a probe is under way: nobody knows."""


_NOBODY: frozenset[str] = frozenset()


class Candidates(Struct, frozen=True):
    """`ready` may be asked, the best first. `next_back` is the one that rests for the shortest time, for `back_in`
    seconds more; None where none rests. `largest` is set where the request, with about so many `tokens`, is too long
    for all: how many the largest takes. `untagged`: no deployment has the tags of the request. `unmet`: what none can.
    """

    ready: tuple[Deployment, ...]
    next_back: Deployment | None = None
    back_in: float = 0.0
    largest: int | None = None
    tokens: int | None = None
    untagged: bool = False
    unmet: Need | None = None


def candidates(
    deployments: Sequence[Deployment],
    healths: Healths,
    situation: Situation,
    strategy: Strategy,
    full: AbstractSet[str] = _NOBODY,
) -> Candidates:
    """Who of `deployments`, all of one group, may be asked. `full`: ids of those that others keep busy."""
    tagged = with_tags(deployments, situation)
    if not tagged:
        return Candidates((), untagged=True)
    need = situation.need
    if need is not None:
        tagged = [each for each in tagged if need.met_by(each)]
        if not tagged:
            return Candidates((), unmet=need)
    fitting = that_fit(tagged, situation.tokens)
    if not fitting:
        return Candidates((), largest=max(each.max_input or 0 for each in tagged), tokens=situation.tokens)
    now, ready, spent, resting = situation.moment, list[Deployment](), list[Deployment](), list[Deployment]()
    for each in fitting:
        health = healths.get(each.id, HEALTHY)
        if not may_be_asked(health, now):
            resting.append(each)
        elif each.most_in_flight is None or (health.in_flight < each.most_in_flight and each.id not in full):
            (ready if _has_some_left(each, health, now) else spent).append(each)
    found = ordered(strategy, ready, healths, situation) if ready else []
    if spent:
        found += ordered(strategy, spent, healths, situation)
    if not resting:
        return Candidates(tuple(found))
    first = min(resting, key=lambda each: back_in(healths[each.id], now))
    return Candidates(tuple(found), first, back_in(healths[first.id], now))


def _has_some_left(deployment: Deployment, health: Health, now: float) -> bool:
    if health.limits is None and deployment.rpm is None and deployment.tpm is None:
        return True
    return headroom(deployment, health, now) > 0


def with_tags(deployments: Sequence[Deployment], situation: Situation) -> Sequence[Deployment]:
    """Those that are meant by the tags of a request.

    Where no deployment has any tag, tags are for the books only and all are meant. Else, for a request with tags: those
    that have them (any, or all), and where there are none such those tagged "default". For one without: those tagged
    "default", and where there are none such those without tags. So a tagged deployment gets nothing that did not ask
    for it.
    """
    if situation.tags is None or not any(each.tags for each in deployments):
        return deployments
    if situation.tags:
        found = [each for each in deployments if each.tags and _fits(each.tags, situation)]
        return found or [each for each in deployments if DEFAULT_TAG in each.tags]
    default = [each for each in deployments if DEFAULT_TAG in each.tags]
    return default or [each for each in deployments if not each.tags]


def _fits(tags: tuple[str, ...], situation: Situation) -> bool:
    wanted = (tag in tags for tag in situation.tags or ())
    return any(wanted) if situation.any_tag else all(wanted)


def that_fit(deployments: Sequence[Deployment], tokens: int | None) -> Sequence[Deployment]:
    """Those whose model takes so many tokens, as far as it is known."""
    if tokens is None:
        return deployments
    return [each for each in deployments if each.max_input is None or tokens <= each.max_input]


def back_in(health: Health, now: float) -> float:
    """Seconds until a deployment that may not be asked may be."""
    return health.rests_until - now if now < health.rests_until else PROBED
