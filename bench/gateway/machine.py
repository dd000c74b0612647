"""The machine as the benchmark sees it: which core is whose, and what processes have used of it.

CPU time is read from each process's CPU clock (what `clock_getcpuclockid` returns, in nanoseconds), not from
/proc/PID/stat, which counts the same in steps of 10 ms: a round of a second would be uncertain by a percent.
"""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_CPU_CLOCK_OF_A_PROCESS = 2  # CPUCLOCK_SCHED: the third of the clocks that the kernel keeps for every process


@dataclass(frozen=True, slots=True)
class Cores:
    """Numbers of cores: `peer` for the gateway under test, `spare` a second one of its own (None where the machine has
    none to spare), `mock` for the upstream, `load` for the driver.
    """

    peer: int
    mock: int
    load: int
    spare: int | None


def cores() -> Cores:
    """The first core this process may use for the peer, the others for the load.

    Raises RuntimeError where there is only one: figures taken so would be those of the load.
    """
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise RuntimeError("the benchmark needs two cores: one for the gateway under test, and one for the load")
    peer, mock = usable[0], usable[1]
    return Cores(peer, mock, usable[2] if len(usable) > 2 else mock, usable[3] if len(usable) > 3 else None)


def describe() -> str:
    """The machine in one line, without its name."""
    cpus = [line for line in (_PROC / "cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = cpus[0].partition(":")[2].strip() if cpus else platform.machine()
    return f"{len(os.sched_getaffinity(0))} cores ({model}), {platform.system()}, Python {platform.python_version()}"


def free_port() -> int:
    """A TCP port of the loopback interface on which nobody listens now."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    parents: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            parents.setdefault(_parent(int(entry.name)), []).append(int(entry.name))
    found = [pid]
    for each in found:  # grows while it is read
        found.extend(parents.get(each, []))
    return found


def _parent(pid: int) -> int:
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:  # gone meanwhile
        return -1
    return int(stat.rpartition(")")[2].split()[1])


def cpu_seconds(pids: list[int]) -> dict[int, float]:
    """Seconds of CPU, user and system, all threads, that each of the processes has used so far."""
    found = {}
    for pid in pids:
        try:
            found[pid] = time.clock_gettime(~pid << 3 | _CPU_CLOCK_OF_A_PROCESS)
        except OSError:  # gone meanwhile
            continue
    return found


@dataclass(frozen=True, slots=True)
class Memory:
    """MB: `resident` counts shared pages in full, `own` (proportional set size) counts them by their share; `allocated`
    is without pages of files (programs, and what a process maps to write into: a journal's segment is the system's).
    """

    resident: float
    own: float
    allocated: float


def memory(pid: int) -> Memory:
    """What a process holds; zeros when it is gone."""
    values = {"Rss": 0.0, "Pss": 0.0, "Anonymous": 0.0}
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, rest = line.partition(":")
        if name in values:
            values[name] = int(rest.split()[0]) / 1024
    return Memory(values["Rss"], values["Pss"], values["Anonymous"])


def title_of(pid: int) -> str:
    """What a process is called: the first words of its command line, or of the title that it gave itself, without the
    folder of its program.
    """
    try:
        words = (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").split()
    except OSError:
        words = []
    return " ".join([Path(word).name if "/" in word else word for word in words[:3]]) or "(ended)"
