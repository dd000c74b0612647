"""`stream-translate`: streams, Messages in and Chat Completions out."""

from __future__ import annotations

from bench.gateway.bench import Bench
from bench.gateway.peers.peer import Job
from bench.gateway.scenarios import chunks
from bench.gateway.scenarios.scenario import Claim, Outcome, Scenario

MOST = 50.0  # µs


def run(bench: Bench) -> Outcome:
    """CPU an event: a chunk comes in as one, and goes out as one."""
    outcome = Outcome(chunks.COLUMNS)
    with bench.started(Job.TRANSLATED_STREAM) as contestants:
        chunks.measure(bench, contestants, outcome)
    cpu = outcome.figures.get("penstock", {}).get(chunks.CPU)
    if cpu is not None:
        claim = Claim("streamed translation, CPU an event", f"at most {MOST:g} µs", f"{cpu:.1f} µs", cpu <= MOST)
        outcome.claims.append(claim)
    return outcome


SCENARIO = Scenario("stream-translate", "Streams translated: 100 streams of 100 events a second", run)
