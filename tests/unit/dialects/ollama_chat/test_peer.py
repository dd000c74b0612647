"""The official `ollama` package accepts what we render: as answers, as streams, and as requests of its own."""

import json
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from penstock.dialects.dialect import Context
from penstock.dialects.ollama_chat import DIALECT
from penstock.types.content import Text
from penstock.types.notes import NO_MEMO
from penstock.types.profile import DEFAULT_PROFILE
from penstock.types.response import Choice, Response
from tests.contract import dialects as contract
from tests.contract.streams import STREAMS
from tests.support import need
from tests.unit.dialects.ollama_chat.samples import ANSWER, ANSWERS, REQUEST, STREAM

need(module="ollama", hint="pip install ollama")

import ollama  # noqa: E402  # asked for above

HELLO: Any = [{"role": "user", "content": "Hello"}]


def client(body: bytes | dict[str, Any], status: int = 200, seen: list[Any] | None = None) -> ollama.Client:
    """A client whose every call is answered with `body`: an object as JSON, bytes as lines. `seen` takes its bodies."""

    def handle(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(json.loads(request.content))
        return httpx.Response(status, content=body if isinstance(body, bytes) else json.dumps(body).encode())

    return ollama.Client("http://peer.invalid", transport=httpx.MockTransport(handle))


def told(data: bytes) -> list[ollama.ChatResponse]:
    return list(client(data).chat("m", HELLO, stream=True))


@pytest.mark.parametrize("wire", [ANSWER, ANSWERS[0], ANSWERS[1]])
def test_our_samples_are_what_the_client_takes(wire: dict[str, Any]) -> None:
    """Else the contract would prove something about a dialect of our own."""
    again = DIALECT.render_response(DIALECT.parse_response(wire, NO_MEMO), Context()).value
    assert client(again).chat("m", HELLO).message.content == wire["message"]["content"]


@pytest.mark.parametrize("label", [label for label, (role, _) in contract.EVERY_PART.items() if role == "assistant"])
def test_answers_of_others_are_messages(label: str) -> None:
    part = contract.EVERY_PART[label][1]
    response = Response(dialect=contract.NOBODY, id="r", model="m", choices=(Choice((part, Text("beside")), "stop"),))
    answer = client(DIALECT.render_response(response, Context()).value).chat("m", HELLO)
    assert answer.message.content is not None and answer.message.content.endswith("beside")
    assert (answer.done, answer.done_reason, answer.model) == (True, "stop", "m")


def test_an_empty_answer_is_a_message() -> None:
    answer = client(DIALECT.render_response(Response(dialect=contract.NOBODY), Context(model="m")).value).chat(
        "m", HELLO
    )
    assert (answer.message.role, answer.message.content, answer.created_at) == ("assistant", "", "1970-01-01T00:00:00Z")


def test_errors_raise_the_clients_own_exception() -> None:
    error = replace(DIALECT.parse_error(404, {}, b'{"error": "model not found"}'), dialect="other")
    status, body = DIALECT.render_error(error)
    with pytest.raises(ollama.ResponseError, match="model not found") as caught:
        client(body, status).chat("m", HELLO)
    assert caught.value.status_code == 404


def test_our_stream_is_what_the_client_takes() -> None:
    again = contract.render_events(DIALECT, contract.parse_stream(DIALECT, STREAM), DIALECT.name)
    found = told(again)
    assert "".join(step.message.content or "" for step in found) == "Sun"
    assert found[-1].done and found[-1].eval_count == 18
    assert [step.logprobs[0].token for step in found if step.logprobs] == ["Su", "n"]


@pytest.mark.parametrize("label", STREAMS)
def test_streams_of_others_are_streams(label: str) -> None:
    """However untidy: each line is a whole answer, and the last one is done; or the client raises its own error."""
    data = contract.render_events(DIALECT, STREAMS[label], contract.NOBODY)
    if b'"error":' in data:
        with pytest.raises(ollama.ResponseError):
            told(data)
        return
    found = told(data)
    assert [step.done for step in found] == [False] * (len(found) - 1) + [True]
    assert all(step.message.role == "assistant" for step in found)


def test_the_clients_requests_are_read_and_come_back() -> None:
    """What the client itself makes of the fields, not what we think it does."""
    seen: list[Any] = []
    official = client(ANSWER, seen=seen)
    image = ollama.Image(value=contract.PIXEL)
    messages: Any = [*REQUEST["messages"][2:], ollama.Message(role="user", content="See", images=[image])]
    tools: Any = REQUEST["tools"]
    official.chat(
        "m",
        messages,
        tools=tools,
        format=REQUEST["format"],
        options=REQUEST["options"],
        think="high",
        keep_alive="5m",
        logprobs=True,
        top_logprobs=3,
    )
    (body,) = seen
    contract.assert_request_exact(DIALECT, body)
    request = DIALECT.parse_request(body, contract.NO_MATCH)
    assert (request.max_tokens, request.stream, request.top_logprobs) == (100, False, 3)


@pytest.mark.parametrize("label", contract.EVERY_PART)
def test_requests_of_others_are_of_the_clients_types(label: str) -> None:
    role, part = contract.EVERY_PART[label]
    body = DIALECT.render_request(contract.request_with(role, part), DEFAULT_PROFILE).value
    for message in body["messages"]:
        images = [{"value": data} for data in message.get("images", [])]
        ollama.Message.model_validate({**message, "images": images})
    for tool in body.get("tools", []):
        ollama.Tool.model_validate(tool)
