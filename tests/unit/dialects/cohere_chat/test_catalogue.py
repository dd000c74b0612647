"""Every field of the official client's types comes back exactly: in requests, answers and streams."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from penstock.dialects.cohere_chat import DIALECT
from penstock.types.errors import DialectError
from tests.contract import dialects as contract
from tests.support import need
from tests.support.catalogue import values
from tests.unit.dialects.cohere_chat.samples import START, event, lines

need(module="cohere", hint="pip install cohere")

from cohere.types import (  # noqa: E402  # asked for above
    AssistantChatMessageV2,
    SystemChatMessageV2,
    ToolChatMessageV2,
    UserChatMessageV2,
)
from cohere.v2 import raw_client  # noqa: E402  # asked for above
from cohere.v2 import types as v2  # noqa: E402  # asked for above

ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
MESSAGES = {
    "user": UserChatMessageV2,
    "assistant": AssistantChatMessageV2,
    "system": SystemChatMessageV2,
    "tool": ToolChatMessageV2,
}


def settings() -> Iterator[dict[str, Any]]:
    """Bodies, each with one setting."""
    parameters = typing.get_type_hints(raw_client.RawV2Client.chat, vars(raw_client))
    for name in parameters.keys() - {"request_options", "return", "model", "messages"}:
        yield from ({**ASKED, name: value} for value in [*values(parameters[name]), None])


def turns() -> Iterator[dict[str, Any]]:
    """Bodies, each with a message that has one field."""
    for role, kind in MESSAGES.items():
        yield from ({**ASKED, "messages": [*ASKED["messages"], {"role": role, **value}]} for value in values(kind))


def streamed() -> Iterator[tuple[str, dict[str, Any]]]:
    """The frames of every kind of event."""
    (union, *_) = typing.get_args(v2.V2ChatStreamResponse)
    for kind in typing.get_args(union):
        (name,) = typing.get_args(kind.model_fields["type"].annotation)
        yield from ((name, {**value, "type": name}) for value in values(kind))


def told(check: Callable[[Any], None], cases: Iterator[Any]) -> int:
    """How many cases passed. An object without what it is there for (a call without a function) may be refused."""
    passed = 0
    for case in cases:
        try:
            check(case)
            passed += 1
        except DialectError as error:
            if "got null" not in str(error):
                raise
    return passed


@pytest.mark.parametrize("cases", [settings, turns])
def test_every_field_of_a_request_comes_back(cases: Any) -> None:
    assert told(lambda body: contract.assert_request_exact(DIALECT, body, where=str(body)), cases()) > 50


def test_every_field_of_an_answer_comes_back() -> None:
    assert told(lambda body: contract.assert_response_exact(DIALECT, body, str(body)), values(v2.V2ChatResponse)) > 50


def test_every_field_of_a_stream_comes_back() -> None:
    def check(case: tuple[str, dict[str, Any]]) -> None:
        contract.assert_stream_exact(DIALECT, lines(START, case, event("debug", prompt="x")), str(case))

    assert told(check, streamed()) > 90
