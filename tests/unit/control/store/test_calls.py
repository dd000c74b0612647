"""What the journals told of a call, and the rows that it becomes."""

import msgspec
import pytest

from penstock.control.store.calls import (
    ATTEMPT_COLUMNS,
    INTERRUPTED,
    REQUEST_COLUMNS,
    Attempted,
    Call,
    attempt_rows,
    cost_of,
    interrupted,
    request_row,
    settled_money,
)
from penstock.gateway.records import Closed, Opened
from penstock.types.usage import Usage
from tests.contract.store import NOON, TOKEN, call, refused


def named(columns: tuple[str, ...], row: tuple[object, ...]) -> dict[str, object]:
    return dict(zip(columns, row, strict=True))


def test_rows_fit_their_columns_on_both_ways() -> None:
    """A call of one attempt takes a way of its own, which must come to the same as the general one."""
    one = call(cost=7, cost_text="0.000000000007", quota="q:money")
    several = Call(one.worker, one.call_id, TOKEN, one.attempts)
    short = named(REQUEST_COLUMNS, request_row(1, 2, one))
    several.attempts = [*one.attempts, Attempted(one.attempts[0].opened)]  # one more, of which nothing is known
    assert named(REQUEST_COLUMNS, request_row(1, 2, several)) == short
    assert len(attempt_rows(1, one)[0]) == len(ATTEMPT_COLUMNS)
    assert (short["total_tokens"], short["cost"], short["attempts"], short["caller"]) == (8, 7, 1, 2)


def test_a_refused_call_has_no_model_and_no_cost() -> None:
    row = named(REQUEST_COLUMNS, request_row(1, 2, refused()))
    assert (row["model"], row["cost"], row["attempts"], row["status"]) == ("", None, 0, 429)


def test_what_no_provider_answered_has_its_tokens_all_the_same() -> None:
    """The demo model's answer, alone and after an attempt elsewhere."""
    alone = refused()
    assert alone.ended is not None
    alone.ended = msgspec.structs.replace(
        alone.ended, usage=Usage(input_tokens=2, output_tokens=3, total_tokens=5), status=200, outcome="success"
    )
    row = named(REQUEST_COLUMNS, request_row(1, 2, alone))
    assert (row["input_tokens"], row["output_tokens"], row["total_tokens"], row["attempts"]) == (2, 3, 5, 0)
    tried = call(last=False, outcome="failure")
    tried.ended = alone.ended
    before = named(REQUEST_COLUMNS, request_row(1, 2, call()))["total_tokens"]
    assert before == 8
    assert named(REQUEST_COLUMNS, request_row(1, 2, tried))["total_tokens"] == before + 5


def test_exact_costs_of_several_attempts_are_added_exactly() -> None:
    made = call(cost=1, cost_text="0.00000000000033", last=False, outcome="failure")
    opened = made.attempts[0].opened
    made.attempts.append(Attempted(opened, Closed("c1", 2, NOON, None, 200, "success", cost=2, last=True)))
    row = named(REQUEST_COLUMNS, request_row(1, 2, made))
    assert (row["cost"], row["cost_text"]) == (3, "0.00000000000233")


@pytest.mark.parametrize(
    ("cost", "settled", "expected"),
    [(5, (("k:money", 9),), 5), (None, (("k:money", 9), ("k:tokens", 99)), 9), (None, (), None), (0, (), 0)],
)
def test_an_unknown_cost_is_what_the_budget_was_charged(
    cost: int | None, settled: tuple[tuple[str, int], ...], expected: int | None
) -> None:
    assert cost_of(Closed("c", 1, NOON, None, 200, "success", cost=cost, settled=settled)) == expected


def test_an_attempt_that_was_cut_off_costs_what_was_reserved() -> None:
    reserved = (("key:k:money:1", 40), ("team:t:money:1", 40), ("key:k:tokens", 1000))
    opened = Opened("c", 1, NOON, NOON, TOKEN, "chat", "/", "m", "g", "d", "p", "m", False, reserved)
    cut = Call("w", "c", TOKEN, [Attempted(opened)])
    interrupted(cut, NOON - 5)
    closed = cut.attempts[0].closed
    assert closed is not None
    assert (closed.outcome, closed.cost, closed.estimated, closed.last, closed.at) == (
        INTERRUPTED,
        40,
        True,
        True,
        NOON,
    )
    assert settled_money(cut) == [("key:k:money:1", 40), ("team:t:money:1", 40)]
    assert cut.ended is None


def test_without_a_budget_the_cost_of_a_cut_off_attempt_is_unknown() -> None:
    opened = Opened("c", 1, NOON, NOON, TOKEN, "chat", "/", "m", "g", "d", "p", "m", False)
    cut = Call("w", "c", TOKEN, [Attempted(opened)])
    interrupted(cut, NOON)
    assert named(REQUEST_COLUMNS, request_row(1, 2, cut))["cost"] is None


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (Usage(input_tokens=1, output_tokens=2), (1, 2, 3)),
        (Usage(input_tokens=1, output_tokens=2, total_tokens=9), (1, 2, 9)),
        (Usage(characters=7), (None, None, None)),
        (None, (None, None, None)),
    ],
)
def test_tokens_of_a_row(usage: Usage | None, tokens: tuple[int | None, ...]) -> None:
    row = named(REQUEST_COLUMNS, request_row(1, 2, call(usage=usage)))
    assert (row["input_tokens"], row["output_tokens"], row["total_tokens"]) == tokens
