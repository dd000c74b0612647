"""`many-streams`: thousands of streams open on one worker, 20 tokens a second each, none forgotten.

Five thousand of them are 100,000 chunks a second, which is more than the sockets of one core can write: where the mock
shares its core with the reader it falls behind by itself, and the table says by how much. So the full form measures at
5 tokens a second first, which it can keep up, and what it could not keep up decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.gateway import machine
from bench.gateway.bench import Bench, Contestant, in_turns, middle
from bench.gateway.drivers.streams import Seen, Streams
from bench.gateway.peers.peer import Job
from bench.gateway.scenarios.scenario import Claim, Outcome, Scenario

FULL, SHORT, WATCHED = 5_000, 1_000, 200
TURNS = 2  # at most: opening thousands of streams takes longer than looking at them
TOKENS, FEWER = 20, 5  # a second, of each stream
MOST_MEMORY, MOST_LATE = 400.0, 0.05  # MB, seconds
COLUMNS = (
    "peer",
    "streams",
    "tokens/s each",
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
    """All peers at one pace, then at the next."""
    outcome = Outcome(COLUMNS)
    count, paces = (FULL, (FEWER, TOKENS)) if bench.effort.full else (SHORT, (TOKENS,))
    with bench.started(Job.CHAT_STREAM, [peer for peer in bench.peers if peer.name not in _FEW]) as contestants:
        for tokens in paces:
            _measure(bench, contestants, count, tokens, outcome)
    outcome.notes.append(
        "a gap is between two arrivals in a stream; a delay is that of a chunk since the mock wrote it; memory is that "
        "of the process that does the work"
    )
    return outcome


def _measure(bench: Bench, contestants: Sequence[Contestant], count: int, tokens: int, outcome: Outcome) -> None:
    rounds: dict[str, list[dict[str, float]]] = {each.name: [] for each in contestants}
    in_turns(bench, contestants, lambda each: rounds[each.name].append(_round(bench, each, count, 1 / tokens)), TURNS)
    for name, values in rounds.items():
        if values:
            figures = {figure: middle([each[figure] for each in values]) for figure in values[0]}
            outcome.figures[f"{name} at {tokens}"] = figures
            outcome.rows.append(_row(name, count, tokens, figures))
            if name == "penstock":
                outcome.claims += _claims(figures, count, tokens)


def _round(bench: Bench, contestant: Contestant, count: int, interval: float) -> dict[str, float]:
    seconds = max(2, bench.effort.seconds)
    bench.streams.pace(round((seconds + 60) / interval), interval)  # longer than it is looked at
    streams = Streams(contestant.target, count, WATCHED)
    try:
        streams.wait_until_begun()
        streams.watch(1.0)
        bench.streams.pace(4, interval)  # the count of being late begins anew
        before, written = machine.cpu_seconds(contestant.pids()), bench.streams.counts().chunks
        seen = streams.watch(seconds)
        counts, now = bench.streams.counts(), machine.cpu_seconds(contestant.pids())
        worker = contestant.worker()
    finally:
        streams.close()
    cpu, chunks = sum(now.values()) - sum(before.values()), max(1, counts.chunks - written)
    return {
        **_times(seen),
        "rate": chunks / seconds,
        "starved": seen.starved,
        "cpu": cpu / chunks * 1e6,
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


def _row(name: str, count: int, tokens: int, figures: dict[str, float]) -> list[str]:
    times = [f"{figures[key] * 1e3:,.1f}" for key in ("gap p50", "gap p99", "delay p50", "delay p99")]
    costs = [f"{figures['cpu']:,.1f}", f"{figures['used']:.0%}", f"{figures['memory']:,.0f}"]
    load = [f"{figures['rate']:,.0f}", *times, f"{figures['starved']:,.0f}"]
    return [
        name,
        f"{count:,}",
        str(tokens),
        *load,
        *(costs if figures["cpu"] else [""] * 3),
        f"{figures['late'] * 1e3:,.0f}",
    ]


def _claims(figures: dict[str, float], count: int, tokens: int) -> list[Claim]:
    """Memory, and how much later than due a chunk comes."""
    kept_up = figures["late"] <= MOST_LATE
    waits = figures["gap p99"] - 1 / tokens
    small, fine = figures["memory"] <= MOST_MEMORY, waits <= MOST_LATE and not figures["starved"]
    what = f"{count:,} open streams of {tokens} tokens/s"
    words = f"{waits * 1e3:,.0f} ms, {figures['starved']:,.0f} starved" + ("" if kept_up else " (the mock fell behind)")
    asked, decides = count >= FULL, count >= FULL and tokens >= TOKENS and kept_up
    return [
        Claim(f"{what}: memory", "under 400 MB", f"{figures['memory']:,.0f} MB", small if asked else None),
        Claim(f"{what}: p99 of a gap over its due", "under 50 ms, none starved", words, fine if decides else None),
    ]


SCENARIO = Scenario("many-streams", "Many streams open on one worker", run)
