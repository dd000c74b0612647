"""The shared count of requests, with real processes: no place is given twice, also when one is killed with -9."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from penstock.gateway.in_flight import InFlight

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is one worker only")


Make = Callable[..., InFlight]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes tables, and closes them."""
    made: list[InFlight] = []

    def one(workers: int, rows: int = 1000) -> InFlight:
        made.append(InFlight(workers, tmp_path, rows))
        return made[-1]

    yield one
    for each in made:
        each.close()


def forked(work: Callable[[], None]) -> int:
    """A process that does it; status 0 if it went well."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def ended_well(pids: list[int]) -> bool:
    return all(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0 for pid in pids)


def test_one_worker_sees_what_the_others_have(make: Make) -> None:
    counts = make(3)
    assert counts.take("d", 0, 2)

    def other() -> None:
        counts.worker = 2
        assert counts.count("d") == 1 and counts.count("e") == 0
        assert counts.take("d", 0, 2)
        assert not counts.take("d", 1, 2)
        counts.tell("e", 7)

    assert ended_well([forked(other)])
    assert counts.count("d") == 1 and counts.count("e") == 7
    assert not counts.take("d", 1, 2)
    counts.clear(2)
    assert counts.count("d") == counts.count("e") == 0
    assert counts.take("d", 1, 2)


def test_the_file_has_no_name(make: Make, tmp_path: Path) -> None:
    make(2).take("d", 0, 1)
    assert not list(tmp_path.iterdir())


def test_many_processes_never_have_more_than_there_are_places(make: Make) -> None:
    """Each marks what it holds in another table, and counts the marks of all whenever it has got a place."""
    most, workers, turns = 3, 6, 1500
    counts = make(workers)
    marks = make(workers)

    def work(worker: int) -> None:
        counts.worker = marks.worker = worker
        chance, had = random.Random(worker), 0
        for _ in range(turns):
            if counts.take("d", 0, most):
                marks.tell("held", 1)
                assert marks.count("held") + 1 <= most
                had += 1
                if chance.random() < 0.1:
                    time.sleep(0.0002)
                marks.tell("held", 0)
                counts.tell("d", 0)
        assert had

    assert ended_well([forked(lambda worker=worker: work(worker)) for worker in range(1, workers + 1)])  # type: ignore[misc]
    assert counts.count("d") == 0


def test_rows_of_different_deployments_are_found_by_all(make: Make) -> None:
    workers, names = 4, [f"deployment-{number}" for number in range(200)]
    counts = make(workers)

    def work(worker: int) -> None:
        counts.worker = worker
        mixed = names[:]
        random.Random(worker).shuffle(mixed)
        for name in mixed:
            counts.tell(name, worker)

    assert ended_well([forked(lambda worker=worker: work(worker)) for worker in range(2, workers + 1)])  # type: ignore[misc]
    assert {counts.count(name) for name in names} == {2 + 3 + 4}


def test_who_is_killed_while_it_holds_the_lock_stops_nobody(make: Make) -> None:
    counts = make(2)
    counts.tell("d", 0)
    reader, writer = os.pipe()

    def holds() -> None:
        counts.worker = 2
        with counts._locked():
            os.write(writer, b".")
            time.sleep(60)

    pid = forked(holds)
    os.read(reader, 1)
    os.kill(pid, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    assert counts.take("d", 0, 1)
    os.close(reader)
    os.close(writer)


def test_without_room_for_a_row_workers_count_by_themselves(make: Make) -> None:
    counts = make(2, rows=2)
    assert counts.take("a", 0, 1) and counts.take("b", 0, 1)
    assert counts.take("c", 0, 1) and not counts.take("c", 1, 1)
    assert counts.count("c") == 0
    counts.tell("c", 1)
    assert not counts.take("a", 1, 1), "who has a row keeps it"
