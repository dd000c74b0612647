"""What clients may not bring in their bodies, and what they may where the operator lets them: over all surfaces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from penstock.testing.providers import Reply, SimulatedProviders
from tests.e2e.gateway import KEY, Running, environment_for, serving

ASK: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hello"}]},
    "/v1/responses": {"input": "Hello"},
    "/v1/messages": {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 9},
    "/v1/completions": {"prompt": "Hello"},
    "/v1/embeddings": {"input": "Hello"},
}


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatedProviders]:
    with SimulatedProviders() as simulated:
        yield simulated


@pytest.fixture
def providers(server: SimulatedProviders) -> SimulatedProviders:
    server.clear()
    return server


def running(server: SimulatedProviders, folder: Path, allowed: list[str]) -> Iterator[Running]:
    models = [
        {"name": "g", "model": "openai/gpt-4o", "api_base": server.url("openai_chat"), "api_key": "sk-fake-operator"},
        {"name": "e", "model": "openai/text-embedding-3-small", "api_base": server.url("openai_chat"), "api_key": "k"},
    ]
    config = folder / "penstock.json"
    config.write_text(json.dumps({"models": models, "general": {"allowed_client_arguments": allowed}}))
    with serving(environment_for(server, PENSTOCK_MASTER_KEY=KEY), "--config", str(config)) as found:
        yield found


@pytest.fixture(scope="module")
def strict(server: SimulatedProviders, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    yield from running(server, tmp_path_factory.mktemp("strict"), [])


@pytest.fixture(scope="module")
def open_handed(server: SimulatedProviders, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    yield from running(server, tmp_path_factory.mktemp("open"), ["api_key", "api_base"])


def post(at: Running, path: str, **more: Any) -> httpx.Response:
    body = {"model": "e" if path == "/v1/embeddings" else "g", **ASK[path], **more}
    return httpx.post(at.url + path, headers={"authorization": f"Bearer {KEY}"}, json=body, timeout=60)


@pytest.mark.parametrize("path", ASK)
@pytest.mark.parametrize("word", ["api_key", "api_base", "custom_llm_provider", "mock_response", "guardrails"])
def test_it_is_refused_before_anybody_is_asked(
    strict: Running, providers: SimulatedProviders, path: str, word: str
) -> None:
    answer = post(strict, path, **{word: "http://127.0.0.1:9/steal"})
    assert answer.status_code == 400, answer.text
    assert word in answer.text
    assert not providers.requests


def test_what_changes_nothing_is_noted_and_does_not_go_on(strict: Running, providers: SimulatedProviders) -> None:
    providers.script(Reply.text("fine"))
    answer = post(strict, "/v1/chat/completions", cache={"no-cache": True}, drop_params=True, guardrails=[])
    assert answer.status_code == 200
    assert "cache has no effect" in answer.headers["x-penstock-notes"]
    assert not {"cache", "drop_params", "guardrails"} & providers.last.json.keys()


def test_a_client_brings_its_key_and_address(
    open_handed: Running, providers: SimulatedProviders, server: SimulatedProviders
) -> None:
    providers.script(Reply.text("fine"))
    base = server.url("openai_chat")
    answer = post(open_handed, "/v1/chat/completions", api_key="sk-fake-client", api_base=base)
    assert answer.status_code == 200, answer.text
    assert providers.last.headers["authorization"] == "Bearer sk-fake-client"
    assert not {"api_key", "api_base"} & providers.last.json.keys()
    providers.script(Reply.text("fine"))
    assert post(open_handed, "/v1/chat/completions").status_code == 200
    assert providers.last.headers["authorization"] == "Bearer sk-fake-operator", "it held for one call"


def test_an_address_without_a_key_gets_no_key_of_the_operators(
    open_handed: Running, providers: SimulatedProviders, server: SimulatedProviders
) -> None:
    answer = post(open_handed, "/v1/chat/completions", api_base=server.url("openai_chat"))
    assert answer.status_code == 400
    assert "api_key" in answer.text
    assert not providers.requests
