"""The life of a session, as one table: (state, cause) -> state. Pure: whoever keeps sessions applies it, nobody
extends it.

Theory. A session's state is what it *shall* be; the runner makes it so, and the reconciler finds what is not so yet. So
a change of state is one durable row and one `status` event, written together, before anybody acts on it; a process that
is killed in between leaves a session whose state says what is still to be done:

    created --start--> starting --ready--> idle <--turn_started / turn_ended--> running <--> waiting_for_approval
                          ^                  |                                     |
                          |                  +---------------suspend---------------+--> suspended --resume--> starting
                          +----start---- rescheduling <------------lost-- (starting, idle, running, waiting)
    terminate, fail: from every state to terminated, which is the end.

Causes are of two sorts. *Commands* (people and programs ask) may be refused. *Facts* (the runner saw it) have
happened; one
that the table does not have for a state is a mistake of the runner, or came too late and means nothing any more.

Every change bears a reason, a word out of those that its cause can have; the reason of a terminated session is why it
stopped, and never changes again.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from penstock.agents.errors import IllegalTransition


class State(StrEnum):
    """What a session shall be."""

    CREATED = "created"  # nothing exists of it but its log
    STARTING = "starting"  # its sandbox and harness are being brought up
    IDLE = "idle"  # its harness waits for a message
    RUNNING = "running"  # a turn is under way
    WAITING_FOR_APPROVAL = "waiting_for_approval"  # a turn is under way, and stands until somebody decides
    SUSPENDED = "suspended"  # no process runs; workspace and conversation are kept
    RESCHEDULING = "rescheduling"  # its sandbox was lost, and it is to be started again on its workspace
    TERMINATED = "terminated"  # over, for the reason that is recorded


class Cause(StrEnum):
    """Why a state changes."""

    # commands
    MESSAGE = "message"  # somebody says something: it is delivered when the harness is ready for it
    INTERRUPT = "interrupt"  # end the turn, and keep the session
    SUSPEND = "suspend"
    RESUME = "resume"
    TERMINATE = "terminate"
    # facts
    START = "start"  # the runner has taken it up
    READY = "ready"  # the harness takes messages
    TURN_STARTED = "turn_started"
    TURN_ENDED = "turn_ended"
    APPROVAL_ASKED = "approval_asked"
    APPROVALS_SETTLED = "approvals_settled"  # none is open any more
    LOST = "lost"  # sandbox, harness or server died under it
    FAIL = "fail"  # it cannot go on


COMMANDS = frozenset({Cause.MESSAGE, Cause.INTERRUPT, Cause.SUSPEND, Cause.RESUME, Cause.TERMINATE})
"""Causes that somebody asks for. All others are facts."""


class Reason(StrEnum):
    """Why a session is in the state that it is in. Those of `STOP_REASONS` end it."""

    # of living states
    NEW = "new"
    FORKED = "forked"
    STARTED = "started"
    RESUMED = "resumed"
    RESCHEDULED = "rescheduled"
    READY = "ready"
    MESSAGE = "message"
    TURN_COMPLETED = "turn_completed"
    TURN_FAILED = "turn_failed"
    INTERRUPTED = "interrupted"
    APPROVAL = "approval"
    APPROVALS_SETTLED = "approvals_settled"
    SERVER_RESTARTED = "server_restarted"
    FROZEN = "frozen"  # suspended by an alarm (a stub was seen where it may not be): a human looks before it goes on
    # of suspended or terminated
    USER = "user"
    IDLE_LIMIT = "idle_limit"
    # of rescheduling or terminated
    SANDBOX_LOST = "sandbox_lost"
    # of terminated
    COMPLETED = "completed"
    WALL_LIMIT = "wall_limit"
    TOKEN_LIMIT = "token_limit"  # noqa: S105  # no password: the word for a limit
    MONEY_LIMIT = "money_limit"
    REQUEST_LIMIT = "request_limit"
    BYTES_LIMIT = "bytes_limit"
    LOOP_DETECTED = "loop_detected"
    REVOKED = "revoked"  # its owner's rights, its key or its agent were taken away
    SUPERVISOR = "supervisor"  # the agent that had started it stopped it, or ended itself
    ERROR = "error"


STOP_REASONS = frozenset(
    {
        *(Reason.COMPLETED, Reason.USER, Reason.IDLE_LIMIT, Reason.WALL_LIMIT, Reason.TOKEN_LIMIT, Reason.MONEY_LIMIT),
        *(Reason.REQUEST_LIMIT, Reason.BYTES_LIMIT, Reason.LOOP_DETECTED, Reason.SANDBOX_LOST, Reason.REVOKED),
        *(Reason.SUPERVISOR, Reason.ERROR),
    }
)
"""Why a session may be over."""

REASONS: Mapping[Cause, frozenset[Reason]] = {
    Cause.MESSAGE: frozenset({Reason.MESSAGE}),
    Cause.INTERRUPT: frozenset({Reason.INTERRUPTED}),
    Cause.SUSPEND: frozenset({Reason.USER, Reason.IDLE_LIMIT, Reason.FROZEN}),
    Cause.RESUME: frozenset({Reason.RESUMED}),
    Cause.TERMINATE: STOP_REASONS,
    Cause.START: frozenset({Reason.STARTED, Reason.RESCHEDULED}),
    Cause.READY: frozenset({Reason.READY}),
    Cause.TURN_STARTED: frozenset({Reason.MESSAGE}),
    Cause.TURN_ENDED: frozenset({Reason.TURN_COMPLETED, Reason.TURN_FAILED, Reason.INTERRUPTED}),
    Cause.APPROVAL_ASKED: frozenset({Reason.APPROVAL}),
    Cause.APPROVALS_SETTLED: frozenset({Reason.APPROVALS_SETTLED}),
    Cause.LOST: frozenset({Reason.SERVER_RESTARTED, Reason.SANDBOX_LOST}),
    Cause.FAIL: frozenset({Reason.ERROR, Reason.SANDBOX_LOST}),
}
"""The reasons that each cause can have; where there is one only, it need not be said."""

LIVING = tuple(state for state in State if state is not State.TERMINATED)
UP = (State.STARTING, State.IDLE, State.RUNNING, State.WAITING_FOR_APPROVAL)
"""States in which a sandbox belongs to the session."""
IN_TURN = (State.RUNNING, State.WAITING_FOR_APPROVAL)

TABLE: Mapping[tuple[State, Cause], State] = {
    # commands. A message changes no state: it is in the log, and a turn begins when it is delivered. A suspended
    # session takes none, for it may be frozen: whoever wants to go on says so (resume).
    **{(state, Cause.MESSAGE): state for state in LIVING if state is not State.SUSPENDED},
    **{(state, Cause.INTERRUPT): state for state in IN_TURN},
    **{(state, Cause.SUSPEND): State.SUSPENDED for state in (*UP[1:], State.RESCHEDULING)},
    (State.SUSPENDED, Cause.RESUME): State.STARTING,
    **{(state, Cause.TERMINATE): State.TERMINATED for state in LIVING},
    # facts
    (State.CREATED, Cause.START): State.STARTING,
    (State.RESCHEDULING, Cause.START): State.STARTING,
    (State.STARTING, Cause.READY): State.IDLE,
    (State.IDLE, Cause.TURN_STARTED): State.RUNNING,
    (State.RUNNING, Cause.TURN_ENDED): State.IDLE,
    (State.WAITING_FOR_APPROVAL, Cause.TURN_ENDED): State.IDLE,
    # Something in a sandbox may ask between turns, too (a set-up command, a server left running): only a turn waits.
    (State.STARTING, Cause.APPROVAL_ASKED): State.STARTING,
    (State.IDLE, Cause.APPROVAL_ASKED): State.IDLE,
    (State.RUNNING, Cause.APPROVAL_ASKED): State.WAITING_FOR_APPROVAL,
    (State.WAITING_FOR_APPROVAL, Cause.APPROVAL_ASKED): State.WAITING_FOR_APPROVAL,
    **{(state, Cause.APPROVALS_SETTLED): state for state in LIVING if state is not State.WAITING_FOR_APPROVAL},
    (State.WAITING_FOR_APPROVAL, Cause.APPROVALS_SETTLED): State.RUNNING,
    **{(state, Cause.LOST): State.RESCHEDULING for state in UP},
    **{(state, Cause.FAIL): State.TERMINATED for state in LIVING},
}
"""Every legal change. What is not here is illegal."""


def legal(state: State) -> tuple[Cause, ...]:
    """The causes that this state takes, in the order of `Cause`."""
    return tuple(cause for cause in Cause if (state, cause) in TABLE)


def step(state: State, cause: Cause, reason: Reason | None = None) -> tuple[State, Reason]:
    """The state after this, and the reason that it has then.

    `reason` may be left out where the cause has one only. Raises IllegalTransition, which names what is legal instead,
    and ValueError for a reason that this cause cannot have.
    """
    after = TABLE.get((state, cause))
    if after is None:
        raise IllegalTransition(state, cause, legal(state), commands=COMMANDS)
    return after, _reason(cause, reason)


def _reason(cause: Cause, reason: Reason | None) -> Reason:
    possible = REASONS[cause]
    if reason is None and len(possible) == 1:
        return next(iter(possible))
    if reason is None or reason not in possible:
        raise ValueError(f"{cause} takes a reason out of {', '.join(sorted(possible))}, not {reason}")
    return reason
