"""Circuits: what one worker has learnt of a deployment's health, told to all others.

A worker says which circuits opened or closed at it (`gateway.router.Change`); the keeper tells the others at once, and
whoever connects later is told of those that still rest. Seconds are relative, for clocks of processes differ.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from msgspec.structs import replace

from penstock.gateway.circuits import Change

_MOST = 10_000
"""Deployments whose circuits are remembered at once."""


class Circuits:
    """The circuits that are open somewhere, as far as workers have said."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._resting: dict[str, tuple[Change, float]] = {}

    def note(self, changes: Iterable[Change]) -> None:
        """Circuits opened or closed at a worker."""
        for change in changes:
            if change.seconds <= 0:
                self._resting.pop(change.deployment, None)
            elif change.deployment in self._resting or len(self._resting) < _MOST:
                self._resting[change.deployment] = (change, self._now() + change.seconds)

    def resting(self) -> Sequence[Change]:
        """Those that still rest, with what is left of their rest."""
        now = self._now()
        self._resting = {name: held for name, held in self._resting.items() if held[1] > now}
        return [replace(change, seconds=until - now) for change, until in self._resting.values()]
