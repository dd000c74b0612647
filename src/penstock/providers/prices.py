"""Prices: one model's price list as a value, exact. It is made from a row of facts and knows LiteLLM's field names;
what it is used for is `rates` and `cost`.

The unit is the US dollar, held as `decimal.Decimal`: an integer and a power of ten, which is what a price written in
decimal *is*. Text is read digit by digit; nothing passes through a binary float. No fixed small unit would do: the
collected lists have prices of 24 decimals (a few published as the product of two others), and a user's own float may
have more. A float that a user hands in means its shortest decimal form: 2.5e-06 is 0.0000025.

Fields of a row that bear prices: `<what>_cost_per_<unit>` and `cache_{read,creation}_input_token_cost`, each perhaps
followed by a band (`_above_200k_tokens`: for requests with more input than that) and by a service tier (`_flex`,
`_priority`, `_batches` ...), in this order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import Struct

from penstock.providers.billing import rules
from penstock.providers.errors import ProviderError

_PRICED_BY_WORD = re.compile(r"cost|pricing|multiplier")
_BILLING_FIELDS = frozenset({"provider_specific_entry", "search_free_requests", "web_search_billing_unit"})
_BAND = re.compile(r"_above_(\d+)(k?)_tokens")
_LEAST_EXPONENT, _MOST_DIGITS, _MOST = -60, 60, Decimal(10) ** 12
_SURCHARGE = re.compile(r"(?:^|/)model[-_]router(?:/|$)")

_TOKEN_PRICE = re.compile(r"^(?:input|output)_cost_per_(?:\w+_)?token|^cache_(?:read|creation)_|^explicit_cache_read_")
_NOT_A_UNIT = re.compile(r"_dbu_cost_|^cost_per_second$|^code_interpreter_|^google_maps_|^citation_|multiplier")


def is_price_field(field: str) -> bool:
    """Whether a field of a row has a say in what a call costs. Two rows that agree in all such fields cost the same."""
    return _PRICED_BY_WORD.search(field) is not None or field in _BILLING_FIELDS


def dollars(value: object, field: str = "price") -> Decimal:
    """`value` as an exact amount of US dollars: an int, a Decimal, decimal text ("1.25e-05"), or a float (by its
    shortest decimal form).

    Raises ProviderError (malformed_prices) for what is not a finite amount of at least 0, naming `field`.
    """
    amount = _decimal(value)
    if amount is None:
        raise _malformed(field, value, "is not an amount", "Give US dollars as a number or as text, such as 2.5e-06.")
    if not amount.is_finite() or amount < 0 or amount > _MOST:
        raise _malformed(field, value, "is not a possible price", "Give US dollars a unit: at least 0, and finite.")
    digits = amount.as_tuple()
    if int(digits.exponent) < _LEAST_EXPONENT or len(digits.digits) > _MOST_DIGITS:
        raise _malformed(field, value, f"has more than {-_LEAST_EXPONENT} decimals", "Round it.")
    return amount


def _decimal(value: object) -> Decimal | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int | str | float):
        try:
            return Decimal(repr(value) if isinstance(value, float) else value)
        except (InvalidOperation, ValueError):
            return None
    return None


def _malformed(field: str, value: object, what: str, fix: str) -> ProviderError:
    return ProviderError("malformed_prices", f"{field} {what}: {_brief(value)}.", fix)


def _brief(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        return "a number that is too long to show"
    return text if len(text) <= 60 else text[:57] + "..."


class Band(Struct, frozen=True):
    """A step of long-context prices: it holds for requests with more than `above` input tokens. `suffix` is its part of
    the field names."""

    above: int
    suffix: str


class InputTier(Struct, frozen=True):
    """A step of `tiered_pricing`: for requests of more than `above` and at most `to` input tokens, these prices hold
    instead of the list's."""

    above: int
    to: int
    rates: dict[str, Decimal]


class ResultTier(Struct, frozen=True):
    """A step of a search price: what one query costs that asks for `least` to `most` results."""

    least: int
    most: int
    price: Decimal


class Window(Struct, frozen=True):
    """A part of the week. `spans` are minutes of the day in UTC, [from, to); `weekdays` ISO numbers (empty: all),
    counted `offset` minutes ahead of UTC."""

    spans: tuple[tuple[int, int], ...]
    weekdays: frozenset[int] = frozenset()
    offset: int = 0


class OffPeak(Struct, frozen=True):
    """Prices that hold instead of the list's within certain hours."""

    rates: dict[str, Decimal]
    windows: tuple[Window, ...]


