"""What is known of models and providers, without asking anybody."""

from __future__ import annotations

import inspect
import os
from typing import Any

import pytest

import penstock
from penstock.providers.facts import default
from penstock.providers.facts.facts import Facts
from penstock.providers.registry import default_registry

SUPPORTS = sorted(name for name in penstock.__all__ if name.startswith("supports_"))


@pytest.fixture(autouse=True)
def _own_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(default, "_current", Facts())


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("openai/gpt-4o", ("gpt-4o", "openai")),
        ("gpt-4o", ("gpt-4o", "openai")),
        ("claude-sonnet-4-5", ("claude-sonnet-4-5", "anthropic")),
        ("groq/llama-3.3-70b-versatile", ("llama-3.3-70b-versatile", "groq")),
        ("openrouter/anthropic/claude-sonnet-4.5", ("anthropic/claude-sonnet-4.5", "openrouter")),
        ("bedrock/converse/us.amazon.nova-lite-v1:0", ("us.amazon.nova-lite-v1:0", "bedrock")),
        ("tavily/search", ("search", "tavily")),
        ("chatdolphin", ("chatdolphin", "nlp_cloud")),
    ],
)
def test_whose_model_it_is(model: str, found: tuple[str, str]) -> None:
    assert penstock.get_llm_provider(model)[:2] == found


def test_what_was_given_comes_back() -> None:
    assert penstock.get_llm_provider("openai/any", api_base="https://llm.example.com/v1", api_key="sk-fake") == (
        "any",
        "openai",
        "sk-fake",
        "https://llm.example.com/v1",
    )


def test_every_listed_model_has_its_provider() -> None:
    """Each key of the fact sheet: its provider, and facts under what is left of its name there."""
    facts, registry = Facts(), default_registry()
    for row in facts.rows():
        model, provider, _, _ = penstock.get_llm_provider(row.name)
        known = registry.find(row.provider)
        assert provider == (known.name if known else row.provider), row.name
        assert not model.startswith(f"{provider}/") or row.name.startswith(f"{provider}/{provider}/"), row.name
        found = facts.find(model, provider)
        assert found is not None and found.found in ("exact", "spelling"), row.name


def test_an_unknown_model_is_answered_with_the_nearest() -> None:
    with pytest.raises(penstock.UnknownModelError, match="llama"):
        penstock.get_llm_provider("llama3.3-70b-instrukt")
    with pytest.raises(penstock.UnknownModelError, match="gpt-4o"):
        penstock.get_model_info("gpt-4oo")


def test_model_info_has_litellms_names_and_float_prices() -> None:
    info = penstock.get_model_info("gpt-4o")
    assert info["litellm_provider"] == "openai"
    assert info["mode"] == "chat"
    assert info["max_input_tokens"] == 128_000
    assert info["input_cost_per_token"] == 2.5e-6
    assert isinstance(info["input_cost_per_token"], float)
    assert info["supports_vision"] is True


def test_max_tokens_are_those_that_come_out() -> None:
    assert penstock.get_max_tokens("gpt-4o") == 16_384
    assert penstock.get_max_tokens("nobody/knows-this") is None


def test_a_model_of_ones_own() -> None:
    penstock.register_model(
        {
            "my-model": {
                "litellm_provider": "openai",
                "mode": "chat",
                "max_output_tokens": 99,
                "input_cost_per_token": 1e-6,
                "output_cost_per_token": 2e-6,
                "supports_vision": True,
            }
        }
    )
    assert penstock.get_max_tokens("my-model") == 99
    assert penstock.supports_vision("my-model")
    assert not penstock.supports_pdf_input("my-model")
    assert penstock.get_llm_provider("my-model")[1] == "openai"
    assert penstock.cost_per_token("my-model", 1_000_000, 1_000_000) == (1.0, 2.0)


def test_prices_that_are_none_are_refused() -> None:
    with pytest.raises(penstock.BadRequestError, match="input_cost_per_token"):
        penstock.register_model({"my-model": {"litellm_provider": "openai", "input_cost_per_token": "cheap"}})
    with pytest.raises(penstock.UnknownModelError):
        penstock.get_model_info("my-model")


@pytest.mark.parametrize("name", SUPPORTS)
def test_every_capability_is_asked_of_the_fact_sheet(name: str) -> None:
    """Each function reads the field that bears its name."""
    penstock.register_model(
        {"able": {"litellm_provider": "openai", name: True}, "unable": {"litellm_provider": "openai"}}
    )
    ask = getattr(penstock, name)
    assert inspect.signature(ask).parameters.keys() == {"model", "custom_llm_provider"}
    assert ask("able") is True
    assert ask("unable") is False
    assert ask("nobody/knows-this") is False


def test_there_are_the_capabilities_of_the_contract() -> None:
    wanted = (
        "vision function_calling parallel_function_calling response_schema reasoning prompt_caching pdf_input "
        "audio_input audio_output web_search url_context system_messages tool_choice native_streaming computer_use"
    )
    assert {f"supports_{word}" for word in wanted.split()} == set(SUPPORTS)


