"""Route: the way of one call through the router, and what it is made of.

`RouteRequest` is what is to be routed, `Members` the deployments behind the name that it gives, `Route` the plan and
the watch of its attempts. Most calls are decided by `Members.draw`; all else is the full plan's, which is built when
it is first needed.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from penstock.exchange import Attempt, AttemptFailed, Broken
from penstock.routing.deployment import Deployment
from penstock.routing.overrides import NO_OVERRIDES, Overrides
from penstock.routing.plan import RouterPlan, Unroutable
from penstock.routing.rules import Decision
from penstock.routing.situation import Need, Random, Situation
from penstock.routing.strategies import (
    MANY,
    Healths,
    Strategy,
    cost,
    headroom,
    simple_shuffle,
    two_of,
    weights_of,
)
from penstock.routing.task import Task
from penstock.types.errors import ErrorKind, ErrorResponse
from penstock.types.retry import Again, Tried

if TYPE_CHECKING:
    from penstock.gateway.router import Router

UNLIMITED = float("inf")


class RouteRequest(Struct):
    """What is to be routed.

    group      the model as the client named it: a group, an alias, a deployment's id, or a name that fits a pattern
    stream     whether a stream was asked for
    size       bytes of the body: there are never more tokens, so short ones need no count
    tokens     counts the tokens of the request, about; called at most once, and only where a window might be too small
    tags       deployments to ask
    need       what a deployment must be able to do; None: nothing that not each can
    session    what ties the requests of a conversation together (`routing.sticky.session_of`); None: nothing does
    overrides  what the request says for itself
    may_use    whether the caller may use a group that it did not name, as a fallback; None: any. (Where rules lead is
               not asked: who may use the name that they are bound to may use what they choose.)
    task       describes the request to rules; called only where the group has some
    drawn      the deployment of its group that was drawn for it already (gateway/lanes.py): to draw again, because this
               one needs more than the straight way has, would take its share from it
    decision   what the rules decided, once they did; the group is then theirs
    """

    group: str
    stream: bool = False
    size: int = 0
    tokens: Callable[[], int] | None = None
    tags: tuple[str, ...] = ()
    session: str | None = None
    overrides: Overrides = NO_OVERRIDES
    may_use: Callable[[str], bool] | None = None
    task: Callable[[], Task] | None = None
    drawn: Deployment | None = None
    decision: Decision | None = None
    need: Need | None = None


class Members:
    """The deployments behind one name.

    name, group   as it was asked for; as the configuration calls it
    strategy      how they are ordered
    smallest      tokens that fit all of them
    plain         whether `draw` may choose: all have the same `order`, and none has `tags` that count
    """

    __slots__ = (
        "_pool",
        "_single",
        "_steps",
        "_total",
        "deployments",
        "group",
        "name",
        "plain",
        "smallest",
        "strategy",
    )

    def __init__(
        self, name: str, group: str, deployments: tuple[Deployment, ...], strategy: Strategy, tags: bool = True
    ) -> None:
        self.name, self.group, self.deployments, self.strategy = name, group, deployments, strategy
        self.smallest = min((each.max_input for each in deployments if each.max_input is not None), default=UNLIMITED)
        tagged = tags and any(each.tags for each in deployments)
        self.plain = len({each.order for each in deployments}) == 1 and not tagged
        self._single = deployments[0] if len(deployments) == 1 else None
        self._pool: Sequence[Deployment] = deployments
        self._steps: list[float] = []
        if strategy is cost:  # prices do not change: whoever is among the cheapest may be drawn
            known = [each.price for each in deployments if each.price is not None]
            self._pool = [each for each in deployments if not known or each.price == min(known)]
            self._steps = list(accumulate(1.0 for _ in self._pool))
        elif strategy is simple_shuffle:
            self._steps = list(accumulate(weights_of(deployments)))
        self._total = self._steps[-1] if self._steps else 0.0

    def draw(self, healths: Healths, now: float, random: Random, streams: bool = False) -> Deployment | None:
        """The one that the strategy would ask first, if that can be told without looking at all, and nothing speaks
        against it; None: look at them all.

        (It is the same shuffle: one that may not be asked leaves its share to the others, by their weights. It is the
        same comparison where all that are compared are well.)
        """
        if self._single is not None:
            return self._single if _is_well(self._single, healths, now) else None
        pool = self._pool
        if self._total:
            chosen = pool[bisect(self._steps, random() * self._total)]
            return chosen if _is_well(chosen, healths, now) else None
        if self._steps:
            return None
        if len(pool) > MANY:
            pool = two_of(pool, random)
        for each in pool:
            if not _is_well(each, healths, now):
                return None
        return self.strategy(pool, healths, Situation(now, random, streams))[0]


def _is_well(deployment: Deployment, healths: Healths, now: float) -> bool:
    """Whether it may be asked without a second thought."""
    health = healths.get(deployment.id)
    if health is None:
        return True
    if health.rests_until:
        return False
    if deployment.most_in_flight is not None and health.in_flight >= deployment.most_in_flight:
        return False
    if health.limits is None and deployment.rpm is None and deployment.tpm is None:
        return True
    return headroom(deployment, health, now) > 0


class Route(Struct, eq=False):
    """The way of one call: which deployment next. It is also told how each attempt went, and so learns the router.

    Of one attempt at a time: `deployment` is the one that was chosen last, for the group `asked`, after `hops` other
    groups had failed. `claimed` is whose place is kept for the next; `pinned`: that is where the one before was.
    """

    router: Router
    request: RouteRequest
    members: Members
    make: Callable[[Deployment, str, int], Any]
    judges: bool = True
    deployment: Deployment | None = None
    asked: str = ""
    hops: int = 0
    first: Again | None = None
    full: RouterPlan | None = None
    under_way: str | None = None
    claimed: str | None = None
    pinned: bool = False
    counted: int | None = None

    # -- a Plan -------------------------------------------------------------------------------------------------------

    def after(self, tried: Sequence[Tried]) -> Again | None:
        """What to try now that all of `tried` have failed; None: give up. Raises AttemptFailed where nobody can be
        asked at all: 503 and when to come again, or 400 and why.
        """
        if not tried and self.first is not None:
            return self.first
        request, members = self.request, self.members
        usual = members.plain and not request.session and request.need is None
        if not tried and usual and request.size <= members.smallest:
            chosen = self._drawn()
            if chosen is not None and self.claim(chosen.id):
                self.deployment, self.asked = chosen, members.name
                self.first = again = Again(self.make(chosen, members.name, 0))
                return again
        try:
            again_or_none = self._plan().after(tried)
        except Unroutable as nobody:
            raise AttemptFailed(nobody.error) from None
        if not tried:
            self.first = again_or_none
        return again_or_none

    def _drawn(self) -> Deployment | None:
        """Whom to ask first, where that can be told without looking at all."""
        router, request = self.router, self.request
        healths, now, drawn = router.table.healths, router.now(), request.drawn
        if drawn is not None and _is_well(drawn, healths, now):
            return drawn
        return self.members.draw(healths, now, router.random, request.stream)

    def _plan(self) -> RouterPlan:
        if self.full is None:
            self.full = self.router.full_plan(self)
            if self.first is not None and self.deployment is not None:
                self.full.begun(self.deployment, self.first)
        return self.full

    def has_begun(self, deployment: Deployment) -> None:
        """The first attempt is under way, at this deployment: it was drawn, and the router knows of it."""
        self.deployment, self.asked, self.under_way = deployment, self.members.name, deployment.id
        self.first = Again(self.make(deployment, self.asked, 0))

    def make_attempt(self, deployment: Deployment, group: str, hops: int) -> Any:
        """The attempt that the full plan decided for."""
        self.deployment, self.asked, self.hops = deployment, group, hops
        return self.make(deployment, group, hops)

    def tokens(self) -> int | None:
        """About how many tokens the request has; None: nobody can tell."""
        if self.counted is None and self.request.tokens is not None:
            self.counted = self.request.tokens()
        return self.counted

    # -- why ----------------------------------------------------------------------------------------------------------

    @property
    def explanation(self) -> str:
        """Why this deployment, short and in ASCII, for the header `x-penstock-route`."""
        decision, chosen = self.request.decision, self.deployment
        words = [] if decision is None else [f"model={decision.model}", f"rule={decision.rule}"]
        words.append(f"group={self.asked or self.members.name}")
        if chosen is not None:
            words += [f"deployment={chosen.id}", f"strategy={self.router.strategy_name(self.asked)}"]
        if self.hops:
            words.append(f"fallbacks={self.hops}")
        return "; ".join(map(as_header, words))

    def explain(self) -> dict[str, Any]:
        """The same for the ledger: all rules that were looked at, and what was decided."""
        decision, chosen = self.request.decision, self.deployment
        found: dict[str, Any] = {"group": self.asked or self.members.name, "fallbacks": self.hops}
        if chosen is not None:
            found |= {"deployment": chosen.id, "strategy": self.router.strategy_name(self.asked)}
        if self.counted is not None:
            found["tokens"] = self.counted
        if decision is not None:
            found |= {"model": decision.model, "rule": decision.rule}
            found["rules"] = [{"rule": step.rule, "hit": step.hit, "why": step.why} for step in decision.steps]
        return found

    # -- a Watch ------------------------------------------------------------------------------------------------------

    def began(self, attempt: Attempt[Any]) -> None:
        """The attempt is about to be made."""
        assert self.deployment is not None, "a plan decides before an attempt begins"
        if self.under_way is not None:
            return  # it had begun before there was a plan
        name = self.under_way = self.deployment.id
        router, claimed = self.router, self.claimed == self.deployment.id
        if claimed:
            self.claimed = None
        router.table.started(name, router.now(), claimed)

    def claim(self, name: str) -> bool:
        """Whether a deployment may be asked after all: then its place is kept for the attempt that comes next."""
        self.unclaim()
        if not self.router.table.claim(name, self.router.now()):
            return False
        self.claimed = name
        return True

    def unclaim(self) -> None:
        """No attempt comes next."""
        name, self.claimed = self.claimed, None
        if name is not None:
            self.router.table.unclaim(name)

    def ended(self, attempt: Attempt[Any], seconds: float, error: ErrorResponse | None, streams: bool) -> None:
        """It was answered after `seconds`, or failed. A stream is under way until `done` or `broke`."""
        name = self.under_way
        if name is None:
            return
        if not streams:
            self.under_way = None
        if self.pinned:
            self.unclaim()
            self.router.table.hold(name)
            self.claimed = name
        if error is not None:
            self.router.failed(name, error, self.judges)
        elif self.judges:
            self.router.answered(name, seconds, streams, self)
        elif not streams:
            self.router.over(name)

    def left(self, attempt: Attempt[Any]) -> None:
        """Nobody waits for it any more."""
        self.done()

    def done(self, tokens: int = 0) -> None:
        """The stream is over, well, or because its client left. Once is enough; more does no harm. `tokens`: what it
        used.
        """
        name, self.under_way = self.under_way, None
        if name is not None:
            self.router.over(name)
        if tokens and self.deployment is not None:
            self.router.used(self.deployment.id, tokens)

    def broke(self, why: Broken | ErrorResponse | None = None) -> None:
        """The stream broke off."""
        name, self.under_way = self.under_way, None
        if name is not None:
            self.router.failed(name, error_of_break(why), self.judges)


def error_of_break(why: Broken | ErrorResponse | None) -> ErrorResponse:
    """A stream that broke off, as an error of its deployment."""
    if isinstance(why, ErrorResponse):
        return why
    message = "the stream ended before its end" if why is None else why.message
    kind: ErrorKind = "timeout" if why is not None and why.kind == "timeout" else "unavailable"
    return ErrorResponse(kind=kind, status=503, message=message, native="stream")


def as_header(text: str) -> str:
    """Safe in a header, and short."""
    plain = "".join(each if " " <= each <= "~" and each not in ";," else "?" for each in text)
    return plain if len(plain) <= 120 else f"{plain[:117]}..."


def no_attempt(deployment: Deployment, group: str, hops: int) -> Any:
    raise AssertionError("nothing is asked when capacity is only looked at")
