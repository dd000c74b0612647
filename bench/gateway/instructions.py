"""`python -m bench gateway instructions`: how many instructions a request costs a worker of Penstock, outside of the
kernel. Times on a shared machine differ by tens of percent from run to run, this by a percent or so: what an
optimisation is told by. (Not how long they take: a cache miss and an addition count alike.)

The gateway runs under valgrind's callgrind, whose file can be read with `callgrind_annotate`.
"""

from __future__ import annotations

import argparse
import http.client
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.gateway import bench, processes
from bench.gateway.bench import Bench, Contestant, Effort
from bench.gateway.peers.peer import Job, Site, Target
from bench.gateway.peers.penstock import Penstock, RunningPenstock
from bench.gateway.processes import Failed

_PROBE = Path(__file__).parent / "counting"
# Not as arguments: valgrind reads its own again later, and a process that gives itself a title has written over them.
_OPTIONS = "--quiet --instr-atstart=no --callgrind-out-file=callgrind.%p"
_WARM = 300  # requests before the count: caches, adaptive bytecode


class CountedPenstock(Penstock):
    """Penstock under callgrind, which counts only between two signals."""

    def command(self, site: Site, port: int) -> Sequence[str]:
        """As always, behind valgrind."""
        return ["valgrind", "--tool=callgrind", *super().command(site, port)]


def main(arguments: Sequence[str]) -> int:
    """Print the counts; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench gateway instructions", description=__doc__)
    parser.add_argument("--requests", type=int, default=500, help="how many are counted (default: %(default)s)")
    parser.add_argument("--jobs", default="chat,translation", help=f"of {','.join(job.value for job in Job)}")
    parser.add_argument("--keep", action="store_true", help="keep the files of callgrind, and say where")
    options = parser.parse_args(arguments)
    if shutil.which("valgrind") is None:
        print("valgrind is not installed: apt-get install valgrind", file=sys.stderr)
        return 1
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_PROBE), os.environ.get("PYTHONPATH"))))
    os.environ["VALGRIND_OPTS"] = _OPTIONS
    with bench.prepared([], Effort(), print, options.keep) as running:
        for job in map(Job, options.jobs.split(",")):
            try:
                found = count(running, job, options.requests)
            except (Failed, OSError) as error:
                print(f"{job.value}: {error}", file=sys.stderr)
                return 1
            print(f"{job.value}: {found:,.0f} instructions a request", flush=True)
    return 0


def count(running: Bench, job: Job, requests: int) -> float:
    """Start a gateway, warm it, and count."""
    penstock = CountedPenstock()
    gateway = running.start(penstock)
    assert isinstance(gateway, RunningPenstock)
    try:
        target = gateway.target(job)
        bench.check(target, job)
        ask(target, _WARM)
        worker = Contestant(penstock, gateway, target).worker()
        assert worker is not None
        os.kill(worker, signal.SIGUSR2)
        ask(target, 2)  # the signal is handled when something happens
        ask(target, requests)
        os.kill(worker, signal.SIGUSR2)
        ask(target, 2)
        return _total(gateway.program, worker) / (requests + 3)
    except OSError as error:
        raise gateway.program.failed(str(error)) from error
    finally:
        gateway.program.stop()


def ask(target: Target, times: int) -> None:
    """One after the other, over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=60)
    for _ in range(times):
        connection.request("POST", target.path, target.body, dict(target.headers))
        answer = connection.getresponse()
        if (body := answer.read()) and answer.status != 200:
            raise Failed(f"status {answer.status}: {body[:300]!r}")
    connection.close()


def _total(program: processes.Program, worker: int) -> int:
    """The count in the file that the worker wrote when it was told to."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for path in sorted(program.log.parent.glob(f"callgrind.{worker}.*")):
            if found := re.search(r"^totals: (\d+)", path.read_text(errors="replace"), re.MULTILINE):
                return int(found.group(1))
        time.sleep(0.1)
    raise program.failed("callgrind wrote no count")
