"""What one more event does to its session: the rule by which a log grows. Pure; stores apply it in a transaction.

A session's row is the fold of its log: `grown` is the one step of it, and nothing else ever changes state, usage, or
the counters. So a row can be made anew from the events, and a test does just that.

Two things follow from a change of state by themselves, and stand here for that reason: open approvals are withdrawn
when who asked is not there any more, and a waiting session goes on when the last approval is settled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Context, Decimal
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from penstock.agents.errors import Conflict
from penstock.agents.events import (
    ApprovalDecided,
    ApprovalRequested,
    Cost,
    Draft,
    Move,
    Payload,
    SessionEvent,
    Status,
    TurnEnd,
    UserMessage,
    WorkerChanged,
)
from penstock.agents.machine import UP, Cause, Reason, State, step
from penstock.agents.types import Amounts, Session, Usage

WITHDRAWS = frozenset({Cause.INTERRUPT, Cause.TURN_ENDED, Cause.SUSPEND, Cause.LOST, Cause.TERMINATE, Cause.FAIL})
"""Causes after which nobody waits for an approval that was asked before."""
_exact = Context(prec=60)


class Source(Struct, frozen=True):
    """Who hands in events, and the number of the first of them as it counts itself, from 1 without gaps, within a
    session.

    A producer that does not know whether its events were written hands them in again: what is there is not written
    twice.
    """

    producer: str
    first: int


class Grown(Struct, frozen=True):
    """What an append makes of a session: its row, and the new events. `of`: for each draft the index of its event in
    `events`.
    """

    session: Session
    events: list[SessionEvent]
    of: list[int]


def grown(session: Session, drafts: Sequence[Draft], now: datetime, open_approvals: Sequence[str] = ()) -> Grown:
    """The session after these drafts, all of them or none.

    `open_approvals` are the ids of its open ones (needed where a draft withdraws them). Raises IllegalTransition;
    Conflict
    for an event of a session that is over, or for a `Status` that somebody made up (the log makes them, of a `Move`).
    """
    made = _Growing(session, now, list(open_approvals))
    of: list[int] = []
    for draft in drafts:
        of.append(made.draft(draft))
    return Grown(made.session, made.events, of)


class _Growing:
    """A session while events are added to it."""

    def __init__(self, session: Session, now: datetime, open_approvals: list[str]) -> None:
        self.session = session
        self.at = now
        self.events: list[SessionEvent] = []
        self._open = open_approvals

    def draft(self, draft: Draft) -> int:
        """Add it, and what follows from it; returns the index of its own event."""
        if isinstance(draft, Move):
            self._move(draft)
            return len(self.events) - 1
        if isinstance(draft, Status):
            raise Conflict("a status is made by the log", fix="hand in a Move")
        if isinstance(draft, UserMessage):
            step(self.session.state, Cause.MESSAGE)
        if self.session.state is State.TERMINATED and not isinstance(draft, Cost | WorkerChanged):
            raise Conflict("the session is over: only what it has cost can still be added", code="session_over")
        self._add(draft)
        own = len(self.events) - 1
        self._after(draft)
        return own

    def _move(self, move: Move) -> None:
        step(self.session.state, move.cause, move.reason)  # refuse before anything is withdrawn
        if move.cause in WITHDRAWS:
            self._withdraw(settle=move.cause is Cause.INTERRUPT)
        state, reason = step(self.session.state, move.cause, move.reason)
        self._add(Status(state, reason, move.cause, move.detail, move.message))

    def _withdraw(self, settle: bool) -> None:
        while self._open:
            self._add(ApprovalDecided(self._open.pop(0), "withdrawn"))
        if settle and self.session.state is State.WAITING_FOR_APPROVAL:
            self._move(Move(Cause.APPROVALS_SETTLED))

    def _after(self, payload: Payload) -> None:
        if isinstance(payload, ApprovalRequested):
            self._open.append(payload.approval)
            if self.session.state is State.RUNNING:
                self._move(Move(Cause.APPROVAL_ASKED))
        elif isinstance(payload, ApprovalDecided):
            if payload.approval in self._open:
                self._open.remove(payload.approval)
            if not self.session.open_approvals and self.session.state is State.WAITING_FOR_APPROVAL:
                self._move(Move(Cause.APPROVALS_SETTLED))

    def _add(self, payload: Payload) -> None:
        event = SessionEvent(self.session.last_event + 1, self.at, payload)
        self.session = applied(self.session, event)
        self.events.append(event)


# -- the fold ---------------------------------------------------------------------------------------------------------


def applied(session: Session, event: SessionEvent) -> Session:
    """The row after this event, which must be the next."""
    if event.number != session.last_event + 1:
        raise ValueError(f"event {event.number} does not follow upon {session.last_event}")
    session = replace(session, last_event=event.number, updated_at=event.at)
    change = _CHANGES.get(type(event.data))
    return change(session, event, event.data) if change else session


def replayed(session: Session, events: Iterable[SessionEvent]) -> Session:
    """The row after all of these."""
    for event in events:
        session = applied(session, event)
    return session


def unused(session: Session) -> Session:
    """The row before its first event: what it was made with, and nothing of what happened."""
    blank = Session(
        id=session.id, owner=session.owner, agent=session.agent, environment=session.environment,
        created_at=session.created_at, updated_at=session.created_at,
    )  # fmt: skip
    kept = ("title", "labels", "limits", "parent", "forked_from", "sandbox", "driver", "isolation", "created_by")
    return replace(blank, **{name: getattr(session, name) for name in kept})


def begun(session: Session, now: datetime) -> Grown:
    """A new session's log: one status. A fork's stands after the events that it shares, and counts everything anew."""
    reason = Reason.FORKED if session.forked_from else Reason.NEW
    event = SessionEvent(session.last_event + 1, now, Status(State.CREATED, reason))
    return Grown(applied(session, event), [event], [0])


def _said(session: Session, event: SessionEvent, data: UserMessage) -> Session:
    return replace(session, last_message=event.number)


def _cost(session: Session, event: SessionEvent, data: Cost) -> Session:
    used = session.usage
    usage = Usage(
        dollars=_plus(used.dollars, data.dollars),
        input_tokens=used.input_tokens + data.input_tokens,
        output_tokens=used.output_tokens + data.output_tokens,
        requests=used.requests + data.requests,
        bytes_out=used.bytes_out + data.bytes_out,
        turns=used.turns,
    )
    return replace(session, usage=usage)


def _plus(one: Decimal, other: Decimal) -> Decimal:
    return _exact.add(one, other)


def _worker(session: Session, event: SessionEvent, data: WorkerChanged) -> Session:
    sign = -1 if data.change == "ended" else 1
    lent, spent = _sum(session.lent, data.lent, sign), _sum(session.spent_by_workers, data.spent)
    return replace(session, lent=lent, spent_by_workers=spent)


def _sum(one: Amounts, other: Amounts, sign: int = 1) -> Amounts:
    return Amounts(
        dollars=_plus(one.dollars, _exact.multiply(other.dollars, Decimal(sign))),
        tokens=one.tokens + sign * other.tokens,
        requests=one.requests + sign * other.requests,
        bytes_out=one.bytes_out + sign * other.bytes_out,
    )


def _turned(session: Session, event: SessionEvent, data: TurnEnd) -> Session:
    return replace(session, usage=replace(session.usage, turns=session.usage.turns + 1))


def _asked(session: Session, event: SessionEvent, data: ApprovalRequested) -> Session:
    return replace(session, open_approvals=session.open_approvals + 1)


def _decided(session: Session, event: SessionEvent, data: ApprovalDecided) -> Session:
    return replace(session, open_approvals=max(session.open_approvals - 1, 0))


def _status(session: Session, event: SessionEvent, data: Status) -> Session:
    if data.cause is None:  # it begins here, whatever a log that it was forked from says before
        session = replace(
            session, usage=Usage(), last_message=0, delivered=0, open_approvals=0, restarts=0, active_seconds=0.0,
            active_since=None, idle_since=None, stop_reason=None, lent=Amounts(), spent_by_workers=Amounts(),
        )  # fmt: skip
    session = replace(session, **_clocks(session, data.state, event.at), **_counters(session, data))
    stop = data.reason if data.state is State.TERMINATED else None
    return replace(session, state=data.state, reason=data.reason, detail=data.detail, stop_reason=stop)


def _counters(session: Session, data: Status) -> dict[str, int]:
    if data.cause is Cause.TURN_STARTED:
        return {"delivered": max(session.delivered, min(data.message or session.last_message, session.last_message))}
    if data.cause is Cause.LOST:  # what a server or a vault took with it is not the session's doing
        return {"restarts": session.restarts + (data.reason is Reason.SANDBOX_LOST)}
    return {"restarts": 0} if data.cause is Cause.TURN_ENDED else {}


def _clocks(session: Session, state: State, at: datetime) -> dict[str, object]:
    """Since when it is up, and since when it is idle."""
    clocks: dict[str, object] = {}
    if state in UP and session.active_since is None:
        clocks["active_since"] = at
    elif state not in UP and session.active_since is not None:
        clocks["active_since"] = None
        clocks["active_seconds"] = session.active_seconds + max((at - session.active_since).total_seconds(), 0.0)
    if state is not State.IDLE:
        clocks["idle_since"] = None
    elif session.idle_since is None:
        clocks["idle_since"] = at
    return clocks


_Change = Callable[[Session, SessionEvent, Any], Session]
_CHANGES: dict[type, _Change] = {
    UserMessage: _said,
    Cost: _cost,
    TurnEnd: _turned,
    ApprovalRequested: _asked,
    ApprovalDecided: _decided,
    Status: _status,
    WorkerChanged: _worker,
}
"""What each kind does to the row; the others only stand in the log."""


def same(written: SessionEvent, draft: Draft) -> bool:
    """Whether an event is what this draft has become."""
    if isinstance(draft, Move):
        return isinstance(written.data, Status) and written.data.cause is draft.cause
    return msgspec.json.encode(written.data) == msgspec.json.encode(draft)
