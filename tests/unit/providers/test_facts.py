"""Look-up: which row a name leads to, and that its price is never another model's."""

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.providers.cost import cost
from penstock.providers.errors import ProviderError
from penstock.providers.facts import Facts, Limits, current_facts, default, names, register_facts
from penstock.providers.facts.packaged import PackagedFacts, packaged_facts
from penstock.providers.prices import Prices, prices_of
from penstock.types.usage import Usage

FACTS = Facts()

PRICED = [
    # asked, provider, row, how
    ("gpt-4o", None, "gpt-4o", "exact"),
    ("openai/gpt-4o", None, "gpt-4o", "exact"),
    ("gpt-4o", "openai", "gpt-4o", "exact"),
    ("openai/gpt-4o", "openai", "gpt-4o", "exact"),
    ("gpt-4o", "azure", "azure/gpt-4o", "exact"),
    ("azure/gpt-4o", "azure", "azure/gpt-4o", "exact"),
    ("GPT-4o", None, "gpt-4o", "spelling"),
    ("OpenAI/GPT-4O", "openai", "gpt-4o", "spelling"),
    ("anthropic/claude-sonnet-4-5", None, "claude-sonnet-4-5", "exact"),
    ("gemini-2.5-pro", "gemini", "gemini/gemini-2.5-pro", "exact"),
    ("models/gemini-2.5-pro", "gemini", "gemini/gemini-2.5-pro", "spelling"),
    ("vertex_ai/gemini-2.5-pro", None, "gemini-2.5-pro", "exact"),
    ("publishers/google/models/gemini-2.5-pro", "vertex_ai", "gemini-2.5-pro", "spelling"),
    ("publishers/anthropic/models/claude-sonnet-4-5", "vertex_ai", "vertex_ai/claude-sonnet-4-5", "spelling"),
    ("vertex_ai/claude-sonnet-4-5@20250929", None, "vertex_ai/claude-sonnet-4-5@20250929", "exact"),
    ("vertex_ai/claude-opus-4-5@default", None, "vertex_ai/claude-opus-4-5", "snapshot"),
    (
        "fireworks_ai/llama-v3p1-8b-instruct",
        None,
        "fireworks_ai/accounts/fireworks/models/llama-v3p1-8b-instruct",
        "spelling",
    ),
    (
        "accounts/fireworks/models/llama-v3p1-8b-instruct",
        "fireworks_ai",
        "fireworks_ai/accounts/fireworks/models/llama-v3p1-8b-instruct",
        "exact",
    ),
    ("ft:gpt-4o-2024-08-06:acme::AbC123", None, "ft:gpt-4o-2024-08-06", "spelling"),
    ("openai/ft:gpt-4.1-nano-2025-04-14:acme:suffix:AbC123", None, "ft:gpt-4.1-nano-2025-04-14", "spelling"),
    ("ollama/llama3:latest", None, "ollama/llama3", "snapshot"),
    ("gpt-4.1-latest", None, "gpt-4.1", "snapshot"),
    ("gpt-4.1-2025-11-01", "openai", "gpt-4.1", "snapshot"),
    ("claude-opus-4-5-latest", "anthropic", "claude-opus-4-5", "snapshot"),
    ("azure/global/gpt-4.1", None, "azure/gpt-4.1", "spelling"),
    ("amazon_nova/nova-micro-v1", None, "amazon-nova/nova-micro-v1", "exact"),
    (
        "bedrock/converse/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        None,
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "spelling",
    ),
    ("apac.anthropic.claude-3-5-sonnet-20240620-v1:0", "bedrock", "anthropic.claude-3-5-sonnet-20240620-v1:0", "place"),
    (
        "bedrock/us-east-1/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        None,
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "place",
    ),
    ("bedrock/us-west-2/ai21.jamba-1-5-large-v1:0", None, "ai21.jamba-1-5-large-v1:0", "place"),
    ("bedrock/ap-south-1/deepseek.v3.2", None, "bedrock/ap-south-1/deepseek.v3.2", "exact"),
    (
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "bedrock",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "place",
    ),
    (
        "arn:aws:bedrock:ap-northeast-1::foundation-model/deepseek.v3.2",
        "bedrock",
        "bedrock/ap-northeast-1/deepseek.v3.2",
        "spelling",
    ),
    ("perplexity/sonar", None, "perplexity/sonar", "exact"),
    ("sonar", "perplexity", "perplexity/sonar", "exact"),
    ("perplexity/sonar", "perplexity", "perplexity/perplexity/sonar", "exact"),
    ("perplexity/perplexity/sonar", None, "perplexity/perplexity/sonar", "exact"),
]


