"""Routing by task in a running gateway: rules, cascades and the line, as clients see them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from penstock.testing.providers import Reply, SimulatedProviders
from tests.e2e.gateway import KEY, Running, environment_for, serving

CONFIG = """
models:
  - {{name: cheap, id: small, model: openai/gpt-4o-mini, api_key: fake-small, api_base: "{base}"}}
  - {{name: strong, id: large, model: openai/gpt-4o, api_key: fake-large, api_base: "{base}"}}
  - {{name: narrow, model: openai/gpt-4o, api_key: fake-narrow, api_base: "{base}", max_parallel_requests: 1}}
routing:
  retries: 0
  queue_size: 2
  queue_seconds: 30
  cascades:
    smart: {{groups: [cheap, strong]}}
  rules:
    - {{name: code, when: {{code: true}}, to: strong}}
    - {{name: sums, when: {{keywords: how much}}, to: smart}}
    - {{to: cheap}}
"""


@pytest.fixture(scope="module")
def providers() -> Iterator[SimulatedProviders]:
    with SimulatedProviders() as simulated:
        yield simulated


@pytest.fixture(scope="module")
def gateway(providers: SimulatedProviders, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    config = tmp_path_factory.mktemp("routing") / "penstock.yaml"
    config.write_text(CONFIG.format(base=providers.url("openai_chat")))
    environment = environment_for(providers, PENSTOCK_MASTER_KEY=KEY)
    with serving(environment, "--config", str(config), "--workers", "1") as running:
        yield running


def ask(gateway: Running, text: str, model: str = "auto", **body: Any) -> httpx.Response:
    asked = {"model": model, "messages": [{"role": "user", "content": text}], **body}
    headers = {"authorization": f"Bearer {KEY}"}
    return httpx.post(f"{gateway.url}/v1/chat/completions", json=asked, headers=headers, timeout=60)


def who(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return answer.headers["x-penstock-deployment"]


def test_what_a_request_is_chooses_the_group_and_the_answer_says_why(gateway: Running) -> None:
    plain, code = ask(gateway, "Tell me a story."), ask(gateway, "Why?\n```py\nx = 1\n```")
    assert (who(plain), who(code)) == ("small", "large")
    assert plain.headers["x-penstock-route"].startswith("model=auto; rule=default; group=cheap")
    assert code.headers["x-penstock-route"].startswith("model=auto; rule=code; group=strong")


def test_a_cheap_answer_that_passes_is_given(gateway: Running, providers: SimulatedProviders) -> None:
    before = len(providers.requests)
    answer = ask(gateway, "How much is it?")
    assert who(answer) == "small"
    assert answer.headers["x-penstock-route"].endswith("cascade=cheap: accepted")
    assert len(providers.requests) - before == 1


def test_one_that_does_not_is_asked_of_the_next_and_both_are_paid(
    gateway: Running, providers: SimulatedProviders
) -> None:
    providers.script(Reply.text("I'm sorry, but I can't help with that."), Reply.text("It is 42."))
    answer = ask(gateway, "How much is it?", model="smart")
    assert (who(answer), answer.json()["choices"][0]["message"]["content"]) == ("large", "It is 42.")
    assert "cascade=cheap: it begins like a refusal" in answer.headers["x-penstock-route"]
    assert answer.headers["x-penstock-attempts"] == "2"
    providers.script(Reply.text("It is 42."))
    alone = ask(gateway, "How much is it?", model="strong")
    assert float(answer.headers["x-penstock-cost"]) > float(alone.headers["x-penstock-cost"])


def test_where_the_strong_one_fails_a_cheap_answer_is_better_than_none(
    gateway: Running, providers: SimulatedProviders
) -> None:
    providers.script(Reply.text("I'm sorry, but I can't help with that."), Reply.error(400))
    answer = ask(gateway, "How much is it?", model="smart")
    assert who(answer) == "small"
    providers.script(Reply.error(400), Reply.error(400))
    assert ask(gateway, "How much is it?", model="smart").status_code == 400


def test_streams_are_not_cascaded(gateway: Running) -> None:
    answer = ask(gateway, "How much is it?", model="smart", stream=True)
    assert who(answer) == "large"
    assert answer.text.rstrip().endswith("[DONE]")


def test_requests_wait_for_their_turn_and_a_full_line_says_so(gateway: Running) -> None:
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda number: ask(gateway, f"{number}", model="narrow"), range(12)))
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) >= 3, "one is asked, and two wait"
    for answer in answers:
        if answer.status_code == 503:
            assert int(answer.headers["retry-after"]) >= 1
    page = httpx.get(f"{gateway.url}/metrics", headers={"authorization": f"Bearer {gateway.key}"}).text
    counted = re.findall(r"^penstock_request_queue_seconds_count\{.*narrow.*\} (\d+)", page, re.MULTILINE)
    waited = sum(map(int, counted))
    assert waited < statuses.count(200), "who did not wait is not counted"
    assert waited or 503 not in statuses, "where a line was full, somebody stood in it"


def test_a_model_that_there_is_not_is_told_so_beside_a_line_too(gateway: Running) -> None:
    answer = ask(gateway, "hello", "nobody")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (404, "model_not_found")
    assert "Set up here: cheap, strong, narrow" in error["message"]
