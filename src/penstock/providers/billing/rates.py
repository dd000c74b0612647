"""Rates: which price of a list holds for one request. `card_for` answers for a service tier, an input length and a
time; the card then answers by kind of token.

A kind has the price that the list publishes for exactly this tier and band. Where the list is silent, a kind may follow
another one (thoughts are output tokens, cached audio is cached input), but only if the list does not set the two apart
in general, and, for other modalities, only where the provider says so (`rules`). Everything else is unknown, and a
reason says what is missing. A list of the user's own is whole: there every kind may follow.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import Final

from msgspec import Struct

from penstock.providers.billing import rules
from penstock.providers.prices import OffPeak, Prices

EXACT: Final = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[Inexact, InvalidOperation, Overflow])
"""Decimal arithmetic that cannot round: sums and products of decimals are decimals, and what would not be raises."""

FIELDS: Final = {
    "input": "input_cost_per_token",
    "input_audio": "input_cost_per_audio_token",
    "input_image": "input_cost_per_image_token",
    "input_video": "input_cost_per_video_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_read_explicit": "explicit_cache_read_input_token_cost",
    "cache_read_audio": "cache_read_input_audio_token_cost",
    "cache_read_image": "cache_read_input_image_token_cost",
    "cache_write_5m": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
    "output": "output_cost_per_token",
    "reasoning": "output_cost_per_reasoning_token",
    "output_audio": "output_cost_per_audio_token",
    "output_image": "output_cost_per_image_token",
}
"""The kinds of tokens, and the field that bears each one's price."""

SYNONYMS: Final = {"cache_read_input_token_cost": "input_cost_per_token_cache_hit"}

FOLLOWS: Final = {
    "input_audio": "input",
    "input_image": "input",
    "input_video": "input",
    "cache_read_explicit": "cache_read",
    "cache_read_audio": "cache_read",
    "cache_read_image": "cache_read",
    "reasoning": "output",
}
"""Which kind a kind follows where the list does not set them apart. Cached audio follows cached text only if audio
follows text."""

UNCACHED: Final = {"cache_read_audio": "input_audio", "cache_read_image": "input_image"}

FOLLOWS_IN_A_WHOLE_LIST: Final = {
    **FOLLOWS,
    "cache_read": "input",
    "cache_write_5m": "input",
    "cache_write_1h": "cache_write_5m",
    "output_audio": "output",
    "output_image": "output",
}


_ZERO, _ONE, _HALF = Decimal(0), Decimal(1), Decimal("0.5")


class Rate(Struct, frozen=True):
    """US dollars a token, the field of the list that says so, and what is taken for granted by it."""

    price: Decimal
    field: str
    assumption: str | None = None


class Card:
    """The rates that hold for one request, by kind of token. Made by `card_for`.

    prices     the list
    rates      the list's figures, or those of the step of `tiered_pricing` that holds
    band       what field names end in: the long-context step ("" below all of them) ...
    tier       ... and then the service tier ("" for standard)
    times      applies to all published figures (batches at half price)
    otherwise  the card that knows what this one does not
    """

    def __init__(
        self,
        prices: Prices,
        rates: dict[str, Decimal],
        band: str = "",
        tier: str = "",
        *,
        times: Decimal = _ONE,
        otherwise: Card | None = None,
    ) -> None:
        self.prices = prices
        self.rates = rates
        self.band = band
        self.tier = tier
        self.times = times
        self.otherwise = otherwise
        self._found: dict[str, Rate | None] = {}

    def rate(self, kind: str) -> Rate | None:
        """What one token of this kind costs, or None where nobody says."""
        if kind not in self._found:
            self._found[kind] = self._find(kind)
        return self._found[kind]

    def _find(self, kind: str) -> Rate | None:
        published = self._published(kind, self.band, self.tier)
        if published is None and self.prices.whole:
            published = self._published_in_general(kind)
        if published is not None or (self.prices.whole and self._standard(kind) is not None):
            return published
        if self.prices.tokens_are_free:
            return Rate(_ZERO, FIELDS["input"])
        return self._followed(kind) or self._derived(kind) or (self.otherwise.rate(kind) if self.otherwise else None)

    def _published_in_general(self, kind: str) -> Rate | None:
        """In a whole list, a kind without a price for this step or tier has the same one there. With prices for both,
        but not for the two together, nobody can tell."""
        step = self._published(kind, band=self.band) if self.band else None
        tier = self._published(kind, tier=self.tier) if self.tier else None
        if step is not None and tier is not None:
            return None
        return step or tier or self._published(kind)

    def _published(self, kind: str, band: str = "", tier: str = "") -> Rate | None:
        field = FIELDS[kind] + band + tier
        price = self.rates.get(field)
        if price is None and field in SYNONYMS:
            field = SYNONYMS[field]
            price = self.rates.get(field)
        if price is None:
            return None
        if not price and kind in ("cache_write_5m", "cache_write_1h"):
            return self._without_surcharge(field)
        if self.times is _ONE:
            return Rate(price, field)
        return Rate(EXACT.multiply(price, self.times), f"{self.times} x {field}")

    def _without_surcharge(self, field: str) -> Rate:
        """A price of 0 for writing to the cache means that writing costs nothing extra: the tokens themselves are still
        input."""
        return self._published("input", self.band, self.tier) or Rate(_ZERO, field)

    def _followed(self, kind: str) -> Rate | None:
        leader = (FOLLOWS_IN_A_WHOLE_LIST if self.prices.whole else FOLLOWS).get(kind)
        if leader is None or not (self.prices.whole or self._may_follow(kind, leader)):
            return None
        return self.rate(leader)

    def _may_follow(self, kind: str, leader: str) -> bool:
        own = self._standard(kind)
        if own is not None:
            return own == self._standard(leader)
        if kind in UNCACHED:
            return self._standard(UNCACHED[kind]) in (None, self._standard("input"))
        return kind not in rules.CHARGED_AS_TEXT or self.prices.host in rules.CHARGED_AS_TEXT[kind]

    def _standard(self, kind: str) -> Decimal | None:
        """The kind's price in general: standard tier, below all thresholds."""
        return self.rates.get(FIELDS[kind])

    def _derived(self, kind: str) -> Rate | None:
        rule = rules.DERIVED.get((self.prices.host, kind))
        if rule is None or self._standard(kind) is not None:
            return None
        leader, times, assumption = rule
        base = self.rate(leader)
        return base and Rate(EXACT.multiply(base.price, times), f"{times} x {base.field}", assumption)


