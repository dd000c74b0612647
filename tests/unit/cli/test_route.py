"""`penstock route explain`: what it prints for a request that it does not send."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from penstock.cli import main

CONFIG = """
models:
  - {name: cheap, id: nano, model: openai/gpt-4.1-nano, api_key: fake-1, weight: 2}
  - {name: cheap, id: mini, model: openai/gpt-4o-mini, api_key: fake-2, weight: 1}
  - {name: cheap, id: european, model: openai/gpt-4.1-mini, api_key: fake-3, tags: [eu]}
  - {name: strong, id: claude, model: anthropic/claude-sonnet-4-5, api_key: fake-4}
routing:
  fallbacks: {cheap: [strong]}
  cascades:
    smart: {groups: [cheap, strong]}
  rules:
    - {name: code, when: {code: true}, to: strong}
    - {name: poems, when: {keywords: poem}, to: smart}
    - {to: cheap}
"""
EXPECTED = """\
asked for   auto (openai_chat)
request     tokens: 10, characters: 14, messages: 1, max_tokens: 500
rule        miss  code: code: it is false
rule        miss  poems: keywords: none of 1 occurs
rule        hit   default: nothing else fitted
group       cheap (simple-shuffle)
  PLACE  DEPLOYMENT  MODEL                 FIRST       $ IN  $ OUT AT MOST  WHY
"""


class Explained:
    """Runs the command over a configuration."""

    def __init__(self, folder: Path, output: pytest.CaptureFixture[str]) -> None:
        self.config = folder / "penstock.yaml"
        self.request = folder / "request.json"
        self.config.write_text(CONFIG)
        self.output = output
        self.status = 0

    def __call__(self, text: str = "Say something.", *words: str, model: str = "auto", **body: Any) -> str:
        asked = {"model": model, "max_tokens": 500, "messages": [{"role": "user", "content": text}], **body}
        self.request.write_text(json.dumps(asked))
        given = ["--config", str(self.config), "--request", str(self.request)]
        self.status = main(["route", "explain", *given, *words])
        printed = self.output.readouterr()
        return printed.out or printed.err

    def json(self, text: str = "Say something.", *words: str, **body: Any) -> Any:
        return json.loads(self(text, *words, "--json", **body))


@pytest.fixture
def explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Explained:
    return Explained(tmp_path, capsys)


def test_what_it_prints(explained: Explained) -> None:
    printed = explained()
    assert printed.startswith(EXPECTED)
    assert "fallback    unavailable: strong" in printed
    assert "european" in printed and "its tags (eu) are not those of the request" in printed
    assert "66.7 %" in printed and "fake-" not in printed
    assert explained.status == 0


def test_a_rule_and_a_cascade(explained: Explained) -> None:
    assert explained.json("Fix:\n```\nx\n```")["group"] == "strong"
    poem = explained.json("Write a poem")
    assert (poem["decision"]["rule"], poem["cascade"], poem["group"]) == ("poems", ["cheap", "strong"], "cheap")
    streamed = explained.json("Write a poem", stream=True)
    assert (streamed["cascade"], streamed["group"]) == (None, "strong")


def test_other_dialects_headers_and_tags(explained: Explained) -> None:
    found = explained.json("Hi", "--path", "/v1/messages", "--header", "X-Penstock-Tags: eu", model="cheap")
    assert found["dialect"] == "anthropic_messages"
    assert [each["deployment"] for each in found["placed"] if each["place"]] == ["european"]
    assert explained.json("Hi", "--tag", "eu", model="cheap")["placed"][0]["deployment"] == "european"
    own = explained.json("Hi", model="cheap", fallbacks=["strong"], num_retries=1)
    assert own["fallbacks"]["content_policy"] == ["strong"]


def test_a_request_that_is_too_long(explained: Explained) -> None:
    found = explained.json("word " * 150_000, model="cheap")
    places = {each["deployment"]: each["place"] for each in found["placed"]}
    assert places == {"nano": 1, "mini": None, "european": None}
    assert any("takes 128000 tokens, and there are about" in each["why"] for each in found["placed"])


def test_nobody_to_ask_is_a_status(explained: Explained) -> None:
    assert "nobody      can be asked" in explained("Hi", "--tag", "moon", model="cheap")
    assert explained.status == 1


@pytest.mark.parametrize(
    ("words", "body", "said"),
    [
        ((), {"model": "nobody"}, "no model group 'nobody'"),
        (("--path", "/v2/nothing"), {}, "no dialect is spoken at '/v2/nothing'"),
        (("--header", "x-penstock-timeout: soon"), {}, "x-penstock-timeout"),
        (("--header", "nonsense"), {}, 'as "name: value"'),
        ((), {"messages": "Hi"}, "messages"),
    ],
)
def test_what_is_wrong_is_said(explained: Explained, words: tuple[str, ...], body: dict[str, Any], said: str) -> None:
    assert said in explained("Hi", *words, **body)
    assert explained.status == 1


def test_a_wrong_rule_is_told_with_its_name(explained: Explained) -> None:
    explained.config.write_text(CONFIG.replace("code: true", "cod: true"))
    assert "'cod': did you mean 'code'" in explained()
    assert explained.status == 1
