"""Questions and answers as rows: each is written together with its event in the session's log.

What may be asked and decided is said in ../approvals.py; this reads what that needs, and writes what it allows.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, select

from penstock.agents import approvals as rules
from penstock.agents.errors import Conflict, NotFound
from penstock.agents.events import ApprovalDecided, ApprovalRequested
from penstock.agents.log import grown
from penstock.agents.store.appends import find_session, write
from penstock.agents.store.base import Asked
from penstock.agents.store.rows import decoded, encoded, one
from penstock.agents.store.tables import approvals, sessions
from penstock.agents.store.writer import Transaction
from penstock.agents.types import Approval, Decision

_MOST_ASKED_BEFORE = 1000


def ask(transaction: Transaction, approval: Approval) -> Asked:
    """Put a question, unless it is answered already or open. Raises TooMany, NotFound, Conflict."""
    session = find_session(transaction.driver, approval.session)
    before = _asked_before(transaction.connection, approval.session)
    older = rules.remembered(approval.ask, before) or rules.same_open(approval.ask, before, approval.asked_at)
    if older is not None:
        return Asked(older, new=False)
    rules.check_rate(before, approval.asked_at)
    asked = ApprovalRequested(
        approval.id, approval.ask.about, approval.ask.summary, approval.ask.rule, approval.expires_at
    )
    made = grown(session, [asked], max(approval.asked_at, session.updated_at), _still_open(before))
    transaction.connection.execute(approvals.insert().values(_columns(approval)))
    write(transaction, made)
    return Asked(approval, new=True)


def decide(
    transaction: Transaction, id_: str, decision: Decision, *, at: datetime, by: str, remember: bool, note: str
) -> Approval:
    """Answer a question. Raises NotFound, Conflict."""
    approval = find(transaction.connection, id_)
    if approval is None:
        raise NotFound("there is no such approval")
    if decision == "expired":
        _check_expired(approval, at)
    else:
        rules.check_open(approval, at)
    decided = msgspec.structs.replace(
        approval, decision=decision, decided_at=at, decided_by=by, remember=remember, note=note
    )
    session = find_session(transaction.driver, approval.session)
    before = _asked_before(transaction.connection, approval.session)
    said = ApprovalDecided(id_, decision, by, remember, note)
    made = grown(session, [said], max(at, session.updated_at), _still_open(before))
    transaction.connection.execute(approvals.update().where(approvals.c.id == id_).values(_columns(decided)))
    write(transaction, made)
    return decided


def find(connection: Connection, id_: str) -> Approval | None:
    """The approval with this id."""
    return one(connection, Approval, approvals, approvals.c.id == id_)


def those(owner: str | None, session: str | None, is_open: bool | None, sees: str | None) -> list[ColumnElement[bool]]:
    """What holds of the approvals that a list shall have; `sees`: of this session and its workers."""
    which: list[ColumnElement[bool]] = []
    if owner is not None:
        which.append(approvals.c.owner == owner)
    if session is not None:
        which.append(approvals.c.session == session)
    if is_open is not None:
        which.append(approvals.c.open.is_(is_open))
    if sees is not None:
        workers = select(sessions.c.id).where(sessions.c.parent == sees)
        which.append((approvals.c.session == sees) | approvals.c.session.in_(workers))
    return which


def _asked_before(connection: Connection, session: str) -> list[Approval]:
    """The last questions of a session, oldest first. (What is older than a thousand questions is not remembered.)"""
    rows = select(approvals.c.body).where(approvals.c.session == session)
    rows = rows.order_by(approvals.c.id.desc()).limit(_MOST_ASKED_BEFORE)
    return [decoded(Approval, body) for body in connection.execute(rows).scalars()][::-1]


def _still_open(before: list[Approval]) -> list[str]:
    return [each.id for each in before if each.decision is None]


def _check_expired(approval: Approval, at: datetime) -> None:
    if approval.decision is not None:
        raise Conflict(f"this was {approval.decision} already", code="already_decided")
    if at < approval.expires_at:
        raise Conflict("its time is not over", code="not_expired")


def _columns(approval: Approval) -> dict[str, Any]:
    searched = {"id": approval.id, "owner": approval.owner, "session": approval.session}
    return {**searched, "open": approval.decision is None, "body": encoded(approval)}
