"""A sandbox as the engine is told of it: every wall is in the request, whatever the image says."""

from typing import Any

import pytest

from penstock.agents.sandboxes.docker import container
from penstock.agents.sandboxes.docker.container import Image, Layout
from penstock.agents.sandboxes.driver import GIB, MIB, Limits

LAYOUT = Layout("/state/home", "/state/work", [("/opt/tools", "/state/tools", False), ("/opt/new", "/state/new", True)])
LIMITS = Limits(memory=256 * MIB, processes=64, cpu=1500, disk=1 * GIB, temporary=32 * MIB)


def described(*volumes: str) -> dict[str, Any]:
    image = Image("sha256:1", {"PATH": "/x"}, volumes)
    return container.description(image, LAYOUT, LIMITS, mark=("SANDBOX", "instance/token"))


def test_the_walls() -> None:
    host = described()["HostConfig"]
    assert (host["NetworkMode"], host["IpcMode"], host["PidMode"], host["UTSMode"]) == ("none", "private", "", "")
    assert (host["CapDrop"], host["CapAdd"], host["Privileged"]) == (["ALL"], [], False)
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["ReadonlyRootfs"] is True
    assert {"/sys", "/proc/kcore", "/proc/keys", "/proc/bus"} <= set(host["MaskedPaths"])
    assert "/proc/sys" in host["ReadonlyPaths"]
    assert host["RestartPolicy"] == {"Name": "no"}
    assert not {"Devices", "DeviceRequests", "VolumesFrom", "Links", "GroupAdd", "PortBindings", "Binds"} & set(host)


def test_who_runs_what() -> None:
    made = described()
    assert made["User"] == "1000:1000"
    assert made["Entrypoint"][0] == "/bin/sh" and made["Cmd"] == []
    assert made["Healthcheck"] == {"Test": ["NONE"]}
    assert made["Env"] == ["SANDBOX=instance/token"]
    assert made["Labels"] == {"penstock.sandbox": "instance/token"}


def test_limits() -> None:
    host = described()["HostConfig"]
    assert (host["Memory"], host["MemorySwap"]) == (256 * MIB, 256 * MIB)  # as much with swap as without: no swap
    assert (host["NanoCpus"], host["PidsLimit"]) == (1_500_000_000, 65)
    assert "size=33554432," in host["Tmpfs"]["/tmp"] and host["ShmSize"] == 32 * MIB
    assert all("nosuid,nodev" in options for options in host["Tmpfs"].values())


def test_of_the_host_only_what_was_named() -> None:
    binds = [one for one in described()["HostConfig"]["Mounts"] if one["Type"] == "bind"]
    assert {(one["Source"], one["Target"], one["ReadOnly"]) for one in binds} == {
        ("/state/home", "/home/agent", False),
        ("/state/work", "/workspace", False),
        ("/state/tools", "/opt/tools", True),
        ("/state/new", "/opt/new", False),
    }
    assert {one["BindOptions"]["Propagation"] for one in binds} == {"rprivate"}


def test_volumes_of_an_image_are_covered_but_where_we_mount() -> None:
    made = described("/data", "/var/lib/db/", "/workspace", "/opt/new", "/tmp", "/")["HostConfig"]["Mounts"]
    covered = {one["Target"]: one["ReadOnly"] for one in made if one["Type"] == "tmpfs"}
    assert covered == {"/data": True, "/var/lib/db": True}


@pytest.mark.parametrize("config", [None, {}, {"Env": None, "Volumes": None}])
def test_an_image_that_says_nothing(config: Any) -> None:
    image = container.read_image({"Id": "sha256:1", "Config": config})
    assert image == Image("sha256:1", {}, ())
    assert container.variables(image)["PATH"].startswith("/home/agent/.local/bin:/usr/local/sbin:")


def test_variables_of_an_image_are_below_the_agents_own() -> None:
    config = {"Env": ["PATH=/go/bin:/usr/bin", "GOFLAGS=-a=b", "HOME=/root", "USER=root", "EMPTY"]}
    found = container.variables(container.read_image({"Id": "x", "Config": config}))
    assert (found["HOME"], found["USER"], found["GOFLAGS"], found["EMPTY"]) == ("/home/agent", "agent", "-a=b", "")
    assert found["PATH"] == "/home/agent/.local/bin:/go/bin:/usr/bin"
