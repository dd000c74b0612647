"""The published table, and the rules that it cannot show: what a bill says of itself, and what makes a cost unknown."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from penstock.providers.cost import Cost, Item, Terms, cost, unknown
from penstock.providers.facts import Facts
from penstock.providers.prices import Prices, prices_of
from penstock.types.usage import Usage
from tests.support.price_table import PriceCase, price_cases, terms_of, usage_of, value_of

FACTS = Facts()
CASES = price_cases()


def bill_of(case: PriceCase) -> Cost:
    return cost(
        usage_of(case),
        FACTS.prices(case.model),
        terms_of(case),
        quantities=case.terms.get("quantities"),
        trust_reported=case.terms.get("trust_reported", False),
    )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_published_table(case: PriceCase) -> None:
    """docs/reference/prices.md: the cost is the sum, and it is what is computed."""
    bill = bill_of(case)
    if case.cost.startswith("unknown: "):
        assert bill.total is None
        assert any(case.cost.removeprefix("unknown: ") in reason for reason in bill.reasons), bill.reasons
    else:
        assert value_of(case.sum) == Fraction(case.cost)
        assert bill.total == Decimal(case.cost), (bill.items, bill.reasons)


def test_the_table_is_long_and_broad() -> None:
    assert len(CASES) >= 100
    assert {case.answer for case in CASES} >= {
        "openai_chat",
        "openai_responses",
        "anthropic_messages",
        "gemini",
        "bedrock_converse",
        "cohere_chat",
        "ollama_chat",
        "usage",
    }
    kinds = {item.kind for case in CASES for item in bill_of(case).items}
    assert kinds >= {
        *("input", "input_audio", "input_image", "cache_read", "cache_read_audio", "cache_write_5m", "cache_write_1h"),
        *("output", "reasoning", "output_audio", "output_image"),
        *("image", "pixel", "second", "character", "search_unit", "page", "annotated_page", "video_second"),
        *("web_search", "file_search", "maps", "code_interpreter_session", "citation_token", "reported"),
    }


# -- what a bill says -------------------------------------------------------------------------------------------------


def listed(row: dict[str, Any], *, whole: bool = False, own: bool = False) -> Prices:
    prices = prices_of({"litellm_provider": "openai", **row}, "m", whole=whole, own=own)
    assert prices is not None
    return prices


PLAIN = listed({"input_cost_per_token": "2e-6", "output_cost_per_token": "1e-5"})


def test_a_bill_is_itemised() -> None:
    bill = cost(Usage(input_tokens=3, output_tokens=2), PLAIN)
    assert bill.items == (
        Item("input", 3, Decimal("0.000002"), Decimal("0.000006"), "input", "input_cost_per_token"),
        Item("output", 2, Decimal("0.00001"), Decimal("0.00002"), "output", "output_cost_per_token"),
    )
    assert bill.on("input") == Decimal("0.000006")
    assert bill.on("output") == Decimal("0.00002")
    assert bill.on("fee") == 0


def test_an_unknown_cost_has_a_lower_bound() -> None:
    bill = cost(Usage(input_tokens=3, output_tokens=2, output_audio_tokens=1), PLAIN)
    assert bill.total is None
    assert not bill.known
    assert (bill.picodollars, bill.usd) == (None, None)
    assert bill.at_least == Decimal("0.000016")
    assert bill.reasons == ("no price is published for output_audio tokens at this tier and length (1 of them)",)


def test_the_ledger_never_counts_less_than_was_spent() -> None:
    tiny = listed({"input_cost_per_token": "1e-24", "output_cost_per_token": 0})
    assert cost(Usage(input_tokens=1), tiny).picodollars == 1
    assert cost(Usage(input_tokens=10**12), tiny).picodollars == 1
    assert cost(Usage(input_tokens=10**12 + 1), tiny).picodollars == 2
    assert cost(Usage(input_tokens=0, output_tokens=0), tiny).picodollars == 0


def test_a_float_is_only_what_comes_out_at_the_edge() -> None:
    prices = listed({"input_cost_per_token": 0.1, "output_cost_per_token": 0.2})
    bill = cost(Usage(input_tokens=1, output_tokens=1), prices)
    assert bill.total == Decimal("0.3")
    assert bill.usd == 0.3


def test_costs_add_up_and_unknown_stays_unknown() -> None:
    one = cost(Usage(input_tokens=1), PLAIN)
    both = one + one
    assert both.total == Decimal("0.000004")
    assert len(both.items) == 2
    assert (one + unknown("nobody knows")).total is None
    assert (one + unknown("nobody knows")).reasons == ("nobody knows",)


# -- what is unknown --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "usage",
    [
        Usage(input_tokens=-1),
        Usage(input_tokens=5, cache_read_tokens=-1),
        Usage(input_tokens=5, cache_read_tokens=6),
        Usage(input_tokens=5, cache_write_tokens=6),
        Usage(input_tokens=5, cache_write_tokens=2, cache_write_5m_tokens=2, cache_write_1h_tokens=1),
        Usage(input_tokens=5, input_image_tokens=3, input_video_tokens=3),
        Usage(output_tokens=5, reasoning_tokens=6),
        Usage(output_tokens=5, reasoning_tokens=-6),
    ],
)
def test_a_usage_that_does_not_add_up_has_no_cost(usage: Usage) -> None:
    prices = listed(
        {
            "input_cost_per_token": "2e-6",
            "output_cost_per_token": "1e-5",
            "cache_read_input_token_cost": "1e-7",
            "cache_creation_input_token_cost": "3e-6",
            "input_cost_per_video_token": "1e-6",
        }
    )
    bill = cost(usage, prices)
    assert bill.total is None
    assert any("add up" in reason for reason in bill.reasons)


def test_a_model_without_a_price_is_unknown_and_a_free_one_costs_nothing() -> None:
    assert cost(Usage(input_tokens=5), None).total is None
    free = listed({"input_cost_per_token": 0, "output_cost_per_token": "0.0"})
    usage = Usage(input_tokens=5, output_tokens=7, cache_read_tokens=2, output_audio_tokens=3, service_tier="flex")
    assert cost(usage, free).total == 0
    assert cost(Usage(), free).total == 0


def test_nothing_measured_is_not_nothing_spent() -> None:
    assert cost(Usage(), PLAIN).total is None
    assert cost(Usage(input_tokens=0), PLAIN).total == 0
    song = listed(
        {"mode": "chat", "input_cost_per_token": 0, "output_cost_per_token": 0, "output_cost_per_image": "0.04"}
    )
    assert cost(Usage(input_tokens=5, output_tokens=9), song).total is None
    assert cost(Usage(input_tokens=5, output_tokens=9, images=1), song).total == Decimal("0.04")


@pytest.mark.parametrize("word", ["premium", "reserved", "provisioned_throughput", "flex"])
def test_a_tier_without_a_price_is_unknown(word: str) -> None:
    bill = cost(Usage(input_tokens=5), PLAIN, Terms(service_tier=word))
    assert bill.total is None
    assert repr(word) in bill.reasons[0]


@pytest.mark.parametrize("word", [None, "", "auto", "default", "standard", "ON_DEMAND", " Default "])
def test_the_standard_tier_has_many_names(word: str | None) -> None:
    assert cost(Usage(input_tokens=5), PLAIN, Terms(service_tier=word)).total == Decimal("0.00001")


def test_the_terms_stand_above_the_tier_in_the_usage() -> None:
    prices = listed({"input_cost_per_token": "2e-6", "input_cost_per_token_flex": "1e-6"})
    usage = Usage(input_tokens=1, service_tier="flex")
    assert cost(usage, prices).total == Decimal("0.000001")
    assert cost(usage, prices, Terms(service_tier="default")).total == Decimal("0.000002")


@pytest.mark.parametrize("reported", ["nan", "-1", "free", "1e400", ""])
def test_a_reported_cost_must_be_an_amount(reported: str) -> None:
    assert cost(Usage(cost=reported), PLAIN, trust_reported=True).total is None


def test_prices_of_the_user_stand_above_what_the_provider_reports() -> None:
    own = listed({"input_cost_per_token": 1, "output_cost_per_token": 1}, own=True)
    usage = Usage(input_tokens=1, cost="0.5")
    assert cost(usage, own, trust_reported=True).total == 1
    assert cost(usage, PLAIN, trust_reported=True).total == Decimal("0.5")
    assert cost(usage, PLAIN, trust_reported=True).source == "provider"
    assert cost(usage, PLAIN).total == Decimal("0.000002")


# -- which price ------------------------------------------------------------------------------------------------------


def test_a_whole_list_prices_every_kind_of_token() -> None:
    own = listed({"input_cost_per_token": 2, "output_cost_per_token": 3}, whole=True)
    usage = Usage(
        input_tokens=10,
        cache_read_tokens=1,
        cache_write_tokens=2,
        cache_write_1h_tokens=1,
        input_audio_tokens=1,
        output_tokens=10,
        reasoning_tokens=1,
        output_audio_tokens=1,
        output_image_tokens=1,
        service_tier="flex",
    )
    assert cost(usage, own).total == 50
    assert cost(usage, own, Terms(batch=True)).total == 50


def test_a_step_or_tier_that_a_whole_list_does_not_mention_changes_nothing() -> None:
    row: dict[str, Any] = {"input_cost_per_token": 1, "input_cost_per_token_above_100_tokens": 2}
    row |= {"output_cost_per_token": 5}
    usage = Usage(input_tokens=101, output_tokens=1)
    assert cost(usage, listed(row, whole=True)).total == 207
    assert cost(usage, listed(row)).total is None
    row |= {"input_cost_per_token_flex": "0.5"}
    assert cost(Usage(input_tokens=100, output_tokens=1, service_tier="flex"), listed(row, whole=True)).total == 55
    assert cost(Usage(input_tokens=101, output_tokens=1, service_tier="flex"), listed(row, whole=True)).total is None


def test_writing_to_the_cache_at_no_extra_charge_is_still_input() -> None:
    prices = listed({"input_cost_per_token": 2, "cache_creation_input_token_cost": 0, "cache_read_input_token_cost": 0})
    assert cost(Usage(input_tokens=5, cache_write_tokens=3, cache_read_tokens=1), prices).total == 8


@pytest.mark.parametrize(
    ("host", "row", "usage", "total"),
    [
        ("anthropic", {"cache_creation_input_token_cost": 3}, Usage(input_tokens=10, cache_write_1h_tokens=4), 28),
        ("openai", {}, Usage(input_tokens=10, cache_write_5m_tokens=4), 20),
        ("fireworks_ai", {}, Usage(input_tokens=10, cache_read_tokens=4), 16),
    ],
)
def test_a_price_that_the_host_derives_from_another(host: str, row: dict[str, Any], usage: Usage, total: int) -> None:
    assert cost(usage, listed({"litellm_provider": host, "input_cost_per_token": 2, **row})).total == total


def test_an_overlap_that_the_usage_does_not_tell_matters_only_if_prices_differ() -> None:
    row = {"input_cost_per_token": 2, "cache_read_input_token_cost": 1, "input_cost_per_image_token": 2}
    usage = Usage(input_tokens=10, input_image_tokens=6, cache_read_tokens=5)
    assert cost(usage, listed(row)).total == 15
    assert cost(usage, listed({**row, "input_cost_per_image_token": 4})).total is None
    assert (
        cost(
            Usage(input_tokens=6, input_image_tokens=6, cache_read_tokens=5),
            listed({**row, "input_cost_per_image_token": 4, "cache_read_input_image_token_cost": 3}),
        ).total
        == 19
    )


def test_what_a_host_says_it_bills_is_billed_whole() -> None:
    """Cohere's `billed_units`: the tokens that were cached, or thought, are tokens of the model and not of the bill."""
    usage = Usage(
        input_tokens=1441,
        cache_read_tokens=144,
        billed_input_tokens=41,
        output_tokens=54,
        reasoning_tokens=30,
        billed_output_tokens=25,
    )
    assert cost(usage, PLAIN).total == Decimal("0.000332")


