"""A gateway of leases without processes: the keeper's book and workers' leases, and queues between them that deliver
when the test says so. Everything is counted beside them, by a ledger that knows what really happened.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from penstock.control.leases import LeaseBook, Question
from penstock.gateway import lease_words as words
from penstock.gateway.leases import Denied, Leases
from penstock.gateway.principal import Quota

_TYPES = {
    "hello": words.Hello,
    "draw": words.Draw,
    "more": words.Units,
    "back": words.Units,
    "recalled": words.Units,
    "charge": words.Units,
    "grant": words.Grant,
    "refuse": words.Refusal,
    "recall": words.Name,
    "freed": words.Name,
}


def through_the_wire(kind: str, message: Any) -> Any:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(message), type=_TYPES[kind])


class Taken:
    """Units that a call has: of which window, since when."""

    def __init__(self, quota: Quota, units: int, at: float) -> None:
        self.quota, self.units, self.at = quota, units, at
        self.window = at // quota.window if quota.window else 0.0


class Timer:
    def __init__(self, at: float, function: Callable[[], None]) -> None:
        self.at, self.function, self.cancelled = at, function, False

    def cancel(self) -> None:
        self.cancelled = True


class Worker:
    """A worker process: its leases, the queues to and from the keeper, and what its calls have taken."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.sent: deque[tuple[str, Any]] = deque()
        self.received: deque[tuple[str, Any]] = deque()
        self.connected = self.known = False
        self.open: list[Taken] = []
        self.amounts: dict[tuple[str, float], int] = {}
        self.timers: list[Timer] = []
        self.answers: list[int | Denied] = []
        self.leases = Leases(name, self._tell, lambda: world.now, self._call_later)

    def _tell(self, kind: str, message: Any) -> None:
        assert self.connected, "says nothing to nobody"
        self.sent.append((kind, through_the_wire(kind, message)))

    def _call_later(self, seconds: float, function: Callable[[], None]) -> Timer:
        self.timers.append(Timer(self.world.now + seconds, function))
        return self.timers[-1]

    def call(self, quota: Quota, wanted: int, least: int) -> None:
        """A call comes: it takes, or waits and takes again. What comes of it goes to `answers`."""
        granted = self.leases.take(quota, wanted, least)
        if granted is None:
            self.leases.draw(quota, wanted, least, lambda: self.call(quota, wanted, least))
            return
        self.answers.append(granted)
        if not isinstance(granted, Denied):
            assert least <= granted <= wanted
            self.open.append(Taken(quota, granted, self.world.now))
            self._count(self.open[-1], granted)
            self.world.count(quota)

    def end(self, index: int, used: int) -> None:
        """A call is over, and has used so much."""
        taken = self.open.pop(index)
        self._count(taken, used - taken.units)
        self.leases.settle(taken.quota.name, taken.units, used, taken.at)

    def _count(self, taken: Taken, units: int) -> None:
        key = (taken.quota.name, taken.window)
        self.amounts[key] = self.amounts.get(key, 0) + units

    def amount(self, quota: Quota, window: float) -> int:
        """Used and reserved."""
        return self.amounts.get((quota.name, window), 0)

    def fire(self) -> None:
        due = [one for one in self.timers if one.at <= self.world.now]
        self.timers = [one for one in self.timers if one.at > self.world.now]
        for timer in due:
            if not timer.cancelled:
                timer.function()


