"""The reconciler as a table: what was found, and what is to be done about it. And its law: what was done is not done
again.
"""

from collections.abc import Sequence
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from msgspec.structs import replace

from penstock.agents.events import Move, UserMessage
from penstock.agents.limits import reached
from penstock.agents.log import grown
from penstock.agents.machine import UP, Cause, Reason, State
from penstock.agents.reconciler import (
    MOST_RESTARTS,
    Action,
    Adopt,
    Deliver,
    Destroy,
    Expire,
    Found,
    Reschedule,
    Revoke,
    Start,
    Suspend,
    Terminate,
    World,
    reconcile,
)
from penstock.agents.types import Approval, Ask, Limits, Sandbox, Session
from tests.support.agents import NOON, new_session

LOCAL = frozenset({"local"})
BOX = Sandbox("local", "box", "strict")


def row(state: State, **fields: Any) -> Session:
    return new_session(state=state, sandbox=BOX, **fields)


def box(session: Session, id_: str = "box", **fields: Any) -> Found:
    return Found("local", id_, session.id, **fields)


def done(session: Session, *boxes: Found, handled: bool = False, held: bool = True, **world: Any) -> list[Action]:
    return reconcile(
        World(
            sessions=[session], sandboxes=boxes, drivers=LOCAL, handled=frozenset({session.id} if handled else ()),
            held=frozenset({session.id} if held else ()), **world,
        ), NOON,
    )  # fmt: skip


# -- one session, one sandbox or none, no task
# --------------------------------------------------------------------------

ALIVE, DEAD, STOPPED = {"alive": True}, {"alive": False}, {"alive": True, "suspended": True}
TABLE = [
    # state          sandbox  what to do
    ("created", None, ["Start"]),
    ("created", ALIVE, ["Destroy", "Start"]),
    ("starting", None, ["Reschedule server_restarted"]),
    ("starting", ALIVE, ["Destroy", "Reschedule server_restarted"]),
    ("starting", DEAD, ["Destroy", "Reschedule server_restarted"]),
    ("idle", None, ["Reschedule sandbox_lost"]),
    ("idle", ALIVE, ["Adopt"]),
    ("idle", DEAD, ["Destroy", "Reschedule sandbox_lost"]),
    ("running", None, ["Reschedule sandbox_lost"]),
    ("running", ALIVE, ["Adopt"]),
    ("running", DEAD, ["Destroy", "Reschedule sandbox_lost"]),
    ("waiting_for_approval", None, ["Reschedule sandbox_lost"]),
    ("waiting_for_approval", ALIVE, ["Adopt"]),
    ("waiting_for_approval", DEAD, ["Destroy", "Reschedule sandbox_lost"]),
    ("suspended", None, []),
    ("suspended", ALIVE, ["Suspend"]),
    ("suspended", STOPPED, []),
    ("suspended", DEAD, []),
    ("rescheduling", None, ["Start"]),
    ("rescheduling", ALIVE, ["Destroy", "Start"]),
    ("terminated", None, ["Revoke"]),
    ("terminated", ALIVE, ["Revoke", "Destroy"]),
    ("terminated", DEAD, ["Revoke", "Destroy"]),
]


def said(action: Action) -> str:
    reason = getattr(action, "reason", None)
    return f"{type(action).__name__} {reason or ''}".strip()


@pytest.mark.parametrize(("state", "found", "expected"), TABLE, ids=[f"{state}-{found}" for state, found, _ in TABLE])
def test_after_a_kill_of_everything(state: str, found: dict[str, bool] | None, expected: list[str]) -> None:
    session = row(State(state))
    boxes = [] if found is None else [box(session, "box", **found)]
    assert [said(action) for action in done(session, *boxes)] == expected


def test_the_table_knows_every_state() -> None:
    assert {State(state) for state, _, _ in TABLE} == set(State)


@pytest.mark.parametrize("state", [state for state in State if state is not State.TERMINATED])
def test_what_a_task_has_in_hand_is_left_alone(state: State) -> None:
    session = row(state)
    boxes = [box(session, suspended=state is State.SUSPENDED)]
    assert done(session, *boxes, handled=True) == []
    if state is not State.SUSPENDED:
        assert done(session, handled=True) == [], "its task will notice by itself"


