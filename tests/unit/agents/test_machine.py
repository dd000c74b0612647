"""The table of a session's life: each state with each cause, once by a drawing of it and once by its laws."""

import pytest

from penstock.agents.errors import IllegalTransition
from penstock.agents.machine import COMMANDS, REASONS, STOP_REASONS, TABLE, UP, Cause, Reason, State, legal, step

# The table as people would draw it: a column a state, a row a cause; "=" stays, "." is illegal.
DRAWING = """
                  created    starting   idle       running    waiting    suspended  resched    terminated
message           =          =          =          =          =          .          =          .
interrupt         .          .          .          =          =          .          .          .
suspend           .          .          suspended  suspended  suspended  .          suspended  .
resume            .          .          .          .          .          starting   .          .
terminate         terminated terminated terminated terminated terminated terminated terminated .
start             starting   .          .          .          .          .          starting   .
ready             .          idle       .          .          .          .          .          .
turn_started      .          .          running    .          .          .          .          .
turn_ended        .          .          .          idle       idle       .          .          .
approval_asked    .          =          =          waiting    =          .          .          .
approvals_settled =          =          =          =          running    =          =          .
lost              .          resched    resched    resched    resched    .          .          .
fail              terminated terminated terminated terminated terminated terminated terminated .
"""


def named(word: str) -> State:
    return next(state for state in State if state.startswith(word))


HEAD, *ROWS = [line.split() for line in DRAWING.strip().splitlines()]
CELLS = [(named(state), Cause(row[0]), cell) for row in ROWS for state, cell in zip(HEAD, row[1:], strict=True)]


@pytest.mark.parametrize(("state", "cause", "after"), CELLS, ids=[f"{state}-{cause}" for state, cause, _ in CELLS])
def test_each_state_with_each_cause(state: State, cause: Cause, after: str) -> None:
    reason = min(REASONS[cause])
    if after == ".":
        with pytest.raises(IllegalTransition) as refused:
            step(state, cause, reason)
        assert refused.value.legal == legal(state)
    else:
        assert step(state, cause, reason) == (state if after == "=" else named(after), reason)


def test_the_drawing_has_every_cell() -> None:
    assert {(state, cause) for state, cause, _ in CELLS} == {(state, cause) for state in State for cause in Cause}
    assert len(TABLE) == sum(cell != "." for _, _, cell in CELLS)


def test_what_is_refused_names_what_is_legal() -> None:
    """To somebody who commands, the commands; to the runner, all."""
    with pytest.raises(
        IllegalTransition, match="a session that is suspended takes no message; it takes resume, terminate"
    ):
        step(State.SUSPENDED, Cause.MESSAGE)
    with pytest.raises(IllegalTransition, match="turn_ended") as refused:
        step(State.RUNNING, Cause.READY)
    assert refused.value.status == 409
    with pytest.raises(IllegalTransition, match="it is over"):
        step(State.TERMINATED, Cause.MESSAGE)


def test_every_state_can_be_reached_and_all_but_the_end_can_end() -> None:
    reached, frontier = {State.CREATED}, [State.CREATED]
    while frontier:
        state = frontier.pop()
        new = {after for (before, _), after in TABLE.items() if before is state} - reached
        reached |= new
        frontier += new
    assert reached == set(State)
    assert all(
        (state, Cause.TERMINATE) in TABLE and (state, Cause.FAIL) in TABLE for state in State if state != "terminated"
    )
    assert legal(State.TERMINATED) == ()


def test_whatever_is_up_can_be_lost_and_what_is_not_up_cannot() -> None:
    assert {state for state, cause in TABLE if cause is Cause.LOST} == set(UP)


@pytest.mark.parametrize("cause", Cause)
def test_reasons(cause: Cause) -> None:
    """Each cause has some; where it has one only, that need not be said; what ends a session is a stop reason."""
    state = next(state for state, other in TABLE if other is cause)
    possible = REASONS[cause]
    assert possible
    if len(possible) == 1:
        assert step(state, cause)[1] in possible
    else:
        with pytest.raises(ValueError, match="takes a reason out of"):
            step(state, cause)
    with pytest.raises(ValueError, match="takes a reason out of"):
        step(state, cause, next(reason for reason in Reason if reason not in possible))
    if TABLE[state, cause] is State.TERMINATED:
        assert possible <= STOP_REASONS


def test_the_issue_names_these_stop_reasons() -> None:
    words = "completed user idle_limit wall_limit token_limit money_limit request_limit bytes_limit loop_detected"
    assert {Reason(name) for name in f"{words} sandbox_lost error revoked".split()} <= STOP_REASONS
    assert frozenset(Cause) > COMMANDS
