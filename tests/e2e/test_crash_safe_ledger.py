"""Real processes, real SIGKILL: writers and the keeper's drain die again and again at random instants. At the end each
call that a writer had acknowledged has exactly one row, one row for each attempt, and the money adds up to the last
picodollar; and what a kill cut off is there as well, once, as interrupted.

PENSTOCK_TEST_SEED repeats a run's choices, PENSTOCK_TEST_KILLS makes it longer.
"""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from penstock.control.ledger import Ledger
from penstock.control.store.sqlite import open_sqlite
from tests.contract.store import key
from tests.e2e.ledger_crowd import RESERVED, TOKEN
from tests.support.needs import REPOSITORY

KILLS = int(os.environ.get("PENSTOCK_TEST_KILLS", "300"))
SEED = int(os.environ.get("PENSTOCK_TEST_SEED") or random.randrange(10**6))


class Done(NamedTuple):
    """What a writer acknowledged of one call."""

    attempts: int
    cost: int


class Crowd:
    """Writers and a keeper, children of a nursery."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.database, self.journals = folder, folder / "penstock.db", folder / "journals"
        (folder / "said").mkdir()
        store = open_sqlite(self.database)
        store.add_key(key(TOKEN, max_budget=10**15))
        store.close()
        arguments = [sys.executable, "-m", "tests.e2e.ledger_crowd", str(folder)]
        self.nursery = subprocess.Popen(
            arguments, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def ask(self, *words: object) -> int:
        assert self.nursery.stdin is not None
        assert self.nursery.stdout is not None
        print(*words, file=self.nursery.stdin, flush=True)
        return int(self.nursery.stdout.readline())

    def kill(self, pid: int) -> None:
        assert self.ask("kill", pid) == -signal.SIGKILL, "it had ended by itself"

    def close(self) -> None:
        os.killpg(self.nursery.pid, signal.SIGKILL)
        self.nursery.communicate()

    def told(self) -> tuple[set[str], dict[str, Done]]:
        """The calls that were begun, and those that were done. The last line may be cut."""
        begun, done = set[str](), dict[str, Done]()
        for path in (self.folder / "said").iterdir():
            for line in path.read_text().split("\n")[:-1]:
                word, call, *numbers = line.split(" ")
                if word == "begun":
                    begun.add(call)
                else:
                    done[call] = Done(int(numbers[0]), int(numbers[1]))
        return begun, done


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Crowd]:
    made = Crowd(tmp_path)
    yield made
    made.close()


def test_no_row_is_lost_and_none_is_doubled(crowd: Crowd) -> None:
    chance = random.Random(SEED)
    writers = [crowd.ask("writer", SEED + number, 400) for number in range(3)]
    keeper = crowd.ask("keeper", 500)
    for number in range(KILLS):
        time.sleep(chance.expovariate(1 / 0.03))
        if chance.random() < 0.6:
            crowd.kill(keeper)
            keeper = crowd.ask("keeper", chance.choice([20, 500, 4000]))
        else:
            crowd.kill(writers.pop(chance.randrange(len(writers))))
            writers.append(crowd.ask("writer", SEED + 3 + number, chance.choice([400, 400, 20_000])))
    for pid in [*writers, keeper]:
        crowd.kill(pid)
    assert_exact(crowd)


def test_a_writer_that_is_killed_in_a_write_leaves_only_a_tail(crowd: Crowd) -> None:
    """Records of up to a megabyte: a kill finds the writer in the middle of one."""
    for number in range(12):
        writer = crowd.ask("writer", SEED + number, 1_000_000)
        time.sleep(random.Random(SEED + number).random() / 20)
        crowd.kill(writer)
    assert_exact(crowd)


def assert_exact(crowd: Crowd) -> None:
    """Read what is left, and compare all with what the writers said."""
    store = open_sqlite(crowd.database)
    ledger = Ledger(store, crowd.journals)
    ledger.drain()
    assert ledger.stats().damaged == ledger.stats().rejected == 0
    ledger.close()
    assert (store.calls_under_way(), store.positions(), store.rejected()) == ([], [], [])
    store.close()
    assert {path.name for path in crowd.journals.iterdir() if not path.name.startswith(".new-")} == {".reader"}
    begun, done = crowd.told()
    assert done, f"the writers wrote (PENSTOCK_TEST_SEED={SEED})"
    compare(crowd.database, begun, done)


def compare(database: Path, begun: set[str], done: dict[str, Done]) -> None:
    connection = sqlite3.connect(database)
    requests = connection.execute("SELECT id, call_id, attempts, cost, outcome FROM requests").fetchall()
    attempts = connection.execute("SELECT request, cost, outcome FROM attempts").fetchall()
    spend, total = connection.execute("SELECT spend, total_spend FROM keys").fetchone()
    connection.close()

    rows = {call: (number, tried, cost or 0, outcome) for number, call, tried, cost, outcome in requests}
    assert len(rows) == len(requests), "no call has two rows"
    assert set(done) <= set(rows), "each call that was acknowledged has one"
    assert set(rows) <= begun, "and there is no other"
    counted = Counter(request for request, *_ in attempts)
    assert {number: tried for number, tried, *_ in rows.values() if tried} == dict(counted), "one row an attempt"
    assert [call for call, said in done.items() if rows[call][1:3] != tuple(said)] == [], "it says what the writer said"

    cut = [row for call, row in rows.items() if call not in done]
    interrupted = [cost for _, cost, outcome in attempts if outcome == "interrupted"]
    assert set(interrupted) <= {RESERVED}, "what may have been billed counts as it was reserved"
    assert sum(outcome == "interrupted" for *_, outcome in cut) >= len(interrupted)
    assert spend == total == sum(cost for _, _, cost, _ in rows.values())
    assert spend == sum(said.cost for said in done.values()) + sum(cost for _, _, cost, _ in cut)
