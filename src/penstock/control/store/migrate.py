"""Brings a database to the tables of this version: forward only, all steps in one transaction, one process at a time.

The steps are Alembic's, in migrations/versions; they travel in the wheel. A database that a newer version of Penstock
has written is refused, and stays as it is: going back would lose what the newer one keeps in it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from penstock.control.store.base import StoreError

_SCRIPTS = Path(__file__).parent / "migrations"


def migrate(engine: Engine, lock: Path) -> None:
    """Bring this database to the newest tables. `lock` is the file by which processes wait for each other.

    Raises StoreError where the database is newer than this version of Penstock.
    """
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    with _locked(lock), engine.connect().execution_options(writes=True) as connection, connection.begin():
        found = MigrationContext.configure(connection).get_current_revision()
        if found == scripts.get_current_head():
            return
        if found is not None and found not in {script.revision for script in scripts.walk_revisions()}:
            raise StoreError(
                f"the database was written by a newer version of Penstock (its tables are at {found!r}, this version "
                f"knows them up to {scripts.get_current_head()!r}): install that version, or give this one another "
                "state directory"
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
