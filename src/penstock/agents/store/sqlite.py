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
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import URL, ColumnElement, Connection, Engine, Table, create_engine, event, func, select

from penstock.agents.errors import Conflict, Invalid
from penstock.agents.events import Draft
from penstock.agents.log import Source
from penstock.agents.machine import State
from penstock.agents.plans import MOST_PLANS, Change, Plan, PlanChanged
from penstock.agents.store import answer_rows, approval_rows, definition_rows, rows, token_rows
from penstock.agents.store.appends import (
    append,
    begin,
    change_plan,
    find_plan,
    find_session,
    revoke_tokens,
    save_session,
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
    approvals,
    definitions,
    events,
    metadata,
    plans,
    sessions,
    tokens,
)
from penstock.agents.store.writer import Transaction, Writer
from penstock.agents.types import (
    Approval,
    Decision,
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
_SETTINGS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA wal_autocheckpoint=2000",
    "PRAGMA temp_store=MEMORY",
)


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

    # -- agents and environments --------------------------------------------------------------------------------------

    def add_definition(self, kind: Kind, made: Definition, once: Once | None = None) -> Definition:
        type_ = definition_rows.TYPES[kind]
        return self._write(type_, lambda transaction: definition_rows.add(transaction.connection, kind, made), once)

    def definition(self, kind: Kind, id: str, version: int | None = None) -> Definition | None:
        with self._read() as connection:
            return definition_rows.find(connection, kind, id, version)

    def definitions(
        self, kind: Kind, owner: str, *, name: str | None = None, archived: bool = False, cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Definition]:  # fmt: skip
        which = [definitions.c.owner == owner, definitions.c.kind == kind]
        if name is not None:
            which.append(definitions.c.name == name)
        if not archived:
            which.append(definitions.c.archived.is_(False))
        return self._page(definition_rows.TYPES[kind], definitions, which, cursor, limit)

    def versions(self, kind: Kind, id: str, *, before: int | None = None, limit: int = 50) -> list[Definition]:
        with self._read() as connection:
            return definition_rows.versions(connection, kind, id, before, limit)

    def change_definition(
        self, kind: Kind, id: str, change: Callable[[Spec], Spec], *, expected: int | None, at: datetime, by: str,
        once: Once | None = None,
    ) -> Definition:  # fmt: skip
        def job(transaction: Transaction) -> Definition:
            return definition_rows.change(transaction.connection, kind, id, change, expected=expected, at=at, by=by)

        return self._write(definition_rows.TYPES[kind], job, once)

    def archive_definition(self, kind: Kind, id: str, *, at: datetime, once: Once | None = None) -> Definition:
        type_ = definition_rows.TYPES[kind]
        return self._write(
            type_, lambda transaction: definition_rows.archive(transaction.connection, kind, id, at), once
        )

    # -- sessions -----------------------------------------------------------------------------------------------------

    def add_session(
        self, session: Session, drafts: Sequence[Draft] = (), *,
        check: Callable[[Session, Sequence[Session]], None] | None = None, once: Once | None = None,
    ) -> Session:  # fmt: skip
        def job(transaction: Transaction) -> Session:
            if check is not None and session.parent is not None:
                parent = find_session(transaction.driver, session.parent)
                which = select(sessions.c.body).where(sessions.c.parent == session.parent)
                check(parent, [rows.decoded(Session, body) for body in transaction.connection.execute(which).scalars()])
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
        return self._one(Session, sessions, sessions.c.id == id)

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
        wanted = select(sessions.c.body).where(sessions.c.state != State.TERMINATED.value).order_by(sessions.c.id)
        with self._read() as connection:
            return [rows.decoded(Session, body) for body in connection.execute(wanted).scalars()]

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

        return self._writer.submit(answer_rows.with_key(Appended, job, once))

    def events(
        self, session: str, after: int = 0, limit: int = 500, kinds: Sequence[str] | None = None
    ) -> list[Stored]:
        wanted = select(events.c.number, events.c.kind, events.c.body)
        wanted = wanted.where(events.c.session == session, events.c.number > after)
        if kinds is not None:
            wanted = wanted.where(events.c.kind.in_(list(kinds)))
        with self._read() as connection:
            return [
                Stored(row.number, row.kind, row.body)
                for row in connection.execute(wanted.order_by(events.c.number).limit(limit))
            ]

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
                those = connection.execute(select(sessions.c.id, sessions.c.last_event).where(some))
                found.update({row.id: row.last_event for row in those})
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
        return self._write(Asked, lambda transaction: approval_rows.ask(transaction, approval), once)

    def decide(
        self, id: str, decision: Decision, *, at: datetime, by: str, remember: bool = False, note: str = "",
        once: Once | None = None,
    ) -> Approval:  # fmt: skip
        def job(transaction: Transaction) -> Approval:
            return approval_rows.decide(transaction, id, decision, at=at, by=by, remember=remember, note=note)

        return self._write(Approval, job, once)

    def approval(self, id: str) -> Approval | None:
        with self._read() as connection:
            return approval_rows.find(connection, id)

    def approvals(
        self, *, owner: str | None = None, session: str | None = None, is_open: bool | None = None,
        sees: str | None = None, cursor: str | None = None, limit: int = 50,
    ) -> Page[Approval]:  # fmt: skip
        which = approval_rows.those(owner, session, is_open, sees)
        return self._page(Approval, approvals, which, cursor, limit)

    # -- plans --------------------------------------------------------------------------------------------------------

    def add_plan(self, plan: Plan, change: PlanChanged, *, at: datetime, once: Once | None = None) -> Plan:
        def job(transaction: Transaction) -> Plan:
            which = select(func.count()).select_from(plans).where(plans.c.session == plan.session)
            if (transaction.connection.execute(which).scalar() or 0) >= MOST_PLANS:
                raise Conflict(f"this session has {MOST_PLANS} plans", fix="change one of them", code="too_many_plans")
            row = {"id": plan.id, "owner": plan.owner, "session": plan.session, "body": rows.encoded(plan)}
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
        return self._one(Plan, plans, plans.c.id == id)

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
        return self._write(Token, lambda transaction: token_rows.add(transaction.connection, token, digest))

    def token(self, id: str) -> Token | None:
        return self._one(Token, tokens, tokens.c.id == id)

    def token_by_digest(self, digest: str) -> Token | None:
        return self._one(Token, tokens, tokens.c.digest == digest)

    def tokens(self, owner: str, *, cursor: str | None = None, limit: int = 50) -> Page[Token]:
        return self._page(Token, tokens, [tokens.c.owner == owner], cursor, limit)

    def revoke_token(self, id: str, at: datetime) -> Token:
        return self._write(Token, lambda transaction: token_rows.revoke(transaction.connection, id, at))

    def revoke_session_tokens(self, session: str, at: datetime) -> int:
        return self._write(int, lambda transaction: revoke_tokens(transaction.driver, session, at))

    def add_ticket(self, digest: str, principal: Principal, path: str, expires_at: datetime) -> None:
        def job(transaction: Transaction) -> None:
            token_rows.add_ticket(transaction.connection, digest, principal, path, expires_at)

        self._writer.run(job)

    def take_ticket(self, digest: str, path: str, now: datetime) -> Principal | None:
        return self._writer.run(lambda job: token_rows.take_ticket(job.connection, digest, path, now))

    # -- the rest -----------------------------------------------------------------------------------------------------

    def answered(self, once: Once) -> bytes | None:
        with self._read() as connection:
            return answer_rows.find(connection, once)

    def prune(self, before: datetime, now: datetime) -> int:
        def job(transaction: Transaction) -> int:
            answers = answer_rows.prune(transaction.connection, before)
            return answers + token_rows.prune_tickets(transaction.connection, now)

        return self._write(int, job)

    # -- how ----------------------------------------------------------------------------------------------------------

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self._engine.connect() as connection, connection.begin():
            yield connection

    def _write(self, type_: type[T], job: Callable[[Transaction], T], once: Once | None = None) -> T:
        return self._writer.run(answer_rows.with_key(type_, job, once))

    def _one(self, type_: type[T], table: Table, *which: ColumnElement[bool]) -> T | None:
        with self._read() as connection:
            return rows.one(connection, type_, table, *which)

    def _page(
        self, type_: type[T], table: Table, which: Sequence[ColumnElement[bool]], cursor: str | None, limit: int
    ) -> Page[T]:
        with self._read() as connection:
            return rows.page(connection, type_, table, which, cursor, limit)


def _session(session: Session) -> dict[str, Any]:
    searched = {"id": session.id, "owner": session.owner, "state": session.state.value, "parent": session.parent}
    return {**searched, "agent": session.agent.id, "last_event": session.last_event, "body": rows.encoded(session)}
