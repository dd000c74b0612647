"""Token lines: each reported token is billed once, at the price of the most special kind that it belongs to.

Counts of a usage overlap: the input counts cached tokens, and those may be audio. So the parts are taken out of the
whole, and text is what is left. Parts that exceed the whole are a fault of the usage and make the cost unknown, as does
an overlap that the usage does not tell (which of the cached tokens are audio?), if it matters: where two kinds have the
same prices, it does not.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from penstock.providers.billing import rules
from penstock.providers.billing.bill import Bill, Side
from penstock.providers.billing.rates import Card
from penstock.types.usage import Usage

CACHED: Final = {"input_audio": "cache_read_audio", "input_image": "cache_read_image", "input_video": "cache_read"}

NATURAL_OUTPUT: Final = {
    "audio_speech": "output_audio",
    "image_generation": "output_image",
    "image_edit": "output_image",
}
"""What the output tokens of a model of this mode are when the usage does not split them."""


class TokenLines:
    """Writes the token lines of `usage` onto `bill`, at the rates of `card`; `factor` multiplies every one of them."""

    def __init__(self, bill: Bill, usage: Usage, card: Card, factor: Decimal, *, explicit_cache: bool = False) -> None:
        self._bill = bill
        self._usage = usage
        self._card = card
        self._factor = factor
        self._cache_read = "cache_read_explicit" if explicit_cache else "cache_read"

    def write(self) -> None:
        """Write them all. Counts of what is billed are not split: what was cached is no part of them."""
        billed = self._usage.billed_input_tokens, self._usage.billed_output_tokens
        if billed[0] is None:
            self._write_input(input_total(self._usage) or 0)
        else:
            self._line("input", billed[0])
        if billed[1] is None:
            self._write_output(output_total(self._usage) or 0)
        else:
            self._line("output", billed[1], "output")

    def _line(self, kind: str, count: int, side: Side = "input", name: str | None = None) -> None:
        if count <= 0:
            if count:
                self._bill.reasons.append(f"the usage does not add up: the parts of the {side} tokens exceed the whole")
            return
        rate = self._card.rate(kind)
        if rate is None:
            self._bill.unpriced.append((side, kind, count))
        else:
            self._bill.add(name or kind, count, rate.price, side, rate.field, self._factor)
            if rate.assumption:
                self._bill.assumptions.append(rate.assumption)

    # -- input --------------------------------------------------------------------------------------------------------

    def _write_input(self, total: int) -> None:
        usage = self._usage
        read = usage.cache_read_tokens or usage.cache_read_audio_tokens or 0
        short, long = self._written()
        others = {
            "input_audio": usage.input_audio_tokens or 0,
            "input_image": usage.input_image_tokens or 0,
            "input_video": usage.input_video_tokens or 0,
        }
        if any(others.values()):
            self._write_modalities(total, read, short + long, others)
        else:
            self._line("input", total - read - short - long)
            self._line(self._cache_read, read, name="cache_read")
        self._line("cache_write_5m", short)
        self._line("cache_write_1h", long)

    def _write_modalities(self, total: int, read: int, written: int, others: dict[str, int]) -> None:
        text = total - sum(others.values())
        if read or written:
            text += self._take_out_what_costs_like_text(others)
        others = {kind: count for kind, count in others.items() if count}
        cached = self._cached(read, text, others)
        if cached is None:
            return
        self._line("input", text - cached.pop("input") - written)
        for kind, count in others.items():
            self._line(kind, count - cached[kind])
        self._line(self._cache_read, read - sum(cached.values()), name="cache_read")
        for kind, count in cached.items():
            self._line(CACHED[kind], count)

    def _written(self) -> tuple[int, int]:
        """Tokens written to the cache for five minutes and for an hour. Five minutes is what holds unless an hour is
        said."""
        usage = self._usage
        short, long = usage.cache_write_5m_tokens, usage.cache_write_1h_tokens
        total = usage.cache_write_tokens
        if total is None:
            return short or 0, long or 0
        if (short or 0) + (long or 0) > total:
            self._bill.reasons.append("the usage does not add up: the cache writes of both lifetimes exceed their sum")
        return total - (long or 0), long or 0

    def _take_out_what_costs_like_text(self, others: dict[str, int]) -> int:
        """Modalities that cost what text costs, cached and not, are text on the bill: their overlap with the cache does
        not matter."""
        rate = self._card.rate
        alike = 0
        for kind, count in others.items():
            if count and _same(rate(kind), rate("input")) and _same(rate(CACHED[kind]), rate(self._cache_read)):
                alike += count
                others[kind] = 0
        return alike

    def _cached(self, read: int, text: int, others: dict[str, int]) -> dict[str, int] | None:
        """How many of the cached tokens are of which kind; None (and a reason) if the usage does not tell."""
        cached = dict.fromkeys(("input", *others), 0)
        audio = self._usage.cache_read_audio_tokens
        if "input_audio" in others and audio is not None:
            cached["input_audio"] = audio
            read -= audio
        left = [kind for kind in others if kind != "input_audio" or audio is None]
        if read and left and (text or len(left) > 1):
            kinds = " or ".join(kind.removeprefix("input_") for kind in left)
            self._bill.reasons.append(f"the usage does not say how many of the cached tokens are {kinds}")
            return None
        cached[left[0] if read and left else "input"] += read
        return cached

    # -- output -------------------------------------------------------------------------------------------------------

    def _write_output(self, total: int) -> None:
        usage = self._usage
        audio, image = usage.output_audio_tokens or 0, usage.output_image_tokens or 0
        reasoning = usage.reasoning_tokens or 0
        if rules.RESEARCH_FIELD in self._card.rates:
            total = (usage.output_tokens or 0) + reasoning
        self._line(self._plain_output(), total - audio - image - reasoning, "output")
        for kind, count in (("reasoning", reasoning), ("output_audio", audio), ("output_image", image)):
            if count:
                self._line(kind, count, "output")

    def _plain_output(self) -> str:
        """The kind of the output tokens that the usage does not split."""
        usage = self._usage
        natural = NATURAL_OUTPUT.get(self._card.prices.mode)
        if natural is None:
            return "output"
        told = (usage.output_text_tokens, usage.output_audio_tokens, usage.output_image_tokens)
        if any(part is not None for part in told):
            return "output"
        return natural if self._card.rate(natural) is not None else "output"


def _same(one: object, other: object) -> bool:
    price = getattr(one, "price", None)
    return price is not None and price == getattr(other, "price", None)


def input_total(usage: Usage) -> int | None:
    """All input tokens, or None if the usage reports none of any kind. Tokens that a tool brought in count, even where
    a host reports them beside.

    Where the host says what it bills, that is the count (`rules.COUNTED_AS_BILLED`).
    """
    if usage.billed_input_tokens is not None:
        return usage.billed_input_tokens
    parts = (usage.input_text_tokens, usage.input_audio_tokens, usage.input_image_tokens, usage.input_video_tokens)
    if usage.input_tokens is not None:
        return usage.input_tokens + _beside(usage)[0]
    return sum(part or 0 for part in parts) if any(part is not None for part in parts) else None


def output_total(usage: Usage) -> int | None:
    """All output tokens, or None if the usage reports none of any kind. Thoughts count, even where a host reports them
    beside the output.

    Where the host says what it bills, that is the count (`rules.COUNTED_AS_BILLED`).
    """
    if usage.billed_output_tokens is not None:
        return usage.billed_output_tokens
    parts = (usage.output_text_tokens, usage.reasoning_tokens, usage.output_audio_tokens, usage.output_image_tokens)
    if usage.output_tokens is not None:
        return usage.output_tokens + _beside(usage)[1]
    return sum(part or 0 for part in parts) if any(part is not None for part in parts) else None


def _beside(usage: Usage) -> tuple[int, int]:
    """Tokens that are in the total, but neither in the input nor in the output: (brought in by tools, thought).

    xAI counts thoughts, and Gemini tool results, beside the two. The total tells: it exceeds the two by exactly these.
    """
    if usage.total_tokens is None or usage.input_tokens is None or usage.output_tokens is None:
        return 0, 0
    excess = usage.total_tokens - usage.input_tokens - usage.output_tokens
    tools, thoughts = usage.tool_use_input_tokens or 0, usage.reasoning_tokens or 0
    if excess <= 0 or tools < 0 or thoughts < 0:
        return 0, 0
    fitting = [pair for pair in ((tools, thoughts), (0, thoughts), (tools, 0)) if sum(pair) == excess]
    return fitting[0] if fitting else (0, 0)
