"""Table: the health of all deployments of one router, by id, and the rules that each rests by.

It is the one place where a health is replaced by the next. Times are arguments; a lock is its owner's affair. A change
says whether a circuit opened or closed with it, which may be told to other processes.

Where several processes share deployments that take only so many requests at once, `Elsewhere` counts them all: a
request has its place from the moment it is chosen for such a deployment (`claim`) until it is over (or is not made:
`unclaim`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec.structs import replace

from penstock.routing import health as events
from penstock.routing.deployment import Deployment
from penstock.routing.health import HEALTHY, CooldownRules, Health
from penstock.routing.limits import Limits
from penstock.types.errors import ErrorResponse


class Elsewhere(Protocol):
    """Requests under way at a deployment, by its id, in this and in other processes."""

    def take(self, name: str, own: int, most: int) -> bool:
        """Whether one more may begin, of at most `most`, where this process has `own`: then it counts as begun."""
        ...

    def tell(self, name: str, own: int) -> None:
        """This process has so many now."""
        ...

    def count(self, name: str) -> int:
        """What the other processes have."""
        ...


class Table:
    """What is known of each deployment. `healths` is for reading. Without `elsewhere` this process is the only one."""

    __slots__ = ("_chosen", "_elsewhere", "_most", "_rules", "healths")

    def __init__(self, elsewhere: Elsewhere | None = None) -> None:
        self.healths: dict[str, Health] = {}
        self._rules: dict[str, tuple[CooldownRules, bool]] = {}
        self._elsewhere = elsewhere
        self._most: dict[str, int] = {}
        self._chosen: dict[str, int] = {}

    def govern(self, deployments: Sequence[Deployment], rules: CooldownRules) -> None:
        """From now on these are the deployments, and these the rules. What is known of those that stay is kept, and of
        others as long as a request to them is under way.
        """
        sizes: dict[str, int] = {}
        for each in deployments:
            sizes[each.group] = sizes.get(each.group, 0) + 1
        self._rules = {
            each.id: (
                rules if each.cooldown is None else replace(rules, seconds=each.cooldown),
                sizes[each.group] == 1,
            )
            for each in deployments
        }
        for name in [name for name, health in self.healths.items() if name not in self._rules and not health.in_flight]:
            del self.healths[name]
        if self._elsewhere is not None:
            before = self._most
            self._most = {each.id: each.most_in_flight for each in deployments if each.most_in_flight is not None}
            for name in {*before, *self._most}:
                self._elsewhere.tell(name, self._own(name) if name in self._most else 0)

    def get(self, name: str) -> Health:
        """What is known of a deployment."""
        return self.healths.get(name, HEALTHY)

    def started(self, name: str, now: float, claimed: bool = False) -> None:
        """A request to it begins. `claimed`: its place was kept for it."""
        self.healths[name] = events.started(self.healths.get(name, HEALTHY), now)
        if claimed:
            self.unclaim(name)
        elif name in self._most:
            self._tell(name)

    def left(self, name: str) -> None:
        """A request is over."""
        self.healths[name] = events.left(self.healths.get(name, HEALTHY))
        if name in self._most:
            self._tell(name)

    def answered(self, name: str, now: float, seconds: float, streams: bool, tokens: int = 0) -> bool:
        """A request was answered; with `streams` it has only begun to be, and `left` comes later. `tokens`: what it
        used, as far as that is known already. Whether that closed its circuit.
        """
        before = self.healths.get(name, HEALTHY)
        after = events.succeeded(before, now, seconds, streams, not streams, tokens)
        self.healths[name] = after
        if name in self._most:
            self._tell(name)
        return before.rests_until != after.rests_until

    def failed(self, name: str, now: float, error: ErrorResponse) -> bool:
        """A request failed, or a stream broke off. Whether that opened its circuit, or closed it."""
        if name not in self._rules:
            return False
        before = self.healths.get(name, HEALTHY)
        after = events.failed(before, now, error, *self._rules[name])
        self.healths[name] = after
        return before.rests_until != after.rests_until

    def claim(self, name: str, now: float) -> bool:
        """Whether a request may go there. Where that is a probe, it is from now on the only one; where the deployment
        takes only so many, its place is kept until it has `started`, or `unclaim` says that it will not.
        """
        if name in self._most and not self._take(name):
            return False
        health = self.healths.get(name, HEALTHY)
        if not health.rests_until:
            return True
        claimed = events.claimed(health, now)
        if claimed is None:
            self.unclaim(name)
            return False
        self.healths[name] = claimed
        return True

    def hold(self, name: str) -> None:
        """A request there is about to end, and another to begin in its place: nobody else may have it meanwhile."""
        if name in self._most:
            self._chosen[name] = self._chosen.get(name, 0) + 1

    def unclaim(self, name: str) -> None:
        """A request that was chosen for it is not about to begin any more: it has, or never will."""
        chosen = self._chosen.pop(name, 0) - 1
        if chosen > 0:
            self._chosen[name] = chosen
        if name in self._most:
            self._tell(name)

    def is_limited(self, name: str) -> bool:
        """Whether its requests are counted here and elsewhere: a place there is claimed."""
        return name in self._most

    def full(self, deployments: Sequence[Deployment]) -> frozenset[str]:
        """Those of them that have as many requests as they take, here and elsewhere."""
        most, elsewhere = self._most, self._elsewhere
        if not most or elsewhere is None:
            return _NOBODY
        limited = [each.id for each in deployments if each.id in most]
        return frozenset(name for name in limited if self._own(name) + elsewhere.count(name) >= most[name])

    def _own(self, name: str) -> int:
        """Requests of this process: those under way, and those that are about to be."""
        return self.healths.get(name, HEALTHY).in_flight + self._chosen.get(name, 0)

    def _take(self, name: str) -> bool:
        assert self._elsewhere is not None, "without it nobody is limited"
        taken = self._elsewhere.take(name, self._own(name), self._most[name])
        if taken:
            self._chosen[name] = self._chosen.get(name, 0) + 1
        return taken

    def _tell(self, name: str) -> None:
        assert self._elsewhere is not None, "without it nobody is limited"
        self._elsewhere.tell(name, self._own(name))

    def told(self, name: str, limits: Limits) -> None:
        """An answer told what is left of its provider's limits."""
        self.healths[name] = events.told(self.healths.get(name, HEALTHY), limits)

    def used(self, name: str, now: float, tokens: int) -> None:
        """An answer told how many tokens it took."""
        self.healths[name] = events.used(self.healths.get(name, HEALTHY), now, tokens)

    def rested(self, name: str, until: float, trips: int) -> None:
        """Another process says that it rests."""
        if name in self._rules:
            self.healths[name] = events.rested(self.healths.get(name, HEALTHY), until, trips)

    def recovered(self, name: str) -> None:
        """Another process says that it answers again."""
        if name in self.healths:
            self.healths[name] = events.recovered(self.healths[name])


_NOBODY: frozenset[str] = frozenset()
