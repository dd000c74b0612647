"""RoutedCall: a call that names a model, and goes to one of the deployments behind that name.

What such calls have in common, whatever they ask for: what a request says of its own routing, the plan, what it may
use of its key's limits and budget, what it costs, and the record of its end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msgspec import Raw
from msgspec.structs import replace

from penstock.dialects import wire
from penstock.exchange import Attempt, AttemptFailed, Send, exchange
from penstock.gateway import bounds, litellm_headers
from penstock.gateway.brought import brought_target
from penstock.gateway.call import Call
from penstock.gateway.client_words import FOR_THE_ROUTER, NOTHING_SAID, Said
from penstock.gateway.driver import Wait
from penstock.gateway.http.heads import header_line
from penstock.gateway.http.inbound import Inbound
from penstock.gateway.leases import Denied
from penstock.gateway.made import Made
from penstock.gateway.old_paths import model_in
from penstock.gateway.policies.budget import over_budget
from penstock.gateway.policies.model_access import allowed
from penstock.gateway.principal import Principal
from penstock.gateway.refused import Refused
from penstock.gateway.relay import Members, Peeked, joined, text, value
from penstock.gateway.route import RouteRequest
from penstock.gateway.row_facts import Kept, facts_of, metadata_of
from penstock.gateway.samples import RequestSample
from penstock.gateway.targets import Target
from penstock.gateway.tariff import Tariff, is_plain
from penstock.gateway.unserved import unserved
from penstock.gateway.upstream import Ongoing
from penstock.gateway.waiting import Waiting
from penstock.providers.cost import Cost, Terms, cost
from penstock.providers.errors import ProviderError
from penstock.routing.cascade import Cascade
from penstock.routing.deployment import Deployment
from penstock.routing.overrides import BODY_WORDS, NO_OVERRIDES, Overrides, overrides_of, said_in_headers
from penstock.routing.plan import NothingToAsk
from penstock.routing.situation import Need
from penstock.routing.sticky import session_of
from penstock.routing.task import Task
from penstock.routing.tasks import NO_TASKS
from penstock.types.errors import ErrorResponse
from penstock.types.response import Response
from penstock.types.usage import Usage

if TYPE_CHECKING:
    from penstock.gateway.plane import Plane

Charge = tuple[int | None, str | None]
"""Picodollars rounded up, and the exact amount as decimal text; None: unknown."""


class RoutedCall(Call):
    """One request for a model. `members` are those of its body (of a form: its fields)."""

    members: Members
    peeked: Peeked
    bound = hops = 0
    cap: int | None = None
    overrides: Overrides = NO_OVERRIDES
    route: Any = None
    waiting: Waiting | None = None
    entered = 0.0
    said: Said = NOTHING_SAID
    path_may_name = True
    """Whether old paths (`model_in`) name its model."""
    takes_words = True
    """Whether what LiteLLM's clients put into bodies for their proxy means something here, too."""
    told: Mapping[str, Any] | None = None
    """What the record of the last attempt shall say besides."""
    metadata: Mapping[str, Any] | None = None
    """What was said for the ledger; None: the request says nothing to us at all."""
    kept: Kept | None = None

    def __init__(self, plane: Plane, inbound: Inbound, principal: Principal, members: Members) -> None:
        super().__init__(plane, inbound, principal)
        if not plane.words.names.isdisjoint(members) or said_in_headers(inbound.headers):
            members = self._read_words(members)
        self.members = members

    def asked(self, peeked: Peeked, surface: str) -> None:
        """What the request says, and in which words."""
        self.peeked = peeked
        if self.path_may_name and (named := model_in(self.inbound.path)):
            self._take_name(named)
        self.requested = self.group = peeked.model
        self.sample.surface = surface
        self.sample.stream = peeked.stream
        if self.metadata is not None or peeked.user is not None or self.principal.tags:
            self.facts = facts_of(
                self.inbound.headers, peeked, self.overrides, self.principal.tags, self.metadata or {}
            )
        if self.plane.snapshot.settings.store_prompts and not self.said.private:
            self.kept = Kept(self.members)
            self.facts = {**self.facts, "messages": self.kept.said}

    def _read_words(self, members: Members) -> Members:
        """What the request says to us; the members without what is for nobody else. Raises Refused."""
        self.metadata = metadata_of(self.inbound.headers, members)
        words = self.plane.words.own(members) if self.takes_words else []
        if words:
            self.said = self.plane.words.read({name: value(members, name) for name in words})
            members = {name: raw for name, raw in members.items() if name not in words}
            self.inbound.body = joined(members)
        members = self._read_overrides(members)
        if self.said.arguments:
            self.overrides = replace(self.overrides, disable_fallbacks=True)
        return members

    def _take_name(self, named: str) -> None:
        """Take the model from an old path: it wins over the body's, as on Azure, whose clients put their default model
        into every body.
        """
        self.peeked.model = named
        if text(self.members, "model") == named:
            return
        self.members = {**self.members, "model": Raw(wire.encode(named))}
        if "multipart" not in self.inbound.header(b"content-type").lower():
            self.inbound.body = joined(self.members)

    def _read_overrides(self, members: Members) -> Members:
        """What the request says of its own routing; the members without what is for nobody else."""
        given = {name: value(members, name) for name in FOR_THE_ROUTER if name in members}
        headers = {name.decode("latin-1"): text.decode("latin-1") for name, text in self.inbound.headers.items()}
        self.overrides = overrides_of(headers, given)
        if BODY_WORDS.isdisjoint(members):
            return members
        members = {name: raw for name, raw in members.items() if name not in BODY_WORDS}
        self.inbound.body = joined(members)
        return members

    # -- who is asked -------------------------------------------------------------------------------------------------

    def go(self) -> None:
        plane, peeked, inbound = self.plane, self.peeked, self.inbound
        if not peeked.model:
            message = "`model` is missing; GET /v1/models lists the models"
            raise Refused("invalid_request", 400, message, param="model")
        headers = inbound.headers
        if b"traceparent" in headers or plane.observer.tracer is not None:
            self.trace = plane.observer.trace(
                self.sample, inbound.header(b"traceparent"), inbound.header(b"tracestate")
            )
        request = self._route_request()
        inbound.client_left = self.client_left
        before = text(self.members, "previous_response_id") if "previous_response_id" in self.members else None
        if before:
            plane.shared.made.look_up(before, lambda made, why: self._continue(before, request, made, why))
        else:
            self._enter(request)

    def _route_request(self) -> RouteRequest:
        plane, peeked, overrides = self.plane, self.peeked, self.overrides
        request = RouteRequest(
            self.group, peeked.stream, len(self.inbound.body), self.count_tokens, self.principal.tags, None, overrides
        )
        request.drawn = self.inbound.drawn
        if plane.router.sticky is not None:
            request.session = session_of(overrides.session, peeked.session, peeked.user)
        if self.principal.models:
            request.may_use = self._may_use
        if plane.router.tasks is not NO_TASKS:
            request.task = self.describes()
        request.need = self.needs_of_a_deployment()
        return request

    def needs_of_a_deployment(self) -> Need | None:
        """What a deployment must be able to do; None: nothing that not each can."""
        return None

    def go_on(self, deployment: Deployment, ongoing: Ongoing, since: float) -> None:
        """Go on with a request whose first attempt was sent to this deployment already (straight.py), at `since`
        (monotonic seconds): what comes of it will be told to this call.
        """
        self.step = len(self.plane.policies)
        self.inbound.client_left = self.client_left
        self.route = self.plane.router.plan(self._route_request(), self.make)
        self.route.has_begun(deployment)
        run = exchange(self.route, self.plane.clock, self.plane.total_timeout(self), self, since)
        sent = next(run)
        assert type(sent) is Send, "what was sent already is the first that is asked for"
        self.take_over(run, ongoing)

    def _enter(self, request: RouteRequest) -> None:
        """Route a request: at once, or when there is room for it."""
        room = self.plane.waiting_room()
        if room is None:
            self._route(request)
        else:
            self.entered = time.perf_counter()
            waiting = room.enter(request, lambda: self._go_on(request), self.fail)
            if waiting is not None:  # else it went at once: and may wait by now, for it came late
                self.waiting = waiting

    def _route(self, request: RouteRequest) -> None:
        router = self.plane.router
        cascade = router.choose(request) if router.tasks is not NO_TASKS else None
        if cascade is None or self.peeked.stream or not self.cascades(cascade, request):
            self.ask(request)

    def cascades(self, cascade: Cascade, request: RouteRequest) -> bool:
        """Ask the groups of a cascade in turn. False: answers to this kind of request cannot be checked."""
        return False

    def ask(self, request: RouteRequest) -> None:
        """Make the exchange of a request."""
        plane, before = self.plane, self.route
        if before is not None:
            before.unclaim()
        try:
            self.route = plane.router.plan(request, self.make, not self.said.arguments)
        except ProviderError as error:
            if error.kind != "unknown_model":
                raise
            raise unserved(plane, self.principal, self.requested) from None
        if request.decision is not None:
            self.facts = {**self.facts, "route": self.route.explain()}
        self.drive(exchange(self.route, plane.clock, plane.total_timeout(self), self))

    def _go_on(self, request: RouteRequest) -> None:
        """There is room for a request, which may have waited for it."""
        if self.waiting is not None:
            before, queued = self.sample.queued or 0.0, time.perf_counter() - self.entered
            self.sample.queued = queued
            self.waited += queued - before
        try:
            if not self.over:
                self._route(request)
        except Exception as error:
            self.failed(error)

    def failed(self, error: BaseException) -> None:
        if not self.came_late(error):
            super().failed(error)

    def came_late(self, error: BaseException) -> bool:
        """Whether the place that the line saw was taken by another worker meanwhile: then the request waits on. (Not
        where the line would send it here again at once: it knows no better, and its plan says what is wrong.)
        """
        room, route = self.plane.waiting_room(), self.route
        if room is None or route is None or self.attempts or self.over or not isinstance(error, AttemptFailed):
            return False
        left = self.plane.snapshot.routing.queue_seconds - (time.perf_counter() - self.entered)
        if error.error.native != NothingToAsk.native or left <= 0 or not room.knows(route):
            return False
        request = route.request
        self.waiting = room.enter_again(request, lambda: self._go_on(request), self.fail, left, self.waiting)
        return True

    def estimated(self) -> tuple[Usage | None, int | None, str | None]:
        target = self.target
        if target is None:
            return None, None, None
        inward = self.count_tokens()
        usage = Usage(input_tokens=inward, output_tokens=0, total_tokens=inward)
        return usage, *self.charge(target, usage, None, None)

    def give_up_driving(self) -> None:
        room = self.plane.waiting_room() if self.waiting is not None else None
        if room is not None and self.waiting is not None:
            room.leave(self.waiting)
        super().give_up_driving()

    def describes(self) -> Callable[[], Task] | None:
        """What the request is, for rules that choose a group by it; None: this kind of request has no rules."""
        return None

    def _continue(self, before: str, request: RouteRequest, made: Made | None, why: str | None) -> None:
        """It is known who has the response that this one continues: nobody else can. What is another's is not there."""
        if self.over:
            return
        try:
            if why is not None:
                message = f"who has the response {before[:100]!r} cannot be found out now: {why}"
                raise Refused("unavailable", 503, message, retry_after=1)
            if made is not None:
                if made.principal != self.principal.id and self.principal.role != "master":
                    message = f"there is no response {before[:100]!r} here that is yours"
                    raise Refused("not_found", 404, message, param="previous_response_id")
                if any(each.id == made.deployment for each in self._members_of(request.group)):
                    request.group = made.deployment
            self._enter(request)
        except Exception as error:
            self.failed(error)

    def _members_of(self, group: str) -> Sequence[Deployment]:
        """The deployments of a group; none where there is no such group: its plan says so."""
        try:
            found: Sequence[Deployment] = self.plane.router.members(group).deployments
        except ProviderError:
            return ()
        return found

    def target_of(
        self, deployment: Deployment, capability: str, dialect: str, prefer: tuple[str, ...], stream: bool
    ) -> Target:
        """A deployment as it is asked, with what the client brought itself. Raises ProviderError, Refused."""
        plane, brought = self.plane, self.said.arguments
        if brought:
            return brought_target(
                plane.engine, plane.bare_engine, deployment, brought, capability, dialect, prefer, stream
            )
        found: Target = plane.targets.of(deployment, capability, dialect, prefer, stream)
        return found

    def _may_use(self, group: str) -> bool:
        return allowed(self.principal, group)

    def count_tokens(self) -> int:
        """About how many tokens go in."""
        return max(1, bounds.tight(self.inbound.body) // 4)

    def make(self, deployment: Deployment, group: str, hops: int) -> Any:
        """An attempt (`exchange.Attempt`) at a deployment. Its facts say `made`, what has its target."""
        raise NotImplementedError

    # -- what it may use ----------------------------------------------------------------------------------------------

    def needs(self, limit: int | None) -> tuple[int, int]:
        """(tokens that can go in, tokens that can come out) at most, at a model that gives `limit`."""
        if not self.bound:
            self.bound = bounds.loose(self.inbound.body)
        peeked = self.peeked
        most = peeked.max_output
        if most is None:
            most = limit if limit is not None else self.plane.snapshot.settings.default_max_output
        return self.bound, most * peeked.choices

    def reserve(self, target: Target) -> Wait | None:
        """Reserve money for an attempt. A Wait: a lease must be drawn first. Raises Refused."""
        for quota in self.principal.quotas:
            if quota.kind != "money" or any(name == quota.name for name, _ in self.money):
                continue
            tariff = target.tariff
            if tariff is None:
                wanted = self.plane.unpriced(self, target)
            else:
                inward, outward = self.needs(target.max_output)
                wanted = tariff.bound(inward, outward)
            granted = self.plane.leases.take(quota, wanted, wanted)
            if type(granted) is not int:
                least = wanted if tariff is None else self._least_cost(tariff, wanted, outward)
                granted = self.plane.leases.take(quota, wanted, least)
                if granted is None:
                    return Wait(quota, wanted, least)
                if isinstance(granted, Denied):
                    raise over_budget(quota, least, granted, self.plane.snapshot.settings.budget_status)
            self.money = [*self.money, (quota.name, granted)]
            if tariff is not None and (granted < wanted or self._boundless(target)):
                inward = bounds.tight(self.inbound.body) if granted < wanted else self.bound
                self.limit_output(tariff.output_for(granted, inward) // self.peeked.choices)
        return None

    def _least_cost(self, tariff: Tariff, wanted: int, outward: int) -> int:
        inward = bounds.tight(self.inbound.body)
        return min(wanted, tariff.bound(inward, min(outward, LEAST_OUTPUT * self.peeked.choices)))

    def _boundless(self, target: Target) -> bool:
        """Whether neither the request nor what is known of the model says how much may come out."""
        return self.peeked.max_output is None and target.max_output is None

    def most_tokens(self) -> int:
        """The tokens that the call may use at most."""
        inward, outward = self.needs(None)
        return inward + outward

    def least_tokens(self) -> int:
        """The least tokens that are worth having."""
        inward, outward = self.needs(None)
        return min(inward, bounds.tight(self.inbound.body)) + min(outward, LEAST_OUTPUT * self.peeked.choices)

    def dearest(self, target: Target) -> int:
        """Picodollars that a call can come to at a target whose prices are not a matter of tokens alone."""
        inward, outward = self.needs(target.max_output)
        most = Usage(input_tokens=inward, output_tokens=outward, total_tokens=inward + outward)
        picodollars, _ = self.charge(target, most, None, None)
        return picodollars or 0

    def limit_output(self, tokens: int) -> None:
        """Let no more than `tokens` come out of each choice: more is not reserved."""
        own = self.peeked.max_output
        if (own is None or tokens < own) and (self.cap is None or tokens < self.cap):
            self.cap = max(1, tokens)

    # -- what it costs ------------------------------------------------------------------------------------------------

    def charge(self, target: Target, usage: Usage | None, tier: str | None, response: Response | None) -> Charge:
        """What a usage costs at a target."""
        found = target.endpoint
        if usage is None or found is None:
            return None, None
        usage = usage.whole()
        if tier is None and response is not None:
            tier = response.service_tier or usage.service_tier
        tariff = target.tariff
        if tariff is not None and tier in STANDARD and is_plain(usage) and not self._has_tools():
            amount = tariff.of(usage.input_tokens or 0, usage.cache_read_tokens or 0, usage.output_tokens or 0)
            if amount is not None:
                return tariff.picodollars(amount), tariff.text(amount)
        terms = Terms(service_tier=tier) if response is None else self.terms(response)
        bill: Cost = cost(
            usage,
            target.prices,
            replace(terms, location=found.location, residency=terms.residency or found.residency, at=_now()),
            trust_reported=found.reports_cost,
        )
        total = bill.total
        return bill.picodollars, None if total is None else format(total.normalize(), "f")

    def _has_tools(self) -> bool:
        """Whether the request may make a provider run tools, which cost by themselves."""
        return not TOOLS.isdisjoint(self.members)

    def terms(self, response: Response) -> Terms:
        """What decides over the price of this answer beside its counts."""
        return Terms()

    def finish(
        self,
        status: int,
        usage: Usage | None,
        picodollars: int | None,
        text: str | None,
        reason: str | None,
        answer_id: str | None,
        *,
        outcome: str = "success",
        error: str | None = None,
        estimated: bool = False,
        first_token: float | None = None,
    ) -> None:
        """Settle and record a request that was answered."""
        self.over = True
        if usage is not None:
            usage = usage.whole()
        self.remember(answer_id)
        self.waited += time.perf_counter() - self.sent_at if self.sent_at else 0.0
        told: Mapping[str, Any] | None = self.told
        if self.notes:
            told = {**(told or {}), "notes": [str(note) for note in self.notes]}
        if self.kept is not None:
            told = {**(told or {}), "response": self.kept.answer()}
            if self.open is None:
                self.facts = {**self.facts, **told}
        if self.open is None:
            self.record_end(status, outcome, error, usage=usage)  # answered here, by nobody else
            self._tell_usage(usage)
        self.close(
            outcome,
            status,
            error=error,
            usage=usage,
            estimated=estimated,
            cost=picodollars,
            cost_text=text,
            first_token=first_token,
            finish_reason=reason,
            response_id=answer_id,
            last=True,
            facts=told,
        )
        tokens = 0
        if usage is not None:
            tokens = usage.total_tokens or (usage.input_tokens or 0) + (usage.output_tokens or 0)
        self.settle(tokens)
        self.route.done(tokens)
        self.observe(status, outcome, error)

    def _tell_usage(self, usage: Usage | None) -> None:
        """Write what no attempt has told into the sample."""
        if usage is not None:
            self.sample.input_tokens, self.sample.output_tokens = usage.input_tokens, usage.output_tokens

    def release(self) -> None:
        super().release()
        route, self.route = self.route, None
        if route is not None:
            route.done()
            route.unclaim()

    def remember(self, answer_id: str | None) -> None:
        """The answer has this id."""

    def describe(self, sample: RequestSample) -> None:
        sample.fallbacks = self.hops
        if self.notes:
            sample.notes = tuple([str(note) for note in self.notes])
        facts = self.facts
        if facts:
            sample.end_user, sample.session = facts.get("end_user"), facts.get("session")
            sample.tags = tuple(facts.get("tags", ()))

    def answer_head(self, target: Target | None, kind: bytes, cost_text: str | None) -> bytes:
        """The header lines of an answer."""
        overhead = (time.perf_counter() - self.started - self.waited) * 1000
        place = self.plane.place_lines(self.group, "demo" if target is None else target.deployment.id, self.hops)
        head = usual_head(kind, self.id, place, self.attempts, overhead, cost_text)
        if self.notes or self.said.notes:
            head += header_line("x-penstock-notes", "; ".join([*self.said.notes, *map(str, self.notes)]))
        said = self.explanation()
        if said:
            head += header_line("x-penstock-route", said)
        if self.cap is not None:
            head += b"x-penstock-output-limit: %d\r\n" % self.cap
        if self.principal.quotas:
            head += self.plane.limit_headers(self.principal)
        if self.plane.snapshot.settings.litellm_headers:
            head += litellm_headers.lines(self, target, cost_text, overhead)
        return head

    def explanation(self) -> str:
        """Why the answer came from where it came, where that is not plain."""
        route = self.route
        return "" if route is None or route.request.decision is None else str(route.explanation)

    # -- watching the exchange ----------------------------------------------------------------------------------------

    def began(self, attempt: Any) -> None:
        self.attempt = attempt
        facts = attempt.facts
        made, self.hops = facts["made"], facts["fallbacks"]
        self.target = None if made is None else made.target
        self.route.began(attempt)

    def ended(self, attempt: Attempt[Any], seconds: float, error: ErrorResponse | None, streams: bool) -> None:
        if error is not None:
            if self.sent_at:
                self.waited += time.perf_counter() - self.sent_at
            self.close("failure", error.status if error.dialect else 0, error=error.kind)
        self.route.ended(attempt, seconds, error, streams)

    def left(self, attempt: Attempt[Any]) -> None:
        self.route.left(attempt)


def usual_head(kind: bytes, call_id: str, place: bytes, attempts: int, overhead: float, cost_text: str | None) -> bytes:
    """The header lines that every answer has. `overhead` in milliseconds."""
    name = call_id.encode()
    return (
        b"%bx-penstock-call-id: %b\r\nx-request-id: %b\r\nrequest-id: %b\r\n%bx-penstock-attempts: %d\r\n"
        b"x-penstock-overhead-ms: %.3f\r\n%b"
    ) % (
        kind,
        name,
        name,
        name,
        place,
        attempts,
        overhead if overhead > 0 else 0.0,
        b"" if cost_text is None else b"x-penstock-cost: %b\r\n" % cost_text.encode(),
    )


def _now() -> datetime:
    return datetime.now(UTC)


TOOLS = frozenset({"tools", "web_search_options", "plugins"})
"""Members of a request that may make a provider run tools, which cost by themselves."""
LEAST_OUTPUT = 16
"""Tokens that must be allowed to come out, for a call to be worth sending."""
STANDARD = frozenset({None, "default", "standard", "auto"})
"""Service tiers at the standard price."""
