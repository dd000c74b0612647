"""completion_cost and cost_per_token: LiteLLM's functions over exact arithmetic. Unknown is an exception, never 0."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from penstock import (
    BadRequestError,
    Router,
    UnknownCostError,
    completion,
    completion_cost,
    cost_per_token,
    embedding,
    get_model_info,
    register_model,
    token_counter,
)
from penstock.providers.facts import default
from penstock.providers.facts.facts import Facts
from penstock.testing.providers import Reply, Usage
from tests.support.targets import KEY, TARGETS, every_dialect, simulating

ASK: list[Any] = [{"role": "user", "content": "Hello"}]


def hidden(model: str, **arguments: Any) -> dict[str, Any]:
    """`_hidden_params` of a call."""
    answer: Any = completion(model, ASK, **arguments)
    return dict(answer._hidden_params)


@pytest.fixture
def own_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(default, "_current", Facts())


@pytest.mark.parametrize(
    ("arguments", "dollars"),
    [
        ({"model": "gpt-4o", "prompt_tokens": 1000, "completion_tokens": 200}, (0.0025, 0.002)),
        ({"model": "openai/gpt-4o", "prompt_tokens": 1000, "completion_tokens": 200}, (0.0025, 0.002)),
        ({"model": "gpt-4o", "custom_llm_provider": "openai", "prompt_tokens": 1000}, (0.0025, 0.0)),
        ({"model": "gpt-4o", "prompt_tokens": 1000, "cache_read_input_tokens": 400}, (0.002, 0.0)),
        (
            {
                "model": "claude-sonnet-4-5",
                "prompt_tokens": 1000,
                "cache_read_input_tokens": 500,
                "cache_creation_input_tokens": 100,
            },
            (0.0012 + 0.00015 + 0.000375, 0.0),
        ),
        ({"model": "gemini-2.5-pro", "prompt_tokens": 300_000, "completion_tokens": 1000}, (0.75, 0.015)),
        ({"model": "gpt-5", "prompt_tokens": 1000, "service_tier": "flex"}, (0.000625, 0.0)),
        ({"model": "gpt-5", "prompt_tokens": 1000, "service_tier": "priority"}, (0.0025, 0.0)),
        ({"model": "whisper-1", "audio_transcription_file_duration": 60}, (0.006, 0.0)),
        ({"model": "cohere/rerank-v3.5", "number_of_queries": 3}, (0.006, 0.0)),
        (
            {
                "model": "mine",
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "custom_cost_per_token": {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6},
            },
            (1e-05, 1e-05),
        ),
        ({"model": "mine", "response_time_ms": 2500, "custom_cost_per_second": 0.002}, (0.0, 0.005)),
        ({"model": "gpt-4o", "usage_object": {"prompt_tokens": 1000, "completion_tokens": 200}}, (0.0025, 0.002)),
    ],
)
def test_tokens(arguments: dict[str, Any], dollars: tuple[float, float]) -> None:
    assert cost_per_token(**arguments) == pytest.approx(dollars, rel=1e-12)


@every_dialect
def test_an_answer_of_ours_costs_what_it_says(target: Any) -> None:
    with simulating() as simulated:
        simulated.script(Reply.text("fine").reporting(Usage(1000, 100)))
        answer: Any = completion(messages=ASK, **target.arguments(simulated))
    if answer._hidden_params["response_cost"] is None:
        with pytest.raises(UnknownCostError):
            completion_cost(answer)
    else:
        assert completion_cost(answer) == answer._hidden_params["response_cost"]


def test_an_answer_priced_as_another_model() -> None:
    with simulating() as simulated:
        simulated.script(Reply.text("fine").reporting(Usage(1000, 100)))
        answer = completion(messages=ASK, **TARGETS[0].arguments(simulated))
    assert completion_cost(answer) == pytest.approx(0.0025 + 0.001)
    assert completion_cost(answer, model="gpt-4o-mini") == pytest.approx(0.00015 + 0.00006)
    assert completion_cost(answer, base_model="gpt-4o-mini") == pytest.approx(0.00015 + 0.00006)
    own = {"input_cost_per_token": "0.001", "output_cost_per_token": "0.01"}
    assert completion_cost(answer, custom_cost_per_token=own) == 2.0


@pytest.mark.parametrize(
    ("answer", "dollars"),
    [
        (
            {"model": "gpt-4o", "choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 100}},
            0.0035,
        ),
        (
            {
                "type": "message",
                "model": "claude-sonnet-4-5",
                "content": [],
                "stop_reason": "end_turn",
                "usage": {"input_tokens": 1000, "output_tokens": 100, "cache_read_input_tokens": 500},
            },
            0.003 + 0.00015 + 0.0015,
        ),
        (
            {
                "object": "response",
                "model": "gpt-4o",
                "output": [],
                "usage": {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100},
            },
            0.0035,
        ),
        (
            {
                "object": "list",
                "model": "text-embedding-3-small",
                "data": [],
                "usage": {"prompt_tokens": 1000, "total_tokens": 1000},
            },
            0.00002,
        ),
    ],
    ids=["chat", "messages", "responses", "embedding"],
)
def test_answers_of_every_shape(answer: dict[str, Any], dollars: float) -> None:
    assert completion_cost(answer) == pytest.approx(dollars)


def test_texts_are_counted() -> None:
    tokens = token_counter("gpt-4o", text="hello world " * 100), token_counter("gpt-4o", text="fine")
    found = completion_cost(model="gpt-4o", prompt="hello world " * 100, completion="fine")
    assert found == pytest.approx(tokens[0] * 2.5e-6 + tokens[1] * 1e-5)


def test_images_by_size_and_quality() -> None:
    found = completion_cost(
        model="azure/dall-e-3",
        n=2,
        size="1024x1024",
        quality="standard",
        call_type="image_generation",
    )
    pixel = get_model_info("azure/standard/1024-x-1024/dall-e-3")["input_cost_per_pixel"]
    assert found == pytest.approx(2 * 1024 * 1024 * pixel)


def test_an_unknown_model_costs_nothing_that_is_known() -> None:
    with pytest.raises(UnknownCostError) as caught:
        cost_per_token("openai/gpt-4oo", 1000, 100)
    assert "gpt-4o" in caught.value.message, "the nearest are named"
    assert caught.value.reasons == ("no price is known for this model",)
    with pytest.raises(UnknownCostError):
        completion_cost(model="nobody/knows-this", prompt="x")


def test_a_price_that_is_missing_is_named_with_what_is_known() -> None:
    prices = {"input_cost_per_token": 1e-6}
    with pytest.raises(UnknownCostError) as caught:
        cost_per_token("mine", 1000, 100, custom_cost_per_token=prices)
    assert "output" in caught.value.reasons[0]
    assert caught.value.at_least == Decimal("0.001")


def test_a_model_that_is_free_is_known_to_be() -> None:
    assert cost_per_token(
        "mine", 9, 9, custom_cost_per_token={"input_cost_per_token": 0, "output_cost_per_token": 0}
    ) == (
        0.0,
        0.0,
    )


def test_nothing_to_price() -> None:
    with pytest.raises(BadRequestError, match="completion_response"):
        completion_cost(model="gpt-4o")


def test_an_embedding() -> None:
    with simulating() as simulated:
        answer = embedding("openai/text-embedding-3-small", ["one"], api_key=KEY, api_base=simulated.url("openai"))
    assert completion_cost(answer) == answer._hidden_params["response_cost"] > 0


@pytest.mark.parametrize(
    ("usage", "dollars"),
    [
        (
            {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 1000},
            10 * 3e-6 + 1000 * 3e-7 + 5 * 1.5e-5,
        ),
        ({"input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 100}, 10 * 3e-6 + 375e-6 + 5 * 1.5e-5),
        (
            {
                "prompt_tokens": 1110,
                "completion_tokens": 5,
                "cache_read_input_tokens": 1000,
                "cache_creation_input_tokens": 100,
            },
            10 * 3e-6 + 1000 * 3e-7 + 100 * 3.75e-6 + 5 * 1.5e-5,
        ),
        ({"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 2}, 10 * 3e-6 + 7 * 1.5e-5),
        ({"inputTokens": 10, "outputTokens": 5, "cacheReadInputTokens": 1000}, 10 * 3e-6 + 1000 * 3e-7 + 5 * 1.5e-5),
        ({"billed_units": {"input_tokens": 10, "output_tokens": 5}}, 10 * 3e-6 + 5 * 1.5e-5),
    ],
    ids=["anthropic-read", "anthropic-write", "litellm", "gemini", "converse", "cohere"],
)
def test_a_usage_in_a_providers_own_words(usage: dict[str, Any], dollars: float) -> None:
    """Anthropic and Converse count cached tokens beside the input; LiteLLM's usage, with the same names, within it."""
    assert sum(cost_per_token("claude-sonnet-4-5", usage_object=usage)) == pytest.approx(dollars)
    assert completion_cost({"usage": usage}, model="claude-sonnet-4-5") == pytest.approx(dollars)


