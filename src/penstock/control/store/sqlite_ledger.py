"""LedgerWriter: batches of calls into SQLite, at a few microseconds a call. See `base.Store.commit`.

It keeps a connection of its own, and what it knows of callers for as long as nobody else has written into the file
(`data_version`). The usual batch is a few statements; one in which anything does not fit (an id that is taken, a
number that no column holds) is rolled back and written call by call, so that one odd call never holds up the others.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import msgspec
from sqlalchemy import Engine

from penstock.control.store.base import AnotherReader, Batch, no_pause
from penstock.control.store.calls import (
    ATTEMPT_COLUMNS,
    REQUEST_COLUMNS,
    Call,
    attempt_rows,
    cost_of,
    ended_at,
    made_by,
    request_row,
)
from penstock.control.store.keys import quota_name
from penstock.gateway.records import Amount

_MOST_CALLERS = 200_000
_DOES_NOT_FIT = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, OverflowError)


def _insert(table: str, columns: tuple[str, ...], rows: int = 1) -> str:
    row = f"({', '.join('?' * len(columns))})"
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * rows)}"  # noqa: S608  # names of our own tables and columns


_AT_ONCE = 20
_REQUEST, _REQUESTS = _insert("requests", REQUEST_COLUMNS), _insert("requests", REQUEST_COLUMNS, _AT_ONCE)
_ATTEMPT, _ATTEMPTS = _insert("attempts", ATTEMPT_COLUMNS), _insert("attempts", ATTEMPT_COLUMNS, _AT_ONCE)
_KEY_THEN = "SELECT token, key_alias, user_id, team_id, organization_id, budget_period FROM keys WHERE token = ?"
_CALLER = (
    "SELECT id FROM callers WHERE token = ? AND key_alias = ? AND user_id = ? AND team_id = ? AND organization_id = ?"
)
_NEW_CALLER = _insert("callers", ("token", "key_alias", "user_id", "team_id", "organization_id"))
_UNDER_WAY = (
    "INSERT INTO calls_under_way (call_id, worker, call) VALUES (?, ?, ?) "
    "ON CONFLICT (call_id) DO UPDATE SET worker = excluded.worker, call = excluded.call"
)
_LARGEST = 2**63 - 1  # picodollars: nine million dollars, at which a sum stays rather than that nothing can be written


def _plus(column: str, more: str) -> str:
    return f"CASE WHEN {column} > {_LARGEST} - {more} THEN {_LARGEST} ELSE {column} + {more} END"


_SPEND = (
    f"UPDATE keys SET spend = {_plus('spend', '?1')}, total_spend = {_plus('total_spend', '?2')}, "  # noqa: S608  # names of our own tables and columns
    "last_active = MAX(COALESCE(last_active, 0), ?3) WHERE token = ?4"
)
_DRAINED = (
    "INSERT INTO drained (worker, quota, amount) VALUES (?1, ?2, ?3) "  # noqa: S608  # names of our own tables and columns
    f"ON CONFLICT (worker, quota) DO UPDATE SET amount = {_plus('amount', 'excluded.amount')}"
)
_MADE = "INSERT INTO made (name, deployment, token, at) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO NOTHING"
_READ_ON = "UPDATE segments SET position = ? WHERE segment = ? AND position = ?"
_READ_FIRST = _insert("segments", ("segment", "worker", "number", "position"))
_REJECTED = _insert("rejected_records", ("worker", "payload", "why"))


class _Caller:
    """Who calls: the row of callers, and the key (token, period of its budget) that pays, if there is one."""

    __slots__ = ("_money", "_present", "id", "token")

    def __init__(self, id_: int, principal: str, token: str | None, period: int) -> None:
        self.id, self.token = id_, token
        self._present = quota_name(principal, "money", period)
        self._money = quota_name(principal, "money")

    def is_past(self, reserved: tuple[Amount, ...]) -> bool:
        """Whether these were reserved in another period of the key's budget than the present one."""
        return any(name != self._present and name.startswith(self._money) for name, _ in reserved)


_CACHE = "PRAGMA cache_size=-16000"
"""KiB of pages that the writer keeps. (Who only reads keeps SQLite's own 2,000: there are several of them.)"""


