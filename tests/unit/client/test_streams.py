"""Streams of the SDK over real sockets, from every dialect: their chunks, their end, and their connection.

How a stream fails is told in tests/e2e/test_bad_input.py.
"""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from penstock import exceptions
from penstock.testing.providers import (
    Cut,
    EmptyEvent,
    Reply,
    SimulatedProviders,
    Stall,
    Thinking,
    ToolCall,
    Truncated,
    Usage,
)
from tests.support.callers import DIALECTS, MODELS, SAY, async_client_of, client_of, content

every_dialect = pytest.mark.parametrize("dialect", DIALECTS)
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatedProviders]:
    with SimulatedProviders(strict=False) as simulated:
        yield simulated


@pytest.fixture
def providers(server: SimulatedProviders) -> SimulatedProviders:
    server.clear()
    server.requests.clear()
    return server


def stream_of(client: Any, dialect: str, **more: Any) -> Any:
    return client.chat.completions.create(model=MODELS[dialect], messages=SAY, stream=True, **more)


@every_dialect
@pytest.mark.parametrize("writes", [1, 7, "event", "whole"])
def test_the_bytes_may_come_in_any_pieces(providers: SimulatedProviders, dialect: str, writes: Any) -> None:
    providers.script(Reply.text("Grüße, 世界 👋").delivered(writes=writes))
    with client_of(providers, dialect) as client:
        assert content(stream_of(client, dialect)) == "Grüße, 世界 👋"


@every_dialect
def test_the_whole_response_is_known_at_the_end_and_not_before(providers: SimulatedProviders, dialect: str) -> None:
    providers.script(Reply.text("one two").reporting(Usage(input_tokens=11, output_tokens=7)))
    with client_of(providers, dialect) as client:
        stream = stream_of(client, dialect)
        next(stream)
        before = stream.response
        list(stream)
        whole = stream.response
    assert before is None
    assert whole.choices[0].message.content == "one two"
    assert whole.choices[0].finish_reason == "stop"
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (11, 7)
    assert whole._hidden_params["custom_llm_provider"]


@every_dialect
def test_a_stream_adds_up_to_what_the_whole_answer_says(providers: SimulatedProviders, dialect: str) -> None:
    reply = Reply.tool_calls(ToolCall("get_weather", {"city": "Paris"}), saying="Let me see.")
    providers.script(reply, reply)
    with client_of(providers, dialect) as client:
        stream = stream_of(client, dialect, tools=[TOOL])
        list(stream)
        whole = client.chat.completions.create(model=MODELS[dialect], messages=SAY, tools=[TOOL])
    for answer in (stream.response, whole):
        (call,) = answer.choices[0].message.tool_calls
        assert (call.function.name, call.function.arguments.replace(" ", "")) == ("get_weather", '{"city":"Paris"}')
        assert answer.choices[0].finish_reason == "tool_calls"
    assert stream.response.choices[0].message.content == whole.choices[0].message.content


@pytest.mark.parametrize("dialect", ["anthropic_messages", "gemini", "bedrock_converse", "ollama_chat"])
def test_thinking_comes_before_the_answer(providers: SimulatedProviders, dialect: str) -> None:
    providers.script(Reply.of(Thinking("Hmm, well."), *Reply.text("Yes.").parts))
    with client_of(providers, dialect) as client:
        chunks = [chunk.choices[0].delta for chunk in stream_of(client, dialect) if chunk.choices]
    assert "".join(delta.reasoning_content or "" for delta in chunks) == "Hmm, well."
    assert "".join(delta.content or "" for delta in chunks) == "Yes."


@every_dialect
@pytest.mark.parametrize("asked", [True, False])
def test_usage_is_shown_to_whom_asked_for_it(providers: SimulatedProviders, dialect: str, asked: bool) -> None:
    providers.script(Reply.text("one two").reporting(Usage(input_tokens=11, output_tokens=7)))
    options = {"stream_options": {"include_usage": True}} if asked else {}
    with client_of(providers, dialect) as client:
        stream = stream_of(client, dialect, **options)
        chunks = list(stream)
    shown = [chunk.usage for chunk in chunks if chunk.usage is not None]
    assert [usage.total_tokens for usage in shown] == ([18] if asked else [])
    assert asked or all(chunk.choices for chunk in chunks), "no chunk is left of one that had nothing else"
    assert stream.response.usage.total_tokens == 18, "it is known in either case"


