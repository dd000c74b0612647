"""Properties of costs, for any price list and any usage: exact against an oracle in fractions, additive, monotone,
never negative, never an exception.

The oracle is written anew, from the rules in docs/reference/prices.md, and shares nothing with the code: it walks over
single tokens' kinds as counts.
"""

from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from penstock.providers.cost import Cost, Terms, cost
from penstock.providers.prices import Prices, prices_of
from penstock.types.usage import Usage

PRICE = st.decimals(min_value=0, max_value=1, places=12, allow_nan=False).map(str) | st.sampled_from(
    ["0", "1.25e-05", "3.0001999999999996e-07", "5.0000000000000004e-08", "0.0000000000000000000001"]
)
COUNT = st.integers(0, 3_000)

FIELDS = {
    "text": "input_cost_per_token",
    "audio": "input_cost_per_audio_token",
    "read": "cache_read_input_token_cost",
    "read_audio": "cache_read_input_audio_token_cost",
    "write": "cache_creation_input_token_cost",
    "write_1h": "cache_creation_input_token_cost_above_1hr",
    "out": "output_cost_per_token",
    "thought": "output_cost_per_reasoning_token",
    "out_audio": "output_cost_per_audio_token",
}
THRESHOLD = 2_000
BAND = "_above_2k_tokens"

parts = st.fixed_dictionaries(dict.fromkeys(FIELDS, COUNT))


@st.composite
def rows(draw: st.DrawFn) -> dict[str, str]:
    """A list with a price for each kind, at two lengths and two tiers; the dearer ones are no cheaper, as
    everywhere."""
    row: dict[str, str] = {}
    for name, field in FIELDS.items():
        base = Decimal(draw(PRICE))
        assume(base or not name.startswith("write"))
        more, flex = Decimal(draw(PRICE)), Decimal(draw(PRICE))
        row |= {field: str(base), field + BAND: str(base + more)}
        row |= {f"{field}_flex": str(base + flex), f"{field}{BAND}_flex": str(base + more + flex)}
    return row


def prices(row: dict[str, Any], host: str = "openai") -> Prices:
    found = prices_of({"litellm_provider": host, **row}, "m")
    assert found is not None
    return found


def usage(part: dict[str, int]) -> Usage:
    """The usage whose parts these are: totals include everything."""
    written = part["write"] + part["write_1h"]
    read = part["read"] + part["read_audio"]
    audio = part["audio"] + part["read_audio"]
    return Usage(
        input_tokens=part["text"] + part["audio"] + read + written,
        input_audio_tokens=audio,
        cache_read_tokens=read,
        cache_read_audio_tokens=part["read_audio"],
        cache_write_tokens=written,
        cache_write_1h_tokens=part["write_1h"],
        output_tokens=part["out"] + part["thought"] + part["out_audio"],
        reasoning_tokens=part["thought"],
        output_audio_tokens=part["out_audio"],
    )


def oracle(part: dict[str, int], row: dict[str, str], tier: str = "", factor: Fraction = Fraction(1)) -> Fraction:
    """The cost of the parts, each at its own price."""
    length = sum(part[name] for name in ("text", "audio", "read", "read_audio", "write", "write_1h"))
    suffix = (BAND if length > THRESHOLD else "") + tier
    return sum((Fraction(row[field + suffix]) * part[name] for name, field in FIELDS.items()), Fraction(0)) * factor


def total(bill: Cost) -> Decimal:
    assert bill.total is not None, bill.reasons
    return bill.total


@given(parts, rows(), st.sampled_from(["", "_flex"]))
def test_a_cost_is_exact(part: dict[str, int], row: dict[str, str], tier: str) -> None:
    bill = cost(usage(part), prices(row), Terms(service_tier=tier.removeprefix("_")))
    assert Fraction(total(bill)) == oracle(part, row, tier)
    assert bill.at_least == bill.total


@given(parts, rows(), st.sampled_from([(None, "1"), ("eu", "1.1"), ("us", "1.05")]))
def test_an_uplift_multiplies_exactly(
    part: dict[str, int], row: dict[str, str], uplift: tuple[str | None, str]
) -> None:
    uplifts = {
        f"regional_processing_uplift_multiplier_{name}": value for name, value in [("eu", "1.1"), ("us", "1.05")]
    }
    bill = cost(usage(part), prices({**row, **uplifts}), Terms(residency=uplift[0]))
    assert Fraction(total(bill)) == oracle(part, row, factor=Fraction(uplift[1]))


@given(parts, parts, rows())
def test_costs_are_additive_below_the_threshold(one: dict[str, int], two: dict[str, int], row: dict[str, str]) -> None:
    flat = prices({field: price for field, price in row.items() if BAND not in field})
    both = {name: one[name] + two[name] for name in FIELDS}
    assert total(cost(usage(both), flat)) == total(cost(usage(one), flat) + cost(usage(two), flat))


@given(parts, rows(), st.sampled_from(sorted(FIELDS)), st.integers(1, 2_500))
def test_more_tokens_never_cost_less(part: dict[str, int], row: dict[str, str], kind: str, more: int) -> None:
    """Also across the threshold, since long requests are no cheaper."""
    longer = {**part, kind: part[kind] + more}
    assert total(cost(usage(longer), prices(row))) >= total(cost(usage(part), prices(row)))


