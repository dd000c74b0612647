"""How events get into the log: read the session, grow it (log.py), write what is new. Exactly once for each source.

A producer counts its events itself. What it repeats is found by its numbers, compared, and not written again; what
would leave a gap is refused, for somebody has lost an event. This goes to the driver rather than through SQLAlchemy:
it runs for every piece of text of every agent.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

import msgspec

from penstock.agents import events, plans
from penstock.agents.errors import Invalid, NotFound, ProducerGap, ProducerMismatch
from penstock.agents.events import ApprovalDecided, ApprovalRequested, Draft, Move, SessionEvent, WorkerChanged
from penstock.agents.log import Grown, Source, begun, grown, same
from penstock.agents.machine import Cause, State
from penstock.agents.plans import Plan, PlanChanged
from penstock.agents.store.base import Appended
from penstock.agents.store.writer import Transaction
from penstock.agents.teams import ties
from penstock.agents.types import Approval, Session, Token

_SESSION = "SELECT body FROM sessions WHERE id = ?"
_UPDATE = "UPDATE sessions SET state = ?, last_event = ?, body = ? WHERE id = ?"
_INSERT = "INSERT INTO events (session, number, kind, producer, sequence, body) VALUES (?, ?, ?, ?, ?, ?)"
_LAST = "SELECT last FROM producers WHERE session = ? AND producer = ?"
_SAID = (
    "INSERT INTO producers (session, producer, last) VALUES (?, ?, ?) "
    "ON CONFLICT (session, producer) DO UPDATE SET last = excluded.last"
)
_REPEATED = (
    "SELECT sequence, body FROM events WHERE session = ? AND producer = ? AND sequence BETWEEN ? AND ? ORDER BY number"
)
_OPEN = "SELECT id FROM approvals WHERE session = ? AND open = 1 ORDER BY id"
_APPROVAL = "SELECT body FROM approvals WHERE id = ?"
_CLOSED = "UPDATE approvals SET open = 0, body = ? WHERE id = ?"
_TOKENS = "SELECT id, body FROM tokens WHERE session = ?"
_REVOKED = "UPDATE tokens SET body = ? WHERE id = ?"
_PLAN = "SELECT body FROM plans WHERE id = ?"
_PLANS = "SELECT body FROM plans WHERE session = ? ORDER BY id"
_PLAN_CHANGED = "UPDATE plans SET body = ? WHERE id = ?"
_ENDS = frozenset({Cause.TERMINATE, Cause.FAIL})

encoder = msgspec.json.Encoder()
decode_session = msgspec.json.Decoder(Session).decode
decode_approval = msgspec.json.Decoder(Approval).decode
decode_token = msgspec.json.Decoder(Token).decode
decode_plan = msgspec.json.Decoder(Plan).decode


def find_session(driver: sqlite3.Connection, id_: str) -> Session:
    """The session. Raises NotFound."""
    row = driver.execute(_SESSION, (id_,)).fetchone()
    if row is None:
        raise NotFound("there is no such session")
    return decode_session(row[0])


def save_session(driver: sqlite3.Connection, session: Session) -> None:
    """Write the row anew."""
    driver.execute(_UPDATE, (session.state.value, session.last_event, encoder.encode(session), session.id))


def append(
    transaction: Transaction, id_: str, drafts: Sequence[Draft], at: datetime, source: Source | None = None
) -> Appended:
    """`AgentStore.append`, within a transaction."""
    if any(isinstance(draft, ApprovalRequested | ApprovalDecided) for draft in drafts):
        raise Invalid("approvals are not appended", fix="use AgentStore.ask and AgentStore.decide")
    if any(isinstance(draft, PlanChanged | WorkerChanged) for draft in drafts):
        raise Invalid(
            "plans and workers are not appended", fix="use AgentStore.change_plan; workers tell by themselves"
        )
    session = find_session(transaction.driver, id_)
    old = _repeated(transaction.driver, session, drafts, source)
    new = drafts[len(old) :]
    if not new:
        return Appended(session, old)
    ended = _plans_ended(transaction.driver, session, new)
    at = max(at, session.updated_at)
    made = grown(session, [*ended, *new], at, _open_approvals(transaction.driver, session))
    of = made.of[len(ended) :]
    first = source.first + len(old) if source else 0
    sequences = {of[index]: first + index for index in range(len(new))} if source else {}
    write(transaction, made, source.producer if source else None, sequences)
    if made.session.state is State.TERMINATED and session.state is not State.TERMINATED:
        revoke_tokens(transaction.driver, session.id, at)
    _tell_supervisor(transaction, session, made.session, at)
    if source:
        transaction.driver.execute(_SAID, (id_, source.producer, first + len(new) - 1))
    return Appended(made.session, [*old, *(made.events[index] for index in of)])


def begin(transaction: Transaction, session: Session, drafts: Sequence[Draft] = ()) -> Session:
    """The first event that is a new session's own, and these."""
    made = begun(session, session.created_at)
    write(transaction, made)
    if session.parent is not None:
        _grow(
            transaction, find_session(transaction.driver, session.parent), [ties.started(session)], session.created_at
        )
    return append(transaction, session.id, drafts, session.created_at).session if drafts else made.session


