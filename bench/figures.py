"""What a figure is: a name, the most it may be, what was measured, and its unit."""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    name: str
    limit: float
    measured: float
    unit: str

    @property
    def line(self) -> str:
        mark = "ok" if self.measured <= self.limit else "OVER"
        return f"{self.name:<62} {self.measured:>9.2f} {self.unit:<8} at most {self.limit:>7g}  {mark}"


def microseconds(work: Callable[[], object], number: int, repeat: int = 7) -> float:
    """CPU time of a call in microseconds: the lowest of many short runs, of `number` times `repeat` calls in all.

    CPU time, since other processes share the machine; short runs and the lowest, since they also share its caches and
    its clock, and a run of a few hundred microseconds often passes between them.
    """
    short = max(1, number // 100)
    runs = timeit.repeat(work, number=short, repeat=repeat * number // short, timer=time.process_time)
    return min(runs) / short * 1e6
