"""SQLite: the store that needs nothing beside it. One file in WAL mode: who reads never waits for who writes.

synchronous=FULL: a commit is on the disk before it is told, so that what was acknowledged outlives a power cut, too.
Within a process one thread writes (writer.py), so that no two writers wait for each other; other processes may write as
well (the CLI beside a server), and SQLite lets them take turns.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec
from sqlalchemy import URL, ColumnElement, Connection, Engine, Table, create_engine, event, func, select

from penstock.agents import approvals as rules
from penstock.agents.errors import Conflict, Invalid, KeyReused, NotFound, VersionConflict
from penstock.agents.events import ApprovalDecided, ApprovalRequested, Draft
from penstock.agents.log import Source, grown
from penstock.agents.machine import State
from penstock.agents.plans import MOST_PLANS, Change, Plan, PlanChanged
from penstock.agents.store.appends import (
    append,
    begin,
    change_plan,
    find_plan,
    find_session,
    revoke_tokens,
    save_session,
    write,
)
from penstock.agents.store.base import (
    Appended,
    Asked,
    Definition,
    Kind,
    Listener,
    Once,
    SessionFilter,
    Spec,
    Stored,
)
from penstock.agents.store.checkpoints import Checkpointer
from penstock.agents.store.migrate import migrate
from penstock.agents.store.tables import (
    answers,
    approvals,
    definition_versions,
    definitions,
    events,
    metadata,
    plans,
    sessions,
    tickets,
    tokens,
)
from penstock.agents.store.writer import Transaction, Writer
from penstock.agents.types import (
    Agent,
    Approval,
    Decision,
    Environment,
    Page,
    Principal,
    Sandbox,
    Session,
    Token,
)

__all__ = ["SqliteStore", "metadata", "open_sqlite", "sqlite_engine"]

T = TypeVar("T")
_PATIENCE = 30.0
_MOST_PARAMETERS = 500
_MOST_ASKED_BEFORE = 1000
_SETTINGS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA wal_autocheckpoint=2000",
    "PRAGMA temp_store=MEMORY",
)
_encode = msgspec.json.Encoder().encode
_KINDS: dict[str, type[Definition]] = {"agent": cast(Any, Agent), "environment": cast(Any, Environment)}


def open_sqlite(path: Path) -> SqliteStore:
    """The store in this file, which is made, or brought to the tables of this version, if need be.

    Raises StoreError, where a newer version wrote the file.
    """
    if not path.exists():
        path.touch(mode=0o600)
    engine = sqlite_engine(path)
    try:
        migrate(engine, path.with_name(path.name + ".migrating"))
    except BaseException:
        engine.dispose()
        raise
    return SqliteStore(engine)


def sqlite_engine(path: Path) -> Engine:
    """SQLAlchemy's way to this file: with our settings, and with transactions that begin where we say so."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)), connect_args={"timeout": _PATIENCE}, pool_size=8, max_overflow=32
    )

    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # or the driver would begin transactions by itself, and too late
        for setting in _SETTINGS:
            connection.execute(setting).close()

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


