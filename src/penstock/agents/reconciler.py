"""What is to be done so that the world is as the sessions' rows say. Pure: facts in, actions out; the runner does them.

A row says what a session *shall* be (machine.py). After a kill -9 of everything, the truth is spread over three places:
the rows, the sandboxes that the driver still finds, the sessions for which the vault holds stubs and keys. This
function
compares them. Every action can be done twice with the same outcome, and a second run over the world that the actions
have made returns nothing: so it may run at start, and every few seconds after.

    a session that shall be up (starting, idle, running, waiting)
        its task runs here                   left alone, but for its limits
        its sandbox lives                    Adopt: a new task takes it over
        no sandbox, or a dead one            Reschedule; after `MOST_RESTARTS` in a row, Terminate(sandbox_lost)
    created, rescheduling                    Start, if no task runs here
    idle, with a message that no turn has    Deliver
    suspended, its sandbox running           Suspend (stop what runs; keep the workspace)
    terminated                               destroy its sandbox, revoke its key and its stubs, if they are there
    a worker, its supervisor's session over  Terminate(supervisor)
    its workspace is another driver's        left alone, but for its limits, until a server with that one starts
    a sandbox, key or stubs of no session    destroy, revoke
    an approval past its time                Expire

What costs money or rights is taken away first: the actions come in that order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from penstock.agents.limits import reached
from penstock.agents.machine import UP, Reason, State
from penstock.agents.types import Approval, Session

MOST_RESTARTS = 3
"""Times that a session is started again without having ended a turn in between."""


class Found(Struct, frozen=True):
    """A sandbox that a driver knows.

    session   the session that it was made for; None: one of the warm pool, or one that nobody can place
    alive     its processes run (a suspended one: they could go on)
    suspended it is stopped
    pooled    it belongs to the warm pool of a server that lives
    """

    driver: str
    id: str
    session: str | None = None
    alive: bool = True
    suspended: bool = False
    pooled: bool = False


class World(Struct, frozen=True, kw_only=True):
    """All that was found.

    sessions    the rows of all sessions that are not terminated, and of each that `sandboxes` or `held` name
    sandboxes   what the drivers know; None for one of them that could not be asked is not allowed: leave its round out
    handled     sessions that a task of this runner has in hand
    held        sessions for which the vault holds stubs, or the gateway a key that is not revoked
    approvals   those that are open
    drivers     the drivers that have answered: what others have is not judged
    """

    sessions: Sequence[Session]
    sandboxes: Sequence[Found] = ()
    handled: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    approvals: Sequence[Approval] = ()
    drivers: frozenset[str] = frozenset()


class Revoke(Struct, frozen=True, tag=True):
    """Take key and stubs away."""

    session: str


class Destroy(Struct, frozen=True, tag=True):
    """Remove a sandbox, with all that runs in it. (A session's workspace is not its sandbox, and stays.)"""

    driver: str
    sandbox: str
    why: str


class Expire(Struct, frozen=True, tag=True):
    """Nobody decided in time."""

    approval: str


class Terminate(Struct, frozen=True, tag=True):
    """The session is over."""

    session: str
    reason: Reason
    detail: str = ""


class Suspend(Struct, frozen=True, tag=True):
    """Stop what runs. `reason` is None where the row says so already, and only its sandbox does not know."""

    session: str
    reason: Reason | None = None


class Reschedule(Struct, frozen=True, tag=True):
    """Its sandbox is lost: say so in its log, and start it again."""

    session: str
    reason: Reason
    detail: str = ""


class Adopt(Struct, frozen=True, tag=True):
    """Take over a sandbox that lives."""

    session: str
    driver: str
    sandbox: str


class Start(Struct, frozen=True, tag=True):
    """Bring it up."""

    session: str


class Deliver(Struct, frozen=True, tag=True):
    """Begin a turn with the messages that wait."""

    session: str


Action = Revoke | Destroy | Expire | Terminate | Suspend | Reschedule | Adopt | Start | Deliver
_ORDER: tuple[type[Struct], ...] = (
    *(Revoke, Destroy, Expire, Terminate, Suspend, Reschedule, Adopt, Start, Deliver),
)  # fmt: skip


def reconcile(world: World, now: datetime) -> list[Action]:
    """What to do. The order: take away, end, stop, start again."""
    rows = {session.id: session for session in world.sessions}
    boxes = _chosen(world, rows)
    actions: list[Action] = [*_strays(world, rows, boxes), *_unheld(world, rows)]
    actions += [Expire(each.id) for each in world.approvals if each.decision is None and each.expires_at <= now]
    for session in world.sessions:
        if _is_orphan(session, rows):
            actions.append(Terminate(session.id, Reason.SUPERVISOR, "the session that had started it is over"))
        else:
            actions += _of(session, boxes.get(session.id), world, now)
    return sorted(actions, key=lambda action: _ORDER.index(type(action)))


def _is_orphan(session: Session, rows: Mapping[str, Session]) -> bool:
    """A worker that lives, of a session that does not. (All that live are among the rows.)"""
    if session.parent is None or session.state is State.TERMINATED:
        return False
    supervisor = rows.get(session.parent)
    return supervisor is None or supervisor.state is State.TERMINATED


def _chosen(world: World, rows: Mapping[str, Session]) -> dict[str, Found]:
    """For each session the one sandbox that is its own: the one that its row names, else the first that lives."""
    chosen: dict[str, Found] = {}
    for box in world.sandboxes:
        session = rows.get(box.session or "")
        if session is None:
            continue
        named = session.sandbox is not None and (session.sandbox.driver, session.sandbox.id) == (box.driver, box.id)
        other = chosen.get(session.id)
        if other is None or named or (box.alive and not other.alive and not _named(session, other)):
            chosen[session.id] = box
    return chosen


def _named(session: Session, box: Found) -> bool:
    return session.sandbox is not None and (session.sandbox.driver, session.sandbox.id) == (box.driver, box.id)


def _strays(world: World, rows: Mapping[str, Session], chosen: Mapping[str, Found]) -> Iterable[Action]:
    """Sandboxes that no session has a right to."""
    for box in world.sandboxes:
        session = rows.get(box.session or "")
        if box.session is None:
            if not box.pooled:
                yield Destroy(box.driver, box.id, "no session and no pool has it")
        elif session is None:
            yield Destroy(box.driver, box.id, "its session is not there")
        elif session.state is State.TERMINATED:
            yield Destroy(box.driver, box.id, "its session is over")
        elif chosen.get(session.id) is not box:
            yield Destroy(box.driver, box.id, "its session has another")
        elif session.id not in world.handled and _is_spoilt(session, box):
            yield Destroy(box.driver, box.id, "it is dead, or only half made")


def _is_spoilt(session: Session, box: Found) -> bool:
    """Whether nobody can go on in this sandbox."""
    half_made = session.state in (State.CREATED, State.STARTING, State.RESCHEDULING)
    return half_made or (session.state in UP and not box.alive)


def _unheld(world: World, rows: Mapping[str, Session]) -> Iterable[Action]:
    """Keys and stubs of sessions that are over, or were never there."""
    for name in sorted(world.held):
        session = rows.get(name)
        if session is None or session.state is State.TERMINATED:
            yield Revoke(name)


def _of(session: Session, box: Found | None, world: World, now: datetime) -> Iterable[Action]:
    """What one session needs. A limit comes before everything else."""
    if session.state is State.TERMINATED:
        return
    limit = reached(session, now)
    if limit is not None and not _rests(session, limit):
        yield _limited(session, limit)
    elif session.driver and session.driver not in world.drivers:
        return  # whoever has its workspace did not answer, or is not here
    elif session.state is State.SUSPENDED:
        if box is not None and box.alive and not box.suspended:
            yield Suspend(session.id)
    elif session.id in world.handled:
        if session.state is State.IDLE and session.has_message:
            yield Deliver(session.id)
    elif session.state in (State.CREATED, State.RESCHEDULING):
        yield from _begun(session)
    else:
        yield from _found_again(session, box, world)


def _rests(session: Session, limit: Reason) -> bool:
    """A suspended session uses nothing: time does not end it. (What it has spent does.)"""
    return session.state is State.SUSPENDED and limit in (Reason.WALL_LIMIT, Reason.IDLE_LIMIT)


def _limited(session: Session, limit: Reason) -> Action:
    if limit is Reason.IDLE_LIMIT and session.limits.on_idle == "suspend":
        return Suspend(session.id, limit)
    return Terminate(session.id, limit)


def _begun(session: Session) -> Iterable[Action]:
    if session.restarts > MOST_RESTARTS:
        yield Terminate(session.id, Reason.SANDBOX_LOST, f"lost {session.restarts} times without ending a turn")
    else:
        yield Start(session.id)


def _found_again(session: Session, box: Found | None, world: World) -> Iterable[Action]:
    """A session that shall be up, and that no task has in hand."""
    if box is not None and box.alive and session.state is not State.STARTING:
        yield Adopt(session.id, box.driver, box.id)
        if session.state is State.IDLE and session.has_message:
            yield Deliver(session.id)
        return
    if session.sandbox is not None and session.sandbox.driver not in world.drivers:
        return  # who could know did not answer: ask again rather than start a second one beside it
    if session.restarts >= MOST_RESTARTS:
        yield Terminate(session.id, Reason.SANDBOX_LOST, f"lost {session.restarts + 1} times without ending a turn")
    elif session.state is State.STARTING:
        yield Reschedule(session.id, Reason.SERVER_RESTARTED, "the server ended while it started")
    else:
        yield Reschedule(session.id, Reason.SANDBOX_LOST, "its sandbox is not there any more")
