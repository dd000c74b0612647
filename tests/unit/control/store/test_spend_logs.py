"""The summary by days, in LiteLLM's shape."""

from datetime import date

from penstock.control.store.base import Spent
from penstock.control.store.spend_logs import summary


def test_days_sum_up_users_models_and_keys() -> None:
    spent = [
        Spent(20_000, "k1", "u1", "m1", 1_000_000_000_000, 3),
        Spent(20_000, "k1", None, "m2", 500_000_000_000, 1),
        Spent(20_000, "k2", "u1", "m1", 250_000_000_000, 1),
        Spent(20_002, "k1", "u1", "m1", 0, 1),
    ]
    assert summary(spent, date(2024, 10, 7)) == [
        {
            "startTime": "2024-10-04",
            "spend": 1.75,
            "users": {"u1": 1.25, "": 0.5},
            "models": {"m1": 1.25, "m2": 0.5},
            "k1": 1.5,
            "k2": 0.25,
        },
        {"startTime": "2024-10-06", "spend": 0.0, "users": {"u1": 0.0}, "models": {"m1": 0.0}, "k1": 0.0},
        {"startTime": "2024-10-07", "spend": 0, "users": {}, "models": {}},
    ]


def test_nothing_spent_is_no_days() -> None:
    assert summary([], date(2024, 10, 7)) == []
