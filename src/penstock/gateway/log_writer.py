"""Where the lines of the log go: whole lines, several processes into one file or pipe, and nobody waits for a disk.

Lines of several workers must not mix. A file is opened for appending, and one write is one piece of it. A pipe takes a
write in one piece only up to 4,096 bytes (PIPE_BUF of pipe(7)), so no line is longer, and into anything that is no file
lines go in pieces of at most that.

`LogTarget` writes at once, and is what the supervisor uses, and whoever writes into a file: 64 KiB into the page cache
take 30 us, where handing them to a thread takes ten times as much of the interpreter's time. `BackgroundWriter` has a
thread, for a pipe or a terminal that nobody reads would hold up an event loop and every request in it. It holds a
bounded amount; what is over that is lost, and counted.
"""

from __future__ import annotations

import os
import select
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

LINE_BYTES = 4_096
"""A line with its newline is at most so long."""
_PATIENCE = 1.0
"""Seconds to wait for a pipe that is full and was set not to block."""
_WAITING_BYTES = 8 * 1024 * 1024
"""What may wait for the thread."""
_MODE = 0o640


class Writer(Protocol):
    """Somebody who takes lines."""

    @property
    def lost(self) -> int:
        """How many lines could not be written so far."""

    def write(self, lines: bytes) -> None:
        """Take whole lines, each with its newline."""

    def reopen(self) -> None:
        """Open the file anew: it was renamed."""

    def close(self, patience: float = 1.0) -> None:
        """Write what is left, for at most so many seconds."""


class LogTarget:
    """A file, or the standard error ("stderr", the default) or output ("stdout") of the process.

    A file that was moved away is noticed, and made anew: so a rotation by renaming loses nothing. One that cannot be
    opened raises OSError when it is opened the first time; later, its lines are lost and counted until it can.
    """

    def __init__(self, path: str | None = None) -> None:
        self.lost = 0
        self._path = None if path in (None, "", "-", "stderr", "stdout") else Path(str(path))
        self._torn = False
        self._fd = -1
        if self._path is None:
            self._fd = 1 if path == "stdout" else 2
        else:
            self._open()

    def write(self, lines: bytes) -> None:
        """Write whole lines now, in as few pieces as keep them whole."""
        if self._path is not None and self._moved():
            self.reopen()
        if self._torn:
            lines = b"\n" + lines
        rest = memoryview(lines)
        try:
            for piece in [rest] if self.is_file() else pieces(lines):
                self._write_piece(piece)
            self._torn = False
        except OSError:
            self.lost += lines.count(b"\n")

    def reopen(self) -> None:
        """Open the file anew; the old one serves on if that fails."""
        if self._path is not None:
            old = self._fd
            try:
                self._open()
            except OSError:
                return
            if old >= 0:
                os.close(old)

    def close(self, patience: float = 1.0) -> None:
        """Close the file."""
        if self._path is not None and self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        assert self._path is not None
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)

    def _moved(self) -> bool:
        try:
            there = self._path.stat() if self._path is not None else None
            mine = os.fstat(self._fd)
        except OSError:
            return True
        return there is not None and (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino)

    def is_file(self) -> bool:
        """Whether it is a regular file: then a write ends in the page cache, and nobody is waited for."""
        return stat.S_ISREG(os.fstat(self._fd).st_mode)

    def _write_piece(self, piece: memoryview) -> None:
        """Write all of it. What is cut off by an error leaves a torn line: the next begins on a line of its own."""
        while piece:
            try:
                written = os.write(self._fd, piece)
            except BlockingIOError:
                if not select.select([], [self._fd], [], _PATIENCE)[1]:
                    raise
                continue
            piece = piece[written:]
            self._torn = bool(piece)


def pieces(lines: bytes) -> list[memoryview]:
    """The lines in pieces of at most `LINE_BYTES`, cut behind newlines (a longer line is a piece of its own)."""
    found, view, start = [], memoryview(lines), 0
    while start < len(lines):
        end = lines.rfind(b"\n", start, start + LINE_BYTES) + 1
        if not end:
            end = lines.find(b"\n", start) + 1 or len(lines)
        found.append(view[start:end])
        start = end
    return found


class BackgroundWriter:
    """Writes in a thread, which it starts: make it after a fork. `write` may be called by any thread."""

    def __init__(self, target: LogTarget) -> None:
        self._target = target
        self._queue: SimpleQueue[bytes | Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0
        self._refused = 0
        self._thread = threading.Thread(target=self._run, name="penstock-log", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """Lines that could not be written, or had no room to wait."""
        return self._target.lost + self._refused

    def write(self, lines: bytes) -> None:
        """Hand over whole lines; returns at once."""
        with self._lock:
            if self._waiting + len(lines) > _WAITING_BYTES:
                self._refused += lines.count(b"\n")
                return
            self._waiting += len(lines)
        self._queue.put(lines)

    def reopen(self) -> None:
        """Have the file opened anew, behind what waits."""
        self._queue.put(self._target.reopen)

    def close(self, patience: float = 1.0) -> None:
        """Write what waits, for at most `patience` seconds."""
        self._queue.put(None)
        self._thread.join(patience)
        if not self._thread.is_alive():
            self._target.close()

    def _run(self) -> None:
        while (taken := self._queue.get()) is not None:
            if callable(taken):
                taken()
                continue
            self._target.write(taken)
            with self._lock:
                self._waiting -= len(taken)
