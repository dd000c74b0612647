"""The line: who goes when there is room, who is put out, and that it ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from penstock.calls.engine import Engine
from penstock.exchange import AttemptFailed, Clock
from penstock.gateway.route import Route, RouteRequest
from penstock.gateway.router import Router
from penstock.gateway.snapshot import RoutingSettings, Snapshot
from penstock.gateway.waiting import Waiting, WaitingRoom
from penstock.providers.errors import ProviderError
from penstock.routing.deployment import Deployment
from penstock.routing.overrides import Overrides
from penstock.types.errors import ErrorResponse
from tests.support.counts import Counts


class Loop:
    """A clock with timers that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None], Any]] = []

    def call_later(self, seconds: float, function: Callable[[], None]) -> Any:
        loop = self

        class Handle:
            def cancel(self) -> None:
                loop.timers = [each for each in loop.timers if each[2] is not self]

        handle = Handle()
        self.timers.append((self.now + seconds, function, handle))
        return handle

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [each for each in self.timers if each[0] <= end]:
            first = min(due, key=lambda each: each[0])
            self.timers.remove(first)
            self.now = max(self.now, first[0])
            first[1]()
        self.now = end


class Setting:
    """A room before one deployment that takes two requests at once."""

    def __init__(self, *more: Deployment, **settings: Any) -> None:
        self.loop = Loop()
        usual = {"queue_size": 3, "queue_seconds": 10.0}
        self.router = self.make(*more, **{**usual, **settings})
        self.room = WaitingRoom(self.router, self.loop.call_later)
        self.log: list[Any] = []

    def make(self, *more: Deployment, **settings: Any) -> Router:
        deployment = Deployment(group="g", arguments={"model": "openai/none-such"}, id="a", most_in_flight=2)
        routing = RoutingSettings(**settings)
        snapshot = Snapshot(version=1, deployments=(deployment, *more), routing=routing)
        clock = Clock(monotonic=lambda: self.loop.now, unix=lambda: self.loop.now)
        return Router(snapshot, Engine(environment={}, clock=clock), previous=getattr(self, "router", None))

    def enter(self, name: str, group: str = "g", priority: int | None = None) -> Waiting | None:
        request = RouteRequest(group, overrides=Overrides(priority=priority))

        def go() -> None:
            self.log.append(name)
            route = self.router.plan(request, lambda deployment, group, hops: deployment.id)
            again = route.after(())
            assert again is not None
            route.began(again.attempt)

        def refuse(error: ErrorResponse) -> None:
            self.log.append((name, error.status, error.retry_after))

        return self.room.enter(request, go, refuse)


def test_who_finds_room_goes_at_once_and_the_others_in_their_order() -> None:
    setting = Setting()
    for name in "abcd":
        setting.enter(name)
    assert (setting.log, len(setting.room)) == (["a", "b"], 2)
    setting.router.over("a")
    setting.router.over("a")
    assert setting.log == ["a", "b", "c", "d"]
    assert (len(setting.room), setting.loop.timers, setting.router.freed) == (0, [], None)


def test_a_newcomer_does_not_overtake_those_that_wait() -> None:
    setting = Setting()
    for name in "abc":
        setting.enter(name)
    setting.router.table.left("a")  # there is room, and nobody has been told of it yet
    setting.enter("d")
    assert setting.log == ["a", "b"]
    setting.loop.run(1.0)
    assert setting.log == ["a", "b", "c"]


def test_priority_comes_first() -> None:
    setting = Setting()
    for name, priority in (("a", 0), ("b", 0), ("low", 5), ("mid", None), ("high", -1)):
        setting.enter(name, priority=priority)
    for _ in range(3):
        setting.router.over("a")
    assert setting.log[2:] == ["high", "mid", "low"]


def test_a_full_line_turns_away_the_last_in_it() -> None:
    setting = Setting()
    for name in "abcde":
        setting.enter(name, priority=1)
    setting.enter("f", priority=1)
    assert setting.log[2:] == [("f", 503, 1.0)]
    setting.enter("g", priority=0)
    assert setting.log[3:] == [("e", 503, 1.0)]


def test_whoever_waits_too_long_is_told_so() -> None:
    setting = Setting()
    for name in "abc":
        setting.enter(name)
    setting.loop.run(9.9)
    assert setting.log == ["a", "b"]
    setting.loop.run(0.2)
    assert setting.log == ["a", "b", ("c", 503, 1.0)]
    assert setting.loop.timers == []


def test_a_client_that_leaves_makes_room_in_the_line() -> None:
    setting = Setting()
    waiting = [setting.enter(name) for name in "abcde"]
    assert waiting[3] is not None
    setting.room.leave(waiting[3])
    setting.room.leave(waiting[3])
    for _ in range(4):
        setting.router.over("a")
    assert setting.log == ["a", "b", "c", "e"]