def test_audio_follows_text_only_where_the_provider_says_so() -> None:
    row = {"input_cost_per_token": 2, "output_cost_per_token": 3}
    usage = Usage(input_tokens=10, input_audio_tokens=6)
    assert cost(usage, listed(row)).total is None
    assert cost(usage, listed({**row, "litellm_provider": "gemini"})).total == 20
    assert cost(usage, listed({**row, "litellm_provider": "gemini", "input_cost_per_audio_token": 5})).total == 38


def test_a_kind_that_the_list_sets_apart_does_not_follow_at_other_tiers() -> None:
    row = {
        "input_cost_per_token": 4,
        "input_cost_per_token_flex": 2,
        "output_cost_per_token": 6,
        "output_cost_per_token_flex": 3,
        "output_cost_per_reasoning_token": 6,
    }
    usage = Usage(input_tokens=1, output_tokens=10, reasoning_tokens=4, service_tier="flex")
    assert cost(usage, listed(row)).total == 32
    assert cost(usage, listed({**row, "output_cost_per_reasoning_token": 7})).total is None


def test_the_highest_step_that_is_reached_holds_for_everything() -> None:
    row = {
        "input_cost_per_token": 1,
        "output_cost_per_token": 1,
        "input_cost_per_token_above_128k_tokens": 2,
        "output_cost_per_token_above_128k_tokens": 2,
        "input_cost_per_token_above_256k_tokens": 3,
        "output_cost_per_token_above_256k_tokens": 3,
    }
    for length, price in ((128_000, 1), (128_001, 2), (256_000, 2), (256_001, 3)):
        assert cost(Usage(input_tokens=length, output_tokens=1), listed(row)).total == (length + 1) * price