class SqliteStore:
    """`AgentStore` in a SQLite file. See base.AgentStore for what the methods do."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._checkpointer = Checkpointer(engine)
        self._writer = Writer(engine, self._checkpointer.written)
        self._watching = threading.Lock()
        self._watcher: Connection | None = None

    def close(self) -> None:
        self._writer.close()
        self._checkpointer.close()
        with self._watching:
            if self._watcher is not None:
                self._watcher.close()
                self._watcher = None
        self._engine.dispose()

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self._engine.connect() as connection, connection.begin():
            yield connection

    def _write(self, type_: type[T], job: Callable[[Transaction], T], once: Once | None = None, at: Any = None) -> T:
        return self._writer.run(_once(type_, job, once))

    # -- agents and environments --------------------------------------------------------------------------------------

    def add_definition(self, kind: Kind, made: Definition, once: Once | None = None) -> Definition:
        def job(transaction: Transaction) -> Definition:
            row = {"id": made.id, "kind": kind, "owner": made.owner, "archived": False}
            transaction.connection.execute(definitions.insert().values(**row, **_definition(made)))
            _add_version(transaction.connection, made)
            return made

        return self._write(_KINDS[kind], job, once)

    def definition(self, kind: Kind, id: str, version: int | None = None) -> Definition | None:
        with self._read() as connection:
            newest = _find_definition(connection, kind, id)
            if newest is None or version in (None, newest.version):
                return newest
            which = (definition_versions.c.id == id, definition_versions.c.version == version)
            body = connection.execute(select(definition_versions.c.body).where(*which)).scalar()
            return None if body is None else _decoded(_KINDS[kind], body)

    def definitions(
        self, kind: Kind, owner: str, *, name: str | None = None, archived: bool = False, cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Definition]:  # fmt: skip
        which = [definitions.c.owner == owner, definitions.c.kind == kind]
        if name is not None:
            which.append(definitions.c.name == name)
        if not archived:
            which.append(definitions.c.archived.is_(False))
        return self._page(_KINDS[kind], definitions, which, cursor, limit)

    def versions(self, kind: Kind, id: str, *, before: int | None = None, limit: int = 50) -> list[Definition]:
        rows = select(definition_versions.c.body).where(definition_versions.c.id == id)
        if before is not None:
            rows = rows.where(definition_versions.c.version < before)
        rows = rows.order_by(definition_versions.c.version.desc()).limit(limit)
        with self._read() as connection:
            return [_decoded(_KINDS[kind], body) for body in connection.execute(rows).scalars()]

    def change_definition(
        self, kind: Kind, id: str, change: Callable[[Spec], Spec], *, expected: int | None, at: datetime, by: str,
        once: Once | None = None,
    ) -> Definition:  # fmt: skip
        def job(transaction: Transaction) -> Definition:
            found = _existing(transaction.connection, kind, id)
            if found.archived_at is not None:
                raise Conflict(f"this {kind} is archived", fix="make another", code="archived")
            if expected not in (None, found.version):
                fix = "read it again, and change that"
                raise VersionConflict(f"its newest version is {found.version}, not {expected}", fix=fix)
            spec = change(found.spec)
            if spec == found.spec:
                return found
            changed = msgspec.structs.replace(
                found, spec=cast(Any, spec), version=found.version + 1, updated_at=at, updated_by=by
            )
            _save_definition(transaction.connection, changed)
            _add_version(transaction.connection, changed)
            return changed

        return self._write(_KINDS[kind], job, once)

    def archive_definition(self, kind: Kind, id: str, *, at: datetime, once: Once | None = None) -> Definition:
        def job(transaction: Transaction) -> Definition:
            found = _existing(transaction.connection, kind, id)
            if found.archived_at is None:
                found = msgspec.structs.replace(found, archived_at=at)
                _save_definition(transaction.connection, found, archived=True)
            return found

        return self._write(_KINDS[kind], job, once)

    # -- sessions -----------------------------------------------------------------------------------------------------

    def add_session(
        self, session: Session, drafts: Sequence[Draft] = (), *,
        check: Callable[[Session, Sequence[Session]], None] | None = None, once: Once | None = None,
    ) -> Session:  # fmt: skip
        def job(transaction: Transaction) -> Session:
            if check is not None and session.parent is not None:
                parent = find_session(transaction.driver, session.parent)
                which = select(sessions.c.body).where(sessions.c.parent == session.parent)
                check(parent, [_decoded(Session, body) for body in transaction.connection.execute(which).scalars()])
            transaction.connection.execute(sessions.insert().values(_session(session)))
            return begin(transaction, session, drafts)

        return self._write(Session, job, once)

    def fork_session(self, session: Session, drafts: Sequence[Draft] = (), *, once: Once | None = None) -> Session:
        fork = session.forked_from
        assert fork is not None, "a fork says what it was forked from"

        def job(transaction: Transaction) -> Session:
            origin = find_session(transaction.driver, fork.session)
            if not 1 <= fork.number <= origin.last_event:
                raise Invalid(
                    f"there is no event {fork.number}", fix=f"choose one from 1 to {origin.last_event}", param="number"
                )
            copied = msgspec.structs.replace(session, last_event=fork.number)
            transaction.connection.execute(sessions.insert().values(_session(copied)))
            transaction.driver.execute(
                "INSERT INTO events (session, number, kind, body) "
                "SELECT ?, number, kind, body FROM events WHERE session = ? AND number <= ?",
                (session.id, fork.session, fork.number),
            )
            return begin(transaction, copied, drafts)

        return self._write(Session, job, once)

    def session(self, id: str) -> Session | None:
        with self._read() as connection:
            body = connection.execute(select(sessions.c.body).where(sessions.c.id == id)).scalar()
            return None if body is None else _decoded(Session, body)

    def sessions(self, which: SessionFilter, *, cursor: str | None = None, limit: int = 50) -> Page[Session]:
        conditions = [
            sessions.c[name] == value
            for name in ("owner", "state", "agent", "parent")
            if (value := getattr(which, name)) is not None
        ]
        if which.sees is not None:
            conditions.append((sessions.c.id == which.sees) | (sessions.c.parent == which.sees))
        return self._page(Session, sessions, conditions, cursor, limit)

    def living(self) -> list[Session]:
        rows = select(sessions.c.body).where(sessions.c.state != State.TERMINATED.value).order_by(sessions.c.id)
        with self._read() as connection:
            return [_decoded(Session, body) for body in connection.execute(rows).scalars()]

    def set_sandbox(self, id: str, sandbox: Sandbox | None) -> Session:
        def job(transaction: Transaction) -> Session:
            session = find_session(transaction.driver, id).held_by(sandbox)
            save_session(transaction.driver, session)
            return session

        return self._write(Session, job)

    # -- the log ------------------------------------------------------------------------------------------------------

    def append(
        self, session: str, drafts: Sequence[Draft], *, at: datetime, source: Source | None = None,
        once: Once | None = None,
    ) -> Appended:  # fmt: skip
        return self.append_soon(session, drafts, at=at, source=source, once=once).result()

    def append_soon(
        self, session: str, drafts: Sequence[Draft], *, at: datetime, source: Source | None = None,
        once: Once | None = None,
    ) -> Future[Appended]:  # fmt: skip
        def job(transaction: Transaction) -> Appended:
            return append(transaction, session, drafts, at, source)

        return self._writer.submit(_once(Appended, job, once))

    def events(
        self, session: str, after: int = 0, limit: int = 500, kinds: Sequence[str] | None = None
    ) -> list[Stored]:
        rows = select(events.c.number, events.c.kind, events.c.body)
        rows = rows.where(events.c.session == session, events.c.number > after).order_by(events.c.number).limit(limit)
        if kinds is not None:
            rows = rows.where(events.c.kind.in_(list(kinds)))
        with self._read() as connection:
            return [Stored(row.number, row.kind, row.body) for row in connection.execute(rows)]

    def produced(self, session: str, producer: str) -> int:
        with self._read() as connection:
            found = connection.exec_driver_sql(
                "SELECT last FROM producers WHERE session = ? AND producer = ?", (session, producer)
            ).scalar()
            return int(found or 0)

    def last_events(self, named: Sequence[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        with self._read() as connection:
            for at in range(0, len(named), _MOST_PARAMETERS):
                some = sessions.c.id.in_(named[at : at + _MOST_PARAMETERS])
                rows = connection.execute(select(sessions.c.id, sessions.c.last_event).where(some))
                found.update({row.id: row.last_event for row in rows})
        return found

    def listen(self, listener: Listener | None) -> None:
        self._writer.listener = listener

    def generation(self) -> int:
        with self._watching:
            if self._watcher is None:
                self._watcher = self._engine.connect()
            driver = self._watcher.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            return int(driver.execute("PRAGMA data_version").fetchone()[0])

    # -- approvals ----------------------------------------------------------------------------------------------------

    def ask(self, approval: Approval, once: Once | None = None) -> Asked:
        def job(transaction: Transaction) -> Asked:
            session = find_session(transaction.driver, approval.session)
            before = _asked_before(transaction.connection, approval.session)
            older = rules.remembered(approval.ask, before) or rules.same_open(approval.ask, before, approval.asked_at)
            if older is not None:
                return Asked(older, new=False)
            rules.check_rate(before, approval.asked_at)
            asked = ApprovalRequested(
                approval.id, approval.ask.about, approval.ask.summary, approval.ask.rule, approval.expires_at
            )
            still_open = [each.id for each in before if each.decision is None]
            made = grown(session, [asked], max(approval.asked_at, session.updated_at), still_open)
            transaction.connection.execute(approvals.insert().values(_approval(approval)))
            write(transaction, made)
            return Asked(approval, new=True)

        return self._write(Asked, job, once)

    def decide(
        self, id: str, decision: Decision, *, at: datetime, by: str, remember: bool = False, note: str = "",
        once: Once | None = None,
    ) -> Approval:  # fmt: skip
        def job(transaction: Transaction) -> Approval:
            approval = _find_approval(transaction.connection, id)
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
            said = ApprovalDecided(id, decision, by, remember, note)
            still_open = [each.id for each in before if each.decision is None]
            made = grown(session, [said], max(at, session.updated_at), still_open)
            transaction.connection.execute(approvals.update().where(approvals.c.id == id).values(_approval(decided)))
            write(transaction, made)
            return decided

        return self._write(Approval, job, once)

    def approval(self, id: str) -> Approval | None:
        with self._read() as connection:
            return _find_approval(connection, id)

    def approvals(
        self, *, owner: str | None = None, session: str | None = None, is_open: bool | None = None,
        sees: str | None = None, cursor: str | None = None, limit: int = 50,
    ) -> Page[Approval]:  # fmt: skip
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
        return self._page(Approval, approvals, which, cursor, limit)

    # -- plans --------------------------------------------------------------------------------------------------------

    def add_plan(self, plan: Plan, change: PlanChanged, *, at: datetime, once: Once | None = None) -> Plan:
        def job(transaction: Transaction) -> Plan:
            which = select(func.count()).select_from(plans).where(plans.c.session == plan.session)
            if (transaction.connection.execute(which).scalar() or 0) >= MOST_PLANS:
                raise Conflict(f"this session has {MOST_PLANS} plans", fix="change one of them", code="too_many_plans")
            row = {"id": plan.id, "owner": plan.owner, "session": plan.session, "body": _encode(plan)}
            transaction.connection.execute(plans.insert().values(row))
            return change_plan(transaction, plan, change, at)

        return self._write(Plan, job, once)

    def change_plan(self, id: str, change: Change, *, at: datetime, once: Once | None = None) -> Plan:
        def job(transaction: Transaction) -> Plan:
            plan = find_plan(transaction.driver, id)
            made = change(plan)
            return plan if made is None else change_plan(transaction, plan, made, at)

        return self._write(Plan, job, once)

    def plan(self, id: str) -> Plan | None:
        with self._read() as connection:
            body = connection.execute(select(plans.c.body).where(plans.c.id == id)).scalar()
            return None if body is None else _decoded(Plan, body)

    def plans(
        self, *, owner: str | None = None, session: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> Page[Plan]:
        which: list[ColumnElement[bool]] = []
        if owner is not None:
            which.append(plans.c.owner == owner)
        if session is not None:
            which.append(plans.c.session == session)
        return self._page(Plan, plans, which, cursor, limit)

    # -- tokens and tickets -------------------------------------------------------------------------------------------

    def add_token(self, token: Token, digest: str) -> Token:
        def job(transaction: Transaction) -> Token:
            row = {"id": token.id, "owner": token.owner, "digest": digest, "session": token.session}
            transaction.connection.execute(tokens.insert().values(**row, body=_encode(token)))
            return token

        return self._write(Token, job)

    def token(self, id: str) -> Token | None:
        return self._token(tokens.c.id == id)

    def token_by_digest(self, digest: str) -> Token | None:
        return self._token(tokens.c.digest == digest)

    def _token(self, which: ColumnElement[bool]) -> Token | None:
        with self._read() as connection:
            body = connection.execute(select(tokens.c.body).where(which)).scalar()
            return None if body is None else _decoded(Token, body)

    def tokens(self, owner: str, *, cursor: str | None = None, limit: int = 50) -> Page[Token]:
        return self._page(Token, tokens, [tokens.c.owner == owner], cursor, limit)

    def revoke_token(self, id: str, at: datetime) -> Token:
        def job(transaction: Transaction) -> Token:
            revoked = _revoke(transaction.connection, tokens.c.id == id, at)
            if not revoked:
                raise NotFound("there is no such token")
            return revoked[0]

        return self._write(Token, job)

    def revoke_session_tokens(self, session: str, at: datetime) -> int:
        def job(transaction: Transaction) -> int:
            return revoke_tokens(transaction.driver, session, at)

        return self._write(int, job)

    def add_ticket(self, digest: str, principal: Principal, path: str, expires_at: datetime) -> None:
        def job(transaction: Transaction) -> None:
            row = {"digest": digest, "path": path, "expires_at": _microseconds(expires_at)}
            transaction.connection.execute(tickets.insert().values(**row, body=_encode(principal)))

        self._writer.run(job)

    def take_ticket(self, digest: str, path: str, now: datetime) -> Principal | None:
        def job(transaction: Transaction) -> Principal | None:
            row = transaction.connection.execute(select(tickets).where(tickets.c.digest == digest)).first()
            if row is None:
                return None
            transaction.connection.execute(tickets.delete().where(tickets.c.digest == digest))
            stands = row.path == path and row.expires_at > _microseconds(now)
            return _decoded(Principal, row.body) if stands else None

        return self._writer.run(job)

    # -- the rest -----------------------------------------------------------------------------------------------------

    def answered(self, once: Once) -> bytes | None:
        with self._read() as connection:
            return _answer(connection, once)

    def prune(self, before: datetime, now: datetime) -> int:
        def job(transaction: Transaction) -> int:
            old = transaction.connection.execute(answers.delete().where(answers.c.at < _microseconds(before)))
            over = transaction.connection.execute(tickets.delete().where(tickets.c.expires_at < _microseconds(now)))
            return old.rowcount + over.rowcount

        return self._write(int, job)

    def _page(
        self, type_: type[T], table: Table, which: Sequence[ColumnElement[bool]], cursor: str | None, limit: int
    ) -> Page[T]:
        """Newest first: ids sort by time."""
        rows = select(table.c.id, table.c.body).where(*which)
        if cursor is not None:
            rows = rows.where(table.c.id < cursor)
        with self._read() as connection:
            found = connection.execute(rows.order_by(table.c.id.desc()).limit(limit + 1)).all()
        more = found[limit - 1].id if len(found) > limit else None
        return Page([_decoded(type_, row.body) for row in found[:limit]], more)


# -- idempotency keys -------------------------------------------------------------------------------------------------


def _once(type_: type[T], job: Callable[[Transaction], T], once: Once | None) -> Callable[[Transaction], T]:
    """The job, or what it returned when its key came first."""
    if once is None:
        return job

    def with_key(transaction: Transaction) -> T:
        known = _answer(transaction.connection, once)
        if known is not None:
            return _decoded(type_, known)
        made = job(transaction)
        row: dict[str, Any] = {"owner": once.owner, "key": once.key, "digest": once.digest}
        row |= {"at": _microseconds(once.at), "body": _encode(made)}
        transaction.connection.execute(answers.insert().values(row))
        return made

    return with_key


def _answer(connection: Connection, once: Once) -> bytes | None:
    which = (answers.c.owner == once.owner, answers.c.key == once.key)
    row = connection.execute(select(answers.c.digest, answers.c.body).where(*which)).first()
    if row is None:
        return None
    if row.digest != once.digest:
        raise KeyReused("this idempotency key stands for another request", fix="take a new key for each new request")
    return bytes(row.body)


# -- rows -------------------------------------------------------------------------------------------------------------


def _decoded(type_: type[T], body: bytes) -> T:
    return msgspec.json.decode(body, type=type_)


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def _definition(made: Definition) -> dict[str, Any]:
    return {"name": made.spec.name, "version": made.version, "body": _encode(made)}


def _find_definition(connection: Connection, kind: Kind, id_: str) -> Definition | None:
    which = (definitions.c.id == id_, definitions.c.kind == kind)
    body = connection.execute(select(definitions.c.body).where(*which)).scalar()
    return None if body is None else _decoded(_KINDS[kind], body)


def _existing(connection: Connection, kind: Kind, id_: str) -> Definition:
    found = _find_definition(connection, kind, id_)
    if found is None:
        raise NotFound(f"there is no such {kind}")
    return found


def _save_definition(connection: Connection, made: Definition, *, archived: bool = False) -> None:
    change = definitions.update().where(definitions.c.id == made.id)
    connection.execute(change.values(**_definition(made), archived=archived))


def _add_version(connection: Connection, made: Definition) -> None:
    row = {"id": made.id, "version": made.version, "body": _encode(made)}
    connection.execute(definition_versions.insert().values(row))


def _session(session: Session) -> dict[str, Any]:
    searched = {"id": session.id, "owner": session.owner, "state": session.state.value, "parent": session.parent}
    return {**searched, "agent": session.agent.id, "last_event": session.last_event, "body": _encode(session)}


def _approval(approval: Approval) -> dict[str, Any]:
    searched = {"id": approval.id, "owner": approval.owner, "session": approval.session}
    return {**searched, "open": approval.decision is None, "body": _encode(approval)}


def _find_approval(connection: Connection, id_: str) -> Approval | None:
    body = connection.execute(select(approvals.c.body).where(approvals.c.id == id_)).scalar()
    return None if body is None else _decoded(Approval, body)


def _asked_before(connection: Connection, session: str) -> list[Approval]:
    """The last questions of a session, oldest first. (What is older than a thousand questions is not remembered.)"""
    rows = select(approvals.c.body).where(approvals.c.session == session)
    rows = rows.order_by(approvals.c.id.desc()).limit(_MOST_ASKED_BEFORE)
    return [_decoded(Approval, body) for body in connection.execute(rows).scalars()][::-1]


def _check_expired(approval: Approval, at: datetime) -> None:
    if approval.decision is not None:
        raise Conflict(f"this was {approval.decision} already", code="already_decided")
    if at < approval.expires_at:
        raise Conflict("its time is not over", code="not_expired")


def _revoke(connection: Connection, which: ColumnElement[bool], at: datetime) -> list[Token]:
    revoked: list[Token] = []
    for body in connection.execute(select(tokens.c.body).where(which)).scalars().all():
        token = _decoded(Token, body)
        if token.revoked_at is None:
            token = msgspec.structs.replace(token, revoked_at=at)
            connection.execute(tokens.update().where(tokens.c.id == token.id).values(body=_encode(token)))
        revoked.append(token)
    return revoked
