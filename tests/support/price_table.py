"""The published table of usages and their costs (docs/reference/prices.md), read as data: the document is the test.

Each row gives a usage in the words of the provider (which its dialect parses), the terms, the sum as arithmetic on
published prices, and the cost.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from penstock.dialects import registry
from penstock.providers.cost import Terms
from penstock.types.notes import NO_MEMO
from penstock.types.usage import Usage
from tests.support.needs import REPOSITORY

PAGE = REPOSITORY / "docs" / "reference" / "prices.md"
HEADING = "## Usages and their exact costs"
_ROW = re.compile(
    r"^\| `(?P<model>[^`]+)` \| (?P<answer>\w+) \| `(?P<usage>.*?)` \| (?P<terms>.*?) \| (?P<sum>.*?) "
    r"\| (?P<cost>.+) \|$"
)
_PRODUCT = re.compile(r"^\d+(?:\.\d+)?(?: × \d+(?:\.\d+)?(?:/M)?)+$")

_BODIES: dict[str, dict[str, Any]] = {
    "openai_chat": {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    },
    "openai_responses": {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "m",
        "status": "completed",
        "output": [
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
            }
        ],
    },
    "anthropic_messages": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
    },
    "gemini": {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": "STOP"}]},
    "bedrock_converse": {
        "output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}},
        "stopReason": "end_turn",
        "metrics": {"latencyMs": 1},
    },
    "cohere_chat": {
        "id": "1",
        "finish_reason": "COMPLETE",
        "message": {"role": "assistant", "content": [{"type": "text", "text": "Hi"}]},
    },
    "ollama_chat": {
        "model": "m",
        "created_at": "2026-01-01T00:00:00Z",
        "message": {"role": "assistant", "content": "Hi"},
        "done": True,
        "done_reason": "stop",
    },
}
"""The smallest answer of each dialect, to put a usage into."""


@dataclass(frozen=True)
class PriceCase:
    """One row. `cost` is decimal text, or "unknown: " and a part of the reason; `sum` is arithmetic, "" where the cost
    is unknown."""

    line: int
    model: str
    answer: str
    usage: dict[str, Any]
    terms: dict[str, Any]
    sum: str
    cost: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.model}"


def price_cases() -> list[PriceCase]:
    """All rows of the page."""
    return list(_read(PAGE.read_text(encoding="utf-8")))


def _read(text: str) -> Iterator[PriceCase]:
    lines = text.splitlines()
    first = lines.index(HEADING) + 1
    for number, line in enumerate(lines[first:], first + 1):
        match = _ROW.match(line)
        if match is None:
            assert not line.startswith("| `"), f"{PAGE.name}:{number} is not a row of the form that this file reads"
            continue
        terms = json.loads(match["terms"].strip("`") or "{}")
        yield PriceCase(
            number, match["model"], match["answer"], json.loads(match["usage"]), terms, match["sum"], match["cost"]
        )


def usage_of(case: PriceCase) -> Usage:
    """The usage of a row, as its dialect parses it out of an answer."""
    if case.answer == "usage":
        return Usage(**case.usage)
    body = dict(_BODIES[case.answer])
    if case.answer == "ollama_chat":
        body |= case.usage
    else:
        body["usageMetadata" if case.answer == "gemini" else "usage"] = case.usage
    usage = registry.get(case.answer).parse_response(body, NO_MEMO).usage
    assert usage is not None
    return usage


def terms_of(case: PriceCase) -> Terms:
    """The terms of a row."""
    words = {name: value for name, value in case.terms.items() if name not in ("quantities", "trust_reported")}
    if "at" in words:
        words["at"] = datetime.fromisoformat(words["at"])
    return Terms(**words)


def value_of(text: str) -> Fraction:
    """The value of a sum: products of counts, prices ("2.5/M" is a millionth of 2.5) and factors, joined by " + "."""
    return sum((_product(part) for part in text.split(" + ")), Fraction(0)) if text else Fraction(0)


def _product(text: str) -> Fraction:
    assert _PRODUCT.match(text), text
    value = Fraction(1)
    for factor in text.split(" × "):
        value *= Fraction(factor.removesuffix("/M")) / (10**6 if factor.endswith("/M") else 1)
    return value
