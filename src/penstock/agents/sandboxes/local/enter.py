"""The helpers that enter a running sandbox: to start a program in it, or to end all that runs there.

There is no agent of ours inside. The helper joins the groups, becomes the sandbox's user, enters all of its
namespaces by the pidfd of its first process, and forks once more, for a process enters a pid namespace only by its
children. That child is the fork server's (CLONE_PARENT): so that its end is heard of, and no Python waits beside each
program. It gives
up what it has in this order, for each step needs what the next one takes: files, session and terminal, folder, rlimits,
Landlock, capabilities, no_new_privs, system calls.
"""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from collections.abc import Mapping, Sequence

from msgspec import Struct

from penstock.agents.sandboxes.local import kernel, landlock
from penstock.agents.sandboxes.local.helper import (
    Answer,
    Ceilings,
    Channel,
    become,
    filter_or_none,
    join,
    set_ceilings,
)

SPACES = (
    kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS | kernel.CLONE_NEWCGROUP
)  # fmt: skip
UNLOCK, PEER = 0x40045431, 0x5441  # TIOCSPTLCK, TIOCGPTPEER: ioctl_tty(2)


NOT_FOUND = "no such program"
"""How the answer begins where PATH has no such program."""


class Where(Struct, frozen=True):
    """A running sandbox: its first process (pid, when it began), its user here (< 0: ours), its groups.

    `inside`: the user to become once inside, where the sandbox has no user namespace of its own (< 0: it has one).
    """

    pid: int
    started: int
    owner: int
    entrances: tuple[str, ...]
    inside: int = -1


class Enter(Struct, frozen=True):
    """The program to start. `terminal`: rows and columns. `writable`: folders that Landlock leaves open."""

    where: Where
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    terminal: tuple[int, int] | None
    ceilings: Ceilings
    writable: tuple[str, ...]
    filtered: bool


class Stop(Struct, frozen=True):
    """Send a signal to everything but the first process."""

    where: Where
    signal: int = 9


def enter(wanted: Enter, channel: Channel) -> None:
    """Start a program inside; answers its pid, and the terminal's other end if it has one. The socket closes at
    execve.
    """
    _go_inside(wanted.where, channel)
    channel.step = "fork"
    pid = kernel.clone_sibling()
    if pid:
        channel.say(Answer(pid=pid))
        os._exit(0)
    if wanted.where.inside >= 0:
        kernel.drop_bounding()  # root's right, so before it is nobody
        become(wanted.where.inside)
    _arrange_files(wanted, channel)
    channel.step = f"folder {wanted.cwd}"
    os.chdir(wanted.cwd)
    channel.step = "giving up rights"
    _give_up(wanted)
    channel.step = "program"
    _execute(wanted.argv, wanted.env)


def _go_inside(where: Where, channel: Channel) -> None:
    channel.step = "the sandbox's groups"
    join(where.entrances)
    channel.step = "the sandbox's namespaces"
    pidfd = os.pidfd_open(where.pid)
    if kernel.started(where.pid) != where.started:
        raise ProcessLookupError(3, "the sandbox is gone")
    become(where.owner)
    kernel.setns(pidfd, SPACES if where.inside < 0 else SPACES & ~kernel.CLONE_NEWUSER)
    os.close(pidfd)
    kernel.undumpable()


def _arrange_files(wanted: Enter, channel: Channel) -> None:
    """Leave standard input, output and error, and the channel, which closes at execve."""
    os.setsid()
    if wanted.terminal is not None:
        channel.step = "terminal"
        fds = [_terminal(wanted.terminal, channel)] * 3
    else:
        fds = channel.fds
    answers = 100
    os.dup2(channel.fileno(), answers, inheritable=False)
    high = [os.dup2(fd, 101 + index) for index, fd in enumerate(fds)]
    for number, fd in enumerate(high):
        os.dup2(fd, number, inheritable=True)
    os.dup2(answers, 3, inheritable=False)
    kernel.close_from(4)
    channel.move(3)


def _terminal(size: tuple[int, int], channel: Channel) -> int:
    """Open a terminal of the sandbox's own devpts (so that its name means something inside), send its other end out.

    What we open by name is checked to be a devpts, and the terminal itself is opened through the other end.
    """
    outer = os.open("/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC)
    if kernel.file_system_of(outer) != kernel.DEVPTS_MAGIC:
        raise OSError(22, "not a terminal file system")
    fcntl.ioctl(outer, UNLOCK, struct.pack("i", 0))
    inner = fcntl.ioctl(outer, PEER, os.O_RDWR | os.O_NOCTTY)
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    fcntl.ioctl(inner, termios.TIOCSCTTY, 0)
    channel.say(Answer(kind="terminal"), [outer])
    os.close(outer)
    return inner


def _give_up(wanted: Enter) -> None:
    os.umask(0o022)
    set_ceilings(wanted.ceilings)
    kernel.default_signals()
    kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    landlock.restrict(wanted.writable)
    program = filter_or_none()
    if program is not None:
        kernel.load_filter(program)
    elif wanted.filtered:
        raise OSError(38, "the filter of system calls is not there")


def _execute(argv: Sequence[str], env: Mapping[str, str]) -> None:
    """Look the program up as a shell does, and become it.

    Raises:
        OSError: no folder of PATH has it, or it cannot be executed.
    """
    places = (
        [argv[0]] if "/" in argv[0] else [f"{folder or '.'}/{argv[0]}" for folder in env.get("PATH", "").split(":")]
    )
    refused: OSError | None = None
    for place in places:
        try:
            os.execve(place, list(argv), dict(env))  # noqa: S606
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            refused = refused or error
    raise refused or FileNotFoundError(2, NOT_FOUND, argv[0])


def stop(wanted: Stop, channel: Channel) -> None:
    """Signal all processes of the sandbox but its first: one system call, which the kernel does without gaps."""
    _go_inside(wanted.where, channel)
    channel.step = "fork"
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.kill(-1, wanted.signal)
            status = 0
        except ProcessLookupError:
            status = 0  # there was nobody
        finally:
            os._exit(status)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0:
        raise OSError(1, "the sandbox's processes could not be ended")
    channel.say(Answer())
