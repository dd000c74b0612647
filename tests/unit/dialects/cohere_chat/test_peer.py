"""The official `cohere` package accepts what we render: as answers, as streams, and against its own models."""

import json
import typing
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from penstock.dialects.cohere_chat import DIALECT
from penstock.dialects.dialect import Context
from penstock.types.content import Text
from penstock.types.notes import NO_MEMO
from penstock.types.profile import DEFAULT_PROFILE
from penstock.types.response import Choice, Response
from penstock.types.stream import Failure
from tests.contract import dialects as contract
from tests.contract.streams import STREAMS, WHOLE
from tests.support import need
from tests.unit.dialects.cohere_chat.samples import ANSWER, CALL_ANSWER, CALL_STREAM, REQUEST, TEXT_STREAM

need(module="cohere", hint="pip install cohere")

import cohere  # noqa: E402  # asked for above
from cohere.types import (  # noqa: E402  # asked for above
    AssistantChatMessageV2,
    SystemChatMessageV2,
    ToolChatMessageV2,
    ToolV2,
    UserChatMessageV2,
)
from cohere.v2.types import v2chat_stream_response  # noqa: E402  # asked for above
from cohere.v2.types.v2chat_response import V2ChatResponse  # noqa: E402  # asked for above

MESSAGES: dict[str, Any] = {
    "user": UserChatMessageV2,
    "assistant": AssistantChatMessageV2,
    "system": SystemChatMessageV2,
    "tool": ToolChatMessageV2,
}
EVENTS: dict[str, Any] = {
    model.model_fields["type"].default: model
    for name, model in vars(v2chat_stream_response).items()
    if name.endswith("V2ChatStreamResponse") and hasattr(model, "model_fields")
}


def client(body: bytes | dict[str, Any], status: int = 200) -> cohere.ClientV2:
    """A client whose every call is answered with `body`: an object as JSON, bytes as a stream of events."""
    kind = "text/event-stream" if isinstance(body, bytes) else "application/json"
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=content, headers={"content-type": kind}))
    web: Any = httpx.Client(transport=transport)
    return cohere.ClientV2(api_key="not-a-key", base_url="http://peer.invalid", httpx_client=web)


def ask(body: dict[str, Any], status: int = 200) -> V2ChatResponse:
    V2ChatResponse.model_validate(body)  # the client itself takes anything
    return client(body, status).chat(model="m", messages=[UserChatMessageV2(content="Hello")])


def ask_streaming(data: bytes) -> list[Any]:
    for name, payload in contract.frames(DIALECT, data):
        EVENTS[name or ""].model_validate(payload)
    return list(client(data).chat_stream(model="m", messages=[UserChatMessageV2(content="Hello")]))


def test_the_client_knows_every_event() -> None:
    assert {"message-start", "content-delta", "tool-plan-delta", "citation-start", "message-end"} <= EVENTS.keys()


@pytest.mark.parametrize("wire", [ANSWER, CALL_ANSWER])
def test_our_samples_are_what_the_client_takes(wire: dict[str, Any]) -> None:
    """Else the contract would prove something about a dialect of our own."""
    again = DIALECT.render_response(DIALECT.parse_response(wire, NO_MEMO), Context()).value
    assert ask(again).finish_reason == wire["finish_reason"]


@pytest.mark.parametrize("label", [label for label, (role, _) in contract.EVERY_PART.items() if role == "assistant"])
def test_answers_of_others_are_messages(label: str) -> None:
    part = contract.EVERY_PART[label][1]
    response = Response(dialect=contract.NOBODY, id="r", model="m", choices=(Choice((part, Text("beside")), "stop"),))
    answer = ask(DIALECT.render_response(response, Context()).value)
    message = answer.message
    said = "".join(block.text for block in message.content or [] if block.type == "text") + (message.tool_plan or "")
    assert said.endswith("beside")
    assert answer.finish_reason in ("COMPLETE", "TOOL_CALL")


def test_an_empty_answer_is_a_message() -> None:
    answer = ask(DIALECT.render_response(Response(dialect=contract.NOBODY), Context("fresh")).value)
    assert (answer.id, answer.message.role, answer.message.content) == ("fresh", "assistant", None)


ERRORS: list[tuple[int, type[Exception]]] = [
    (400, cohere.BadRequestError),
    (401, cohere.UnauthorizedError),
    (404, cohere.NotFoundError),
    (429, cohere.TooManyRequestsError),
    (500, cohere.InternalServerError),
]


@pytest.mark.parametrize(("status", "kind"), ERRORS)
def test_errors_raise_the_clients_own_exceptions(status: int, kind: type[Exception]) -> None:
    error = replace(DIALECT.parse_error(status, {}, b'{"message": "Not so"}'), dialect="other")
    again, body = DIALECT.render_error(error)
    once: Any = {"max_retries": 0}
    with pytest.raises(kind, match="Not so"):
        client(body, again).chat(model="m", messages=[UserChatMessageV2(content="Hello")], request_options=once)


@pytest.mark.parametrize("data", [TEXT_STREAM, CALL_STREAM])
def test_our_streams_are_what_the_client_takes(data: bytes) -> None:
    again = contract.render_events(DIALECT, contract.parse_stream(DIALECT, data), DIALECT.name)
    kinds = [event.type for event in ask_streaming(again)]
    assert kinds == [name for name, _ in contract.frames(DIALECT, data)]


@pytest.mark.parametrize("label", STREAMS)
def test_streams_of_others_are_streams(label: str) -> None:
    """However untidy: one start, every block begun and ended once, one end."""
    events = STREAMS[label]
    if any(isinstance(delta, Failure) for event in events for delta in event.deltas):
        events = [event for event in events if not isinstance(event.deltas[0], Failure)]
    found = ask_streaming(contract.render_events(DIALECT, events, contract.NOBODY))
    kinds = [event.type for event in found]
    assert (kinds[0], kinds[-1]) == ("message-start", "message-end")
    assert kinds.count("message-start") == kinds.count("message-end") == 1
    for begin, end in (("content-start", "content-end"), ("tool-call-start", "tool-call-end")):
        begun = [event.index for event in found if event.type == begin]
        assert begun == sorted(event.index for event in found if event.type == end) == list(range(len(begun)))


def test_the_whole_stream_is_told() -> None:
    found = ask_streaming(contract.render_events(DIALECT, STREAMS["a summary only"], contract.NOBODY))
    call = next(event for event in found if event.type == "tool-call-start")
    assert call.delta.message.tool_calls.id == WHOLE[2].call_id  # type: ignore[union-attr]  # a call, or the test fails


def test_requests_are_of_the_clients_types() -> None:
    rendered = DIALECT.render_request(DIALECT.parse_request(REQUEST, contract.NO_MATCH), DEFAULT_PROFILE)
    _assert_typed(rendered.value)


@pytest.mark.parametrize("label", contract.EVERY_PART)
def test_requests_of_others_are_of_the_clients_types(label: str) -> None:
    role, part = contract.EVERY_PART[label]
    _assert_typed(DIALECT.render_request(contract.request_with(role, part), DEFAULT_PROFILE).value)


def _assert_typed(body: dict[str, Any]) -> None:
    for message in body["messages"]:
        MESSAGES[message["role"]].model_validate(message)
    for tool in body.get("tools", []):
        ToolV2.model_validate(tool)
    taken = typing.get_type_hints(cohere.ClientV2.chat).keys() | {"stream", "raw_prompting"}
    assert body.keys() <= taken
