"""The limits that the kernel holds for a group of processes, wherever this host lets us have groups.

A host has version 2, version 1, or both at once (controllers in 1, an empty 2, whose `cgroup.kill` and
`cgroup.freeze` work all the same). So each ability is looked for on its own: first in 2, then in 1. Groups are made
below the group that we are in ourselves, so that whoever limits us limits our sandboxes. What cannot be had is absent
from `Place.homes`; the driver then uses rlimits and watching (watch.py), and says so.

Version 2 gives controllers only to groups without processes of their own: where our group was delegated to us
(systemd's `Delegate=yes` leaves the attribute user.delegate), we step into a leaf first.

Sources: the kernel's admin-guide/cgroup-v2 and cgroup-v1; systemd's CGROUP_DELEGATION.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from penstock.agents.sandboxes.driver import Limits

PERIOD = 100_000
"""Microseconds over which CPU time is counted."""
WEIGHTS = {1: ("cpu.shares", 256), 2: ("cpu.weight", 25)}
"""Of all sandboxes together, a quarter of what one other group has (1024, 100): where there is too little CPU time, it
is the agents that wait, and not the server and the vault that they all depend on.
"""
CONTROLLERS = ("memory", "pids", "cpu")
ALSO = ("cpuacct", "freezer")  # of version 1: figures, and a way to stop
LEAF = "server"


Setting = Sequence[tuple[str, int | str]]
"""Files of a group, and what is written into them."""


class Place(Struct, frozen=True):
    """Where groups can be made: ability -> folder. `unified` is version 2's, for killing and freezing; `versions`
    says who holds which limit.
    """

    homes: Mapping[str, Path]
    versions: Mapping[str, int]
    unified: Path | None


class Mounted(Struct, frozen=True):
    """A cgroup hierarchy as mounted: version 1 with its controllers, or 2 with none."""

    folder: Path
    root: str
    controllers: frozenset[str]
    version: int


def mounted(mountinfo: str) -> list[Mounted]:
    """Read /proc/self/mountinfo (proc(5))."""
    found = []
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        kind, options = right.split()[0], right.split()[-1]
        if kind in ("cgroup", "cgroup2"):
            fields = left.split()
            names = frozenset(options.split(",")) if kind == "cgroup" else frozenset[str]()
            found.append(Mounted(Path(fields[4]), fields[3], names, 2 if kind == "cgroup2" else 1))
    return found


def own_folder(mount: Mounted, cgroup: str) -> Path | None:
    """Return our own group's folder in a hierarchy, by /proc/self/cgroup; None where it is outside of what is
    mounted.
    """
    for line in cgroup.splitlines():
        _, names, path = line.split(":", 2)
        if names.split(",") == [""] if mount.version == 2 else mount.controllers & set(names.split(",")):
            inside = mount.root == "/" or path == mount.root or path.startswith(f"{mount.root}/")
            below = path if mount.root == "/" else path.removeprefix(mount.root)
            return mount.folder / below.strip("/") if inside and "/.." not in below else None
    return None


def probe(name: str, *, proc: Path = Path("/proc/self")) -> Place:
    """Make a group `name` in every hierarchy that lets us, and return what was found. Nothing is raised: what is
    refused is absent.
    """
    cgroup = (proc / "cgroup").read_text()
    homes: dict[str, Path] = {}
    versions: dict[str, int] = {}
    unified = None
    for mount in sorted(mounted((proc / "mountinfo").read_text()), key=lambda mount: -mount.version):
        wanted = mount.version == 2 or {
            ability for ability in (*CONTROLLERS, *ALSO) if ability in mount.controllers
        } - set(homes)
        if not wanted or (mount.controllers == {"freezer"} and unified is not None):
            continue
        own = own_folder(mount, cgroup)
        folder = _made(own, name, mount.version) if own is not None else None
        if folder is None:
            continue
        offered = _controllers(folder) if mount.version == 2 else mount.controllers
        unified = folder if mount.version == 2 and _can_kill(folder) else unified
        for ability in (*CONTROLLERS, *ALSO):
            if ability in offered and ability not in homes:
                homes[ability], versions[ability] = folder, mount.version
    if "cpu" in homes:
        name, weight = WEIGHTS[versions["cpu"]]
        with contextlib.suppress(OSError):
            (homes["cpu"] / name).write_text(str(weight))
    return Place(homes, versions, unified)


def _made(own: Path, name: str, version: int) -> Path | None:
    """Make our group below `own`, with controllers on in both where it is version 2; None where we may not."""
    own = own.parent if version == 2 and own.name == LEAF else own
    folder = own / name
    try:
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.procs").open("a").close()
    except OSError:
        return None
    if version == 2:
        _delegate(own)
        _delegate(folder)
    return folder


def _delegate(folder: Path) -> None:
    wanted = " ".join(f"+{name}" for name in CONTROLLERS if name in _controllers(folder))
    control = folder / "cgroup.subtree_control"
    if not wanted or set(wanted.replace("+", "").split()) <= set(control.read_text().split()):
        return
    try:
        control.write_text(wanted)
    except OSError:
        with contextlib.suppress(OSError):
            if os.getxattr(folder, "user.delegate") == b"1":
                _step_into_leaf(folder)
                control.write_text(wanted)


def _step_into_leaf(folder: Path) -> None:
    leaf = folder / LEAF
    leaf.mkdir(exist_ok=True)
    for pid in (folder / "cgroup.procs").read_text().split():
        with contextlib.suppress(OSError):
            (leaf / "cgroup.procs").write_text(pid)


def _controllers(folder: Path) -> frozenset[str]:
    return frozenset((folder / "cgroup.controllers").read_text().split())


def _can_kill(folder: Path) -> bool:
    child = folder / "probe"
    with contextlib.suppress(OSError):
        child.mkdir(exist_ok=True)
        found = (child / "cgroup.kill").exists() and (child / "cgroup.freeze").exists()
        child.rmdir()
        return found
    return False


class Group:
    """The groups of one sandbox, one in each hierarchy that has something to offer.

    Nothing here fails because a group is gone: a sandbox that ended has no processes and uses nothing.
    """

    def __init__(self, place: Place, name: str) -> None:
        self._place = place
        self._homes = {ability: folder / name for ability, folder in place.homes.items()}
        self._unified = place.unified / name if place.unified is not None else None

    @property
    def folders(self) -> list[Path]:
        """Every folder, each once."""
        return sorted({*self._homes.values(), *([self._unified] if self._unified is not None else [])})

    @property
    def entrances(self) -> list[str]:
        """The files into which a process writes 0 to join."""
        return [str(folder / "cgroup.procs") for folder in self.folders]

    def has(self, ability: str) -> bool:
        """True where a limit of this kind is the kernel's."""
        return ability in self._homes

    def version(self, ability: str) -> int:
        """Return which version holds a limit; 0: none does."""
        return self._place.versions.get(ability, 0)

    def create(self, limits: Limits) -> None:
        """Make the groups and set their limits."""
        for folder in self.folders:
            folder.mkdir(exist_ok=True)
        self.limit(limits)

    def limit(self, limits: Limits) -> None:
        """Set limits, on new groups or on those of a running sandbox."""
        quota = max(limits.cpu * PERIOD // 1000, 1000)
        memory: dict[int, Setting] = {
            1: [("memory.limit_in_bytes", limits.memory), ("memory.memsw.limit_in_bytes", limits.memory)],
            2: [("memory.max", limits.memory), ("memory.swap.max", 0), ("memory.oom.group", 0)],
        }
        processes: Setting = [
            ("pids.max", limits.processes + 2)
        ]  # bubblewrap and the first process are not the agent's
        cpu: dict[int, Setting] = {
            1: [("cpu.cfs_period_us", PERIOD), ("cpu.cfs_quota_us", quota)],
            2: [("cpu.max", f"{quota} {PERIOD}")],
        }
        self._set("memory", memory[self._place.versions.get("memory", 1)])
        self._set("pids", processes)
        self._set("cpu", cpu[self._place.versions.get("cpu", 1)])

    def _set(self, ability: str, values: Setting) -> None:
        folder = self._homes.get(ability)
        for index, (name, value) in enumerate(values if folder is not None else ()):
            assert folder is not None
            try:
                (folder / name).write_text(str(value))
            except OSError:
                if index == 0:  # the limit itself; the others refine it, and not every kernel has them
                    raise

    def pids(self) -> list[int]:
        """Return the processes in the groups."""
        found: set[int] = set()
        for folder in self.folders:
            with contextlib.suppress(OSError):
                found |= {int(pid) for pid in (folder / "cgroup.procs").read_text().split()}
        return sorted(found - {0})

    def kill(self) -> bool:
        """Kill every process at once. False: there is no version 2, the driver must do it by namespace."""
        if self._unified is None:
            return False
        with contextlib.suppress(OSError):
            (self._unified / "cgroup.kill").write_text("1")
        return True

    def freeze(self, frozen: bool) -> bool:
        """Stop every process where it is, or let all go on; asked again until the kernel has done it. False: cannot."""
        if self._unified is not None:
            (self._unified / "cgroup.freeze").write_text(str(int(frozen)))
            return _settled(self._unified / "cgroup.events", f"frozen {int(frozen)}")
        if "freezer" in self._homes:
            state = "FROZEN" if frozen else "THAWED"
            (self._homes["freezer"] / "freezer.state").write_text(state)
            return _settled(self._homes["freezer"] / "freezer.state", state)
        return False

    def memory(self) -> int:
        """Return bytes in use, without the pages of files that could be dropped."""
        folder = self._homes["memory"]
        if self._place.versions["memory"] == 2:
            return max(_number(folder / "memory.current") - _field(folder / "memory.stat", "inactive_file"), 0)
        return max(_number(folder / "memory.usage_in_bytes") - _field(folder / "memory.stat", "total_inactive_file"), 0)

    def cpu(self) -> float | None:
        """Return seconds of CPU used, or None where nobody counts."""
        if self._place.versions.get("cpu") == 2:
            return _field(self._homes["cpu"] / "cpu.stat", "usage_usec") / 1e6
        return _number(self._homes["cpuacct"] / "cpuacct.usage") / 1e9 if "cpuacct" in self._homes else None

    def out_of_memory(self) -> int:
        """Return how often the kernel has killed here for want of memory."""
        if not self.has("memory"):
            return 0
        name = "memory.events" if self._place.versions["memory"] == 2 else "memory.oom_control"
        return _field(self._homes["memory"] / name, "oom_kill")

    def refused_processes(self) -> int:
        """Return how often the kernel has refused another process here."""
        return _field(self._homes["pids"] / "pids.events", "max") if self.has("pids") else 0

    def remove(self) -> bool:
        """Remove the groups. False: a process is still in one."""
        for folder in self.folders:
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                return False
        return True


def leave(place: Place) -> None:
    """Remove the group that `probe` made, where nothing is in it any more."""
    for home in {*place.homes.values(), *([place.unified] if place.unified is not None else [])}:
        with contextlib.suppress(OSError):
            home.rmdir()


def names(place: Place) -> set[str]:
    """Return the groups that are there, whoever made them."""
    homes = {*place.homes.values(), *([place.unified] if place.unified is not None else [])}
    return {child.name for home in homes if home.exists() for child in home.iterdir() if child.is_dir()} - {
        LEAF,
        "probe",
    }


def _settled(file: Path, wanted: str) -> bool:
    """Wait for the kernel to say `wanted`; a process in the kernel takes a moment to stop."""
    for _ in range(200):
        if wanted in file.read_text():
            return True
        time.sleep(0.001)
    return False


def _number(file: Path) -> int:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return 0


def _field(file: Path, name: str) -> int:
    try:
        return next((int(line.split()[1]) for line in file.read_text().splitlines() if line.startswith(f"{name} ")), 0)
    except OSError:
        return 0
