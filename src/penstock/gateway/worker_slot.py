"""WorkerSlot: all that a worker is given at its birth. The supervisor makes it, and `gateway.worker.run` takes it.

A slot outlives its workers: when one dies, the next is born into the same slot, with the same listening socket, so that
connections which waited for the dead one are answered by its successor.

What the supervisor expects of a worker: it calls `serving()` once it answers requests. On SIGTERM, or when
`supervisor` becomes readable (its end: the supervisor was killed), it accepts what waits, closes `listener`, lets calls
under way end for `drain_seconds`, and returns. It ignores SIGINT: that goes to all processes of a terminal, and the
supervisor decides.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from penstock.gateway.in_flight import InFlight


@dataclass(frozen=True, slots=True)
class WorkerSlot:
    """A worker's place.

    index     1 to `count`, the number of workers
    life      1 for the first worker of this slot, 2 for its successor ...
    listener  a TCP socket that listens and does not block; only this slot's
    channel   path of the Unix socket where the keeper answers for leases and look-ups
    api       path of the Unix socket where the keeper answers HTTP: the control plane's paths are passed on to it
    state     the directory of the state: the journals are in it
    drain_seconds  what the command line says; None: what the configuration says
    supervisor     a file descriptor that is at its end (readable) when the supervisor is dead
    ready     the file descriptor behind `serving()`
    in_flight requests at deployments that take only so many, counted over all workers; None: by each for itself
    log_level the least severe messages to write; None: what the configuration says
    """

    index: int
    count: int
    life: int
    listener: socket.socket
    channel: str
    api: str
    state: Path
    drain_seconds: float | None
    supervisor: int
    ready: int
    in_flight: InFlight | None = None
    log_level: str | None = None

    def serving(self) -> None:
        """Tell the supervisor that this worker answers requests. Nobody may be left to hear it."""
        with suppress(OSError):
            os.write(self.ready, b"{}\n")
