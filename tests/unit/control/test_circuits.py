"""What a worker learns of a deployment's health reaches all others, and those that come later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from penstock.control.circuits import Circuits
from penstock.control.worker_links import WorkerLinks
from penstock.gateway.circuits import CIRCUITS, Change
from penstock.gateway.snapshot import Snapshot


class Link:
    """A worker that only listens."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def tell(self, kind: str, payload: Any) -> None:
        self.heard.append((kind, list(payload)))

    def ask(
        self,
        kind: str,
        payload: Any,
        answered: Callable[[Any], None],
        failed: Callable[[str], None],
        timeout: float,
    ) -> None:
        self.heard.append((kind, payload))
        answered(None)


def test_all_but_the_speaker_are_told() -> None:
    links = WorkerLinks(print)
    one, other, third = Link(), Link(), Link()
    for link in (one, other, third):
        links.connected(link)
    changes = [Change("a", 5.0, 1), Change("b")]
    links.circuits(one, changes)
    assert one.heard == []
    assert other.heard == third.heard == [(CIRCUITS, changes)]


def test_who_comes_later_hears_what_still_rests_after_the_snapshot() -> None:
    links = WorkerLinks(print)
    links.circuits(Link(), [Change("a", 50.0, 2), Change("b", 50.0, 1), Change("b")])
    asyncio.run(links.publish(Snapshot(version=1)))
    late = Link()
    links.connected(late)
    (first, _), (second, resting) = late.heard
    assert (first, second) == ("snapshot", CIRCUITS)
    assert [(change.deployment, change.trips) for change in resting] == [("a", 2)]
    assert 0 < resting[0].seconds <= 50


def test_a_rest_that_is_over_is_forgotten() -> None:
    now = 100.0
    circuits = Circuits(lambda: now)
    circuits.note([Change("a", 5.0, 1), Change("b", 20.0, 3)])
    now = 106.0
    assert circuits.resting() == [Change("b", 14.0, 3)]
    circuits.note([Change("b")])
    assert circuits.resting() == []
