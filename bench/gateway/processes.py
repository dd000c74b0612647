"""Processes of the benchmark: started on given cores in sessions of their own, and ended with all that they started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.gateway import machine

KINDNESS = 5.0  # seconds that a program has to end by itself


class Failed(Exception):
    """A program of the benchmark did not do its part; the text says which, and ends with what it had printed."""


@dataclass(frozen=True, slots=True)
class Program:
    """A running program: its first process, and the file that holds what it prints."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def pids(self) -> list[int]:
        """Its processes now."""
        return machine.family(self.process.pid)

    def cpu(self) -> float:
        """Seconds of CPU that its living processes have used."""
        return sum(machine.cpu_seconds(self.pids()).values())

    def failed(self, what: str) -> Failed:
        """The error to raise, with the last lines of the log."""
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
        return Failed(f"{self.name}: {what}\n{tail}")

    def wait_for_port(self, port: int, seconds: float = 60.0) -> None:
        """Return when something listens there; raises Failed when the program ends or takes too long."""
        until = time.monotonic() + seconds
        while not listens(port):
            if self.process.poll() is not None:
                raise self.failed(f"ended with status {self.process.returncode} instead of listening")
            if time.monotonic() > until:
                raise self.failed(f"does not listen after {seconds:g} s")
            time.sleep(0.005)

    def stop(self) -> None:
        """End it, kindly first; what it started is ended too, also where that left the session."""
        pids = self.pids()
        _signal(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(KINDNESS)
        except subprocess.TimeoutExpired:
            pids = sorted({*pids, *self.pids()})
        for pid in pids[::-1]:
            _signal(pid, signal.SIGKILL)
        self.process.wait()


def start(
    name: str, command: Sequence[str], on: Sequence[int], folder: Path, env: Mapping[str, str] | None = None
) -> Program:
    """Start a program on these cores; it prints to `folder/NAME.log` and runs in `folder`."""
    log = folder / f"{name}.log"
    pinned = ["taskset", "--cpu-list", ",".join(map(str, on)), *command]
    with log.open("ab") as out:
        process = subprocess.Popen(
            pinned,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
    return Program(name, process, log)


def listens(port: int) -> bool:
    """True when a connection to the port of the loopback interface is accepted."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
