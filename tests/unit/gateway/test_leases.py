"""The worker's side of leases: what it says to the keeper, and when. What comes of it with a keeper is in
tests/unit/control/test_leases.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from penstock.gateway.lease_words import Draw, Grant, Hello, Name, Refusal, Share, Units
from penstock.gateway.leases import PATIENCE, REFUSAL_SECONDS, Denied, Leases
from penstock.gateway.principal import Quota

QUOTA = Quota(name="k:tokens", kind="tokens", limit=100, window=60.0)
SLOTS = Quota(name="k:parallel", kind="parallel", limit=100)


class Timer:
    def __init__(self, function: Callable[[], None]) -> None:
        self.function, self.cancelled = function, False

    def cancel(self) -> None:
        self.cancelled = True


class Desk:
    """A worker's leases, and what they said."""

    def __init__(self) -> None:
        self.now = 60.0
        self.said: list[tuple[str, Any]] = []
        self.timers: list[Timer] = []
        self.leases = Leases("w1", lambda kind, said: self.said.append((kind, said)), lambda: self.now, self.later)
        self.leases.connected()
        assert self.heard() == [("hello", Hello("w1", []))]

    def later(self, seconds: float, function: Callable[[], None]) -> Timer:
        assert seconds == PATIENCE
        self.timers.append(Timer(function))
        return self.timers[-1]

    def heard(self) -> list[tuple[str, Any]]:
        said, self.said = self.said[:], []
        return said

    def give(self, units: int, quota: Quota = QUOTA, **more: Any) -> None:
        """Draw, and be granted; whoever drew takes nothing."""
        self.leases.draw(quota, 1, 1, lambda: None)
        until = 120.0 if quota.window else math.inf
        start = 60.0 if quota.window else 0.0
        self.leases.granted(Grant(quota.name, start, until, units, **{"beyond": 0, "tight": False, **more}))
        self.heard()


def test_units_that_are_held_are_taken_without_a_word() -> None:
    desk = Desk()
    assert desk.leases.take(QUOTA, 5, 5) is None
    desk.give(20)
    assert [desk.leases.take(QUOTA, 5, 5) for _ in range(2)] == [5, 5]
    assert desk.heard() == []


def test_a_draw_gives_back_what_is_held_and_speaks_for_all_who_wait() -> None:
    desk = Desk()
    desk.give(4)
    desk.leases.draw(QUOTA, 50, 7, lambda: None)
    desk.leases.draw(QUOTA, 60, 9, lambda: None)
    assert desk.heard() == [("draw", Draw(QUOTA, 60.0, 4, 50, 7))]
    assert len(desk.timers) == 2, "one for each draw, not for each call"


def test_a_further_slice_is_asked_for_before_the_last_unit_is_gone() -> None:
    desk = Desk()
    desk.give(20)
    assert [desk.leases.take(QUOTA, 1, 1) for _ in range(11)] == [1] * 11
    assert desk.heard() == [("more", Units("k:tokens", 60.0, 0))]
    desk.leases.take(QUOTA, 1, 1)
    assert desk.heard() == [], "once"
    desk.leases.granted(Grant("k:tokens", 60.0, 120.0, 0, 0, False, more=True))
    assert [desk.leases.take(QUOTA, 1, 1) for _ in range(9)] == [1] * 8 + [None]
    assert desk.heard() == [], "and not again, when there was none"


def test_who_is_tight_keeps_nothing() -> None:
    desk = Desk()
    desk.give(10, SLOTS)
    assert desk.leases.take(SLOTS, 1, 1) == 1
    desk.leases.recall(Name("k:parallel"))
    assert desk.heard() == [("recalled", Units("k:parallel", 0.0, 9))]
    desk.leases.settle("k:parallel", 1, 0)
    assert desk.heard() == [("back", Units("k:parallel", 0.0, 1))]


def test_a_slice_that_comes_after_the_draw_goes_back() -> None:
    """The draw said that nothing is held, so the keeper will not recall it."""
    desk = Desk()
    desk.give(4)
    assert [desk.leases.take(QUOTA, 1, 1) for _ in range(4)] == [1] * 4
    desk.leases.draw(QUOTA, 5, 5, lambda: None)
    desk.heard()
    desk.leases.granted(Grant("k:tokens", 60.0, 120.0, 3, 0, False, more=True))
    assert desk.heard() == [("back", Units("k:tokens", 60.0, 3))]


