"""What the local driver keeps on disk, so that every crash can be cleaned up after, and how it finds things again.

    STATE/lock                      one driver at a time
    STATE/workspaces/NAME/          owner (a number), home/, work/: outlive sandboxes
    STATE/snapshots/NAME/           home/, work/
    STATE/environments/NAME/        owner, tree/
    STATE/run/TOKEN/record          one sandbox: written before its first process starts, and again when it runs
    STATE/run/TOKEN/files/N         the files that the driver placed in it

A record that names no living process is the remains of a crash; a process that bears our mark (an environment
variable of bubblewrap, `MARK=INSTANCE/TOKEN`) without a record that names it is one too. A process is known by its
pid, the time at which it began and the machine's boot: a pid that somebody else got later is not taken for it.

Folders can be entered but not listed by others (0711): as root, sandboxes run as users of their own, one for each
workspace, who must reach what is theirs. Those numbers are from a range that nobody else gives out (systemd's
UIDS-GIDS lists it as unused).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct, field

from penstock.agents.sandboxes.driver import CannotCreate, File, InvalidSpec, SandboxSpec
from penstock.agents.sandboxes.local import kernel, system

MARK = "SANDBOX"
FIRST_OWNER, LAST_OWNER = 0x70000000, 0x7000FFFF
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
KINDS = ("workspaces", "snapshots", "environments", "run")


class Record(Struct, frozen=True):
    """A sandbox as kept on disk. `pid` is its first process and `monitor` bubblewrap's (0: not started yet), each with
    the time it began. `files`: path inside -> file here. `since`: when its time began to count (`since_boot`).
    `variables`: what the system inside brings, below the specification's. `container`: an engine's id of it.
    """

    token: str
    spec: SandboxSpec
    owner: int
    isolation: str
    files: Mapping[str, str]
    boot: str
    pid: int = 0
    started: int = 0
    monitor: int = 0
    monitor_started: int = 0
    claimed: bool = True
    suspended: bool = False
    since: float = 0.0
    variables: Mapping[str, str] = field(default_factory=lambda: dict(system.VARIABLES))
    container: str = ""


class Handle(Struct, frozen=True):
    """What a handle's text says."""

    driver: str
    token: str
    pid: int
    started: int
    boot: str


def boot() -> str:
    """Return what names this start of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def since_boot() -> float:
    """Return the seconds since the machine's start, suspended or not: it means the same to every process."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def alive(pid: int, started: int, boot_id: str) -> bool:
    """True where the process of that pid is the one that began then (a zombie is not alive)."""
    if pid <= 0 or boot_id != boot():
        return False
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
    except OSError:
        return False
    return int(stat[19]) == started and stat[0] not in (b"Z", b"X")


def open_process(pid: int, started: int, boot_id: str) -> int | None:
    """Return a pidfd of that very process, or None. Looked at again once it is held: a pidfd never changes its
    process.
    """
    if not alive(pid, started, boot_id):
        return None
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return None
    if alive(pid, started, boot_id):
        return fd
    os.close(fd)
    return None


def checked_name(name: str, what: str) -> str:
    """Return a name that is good for a folder.

    Raises:
        InvalidSpec: it is not.
    """
    if not NAME.fullmatch(name):
        raise InvalidSpec(
            f"{name[:120]!r} cannot be the name of {what}", fix="use up to 100 letters, digits, '.', '_', '-'"
        )
    return name