class LedgerWriter:
    """Writes batches. Not thread-safe: the store lets one in at a time."""

    def __init__(self, engine: Engine) -> None:
        self._pooled = engine.raw_connection()
        self._connection: sqlite3.Connection = self._pooled.driver_connection  # type: ignore[assignment]  # this store's driver is sqlite3
        self._connection.execute(_CACHE).close()
        self._callers: dict[str, _Caller] = {}
        self._version = -1

    def close(self) -> None:
        """Give the connection back."""
        self._pooled.close()

    def commit(self, batch: Batch) -> None:
        """Write the batch: all of it, or, with an error, nothing."""
        try:
            self._transaction(batch, self._insert_calls)
        except _DOES_NOT_FIT:
            self._transaction(batch, self._insert_calls_one_by_one)

    def _transaction(self, batch: Batch, insert_calls: Any) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._look_again()
            self._read_on(batch)
            written = insert_calls(batch.calls, batch.pause)
            batch.pause()
            self._add_spend(written)
            self._connection.executemany(_MADE, [thing for call in written for thing in made_by(call)])
            self._connection.executemany(
                _DRAINED, [(*key, min(amount, _LARGEST)) for key, amount in batch.drained.items()]
            )
            self._keep_open_ends(batch)
            batch.pause()
            self._connection.execute("COMMIT")
        except BaseException:
            self._callers.clear()
            if self._connection.in_transaction:  # an error of the disk may have ended it already
                self._connection.execute("ROLLBACK")
            raise

    def _look_again(self) -> None:
        """Forget what is known of callers when another connection has written (a key may have changed hands)."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if version != self._version or len(self._callers) > _MOST_CALLERS:
            self._callers.clear()
            self._version = version

    def _read_on(self, batch: Batch) -> None:
        connection = self._connection
        for segment in batch.positions:
            if segment.before:
                done = connection.execute(_READ_ON, (segment.position, segment.segment, segment.before)).rowcount
            else:
                row = (segment.segment, segment.worker, segment.number, segment.position)
                done = connection.execute(_READ_FIRST + " ON CONFLICT (segment) DO NOTHING", row).rowcount
            if done != 1:
                raise AnotherReader(
                    f"the journal of worker {segment.worker} was read by another ledger on this database: "
                    "stop one of the two keepers"
                )

    def _keep_open_ends(self, batch: Batch) -> None:
        encode = msgspec.msgpack.encode
        connection = self._connection
        if batch.over:
            connection.executemany("DELETE FROM calls_under_way WHERE call_id = ?", [(name,) for name in batch.over])
        if batch.under_way:
            connection.executemany(_UNDER_WAY, [(call.call_id, call.worker, encode(call)) for call in batch.under_way])
        if batch.rejected:
            connection.executemany(_REJECTED, [(item.worker, item.payload, item.why) for item in batch.rejected])

    # -- calls --------------------------------------------------------------------------------------------------------

    def _insert_calls(self, calls: list[Call], pause: Callable[[], None] = no_pause) -> list[Call]:
        if not calls:
            return calls
        number = self._last_request()
        callers, known = self._callers, self._callers.get
        requests: list[tuple[Any, ...]] = []
        attempts: list[tuple[Any, ...]] = []
        for at, call in enumerate(calls):
            if not at % _AT_ONCE:
                pause()
            number += 1
            principal = call.principal
            caller = known(principal) or callers.setdefault(principal, self._caller(principal))
            requests.append(request_row(number, caller.id, call))
            attempts += attempt_rows(number, call)
        self._insert(_REQUEST, _REQUESTS, requests, pause)
        self._insert(_ATTEMPT, _ATTEMPTS, attempts, pause)
        return calls

    def _insert_calls_one_by_one(self, calls: list[Call], pause: Callable[[], None]) -> list[Call]:
        connection, written = self._connection, []
        for call in calls:
            connection.execute("SAVEPOINT one_call")
            try:
                self._insert_calls([self._under_a_free_id(call)])
                written.append(call)
            except _DOES_NOT_FIT as error:
                connection.execute("ROLLBACK TO one_call")
                payload = msgspec.msgpack.encode(call)
                connection.execute(_REJECTED, (call.worker, payload, f"{type(error).__name__}: {error}"))
            connection.execute("RELEASE one_call")
        return written

    def _under_a_free_id(self, call: Call) -> Call:
        taken = self._connection.execute("SELECT 1 FROM requests WHERE call_id = ?", (call.call_id,)).fetchone()
        if taken is None:
            return call
        return msgspec.structs.replace(call, call_id=f"{call.call_id}~{self._last_request() + 1}")

    def _last_request(self) -> int:
        (number,) = self._connection.execute("SELECT MAX(id) FROM requests").fetchone()
        return number or 0

    # -- who called, and what it cost ---------------------------------------------------------------------------------

    def _caller(self, principal: str) -> _Caller:
        connection = self._connection
        key = connection.execute(_KEY_THEN, (principal,)).fetchone()
        if key is None:
            heir = connection.execute("SELECT by_token FROM replaced_keys WHERE token = ?", (principal,)).fetchone()
            key = connection.execute(_KEY_THEN, heir).fetchone() if heir is not None else None
        owner = tuple(value or "" for value in key[1:5]) if key is not None else ("", "", "", "")
        found = connection.execute(_CALLER, (principal, *owner)).fetchone()
        if found is None:
            found = (connection.execute(_NEW_CALLER, (principal, *owner)).lastrowid,)
        return _Caller(found[0], principal, *((key[0], key[5]) if key is not None else (None, 0)))

    def _add_spend(self, calls: list[Call]) -> None:
        """Add what each call cost to the key that pays: to its present period, unless it was reserved in a past one."""
        sums: dict[str, list[int]] = {}
        for call in calls:
            caller = self._callers[call.principal]
            if caller.token is None:
                continue
            total = sums.get(caller.token)
            if total is None:
                total = sums[caller.token] = [0, 0, 0]
            total[2] = max(total[2], ended_at(call))
            for attempted in call.attempts:
                amount = cost_of(attempted.closed) if attempted.closed is not None else None
                if amount:
                    total[1] += amount
                    if not caller.is_past(attempted.opened.reserved):
                        total[0] += amount
        rows = [(min(now, _LARGEST), min(ever, _LARGEST), at, token) for token, (now, ever, at) in sums.items()]
        self._connection.executemany(_SPEND, rows)

    def _insert(
        self, statement: str, statement_of_many: str, rows: list[tuple[Any, ...]], pause: Callable[[], None]
    ) -> None:
        """Insert these rows, `_AT_ONCE` with a statement: a third cheaper than one by one."""
        whole = len(rows) - len(rows) % _AT_ONCE

        def chunks() -> Iterator[list[Any]]:
            for at in range(0, whole, _AT_ONCE):
                pause()
                yield list(chain.from_iterable(rows[at : at + _AT_ONCE]))

        self._connection.executemany(statement_of_many, chunks())
        self._connection.executemany(statement, rows[whole:])
