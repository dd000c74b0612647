"""In which order deployments are asked. Chance comes from a seeded source: a statistical test is the same each run."""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.routing.candidates import candidates
from penstock.routing.deployment import Deployment
from penstock.routing.health import Health
from penstock.routing.situation import Random, Situation
from penstock.routing.strategies import STRATEGIES, ordered, simple_shuffle


def deployment(name: str, **fields: Any) -> Deployment:
    return Deployment(group="g", arguments={"model": name}, id=name, **fields)


def at(random: Random, now: float = 0.0, **fields: Any) -> Situation:
    return Situation(now, random, **fields)


def firsts(deployments: list[Deployment], healths: dict[str, Health], strategy: str, draws: int = 6000) -> Counter[str]:
    source = random.Random(7)
    return Counter(ordered(STRATEGIES[strategy], deployments, healths, at(source.random))[0].id for _ in range(draws))


@pytest.mark.parametrize("field", ["weight", "rpm", "tpm"])
def test_shares_are_as_the_weights(field: str) -> None:
    found = firsts(
        [deployment("a", **{field: 1}), deployment("b", **{field: 2}), deployment("c", **{field: 3})], {}, "shuffle"
    )
    for name, share in (("a", 1 / 6), ("b", 2 / 6), ("c", 3 / 6)):
        assert found[name] / 6000 == pytest.approx(share, abs=0.02)


def test_weight_comes_before_rpm() -> None:
    found = firsts([deployment("a", weight=1, rpm=1000), deployment("b", weight=9, rpm=1)], {}, "simple-shuffle")
    assert found["b"] / 6000 == pytest.approx(0.9, abs=0.02)


def test_without_weights_all_are_alike() -> None:
    found = firsts([deployment(name) for name in "abcd"], {}, "simple-shuffle")
    assert all(abs(found[name] / 6000 - 0.25) < 0.02 for name in "abcd")


def test_a_weight_of_nothing_is_the_last_resort() -> None:
    weights = [deployment("a", weight=0), deployment("b", weight=1), deployment("c")]
    source = random.Random(7)
    for _ in range(200):
        order = [each.id for each in simple_shuffle(weights, {}, at(source.random))]
        assert order[0] == "b"
        assert set(order[1:]) == {"a", "c"}, "and it is asked all the same, in the end"


def test_the_second_place_is_drawn_by_weight_too() -> None:
    weights = [deployment("a", weight=98), deployment("b", weight=1.5), deployment("c", weight=0.5)]
    source = random.Random(7)
    seconds = Counter(
        order[1].id
        for order in (simple_shuffle(weights, {}, at(source.random)) for _ in range(6000))
        if order[0].id == "a"
    )
    assert seconds["b"] / seconds.total() == pytest.approx(0.75, abs=0.03)


def test_least_busy() -> None:
    healths = {"a": Health(in_flight=2), "b": Health(in_flight=1), "c": Health(in_flight=1)}
    found = firsts([deployment(name) for name in "abc"], healths, "least-busy")
    assert found["a"] == 0
    assert found["b"] / 6000 == pytest.approx(0.5, abs=0.03)


def test_latency_takes_the_fastest_and_shares_among_the_about_as_fast() -> None:
    healths = {"a": Health(latency=1.0), "b": Health(latency=1.05), "c": Health(latency=2.0)}
    found = firsts([deployment(name) for name in "abc"], healths, "latency-based-routing")
    assert found["c"] == 0
    assert found["a"] / 6000 == pytest.approx(0.5, abs=0.03)


def test_latency_measures_whom_it_does_not_know() -> None:
    assert set(firsts([deployment("a"), deployment("b")], {"a": Health(latency=0.001)}, "latency")) == {"b"}


def test_cost_takes_the_cheapest_and_an_unknown_price_is_not_free() -> None:
    known = [deployment("a", price=Decimal("0.3")), deployment("b", price=Decimal("0.2")), deployment("c")]
    order = [each.id for each in ordered(STRATEGIES["cost-based-routing"], known, {}, at(random.Random(7).random))]
    assert order == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("long", "short"),
    [("latency-based-routing", "latency"), ("cost-based-routing", "cost"), ("simple-shuffle", "shuffle")],
)
def test_short_names_mean_the_same(long: str, short: str) -> None:
    assert STRATEGIES[long] is STRATEGIES[short]


_DEPLOYMENTS = st.lists(
    st.builds(
        lambda order, weight, price: {"order": order, "weight": weight, "price": price},
        st.integers(1, 3),
        st.none() | st.floats(0, 1e6),
        st.none() | st.decimals(0, 1000, places=3),
    ),
    max_size=8,
)


@given(_DEPLOYMENTS, st.sampled_from(sorted(STRATEGIES)), st.randoms(use_true_random=False), st.data())
def test_every_strategy_gives_all_back_by_order(
    fields: list[dict[str, Any]], strategy: str, source: random.Random, data: st.DataObject
) -> None:
    deployments = [deployment(str(number), **each) for number, each in enumerate(fields)]
    healths = {
        each.id: Health(in_flight=data.draw(st.integers(0, 5)), latency=data.draw(st.none() | st.floats(0, 100)))
        for each in deployments
    }
    found = ordered(STRATEGIES[strategy], deployments, healths, at(source.random))
    assert sorted(each.id for each in found) == sorted(each.id for each in deployments)
    assert [each.order for each in found] == sorted(each.order for each in deployments)


def test_candidates_leave_out_who_rests_and_who_is_full() -> None:
    deployments = [deployment("rests"), deployment("later"), deployment("full", most_in_flight=2), deployment("free")]
    healths = {"rests": Health(rests_until=12.0), "later": Health(rests_until=20.0), "full": Health(in_flight=2)}
    found = candidates(deployments, healths, at(random.Random(7).random, 10.0), STRATEGIES["shuffle"])
    assert [each.id for each in found.ready] == ["free"]
    assert found.next_back is not None and (found.next_back.id, found.back_in) == ("rests", 2.0)


def test_candidates_when_the_rest_is_over() -> None:
    found = candidates([deployment("a")], {"a": Health(rests_until=10.0)}, at(lambda: 0.0, 10.0), STRATEGIES["shuffle"])
    assert [each.id for each in found.ready] == ["a"] and found.next_back is None
