"""Where conversations stay, and whether it is worth it."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.routing.deployment import Deployment
from penstock.routing.sticky import CACHEABLE, Sticky, rendezvous, session_of, worth_staying


def deployment(name: str, **fields: Any) -> Deployment:
    return Deployment(group="g", arguments={"model": "m"}, id=name, **fields)


def test_it_remembers_for_a_while_after_the_last_answer() -> None:
    sticky = Sticky(10.0)
    sticky.keep("s", "a", 0.0)
    sticky.keep("s", "a", 5.0)
    assert (sticky.find("s", 14.9), sticky.find("s", 15.0), len(sticky)) == ("a", None, 0)


def test_it_remembers_so_many_and_forgets_the_silent_first() -> None:
    sticky = Sticky(1e9, most=100)
    for number in range(1000):
        sticky.keep("talks on", "a", float(number))
        sticky.keep(str(number), "b", float(number))
    assert len(sticky) == 100
    assert sticky.find("talks on", 1000.0) == "a"
    assert sticky.find("900", 1000.0) is None


def test_shares_of_sessions_are_as_the_weights() -> None:
    deployments = [deployment("a", weight=1), deployment("b", weight=2), deployment("c", weight=0)]
    found = Counter(rendezvous(deployments, str(number))[0].id for number in range(6000))
    assert found["b"] / 6000 == pytest.approx(2 / 3, abs=0.02)
    assert found["c"] == 0


@given(st.text(), st.integers(2, 9))
def test_when_one_goes_only_its_sessions_move(session: str, count: int) -> None:
    deployments = [deployment(str(number)) for number in range(count)]
    order = [each.id for each in rendezvous(deployments, session)]
    assert sorted(order) == sorted(each.id for each in deployments)
    for gone in deployments:
        left = [each for each in deployments if each is not gone]
        assert [each.id for each in rendezvous(left, session)] == [name for name in order if name != gone.id]


@pytest.mark.parametrize(
    ("own", "other", "tokens", "stays"),
    [
        ({}, {}, None, True),
        ({"input_price": 2, "cached_price": 1}, {"input_price": 2}, None, True),
        ({"input_price": 2, "cached_price": 1}, {"input_price": 1}, None, False),
        ({"input_price": 2, "cached_price": 1}, {}, None, True),
        ({"input_price": 2}, {"input_price": 2}, None, False),
        ({"input_price": 2, "cached_price": 1}, {"input_price": 2}, CACHEABLE - 1, False),
        ({"input_price": 2, "cached_price": 1}, {"input_price": 2}, CACHEABLE, True),
    ],
)
def test_staying_is_worth_it_where_cached_input_is_the_cheapest(
    own: dict[str, int], other: dict[str, int], tokens: int | None, stays: bool
) -> None:
    here = deployment("a", **{name: Decimal(price) for name, price in own.items()})
    there = deployment("b", **{name: Decimal(price) for name, price in other.items()})
    assert worth_staying(here, [here, there], tokens) is stays


def test_a_session_is_the_first_thing_that_tells_one() -> None:
    assert session_of(None, "", "user") == session_of(None, None, "user")
    assert session_of("x", "user") != session_of(None, "x")
    assert session_of(None, b"", "") is None
    assert session_of("\ud800") is not None
    assert "secret" not in str(session_of("secret"))
