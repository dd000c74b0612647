"""Leases are exact in both directions: never a unit too many, and nobody is refused what another worker does not use.

The examples say what is meant; the state machine looks for the order of events in which it would not hold.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from penstock.gateway.leases import Denied
from penstock.gateway.principal import Quota
from tests.unit.control.lease_world import Taken, Worker, World, money, parallel, requests, tokens


def calls(
    world: World, worker: Worker, quota: Quota, number: int, wanted: int = 1, least: int = 1
) -> list[int | Denied]:
    """So many calls, one after the other; what each was told."""
    before = len(worker.answers)
    for _ in range(number):
        worker.call(quota, wanted, least)
        world.settle_down()
    return worker.answers[before:]


def admitted(answers: list[int | Denied]) -> int:
    return sum(not isinstance(answer, Denied) for answer in answers)


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("limit", [0, 1, 2, 7, 100, 1000])
@pytest.mark.parametrize("make", [requests, tokens, parallel, money], ids=lambda make: make.__name__)
def test_of_so_many_units_so_many_are_admitted(make: Any, limit: int, workers: int) -> None:
    world, quota, chance = World(workers), make(limit), random.Random(limit * workers)
    for _ in range(2 * limit + 10):
        chance.choice(list(world.workers.values())).call(quota, 1, 1)
        for worker in world.workers.values():
            for _ in range(chance.randrange(3)):
                world.to_keeper(worker)
                world.to_worker(worker)
    world.settle_down()
    answers = [answer for worker in world.workers.values() for answer in worker.answers]
    assert len(answers) == 2 * limit + 10
    assert admitted(answers) == limit


def test_what_one_worker_holds_another_can_have() -> None:
    world, quota = World(4), requests(1000)
    first, *others = world.workers.values()
    for worker in others:
        calls(world, worker, quota, 1)
    assert admitted(calls(world, first, quota, 1100)) == 997


def test_a_refusal_says_when_to_come_again() -> None:
    world = World(1, now=1000.0)  # windows end at 1020, 1080 ...
    (worker,) = world.workers.values()
    assert calls(world, worker, requests(1), 2) == [1, Denied(20.0, 0, 1020.0)]
    assert calls(world, worker, parallel(1), 2) == [1, Denied(1.0, 0, None)]
    assert calls(world, worker, money(1), 2) == [1, Denied(None, 0, None)]
    monthly = Quota(name="key:2:money:1", kind="money", limit=0, resets_at=5000.0)
    assert calls(world, worker, monthly, 1) == [Denied(4000.0, 0, 5000.0)]


def test_a_window_begins_with_all_of_its_units_and_none_of_the_last() -> None:
    world, quota = World(2, now=1000.0), requests(10)
    first, second = world.workers.values()
    assert admitted(calls(world, first, quota, 4)) == 4  # and holds more
    world.pass_time(19.999)
    assert admitted(calls(world, second, quota, 10)) == 6
    world.pass_time(0.001)
    assert admitted(calls(world, first, quota, 5) + calls(world, second, quota, 10)) == 10


def test_tokens_of_a_window_that_has_ended_come_back_to_nobody() -> None:
    world, quota = World(1, now=1000.0), tokens(100)
    (worker,) = world.workers.values()
    calls(world, worker, quota, 1, wanted=90, least=90)
    world.pass_time(20.0)
    calls(world, worker, quota, 1, wanted=90, least=90)
    worker.end(0, 0)  # 90 of the old window: unused, but over
    assert calls(world, worker, quota, 1, wanted=50, least=11)[0].__class__ is Denied
    worker.end(0, 5)
    assert calls(world, worker, quota, 1, wanted=95, least=95) == [95]


def test_units_on_their_way_back_when_the_window_ends_are_nobodys() -> None:
    world, quota = World(2, now=1000.0), tokens(100)
    first, second = world.workers.values()
    calls(world, first, quota, 1, wanted=100, least=100)
    first.end(0, 0)
    assert [kind for kind, _ in first.sent] == ["back"]
    world.pass_time(20.0)
    second.call(quota, 1, 1)
    for _ in range(3):
        world.to_keeper(second)
    world.settle_down()
    assert admitted(calls(world, second, quota, 150)) == 99


def test_a_window_of_another_length_begins_when_the_last_has_ended() -> None:
    world = World(1, now=1000.0)
    (worker,) = world.workers.values()
    assert admitted(calls(world, worker, requests(10, 60.0), 4)) == 4
    world.update(requests(10, 7.0))
    world.settle_down()
    assert admitted(calls(world, worker, requests(10, 60.0), 10)) == 6, "until 1020"
    world.pass_time(20.0)
    assert admitted(calls(world, worker, requests(10, 7.0), 20)) == 10, "until 1022, a multiple of 7"
    world.pass_time(1.9)
    assert admitted(calls(world, worker, requests(10, 7.0), 1)) == 0
    world.pass_time(0.1)
    assert admitted(calls(world, worker, requests(10, 7.0), 20)) == 10


def test_a_longer_window_begins_when_the_last_has_ended() -> None:
    """At 1020, and not at 0, which is a multiple of 5000: a window that a worker has seen the end of is over."""
    world = World(1, now=1000.0)
    (worker,) = world.workers.values()
    assert admitted(calls(world, worker, requests(10, 60.0), 10)) == 10
    world.update(requests(10, 5000.0))
    world.pass_time(20.0)
    assert admitted(calls(world, worker, requests(10, 5000.0), 20)) == 10
    world.pass_time(3980.0)
    assert admitted(calls(world, worker, requests(10, 5000.0), 20)) == 10


def test_a_new_keeper_counts_what_was_drawn_under_a_window_of_another_length() -> None:
    world = World(2, now=1000.0)
    first, second = world.workers.values()
    assert admitted(calls(world, first, requests(10, 60.0), 10)) == 10
    world.kill_keeper()
    world.start_keeper()
    world.update(requests(10, 7.0))
    world.settle_down()
    assert admitted(calls(world, second, requests(10, 7.0), 20)) == 0


def test_a_call_may_get_less_than_it_wants_but_not_less_than_it_needs() -> None:
    world, quota = World(2), tokens(1000)
    first, second = world.workers.values()
    assert calls(world, first, quota, 1, wanted=700, least=10) == [700]
    assert calls(world, second, quota, 1, wanted=700, least=301)[0].__class__ is Denied
    assert calls(world, second, quota, 1, wanted=700, least=300) == [300]
    assert calls(world, second, quota, 1, wanted=700, least=1)[0].__class__ is Denied


def test_units_that_come_back_are_had_at_once_by_whoever_was_refused() -> None:
    world, quota = World(3), parallel(2)
    first, second, third = world.workers.values()
    assert admitted(calls(world, first, quota, 1) + calls(world, second, quota, 1)) == 2
    assert admitted(calls(world, third, quota, 1)) == 0
    first.end(0, 0)
    world.settle_down()  # no time passes: the refusal is not believed any more
    assert admitted(calls(world, third, quota, 1)) == 1
    assert admitted(calls(world, first, quota, 1)) == 0


def test_what_is_used_beyond_the_reservation_is_charged() -> None:
    world, quota = World(2), money(100)
    first, second = world.workers.values()
    calls(world, first, quota, 1, wanted=90, least=90)
    world.excess[(quota.name, 0.0)] = 15
    first.end(0, 105)
    world.settle_down()
    assert world.book is not None
    assert first.leases.overdrawn + first.leases.left((quota,))[0] >= 5
    assert world.book.standing(quota, world.now)[1] == -5
    assert admitted(calls(world, second, quota, 1)) == 0


def test_a_refused_flood_asks_the_keeper_once() -> None:
    world, quota = World(2), requests(0)
    (first, _) = world.workers.values()
    calls(world, first, quota, 1)
    for _ in range(1000):
        first.call(quota, 1, 1)
    assert not first.sent
    world.pass_time(1.0)
    first.call(quota, 1, 1)
    assert len(first.sent) == 1


def test_many_units_take_few_words() -> None:
    world, quota = World(4), requests(100_000)
    words = 0
    for _ in range(25_000):
        for worker in world.workers.values():
            worker.call(quota, 1, 1)
            while worker.sent or worker.received:
                words += 1
                world.to_keeper(worker)
                world.to_worker(worker)
    assert admitted([answer for one in world.workers.values() for answer in one.answers]) == 100_000
    assert words < 2_000


# -- limits change ----------------------------------------------------------------------------------------------------


def test_a_raised_limit_counts_at_once() -> None:
    world = World(2)
    first, second = world.workers.values()
    assert admitted(calls(world, first, money(5), 9)) == 5
    world.update(money(8))
    world.settle_down()
    assert admitted(calls(world, first, money(8), 2) + calls(world, second, money(8), 5)) == 3


def test_a_lowered_limit_takes_back_what_is_not_used() -> None:
    world = World(2)
    first, second = world.workers.values()
    assert admitted(calls(world, first, money(1000), 10)) == 10  # and holds a slice
    world.update(money(12))
    world.settle_down()
    assert admitted(calls(world, second, money(1000), 9)) == 2, "and a stale principal does not raise it again"


# -- somebody dies ----------------------------------------------------------------------------------------------------


def test_parallel_slots_of_a_dead_worker_come_back() -> None:
    world, quota = World(2), parallel(10)
    first, second = world.workers.values()
    assert admitted(calls(world, first, quota, 10)) == 10
    world.kill_worker(first)
    assert admitted(calls(world, second, quota, 20)) == 10


def test_money_of_a_dead_worker_is_what_its_journal_says() -> None:
    world, quota = World(2), money(100)
    first, second = world.workers.values()
    calls(world, first, quota, 3, wanted=10, least=10)
    first.end(0, 4)  # spent 4, and 20 may have been
    world.kill_worker(first)
    assert admitted(calls(world, second, quota, 100)) == 76


def test_units_of_a_window_die_with_the_worker_that_held_them() -> None:
    world, quota = World(2, now=1000.0), requests(80)
    first, second = world.workers.values()
    calls(world, first, quota, 1)
    world.kill_worker(first)
    left = admitted(calls(world, second, quota, 100))
    assert 80 - 1 - 80 // 4 <= left < 80
    world.pass_time(20.0)
    assert admitted(calls(world, second, quota, 100)) == 80


@pytest.mark.parametrize("make", [requests, tokens, parallel, money], ids=lambda make: make.__name__)
def test_a_new_keeper_knows_what_is_used(make: Any) -> None:
    world, quota = World(3), make(90)
    first, second, third = world.workers.values()
    for worker in (first, second, third):
        assert admitted(calls(world, worker, quota, 10)) == 10
    world.kill_keeper()
    world.kill_worker(third)
    more = admitted(calls(world, first, quota, 3))
    assert more == 3, "a worker goes on with what it holds"
    world.start_keeper()
    world.settle_down()
    rest = admitted(calls(world, first, quota, 50) + calls(world, second, quota, 50))
    assert rest == 90 - 33 + (10 if quota.kind == "parallel" else 0)


def test_a_new_keeper_grants_nothing_before_every_living_worker_has_spoken() -> None:
    world, quota = World(2), requests(10)
    first, second = world.workers.values()
    calls(world, first, quota, 9)
    world.kill_keeper()
    world.start_keeper()
    second.call(quota, 5, 5)
    for _ in range(5):
        world.to_keeper(second)
        world.to_worker(second)
    assert second.answers == []
    world.settle_down()
    assert [type(answer) for answer in second.answers] == [Denied]


def test_without_a_keeper_calls_wait_and_then_fail_closed() -> None:
    world, quota = World(1), requests(100)
    (worker,) = world.workers.values()
    world.kill_keeper()
    worker.call(quota, 1, 1)
    assert worker.answers == []
    world.pass_time(2.0)
    (answer,) = worker.answers
    assert isinstance(answer, Denied) and answer.away
    worker.call(quota, 1, 1)
    assert len(worker.answers) == 2, "the next does not wait as long again"
    world.start_keeper()
    world.settle_down()
    assert calls(world, worker, quota, 1) == [1]


def test_a_worker_that_does_not_answer_a_recall_stops_nobody() -> None:
    world, quota = World(2), requests(100)
    first, second = world.workers.values()
    calls(world, first, quota, 1)
    second.call(quota, 100, 100)
    world.to_keeper(second)
    second.call(quota, 100, 60)
    for _ in range(5):
        world.to_keeper(second)
        world.to_worker(second)
    assert second.answers == []
    world.pass_time(0.5)
    for _ in range(5):
        world.to_keeper(second)
        world.to_worker(second)
    assert [type(answer) for answer in second.answers] == [Denied, int]


def test_a_ledger_that_cannot_be_read_grants_nothing_and_is_asked_again() -> None:
    world, quota = World(1), money(10)
    (worker,) = world.workers.values()
    world.ledger_waits = True
    world.settle_down()
    worker.call(quota, 1, 1)
    world.to_keeper(worker)
    (question,) = world.questions
    assert world.book is not None
    world.questions = []
    world.book.ledger_failed(question)
    assert worker.answers == []
    world.pass_time(0.1)
    world.settle_down()
    assert worker.answers == [1]


# -- any order of events ----------------------------------------------------------------------------------------------


class AnyOrder(RuleBasedStateMachine):
    """Calls, deaths, recalls, turns of windows and lost words, in any order. `World.count` knows what is too much."""

    QUOTAS = (requests(6, 10.0), tokens(40, 10.0), parallel(4), money(50))

    def __init__(self) -> None:
        super().__init__()
        self.world = World(3, now=1000.0)
        self.quotas = {quota.name: quota for quota in self.QUOTAS}

    def pick(self, number: int) -> Worker:
        workers = list(self.world.workers.values())
        return workers[number % len(workers)]

    @rule(worker=st.integers(0, 5), quota=st.integers(0, 3), wanted=st.integers(1, 25), least=st.integers(1, 25))
    def call(self, worker: int, quota: int, wanted: int, least: int) -> None:
        which = list(self.quotas.values())[quota]
        if which.kind in ("requests", "parallel"):
            wanted = least = 1
        self.pick(worker).call(which, max(wanted, least), least)

    @rule(worker=st.integers(0, 5), which=st.integers(0, 20), used=st.integers(0, 25), beyond=st.booleans())
    def end(self, worker: int, which: int, used: int, beyond: bool) -> None:
        chosen = self.pick(worker)
        if chosen.open:
            taken = chosen.open[which % len(chosen.open)]
            used = self.real_use(taken, used, beyond)
            chosen.end(which % (len(chosen.open)), used)

    def real_use(self, taken: Taken, used: int, beyond: bool) -> int:
        if taken.quota.kind in ("requests", "parallel"):
            return 1 if taken.quota.kind == "requests" else 0
        if not beyond or used <= taken.units:
            return min(used, taken.units)
        key = (taken.quota.name, taken.window)
        self.world.excess[key] = self.world.excess.get(key, 0) + used - taken.units
        return used

    @rule(worker=st.integers(0, 5), times=st.integers(1, 4))
    def keeper_hears(self, worker: int, times: int) -> None:
        for _ in range(times):
            self.world.to_keeper(self.pick(worker))

    @rule(worker=st.integers(0, 5), times=st.integers(1, 4))
    def worker_hears(self, worker: int, times: int) -> None:
        for _ in range(times):
            self.world.to_worker(self.pick(worker))

    @rule(seconds=st.sampled_from([0.01, 0.3, 0.5, 1.0, 2.0, 7.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @precondition(lambda self: len(self.world.dead_used) < 6)
    @rule(worker=st.integers(0, 5))
    def worker_dies(self, worker: int) -> None:
        self.world.kill_worker(self.pick(worker))
        self.world.start_worker()

    @precondition(lambda self: self.world.book is not None)
    @rule()
    def keeper_dies(self) -> None:
        self.world.kill_keeper()

    @precondition(lambda self: self.world.book is None)
    @rule()
    def keeper_comes(self) -> None:
        self.world.start_keeper()
        for quota in self.quotas.values():
            self.world.update(quota)

    @precondition(lambda self: self.world.book is not None)
    @rule(worker=st.integers(0, 5))
    def connection_breaks(self, worker: int) -> None:
        self.world.disconnect(self.pick(worker))
        self.world.connect(self.pick(worker))

    @rule(quota=st.integers(0, 3), units=st.integers(1, 20))
    def limit_is_raised(self, quota: int, units: int) -> None:
        which = list(self.quotas.values())[quota]
        if which.limit < 200:
            raised = Quota(name=which.name, kind=which.kind, limit=which.limit + units, window=which.window)
            self.quotas[which.name] = raised
            self.world.update(raised)

    @rule(waits=st.booleans())
    def ledger(self, waits: bool) -> None:
        self.world.ledger_waits = waits
        if self.world.book is not None:
            self.world.answer_ledger()

    @invariant()
    def never_more_than_there_is(self) -> None:
        assert not self.world.wrong

    @invariant()
    def the_book_is_never_below_the_truth(self) -> None:
        """What the keeper counts is at least what was taken: also of what nobody will ever settle."""
        book = self.world.book
        if book is None or book.expected or self.world.questions:
            return
        for quota in self.quotas.values():
            account = book._accounts.get(quota.name)
            if account is not None and account.dead is not None and self.world.now < account.until:
                charges = [m for w in self.world.workers.values() for k, m in w.sent if k == "charge"]
                owed = sum(m.units for m in charges) + self.world.unsaid.get(quota.name, 0)
                hello = any(k == "hello" for w in self.world.workers.values() for k, m in w.sent)
                if not hello:
                    counted = account.shared + account.lost + account.dead
                    assert self.world.amount(quota) <= counted + owed

    @rule()
    def at_rest_whatever_is_free_can_be_had(self) -> None:
        """Nobody is refused while units are free, at whichever worker they are."""
        world = self.world
        if world.book is None:
            self.keeper_comes()
        world.settle_down()
        world.pass_time(0.5)  # recalls that nobody answered
        world.settle_down()
        world.pass_time(2.0)
        world.settle_down()
        for quota in self.quotas.values():
            for worker in list(world.workers.values()):
                account = world.book._account(quota, world.now) if world.book is not None else None
                assert account is not None
                lost = account.lost
                free = quota.limit - world.amount(quota)
                worker.answers.clear()
                worker.call(quota, 1, 1)
                world.settle_down()
                (answer,) = worker.answers
                if free > lost:
                    assert answer == 1, f"{free} of {quota.name} are free"


AnyOrder.TestCase.settings = settings(stateful_step_count=60)
TestAnyOrder = AnyOrder.TestCase


@given(st.data())
def test_racing_workers_share_exactly_what_there_is(data: st.DataObject) -> None:
    """Whatever the order of words and the sizes of calls: when all was said, whatever is free can be had."""
    world, quota = World(data.draw(st.integers(1, 4))), tokens(data.draw(st.integers(0, 60)), 1e6)
    workers = list(world.workers.values())
    for _ in range(data.draw(st.integers(1, 30))):
        worker = data.draw(st.sampled_from(workers))
        match data.draw(st.sampled_from(["call", "to_keeper", "to_worker"])):
            case "call":
                least = data.draw(st.integers(1, 12))
                worker.call(quota, least + data.draw(st.integers(0, 12)), least)
            case "to_keeper":
                world.to_keeper(worker)
            case _:
                world.to_worker(worker)
    world.settle_down()
    free = quota.limit - world.amount(quota)
    assert free >= 0
    if free:
        worker = data.draw(st.sampled_from(workers))
        assert calls(world, worker, quota, 1, wanted=free, least=free) == [free]
