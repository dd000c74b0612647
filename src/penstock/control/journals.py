"""Reading journals: whose there are, who of them lives, and what they wrote since we last looked. (How they are
written, and what lies where: gateway/journal.py.)

Everything is in the files: a reader that is killed and comes back knows as much as before, if it remembers how far it
has read each segment, by the segment's own random name.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from penstock.gateway.journal import FORMAT, LOCK, PREFACE, SUFFIX, read_frames

PIECE = 1024 * 1024
"""Bytes that are read at once."""

_ABANDONED = 3600.0
"""Seconds after which a journal that was never finished being made is taken for nobody's."""


class Segment:
    """A segment, as far as it was read. Its file is open only while it is read: who was away for long finds thousands.

    name      its random name, hex
    position  bytes from its beginning up to which it was read
    stored    the `position` that the store has
    is_read   it was read to its end, and nothing will be added
    damaged   why nothing after `position` can be read; None: it can. `is_told`: somebody was told of it
    """

    __slots__ = ("damaged", "is_read", "is_told", "name", "number", "path", "position", "size", "stored")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = int(path.stem)
        with path.open("rb", buffering=0) as file:
            preface = file.read(PREFACE)
            self.size = os.fstat(file.fileno()).st_size
        self.name = preface[16:].hex()
        self.position, self.stored = PREFACE, 0
        self.is_read = self.is_told = False
        self.damaged: str | None = None
        if not preface.startswith(FORMAT) or len(preface) < PREFACE:
            self.name = f"{path.parent.name}/{path.name}"[-32:]
            self.damaged = f"{path} is no journal that this version of Penstock can read"

    def read(self, piece: int = PIECE) -> tuple[list[bytes], bool]:
        """The records after `position` (about `piece` bytes of them), and whether there may be more right now."""
        if self.damaged is not None:
            return [], False
        with self.path.open("rb", buffering=0) as file:
            while True:
                data = os.pread(file.fileno(), piece, self.position)
                frames = read_frames(data)
                self.position += frames.size
                beyond = self.position + frames.needed > self.size  # a length that was never finished: torn
                if frames.tail != "more" or beyond or len(data) < frames.needed <= piece:
                    return frames.payloads, False
                if frames.payloads:
                    return frames.payloads, True
                piece = max(piece, frames.needed)

    def ends_torn(self) -> bool:
        """Whether there is something at `position` that is no record."""
        if self.damaged is not None:
            return False
        with self.path.open("rb", buffering=0) as file:
            return any(os.pread(file.fileno(), 8, self.position))


class WorkerJournal:
    """The journal of one life of a worker.

    alive    whether its worker was, when we last looked
    is_read  all that was there when we last looked was read
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.worker = directory.name
        self.segments: dict[int, Segment] = {}
        self.alive = True
        self.is_read = False

    def look(self) -> None:
        """Find its segments, and whether its worker lives. In this order: what a worker wrote before it died is in the
        segments that are there after it was found dead.
        """
        self.alive = self.alive and _is_locked(self.directory / LOCK)
        for path in sorted(self.directory.glob(f"*{SUFFIX}")):
            if path.stem.isdigit() and int(path.stem) not in self.segments:
                self.segments[int(path.stem)] = Segment(path)

    def is_last(self, segment: Segment) -> bool:
        """Whether no later segment was there when this one was read (`look` comes first)."""
        return segment.number == max(self.segments)

    def drop(self, segment: Segment) -> None:
        """Remove a segment's file: all that is in it is in the database."""
        segment.path.unlink(missing_ok=True)
        del self.segments[segment.number]

    def remove(self) -> None:
        """Remove all of a dead worker's journal: the oldest segment first, so that what is left never has a gap."""
        for number in sorted(self.segments):
            self.drop(self.segments[number])
        for path in self.directory.iterdir():
            path.unlink(missing_ok=True)
        self.directory.rmdir()

    def keep_aside(self) -> Path:
        """Put what is damaged where nobody reads it again, but somebody can look at it."""
        aside = self.directory.with_name(f".damaged-{self.worker}")
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(aside)
        self.directory.rename(aside)
        return aside


def worker_directories(journals: Path) -> Iterator[Path]:
    """The folders of all workers that have a journal, living or dead."""
    with contextlib.suppress(FileNotFoundError):
        yield from sorted(path for path in journals.iterdir() if path.name[0] != "." and path.is_dir())


def live_workers(journals: Path) -> list[str]:
    """The workers that live: who holds the lock of a journal."""
    return [path.name for path in worker_directories(journals) if _is_locked(path / LOCK)]


def remove_abandoned(journals: Path) -> None:
    """Remove what a worker left that was killed while it made its journal. It holds nothing: it had served nobody."""
    for path in journals.glob(".new-*"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < time.time() - _ABANDONED and not _is_locked(path / LOCK):
                shutil.rmtree(path)


def _is_locked(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False
