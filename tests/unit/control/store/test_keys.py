"""A key's record, its principal and quotas, and its amounts of money."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.control.store import key_rows
from penstock.control.store.keys import (
    KeyRecord,
    QuotaName,
    budget_is_due,
    budget_reset,
    dollars,
    masked,
    parse_quota,
    picodollars,
    principal_of,
    quota_name,
    quotas_of,
)
from penstock.gateway.principal import Quota
from tests.contract.store import NOON, TOKEN, full_key, key


def test_a_key_without_limits_draws_on_nothing() -> None:
    assert quotas_of(key()) == ()


def test_each_limit_is_a_quota() -> None:
    assert quotas_of(full_key()) == (
        Quota(name=f"key:{TOKEN}:requests", kind="requests", limit=0, window=60.0),
        Quota(name=f"key:{TOKEN}:tokens", kind="tokens", limit=10**12, window=60.0),
        Quota(name=f"key:{TOKEN}:parallel", kind="parallel", limit=3),
        Quota(name=f"key:{TOKEN}:money:4", kind="money", limit=2**63 - 1, resets_at=NOON + 1, spent=5),
    )


def test_a_principal_is_the_key_as_workers_know_it() -> None:
    made = principal_of(full_key())
    assert (made.id, made.label, made.alias, made.role) == (TOKEN, "sk-...fake", "team ü", "key")
    assert (made.models, made.aliases, made.tags) == (("gpt-*", "claude"), {"fast": "gpt-mini"}, ("a", "b"))
    assert (made.expires, made.blocked, made.metadata["cost center"]) == (NOON + 0.123456, True, 7)
    assert made.quotas == quotas_of(full_key())
    assert "sk-" + "fake" not in repr(made)


def test_names_of_quotas_say_what_they_count() -> None:
    assert parse_quota(quota_name(TOKEN, "tokens")) == QuotaName("key", TOKEN, "tokens", None)
    assert parse_quota(quota_name(TOKEN, "money", 12)) == QuotaName("key", TOKEN, "money", 12)
    assert parse_quota("") is parse_quota("key") is parse_quota("a:b:c:d") is parse_quota("a:b:c:1:2") is None


def test_a_reset_begins_a_period_of_another_name() -> None:
    before = key(max_budget=10, budget_duration="24h", budget_reset_at=NOON, spend=9, total_spend=20)
    assert budget_is_due(before, NOON)
    assert not budget_is_due(before, NOON - 1)
    assert not budget_is_due(key(max_budget=10), NOON)
    after = budget_reset(before, NOON)
    assert (after.spend, after.total_spend, after.budget_reset_at) == (0, 20, NOON + 16 * 3600)
    assert {quota.name for quota in quotas_of(before)} & {quota.name for quota in quotas_of(after)} == set()


@given(
    st.builds(
        KeyRecord,
        token=st.just(TOKEN),
        key_name=st.text(),
        metadata=st.dictionaries(st.text(), st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text()),
        models=st.lists(st.text()).map(tuple),
        expires=st.none() | st.integers(0, 2**52).map(lambda value: value / 1e6),
        max_budget=st.none() | st.integers(0, 2**63 - 1),
    )
)
def test_a_key_survives_its_row(record: KeyRecord) -> None:
    row = msgspec.defstruct("Row", [(name, object) for name in key_rows.FIELDS])(**key_rows.to_row(record))
    assert key_rows.from_row(row) == record


@pytest.mark.parametrize(
    ("written", "amount"),
    [(1, 10**12), (0.1, 10**11), ("0.000000000001", 1), ("1e-13", 1), (0, 0), (Decimal("12.50"), 12_500_000_000_000)],
)
def test_money_as_people_write_it(written: Any, amount: int) -> None:
    assert picodollars(written) == amount


@pytest.mark.parametrize("written", ["", "much", "nan", float("inf"), "1,5"])
def test_what_is_no_amount_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match="no amount of US dollars"):
        picodollars(written)


@given(st.integers(0, 10**15))
def test_an_amount_comes_back_from_json(cents: int) -> None:
    assert picodollars(dollars(cents * 10**10)) == cents * 10**10 or cents > 10**13


def test_a_masked_key_does_not_give_it_away() -> None:
    assert masked("sk-fake-0123456789") == "sk-...6789"
    assert masked("short") == "sk-..."