class World:
    """Keeper, workers, time, and the truth."""

    def __init__(self, workers: int = 3, now: float = 1000.0) -> None:
        self.now = now
        self.wrong: list[str] = []
        self.excess: dict[tuple[str, float], int] = {}
        self.unsaid: dict[str, int] = {}
        self.limits: dict[str, int] = {}
        self.dead_used: dict[str, Worker] = {}
        self.workers: dict[str, Worker] = {}
        self.book: LeaseBook | None = None
        self.questions: list[Question] = []
        self.ledger_waits = False
        self.start_keeper()
        for _ in range(workers):
            self.start_worker()

    # -- the truth

    def count(self, quota: Quota) -> None:
        """The invariant, whenever something was admitted: never more than the limit."""
        window = self.now // quota.window if quota.window else 0.0
        limit = max(self.limits.get(quota.name, 0), quota.limit)
        excess = self.excess.get((quota.name, window), 0)
        if self.amount(quota, window) > limit + excess:
            self.wrong.append(f"{quota.name}: {self.amount(quota, window)} of {limit} + {excess} were admitted")

    def amount(self, quota: Quota, window: float | None = None) -> int:
        if window is None:
            window = self.now // quota.window if quota.window else 0.0
        dead = () if quota.kind == "parallel" else self.dead_used.values()
        return sum(worker.amount(quota, window) for worker in (*self.workers.values(), *dead))

    # -- processes

    def start_worker(self) -> Worker:
        name = f"w{len(self.workers) + len(self.dead_used) + 1}"
        worker = self.workers[name] = Worker(self, name)
        if self.book is not None:
            self.connect(worker)
        return worker

    def kill_worker(self, worker: Worker) -> None:
        """Its last words may be lost; the ledger has its journal: what was settled, and what was open, as if used."""
        for kind, message in worker.sent:  # what it had not told of excess is known to the ledger alone
            if kind == "charge":
                self.unsaid[message.name] = self.unsaid.get(message.name, 0) + message.units
        del self.workers[worker.name]
        self.dead_used[worker.name] = worker
        if self.book is not None:
            self.book.left(worker.name, self.now)
            self.book.gone(worker.name, self.now)

    def start_keeper(self) -> None:
        self.questions = []
        self.book = LeaseBook(self._tell, self._ask_ledger, list(self.workers), self.now)
        for worker in self.workers.values():
            self.connect(worker)

    def kill_keeper(self) -> None:
        self.book = None
        for worker in self.workers.values():
            self.disconnect(worker)

    def connect(self, worker: Worker) -> None:
        worker.sent.clear()
        worker.received.clear()
        worker.connected, worker.known = True, False
        worker.leases.connected()

    def disconnect(self, worker: Worker) -> None:
        if worker.connected:
            while worker.received:  # what the keeper had sent can still be read
                self.to_worker(worker)
            worker.connected = False
            worker.sent.clear()  # nobody will read it
            worker.leases.lost()
            if self.book is not None:
                self.book.left(worker.name, self.now)

    def _tell(self, name: str, kind: str, message: Any) -> None:
        worker = self.workers.get(name)
        if worker is not None and worker.connected and worker.known:
            worker.received.append((kind, through_the_wire(kind, message)))

    def _ask_ledger(self, question: Question) -> None:
        self.questions.append(question)
        if not self.ledger_waits:
            self.answer_ledger()

    def answer_ledger(self) -> None:
        questions, self.questions = self.questions, []
        for question in questions:
            quota = question.quota
            window = question.start // quota.window if quota.window else 0.0
            dead = [one for one in (*self.dead_used.values(), *self.workers.values()) if one.name not in question.live]
            assert self.book is not None
            self.book.ledger_says(question, sum(one.amount(quota, window) for one in dead), self.now)

    # -- messages

    def to_keeper(self, worker: Worker) -> None:
        if not worker.sent or self.book is None:
            return
        kind, message = worker.sent.popleft()
        if kind == "hello":
            worker.known = True
            self.book.hello(message.worker, message.shares, self.now)
        elif kind == "more":
            self.book.more(worker.name, message.name, self.now)
        else:
            getattr(self.book, kind)(worker.name, message, self.now)

    def to_worker(self, worker: Worker) -> None:
        if not worker.received:
            return
        kind, message = worker.received.popleft()
        heard = {"grant": "granted", "refuse": "refused"}.get(kind, kind)
        getattr(worker.leases, heard)(message)

    def settle_down(self) -> None:
        """Deliver until nobody says anything any more."""
        for _ in range(10_000):
            busy = [one for one in self.workers.values() if one.sent or one.received]
            if self.questions:
                self.answer_ledger()
            elif not busy:
                assert not self.wrong
                return
            for worker in busy:
                self.to_keeper(worker)
                self.to_worker(worker)
        raise AssertionError("they never stop talking")

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        if self.book is not None:
            self.book.tick(self.now)
        for worker in list(self.workers.values()):
            worker.fire()

    def update(self, quota: Quota) -> None:
        """The control plane changes a quota."""
        self.limits[quota.name] = quota.limit
        if self.book is not None:
            self.book.update(quota, self.now)


def requests(limit: int, window: float = 60.0) -> Quota:
    return Quota(name="key:1:requests", kind="requests", limit=limit, window=window)


def tokens(limit: int, window: float = 60.0) -> Quota:
    return Quota(name="key:1:tokens", kind="tokens", limit=limit, window=window)


def parallel(limit: int) -> Quota:
    return Quota(name="key:1:parallel", kind="parallel", limit=limit)


def money(limit: int, resets_at: float | None = None) -> Quota:
    return Quota(name="key:1:money:1", kind="money", limit=limit, resets_at=resets_at)