def test_a_stream_that_says_its_end_and_no_reason_is_whole(providers: SimulatedProviders) -> None:
    chunk = {"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "one"}}]}
    body = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode()
    providers.script(Reply.native(body).delivered(content_type="text/event-stream"))
    with client_of(providers, "openai_chat") as client:
        assert content(stream_of(client, "openai_chat")) == "one"


@every_dialect
def test_chunks_without_anything_are_no_end(providers: SimulatedProviders, dialect: str) -> None:
    providers.script(Reply.text("one two three").with_faults(EmptyEvent(after=1), EmptyEvent(after=2)))
    with client_of(providers, dialect) as client:
        assert content(stream_of(client, dialect)) == "one two three"


@every_dialect
def test_comments_and_empty_lines_between_events_are_passed_over(providers: SimulatedProviders, dialect: str) -> None:
    if dialect == "bedrock_converse":
        providers.script(Reply.text("one two three"))  # AWS's framing has no comments
    else:
        providers.script(Reply.text("one two three").delivered(comment="PROCESSING"))
    with client_of(providers, dialect) as client:
        assert content(stream_of(client, dialect)) == "one two three"


@every_dialect
def test_a_whole_answer_where_a_stream_was_asked_for_is_one(providers: SimulatedProviders, dialect: str) -> None:
    with client_of(providers, dialect) as client:
        providers.script(Reply.text("one two three"))
        client.chat.completions.create(model=MODELS[dialect], messages=SAY)
        # The same answer in one piece, as some servers give it to whoever asks for a stream.
        sent = providers.last
        providers.script(Reply.text("one two three"))
        url = f"{providers.origin}{sent.target}"
        headers = {name: value for name, value in sent.headers.raw if name.lower() != "host"}
        body = httpx.request(sent.method, url, headers=headers, content=sent.body, trust_env=False).content
        providers.script(Reply.native(body).delivered(content_type="application/json"))
        stream = stream_of(client, dialect)
        assert content(stream) == "one two three"
        assert stream.response.choices[0].finish_reason == "stop"


# -- the connection ---------------------------------------------------------------------------------------------------


@every_dialect
@pytest.mark.parametrize("leave", ["close", "with", "forget"])
def test_leaving_early_gives_the_connection_up(providers: SimulatedProviders, dialect: str, leave: str) -> None:
    providers.script(Reply.text("one two three").with_faults(Stall(after=2)))
    with client_of(providers, dialect) as client:
        stream = stream_of(client, dialect)
        if leave == "with":
            with stream:
                next(stream)
        else:
            next(stream)
            if leave == "close":
                stream.close()
            del stream
            gc.collect()
        assert providers.wait_until(lambda each: each.last.outcome == "client left")


@every_dialect
def test_leaving_before_the_first_chunk_does_so_too(providers: SimulatedProviders, dialect: str) -> None:
    providers.script(Reply.text("one two three").with_faults(Stall(after=2)))
    with client_of(providers, dialect) as client:
        stream_of(client, dialect).close()
        assert providers.wait_until(lambda each: each.last.outcome == "client left")


@every_dialect
def test_a_coroutine_that_leaves_early_does_so_too(providers: SimulatedProviders, dialect: str) -> None:
    providers.script(*[Reply.text("one two three").with_faults(Stall(after=2))] * 2)

    async def main() -> None:
        async with async_client_of(providers, dialect) as client:
            stream = await stream_of(client, dialect)
            await anext(stream)
            await stream.aclose()
            assert await asyncio.to_thread(providers.wait_until, lambda each: each.requests[0].outcome == "client left")
            async with await stream_of(client, dialect) as stream:
                await anext(stream)
            assert await asyncio.to_thread(providers.wait_until, lambda each: each.requests[1].outcome == "client left")

    asyncio.run(main())


@every_dialect
def test_a_coroutine_that_leaves_before_the_first_chunk_does_so_too(
    providers: SimulatedProviders, dialect: str
) -> None:
    providers.script(Reply.text("one two three").with_faults(Stall(after=2)))

    async def main() -> None:
        async with async_client_of(providers, dialect) as client:
            stream = await stream_of(client, dialect)
            await stream.aclose()
            assert await asyncio.to_thread(providers.wait_until, lambda each: each.last.outcome == "client left")

    asyncio.run(main())


@every_dialect
def test_a_coroutine_that_is_cancelled_does_so_too(providers: SimulatedProviders, dialect: str) -> None:
    providers.script(Reply.text("one two three").with_faults(Stall(after=2)))

    async def main() -> None:
        async with async_client_of(providers, dialect) as client:

            async def listen() -> None:
                async for _ in await stream_of(client, dialect):
                    pass

            task = asyncio.create_task(listen())
            await asyncio.to_thread(providers.wait_until, lambda each: len(each.requests) == 1)
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await asyncio.to_thread(providers.wait_until, lambda each: each.last.outcome == "client left")

    asyncio.run(main())


@every_dialect
@pytest.mark.parametrize("fault", [Cut(after=2), Truncated(after=2)])
def test_after_a_failure_the_stream_is_over(providers: SimulatedProviders, dialect: str, fault: Any) -> None:
    providers.script(Reply.text("one two three four five", pieces=5).with_faults(fault))
    with client_of(providers, dialect) as client:
        try:
            stream = stream_of(client, dialect)
        except exceptions.APIConnectionError:
            return  # it broke before it had begun
        with pytest.raises(exceptions.StreamInterruptedError):
            list(stream)
        assert list(stream) == []
        assert stream.response is None
        stream.close()


def test_a_stream_is_looped_over_once(providers: SimulatedProviders) -> None:
    providers.script(Reply.text("one two"))
    with client_of(providers, "openai_chat") as client:
        stream = stream_of(client, "openai_chat")
        assert content(stream) == "one two"
        assert list(stream) == []