def test_thresholds_without_a_k_are_tokens() -> None:
    row = {"input_cost_per_token": 1, "input_cost_per_token_above_100_tokens": 2}
    assert cost(Usage(input_tokens=100), listed(row)).total == 100
    assert cost(Usage(input_tokens=101), listed(row)).total == 202


def test_a_step_without_a_price_for_a_kind_is_unknown() -> None:
    row = {
        "input_cost_per_token": 1,
        "cache_read_input_token_cost": 1,
        "input_cost_per_token_above_128k_tokens": 2,
    }
    assert cost(Usage(input_tokens=128_001, cache_read_tokens=1), listed(row)).total is None


def test_data_residency_elsewhere_is_unknown_and_for_older_models_free() -> None:
    row = {"input_cost_per_token": 10, "regional_processing_uplift_multiplier_eu": "1.1"}
    usage = Usage(input_tokens=1)
    assert cost(usage, listed(row), Terms(residency="EU")).total == 11
    assert cost(usage, listed(row), Terms(residency="global")).total == 10
    assert cost(usage, listed(row), Terms(residency="jp")).total is None
    assert cost(usage, PLAIN, Terms(residency="jp")).total == Decimal("0.000002")


FAST = {"input_cost_per_token": 10, "provider_specific_entry": {"us": "1.1", "fast": 2}}


