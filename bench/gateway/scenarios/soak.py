"""`soak`: a million requests of ten thousand keys, with streams that their clients leave: memory must stay flat."""

from __future__ import annotations

import random

from bench.gateway import machine
from bench.gateway.bench import Bench
from bench.gateway.drivers import wrk
from bench.gateway.drivers.streams import Streams
from bench.gateway.peers import PEERS
from bench.gateway.peers.peer import Job, Target
from bench.gateway.peers.penstock import RunningPenstock
from bench.gateway.scenarios.scenario import Claim, Outcome, Scenario
from bench.gateway.scenarios.throughput import CONNECTIONS

FULL, SHORT = (1_000_000, 10_000, 2_000), (50_000, 500, 100)  # requests, keys, cut streams
STEPS = 20
MOST_GROWTH = 1.05  # the last fifth's memory over the second fifth's: the first fills caches
_INTERVAL = 0.02  # seconds between two chunks of a stream that is left


def run(bench: Bench) -> Outcome:
    """Requests in steps, some streams cut after each, memory measured then."""
    outcome = Outcome(("requests", "cut streams", "worker, MB", "all its processes, MB"))
    if PEERS["penstock"] not in bench.peers:
        outcome.notes.append("only Penstock is measured here")
        return outcome
    requests, keys, cuts = FULL if bench.effort.full else SHORT
    running = bench.start(PEERS["penstock"])
    assert isinstance(running, RunningPenstock)
    try:
        every = running.make_keys(keys)
        bench.say(f"  {keys:,} keys made")
        memories = _soak(bench, running, every, requests, cuts, outcome)
    finally:
        running.program.stop()
    fifth = len(memories) // 5
    early, late = max(memories[fifth : 2 * fifth]), max(memories[-fifth:])
    words = f"{early:,.0f} MB, at the end {late:,.0f} MB"
    what = f"memory over {requests:,} requests, {keys:,} keys, {cuts:,} cut streams"
    outcome.claims.append(Claim(what, "flat", words, late <= early * MOST_GROWTH if bench.effort.full else None))
    return outcome


def _soak(
    bench: Bench, running: RunningPenstock, keys: list[str], requests: int, cuts: int, outcome: Outcome
) -> list[float]:
    """MB of the worker after each step."""
    target, stream = running.target(Job.CHAT), running.target(Job.CHAT_STREAM)
    before = machine.cpu_seconds(running.program.pids())
    bench.streams.pace(200, _INTERVAL)
    chance, done, cut, memories = random.Random(1), 0, 0, []
    for step in range(1, STEPS + 1):
        while done < requests * step // STEPS:
            load = wrk.run(target, bench.cores.load, 1, CONNECTIONS, bench.folder, keys)
            done += load.requests
            if load.failed or load.refused:
                bench.problem(f"soak: {load.refused} refused and {load.failed} broken of {load.requests} requests")
        cut += _leave(stream, cuts * step // STEPS - cut, chance.uniform(0.0, 0.3))
        now = machine.cpu_seconds(running.program.pids())
        worker = max(now, key=lambda pid: now[pid] - before.get(pid, 0.0))
        memories.append(machine.memory(worker).resident)
        every = sum(machine.memory(pid).own for pid in now)
        if step % (STEPS // 10) == 0:
            outcome.rows.append([f"{done:,}", f"{cut:,}", f"{memories[-1]:,.1f}", f"{every:,.1f}"])
            bench.say(f"  {done:,} requests, {cut:,} cut streams: {memories[-1]:,.1f} MB")
    return memories


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
