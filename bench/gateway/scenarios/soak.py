"""`soak`: a million requests of ten thousand keys, with streams that their clients leave: memory must stay flat."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from bench.gateway import machine
from bench.gateway.bench import Bench, Contestant, check, settle
from bench.gateway.drivers import wrk
from bench.gateway.drivers.streams import Streams
from bench.gateway.peers import PEERS
from bench.gateway.peers.peer import Job, Target
from bench.gateway.peers.penstock import RunningPenstock
from bench.gateway.processes import Failed
from bench.gateway.scenarios.scenario import Claim, Outcome, Scenario
from bench.gateway.scenarios.throughput import CONNECTIONS

FULL, SHORT = (1_000_000, 10_000, 2_000), (50_000, 500, 100)  # requests, keys, cut streams
STEPS = 20
MOST_GROWTH = 1.05  # the last fifth's memory over the second fifth's: the first fills caches
_INTERVAL = 0.02  # seconds between two chunks of a stream that is left


def run(bench: Bench) -> Outcome:
    """Requests in steps, some streams cut after each, memory measured then."""
    outcome = Outcome(("requests", "cut streams", "worker, MB", "allocated by it, MB", "by all its processes, MB"))
    if PEERS["penstock"] not in bench.peers:
        outcome.notes.append("only Penstock is measured here")
        return outcome
    requests, keys, cuts = FULL if bench.effort.full else SHORT
    running = bench.start(PEERS["penstock"])
    assert isinstance(running, RunningPenstock)
    contestant = Contestant(PEERS["penstock"], running, running.target(Job.CHAT))
    try:
        every = running.make_keys(keys)
        bench.say(f"  {keys:,} keys made")
        plan = _Plan(requests, every, cuts)
        memories = _soak(bench, contestant, running.target(Job.CHAT_STREAM), plan, outcome)
    finally:
        running.program.stop()
    what = f"{requests:,} requests, {keys:,} keys, {cuts:,} cut streams"
    for at, whose in ((1, "its worker's"), (2, "all its processes'")):
        early, late = _early_and_late([each[at] for each in memories])
        met = late <= early * MOST_GROWTH if bench.effort.full else None
        words = f"{early:,.0f} MB in the second fifth, {late:,.0f} MB in the last"
        outcome.claims.append(Claim(f"{what}: memory of {whose} own", "flat", words, met))
    return outcome


def _early_and_late(memories: Sequence[float]) -> tuple[float, float]:
    """The most in the second fifth of the steps (the first fills caches), and in the last."""
    fifth = len(memories) // 5
    return max(memories[fifth : 2 * fifth]), max(memories[-fifth:])


@dataclass(frozen=True, slots=True)
class _Plan:
    requests: int
    keys: Sequence[str]
    cuts: int


def _soak(
    bench: Bench, contestant: Contestant, stream: Target, plan: _Plan, outcome: Outcome
) -> list[tuple[float, float, float]]:
    """MB of the worker, what of it is allocated, and what all processes have allocated, after each step."""
    check(stream, Job.CHAT_STREAM)
    check(contestant.target, Job.CHAT)
    worker = contestant.worker()
    assert worker is not None
    bench.streams.pace(200, _INTERVAL)
    chance, done, cut, memories = random.Random(1), 0, 0, []
    for step in range(1, STEPS + 1):
        while done < plan.requests * step // STEPS:
            done += _drive(bench, contestant, _in_turns(plan.keys, done))
        cut += _leave(stream, plan.cuts * step // STEPS - cut, chance.uniform(0.0, 0.3))
        settle(contestant)
        every = sum(machine.memory(pid).allocated for pid in contestant.pids())
        of_worker = machine.memory(worker)
        memories.append((of_worker.resident, of_worker.allocated, every))
        if step % (STEPS // 10) == 0:
            outcome.rows.append([f"{done:,}", f"{cut:,}", *(f"{value:,.1f}" for value in memories[-1])])
            shown = ", ".join(f"{value:,.1f}" for value in memories[-1])
            bench.say(f"  {done:,} requests, {cut:,} cut streams: {shown} MB")
    return memories


def _in_turns(keys: Sequence[str], done: int) -> Sequence[str]:
    """The keys, from the one on whose turn it is: each run of the driver begins with the first."""
    at = done % len(keys)
    return [*keys[at:], *keys[:at]]


def _drive(bench: Bench, contestant: Contestant, keys: Sequence[str]) -> int:
    load = wrk.run(contestant.target, bench.cores.load, 1, CONNECTIONS, bench.folder, keys)
    if load.failed or load.refused:
        bench.problem(f"soak: {load.refused} refused and {load.failed} broken of {load.requests} requests")
    if not load.requests:
        raise Failed("soak: nothing was answered in a second")
    return load.requests


def _leave(target: Target, count: int, after: float) -> int:
    """Open so many streams and leave them so many seconds after they have begun."""
    if count:
        streams = Streams(target, count, count)
        try:
            streams.wait_until_begun(20)
            streams.watch(after)
        finally:
            streams.close()
    return count


SCENARIO = Scenario("soak", "Memory over many requests, keys and streams that are left (Penstock)", run)
