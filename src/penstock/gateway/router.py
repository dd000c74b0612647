"""Router: which deployments a request of the gateway goes to. The worker's side of the pure package `routing`: it has
the clock, the random source, and what is known of each deployment.

One is made for each snapshot; what is known of deployments is carried over from the one before. All of a worker's calls
share it, on one thread, so nothing here waits and nothing is locked.

    route = router.plan(RouteRequest(group="gpt"), make)      # a Plan for exchange(), and the Watch of its attempts
    run = exchange(route, clock, total, route)
    ...
    route.done()                                              # a stream is over (a whole answer is at once)

Most calls go to a group of one deployment, or of several in a shuffle, all of them well: they are served without
building anything but the route itself (`Members.draw`). All else (tags, lengths, sessions, comparisons, failures,
fallbacks) is the full plan's (`routing.plan.RouterPlan`), which is built when it is first needed.
"""

from __future__ import annotations

import random as chance
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from msgspec.structs import replace

from penstock.calls.deployments import with_facts
from penstock.calls.engine import Engine
from penstock.gateway.circuits import Change
from penstock.gateway.made_up import LONGEST_NAME
from penstock.gateway.nearest import LONGEST
from penstock.gateway.route import UNLIMITED, Members, Route, RouteRequest, no_attempt
from penstock.gateway.snapshot import RoutingSettings, Snapshot
from penstock.providers.endpoint import Endpoint
from penstock.providers.errors import ProviderError
from penstock.routing.candidates import Candidates, candidates
from penstock.routing.cascade import Cascade
from penstock.routing.deployment import Deployment, MalformedDeployment
from penstock.routing.fallbacks import Fallbacks
from penstock.routing.groups import Groups, UnknownGroup
from penstock.routing.health import WINDOW, CooldownRules, Health
from penstock.routing.limits import limits_of
from penstock.routing.overrides import NO_OVERRIDES, Overrides
from penstock.routing.plan import Retries, RouterPlan
from penstock.routing.situation import Situation
from penstock.routing.sticky import Sticky, rendezvous, worth_staying
from penstock.routing.strategies import (
    STRATEGIES,
    Strategy,
    most_headroom,
    simple_shuffle,
)
from penstock.routing.table import Elsewhere, Table
from penstock.routing.tasks import NO_TASKS, tasks_of
from penstock.types.errors import ErrorKind, ErrorResponse, MalformedError
from penstock.types.retry import Backoff

_MOST_CHANGES = 1000
"""Changes of circuits that are kept for others, where nobody asks for them."""
FREED_ELSEWHERE = 0.02
"""Seconds after which it is looked again whether a request of another worker has ended."""
_MOST_NAMES = 1024
"""Names of groups (with wildcards: whatever callers make up) that are remembered with their deployments."""


class Placed(Protocol):
    """A deployment and where its requests go."""

    deployment: Deployment
    endpoint: Endpoint | None


