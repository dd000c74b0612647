"""Hosts that speak a dialect and have errors of their own: the official clients read them through the gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, cast

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai.errors import ClientError

from tests.e2e.gateway import KEY, Running, environment_for, serving
from tests.support.raw_server import saying

GOOGLES = {"code": 400, "message": "it broke", "status": "INVALID_ARGUMENT"}
BODIES: dict[str, Any] = {
    "detail": {"detail": "it broke"},
    "flat": {"message": "it broke"},
    "text": {"error": "it broke"},
    "listed": [{"error": GOOGLES}],
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with ExitStack() as stack:
        models: list[dict[str, Any]] = []
        for name, body in BODIES.items():
            data = json.dumps(body).encode()
            head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
            url = stack.enter_context(saying(head + b"content-length: %d\r\n\r\n" % len(data) + data)).url
            for provider in ("openai/gpt-4o", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash"):
                each = {"name": f"{provider.partition('/')[0]}-{name}", "model": provider, "api_key": "sk-fake"}
                models.append({**each, "api_base": url})
        config = tmp_path_factory.mktemp("foreign") / "penstock.yaml"
        config.write_text(json.dumps({"models": models, "routing": {"retries": 0}}))
        environment = environment_for(None, PENSTOCK_MASTER_KEY=KEY)
        yield stack.enter_context(serving(environment, "--config", str(config), "--workers", "1"))


@pytest.mark.parametrize("name", BODIES)
def test_openais_client(gateway: Running, name: str) -> None:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0) as client:
        model, said = f"openai-{name}", cast(Any, [{"role": "user", "content": "Hi"}])
        calls: list[Any] = [
            lambda: client.chat.completions.create(model=model, messages=said),
            lambda: client.responses.create(model=model, input="Hi"),
            lambda: client.embeddings.create(model=model, input="Hi"),
        ]
        for call in calls:
            with pytest.raises(openai.BadRequestError) as caught:
                call()
            assert isinstance(caught.value.body, dict), caught.value.body
            assert "it broke" in caught.value.body["message"]


@pytest.mark.parametrize("name", BODIES)
def test_anthropics_client(gateway: Running, name: str) -> None:
    with anthropic.Anthropic(base_url=gateway.url, api_key=KEY, max_retries=0) as client:
        with pytest.raises(anthropic.BadRequestError) as caught:
            client.messages.create(
                model=f"anthropic-{name}", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]
            )
        assert caught.value.type == "invalid_request_error" and isinstance(caught.value.body, dict)
        assert "it broke" in caught.value.body["error"]["message"]


@pytest.mark.parametrize("name", BODIES)
def test_googles_client(gateway: Running, name: str) -> None:
    with genai.Client(api_key=KEY, http_options={"base_url": gateway.url}) as client:
        for call in (client.models.generate_content, client.models.generate_content_stream):
            with pytest.raises(ClientError) as caught:
                list(call(model=f"gemini-{name}", contents="Hi"))
            assert caught.value.code == 400 and caught.value.status == "INVALID_ARGUMENT"
            assert "it broke" in str(caught.value.message)


@pytest.mark.parametrize("name", BODIES)
def test_an_array_of_googles_holds_the_error_once(gateway: Running, name: str) -> None:
    path = f"{gateway.url}/v1beta/models/gemini-{name}:streamGenerateContent"
    body = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    answer = httpx.post(path, json=body, headers={"x-goog-api-key": KEY})
    assert answer.status_code == 400
    assert "it broke" in answer.json()[0]["error"]["message"]
