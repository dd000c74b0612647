"""What is left of the limits and budgets of keys, for the metrics: of those that bear an alias, and only where
`metrics_key_labels` is on.

The keeper reports what nobody has, each worker what it holds and no call has taken (gateway/worker_readings.py): the
sum of both, which is how these gauges are merged, is what is left.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from penstock.gateway.metrics import Metrics
from penstock.gateway.metrics.tables import LABEL_LIMITS
from penstock.gateway.principal import Principal, Quota

_PICODOLLARS = 10**12

Readings = dict[tuple[str, ...], float]


class KeyReadings:
    """The keys of which workers were told.

    left  (quota, now) -> units that nobody has, or None where only the ledger can tell (`LeaseBook.unheld`)
    on    whether keys may be labels at all
    """

    def __init__(self, left: Callable[[Quota, float], int | None]) -> None:
        self.on = False
        self._left = left
        self._keys: dict[str, Principal] = {}
        self._spent: Mapping[str, int] = {}

    def note(self, token: str, principal: Principal | None) -> None:
        """This key was handed out, or has changed, or is gone."""
        self._keys.pop(token, None)
        if principal is not None and principal.alias and principal.quotas and len(self._keys) < _MOST:
            self._keys[token] = principal

    def read_spend(self, spent: Callable[[str], int]) -> None:
        """Have the ledger say what was spent of budgets. (Blocks: for threads.)"""
        self._spent = {quota.name: spent(quota.name) for _, quota in self._quotas(money=True)} if self.on else {}

    def watch(self, metrics: Metrics) -> None:
        """Have it read for each page."""
        metrics.gauge("penstock_key_limit", lambda: self._read(False, lambda quota: quota.limit))
        metrics.gauge("penstock_key_remaining", lambda: self._read(False, self._remaining))
        metrics.gauge("penstock_key_budget_dollars", lambda: self._read(True, lambda quota: quota.limit))
        metrics.gauge("penstock_key_budget_remaining_dollars", lambda: self._read(True, self._remaining))

    def _remaining(self, quota: Quota) -> int:
        left = self._left(quota, time.time())
        return quota.limit - self._spent.get(quota.name, quota.spent) if left is None else left

    def _read(self, money: bool, read: Callable[[Quota], int]) -> Readings:
        if money:
            return {(alias,): read(quota) / _PICODOLLARS for alias, quota in self._quotas(money=True)}
        return {(alias, quota.kind): read(quota) for alias, quota in self._quotas(money=False)}

    def _quotas(self, *, money: bool) -> Iterable[tuple[str, Quota]]:
        for principal in tuple(self._keys.values()) if self.on else ():
            for quota in principal.quotas:
                if (quota.kind == "money") is money:
                    yield principal.alias or "", quota


_MOST = LABEL_LIMITS["key_alias"]
