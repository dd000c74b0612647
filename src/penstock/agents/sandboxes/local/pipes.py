"""Pipes between this process and a helper, or a program in a sandbox; file descriptors that are closed in any case."""

from __future__ import annotations

import os

from penstock.agents.sandboxes.local.forking import readable
from penstock.agents.sandboxes.local.process import Stream, Streams


class Descriptors:
    """File descriptors that are closed together, in any case."""

    def __init__(self) -> None:
        self._fds: list[int] = []

    def add(self, fd: int) -> int:
        """Take one over."""
        self._fds.append(fd)
        return fd

    def open(self, folder: str) -> int:
        """Open a folder that is none behind a link. Raises OSError."""
        return self.add(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC))

    def close(self) -> None:
        """Close all that is open."""
        fds, self._fds = self._fds, []
        for fd in fds:
            os.close(fd)


class Pipes:
    """The pipes of a program. The sandbox's user owns them, or `echo > /dev/stderr` inside would be refused."""

    def __init__(self, terminal: bool, stdin: bool, owner: int) -> None:
        self._fds, self._owner = Descriptors(), owner
        self._ours: list[Stream | None] = []
        self.theirs: list[int] = []
        if not terminal:
            self._ours.append(self._pipe(ours_reads=False) if stdin else self._empty())
            self._ours += [self._pipe(ours_reads=True), self._pipe(ours_reads=True)]

    def _pipe(self, *, ours_reads: bool) -> Stream:
        read, write = os.pipe2(os.O_CLOEXEC)
        ours, theirs = (read, write) if ours_reads else (write, read)
        self.theirs.append(self._fds.add(theirs))
        if self._owner >= 0:
            os.fchown(theirs, self._owner, self._owner)
        return Stream(ours)

    def _empty(self) -> Stream | None:
        self.theirs.append(self._fds.add(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)))
        return None

    def __enter__(self) -> Pipes:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close_theirs()
        if kind is not None:
            for stream in self._ours:
                if stream is not None:
                    stream.close()

    def close_theirs(self) -> None:
        """Let go of the program's ends, once it has them."""
        self._fds.close()

    def streams(self, fds: list[int]) -> Streams:
        """Return our ends; a terminal's came from the helper."""
        if fds:
            terminal = Stream(fds[0])
            return Streams(terminal, None, terminal)
        entry, output, error = self._ours
        assert output is not None
        return Streams(output, error, entry)


class HelperPipe:
    """A pipe whose other end a helper gets."""

    def __init__(self) -> None:
        self._read, self.write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(self.write, True)
        self._open = [self._read, self.write]

    async def all(self, stop: bytes = b"") -> bytes:
        """Return what comes until the end, or until it ends with `stop`."""
        found = b""
        while not stop or not found.endswith(stop):
            await readable(self._read)
            data = os.read(self._read, 65536)
            if not data:
                break
            found += data
        return found

    def close_write(self) -> None:
        """Let go of the helper's end, once it has it."""
        if self.write in self._open:
            self._open.remove(self.write)
            os.close(self.write)

    def close(self) -> None:
        """Close what is open."""
        for fd in self._open:
            os.close(fd)
        self._open = []
