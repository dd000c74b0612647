"""`latency`: what a peer adds to an answer at 1,000 requests a second, which none of the fast ones finds much."""

from __future__ import annotations

from bench.gateway.bench import Bench, Contestant, in_turns, middle
from bench.gateway.drivers import paced
from bench.gateway.peers import PEERS
from bench.gateway.peers.peer import Job
from bench.gateway.scenarios.scenario import Claim, Outcome, Scenario

RATES = (1000, 250, 50, 10)
TARGETS = (("p50", 0.000150, "150 µs"), ("p99", 0.001, "1 ms"))
_HELD = 0.05  # seconds: where the median is above, the peer cannot keep up


def run(bench: Bench) -> Outcome:
    """Each peer at 1,000 requests a second, or at the first lower rate that it can keep up with; the same rates without
    a peer are taken off.
    """
    outcome = Outcome(("peer", "requests/s", "p50, µs", "p99, µs", "added p50, µs", "added p99, µs"))
    peers = [PEERS["direct"], *(peer for peer in bench.peers if peer is not PEERS["direct"])]
    with bench.started(Job.CHAT, peers) as contestants:
        rates = {contestant.name: _rate(bench, contestant) for contestant in contestants}
        direct = contestants[0]
        found: dict[tuple[str, int], list[paced.Latencies]] = {}

        def measure(contestant: Contestant) -> None:
            every = sorted(set(rates.values())) if contestant is direct else [rates[contestant.name]]
            for rate in every:
                latencies = paced.run(contestant.target, rate, _seconds(bench, rate))
                found.setdefault((contestant.name, rate), []).append(latencies)

        in_turns(bench, contestants, measure)
    for (name, rate), rounds in found.items():
        _row(outcome, name, rate, rounds)
    for quantile, most, words in TARGETS:
        if added := outcome.figures.get("penstock", {}).get(f"added {quantile}"):
            fits = added <= most if rates["penstock"] == RATES[0] else False
            outcome.claims.append(
                Claim(f"added latency at 1,000 requests/s, {quantile}", words, f"{added * 1e6:,.0f} µs", fits)
            )
    return outcome


def _seconds(bench: Bench, rate: int) -> float:
    """A turn, long enough that a hundredth of its requests are a few."""
    return max(bench.effort.seconds * 2.0, 150 / rate)


def _rate(bench: Bench, contestant: Contestant) -> int:
    """The first of the rates that it keeps up with for a second."""
    for rate in RATES:
        if paced.run(contestant.target, rate, 1.0).quantile(0.5) < _HELD:
            return rate
    bench.problem(f"{contestant.name} does not keep up with {RATES[-1]} requests/s")
    return RATES[-1]


def _row(outcome: Outcome, name: str, rate: int, rounds: list[paced.Latencies]) -> None:
    values = {
        quantile: middle([each.quantile(share) for each in rounds]) for quantile, share in (("p50", 0.5), ("p99", 0.99))
    }
    figures = outcome.figures.setdefault(name if name != "direct" else f"direct at {rate}", dict(values))
    added = []
    if name != "direct":
        bare = outcome.figures[f"direct at {rate}"]
        figures |= {f"added {quantile}": values[quantile] - bare[quantile] for quantile in values}
        added = [figures[f"added {quantile}"] for quantile in values]
    cells = [f"{value * 1e6:,.0f}" for value in (*values.values(), *added)]
    outcome.rows.append([name, f"{rate:,}", *cells, *([""] * (4 - len(cells)))])


SCENARIO = Scenario("latency", "Added latency at a fixed rate", run)
