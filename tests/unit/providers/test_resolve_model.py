"""The model string: what people write, and which provider and model it means."""

from pathlib import Path

import pytest

from penstock.providers.errors import ProviderError
from penstock.providers.provider import Provider
from penstock.providers.registry import Registry
from penstock.providers.resolve_model import resolve_model

REGISTRY = Registry(plugins=lambda: ())
FACTS = {
    "gpt-4o": "openai",
    "my-fact": "bedrock_converse",
    "org/model": "novita",
    "gemini-x": "vertex_ai-language-models",
}

NAMES = [
    # name, provider, model, selector, rule
    ("openai/gpt-4o", "openai", "gpt-4o", None, 2),
    ("openrouter/anthropic/claude-x", "openrouter", "anthropic/claude-x", None, 2),
    ("openrouter/openai/gpt-5", "openrouter", "openai/gpt-5", None, 2),
    ("huggingface/together/deepseek-ai/R1", "huggingface", "together/deepseek-ai/R1", None, 2),
    ("together_ai/meta-llama/Llama-3", "together_ai", "meta-llama/Llama-3", None, 2),
    ("together/meta-llama/Llama-3", "together_ai", "meta-llama/Llama-3", None, 2),
    ("openai/responses/gpt-5", "openai", "gpt-5", "responses", 2),
    ("azure/responses/dep", "azure", "dep", "responses", 2),
    ("bedrock/converse/us.anthropic.c", "bedrock", "us.anthropic.c", "converse", 2),
    ("bedrock/invoke/us.anthropic.c", "bedrock", "us.anthropic.c", "invoke", 2),
    ("bedrock/us-east-1/anthropic.c", "bedrock", "us-east-1/anthropic.c", None, 2),
    ("bedrock_converse/anthropic.c", "bedrock", "anthropic.c", None, 2),
    ("text-completion-openai/davinci-002", "openai", "davinci-002", None, 2),
    ("ollama_chat/llama3:8b", "ollama", "llama3:8b", None, 2),
    ("vertex_ai/meta/llama-maas", "vertex_ai", "meta/llama-maas", None, 2),
    ("openai/anything/with/slashes", "openai", "anything/with/slashes", None, 2),
    ("azure/o_series/dep", "azure", "dep", None, 2),
    ("watsonx/deployment/d-1", "watsonx", "d-1", "deployment", 2),
    ("gpt-4o", "openai", "gpt-4o", None, 4),
    ("my-fact", "bedrock", "my-fact", None, 4),
    ("org/model", "novita", "org/model", None, 4),
    ("gemini-x", "vertex_ai", "gemini-x", None, 4),
    ("gpt-7-new", "openai", "gpt-7-new", None, 5),
    ("o9-mini", "openai", "o9-mini", None, 5),
    ("claude-opus-9", "anthropic", "claude-opus-9", None, 5),
    ("gemini-9-pro", "gemini", "gemini-9-pro", None, 5),
    ("mistral-large-9", "mistral", "mistral-large-9", None, 5),
    ("grok-9", "xai", "grok-9", None, 5),
    ("command-z", "cohere", "command-z", None, 5),
    ("voyage-9", "voyage", "voyage-9", None, 5),
    ("kimi-k9", "moonshot", "kimi-k9", None, 5),
    ("text-embedding-3-small", "openai", "text-embedding-3-small", None, 5),
]


@pytest.mark.parametrize(("name", "provider", "model", "selector", "rule"), NAMES)
def test_names(name: str, provider: str, model: str, selector: str | None, rule: int) -> None:
    found = resolve_model(name, REGISTRY, lookup=FACTS.get)
    assert (found.provider.name, found.model, found.selector, found.rule) == (provider, model, selector, rule)


def test_a_segment_may_say_what_a_deployment_is_like() -> None:
    assert resolve_model("azure/o_series/dep", REGISTRY).base_model == "o1"
    assert resolve_model("azure/gpt5_series/dep", REGISTRY).base_model == "gpt-5"
    assert resolve_model("azure/dep", REGISTRY).base_model is None


@pytest.mark.parametrize(
    ("name", "provider", "model"),
    [
        ("gpt-4o", "azure", "gpt-4o"),
        ("azure/gpt-4o", "azure", "gpt-4o"),
        ("openai/gpt-oss-120b", "groq", "openai/gpt-oss-120b"),
        ("groq/openai/gpt-oss-120b", "groq", "openai/gpt-oss-120b"),
        ("together/x", "together_ai", "x"),
        ("anthropic/claude-x", "openrouter", "anthropic/claude-x"),
    ],
)
def test_a_provider_that_the_caller_names_decides(name: str, provider: str, model: str) -> None:
    found = resolve_model(name, REGISTRY, provider=provider, lookup=FACTS.get)
    assert (found.provider.name, found.model, found.rule) == (provider, model, 1)


