"""Bill: the lines that a call is charged, while they are being written, and the values that they are made of.

A bill never guesses: what has no certain price becomes a reason, and a bill with a reason has no total.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from penstock.providers.billing.rates import EXACT

Side: TypeAlias = Literal["input", "output", "fee"]
Count: TypeAlias = int | Decimal

ONE: Final = Decimal(1)
_ZERO = Decimal(0)


class Terms(Struct, frozen=True, kw_only=True):
    """What decides over the price of a call, but is not counted in its usage. None: not known, or the provider's
    default.

    service_tier         the tier that served the call, in the provider's words; None: what the usage says, else
                         standard
    batch                it came through a batch API
    residency            data residency: "eu", "us" (OpenAI's regional hosts, Anthropic's `inference_geo`)
    location             the cloud region of a Vertex AI call; "global" is the global endpoint
    speed                "fast": Anthropic's fast mode
    at                   when it was served, aware; decides over off-peak prices
    search_context_size  "low", "medium", "high"
    explicit_cache       the caller set cache markers where the provider also caches on its own (DashScope prices the
                         two differently)
    resolution           of generated images or video: "1080p", "4k", "2K" ...
    size                 of generated images in pixels: "1024x1536"
    max_results          how many results a search asked for
    requests             how many requests the usage sums up
    elapsed              seconds that the call took: what a price list of the user's own may charge by
    """

    service_tier: str | None = None
    batch: bool = False
    residency: str | None = None
    location: str | None = None
    speed: str | None = None
    at: datetime | None = None
    search_context_size: str | None = None
    explicit_cache: bool = False
    resolution: str | None = None
    size: str | None = None
    max_results: int | None = None
    requests: int = 1
    elapsed: float | Decimal | None = None


class Item(Struct, frozen=True):
    """One line: `quantity` of `kind` at `price` US dollars each, times `factor` (regional uplift, fast mode), is
    `amount`.

    `side` is what the line counts as: input, output, or a fee beside the two. `field` is where the price stands.
    """

    kind: str
    quantity: Count
    price: Decimal
    amount: Decimal
    side: Side
    field: str
    factor: Decimal = ONE


class Bill:
    """The lines so far. `reasons` say why there can be no total, `assumptions` what was taken for granted.

    `unpriced` are the (side, kind, count) of tokens without a price: a reason each, unless another unit of the same
    side is billed.
    """

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.reasons: list[str] = []
        self.assumptions: list[str] = []
        self.unpriced: list[tuple[Side, str, int]] = []

    def add(self, kind: str, quantity: Count, price: Decimal, side: Side, field: str, factor: Decimal = ONE) -> None:
        """Write a line."""
        amount = EXACT.multiply(price, quantity)
        if factor is not ONE:
            amount = EXACT.multiply(amount, factor)
        self.items.append(Item(kind, quantity, price, amount, side, field, factor))

    def charges(self, *kinds: str) -> bool:
        """Whether one of these kinds is on the bill with a price above 0."""
        return any(item.kind in kinds and item.price for item in self.items)


def total_of(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum."""
    total = _ZERO
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total


def exact_count(value: object) -> Count | None:
    """`value` as an exact count of at least 0 (a float by its shortest decimal form), or None if it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if value >= 0 else None
    if not isinstance(value, float | Decimal | str):
        return None
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        return None
    if not number.is_finite() or number < 0 or abs(number.adjusted()) > 40:
        return None
    return number