def test_which_key_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.delenv("ANTHROPIC_AUTH_TOKEN", raising=False)
    found = penstock.validate_environment("anthropic/claude-sonnet-4-5")
    assert found["keys_in_environment"] is False
    assert "ANTHROPIC_API_KEY" in found["missing_keys"]
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-fake")
    assert penstock.validate_environment("anthropic/claude-sonnet-4-5") == {
        "keys_in_environment": True,
        "missing_keys": [],
    }


def test_of_several_ways_the_nearest_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VERTEX_API_KEY", "VERTEXAI_API_KEY", "GOOGLE_OAUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("VERTEXAI_PROJECT", "p")
    found = penstock.validate_environment("vertex_ai/gemini-2.5-flash")
    assert found["missing_keys"] == ["GOOGLE_OAUTH_ACCESS_TOKEN"]
    assert ["GOOGLE_APPLICATION_CREDENTIALS"] in found["alternatives"]
    assert ["VERTEX_API_KEY"] in found["alternatives"]
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "f")
    assert penstock.validate_environment("vertex_ai/gemini-2.5-flash") == {
        "keys_in_environment": True,
        "missing_keys": [],
    }


def test_the_name_of_a_model_may_say_its_region(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_REGION_NAME", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "fake")
    assert penstock.validate_environment("bedrock/amazon.nova-lite-v1:0")["missing_keys"] == ["AWS_REGION_NAME"]
    assert penstock.validate_environment("bedrock/us-west-2/amazon.nova-lite-v1:0")["keys_in_environment"]


def test_a_host_that_no_call_reaches_names_its_key_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEEPGRAM_API_KEY", raising=False)
    found = penstock.validate_environment("deepgram/nova-2")
    assert found == {"keys_in_environment": False, "missing_keys": ["DEEPGRAM_API_KEY"]}
    monkeypatch.setenv("DEEPGRAM_API_KEY", "fake")
    assert penstock.validate_environment("deepgram/nova-2")["keys_in_environment"]
    assert not any(model.startswith("deepgram/") for model in penstock.get_valid_models())


def test_a_key_that_is_given_is_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert penstock.validate_environment("openai/gpt-4o", api_key="sk-fake")["keys_in_environment"]


def test_the_models_whose_provider_has_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.endswith(("_KEY", "_TOKEN", "_PROFILE")) or name.startswith(("AWS_", "AZURE_", "GOOGLE_")):
            monkeypatch.delenv(name)
    assert penstock.get_valid_models() == []
    monkeypatch.setenv("GROQ_API_KEY", "fake")
    models = penstock.get_valid_models()
    assert models
    assert {model.partition("/")[0] for model in models} == {"groq"}


TAKEN: list[tuple[str, set[str], set[str]]] = [
    ("openai/gpt-4o", {"temperature", "tools", "logit_bias", "seed", "n", "response_format", "max_tokens"}, set()),
    ("openai/gpt-5", {"reasoning_effort", "tools", "max_completion_tokens"}, {"temperature"}),
    (
        "anthropic/claude-sonnet-4-5",
        {"temperature", "tools", "stop", "reasoning_effort", "stream"},
        {"seed", "n", "logit_bias"},
    ),
    ("gemini/gemini-2.5-flash", {"temperature", "seed", "n", "reasoning_effort"}, {"logit_bias"}),
    ("bedrock/us.amazon.nova-lite-v1:0", {"temperature", "tools", "stop"}, {"seed", "n"}),
    ("cohere/command-a-03-2025", {"temperature", "seed", "tools"}, {"n", "logit_bias"}),
    ("ollama/llama3.2", {"temperature", "seed", "tools"}, {"n"}),
]


@pytest.mark.parametrize(("model", "taken", "refused"), TAKEN, ids=[model for model, _, _ in TAKEN])
def test_which_parameters_a_model_takes(model: str, taken: set[str], refused: set[str]) -> None:
    supported = set(penstock.get_supported_openai_params(model))
    assert taken <= supported
    assert supported & refused == set()


@pytest.mark.parametrize("model", [model for model, _, _ in TAKEN])
def test_the_list_agrees_with_the_call(model: str) -> None:
    """A parameter that is not listed is refused by a call, before anybody is asked."""
    samples: dict[str, Any] = {"seed": 1, "n": 2, "logit_bias": {"1": 1}, "temperature": 0.5, "presence_penalty": 0.5}
    supported = penstock.get_supported_openai_params(model)
    keys: dict[str, Any] = {"api_key": "sk-fake", "api_base": "http://127.0.0.1:9", "num_retries": 0}
    if model.startswith("bedrock"):
        keys["aws_region_name"] = "us-east-1"
    for name, value in samples.items():
        with pytest.raises(penstock.PenstockError) as caught:
            penstock.completion(model, [{"role": "user", "content": "x"}], **{name: value}, **keys)
        refused = isinstance(caught.value, penstock.UnsupportedParamsError)
        assert refused == (name not in supported), f"{name}: {caught.value}"
