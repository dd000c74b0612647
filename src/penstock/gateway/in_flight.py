"""InFlight: how many requests are under way at deployments that take only so many, counted over all workers.

A deployment with `max_parallel_requests: 4` takes four requests at once, however many workers send them. So the workers
share a table: a row for each such deployment, a column for each worker, in a file without a name that all map. A
worker writes its own column only. To begin a request it looks at the whole row, and that under a lock, for two must not
see the last place free at once; to end one it writes down its new count. Nobody is asked, or waits for the keeper.

The kernel lets go of a dead worker's lock. What it had under way ended with it: the supervisor clears its column.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROWS = 16_384
"""Deployments that are told apart. Rows are never used anew: workers remember which is whose."""
_HEAD = 16
_DIGEST = 16
_COUNT = 4

_log = logging.getLogger("penstock.gateway")


class InFlight:
    """The table. Made before the workers are forked; it is a `routing.table.Elsewhere` of each of them.

    workers    how many there are (columns);  directory  where the file lies, which has no name there
    worker     whose process this is: 1 to `workers`
    """

    def __init__(self, workers: int, directory: Path, rows: int = ROWS) -> None:
        self.worker = 1
        self._workers, self._rows = workers, rows
        self._known: dict[str, int] = {}
        self._full = False
        counts = _HEAD + rows * _DIGEST
        size = counts + rows * workers * _COUNT
        self._file = _file_without_a_name(size, directory)
        self._map = mmap.mmap(self._file, size)
        with memoryview(self._map) as view:
            self._used = view[:_COUNT].cast("I")
            self._counts = view[counts:].cast("I")

    def take(self, name: str, own: int, most: int) -> bool:
        """Whether one more request may begin at a deployment that takes `most`, where this worker has `own` under way:
        then it counts as begun.
        """
        row = self._row(name)
        if row is None:
            return own < most
        with self._locked():
            if self._others(row) + own >= most:
                return False
            self._counts[row * self._workers + self.worker - 1] = own + 1
        return True

    def tell(self, name: str, own: int) -> None:
        """This worker has so many under way there now."""
        row = self._row(name)
        if row is not None:
            self._counts[row * self._workers + self.worker - 1] = own

    def count(self, name: str) -> int:
        """What the other workers have under way there."""
        row = self._row(name)
        return 0 if row is None else self._others(row)

    def clear(self, worker: int) -> None:
        """A worker is dead: nothing of it is under way."""
        for row in range(self._used[0]):
            self._counts[row * self._workers + worker - 1] = 0

    def close(self) -> None:
        """Let go of the table; other processes keep it."""
        self._used.release()
        self._counts.release()
        self._map.close()
        os.close(self._file)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _others(self, row: int) -> int:
        begin = row * self._workers
        return sum(self._counts[begin : begin + self._workers]) - self._counts[begin + self.worker - 1]

    def _row(self, name: str) -> int | None:
        """The row of a deployment; None: there is no room for one, and workers count it by themselves."""
        row = self._known.get(name)
        if row is None and not self._full:
            digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).digest()
            with self._locked():
                row = self._find(digest)
            if row is None:
                self._full = True
                _log.error(
                    "max_parallel_requests of more than %d deployments: further ones hold per worker", self._rows
                )
            else:
                self._known[name] = row
        return row

    def _find(self, digest: bytes) -> int | None:
        """The row with this digest, or a new one."""
        used = self._used[0]
        at = self._map.find(digest, _HEAD, _HEAD + used * _DIGEST)
        while at >= 0 and (at - _HEAD) % _DIGEST:  # across two rows
            at = self._map.find(digest, at + 1, _HEAD + used * _DIGEST)
        if at >= 0:
            return (at - _HEAD) // _DIGEST
        if used == self._rows:
            return None
        self._map[_HEAD + used * _DIGEST : _HEAD + (used + 1) * _DIGEST] = digest
        self._used[0] = used + 1
        return used

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among the processes. (A lock of POSIX: it is a process's, though all have the same descriptor.)"""
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)


def _file_without_a_name(size: int, directory: Path) -> int:
    """A descriptor of so many zeros: of memory, or where there is no such thing of blocks that the disk has. (To write
    into a map for which there is no block ends a process.)
    """
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("penstock-in-flight", os.MFD_CLOEXEC)
        os.ftruncate(file, size)
        return file
    with tempfile.TemporaryFile(dir=directory) as on_disk:
        on_disk.write(bytes(size))
        on_disk.flush()
        return os.dup(on_disk.fileno())