class Router:
    """Routes the requests of one worker under one snapshot.

    engine     resolves models, knows facts, has the clock
    previous   the router of the snapshot before: what it knows of deployments goes on
    random     numbers in [0, 1)
    elsewhere  what other workers have under way (None: there are none)
    table      what is known of each deployment
    freed      is called after each request with the id of its deployment, where somebody waits for capacity
    changed    is called when a circuit has opened or closed here: `export_events` tells which

    Raises ValueError for a snapshot that cannot be routed by (the control plane checks that before it sends one).
    """

    def __init__(
        self,
        snapshot: Snapshot,
        engine: Engine,
        *,
        previous: Router | None = None,
        random: Callable[[], float] = chance.random,  # a choice among equals, no secret
        backoff: Backoff | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        settings = snapshot.routing
        self.settings = settings
        self.groups = Groups(snapshot.deployments, snapshot.aliases)
        self.random = random
        self.now = engine.clock.monotonic
        self.unix = engine.clock.unix
        self.table: Table = Table(elsewhere) if previous is None else previous.table
        self.table.govern(snapshot.deployments, rules_of(settings))
        self.sticky = _sticky(settings, previous)
        self.freed: Callable[[str], None] | None = None if previous is None else previous.freed
        self.changed: Callable[[], None] | None = None if previous is None else previous.changed
        # Calls that began under the snapshot before end with its router: what they learn must not be lost.
        self._changes: deque[Change] = deque(maxlen=_MOST_CHANGES) if previous is None else previous._changes
        self._engine = engine
        self._backoff = backoff or Backoff()
        self._members: dict[str, Members] = {}
        self._strategy = strategy_of(settings.strategy)
        self._strategies = {self._group(group): strategy_of(name) for group, name in settings.strategies.items()}
        self.tasks = tasks_of(settings.rules, settings.cascades, self.groups)
        self._fallbacks = fallbacks_of(settings)
        self._retries = retries_of(settings, self._group)
        self.learns = settings.queue_size > 0 or most_headroom in (self._strategy, *self._strategies.values())

    # -- a call -------------------------------------------------------------------------------------------------------

    def plan(self, request: RouteRequest, make: Callable[[Deployment, str, int], Any], judges: bool = True) -> Route:
        """The way of a request. `make` (deployment, group, groups that failed before) gives the attempt at one.
        `judges`: whether its ends say something about deployments (not where the caller brings a key of its own).
        Raises ProviderError (unknown_model) for a group that there is not, MalformedError for a fallback.
        """
        if self.tasks is not NO_TASKS:
            cascade = self.choose(request)
            if cascade is not None:
                request.group = cascade.group_of_streams
        members = self._members.get(request.group)
        if members is None:
            members = self.members(request.group)
        request.group = members.name
        overrides = request.overrides
        if overrides is not NO_OVERRIDES:
            for word in ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks"):
                for group in getattr(overrides, word):
                    self._known(group, word)
            if overrides.tags:
                request.tags = (*request.tags, *(tag for tag in overrides.tags if tag not in request.tags))
        if self.sticky is None:
            request.session = None
        return Route(self, request, members, make, judges)

    def choose(self, request: RouteRequest) -> Cascade | None:
        """Let the rules of its name choose the group of a request, where it has any (`request.group` and `.decision`
        change). A cascade, where that is what was named or chosen: its groups are asked in turn (`next_step`), each as
        a request of its own; who plans it without asking goes to the group of its streams.
        """
        tasks = self.tasks
        rules = tasks.rules.get(request.group)
        if rules is not None and request.decision is None and request.task is not None:
            request.decision = decision = rules.decide(request.task(), self.unix())
            request.group = decision.group
        return tasks.cascades.get(request.group)

    @property
    def names(self) -> tuple[str, ...]:
        """All that callers may name: groups, aliases, names with rules, cascades."""
        return tuple(dict.fromkeys((*self.groups.names, *self.tasks.names)))

    def members(self, name: str) -> Members:
        """The deployments behind a name. Raises ProviderError (unknown_model)."""
        found, settings = self._members.get(name), self.settings
        if found is not None:
            return found
        known = self._in_full(name)
        try:
            group = self.groups.canonical(known)
            deployments = tuple(self._with_facts(each) for each in self.groups.find(known))
        except UnknownGroup as error:
            raise ProviderError("unknown_model", str(error)) from None
        strategy = self._strategies.get(group, self._strategy)
        found = Members(known, group, deployments, strategy, settings.tag_filtering)
        if not settings.check_context_window:
            found.smallest = UNLIMITED
        if len(name) <= LONGEST_NAME:
            if len(self._members) >= _MOST_NAMES:
                self._members.clear()
            self._members[name] = found
        return found

    def _in_full(self, name: str) -> str:
        """The name of a group; of a model that the catalog knows and no group is called, the name with its provider's:
        whoever serves "openai/*" serves "gpt-4o" (LiteLLM's rule, too).
        """
        try:
            self.groups.canonical(name)
        except UnknownGroup:
            with suppress(ProviderError, UnknownGroup):
                found = self._engine.resolve(name, self._engine.defaults)
                full = f"{found.provider.name}/{found.model}"
                self.groups.canonical(full)
                return full
        return name

    def _with_facts(self, deployment: Deployment) -> Deployment:
        try:
            return with_facts(deployment, self._engine)
        except MalformedDeployment:  # a name that only its pattern made: its attempt says what is wrong
            return deployment

    def strategy_name(self, group: str) -> str:
        """What the strategy of a group is called."""
        strategy = self.members(group).strategy
        said = (self.settings.strategy, *self.settings.strategies.values())
        return next(name for name in said if STRATEGIES[name] is strategy)

    def _group(self, name: str) -> str:
        """The group behind a name of the configuration, which may be an alias."""
        try:
            return self.groups.canonical(name)
        except UnknownGroup:  # what is said of nobody changes nothing
            return name

    def full_plan(self, route: Route) -> RouterPlan:
        """The plan of all that may happen to a call."""
        overrides = route.request.overrides
        fallbacks = self._fallbacks_for(overrides)
        retries = self._retries
        if overrides.retries is not None:
            retries = replace(retries, told=overrides.retries)
        return RouterPlan(
            route.members.name,
            lambda group: self._candidates(route, group),
            route.make_attempt,
            fallbacks=lambda group, kind: self._allowed(route, fallbacks.after(self._names(group), kind)),
            retries=retries,
            backoff=self._backoff,
            random=self.random,
            most=fallbacks.most,
            least_wait=self.settings.retry_after,
            claim=route.claim,
        )

    def _names(self, group: str) -> tuple[str, ...]:
        return group, self.members(group).group

    def _allowed(self, route: Route, groups: Sequence[str]) -> Sequence[str]:
        may_use = route.request.may_use
        return groups if may_use is None else [group for group in groups if may_use(group)]

    def _fallbacks_for(self, overrides: Overrides) -> Fallbacks:
        if overrides is NO_OVERRIDES:
            return self._fallbacks
        if overrides.disable_fallbacks:
            return Fallbacks(most=0)
        usual = self._fallbacks
        return Fallbacks(
            general={"*": overrides.fallbacks} if overrides.fallbacks else usual.general,
            context_window=_own(overrides.context_window_fallbacks) or usual.context_window,
            content_policy=_own(overrides.content_policy_fallbacks) or usual.content_policy,
            default=usual.default,
            most=usual.most,
        )

    def _known(self, group: str, word: str) -> None:
        """Raises MalformedError, which names no other group: who asks may not be allowed to hear of it."""
        try:
            self.groups.canonical(group)
        except UnknownGroup:
            raise MalformedError(f"there is no model {group[:LONGEST]!r} here to fall back to", word) from None

    # -- who may be asked ---------------------------------------------------------------------------------------------

    def situation(self, request: RouteRequest, members: Members, tokens: int | None) -> Situation:
        """The moment, and what the request is. `tokens`: about how many it has; None: any window does."""
        return Situation(
            self.now(),
            self.random,
            streams=request.stream,
            tokens=tokens if self.settings.check_context_window else None,
            tags=request.tags if self.settings.tag_filtering else None,
            any_tag=self.settings.match_any_tag,
            need=request.need,
        )

    def _situation(self, route: Route, members: Members) -> Situation:
        """Tokens are counted only where a window may be too small for so many bytes."""
        long = route.request.size > members.smallest
        return self.situation(route.request, members, route.tokens() if long else None)

    def fallbacks_after(self, group: str, kind: ErrorKind, overrides: Overrides = NO_OVERRIDES) -> Sequence[str]:
        """The groups that a request goes to when this one failed with such an error."""
        return self._fallbacks_for(overrides).after(self._names(group), kind)

    def _candidates(self, route: Route, group: str) -> Candidates:
        members = self.members(group)
        found = self._found(route, members)
        if route.request.session is None or len(found.ready) < 2:
            return found
        return replace(found, ready=tuple(self._where_it_is_warm(route, members, found.ready)))

    def _found(self, route: Route, members: Members) -> Candidates:
        table, deployments = self.table, members.deployments
        situation = self._situation(route, members)
        return candidates(deployments, table.healths, situation, members.strategy, table.full(deployments))

    def _where_it_is_warm(self, route: Route, members: Members, ready: Sequence[Deployment]) -> Sequence[Deployment]:
        """The same, the deployment first where the session's prompt is in the cache (routing/sticky.py)."""
        sticky, session = self.sticky, route.request.session
        if sticky is None or session is None:
            return ready
        session = f"{members.group}\0{session}"
        kept = sticky.find(session, self.now())
        if kept is not None:
            place = next((place for place, each in enumerate(ready) if each.id == kept), None)
            if place is None or not worth_staying(ready[place], ready, route.tokens()):
                return ready
            return [ready[place], *ready[:place], *ready[place + 1 :]]
        if members.strategy is not simple_shuffle:
            return ready
        best = [each for each in ready if each.order == ready[0].order and worth_staying(each, ready)]
        first = rendezvous(best, session)[:1]
        return [*first, *(each for each in ready if each not in first)]

    def group_of(self, request: RouteRequest) -> str:
        """The group that a request goes to, as the configuration calls it. Raises ProviderError (unknown_model)."""
        return self.members(self._first_group(request)).group

    def _first_group(self, request: RouteRequest) -> str:
        """The first that is asked, of a cascade too."""
        cascade = self.tasks.cascades.get(request.group)
        if cascade is None:
            return request.group
        return cascade.group_of_streams if request.stream else cascade.groups[0]

    def busy_for(self, request: RouteRequest) -> float | None:
        """0: a request can go to somebody now. Seconds until that is likely, where nobody of its group can be asked or
        all have nothing left of their limits; None: when a request of another caller ends. A group that it falls back
        to is as good as its own. 0 also where there is no such group (any more): the plan says what is wrong.
        """
        try:
            return self._busy_with_fallbacks(request)
        except ProviderError:
            return 0.0

    def _busy_with_fallbacks(self, request: RouteRequest) -> float | None:
        first = self._first_group(request)
        if first != request.group:
            request = replace(request, group=first)
        wait = self._busy_for(request)
        if wait == 0.0:
            return wait
        route = Route(self, request, self.members(request.group), no_attempt)
        others = self._fallbacks_for(request.overrides).after(self._names(request.group), "unavailable")
        if any(self._busy_for(replace(request, group=group)) == 0.0 for group in self._allowed(route, others)):
            return 0.0
        return wait

    def _busy_for(self, request: RouteRequest) -> float | None:
        members = self.members(request.group)
        if members.plain and request.size <= members.smallest:
            drawn = members.draw(self.table.healths, self.now(), self.random, request.stream)
            if drawn is not None and not self.table.full((drawn,)):
                return 0.0
        route = Route(self, request, members, no_attempt)
        now = self.now()
        found = self._found(route, members)
        if found.untagged or found.unmet is not None or found.largest is not None:
            return 0.0  # waiting would not help: the plan says what is wrong
        if not found.ready:
            waits = [] if found.next_back is None else [found.back_in]
            if self.table.full(members.deployments):
                waits.append(FREED_ELSEWHERE)
            return min(waits, default=None)
        waits = [_spent_for(each, self.table.get(each.id), now) for each in found.ready]
        if found.next_back is not None:
            waits.append(found.back_in)
        return min(waits)

    # -- what is learnt -----------------------------------------------------------------------------------------------

    def answered(self, name: str, seconds: float, streams: bool, route: Route | None = None, tokens: int = 0) -> None:
        """An attempt was answered, or its stream began. `tokens`: what it used, where `used` will not be told."""
        if self.table.answered(name, self.now(), seconds, streams, tokens):
            self._has_changed(Change(name))
        if route is not None and route.request.session is not None and self.sticky is not None:
            group = self.members(route.asked).group
            self.sticky.keep(f"{group}\0{route.request.session}", name, self.now())
        if self.freed is not None and not streams:
            self.freed(name)

    def failed(self, name: str, error: ErrorResponse, judges: bool = True) -> None:
        """An attempt failed, or its stream broke off: in both cases it is over."""
        table = self.table
        if judges and table.failed(name, self.now(), error):
            health, now = table.get(name), self.now()
            self._has_changed(Change(name, max(0.0, health.rests_until - now), health.trips))
        table.left(name)
        if self.freed is not None:
            self.freed(name)

    def over(self, name: str) -> None:
        """A stream is over, or nobody waits for an attempt any more."""
        self.table.left(name)
        if self.freed is not None:
            self.freed(name)

    def used(self, name: str, tokens: int) -> None:
        """An answer told how many tokens it took."""
        self.table.used(name, self.now(), tokens)

    def learn(self, target: Placed, headers: Mapping[str, str]) -> None:
        """An answer came with these headers (lower-case names): what is left of its provider's limits, where the
        strategy or the line asks for it.
        """
        if not self.learns or target.endpoint is None:
            return
        limits = limits_of(headers, target.endpoint.rate_limits, self.now(), self.unix())
        if limits.requests is not None or limits.tokens is not None:
            self.table.told(target.deployment.id, limits)

    # -- between workers ----------------------------------------------------------------------------------------------

    def _has_changed(self, change: Change) -> None:
        self._changes.append(change)
        if self.changed is not None:
            self.changed()

    def export_events(self) -> list[Change]:
        """Circuits that opened or closed here since this was asked last (the latest of them), for the other workers."""
        changes = list(self._changes)
        self._changes.clear()
        return changes

    def apply_event(self, change: Change) -> None:
        """A circuit opened or closed at another worker."""
        if change.seconds > 0:
            self.table.rested(change.deployment, self.now() + change.seconds, change.trips)
        else:
            self.table.recovered(change.deployment)
        if self.freed is not None:
            self.freed(change.deployment)


def rules_of(settings: RoutingSettings) -> CooldownRules:
    """When a deployment rests."""
    return CooldownRules(
        seconds=settings.cooldown,
        allowed_fails=settings.allowed_fails,
        fails_by_kind=settings.allowed_fails_policy,  # type: ignore[arg-type]  # checked with the configuration
        enabled=settings.cooldowns,
    )


def fallbacks_of(settings: RoutingSettings) -> Fallbacks:
    """Where groups fall back to."""
    return Fallbacks(
        general=settings.fallbacks,
        context_window=settings.context_window_fallbacks,
        content_policy=settings.content_policy_fallbacks,
        default=settings.default_fallbacks,
        most=settings.max_fallbacks,
    )


def retries_of(settings: RoutingSettings, group_of: Callable[[str], str] = str) -> Retries:
    """How often a group is asked again. `group_of`: the group behind a name."""
    return Retries(
        general=settings.retries,
        by_kind=settings.retry_policy,  # type: ignore[arg-type]  # checked with the configuration
        by_group={group_of(name): policy for name, policy in settings.group_retry_policy.items()},  # type: ignore[misc]  # likewise
    )


def strategy_of(name: str) -> Strategy:
    """The strategy of this name. Raises ValueError that names all there are."""
    if name not in STRATEGIES:
        raise ValueError(f"routing_strategy {name!r} is none of: {', '.join(STRATEGIES)}")
    return STRATEGIES[name]


def _own(groups: Sequence[str]) -> dict[str, Sequence[str]]:
    return {"*": groups} if groups else {}


def _sticky(settings: RoutingSettings, previous: Router | None) -> Sticky | None:
    if not settings.sticky_seconds:
        return None
    if previous is not None and previous.sticky is not None:
        previous.sticky.seconds = settings.sticky_seconds
        return previous.sticky
    return Sticky(settings.sticky_seconds)


def _spent_for(deployment: Deployment, health: Health, now: float) -> float:
    """Seconds until something of its limits is left; 0: there is."""
    waits = [0.0]
    limits = health.limits
    told = () if limits is None else (limits.requests, limits.tokens)
    since = health.begun - health.begun_when_told
    for limit, spent in zip(told, (since, 0), strict=False):
        if limit is not None and now < limit.resets and limit.remaining - spent <= 0:
            waits.append(limit.resets - now)
    ends = health.window_start + WINDOW
    if now < ends:
        full = (deployment.rpm is not None and health.requests >= deployment.rpm) or (
            deployment.tpm is not None and health.tokens >= deployment.tpm
        )
        waits.append(ends - now if full else 0.0)
    return max(waits)
