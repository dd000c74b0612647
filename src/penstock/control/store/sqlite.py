"""SQLite: the store that needs nothing beside it. One file in WAL mode: who reads never waits for who writes.

synchronous=FULL: a commit is on the disk before it returns, so a journal may be removed once its rows are committed.
Writers wait for each other twice: within this process for a lock (which is fair enough, and costs nothing), and between
processes for SQLite's own (`_PATIENCE` seconds).

What the keys' API does goes through SQLAlchemy. The ledger's rows do not: at thousands a second its compiled statements
would cost more than the database does, so `_LedgerWriter` hands tuples to the driver.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import URL, Connection, Engine, Row, create_engine, event, func, select
from sqlalchemy import exc as sqlalchemy_errors

from penstock.control.store import key_rows, spend_logs
from penstock.control.store.base import (
    AliasTaken,
    Batch,
    ConfigVersion,
    KeyExists,
    KeyFilter,
    Page,
    Position,
    Rejected,
    SpendQuery,
    Spent,
)
from penstock.control.store.calls import Call, microseconds
from penstock.control.store.keys import KeyRecord, budget_is_due, budget_reset, parse_quota
from penstock.control.store.migrate import migrate
from penstock.control.store.sqlite_ledger import LedgerWriter
from penstock.control.store.tables import (
    attempts,
    callers,
    calls_under_way,
    configs,
    drained,
    keys,
    made,
    rejected,
    replaced_keys,
    requests,
    segments,
)
from penstock.gateway.made import Made

_PATIENCE = 30.0
_SETTINGS = (
    "PRAGMA page_size=8192",  # of a new file: rows that are appended like larger ones, indexes of many keys smaller
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA wal_autocheckpoint=2000",
    "PRAGMA temp_store=MEMORY",
)
_MOST_PARAMETERS = 500

_decode_call = msgspec.msgpack.Decoder(Call).decode


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
    """`Store` in a SQLite file. See base.Store for what the methods do."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writing = threading.Lock()
        self._ledger: LedgerWriter | None = None

    def close(self) -> None:
        with self._writing:
            if self._ledger is not None:
                self._ledger.close()
                self._ledger = None
        self._engine.dispose()

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self._writing, self._engine.connect().execution_options(writes=True) as connection, connection.begin():
            yield connection

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self._engine.connect() as connection, connection.begin():
            yield connection

    # -- keys ---------------------------------------------------------------------------------------------------------

    def add_key(self, key: KeyRecord) -> None:
        with self._write() as connection:
            if _key(connection, key.token) is not None:
                raise KeyExists(f"there is a key {key.key_name} with this secret already: choose another")
            with _alias_of(key):
                connection.execute(keys.insert().values(key_rows.to_row(key)))

    def put_key(self, key: KeyRecord) -> KeyRecord:
        with self._write() as connection:
            known = _key(connection, key.token)
            if known is None:
                with _alias_of(key):
                    connection.execute(keys.insert().values(key_rows.to_row(key)))
                return key
            merged = msgspec.structs.replace(key, **{name: getattr(known, name) for name in _kept(key, known)})
            _save(connection, merged)
            return merged

    def key(self, token: str) -> KeyRecord | None:
        with self._read() as connection:
            return _key(connection, token)

    def keys(self, which: KeyFilter, page: int = 1, size: int = 100) -> Page[KeyRecord]:
        if which.sort_by not in key_rows.FIELDS:
            raise ValueError(f"keys cannot be sorted by {which.sort_by!r}; use one of {', '.join(key_rows.FIELDS)}")
        conditions = [
            keys.c[name] == value
            for name in ("key_alias", "user_id", "team_id", "organization_id", "source")
            if (value := getattr(which, name)) is not None
        ]
        if which.tokens is not None:
            conditions.append(keys.c.token.in_(which.tokens[:_MOST_PARAMETERS]))
        column = keys.c[which.sort_by]
        order = column.desc() if which.descending else column.asc()
        rows = select(keys).where(*conditions).order_by(order, keys.c.token).offset((page - 1) * size).limit(size)
        with self._read() as connection:
            total = connection.execute(select(func.count()).select_from(keys).where(*conditions)).scalar_one()
            return Page([key_rows.from_row(row) for row in connection.execute(rows)], total)

    def change_key(self, token: str, changes: Mapping[str, Any], *, at: float, by: str | None) -> KeyRecord | None:
        return self._changed(token, lambda key: key_rows.changed(key, changes, at, by))

    def replace_key(self, token: str, by_token: str, key_name: str, *, at: float, by: str | None) -> KeyRecord | None:
        with self._write() as connection:
            key = _key(connection, token)
            if key is None:
                return None
            if _key(connection, by_token) is not None:
                raise KeyExists("there is a key with this secret already: choose another")
            again = msgspec.structs.replace(key, token=by_token, key_name=key_name, updated_at=at, updated_by=by)
            connection.execute(keys.update().where(keys.c.token == token).values(key_rows.to_row(again)))
            older = replaced_keys.c.by_token == token
            connection.execute(replaced_keys.update().where(older).values(by_token=by_token))
            connection.execute(replaced_keys.delete().where(replaced_keys.c.token == by_token))
            connection.execute(replaced_keys.insert().values(token=token, by_token=by_token))
            return again

    def delete_keys(self, tokens: Sequence[str]) -> list[KeyRecord]:
        with self._write() as connection:
            found = [key for token in dict.fromkeys(tokens) if (key := _key(connection, token)) is not None]
            for key in found:
                connection.execute(keys.delete().where(keys.c.token == key.token))
                connection.execute(replaced_keys.delete().where(replaced_keys.c.by_token == key.token))
            return found

    def reset_budgets(self, now: float) -> list[KeyRecord]:
        due = select(keys).where(keys.c.budget_reset_at <= microseconds(now))
        with self._read() as connection:
            if connection.execute(due.limit(1)).first() is None:
                return []
        with self._write() as connection:
            found = [key_rows.from_row(row) for row in connection.execute(due)]
            again = [budget_reset(key, now) for key in found if budget_is_due(key, now)]
            for key in again:
                _save(connection, key)
            return again

    def _changed(self, token: str, change: Callable[[KeyRecord], KeyRecord]) -> KeyRecord | None:
        with self._write() as connection:
            key = _key(connection, token)
            if key is None:
                return None
            again = change(key)
            _save(connection, again)
            return again

    # -- the ledger ---------------------------------------------------------------------------------------------------

    def commit(self, batch: Batch) -> None:
        with self._writing:
            if self._ledger is None:
                self._ledger = LedgerWriter(self._engine)
            self._ledger.commit(batch)

    def positions(self) -> list[Position]:
        with self._read() as connection:
            return [
                Position(row.segment, row.worker, row.number, row.position, row.position)
                for row in connection.execute(select(segments))
            ]

    def calls_under_way(self) -> list[Call]:
        with self._read() as connection:
            return [_decode_call(blob) for blob in connection.execute(select(calls_under_way.c.call)).scalars()]

    def forget_worker(self, worker: str) -> None:
        with self._write() as connection:
            connection.execute(segments.delete().where(segments.c.worker == worker))
            connection.execute(drained.delete().where(drained.c.worker == worker))

    def forget_segments(self, names: Sequence[str]) -> None:
        with self._write() as connection:
            for name in names:
                connection.execute(segments.delete().where(segments.c.segment == name))

    def rejected(self) -> list[Rejected]:
        with self._read() as connection:
            rows = connection.execute(select(rejected).order_by(rejected.c.id))
            return [Rejected(row.worker, row.payload, row.why) for row in rows]

    def spent(self, quota: str) -> int:
        name = parse_quota(quota)
        if name is None or name.kind != "money":
            return 0
        with self._read() as connection:
            key = _key(connection, name.owner)
        if key is None or name.period not in (None, key.budget_period):
            return 0
        return key.spend

    def drained_of(self, worker: str, quota: str | None = None) -> dict[str, int]:
        found = select(drained.c.quota, drained.c.amount).where(drained.c.worker == worker)
        if quota is not None:
            found = found.where(drained.c.quota == quota)
        with self._read() as connection:
            return {row.quota: row.amount for row in connection.execute(found)}

    def used_by_dead(self, quota: str, window_start: float, live: Collection[str]) -> int:
        name = parse_quota(quota)
        if name is None or name.kind not in ("requests", "tokens"):
            return 0
        used = func.count() if name.kind == "requests" else func.coalesce(func.sum(requests.c.total_tokens), 0)
        statement = select(used).select_from(requests).where(
            requests.c.caller.in_(select(callers.c.id).where(callers.c.token == name.owner)),
            requests.c.started >= microseconds(window_start),
            requests.c.worker.not_in(list(live)),
            requests.c.attempts > 0,
        )  # fmt: skip
        with self._read() as connection:
            return int(connection.execute(statement).scalar_one())

    def requests(self, which: SpendQuery, page: int = 1, size: int = 100) -> Page[dict[str, Any]]:
        with self._read() as connection:
            return spend_logs.page_of(connection, which, page, size)

    def request_ids(self, which: SpendQuery, page: int = 1, size: int = 100) -> Page[int]:
        with self._read() as connection:
            return spend_logs.ids_of(connection, which, page, size)

    def requests_by_id(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        with self._read() as connection:
            return spend_logs.rows_of(connection, ids)

    def request_days(self, which: SpendQuery) -> list[int]:
        with self._read() as connection:
            return spend_logs.days_of(connection, which)

    def made(self, name: str) -> Made | None:
        with self._read() as connection:
            row = connection.execute(select(made).where(made.c.name == name)).first()
            return None if row is None else Made(row.deployment, row.token)

    def spend_by_day(self, which: SpendQuery) -> list[Spent]:
        with self._read() as connection:
            return spend_logs.by_day(connection, which)

    def prune(self, before: float, limit: int = 1000) -> int:
        old = select(requests.c.id).where(requests.c.started < microseconds(before)).limit(limit)
        with self._write() as connection:
            ids = list(connection.execute(old).scalars())
            older = select(made.c.name).where(made.c.at < microseconds(before)).limit(limit)
            connection.execute(made.delete().where(made.c.name.in_(older)))
            for some in (ids[at : at + _MOST_PARAMETERS] for at in range(0, len(ids), _MOST_PARAMETERS)):
                connection.execute(attempts.delete().where(attempts.c.request.in_(some)))
                connection.execute(requests.delete().where(requests.c.id.in_(some)))
            return len(ids)

    # -- configuration ------------------------------------------------------------------------------------------------

    def add_config(self, text: str, *, at: float, by: str) -> ConfigVersion:
        with self._write() as connection:
            last = connection.execute(select(func.max(configs.c.version))).scalar_one()
            made = ConfigVersion((last or 0) + 1, text, microseconds(at) / 1e6, by)
            connection.execute(configs.insert().values(version=made.version, text=text, at=microseconds(at), by=by))
            return made

    def config(self, version: int | None = None) -> ConfigVersion | None:
        statement = select(configs).order_by(configs.c.version.desc()).limit(1)
        if version is not None:
            statement = statement.where(configs.c.version == version)
        with self._read() as connection:
            row = connection.execute(statement).first()
            return None if row is None else _config(row)

    def configs(self, limit: int = 100, before: int | None = None) -> list[ConfigVersion]:
        statement = select(configs).order_by(configs.c.version.desc()).limit(limit)
        if before is not None:
            statement = statement.where(configs.c.version < before)
        with self._read() as connection:
            return [_config(row) for row in connection.execute(statement)]


def _kept(key: KeyRecord, known: KeyRecord) -> list[str]:
    """What stays of a known key when it is put again: what it has come to, and the period that it is in."""
    kept = ["spend", "total_spend", "budget_period", "last_active", "created_at", "created_by"]
    return [*kept, "budget_reset_at"] if key.budget_duration == known.budget_duration else kept


def _config(row: Row[Any]) -> ConfigVersion:
    return ConfigVersion(row.version, row.text, row.at / 1e6, row.by)


def _key(connection: Connection, token: str) -> KeyRecord | None:
    row = connection.execute(select(keys).where(keys.c.token == token)).first()
    return None if row is None else key_rows.from_row(row)


def _save(connection: Connection, key: KeyRecord) -> None:
    with _alias_of(key):
        connection.execute(keys.update().where(keys.c.token == key.token).values(key_rows.to_row(key)))


@contextmanager
def _alias_of(key: KeyRecord) -> Iterator[None]:
    """The only thing that can be taken when the token is known to be free, or the key's own, is the alias."""
    try:
        yield
    except sqlalchemy_errors.IntegrityError as error:
        raise AliasTaken(f"another key has the alias {key.key_alias!r}: aliases are unique; choose another") from error
