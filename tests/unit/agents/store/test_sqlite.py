"""SQLite passes the contract; and what is its own: the file, other processes, kill -9, and that commits are shared."""

import random
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import wait
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import event, text

import penstock.agents.store.migrate as migration
from penstock.agents.errors import StoreError
from penstock.agents.events import Text
from penstock.agents.store.base import AgentStore
from penstock.agents.store.checkpoints import Checkpointer
from penstock.agents.store.migrate import migrate
from penstock.agents.store.sqlite import open_sqlite, sqlite_engine
from penstock.agents.store.tables import metadata
from tests.contract.agents_store.contract import AgentStoreContract, check_log, texts
from tests.support.agents import NOON, new_session
from tests.support.needs import REPOSITORY


class TestSqlite(AgentStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[AgentStore]:
        made = open_sqlite(tmp_path / "agents.db")
        yield made
        made.close()


def test_what_was_written_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path / "a.db")
    session = store.add_session(new_session())
    store.append(session.id, [Text("a")], at=NOON)
    store.close()
    again = open_sqlite(tmp_path / "a.db")
    assert texts(again, session) == ["a"]
    assert again.session(session.id) == check_log(again, session.id)
    again.close()


def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    open_sqlite(tmp_path / "own.db").close()
    assert stat.S_IMODE((tmp_path / "own.db").stat().st_mode) == 0o600


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path / "a.db")
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.add_session(new_session())


def test_what_was_handed_in_is_written_before_it_closes(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path / "a.db")
    session = store.add_session(new_session())
    futures = [store.append_soon(session.id, [Text(str(n))], at=NOON) for n in range(300)]
    store.close()
    assert all(future.done() for future in futures)
    again = open_sqlite(tmp_path / "a.db")
    assert texts(again, session) == [str(n) for n in range(300)]
    again.close()


def test_many_appends_share_a_commit(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path / "a.db")
    made = [store.add_session(new_session()) for _ in range(50)]
    commits: list[object] = []
    event.listen(store._engine, "commit", commits.append)
    futures = [store.append_soon(each.id, [Text(str(n))], at=NOON) for n in range(20) for each in made]
    wait(futures)
    assert len(commits) < len(futures) / 4
    for each in made:
        assert texts(store, each) == [str(n) for n in range(20)]
    store.close()


def test_a_commit_that_fails_fails_all_that_was_in_it_and_the_next_succeeds(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path / "a.db")
    session = store.add_session(new_session())

    disk = ["full"]

    def full(_: object) -> None:
        if disk:
            raise OSError(f"no space left on device {disk.pop()}")

    event.listen(store._engine, "commit", full)
    with pytest.raises(StoreError, match="nothing was written: no space left"):
        store.append(session.id, [Text("lost")], at=NOON)
    store.append(session.id, [Text("kept")], at=NOON)
    assert texts(store, session) == ["kept"]
    check_log(store, session.id)
    store.close()


def test_a_listener_that_fails_harms_nobody(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path / "a.db")

    def broken(_: object) -> None:
        raise RuntimeError("no")

    store.listen(broken)
    session = store.add_session(new_session())
    assert store.append(session.id, [Text("a")], at=NOON).session.last_event == 2
    store.close()


def test_checkpoints_keep_the_log_of_writes_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.agents.store.checkpoints.MOST_FRAMES", 10)
    store = open_sqlite(tmp_path / "a.db")
    session = store.add_session(new_session())
    for number in range(30):
        store.append(session.id, [Text("x" * 10_000 + str(number))], at=NOON)
    Checkpointer(store._engine)._checkpoint()
    before = (tmp_path / "a.db-wal").stat().st_size
    store.append(session.id, [Text("after")], at=NOON)
    assert (tmp_path / "a.db-wal").stat().st_size == before, "it begins anew"
    check_log(store, session.id)
    store.close()


# -- migrations -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [True, False], ids=["step by step", "at once"])
def test_the_tables_are_those_that_the_code_knows(tmp_path: Path, begun: bool) -> None:
    engine = sqlite_engine(tmp_path / "new.db")
    if begun:
        with engine.connect().execution_options(writes=True) as connection, connection.begin():
            connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
    migrate(engine, tmp_path / "lock")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == migration.NEWEST
    engine.dispose()


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    engine = sqlite_engine(tmp_path / "newer.db")
    migrate(engine, tmp_path / "lock")
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(StoreError, match="newer version of Penstock"):
        open_sqlite(tmp_path / "newer.db")


# -- other processes, and kill -9 -------------------------------------------------------------------------------------

WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from penstock.agents.events import Text
from penstock.agents.log import Source
from penstock.agents.store.sqlite import open_sqlite

store = open_sqlite(Path(sys.argv[1]))
sessions, most = sys.argv[3:], int(sys.argv[2])
said = [store.produced(session, "writer") for session in sessions]  # a producer that was killed asks where it was ...
said = [max(number - 2, 0) for number in said]                      # ... or, unsure, begins a little before
while min(said) < most:
    futures = []
    for at, session in enumerate(sessions):
        drafts = [Text(f"{session} {said[at] + n}") for n in (1, 2)]
        futures.append(store.append_soon(session, drafts, at=datetime.now(UTC), source=Source("writer", said[at] + 1)))
    for at, future in enumerate(futures):
        future.result()
        said[at] += 2
        print(at, said[at], flush=True)
store.close()
"""


def writer(path: Path, most: int, sessions: list[str]) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITER, str(path), str(most), *sessions]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)


def test_kill_9_of_a_writer_at_random_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """What was acknowledged is there, once, whenever the writer died; and its successor goes on from there."""
    path, chance = tmp_path / "killed.db", random.Random(7)
    store = open_sqlite(path)
    made = [store.add_session(new_session()) for _ in range(8)]
    acknowledged = [0] * len(made)
    for _ in range(8):
        process = writer(path, 10**9, [each.id for each in made])
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(chance.random() * 0.3)
        process.send_signal(signal.SIGKILL)
        with process:
            lines = [first, *process.stdout]
        for line in (each for each in lines if each.endswith("\n")):
            at, number = map(int, line.split())
            acknowledged[at] = max(acknowledged[at], number)
        for at, session in enumerate(made):
            last = check_log(store, session.id).last_event - 1
            assert last >= acknowledged[at] > 0
            assert store.produced(session.id, "writer") == last
            assert texts_of(store, session.id) == [f"{session.id} {number}" for number in range(1, last + 1)]
    store.close()


def texts_of(store: AgentStore, id_: str) -> list[str]:
    return [each.event.data.text for each in store.events(id_, limit=10**6, kinds=["text"])]  # type: ignore[union-attr]


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "two.db"
    store = open_sqlite(path)
    mine, theirs = (store.add_session(new_session()) for _ in range(2))
    before = store.generation()
    process = writer(path, 200, [theirs.id])
    for number in range(200):
        store.append(mine.id, [Text(str(number))], at=NOON)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert store.generation() != before
    assert check_log(store, mine.id).last_event == check_log(store, theirs.id).last_event == 201
    store.close()
