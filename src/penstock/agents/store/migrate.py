"""Brings a database to the tables of this version: forward only, all steps in one transaction, one process at a time.

The steps are Alembic's, in migrations/versions; they travel in the wheel. A database that a newer version of Penstock
has written is refused, and stays as it is: going back would lose what the newer one keeps in it.

A database that is up to date, or empty, needs no step, and Alembic takes half a second to import: a server that takes
the place of a dead one does without it. (A test holds the tables of an empty database to what the steps make.)
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from penstock.agents.errors import StoreError
from penstock.agents.store.tables import metadata

NEWEST = "0001"
"""The revision of the last step."""
_SCRIPTS = Path(__file__).parent / "migrations"


def migrate(engine: Engine, lock: Path) -> None:
    """Bring this database to the newest tables. `lock` is the file by which processes wait for each other.

    Raises StoreError where the database is newer than this version of Penstock.
    """
    with _locked(lock), engine.connect().execution_options(writes=True) as connection, connection.begin():
        tables = inspect(connection).get_table_names()
        if not tables:
            _make(connection)
        elif _revision(connection, tables) != NEWEST:
            _step(connection)


def _make(connection: Connection) -> None:
    """All tables, in an empty database."""
    metadata.create_all(connection)
    connection.execute(
        text(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
            "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(text("INSERT INTO alembic_version VALUES (:newest)"), {"newest": NEWEST})


def _revision(connection: Connection, tables: list[str]) -> str | None:
    if "alembic_version" not in tables:
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def _step(connection: Connection) -> None:
    """The steps that are missing. Raises StoreError."""
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in {script.revision for script in scripts.walk_revisions()}:
        raise StoreError(
            f"the database was written by a newer version of Penstock (its tables are at {found!r}, this version "
            f"knows them up to {NEWEST!r}): install that version, or give this one another state directory"
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)
