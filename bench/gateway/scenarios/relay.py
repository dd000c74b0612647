"""`relay`: whole answers, the same dialect on both sides."""

from __future__ import annotations

from bench.gateway.bench import Bench
from bench.gateway.peers.peer import Job
from bench.gateway.scenarios import throughput
from bench.gateway.scenarios.scenario import Claim, Outcome, Scenario
from bench.gateway.scenarios.throughput import CPU, RATE


def run(bench: Bench) -> Outcome:
    """250 bytes in, 700 out, 64 connections, one core."""
    outcome = Outcome(throughput.COLUMNS)
    with bench.started(Job.CHAT) as contestants:
        throughput.measure(bench, contestants, outcome)
    for of, least in (("nginx", 0.45), ("envoy", 1.0), ("litellm", 200.0), ("tensorzero", 3.0)):
        wall, cpu = outcome.ratio(RATE, "penstock", of), outcome.ratio(CPU, of, "penstock")
        if wall is not None and cpu is not None:
            words = f"{wall:.2f}x (by CPU {cpu:.2f}x)"
            outcome.claims.append(Claim(f"relay, over {of}", f"at least {least:g}x", words, wall >= least))
    return outcome


SCENARIO = Scenario("relay", "Whole answers relayed: 250 B in, 700 B out, 64 connections", run)
