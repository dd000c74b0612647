"""The directory that outlives a gateway: the database, the journals, and two locks, so that only one gateway uses it.

Both locks are the kernel's (flock): they are gone with the last process that holds them, however it ended. `lock` is
the supervisor's alone: who finds it taken is refused. `in-use` is inherited by all children: a gateway whose supervisor
was killed has workers that still end their calls, and the next gateway waits for them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LOCK = "lock"
_IN_USE = "in-use"
_LOOK_AGAIN = 0.05


class StateDirectoryTaken(Exception):
    """The directory cannot be used: another gateway uses it, or it cannot be written. The message says what to do."""


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """A directory that is this gateway's alone.

    temporary  it is removed when the gateway ends
    lock       file descriptor of the supervisor's lock: children close it
    in_use     file descriptor of the lock that children inherit
    """

    path: Path
    temporary: bool
    lock: int
    in_use: int

    def close(self) -> None:
        """Give the lock back; remove what is temporary."""
        if self.temporary:
            shutil.rmtree(self.path, ignore_errors=True)
        for descriptor in (self.lock, self.in_use):
            with suppress(OSError):
                os.close(descriptor)


def open_state_directory(
    given: Path | None, port: int, environment: Mapping[str, str], patience: float, say: Callable[[str], None]
) -> StateDirectory:
    """The state directory: `given`, else $PENSTOCK_STATE_DIR, else penstock/PORT below $XDG_STATE_HOME (or
    ~/.local/state). For port 0, if nothing is given, a temporary one.

    Another gateway that runs is an error at once; one that was killed has `patience` seconds to end its calls.
    Raises StateDirectoryTaken.
    """
    path = given or _from(environment)
    if path is None and port == 0:
        return _locked(Path(tempfile.mkdtemp(prefix="penstock-state-")), True, 0, say)
    return _locked(path or _home(environment) / "penstock" / str(port), False, patience, say)


def _from(environment: Mapping[str, str]) -> Path | None:
    name = environment.get("PENSTOCK_STATE_DIR", "").strip()
    return Path(name) if name else None


def _home(environment: Mapping[str, str]) -> Path:
    """XDG base directories: a path that is not absolute is to be ignored."""
    given = environment.get("XDG_STATE_HOME", "")
    if given.startswith("/"):
        return Path(given)
    try:
        return Path.home() / ".local" / "state"
    except RuntimeError:
        raise StateDirectoryTaken("this user has no home directory: give --state-dir") from None


def _locked(path: Path, temporary: bool, patience: float, say: Callable[[str], None]) -> StateDirectory:
    path = path.absolute()
    lock, in_use = _opened(path)
    try:
        if not _taken(lock):
            raise StateDirectoryTaken(
                f"another gateway ({_holder(lock)}) runs on {path}; stop it, or choose another --state-dir"
            )
        os.ftruncate(lock, 0)
        os.pwrite(lock, b"process %d" % os.getpid(), 0)
        _wait(in_use, path, patience, say)
    except BaseException:
        os.close(lock)
        os.close(in_use)
        raise
    return StateDirectory(path, temporary, lock, in_use)


def _opened(path: Path) -> tuple[int, int]:
    """The files of both locks. Raises StateDirectoryTaken."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        return os.open(path / _LOCK, flags, 0o600), os.open(path / _IN_USE, flags, 0o600)
    except OSError as error:
        raise StateDirectoryTaken(
            f"the state directory {path} cannot be used ({error.strerror}); choose another with --state-dir"
        ) from None


def _wait(in_use: int, path: Path, patience: float, say: Callable[[str], None]) -> None:
    """Take the lock of those who are still at work. Raises StateDirectoryTaken."""
    until = time.monotonic() + patience
    said = False
    while not _taken(in_use):
        if time.monotonic() >= until:
            raise StateDirectoryTaken(
                f"processes of a gateway that was killed still use {path}; end them, or choose another --state-dir"
            )
        if not said:
            say(f"waiting for the calls of a gateway that was killed: its processes still use {path}")
            said = True
        time.sleep(_LOOK_AGAIN)


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(lock: int) -> str:
    """Who took the lock, as it wrote into the file."""
    return os.pread(lock, 32, 0).decode("ascii", "replace") or "a process that just starts"
