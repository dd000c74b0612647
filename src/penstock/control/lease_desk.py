"""The lease desk: where the book of leases meets the channel, the clock, and the death of workers.

A worker is known by the hello on its connection, and only its newest connection speaks for it. When the connection is
lost the worker may live, so nothing of what it has is given to others before it is known to be dead and its journal is
drained: the order that keeps money exact is dead, drained, gone.

After a restart of the keeper, every worker that lives must say what it has before anything is granted. One that is
silent for longer than `SILENCE_SECONDS` is stuck, and is expelled (killed, that is): it alone could spend what nobody
knows of.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from penstock.control.channel import Connection, Handler, Reply
from penstock.control.leases import LeaseBook, Question
from penstock.gateway.lease_words import Draw, Hello, Units

TICK_SECONDS = 0.1
SILENCE_SECONDS = 3.0


class LeaseDesk:
    """The keeper's end of leases. `book` is public: the control plane tells it of quotas that change.

    ask_ledger  answers a Question by `book.ledger_says(question, units, now)`, or `book.ledger_failed(question)`
    alive       whether a worker of this name lives (its journal is locked)
    drain       (worker, then): drain a dead worker's journal into the ledger, then call
    expel       end a worker that lives and does not speak
    expected    workers that live now
    told        is called with the kind and the quota of each message to a worker, for who counts them
    """

    def __init__(
        self,
        ask_ledger: Callable[[Question], None],
        alive: Callable[[str], bool],
        drain: Callable[[str, Callable[[], None]], None],
        expel: Callable[[str], None],
        expected: Collection[str],
        clock: Callable[[], float] = time.time,
        told: Callable[[str, str], None] = lambda kind, quota: None,
    ) -> None:
        self._told = told
        self._alive, self._drain, self._expel = alive, drain, expel
        self._clock = clock
        self._connections: dict[str, Connection] = {}
        self._absent = set(expected)
        self._dying: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        self.book = LeaseBook(self._tell, ask_ledger, expected, clock())

    def handlers(self) -> dict[str, Handler]:
        """The rows of the keeper's table of handlers that are about leases."""
        return {
            "hello": Handler(self._hello, Hello),
            "draw": Handler(self._said(self.book.draw), Draw),
            "more": Handler(self._said(lambda worker, units, now: self.book.more(worker, units.name, now)), Units),
            "back": Handler(self._said(self.book.back), Units),
            "recalled": Handler(self._said(self.book.recalled), Units),
            "charge": Handler(self._said(self.book.charge), Units),
        }

    def start(self) -> None:
        """Begin to watch. Needs a running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._watch())

    def stop(self) -> None:
        """Watch no more."""
        if self._task is not None:
            self._task.cancel()

    def closed(self, connection: Connection, why: str) -> None:
        """A connection has ended."""
        worker = connection.state
        if worker is not None and self._connections.get(worker) is connection:
            del self._connections[worker]
            self._absent.add(worker)
            self.book.left(worker, self._clock())
            self._bury_the_dead()

    def worker_of(self, connection: Connection) -> str | None:
        """The name of the worker at the other end, once it has said hello."""
        return connection.state if self._connections.get(connection.state or "") is connection else None

    def _hello(self, connection: Connection, hello: Hello, reply: Reply) -> None:
        connection.state = hello.worker
        self._connections[hello.worker] = connection
        self._absent.discard(hello.worker)
        self.book.hello(hello.worker, hello.shares, self._clock())

    def _said(self, heard: Callable[[str, Any, float], None]) -> Callable[[Connection, Any, Reply], None]:
        def handle(connection: Connection, message: Any, reply: Reply) -> None:
            worker = self.worker_of(connection)
            if worker is not None:
                heard(worker, message, self._clock())

        return handle

    def _tell(self, worker: str, kind: str, message: Any) -> None:
        connection = self._connections.get(worker)
        if connection is not None:
            connection.tell(kind, message)
            self._told(kind, message.name)

    async def _watch(self) -> None:
        silent_until = self._clock() + SILENCE_SECONDS
        while True:
            self._bury_the_dead()
            self.book.tick(self._clock())
            if self.book.expected and self._clock() > silent_until:
                silent_until += SILENCE_SECONDS
                for worker in self.book.expected - self._dying:
                    self._expel(worker)
            await asyncio.sleep(TICK_SECONDS)

    def _bury_the_dead(self) -> None:
        for worker in [one for one in self._absent - self._dying if not self._alive(one)]:
            self._dying.add(worker)
            self._drain(worker, partial(self._gone, worker))

    def _gone(self, worker: str) -> None:
        self._absent.discard(worker)
        self._dying.discard(worker)
        self.book.gone(worker, self._clock())
