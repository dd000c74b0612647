"""The plan of one call through a router: a pure function from what was tried to what comes next.

Within a group, after an error that another deployment may not have: the best that may be asked and was not asked yet;
when there is none, for errors that pass, the one that was asked longest ago, after a wait. One that rests is never
asked. When the retries are spent, or the error would be the same everywhere in the group, the call falls back to
another group: by the kind of the error (context window, content policy), else by the general list; at most
`Fallbacks.most` times, and never twice to the same group. When nothing is left but deployments that rest, the call
waits for the first of them if it is back soon. After every wait it looks again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from penstock.routing.candidates import Candidates
from penstock.routing.deployment import Deployment
from penstock.routing.situation import Need
from penstock.types.errors import ErrorKind, ErrorResponse
from penstock.types.retry import RETRYABLE, Again, Backoff, Tried

_ELSEWHERE: frozenset[ErrorKind] = RETRYABLE | {
    "quota",
    "billing",
    "authentication",
    "permission",
    "not_found",
    "unsupported",
    "unknown",
}
"""Errors that another deployment of the same group may not have: its own key, quota, health, or provider."""


class Retries(Struct, frozen=True, kw_only=True):
    """How often a group is asked again. The first of these that says something holds: `by_group` (group -> kind of the
    last error -> number) or, for groups that are not in it, `by_kind`; `told`, the call's own number; that of the
    deployment which failed last; `general`.
    """

    general: int = 2
    by_kind: Mapping[ErrorKind, int] = {}
    by_group: Mapping[str, Mapping[ErrorKind, int]] = {}
    told: int | None = None

    def policy(self, deployment: Deployment) -> Mapping[ErrorKind, int]:
        """What was said of kinds of errors."""
        return self.by_group.get(deployment.group, self.by_kind)

    def after(self, kind: ErrorKind, deployment: Deployment) -> int:
        """How often after an error of this kind, of this deployment."""
        policy = self.policy(deployment)
        if kind in policy:
            return policy[kind]
        if self.told is not None:
            return self.told
        return self.general if deployment.retries is None else deployment.retries


class Unroutable(Exception):
    """Nobody can be asked. `error` says so to the caller; `seconds` when to come again, where that helps."""

    kind: ErrorKind = "invalid_request"
    status = 400
    native = "unroutable"
    param: str | None = None

    def __init__(self, message: str, group: str, seconds: float | None = None) -> None:
        super().__init__(message)
        self.group = group
        self.seconds = seconds

    @property
    def error(self) -> ErrorResponse:
        """The answer for the caller."""
        return ErrorResponse(
            kind=self.kind,
            status=self.status,
            message=str(self),
            param=self.param,
            native=self.native,
            retry_after=self.seconds,
        )


class NothingToAsk(Unroutable):
    """No deployment of the group may be asked now. `seconds` says when the first is back; None: when a request of
    another caller ends.
    """

    kind = "unavailable"
    status = 503
    native = "resting"

    def __init__(self, group: str, next_back: Deployment | None, seconds: float | None) -> None:
        if next_back is None:
            text = f"all deployments of {group!r} have as many requests as they take (max_parallel_requests)"
        else:
            text = (
                f"all deployments of {group!r} are resting after failures; the next, {next_back.id}, is back in "
                f"{seconds:.1f} s"
            )
        super().__init__(text, group, seconds)


class TooLong(Unroutable):
    """The request has more tokens than any deployment of the group takes, and there is no other group for that."""

    kind = "context_window"
    native = "context_window"

    def __init__(self, group: str, tokens: int | None, largest: int) -> None:
        about = "more tokens" if tokens is None else f"about {tokens} tokens, more"
        super().__init__(
            f"the request has {about} than any deployment of {group!r} takes: the largest takes {largest}. Shorten it, "
            "or name a group with a larger window for it (context_window_fallbacks)",
            group,
        )


class NoTag(Unroutable):
    """No deployment of the group has the tags that the request asks for."""

    native = "tags"

    def __init__(self, group: str) -> None:
        super().__init__(
            f"no deployment of {group!r} has the tags of this request: give the tags of one, or tag one of them "
            "'default' for requests that no other tag fits",
            group,
        )


class Unmet(Unroutable):
    """No deployment of the group can do what the request needs."""

    def __init__(self, group: str, need: Need) -> None:
        super().__init__(need.message, group)
        self.param = need.param


def unroutable(group: str, found: Candidates) -> Unroutable:
    """Why nobody of a group can be asked, where nobody can be."""
    if found.untagged:
        return NoTag(group)
    if found.unmet is not None:
        return Unmet(group, found.unmet)
    if found.largest is not None:
        return TooLong(group, found.tokens, found.largest)
    return NothingToAsk(group, found.next_back, None if found.next_back is None else found.back_in)


class RouterPlan:
    """The plan of one call, beginning at `group`.

    candidates    group -> who may be asked now; asked again for each step
    make          (deployment, the group it is asked for, how many groups failed before) -> the attempt
    fallbacks     (group, kind of error) -> the groups to try then
    most          groups that one call may fall back to
    least_wait    seconds to wait at least before the same deployment is asked again
    claim         id -> whether the deployment may be asked after all: of the requests to one that comes back from a
                  rest exactly one may (health.py)
    """

    def __init__(
        self,
        group: str,
        candidates: Callable[[str], Candidates],
        make: Callable[[Deployment, str, int], Any],
        *,
        fallbacks: Callable[[str, ErrorKind], Sequence[str]],
        retries: Retries,
        backoff: Backoff,
        random: Callable[[], float],
        most: int = 5,
        least_wait: float = 0.0,
        claim: Callable[[str], bool] = lambda name: True,
    ) -> None:
        self._candidates = candidates
        self._make = make
        self._fallbacks = fallbacks
        self._retries = retries
        self._backoff = backoff
        self._random = random
        self._most = most
        self._least_wait = least_wait
        self._claim = claim
        self._group = group
        self._hops = 0
        self._visited = {group}
        self._waiting: list[str] = []
        self._asked: list[Deployment] = []
        self._errors: dict[str, ErrorResponse] = {}
        self._decided: list[Again | None] = []
        self._kind: ErrorKind = "unavailable"

    def after(self, tried: Sequence[Tried]) -> Again | None:
        """What to try next; None: give up. Raises NothingToAsk where nothing can be tried at all.

        A history only grows: what was answered to a shorter one is remembered, so the same history has the same answer.
        """
        while len(self._decided) <= len(tried):
            self._decided.append(self._decide(tried[: len(self._decided)]))
        return self._decided[len(tried)]

    def _decide(self, tried: Sequence[Tried]) -> Again | None:
        if not tried:
            return self._begin()
        error = tried[-1].error
        self._kind = error.kind
        if self._asked:
            self._errors[self._asked[-1].id] = error
        return self._within(error) or self._elsewhere(error.kind) or self._when_back(error)

    def begun(self, deployment: Deployment, again: Again) -> None:
        """The first attempt was chosen without this plan: `again`, at `deployment`."""
        self._asked.append(deployment)
        self._decided.append(again)

    def _begin(self) -> Again:
        found = self._candidates(self._group)
        if (chosen := self._first(found.ready)) is not None:
            return self._ask(chosen)
        nobody = unroutable(self._group, found)
        elsewhere = self._elsewhere(nobody.kind)
        if elsewhere is None:
            raise nobody
        return elsewhere

    def _within(self, error: ErrorResponse) -> Again | None:
        """Another deployment of the group at once; the same ones once more only for errors that pass, after a wait."""
        told = error.kind in self._retries.policy(self._asked[-1])
        if not (told or error.kind in _ELSEWHERE) or not self._may_retry(error.kind):
            return None
        ready = self._candidates(self._group).ready
        asked = [each.id for each in self._asked]
        fresh = self._first([each for each in ready if each.id not in asked])
        if fresh is not None:
            return self._ask(fresh)
        known = [each for each in ready if each.id in asked]
        if not (told or error.kind in RETRYABLE) or not known:
            return None
        last = {name: place for place, name in enumerate(asked)}
        oldest = min(known, key=lambda each: last[each.id])
        wait = self._backoff.wait(asked.count(oldest.id) - 1, self._errors[oldest.id], self._random())
        if wait is None or (not max(wait, self._least_wait) and not self._claim(oldest.id)):
            return None
        return self._ask(oldest, max(wait, self._least_wait))

    def _elsewhere(self, kind: ErrorKind) -> Again | None:
        """The first other group that can be asked."""
        self._waiting = [*self._fallbacks(self._group, kind), *self._waiting]
        while self._waiting and self._hops < self._most:
            group = self._waiting.pop(0)
            if group in self._visited:
                continue
            self._visited.add(group)
            chosen = self._first(self._candidates(group).ready)
            if chosen is not None:
                self._group, self._asked, self._errors = group, [], {}
                self._hops += 1
                return self._ask(chosen)
        return None

    def _when_back(self, error: ErrorResponse) -> Again | None:
        """The first deployment that has rested, where that is soon, and the error is one that passes."""
        if error.kind not in RETRYABLE or not self._may_retry(error.kind):
            return None
        found = self._candidates(self._group)
        if found.ready or found.next_back is None or found.back_in > self._backoff.longest:
            return None
        return self._ask(found.next_back, found.back_in)

    def _first(self, ready: Sequence[Deployment]) -> Deployment | None:
        return next((each for each in ready if self._claim(each.id)), None)

    def _may_retry(self, kind: ErrorKind) -> bool:
        return len(self._asked) <= self._retries.after(kind, self._asked[-1])

    def _ask(self, deployment: Deployment, wait: float = 0.0) -> Again:
        self._asked.append(deployment)
        attempt = self._make(deployment, self._group, self._hops)
        return Again(attempt, wait, self._after_waiting(deployment, wait) if wait else None)

    def _after_waiting(self, deployment: Deployment, waited: float) -> Callable[[], Again | None]:
        """What to do once a wait is over. Whom it was for may rest by now, be probed by another call, or be full: then
        whoever else of the group may be asked, else another group, else a little more patience, of which there is as
        much as the longest wait.
        """

        def then() -> Again | None:
            found = self._candidates(self._group)
            ready = sorted(found.ready, key=lambda each: each.id != deployment.id)  # it first, the others as they are
            chosen = self._first(ready)
            self._asked.pop()
            if chosen is not None:
                return self._ask(chosen)
            if (elsewhere := self._elsewhere(self._kind)) is not None:
                return elsewhere
            if found.next_back is None or waited + found.back_in > self._backoff.longest:
                return None
            more = self._ask(found.next_back, found.back_in)
            return Again(more.attempt, more.wait, self._after_waiting(found.next_back, waited + found.back_in))

        return then