# -- messages, limits, approvals
# ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("handled", [True, False])
def test_a_message_that_nobody_has_taken_is_delivered(handled: bool) -> None:
    session = row(State.IDLE, last_message=4)
    expected: list[Action] = (
        [Deliver(session.id)] if handled else [Adopt(session.id, "local", "box"), Deliver(session.id)]
    )
    assert done(session, box(session), handled=handled) == expected


@pytest.mark.parametrize("handled", [True, False])
@pytest.mark.parametrize("state", [State.IDLE, State.RUNNING, State.CREATED, State.RESCHEDULING])
def test_a_limit_comes_before_all(state: State, handled: bool) -> None:
    session = row(state, limits=Limits(wall_seconds=1), active_seconds=2.0)
    boxes = [box(session)] if state in UP else []
    assert done(session, *boxes, handled=handled) == [Terminate(session.id, Reason.WALL_LIMIT)]


def test_idleness_suspends_or_ends() -> None:
    idle = row(State.IDLE, idle_since=NOON - timedelta(hours=1), limits=Limits(idle_seconds=60))
    assert done(idle, box(idle)) == [Suspend(idle.id, Reason.IDLE_LIMIT)]
    ends = replace(idle, limits=Limits(idle_seconds=60, on_idle="terminate"))
    assert done(ends, box(ends)) == [Terminate(idle.id, Reason.IDLE_LIMIT)]


def test_time_does_not_end_what_is_suspended() -> None:
    session = row(State.SUSPENDED, limits=Limits(wall_seconds=1, requests=1), active_seconds=2.0)
    assert done(session) == []


def test_approvals_past_their_time_expire() -> None:
    session = row(State.WAITING_FOR_APPROVAL)
    ask = Ask("egress", "may I?")
    late, early, over = (
        Approval(
            id=name, owner="alice", session=session.id, ask=ask, asked_at=NOON, expires_at=NOON + timedelta(seconds=s)
        )
        for name, s in (("late", 0), ("early", 1), ("over", -1))
    )
    over = replace(over, decision="denied")
    assert done(session, box(session), handled=True, approvals=[late, early, over]) == [Expire("late")]


# -- what belongs to nobody
# ---------------------------------------------------------------------------------------------


def test_strays() -> None:
    world = World(
        sessions=[],
        sandboxes=[
            Found("local", "forgotten", "ses_gone"),
            Found("local", "nobody's"),
            Found("local", "pool", pooled=True),
        ],
        held=frozenset({"ses_gone"}),
        drivers=LOCAL,
    )
    assert [said(action) for action in reconcile(world, NOON)] == ["Revoke", "Destroy", "Destroy"]


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_sandboxes_the_named_one_is_kept(order: int) -> None:
    session = row(State.RUNNING)
    actions = done(session, *[box(session), box(session, "other")][::order])
    assert actions == [Destroy("local", "other", "its session has another"), Adopt(session.id, "local", "box")]


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_that_nobody_named_the_living_one_is_kept(order: int) -> None:
    session = replace(row(State.RUNNING), sandbox=None)
    actions = done(session, *[box(session, "dead", alive=False), box(session, "alive")][::order])
    assert [said(action) for action in actions] == ["Destroy", "Adopt"]
    assert actions[-1] == Adopt(session.id, "local", "alive")


def test_a_driver_that_does_not_answer_is_not_judged() -> None:
    session = row(State.RUNNING)
    assert reconcile(World(sessions=[session], held=frozenset({session.id})), NOON) == []


@pytest.mark.parametrize("state", UP)
def test_what_dies_again_and_again_ends(state: State) -> None:
    assert done(row(state, restarts=MOST_RESTARTS - 1))[-1].__class__ is Reschedule
    (ended,) = done(row(state, restarts=MOST_RESTARTS))
    assert isinstance(ended, Terminate) and ended.reason is Reason.SANDBOX_LOST


def test_workers_of_a_session_that_is_over_end() -> None:
    boss = row(State.TERMINATED)
    for supervisors in ([boss], []):
        worker = row(State.RUNNING, parent=boss.id)
        world = World(sessions=[worker, *supervisors], sandboxes=[box(worker)], drivers=LOCAL)
        actions = reconcile(world, NOON)
        assert [said(action) for action in actions] == ["Terminate supervisor"]
    alive = row(State.IDLE)
    worker = row(State.RUNNING, parent=alive.id)
    world = World(sessions=[alive, worker], handled=frozenset({alive.id, worker.id}), drivers=LOCAL)
    assert reconcile(world, NOON) == []


