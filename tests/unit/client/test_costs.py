"""completion_cost and cost_per_token: LiteLLM's functions over exact arithmetic. Unknown is an exception, never 0."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from penstock import (
    BadRequestError,
    UnknownCostError,
    completion,
    completion_cost,
    cost_per_token,
    embedding,
    get_model_info,
    token_counter,
)
from penstock.testing.providers import Reply, Usage
from tests.support.targets import KEY, TARGETS, every_dialect, simulating

ASK: list[Any] = [{"role": "user", "content": "Hello"}]


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