class State:
    """The folders of one driver. `as_root`: sandboxes get users of their own. `owner`: they all have this one, and
    reach their files without passing through these folders, which are closed to everybody.
    """

    def __init__(self, root: Path, *, as_root: bool, owner: int | None = None) -> None:
        self.root = root.resolve()
        self.as_root = as_root
        self._owner = owner
        self._mode = 0o711 if as_root and owner is None else 0o700
        self.instance = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        self._lock: int | None = None

    def open(self) -> None:
        """Make the folders, and hold them for this process.

        Raises:
            CannotCreate: another process holds them, or a sandbox's user could not reach them.
        """
        if self._lock is not None:
            return
        self.root.mkdir(parents=True, exist_ok=True)
        for folder in (self.root, *(self.root / kind for kind in KINDS)):
            folder.mkdir(exist_ok=True)
            folder.chmod(self._mode)
        entered = self._mode == 0o711
        closed = [str(parent) for parent in self.root.parents if entered and not parent.stat().st_mode & 0o001]
        if closed:
            raise CannotCreate(
                f"sandboxes' users cannot enter {closed[0]}", fix="choose a state folder elsewhere, as /var/lib"
            )
        self._take_lock()

    def _take_lock(self) -> None:
        lock = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise CannotCreate(
                f"another process uses {self.root}", fix="end it, or choose another state folder"
            ) from None
        self._lock = lock

    def close(self) -> None:
        """Let the next process have the folders."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # -- what outlives sandboxes --------------------------------------------------------------------------------------

    def workspace(self, name: str) -> Path:
        """Return the folder of a workspace, whether it is there or not."""
        return self.root / "workspaces" / checked_name(name, "a workspace")

    def snapshot(self, name: str) -> Path:
        """Return the folder of a snapshot, whether it is there or not."""
        return self.root / "snapshots" / checked_name(name, "a snapshot")

    def environment(self, name: str) -> Path:
        """Return the folder of an environment, whether it is there or not."""
        return self.root / "environments" / checked_name(name, "an environment")

    def make_workspace(self, name: str) -> int:
        """Make a workspace where there is none; return its owner."""
        folder = self.workspace(name)
        if (folder / "owner").exists():
            return int((folder / "owner").read_text())
        return self._make(folder, ("home", "work"))

    def make_environment(self, name: str) -> int:
        """Make an empty environment where there is none; return its owner."""
        folder = self.environment(name)
        if (folder / "owner").exists():
            return int((folder / "owner").read_text())
        return self._make(folder, ("tree",))

    def _make(self, folder: Path, parts: tuple[str, ...]) -> int:
        owner = self.new_owner()
        folder.mkdir(exist_ok=True)
        folder.chmod(0o711)
        for part in parts:
            (folder / part).mkdir(exist_ok=True)
            (folder / part).chmod(0o700 if part != "tree" else 0o755)
            self.give(folder / part, owner)
        (folder / "owner").write_text(str(owner))  # last: without it the folder is made again
        return owner

    def new_owner(self) -> int:
        """Return a user for a new workspace: a number that none here has; without root our own."""
        if self._owner is not None:
            return self._owner
        if not self.as_root:
            return os.geteuid()
        taken = {int(file.read_text()) for file in self.root.glob("*/*/owner") if file.read_text().isdigit()}
        while (owner := FIRST_OWNER + secrets.randbelow(LAST_OWNER - FIRST_OWNER)) in taken:
            pass
        return owner

    def give(self, path: Path, owner: int) -> None:
        """Make `owner` the owner of one file or folder."""
        if self.as_root:
            os.chown(path, owner, owner, follow_symlinks=False)

    # -- sandboxes ----------------------------------------------------------------------------------------------------

    def run_folder(self, token: str) -> Path:
        """Return the folder of a sandbox."""
        return self.root / "run" / checked_name(token, "a sandbox")

    def begin(self, token: str, files: Mapping[str, File], owner: int) -> dict[str, str]:
        """Make the folder of a sandbox and the files placed in it; return path inside -> file here."""
        folder = self.run_folder(token) / "files"
        folder.mkdir(parents=True, exist_ok=True)
        for made in (folder.parent, folder):
            made.chmod(self._mode)
        placed = {inside: str(folder / str(index)) for index, inside in enumerate(sorted(files))}
        for inside, here in placed.items():
            self.place(Path(here), files[inside], owner)
        return placed

    def place(self, here: Path, file: File, owner: int) -> None:
        """Write a placed file. Its inode stays, for a sandbox that runs sees that one. Only its sandbox's group may
        read it.
        """
        here.touch(mode=0o600)
        if self.as_root:
            os.chown(here, 0, owner)
        here.write_bytes(file.content)
        bits = file.mode & 0o555
        here.chmod((bits & 0o550) | 0o400 if self.as_root else (bits & 0o500) | 0o600)

    def write(self, record: Record) -> None:
        """Keep a record; a crash leaves the old one or the new one."""
        path = self.run_folder(record.token) / "record"
        fresh = path.with_name("record.new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(msgspec.json.encode(record))
        fresh.replace(path)

    def records(self) -> Iterator[tuple[str, Record | None]]:
        """Give every sandbox's token and record; None where a crash came before its record."""
        for folder in sorted((self.root / "run").iterdir()):
            yield folder.name, self.read(folder.name)

    def read(self, token: str) -> Record | None:
        """Return a record, or None where there is none that can be read."""
        try:
            return msgspec.json.decode((self.run_folder(token) / "record").read_bytes(), type=Record)
        except (OSError, msgspec.DecodeError):
            return None

    def marked(self) -> dict[int, str]:
        """Return the processes that bear our mark: pid -> token."""
        mark = f"{MARK}={self.instance}/".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    for variable in (entry / "environ").read_bytes().split(b"\0"):
                        if variable.startswith(mark):
                            found[int(entry.name)] = variable[len(mark) :].decode("ascii", "replace")
        return found


def handle(record: Record, driver: str = "local") -> str:
    """Return the handle of a sandbox that runs."""
    made = Handle(driver, record.token, record.pid, record.started, record.boot)
    return msgspec.json.encode(made).decode()


def read_handle(text: str, driver: str = "local") -> Handle | None:
    """Return what a handle says, or None where it is not one of this driver's."""
    try:
        found = msgspec.json.decode(text, type=Handle)
    except msgspec.DecodeError:
        return None
    return found if found.driver == driver and NAME.fullmatch(found.token) else None


def remember(record: Record, pid: int, monitor: int) -> Record:
    """Return the record of a sandbox whose first processes are known."""
    return msgspec.structs.replace(
        record, pid=pid, started=kernel.started(pid), monitor=monitor, monitor_started=kernel.started(monitor)
    )
