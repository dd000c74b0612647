"""The routed engine: an engine whose calls name a model group, and are answered by one of its deployments.

It is what the pure package `penstock.routing` lacks: the clock, the random source, and the table of what is known of
each deployment, which all calls of all threads share. It watches every attempt, counts a stream as in flight until
nobody reads from it any more, and leaves all else to the exchange.
"""

from __future__ import annotations

import logging
import random
import threading
import weakref
from collections.abc import AsyncIterator, Generator, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from penstock.calls.engine import Engine, Planned
from penstock.calls.options import SYNONYMS, timeouts_of
from penstock.calls.transport import StreamBroken
from penstock.exchange import Attempt, AttemptFailed, Clock, Plan, Success, exchange
from penstock.providers.errors import ProviderError
from penstock.routing.candidates import Candidates, candidates
from penstock.routing.deployment import Deployment
from penstock.routing.fallbacks import Fallbacks
from penstock.routing.groups import Groups, UnknownGroup
from penstock.routing.health import CooldownRules, Health
from penstock.routing.plan import Retries, RouterPlan, Unroutable, unroutable
from penstock.routing.situation import Situation
from penstock.routing.strategies import Strategy
from penstock.routing.table import Table
from penstock.types.errors import ErrorKind, ErrorResponse, MalformedError

LOGGER = logging.getLogger("penstock")

_TIMEOUTS = frozenset({"timeout", "stream_timeout"})


