"""What dead workers used: the lease desk's questions to the ledger, answered by threads.

The desk is open before the ledger is: workers of a keeper that was killed say what they hold at once, and what can only
be granted when the ledger has spoken waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from penstock.control.leases import Question
from penstock.control.ledger import Ledger

_AGAIN = 50
"""How often a sum is read that changes while it is read."""
_REST = 0.5
"""Seconds after which a ledger that could not be read is asked again."""

_log = logging.getLogger("penstock.control")


class TheDead:
    """Speaks for dead workers. `says` and `failed` take the answers to questions."""

    def __init__(self, says: Callable[[Question, int], None], failed: Callable[[Question], None]) -> None:
        self._says, self._failed = says, failed
        self._ledger: asyncio.Future[Ledger] = asyncio.get_running_loop().create_future()
        self._work: set[asyncio.Task[None]] = set()
        self._drained = False
        self._draining = asyncio.Lock()

    def open(self, ledger: Ledger) -> None:
        """The ledger can be asked now."""
        self._ledger.set_result(ledger)

    def ask(self, question: Question) -> None:
        """How much of a quota did dead workers use?"""
        self._begin(self._answer(question))

    def drain(self, worker: str, then: Callable[[], None]) -> None:
        """Bring a dead worker's journal into the ledger."""
        self._begin(self._drain(then))

    async def _answer(self, question: Question) -> None:
        ledger = await asyncio.shield(self._ledger)
        try:
            await self._drain_those_before(ledger)
            used = await asyncio.to_thread(used_by_the_dead, ledger, question)
        except Exception as error:
            _log.warning("the ledger does not say what %s comes to: %s", question.quota.kind, error)
            self._failed(question)
        else:
            self._says(question, used)

    async def _drain_those_before(self, ledger: Ledger) -> None:
        """Bring in what lay in journals of workers that were dead before this keeper began. Once is enough: who dies
        later is drained before the desk takes it for dead. (A drain a question would be one a new key and quota, and
        under load each is a batch for the disk.)
        """
        async with self._draining:
            if not self._drained:
                await asyncio.to_thread(ledger.drain)
                self._drained = True

    async def _drain(self, then: Callable[[], None]) -> None:
        ledger = await asyncio.shield(self._ledger)
        while True:
            try:
                await asyncio.to_thread(ledger.drain)
            except Exception as error:  # the database may be away for a while
                _log.warning("the journal of a dead worker is not in the ledger yet: %s", error)
                await asyncio.sleep(_REST)
            else:
                then()
                return

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)


class Spoken(Protocol):
    """What a question needs of a ledger."""

    def spent(self, quota: str) -> int: ...
    def drained_of(self, worker: str, quota: str | None = None) -> dict[str, int]: ...
    @property
    def store(self) -> Any: ...


def used_by_the_dead(ledger: Spoken, question: Question) -> int:
    """The answer to a question, when the dead are drained. (Blocks: for threads.) Raises what the store raises."""
    quota = question.quota
    if quota.kind != "money":
        return int(ledger.store.used_by_dead(quota.name, question.start, question.live))
    for _ in range(_AGAIN):
        spent = ledger.spent(quota.name)
        live = sum(ledger.drained_of(worker, quota.name).get(quota.name, 0) for worker in question.live)
        if ledger.spent(quota.name) == spent:  # no batch came between the two sums
            return spent - live
    raise RuntimeError("it changes all the time")
