"""What a figure is: a name, the most it may be, what was measured, and its unit."""

from __future__ import annotations

import statistics
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
    """CPU time of a call in microseconds: the median of `repeat` runs of `number` calls. Other processes that share
    the machine do not count, nor does a single run that they disturbed.
    """
    runs = timeit.repeat(work, number=number, repeat=repeat, timer=time.process_time)
    return statistics.median(runs) / number * 1e6