def card_for(
    prices: Prices, *, service_tier: str | None, batch: bool, input_tokens: int, at: datetime | None
) -> Card | str:
    """The card for a request with `input_tokens` in all (cached and written ones too), or the reason why none is known.

    `service_tier` in the provider's words; `at` (aware) decides over off-peak prices, and None means the list's own.
    """
    tier = tier_of(prices, service_tier, batch)
    step = _step_of(prices, input_tokens) if prices.tiers else None
    band = band_of(prices, input_tokens) if prices.bands else ""
    off_peak = prices.off_peak is not None and at is not None and is_off_peak(prices.off_peak, at)
    key = (tier, band, step, off_peak)
    card = prices.cards.get(key)
    if card is None:
        card = _make_card(prices, tier, band, step, off_peak)
        if isinstance(card, Card):  # reasons are not kept: they may stem from any word in a service tier
            prices.cards[key] = card
    return card


def _make_card(prices: Prices, tier: str | None, band: str, step: int | None, off_peak: bool) -> Card | str:
    if tier is not None and tier not in prices.suffixes:
        if not (prices.whole or prices.tokens_are_free or (prices.host, tier) in rules.TIERS_AT_STANDARD_PRICE):
            return f"no price is published for the service tier {tier!r}"
        tier = None
    if step is not None:
        return _card_of_step(prices, step)
    rates = prices.rates
    if off_peak and prices.off_peak:
        if tier is not None or band:
            return "no price is published for this service tier or length in off-peak hours"
        rates = {**rates, **prices.off_peak.rates}
    if tier is None:
        return Card(prices, rates, band)
    halved = tier == "batches" and prices.host in rules.HALF_IN_BATCHES
    standard = Card(prices, rates, band, times=_HALF) if halved else None
    return Card(prices, rates, band, f"_{tier}", otherwise=standard)


def _card_of_step(prices: Prices, step: int) -> Card | str:
    if step < len(prices.tiers):
        return Card(prices, prices.tiers[step].rates)
    return f"no price is published for requests of more than {prices.tiers[-1].to} input tokens"


def _step_of(prices: Prices, input_tokens: int) -> int:
    """The number of the step of `tiered_pricing` that a request of this length falls on; their number if none."""
    for number, step in enumerate(prices.tiers):
        if input_tokens <= step.to:
            return number
    return len(prices.tiers)


def tier_of(prices: Prices, service_tier: str | None, batch: bool) -> str | None:
    """The service tier as the suffix of price fields, or None for the standard price."""
    if batch:
        return "batches"
    word = (service_tier or "").strip().lower()
    return rules.SERVICE_TIERS.get(word, word)


def band_of(prices: Prices, input_tokens: int) -> str:
    """The suffix of the highest long-context step that a request of this length reaches; "" for none."""
    reached = [
        band.suffix
        for band in prices.bands
        if input_tokens > band.above or (prices.inclusive and input_tokens == band.above)
    ]
    return reached[-1] if reached else ""


def is_off_peak(off_peak: OffPeak, at: datetime) -> bool:
    """Whether the moment `at` lies in one of the cheaper windows. A naive time counts as UTC."""
    utc = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    minute = utc.hour * 60 + utc.minute
    for window in off_peak.windows:
        weekday = (utc + timedelta(minutes=window.offset)).isoweekday()
        if window.weekdays and weekday not in window.weekdays:
            continue
        if any(start <= minute < end for start, end in window.spans):
            return True
    return False
