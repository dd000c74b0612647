"""The helper that becomes bubblewrap: groups, user, network, listeners handed out, leave to go on, `execve`.

Until the server says "go", which it does when the vault has the listeners, nothing has run inside; when the server goes
away before, the helper ends, and its namespaces with it.
"""

from __future__ import annotations

import os

from msgspec import Struct

from penstock.agents.sandboxes.driver import Egress
from penstock.agents.sandboxes.local import bubblewrap, kernel, network
from penstock.agents.sandboxes.local.helper import (
    Answer,
    Ceilings,
    Channel,
    become,
    filter_or_none,
    join,
    set_ceilings,
)

ARGS_FD, SECCOMP_FD, INFO_FD = 3, 4, 5


class Launch(Struct, frozen=True):
    """`nft` and `bwrap` are programs ("" for no nft); `mark` is bubblewrap's whole environment."""

    owner: int
    entrances: tuple[str, ...]
    ceilings: Ceilings
    egress: Egress
    nft: str
    bwrap: str
    mark: tuple[str, str]


class Relisten(Struct, frozen=True):
    """The sandbox's first process (pid, start), and what listeners it had."""

    pid: int
    started: int
    owner: int
    egress: Egress
    redirected: bool


class Try(Struct, frozen=True):
    """The name of something that the kernel may offer."""

    what: str
    owner: int
    nft: str = ""


def launch(wanted: Launch, channel: Channel) -> None:
    """Make the network, hand out its listeners, and become bubblewrap when told to."""
    os.setsid()
    channel.step = "joining its groups"
    join(wanted.entrances)
    channel.step = "becoming its user"
    become(wanted.owner)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # /proc/self/uid_map must be ours to write; no sandbox sees this process
    channel.step = "user and network namespaces"
    _own_network()
    set_ceilings(wanted.ceilings)
    channel.step = "listeners"
    hand_out(wanted.egress, wanted.nft, channel)
    data, fds = channel.hear()
    if data != b"go":
        os._exit(0)
    channel.step = "bubblewrap"
    _become_bubblewrap(wanted, channel, fds[0])


def _own_network() -> None:
    user, group = os.geteuid(), os.getegid()
    kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNET)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{user} {user} 1")
    _write("/proc/self/gid_map", f"{group} {group} 1")
    network.raise_loopback()


def hand_out(egress: Egress, nft: str, channel: Channel) -> None:
    """Set up the network namespace that we are in, open its listeners, and pass them to the server."""
    redirected = False
    if egress.transparent:
        network.own_every_address()
        redirected = bool(nft) and egress.other_ports and _redirects(nft, egress)
    open_listeners(egress, channel, redirected=redirected)


def open_listeners(egress: Egress, channel: Channel, *, redirected: bool) -> None:
    """Open the listeners of a network namespace that is set up, and pass them to the server."""
    opened = network.listen(egress, redirected=redirected)
    kinds = tuple(kind for kind, _ in opened)
    channel.say(Answer(kinds=kinds, redirected=redirected), [sock.fileno() for _, sock in opened])
    for _, sock in opened:
        sock.close()


def _redirects(nft: str, egress: Egress) -> bool:
    """Redirect the other ports. False: this kernel or nft cannot, and the other ports refuse."""
    try:
        network.redirect_other_ports(nft, egress.ports)
    except OSError:
        return False
    return True


def _become_bubblewrap(wanted: Launch, channel: Channel, arguments: int) -> None:
    """Arrange the file descriptors (0, 1: nothing; 2: messages; 3 to 6 by name) and execve."""
    messages, info, ready = channel.fds
    nothing = os.open("/dev/null", os.O_RDWR)
    filtered = _filter_file()
    moved = [os.dup(fd) for fd in (nothing, nothing, messages, arguments, filtered, info, ready)]
    high = [_above(fd, 20 + index) for index, fd in enumerate(moved)]
    for target, fd in enumerate(high):
        os.dup2(fd, target, inheritable=True)
    kernel.close_from(len(high))
    kernel.default_signals()
    argv = ["bwrap", "--args", str(ARGS_FD), "--", *bubblewrap.INIT]
    os.execve(wanted.bwrap, argv, dict([wanted.mark]))  # noqa: S606


def _above(fd: int, number: int) -> int:
    """Move a file descriptor out of the way of the low numbers."""
    return os.dup2(fd, 100 + number)


def _filter_file() -> int:
    file = os.memfd_create("filter")
    os.write(file, filter_or_none() or b"")
    os.lseek(file, 0, os.SEEK_SET)
    return file


def relisten(wanted: Relisten, channel: Channel) -> None:
    """Enter the sandbox's network, as its owner, and open its listeners again."""
    channel.step = "the sandbox's network"
    become(wanted.owner)
    space = os.open(f"/proc/{wanted.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if kernel.started(wanted.pid) != wanted.started:
        raise ProcessLookupError(3, "the sandbox is gone")
    kernel.setns(kernel.owner_of_network(space), kernel.CLONE_NEWUSER)
    kernel.setns(space, kernel.CLONE_NEWNET)
    open_listeners(wanted.egress, channel, redirected=wanted.redirected)


def try_primitive(wanted: Try, channel: Channel) -> None:
    """Try one primitive, in this process that ends afterwards; OSError where the host refuses."""
    channel.step = wanted.what
    become(wanted.owner)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
    _TRIED[wanted.what](wanted)
    channel.say(Answer(size=_FIGURES.get(wanted.what, lambda: 0)()))


def _try_redirect(wanted: Try) -> None:
    _own_network()
    network.own_every_address()
    network.redirect_other_ports(wanted.nft, (80,))


def _try_network(wanted: Try) -> None:
    _own_network()
    network.own_every_address()
    for _, sock in network.listen(Egress(), redirected=False):
        sock.close()


def _try_filter(wanted: Try) -> None:
    program = filter_or_none()
    if program is None:
        raise OSError(38, "pyseccomp or libseccomp is not installed")
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.load_filter(program)
    try:
        kernel.unshare(kernel.CLONE_NEWUSER)
    except PermissionError:
        return
    raise OSError(1, "the filter was loaded and refuses nothing")


def _try_openat2(wanted: Try) -> None:
    folder = os.open("/", os.O_PATH)
    os.close(kernel.openat2(folder, "usr", os.O_PATH))


def _try_enter(wanted: Try) -> None:
    """setns by pidfd (Linux 5.8), here into the network namespace that we are in."""
    _own_network()
    kernel.setns(os.pidfd_open(os.getpid()), kernel.CLONE_NEWNET)


def _try_landlock(wanted: Try) -> None:
    if kernel.landlock_abi() < 2:
        raise OSError(38, f"version {kernel.landlock_abi()}, 2 is needed")


_TRIED = {
    "user namespace": lambda wanted: _own_network(),
    "network": _try_network,
    "redirect": _try_redirect,
    "filter": _try_filter,
    "openat2": _try_openat2,
    "enter": _try_enter,
    "landlock": _try_landlock,
}
_FIGURES = {"landlock": kernel.landlock_abi}


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:  # noqa: PTH123
        file.write(text)
