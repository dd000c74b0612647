"""`import penstock` in a fresh process with warm files: time, memory, network calls."""

from __future__ import annotations

import subprocess
import sys

from bench.figures import Figure

_PROGRAM = """
import resource, sys, time
calls = []
sys.addaudithook(lambda event, _: calls.append(event) if event.startswith("socket.") else None)
began = time.perf_counter()
{statement}
print((time.perf_counter() - began) * 1e3, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, len(calls))
"""


def measure(statement: str, runs: int = 9) -> tuple[float, float, int]:
    """(milliseconds, MB resident, network calls): the best time, the least memory and the most calls of several
    processes.
    """
    found = []
    for _ in range(runs):
        program = [sys.executable, "-c", _PROGRAM.format(statement=statement)]
        found.append(
            [float(word) for word in subprocess.run(program, capture_output=True, text=True, check=True).stdout.split()]
        )
    return min(each[0] for each in found), min(each[1] for each in found), int(max(each[2] for each in found))


def figures() -> list[Figure]:
    """The lines of the table."""
    time, memory, calls = measure("import penstock")
    all_time, all_memory, _ = measure("from penstock import completion")
    return [
        Figure("import penstock: time", 60, time, "ms"),
        Figure("import penstock: memory of the process", 25, memory, "MB"),
        Figure("import penstock: network calls", 0, calls, "calls"),
        Figure("from penstock import completion: time", 150, all_time, "ms"),
        Figure("from penstock import completion: memory of the process", 40, all_memory, "MB"),
    ]
