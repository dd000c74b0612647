"""What a sandbox uses where no group counts it: the processes of its pid namespace, added up out of /proc."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

TICKS = os.sysconf("SC_CLK_TCK")


class Used(Struct, frozen=True):
    """Bytes of memory (each process's share of what it shares), processes beside the first, seconds of CPU."""

    memory: int
    processes: int
    cpu: float


def of_namespace(first: int) -> Used:
    """Add up the processes that share the pid namespace of `first`. Zero where it is gone."""
    memory, cpu, pids = 0, 0.0, 0
    for pid in members(first):
        try:
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
            memory += share(pid)
        except OSError:
            continue
        cpu += (int(fields[11]) + int(fields[12])) / TICKS
        pids += 1
    return Used(memory, max(pids - 1, 0), cpu)


def members(first: int) -> list[int]:
    """Return the processes in the pid namespace of `first`."""
    space = _space(first)
    entries = (entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [int(name) for name in entries if space and _space(int(name)) == space]


def _space(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")  # noqa: PTH115
    except OSError:
        return ""


def share(pid: int) -> int:
    """Return a process's bytes of memory, with its part of what it shares."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
