"""The opening of streams: in any pieces, with comments before them, with errors in them, and what is none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from penstock import Client, exceptions
from penstock.testing.providers import Cut, ErrorEvent, ProviderError, Reply, SimulatedProviders, Stall, Truncated
from tests.support.callers import DIALECTS, MODELS, SAY, async_client_of, client_of
from tests.support.raw_server import saying, saying_in_turn

every_dialect = pytest.mark.parametrize("dialect", DIALECTS)
OVERLOADED = ProviderError(529, "Overloaded")


@pytest.fixture
def providers() -> Iterator[SimulatedProviders]:
    with SimulatedProviders(strict=False) as simulated:
        yield simulated


def text_of(stream: Any) -> str:
    return "".join(choice.delta.content or "" for chunk in stream for choice in chunk.choices)


def listen(client: Any, dialect: str, **more: Any) -> str:
    return text_of(client.chat.completions.create(model=MODELS[dialect], messages=SAY, stream=True, **more))


@every_dialect
@pytest.mark.parametrize("writes", [1, 7, "event", "whole"])
def test_an_error_before_a_word_was_said_is_tried_again_however_it_is_cut(
    providers: SimulatedProviders, dialect: str, writes: Any
) -> None:
    failing = Reply.text("never said").with_faults(ErrorEvent(OVERLOADED, after=0)).delivered(writes=writes)
    providers.script(failing, Reply.text("the answer"))
    with client_of(providers, dialect) as client:
        assert listen(client, dialect, num_retries=1) == "the answer"
    assert len(providers.requests) == 2


@every_dialect
def test_what_has_come_is_given_at_once(providers: SimulatedProviders, dialect: str) -> None:
    providers.script(Reply.text("one " + "two " * 20).with_faults(Stall(after=6)))
    with client_of(providers, dialect) as client:
        stream = client.chat.completions.create(model=MODELS[dialect], messages=SAY, stream=True)
        said = (choice.delta.content for chunk in stream for choice in chunk.choices if choice.delta.content)
        assert next(said).startswith("one")


def test_comments_before_the_error_change_nothing(providers: SimulatedProviders) -> None:
    failing = Reply.text("x").with_faults(ErrorEvent(OVERLOADED, after=0)).delivered(comment="one moment", writes=3)
    providers.script(failing, Reply.text("the answer"))
    with client_of(providers, "openai_chat") as client:
        assert listen(client, "openai_chat", num_retries=1) == "the answer"


@every_dialect
def test_an_error_behind_a_word_is_never_tried_again(providers: SimulatedProviders, dialect: str) -> None:
    answer = Reply.text("one two three four", pieces=4)
    providers.script(answer.with_faults(ErrorEvent(OVERLOADED, after=6)).delivered(writes="whole"), answer)
    with client_of(providers, dialect) as client, pytest.raises(exceptions.PenstockError) as caught:
        listen(client, dialect, num_retries=3)
    error: Any = caught.value
    assert len(providers.requests) == 1
    assert error.partial.choices[0].message.content.startswith("one")


@every_dialect
@pytest.mark.parametrize("fault", [Cut(after=0), Cut(after=0, reset=True), Truncated(after=0)])
def test_a_stream_without_a_word_is_tried_again(providers: SimulatedProviders, dialect: str, fault: Any) -> None:
    providers.script(Reply.text("x").with_faults(fault), Reply.text("the answer"))

    async def main() -> str:
        async with async_client_of(providers, dialect) as client:
            create = client.chat.completions.create
            stream: Any = await create(model=MODELS[dialect], messages=SAY, stream=True, num_retries=1)
            return "".join([choice.delta.content or "" async for chunk in stream for choice in chunk.choices])

    assert asyncio.run(main()) == "the answer"


def ask(url: str, **more: Any) -> str:
    """The text of an answer, streamed or not."""
    with Client(api_key="sk-fake", base_url=url) as client:
        answer: Any = client.chat.completions.create(model="openai/m", messages=SAY, **{"num_retries": 0, **more})
        return text_of(answer) if more.get("stream") else answer.choices[0].message.content


def said(body: bytes, content_type: str = "") -> bytes:
    kind = f"content-type: {content_type}\r\n".encode() if content_type else b""
    return b"HTTP/1.1 200 OK\r\nconnection: close\r\n%b\r\n%b" % (kind, body)


WHOLE = b'{"id":"c","choices":[{"index":0,"message":{"content":"hello"},"finish_reason":"stop"}]}'


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/octet-stream", "application/vnd.x+json"])
def test_a_whole_answer_under_another_name_is_an_answer(content_type: str) -> None:
    with saying(said(WHOLE[:30], content_type), 0.1, WHOLE[30:]) as server:
        assert ask(server.url, stream=True) == "hello"


@pytest.mark.parametrize("content_type", ["", "text/event-stream", "text/html", "application/octet-stream"])
def test_a_page_is_no_stream_and_is_shown(content_type: str) -> None:
    with (
        saying(said(b"<html><h1>Log in</h1></html>", content_type)) as server,
        pytest.raises(exceptions.APIResponseValidationError, match="<h1>Log in</h1>"),
    ):
        ask(server.url, stream=True)


@pytest.mark.parametrize("status", ["204 No Content", "200 OK"])
def test_nothing_at_all_is_no_stream(status: str) -> None:
    with (
        saying(b"HTTP/1.1 %b\r\nconnection: close\r\n\r\n" % status.encode()) as server,
        pytest.raises(exceptions.APIResponseValidationError, match="before its first event"),
    ):
        ask(server.url, stream=True)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_told_and_not_followed(status: int, stream: bool) -> None:
    with saying(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}") as thief:
        head = f"HTTP/1.1 {status} X\r\nlocation: {thief.url}/v1?token=secret\r\ncontent-length: 0\r\n\r\n".encode()
        with saying_in_turn([head]) as server, pytest.raises(exceptions.NotFoundError) as caught:
            ask(server.url, stream=stream, num_retries=2)
        assert thief.asked == []
    assert f"{thief.url}/v1;" in caught.value.message and "secret" not in caught.value.message
    assert len(server.asked) == 1, "to ask again would not help"


@pytest.mark.parametrize(
    "odd", [b"{}", b'{"choices":null}', b'{"choices":[{"index":0}]}', b'{"choices":[{"delta":null}]}']
)
def test_a_chunk_that_says_nothing_can_be_looped_over(odd: bytes) -> None:
    words = b'data: {"choices":[{"index":0,"delta":{"content":"all"},"finish_reason":"stop"}]}\n\n'
    with saying(said(b"data: %b\n\n%bdata: %b\n\ndata: [DONE]\n\n" % (odd, words, odd), "text/event-stream")) as server:
        assert ask(server.url, stream=True) == "all"


def test_a_stream_that_breaks_off_tells_all_that_was_tried() -> None:
    words = said(b'data: {"choices":[{"index":0,"delta":{"content":"all"}}]}\n\n', "text/event-stream")
    failing = b"HTTP/1.1 500 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    with saying_in_turn([failing], [words]) as server, pytest.raises(exceptions.StreamInterruptedError) as caught:
        ask(server.url, stream=True, num_retries=1)
    assert [each.error.status for each in caught.value.tried] == [500, 503]
    assert caught.value.partial.choices[0].message.content == "all"


def test_vllms_way_of_saying_an_error_inside_a_200() -> None:
    body = b'{"object":"error","message":"This is too long","type":"BadRequestError","param":null,"code":400}'
    with (
        saying(said(body, "application/json")) as server,
        pytest.raises(exceptions.PenstockError, match="This is too long") as caught,
    ):
        ask(server.url)
    assert not isinstance(caught.value, exceptions.APIResponseValidationError)


def test_the_announcement_of_an_answer_is_no_word_of_it() -> None:
    role = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
    error = b'data: {"error":{"message":"Overloaded","type":"server_error"}}\n\n'
    with saying_in_turn([said(role + error, "text/event-stream")], [said(WHOLE, "text/event-stream")]) as server:
        assert ask(server.url, stream=True, num_retries=1) == "hello"


def test_a_stop_reason_is_an_end() -> None:
    """Some compatible servers leave `[DONE]` out."""
    words = b'data: {"choices":[{"index":0,"delta":{"content":"all"}}]}\n\n'
    stop = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    with saying(said(words + stop, "text/event-stream")) as server:
        assert ask(server.url, stream=True) == "all"
    with saying(said(words, "text/event-stream")) as server, pytest.raises(exceptions.StreamInterruptedError):
        ask(server.url, stream=True)


def test_of_several_choices_each_must_stop() -> None:
    words = b'data: {"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"b"}}]}\n\n'
    stop = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    with saying(said(words + stop, "text/event-stream")) as server, pytest.raises(exceptions.StreamInterruptedError):
        ask(server.url, stream=True, n=2)


@pytest.mark.parametrize("stream", [False, True])
def test_a_compression_that_nobody_asked_for_is_named(stream: bool) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: snappy\r\ncontent-length: 3\r\n\r\nabc"
    with saying(head) as server, pytest.raises(exceptions.APIConnectionError, match="compressed with snappy"):
        ask(server.url, stream=stream)
