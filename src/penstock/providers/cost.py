"""Cost: what a call costs, exactly, and out of what. Pure: counts and a price list go in, the lines of a bill come out.

    cost(usage, prices) -> Cost(total=Decimal("0.0004375"), items=(Item("input", 150, ...), Item("output", 25, ...)))

The rule: every reported unit is billed once, at a price that is certain; if there is one that is not, the total is
unknown (`total` is None) and `reasons` say why. It is never 0 for want of a price. How counts become lines:

    input     `input_tokens` counts everything. Cached, cache-written, audio, image and video tokens are taken out of it
              at their own prices; what is left is text. The length that long-context prices ask for is the whole of it.
    output    likewise: thoughts, audio and image tokens are taken out of `output_tokens`.
    units     images, seconds, characters, search units, pages ... where the list has a price for them. What tokens
              already paid for is not billed again in another unit (an image of 1,120 tokens that also has a price an
              image).
    tools     the fees of provider-run tools, by call, prompt or session.

docs/reference/prices.md has a table of usages with their exact costs: it is the test of this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Literal

from msgspec import Struct

from penstock.providers.billing.bill import ONE, Bill, Item, Side, Terms, exact_count, total_of
from penstock.providers.billing.rates import EXACT, Card, card_for, tier_of
from penstock.providers.billing.token_lines import TokenLines, input_total, output_total
from penstock.providers.billing.tool_lines import SESSIONS, ToolLines, searches_always
from penstock.providers.billing.unit_lines import UnitLines, measures_units
from penstock.providers.prices import Prices
from penstock.types.usage import Usage

__all__ = ["PICODOLLARS", "Cost", "Item", "Terms", "cost", "unknown"]

PICODOLLARS: int = 10**12
"""Picodollars in a dollar: the ledger's integer unit. A signed 64-bit integer holds 9.2 million dollars of them."""

_STANDARD = Terms()


class Cost(Struct, frozen=True, kw_only=True):
    """What a call costs in US dollars. `total` is None where it is unknown; then `reasons` say why.

    `source` is "prices" (computed) or "provider" (reported by it, and believed). `assumptions` name what was taken for
    granted since nobody said otherwise.
    """

    total: Decimal | None
    items: tuple[Item, ...] = ()
    reasons: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    source: Literal["prices", "provider"] = "prices"

    @property
    def known(self) -> bool:
        """Whether there is a total."""
        return self.total is not None

    @property
    def at_least(self) -> Decimal:
        """The sum of the lines that are known: the total, or, where that is unknown, a lower bound of it."""
        return total_of(item.amount for item in self.items)

    @property
    def picodollars(self) -> int | None:
        """The total in the ledger's unit, rounded up: a ledger never counts less than was spent, nor a whole picodollar
        more a call."""
        if self.total is None:
            return None
        return int(EXACT.multiply(self.total, PICODOLLARS).to_integral_value(ROUND_CEILING, EXACT))

    @property
    def usd(self) -> float | None:
        """The total as the nearest float: for the edge where LiteLLM's callers want one, never for arithmetic."""
        return None if self.total is None else float(self.total)

    def on(self, side: Side) -> Decimal:
        """What the lines of one side come to: "input", "output" or "fee"."""
        return total_of(item.amount for item in self.items if item.side == side)

    def __add__(self, other: Cost) -> Cost:
        """The cost of both: unknown if one of them is."""
        total = None if self.total is None or other.total is None else EXACT.add(self.total, other.total)
        return Cost(
            total=total,
            items=self.items + other.items,
            reasons=self.reasons + other.reasons,
            assumptions=self.assumptions + other.assumptions,
            source=self.source if self.source == other.source else "prices",
        )


def unknown(*reasons: str) -> Cost:
    """A cost that nobody can tell, and why."""
    return Cost(total=None, reasons=reasons)


def cost(
    usage: Usage,
    prices: Prices | None,
    terms: Terms = _STANDARD,
    *,
    quantities: Mapping[str, int | float | Decimal] | None = None,
    trust_reported: bool = False,
) -> Cost:
    """What a call with this usage costs.

    `prices` None: the model has no known price. `terms`: service tier, batch, region ... `quantities`: units that a
    usage has no field for (pages, video_seconds, code_interpreter_sessions ...; see `billing.unit_lines.QUANTITIES`).
    `trust_reported` takes the provider's own figure (`usage.cost`) where there is one: for providers whose row
    `reports_cost`. Prices of the user's own stand above it. Raises nothing: what does not add up makes the cost
    unknown.
    """
    if trust_reported and usage.cost is not None and not (prices and prices.own):
        return _reported(usage.cost)
    if prices is None:
        return unknown("no price is known for this model")
    if prices.surcharge:
        return unknown("the price is the router's own fee; the model that it chose is priced on top of it")
    return _closed(_written(usage, prices, terms, quantities or {}), usage, prices)


def _reported(text: str) -> Cost:
    amount = exact_count(text)
    if amount is None:
        return unknown(f"the provider reported a cost that is not an amount: {text[:40]!r}")
    item = Item("reported", 1, Decimal(amount), Decimal(amount), "fee", "usage.cost")
    return Cost(total=item.amount, items=(item,), source="provider")