@pytest.mark.parametrize(
    ("name", "api_base", "provider", "model"),
    [
        ("meta-llama/Llama-3", "https://api.together.xyz/v1", "together_ai", "meta-llama/Llama-3"),
        ("llama-3", "https://api.groq.com/openai/v1", "groq", "llama-3"),
        ("my-model", "https://api.mistral.ai/v1", "mistral", "my-model"),
        ("dep", "https://me.openai.azure.com", "azure", "dep"),
        ("x", "https://bedrock-runtime.eu-west-1.amazonaws.com", "bedrock", "x"),
        ("x", "https://europe-west4-aiplatform.googleapis.com/v1", "vertex_ai", "x"),
        ("x", "https://me.services.ai.azure.com/models", "azure_ai", "x"),
        ("x", "https://codestral.mistral.ai/v1", "codestral", "x"),
        ("gpt-4o", "https://openrouter.ai/api/v1", "openrouter", "gpt-4o"),  # the address before the facts
        ("openai/gpt-4o", "https://openrouter.ai/api/v1", "openai", "gpt-4o"),  # the prefix before the address
        ("openai/mine", "http://localhost:8000/v1", "openai", "mine"),
    ],
)
def test_addresses_tell_the_provider(name: str, api_base: str, provider: str, model: str) -> None:
    found = resolve_model(name, REGISTRY, api_base=api_base, lookup=FACTS.get)
    assert (found.provider.name, found.model) == (provider, model)


def test_a_name_that_means_nothing() -> None:
    with pytest.raises(ProviderError, match="No provider is known for the model 'zorg'") as caught:
        resolve_model("zorg", REGISTRY)
    assert caught.value.kind == "unknown_model"
    assert "provider/model" in caught.value.fix


@pytest.mark.parametrize(
    ("name", "proposal"),
    [
        ("opnai/gpt-4o", "openai/gpt-4o"),
        ("antropic/claude-x", "anthropic/claude-x"),
        ("Groqq/llama", "groq/llama"),
        ("fireworks-aii/x", "fireworks_ai/x"),
    ],
)
def test_the_nearest_provider_is_proposed(name: str, proposal: str) -> None:
    with pytest.raises(ProviderError) as caught:
        resolve_model(name, REGISTRY)
    assert proposal in caught.value.fix


def test_the_nearest_models_are_proposed() -> None:
    with pytest.raises(ProviderError, match="Did you mean sonnet-large or sonnet-small"):
        resolve_model("sonnet-larg", REGISTRY, known_models=lambda: ["sonnet-small", "sonnet-large", "other"])


def test_an_unknown_server_is_reached_as_openai() -> None:
    with pytest.raises(ProviderError) as caught:
        resolve_model("zorg", REGISTRY, api_base="http://localhost:8000/v1")
    assert "openai/zorg" in caught.value.fix


def test_a_provider_that_does_not_exist() -> None:
    with pytest.raises(ProviderError, match="Did you mean openai") as caught:
        resolve_model("x", REGISTRY, provider="opnai")
    assert caught.value.kind == "unknown_provider"


@pytest.mark.parametrize("name", ["", "  ", "openai/", "/gpt-4o", "/"])
def test_half_a_name(name: str) -> None:
    with pytest.raises(ProviderError) as caught:
        resolve_model(name, REGISTRY)
    assert caught.value.kind == "unknown_model"


def test_a_look_that_fits_two_providers_decides_nothing() -> None:
    registry = Registry(
        [
            Provider(name="a", base_url="https://a.example", model_families=("m-*",)),
            Provider(name="b", base_url="https://b.example", model_families=("m-*",)),
        ],
        plugins=lambda: (),
    )
    with pytest.raises(ProviderError):
        resolve_model("m-1", registry)


def test_no_two_built_in_rows_claim_the_same_look() -> None:
    """A sample of every glob belongs to its own provider alone."""
    for provider in REGISTRY:
        for glob in provider.model_families:
            sample = glob.replace("[1-9]", "1").replace("[0-9]", "4").replace("[4-9]", "4").replace("*", "x")
            assert resolve_model(sample, REGISTRY).provider is provider, glob


def test_where_this_is(tmp_path: Path) -> None:
    """Names are never looked up as files."""
    (tmp_path / "openai").mkdir()
    with pytest.raises(ProviderError):
        resolve_model(str(tmp_path / "openai" / "x"), REGISTRY)
