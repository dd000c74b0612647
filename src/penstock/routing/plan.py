"""The plan of one call through a router: a pure function from what was tried to what comes next.

Within a group: the strategy's order without those that rest; after an error that may pass, the next deployment that
was not tried, or, when there is none, the least recently tried after a wait. When the retries are spent, or the error
will not pass, the call falls back to another group: by the kind of the error (context window, content policy), else
by the general list; at most `max_fallbacks` times, and never twice to the same group.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from penstock.routing.deployment import Deployment
from penstock.types.errors import ErrorKind
from penstock.types.retry import RETRYABLE, Again, Backoff, Tried

_ELSEWHERE: frozenset[ErrorKind] = RETRYABLE | {
    "quota",
    "billing",
    "authentication",
    "permission",
    "not_found",
    "unknown",
}
"""Errors that another deployment of the same group may not have: its own key, its own quota, its own health."""


class Fallbacks(Struct, frozen=True, kw_only=True):
    """Where a group falls back to: group -> groups, in order. `default` holds for groups that have no entry of their
    own.
    """

    general: Mapping[str, Sequence[str]] = {}
    context_window: Mapping[str, Sequence[str]] = {}
    content_policy: Mapping[str, Sequence[str]] = {}
    default: Sequence[str] = ()
    most: int = 5

    def after(self, group: str, kind: ErrorKind) -> Sequence[str]:
        """The groups to try after `group` failed with this kind of error."""
        own: dict[ErrorKind, Mapping[str, Sequence[str]]] = {
            "context_window": self.context_window,
            "content_policy": self.content_policy,
        }
        special = own.get(kind, {}).get(group)
        if special is not None:
            return special
        return self.general.get(group, self.general.get("*", self.default))


class NothingToAsk(Exception):
    """Every deployment of the group rests. `seconds` says when the first is back."""

    def __init__(self, group: str, seconds: float) -> None:
        super().__init__(
            f"all deployments of {group!r} are resting after failures; the next is back in {seconds:.1f} s"
        )
        self.group = group
        self.seconds = seconds


class RouterPlan:
    """The plan of one call.

    candidates    group -> its deployments in the order of asking, without those that rest (asked again for each group)
    make          deployment -> the attempt
    """

    def __init__(
        self,
        group: str,
        candidates: Callable[[str], Sequence[Deployment]],
        make: Callable[[Deployment], Any],
        *,
        fallbacks: Fallbacks,
        retries: int,
        backoff: Backoff,
        random: Callable[[], float],
    ) -> None:
        self._candidates = candidates
        self._make = make
        self._fallbacks = fallbacks
        self._retries = retries
        self._backoff = backoff
        self._random = random
        self._visited = [group]
        self._waiting: list[str] = []
        self._queue: list[Deployment] = list(candidates(group))
        self._asked: list[Deployment] = []

    @property
    def group(self) -> str:
        """The group that is being asked."""
        return self._visited[-1]

    def after(self, tried: Sequence[Tried]) -> Again | None:
        """What to try next. The history only ever grows by the failure of what was returned last."""
        if not tried:
            return self._next(0.0)
        failure = tried[-1].error
        if failure.kind in _ELSEWHERE and len(self._asked) <= self._retries:
            again = self._again(failure)
            if again is not None:
                return again
        return self._fall_back(failure.kind)

    def _again(self, failure: Any) -> Again | None:
        """Another deployment at once; the same ones once more only for errors that pass, after a wait."""
        if self._queue:
            return self._next(0.0)
        if failure.kind not in RETRYABLE or not self._asked:
            return None
        wait = self._backoff.wait(len(self._asked) - 1, failure, self._random())
        if wait is None:
            return None
        deployment = self._asked[-len({each.id for each in self._asked})]
        self._asked.append(deployment)
        return Again(self._make(deployment), wait)

    def _next(self, wait: float) -> Again | None:
        if not self._queue:
            return None
        deployment = self._queue.pop(0)
        self._asked.append(deployment)
        return Again(self._make(deployment), wait)

    def _fall_back(self, kind: ErrorKind) -> Again | None:
        self._waiting = [*self._fallbacks.after(self.group, kind), *self._waiting]
        while self._waiting and len(self._visited) <= self._fallbacks.most:
            group = self._waiting.pop(0)
            if group in self._visited:
                continue
            self._visited.append(group)
            self._queue, self._asked = list(self._candidates(group)), []
            if self._queue:
                return self._next(0.0)
        return None
