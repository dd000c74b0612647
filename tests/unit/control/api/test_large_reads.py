"""Answers of many rows: read one slice at a time, whoever asks and however many they are."""

from __future__ import annotations

import asyncio
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from starlette.responses import StreamingResponse

from penstock.control.api.large_reads import LargeReads
from penstock.control.store.base import Batch, SpendQuery
from penstock.control.store.sqlite import open_sqlite
from tests.contract.store import call


def pieces(reads: LargeReads, slices: Sequence[Any], rows_of: Any) -> AsyncIterator[bytes]:
    """The body of the answer."""
    response = reads.answer(slices, rows_of)
    assert isinstance(response, StreamingResponse)
    return cast("AsyncIterator[bytes]", response.body_iterator)


async def body_of(reads: LargeReads, slices: Sequence[Any], rows_of: Any) -> bytes:
    return b"".join([piece async for piece in pieces(reads, slices, rows_of)])


@pytest.mark.parametrize("slices", [[], [[]], [[1]], [[1, 2], [3]], [[], [1], [], [2, 3], []]])
def test_slices_make_one_array(slices: list[list[int]]) -> None:
    body = asyncio.run(body_of(LargeReads(), slices, lambda rows: [{"n": row, "text": "ü,]"} for row in rows]))
    assert body == msgspec.json.encode([{"n": row, "text": "ü,]"} for rows in slices for row in rows])


def test_one_slice_is_read_at_a_time_and_nobody_waits_for_all_of_anothers(tmp_path: Path) -> None:
    """Two who ask take turns."""
    under_way, most, order = 0, 0, []
    lock = threading.Lock()

    def rows_of(slice_: tuple[str, int]) -> list[int]:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
            order.append(slice_[0])
        time.sleep(0.002)  # long enough for a second thread to come in, if there were one
        with lock:
            under_way -= 1
        return [slice_[1]]

    async def main() -> list[bytes]:
        reads = LargeReads()
        asked = [[(name, number) for number in range(5)] for name in "abcd"]
        return await asyncio.gather(*(body_of(reads, each, rows_of) for each in asked))

    assert asyncio.run(main()) == [b"[0,1,2,3,4]"] * 4
    assert most == 1
    assert order == list("abcd") * 5


def test_whoever_leaves_keeps_its_turn_until_its_read_is_over() -> None:
    """A read in a thread cannot be ended: who comes and goes must not have many of them run."""
    under_way, most = 0, 0
    first, go_on = threading.Event(), threading.Event()

    def read() -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        first.set()
        go_on.wait(10)
        under_way -= 1

    async def main() -> None:
        reads = LargeReads()
        leaving = asyncio.create_task(reads.read(read))
        await asyncio.to_thread(first.wait, 10)
        leaving.cancel()
        staying = asyncio.create_task(reads.read(read))
        await asyncio.wait([staying], timeout=0.05)
        assert not staying.done()
        go_on.set()
        await staying

    asyncio.run(main())
    assert most == 1


def test_many_rows_take_the_memory_of_one_slice(tmp_path: Path) -> None:
    """Ten times the rows, and less than twice the memory: a slice is let go before the next is read."""
    store = open_sqlite(tmp_path / "penstock.db")
    store.commit(Batch(calls=[call(f"{number}", at=1e9 + number) for number in range(2000)]))
    ids = store.request_ids(SpendQuery(), size=2000).rows

    async def size_of(reads: LargeReads, count: int) -> int:
        slices = [ids[at : at + 100] for at in range(0, count, 100)]
        return sum([len(piece) async for piece in pieces(reads, slices, store.requests_by_id)])

    def peak_of(count: int) -> tuple[int, int]:
        tracemalloc.start()
        try:
            size = asyncio.run(size_of(LargeReads(), count))
            return size, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak_of(200)  # what is made once is made
    few, peak_of_few = peak_of(200)
    many, peak_of_many = peak_of(2000)
    assert many > 9 * few
    assert peak_of_many < 2 * peak_of_few
    assert peak_of_many < many, "not even the JSON is held"
    store.close()


def test_a_slice_that_cannot_be_read_ends_the_answer_before_its_end() -> None:
    """Nobody takes half of a list for the whole."""

    def rows_of(number: int) -> list[int]:
        if number:
            raise RuntimeError("the disk is gone")
        return [number]

    read: list[bytes] = []

    async def main() -> None:
        async for piece in pieces(LargeReads(), [0, 1, 2], rows_of):
            read.append(piece)

    with pytest.raises(RuntimeError, match="the disk is gone"):
        asyncio.run(main())
    assert b"".join(read) == b"[0"
