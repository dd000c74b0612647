"""Reports of several processes, added up. Pure: no clock, no socket.

A report says what a process has counted since it began, not since its last report: to apply one twice changes nothing,
and a process that died leaves its last word. What it says of rows that did not change is what it said before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct

from penstock.gateway.metrics.admission import Admission
from penstock.gateway.metrics.tables import PLAIN, TABLES

Labels = tuple[str, ...]
Key = tuple[str, Labels]
"""A family (or a table) and the values of its labels."""


class Report(Struct, array_like=True):
    """What a process has to tell, as plain values (it crosses the channel as MessagePack).

    full     everything, whatever was reported before
    rows     table -> rows: their labels and numbers. Big sums (picodollars) are decimal text: MessagePack's integers
             end at 64 bits, which is eighteen million dollars
    values   family, labels, number: counters and gauges of their own name; the gauges replace all earlier ones
    """

    full: bool
    rows: dict[str, list[tuple[Labels, list[Any]]]]
    values: list[tuple[str, Labels, int | float]]


class Totals:
    """All that one process, or many, counted.

    rows       table -> labels -> numbers, as in a row
    counters   (family, labels) -> number
    gauges     (family, labels) -> number
    """

    def __init__(self) -> None:
        self.rows: dict[str, dict[Labels, list[Any]]] = {name: {} for name in TABLES}
        self.counters: dict[Key, int | float] = {}
        self.gauges: dict[Key, int | float] = {}

    def apply(self, report: Report) -> None:
        """Take over what a process reports of itself. Tables and families that are not known are left out: the process
        may be newer.
        """
        for name, rows in report.rows.items():
            table = TABLES.get(name)
            if table is not None:
                self.rows[name].update((labels, table.numbers(row)) for labels, row in rows if len(row) == table.width)
        self.gauges.clear()
        for name, labels, value in report.values:
            family = PLAIN.get(name)
            if family is None or len(labels) != len(family.labels):
                continue
            if family.kind == "counter":
                self.counters[name, labels] = max(value, self.counters.get((name, labels), value))
            else:
                self._merge_gauge(name, labels, value)

    def add(self, other: Totals, worker: str | None = None) -> None:
        """Add what another process counted. Its gauges count only with the name of the live `worker` that has them."""
        for name, rows in other.rows.items():
            mine = self.rows[name]
            for labels, row in rows.items():
                known = mine.get(labels)
                mine[labels] = list(row) if known is None else [a + b for a, b in zip(known, row, strict=True)]
        for (name, labels), value in other.counters.items():
            if not PLAIN[name].per_worker:
                self.counters[name, labels] = self.counters.get((name, labels), 0) + value
            elif worker is not None:
                self.counters[name, (worker,)] = value
        if worker is not None:
            for (name, labels), value in other.gauges.items():
                self._merge_gauge(name, (worker,) if PLAIN[name].per_worker else labels, value)

    def report(self) -> Report:
        """The same as a report that would say it."""
        rows = {
            name: [(labels, TABLES[name].plain(row)) for labels, row in rows.items()]
            for name, rows in self.rows.items()
        }
        values = [(name, labels, value) for (name, labels), value in self.counters.items()]
        return Report(full=True, rows=rows, values=values)

    def _merge_gauge(self, name: str, labels: Labels, value: int | float) -> None:
        known = self.gauges.get((name, labels))
        self.gauges[name, labels] = value if known is None else MERGE[PLAIN[name].merge]((known, value))


MERGE: Mapping[str, Callable[[tuple[float, float]], float]] = {"sum": sum, "max": max, "min": min}
"""How two values of a gauge become one."""


def total(dead: Iterable[Totals], alive: Iterable[tuple[str, Totals]], admission: Admission | None = None) -> Totals:
    """Everything that was counted, by processes that are gone and by (name, totals) of those that live.

    Each process holds its labels to their limits; `admission` holds the sum to them.
    """
    everything = Totals()
    for totals in dead:
        everything.add(totals)
    for worker, totals in alive:
        everything.add(totals, worker)
    if admission is not None:
        for name, table in TABLES.items():
            everything.rows[name] = _held(everything.rows[name], table.labels, admission)
    return everything


def _held(rows: dict[Labels, list[Any]], names: Labels, admission: Admission) -> dict[Labels, list[Any]]:
    """The rows with labels that are let in; those that come to look the same are one."""
    held: dict[Labels, list[Any]] = {}
    for labels, row in rows.items():
        bounded = admission.bound(names, labels)
        known = held.get(bounded)
        held[bounded] = row if known is None else [a + b for a, b in zip(known, row, strict=True)]
    return held
