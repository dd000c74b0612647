"""Single flight: however many calls need the same credential at once, one obtains it, and the others wait for that.

Without it, a service that has just lost its token would ask for as many as it has calls under way, and token services
answer crowds with 429. The one who flies is a call like any other, so it may be cancelled: then the next one flies.
What it got, credential or error, is what all who waited get; but where nobody answered it, that may have been its own
deadline, so those who have more time ask once more, together. Waiting is a command like the others (`commands.Join`),
so threads and tasks wait each in their own way, and for each other.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Protocol

from penstock.providers.auth.commands import Flow, join
from penstock.providers.auth.credentials import Credential, Flight
from penstock.providers.errors import ProviderError


class Memory(Protocol):
    """What remembers credentials and flights: `CredentialCache`, or a call's view of it."""

    def claim(self, key: str, now: float) -> Credential | Flight | None: ...

    def land(self, key: str, outcome: Credential | ProviderError | None) -> None: ...


def obtain_once(memory: Memory, key: str, obtain: Callable[[float], Flow[Credential]], now: float) -> Flow[Credential]:
    """The credential for `key`: remembered, brought by another call that is obtaining it, or obtained by `obtain`.

    Raises ProviderError as `obtain` does.
    """
    may_ask_again = True
    while True:
        claimed = memory.claim(key, now)
        if claimed is None:
            return (yield from _fly(memory, key, obtain, now))
        if not isinstance(claimed, Flight):
            return claimed
        if not (yield from join(claimed)):
            return (yield from obtain(now))
        outcome = claimed.outcome
        if isinstance(outcome, ProviderError):
            if outcome.kind != "token_unreachable" or not may_ask_again:
                raise copy.copy(outcome)  # each has a traceback of its own
            may_ask_again = False
            continue
        if outcome is not None:
            return outcome


def _fly(memory: Memory, key: str, obtain: Callable[[float], Flow[Credential]], now: float) -> Flow[Credential]:
    outcome: Credential | ProviderError | None = None
    try:
        outcome = yield from obtain(now)
        return outcome
    except ProviderError as error:
        outcome = error
        raise
    finally:  # also where this call is cancelled, or nobody drives it to its end
        memory.land(key, outcome)
