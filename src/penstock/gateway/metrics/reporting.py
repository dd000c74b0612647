"""A worker's reports to the keeper: once a second where something changed, and whenever the keeper asks.

channel.on("metrics", reporter.answer)     the keeper asks, for a scrape
reporter.connected()                       the channel is there (again): everything, for the keeper may be new
reporter.stop()                            the last word
"""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

from penstock.gateway.metrics.counting import Metrics
from penstock.gateway.metrics.merging import Report

KIND = "metrics"
"""The kind of the messages, both ways."""
FULL = "full"
"""What the keeper asks for when it knows nothing of a worker."""
SECONDS = 1.0
_PAGE_BYTES = resource.getpagesize()
_STATM = Path("/proc/self/statm")


class Reporter:
    """Reports what `metrics` counted. `tell(kind, report)` sends; `later` is the event loop's `call_later`."""

    def __init__(
        self,
        metrics: Metrics,
        tell: Callable[[str, Any], None],
        later: Callable[[float, Callable[[], None]], Any],
    ) -> None:
        self._metrics = metrics
        self._tell = tell
        self._later = later
        self._running = False
        self._stopped = False
        self._said: list[Any] = []

    def connected(self) -> None:
        """Say everything, and go on reporting."""
        self._send(self._metrics.report(full=True))
        if not self._running:
            self._running = True
            self._later(SECONDS, self._tick)

    def answer(self, payload: Any = None) -> Report:
        """What the keeper asks for: what changed, or all ("full")."""
        return self._metrics.report(full=payload == FULL)

    def stop(self) -> None:
        """Say it once more, and no more."""
        self._stopped = True
        self._send(self._metrics.report())

    def _tick(self) -> None:
        if self._stopped:
            return
        report = self._metrics.report()
        if any(report.rows.values()) or report.values != self._said:
            self._send(report)
        self._later(SECONDS, self._tick)

    def _send(self, report: Report) -> None:
        self._said = report.values
        self._tell(KIND, report)


def watch_process(metrics: Metrics) -> None:
    """Have memory and processor time of this process read for each report."""
    metrics.gauge("penstock_worker_resident_bytes", resident_bytes)
    metrics.gauge("penstock_worker_cpu_seconds", cpu_seconds)


def resident_bytes() -> int:
    """Memory that this process holds now; where the system does not say, the most that it has held."""
    try:
        return int(_STATM.read_text().split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def cpu_seconds() -> float:
    """Processor time that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