def _written(usage: Usage, prices: Prices, terms: Terms, quantities: Mapping[str, object]) -> Bill:
    """The bill with all its lines."""
    bill = Bill()
    served = terms.service_tier if terms.service_tier is not None else usage.service_tier
    length = input_total(usage) or 0
    card = (
        card_for(prices, service_tier=served, batch=terms.batch, input_tokens=length, at=terms.at)
        if prices.priced_by_token
        else None
    )
    if isinstance(card, Card):
        TokenLines(bill, usage, card, _factor(bill, usage, prices, terms), explicit_cache=terms.explicit_cache).write()
    elif card is not None:
        bill.reasons.append(card)
    if quantities or measures_units(usage, prices):
        tier = None if prices.tokens_are_free else tier_of(prices, served, terms.batch)
        units = {name: value for name, value in quantities.items() if name != SESSIONS}
        UnitLines(bill, usage, prices, terms, tier).write(units)
    if usage.server_tool_calls or quantities or searches_always(prices):
        ToolLines(bill, usage, prices, terms).write(quantities)
    if prices.off_peak and terms.at is None:
        bill.assumptions.append("not served in off-peak hours: no time was given")
    return bill


def _factor(bill: Bill, usage: Usage, prices: Prices, terms: Terms) -> Decimal:
    """What all token prices are multiplied by: data residency, regional endpoints, fast mode. Sources:
    openai.com/api/pricing ("data residency ... 10% uplift"), cloud.google.com/vertex-ai/generative-ai/pricing (regional
    endpoints), platform.claude.com/docs/en/about-claude/pricing (inference_geo, fast).
    """
    extras = usage.extras or {}
    if not (extras or terms.residency or terms.speed or prices.multipliers or prices.uplifted):
        return ONE
    residency = (terms.residency or str(extras.get("inference_geo") or "")).lower()
    speed = (terms.speed or str(extras.get("speed") or "")).lower()
    found = [_residence(bill, prices, residency), _endpoint(bill, prices, terms.location)]
    if speed == "fast":
        found.append(prices.multipliers.get("fast"))
        if "fast" not in prices.multipliers:
            bill.reasons.append("no price is published for the fast mode")
    factor = ONE
    for each in found:
        factor = factor if each is None else EXACT.multiply(factor, each)
    return factor


_NOWHERE = frozenset({"", "global", "none", "default", "not_available"})


def _residence(bill: Bill, prices: Prices, residency: str) -> Decimal | None:
    """The factor for data residency: none where the list has none at all (older models), unknown where it has one for
    other places only."""
    if residency in _NOWHERE:
        return None
    field = "regional_processing_uplift_multiplier_"
    factor = prices.multipliers.get(residency, prices.rates.get(field + residency))
    elsewhere = prices.multipliers.keys() - {"fast"} or [name for name in prices.rates if name.startswith(field)]
    if factor is None and elsewhere:
        bill.reasons.append(f"no price is published for data residency in {residency!r}")
    return factor


def _endpoint(bill: Bill, prices: Prices, location: str | None) -> Decimal | None:
    """The factor for a regional endpoint, where the list has one."""
    factor = prices.rates.get("regional_endpoint_uplift_multiplier")
    if factor is not None and location is None:
        bill.assumptions.append("served by the global endpoint: no location was given")
    return None if location in (None, "global") else factor


def _closed(bill: Bill, usage: Usage, prices: Prices) -> Cost:
    """The bill's total, or why it has none."""
    reasons = [*bill.reasons, *(_unpriced(bill) if bill.unpriced else ()), *_unmeasured(bill, usage, prices)]
    total = None if reasons else total_of([item.amount for item in bill.items])
    return Cost(total=total, items=tuple(bill.items), reasons=_once(reasons), assumptions=_once(bill.assumptions))


def _once(texts: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts)) if texts else ()


_UNIT_KINDS = frozenset(
    {"image", "second", "character", "search_unit", "pixel", "video_second", "audio_second", "page"}
)


def _unpriced(bill: Bill) -> list[str]:
    """A reason for each kind of tokens without a price, unless the side that they are on is billed in another unit."""
    measured = {item.side for item in bill.items if item.kind in _UNIT_KINDS}
    return [
        f"no price is published for {kind} tokens at this tier and length ({count} of them)"
        for side, kind, count in bill.unpriced
        if side not in measured
    ]


def _unmeasured(bill: Bill, usage: Usage, prices: Prices) -> list[str]:
    """A reason if what the model is billed by was not reported: a call that was not measured did not cost nothing."""
    if bill.reasons or bill.unpriced or prices.free:
        return []
    if prices.unit_fields and not (prices.priced_by_token and not prices.tokens_are_free):
        if any(item.kind in _UNIT_KINDS or item.field in prices.unit_fields for item in bill.items):
            return []
        return [f"the model is billed by {', '.join(sorted(prices.unit_fields))}, which the usage does not report"]
    if bill.items or input_total(usage) is not None or output_total(usage) is not None:
        return []
    return ["the usage reports nothing that this model is billed by"]