@pytest.mark.parametrize(("asked", "provider", "row", "how"), PRICED)
def test_a_name_leads_to_its_row(asked: str, provider: str | None, row: str, how: str) -> None:
    found = FACTS.find(asked, provider)
    assert found is not None
    assert (found.name, found.found, found.doubt) == (row, how, None)
    assert FACTS.prices(asked, provider) is FACTS.prices(row)


UNPRICED = [
    # asked, provider, part of the doubt (None: nothing is known at all)
    ("gpt-4o-2031-01-01", None, "the snapshots of gpt-4o differ in price"),
    ("gpt-4o-latest", None, "the snapshots of gpt-4o differ in price"),
    ("gpt-4o-audio-preview-2024-10-01", None, "listed with other dates only"),
    ("gpt-4.1-2020-01-01", None, "all listed snapshots of gpt-4.1 are newer"),
    ("mistral-large", "mistral", "only mistral/mistral-large-latest is listed"),
    ("mistral/mistral-large-2407", None, None),
    ("gpt-4-0999", None, None),
    ("claude-sonnet-4-5", "openrouter", "the model is not listed"),
    ("openrouter/anthropic/claude-sonnet-4.5", None, "the model is not listed"),
    ("openrouter/openai/gpt-4o-mini", "openrouter", None),
    ("groq/gpt-4o", None, None),
    ("gpt-4o", "groq", None),
    ("azure/eu/no-such-model", None, None),
    ("azure/my-deployment", None, None),
    ("my-deployment", "azure", None),
    ("ft:gpt-4o:acme::AbC123", None, "the snapshots of ft:gpt-4o differ in price"),
    ("ft:gpt-9-2030-01-01:acme::AbC123", None, "the model is not listed"),
    ("deepseek-v3p1", None, None),
    ("bedrock/eu-west-1/ai21.jamba-1-5-large-v1:0", None, "is not listed for eu-west-1"),
    ("eu.ai21.jamba-1-5-large-v1:0", "bedrock", "is not listed for eu"),
    ("us-gov.anthropic.claude-3-5-sonnet-20240620-v1:0", "bedrock", "which has prices of its own"),
    ("global.anthropic.claude-3-5-sonnet-20240620-v1:0", "bedrock", "which has prices of its own"),
    ("bedrock/us-east-1/anthropic.claude-sonnet-4-5-20250929-v1:0", None, "is not listed for us-east-1"),
    ("openai.gpt-5.4", "bedrock", "is listed for some regions only"),
    ("claude-newfamily-7", None, "the model is not listed"),
    ("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc", "bedrock", None),
    ("", None, None),
    ("x" * 501, None, None),
    ("/", None, None),
    ("openai/", None, None),
]


@pytest.mark.parametrize(("asked", "provider", "doubt"), UNPRICED)
def test_a_price_that_is_not_certain_is_unknown(asked: str, provider: str | None, doubt: str | None) -> None:
    assert FACTS.prices(asked, provider) is None
    found = FACTS.find(asked, provider)
    if doubt is None:
        assert found is None
    else:
        assert found is not None
        assert found.doubt is not None
        assert doubt in found.doubt
        assert prices_of(found.fields) is None
        assert "input_cost_per_token" not in found.fields
        assert cost(Usage(input_tokens=1), FACTS.prices_of_row(found)).total is None


