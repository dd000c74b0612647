"""KeeperSlot: all that the keeper is given at its birth. The supervisor makes it, and `control.app.run` takes it.

What the supervisor expects of the keeper: it calls `tell()` once it answers workers, and again when `drain_seconds`
changes. SIGHUP: read the configuration anew. SIGUSR1: the gateway drains, and is not ready any more. SIGTERM: the
workers are gone; drain their journals and return. When `supervisor` becomes readable (its end), the supervisor was
killed: the workers end by themselves, and the keeper after them.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

CANNOT_START = 78
"""The exit status of a keeper that would fail again: it has said why. (EX_CONFIG of sysexits.h.)"""


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a child says to the supervisor, as a line of JSON.

    welcome        shown to the user once, when all workers serve
    drain_seconds  how long workers may take to end, when told to
    """

    welcome: str | None = None
    drain_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class KeeperSlot:
    """The keeper's place.

    workers   how many there are
    channel, api   the Unix sockets on which it answers: they listen, and outlive it
    state     the directory of the state: the database and the journals are in it
    temporary whether `state` goes when the gateway ends
    config    the configuration file, or None
    address   where clients reach the gateway: "http://127.0.0.1:4000"
    made_key  the master key where neither configuration nor environment gives one: made for this run
    drain_seconds  what the command line says; None: what the configuration says
    log_level the least severe messages to write; None: what the configuration says
    supervisor     a file descriptor that is at its end (readable) when the supervisor is dead
    ready     the file descriptor behind `tell()`
    life      1 for the first keeper, 2 for its successor ...
    """

    workers: int
    channel: socket.socket
    api: socket.socket
    state: Path
    temporary: bool
    config: Path | None
    address: str
    made_key: str
    drain_seconds: float | None
    log_level: str | None
    supervisor: int
    ready: int
    life: int

    def __repr__(self) -> str:
        return f"KeeperSlot(life={self.life}, address={self.address!r})"

    def tell(self, told: Told) -> None:
        """Tell the supervisor. Nobody may be left to hear it."""
        with suppress(OSError):
            os.write(self.ready, msgspec.json.encode(told) + b"\n")
