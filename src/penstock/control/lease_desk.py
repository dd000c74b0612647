"""The lease desk: the keeper's lease book (leases.py, pure) with the world around it: workers' channels, the clock, and
the ledger, which says what dead workers used.

The desk is open before the ledger is: workers of a keeper that was killed say what they hold at once. What can only be
granted when the ledger has spoken waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Protocol

import msgspec

from penstock.control.leases import LeaseBook, Question
from penstock.control.ledger import Ledger
from penstock.gateway.lease_words import Draw, Hello, Units
from penstock.gateway.principal import Principal, Quota

TICK_SECONDS = 0.1
_AGAIN = 50
"""How often a sum is read that changes while it is read."""

_log = logging.getLogger("penstock.control")


class Channel(Protocol):
    """The way to one worker (control/channel.py)."""

    def on(self, kind: str, handler: Callable[[Any], Any]) -> None: ...
    def tell(self, kind: str, payload: Any) -> None: ...


class LeaseDesk:
    """Serves leases to workers. `expected` are the workers that live already, when the keeper begins."""

    def __init__(self, expected: Collection[str], clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._channels: dict[str, Channel] = {}
        self._names: dict[int, str] = {}
        self._ledger: Ledger | None = None
        self._unasked: list[Question] = []
        self._work: set[asyncio.Task[None]] = set()
        self.book = LeaseBook(self._tell, self._ask_ledger, expected, clock())

    # -- workers ------------------------------------------------------------------------------------------------------

    def connected(self, channel: Channel) -> None:
        """A channel is open: whoever is at its other end will say hello."""
        channel.on("hello", lambda payload: self._hello(channel, _read(payload, Hello)))
        for kind, take in self._words().items():
            channel.on(kind, self._from(channel, take))

    def gone(self, channel: Channel) -> None:
        """A channel is closed. The worker may live: what it has stays its own."""
        name = self._names.pop(id(channel), None)
        if name is not None and self._channels.get(name) is channel:
            del self._channels[name]
            self.book.left(name, self._clock())

    def _hello(self, channel: Channel, hello: Hello) -> None:
        self._names[id(channel)] = hello.worker
        self._channels[hello.worker] = channel
        self.book.hello(hello.worker, hello.shares, self._clock())

    def _words(self) -> Mapping[str, Callable[[str, Any], None]]:
        """What workers say -> what the book does."""
        book, now = self.book, self._clock
        return {
            "draw": lambda worker, payload: book.draw(worker, _read(payload, Draw), now()),
            "more": lambda worker, payload: book.more(worker, _read(payload, Units).name, now()),
            "back": lambda worker, payload: book.back(worker, _read(payload, Units), now()),
            "recalled": lambda worker, payload: book.recalled(worker, _read(payload, Units), now()),
            "charge": lambda worker, payload: book.charge(worker, _read(payload, Units), now()),
        }

    def _from(self, channel: Channel, take: Callable[[str, Any], None]) -> Callable[[Any], None]:
        """A handler that knows whose channel it is. Whoever has not said hello is not heard."""

        def handle(payload: Any) -> None:
            name = self._names.get(id(channel))
            if name is not None:
                take(name, payload)

        return handle

    def _tell(self, worker: str, kind: str, message: Any) -> None:
        channel = self._channels.get(worker)
        if channel is not None:
            channel.tell(kind, message)

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
        live = sum(ledger.drained_of(worker).get(quota.name, 0) for worker in question.live)
        if ledger.spent(quota.name) == spent:  # no batch came between the two sums
            return spent - live
    raise RuntimeError("it changes all the time")


def _read(payload: Any, kind: type[Any]) -> Any:
    return payload if isinstance(payload, kind) else msgspec.convert(payload, kind)
