"""Waiting for file descriptors: one that is closed while somebody waits must not cost anybody else their wake-up."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from penstock.agents.sandboxes.local.forking import readable, writable

PATIENCE = 10.0


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_number_that_is_used_again_is_heard_of() -> None:
    """As when a sandbox is let go (its watch is cancelled, its pidfd closed) while another one is made."""

    async def test() -> None:
        first, first_end = os.pipe2(os.O_CLOEXEC)
        watching = asyncio.ensure_future(readable(first))
        await asyncio.sleep(0)
        watching.cancel()
        os.close(first)
        second, second_end = os.pipe2(os.O_CLOEXEC)
        assert second == first, "the lowest free number is given out"
        asyncio.get_running_loop().call_soon(os.write, second_end, b"x")
        async with asyncio.timeout(PATIENCE):
            await readable(second)  # at once: the cancelled watch has not run yet
        for fd in (first_end, second, second_end):
            os.close(fd)

    asyncio.run(test())


def test_two_may_wait_for_the_same() -> None:
    async def test() -> None:
        read, write = os.pipe2(os.O_CLOEXEC)
        both = asyncio.gather(readable(read), readable(read), writable(write))
        await asyncio.sleep(0)
        os.write(write, b"x")
        await asyncio.wait_for(both, PATIENCE)
        os.close(read)
        os.close(write)

    asyncio.run(test())


def test_a_wait_that_is_cancelled_leaves_no_descriptor() -> None:
    async def test() -> None:
        read, write = os.pipe2(os.O_CLOEXEC)
        before = open_files()
        waiting = asyncio.ensure_future(readable(read))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert open_files() == before
        os.close(read)
        os.close(write)

    asyncio.run(test())