@pytest.mark.parametrize(
    ("answer", "model", "dollars"),
    [
        (
            {
                "output": {"message": {"role": "assistant", "content": [{"text": "fine"}]}},
                "stopReason": "end_turn",
                "usage": {"inputTokens": 100, "outputTokens": 10, "totalTokens": 110},
            },
            "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            100 * 3.3e-6 + 10 * 1.65e-5,
        ),
        (
            {
                "message": {"role": "assistant", "content": [{"type": "text", "text": "fine"}]},
                "finish_reason": "COMPLETE",
                "usage": {"billed_units": {"input_tokens": 17, "output_tokens": 12}, "tokens": {"input_tokens": 215}},
            },
            "command-a-03-2025",
            17 * 2.5e-6 + 12 * 1e-5,
        ),
        (
            {
                "modelVersion": "gemini-2.5-flash",
                "candidates": [{"content": {"role": "model", "parts": [{"text": "fine"}]}, "finishReason": "STOP"}],
                "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 2, "totalTokenCount": 12},
            },
            None,
            10 * 3e-7 + 2 * 2.5e-6,
        ),
        (
            {"model": "gpt-5", "choices": [], "service_tier": "flex", "usage": {"prompt_tokens": 1000}},
            None,
            0.000625,
        ),
        ({"results": [], "meta": {"billed_units": {"search_units": 2}}}, "rerank-v3.5", 0.004),
        ({"text": "fine", "duration": 60.0}, "whisper-1", 0.006),
        ({"text": "fine", "usage": {"type": "duration", "seconds": 60}}, "whisper-1", 0.006),
    ],
    ids=["converse", "cohere", "gemini", "tier", "rerank", "transcription", "transcription-usage"],
)
def test_answers_of_providers_as_they_came(answer: dict[str, Any], model: str | None, dollars: float) -> None:
    assert completion_cost(answer, model=model) == pytest.approx(dollars)


