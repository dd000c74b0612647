"""The measuring of token counts: that it measures, and that the published table says what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.calls.token_families import FAMILIES, OTHER
from tests.support import need
from tests.support.needs import REPOSITORY
from tools.measure_tokens import errors, measure, quantile, rows

PAGE = REPOSITORY / "docs" / "reference" / "tokens.md"


def exchange(number: int, text: str, tokens: int, **more: Any) -> dict[str, Any]:
    request = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **more}
    usage = {"prompt_tokens": tokens, "completion_tokens": 1, "total_tokens": tokens + 1}
    choice = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
    response = {"id": "x", "object": "chat.completion", "created": 1, "model": "gpt-4o", "choices": [choice]}
    return {
        "id": str(number),
        "provider": "openai",
        "request": {"method": "POST", "path": "/v1/chat/completions", "headers": {}, "body": request},
        "response": {"status": 200, "headers": {}, "body": {**response, "usage": usage}},
    }


def test_errors_are_relative_to_what_was_reported(tmp_path: Path) -> None:
    need(module="toktok", hint="pip install 'penstock[tokenizers]'")
    picture = [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
    recorded = [
        exchange(1, "hello world", 9),  # 3 + 4 + 2
        exchange(2, "hello world again", 20),  # counted: 10
        exchange(3, "hello world again", 20),  # the same once more
        exchange(4, "x", 500, messages=[{"role": "user", "content": picture}]),  # cannot be known
    ]
    (tmp_path / "recorded.jsonl").write_text("\n".join(json.dumps(each) for each in recorded))
    measured = measure(tmp_path)
    assert [(each.reported, each.counted, each.exact) for each in measured] == [(9, 9, True), (20, 10, True)]
    assert errors(measured) == [0.0, 0.5]


def test_quantiles() -> None:
    assert quantile([0.1], 0.9) == 0.1
    assert quantile([i / 10 for i in range(1, 11)], 0.9) == 0.9


@pytest.fixture(scope="module")
def table(shared: Callable[..., Path]) -> list[str]:
    need(module="toktok", hint="pip install 'penstock[tokenizers]'")
    return rows(measure(shared("provider-exchanges")))


def test_the_page_has_the_table(table: list[str]) -> None:
    assert "\n".join(table) in PAGE.read_text(encoding="utf-8"), "python -m tools.measure_tokens prints the new one"


def test_each_family_says_the_error_that_was_measured(table: list[str]) -> None:
    families = {family.name: family for family in (*FAMILIES, OTHER)}
    for line in table[2:-1]:
        name, *_, ours, _, rough = (cell.strip() for cell in line.strip("|").split("|"))
        assert families[name].error == pytest.approx(float(ours[:-1]) / 100), name
        assert families[name].rough_error == pytest.approx(float(rough[:-1]) / 100), name