class Prices(Struct, frozen=True, kw_only=True, eq=False):
    """The price list of one model.

    rates         field name -> US dollars: everything that is one figure, multipliers too
    model, host   the row's name and its `litellm_provider`
    mode          chat, embedding, image_generation ...: says what a bare count of seconds or images is about
    bands         long-context steps, lowest first; `inclusive`: they hold from the threshold on, not only above it
    tiers         the steps of `tiered_pricing`, by input tokens
    result_tiers  the steps of `tiered_pricing`, by the number of results asked for
    search        "low", "medium", "high" -> US dollars a search; `search_per_prompt`: billed once a prompt
    off_peak      cheaper hours
    multipliers   "us", "fast" ... -> factor on all token prices (`provider_specific_entry`)
    quotas        there are free searches, whose use no single response tells
    whole         the list is complete: a kind of token that is not in it costs what plain tokens cost (lists of users
                  are; collected ones are not)
    own           the user has had a hand in it: it stands above what the provider reports
    surcharge     the list is what a router adds to the price of the model that it chose

    The rest is worked out of these once, for speed: `suffixes` (service tiers with prices of their own),
    `priced_by_token`, `tokens_are_free` (token prices, all 0), `unit_fields` (prices above 0 for other units),
    `uplifted` (has regional multipliers), and `cards`, the memo of `rates.card_for`, which is no part of the value.
    """

    rates: dict[str, Decimal]
    model: str = ""
    host: str = ""
    mode: str = "chat"
    bands: tuple[Band, ...] = ()
    inclusive: bool = False
    tiers: tuple[InputTier, ...] = ()
    result_tiers: tuple[ResultTier, ...] = ()
    search: dict[str, Decimal] = {}
    search_per_prompt: bool = False
    off_peak: OffPeak | None = None
    multipliers: dict[str, Decimal] = {}
    quotas: bool = False
    whole: bool = False
    own: bool = False
    surcharge: bool = False
    suffixes: frozenset[str] = frozenset()
    priced_by_token: bool = False
    tokens_are_free: bool = False
    unit_fields: frozenset[str] = frozenset()
    uplifted: bool = False
    cards: dict[Any, Any] = {}

    @property
    def free(self) -> bool:
        """Whether the list has prices, and all of them are 0."""
        return self.tokens_are_free and not self.unit_fields and not self.search


def prices_of(row: Mapping[str, Any], model: str = "", *, whole: bool = False, own: bool = False) -> Prices | None:
    """The price list in a row of facts (LiteLLM's field names; numbers as int, Decimal, text or float), or None if it
    has no price, or only zeros that stand for one (`rules.ZERO_FOR_WANT_OF_A_PRICE`).

    Raises ProviderError (malformed_prices) that names the field at fault.
    """
    rates = {field: dollars(value, field) for field, value in row.items() if _is_one_figure(field, value)}
    tiers = _input_tiers(row)
    result_tiers = _result_tiers(row)
    search, off_peak = _search(row), _off_peak(row)
    if not any("multiplier" not in field for field in rates) and not (tiers or result_tiers or search):
        return None
    host = str(row.get("litellm_provider") or "")
    if host in rules.ZERO_FOR_WANT_OF_A_PRICE and not (own or tiers or any(rates.values()) or any(search.values())):
        return None
    token_rates = [rate for field, rate in rates.items() if _TOKEN_PRICE.match(field)]
    token_rates += [rate for tier in tiers for rate in tier.rates.values()]
    return Prices(
        rates=rates,
        model=model,
        host=host,
        mode=str(row.get("mode") or "chat"),
        bands=_bands(rates),
        inclusive=host in rules.BILLED_FROM_THE_THRESHOLD_ON,
        tiers=tiers,
        result_tiers=result_tiers,
        search=search,
        search_per_prompt=_search_per_prompt(row, host),
        off_peak=off_peak,
        multipliers=_multipliers(row),
        quotas="search_free_requests" in row,
        whole=whole,
        own=own,
        surcharge=_SURCHARGE.search(model) is not None and not own,
        suffixes=_suffixes(rates),
        priced_by_token=bool(token_rates),
        tokens_are_free=bool(token_rates) and not any(token_rates),
        uplifted=any("multiplier" in field for field in rates),
        unit_fields=frozenset(field for field, rate in rates.items() if rate and _is_unit(field))
        | (frozenset({"input_cost_per_query"}) if result_tiers else frozenset()),
    )


def _is_one_figure(field: str, value: object) -> bool:
    if value is None or isinstance(value, dict | list) or not _PRICED_BY_WORD.search(field):
        return False
    return "_dbu_cost_" not in field


def _is_unit(field: str) -> bool:
    return not _TOKEN_PRICE.match(field) and not _NOT_A_UNIT.search(field)


def _bands(rates: Iterable[str]) -> tuple[Band, ...]:
    found = {match[0]: match for field in rates for match in [_BAND.search(field)] if match}
    bands = [Band(int(match[1]) * (1000 if match[2] else 1), suffix) for suffix, match in found.items()]
    return tuple(sorted(bands, key=lambda band: band.above))


def _suffixes(rates: Mapping[str, Decimal]) -> frozenset[str]:
    """The service tiers that the list has prices for: what follows a field name that is a price field without it."""
    heads = (
        "input_cost_per_token",
        "output_cost_per_token",
        "cache_read_input_token_cost",
        "cache_creation_input_token_cost",
    )
    tails = {_BAND.sub("", field)[len(head) :] for field in rates for head in heads if field.startswith(head)}
    return frozenset(tail[1:] for tail in tails if tail and not tail.startswith(("_above_", "_cache_hit")))


