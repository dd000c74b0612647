"""A sandbox as bubblewrap's options. Pure: what is on the host comes in as values.

The options travel by `--args FD` and bubblewrap's environment is empty but for a mark, for /proc/1/cmdline and
/proc/1/environ are seen inside. Its user namespace is a second one: the first owns the network, so nobody inside has a
capability over it. The first process inside is a `sleep` that ignores its children's ends, so that the kernel reaps
orphans; the kernel also keeps every signal from it that its own namespace sends. There is no `--die-with-parent`:
sandboxes outlive the server (state.py says how they are found again).

Order counts: a later mount covers an earlier one, and read-only remounts come last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from penstock.agents.sandboxes.driver import AGENT, HOME, WORKSPACE
from penstock.agents.sandboxes.local import system

SMALL = 16 << 20
"""Bytes of the file systems in memory that are not /tmp or /dev/shm."""
WRITABLE = (HOME, WORKSPACE, "/tmp", "/var/tmp", "/run", "/dev/shm", "/dev/mqueue", "/dev/pts")  # noqa: S108
"""What programs inside may write to, beside environments that are being built."""

READY_FD = 6
_IGNORING = "env --ignore-signal=CHLD"
INIT = (
    "/bin/sh",
    "-c",
    f"echo ready >&{READY_FD}; exec </dev/null >/dev/null 2>&1 3>&- 4>&- 5>&- {READY_FD}>&-; "
    f"{_IGNORING} true && exec {_IGNORING} sleep infinity; while :; do sleep 3600 & wait; done",
)
"""The first process: a `sleep` where coreutils can have it ignore SIGCHLD (shells refuse to), else the shell itself."""


class Host(Struct, frozen=True):
    """What the host has: which of the system's paths, which are links (path -> target), and whether nested user
    namespaces can be switched off.
    """

    folders: tuple[str, ...]
    links: Mapping[str, str]
    etc: tuple[str, ...]
    masked_files: tuple[str, ...]
    masked_folders: tuple[str, ...]
    disable_userns: bool


class Layout(Struct, frozen=True):
    """The host's paths of one sandbox: its two folders, files (path inside -> path here), mounts (inside, here,
    writable).
    """

    home: str
    work: str
    files: Mapping[str, str]
    mounts: Sequence[tuple[str, str, bool]]
    temporary: int


def arguments(host: Host, layout: Layout, *, seccomp_fd: int | None, info_fd: int) -> list[str]:
    """Return bubblewrap's options, without the program."""
    return [
        *_namespaces(host),
        *_system(host),
        *_devices(layout.temporary),
        *_workspace(layout),
        *_files(layout),
        *_masks(host),
        *("--remount-ro", "/dev", "--remount-ro", "/"),
        *(("--seccomp", str(seccomp_fd)) if seccomp_fd is not None else ()),
        *("--info-fd", str(info_fd), "--chdir", "/"),
    ]


def _namespaces(host: Host) -> list[str]:
    shared = ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup"]
    who = ["--uid", str(AGENT), "--gid", str(AGENT), "--hostname", system.HOSTNAME]
    nested = ["--disable-userns"] if host.disable_userns else []
    return [*shared, *who, *nested, "--as-pid-1", "--new-session", "--cap-drop", "ALL"]


def _system(host: Host) -> list[str]:
    found = []
    for path in host.folders:
        found += ["--ro-bind", path, path]
    for path, target in host.links.items():
        found += ["--symlink", target, path]
    for name in host.etc:
        found += ["--ro-bind", f"/etc/{name}", f"/etc/{name}"]
    return found


def _devices(temporary: int) -> list[str]:
    found = ["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--dev", "/dev", "--mqueue", "/dev/mqueue"]
    for path, size in (("/tmp", temporary), ("/dev/shm", temporary), ("/var/tmp", SMALL), ("/run", SMALL)):  # noqa: S108
        mode = "0755" if path == "/run" else "1777"
        found += ["--perms", mode, "--size", str(size), "--tmpfs", path]
    return found


def _workspace(layout: Layout) -> list[str]:
    found = ["--bind", layout.home, HOME, "--bind", layout.work, WORKSPACE]
    for inside, here, writable in layout.mounts:
        found += ["--bind" if writable else "--ro-bind", here, inside]
    return found


def _files(layout: Layout) -> list[str]:
    found = []
    for inside, here in sorted(layout.files.items()):
        found += ["--ro-bind", here, inside]
    return found


def _masks(host: Host) -> list[str]:
    found = []
    for path in host.masked_files:
        found += ["--ro-bind", "/dev/null", path]
    for path in host.masked_folders:
        found += ["--perms", "0555", "--size", "4096", "--tmpfs", path, "--remount-ro", path]
    return found
