"""Writer: one thread that writes for everybody, so that many writes share one commit.

A commit costs a wait for the disk, whatever is in it. While one is under way, more jobs come in, and the next commit
takes them all: the more is written, the more cheaply. Each job runs within a savepoint, so that one which fails leaves
no trace and does no harm to its neighbours; whoever handed it in gets its error. A job's future is done when its commit
is durable, not before.

Jobs say which logs they have grown (`Transaction.grew`); after the commit a listener hears of it.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from penstock.agents.errors import AgentsError, StoreError

T = TypeVar("T")
MOST_JOBS = 512
"""Of one commit: what is written is not to wait for long because much else is."""
_log = logging.getLogger(__name__)


class Transaction:
    """What a job has to work with: SQLAlchemy's connection, the driver's (for what runs thousands of times a second),
    and the sessions whose logs have grown.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        self.driver = driver
        self._grown: dict[str, int] = {}

    def grew(self, session: str, last_event: int) -> None:
        """Say after the commit that this session's log goes so far now."""
        self._grown[session] = last_event

    @property
    def grown(self) -> Mapping[str, int]:
        """What was said."""
        return self._grown


Job = Callable[[Transaction], T]
_Waiting = tuple[Job[Any], "Future[Any]"]


class Writer:
    """Runs jobs in the order in which they come."""

    def __init__(self, engine: Engine, committed: Callable[[], None]) -> None:
        self._engine = engine
        self._committed = committed
        self._jobs: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self.listener: Callable[[Mapping[str, int]], None] | None = None

    def submit(self, job: Job[T]) -> Future[T]:
        """Run it soon. Raises StoreError after `close`."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise StoreError("the store is closed", fix="open it again")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="agents-store", daemon=True)
                self._thread.start()
            self._jobs.put((job, future))
        return future

    def run(self, job: Job[T]) -> T:
        """Run it, and wait until it is durable."""
        return self.submit(job).result()

    def close(self) -> None:
        """Write what was handed in, and end."""
        with self._lock:
            self._closed = True
            thread, self._thread = self._thread, None
        if thread is not None:
            self._jobs.put(None)
            thread.join()

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        going = True
        while going:  # once, and again with a new connection after each commit that failed
            with self._engine.connect().execution_options(writes=True) as connection:
                connection.exec_driver_sql("PRAGMA wal_autocheckpoint=0")  # checkpoints.py does it
                connection.rollback()
                going = self._write_all(connection)

    def _write_all(self, connection: Connection) -> bool:
        """Write until the end (False), or until a commit fails (True)."""
        going = True
        while going:
            batch, going = self._batch()
            if batch and not self._write(connection, batch):
                connection.invalidate()  # what SQLite has left of the transaction goes with it
                return going
        return False

    def _batch(self) -> tuple[list[_Waiting], bool]:
        """What waits, and whether there may be more: at least one job, or the end."""
        batch: list[_Waiting] = []
        job = self._jobs.get()
        while job is not None:
            if job[1].set_running_or_notify_cancel():
                batch.append(job)
            if len(batch) == MOST_JOBS or self._jobs.empty():
                return batch, True
            job = self._jobs.get()
        return batch, False

    def _write(self, connection: Connection, batch: list[_Waiting]) -> bool:
        """Write a batch, and tell everybody; returns whether it was written."""
        failure: StoreError | None = None
        outcomes: list[Any] = []
        try:
            with connection.begin():
                transaction = Transaction(connection)
                outcomes = [_outcome(transaction, job) for job, _ in batch]
        except Exception as error:
            failure = StoreError(f"nothing was written: {error}", fix="see whether the disk is full")
            failure.__cause__ = error
            _log.exception("a commit of the agents' store failed")
            outcomes = [_Failed(failure)] * len(batch)
        else:
            self._committed()
            self._tell(transaction.grown)
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, _Failed):
                future.set_exception(outcome.error)
            else:
                future.set_result(outcome)
        return failure is None

    def _tell(self, grown: Mapping[str, int]) -> None:
        listener = self.listener
        if listener is None or not grown:
            return
        try:
            listener(grown)
        except Exception:
            _log.exception("who listens to the agents' store failed")


class _Failed:
    """A job's own error."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _outcome(transaction: Transaction, job: Job[Any]) -> Any:
    """What a job returns, or how it failed, with nothing of it written then."""
    transaction.driver.execute("SAVEPOINT job")
    try:
        outcome = job(transaction)
    except Exception as error:
        transaction.driver.execute("ROLLBACK TO job")
        transaction.driver.execute("RELEASE job")
        if not isinstance(error, AgentsError | ValueError):
            _log.exception("a write into the agents' store failed")
        return _Failed(error)
    transaction.driver.execute("RELEASE job")
    return outcome
