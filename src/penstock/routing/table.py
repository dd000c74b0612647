"""Table: the health of all deployments of one router, by id, and the rules that each rests by.

It is the one place where a health is replaced by the next. Times are arguments; a lock is its owner's affair. A change
says whether a circuit opened or closed with it, which may be told to other processes.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from penstock.routing import health as events
from penstock.routing.deployment import Deployment
from penstock.routing.health import HEALTHY, CooldownRules, Health
from penstock.routing.limits import Limits
from penstock.types.errors import ErrorResponse


class Table:
    """What is known of each deployment. `healths` is for reading."""

    __slots__ = ("_rules", "healths")

    def __init__(self) -> None:
        self.healths: dict[str, Health] = {}
        self._rules: dict[str, tuple[CooldownRules, bool]] = {}

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

    def get(self, name: str) -> Health:
        """What is known of a deployment."""
        return self.healths.get(name, HEALTHY)

    def started(self, name: str, now: float) -> None:
        """A request to it begins."""
        self.healths[name] = events.started(self.healths.get(name, HEALTHY), now)

    def left(self, name: str) -> None:
        """A request is over."""
        self.healths[name] = events.left(self.healths.get(name, HEALTHY))

    def answered(self, name: str, now: float, seconds: float, streams: bool, tokens: int = 0) -> bool:
        """A request was answered; with `streams` it has only begun to be, and `left` comes later. `tokens`: what it
        used, as far as that is known already. Whether that closed its circuit.
        """
        before = self.healths.get(name, HEALTHY)
        after = events.succeeded(before, now, seconds, streams, not streams, tokens)
        self.healths[name] = after
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
        """Whether a request may go there. Where that is a probe, it is from now on the only one."""
        health = self.healths.get(name, HEALTHY)
        if not health.rests_until:
            return True
        claimed = events.claimed(health, now)
        if claimed is not None:
            self.healths[name] = claimed
        return claimed is not None

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
