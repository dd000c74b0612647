"""What a call cost, from the answer to `_hidden_params`: tier, place and time that served it count, and searches."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from penstock.calls.engine import Engine
from penstock.calls.options import Options
from penstock.calls.pricing import chat_terms, prices_at
from penstock.client.chat import ChatCall
from penstock.client.shapes import CHAT_SHAPE
from penstock.dialects import registry
from penstock.dialects.dialect import Context
from penstock.exchange import Clock, Reply, Send
from penstock.providers.cost import Cost
from penstock.providers.endpoint import endpoint
from penstock.providers.facts import Facts, current_facts
from penstock.providers.registry import default_registry
from penstock.types.notes import NO_MEMO

_CONTEXT = Context()

NOVA = "amazon.nova-pro-v1:0"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ENVIRONMENT = {
    "OPENAI_API_KEY": "fake",
    "PERPLEXITY_API_KEY": "fake",
    "XAI_API_KEY": "fake",
    "GEMINI_API_KEY": "fake",
    "DASHSCOPE_API_KEY": "fake",
}
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}


def _facts(**rows: dict[str, Any]) -> Facts:
    return current_facts().with_rows(rows, replace=True)


def _bill(answer: dict[str, Any], facts: Facts | None = None, now: datetime = NOON, **arguments: Any) -> Cost:
    """The cost of a call that is answered so."""
    engine = Engine(environment=ENVIRONMENT, facts=facts, clock=Clock(lambda: 0.0, now.timestamp))
    arguments = {"messages": [{"role": "user", "content": "Hi"}], "num_retries": 0, **arguments}
    call = ChatCall.of(engine, CHAT_SHAPE, arguments)
    run = engine.exchange(call.plan(), call.options)
    assert isinstance(next(run), Send)
    try:
        run.send(Reply(200, {"content-type": "application/json"}, json.dumps(answer).encode()))
    except StopIteration as done:
        found = call.answer(done.value.value, done.value)._hidden_params["cost"]
        assert isinstance(found, Cost)
        return found
    raise AssertionError("the exchange did not end")


def _answer(usage: dict[str, Any], **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": "Hello"}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage, **more}


TIERED = {
    "litellm_provider": "openai",
    "mode": "chat",
    "input_cost_per_token": 2e-06,
    "output_cost_per_token": 1e-05,
    "input_cost_per_token_flex": 1e-06,
    "output_cost_per_token_flex": 5e-06,
    "input_cost_per_token_priority": 4e-06,
    "output_cost_per_token_priority": 2e-05,
}


@pytest.mark.parametrize(
    ("asked", "served", "total"),
    [
        (None, None, "0.003"),
        (None, "default", "0.003"),
        ("auto", "default", "0.003"),
        ("flex", "flex", "0.0015"),
        ("flex", "default", "0.003"),  # what served it is billed, not what was asked for
        ("priority", "priority", "0.006"),
        ("priority", "default", "0.003"),
        ("flex", None, "0.0015"),  # a host that does not say
        ("auto", None, "0.003"),
    ],
)
def test_the_tier_that_served_the_call_is_billed(asked: str | None, served: str | None, total: str) -> None:
    more = {} if served is None else {"service_tier": served}
    tier: dict[str, Any] = {} if asked is None else {"service_tier": asked}
    bill = _bill(_answer(USAGE, **more), _facts(**{"tiered-7": TIERED}), model="openai/tiered-7", **tier)
    assert bill.total == Decimal(total)


@pytest.mark.parametrize(
    ("model", "usage", "total"),
    [
        ("perplexity/sonar", {**USAGE, "cost": {"input_tokens_cost": 0.001, "total_cost": 0.006}}, "0.006"),
        ("xai/grok-4", {**USAGE, "cost_in_usd_ticks": 37756000}, "0.0037756"),
    ],
)
def test_what_a_host_says_that_it_charged_is_believed(model: str, usage: dict[str, Any], total: str) -> None:
    bill = _bill(_answer(usage), model=model)
    assert (bill.total, bill.source) == (Decimal(total), "provider")


@pytest.mark.parametrize("dialect", ["openai_chat", "openai_responses"])
def test_a_reported_cost_is_written_again_as_it_came(dialect: str) -> None:
    speaks = registry.get(dialect)
    for cost in ({"cost": {"total_cost": 0.006}}, {"cost_in_usd_ticks": 5}, {"cost": 0.5}, {"cost": "free"}):
        usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2} if "responses" in dialect else USAGE
        wire = {"id": "r", "object": "response", "output": [], "usage": {**usage, **cost}}
        wire = wire if "responses" in dialect else _answer({**usage, **cost})
        response = speaks.parse_response(wire, NO_MEMO)
        assert speaks.render_response(response, _CONTEXT).value["usage"] == {**usage, **cost}


def test_searches_of_gemini_are_billed() -> None:
    grounding = {"webSearchQueries": ["a", "b"], "groundingChunks": [{"web": {"uri": "https://example.com"}}]}
    candidate = {"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": "STOP", "index": 0}
    counts = {"promptTokenCount": 1000, "candidatesTokenCount": 100, "totalTokenCount": 1100}
    row = {
        "litellm_provider": "gemini",
        "input_cost_per_token": 1e-06,
        "output_cost_per_token": 1e-06,
        "search_context_cost_per_query": dict.fromkeys(
            ("search_context_size_low", "search_context_size_medium", "search_context_size_high"), 0.014
        ),
        "web_search_billing_unit": "per_query",
    }
    facts = _facts(**{"gemini/gemini-7": row})
    plain = _bill({"candidates": [candidate], "usageMetadata": counts}, facts, model="gemini/gemini-7")
    found = {"candidates": [{**candidate, "groundingMetadata": grounding}], "usageMetadata": counts}
    searched = _bill(found, facts, model="gemini/gemini-7")
    assert plain.total == Decimal("0.0011")
    assert searched.total == Decimal("0.0011") + 2 * Decimal("0.014")


def test_a_model_that_always_searches_pays_for_it() -> None:
    bill = _bill(_answer(USAGE), model="openai/gpt-4o-search-preview")
    assert bill.on("fee") == Decimal("0.025")


def test_off_peak_hours_are_told_by_the_clock() -> None:
    row = {
        "litellm_provider": "openai",
        "input_cost_per_token": 2e-06,
        "output_cost_per_token": 2e-06,
        "off_peak_pricing": {
            "hours_utc": "16:30-00:30",
            "input_cost_per_token": 1e-06,
            "output_cost_per_token": 1e-06,
        },
    }
    facts = _facts(**{"nightly-7": row})
    day = _bill(_answer(USAGE), facts, model="openai/nightly-7")
    night = _bill(_answer(USAGE), facts, NOON.replace(hour=20), model="openai/nightly-7")
    assert (day.total, night.total) == (Decimal("0.0022"), Decimal("0.0011"))


def test_a_regional_host_of_openai_bears_its_uplift() -> None:
    row = {**TIERED, "regional_processing_uplift_multiplier_eu": 1.1}
    facts = _facts(**{"tiered-7": row})
    for base, total in (("https://eu.api.openai.com/v1", "0.0033"), ("https://api.openai.com/v1", "0.003")):
        bill = _bill(_answer(USAGE), facts, model="openai/tiered-7", api_base=base)
        assert bill.total == Decimal(total), base


@pytest.mark.parametrize(
    ("written", "model", "settings", "row"),
    [
        ("dashscope", "qwen3-max", {}, "dashscope/qwen3-max"),
        ("qwencloud", "qwen3-max", {}, "qwencloud/qwen3-max"),
        (
            "bedrock",
            "amazon.nova-pro-v1:0",
            {"aws_region_name": "us-gov-west-1"},
            "bedrock/us-gov-west-1/amazon.nova-pro-v1:0",
        ),
        ("bedrock", "amazon.nova-pro-v1:0", {"aws_region_name": "us-east-1"}, "amazon.nova-pro-v1:0"),
    ],
)
def test_the_price_list_of_the_place_and_of_the_name_that_was_written(
    written: str, model: str, settings: dict[str, str], row: str
) -> None:
    environment = {**ENVIRONMENT, "AWS_BEARER_TOKEN_BEDROCK": "fake"}
    provider = default_registry().get(written)
    target = endpoint(provider, "chat", model, parameters=settings, environment=environment, written=written)
    prices = prices_at(current_facts(), target, Options())
    assert prices is not None
    assert prices.model == row


def test_what_the_request_says_of_its_price() -> None:
    engine = Engine(environment=ENVIRONMENT)
    options = {"web_search_options": {"search_context_size": "high"}}
    content = [{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}]
    arguments = {"model": "dashscope/qwen3-max", "messages": [{"role": "user", "content": content}], **options}
    call = ChatCall.of(engine, CHAT_SHAPE, arguments)
    attempt = engine.chat_attempt(call.request, call.model, call.options)
    cached = {**USAGE, "prompt_tokens_details": {"cached_tokens": 500}}
    terms = chat_terms(
        attempt.request, attempt.notes, registry.get("openai_chat").parse_response(_answer(cached), NO_MEMO)
    )
    assert (terms.search_context_size, terms.explicit_cache) == ("high", True)
    plain = chat_terms(
        attempt.request, attempt.notes, registry.get("openai_chat").parse_response(_answer(USAGE), NO_MEMO)
    )
    assert not plain.explicit_cache
