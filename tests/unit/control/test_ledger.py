"""The ledger: what journals say becomes rows, once; the dead are found, and what they had begun is ended for them."""

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec import Struct

from penstock.control import ledger as under_test
from penstock.control.journals import WorkerJournal
from penstock.control.ledger import Ledger, LedgerTaken
from penstock.control.store.base import Batch, SpendQuery, Store, StoreError
from penstock.control.store.sqlite import open_sqlite
from penstock.gateway.journal import PREFACE, Journal, read_frames
from penstock.gateway.records import Closed, Ended, Opened
from penstock.types.usage import Usage
from tests.contract.store import NOON, TOKEN, key

QUOTA = f"key:{TOKEN}:money:1"


def opened(call: str, attempt: int = 1, reserved: int = 50) -> Opened:
    return Opened(
        call,
        attempt,
        NOON + attempt,
        NOON,
        TOKEN,
        "chat",
        "/v1/x",
        "m",
        "g",
        "d1",
        "p",
        "m",
        False,
        ((QUOTA, reserved),),
    )


def closed(call: str, attempt: int = 1, cost: int = 7, last: bool = True) -> Closed:
    return Closed(
        call, attempt, NOON + 5, None, 200, "success" if last else "failure", usage=Usage(total_tokens=3), cost=cost,
        settled=((QUOTA, cost),), last=last,
    )  # fmt: skip


def ended(call: str, attempts: int = 0) -> Ended:
    return Ended(call, NOON + 6, NOON, TOKEN, "chat", "/v1/x", "m", "g", attempts, 429, "failure", "rate_limit", "no")


class Told:
    """What the ledger told."""

    def __init__(self) -> None:
        self.drained: dict[str, int] = {}
        self.gone: list[str] = []

    def on_drained(self, worker: str, amounts: Any) -> None:
        for quota, amount in amounts:
            assert quota == QUOTA
            self.drained[worker] = self.drained.get(worker, 0) + amount


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_sqlite(tmp_path / "penstock.db")
    made.add_key(key(max_budget=10**12))
    yield made
    made.close()


@pytest.fixture
def journals(tmp_path: Path) -> Path:
    return tmp_path / "journals"


def make(store: Store, journals: Path, told: Told, **options: Any) -> Ledger:
    return Ledger(
        store, journals, drained=told.on_drained, worker_gone=told.gone.append, clock=lambda: NOON + 99, **options
    )


@pytest.fixture
def ledger(store: Store, journals: Path, told: Told) -> Iterator[Ledger]:
    made = make(store, journals, told)
    yield made
    made.close()


def rows(store: Store) -> dict[str, dict[str, Any]]:
    return {row["request_id"]: row for row in store.requests(SpendQuery(), size=10_000).rows}


def spend(store: Store) -> int:
    found = store.key(TOKEN)
    assert found is not None
    return found.spend


def test_a_call_becomes_a_row_when_it_is_over(store: Store, journals: Path, ledger: Ledger, told: Told) -> None:
    with Journal(journals, "w") as journal:
        journal.opened(opened("1"))
        assert ledger.drain() == 1
        assert rows(store) == {}
        assert [call.call_id for call in store.calls_under_way()] == ["1"]
        journal.closed(closed("1"))
        assert ledger.drain() == 1
        assert rows(store)["1"]["status"] == "success"
        assert store.calls_under_way() == []
        assert (spend(store), told.drained, told.gone) == (7, {"w": 7}, [])
        assert ledger.drain() == 0
        assert ledger.stats().calls == 1


def test_attempts_and_the_end_of_a_call_come_together(store: Store, journals: Path, ledger: Ledger) -> None:
    with Journal(journals, "w") as journal:
        journal.opened(opened("1", 1))
        journal.closed(closed("1", 1, cost=2, last=False))
        ledger.drain()
        journal.opened(opened("1", 2))
        journal.closed(closed("1", 2, cost=3, last=False))
        ledger.drain()
        assert rows(store) == {}
        journal.ended(ended("1", 2))
        journal.ended(ended("2"))
        ledger.drain()
    found = rows(store)
    assert [attempt["attempt"] for attempt in found["1"]["metadata"]["attempts"]] == [1, 2]
    assert (found["1"]["status"], found["1"]["metadata"]["cost"]) == ("failure", "0.000000000005")
    assert found["2"]["metadata"]["attempts"] == []
    assert spend(store) == 5


