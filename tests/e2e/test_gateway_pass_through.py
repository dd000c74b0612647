"""Pass-through: `/{provider}/{path}` with the provider's own clients, whatever their credentials look like, and paths
that lead to addresses of the operator's own. The client's key stays here; what a chat costs is read along.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import anthropic
import boto3
import httpx
import openai
import pytest
from botocore.config import Config
from google import genai
from google.genai import types as gemini_types

from penstock.testing.providers import Reply, SimulatedProviders
from tests.e2e.gateway import KEY, Running, environment_for, serving
from tests.support.raw_server import saying

SAID: Any = [{"role": "user", "content": "Hi"}]
AWS = {"aws_access_key_id": "AKIAFAKE", "aws_secret_access_key": "fake-secret", "aws_region_name": "us-east-1"}
OWN = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\nx-own: yes\r\nconnection: close\r\n\r\nfound"
)
BINARY = bytes(range(256)) * 40


def _config(at: SimulatedProviders, own: str) -> dict[str, Any]:
    return {
        "models": [{"name": "gpt", "model": "openai/gpt-4o", "api_base": at.url("openai"), "api_key": "sk-fake-model"}],
        "pass_through": {
            "openai": {"api_base": at.url("openai"), "api_key": "sk-fake-openai"},
            "anthropic": {"api_base": at.url("anthropic"), "api_key": "sk-fake-anthropic"},
            "gemini": {"api_base": at.url("gemini"), "api_key": "fake-gemini"},
            "azure": {"api_base": at.url("azure"), "api_key": "fake-azure", "arguments": {"api_version": "2024-10-21"}},
            "bedrock": {"api_base": at.url("bedrock"), "arguments": AWS},
        },
        "endpoints": [
            {"path": "/own/search", "target": f"{own}/find?fixed=1", "headers": {"authorization": "Bearer fake-own"}},
            {"path": "/open", "target": f"{own}/open", "include_subpath": True, "forward_headers": True, "auth": False},
            {"path": "/single", "target": own, "methods": ["GET"]},
        ],
    }


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatedProviders]:
    with SimulatedProviders() as simulated:
        yield simulated


@pytest.fixture
def providers(server: SimulatedProviders) -> SimulatedProviders:
    server.clear()
    return server


@pytest.fixture(scope="module")
def own() -> Iterator[Any]:
    with saying(OWN) as found:
        yield found


@pytest.fixture(scope="module")
def gateway(server: SimulatedProviders, own: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    config = tmp_path_factory.mktemp("passing") / "penstock.yaml"
    config.write_text(json.dumps(_config(server, own.url)))
    environment = environment_for(server, PENSTOCK_MASTER_KEY=KEY)
    with serving(environment, "--config", str(config), "--workers", "1") as running:
        yield running


@pytest.fixture(scope="module")
def key(gateway: Running) -> str:
    return new_key(gateway)


def new_key(gateway: Running, **fields: Any) -> str:
    answer = httpx.post(f"{gateway.url}/key/generate", json=fields, headers={"authorization": f"Bearer {KEY}"})
    made: str = answer.json()["key"]
    return made


def ask(gateway: Running, key: str, method: str, path: str, **more: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}", **more.pop("headers", {})}
    return httpx.request(method, gateway.url + path, headers=headers, timeout=30, **more)


def row(gateway: Running, call_id: str) -> Any:
    for _ in range(200):
        if found := ask(gateway, KEY, "GET", f"/spend/logs?request_id={call_id}").json():
            return found[0]
        time.sleep(0.05)
    raise AssertionError(f"no row for {call_id}")


def seen(providers: SimulatedProviders) -> str:
    """All that the provider was told of who asks."""
    request = providers.last
    return f"{request.target}\n{list(request.headers.items())}"


# -- the providers' own clients ---------------------------------------------------------------------------------------


def test_openai(gateway: Running, key: str, providers: SimulatedProviders) -> None:
    with openai.OpenAI(base_url=f"{gateway.url}/openai/v1", api_key=key, max_retries=0) as client:
        answer = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=SAID)
        assert answer.parse().choices[0].message.content
        assert float(answer.headers["x-penstock-cost"]) > 0
        logged = row(gateway, answer.headers["x-penstock-call-id"])
        assert logged["spend"] == pytest.approx(float(answer.headers["x-penstock-cost"]), rel=1e-9)
        assert logged["completion_tokens"] > 0
        assert "sk-fake-openai" in seen(providers) and key not in seen(providers)
        assert client.models.list().data
        assert client.embeddings.create(model="text-embedding-3-small", input="x").data


def test_openai_streams(gateway: Running, key: str, providers: SimulatedProviders) -> None:
    providers.script(Reply.text("one two three", pieces=3))
    with (
        openai.OpenAI(base_url=f"{gateway.url}/openai", api_key=key, max_retries=0) as client,
        client.chat.completions.with_streaming_response.create(
            model="gpt-4o", messages=SAID, stream=True, stream_options={"include_usage": True}
        ) as answer,
    ):
        call_id = answer.headers["x-penstock-call-id"]
        chunks = list(answer.parse())
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "one two three"
    assert row(gateway, call_id)["spend"] > 0


@pytest.mark.filterwarnings("ignore:The model:DeprecationWarning")
def test_anthropic(gateway: Running, key: str, providers: SimulatedProviders) -> None:
    with anthropic.Anthropic(base_url=f"{gateway.url}/anthropic", api_key=key, max_retries=0) as client:
        answer = client.messages.with_raw_response.create(model="claude-sonnet-4-5", max_tokens=50, messages=SAID)
        assert answer.parse().content and float(answer.headers["x-penstock-cost"]) > 0
        assert client.messages.count_tokens(model="claude-sonnet-4-5", messages=SAID).input_tokens > 0
        with client.messages.stream(model="claude-sonnet-4-5", max_tokens=50, messages=SAID) as stream:
            assert "".join(stream.text_stream)
    assert "sk-fake-anthropic" in seen(providers) and key not in seen(providers)


def test_gemini(gateway: Running, key: str, providers: SimulatedProviders) -> None:
    options = gemini_types.HttpOptions(base_url=f"{gateway.url}/gemini")
    with genai.Client(api_key=key, http_options=options) as client:
        assert client.models.generate_content(model="gemini-2.5-flash", contents="Hi").text
        assert "".join(
            chunk.text or "" for chunk in client.models.generate_content_stream(model="gemini-2.5-flash", contents="Hi")
        )
    assert "fake-gemini" in seen(providers) and key not in seen(providers)


def test_a_key_in_the_query_stays_here(gateway: Running, key: str, providers: SimulatedProviders) -> None:
    path = f"/gemini/v1beta/models/gemini-2.5-flash:generateContent?key={key}&alt=json"
    body = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    answer = httpx.post(gateway.url + path, json=body)
    assert answer.status_code == 200, answer.text
    assert float(answer.headers["x-penstock-cost"]) > 0
    assert key not in seen(providers) and "alt=json" in providers.last.target


def test_azure(gateway: Running, key: str, providers: SimulatedProviders) -> None:
    answer = httpx.post(
        f"{gateway.url}/azure/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21",
        json={"messages": SAID},
        headers={"api-key": key},
    )
    assert answer.status_code == 200, answer.text
    assert providers.last.headers["api-key"] == "fake-azure" and key not in seen(providers)
    assert providers.last.target.count("api-version") == 1


def test_bedrock_is_signed_as_sent(gateway: Running, key: str, providers: SimulatedProviders) -> None:
    client: Any = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=f"{gateway.url}/bedrock",
        aws_access_key_id="AKIACLIENT",
        aws_secret_access_key="client-secret",
        config=Config(retries={"max_attempts": 0}),
    )

    def with_key(request: Any, **_: Any) -> None:
        request.headers["x-api-key"] = key

    client.meta.events.register("before-send.*.*", with_key)
    try:
        answer = client.converse(
            modelId="us.amazon.nova-lite-v1:0", messages=[{"role": "user", "content": [{"text": "Hi"}]}]
        )
    finally:
        client.close()
    assert answer["output"]["message"]["content"][0]["text"]
    assert "AKIAFAKE" in seen(providers) and "AKIACLIENT" not in seen(providers) and key not in seen(providers)


# -- what goes through, and what does not -----------------------------------------------------------------------------


def test_files_and_methods(gateway: Running, key: str, providers: SimulatedProviders) -> None:
    with openai.OpenAI(base_url=f"{gateway.url}/openai/v1", api_key=key, max_retries=0) as client:
        made = client.files.create(file=("a.bin", BINARY), purpose="user_data")
        assert client.files.content(made.id).content == BINARY
        assert client.files.delete(made.id).deleted


def test_headers_of_the_connection_and_the_key_stay(gateway: Running, key: str, providers: SimulatedProviders) -> None:
    more = {
        "x-api-key": key,
        "te": "trailers",
        "cookie": "a=b",
        "proxy-connection": "keep-alive",
        "x-penstock-tags": "mine",
        "x-of-mine": "goes on",
        "openai-beta": "assistants=v2",
    }
    answer = ask(gateway, key, "GET", "/openai/v1/models", headers=more)
    assert answer.status_code == 200, answer.text
    sent = {name.lower() for name, _ in providers.last.headers.items()}
    assert {"x-of-mine", "openai-beta"} <= sent
    assert not sent & {"te", "cookie", "x-api-key", "proxy-connection", "x-penstock-tags"}
    assert key not in seen(providers)


def test_errors_come_as_they_are(gateway: Running, key: str, providers: SimulatedProviders) -> None:
    providers.script(Reply.error(429, "slow down", retry_after=9))
    body = {"model": "claude-sonnet-4-5", "max_tokens": 5, "messages": SAID}
    answer = ask(gateway, key, "POST", "/anthropic/v1/messages", json=body)
    assert answer.status_code == 429 and answer.headers["retry-after"] == "9"
    assert answer.json()["type"] == "error" and answer.json()["error"]["message"] == "slow down"
    assert len(providers.requests) == 1, "what is passed through is not repeated"
    absent = ask(gateway, key, "GET", "/openai/v1/files/file-nowhere")
    assert absent.status_code == 404 and absent.json()["error"]["message"]


def test_who_may_not(gateway: Running, key: str, providers: SimulatedProviders) -> None:
    assert httpx.get(f"{gateway.url}/openai/v1/models").status_code == 401
    assert ask(gateway, key, "GET", "/mistral/v1/models").status_code == 403, "the configuration does not name it"
    assert ask(gateway, key, "GET", "/nobody/v1/models").status_code == 404
    narrow = new_key(gateway, models=["gpt-4o"])
    body = {"model": "gpt-4o", "messages": SAID}
    assert ask(gateway, narrow, "POST", "/openai/v1/chat/completions", json=body).status_code == 200
    refused = ask(gateway, narrow, "POST", "/openai/v1/chat/completions", json={**body, "model": "gpt-4o-mini"})
    assert refused.status_code in (401, 403)
    assert ask(gateway, narrow, "GET", "/openai/v1/files").status_code in (401, 403)
    for path in ("/openai/v1/../../x", "/openai/%2e%2e/x", "/openai/v1/%2e%2e/%2e%2e/x"):
        assert ask(gateway, key, "GET", path).status_code in (400, 404)


def test_budgets_and_limits_hold(gateway: Running, providers: SimulatedProviders) -> None:
    poor = new_key(gateway, max_budget=1e-9)
    body = {"model": "gpt-4o", "messages": SAID}
    refused = ask(gateway, poor, "POST", "/openai/v1/chat/completions", json=body)
    assert refused.status_code == 429 and "budget" in refused.text.lower()
    unpriced = ask(
        gateway, poor, "POST", "/openai/v1/embeddings", json={"model": "text-embedding-3-small", "input": "x"}
    )
    assert unpriced.status_code == 403 and "/v1/embeddings" in unpriced.text
    assert not providers.requests
    modest = new_key(gateway, max_budget=0.005)
    assert ask(gateway, modest, "POST", "/openai/v1/chat/completions", json=body).status_code == 200
    assert 0 < providers.last.json["max_tokens"] < 500, "no more comes out than the budget has"
    rich = new_key(gateway, max_budget=100, rpm_limit=2)
    statuses = [ask(gateway, rich, "POST", "/openai/v1/chat/completions", json=body).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


# -- the operator's own addresses -------------------------------------------------------------------------------------


def test_own_endpoints(gateway: Running, key: str, own: Any) -> None:
    answer = ask(gateway, key, "POST", "/own/search?q=cats", json={"a": 1}, headers={"x-mine": "stays"})
    assert (answer.status_code, answer.text, answer.headers["x-own"]) == (200, "found", "yes")
    sent = own.asked[-1].lower()
    assert sent.startswith(b"post /find?fixed=1&q=cats http/1.1") and sent.endswith(b'{"a":1}')
    assert b"authorization: bearer fake-own" in sent and b"x-mine" not in sent and key.encode() not in own.asked[-1]
    assert row(gateway, answer.headers["x-penstock-call-id"])["spend"] == 0


def test_own_endpoints_below_and_without_a_key(gateway: Running, own: Any) -> None:
    answer = httpx.get(
        f"{gateway.url}/open/a/b%20c?x=1", headers={"x-mine": "goes", "authorization": "Bearer sk-wrong"}
    )
    assert answer.status_code == 200, answer.text
    sent = own.asked[-1].lower()
    assert sent.startswith(b"get /open/a/b%20c?x=1 http/1.1") and b"x-mine: goes" in sent and b"sk-wrong" not in sent


def test_own_endpoints_that_refuse(gateway: Running, key: str) -> None:
    assert ask(gateway, key, "GET", "/single").status_code == 200
    assert ask(gateway, key, "POST", "/single").status_code == 405
    assert httpx.get(f"{gateway.url}/own/search").status_code == 401
    assert ask(gateway, key, "GET", "/own/search/below").status_code == 404