def test_a_refusal_is_believed_for_calls_that_need_as_much_until_told_otherwise() -> None:
    desk = Desk()
    desk.leases.draw(QUOTA, 50, 10, lambda: None)
    desk.leases.refused(Refusal("k:tokens", 60.0, 120.0, 9, 10, 60.0))
    assert desk.leases.take(QUOTA, 50, 10) == Denied(60.0, 9, 120.0)
    assert desk.leases.take(QUOTA, 50, 9) is None, "nobody has refused this"
    desk.leases.freed(Name("k:tokens"))
    assert desk.leases.take(QUOTA, 50, 10) is None
    desk.leases.draw(QUOTA, 50, 10, lambda: None)
    desk.leases.refused(Refusal("k:tokens", 60.0, 120.0, 9, 10, 60.0))
    desk.now += REFUSAL_SECONDS
    assert desk.leases.take(QUOTA, 50, 10) is None, "and not for ever"


@pytest.mark.parametrize(("since", "back"), [(None, 0), (59.9, 0), (60.0, 7), (61.0, 7)])
def test_units_of_a_window_come_back_only_to_the_window_that_they_are_of(since: float | None, back: int) -> None:
    desk = Desk()
    desk.give(20)
    desk.leases.take(QUOTA, 20, 20)
    desk.leases.settle("k:tokens", 10, 3, since)
    assert desk.leases.left((QUOTA,)) == (back,)


def test_excess_is_taken_from_what_is_held_and_then_charged() -> None:
    desk = Desk()
    desk.give(20)
    desk.leases.take(QUOTA, 15, 15)
    desk.heard()
    desk.leases.settle("k:tokens", 15, 27, 60.0)
    assert desk.heard() == [("charge", Units("k:tokens", 60.0, 7))]
    assert desk.leases.overdrawn == 7
    desk.leases.lost()
    desk.leases.connected()
    assert desk.heard() == [("hello", Hello("w1", [Share(QUOTA, 60.0, 120.0, 27)]))]


def test_a_window_that_is_over_leaves_nothing() -> None:
    desk = Desk()
    desk.give(20)
    desk.now = 120.0
    assert desk.leases.take(QUOTA, 1, 1) is None
    assert desk.leases.left((QUOTA,)) == (100,)
    desk.leases.lost()
    desk.leases.connected()
    assert desk.heard() == [("hello", Hello("w1", []))]


def test_calls_go_on_without_a_keeper_as_long_as_units_last() -> None:
    desk = Desk()
    desk.give(10)
    desk.leases.lost()
    assert desk.leases.take(QUOTA, 4, 4) == 4
    woken: list[int] = []
    assert desk.leases.take(QUOTA, 50, 5) is None, "more may be had when the keeper is back"
    desk.leases.draw(QUOTA, 50, 5, lambda: woken.append(1))
    assert desk.heard() == []
    desk.timers[-1].function()
    assert woken == [1]
    assert desk.leases.take(QUOTA, 50, 5) == 6
    denied = desk.leases.take(QUOTA, 50, 5)
    assert isinstance(denied, Denied) and denied.away
    desk.leases.connected()
    assert desk.leases.take(QUOTA, 50, 5) is None


def test_who_waits_when_the_keeper_comes_back_is_drawn_for() -> None:
    desk = Desk()
    desk.leases.lost()
    desk.leases.draw(QUOTA, 50, 5, lambda: None)
    desk.leases.connected()
    assert desk.heard() == [("hello", Hello("w1", [])), ("draw", Draw(QUOTA, -1.0, 0, 50, 5))]


def test_one_call_that_fails_does_not_keep_the_next_from_its_units(caplog: pytest.LogCaptureFixture) -> None:
    desk, got = Desk(), []

    def fails() -> None:
        raise RuntimeError("a call's own fault")

    desk.leases.draw(QUOTA, 1, 1, fails)
    desk.leases.draw(QUOTA, 1, 1, lambda: got.append(desk.leases.take(QUOTA, 1, 1)))
    desk.leases.granted(Grant("k:tokens", 60.0, 120.0, 2, 0, True))
    assert got == [1]
    assert "a call failed" in caplog.text
    assert desk.heard()[-1] == ("back", Units("k:tokens", 60.0, 1))


def test_a_worker_that_ends_gives_back_what_it_has() -> None:
    desk = Desk()
    desk.give(10)
    desk.leases.take(QUOTA, 3, 3)
    desk.leases.give_back_all()
    desk.leases.settle("k:tokens", 3, 1, 60.0)
    assert desk.heard() == [("back", Units("k:tokens", 60.0, 7)), ("back", Units("k:tokens", 60.0, 2))]


def test_leases_of_keys_that_are_gone_are_forgotten() -> None:
    desk = Desk()
    for number in range(5000):
        quota = Quota(name=f"k{number}:requests", kind="requests", limit=9, window=60.0)
        desk.give(3, quota)
        desk.now += 60.0
    assert len(desk.leases._leases) < 2100
