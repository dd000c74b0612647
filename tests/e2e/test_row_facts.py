"""What a request says for the ledger stands in its row: tags, end user, session, metadata; prompts only where asked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from penstock.testing.providers import Reply, SimulatedProviders
from tests.e2e.gateway import KEY, environment_for
from tests.e2e.test_processes import HELLO, Gateway, serving, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux")

SAID = {
    "x-litellm-tags": "blue, green",
    "x-litellm-end-user-id": "ann",
    "x-litellm-session-id": "session-1",
    "x-litellm-spend-logs-metadata": '{"cost_center": 7}',
}
WORDS = "a prompt that nobody else says"


def row(gateway: Gateway, call: str) -> Any:
    found = until(lambda: gateway.ask("GET", f"/spend/logs?request_id={call}").json())
    return found[0]


def asked(gateway: Gateway, key: str, **body: Any) -> str:
    message = [{"role": "user", "content": WORDS}]
    with gateway.client(key) as client:
        answer = client.post("/v1/chat/completions", json={**HELLO, "messages": message, **body}, headers=SAID)
        assert answer.status_code == 200, answer.text
        return answer.headers["x-penstock-call-id"]


def test_the_row_says_what_the_request_said(tmp_path: Path) -> None:
    with serving(tmp_path, workers=1) as gateway:
        key = gateway.made(tags=["own"])
        call = asked(gateway, key, user="bob", metadata={"job": "nightly"})
        found = row(gateway, call)
        assert found["request_tags"] == ["own", "blue", "green"]
        assert found["end_user"] == "ann"
        assert found["session_id"] == "session-1"
        assert (found["metadata"]["cost_center"], found["metadata"]["job"]) == (7, "nightly")
        assert WORDS not in str(found), "prompts are not kept unless they are asked for"
        (line,) = until(lambda: [line for line in gateway.log.splitlines() if call in line])
        assert '"end_user":"ann"' in line
        assert '"session":"session-1"' in line
        answer = gateway.ask(
            "POST", "/v1/chat/completions", json=HELLO, headers={"x-penstock-spend-logs-metadata": "no JSON"}
        )
        assert answer.status_code == 400
        assert "spend-logs-metadata" in answer.text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["openai/gpt-4o", "anthropic/claude-sonnet-4-5"])
def test_prompts_and_answers_are_kept_where_they_are_asked_for(tmp_path: Path, model: str, stream: bool) -> None:
    config = tmp_path / "penstock.yaml"
    config.write_text(f'models: [{{name: "{model}", model: "{model}"}}]\ngeneral: {{store_prompts: true}}\n')
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
        providers.script(Reply.text("an answer that is kept"), Reply.text("a private answer"))
        found = row(gateway, asked(gateway, KEY, model=model, stream=stream))
        assert WORDS in str(found["messages"])
        if stream:
            assert "kept" in str(found["response"])
        else:
            assert found["response"]["choices"][0]["message"]["content"] == "an answer that is kept"
        private = row(gateway, asked(gateway, KEY, **{"model": model, "stream": stream, "no-log": True}))
        assert WORDS not in str(private)
        assert "a private answer" not in str(private)