def write(
    transaction: Transaction, made: Grown, producer: str | None = None, sequences: dict[int, int] | None = None
) -> None:
    """Events, the row that they make, the approvals that they withdraw, and the plans that they change."""
    id_, numbers = made.session.id, sequences or {}
    transaction.driver.executemany(
        _INSERT,
        [
            (id_, event.number, event.kind, producer if at in numbers else None, numbers.get(at), events.encode(event))
            for at, event in enumerate(made.events)
        ],
    )
    save_session(transaction.driver, made.session)
    for event in made.events:
        if isinstance(event.data, ApprovalDecided) and event.data.decision == "withdrawn":
            _withdraw(transaction.driver, event.data, event.at)
        elif isinstance(event.data, PlanChanged):
            _change_plan(transaction.driver, event.data, event.at)
    transaction.grew(id_, made.session.last_event)


def _withdraw(driver: sqlite3.Connection, decided: ApprovalDecided, at: datetime) -> None:
    row = driver.execute(_APPROVAL, (decided.approval,)).fetchone()
    if row is not None:
        approval = msgspec.structs.replace(decode_approval(row[0]), decision="withdrawn", decided_at=at)
        driver.execute(_CLOSED, (encoder.encode(approval), approval.id))


def revoke_tokens(driver: sqlite3.Connection, session: str, at: datetime) -> int:
    """Take back every token of a session's agent that stands; returns how many it had."""
    rows = driver.execute(_TOKENS, (session,)).fetchall()
    for id_, body in rows:
        token = decode_token(body)
        if token.revoked_at is None:
            driver.execute(_REVOKED, (encoder.encode(msgspec.structs.replace(token, revoked_at=at)), id_))
    return len(rows)


# -- plans and workers ------------------------------------------------------------------------------------------------


def _change_plan(driver: sqlite3.Connection, change: PlanChanged, at: datetime) -> None:
    (body,) = driver.execute(_PLAN, (change.plan,)).fetchone()
    driver.execute(_PLAN_CHANGED, (encoder.encode(plans.applied(decode_plan(body), change, at)), change.plan))


def _plans_of(driver: sqlite3.Connection, session: str) -> list[Plan]:
    return [decode_plan(row[0]) for row in driver.execute(_PLANS, (session,))]


def _plans_ended(driver: sqlite3.Connection, session: Session, drafts: Sequence[Draft]) -> list[PlanChanged]:
    """What becomes of a session's plans when it ends; nothing while it does not."""
    if session.state is State.TERMINATED or not any(isinstance(each, Move) and each.cause in _ENDS for each in drafts):
        return []
    changes = (plans.ended(plan, "the session is over") for plan in _plans_of(driver, session.id))
    return [change for change in changes if change is not None]


def _tell_supervisor(transaction: Transaction, before: Session, after: Session, at: datetime) -> None:
    """Write into its log, and its plans, what has become of its worker."""
    told = ties.told(before, after) if after.parent is not None else None
    if told is None or after.parent is None:
        return
    supervisor = find_session(transaction.driver, after.parent)
    drafts: list[Draft] = [told]
    if told.change == "ended" and supervisor.state is not State.TERMINATED:
        detail = f"its worker is over ({after.stop_reason}) and has not said that this is done"
        changes = (plans.worker_ended(plan, after.id, detail) for plan in _plans_of(transaction.driver, supervisor.id))
        drafts += [change for change in changes if change is not None]
    _grow(transaction, supervisor, drafts, at)


def _grow(transaction: Transaction, session: Session, drafts: Sequence[Draft], at: datetime) -> Grown:
    """Events of our own, which nobody hands in."""
    made = grown(session, drafts, max(at, session.updated_at), _open_approvals(transaction.driver, session))
    write(transaction, made)
    return made


def change_plan(transaction: Transaction, plan: Plan, change: PlanChanged, at: datetime) -> Plan:
    """Write a change of a plan, whose row is there. Raises Conflict: its session is over."""
    _grow(transaction, find_session(transaction.driver, plan.session), [change], at)
    return find_plan(transaction.driver, plan.id)


def find_plan(driver: sqlite3.Connection, id_: str) -> Plan:
    """The plan. Raises NotFound."""
    row = driver.execute(_PLAN, (id_,)).fetchone()
    if row is None:
        raise NotFound("there is no such plan")
    return decode_plan(row[0])


def _open_approvals(driver: sqlite3.Connection, session: Session) -> list[str]:
    if not session.open_approvals:
        return []
    return [row[0] for row in driver.execute(_OPEN, (session.id,))]


def _repeated(
    driver: sqlite3.Connection, session: Session, drafts: Sequence[Draft], source: Source | None
) -> list[SessionEvent]:
    """The events that the first of these drafts are already. Raises ProducerGap, ProducerMismatch."""
    if source is None:
        return []
    row = driver.execute(_LAST, (session.id, source.producer)).fetchone()
    last = row[0] if row else 0
    if source.first > last + 1:
        raise ProducerGap(
            f"the last event of {source.producer!r} is {last}, and this begins with {source.first}",
            fix=f"hand in {last + 1} to {source.first - 1} first",
        )
    if source.first > last:
        return []
    end = min(last, source.first + len(drafts) - 1)
    rows = driver.execute(_REPEATED, (session.id, source.producer, source.first, end))
    old = [events.decode(body) for _, body in rows]
    for event, draft in zip(old, drafts, strict=False):
        if not same(event, draft):
            raise ProducerMismatch(
                f"event {event.number} of the log was another when {source.producer!r} handed it in first",
                fix="let each run of a producer have a name of its own",
            )
    return old
