"""CPU a chunk: what `stream-relay` and `stream-translate` measure alike.

A hundred streams of a chunk each 10 ms, which is 10,000 chunks a second: slow enough that a fast peer meets each chunk
by itself (many in one read would cost less, and be another thing), and the same for all.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.gateway.bench import Bench, Contestant, in_turns, middle
from bench.gateway.drivers.streams import Streams
from bench.gateway.scenarios.scenario import Outcome

STREAMS, INTERVAL = 100, 0.01
COLUMNS = ("peer", "chunks/s", "CPU a chunk, µs", "core used", "delay p50, ms", "delay p99, ms")
CPU = "CPU a chunk, µs"
_WARM = 0.3  # seconds


def measure(bench: Bench, contestants: Sequence[Contestant], outcome: Outcome) -> None:
    """Drive all of them in turns; a row and the figure of each go into the outcome."""
    rounds: dict[str, list[tuple[float, ...]]] = {contestant.name: [] for contestant in contestants}
    in_turns(bench, contestants, lambda contestant: rounds[contestant.name].append(_round(bench, contestant)))
    for name, values in rounds.items():
        if not values:
            continue
        rate, cpu, used, p50, p99 = (middle(each) for each in zip(*values, strict=True))
        outcome.figures[name] = {CPU: cpu}
        costs = [f"{cpu:,.1f}", f"{used:.0%}"] if cpu else ["", ""]
        outcome.rows.append([name, f"{rate:,.0f}", *costs, f"{p50 * 1e3:,.2f}", f"{p99 * 1e3:,.2f}"])


def _round(bench: Bench, contestant: Contestant) -> tuple[float, ...]:
    """(chunks a second, µs of CPU a chunk, share of the core, delays of a chunk: p50 and p99 in seconds)."""
    seconds = bench.effort.seconds
    bench.streams.pace(round((seconds + 2 * _WARM) / INTERVAL), INTERVAL)
    streams = Streams(contestant.target, STREAMS, STREAMS)
    try:
        streams.wait_until_begun(20)
        streams.watch(_WARM)
        before = contestant.cpu()
        seen = streams.watch(seconds)
        cpu = contestant.cpu() - before
        streams.finish()
    finally:
        streams.close()
    delays = sorted(seen.delays)
    count = max(1, len(delays))
    middle_one, late = (delays[int(count * share)] if delays else float("nan") for share in (0.5, 0.99))
    return seen.chunks / seconds, cpu / count * 1e6, cpu / seconds, middle_one, late
