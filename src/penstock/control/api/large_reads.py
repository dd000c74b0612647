"""Large reads: answers of more rows than should be held at once.

Rows are three times their JSON while they are Python objects, and what a process once needed it seldom gives back. So
rows are read, encoded and let go in slices; one slice is read at a time, whoever asks; and who asks for several gives
way to others between two of them. A slice is sent before the next is read: what is held for an answer is a slice of
JSON, and nothing is read for who does not read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

import msgspec
from starlette.responses import Response, StreamingResponse

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")


class LargeReads:
    """The one thread of such reads. A thread and no semaphore: a read cannot be ended, and would still run when the
    task of somebody who left has given the semaphore back. Besides, nobody else waits for a thread that these took.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "large-reads")

    async def read(self, read: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        """What `read` returns, when it is its turn."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: read(*given, **named))

    def answer(
        self,
        slices: Iterable[S],
        rows_of: Callable[[S], Sequence[Any]],
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """All rows of these slices as one JSON array. An error of `rows_of` breaks the answer off before its end."""
        return StreamingResponse(self._array(slices, rows_of), headers=headers, media_type="application/json")

    async def _array(self, slices: Iterable[S], rows_of: Callable[[S], Sequence[Any]]) -> AsyncIterator[bytes]:
        before = b"["
        for each in slices:
            rows = await self.read(_members, rows_of, each)
            if rows:
                yield before
                yield rows
                before = b","
        yield b"[]" if before == b"[" else b"]"


def _members(rows_of: Callable[[S], Sequence[Any]], each: S) -> bytes:
    """The rows of a slice, without the brackets of an array."""
    return msgspec.json.encode(rows_of(each))[1:-1]
