"""The rows of `penstock models`: exact decimal text, and only what is known."""

from decimal import Decimal

import pytest

from penstock.providers.facts import Facts
from penstock.providers.facts.table import entries, entry, per_million

FACTS = Facts()


def test_an_entry() -> None:
    row = FACTS.find("gpt-4o-mini")
    assert row is not None
    found = entry(FACTS, row)
    assert (found.name, found.provider, found.mode) == ("gpt-4o-mini", "openai", "chat")
    assert (found.context, found.max_output) == (128_000, 16_384)
    assert (found.input_price, found.output_price) == ("0.15", "0.6")
    assert {"vision", "function_calling"} <= set(found.capabilities)
    assert list(found.capabilities) == sorted(found.capabilities)


def test_a_model_without_a_price_has_none() -> None:
    row = FACTS.find("gpt-4o-2031-01-01")
    assert row is not None
    assert entry(FACTS, row).input_price is None


def test_steps_show_their_first_price() -> None:
    row = FACTS.find("dashscope/qwen-plus-latest")
    assert row is not None
    assert (entry(FACTS, row).input_price, entry(FACTS, row).output_price) == ("0.4", "1.2")


@pytest.mark.parametrize(
    ("price", "text"),
    [
        ("0", "0"),
        ("0.0", "0"),
        ("1.5e-07", "0.15"),
        ("2.9999900000000002e-06", "2.9999900000000002"),
        ("0.0001", "100"),
        ("1", "1000000"),
    ],
)
def test_prices_a_million_are_plain_and_exact(price: str, text: str) -> None:
    assert per_million(Decimal(price)) == text
    assert Decimal(text) == Decimal(price) * 10**6


def test_entries_can_be_chosen() -> None:
    found = list(entries(FACTS, provider="vertex_ai", mode="embedding", text="GEMINI"))
    assert found
    assert all(each.provider == "vertex_ai" and each.mode == "embedding" and "gemini" in each.name for each in found)
    assert next(entries(FACTS)).name