@pytest.mark.parametrize(
    ("row", "terms", "extras", "total"),
    [
        (FAST, Terms(speed="fast"), {}, 20),
        (FAST, Terms(speed="FAST"), {}, 20),
        (FAST, Terms(), {"speed": "fast"}, 20),
        (FAST, Terms(speed="standard"), {"speed": "fast"}, 10),
        (FAST, Terms(speed="fast", residency="US"), {}, 22),
        (FAST, Terms(), {"inference_geo": "us"}, 11),
        (FAST, Terms(residency="eu"), {}, "no price is published for data residency in 'eu'"),
        ({"input_cost_per_token": 10}, Terms(speed="fast"), {}, "no price is published for the fast mode"),
    ],
    ids=str,
)
def test_place_and_speed_multiply(row: dict[str, Any], terms: Terms, extras: dict[str, Any], total: int | str) -> None:
    bill = cost(Usage(input_tokens=1, extras=extras), listed(row), terms)
    assert (bill.total if bill.known else bill.reasons[0]) == total


SEARCHING = {
    "litellm_provider": "perplexity",
    "input_cost_per_token": 1,
    "output_cost_per_token": 1,
    "search_context_cost_per_query": {"search_context_size_low": 5, "search_context_size_high": 9},
}
RESEARCHING = {**SEARCHING, "citation_cost_per_token": 0}


@pytest.mark.parametrize(
    ("row", "calls", "extras", "total"),
    [
        (SEARCHING, None, {"search_context_size": "high"}, 10),
        (SEARCHING, 3, {"search_context_size": "high"}, 10),
        (SEARCHING, None, {"search_context_size": "huge"}, "the fee of a web search depends on search_context_size"),
        (RESEARCHING, 3, {"search_context_size": "low"}, 16),
        (RESEARCHING, 3, {"search_context_size": "low", "num_search_queries": 2}, 11),
        (RESEARCHING, 3, {"search_context_size": "low", "num_search_queries": 0}, 1),
        (RESEARCHING, 3, {"search_context_size": "low", "num_search_queries": -2}, 16),
        (RESEARCHING, 3, {"search_context_size": "low", "num_search_queries": True}, 16),
        (RESEARCHING, None, {"search_context_size": "low"}, "the usage does not report how many there were"),
    ],
    ids=str,
)
def test_a_host_that_searches_in_every_request(
    row: dict[str, Any], calls: int | None, extras: dict[str, Any], total: int | str
) -> None:
    """One fee a request; for research one a search, as many as the host says."""
    used = {"web_search": calls} if calls else None
    bill = cost(Usage(input_tokens=1, server_tool_calls=used, extras={"citation_tokens": 0, **extras}), listed(row))
    if isinstance(total, str):
        assert any(total in reason for reason in bill.reasons) and not bill.known
    else:
        assert bill.total == total


