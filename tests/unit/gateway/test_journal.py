"""The journal: what was written is there, whatever was killed; what is torn is told from what is damaged."""

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.gateway.journal import (
    FORMAT,
    FRAME,
    PREFACE,
    Journal,
    JournalError,
    new_worker_id,
    read_frames,
)
from penstock.gateway.records import Closed, Ended, Opened, Record
from penstock.types.usage import Usage

DECODER: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)


def opened(call_id: str = "0" * 32, requested: str = "a-model") -> Opened:
    return Opened(
        call_id, 1, 1000.5, 1000.25, "f" * 64, "chat", "/v1/chat/completions", requested, "group", "d1", "p", "m", False
    )


def closed(call_id: str = "0" * 32) -> Closed:
    usage = Usage(input_tokens=3, output_tokens=5, extras={"odd": [1, None, {"deep": 2.5}]})
    return Closed(call_id, 1, 1001.5, 0.25, 200, "success", usage=usage, cost=17, cost_text="0.000000000017", last=True)


def ended(call_id: str = "0" * 32) -> Ended:
    return Ended(
        call_id, 1002.0, 1000.25, "f" * 64, "chat", "/v1/x", "a-model", "group", 0, 429, "failure", "rate_limit"
    )


def segments(journal: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(journal.glob("*.journal"))]


def records(journal: Path) -> list[Record]:
    payloads = [payload for data in segments(journal) for payload in read_frames(data, PREFACE).payloads]
    return [DECODER.decode(payload) for payload in payloads]


