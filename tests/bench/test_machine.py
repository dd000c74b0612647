"""What the benchmark reads of processes: all that a peer started is counted, and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.gateway import machine, processes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux")

# A process with a child of its own, which works for a while and says so.
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "sum(range(3_000_000)); print('worked', flush=True); input()"],
                         stdin=subprocess.PIPE)
child.wait()
"""


def start(tmp_path: Path, program: str) -> processes.Program:
    return processes.start("program", [sys.executable, "-c", program], [min(os.sched_getaffinity(0))], tmp_path)


def wait_for(program: processes.Program, text: str) -> None:
    while text not in program.log.read_text():
        assert program.process.poll() is None
        time.sleep(0.01)


def test_a_family_is_counted_measured_and_ended(tmp_path: Path) -> None:
    program = start(tmp_path, PARENT)
    wait_for(program, "worked")
    pids = program.pids()
    parent, child = pids
    assert parent == program.process.pid
    used = machine.cpu_seconds(pids)
    assert used[child] > 0 and program.cpu() >= used[child] + used[parent]
    assert os.sched_getaffinity(child) == {min(os.sched_getaffinity(0))}
    memory = machine.memory(child)
    assert memory.resident >= memory.own > 0
    assert memory.resident >= memory.allocated > 0
    program.stop()
    while not all(_ended(pid) for pid in pids):  # they are killed, which takes the kernel a moment
        time.sleep(0.01)


def _ended(pid: int) -> bool:
    """Gone, or waiting for a parent that is no longer ours to ask for it."""
    try:
        return " Z " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


def test_the_cpu_clock_of_a_process_is_that_of_getrusage() -> None:
    process = subprocess.Popen([sys.executable, "-c", "sum(range(5_000_000)); input()"], stdin=subprocess.PIPE)
    ticks, before = os.sysconf("SC_CLK_TCK"), -1
    while True:  # until it rests
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        now = int(fields[11]) + int(fields[12])
        if now == before and fields[0] == "S":
            break
        before = now
        time.sleep(0.05)
    found = machine.cpu_seconds([process.pid])[process.pid]
    process.communicate(b"\n")
    assert found == pytest.approx(now / ticks, abs=3 / ticks)


def test_a_process_that_is_gone_has_used_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert machine.cpu_seconds([process.pid]) == {}
    assert machine.memory(process.pid) == machine.Memory(0.0, 0.0, 0.0)


def test_a_program_that_ends_says_what_it_had_printed(tmp_path: Path) -> None:
    program = start(tmp_path, "print('no such option'); raise SystemExit(3)")
    with pytest.raises(processes.Failed, match=r"ended with status 3 instead of listening\nno such option"):
        program.wait_for_port(machine.free_port())


def test_one_that_will_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "KINDNESS", 0.1)
    program = start(
        tmp_path, "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True); signal.pause()"
    )
    wait_for(program, "up")
    program.stop()
    assert program.process.returncode == -signal.SIGKILL


def test_two_cores_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    with pytest.raises(RuntimeError, match="two cores"):
        machine.cores()


@pytest.mark.parametrize(
    ("usable", "expected"),
    [
        ({0, 1}, machine.Cores(0, 1, 1, None)),
        ({2, 5, 7}, machine.Cores(2, 5, 7, None)),
        ({0, 1, 2, 3, 4}, machine.Cores(0, 1, 2, 3)),
    ],
)
def test_the_peer_has_a_core_of_its_own(
    usable: set[int], expected: machine.Cores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: usable)
    assert machine.cores() == expected
