"""Usage: what a call consumed, in units that a price list knows.

Totals are inclusive: `input_tokens` counts cached and cache-written tokens, `output_tokens` counts reasoning tokens,
whatever the dialect's own convention (Anthropic and Bedrock report input without the cached part; Gemini reports
thoughts beside candidates). None means "not reported", 0 means "reported as none": the two are different on a bill
and in a round trip.
"""

from __future__ import annotations

from math import ceil, isfinite
from operator import attrgetter
from typing import Any

from msgspec import Struct
from msgspec.structs import astuple, replace

from penstock.types.content import Extras


class Usage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Token counts (all ints, all optional), with what the provider itself charged (`cost`, as decimal text in US
    dollars) if it says so.

    `cache_write_tokens` is the sum of both lifetimes; `cache_write_5m_tokens` and `cache_write_1h_tokens` its split
    where reported. `server_tool_calls` counts provider-run tools by generic name (`{"web_search": 2}`).
    `billed_input_tokens`/`billed_output_tokens`, `search_units` and `images` are Cohere's and the image APIs' own
    units; `seconds` is audio length. `spelling` names the wire field that a count was read from where it was not the
    dialect's usual one.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_5m_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    input_text_tokens: int | None = None
    output_text_tokens: int | None = None
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    input_image_tokens: int | None = None
    output_image_tokens: int | None = None
    input_video_tokens: int | None = None
    cache_read_audio_tokens: int | None = None
    tool_use_input_tokens: int | None = None
    accepted_prediction_tokens: int | None = None
    rejected_prediction_tokens: int | None = None
    billed_input_tokens: int | None = None
    billed_output_tokens: int | None = None
    search_units: int | None = None
    images: int | None = None
    characters: int | None = None
    seconds: float | None = None
    server_tool_calls: dict[str, int] | None = None
    service_tier: str | None = None
    cost: str | None = None
    spelling: dict[str, str] | None = None
    extras: Extras = None

    def merged(self, later: Usage) -> Usage:
        """This usage with every field that `later` reports put in its place, and every key of its extras (streams
        report in several steps).
        """
        before, after = astuple(self), astuple(later)
        gaps = [old for old, new in zip(before, after, strict=True) if new is None and old is not None]
        extras = {**self.extras, **later.extras} if self.extras and later.extras else None
        if not gaps and (extras is None or extras == later.extras):
            return later  # nearly always: every step of a stream reports the same counts
        joined = [old if new is None else new for old, new in zip(before, after, strict=True)]
        values: dict[str, Any] = dict(zip(self.__struct_fields__, joined, strict=True))
        return Usage(**{**values, "extras": extras or values["extras"]})

    def whole(self) -> Usage:
        """This usage in whole tokens, as limits, prices and tables need them: a host in JavaScript may write 5.0, and a
        part of a token counts as one. No count is above `MOST_TOKENS`: what says more is broken, and must break no
        ledger.
        """
        counts = _counts(self)
        if _WHOLE.issuperset(map(type, counts)) and max(filter(None, counts), default=0) <= MOST_TOKENS:
            return self
        named = zip(_COUNTED, counts, strict=True)
        return replace(self, **{name: _whole(count) for name, count in named if count is not None})


MOST_TOKENS = 10**15
"""Tokens of a kind that one call is taken to have at most."""

_COUNTED = tuple(name for name in Usage.__struct_fields__ if name.endswith("_tokens"))
_counts = attrgetter(*_COUNTED)
_WHOLE = frozenset({int, type(None)})


def _whole(count: float) -> int:
    return min(ceil(count), MOST_TOKENS) if isfinite(count) else MOST_TOKENS
