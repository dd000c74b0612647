"""The lease desk: the keeper's lease book (leases.py, pure) with the world around it: workers' channels, the clock, and
the ledger, which says what dead workers used.

The desk is open before the ledger is: workers of a keeper that was killed say what they hold at once. What can only be
granted when the ledger has spoken waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any

from penstock.control.channel import Connection, Handler, Handlers, Reply
from penstock.control.leases import LeaseBook, Question
from penstock.control.ledger import Ledger
from penstock.gateway.lease_words import Draw, Hello, Units
from penstock.gateway.principal import Principal, Quota

TICK_SECONDS = 0.1
_AGAIN = 50
"""How often a sum is read that changes while it is read."""

_log = logging.getLogger("penstock.control")


class LeaseDesk:
    """Serves leases to workers. `expected` are the workers that live already, when the keeper begins."""

    def __init__(self, expected: Collection[str], clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._connections: dict[str, Connection] = {}
        self._ledger: Ledger | None = None
        self._unasked: list[Question] = []
        self._work: set[asyncio.Task[None]] = set()
        self.book = LeaseBook(self._tell, self._ask_ledger, expected, clock())

    # -- workers ------------------------------------------------------------------------------------------------------

    def handlers(self, greeted: Callable[[Connection, str], None]) -> Handlers:
        """What workers may say about leases. A worker that says hello is named, and then `greeted`."""
        book, now = self.book, self._clock

        def hello(connection: Connection, said: Hello, reply: Reply) -> None:
            connection.state = said.worker
            self._connections[said.worker] = connection
            greeted(connection, said.worker)
            book.hello(said.worker, said.shares, now())

        return {
            "hello": Handler(hello, Hello),
            "draw": _of(lambda worker, draw: book.draw(worker, draw, now()), Draw),
            "more": _of(lambda worker, units: book.more(worker, units.name, now()), Units),
            "back": _of(lambda worker, units: book.back(worker, units, now()), Units),
            "recalled": _of(lambda worker, units: book.recalled(worker, units, now()), Units),
            "charge": _of(lambda worker, units: book.charge(worker, units, now()), Units),
        }

    def gone(self, connection: Connection) -> None:
        """A connection is closed. The worker may live: what it has stays its own."""
        name = connection.state
        if name is not None and self._connections.get(name) is connection:
            del self._connections[name]
            self.book.left(name, self._clock())

    def _tell(self, worker: str, kind: str, message: Any) -> None:
        connection = self._connections.get(worker)
        if connection is not None:
            connection.tell(kind, message)

    # -- the control plane --------------------------------------------------------------------------------------------

    def handed_out(self, principal: Principal) -> None:
        """A worker is told of this principal: its quotas are these now."""
        for quota in principal.quotas:
            self.book.update(quota, self._clock())

    def forget(self, quotas: Iterable[Quota]) -> None:
        """No key has these quotas any more."""
        for quota in quotas:
            self.book.forget(quota.name)

    async def run(self) -> None:
        """Let time pass, until cancelled."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.book.tick(self._clock())

    # -- the ledger ---------------------------------------------------------------------------------------------------

    def open_ledger(self, ledger: Ledger) -> None:
        """The ledger can be asked now."""
        self._ledger = ledger
        waiting, self._unasked = self._unasked, []
        for question in waiting:
            self._ask_ledger(question)

    def worker_gone(self, worker: str) -> None:
        """A dead worker's journal is in the ledger to its end."""
        self.book.gone(worker, self._clock())

    def _ask_ledger(self, question: Question) -> None:
        if self._ledger is None:
            self._unasked.append(question)
            return
        task = asyncio.get_running_loop().create_task(self._answered(self._ledger, question))
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _answered(self, ledger: Ledger, question: Question) -> None:
        try:
            used = await asyncio.to_thread(used_by_the_dead, ledger, question)
        except Exception as error:
            _log.warning("the ledger does not say what %s comes to: %s", question.quota.kind, error)
            self.book.ledger_failed(question)
        else:
            self.book.ledger_says(question, used, self._clock())


def used_by_the_dead(ledger: Ledger, question: Question) -> int:
    """The answer to a question. (Blocks: for threads.)"""
    ledger.drain()  # what lay in journals of workers that were dead before this keeper began
    quota = question.quota
    if quota.kind != "money":
        return ledger.store.used_by_dead(quota.name, question.start, question.live)
    for _ in range(_AGAIN):
        spent = ledger.spent(quota.name)
        live = sum(ledger.drained_of(worker, quota.name).get(quota.name, 0) for worker in question.live)
        if ledger.spent(quota.name) == spent:  # no batch came between the two sums
            return spent - live
    raise RuntimeError("it changes all the time")


def _of(take: Callable[[str, Any], None], type: type[Any]) -> Handler:
    """A handler that knows who speaks. Whoever has not said hello is not heard."""

    def handle(connection: Connection, payload: Any, reply: Reply) -> None:
        if connection.state is not None:
            take(connection.state, payload)

    return Handler(handle, type)
