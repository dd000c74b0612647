"""What one worker learns, all know: circuits that open, also for workers that are born later."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.e2e.gateway import KEY, environment_for
from tests.e2e.test_processes import HELLO, serving, until
from tests.support.raw_server import saying

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux")

TOO_MUCH = b"HTTP/1.1 429 Too Many\r\nretry-after: 300\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"


def test_a_circuit_that_opens_at_one_worker_is_open_at_all(tmp_path: Path) -> None:
    with saying(TOO_MUCH) as server:
        config = tmp_path / "penstock.yaml"
        config.write_text(
            "models:\n"
            f"  - {{name: g, model: openai/gpt-4o, api_key: fake, api_base: {server.url}}}\n"
            "  - {name: g, model: demo}\n"
        )
        environment = environment_for(None, PENSTOCK_MASTER_KEY=KEY)
        with serving(tmp_path, "--config", str(config), workers=3, environment=environment) as gateway:
            ask = {**HELLO, "model": "g"}
            until(lambda: gateway.ask("POST", "/v1/chat/completions", json=ask).status_code == 200 and server.asked)
            gateway.ask("POST", "/key/block", json={"key": gateway.made()})  # all workers are heard after it
            asked = len(server.asked)
            for _ in range(40):
                assert gateway.ask("POST", "/v1/chat/completions", json=ask).status_code == 200
            assert len(server.asked) == asked == 1, "nobody else had to find out"

            before = gateway.processes()
            for number in (1, 2, 3):
                os.kill(before[f"worker {number}"], signal.SIGKILL)
            until(lambda: len(set(gateway.processes().values()) - set(before.values())) == 3)
            for _ in range(40):
                assert gateway.ask("POST", "/v1/chat/completions", json=ask).status_code == 200
            assert len(server.asked) == 1, "who is born later is told"
