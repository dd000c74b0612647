"""Plans: what follows from what, what may be said, and that a plan is nothing but the fold of its changes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.agents import ids, plans
from penstock.agents.errors import AgentsError, Conflict, Invalid, NotFound, VersionConflict
from penstock.agents.events import SessionEvent as Event
from penstock.agents.events import decode, encode
from penstock.agents.plans import NewStep, Plan, PlanChanged, StepState, StepUpdate
from tests.support.agents import NOON

PENDING, READY, RUNNING, DONE, FAILED, CANCELLED, SKIPPED = StepState


def blank() -> Plan:
    made = ids.mint(ids.PLAN, NOON, os.urandom)
    return Plan(id=made, owner="alice", session="ses_1", created_at=NOON, updated_at=NOON)


def after(plan: Plan, change: PlanChanged | None) -> Plan:
    """The plan after a change that has gone through a log: encoded and decoded."""
    if change is None:
        return plan
    read = decode(encode(Event(1, NOON, change)))
    assert read.kind == "plan" and isinstance(read.data, PlanChanged)
    return plans.applied(plan, read.data, NOON)


def planned(**needs: str) -> Plan:
    """A plan of these steps: name="those that it needs"."""
    steps = [NewStep(name, f"Do {name}", depends_on=tuple(words.split())) for name, words in needs.items()]
    plan = blank()
    return after(plan, plans.begun(plan, "A plan", steps))


def say(plan: Plan, id: str, state: StepState, **more: Any) -> Plan:
    return after(plan, plans.updated(plan, id, StepUpdate(state=state, **more)))


def states(plan: Plan) -> dict[str, StepState]:
    return {step.id: step.state for step in plan.steps}


DIAMOND = {"a": "", "b": "a", "c": "a", "d": "b c"}


def test_steps_become_ready_when_all_that_they_need_is_done() -> None:
    plan = planned(**DIAMOND)
    assert states(plan) == {"a": READY, "b": PENDING, "c": PENDING, "d": PENDING}
    plan = say(say(plan, "a", RUNNING, session="ses_w"), "a", DONE, result="ok")
    assert states(plan) == {"a": DONE, "b": READY, "c": READY, "d": PENDING}
    assert (plan.step("a").session, plan.step("a").result) == ("ses_w", "ok")
    plan = say(plan, "b", DONE)
    assert plan.step("d").state is PENDING
    plan = say(plan, "c", DONE)
    assert [step.id for step in plans.ready(plan)] == ["d"]
    assert not plan.progress.over and plan.progress.done == 3
    assert say(plan, "d", DONE).progress.over


@pytest.mark.parametrize("state", [FAILED, CANCELLED])
def test_a_failure_takes_all_that_wait_for_it_and_gives_them_back(state: StepState) -> None:
    plan = planned(**DIAMOND, e="")
    plan = say(say(plan, "a", DONE), "b", RUNNING)
    plan = say(plan, "b", state, detail="the device is gone")
    assert states(plan) == {"a": DONE, "b": state, "c": READY, "d": SKIPPED, "e": READY}
    assert plan.step("d").because == "b"
    plan = say(plan, "b", READY)
    assert states(plan)["b"] is READY and states(plan)["d"] is PENDING
    assert plan.step("d").because == plan.step("b").detail == ""


def test_who_is_skipped_far_away_knows_where_it_began() -> None:
    plan = say(planned(a="", b="a", c="b", d="c"), "a", FAILED)
    assert {plan.step(each).because for each in "bcd"} == {"a"}
    with pytest.raises(Conflict, match="'a' is not done; take 'a' up again"):
        plans.updated(plan, "d", StepUpdate(state=RUNNING))


def test_a_step_that_shall_not_be_done_does_not_come_back_by_itself() -> None:
    plan = say(planned(a="", b="a", c="b"), "b", SKIPPED, detail="not needed")
    assert (plan.step("b").because, plan.step("c").because) == ("", "b")
    plan = say(plan, "a", DONE)
    assert states(plan) == {"a": DONE, "b": SKIPPED, "c": SKIPPED}
    plan = after(plan, plans.updated(plan, "c", StepUpdate(depends_on=("a",))))
    assert plan.step("c").state is READY, "it needs the other one no more"
    assert states(say(plan, "b", READY))["b"] is READY


@pytest.mark.parametrize("needs", [{"a": "a"}, {"a": "b", "b": "a"}, {"a": "c", "b": "a", "c": "b", "d": ""}])
def test_circles_are_named(needs: dict[str, str]) -> None:
    with pytest.raises(Invalid, match=r"wait for each other: .*'a' needs"):
        planned(**needs)


def test_a_circle_that_a_change_would_make() -> None:
    plan = planned(a="", b="a", c="b")
    with pytest.raises(Invalid, match="'a' needs 'c'") as caught:
        plans.updated(plan, "a", StepUpdate(depends_on=("c",)))
    assert caught.value.param == "depends_on"


def test_what_is_wrong_with_new_steps() -> None:
    plan = planned(a="")
    with pytest.raises(Invalid, match="'x', which is no step"):
        plans.added(plan, [NewStep("b", "b", depends_on=("x",))])
    for twice in (["a"], ["b", "b"]):
        with pytest.raises(Invalid, match="already"):
            plans.added(plan, [NewStep(id, "t") for id in twice])
    with pytest.raises(Invalid, match="200 steps"):
        plans.added(plan, [NewStep(f"s{at}", "t") for at in range(plans.MOST_STEPS)])
    with pytest.raises(NotFound):
        plans.added(plan, [NewStep("b", "b")], before="x")


def test_steps_are_added_where_they_belong() -> None:
    plan = planned(a="", b="a")
    plan = after(plan, plans.added(plan, [NewStep("x", "x"), NewStep("y", "y", depends_on=("x",))], before="b"))
    assert [step.id for step in plan.steps] == ["a", "x", "y", "b"]
    plan = after(plan, plans.added(plan, [NewStep("z", "z", depends_on=("a",))]))
    assert [step.id for step in plan.steps] == ["a", "x", "y", "b", "z"]
    failed = say(plan, "a", FAILED)
    failed = after(failed, plans.added(failed, [NewStep("late", "t", depends_on=("a",))]))
    assert failed.step("late").state is SKIPPED, "what it waits for has failed before it came"


def test_order() -> None:
    plan = planned(a="", b="", c="a")
    moved = after(plan, plans.reordered(plan, ["c", "b", "a"]))
    assert [step.id for step in moved.steps] == ["c", "b", "a"]
    assert [step.id for step in plans.ready(moved)] == ["b", "a"]
    assert plans.reordered(moved, ["c", "b", "a"]) is None
    for wrong in (["a", "b"], ["a", "b", "c", "c"], ["a", "b", "x"]):
        with pytest.raises(Invalid, match="each step once"):
            plans.reordered(plan, wrong)


def test_every_state_takes_what_the_table_says_and_nothing_else() -> None:
    begin = say(planned(first="", a="first"), "first", DONE)
    ways: dict[StepState, Sequence[StepState]] = {
        READY: (), RUNNING: (RUNNING,), DONE: (DONE,), FAILED: (FAILED,), CANCELLED: (CANCELLED,), SKIPPED: (SKIPPED,),
    }  # fmt: skip
    for state, way in ways.items():
        plan = begin
        for each in way:
            plan = say(plan, "a", each)
        for asked in StepState:
            if asked is state or asked in plans.TABLE[state]:
                assert say(plan, "a", asked).step("a").state is asked
            else:
                with pytest.raises(Conflict, match=f"'a' is {state}"):
                    plans.updated(plan, "a", StepUpdate(state=asked))


def test_a_step_that_waits_says_for_what() -> None:
    with pytest.raises(Conflict, match="it waits for a"):
        plans.updated(planned(a="", b="a"), "b", StepUpdate(state=RUNNING))


def test_what_is_running_or_done_is_not_written_anew() -> None:
    plan = say(planned(a="", b=""), "a", RUNNING)
    for change in (StepUpdate(instructions="else"), StepUpdate(depends_on=("b",)), StepUpdate(agent="x")):
        with pytest.raises(Conflict, match="put it back first"):
            plans.updated(plan, "a", change)
    assert after(plan, plans.updated(plan, "a", StepUpdate(title="T"))).step("a").title == "T"
    with pytest.raises(Conflict, match="add another step"):
        plans.updated(say(plan, "a", DONE), "a", StepUpdate(instructions="else"))
    with pytest.raises(Conflict, match="only a step that is running has a worker"):
        plans.updated(plan, "b", StepUpdate(session="ses_w"))
    with pytest.raises(Conflict, match="it has no result"):
        plans.updated(plan, "b", StepUpdate(result="r"))


def test_what_was_of_a_step_that_is_taken_up_again_is_gone() -> None:
    plan = say(say(planned(a=""), "a", RUNNING, session="ses_w"), "a", FAILED, result="r", detail="d", artifact="art")
    step = say(plan, "a", READY).step("a")
    assert (step.state, step.session, step.result, step.detail, step.artifact) == (READY, None, "", "", "")


def test_versions() -> None:
    plan = planned(a="")
    assert plan.version == 1
    assert plans.updated(plan, "a", StepUpdate(version=1)) is None, "nothing is different"
    with pytest.raises(VersionConflict, match="version 1, not 2"):
        plans.updated(plan, "a", StepUpdate(version=2, state=RUNNING))
    with pytest.raises(NotFound, match="no step 'x'"):
        plans.updated(plan, "x", StepUpdate(state=RUNNING))


def test_a_worker_that_ends_has_failed_at_what_it_was_doing() -> None:
    plan = say(say(planned(a="", b="", c="a"), "a", RUNNING, session="ses_w"), "b", RUNNING, session="ses_v")
    plan = after(plan, plans.worker_ended(plan, "ses_w", "it is over: money_limit"))
    assert states(plan) == {"a": FAILED, "b": RUNNING, "c": SKIPPED}
    assert plan.step("a").detail == "it is over: money_limit"
    assert plans.worker_ended(plan, "ses_w", "again") is None


def test_the_end_of_whoever_does_it_ends_a_plan() -> None:
    plan = say(say(planned(a="", b="", c="b", d=""), "a", DONE), "b", RUNNING)
    plan = after(plan, plans.ended(plan, "the session is over"))
    assert states(plan) == {"a": DONE, "b": CANCELLED, "c": CANCELLED, "d": CANCELLED}
    assert plan.progress.over and plans.ended(plan, "again") is None


IDS = [f"s{at}" for at in range(6)]
STEPS = st.lists(
    st.tuples(st.sampled_from(IDS), st.lists(st.sampled_from(IDS), max_size=3, unique=True)), max_size=6,
    unique_by=lambda step: step[0],
)  # fmt: skip
UPDATES = st.lists(
    st.tuples(
        st.sampled_from(IDS),
        st.builds(
            StepUpdate, state=st.sampled_from(StepState), detail=st.sampled_from(["", "why"]),
            depends_on=st.lists(st.sampled_from(IDS), max_size=2, unique=True).map(tuple),
        ) | st.builds(StepUpdate, state=st.sampled_from(StepState)),
    ),
    max_size=12,
)  # fmt: skip


@given(STEPS, UPDATES)
def test_states_that_follow_always_do(
    steps: list[tuple[str, list[str]]], updates: list[tuple[str, StepUpdate]]
) -> None:
    plan = blank()
    try:
        plan = after(plan, plans.begun(plan, "t", [NewStep(id, id, depends_on=tuple(needs)) for id, needs in steps]))
    except Invalid:
        return
    for id, update in updates:
        try:
            plan = after(plan, plans.updated(plan, id, update))
        except AgentsError:
            continue
        assert plans.settled(plan.steps) == list(plan.steps)
        assert plan.progress == plans.progress(plan.steps)
    for step in plan.steps:
        needed = [plan.step(each).state for each in step.depends_on]
        if step.state is READY:
            assert all(state is DONE for state in needed)
        elif step.state is PENDING:
            assert not all(state is DONE for state in needed) and not plans.IN_VAIN.intersection(needed)
        if step.because:
            assert plan.step(step.because).state in plans.IN_VAIN and not plan.step(step.because).because
    stuck = plan.progress.pending and not plan.progress.ready and not plan.progress.running
    assert not stuck, "while anything waits, something can be done"
