"""Checkpointer: carries what SQLite's log of writes holds into the database, beside the writer instead of within it.

Left alone, SQLite does this at the end of some commit, which then waits for the disk a second time: the slowest of a
hundred appends. A passive checkpoint disturbs nobody, but the log starts anew only if it ever gets all of it; so where
the log has grown long all the same, the writer is held up for once (`MOST_FRAMES`).
"""

from __future__ import annotations

import logging
import sqlite3
import threading

from sqlalchemy import Engine

EVERY = 1.0
"""Seconds between two checkpoints, while anything is written."""
MOST_FRAMES = 16_000
"""Pages (of 4 KiB) that the log may have before the writer has to wait."""
_log = logging.getLogger(__name__)


class Checkpointer:
    """A thread that begins with the first `written`, and ends with `close`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._written = threading.Event()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def written(self) -> None:
        """Something was. Called by the writer only."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="agents-store-checkpoints", daemon=True)
            self._thread.start()
        self._written.set()

    def close(self) -> None:
        """End. (The last connection that closes carries over the rest.)"""
        self._ending.set()
        self._written.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._ending.is_set():
            self._written.wait()
            if self._ending.wait(EVERY):
                return
            self._written.clear()
            try:
                self._checkpoint()
            except Exception:
                _log.exception("a checkpoint of the agents' store failed; the next one will do its work")

    def _checkpoint(self) -> None:
        with self._engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            _, frames, _ = driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if frames > MOST_FRAMES:
                driver.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
