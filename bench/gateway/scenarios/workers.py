"""`workers`: two workers beside one. Where the machine has cores to spare for it, by requests a second. Else the two
take the core of the load as well, and what a request costs each of them says the same, if they wait for nothing but
CPU. (Both on the one core would not: they would put each other out of its caches.) Each worker has 64 connections: what
comes at once is handled at once, and is cheaper the more of it there is.
"""

from __future__ import annotations

from bench.gateway.bench import Bench, Contestant, check, in_turns, middle
from bench.gateway.peers import PEERS
from bench.gateway.peers.peer import Job
from bench.gateway.processes import Failed
from bench.gateway.scenarios import throughput
from bench.gateway.scenarios.scenario import Claim, Outcome, Scenario

LEAST = 1.8


def run(bench: Bench) -> Outcome:
    """The same gateway twice, once with one worker and once with two."""
    outcome = Outcome(("workers", "cores", "requests/s", "CPU a request, µs"))
    if PEERS["penstock"] not in bench.peers:
        outcome.notes.append("only Penstock is measured here")
        return outcome
    spare = bench.cores.spare
    both = [bench.cores.peer, bench.cores.load if spare is None else spare]
    started: dict[int, Contestant] = {}
    found: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    try:
        for workers, places in ((1, [bench.cores.peer]), (2, both)):
            started[workers] = _start(bench, workers, places)
        for workers, contestant in started.items():
            throughput.drive(bench, contestant, workers * throughput.CONNECTIONS)

        def measure(contestant: Contestant) -> None:
            workers = 1 if contestant is started[1] else 2
            before = contestant.cpu()
            load = throughput.drive(bench, contestant, workers * throughput.CONNECTIONS)
            found[workers].append((load.rate, (contestant.cpu() - before) / load.requests * 1e6))

        in_turns(bench, list(started.values()), measure)
    finally:
        for contestant in started.values():
            contestant.stop()
    rates, costs = (
        {workers: middle([pair[at] for pair in pairs]) for workers, pairs in found.items()} for at in (0, 1)
    )
    for workers in found:
        on = str(len(both)) if workers == 2 else "1"
        outcome.rows.append([str(workers), on, f"{rates[workers]:,.0f}", f"{costs[workers]:,.1f}"])
    _claim(outcome, rates[2] / rates[1], 2 * costs[1] / costs[2], spare is not None)
    return outcome


def _start(bench: Bench, workers: int, on: list[int]) -> Contestant:
    peer = PEERS["penstock"]
    running = bench.start(peer, workers, on)
    target = running.target(Job.CHAT)
    if target is None or running.program is None:
        raise Failed(f"{peer.name} does not start with {workers} workers")
    check(target, Job.CHAT)
    return Contestant(peer, running, target)


def _claim(outcome: Outcome, wall: float, by_cpu: float, spare: bool) -> None:
    if spare:
        words, met = f"{wall:.2f}x", wall >= LEAST
    else:
        words, met = f"{by_cpu:.2f}x by CPU a request: the load shares a core with them", by_cpu >= LEAST
    outcome.claims.append(Claim("two workers over one", f"at least {LEAST:g}x", words, met))


SCENARIO = Scenario("workers", "Two workers beside one (Penstock)", run)
