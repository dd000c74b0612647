"""Limits: reached at the very amount, none where nothing is said, and what a supervisor can still give away."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from penstock.agents.limits import exceeded, left, next_check, reached, share, tightest, up_seconds
from penstock.agents.machine import Reason, State
from penstock.agents.types import Amounts, Limits, Session, Usage
from tests.support.agents import NOON, new_session


def session(limits: Limits, usage: Usage | None = None, **fields: Any) -> Session:
    return new_session(limits=limits, usage=usage or Usage(), **{"state": State.RUNNING, **fields})


TABLE = [
    (Limits(dollars=Decimal("1.5")), {"dollars": Decimal("1.4999")}, {"dollars": Decimal("1.5")}, Reason.MONEY_LIMIT),
    (Limits(tokens=10), {"input_tokens": 4, "output_tokens": 5}, {"input_tokens": 4, "output_tokens": 6},
     Reason.TOKEN_LIMIT),
    (Limits(requests=2), {"requests": 1}, {"requests": 2}, Reason.REQUEST_LIMIT),
    (Limits(bytes_out=2**40), {"bytes_out": 2**40 - 1}, {"bytes_out": 2**40}, Reason.BYTES_LIMIT),
]  # fmt: skip


@pytest.mark.parametrize(("limits", "below", "at", "reason"), TABLE, ids=[str(row[3]) for row in TABLE])
def test_amounts(limits: Limits, below: dict[str, Any], at: dict[str, Any], reason: Reason) -> None:
    assert reached(session(limits, Usage(**below)), NOON) is None
    assert reached(session(limits, Usage(**at)), NOON) is reason
    assert reached(session(Limits(), Usage(**at)), NOON) is None


def test_wall_time_counts_what_was_before_a_suspension() -> None:
    up = session(Limits(wall_seconds=100), active_seconds=60.0, active_since=NOON)
    assert up_seconds(up, NOON + timedelta(seconds=39)) == 99
    assert reached(up, NOON + timedelta(seconds=39)) is None
    assert reached(up, NOON + timedelta(seconds=40)) is Reason.WALL_LIMIT
    assert next_check(up, NOON + timedelta(seconds=30)) == 10
    assert reached(replace(up, active_since=None), NOON + timedelta(days=9)) is None


def test_idleness() -> None:
    idle = session(Limits(idle_seconds=10), state=State.IDLE, idle_since=NOON)
    late = NOON + timedelta(seconds=10)
    assert reached(idle, late - timedelta(microseconds=1)) is None
    assert reached(idle, late) is Reason.IDLE_LIMIT
    assert reached(replace(idle, last_message=4), late) is None, "it has something to do"
    assert reached(replace(idle, state=State.RUNNING), late) is None
    assert next_check(idle, NOON) == 10
    assert next_check(session(Limits()), NOON) is None


def test_a_clock_that_goes_back_takes_nothing() -> None:
    assert up_seconds(session(Limits(), active_since=NOON), NOON - timedelta(days=1)) == 0


def test_money_comes_first() -> None:
    both = session(Limits(dollars=Decimal(1), tokens=1), Usage(dollars=Decimal(1), input_tokens=1))
    assert reached(both, NOON) is Reason.MONEY_LIMIT


AMOUNTS = st.none() | st.integers(1, 100)
LIMITS = st.builds(Limits, AMOUNTS, AMOUNTS, AMOUNTS, st.none() | st.decimals(0, 9, places=2), AMOUNTS, AMOUNTS,
                   st.none() | st.integers(0, 9), st.sampled_from(["suspend", "terminate"]))  # fmt: skip


@given(LIMITS, LIMITS)
def test_the_tightest_is_no_wider_than_any(one: Limits, other: Limits) -> None:
    both = tightest(one, other)
    assert both == tightest(other, one)
    assert tightest(both, one) == both and tightest(one, one) == tightest(one)
    for name in ("tokens", "dollars", "requests", "bytes_out", "wall_seconds", "idle_seconds"):
        for limits in (one, other):
            if getattr(limits, name) is not None:
                assert getattr(both, name) <= getattr(limits, name)
    if one.repeats:
        assert both.repeats and both.repeats <= one.repeats


def test_workers_share_what_the_supervisor_has() -> None:
    boss = session(
        Limits(dollars=Decimal(10), tokens=100), Usage(dollars=Decimal(1), input_tokens=10),
        lent=share(session(Limits(dollars=Decimal(4), tokens=20))), spent_by_workers=Amounts(dollars=Decimal(2)),
    )  # fmt: skip
    rest = left(boss)
    assert (rest.dollars, rest.tokens, rest.requests) == (Decimal(3), 70, None)
    assert exceeded(Limits(dollars=Decimal(3), tokens=70), rest) is None
    assert exceeded(Limits(dollars=Decimal("3.01"), tokens=70), rest) == "dollars"
    assert exceeded(Limits(dollars=Decimal(3)), rest) == "tokens", "no limit is more than any"
    assert left(replace(boss, usage=Usage(dollars=Decimal(11)))).dollars == 0


def test_what_was_given_away_is_not_used_twice() -> None:
    everything = Amounts(dollars=Decimal(9))
    boss = session(Limits(dollars=Decimal(10)), Usage(dollars=Decimal(1)), lent=everything)
    assert reached(boss, NOON) is None, "who has given all away waits for what comes back"
    assert left(boss).dollars == 0
    assert reached(replace(boss, usage=Usage(dollars=Decimal("1.01"))), NOON) is Reason.MONEY_LIMIT
    back = replace(boss, lent=Amounts(), spent_by_workers=Amounts(dollars=Decimal(8)))
    assert reached(back, NOON) is None and left(back).dollars == 1
    assert reached(replace(back, spent_by_workers=everything), NOON) is Reason.MONEY_LIMIT


@pytest.mark.parametrize("wrong", ['"-1"', '"NaN"', '"Infinity"', '"9000001"', '"0.0000000000001"', '"x"', "true"])
def test_dollars_that_are_none(wrong: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(f'{{"dollars":{wrong}}}', type=Limits)


@pytest.mark.parametrize("text", ['"1.25"', "1.25", '"0"', "9000000", '"0.000000000001"'])
def test_dollars_are_exact(text: str) -> None:
    assert msgspec.json.decode(f'{{"dollars":{text}}}', type=Limits).dollars == Decimal(text.strip('"'))
