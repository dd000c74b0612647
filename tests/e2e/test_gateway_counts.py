"""How long a request is: Anthropic's count_tokens and Gemini's countTokens with their own clients, at any provider, and
LiteLLM's response headers where they are asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import pytest
from google import genai
from google.genai import types as gemini_types

from penstock.testing.providers import Reply, SimulatedProviders
from tests.e2e.gateway import KEY, Running, environment_for, serving

pytestmark = pytest.mark.filterwarnings("ignore:The model:DeprecationWarning")
SAID: Any = [{"role": "user", "content": "How long is this?"}]
MODELS = ("claude", "gpt", "gemini")


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatedProviders]:
    with SimulatedProviders() as simulated:
        yield simulated


@pytest.fixture
def providers(server: SimulatedProviders) -> SimulatedProviders:
    server.clear()
    return server


@pytest.fixture(scope="module")
def gateway(server: SimulatedProviders, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    models = [
        {"name": "claude", "model": "anthropic/claude-sonnet-4-5"},
        {"name": "gpt", "id": "gpt-here", "model": "openai/gpt-4o"},
        {"name": "gemini", "model": "gemini/gemini-2.5-flash"},
        {"name": "away", "model": "openai/gpt-4o", "api_base": "http://127.0.0.1:1"},
    ]
    routing = {"retries": 0, "fallbacks": {"away": ["gpt"]}}
    config = tmp_path_factory.mktemp("counts") / "penstock.yaml"
    config.write_text(json.dumps({"models": models, "general": {"litellm_headers": True}, "routing": routing}))
    environment = environment_for(server, PENSTOCK_MASTER_KEY=KEY)
    with serving(environment, "--config", str(config), "--workers", "1") as running:
        yield running


def post(gateway: Running, path: str, body: Any, key: str = KEY) -> httpx.Response:
    return httpx.post(gateway.url + path, json=body, headers={"authorization": f"Bearer {key}"}, timeout=30)


@pytest.mark.parametrize("model", MODELS)
def test_anthropics_client_counts(gateway: Running, model: str) -> None:
    with anthropic.Anthropic(base_url=gateway.url, api_key=KEY, max_retries=0) as client:
        short = client.messages.count_tokens(model=model, messages=SAID).input_tokens
        tool: Any = {"name": "look", "description": "Look around " * 20, "input_schema": {"type": "object"}}
        long = client.messages.count_tokens(model=model, messages=SAID, system="Be brief. " * 50, tools=[tool])
    assert 0 < short < long.input_tokens


def test_who_counts_itself_is_asked(gateway: Running, providers: SimulatedProviders) -> None:
    answer = post(gateway, "/v1/messages/count_tokens", {"model": "claude", "messages": SAID})
    assert answer.status_code == 200 and providers.last.target.endswith("/v1/messages/count_tokens")
    assert providers.last.json["model"] == "claude-sonnet-4-5"
    providers.clear()
    assert post(gateway, "/v1/messages/count_tokens", {"model": "gpt", "messages": SAID}).status_code == 200
    assert not providers.requests


@pytest.mark.parametrize("model", MODELS)
def test_geminis_client_counts(gateway: Running, model: str) -> None:
    with genai.Client(api_key=KEY, http_options=gemini_types.HttpOptions(base_url=gateway.url)) as client:
        short = client.models.count_tokens(model=model, contents="How long is this?").total_tokens
        long = client.models.count_tokens(model=model, contents="How long is this? " * 50).total_tokens
    assert short is not None and long is not None and 0 < short < long


def test_errors_are_in_the_clients_words(gateway: Running) -> None:
    wrong: Any = [{"role": "nobody", "content": 5}]
    with anthropic.Anthropic(base_url=gateway.url, api_key=KEY, max_retries=0) as client:
        with pytest.raises(anthropic.NotFoundError):
            client.messages.count_tokens(model="nobody", messages=SAID)
        with pytest.raises(anthropic.BadRequestError):
            client.messages.count_tokens(model="gpt", messages=wrong)
    assert post(gateway, "/v1beta/models/nobody:countTokens", {"contents": []}).json()["error"]["status"] == "NOT_FOUND"
    assert post(gateway, "/v1/messages/count_tokens", [1]).json()["type"] == "error"


# -- LiteLLM's headers ------------------------------------------------------------------------------------------------


def test_litellms_headers(gateway: Running) -> None:
    answer = post(gateway, "/v1/chat/completions", {"model": "away", "messages": SAID})
    head = answer.headers
    assert head["x-litellm-call-id"] == head["x-penstock-call-id"]
    assert head["x-litellm-model-group"] == "gpt" and head["x-litellm-model-id"] == "gpt-here"
    assert head["x-litellm-response-cost"] == head["x-penstock-cost"]
    assert head["x-litellm-attempted-fallbacks"] == head["x-penstock-fallbacks"] == "1"
    assert head["x-litellm-attempted-retries"] == "0"
    assert float(head["x-litellm-response-duration-ms"]) >= float(head["x-litellm-overhead-duration-ms"]) >= 0
    assert head["x-litellm-version"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"model": "gpt", "messages": SAID}),
        ("/v1/messages", {"model": "gpt", "messages": SAID, "max_tokens": 50}),
        ("/v1/completions", {"model": "gpt", "prompt": "Once"}),
    ],
)
def test_litellms_headers_on_all(gateway: Running, path: str, body: Any, stream: bool) -> None:
    answer = post(gateway, path, {**body, "stream": stream})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-litellm-model-id"] == "gpt-here"
    assert ("x-litellm-response-cost" in answer.headers) is not stream


def test_what_a_key_has_is_told(gateway: Running) -> None:
    fields = {"rpm_limit": 7, "tpm_limit": 1_000_000, "max_budget": 5}
    key = post(gateway, "/key/generate", fields).json()["key"]
    head = post(gateway, "/v1/embeddings", {"model": "gpt", "input": "x"}, key).headers
    assert head["x-litellm-key-rpm-limit"] == "7" and head["x-litellm-key-tpm-limit"] == "1000000"
    assert float(head["x-litellm-key-max-budget"]) == 5


def test_an_error_has_them_too(gateway: Running, providers: SimulatedProviders) -> None:
    providers.script(Reply.error(429))
    answer = post(gateway, "/v1/chat/completions", {"model": "gpt", "messages": SAID})
    assert answer.status_code == 429
    assert answer.headers["x-litellm-call-id"] == answer.headers["x-penstock-call-id"]
