"""What is said in the benchmark: bodies of the sizes that the page promises, and answers that clients can read."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from bench.gateway import messages

BODIES = [messages.chat_request, messages.messages_request]


@pytest.mark.parametrize("make", BODIES)
@pytest.mark.parametrize("model", ["a", "gpt-4o-mini", "tensorzero::model_name::everyday"])
def test_a_request_has_its_size_whatever_the_model_is_called(make: Callable[[str], bytes], model: str) -> None:
    body = make(model)
    assert len(body) == messages.REQUEST_SIZE == 250
    assert json.loads(body)["model"] == model


@pytest.mark.parametrize("make", [messages.chat_answer, messages.messages_answer])
@pytest.mark.parametrize("size", [690, 700, 5000])
def test_an_answer_has_its_size_and_says_the_mark(make: Callable[[int], bytes], size: int) -> None:
    assert len(make(size)) == size
    assert messages.ANSWER_MARK in messages.text_of(make(size))


def test_a_size_that_cannot_be_is_an_error() -> None:
    with pytest.raises(ValueError, match="30 bytes are too few"):
        messages.chat_answer(30)


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[]", b'{"choices":[]}', b'{"error":{"message":"no"}}'])
def test_what_is_no_answer_says_nothing(body: bytes) -> None:
    assert messages.text_of(body) == ""
