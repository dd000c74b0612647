"""Files by the open folder that holds them, so that no symbolic link ever leads anywhere else: found, compared, written
beside the old one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec

CHUNK = 256 * 1024
"""Bytes that are read at a time."""

Parts = tuple[str, ...]
"""A name below a folder, part by part."""


class Facts(msgspec.Struct, frozen=True):
    """A file as it was when it was copied in."""

    kind: int
    mode: int
    size: int
    changed: int

    @classmethod
    def of(cls, found: os.stat_result) -> Facts:
        """Take them from lstat; a folder's size and time say nothing of it."""
        folder = stat.S_ISDIR(found.st_mode)
        return cls(
            stat.S_IFMT(found.st_mode),
            stat.S_IMODE(found.st_mode),
            0 if folder else found.st_size,
            0 if folder else found.st_mtime_ns,
        )


class Both:
    """The bytes of a file that begins as another one did: (how many, what follows), and then the rest of the stream."""

    def __init__(self, before: IO[bytes] | None, content: IO[bytes], same: tuple[int, bytes]) -> None:
        self._before, self._content, self._same = before, content, same

    def __iter__(self) -> Iterator[bytes]:
        left, following = self._same
        if self._before is not None and left:
            self._before.seek(0)
            while left > 0 and (data := self._before.read(min(CHUNK, left))):
                left -= len(data)
                yield data
        yield following
        while data := self._content.read(CHUNK):
            yield data


def same_bytes(before: IO[bytes], content: IO[bytes]) -> tuple[int, bytes] | None:
    """Compare two files. None: they are the same; else how many bytes are, and what was read of the second beyond."""
    done = 0
    while True:
        new = content.read(CHUNK)
        old = before.read(len(new) or 1)
        if new != old:
            return done, new
        if not new:
            return None
        done += len(new)


def write(parent: int, name: str, chunks: Both, mode: int, mtime: float) -> None:
    """Make a file, with these rights and this time. Raises OSError, FileExistsError too."""
    opened = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent)
    with os.fdopen(opened, "wb") as file:
        for data in chunks:
            file.write(data)
        file.flush()
        os.fchmod(opened, mode)
        with contextlib.suppress(OverflowError, ValueError, OSError):
            os.utime(opened, (mtime, mtime))


def beside() -> str:
    """A name that nobody else has."""
    return f".penstock-{secrets.token_hex(8)}"


def give(parent: int, name: str, like: str = "") -> None:
    """Give what root has made to whom the file that it replaces belongs, or the folder."""
    if os.geteuid() == 0:
        found = (lstat(parent, like) if like else None) or os.fstat(parent)
        os.chown(name, found.st_uid, found.st_gid, dir_fd=parent, follow_symlinks=False)


def lstat(parent: int, name: str) -> os.stat_result | None:
    """What a name is; None where there is nothing."""
    try:
        return os.lstat(name, dir_fd=parent)
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def opened(parent: int, name: str) -> Iterator[IO[bytes] | None]:
    """A file that is there and can be read."""
    try:
        opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
    except OSError:
        yield None
        return
    with os.fdopen(opened, "rb") as file:
        yield file


@contextlib.contextmanager
def folder_of(top: Path, parts: Parts, umask: int, *, make: bool = True) -> Iterator[int | None]:
    """The open folder that holds a name, made where it is not there; None where something else stands in the way."""
    handle = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o777 & ~umask, dir_fd=handle)
            try:
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=handle)
            except OSError:
                yield None
                return
            os.close(handle)
            handle = below
        yield handle
    finally:
        os.close(handle)


def umask() -> int:
    """The rights that this process withholds from what it makes."""
    found = os.umask(0o077)
    os.umask(found)
    return found
