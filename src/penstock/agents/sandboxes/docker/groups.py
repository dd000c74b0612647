"""The control groups that an engine has made for a container, seen from the host.

Programs that we start must be in all of them, or no limit would hold: memory, processes and CPU, and in version 1 the
group that says which devices may be used. So each group of the container's first process is looked for where this
process has it mounted, and a container is refused when one cannot be entered.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from penstock.agents.sandboxes.driver import HostLacks
from penstock.agents.sandboxes.local.cgroups import ALSO, CONTROLLERS, Group, Mounted, Place, mounted, own_folder

HELD = {"memory": "memory", "processes": "pids", "cpu": "cpu"}
"""Limit -> who holds it."""
NEEDED = ("memory", "pids")


class Found(Struct, frozen=True):
    """Where a container's groups are: every folder, and which of them holds what in which version."""

    folders: tuple[Path, ...] = ()
    homes: Mapping[str, Path] = {}
    versions: Mapping[str, int] = {}
    unified: Path | None = None


def find(container: str, mountinfo: str, cgroup: str) -> Found:
    """Find the groups of a container, by our /proc/self/mountinfo and its first process's /proc/PID/cgroup.

    Raises:
        HostLacks: a group of its is not mounted here, or it has none.
    """
    lines = [line for line in cgroup.splitlines() if container in line]
    hierarchies = mounted(mountinfo)
    homes: dict[str, Path] = {}
    versions: dict[str, int] = {}
    folders: dict[Path, None] = {}
    unified = None
    for line in lines:
        mount, folder = _folder(line, hierarchies)
        if folder is None:
            continue
        folders[folder] = None
        unified = folder if mount.version == 2 else unified
        for ability in _abilities(mount, folder):
            homes.setdefault(ability, folder)
            versions.setdefault(ability, mount.version)
    if not folders:
        raise HostLacks("the engine makes no control groups for its containers", fix="start it with cgroups")
    return Found(tuple(folders), homes, versions, unified)


def _folder(line: str, hierarchies: list[Mounted]) -> tuple[Mounted, Path | None]:
    """Return the hierarchy of a line of /proc/PID/cgroup and the group's folder; None: one that holds nothing."""
    names = line.split(":", 2)[1]
    for mount in hierarchies:
        folder = own_folder(mount, line)
        if folder is not None:
            return mount, folder
    if names.startswith("name="):
        return Mounted(Path(), "/", frozenset(), 1), None
    raise HostLacks(
        f"the container's control group ({names or 'version 2'}) is not mounted here",
        fix="run Penstock on the engine's machine itself, not in a container",
    )


def _abilities(mount: Mounted, folder: Path) -> frozenset[str]:
    offered = mount.controllers if mount.version == 1 else set((folder / "cgroup.controllers").read_text().split())
    return frozenset((*CONTROLLERS, *ALSO)) & offered


class ContainerGroup(Group):
    """A container's groups (`Group`, which makes its own). The engine makes and removes them."""

    def __init__(self, found: Found) -> None:
        super().__init__(Place({}, {}, None), "none")
        self._place = Place(found.homes, found.versions, None)
        self._homes = {ability: found.homes[ability] for ability in found.homes}
        self._unified = found.unified
        self._folders = list(found.folders)

    @property
    def folders(self) -> list[Path]:
        """Every folder, each once."""
        return self._folders

    def remove(self) -> bool:
        """Nothing: the engine removes its groups itself."""
        return True


def of_container(container: str, pid: int) -> ContainerGroup:
    """Return the groups of a container that runs, by its first process.

    Raises:
        HostLacks: they cannot be entered from here.
    """
    mountinfo = Path("/proc/self/mountinfo").read_text()
    group = ContainerGroup(find(container, mountinfo, Path(f"/proc/{pid}/cgroup").read_text()))
    for ability in NEEDED:
        if not group.has(ability):
            raise HostLacks(f"the engine holds no limit on {ability}", fix="have its kernel count it (cgroup_enable)")
    return group
