"""The table of healths, where several processes share deployments that take only so many requests at once."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.routing.deployment import Deployment
from penstock.routing.health import CooldownRules
from penstock.routing.table import Table
from penstock.types.errors import ErrorResponse
from tests.support.counts import Counts

ERROR = ErrorResponse(kind="server", status=500, message="no")


def deployments(**most: int | None) -> list[Deployment]:
    return [
        Deployment(group="g", id=name, arguments={"model": "openai/gpt-4o"}, most_in_flight=number)
        for name, number in most.items()
    ]


def tables(number: int, **most: int | None) -> tuple[Counts, list[Table]]:
    counts = Counts()
    found = [Table(counts.seen_by(process)) for process in range(number)]
    for table in found:
        table.govern(deployments(**most), CooldownRules())
    return counts, found


def test_the_last_place_is_given_once() -> None:
    counts, (one, other) = tables(2, d=2)
    assert one.claim("d", 0.0) and other.claim("d", 0.0)
    assert not one.claim("d", 0.0) and not other.claim("d", 0.0)
    assert one.full(deployments(d=2)) == {"d"} == other.full(deployments(d=2))
    one.started("d", 0.0, claimed=True)
    assert counts.all("d") == 2, "it begins in the place that it has"
    one.answered("d", 1.0, 1.0, streams=False)
    assert counts.all("d") == 1 and other.claim("d", 1.0)


def test_a_place_that_is_not_needed_goes_back() -> None:
    counts, (one, other) = tables(2, d=1)
    assert one.claim("d", 0.0)
    one.unclaim("d")
    assert counts.all("d") == 0 and other.claim("d", 0.0)


def test_a_stream_has_its_place_until_its_end() -> None:
    counts, (one, other) = tables(2, d=1)
    assert one.claim("d", 0.0)
    one.started("d", 0.0, claimed=True)
    one.answered("d", 1.0, 1.0, streams=True)
    assert counts.all("d") == 1 and not other.claim("d", 1.0)
    one.left("d")
    assert counts.all("d") == 0 and other.claim("d", 1.0)


def test_who_goes_on_in_the_same_place_does_not_let_go_of_it() -> None:
    counts, (one, other) = tables(2, d=1)
    assert one.claim("d", 0.0)
    one.started("d", 0.0, claimed=True)
    for _ in range(3):
        one.hold("d")
        one.answered("d", 1.0, 1.0, streams=False)
        assert counts.all("d") == 1 and not other.claim("d", 1.0)
        one.started("d", 1.0, claimed=True)
    one.left("d")
    assert counts.all("d") == 0 and other.claim("d", 1.0)


def test_who_takes_any_number_is_not_counted() -> None:
    counts, (one, _) = tables(2, d=None)
    assert all(one.claim("d", 0.0) for _ in range(10))
    one.started("d", 0.0)
    assert not counts.of and one.full(deployments(d=None)) == frozenset()


def test_a_limit_that_comes_counts_what_is_under_way_and_one_that_goes_leaves_nothing() -> None:
    counts, (one, other) = tables(2, d=None)
    one.started("d", 0.0)
    for table in (one, other):
        table.govern(deployments(d=1), CooldownRules())
    assert counts.all("d") == 1 and not other.claim("d", 0.0)
    for table in (one, other):
        table.govern(deployments(d=None), CooldownRules())
    assert counts.all("d") == 0


def test_a_probe_that_is_refused_has_no_place() -> None:
    counts, (one, other) = tables(2, d=5, e=5)
    one.rested("d", 10.0, 1)
    assert not one.claim("d", 5.0), "it rests"
    assert counts.all("d") == 0
    assert one.claim("d", 11.0) and not one.claim("d", 11.0), "one probe"
    assert counts.all("d") == 1 and other.claim("d", 11.0)


STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["claim", "begin", "unclaim", "answer", "stream", "leave", "fail", "govern"]),
        st.sampled_from(["d", "e"]),
    ),
    max_size=80,
)


@given(STEPS, st.integers(1, 4))
def test_whatever_happens_the_sum_is_that_of_all_requests_and_never_above_the_limit(
    steps: list[tuple[int, str, str]], most: int
) -> None:
    counts, found = tables(3, d=most, e=None)
    claimed: Counter[tuple[int, str]] = Counter()
    flying: Counter[tuple[int, str]] = Counter()
    for process, step, name in steps:
        table, key = found[process], (process, name)
        if step == "claim":
            claimed[key] += table.claim(name, 0.0)
        elif step == "begin" and claimed[key]:
            table.started(name, 0.0, claimed=True)
            claimed[key], flying[key] = claimed[key] - 1, flying[key] + 1
        elif step == "unclaim" and claimed[key]:
            table.unclaim(name)
            claimed[key] -= 1
        elif step == "stream" and flying[key]:
            table.answered(name, 1.0, 1.0, streams=True)
        elif step in ("answer", "leave", "fail") and flying[key]:
            if step == "answer":
                table.answered(name, 1.0, 1.0, streams=False)
            else:
                if step == "fail":
                    table.failed(name, 1.0, ERROR)
                table.left(name)
            flying[key] -= 1
        elif step == "govern":
            table.govern(deployments(d=most, e=None), CooldownRules(enabled=False))
        under_way = sum(number for (_, known), number in (claimed + flying).items() if known == "d")
        assert counts.all("d") == under_way <= most
        assert counts.all("e") == 0


@pytest.mark.parametrize("most", [1, 3])
def test_alone_a_process_counts_nothing_elsewhere(most: int) -> None:
    table = Table()
    table.govern(deployments(d=most), CooldownRules())
    assert all(table.claim("d", 0.0) for _ in range(most + 1)), (
        "who may be asked, `candidates` says by what is in flight"
    )
    assert table.full(deployments(d=most)) == frozenset()