def test_a_deployment_is_priced_by_its_base_model() -> None:
    for base in ("gpt-4o", "azure/gpt-4o"):
        assert FACTS.prices("my-deployment", "azure", base_model=base) is FACTS.prices("azure/gpt-4o")
    assert FACTS.prices("gpt-4o", "azure", base_model="no-such-model") is None


class Without(PackagedFacts):
    """The packaged facts without some rows, and without reading them again."""

    def __init__(self, full: PackagedFacts, missing: set[str]) -> None:
        self.__dict__.update(full.__dict__)
        self._index = {name: row for name, row in full._index.items() if name not in missing}


def strangers(packaged: PackagedFacts) -> Iterator[set[str]]:
    """All names, in sets of which no two could be taken for each other: they differ in more than host, place, date and
    case."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in packaged:
        model = names.snapshot_of(names.place_of(name).model).stem.lower()
        groups[model.rpartition("/")[2]].append(name)
    for number in range(max(map(len, groups.values()))):
        yield {group[number] for group in groups.values() if len(group) > number}


def contradictions(one: Prices, other: Prices) -> list[str]:
    """The fields in which two lists say different things."""
    lists = [(one.rates, other.rates), *((a.rates, b.rates) for a, b in zip(one.tiers, other.tiers, strict=True))]
    return [field for mine, yours in lists for field in mine.keys() & yours.keys() if mine[field] != yours[field]]


CONTRADICTORY = {"gemini-exp-1206", "gemini/gemini-exp-1206", "perplexity/perplexity/sonar"}
"""The collected facts have two rows for a model of one host, and they disagree; or the host's own name is part of the
model's."""


def test_a_row_that_is_missing_is_never_replaced_by_a_dearer_or_cheaper_one() -> None:
    """Take any row away and ask for it: what is found instead costs the same, wherever both lists say something."""
    packaged = packaged_facts()
    replaced, wrong = 0, []
    for missing in strangers(packaged):
        rest = Facts(packaged=Without(packaged, missing))
        for name in missing - CONTRADICTORY:
            expected = FACTS.prices(name)
            provider = names.provider_of_label(packaged.host(name))
            for instead in (rest.prices(name), rest.prices(name.removeprefix(f"{provider}/"), provider)):
                replaced += instead is not None
                if instead and (expected is None or contradictions(expected, instead)):
                    wrong.append((name, instead.model))
    assert wrong == []
    assert replaced > 500


NAMES = st.text(max_size=60) | st.sampled_from(sorted(FACTS)[::40]).flatmap(
    lambda name: st.sampled_from(
        [name.upper(), f"{name}-latest", f"{name}@20300101", f"x/{name}", name[1:], f"eu.{name}"]
    )
)
PROVIDERS = st.none() | st.sampled_from(["openai", "azure", "bedrock", "vertex_ai", "fireworks_ai", "nobody", "", "Ö"])


@given(NAMES, PROVIDERS)
def test_any_name_has_an_answer(name: str, provider: str | None) -> None:
    """A row of the provider asked for, or none; and a price only without a doubt."""
    row = FACTS.find(name, provider)
    prices = FACTS.prices(name, provider)
    if row is None or row.doubt:
        assert prices is None
    elif provider:
        assert names.is_hosted_by(str(row.fields["litellm_provider"]), provider)
    assert FACTS.info(name, provider) == (row.info() if row else None)


# -- what a row says --------------------------------------------------------------------------------------------------


def test_the_info_of_a_model_is_what_litellm_says() -> None:
    info = FACTS.info("openai/gpt-4o-mini")
    assert info is not None
    assert info["key"] == "gpt-4o-mini"
    assert info["litellm_provider"] == "openai"
    assert info["input_cost_per_token"] == 1.5e-07
    assert isinstance(info["input_cost_per_token"], float)
    assert info["max_input_tokens"] == 128_000
    assert info["supports_vision"] is True
    assert info["supports_computer_use"] is None
    assert info["search_context_cost_per_query"]["search_context_size_low"] == 0.025
    assert FACTS.info("no-such-model") is None