SHANGHAI = timezone(timedelta(hours=8))


@pytest.mark.parametrize(
    ("at", "price"),
    [
        (datetime(2026, 9, 14, 16, 29, tzinfo=UTC), 2),
        (datetime(2026, 9, 14, 16, 30, tzinfo=UTC), 1),
        (datetime(2026, 9, 15, 0, 29, tzinfo=UTC), 1),
        (datetime(2026, 9, 15, 0, 30, tzinfo=UTC), 2),
        (datetime(2026, 9, 15, 0, 30, tzinfo=SHANGHAI), 1),
        (None, 2),
    ],
)
def test_off_peak_hours(at: datetime | None, price: int) -> None:
    row = {
        "input_cost_per_token": 2,
        "off_peak_pricing": {"hours_utc": "16:30-00:30", "input_cost_per_token": 1},
    }
    bill = cost(Usage(input_tokens=1), listed(row), Terms(at=at))
    assert bill.total == price
    assert bool(bill.assumptions) is (at is None)


@pytest.mark.parametrize("weekdays", [[6], ["sat"], ["Saturday"], [1, 6]])
def test_off_peak_weekdays_are_counted_in_their_own_zone(weekdays: list[object]) -> None:
    block = {
        "hours_utc": "16:00-17:00",
        "weekdays": weekdays,
        "weekday_timezone": "Asia/Shanghai",
        "input_cost_per_token": 1,
    }
    prices = listed({"input_cost_per_token": 2, "off_peak_pricing": block})
    friday, saturday = datetime(2026, 8, 28, 16, 30, tzinfo=UTC), datetime(2026, 8, 29, 16, 30, tzinfo=UTC)
    assert cost(Usage(input_tokens=1), prices, Terms(at=friday)).total == 1
    assert cost(Usage(input_tokens=1), prices, Terms(at=saturday)).total == 2


@pytest.mark.parametrize(
    ("quantities", "reason"),
    [
        ({"pages": -1}, "the number of pages is not a count: -1"),
        ({"pages": float("nan")}, "the number of pages is not a count: nan"),
        ({"pages": True}, "the number of pages is not a count: True"),
        ({"sheets": 1}, "'sheets' is not a quantity that has a price; known are: "),
        ({"audio_seconds": 1}, "the list has no price for audio_seconds"),
    ],
)
def test_quantities_that_cannot_be_billed_are_named(quantities: dict[str, float], reason: str) -> None:
    bill = cost(Usage(), listed({"mode": "ocr", "ocr_cost_per_page": "0.001"}), quantities=quantities)
    assert bill.total is None
    assert bill.reasons[0].startswith(reason)


HEARD = {"mode": "audio_transcription"}
TIERED = {"mode": "search", "tiered_pricing": [{"max_results_range": [1, 10], "input_cost_per_query": 1}]}
SPOKEN = {"mode": "audio_speech", "output_cost_per_second": "0.5"}


@pytest.mark.parametrize(
    ("row", "usage", "total"),
    [
        ({**HEARD, "input_cost_per_second": 2}, Usage(seconds=3), 6),
        ({**HEARD, "input_cost_per_second": 0, "output_cost_per_second": 2}, Usage(seconds=3), 6),
        ({**HEARD, "input_cost_per_second": 2, "output_cost_per_second": 2}, Usage(seconds=3), 6),
        ({**HEARD, "input_cost_per_second": 0, "output_cost_per_second": 0}, Usage(seconds=3), 0),
        (SPOKEN, Usage(seconds=3), Decimal("1.5")),
        ({**SPOKEN, "output_cost_per_token": 1}, Usage(seconds=3, output_tokens=2), 2),
    ],
)
def test_a_second_is_billed_once(row: dict[str, Any], usage: Usage, total: Decimal | int) -> None:
    assert cost(usage, listed(row)).total == total


