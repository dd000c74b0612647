"""What the keeper adds to the metrics of the workers: the ledger, leases, and what Penstock this is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from penstock import __version__
from penstock.gateway.metrics import Metrics
from penstock.gateway.metrics.reporting import watch_process


class Ledger(Protocol):
    """What the ledger says of itself (`ledger.LedgerStats`)."""

    @property
    def records(self) -> int: ...
    @property
    def calls(self) -> int: ...
    @property
    def rejected(self) -> int: ...
    @property
    def damaged(self) -> int: ...
    @property
    def under_way(self) -> int: ...
    @property
    def behind(self) -> int: ...


def watch_keeper(metrics: Metrics, ledger: Callable[[], Ledger], started: float) -> None:
    """Have the keeper read for each page. `started`: when the gateway was, in Unix seconds."""
    watch_process(metrics)
    metrics.gauge("penstock_build_info", lambda: {(__version__,): 1})
    metrics.gauge("penstock_start_time_seconds", lambda: started)
    metrics.gauge("penstock_ledger_records", lambda: ledger().records)
    metrics.gauge("penstock_ledger_calls", lambda: ledger().calls)
    metrics.gauge("penstock_ledger_rejected_records", lambda: ledger().rejected)
    metrics.gauge("penstock_ledger_unread_bytes", lambda: ledger().behind)
    metrics.gauge("penstock_ledger_open_calls", lambda: ledger().under_way)
    metrics.gauge("penstock_ledger_damaged_journals", lambda: ledger().damaged)


_LEASE_MESSAGES = {
    "grant": "penstock_lease_grants",
    "refuse": "penstock_lease_refusals",
    "recall": "penstock_lease_recalls",
}


class LeaseCounts:
    """Counts what the lease desk tells workers, by the kind of quota, which its name says: "key:3f..:tokens", and of
    budgets with their period, "key:3f..:money:2".
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def told(self, kind: str, quota: str) -> None:
        """A message of this kind ("grant", "refuse", "recall"; others do not count) about this quota was sent."""
        name = _LEASE_MESSAGES.get(kind)
        if name is not None:
            self._metrics.counter(name, _kind_of(quota)).add()


def _kind_of(quota: str) -> str:
    parts = quota.split(":", 3)
    return parts[2] if len(parts) > 2 else ""
