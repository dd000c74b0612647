"""A sandbox as a container, as the engine wants it described. Pure.

The wall is the local driver's, with the engine's own means: a network namespace with nothing in it, another user than
root, no capability, no new privileges, the image read-only, sized file systems in memory, and of the host's files only
the workspace and environments; the files that the driver places come later (local/containers.py). What an image
brings that could run or be written to is switched off: its entry point, its health check, its volumes.

The first process only holds the namespaces. Programs are started by entering from outside (local/enter.py), so the
variables of the container are those of an image, and a mark by which we know the process.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from penstock.agents.sandboxes.driver import AGENT, HOME, WORKSPACE, Limits
from penstock.agents.sandboxes.local import bubblewrap, system

LABEL = "penstock.sandbox"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}")
"""What can be an image's name, with its registry, tag or digest: a plain path, as it becomes part of one."""
FIRST = 1
"""Processes that are not the agent's: the first."""

KEEPER = (
    "/bin/sh",
    "-c",
    "exec </dev/null >/dev/null 2>&1; i='env --ignore-signal=CHLD'; "
    "$i true && exec $i sleep 2147483647; while :; do sleep 3600 & wait; done",
)
"""The first process: a `sleep` where `env` can have it ignore SIGCHLD (the kernel reaps orphans), else a shell."""

SYSCTLS = {"net.ipv4.ip_unprivileged_port_start": "1024"}
"""Engines let everybody in a container open low ports; those are the vault's (443 ...), also while it is away."""

HIDDEN = (
    "/sys", "/proc/interrupts", "/proc/timer_stats", *system.MASKED_FILES,
    *(path for path in system.MASKED_FOLDERS if path.startswith("/proc/")),
)  # fmt: skip
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


class Image(Struct, frozen=True):
    """What counts of an image: its id, its variables, and the folders that it wants as volumes."""

    id: str
    env: Mapping[str, str]
    volumes: tuple[str, ...]


class Layout(Struct, frozen=True):
    """The host's paths of one sandbox: its two folders, mounts (inside, here, writable)."""

    home: str
    work: str
    mounts: Sequence[tuple[str, str, bool]]


def read_image(said: Mapping[str, Any]) -> Image:
    """Read the engine's description of an image."""
    config = said.get("Config") or {}
    pairs = (entry.partition("=") for entry in config.get("Env") or ())
    volumes = tuple(sorted(config.get("Volumes") or ()))
    return Image(str(said["Id"]), {name: value for name, _, value in pairs}, volumes)


def variables(image: Image) -> Mapping[str, str]:
    """Return the variables that every program has: the image's, but for who and where the agent is."""
    path = image.env.get("PATH") or system.PATH
    return {**image.env, **system.VARIABLES, "PATH": f"{HOME}/.local/bin:{path}"}


def description(image: Image, layout: Layout, limits: Limits, *, mark: tuple[str, str]) -> dict[str, Any]:
    """Return the body of the request that creates the container."""
    name, value = mark
    return {
        "Image": image.id,
        "Entrypoint": list(KEEPER),
        "Cmd": [],
        "User": f"{AGENT}:{AGENT}",
        "WorkingDir": "/",
        "Hostname": system.HOSTNAME,
        "Env": [f"{name}={value}"],
        "Labels": {LABEL: value},
        "Healthcheck": {"Test": ["NONE"]},
        "Tty": False,
        "OpenStdin": False,
        "HostConfig": {
            **_walls(),
            **limited(limits),
            "ShmSize": limits.temporary,
            "Tmpfs": _memory_folders(limits.temporary),
            "Mounts": [*_workspace(layout), *_volumes(image, layout)],
        },
    }


def _walls() -> dict[str, Any]:
    return {
        "NetworkMode": "none",
        "IpcMode": "private",
        "PidMode": "",
        "UTSMode": "",
        "CgroupnsMode": "private",
        "UsernsMode": "host",  # the agent's number is the same inside and outside, whatever the engine maps
        "Privileged": False,
        "CapAdd": [],
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "ReadonlyRootfs": True,
        "MaskedPaths": list(HIDDEN),
        "ReadonlyPaths": list(READ_ONLY),
        "Sysctls": SYSCTLS,
        "Init": False,
        "RestartPolicy": {"Name": "no"},
        "AutoRemove": False,
        "LogConfig": {"Type": "none", "Config": {}},
        "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}],
    }


def limited(limits: Limits) -> dict[str, Any]:
    """Return the limits as the engine has them; they can be changed while it runs."""
    return {
        "Memory": limits.memory,
        "MemorySwap": limits.memory,
        "NanoCpus": limits.cpu * 1_000_000,
        "PidsLimit": limits.processes + FIRST,
    }


def _memory_folders(temporary: int) -> dict[str, str]:
    small = bubblewrap.SMALL
    sizes = {"/tmp": (temporary, "1777"), "/var/tmp": (small, "1777"), "/run": (small, "0755")}  # noqa: S108
    options = {path: f"rw,exec,nosuid,nodev,size={size},mode={mode}" for path, (size, mode) in sizes.items()}
    return {**options, "/run": f"{options['/run']},uid={AGENT},gid={AGENT}"}


def _workspace(layout: Layout) -> list[dict[str, Any]]:
    own = [_bind(layout.home, HOME, writable=True), _bind(layout.work, WORKSPACE, writable=True)]
    return [*own, *(_bind(here, inside, writable=writable) for inside, here, writable in layout.mounts)]


def _volumes(image: Image, layout: Layout) -> list[dict[str, Any]]:
    """Cover an image's volumes with nothing: the engine would make folders on disk that no limit counts."""
    taken = {HOME, WORKSPACE, *(inside for inside, _, _ in layout.mounts), "/tmp", "/var/tmp", "/run"}  # noqa: S108
    options = {"SizeBytes": 4096, "Mode": 0o555}
    free = [path.rstrip("/") for path in image.volumes if path.rstrip("/") not in taken]
    return [{"Type": "tmpfs", "Target": path, "ReadOnly": True, "TmpfsOptions": options} for path in free if path]


def _bind(here: str, inside: str, *, writable: bool) -> dict[str, Any]:
    options = {"Propagation": "rprivate"}
    return {"Type": "bind", "Source": here, "Target": inside, "ReadOnly": not writable, "BindOptions": options}