def test_tiers_come_out_as_floats_too() -> None:
    info = FACTS.info("dashscope/qwen-plus-latest")
    assert info is not None
    assert info["tiered_pricing"][0]["input_cost_per_token"] == 4e-07
    assert info["tiered_pricing"][0]["range"] == [0, 256000.0]


def test_what_is_not_said_is_not_known() -> None:
    assert FACTS.supports("gpt-4o", "vision") is True
    assert FACTS.supports("gpt-4o", "supports_function_calling") is True
    assert FACTS.supports("gpt-4o", "time_travel") is None
    assert FACTS.supports("no-such-model", "vision") is None
    assert FACTS.supports("claude-fable-5", "sampling_params") is False
    assert FACTS.limits("gpt-4o") == Limits(128_000, 16_384)
    assert FACTS.limits("no-such-model") == Limits(None, None)


def test_a_doubtful_price_leaves_the_other_facts() -> None:
    row = FACTS.find("gpt-4o-2031-01-01")
    assert row is not None
    assert row.limits == FACTS.limits("gpt-4o")
    assert row.supports("vision") is True
    info = row.info()
    assert info["input_cost_per_token"] is None


def test_unlisted_models_have_the_facts_of_their_kind() -> None:
    row = FACTS.find("claude-newfamily-7")
    assert row is not None
    assert (row.found, row.provider, row.mode) == ("rule", "anthropic", "chat")
    assert row.supports("adaptive_thinking") is True
    other = FACTS.find("claude-newfamily-7", "openrouter")
    assert other is not None
    assert other.provider == "openrouter"


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("gpt-4o", "openai"),
        ("claude-sonnet-4-5", "anthropic"),
        ("gemini-2.5-pro", "vertex_ai"),
        ("command-r-08-2024", "cohere"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock"),
        ("gpt-3.5-turbo-instruct", "openai"),
        ("gpt-4o-latest", None),
        ("no-such-model", None),
    ],
)
def test_a_bare_name_tells_its_provider_only_as_it_stands(name: str, provider: str | None) -> None:
    assert FACTS.provider_of(name) == provider


def test_nearest_names() -> None:
    assert FACTS.nearest("gpt-4o-minni")[0] == "gpt-4o-mini"
    assert FACTS.nearest("claude-sonet-4-5")[0] == "claude-sonnet-4-5"
    assert FACTS.nearest("qqqqqqqqqqqq") == []
    assert len(FACTS.nearest("gpt-4", 5)) == 5
    assert FACTS.nearest("gpt-4o-mini" * 1_000) is not None


def test_images_have_prices_by_size_and_quality() -> None:
    by_size = FACTS.image_prices("gpt-image-1.5", "openai", size="1024x1024", quality="high")
    assert by_size is not None
    assert cost(Usage(images=1), by_size).total == Decimal("0.133")
    azure = FACTS.image_prices("dall-e-3", "azure", size="1024x1792", quality="hd")
    assert azure is not None
    assert azure.model == "azure/hd/1024-x-1792/dall-e-3"
    assert FACTS.image_prices("gpt-image-1.5", size="9x9", quality="high") is FACTS.prices("gpt-image-1.5")
    assert FACTS.image_prices("gpt-image-1.5") is FACTS.prices("gpt-image-1.5")
    assert FACTS.image_prices("dall-e-3", "azure", size="9x9", quality="hd") is None


def test_all_models_can_be_walked_through() -> None:
    assert len(FACTS) == len(list(FACTS)) == len(list(FACTS.rows()))
    assert len(FACTS) > 4_200
    assert "gpt-4o" in FACTS
    assert "fallback_generalizations" not in FACTS
    assert all(FACTS.find(name) is not None for name in list(FACTS)[::50])


def test_every_row_is_found_under_its_own_name() -> None:
    wrong = []
    for row in FACTS.rows():
        for provider in (None, row.provider or None):
            found = FACTS.find(row.name, provider)
            if found is None or found.doubt or FACTS.prices_of_row(found) is None is not FACTS.prices_of_row(row):
                wrong.append((row.name, provider, found and found.name))
    assert wrong == []


# -- rows of the user -------------------------------------------------------------------------------------------------