@pytest.mark.parametrize(
    ("row", "usage", "terms", "reason"),
    [
        (
            {**HEARD, "input_cost_per_second": 1, "output_cost_per_second": 2},
            Usage(seconds=3),
            Terms(),
            "the list has two different prices for a second of audio",
        ),
        (
            {"input_cost_per_token": 1, "output_cost_per_token": 1, "citation_cost_per_token": 1},
            Usage(input_tokens=1, output_tokens=1),
            Terms(),
            "citation tokens are billed, and the usage does not report them",
        ),
        (TIERED, Usage(search_units=1), Terms(), "and the number of results asked for is not known"),
        (TIERED, Usage(search_units=1), Terms(max_results=11), "and it asked for 11 results"),
        (
            {**HEARD, "input_cost_per_second": 1},
            Usage(seconds=3),
            Terms(service_tier="flex"),
            "no input_cost_per_second is published for the service tier 'flex'",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_unit_without_one_price_says_why(row: dict[str, Any], usage: Usage, terms: Terms, reason: str) -> None:
    bill = cost(usage, listed(row), terms)
    assert bill.total is None
    assert any(reason in each for each in bill.reasons), bill.reasons


def test_a_whole_list_prices_its_units_at_every_tier() -> None:
    heard = listed({**HEARD, "input_cost_per_second": 1}, whole=True)
    assert cost(Usage(seconds=3), heard, Terms(service_tier="flex")).total == 3


@pytest.mark.parametrize(
    ("usage", "total"),
    [
        (Usage(input_tokens=10, output_tokens=5, total_tokens=15), 70),
        (Usage(input_tokens=10, output_tokens=5, total_tokens=17, tool_use_input_tokens=2, reasoning_tokens=3), 74),
        (Usage(input_tokens=10, output_tokens=5, total_tokens=18, tool_use_input_tokens=2, reasoning_tokens=3), 100),
        (Usage(input_tokens=10, output_tokens=5, total_tokens=20, tool_use_input_tokens=2, reasoning_tokens=3), 104),
        (Usage(input_tokens=10, output_tokens=5, total_tokens=19, tool_use_input_tokens=2, reasoning_tokens=3), 70),
        (Usage(input_tokens=10, output_tokens=5, total_tokens=12, tool_use_input_tokens=2, reasoning_tokens=3), 70),
        (Usage(output_tokens=5, total_tokens=8, reasoning_tokens=3), 50),
        (Usage(input_tokens=10, total_tokens=12, tool_use_input_tokens=2), 20),
    ],
)
def test_the_total_tells_what_is_counted_beside_input_and_output(usage: Usage, total: int) -> None:
    """Tokens that a tool brought in, and thoughts, where the total exceeds the two by exactly these."""
    assert cost(usage, listed({"input_cost_per_token": 2, "output_cost_per_token": 10})).total == total


@pytest.mark.parametrize(
    ("usage", "total"),
    [
        (
            Usage(
                input_tokens=10,
                input_audio_tokens=5,
                input_image_tokens=5,
                cache_read_tokens=4,
                cache_read_audio_tokens=1,
            ),
            4 * 10 + 2 * 100 + 13,
        ),
        (
            Usage(
                input_tokens=11,
                input_audio_tokens=5,
                input_image_tokens=5,
                cache_read_tokens=4,
                cache_read_audio_tokens=1,
            ),
            None,
        ),
    ],
)
def test_cached_audio_that_is_told_leaves_the_rest_to_the_others(usage: Usage, total: int | None) -> None:
    """Of the four cached tokens one is of audio; the others are of pictures, if there is no text."""
    row = {
        "input_cost_per_token": 1,
        "input_cost_per_audio_token": 10,
        "input_cost_per_image_token": 100,
        "cache_read_input_token_cost": 2,
        "cache_read_input_audio_token_cost": 1,
        "cache_read_input_image_token_cost": 4,
    }
    bill = cost(usage, listed(row))
    assert bill.total == total
    assert bill.reasons == (() if total else ("the usage does not say how many of the cached tokens are image",))


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0])
def test_odd_lengths_are_no_lengths(seconds: float) -> None:
    prices = listed({"mode": "audio_transcription", "input_cost_per_second": "0.0001"})
    assert cost(Usage(seconds=seconds), prices).total is None


def test_assumptions_are_said() -> None:
    fireworks = {"litellm_provider": "fireworks_ai", "input_cost_per_token": 2}
    bill = cost(Usage(input_tokens=2, cache_read_tokens=2), listed(fireworks))
    assert bill.total == 2
    assert bill.assumptions == ("the host's default discount for cached tokens",)
