"""Where groups can be made: read out of /proc as different hosts show it, with folders that stand for the kernel's."""

from pathlib import Path

from penstock.agents.sandboxes.driver import MIB, Limits
from penstock.agents.sandboxes.local.cgroups import Group, mounted, own_folder, probe

LINE = "30 24 0:26 {root} {at} rw,nosuid - {kind} {kind} rw{options}"


def host(folder: Path, mounts: list[tuple[str, str, str, str]], own: str) -> Path:
    """A /proc/self. mounts: (where, root, kind, controllers)."""
    proc = folder / "proc"
    proc.mkdir()
    lines = [
        LINE.format(root=root, at=folder / at, kind=kind, options=f",{names}" if names else "")
        for at, root, kind, names in mounts
    ]
    (proc / "mountinfo").write_text("1 0 8:1 / / rw - ext4 /dev/a rw\n" + "\n".join(lines) + "\n")
    (proc / "cgroup").write_text(own)
    return proc


def version2(folder: Path, controllers: str) -> None:
    """Make a folder look like a group of version 2; groups below get the same files when they are made."""
    folder.mkdir(parents=True)
    for name, text in (
        ("cgroup.procs", ""),
        ("cgroup.controllers", controllers),
        ("cgroup.subtree_control", controllers),
    ):
        (folder / name).write_text(text)


def test_version_2(tmp_path: Path) -> None:
    proc = host(tmp_path, [("fs", "/", "cgroup2", "")], "0::/system.slice/penstock.service\n")
    version2(tmp_path / "fs/system.slice/penstock.service", "memory pids cpu")
    version2(tmp_path / "fs/system.slice/penstock.service/mine", "memory pids cpu")
    place = probe("mine", proc=proc)
    assert place.versions == {"memory": 2, "pids": 2, "cpu": 2}
    group = Group(place, "one")
    for folder in group.folders:
        assert folder == tmp_path / "fs/system.slice/penstock.service/mine/one"
    group.create(Limits(memory=64 * MIB, processes=10, cpu=500))
    written = {file.name: file.read_text() for file in group.folders[0].iterdir()}
    assert written["memory.max"] == str(64 * MIB) and written["memory.swap.max"] == "0"
    assert (written["pids.max"], written["cpu.max"]) == ("12", "50000 100000")
    assert (folder.parent / "cpu.weight").read_text() == "25", "all sandboxes together may not starve the server"


def test_version_1_below_our_own_group(tmp_path: Path) -> None:
    mounts = [
        ("memory", "/", "cgroup", "memory"),
        ("pids", "/", "cgroup", "pids"),
        ("cpu", "/", "cgroup", "cpu,cpuacct"),
    ]
    proc = host(tmp_path, mounts, "4:memory:/box/me\n3:pids:/\n2:cpu,cpuacct:/\n1:name=systemd:/\n")
    for path in ("memory/box/me/mine", "pids/mine", "cpu/mine"):
        (tmp_path / path).mkdir(parents=True)
        (tmp_path / path / "cgroup.procs").write_text("")
    place = probe("mine", proc=proc)
    assert place.homes["memory"] == tmp_path / "memory/box/me/mine"
    assert place.versions == {"memory": 1, "pids": 1, "cpu": 1, "cpuacct": 1}
    group = Group(place, "one")
    group.create(Limits(memory=64 * MIB, processes=10, cpu=500))
    assert (tmp_path / "memory/box/me/mine/one/memory.limit_in_bytes").read_text() == str(64 * MIB)
    assert (tmp_path / "cpu/mine/one/cpu.cfs_quota_us").read_text() == "50000"
    assert (tmp_path / "cpu/mine/cpu.shares").read_text() == "256", "all sandboxes together may not starve the server"
    assert group.kill() is False and group.freeze(True) is False


def test_a_host_that_lets_us_have_none(tmp_path: Path) -> None:
    proc = host(
        tmp_path, [("fs", "/", "cgroup2", ""), ("pids", "/other", "cgroup", "pids")], "0::/gone\n3:pids:/elsewhere\n"
    )
    place = probe("mine", proc=proc)
    assert (place.homes, place.unified) == ({}, None)
    group = Group(place, "one")
    group.create(Limits())
    assert (group.folders, group.pids(), group.cpu(), group.out_of_memory(), group.remove()) == ([], [], None, 0, True)


def test_a_group_outside_of_what_a_container_mounts() -> None:
    """A container that shares the host's cgroup namespace sees its own part mounted, and the whole path in /proc."""
    mount = mounted(LINE.format(root="/docker/x", at="/sys/fs/cgroup", kind="cgroup2", options=""))[0]
    assert own_folder(mount, "0::/docker/x/y\n") == Path("/sys/fs/cgroup/y")
    assert own_folder(mount, "0::/docker/x\n") == Path("/sys/fs/cgroup")
    assert own_folder(mount, "0::/docker/xy\n") is None
    assert own_folder(mount, "0::/../other\n") is None
