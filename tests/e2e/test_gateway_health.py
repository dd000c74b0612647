"""Health: what is asked only when somebody asks, what is asked by itself where the configuration wants it, and what the
gateway has to do just now.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from penstock.testing.providers import SimulatedProviders
from tests.e2e.gateway import KEY, Running, environment_for, serving
from tests.support.raw_server import HOLD, saying

CLOSED = "http://127.0.0.1:1"


@pytest.fixture
def providers() -> Iterator[SimulatedProviders]:
    with SimulatedProviders() as simulated:
        yield simulated


def started(folder: Path, providers: SimulatedProviders, config: Any, workers: str = "2") -> Any:
    path = folder / "penstock.yaml"
    path.write_text(json.dumps(config))
    environment = environment_for(providers, PENSTOCK_MASTER_KEY=KEY)
    return serving(environment, "--config", str(path), "--workers", workers)


def get(gateway: Running, path: str, key: str = KEY) -> httpx.Response:
    return httpx.get(gateway.url + path, headers={"authorization": f"Bearer {key}"}, timeout=60)


def chat(gateway: Running, model: str) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
    return httpx.post(
        f"{gateway.url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {KEY}"}, timeout=60
    )


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(300):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come")


def test_every_deployment_is_asked_in_its_own_way(tmp_path: Path, providers: SimulatedProviders) -> None:
    models = [
        {"name": "gpt", "id": "gpt", "model": "openai/gpt-4o"},
        {"name": "vectors", "id": "vectors", "model": "openai/text-embedding-3-small"},
        {"name": "rank", "id": "rank", "model": "cohere/rerank-v3.5", "api_base": providers.url("cohere")},
        {"name": "picture", "id": "picture", "model": "openai/gpt-image-1"},
        {"name": "away", "id": "away", "model": "openai/gpt-4o", "api_base": CLOSED, "api_key": "sk-fake-never-shown"},
        {"name": "any/*", "model": "openai/*"},
    ]
    models[2]["api_key"] = "fake-cohere"
    with started(tmp_path, providers, {"models": models}) as gateway:
        assert not providers.requests, "nobody is asked before somebody asks"
        found = get(gateway, "/health").json()
        assert {each["model_id"] for each in found["healthy_endpoints"]} == {"gpt", "vectors", "rank"}
        assert [each["model_id"] for each in found["unhealthy_endpoints"]] == ["away"]
        assert [each["model_id"] for each in found["not_asked_endpoints"]] == ["picture"]
        assert "never-shown" not in json.dumps(found)
        assert get(gateway, "/health?model=vectors").json()["healthy_count"] == 1
        key = httpx.post(f"{gateway.url}/key/generate", json={}, headers={"authorization": f"Bearer {KEY}"}).json()
        before = len(providers.requests)
        assert get(gateway, "/health", key["key"]).status_code in (401, 403)
        assert len(providers.requests) == before


def test_a_deployment_that_does_not_answer_its_check_is_not_asked(
    tmp_path: Path, providers: SimulatedProviders
) -> None:
    check = {"enabled": True, "every": 1, "timeout": 2}
    models = [
        {"name": "gpt", "id": "away", "model": "openai/gpt-4o", "api_base": CLOSED, "order": 1, "health_check": check},
        {"name": "gpt", "id": "here", "model": "openai/gpt-4o", "order": 2},
        {"name": "alone", "id": "alone", "model": "openai/gpt-4o", "health_check": check},
    ]
    with started(tmp_path, providers, {"models": models, "routing": {"retries": 0}}) as gateway:
        assert "warning" not in gateway.welcome
        wait_until(lambda: "deployment away does not answer its health check" in gateway.output)
        time.sleep(0.3)
        for _ in range(10):  # both workers know it, though neither has tried
            answer = chat(gateway, "gpt")
            assert answer.status_code == 200, answer.text
            assert answer.headers["x-penstock-deployment"] == "here" and answer.headers["x-penstock-attempts"] == "1"
        asked = [each for each in providers.requests if b"Are you there" in each.body]
        assert asked, "who is alone is asked too"
        assert chat(gateway, "alone").status_code == 200


def test_the_backlog_of_all_workers(tmp_path: Path, providers: SimulatedProviders) -> None:
    with saying(HOLD) as stalled:
        models = [{"name": "slow", "model": "openai/gpt-4o", "api_base": stalled.url, "api_key": "sk-fake"}]
        models.append({"name": "gpt", "model": "openai/gpt-4o"})
        with started(tmp_path, providers, {"models": models}) as gateway:
            assert chat(gateway, "gpt").status_code == 200
            waiting = [asking(gateway, "slow") for _ in range(3)]
            wait_until(lambda: get(gateway, "/health/backlog").json()["in_flight_requests"] == 3)
            found = get(gateway, "/health/backlog").json()
            assert found["queued_requests"] == 0 and found["admitted_requests"] >= 1
            assert found["rejected_requests"] == 0
            for connection in waiting:
                connection.close()
            wait_until(lambda: get(gateway, "/health/backlog").json()["in_flight_requests"] == 0)


def asking(gateway: Running, model: str) -> socket.socket:
    """A client that has asked, and waits."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hi"}]})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
    connection = socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2])))
    connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
    return connection