def _search(row: Mapping[str, Any]) -> dict[str, Decimal]:
    sizes = row.get("search_context_cost_per_query") or {}
    return {
        size.removeprefix("search_context_size_"): dollars(price, f"search_context_cost_per_query.{size}")
        for size, price in sizes.items()
        if price is not None
    }


def _search_per_prompt(row: Mapping[str, Any], host: str) -> bool:
    unit = row.get("web_search_billing_unit")
    return unit == "per_prompt" or (unit is None and host in rules.SEARCH_PER_PROMPT)


def _multipliers(row: Mapping[str, Any]) -> dict[str, Decimal]:
    entry = row.get("provider_specific_entry")
    if not isinstance(entry, dict):
        return {}
    numbers = {name: value for name, value in entry.items() if name in ("us", "eu", "fast")}
    return {name: dollars(value, f"provider_specific_entry.{name}") for name, value in numbers.items()}


def _tier_rows(row: Mapping[str, Any], key: str) -> list[tuple[int, int, dict[str, Any]]]:
    tiers = row.get("tiered_pricing") or []
    if not isinstance(tiers, list) or not all(isinstance(tier, dict) for tier in tiers):
        raise _malformed(
            "tiered_pricing", tiers, "is not a list of steps", "Give a list of objects, each with a range."
        )
    return [(*_range(tier[key]), tier) for tier in tiers if key in tier]


def _range(value: object) -> tuple[int, int]:
    if isinstance(value, list | tuple) and len(value) == 2:
        least, most = (_decimal(end) for end in value)
        if least is not None and most is not None and 0 <= least <= most <= _MOST:
            return int(least), int(most)
    raise _malformed("tiered_pricing.range", value, "is not a range", "Give [from, to] in tokens, such as [0, 32000].")


def _input_tiers(row: Mapping[str, Any]) -> tuple[InputTier, ...]:
    tiers = [
        InputTier(least, most, {field: dollars(price, f"tiered_pricing.{field}") for field, price in _costs(tier)})
        for least, most, tier in _tier_rows(row, "range")
    ]
    return tuple(sorted(tiers, key=lambda tier: tier.above))


def _result_tiers(row: Mapping[str, Any]) -> tuple[ResultTier, ...]:
    return tuple(
        ResultTier(least, most, dollars(tier.get("input_cost_per_query"), "tiered_pricing.input_cost_per_query"))
        for least, most, tier in _tier_rows(row, "max_results_range")
    )


def _costs(block: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(field, price) for field, price in block.items() if "cost" in field and price is not None]


def _off_peak(row: Mapping[str, Any]) -> OffPeak | None:
    block = row.get("off_peak_pricing")
    if not block:
        return None
    if not isinstance(block, dict):
        raise _malformed("off_peak_pricing", block, "is not an object", "Give prices and their windows.")
    rates = {field: dollars(price, f"off_peak_pricing.{field}") for field, price in _costs(block)}
    parts = block.get("windows") or [block]
    return OffPeak(rates, tuple(_window(part, block.get("weekday_timezone")) for part in parts))


def _window(part: Any, zone: Any) -> Window:
    zone = part.get("weekday_timezone", zone) or "UTC"
    if zone not in rules.WEEKDAY_ZONES:
        known = ", ".join(rules.WEEKDAY_ZONES)
        raise _malformed("off_peak_pricing.weekday_timezone", zone, "is not known", f"Known are: {known}.")
    hours = part.get("hours_utc")
    spans = tuple(span for text in ([hours] if isinstance(hours, str) else hours or ()) for span in _spans(text))
    if not spans:
        raise _malformed("off_peak_pricing.hours_utc", hours, "is missing", 'Give hours such as "16:30-00:30".')
    weekdays = frozenset(_weekday(day) for day in part.get("weekdays") or ())
    return Window(spans, weekdays, rules.WEEKDAY_ZONES[zone])


_HOURS = re.compile(r"^(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})$")
_DAY = 24 * 60


def _spans(text: object) -> tuple[tuple[int, int], ...]:
    """Minutes of the day: an end of 00:00 is the end of the day, and hours over midnight are two spans."""
    match = _HOURS.match(text) if isinstance(text, str) else None
    numbers = [int(number) for number in match.groups()] if match else [99]
    if not match or numbers[0] > 24 or numbers[2] > 24 or numbers[1] > 59 or numbers[3] > 59:
        raise _malformed("off_peak_pricing.hours_utc", text, "is not a time span", 'Write it like "16:30-00:30".')
    start, end = numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3] or _DAY
    return ((start, end),) if start < end else ((start, _DAY), (0, end))


_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _weekday(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 7:
        return value
    if isinstance(value, str) and value[:3].lower() in _WEEKDAYS:
        return _WEEKDAYS.index(value[:3].lower()) + 1
    raise _malformed("off_peak_pricing.weekdays", value, "is not a weekday", 'Give 1 (Monday) to 7, or "mon" to "sun".')
