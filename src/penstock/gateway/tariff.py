"""Tariff: a price list made ready for the way of a request. The same amounts as `providers.cost`, to the last digit, in
integers.

A price list has bands, tiers, hours and tools. Nearly every call needs three figures of it: what a token costs that
goes in, that is read from a cache, that comes out. They are taken once from the bill itself (what it says of one
token of each kind), and hold for a usage that has nothing else in it, below the first band. For all other usages `of`
says None, and the bill is made.
"""

from __future__ import annotations

from decimal import Decimal

from penstock.providers.billing.rates import EXACT
from penstock.providers.cost import cost
from penstock.providers.prices import Prices
from penstock.types.usage import Usage

_PICO = 12


class Tariff:
    """Three figures, as integers of 10**-`scale` US dollars a token; `cached` is None where the list does not know it.
    They hold for up to `most_input` tokens of input.
    """

    __slots__ = ("_dearest", "_divisor", "_factor", "_one", "cached", "input", "most_input", "output", "scale")

    def __init__(self, input: int, cached: int | None, output: int, scale: int, most_input: int) -> None:
        self.input, self.cached, self.output = input, cached, output
        self.scale = scale
        self.most_input = most_input
        self._factor: int = 10 ** max(0, _PICO - scale)
        self._divisor: int = 10 ** max(0, scale - _PICO)
        self._one = 10**scale
        self._dearest = max(input, cached or 0)

    def of(self, input_tokens: int, cached_tokens: int, output_tokens: int) -> int | None:
        """What these cost, in 10**-`scale` US dollars (`input_tokens` count all, cached ones too); None: make the
        bill.
        """
        if input_tokens > self.most_input:
            return None
        if not cached_tokens:
            return input_tokens * self.input + output_tokens * self.output
        if self.cached is None or cached_tokens > input_tokens:
            return None
        return (input_tokens - cached_tokens) * self.input + cached_tokens * self.cached + output_tokens * self.output

    def picodollars(self, amount: int) -> int:
        """An amount of `of`, rounded up to the ledger's unit."""
        return amount * self._factor if self._divisor == 1 else -(-amount // self._divisor)

    def text(self, amount: int) -> str:
        """An amount of `of` as exact decimal text in US dollars."""
        whole, rest = divmod(amount, self._one)
        return f"{whole}.{rest:0{self.scale}d}".rstrip("0") if rest else str(whole)

    def bound(self, input_tokens: int, output_tokens: int) -> int:
        """Picodollars that a call can cost at most, if nothing but tokens is billed, below the first band."""
        return self.picodollars(input_tokens * self._dearest + output_tokens * self.output)

    def output_for(self, picodollars: int, input_tokens: int) -> int:
        """How many tokens may come out for that much, when what goes in is paid."""
        left = picodollars - self.picodollars(input_tokens * self._dearest)
        price = self.picodollars(self.output)
        return 1 << 40 if price == 0 else max(0, left // price)


def tariff_of(prices: Prices | None) -> Tariff | None:
    """The tariff of a price list; None for one that is not a matter of tokens alone, or changes by the hour."""
    if prices is None or prices.off_peak is not None or prices.surcharge or prices.tiers or prices.unit_fields:
        return None
    nothing, inward, outward = (cost(usage, prices).total for usage in (_NOTHING, _ONE_IN, _ONE_OUT))
    cached = cost(_ONE_CACHED, prices).total
    if nothing != 0 or inward is None or outward is None:
        return None
    scale = max(_decimals(figure) for figure in (inward, outward, cached or _ZERO))
    lowest = min((band.above for band in prices.bands), default=1 << 40)
    known = None if cached is None else _scaled(cached, scale)
    return Tariff(_scaled(inward, scale), known, _scaled(outward, scale), scale, lowest - 1)


def is_plain(usage: Usage) -> bool:
    """Whether a usage counts nothing but text: what goes in, what is read from a cache, what comes out."""
    return not (
        usage.input_tokens is None
        or usage.output_tokens is None
        or usage.cache_write_tokens
        or usage.input_audio_tokens
        or usage.output_audio_tokens
        or usage.input_image_tokens
        or usage.output_image_tokens
        or usage.input_video_tokens
        or usage.cache_read_audio_tokens
        or usage.rejected_prediction_tokens
        or usage.tool_use_input_tokens
        or usage.server_tool_calls
        or usage.search_units
        or usage.images
        or usage.characters
        or usage.seconds
        or usage.cost is not None
    )


_ZERO = Decimal(0)
_NOTHING = Usage(input_tokens=0, output_tokens=0)
_ONE_IN = Usage(input_tokens=1, output_tokens=0)
_ONE_CACHED = Usage(input_tokens=1, cache_read_tokens=1, output_tokens=0)
_ONE_OUT = Usage(input_tokens=0, output_tokens=1)


def _decimals(amount: Decimal) -> int:
    exponent = amount.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _scaled(amount: Decimal, scale: int) -> int:
    return int(EXACT.scaleb(amount, scale))
