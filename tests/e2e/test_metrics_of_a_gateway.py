"""`/metrics` of a running gateway: requests that come to no call, keys' limits and budgets, leases, deployments."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families as read_text

from tests.e2e.gateway import KEY, environment_for
from tests.e2e.test_processes import Gateway, serving, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux")

CONFIG = """
models:
  - {name: g, model: openai/gpt-4o, api_key: fake, api_base: "http://127.0.0.1:1"}
  - {name: g, model: demo}
general: {metrics_key_labels: true, max_body: 2000}
"""


def metrics(gateway: Gateway) -> dict[tuple[str, ...], float]:
    page = gateway.ask("GET", "/metrics").text
    return {
        (one.name, *(value for _, value in sorted(one.labels.items()))): one.value
        for family in read_text(page)
        for one in family.samples
    }


def refused(gateway: Gateway) -> dict[str, float]:
    """Errors by their kind; all of them are refusals here."""
    found = metrics(gateway)
    kinds: dict[str, float] = {}
    for name, value in found.items():
        if name[0] == "penstock_request_errors_total":
            kinds[name[1]] = kinds.get(name[1], 0) + value
    assert sum(
        value for name, value in found.items() if name[0] == "penstock_requests_total" and "refused" in name
    ) == (sum(kinds.values()))
    return kinds


def speak(gateway: Gateway, words: bytes) -> None:
    at = urlsplit(gateway.url)
    with socket.create_connection((at.hostname, at.port or 0), timeout=30) as connection:
        connection.sendall(words)
        while connection.recv(65536):
            pass


def test_what_the_metrics_of_a_gateway_say(tmp_path: Path) -> None:
    config = tmp_path / "penstock.yaml"
    config.write_text(CONFIG)
    environment = environment_for(None, PENSTOCK_MASTER_KEY=KEY)
    with serving(tmp_path, "--config", str(config), workers=2, environment=environment) as gateway:
        blocked = gateway.made()
        gateway.ask("POST", "/key/block", json={"key": blocked})
        wrong = [gateway.chat("sk-fake-wrong").status_code for _ in range(40)]
        assert wrong == [401] * 40
        assert gateway.chat(blocked).status_code == 403
        assert gateway.ask("GET", "/nowhere/at/all/x").status_code == 404
        assert gateway.ask("DELETE", "/v1/chat/completions").status_code == 405
        assert gateway.chat(messages=[{"role": "user", "content": "x" * 3000}]).status_code == 413
        speak(gateway, b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n")
        assert refused(gateway) == {"authentication": 40, "permission": 1, "too_large": 1, "invalid_request": 3}
        lines = [line for line in gateway.log.splitlines() if '"outcome":"refused"' in line]
        assert lines
        assert "sk-fake-wrong" not in gateway.log
        assert blocked not in gateway.log

        key = gateway.made(key_alias="team", rpm_limit=100, max_budget=2)
        gateway.made(rpm_limit=50)
        for _ in range(10):
            assert gateway.chat(key, model="g").status_code == 200
        found = metrics(gateway)
        assert found["penstock_key_limit", "team", "requests"] == 100
        assert found["penstock_key_remaining", "team", "requests"] == 90, "what lies with workers is left, too"
        assert found["penstock_key_budget_dollars", "team"] == 2
        assert until(lambda: metrics(gateway)["penstock_key_budget_remaining_dollars", "team"] == 2)
        assert sum(1 for name in found if name[0] == "penstock_key_limit") == 1, "keys without an alias are no labels"
        assert found["penstock_lease_grants_total", "requests"] >= 1
        assert found["penstock_lease_grants_total", "money"] >= 1
        assert found["penstock_queue_length",] == 0
        states = {name[1]: value for name, value in found.items() if name[0] == "penstock_deployment_state"}
        assert set(states.values()) <= {0, 1, 2}
        assert len(states) == 2