# -- the law
# ------------------------------------------------------------------------------------------------------------


def carried_out(world: World, actions: Sequence[Action]) -> World:
    """The world after these, as a runner makes it."""
    rows = {session.id: session for session in world.sessions}
    boxes = list(world.sandboxes)
    handled, held = set(world.handled), set(world.held)

    def move(id_: str, *moves: Move) -> None:
        rows[id_] = grown(rows[id_], moves, NOON).session

    for action in actions:
        match action:
            case Revoke(id_):
                held.discard(id_)
            case Destroy(_, name):
                boxes = [each for each in boxes if each.id != name]
            case Terminate(id_, reason):
                move(id_, Move(Cause.TERMINATE, reason))
                handled.discard(id_)
            case Suspend(id_, reason):
                if reason:
                    move(id_, Move(Cause.SUSPEND, reason))
                boxes = [replace(each, suspended=True) if each.session == id_ else each for each in boxes]
                handled.discard(id_)
            case Reschedule(id_, reason):
                move(id_, Move(Cause.LOST, reason))
            case Adopt(id_):
                handled.add(id_)
            case Start(id_):
                move(id_, Move(Cause.START, Reason.STARTED), Move(Cause.READY))
                boxes = [*boxes, Found("local", f"new {id_}", id_)]
                rows[id_] = replace(rows[id_], sandbox=Sandbox("local", f"new {id_}", "strict"))
                handled.add(id_)
            case Deliver(id_):
                move(id_, Move(Cause.TURN_STARTED))
    return replace(
        world, sessions=list(rows.values()), sandboxes=boxes, handled=frozenset(handled), held=frozenset(held)
    )


LIMITED = Limits(idle_seconds=60, wall_seconds=3600)


@pytest.mark.parametrize(
    ("state", "found", "message", "limited"),
    list(product(State, [None, ALIVE, DEAD, STOPPED], [False, True], [False, True])),
)
def test_it_comes_to_rest(state: State, found: dict[str, bool] | None, message: bool, limited: bool) -> None:
    """Three rounds at most, and then nothing is left to do; no sandbox, key or task is left of what is over."""
    old = NOON - timedelta(hours=2)
    session = row(
        state, active_since=old if state in UP else None, idle_since=old if state is State.IDLE else None,
        limits=LIMITED if limited else Limits(),
    )  # fmt: skip
    if message and state not in (State.SUSPENDED, State.TERMINATED):
        session = grown(session, [UserMessage("hello")], NOON).session
    boxes = [] if found is None else [box(session, "box", **found)]
    world = World(sessions=[session], sandboxes=boxes, drivers=LOCAL, held=frozenset({session.id}))
    for _ in range(4):
        actions = reconcile(world, NOON)
        if not actions:
            break
        world = carried_out(world, actions)
    assert reconcile(world, NOON) == []
    (left,) = world.sessions
    if left.state is State.TERMINATED:
        assert (world.sandboxes, world.held, world.handled) == ([], frozenset(), frozenset())
    elif left.state is not State.SUSPENDED:
        assert reached(left, NOON) is None
        assert [each.alive for each in world.sandboxes] == [True] and world.handled == {left.id}
        assert not (left.state is State.IDLE and left.has_message)


# -- sessions whose workspace another driver has
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [state for state in State if state is not State.TERMINATED])
@pytest.mark.parametrize("sandbox", [Sandbox("docker", "there", "full"), None])
def test_what_another_driver_has_is_left_alone(state: State, sandbox: Sandbox | None) -> None:
    session = new_session(state=state, sandbox=sandbox, driver="docker", last_message=3)
    assert done(session) == []
    late = replace(session, limits=Limits(requests=1), usage=replace(session.usage, requests=2))
    assert done(late) == [Terminate(session.id, Reason.REQUEST_LIMIT)], "but for its limits"


def test_the_end_of_what_another_driver_has_takes_its_way_out_away() -> None:
    session = new_session(state=State.TERMINATED, sandbox=Sandbox("docker", "there", "full"), driver="docker")
    assert done(session) == [Revoke(session.id)]
