"""A benchmark in progress: the mocks run, peers are started when a scenario names them, and all of it ends with it."""

from __future__ import annotations

import http.client
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.gateway import machine, messages
from bench.gateway.machine import Cores
from bench.gateway.mock import answers, streams
from bench.gateway.peers.peer import Job, Peer, Running, Site, Target
from bench.gateway.processes import Failed, Program

_AT_REST = 0.1  # share of a core that a peer at rest may take


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure. `full` asks for the long forms: a million requests, five thousand streams."""

    rounds: int = 5
    seconds: int = 1
    full: bool = False


@dataclass(slots=True)
class Bench:
    """What scenarios work with. `peers` are those that can run here; `say` prints progress."""

    peers: Sequence[Peer]
    effort: Effort
    cores: Cores
    folder: Path
    answers: int
    streams: streams.Streams
    mocks: Sequence[Program]
    say: Callable[[str], None]
    problems: list[str] = field(default_factory=list)

    @contextmanager
    def started(self, job: Job, peers: Sequence[Peer] | None = None, workers: int = 1) -> Iterator[list[Contestant]]:
        """The peers that can do the job, each started, asked once, and found to answer rightly; they end afterwards."""
        contestants: list[Contestant] = []
        try:
            for peer in self.peers if peers is None else peers:
                if contestant := self._start(peer, job, workers):
                    contestants.append(contestant)
            yield contestants
        finally:
            for contestant in contestants:
                contestant.stop()

    def _start(self, peer: Peer, job: Job, workers: int) -> Contestant | None:
        try:
            running = self.start(peer, workers)
        except (Failed, OSError) as error:
            self.problem(f"{peer.name} does not start: {error}")
            return None
        target = running.target(job)
        contestant = Contestant(peer, running, target) if target else None
        try:
            if contestant:
                check(contestant.target, job)
                return contestant
        except (Failed, OSError, http.client.HTTPException) as error:
            ended = running.program is not None and running.program.process.poll() is not None
            why = running.program.failed(str(error)) if running.program and ended else error
            self.problem(f"{peer.name} does not do {job.value}: {why}")
        if running.program:
            running.program.stop()
        return None

    def start(self, peer: Peer, workers: int = 1, on: Sequence[int] | None = None) -> Running:
        """Start one peer in a folder of its own."""
        folder = Path(tempfile.mkdtemp(prefix=f"{peer.name}-", dir=self.folder))
        return peer.start(Site(folder, self.answers, self.streams.port, on or [self.cores.peer], workers))

    def problem(self, text: str) -> None:
        """Remember and say what did not go as it should."""
        self.problems.append(text)
        self.say(f"  ! {text}")


@dataclass(slots=True)
class Contestant:
    """A started peer with its request for a job."""

    peer: Peer
    running: Running
    target: Target

    @property
    def name(self) -> str:
        return self.peer.name

    def pids(self) -> list[int]:
        """The peer's processes; none where there is no peer."""
        return self.running.program.pids() if self.running.program else []

    def cpu(self) -> float:
        """Seconds of CPU that its processes have used."""
        return sum(machine.cpu_seconds(self.pids()).values())

    def worker(self) -> int | None:
        """The process that answers: the first that calls itself a worker, else the one that has used the most CPU."""
        pids = self.pids()
        if named := [pid for pid in pids if "worker" in machine.title_of(pid)]:
            return named[0]
        used = machine.cpu_seconds(pids)
        return max(used, key=lambda pid: used[pid], default=None)

    def stop(self) -> None:
        """End it, if there is anything to end."""
        if self.running.program:
            self.running.program.stop()


def check(target: Target, job: Job) -> None:
    """Ask once and raise Failed unless the answer is the one that the mock gives, in the client's dialect."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=30)
    try:
        connection.request("POST", target.path, target.body, dict(target.headers))
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise Failed(f"status {answer.status}: {body[:300]!r}")
    right = streams.STAMP.search(body) if job.streamed else messages.ANSWER_MARK in messages.text_of(body)
    if not right:
        raise Failed(f"an answer that is not the mock's: {body[:300]!r}")


@contextmanager
def prepared(peers: Sequence[Peer], effort: Effort, say: Callable[[str], None], keep: bool = False) -> Iterator[Bench]:
    """Start the mocks; end them, and remove all files (unless `keep`), when it is over. This process, in which some of
    the drivers run, moves to the core of the load.
    """
    cores = machine.cores()
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cores.load})
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    terminated = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # like Ctrl-C: all that was started ends first
    folder = Path(tempfile.mkdtemp(prefix="penstock-bench-"))
    mocks: list[Program] = []
    try:
        answering, port = answers.start(folder, cores.mock)
        mocks.append(answering)
        streaming = streams.start(folder, cores.mock)
        mocks.append(streaming.program)
        yield Bench(peers, effort, cores, folder, port, streaming, mocks, say)
    finally:
        for mock in mocks:
            mock.stop()
        os.sched_setaffinity(0, usable)
        signal.signal(signal.SIGTERM, terminated)
        if keep:
            say(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def in_turns(
    bench: Bench, contestants: Sequence[Contestant], measure: Callable[[Contestant], None], most: int | None = None
) -> None:
    """A B C, A B C ...: every contestant is measured once in each round, of which there are `most` at most. One that
    fails is out, and that is said.
    """
    left = list(contestants)
    rounds = min(bench.effort.rounds, most or bench.effort.rounds)
    for number in range(rounds):
        for contestant in tuple(left):
            try:
                measure(contestant)
            except (Failed, OSError) as error:
                bench.problem(f"{contestant.name} failed: {error}")
                left.remove(contestant)
            settle(contestant)
        bench.say(f"  round {number + 1} of {rounds}")


def settle(contestant: Contestant, seconds: float = 10.0) -> None:
    """Wait until it has done what it had put off, so that it takes nothing from the next: all share the peer's core."""
    until, before = time.monotonic() + seconds, contestant.cpu()
    while time.monotonic() < until:
        time.sleep(0.05)
        if (now := contestant.cpu()) - before < _AT_REST * 0.05:
            return
        before = now


def middle(values: Sequence[float]) -> float:
    """The median; NaN of nothing."""
    return median(values) if values else float("nan")
