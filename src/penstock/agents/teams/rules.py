"""What a worker may be: never more than its supervisor. Pure; the service asks before it writes.

A supervisor is an agent, so whoever has turned its head has its hands, too. What it can start is therefore what a
person has written beforehand (`AgentSpec.workers`), and each worker is at most what the supervisor is:

    agent         one that the supervisor's own agent names; of these, one without credentials that it has not itself
    environment   the supervisor's, in the same version: the same walls, the same rules of egress
    amounts       a share of what the supervisor has left, which it cannot use itself meanwhile (limits.py)
    time          no longer than the supervisor may be up; no more repetitions than it may make
    depth         a worker starts nobody
    number        MOST_WORKERS that live, MOST_STARTED in all
    life          while its supervisor's session lasts; none is started by one that is suspended or over
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from penstock.agents.errors import Conflict, Forbidden
from penstock.agents.limits import Left, exceeded, left, tightest, up_seconds
from penstock.agents.machine import State
from penstock.agents.types import Agent, Limits, Pin, Session

MOST_WORKERS = 20
"""Workers of one supervisor that may live at once."""
MOST_STARTED = 200
"""Workers that one supervisor may start in all."""


class Startable(Struct, frozen=True):
    """An agent that a supervisor may start."""

    id: str
    name: str
    version: int
    description: str = ""
    harness: str = ""
    model: str = ""


class Team(Struct, frozen=True):
    """A supervisor's session, whom it may start, what it has left to give, and its workers, newest first."""

    session: str
    environment: Pin
    agents: list[Startable]
    left: Left
    workers: list[Session]
    most_workers: int = MOST_WORKERS


def startable(agent: Agent) -> Startable:
    """What a supervisor is told of an agent. (Not its system prompt and its options: those are its owner's.)"""
    spec = agent.spec
    return Startable(agent.id, spec.name, agent.version, spec.description, spec.harness, spec.model)


def names(supervisor: Agent, agent: Agent) -> bool:
    """Whether a supervisor's agent names this one."""
    return agent.id in supervisor.spec.workers or agent.spec.name in supervisor.spec.workers


def check_agent(supervisor: Agent, agent: Agent) -> None:
    """Raises Forbidden where a session of `supervisor` may not start `agent`."""
    if not supervisor.spec.workers:
        raise Forbidden("this agent is no supervisor", fix="its owner can name agents in its `workers`")
    if not names(supervisor, agent):
        raise Forbidden(
            f"this agent may not start {agent.spec.name!r}", fix=f"it may start {', '.join(supervisor.spec.workers)}"
        )
    more = set(agent.spec.credentials) - set(supervisor.spec.credentials)
    if more:
        raise Forbidden(f"the supervisor has no credential {min(more)!r} that a worker could use")


def check_place(supervisor: Session, environment: Pin) -> None:
    """Raises Forbidden for a worker's worker, and for other walls than the supervisor's own."""
    if supervisor.parent is not None:
        raise Forbidden("a worker may not start workers", fix="ask its supervisor to")
    own = supervisor.environment
    if environment != own:
        fix = f"use {own.id} in version {own.version}"
        raise Forbidden("a worker runs in its supervisor's environment", fix=fix)


def limits_of(supervisor: Session, budget: Limits, wanted: Limits, now: datetime) -> Limits:
    """A worker's limits: the tightest of its agent's, of what is asked for, and of its supervisor's time."""
    own = supervisor.limits
    wall = None if own.wall_seconds is None else max(int(own.wall_seconds - up_seconds(supervisor, now)), 1)
    inherited = Limits(own.idle_seconds, wall, repeats=own.repeats, on_idle=own.on_idle)
    return tightest(budget, wanted, inherited)


def check_share(supervisor: Session, worker: Session, workers: Sequence[Session]) -> None:
    """Whether a supervisor, as it is now, can have this worker beside those. Raises Forbidden, Conflict."""
    if supervisor.state is State.TERMINATED:
        raise Conflict("the supervisor's session is over", code="session_over")
    if supervisor.state is State.SUSPENDED:
        raise Conflict("the supervisor's session is suspended", fix="resume it first")
    if sum(each.state is not State.TERMINATED for each in workers) >= MOST_WORKERS:
        raise Conflict(f"{MOST_WORKERS} workers live already", fix="stop one first", code="too_many_workers")
    if len(workers) >= MOST_STARTED:
        raise Conflict(f"this session has started {MOST_STARTED} workers", fix="begin another", code="too_many_workers")
    rest = left(supervisor)
    field = exceeded(worker.limits, rest)
    if field is not None:
        raise Forbidden(
            f"the supervisor has {getattr(rest, field)} left of {field}",
            fix=f"say a `limits.{field}` of at most that",
            code="over_budget",
        )
