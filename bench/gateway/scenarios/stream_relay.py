"""`stream-relay`: streams, the same dialect on both sides."""

from __future__ import annotations

from bench.gateway.bench import Bench
from bench.gateway.peers.peer import Job
from bench.gateway.scenarios import chunks
from bench.gateway.scenarios.scenario import Claim, Outcome, Scenario

MOST = 1.7


def run(bench: Bench) -> Outcome:
    """CPU a chunk, over nginx's."""
    outcome = Outcome(chunks.COLUMNS)
    with bench.started(Job.CHAT_STREAM) as contestants:
        chunks.measure(bench, contestants, outcome)
    ratio = outcome.ratio(chunks.CPU, "penstock", "nginx")
    if ratio is not None:
        claim = Claim("streamed relay, CPU a chunk over nginx", f"at most {MOST:g}x", f"{ratio:.2f}x", ratio <= MOST)
        outcome.claims.append(claim)
    return outcome


SCENARIO = Scenario("stream-relay", "Streams relayed: 100 streams of 100 chunks a second", run)
