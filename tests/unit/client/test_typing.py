"""What a type checker knows of each call: without `stream` an answer, with `stream=True` a stream, with a variable
either. `make check` has mypy read the `assert_type` here; that they also hold when the calls are made is tested with
mocks.
"""

from __future__ import annotations

import asyncio
from typing import assert_type

import penstock
from penstock import (
    AnthropicMessage,
    AnthropicStreamEvent,
    AsyncClient,
    AsyncStream,
    Client,
    ImageResponse,
    ModelResponse,
    ModelResponseStream,
    ResponsesResponse,
    ResponsesStreamEvent,
    Router,
    Stream,
    TextCompletionResponse,
    TranscriptionResponse,
)
from penstock.client.result_objects import StreamedEvent

SAY = [{"role": "user", "content": "Hello"}]
M = "openai/gpt-4o"
ChatStream = Stream[ModelResponseStream, ModelResponse]
AsyncChatStream = AsyncStream[ModelResponseStream, ModelResponse]
TextStream = Stream[TextCompletionResponse, TextCompletionResponse]
AsyncTextStream = AsyncStream[TextCompletionResponse, TextCompletionResponse]


def test_a_blocking_chat_call() -> None:
    whole = penstock.completion(M, SAY, mock_response="Hi.")
    assert_type(whole, ModelResponse)
    assert whole.choices[0].message.content == "Hi."
    assert_type(penstock.completion(M, SAY, stream=False, mock_response="Hi."), ModelResponse)
    assert_type(penstock.completion(M, SAY, stream=None, mock_response="Hi."), ModelResponse)
    stream = penstock.completion(M, SAY, stream=True, mock_response="Hi.")
    assert_type(stream, ChatStream)
    assert isinstance(stream, Stream)
    for chunk in stream:
        assert_type(chunk, ModelResponseStream)
    assert_type(stream.response, ModelResponse | None)
    asked: bool = len(SAY) > 1
    assert_type(penstock.completion(M, SAY, stream=asked, mock_response="Hi."), ModelResponse | ChatStream)


def test_a_chat_call_from_a_coroutine() -> None:
    async def main() -> None:
        assert_type(await penstock.acompletion(M, SAY, mock_response="Hi."), ModelResponse)
        stream = await penstock.acompletion(M, SAY, stream=True, mock_response="Hi.")
        assert_type(stream, AsyncChatStream)
        async for chunk in stream:
            assert_type(chunk, ModelResponseStream)
        task = asyncio.create_task(penstock.acompletion(M, SAY, mock_response="Hi."))
        assert_type(await task, ModelResponse)

    asyncio.run(main())


def test_the_other_shapes() -> None:
    assert_type(penstock.responses(M, "Hello", mock_response="Hi."), ResponsesResponse)
    assert_type(
        penstock.responses(M, "Hello", stream=True, mock_response="Hi."),
        Stream[ResponsesStreamEvent, ResponsesResponse],
    )
    assert_type(penstock.messages(M, SAY, 16, mock_response="Hi."), AnthropicMessage)
    assert_type(
        penstock.messages(M, SAY, 16, stream=True, mock_response="Hi."),
        Stream[AnthropicStreamEvent, AnthropicMessage],
    )
    assert_type(penstock.text_completion(M, "Hello", mock_response="Hi."), TextCompletionResponse)
    assert_type(penstock.text_completion(M, "Hello", stream=True, mock_response="Hi."), TextStream)

    async def main() -> None:
        assert_type(await penstock.aresponses(M, "Hello", mock_response="Hi."), ResponsesResponse)
        assert_type(await penstock.amessages(M, SAY, 16, mock_response="Hi."), AnthropicMessage)
        assert_type(await penstock.atext_completion(M, "Hello", stream=True, mock_response="Hi."), AsyncTextStream)

    asyncio.run(main())


def test_the_methods_of_clients_and_routers() -> None:
    with Client() as client, Router([{"model_name": "g", "litellm_params": {"model": M, "api_key": "fake"}}]) as router:
        assert_type(client.chat.completions.create(model=M, messages=SAY, mock_response="Hi."), ModelResponse)
        stream = client.chat.completions.create(model=M, messages=SAY, stream=True, mock_response="Hi.")
        assert_type(stream, ChatStream)
        assert_type(client.completions.create(model=M, prompt="Hello", stream=True, mock_response="Hi."), TextStream)
        assert_type(router.completion("g", SAY, mock_response="Hi."), ModelResponse)
        assert_type(router.completion("g", SAY, stream=True, mock_response="Hi."), ChatStream)
        assert_type(router.text_completion("g", "Hello", stream=True, mock_response="Hi."), TextStream)
        assert_type(router.chat.completions.create(model="g", messages=SAY, mock_response="Hi."), ModelResponse)

    async def main() -> None:
        async with AsyncClient() as client:
            create = client.chat.completions.create
            assert_type(await create(model=M, messages=SAY, mock_response="Hi."), ModelResponse)
            assert_type(await create(model=M, messages=SAY, stream=True, mock_response="Hi."), AsyncChatStream)
            task = asyncio.create_task(create(model=M, messages=SAY, mock_response="Hi."))
            assert_type(await task, ModelResponse)

    asyncio.run(main())


def no_call_is_made() -> None:
    """The calls that only an exception can mock: for the type checker."""
    assert_type(penstock.image_generation("A lake"), ImageResponse)
    assert_type(penstock.image_generation("A lake", stream=True), Stream[StreamedEvent, ImageResponse])
    assert_type(penstock.image_edit(b"", "A lake", stream=True), Stream[StreamedEvent, ImageResponse])
    assert_type(penstock.transcription(M, b""), TranscriptionResponse)
    assert_type(penstock.transcription(M, b"", stream=True), Stream[StreamedEvent, TranscriptionResponse])
    assert_type(Client().images.generate(prompt="A lake", stream=True), Stream[StreamedEvent, ImageResponse])
    assert_type(Client().images.generate(prompt="A lake"), ImageResponse)
