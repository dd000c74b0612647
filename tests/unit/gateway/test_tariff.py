"""A tariff says what the bill says, to the last digit, or nothing."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from penstock.gateway.tariff import tariff_of
from penstock.providers.cost import cost
from penstock.providers.facts import current_facts
from penstock.types.usage import Usage

NAMES = sorted(current_facts())
counts = st.integers(0, 400_000)


@given(st.sampled_from(NAMES), counts, st.integers(0, 50_000), st.floats(0, 1))
def test_a_tariff_agrees_with_the_bill(name: str, inward: int, outward: int, share: float) -> None:
    facts = current_facts()
    row = facts.find(name)
    prices = None if row is None else facts.prices_of_row(row)
    tariff = tariff_of(prices)
    if tariff is None or prices is None:
        return
    cached = int(inward * share)
    amount = tariff.of(inward, cached, outward)
    bill = cost(Usage(input_tokens=inward, cache_read_tokens=cached or None, output_tokens=outward), prices)
    if amount is not None:
        assert bill.total == Decimal(tariff.text(amount))
        assert bill.picodollars == tariff.picodollars(amount)
        assert tariff.bound(inward, outward) >= tariff.picodollars(amount)


@given(st.sampled_from(NAMES), counts, st.integers(0, 10**13))
def test_output_that_is_allowed_is_paid_for(name: str, inward: int, money: int) -> None:
    facts = current_facts()
    row = facts.find(name)
    tariff = tariff_of(None if row is None else facts.prices_of_row(row))
    if tariff is None or tariff.bound(inward, 0) > money:
        return
    allowed = tariff.output_for(money, inward)
    if allowed < 1 << 40:
        assert tariff.bound(inward, allowed) <= money


def test_most_models_have_one() -> None:
    facts = current_facts()
    rows = [facts.find(name) for name in NAMES]
    chat = [row for row in rows if row is not None and row.mode == "chat"]
    known = [row for row in chat if tariff_of(facts.prices_of_row(row)) is not None]
    assert len(known) > 0.75 * len(chat)