@given(rows(), st.integers(-1, 1), st.integers(0, THRESHOLD - 1))
def test_the_threshold_counts_the_whole_input(row: dict[str, str], step: int, cached: int) -> None:
    """Exactly at the threshold the plain price holds, one over it the long one, for all tokens; at xAI from the
    threshold on."""
    length = THRESHOLD + step
    part = {**dict.fromkeys(FIELDS, 0), "text": length - cached, "read": cached, "out": 7}
    here = usage(part)
    for host, long in (("openai", step > 0), ("xai", step >= 0)):
        suffix = BAND if long else ""
        expected = (
            Fraction(row["input_cost_per_token" + suffix]) * (length - cached)
            + Fraction(row["cache_read_input_token_cost" + suffix]) * cached
            + Fraction(row["output_cost_per_token" + suffix]) * 7
        )
        assert Fraction(total(cost(here, prices(row, host)))) == expected


@given(st.lists(st.integers(1, 500), min_size=1, max_size=5), st.integers(0, 3_000), st.data())
def test_steps_of_tiered_pricing_hold_up_to_their_end(widths: list[int], length: int, data: st.DataObject) -> None:
    ends = [sum(widths[: number + 1]) for number in range(len(widths))]
    chosen = [data.draw(PRICE) for _ in ends]
    tiers = [
        {"range": [end - width, end], "input_cost_per_token": price, "output_cost_per_token": price}
        for end, width, price in zip(ends, widths, chosen, strict=True)
    ]
    bill = cost(Usage(input_tokens=length, output_tokens=1), prices({"tiered_pricing": tiers}))
    holding = [price for end, price in zip(ends, chosen, strict=True) if length <= end]
    if any(Fraction(price) for price in chosen):
        assert (bill.total is None) is (not holding)
    if holding:
        assert Fraction(total(bill)) == Fraction(holding[0]) * (length + 1)


MAYBE = st.none() | st.integers(-3, 30) | st.integers(10**17, 10**60)
NAMES = [name for name in Usage.__struct_fields__ if name.endswith("_tokens")]
ANY_USAGE = st.builds(
    Usage,
    **dict.fromkeys(NAMES, MAYBE),
    seconds=st.none() | st.floats(),
    images=MAYBE,
    characters=MAYBE,
    search_units=MAYBE,
    service_tier=st.none() | st.text(max_size=8) | st.sampled_from(["flex", "default", "batch"]),
    server_tool_calls=st.none()
    | st.dictionaries(st.sampled_from(["web_search", "file_search", "x"]), st.integers(-2, 5)),
    cost=st.none() | st.text(max_size=8) | st.sampled_from(["0.1", "-1", "nan"]),
    extras=st.none()
    | st.dictionaries(
        st.sampled_from(["speed", "inference_geo", "citation_tokens", "num_search_queries", "search_context_size"]),
        st.none() | st.integers(-1, 5) | st.text(max_size=4),
    ),
)
MODES = [
    "chat",
    "embedding",
    "image_generation",
    "audio_speech",
    "audio_transcription",
    "video_generation",
    "rerank",
    "ocr",
]
ALL_FIELDS = [
    *FIELDS.values(),
    *(f"{field}{BAND}" for field in FIELDS.values()),
    *(f"{field}_flex" for field in FIELDS.values()),
    *("input_cost_per_image_token", "output_cost_per_image_token", "input_cost_per_image", "output_cost_per_image"),
    *("input_cost_per_second", "output_cost_per_second", "input_cost_per_character", "input_cost_per_query"),
    *(
        "input_cost_per_request",
        "citation_cost_per_token",
        "input_cost_per_pixel",
        "regional_endpoint_uplift_multiplier",
    ),
]
ANY_ROW = st.dictionaries(st.sampled_from(ALL_FIELDS), PRICE, max_size=12)
HOSTS = ["openai", "anthropic", "gemini", "xai", "perplexity", "fireworks_ai", "nobody"]


@given(ANY_USAGE, ANY_ROW, st.sampled_from(MODES), st.sampled_from(HOSTS), st.booleans(), st.booleans())
def test_no_usage_makes_a_negative_cost_or_an_exception(
    used: Usage, row: dict[str, str], mode: str, host: str, batch: bool, trusted: bool
) -> None:
    found = prices_of({"litellm_provider": host, "mode": mode, **row}, "m")
    bill = cost(used, found, Terms(batch=batch), trust_reported=trusted)
    assert (bill.total is None) is bool(bill.reasons)
    assert all(item.amount >= 0 for item in bill.items)
    if bill.total is not None:
        assert bill.total == bill.at_least >= 0
        assert bill.picodollars is not None
        assert 0 <= bill.picodollars - Fraction(bill.total) * 10**12 < 1
        assert bill.usd is not None


@given(parts, ANY_ROW, st.sampled_from(HOSTS))
def test_every_reported_token_is_billed_once(part: dict[str, int], row: dict[str, str], host: str) -> None:
    """The quantities of the lines add up to the tokens that were used, whichever of them the list sets apart."""
    row = {field: price for field, price in row.items() if field != "citation_cost_per_token"}
    row = {"input_cost_per_token": "1", "output_cost_per_token": "1", "litellm_provider": host, **row}
    found = prices_of(row, "m", whole=True)
    used = usage(part)
    bill = cost(used, found)
    assert bill.total is not None, bill.reasons
    for side, reported in (("input", used.input_tokens), ("output", used.output_tokens)):
        assert sum(item.quantity for item in bill.items if item.side == side and "_token" in item.field) == reported
