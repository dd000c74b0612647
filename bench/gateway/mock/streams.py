"""The upstream of streams, seen from the benchmark: started, told its pace, asked what it has sent."""

from __future__ import annotations

import json
import re
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.gateway import machine, processes
from bench.gateway.processes import Program

STAMP = re.compile(rb'" ([0-9a-f]{16})"')
"""The text of a chunk: when it was written, in nanoseconds of the monotonic clock, which all processes share. It is
what the model "says", so it is found in whatever dialect a peer has translated the chunk to.
"""

_ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True)
class Counts:
    """Since the mock started: `late` is the longest that it was behind its own pace since the last change of it, in
    seconds; `unread` are bytes that it could not write, since the peer did not read.
    """

    requests: int
    opened: int
    finished: int
    cut: int
    chunks: int
    late: float
    unread: int


@dataclass(frozen=True, slots=True)
class Streams:
    """The running mock."""

    program: Program
    port: int

    def pace(self, chunks: int, interval: float) -> None:
        """From now on a stream has so many chunks, so many seconds apart (0: all in one write)."""
        self._ask(f"/pace?chunks={chunks}&interval={interval!r}")

    def counts(self) -> Counts:
        """What it has done so far."""
        return Counts(**self._ask("/counts"))

    def _ask(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        return found


def start(folder: Path, core: int) -> Streams:
    """The running mock; at first a stream has four chunks in one write."""
    port = machine.free_port()
    command = [sys.executable, "-m", "bench.gateway.mock.stream_server", str(port)]
    program = processes.start("mock-streams", command, [core], folder, {"PYTHONPATH": str(_ROOT)})
    program.wait_for_port(port)
    return Streams(program, port)
