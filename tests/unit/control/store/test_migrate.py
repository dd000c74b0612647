"""Migrations: from nothing to the tables of this version, once, by whoever is first, and never back."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

import penstock.control.store.migrate as under_test
from penstock.control.store.base import KeyFilter, StoreError
from penstock.control.store.migrate import migrate
from penstock.control.store.sqlite import open_sqlite, sqlite_engine
from penstock.control.store.tables import metadata
from tests.contract.store import key

STEPPED = "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"
"""What makes a database that is not empty, and at no step: so all of them are taken."""


@pytest.mark.parametrize("begun", [True, False], ids=["step by step", "at once"])
def test_the_tables_are_those_that_the_code_knows(tmp_path: Path, begun: bool) -> None:
    engine = sqlite_engine(tmp_path / "new.db")
    if begun:
        with engine.connect().execution_options(writes=True) as connection, connection.begin():
            connection.execute(text(STEPPED))
    migrate(engine, tmp_path / "lock")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == under_test.NEWEST
        assert {"keys", "requests", "attempts", "alembic_version"} <= set(inspect(connection).get_table_names())
    engine.dispose()


def test_a_database_that_is_up_to_date_is_opened_without_alembic(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from penstock.control.store.sqlite import open_sqlite\n"
        "open_sqlite(Path(sys.argv[1])).close(); assert 'alembic' not in sys.modules"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "p.db")], check=True)


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path / "p.db")
    store.add_key(key())
    store.close()
    again = open_sqlite(tmp_path / "p.db")
    assert again.keys(KeyFilter()).rows == [key()]
    again.close()


def test_a_database_of_the_first_version_keeps_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "first.db"
    open_sqlite(path).close()
    engine = sqlite_engine(path)
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        connection.execute(text("DROP TABLE made"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
        connection.execute(text("INSERT INTO configs VALUES (1, 'a: 1', 0, 'me')"))
    engine.dispose()
    store = open_sqlite(path)
    assert [each.text for each in store.configs()] == ["a: 1"]
    assert store.made("nothing") is None
    store.close()


def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    engine = sqlite_engine(tmp_path / "newer.db")
    migrate(engine, tmp_path / "lock")
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    before = (tmp_path / "newer.db").read_bytes()
    with pytest.raises(StoreError, match="newer version of Penstock"):
        open_sqlite(tmp_path / "newer.db")
    assert (tmp_path / "newer.db").read_bytes() == before


def test_a_step_that_fails_leaves_no_half_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = tmp_path / "migrations"
    (scripts / "versions").mkdir(parents=True)
    shipped = Path(under_test.__file__).parent / "migrations"
    (scripts / "env.py").write_text((shipped / "env.py").read_text())
    (scripts / "versions" / "v1.py").write_text(
        "from alembic import op\nrevision, down_revision = 'v1', None\n"
        "def upgrade():\n    op.execute('CREATE TABLE half (id INTEGER)')\n    op.execute('no SQL')\n"
    )
    monkeypatch.setattr(under_test, "_SCRIPTS", scripts)
    engine = sqlite_engine(tmp_path / "half.db")
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        connection.execute(text(STEPPED))
    with pytest.raises(Exception, match="syntax error"):
        migrate(engine, tmp_path / "lock")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    engine.dispose()


def test_many_processes_that_start_at_once_migrate_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from penstock.control.store.sqlite import open_sqlite\n"
        "open_sqlite(Path(sys.argv[1])).close()"
    )
    path = str(tmp_path / "p.db")
    started = [subprocess.Popen([sys.executable, "-c", code, path], stderr=subprocess.PIPE) for _ in range(4)]
    assert [(process.communicate()[1], process.returncode) for process in started] == [(b"", 0)] * 4
