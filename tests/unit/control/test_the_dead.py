"""What the lease desk asks the ledger about the dead: their journals are brought in once, and before any answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from penstock.control.leases import Question
from penstock.control.the_dead import TheDead
from penstock.gateway.principal import Quota

REQUESTS = Quota(name="key:a:requests", kind="requests", limit=10, window=60.0)
MONEY = Quota(name="key:a:money:1", kind="money", limit=10)


class Store:
    def __init__(self, ledger: "BookOfTheDead") -> None:
        self._ledger = ledger

    def used_by_dead(self, quota: str, start: float, live: Any) -> int:
        assert self._ledger.drains, "nobody is answered before the journals of the dead are read"
        return 3


class BookOfTheDead:
    """A ledger that counts its drains; the first `failing` of them fail. `sums`: what money was spent, reading by
    reading.
    """

    def __init__(self, failing: int = 0, sums: tuple[int, ...] = (7,)) -> None:
        self.drains = self.failing = 0
        self.failing = failing
        self.sums = list(sums)
        self.store = Store(self)

    def drain(self) -> int:
        if self.failing:
            self.failing -= 1
            raise OSError("the disk is away")
        self.drains += 1
        return 0

    def spent(self, quota: str) -> int:
        return self.sums.pop(0) if len(self.sums) > 1 else self.sums[0]

    def drained_of(self, worker: str, quota: str | None = None) -> dict[str, int]:
        return {MONEY.name: 2}


async def until(so: Callable[[], object]) -> None:
    while not so():  # noqa: ASYNC110  # see below
        await asyncio.sleep(0.001)  # threads answer, which set no event of ours


def asked(ledger: BookOfTheDead, do: Callable[[TheDead], Awaitable[None]]) -> tuple[list[int], list[Question]]:
    said: list[int] = []
    failed: list[Question] = []

    async def run() -> None:
        dead = TheDead(lambda question, units: said.append(units), failed.append)
        dead.open(ledger)  # type: ignore[arg-type]  # as much of a ledger as is asked
        await do(dead)

    asyncio.run(asyncio.wait_for(run(), 10))
    return said, failed


def question(quota: Quota = REQUESTS, number: int = 1) -> Question:
    return Question(quota, 0.0, frozenset({"w1"}), number)


def test_the_dead_are_drained_once_however_much_is_asked() -> None:
    ledger = BookOfTheDead()

    async def ask(dead: TheDead) -> None:
        for number in range(50):
            dead.ask(question(number=number))
        await until(lambda: len(dead._work) == 0)

    assert asked(ledger, ask) == ([3] * 50, [])
    assert ledger.drains == 1


def test_a_drain_that_fails_is_tried_again_with_the_next_question() -> None:
    ledger = BookOfTheDead(failing=1)

    async def ask(dead: TheDead) -> None:
        for _ in range(2):
            dead.ask(question())
            await until(lambda: len(dead._work) == 0)

    said, failed = asked(ledger, ask)
    assert (said, len(failed), ledger.drains) == ([3], 1, 1)


def test_money_is_summed_again_while_it_changes() -> None:
    async def ask(dead: TheDead) -> None:
        dead.ask(question(MONEY))
        await until(lambda: len(dead._work) == 0)

    assert asked(BookOfTheDead(sums=(7, 8, 9, 9)), ask) == ([7], [])
    assert asked(BookOfTheDead(sums=(7,)), ask) == ([5], [])
