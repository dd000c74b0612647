"""A fleet that fails, in simulated time: the real router and the real exchange, thousands of calls at once.

Whatever happens (deployments go down and come back, clients leave, streams break), nobody is asked who rests, a
deployment that comes back is probed by one, nobody takes more than it takes, and when all is over nobody is busy.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable, Generator
from typing import Any

import pytest

from penstock.calls.engine import Engine
from penstock.exchange import (
    Attempt,
    AttemptFailed,
    Broken,
    Clock,
    ExchangeFailed,
    HTTPRequest,
    Reply,
    Sleep,
    Timeouts,
    exchange,
)
from penstock.gateway.route import Route, RouteRequest
from penstock.gateway.router import Router
from penstock.gateway.snapshot import RoutingSettings, Snapshot
from penstock.routing.deployment import Deployment
from penstock.types.errors import ErrorResponse

STRATEGIES = ("simple-shuffle", "least-busy", "latency", "most-headroom", "cost")


class Fleet:
    """Deployments of which some are down, and the calls to them, on a clock of its own."""

    def __init__(self, seed: int) -> None:
        self.chance = chance = random.Random(seed)
        self.now = 0.0
        self.clock = Clock(lambda: self.now, lambda: self.now + 1e9)
        self.deployments = [self._deployment(number) for number in range(chance.choice([1, 2, 3, 8, 30]))]
        self.deployments.append(Deployment(group="f", arguments={"model": "openai/none"}, id="f"))
        names = [each.id for each in self.deployments]
        self.down = set(chance.sample(names, chance.randrange(len(names))))
        routing = RoutingSettings(
            strategy=STRATEGIES[seed % len(STRATEGIES)],
            fallbacks=chance.choice([{}, {"g": ("f",)}]),
            sticky_seconds=chance.choice([0.0, 30.0]),
        )
        snapshot = Snapshot(version=1, deployments=tuple(self.deployments), routing=routing)
        self.router = Router(snapshot, Engine(environment={}, clock=self.clock), random=chance.random)
        self.outcomes: Counter[str] = Counter()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def _deployment(self, number: int) -> Deployment:
        chance = self.chance
        return Deployment(
            group="g",
            arguments={"model": "openai/none"},
            id=str(number),
            order=chance.choice([1, 1, 2]),
            weight=chance.choice([None, 1, 2]),
            most_in_flight=chance.choice([None, None, 3]),
            rpm=chance.choice([None, None, 20]),
        )

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._numbers), what))

    def run(self, calls: int) -> None:
        for _ in range(calls):
            self.after(self.chance.random() * calls / 8, lambda: SimulatedCall(self).start())
        while self._events:
            self.now, _, what = heapq.heappop(self._events)
            if self.chance.random() < 0.002:
                self.down ^= {self.chance.choice(self.deployments).id}
            what()


class SimulatedCall:
    """One call, driven as the gateway drives it."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.stream = fleet.chance.random() < 0.4
        request = RouteRequest("g", stream=self.stream, session=str(fleet.chance.randrange(5)))
        self.route: Route = fleet.router.plan(request, self.make)
        total = fleet.chance.choice([None, 20.0])
        self.steps: Generator[Any, Any, Any] | None = exchange(self.route, fleet.clock, total, self.route)

    def make(self, deployment: Deployment, group: str, hops: int) -> Attempt[bytes]:
        def prepare(now: float) -> HTTPRequest:
            return HTTPRequest("POST", deployment.id)

        def refused(reply: Reply) -> ErrorResponse:
            return ErrorResponse(kind="unavailable", status=reply.status, message="", body={})

        return Attempt("p/m", "p", "m", self.stream, Timeouts(), prepare, lambda reply: reply.body, refused)

    def start(self) -> None:
        self.step(None)
        if self.fleet.chance.random() < 0.1:
            self.fleet.after(self.fleet.chance.random(), self.leave)

    def leave(self) -> None:
        if self.steps is not None:
            self.steps.close()
            self.steps = None

    def step(self, event: Any) -> None:
        fleet = self.fleet
        if self.steps is None:  # the client has left
            return
        try:
            command = self.steps.send(event)
        except StopIteration as done:
            self.over("answered")
            if done.value.reply.stream is not None:
                ends = self.route.done if fleet.chance.random() < 0.8 else self.route.broke
                fleet.after(fleet.chance.random() * 3, ends)
            return
        except (ExchangeFailed, AttemptFailed) as failed:
            self.over("failed" if isinstance(failed, ExchangeFailed) else str(failed.error.status))
            return
        if isinstance(command, Sleep):
            fleet.after(command.seconds, lambda: self.step(None))
        else:
            self.send(command.request.url, command.stream)

    def send(self, name: str, stream: bool) -> None:
        fleet = self.fleet
        health = fleet.router.table.get(name)
        assert not fleet.now < health.rests_until, "nobody is asked who rests"
        most = fleet.router.groups.find(name)[0].most_in_flight
        assert most is None or health.in_flight <= most, "nobody takes more than it takes"
        if health.rests_until:
            assert health.probed_until == float("inf"), "who comes back from a rest is probed, and by one"
        event: Any = Reply(200, {}, b"x", object() if stream else None)
        if name in fleet.down:
            event = fleet.chance.choice([Broken("timeout", "no answer"), Reply(503, {}, b"")])
        fleet.after(fleet.chance.random() * 4, lambda: self.step(event))

    def over(self, outcome: str) -> None:
        self.fleet.outcomes[outcome] += 1
        self.steps = None


@pytest.mark.parametrize("seed", range(20))
def test_a_fleet_that_fails(seed: int) -> None:
    fleet = Fleet(seed)
    fleet.run(600)
    assert sum(fleet.outcomes.values()) > 500, "all but those that left"
    assert set(fleet.outcomes) <= {"answered", "failed", "503"}
    for each in fleet.deployments:
        health = fleet.router.table.get(each.id)
        assert (health.in_flight, health.probed_until == float("inf")) == (0, False)
