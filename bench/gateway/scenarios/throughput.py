"""Requests a second at 64 connections, and CPU a request: what `relay` and `translate` measure alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.gateway import machine
from bench.gateway.bench import Bench, Contestant, in_turns, middle, settle
from bench.gateway.drivers import wrk
from bench.gateway.mock import answers
from bench.gateway.processes import Failed
from bench.gateway.scenarios.scenario import Outcome

CONNECTIONS = 64
COLUMNS = ("peer", "requests/s", "CPU a request, µs", "requests a CPU second", "core used", "p50, ms", "p99, ms")
RATE, CPU = "requests/s", "CPU, µs"


@dataclass(slots=True)
class Rounds:
    """One value a round."""

    rate: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)  # µs a request, with what it puts off
    used: list[float] = field(default_factory=list)  # share of its core
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    each: dict[str, list[float]] = field(default_factory=dict)  # µs a request of each of its processes


def measure(bench: Bench, contestants: Sequence[Contestant], outcome: Outcome) -> None:
    """Drive all of them in turns; a row and the figures of each go into the outcome."""
    rounds = {contestant.name: Rounds() for contestant in contestants}
    for contestant in contestants:
        _warm(bench, contestant)
    in_turns(bench, contestants, lambda contestant: _round(bench, contestant, rounds[contestant.name]))
    for name, each in rounds.items():
        if not each.rate:
            continue  # it failed in its first round, and that was said
        rate, cpu = middle(each.rate), middle(each.cpu)
        outcome.figures[name] = {RATE: rate, CPU: cpu}
        costs = [f"{cpu:,.1f}", f"{1e6 / cpu:,.0f}", f"{middle(each.used):.0%}"] if cpu else [""] * 3
        times = [f"{middle(values) * 1e3:,.2f}" for values in (each.p50, each.p99)]
        outcome.rows.append([name, f"{rate:,.0f}", *costs, *times])
        if len(each.each) > 1:
            shares = [f"{title} {middle(values):,.1f}" for title, values in each.each.items()]
            outcome.notes.append(f"CPU a request, µs, of {name}: {', '.join(shares)}")


def _warm(bench: Bench, contestant: Contestant) -> None:
    """Connections, caches, compilers: whoever answers nothing in its first turn gets another."""
    for _ in range(5):
        if wrk.run(contestant.target, bench.cores.load, 1, CONNECTIONS, bench.folder).requests:
            break
    settle(contestant)


def drive(bench: Bench, contestant: Contestant, connections: int = CONNECTIONS) -> wrk.Load:
    """One run of the load; raises Failed when anything but right answers came, or the mock was not asked for each."""
    before = answers.count(bench.answers)
    load = wrk.run(contestant.target, bench.cores.load, bench.effort.seconds, connections, bench.folder)
    asked = answers.count(bench.answers) - before - 1
    if load.failed or load.refused:
        bench.problem(f"{contestant.name}: {load.refused} refused and {load.failed} broken of {load.requests} requests")
    if not load.requests:
        raise Failed(f"{contestant.name} answered nothing")
    if asked < load.requests - load.refused:
        bench.problem(f"{contestant.name}: {load.requests} answers, but the mock was asked only {asked} times")
    return load


def _round(bench: Bench, contestant: Contestant, rounds: Rounds) -> None:
    before = machine.cpu_seconds(contestant.pids())
    load = drive(bench, contestant)
    used = contestant.cpu() - sum(before.values())
    settle(contestant)
    after = machine.cpu_seconds(contestant.pids())
    rounds.rate.append(load.rate)
    rounds.cpu.append((sum(after.values()) - sum(before.values())) / load.requests * 1e6)
    rounds.used.append(used / load.seconds)
    for pid in after:
        cost = (after[pid] - before.get(pid, 0.0)) / load.requests * 1e6
        rounds.each.setdefault(machine.title_of(pid), []).append(cost)
    rounds.p50.append(load.p50)
    rounds.p99.append(load.p99)
