"""What is left of the limits and budgets of keys, as the metrics say it."""

from __future__ import annotations

from typing import Any

from penstock.control.key_readings import KeyReadings
from penstock.control.leases import LeaseBook
from penstock.gateway.lease_words import Draw
from penstock.gateway.metrics import Metrics
from penstock.gateway.principal import Principal, Quota

DOLLAR = 10**12
REQUESTS = Quota(name="key:3f:requests", kind="requests", limit=100, window=60.0)
MONEY = Quota(name="key:3f:money:0", kind="money", limit=5 * DOLLAR, spent=DOLLAR)


def values(metrics: Metrics) -> dict[Any, float]:
    return {
        (name, *labels): value for name, labels, value in metrics.report().values if name.startswith("penstock_key")
    }


def test_only_keys_with_an_alias_and_only_where_they_may_be_labels() -> None:
    metrics, readings = Metrics(), KeyReadings(lambda quota, now: 7)
    readings.watch(metrics)
    readings.note("3f", Principal(id="3f", label="", alias="team", quotas=(REQUESTS, MONEY)))
    readings.note("4a", Principal(id="4a", label="", quotas=(REQUESTS,)))
    assert values(metrics) == {}
    readings.on = True
    assert values(metrics) == {
        ("penstock_key_limit", "team", "requests"): 100,
        ("penstock_key_remaining", "team", "requests"): 7,
        ("penstock_key_budget_dollars", "team"): 5,
        ("penstock_key_budget_remaining_dollars", "team"): 7 / DOLLAR,
    }
    readings.note("3f", None)
    assert values(metrics) == {}


def test_where_nobody_has_anything_the_ledger_says_what_is_spent() -> None:
    metrics, readings = Metrics(), KeyReadings(lambda quota, now: None)
    readings.watch(metrics)
    readings.on = True
    readings.note("3f", Principal(id="3f", label="", alias="team", quotas=(MONEY,)))
    assert values(metrics)["penstock_key_budget_remaining_dollars", "team"] == 4, "as it was when it was handed out"
    readings.read_spend(lambda name: 3 * DOLLAR if name == MONEY.name else 0)
    assert values(metrics)["penstock_key_budget_remaining_dollars", "team"] == 2


def test_the_book_tells_what_nobody_has_and_begins_nothing() -> None:
    told: list[Any] = []
    book = LeaseBook(lambda *message: told.append(message), lambda question: None, (), 30.0)
    assert book.unheld(REQUESTS, 61.0) == 100
    assert book.unheld(MONEY, 61.0) is None
    assert not book._accounts
    book.hello("1", (), 61.0)
    book.draw("1", Draw(REQUESTS, 60.0, 0, 10, 10), 61.0)
    (grant,) = [message for _, kind, message in told if kind == "grant"]
    assert book.unheld(REQUESTS, 62.0) == 100 - grant.units
    assert book.unheld(REQUESTS, 200.0) == 100, "a window later"
