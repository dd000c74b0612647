"""`many-streams`: thousands of streams open on one worker, 20 tokens a second each, none forgotten."""

from __future__ import annotations

from bench.gateway import machine
from bench.gateway.bench import Bench, Contestant, in_turns, middle
from bench.gateway.drivers.streams import Seen, Streams
from bench.gateway.peers.peer import Job
from bench.gateway.scenarios.scenario import Claim, Outcome, Scenario

FULL, SHORT, WATCHED = 5_000, 1_000, 200
INTERVAL = 0.05  # seconds between two chunks of a stream
MOST_MEMORY, MOST_LATE = 400.0, 0.05
COLUMNS = (
    "peer",
    "streams",
    "chunks/s",
    "gap p50, ms",
    "gap p99, ms",
    "delay p50, ms",
    "delay p99, ms",
    "starved",
    "CPU a chunk, µs",
    "core used",
    "memory, MB",
    "mock late, ms",
)
_FEW = ("litellm", "portkey")  # which hundreds of streams overload: they are measured when named


def run(bench: Bench) -> Outcome:
    """One turn each: opening thousands of streams takes longer than looking at them."""
    outcome = Outcome(COLUMNS)
    count = FULL if bench.effort.full else SHORT
    with bench.started(Job.CHAT_STREAM, [peer for peer in bench.peers if peer.name not in _FEW]) as contestants:
        rounds: dict[str, list[dict[str, float]]] = {each.name: [] for each in contestants}
        in_turns(bench, contestants, lambda each: rounds[each.name].append(_round(bench, each, count)))
    for name, values in rounds.items():
        if values:
            outcome.figures[name] = {figure: middle([each[figure] for each in values]) for figure in values[0]}
            outcome.rows.append(_row(name, count, outcome.figures[name]))
    outcome.notes.append(
        f"a gap is between two arrivals in a stream that is due one each {INTERVAL * 1e3:g} ms; its delay is "
        "that of a chunk since the mock wrote it; memory is that of the process that does the work"
    )
    _claims(outcome, count)
    return outcome


def _round(bench: Bench, contestant: Contestant, count: int) -> dict[str, float]:
    seconds = max(2, bench.effort.seconds)
    bench.streams.pace(round((seconds + 60) / INTERVAL), INTERVAL)  # longer than it is looked at
    streams = Streams(contestant.target, count, WATCHED)
    try:
        streams.wait_until_begun()
        streams.watch(1.0)
        bench.streams.pace(4, INTERVAL)
        before, written = machine.cpu_seconds(contestant.pids()), bench.streams.counts().chunks
        seen = streams.watch(seconds)
        counts, now = bench.streams.counts(), machine.cpu_seconds(contestant.pids())
        worker = contestant.busiest(before)
    finally:
        streams.close()
    cpu = sum(now.values()) - sum(before.values())
    return {
        **_times(seen),
        "rate": (counts.chunks - written) / seconds,
        "starved": seen.starved,
        "cpu": cpu / max(1, counts.chunks - written) * 1e6,
        "used": cpu / seconds,
        "memory": machine.memory(worker).resident if worker else 0.0,
        "late": counts.late,
    }


def _times(seen: Seen) -> dict[str, float]:
    found = {}
    for name, values in (("gap", sorted(seen.gaps)), ("delay", sorted(seen.delays))):
        for quantile, share in (("p50", 0.5), ("p99", 0.99)):
            found[f"{name} {quantile}"] = values[int(len(values) * share)] if values else float("nan")
    return found


def _row(name: str, count: int, figures: dict[str, float]) -> list[str]:
    times = [f"{figures[key] * 1e3:,.1f}" for key in ("gap p50", "gap p99", "delay p50", "delay p99")]
    costs = (
        [f"{figures['cpu']:,.1f}", f"{figures['used']:.0%}", f"{figures['memory']:,.0f}"]
        if figures["cpu"]
        else [""] * 3
    )
    starved = f"{figures['starved']:,.0f}"
    return [name, f"{count:,}", f"{figures['rate']:,.0f}", *times, starved, *costs, f"{figures['late'] * 1e3:,.0f}"]


def _claims(outcome: Outcome, count: int) -> None:
    if not (figures := outcome.figures.get("penstock")):
        return
    full = count >= FULL
    held, waits = figures["memory"] <= MOST_MEMORY, figures["gap p99"] - INTERVAL
    fine = waits <= MOST_LATE and not figures["starved"]
    outcome.claims += [
        Claim(
            f"{count:,} open streams, memory", "under 400 MB", f"{figures['memory']:,.0f} MB", held if full else None
        ),
        Claim(
            f"{count:,} open streams of 20 tokens/s, none starved",
            "a chunk later than due by under 50 ms at p99",
            f"{waits * 1e3:,.0f} ms, {figures['starved']:,.0f} starved",
            fine if full else None,
        ),
    ]


SCENARIO = Scenario("many-streams", "Many streams open, 20 tokens a second each", run)