def test_what_a_dead_worker_had_begun_is_ended_for_it(store: Store, journals: Path, ledger: Ledger, told: Told) -> None:
    journal = Journal(journals, "w")
    journal.opened(opened("whole"))
    journal.closed(closed("whole"))
    journal.opened(opened("cut", reserved=50))
    journal.opened(opened("between"))
    journal.closed(closed("between", cost=1, last=False))
    ledger.drain()
    assert ledger.live_workers() == ["w"]
    journal.close()  # all that the ledger sees of a death: nobody holds the lock
    assert ledger.live_workers() == []
    ledger.drain()
    found = rows(store)
    cut, between = found["cut"]["metadata"], found["between"]["metadata"]
    assert (cut["outcome"], cut["cost"], cut["estimated"]) == ("interrupted", "0.00000000005", True)
    assert "may have been billed" in cut["error_information"]["error_message"]
    assert [attempt["outcome"] for attempt in cut["attempts"]] == ["interrupted"]
    assert (between["outcome"], between["cost"], between["estimated"]) == ("interrupted", "0.000000000001", False)
    assert [attempt["outcome"] for attempt in between["attempts"]] == ["failure"]
    assert (spend(store), told.drained, told.gone) == (58, {"w": 58}, ["w"])
    assert not (journals / "w").exists()
    assert store.positions() == []
    assert store.drained_of("w") == {}


def test_what_a_call_left_open_at_its_end_counts_as_reserved(store: Store, journals: Path, ledger: Ledger) -> None:
    with Journal(journals, "w") as journal:
        journal.opened(opened("1"))
        journal.ended(ended("1", 1))
        ledger.drain()
    (attempt,) = rows(store)["1"]["metadata"]["attempts"]
    assert (attempt["outcome"], spend(store)) == ("interrupted", 50)


def test_segments_go_when_they_are_read_and_have_a_successor(store: Store, journals: Path, ledger: Ledger) -> None:
    with Journal(journals, "w", segment_size=4096) as journal:
        for number in range(100):
            journal.opened(opened(f"{number}"))
            journal.closed(closed(f"{number}"))
        assert journal.segments > 5
        ledger.drain()
        assert [path.name for path in sorted(journal.directory.glob("*.journal"))] == [
            f"{journal.segments:010d}.journal"
        ]
        assert len(store.positions()) == 1
        assert len(rows(store)) == 100
    ledger.drain()
    assert sorted(path.name for path in journals.iterdir()) == [".reader"]


@pytest.mark.parametrize("batch", [1, 3, 4000])
def test_many_workers_in_batches_of_any_size(store: Store, journals: Path, told: Told, batch: int) -> None:
    ledger = make(store, journals, told, batch=batch)
    writers = [Journal(journals, f"w{number}", segment_size=8192) for number in range(3)]
    for number in range(300):
        writers[number % 3].opened(opened(f"{number}"))
    ledger.drain()
    for number in range(300):
        writers[number % 3].closed(closed(f"{number}", cost=number))
    ledger.close()
    assert len(rows(store)) == 300
    assert spend(store) == sum(range(300)) == sum(told.drained.values())
    for writer in writers:
        writer.close()


