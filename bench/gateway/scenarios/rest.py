"""`rest`: the time from nothing to the first answer, and the memory of a gateway that has nothing to do."""

from __future__ import annotations

import time

from bench.gateway import machine
from bench.gateway.bench import Bench, Contestant, check, middle, settle
from bench.gateway.peers.peer import Job, Peer
from bench.gateway.processes import Failed
from bench.gateway.scenarios.scenario import Claim, Outcome, Scenario

MOST_MEMORY, MOST_START = 80.0, 1.5  # MB, seconds


def run(bench: Bench) -> Outcome:
    """Each peer started anew in each round, one at a time."""
    outcome = Outcome(("peer", "first answer after, s", "worker, MB", "all its processes, MB", "processes"))
    found: dict[str, list[tuple[float, ...]]] = {}
    for _ in range(min(3, bench.effort.rounds)):
        for peer in bench.peers:
            if peer.name == "direct":
                continue
            try:
                found.setdefault(peer.name, []).append(_start(bench, peer))
            except (Failed, OSError) as error:
                bench.problem(f"{peer.name}: {error}")
    for name, values in found.items():
        start, worker, every, processes = (middle(each) for each in zip(*values, strict=True))
        outcome.figures[name] = {"start": start, "worker": worker}
        outcome.rows.append([name, f"{start:.2f}", f"{worker:,.0f}", f"{every:,.0f}", f"{processes:.0f}"])
    outcome.notes.append("a worker's memory is counted in full; that of all processes counts what they share once")
    if figures := outcome.figures.get("penstock"):
        worker, start = figures["worker"], figures["start"]
        outcome.claims += [
            Claim("worker at rest", f"{MOST_MEMORY:g} MB", f"{worker:.0f} MB", worker <= MOST_MEMORY),
            Claim("cold start to first answer", f"{MOST_START:g} s", f"{start:.2f} s", start <= MOST_START),
        ]
    return outcome


def _start(bench: Bench, peer: Peer) -> tuple[float, ...]:
    """(seconds to the first right answer, MB of the process that gave it, MB of all, how many they are)."""
    began = time.perf_counter()
    running = bench.start(peer)
    target = running.target(Job.CHAT)
    if running.program is None or target is None:
        raise Failed("nothing to start")
    contestant = Contestant(peer, running, target)
    try:
        check(target, Job.CHAT)
        seconds = time.perf_counter() - began
        for _ in range(50):
            check(target, Job.CHAT)
        settle(contestant)
        worker = contestant.worker()
        pids = contestant.pids()
        every = sum(machine.memory(pid).own for pid in pids)
        return seconds, machine.memory(worker).resident if worker else 0.0, every, len(pids)
    finally:
        contestant.stop()


SCENARIO = Scenario("rest", "Cold start, and memory at rest", run)
