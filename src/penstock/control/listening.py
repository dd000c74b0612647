"""The sockets that outlive workers and keepers: the supervisor binds them before any child is born.

One TCP socket per worker on the same address (SO_REUSEPORT): the kernel spreads connections over them, and those that
come while a worker is dead wait in its socket for the successor. The keeper's two Unix sockets lie in a directory that
only this user can enter.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

BACKLOG = 4096
"""Connections that may wait for a worker (the kernel's own limit, somaxconn, may be lower)."""
_LONGEST_PATH = 100
"""Bytes of a Unix socket's path: the kernel takes 107 (unix(7)), others 103."""


class CannotListen(Exception):
    """The address cannot be had. The message says which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Sockets:
    """What a gateway listens on.

    workers   one TCP socket per worker, all on `port`
    folder    private directory of the two Unix sockets
    """

    workers: tuple[socket.socket, ...]
    port: int
    folder: Path
    channel: socket.socket
    api: socket.socket

    def close(self) -> None:
        """Close them all, and remove the directory."""
        for one in (*self.workers, self.channel, self.api):
            one.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def channel_path(self) -> str:
        return str(self.folder / "channel")

    @property
    def api_path(self) -> str:
        return str(self.folder / "api")


def listen(host: str, port: int, workers: int) -> Sockets:
    """All sockets of a gateway; port 0 picks a free one. Raises CannotListen."""
    tcp = _tcp(host, port, workers)
    folder = _private_folder()
    return Sockets(tcp, tcp[0].getsockname()[1], folder, _unix(folder / "channel"), _unix(folder / "api"))


def _tcp(host: str, port: int, workers: int) -> tuple[socket.socket, ...]:
    made: list[socket.socket] = []
    try:
        if port:
            _alone(host, port)
        for _ in range(workers):
            made.append(_bound(host, made[0].getsockname()[1] if made else port, shared=True))
        for one in made:
            one.listen(BACKLOG)
            one.setblocking(False)
    except OSError as error:
        for one in made:
            one.close()
        reason = error.strerror or str(error)
        raise CannotListen(f"port {port} of {host} cannot be had ({reason}); choose another with --port") from None
    return tuple(made)


def _alone(host: str, port: int) -> None:
    """Raises OSError where somebody listens already: with SO_REUSEPORT alone, two gateways would share the port, and
    each get some of the other's calls.
    """
    _bound(host, port, shared=False).close()


def _bound(host: str, port: int, *, shared: bool) -> socket.socket:
    one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind((host, port))
    except BaseException:
        one.close()
        raise
    return one


def _private_folder() -> Path:
    """A directory of mode 0700 with a path that is short enough for Unix sockets."""
    folder = tempfile.mkdtemp(prefix="penstock-")
    if len(os.fsencode(folder)) + len("/channel") > _LONGEST_PATH:
        with suppress(OSError):
            Path(folder).rmdir()
        folder = tempfile.mkdtemp(prefix="penstock-", dir="/tmp")  # mkdtemp makes it private
    return Path(folder)


def _unix(path: Path) -> socket.socket:
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    one.bind(str(path))
    path.chmod(0o600)
    one.listen(BACKLOG)
    one.setblocking(False)
    return one
