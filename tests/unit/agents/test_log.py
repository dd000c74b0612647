"""The log grows by one rule, and a session's row is what its log comes to."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.agents.errors import AgentsError, Conflict, IllegalTransition
from penstock.agents.events import (
    ApprovalDecided,
    ApprovalRequested,
    Cost,
    Draft,
    Move,
    SessionEvent,
    Status,
    Text,
    TurnEnd,
    UserMessage,
)
from penstock.agents.log import applied, begun, grown, replayed, unused
from penstock.agents.machine import REASONS, Cause, Reason, State
from penstock.agents.types import Fork, Session
from tests.support.agents import NOON, TO_IDLE, TO_RUNNING, new_session


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def after(*drafts: Draft, open_approvals: tuple[str, ...] = ()) -> Session:
    return grown(begun(new_session(), NOON).session, drafts, NOON, open_approvals).session


def test_a_session_begins_with_a_status() -> None:
    made = begun(new_session(), NOON)
    assert made.events == [SessionEvent(1, NOON, Status(State.CREATED, Reason.NEW))]
    assert (made.session.state, made.session.last_event) == (State.CREATED, 1)


def test_numbers_follow_each_other() -> None:
    made = grown(begun(new_session(), NOON).session, [*TO_IDLE, Text("a"), Text("b")], NOON)
    assert [event.number for event in made.events] == [2, 3, 4, 5]
    assert made.of == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="does not follow"):
        applied(made.session, SessionEvent(7, NOON, Text("c")))


def test_all_or_none() -> None:
    session = after(*TO_IDLE)
    with pytest.raises(IllegalTransition):
        grown(session, [Text("a"), Move(Cause.READY)], NOON)
    assert session.last_event == 3


def test_nobody_makes_up_a_status() -> None:
    with pytest.raises(Conflict, match="hand in a Move"):
        grown(after(*TO_IDLE), [Status(State.TERMINATED, Reason.USER)], NOON)


def test_a_session_that_is_over_takes_its_cost_and_nothing_else() -> None:
    session = after(Move(Cause.TERMINATE, Reason.USER))
    assert (session.state, session.stop_reason) == (State.TERMINATED, Reason.USER)
    late = grown(session, [Cost(Decimal("0.1"))], NOON).session
    assert (late.usage.dollars, late.stop_reason) == (Decimal("0.1"), Reason.USER)
    for draft in (Text("more"), UserMessage("hello"), TurnEnd("completed")):
        with pytest.raises(Conflict):
            grown(session, [draft], NOON)


def test_a_suspended_session_takes_no_message() -> None:
    with pytest.raises(IllegalTransition, match="it takes resume, terminate"):
        after(*TO_IDLE, Move(Cause.SUSPEND, Reason.FROZEN), UserMessage("go on"))


def test_costs_add_up_exactly() -> None:
    session = after(*TO_RUNNING, *[Cost(Decimal("0.1"), 1, 2, 3, 4)] * 10, Cost(Decimal("0.000000000001")))
    used = session.usage
    assert (used.dollars, used.input_tokens, used.output_tokens) == (Decimal("1.000000000001"), 10, 20)
    assert (used.requests, used.bytes_out, session.tokens) == (30, 40, 30)


def test_messages_wait_until_a_turn_takes_them() -> None:
    session = after(*TO_IDLE, UserMessage("one"), UserMessage("two"))
    assert session.has_message and (session.last_message, session.delivered) == (5, 0)
    first = grown(session, [Move(Cause.TURN_STARTED, message=4)], NOON).session
    assert (first.delivered, first.has_message) == (4, True)
    both = grown(session, [Move(Cause.TURN_STARTED)], NOON).session
    assert (both.delivered, both.has_message) == (5, False)


def test_a_turn_that_ends_counts_and_forgives_restarts() -> None:
    session = after(*TO_RUNNING, Move(Cause.LOST, Reason.SANDBOX_LOST), Move(Cause.START, Reason.RESCHEDULED))
    assert session.restarts == 1
    ended = grown(
        session, [Move(Cause.READY), Move(Cause.TURN_STARTED), TurnEnd("completed"),
                  Move(Cause.TURN_ENDED, Reason.TURN_COMPLETED)], NOON,
    ).session  # fmt: skip
    assert (ended.restarts, ended.usage.turns, ended.reason) == (0, 1, Reason.TURN_COMPLETED)


def test_time_counts_while_it_is_up() -> None:
    session = begun(new_session(), NOON).session
    for seconds, move in [
        (10, Move(Cause.START, Reason.STARTED)),
        (12, Move(Cause.READY)),
        (20, Move(Cause.SUSPEND, Reason.USER)),
        (1000, Move(Cause.RESUME)),
    ]:
        session = grown(session, [move], at(seconds)).session
        if seconds == 12:
            assert (session.idle_since, session.active_since) == (at(12), at(10))
        if seconds == 20:
            assert (session.active_seconds, session.active_since, session.idle_since) == (10.0, None, None)
    assert (session.active_seconds, session.active_since) == (10.0, at(1000))


# -- approvals --------------------------------------------------------------------------------------------------------

ASKED = ApprovalRequested("apr_1", "egress", "may I?")


def test_a_turn_waits_while_a_question_is_open() -> None:
    made = grown(after(*TO_RUNNING), [ASKED], NOON)
    assert [event.kind for event in made.events] == ["approval_requested", "status"]
    assert (made.of, made.session.state) == ([0], State.WAITING_FOR_APPROVAL)
    two = grown(made.session, [ApprovalRequested("apr_2", "tool", "and that?")], NOON, ["apr_1"]).session
    one = grown(two, [ApprovalDecided("apr_1", "denied")], NOON, ["apr_1", "apr_2"]).session
    assert (one.state, one.open_approvals) == (State.WAITING_FOR_APPROVAL, 1)
    none = grown(one, [ApprovalDecided("apr_2", "expired")], NOON, ["apr_2"]).session
    assert (none.state, none.open_approvals, none.reason) == (State.RUNNING, 0, Reason.APPROVALS_SETTLED)


def test_between_turns_a_question_changes_no_state() -> None:
    session = grown(after(*TO_IDLE), [ASKED], NOON).session
    assert (session.state, session.open_approvals) == (State.IDLE, 1)
    assert grown(session, [ApprovalDecided("apr_1", "approved")], NOON, ["apr_1"]).session.state is State.IDLE


@pytest.mark.parametrize(
    ("move", "state"),
    [
        (Move(Cause.SUSPEND, Reason.USER), State.SUSPENDED),
        (Move(Cause.LOST, Reason.SANDBOX_LOST), State.RESCHEDULING),
        (Move(Cause.TERMINATE, Reason.USER), State.TERMINATED),
        (Move(Cause.FAIL, Reason.ERROR), State.TERMINATED),
        (Move(Cause.TURN_ENDED, Reason.INTERRUPTED), State.IDLE),
        (Move(Cause.INTERRUPT), State.RUNNING),
    ],
)
def test_questions_are_withdrawn_when_nobody_waits_for_them(move: Move, state: State) -> None:
    waiting = grown(after(*TO_RUNNING), [ASKED], NOON).session
    made = grown(waiting, [move], NOON, ["apr_1"])
    assert made.events[0].data == ApprovalDecided("apr_1", "withdrawn")
    assert (made.session.state, made.session.open_approvals) == (state, 0)
    last = made.events[made.of[0]].data
    assert isinstance(last, Status) and last.cause is move.cause


def test_what_is_illegal_withdraws_nothing() -> None:
    session = grown(after(*TO_IDLE), [ASKED], NOON).session
    with pytest.raises(IllegalTransition):
        grown(session, [Move(Cause.INTERRUPT)], NOON, ["apr_1"])


# -- the fold ---------------------------------------------------------------------------------------------------------

MOVES = [Move(cause, reason) for cause, reasons in REASONS.items() for reason in reasons if cause is not Cause.MESSAGE]
DRAFTS: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([*MOVES, *TO_RUNNING]),
    st.builds(UserMessage, st.text(max_size=5)),
    st.builds(Text, st.text(max_size=5)),
    st.builds(Cost, st.decimals(0, 9, places=6), st.integers(0, 9), st.integers(0, 9)),
    st.just(TurnEnd("completed")),
)


@given(st.lists(st.tuples(DRAFTS, st.floats(0, 1000)), max_size=40), st.integers(0, 40))
def test_a_row_is_the_fold_of_its_log(steps: list[tuple[Draft, float]], cut: int) -> None:
    """Whatever happens, in whatever order: the row can be made anew from the events, a fork's as well."""
    made = begun(new_session(), NOON)
    session, events, now = made.session, list(made.events), 0.0
    for draft, seconds in [*((move, 0.0) for move in TO_RUNNING), *steps]:
        now += seconds
        try:
            more = grown(session, [draft], at(now))
        except AgentsError:
            continue
        session, events = more.session, [*events, *more.events]
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert replayed(unused(session), events) == session
    shared = events[: max(min(cut, len(events)), 1)]
    forked = new_session(at(now), forked_from=Fork(session.id, len(shared)), last_event=len(shared))
    fork = begun(forked, at(now))
    assert replayed(unused(fork.session), [*shared, *fork.events]) == fork.session
    assert (fork.session.state, fork.session.usage.dollars, fork.session.stop_reason) == (
        State.CREATED,
        Decimal(0),
        None,
    )
