"""SQLite passes the contract of stores; and what is its own: the file, and what another process may do with it."""

import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.control.store.base import Batch, SpendQuery, Store
from penstock.control.store.sqlite import open_sqlite
from tests.contract.store import TOKEN, StoreContract, call, key


class TestSqlite(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        made = open_sqlite(tmp_path / "penstock.db")
        yield made
        made.close()

    def test_what_was_written_is_there_when_it_is_opened_again(self, tmp_path: Path) -> None:
        store = open_sqlite(tmp_path / "again.db")
        store.add_key(key())
        store.commit(Batch(calls=[call(cost=3)]))
        store.close()
        again = open_sqlite(tmp_path / "again.db")
        found = again.key(TOKEN)
        assert found is not None
        assert (found.spend, again.requests(SpendQuery()).total) == (3, 1)
        again.close()

    def test_only_the_owner_may_read_the_file(self, tmp_path: Path) -> None:
        open_sqlite(tmp_path / "own.db").close()
        assert stat.S_IMODE((tmp_path / "own.db").stat().st_mode) == 0o600

    def test_any_name_of_a_folder_will_do(self, tmp_path: Path) -> None:
        folder = tmp_path / "50% off? & more #1"
        folder.mkdir()
        open_sqlite(folder / "p.db").close()
        assert (folder / "p.db").stat().st_size > 0

    def test_a_key_that_another_process_changed_is_seen_by_the_ledger(self, tmp_path: Path) -> None:
        store = open_sqlite(tmp_path / "two.db")
        store.add_key(key(user_id="before"))
        store.commit(Batch(calls=[call("1")]))
        code = (
            "import sys; from pathlib import Path; from penstock.control.store.sqlite import open_sqlite\n"
            "store = open_sqlite(Path(sys.argv[1]))\n"
            "store.change_key(sys.argv[2], {'user_id': 'after'}, at=1.0, by=None)\n"
            "store.close()"
        )
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "two.db"), TOKEN], check=True)
        store.commit(Batch(calls=[call("2")]))
        assert [row["request_id"] for row in store.requests(SpendQuery(user_id="after")).rows] == ["2"]
        store.close()