@pytest.fixture(params=[True, False], ids=["mapped", "written"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path, "w", segment_size=4096, mapped=request.param) as made:
        yield made


# -- what was written is there ----------------------------------------------------------------------------------------


def test_records_come_back_as_they_were_in_order(journal: Journal) -> None:
    written: list[Record] = []
    for number in range(100):
        call = f"{number:032x}"
        journal.opened(opened(call))
        journal.closed(closed(call))
        journal.ended(ended(call))
        written += [opened(call), closed(call), ended(call)]
    assert records(journal.directory) == written
    assert len(segments(journal.directory)) > 1


def test_a_record_larger_than_a_segment_gets_one_of_its_own(journal: Journal) -> None:
    journal.opened(opened("a" * 32))
    journal.opened(opened("b" * 32, requested="x" * 100_000))
    journal.closed(closed("a" * 32))
    assert [record.call_id[0] for record in records(journal.directory)] == ["a", "b", "a"]


def test_text_that_is_no_text_is_recorded_all_the_same(journal: Journal) -> None:
    """A lone surrogate, as JSON's "\\ud800" can bring one: the call is recorded, with a mark in its place."""
    journal.opened(opened(requested="m\ud800"))
    (record,) = records(journal.directory)
    assert isinstance(record, Opened)
    assert record.requested == "m?"


def test_numbers_of_any_size_are_recorded(journal: Journal) -> None:
    journal.closed(Closed("0" * 32, 1, 1.0, None, 200, "success", usage=Usage(input_tokens=10**30), cost=10**40))
    (record,) = records(journal.directory)
    assert isinstance(record, Closed)
    assert record.usage is not None
    assert (record.usage.input_tokens, record.cost) == (2**63 - 1, 2**63 - 1)


def test_only_the_owner_may_read_it(journal: Journal) -> None:
    journal.opened(opened())
    assert {stat.S_IMODE(path.stat().st_mode) for path in journal.directory.iterdir()} == {0o600}
    assert stat.S_IMODE(journal.directory.stat().st_mode) == 0o700


def test_each_segment_names_itself(journal: Journal) -> None:
    for _ in range(30):
        journal.opened(opened())
    prefaces = [data[:PREFACE] for data in segments(journal.directory)]
    assert all(preface.startswith(FORMAT) for preface in prefaces)
    assert len(set(prefaces)) == len(prefaces) > 1


KILLED = """
import os, sys
from penstock.gateway.journal import Journal
from tests.unit.gateway.test_journal import opened
journal = Journal(sys.argv[1], "killed", segment_size=4096, mapped=sys.argv[2] == "True")
for number in range(57):
    journal.opened(opened(f"{number:032x}"))
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("mapped", [True, False])
def test_a_record_survives_a_kill_from_the_moment_that_the_call_returned(tmp_path: Path, mapped: bool) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(mapped)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [record.call_id for record in records(tmp_path / "killed")] == [f"{number:032x}" for number in range(57)]


# -- whose it is ------------------------------------------------------------------------------------------------------


def test_a_living_workers_journal_is_locked_and_a_dead_ones_is_not(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "w")
    with (journal.directory / "lock").open() as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        journal.close()
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)


def test_a_journal_is_never_taken_over(tmp_path: Path) -> None:
    with Journal(tmp_path, "w") as journal:
        journal.opened(opened())
        with pytest.raises(JournalError, match="another process"):
            Journal(tmp_path, "w")
    with pytest.raises(JournalError, match="another process"):
        Journal(tmp_path, "w")  # its worker is gone, but it may not have been read yet
    assert len(records(tmp_path / "w")) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["w"], "a refused journal leaves nothing behind"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", ".hidden", "a b", "x" * 101, "-w"])
def test_a_worker_has_a_name_that_is_a_file_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a worker"):
        Journal(tmp_path, name)


def test_no_two_lives_have_the_same_name(tmp_path: Path) -> None:
    names = {new_worker_id(0) for _ in range(100)}
    assert len(names) == 100
    Journal(tmp_path, names.pop()).close()


def test_nothing_can_be_written_into_a_closed_journal(journal: Journal) -> None:
    journal.close()
    journal.close()
    with pytest.raises(JournalError, match="closed"):
        journal.opened(opened())


# -- a full disk ------------------------------------------------------------------------------------------------------


def full(file: int, offset: int, size: int) -> None:
    os.ftruncate(file, size // 2)  # what a real one leaves behind
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def open_many(journal: Journal) -> None:
    for _ in range(1000):
        journal.opened(opened())


def test_a_full_disk_refuses_new_calls_and_keeps_the_end_of_those_under_way(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(JournalError, match="disk is full"):
        open_many(journal)
    sent = len(records(journal.directory))
    for _ in range(4):
        journal.closed(closed())  # the last quarter of the segment is theirs
    with pytest.raises(JournalError, match="disk is full"):
        journal.opened(opened())
    assert [type(record) for record in records(journal.directory)] == [Opened] * sent + [Closed] * 4
    assert sorted(path.name for path in journal.directory.iterdir()) == ["0000000001.journal", "lock"]


def test_calls_go_on_when_there_is_room_again(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", full)
        with pytest.raises(JournalError, match="disk is full"):
            open_many(journal)
    before = len(records(journal.directory))
    journal.opened(opened())
    assert len(records(journal.directory)) == before + 1


def test_a_disk_that_is_full_at_the_start_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(JournalError, match="make room"):
        Journal(tmp_path, "w")
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_allocated_it_is_written_without_a_map(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """macOS has no posix_fallocate, musl's refuses where the file system has none."""
    monkeypatch.delattr(os, "posix_fallocate")
    with Journal(tmp_path, "w", mapped=True) as journal:
        journal.opened(opened())
        assert len(records(journal.directory)) == 1


def test_a_write_in_part_is_an_error_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, pwrite = Journal(tmp_path, "w", mapped=False), os.pwrite
    journal.opened(opened("a" * 32))
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", lambda file, data, at: pwrite(file, data[: max(8, len(data) // 2)], at))
        with pytest.raises(JournalError, match="disk is full"):
            journal.opened(opened("b" * 32))
    assert read_frames(segments(journal.directory)[0], PREFACE).tail == "end"
    journal.opened(opened("c" * 32))
    assert [record.call_id[0] for record in records(journal.directory)] == ["a", "c"]


# -- any cut, any damage ----------------------------------------------------------------------------------------------

PAYLOADS = st.lists(st.binary(min_size=1, max_size=60), max_size=12)


def framed(payloads: list[bytes]) -> bytes:
    from zlib import crc32

    return b"".join(FRAME.pack(len(payload), crc32(payload)) + payload for payload in payloads)


@given(PAYLOADS, st.data())
def test_any_cut_leaves_the_whole_frames_before_it(payloads: list[bytes], data: st.DataObject) -> None:
    """A kill in the middle of a frame: its bytes up to some place, zeros after it."""
    whole = framed(payloads)
    cut = data.draw(st.integers(0, len(whole)))
    kept = 0
    while kept < len(payloads) and len(framed(payloads[: kept + 1])) <= cut:
        kept += 1
    size = len(framed(payloads[:kept]))

    zeroed = read_frames(whole[:cut] + bytes(len(whole) - cut + 64))
    assert zeroed.payloads[:kept] == payloads[:kept]
    assert framed(zeroed.payloads) == whole[: zeroed.size], (
        "a frame whose last bytes are zeros may be whole all the same"
    )
    assert zeroed.tail == "end" or zeroed.size < cut

    ended_here = read_frames(whole[:cut])
    assert (ended_here.payloads, ended_here.size, ended_here.tail) == (payloads[:kept], size, "more")
    assert ended_here.needed <= len(whole) - size or cut == len(whole)


@given(PAYLOADS.filter(bool), st.data())
def test_a_changed_byte_never_becomes_a_record(payloads: list[bytes], data: st.DataObject) -> None:
    whole = framed(payloads)
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole + bytes(64))
    changed[at] ^= data.draw(st.integers(1, 255))
    found = read_frames(bytes(changed))
    assert found.payloads == payloads[: len(found.payloads)]
    assert found.size <= at
    assert found.tail in ("torn", "more", "end")


@given(PAYLOADS, st.lists(st.integers(1, 50), min_size=1, max_size=5))
def test_pieces_of_any_size_give_the_same_frames(payloads: list[bytes], sizes: list[int]) -> None:
    whole, found, at, piece = framed(payloads) + bytes(64), [], 0, 0
    for step in range(10_000):
        piece = max(piece, sizes[step % len(sizes)])
        frames = read_frames(whole[at : at + piece])
        found += frames.payloads
        at += frames.size
        if frames.tail == "end":
            break
        piece = frames.needed
    assert found == payloads


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    frames = read_frames(data)
    assert 0 <= frames.size <= len(data)
