"""What every helper job uses: its channel to the server, and the steps by which it gives up its rights."""

from __future__ import annotations

import functools
import os
import resource
import socket
from collections.abc import Sequence

from msgspec import Struct, json

from penstock.agents.sandboxes.driver import HostLacks
from penstock.agents.sandboxes.local import filter as filters
from penstock.agents.sandboxes.local import kernel


class Answer(Struct, frozen=True):
    """What a job says. `kinds` name the listeners whose sockets come along; `left_out` is what an archive does not
    have.
    """

    pid: int = 0
    error: str = ""
    kind: str = ""
    number: int = 0
    size: int = 0
    kinds: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    redirected: bool = False


class Ceilings(Struct, frozen=True):
    """Limits of each process (setrlimit(2)): bytes of a file; how many processes the user may have inside (0: the
    groups hold that).
    """

    file: int
    processes: int


class Channel:
    """The job's end of its socket, and the further file descriptors that it got. `step` says where an error came
    from.
    """

    def __init__(self, sock: socket.socket, fds: list[int]) -> None:
        self._socket = sock
        self.fds = fds
        self.step = "start"

    def move(self, number: int) -> None:
        """Use the copy of the socket that has this number; ours has been closed."""
        self._socket.detach()
        self._socket = socket.socket(fileno=number)

    def fileno(self) -> int:
        """Return the socket's number."""
        return self._socket.fileno()

    def say(self, answer: Answer, fds: Sequence[int] = ()) -> None:
        """Send an answer. A server that has gone is not told."""
        try:
            socket.send_fds(self._socket, [json.encode(answer)], fds)
        except OSError:
            return

    def hear(self) -> tuple[bytes, list[int]]:
        """Wait for a message of the server; b"" when it has gone."""
        data, fds, _, _ = socket.recv_fds(self._socket, 65536, 16)
        return data, list(fds)


@functools.cache
def filter_or_none() -> bytes | None:
    """Return the filter of system calls, or None where this host cannot have one."""
    try:
        return filters.build()
    except HostLacks:
        return None


def join(entrances: Sequence[str]) -> None:
    """Join the sandbox's groups: what is forked or allocated from here on counts there."""
    for entrance in entrances:
        with open(entrance, "w") as file:  # noqa: PTH123
            file.write("0")


def become(owner: int) -> None:
    """Become the sandbox's user for good (root only; `owner` < 0: we are nobody special already)."""
    if owner < 0:
        return
    os.setgroups([])
    os.setresgid(owner, owner, owner)
    os.setresuid(owner, owner, owner)
    kernel.undumpable()


def set_ceilings(ceilings: Ceilings) -> None:
    """Set the limits of this process and its children. To be called within the sandbox's user namespace, which counts
    processes for itself from there on."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_FSIZE, ceilings.file)
    if ceilings.processes:
        _lower(resource.RLIMIT_NPROC, ceilings.processes)


def _lower(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    least = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (least, least))