def price(facts: Facts, name: str, field: str = "input_cost_per_token", **where: Any) -> Decimal | None:
    prices = facts.prices(name, **where)
    return prices.rates.get(field) if prices else None


@pytest.mark.parametrize("value", [2.5e-06, "2.5e-06", "0.0000025", Decimal("0.0000025")])
def test_prices_of_the_user_mean_their_decimal_form(value: object) -> None:
    facts = FACTS.with_rows({"house/model": {"input_cost_per_token": value, "output_cost_per_token": 0}})
    assert price(facts, "house/model") == Decimal("0.0000025")


def test_rows_lie_over_the_packaged_ones_field_by_field() -> None:
    facts = FACTS.with_rows({"gpt-4o": {"input_cost_per_token": 1e-06, "cache_read_input_token_cost": None}})
    assert price(facts, "openai/gpt-4o") == Decimal("0.000001")
    assert price(facts, "gpt-4o", "output_cost_per_token") == Decimal("0.00001")
    assert price(facts, "gpt-4o", "cache_read_input_token_cost") is None
    assert facts.limits("gpt-4o") == FACTS.limits("gpt-4o")
    assert price(FACTS, "gpt-4o") == Decimal("0.0000025")
    assert len(facts) == len(FACTS)
    prices = facts.prices("gpt-4o")
    assert prices is not None
    assert (prices.own, prices.whole) == (True, False)


def test_a_row_may_replace_the_packaged_one() -> None:
    row = {"litellm_provider": "openai", "input_cost_per_token": 1, "output_cost_per_token": 2}
    facts = FACTS.with_rows({"gpt-4o": row}, replace=True)
    assert facts.limits("gpt-4o") == Limits()
    prices = facts.prices("gpt-4o")
    assert prices is not None
    assert (prices.own, prices.whole) == (True, True)
    assert cost(Usage(input_tokens=10, cache_read_tokens=5, output_tokens=1), prices).total == 12


def test_a_new_row_is_found_in_all_its_spellings() -> None:
    facts = FACTS.with_rows(
        {
            "my-model": {"input_cost_per_token": 1, "litellm_provider": "openai"},
            "acme/other": {"input_cost_per_token": 2},
            "free-for-all": {"input_cost_per_token": 3},
        }
    )
    assert price(facts, "my-model") == price(facts, "openai/my-model") == price(facts, "MY-model") == 1
    assert price(facts, "my-model", provider="azure") is None
    assert price(facts, "acme/other") == price(facts, "other", provider="acme") == 2
    assert price(facts, "free-for-all", provider="hosted_vllm") == 3
    assert list(facts)[:3] == ["my-model", "acme/other", "free-for-all"]
    assert facts.nearest("free-for-al")[0] == "free-for-all"


