"""Table: the rows of `penstock models`: what a person wants to see of a model, prices as exact decimal text a million
tokens."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from msgspec import Struct

from penstock.providers.billing.rates import EXACT
from penstock.providers.facts.facts import Facts
from penstock.providers.facts.row import Row

_MILLION = 10**6


class Entry(Struct, frozen=True, kw_only=True):
    """One model. Lengths in tokens; prices in US dollars a million tokens, as plain decimal text ("0.15"). None where
    nothing is known."""

    name: str
    provider: str
    mode: str | None
    context: int | None
    max_output: int | None
    input_price: str | None
    output_price: str | None
    capabilities: tuple[str, ...]


def entries(facts: Facts, *, provider: str | None = None, mode: str | None = None, text: str = "") -> Iterator[Entry]:
    """The models of `facts`, one by one: of a provider, of a mode, and with `text` in their name, where these are
    given."""
    for name in facts:
        if text.lower() in name.lower():
            row = facts.find(name)
            if row and (provider is None or row.provider == provider) and (mode is None or row.mode == mode):
                yield entry(facts, row)


def entry(facts: Facts, row: Row) -> Entry:
    """The entry for one row."""
    prices = facts.prices_of_row(row)
    rates = prices.rates if prices else {}
    first = prices.tiers[0].rates if prices and prices.tiers else rates
    return Entry(
        name=row.name,
        provider=row.provider,
        mode=row.mode,
        context=row.limits.input,
        max_output=row.limits.output,
        input_price=per_million(first.get("input_cost_per_token")),
        output_price=per_million(first.get("output_cost_per_token")),
        capabilities=row.capabilities,
    )


def per_million(price: Decimal | None) -> str | None:
    """A price a token as a price a million tokens, in plain decimal text: 1.5e-07 is "0.15"."""
    if price is None:
        return None
    text = f"{EXACT.multiply(price, _MILLION):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
