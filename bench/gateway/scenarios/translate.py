"""`translate`: whole answers, Messages in and Chat Completions out."""

from __future__ import annotations

from bench.gateway.bench import Bench
from bench.gateway.peers import PEERS
from bench.gateway.peers.peer import Job
from bench.gateway.scenarios import throughput
from bench.gateway.scenarios.scenario import Claim, Outcome, Scenario
from bench.gateway.scenarios.throughput import CPU, RATE

LEAST = 0.20
_RELAY = "nginx, its relay"


def run(bench: Bench) -> Outcome:
    """As `relay`, with nginx relaying beside it: who translates cannot be compared with who does not."""
    outcome = Outcome(throughput.COLUMNS)
    yardstick = [peer for peer in bench.peers if peer is PEERS["nginx"]]
    with bench.started(Job.CHAT, yardstick) as plain, bench.started(Job.TRANSLATION) as translators:
        throughput.measure(bench, [*plain, *translators], outcome)
    wall, cpu = outcome.ratio(RATE, "penstock", "nginx"), outcome.ratio(CPU, "nginx", "penstock")
    if wall is not None and cpu is not None:
        words = f"{wall:.2f}x (by CPU {cpu:.2f}x)"
        outcome.claims.append(Claim("translation, over nginx's relay", f"at least {LEAST:g}x", words, wall >= LEAST))
    outcome.rows = [[_RELAY if row[0] == "nginx" else row[0], *row[1:]] for row in outcome.rows]
    return outcome


SCENARIO = Scenario("translate", "Whole answers translated: Messages in, Chat Completions out, 64 connections", run)