def test_rows_over_rows() -> None:
    facts = FACTS.with_rows({"m": {"input_cost_per_token": 1}}).with_rows({"m": {"output_cost_per_token": 2}})
    assert price(facts, "m") == 1
    assert price(facts, "m", "output_cost_per_token") == 2


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"input_cost_per_token": "cheap"}, "input_cost_per_token"),
        ({"input_cost_per_token": -1}, "input_cost_per_token"),
        ({"input_cost_per_token": float("nan")}, "input_cost_per_token"),
        ({"input_cost_per_token": float("inf")}, "input_cost_per_token"),
        ({"input_cost_per_token": True}, "input_cost_per_token"),
        ({"input_cost_per_token": "1e-999999999"}, "input_cost_per_token"),
        ({"input_cost_per_token": "1e999999999"}, "input_cost_per_token"),
        ({"input_cost_per_token": 10**5000}, "input_cost_per_token"),
        ({"search_context_cost_per_query": {"search_context_size_low": "x"}}, "search_context_size_low"),
        ({"tiered_pricing": "cheap"}, "tiered_pricing"),
        ({"tiered_pricing": [{"range": [5, 1], "input_cost_per_token": 1}]}, "tiered_pricing.range"),
        ({"tiered_pricing": [{"range": [0], "input_cost_per_token": 1}]}, "tiered_pricing.range"),
        ({"tiered_pricing": [{"range": [0, 5], "input_cost_per_token": "x"}]}, "tiered_pricing.input_cost_per_token"),
        ({"off_peak_pricing": [1]}, "off_peak_pricing"),
        ({"off_peak_pricing": {"input_cost_per_token": 1}}, "hours_utc"),
        ({"off_peak_pricing": {"hours_utc": "25:00-01:00"}}, "hours_utc"),
        ({"off_peak_pricing": {"hours_utc": "01:00-25:00"}}, "hours_utc"),
        ({"off_peak_pricing": {"hours_utc": "00:60-01:00"}}, "hours_utc"),
        ({"off_peak_pricing": {"hours_utc": "00:00-01:60"}}, "hours_utc"),
        ({"off_peak_pricing": {"hours_utc": "noon"}}, "hours_utc"),
        ({"off_peak_pricing": {"hours_utc": "00:00-01:00", "weekdays": [8]}}, "weekdays"),
        ({"off_peak_pricing": {"hours_utc": "00:00-01:00", "weekdays": [0]}}, "weekdays"),
        ({"off_peak_pricing": {"hours_utc": "00:00-01:00", "weekdays": [True]}}, "weekdays"),
        ({"off_peak_pricing": {"hours_utc": "00:00-01:00", "weekdays": ["x"]}}, "weekdays"),
        ({"off_peak_pricing": {"hours_utc": "00:00-01:00", "weekday_timezone": "Mars/Base"}}, "Mars/Base"),
        (["input_cost_per_token"], "not a mapping"),
    ],
)
def test_a_malformed_row_is_refused_and_named(row: Any, named: str) -> None:
    with pytest.raises(ProviderError) as caught:
        FACTS.with_rows({"acme/model": row})
    assert caught.value.kind == "malformed_prices"
    assert "acme/model" in str(caught.value)
    assert named in str(caught.value)
    assert caught.value.fix
    assert len(str(caught.value)) < 400


@pytest.fixture
def shared_facts() -> Iterator[None]:
    before = default._current
    yield
    default._current = before


@pytest.mark.usefixtures("shared_facts")
def test_registered_rows_are_shared() -> None:
    before = current_facts()
    after = register_facts({"house/model": {"input_cost_per_token": 1}})
    assert current_facts() is after
    assert price(current_facts(), "house/model") == 1
    assert price(before, "house/model") is None
    with pytest.raises(ProviderError):
        register_facts({"good": {"input_cost_per_token": 1}, "bad": {"input_cost_per_token": "x"}})
    assert current_facts() is after


# -- zeros -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "volcengine/doubao-embedding",
        "gigachat/GigaChat-2-Max",
        "sagemaker/meta-textgeneration-llama-2-7b",
        "fireworks_ai/qwen3-embedding-4b",
        "azure/standard/1024-x-1024/dall-e-2",
        "scaleway/openai/whisper-large-v3",
    ],
)
def test_a_zero_that_stands_for_a_price_nobody_found_is_no_price(name: str) -> None:
    assert FACTS.find(name) is not None
    assert FACTS.prices(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "ollama/llama3",
        "gemini/gemma-3-27b-it",
        "zai/glm-4.5-flash",
        "omni-moderation-latest",
        "lemonade/gpt-oss-120b-mxfp-GGUF",
    ],
)
def test_what_is_given_away_costs_nothing(name: str) -> None:
    prices = FACTS.prices(name)
    assert prices is not None and prices.free


def test_a_zero_of_the_users_own_is_a_price() -> None:
    own = FACTS.with_rows({"gigachat/GigaChat-2-Max": {"input_cost_per_token": 0}})
    prices = own.prices("gigachat/GigaChat-2-Max")
    assert prices is not None and prices.free


def test_memory_does_not_grow_with_the_names_asked_for() -> None:
    facts = Facts()
    for number in range(5000):
        assert facts.prices(f"gpt-4o-nobody-{number}") is None
    assert max(len(held) for held in vars(facts).values() if isinstance(held, dict)) < 5000
