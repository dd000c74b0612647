"""Settings that change while the gateway runs hold at once, on connections that are open, too."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from penstock.testing.providers import Reply, SimulatedProviders
from tests.e2e.gateway import KEY, environment_for
from tests.e2e.test_processes import HELLO, serving, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux")

CONFIG = """
models:
  - {{name: paid, model: openai/gpt-4o, api_key: fake, api_base: "http://127.0.0.1:1"}}
  - name: unknown
    model: openai/nobody-knows-it
    prices: {{input: 1, output: 1}}
  - {{name: demo, model: demo}}
routing: {{retries: 0}}
general: {{{general}}}
"""
BEFORE = "max_body: 2000, log_level: info, budget_status: 429, default_max_output: 10"
AFTER = "max_body: 5000, log_level: error, budget_status: 402, default_max_output: 100000, litellm_metrics: true"


def test_a_change_of_settings_holds_for_connections_that_are_open(tmp_path: Path) -> None:
    config = tmp_path / "penstock.yaml"
    config.write_text(CONFIG.format(general=BEFORE))
    with (
        SimulatedProviders() as providers,
        serving(
            tmp_path,
            "--config",
            str(config),
            workers=1,
            environment=environment_for(providers, PENSTOCK_MASTER_KEY=KEY),
        ) as gateway,
    ):

        def most() -> int:
            """The tokens that a model may give of which nothing is known."""
            providers.script(Reply.text("Hi"))
            assert gateway.chat(able, model="unknown").status_code == 200
            return next(int(value) for name, value in providers.last.json.items() if name.startswith("max_"))

        poor = gateway.made(max_budget=0.000000001)
        able = gateway.made(max_budget=1)
        long = {**HELLO, "messages": [{"role": "user", "content": "x" * 3000}]}
        with gateway.client() as client:
            assert client.post("/v1/chat/completions", json=HELLO).status_code == 200
            assert gateway.chat(messages=long["messages"]).status_code == 413
            assert gateway.chat(poor, model="paid").status_code == 429
            assert most() < 100
            assert "litellm_" not in gateway.ask("GET", "/metrics").text

            config.write_text(CONFIG.format(general=AFTER))
            gateway.process.send_signal(signal.SIGHUP)
            until(lambda: gateway.chat(poor, model="paid").status_code == 402)
            assert client.post("/v1/chat/completions", json=long).status_code == 200, "the connection is an old one"
            assert most() >= 100_000
            assert "litellm_" in gateway.ask("GET", "/metrics").text
            until(lambda: "/v1/chat/completions" in gateway.log)
            call = gateway.chat().headers["x-penstock-call-id"]
        gateway.stop()
        assert call not in gateway.log, "a request that succeeded is not logged any more"
