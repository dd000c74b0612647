"""Where a container's control groups are found, on every kind of host, and when it is refused."""

from pathlib import Path

import pytest

from penstock.agents.sandboxes.docker.groups import ContainerGroup, find
from penstock.agents.sandboxes.driver import HostLacks

ID = "c149ec4aeaf80d23"


def version_1(*names: str) -> str:
    return "".join(
        f"3{index} 30 0:{index} / /cg/{name} rw - cgroup cgroup rw,{name}\n" for index, name in enumerate(names)
    )


def version_2(folder: Path, root: str = "/") -> str:
    return f"40 30 0:40 {root} {folder} rw - cgroup2 cgroup2 rw\n"


def made(folder: Path, controllers: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "cgroup.controllers").write_text(controllers)
    return folder


def test_version_1() -> None:
    cgroup = f"4:devices:/docker/{ID}\n3:memory:/docker/{ID}\n2:pids:/docker/{ID}\n1:name=systemd:/docker/{ID}\n0::/\n"
    found = find(ID, version_1("memory", "pids", "devices"), cgroup)
    assert dict(found.homes) == {name: Path(f"/cg/{name}/docker/{ID}") for name in ("memory", "pids")}
    assert (set(found.versions.values()), found.unified) == ({1}, None)
    assert ContainerGroup(found).entrances == [
        f"/cg/{name}/docker/{ID}/cgroup.procs" for name in ("devices", "memory", "pids")
    ]


def test_version_2_by_systemd(tmp_path: Path) -> None:
    group = made(tmp_path / f"system.slice/docker-{ID}.scope", "cpu memory pids")
    found = find(ID, version_2(tmp_path), f"0::/system.slice/docker-{ID}.scope\n")
    assert (dict(found.versions), found.unified) == ({"cpu": 2, "memory": 2, "pids": 2}, group)
    assert found.folders == (group,)


def test_both_at_once(tmp_path: Path) -> None:
    group = made(tmp_path / f"docker/{ID}", "hugetlb")
    found = find(ID, version_2(tmp_path) + version_1("memory"), f"1:memory:/docker/{ID}\n0::/docker/{ID}\n")
    assert (found.homes["memory"], found.unified) == (Path(f"/cg/memory/docker/{ID}"), group)
    assert set(found.folders) == {group, Path(f"/cg/memory/docker/{ID}")}


def test_a_group_that_is_not_the_containers_own_is_left_alone(tmp_path: Path) -> None:
    """In the engine's own group a `cgroup.kill` would be the engine's end."""
    made(tmp_path / "docker", "")
    found = find(ID, version_2(tmp_path) + version_1("memory"), f"1:memory:/docker/{ID}\n0::/docker\n")
    assert (found.unified, found.folders) == (None, (Path(f"/cg/memory/docker/{ID}"),))


@pytest.mark.parametrize(
    ("mountinfo", "cgroup"),
    [
        (version_1("memory"), f"2:devices:/docker/{ID}\n1:memory:/docker/{ID}\n"),  # one is not mounted here
        (version_1("memory"), f"1:memory:/../docker/{ID}\n"),  # it lies outside of what this process may see
        (version_2(Path("/cg"), "/ours"), f"0::/docker/{ID}\n"),
        (version_1("memory"), "1:memory:/\n0::/\n"),  # it has none
        ("", ""),
    ],
)
def test_what_cannot_be_entered_is_refused(mountinfo: str, cgroup: str) -> None:
    with pytest.raises(HostLacks):
        find(ID, mountinfo, cgroup)