def test_a_drain_ends_although_workers_write_on(
    store: Store, journals: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under load there is always something new; who asks for what was there is not kept waiting for it."""
    with Journal(journals, "w") as journal:
        commit, calls = store.commit, iter(range(50))

        def writes_on(batch: Batch) -> None:
            commit(batch)
            journal.ended(ended(f"more {next(calls)}"))

        monkeypatch.setattr(store, "commit", writes_on)
        journal.ended(ended("first"))
        assert ledger.drain() == 1
        assert set(rows(store)) == {"first"}
        monkeypatch.undo()


# -- a keeper that dies -----------------------------------------------------------------------------------------------


class Killed(BaseException):
    pass


@pytest.mark.parametrize("place", ["commit", "committed", "remove", "removed", "forget"])
def test_the_next_keeper_goes_on_where_one_was_killed(
    store: Store, journals: Path, told: Told, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """At each step between reading and forgetting: no row is lost, and none is doubled."""

    def dies(before: Any, after: Any) -> Any:
        def method(*arguments: Any) -> Any:
            if before:
                raise Killed
            after(*arguments)
            raise Killed

        return method

    journal = Journal(journals, "w", segment_size=4096)
    for number in range(30):
        journal.opened(opened(f"{number}"))
        if number % 10:
            journal.closed(closed(f"{number}"))
    journal.close()
    first = make(store, journals, told)
    with monkeypatch.context() as patched:
        target: Any = store if place in ("commit", "committed", "forget") else WorkerJournal
        name = {"committed": "commit", "removed": "remove", "forget": "forget_worker"}.get(place, place)
        patched.setattr(target, name, dies(place in ("commit", "remove", "forget"), getattr(target, name)))
        with pytest.raises(Killed):
            first.drain()
    os.close(first._lock)

    second = make(store, journals, told)
    second.drain()
    assert len(rows(store)) == 30
    assert spend(store) == 27 * 7 + 3 * 50
    assert store.calls_under_way() == []
    assert store.positions() == []
    assert sorted(path.name for path in journals.iterdir()) == [".reader"]
    second.close()


def test_a_store_that_fails_for_a_while_loses_nothing(
    store: Store, journals: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(journals, "w") as journal:
        journal.opened(opened("1"))
        with monkeypatch.context() as patched:

            def fails(batch: Batch) -> None:
                raise StoreError("the disk is full")

            patched.setattr(store, "commit", fails)
            for _ in range(3):
                with pytest.raises(StoreError):
                    ledger.drain()
            journal.closed(closed("1"))
            journal.opened(opened("2"))
        ledger.drain()
        assert set(rows(store)) == {"1"}
        assert [call.call_id for call in store.calls_under_way()] == ["2"]
        assert spend(store) == 7


def test_journals_that_somebody_removed_leave_no_call_open(store: Store, journals: Path, told: Told) -> None:
    journal = Journal(journals, "w")
    journal.opened(opened("1"))
    first = make(store, journals, told)
    first.drain()
    first.close()
    shutil.rmtree(journals)
    second = make(store, journals, told)
    second.drain()
    assert rows(store)["1"]["metadata"]["outcome"] == "interrupted"
    assert store.positions() == []
    second.close()
    journal.close()


def test_two_ledgers_do_not_read_the_same_journals(
    store: Store, journals: Path, ledger: Ledger, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "_PATIENCE", 0.05)
    with pytest.raises(LedgerTaken, match="stop it first"):
        make(store, journals, told)
    ledger.close()
    make(store, journals, told).close()


# -- what no kill leaves behind ---------------------------------------------------------------------------------------


def segment(journals: Path, number: int = 1) -> Path:
    return journals / "w" / f"{number:010d}.journal"


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def test_a_torn_tail_of_a_dead_worker_is_its_end(store: Store, journals: Path, ledger: Ledger, told: Told) -> None:
    journal = Journal(journals, "w")
    journal.opened(opened("1"))
    journal.closed(closed("1"))
    journal.opened(opened("2"))
    journal.close()
    data = segment(journals).read_bytes()
    frames = read_frames(data, PREFACE)
    overwrite(segment(journals), PREFACE + frames.size - 3, b"\0\0\0")
    ledger.drain()
    assert set(rows(store)) == {"1"}
    assert told.gone == ["w"]
    assert ledger.stats().damaged == 0


def test_a_torn_frame_of_a_living_worker_is_waited_for(store: Store, journals: Path, ledger: Ledger) -> None:
    with Journal(journals, "w") as journal:
        journal.opened(opened("1"))
        end = PREFACE + read_frames(segment(journals).read_bytes(), PREFACE).size
        good = segment(journals).read_bytes()[end - 1 : end]
        overwrite(segment(journals), end - 1, bytes([good[0] ^ 1]))
        assert ledger.drain() == 0
        overwrite(segment(journals), end - 1, good)
        assert ledger.drain() == 1


def test_damage_in_the_middle_is_told_and_kept(
    store: Store, journals: Path, ledger: Ledger, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(journals, "w", segment_size=4096)
    for number in range(40):
        journal.opened(opened(f"{number}"))
        journal.closed(closed(f"{number}"))
    journal.close()
    overwrite(segment(journals), 1000, b"\xff\xff\xff")
    with caplog.at_level(logging.ERROR):
        ledger.drain()
        ledger.drain()
    assert "no record at byte" in caplog.text
    assert ledger.stats().damaged == 1
    assert 0 < len(rows(store)) < 40
    assert "39" in rows(store), "what comes in later segments is read"
    assert told.gone == ["w"]
    assert (journals / ".damaged-w" / "0000000001.journal").exists()


def test_a_file_that_is_no_journal_is_told_and_kept(store: Store, journals: Path, ledger: Ledger, told: Told) -> None:
    (journals / "w").mkdir()
    segment(journals).write_bytes(b"something else entirely, of some length" * 3)
    ledger.drain()
    assert ledger.stats().damaged == 1
    assert told.gone == ["w"]
    assert (journals / ".damaged-w").exists()


def test_records_of_another_version_are_kept_aside(store: Store, journals: Path, ledger: Ledger) -> None:
    class Newer(Struct, array_like=True, tag="z"):
        call_id: str

    with Journal(journals, "w") as journal:
        journal.ended(cast("Ended", Newer("1")))
        journal.closed(closed("never opened"))
        journal.ended(ended("2"))
        ledger.drain()
    assert set(rows(store)) == {"2"}
    assert [item.why.partition(":")[0] for item in store.rejected()] == [
        "not a record that this version knows",
        "the end of an attempt that never began",
    ]
    assert ledger.stats().rejected == 2


def test_a_worker_that_was_killed_at_its_birth_leaves_nothing(store: Store, journals: Path, told: Told) -> None:
    abandoned = journals / ".new-w-1234"
    abandoned.mkdir(parents=True)
    (abandoned / "lock").touch()
    make(store, journals, told).close()
    assert abandoned.exists(), "it may be about to be finished"
    os.utime(abandoned, (1.0, 1.0))
    make(store, journals, told).close()
    assert not abandoned.exists()


# -- its thread -------------------------------------------------------------------------------------------------------


def test_the_thread_drains_and_prunes_until_it_is_closed(
    store: Store, journals: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "_PRUNE_EVERY", 0.0)
    monkeypatch.setattr(under_test, "INTERVAL", 0.01)
    ledger = make(store, journals, told)
    ledger.start()
    with Journal(journals, "w") as journal:
        for number in range(50):
            journal.ended(ended(f"{number}"))
        until(lambda: len(rows(store)) == 50)
        ledger.retention = 10.0  # all of them are older
        until(lambda: rows(store) == {})
        journal.ended(ended("last"))
        ledger.close()
    assert ledger.stats().calls == 51


def test_the_ledger_rests_where_others_want_the_processor(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ledger._rest_after(waited=0.0, cpu=0.03) == under_test._REST
    assert ledger._rest_after(waited=0.02, cpu=0.03) == pytest.approx(0.27)
    assert ledger._rest_after(waited=9.0, cpu=9.0) == 1.0
    monkeypatch.setattr(under_test, "_TOO_FAR_BEHIND", -1)
    assert ledger._rest_after(waited=0.02, cpu=0.03) == under_test._REST


def test_the_ledger_lets_others_run_in_a_batch_only_while_it_keeps_up(
    store: Store, journals: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[int] = []
    monkeypatch.setattr(under_test, "_let_others_run", lambda: pauses.append(1))
    ledger = make(store, journals, told, batch=200)
    with Journal(journals, "w", segment_size=32_768) as journal:
        for number in range(2000):
            journal.ended(ended(f"{number}"))
        batches: list[tuple[bool, bool]] = []
        while not batches or not batches[-1][1]:
            before = len(pauses)
            _, to_the_end = ledger._drain_some()
            batches.append((len(pauses) > before, to_the_end))
        assert batches[0] == (True, False), "it is not known yet that there is more"
        assert len(batches) > 2
        assert all(batch == (False, False) for batch in batches[1:-1])
        assert batches[-1] == (True, True)
    ledger.close()


def until(condition: Callable[[], bool]) -> None:
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to that")