def test_a_region_has_prices_of_its_own() -> None:
    arguments: dict[str, Any] = {"custom_llm_provider": "bedrock", "prompt_tokens": 1_000_000}
    everywhere = cost_per_token("amazon.nova-pro-v1:0", **arguments)
    assert everywhere == (0.8, 0.0)
    government = cost_per_token("amazon.nova-pro-v1:0", region_name="us-gov-west-1", **arguments)
    assert government == (0.96, 0.0)


def test_an_unknown_cost_tells_the_doubt() -> None:
    with pytest.raises(UnknownCostError, match="the snapshots of gpt-4o differ in price"):
        cost_per_token("gpt-4o-2031-01-01", 1, 1)


# -- prices of the caller's own, in every form that LiteLLM's users know -----------------------------------------------

OWN = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}
FORMS: dict[str, dict[str, Any]] = {
    "arguments": OWN,
    "model_info": {"model_info": {"id": "mine", **OWN}},
    "argument-before-model_info": {"model_info": {**OWN, "input_cost_per_token": 9.0}, "input_cost_per_token": 1e-6},
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_prices_that_come_with_a_call(form: dict[str, Any]) -> None:
    with simulating() as simulated:
        simulated.script(Reply.text("fine").reporting(Usage(1000, 100)))
        address = {"api_base": simulated.url("openai_chat"), "api_key": KEY}
        found = hidden("openai/nobody-knows-this", **address, **form)
    assert found["response_cost"] == pytest.approx(0.0012)


def test_the_base_model_may_be_anybodys() -> None:
    """LiteLLM's users write `base_model: azure/gpt-4o` whatever the deployment is called through."""
    with simulating() as simulated:
        for info in ({"base_model": "azure/gpt-4o-2024-08-06"}, {"base_model": "gpt-4o-2024-08-06"}):
            simulated.script(Reply.text("fine").reporting(Usage(1000, 100)))
            address = {"api_base": simulated.url("openai_chat"), "api_key": KEY}
            found = hidden("openai/nobody-knows-this", model_info=info, **address)
            assert found["response_cost"] == pytest.approx(0.0035)


def test_prices_of_a_deployment() -> None:
    with simulating() as simulated:
        simulated.script(Reply.text("fine").reporting(Usage(1000, 100)))
        reached = {"model": "openai/mine", "api_base": simulated.url("openai_chat"), "api_key": KEY}
        router = Router([{"model_name": "house", "litellm_params": reached, "model_info": {"id": "one", **OWN}}])
        answer = router.completion("house", ASK)
    assert answer._hidden_params["response_cost"] == pytest.approx(0.0012)
    assert answer._hidden_params["model_id"] == "one"


def test_a_call_by_the_second() -> None:
    with simulating() as simulated:
        address = {"api_base": simulated.url("openai_chat"), "api_key": KEY}
        bill = hidden("openai/mine", input_cost_per_second=0.5, output_cost_per_second=0, **address)["cost"]
    assert [item.kind for item in bill.items] == ["second", "second"]
    assert bill.total == bill.items[0].quantity * Decimal("0.5") > 0


@pytest.mark.usefixtures("own_facts")
def test_a_registered_price_by_the_second() -> None:
    register_model({"openai/rented": {"input_cost_per_second": 0.01, "output_cost_per_second": 0.0}})
    assert cost_per_token("openai/rented", 10, 10, response_time_ms=1500) == (0.015, 0.0)
    with pytest.raises(UnknownCostError, match="input_cost_per_second"):
        cost_per_token("openai/rented", 10, 10)


@pytest.mark.usefixtures("own_facts")
def test_a_registered_price_lies_over_the_same_model_in_another_spelling() -> None:
    register_model({"openai/gpt-4.1": {"input_cost_per_token": 9e-6}})
    assert cost_per_token("openai/gpt-4.1", 1000, 100) == pytest.approx((0.009, 0.0008))
    assert cost_per_token("gpt-4.1", 1000, 100, custom_llm_provider="openai") == pytest.approx((0.009, 0.0008))
    assert cost_per_token("gpt-4.1", 1000, 100) == pytest.approx((0.002, 0.0008)), "a name of its own"


def test_a_mock_costs_what_such_an_answer_costs() -> None:
    known = hidden("openai/gpt-4o", mock_response="fine")
    assert known["response_cost"] == pytest.approx(10 * 2.5e-6 + 20 * 1e-5)
    assert hidden("openai/nobody-knows-this", mock_response="fine")["response_cost"] is None
    priced = hidden("openai/nobody-knows-this", mock_response="fine", **OWN)
    assert priced["response_cost"] == pytest.approx(10 * 1e-6 + 20 * 2e-6)