def test_it_waits_for_a_rest_to_end() -> None:
    setting = Setting(Deployment(group="g", arguments={"model": "openai/none-such"}, id="b"))
    for name in "ab":
        setting.router.table.started(name, 0.0)
        setting.router.failed(name, ErrorResponse(kind="rate_limit", status=429, message="", retry_after=8.0))
    setting.enter("x")
    setting.loop.run(7.9)
    assert setting.log == []
    setting.loop.run(0.2)
    assert setting.log == ["x"]


def test_a_group_to_fall_back_to_is_better_than_a_line() -> None:
    setting = Setting(Deployment(group="f", arguments={"model": "openai/none-such"}, id="b"), fallbacks={"g": ("f",)})
    for name in "abc":
        setting.enter(name)
    assert setting.log == ["a", "b", "c"]


def test_without_a_line_nobody_waits() -> None:
    setting = Setting(queue_size=0)
    setting.enter("a")
    setting.enter("b")
    with pytest.raises(Exception, match="as many requests as they take"):
        setting.enter("c")


def test_a_new_snapshot_may_bring_room() -> None:
    setting = Setting()
    for name in "abc":
        setting.enter(name)
    more = Deployment(group="g", arguments={"model": "openai/none-such"}, id="b")
    setting.router = setting.make(more, queue_size=3, queue_seconds=10.0)
    setting.room.use(setting.router)
    assert setting.log == ["a", "b", "c"]


def test_for_a_group_that_there_is_not_nobody_waits() -> None:
    setting = Setting()
    with pytest.raises(ProviderError, match="no model group 'h'"):
        setting.enter("a", "h")
    assert setting.log == ["a"], "the plan says what is wrong, and it was asked"


def test_who_waits_for_a_group_that_goes_is_told_and_the_others_wait_on() -> None:
    going = Deployment(group="h", arguments={"model": "openai/none-such"}, id="h", most_in_flight=1)
    setting = Setting(going)
    setting.enter("a", "h")
    for name in "bcd":
        setting.enter(name)
    told: list[str] = []
    setting.room.enter(RouteRequest("h"), lambda: told.append("went"), lambda error: told.append("refused"))
    setting.router = setting.make(queue_size=3, queue_seconds=10.0)
    setting.room.use(setting.router)
    assert (told, len(setting.room)) == (["went"], 1)
    setting.router.over("a")
    assert setting.log == ["a", "b", "c", "d"]


# -- several workers --------------------------------------------------------------------------------------------------


def test_who_waits_at_different_workers_has_the_same_chance() -> None:
    """One place, two workers, four clients at each that ask again and again."""
    loop, counts, served = Loop(), Counts(), Counter[int]()
    clock = Clock(monotonic=lambda: loop.now, unix=lambda: loop.now)
    one = Deployment(group="g", arguments={"model": "openai/x", "api_key": "fake"}, id="d", most_in_flight=1)
    routing = RoutingSettings(queue_size=10, queue_seconds=1000.0)
    snapshot = Snapshot(version=1, deployments=(one,), routing=routing)
    for worker in (0, 1):
        engine, random = Engine(environment={}, clock=clock), Random(worker)
        router = Router(snapshot, engine, elsewhere=counts.seen_by(worker), random=random.random)
        room = WaitingRoom(router, loop.call_later)
        for _ in range(4):
            Asking(loop, room, served, worker).ask()
    loop.run(60.0)
    assert counts.all("d") <= 1
    assert min(served[0], served[1]) > 0.7 * max(served[0], served[1]) > 300


class Asking:
    """A client that asks for 5 ms of the deployment, again and again."""

    def __init__(self, loop: Loop, room: WaitingRoom, served: Counter[int], worker: int) -> None:
        self.loop, self.room, self.served, self.worker = loop, room, served, worker

    def ask(self) -> None:
        self.request = RouteRequest("g")
        self.room.enter(self.request, self.go, self.refused)

    def go(self) -> None:
        route = self.room.router.plan(self.request, lambda deployment, group, hops: deployment.id)
        try:
            route.after([])
        except AttemptFailed:
            self.room.enter_again(self.request, self.go, self.refused, 1000.0)
            return
        route.began("d")  # type: ignore[arg-type]  # attempts are names here
        self.loop.call_later(0.005, lambda: self.over(route))

    def over(self, route: Route) -> None:
        self.served[self.worker] += 1
        self.loop.call_later(0.001, self.ask)
        route.ended("d", 0.005, None, False)  # type: ignore[arg-type]  # as above

    def refused(self, error: ErrorResponse) -> None:
        raise AssertionError(error)


def test_who_comes_late_goes_on_in_the_place_that_it_had() -> None:
    setting = Setting()
    for name in "abcd":
        setting.enter(name)
    first = setting.room._lines["g"].first()
    assert first is not None and first.value.ticket is first
    late = first.value
    setting.room.leave(late)  # it was told to go
    setting.room.enter_again(late.request, late.go, late.refuse, 5.0, late)
    setting.router.over("a")
    assert setting.log == ["a", "b", "c"]
    setting.router.over("a")
    assert setting.log == ["a", "b", "c", "d"]
