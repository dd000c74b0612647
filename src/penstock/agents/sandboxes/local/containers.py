"""The helpers for a container that an engine has made (../docker): its listeners, and the files placed in it.

Both join namespaces of the container, which needs root. The network has no interface but loopback, which the engine
has raised; from there on it is as in a sandbox of our own (network.py). Nobody inside has a capability, so nobody
inside can change any of it.

Files are placed when the vault has said what they are, and the container is there by then: each becomes a mount of
its own, made here and attached there. Where the image has no such path it is made, for which the image is writable for
a moment; nothing runs in the container yet. Folders that an agent may have filled are written to as the agent only.

Sources: setns(2), mount_setattr(2), open_tree(2), move_mount(2), mount(2).
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from penstock.agents.sandboxes.driver import HOME, WORKSPACE, Egress
from penstock.agents.sandboxes.local import kernel, launch
from penstock.agents.sandboxes.local.helper import Answer, Channel

SEALED = kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV


class Listen(Struct, frozen=True):
    """The container's first process (pid, when it began), the ways out, and nft's path ("": none).

    `again`: its network is set up already (`redirected`, or not); only listeners are wanted.
    """

    pid: int
    started: int
    egress: Egress
    nft: str = ""
    again: bool = False
    redirected: bool = False


class Place(Struct, frozen=True):
    """Place files (path inside -> file here) in a container in which nothing runs yet. `agent`: the user inside."""

    pid: int
    started: int
    files: Mapping[str, str]
    agent: int
    writable: tuple[str, ...] = (HOME, WORKSPACE)


def listen(wanted: Listen, channel: Channel) -> None:
    """Open the listeners in the container's network, and hand them out."""
    channel.step = "the container's network"
    _enter(wanted.pid, wanted.started, kernel.CLONE_NEWNET)
    channel.step = "listeners"
    with contextlib.suppress(OSError):  # engines switch IPv6 off, and with it ::1; a kernel may have none
        Path("/proc/sys/net/ipv6/conf/lo/disable_ipv6").write_text("0")
    if wanted.again:
        launch.open_listeners(wanted.egress, channel, redirected=wanted.redirected)
    else:
        launch.hand_out(wanted.egress, wanted.nft, channel)


def place(wanted: Place, channel: Channel) -> None:
    """Mount the files where they belong, read-only."""
    mounts = {}
    for path, here in wanted.files.items():
        channel.step = here
        mounts[path] = kernel.mount_of(here)
    channel.step = "the container's files"
    _enter(wanted.pid, wanted.started, kernel.CLONE_NEWNS)
    os.umask(0o022)
    for path in sorted(mounts):
        channel.step = path
        place = _place(path, wanted)
        kernel.attach_mount(mounts[path], place)
        kernel.change_mount(path, SEALED)
    channel.say(Answer())


def _enter(pid: int, started: int, space: int) -> None:
    """Join a namespace of the container, which must be one of its own."""
    name = {kernel.CLONE_NEWNET: "net", kernel.CLONE_NEWNS: "mnt"}[space]
    pidfd = os.pidfd_open(pid)
    if kernel.started(pid) != started:
        raise ProcessLookupError(errno.ESRCH, "the container is gone")
    if os.stat(f"/proc/self/ns/{name}").st_ino == os.stat(f"/proc/{pid}/ns/{name}").st_ino:  # noqa: PTH116
        raise PermissionError(errno.EPERM, f"the container shares the host's namespace {name}")
    kernel.setns(pidfd, space)
    os.close(pidfd)


def _place(path: str, wanted: Place) -> int:
    """Open the place of a file, making it where it is absent."""
    try:
        return os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        below = any(path.startswith(f"{folder}/") for folder in wanted.writable)
        with _as(wanted.agent) if below else _writable_image():
            os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)  # noqa: PTH103, PTH120
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
        return os.open(path, os.O_PATH | os.O_CLOEXEC)


@contextlib.contextmanager
def _as(user: int) -> Iterator[None]:
    """Have the rights of the agent on files, and no others, for a while."""
    os.setegid(user)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@contextlib.contextmanager
def _writable_image() -> Iterator[None]:
    """Have the image writable for a while. It is so for one container only: images are below, and never change."""
    kernel.change_mount("/", 0)
    try:
        yield
    finally:
        kernel.change_mount("/", kernel.MS_RDONLY)