class HealthTable:
    """What is known of each deployment. For all threads; each step is one look-up under a lock."""

    def __init__(self, groups: Groups, rules: CooldownRules, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._table = Table()
        self._table.govern(groups.deployments, rules)

    def snapshot(self) -> dict[str, Health]:
        """The whole table as it is now, by the deployments' ids."""
        with self._lock:
            return dict(self._table.healths)

    def claim(self, name: str) -> bool:
        """Whether a request may go to the deployment."""
        with self._lock:
            return self._table.claim(name, self._clock.monotonic())

    def started(self, name: str) -> None:
        """A request to the deployment begins."""
        with self._lock:
            self._table.started(name, self._clock.monotonic())

    def left(self, name: str) -> None:
        """A request is over."""
        with self._lock:
            self._table.left(name)

    def succeeded(self, name: str, seconds: float, streams: bool) -> None:
        """A request was answered, or a stream began: then `left` comes later."""
        with self._lock:
            self._table.answered(name, self._clock.monotonic(), seconds, streams)

    def failed(self, name: str, error: ErrorResponse) -> None:
        """A request failed, or a stream broke off."""
        with self._lock:
            self._table.failed(name, self._clock.monotonic(), error)


class Watcher:
    """Tells the table of a call's attempts. `judges`: whether their ends say something about the deployment (not where
    the caller brought a key or an address of their own). `says`: the level at which they are logged; None: not at all.
    """

    def __init__(self, table: HealthTable, judges: bool = True, says: int | None = None) -> None:
        self._table = table
        self._judges = judges
        self._says = says

    def began(self, attempt: Attempt[Any]) -> None:
        self._table.started(attempt.facts["model_id"])
        if self._says is not None:
            self._log(attempt, "is asked")

    def ended(self, attempt: Attempt[Any], seconds: float, error: ErrorResponse | None, streams: bool) -> None:
        name = attempt.facts["model_id"]
        if self._says is not None:
            how = "answered" if error is None else f"failed with {error.kind} ({error.status})"
            self._log(attempt, f"{how} after {seconds:.3f} s")
        if error is None and self._judges:
            self._table.succeeded(name, seconds, streams)
        elif not streams:
            if error is not None and self._judges:
                self._table.failed(name, error)
            self._table.left(name)

    def left(self, attempt: Attempt[Any]) -> None:
        self._table.left(attempt.facts["model_id"])

    def _log(self, attempt: Attempt[Any], what: str) -> None:
        """One line. What the provider said is not in it: there may be a key in that."""
        facts = attempt.facts
        LOGGER.log(self._says or 0, "%s of %r (%s) %s", facts["model_id"], facts["model_group"], attempt.name, what)


class RestOfStream:
    """The rest of a stream, after whose end its deployment is one request less busy. One that nobody closes ends when
    it is forgotten.
    """

    def __init__(self, stream: Any, table: HealthTable, name: str) -> None:
        self._stream = stream
        self._table = table
        self._name = name
        self._over = weakref.finalize(self, table.left, name)

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._stream
        except StreamBroken as broken:
            self._broke(broken)
            raise

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._stream:
                yield piece
        except StreamBroken as broken:
            self._broke(broken)
            raise

    def close(self) -> None:
        self._over()
        self._stream.close()

    async def aclose(self) -> None:
        self._over()
        await self._stream.aclose()

    def _broke(self, broken: StreamBroken) -> None:
        kind: ErrorKind = "timeout" if broken.broken.kind == "timeout" else "unavailable"
        self._table.failed(self._name, ErrorResponse(kind=kind, status=503, message=broken.broken.message))


class RoutedPlan(RouterPlan):
    """A plan that knows who watches its attempts."""

    watcher: Watcher


class RoutedEngine(Engine):
    """An engine that chooses.

    groups        the deployments
    strategy      in which order deployments of a group are asked
    fallbacks     where groups fall back to
    retries       how often a group is asked again; `general` and `told` are the call's
    rules         when a deployment rests
    least_wait    seconds to wait at least before the same deployment is asked again
    tags          whether the `tags` of a call choose among deployments; `any_tag`: one in common is enough
    says          the level at which attempts are logged; None: not at all
    **arguments   those of `Engine`
    """

    routes = True

    def __init__(
        self,
        groups: Groups,
        strategy: Strategy,
        *,
        fallbacks: Fallbacks,
        retries: Retries,
        rules: CooldownRules,
        least_wait: float,
        tags: bool = False,
        any_tag: bool = True,
        says: int | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self.groups = groups
        self.health = HealthTable(groups, rules, self.clock)
        self._strategy = strategy
        self._fallbacks = fallbacks
        self._retries = retries
        self._least_wait = least_wait
        self._tags, self._any_tag = tags, any_tag
        self._says = says

    # -- what a call asks of its engine -------------------------------------------------------------------------------

    def plan(self, call: Planned) -> RoutedPlan:
        """The plan of a call whose model is a group. Raises ProviderError for an unknown one, MalformedError for
        fallbacks of the call's own that are not to be understood.
        """
        self._find(call.model)
        own, changes = self._own_fallbacks(call)

        def make(deployment: Deployment, group: str, hops: int) -> Attempt[Any]:
            attempt = call.attempt({**self._change(deployment, call), **changes.get(group, {})})
            facts = {"model_id": deployment.id, "model_group": group, "fallbacks": hops}
            return replace(attempt, facts=facts)

        streams = bool(call.arguments.get("stream"))
        plan = RoutedPlan(
            call.model,
            partial(self._candidates, tags=call.options.tags, streams=streams),
            make,
            fallbacks=lambda group, kind: own.after(self._names(group), kind),
            retries=self._retries_of(call),
            backoff=self.backoff,
            random=random.random,  # jitter, no secret
            most=own.most,
            least_wait=self._least_wait,
            claim=self.health.claim,
        )
        plan.watcher = Watcher(self.health, not self.addresses & call.arguments.keys(), self._says)
        return plan

    def eligible(self, call: Planned) -> Sequence[Attempt[Any]]:
        """An attempt at every deployment of the group, and of the groups that it may fall back to."""
        own, _ = self._own_fallbacks(call)
        names = [call.model, *own.after(self._names(call.model), "unavailable")]
        return [call.attempt(self._change(each, call)) for name in names for each in self._find(name)]

    def leading(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments with those of the group's first deployment."""
        deployment = self._find(str(arguments.get("model") or ""))[0]
        return {**deployment.arguments, **arguments, "model": deployment.model}

    def exchange(self, plan: Plan, options: Any) -> Generator[Any, Any, Success[Any]]:
        """The generator to drive. Where no deployment may be asked, it fails at once: 503, and when to come again."""
        watcher = plan.watcher if isinstance(plan, RoutedPlan) else Watcher(self.health)
        try:
            return (yield from exchange(plan, self.clock, timeouts_of(options.timeout).total, watcher))
        except Unroutable as nothing:
            raise AttemptFailed(nothing.error) from None

    def rest_of(self, success: Success[Any]) -> Any:
        stream = success.reply.stream
        return None if stream is None else RestOfStream(stream, self.health, success.attempt.facts["model_id"])

    def best(self, name: str) -> Deployment:
        """The deployment that a call to this group would go to now. Raises ProviderError for an unknown one,
        AttemptFailed where none may be asked.
        """
        found = self._candidates(name)
        if found.ready:
            return found.ready[0]
        raise AttemptFailed(unroutable(name, found).error)

    # -- how it chooses -----------------------------------------------------------------------------------------------

    def _candidates(self, name: str, tags: Sequence[str] | None = None, streams: bool = False) -> Candidates:
        situation = Situation(
            self.clock.monotonic(),
            random.random,
            streams=streams,
            tags=tuple(tags or ()) if self._tags else None,
            any_tag=self._any_tag,
        )
        return candidates(self._find(name), self.health.snapshot(), situation, self._strategy)

    def _retries_of(self, call: Planned) -> Retries:
        usual, number = self._retries, call.options.num_retries
        given = {SYNONYMS.get(name, name) for name, value in call.arguments.items() if value is not None}
        told = number if "num_retries" in given else None
        return replace(usual, general=number, told=told)

    def _find(self, name: str) -> tuple[Deployment, ...]:
        try:
            return self.groups.find(name)
        except UnknownGroup as error:
            raise ProviderError("unknown_model", str(error)) from None

    def _names(self, name: str) -> tuple[str, ...]:
        return name, self.groups.canonical(name)

    def _change(self, deployment: Deployment, call: Planned) -> dict[str, Any]:
        """What a deployment changes of a call: its own arguments, where the call does not say otherwise."""
        given = {SYNONYMS.get(name, name) for name, value in call.arguments.items() if value is not None}
        change = {name: value for name, value in deployment.arguments.items() if SYNONYMS.get(name, name) not in given}
        if deployment.stream_timeout is not None and call.arguments.get("stream") and given.isdisjoint(_TIMEOUTS):
            change["timeout"] = deployment.stream_timeout
        addresses = {name: value for name, value in call.arguments.items() if name in self.addresses}
        return {**change, **addresses, "model": deployment.model}

    def _own_fallbacks(self, call: Planned) -> tuple[Fallbacks, dict[str, dict[str, Any]]]:
        """Where this call falls back to, and what it changes of itself there: group -> arguments."""
        options, usual = call.options, self._fallbacks
        if options.disable_fallbacks:
            return Fallbacks(most=0), {}
        changes: dict[str, dict[str, Any]] = {}
        tables = {
            field: self._table(getattr(options, option), option, changes) or getattr(usual, field)
            for field, option in (
                ("general", "fallbacks"),
                ("context_window", "context_window_fallbacks"),
                ("content_policy", "content_policy_fallbacks"),
            )
        }
        return Fallbacks(**tables, default=usual.default, most=usual.most), changes

    def _table(
        self, entries: Sequence[Any], option: str, changes: dict[str, dict[str, Any]]
    ) -> dict[str, Sequence[str]]:
        """A call's own list: names, {"model": name, and what changes}, or {group: [names]}."""
        table: dict[str, Sequence[str]] = {}
        everywhere: list[str] = []
        for entry in entries:
            if isinstance(entry, Mapping) and "model" not in entry:
                table |= fallback_table([entry], option)
                continue
            arguments = {"model": entry} if isinstance(entry, str) else dict(entry)
            name = arguments.pop("model")
            everywhere.append(name)
            if arguments:
                changes[name] = arguments
        if everywhere:
            table["*"] = everywhere
        for name in (name for names in table.values() for name in names):
            self._known(name, option)
        return table

    def _known(self, name: Any, option: str) -> None:
        try:
            self.groups.canonical(name if isinstance(name, str) else repr(name))
        except UnknownGroup as error:
            raise MalformedError(str(error), option) from None


def fallback_table(entries: Any, option: str) -> dict[str, Sequence[str]]:
    """`[{"group": ["other", ...]}, ...]` as one table. Raises MalformedError that names the option."""
    if isinstance(entries, Mapping):
        entries = [entries]
    if isinstance(entries, str) or not isinstance(entries, Sequence):
        raise MalformedError('expected a list like [{"group": ["other group"]}]', option)
    table: dict[str, Sequence[str]] = {}
    for entry in entries:
        if not isinstance(entry, Mapping):
            raise MalformedError(f'expected {{"group": ["other group"]}}, got {entry!r}', option)
        for group, others in entry.items():
            if (
                isinstance(others, str)
                or not isinstance(others, Sequence)
                or not all(isinstance(o, str) for o in others)
            ):
                raise MalformedError(
                    f"the fallbacks of {group!r} must be a list of group names, got {others!r}", option
                )
            table[group] = tuple(others)
    return table
