"""Unit lines: images, seconds, characters, search units, pages. What a bare count is about follows from the model's
mode.

A usage may measure the same thing twice (an image as tokens and as one image, speech as tokens and as seconds), and a
list may have both prices. Then tokens are what is billed; the other price is their conversion.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from penstock.providers.billing import rules
from penstock.providers.billing.bill import Bill, Count, Side, Terms, exact_count
from penstock.providers.billing.rates import EXACT
from penstock.providers.prices import Prices
from penstock.types.usage import Usage

QUANTITIES: Final[dict[str, tuple[str, Side]]] = {
    "pages": ("ocr_cost_per_page", "input"),
    "annotated_pages": ("annotation_cost_per_page", "input"),
    "credits": ("ocr_cost_per_credit", "input"),
    "text_messages": ("input_cost_per_text_message", "input"),
    "citation_tokens": ("citation_cost_per_token", "input"),
    "queries": ("input_cost_per_query", "input"),
    "input_images": ("input_cost_per_image", "input"),
    "audio_seconds": ("input_cost_per_audio_per_second", "input"),
    "video_seconds": ("input_cost_per_video_per_second", "input"),
    "output_characters": ("output_cost_per_character", "output"),
}
"""Units that only the caller can count -> the field of their price, and the side that they belong to."""

_SINGULAR = {"queries": "search_unit", "input_images": "image"}

_SEARCHING = frozenset({"search", "vector_store"})
_DRAWING = frozenset({"image_generation", "image_edit"})
_HEARING = frozenset({"audio_transcription", "realtime"})
_TIMED = _HEARING | {"audio_speech", "video_generation"}
_SIZE = re.compile(r"^(\d{1,6})\s*[x\u00d7]\s*(\d{1,6})$", re.IGNORECASE)
_SIZE_IN_NAME = re.compile(r"(?:^|/)(\d+)-x-(\d+)/")


def measures_units(usage: Usage, prices: Prices) -> bool:
    """Whether there can be a line in another unit than tokens: the usage has one, or the list charges each request."""
    return (
        bool(prices.unit_fields)
        or rules.RESEARCH_FIELD in prices.rates
        or any(count is not None for count in (usage.images, usage.seconds, usage.characters, usage.search_units))
    )


class UnitLines:
    """Writes the unit lines of a usage onto `bill`, after its token lines. `tier` is the service tier as in the field
    names."""

    def __init__(self, bill: Bill, usage: Usage, prices: Prices, terms: Terms, tier: str | None) -> None:
        self._bill = bill
        self._usage = usage
        self._prices = prices
        self._terms = terms
        self._tier = tier

    def write(self, quantities: Mapping[str, object]) -> None:
        """Write them all. `quantities` are the units of `QUANTITIES`."""
        self._write_requests()
        self._write_searches()
        self._write_characters()
        self._write_seconds()
        self._write_elapsed()
        self._write_images()
        if rules.RESEARCH_FIELD in self._prices.rates and "citation_tokens" not in quantities:
            self._write_citations()
        for name, value in quantities.items():
            self._write_quantity(name, value)

    def _line(self, kind: str, count: object, field: str, side: Side) -> bool:
        """One line at the price of `field`; False if the list does not have it."""
        price = self._prices.rates.get(field)
        if self._tier is not None and f"{field}_{self._tier}" in self._prices.rates:
            field = f"{field}_{self._tier}"
            price = self._prices.rates[field]
        elif self._tier is not None and price and not self._prices.whole:
            self._bill.reasons.append(f"no {field} is published for the service tier {self._tier!r}")
            return True
        if price is None:
            return False
        self._priced(kind, count, price, side, field)
        return True

    def _priced(self, kind: str, count: object, price: Decimal, side: Side, field: str) -> None:
        exact = exact_count(count)
        if exact is None:
            self._bill.reasons.append(f"the number of {kind}s is not a count: {count!r}")
        else:
            self._bill.add(kind, exact, price, side, field)

    def _write_requests(self) -> None:
        self._line("request", self._terms.requests, "input_cost_per_request", "input")

    def _write_searches(self) -> None:
        count: Count | None = self._usage.search_units
        if count is None and self._prices.mode in _SEARCHING:
            count = self._terms.requests
        if count is None:
            return
        if self._prices.result_tiers:
            self._write_search_by_results(count)
        else:
            self._line("search_unit", count, "input_cost_per_query", "input")

    def _write_search_by_results(self, count: Count) -> None:
        wanted = self._terms.max_results
        for tier in self._prices.result_tiers:
            if wanted is not None and tier.least <= wanted <= tier.most:
                self._priced("search_unit", count, tier.price, "input", "tiered_pricing.input_cost_per_query")
                return
        asked = "the number of results asked for is not known" if wanted is None else f"it asked for {wanted} results"
        self._bill.reasons.append(f"the price of a search depends on the number of results, and {asked}")

    def _write_characters(self) -> None:
        if self._usage.characters is not None and not self._bill.charges("input"):
            self._line("character", self._usage.characters, "input_cost_per_character", "input")

    # -- seconds ------------------------------------------------------------------------------------------------------

    def _write_seconds(self) -> None:
        seconds, mode = self._usage.seconds, self._prices.mode
        if seconds is None:
            return
        if mode in _HEARING:
            self._write_heard(seconds)
        elif mode == "video_generation":
            self._write_filmed(seconds)
        elif mode == "audio_speech":
            if not self._bill.charges("output", "output_audio"):
                self._line("second", seconds, "output_cost_per_second", "output")
        elif not self._bill.charges("input_audio"):
            self._line("second", seconds, "input_cost_per_audio_per_second", "input")

    def _write_heard(self, seconds: float) -> None:
        """Lists give the price of a second of heard audio as input, as output, or as both: it is one second all the
        same."""
        if self._bill.charges("input", "input_audio"):
            return
        rates = self._prices.rates
        found = [field for field in ("input_cost_per_second", "output_cost_per_second") if field in rates]
        charged = [field for field in found if rates[field]]
        if len({rates[field] for field in charged}) > 1:
            self._bill.reasons.append("the list has two different prices for a second of audio")
        elif found:
            self._line("second", seconds, (charged or found)[0], "input")

    def _write_filmed(self, seconds: float) -> None:
        field = self._by_resolution("output_cost_per_second")
        if field and not self._line("second", seconds, field, "output"):
            self._line("second", seconds, "output_cost_per_video_per_second", "output")

    def _by_resolution(self, field: str) -> str | None:
        """`field` for the resolution of the call: its own where the list has one, the plain field where it has none at
        all."""
        special = {name.lower(): name for name in self._prices.rates if name.startswith(field + "_")}
        resolution = self._terms.resolution
        if resolution is None or not special:
            return field
        found = special.get(f"{field}_{resolution.lower()}")
        if found is None:
            self._bill.reasons.append(f"no {field} is published for the resolution {resolution!r}")
        return found

    def _write_elapsed(self) -> None:
        """A list of the user's own may charge for the time that a call took, as one does who rents the machine; each
        side for itself, where it has no price a token. In collected lists a second is one of audio or video, or of a
        commitment that is paid for anyway."""
        elapsed, prices = self._terms.elapsed, self._prices
        if elapsed is None or not prices.own or self._usage.seconds is not None or prices.mode in _TIMED:
            return
        sides: tuple[Side, ...] = ("input", "output")
        for side in sides:
            if f"{side}_cost_per_token" not in prices.rates:
                self._line("second", elapsed, f"{side}_cost_per_second", side)

    # -- images -------------------------------------------------------------------------------------------------------

    def _write_images(self) -> None:
        count = self._usage.images
        if count is None:
            return
        if self._prices.mode == "embedding":
            self._line("image", count, "input_cost_per_image", "input")
        elif not self._bill.charges("output_image") and (field := self._by_resolution("output_cost_per_image")):
            if self._line("image", count, field, "output") or self._prices.mode not in _DRAWING:
                return
            if not self._line("image", count, "input_cost_per_image", "output"):
                self._write_pixels(count)

    def _write_pixels(self, count: int) -> None:
        rates = self._prices.rates
        fields = [field for field in ("input_cost_per_pixel", "output_cost_per_pixel") if field in rates]
        if not fields:
            return
        size = _SIZE.match(self._terms.size) if self._terms.size else _SIZE_IN_NAME.search(self._prices.model)
        if size is None:
            self._bill.reasons.append("the price is by the pixel, and the size of the images is not known")
            return
        price = EXACT.add(rates[fields[0]], rates[fields[-1]] if len(fields) > 1 else Decimal(0))
        self._priced("pixel", count * int(size[1]) * int(size[2]), price, "output", " + ".join(fields))

    # -- citations ----------------------------------------------------------------------------------------------------

    def _write_citations(self) -> None:
        count = (self._usage.extras or {}).get("citation_tokens")
        if type(count) is int:
            self._line("citation_token", count, rules.RESEARCH_FIELD, "input")
        else:
            self._bill.reasons.append("citation tokens are billed, and the usage does not report them")

    # -- what only the caller counts ----------------------------------------------------------------------------------

    def _write_quantity(self, name: str, value: object) -> None:
        if name not in QUANTITIES:
            known = ", ".join(sorted(QUANTITIES))
            self._bill.reasons.append(f"{name!r} is not a quantity that has a price; known are: {known}")
            return
        field, side = QUANTITIES[name]
        if any(other.startswith(field + "_above_") and rate for other, rate in self._prices.rates.items()):
            self._bill.reasons.append(f"the price of {name} depends on the interval, which is not known")
        elif not self._line(_SINGULAR.get(name, name.removesuffix("s")), value, field, side):
            self._bill.reasons.append(f"the list has no price for {name}")
