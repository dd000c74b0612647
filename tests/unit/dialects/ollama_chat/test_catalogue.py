"""Every field of the official client's types comes back exactly: in requests, answers and streams."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from penstock.dialects.ollama_chat import DIALECT
from penstock.types.errors import DialectError
from tests.contract import dialects as contract
from tests.support import need
from tests.support.catalogue import values

need(module="ollama", hint="pip install ollama")

from ollama._types import ChatRequest, ChatResponse, Message  # noqa: E402  # asked for above

ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": False}
ANSWER: dict[str, Any] = {"model": "m", "message": {"role": "assistant", "content": "Hello"}, "done": True}
TOLD: dict[str, Any] = {**ANSWER, "done": False}


def bodies() -> Iterator[dict[str, Any]]:
    """Bodies, each with one field, or a message of one."""
    for name, field in ChatRequest.model_fields.items():
        if name not in ("model", "messages"):
            yield from ({**ASKED, name: value} for value in [*values(field.annotation), None])
    for role in ("user", "assistant", "system", "tool"):
        yield from ({**ASKED, "messages": [{**value, "role": role}]} for value in values(Message))


def answers() -> Iterator[dict[str, Any]]:
    """Answers, each with one field, or a message of one."""
    yield from ({**ANSWER, **value} for value in values(ChatResponse))
    yield from ({**ANSWER, "message": {"content": "", **value, "role": "assistant"}} for value in values(Message))


def told(check: Callable[[Any], None], cases: Iterator[Any]) -> int:
    """How many cases passed. What the client itself writes in another form (images) or never, may be refused."""
    passed = 0
    for case in cases:
        try:
            check(case)
            passed += 1
        except DialectError as error:
            if "got null" not in str(error) and "images" not in error.path:
                raise
    return passed


def test_every_field_of_a_request_comes_back() -> None:
    assert told(lambda body: contract.assert_request_exact(DIALECT, body, where=str(body)), bodies()) > 100


def test_every_field_of_an_answer_comes_back() -> None:
    assert told(lambda body: contract.assert_response_exact(DIALECT, body, str(body)), answers()) > 50


@pytest.mark.parametrize("place", [0, 1, 2])
def test_every_field_of_a_stream_comes_back(place: int) -> None:
    def check(answer: dict[str, Any]) -> None:
        lines = [TOLD, TOLD, ANSWER]
        lines[place] = {**answer, "done": place == 2}
        data = "".join(json.dumps(line) + "\n" for line in lines).encode()
        contract.assert_stream_exact(DIALECT, data, str(answer))

    assert told(check, answers()) > 50
