"""The module-level calls of chat models in other shapes than Chat Completions: text completions, OpenAI's Responses,
Anthropic's Messages, Gemini's generateContent. Each goes to any model of any provider: one that speaks the shape itself
is spoken to in it, so that nothing is lost; for any other the call is translated.

Every function has an async twin with the same parameters, whose name begins with `a`. Arguments that are not named here
are the API's own parameters, or options of `penstock.calls.options.Options`. All raise the exceptions of
`penstock.exceptions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, overload

from penstock.client import dialect_calls, stored, text_completions
from penstock.client.api import default_engine
from penstock.client.chat import acall, call
from penstock.client.operations import arun, run
from penstock.client.result_objects import (
    AnthropicMessage,
    AnthropicStreamEvent,
    GenerateContentResponse,
    Page,
    ResponsesDeleted,
    ResponsesResponse,
    ResponsesStreamEvent,
    TextCompletionResponse,
)
from penstock.client.streams import AsyncStream, Stream
from penstock.client.text_completions import AsyncTextStream, TextStream

# -- text completions -------------------------------------------------------------------------------------------------


@overload
def text_completion(
    model: str, prompt: str | Sequence[Any], *, stream: Literal[False] | None = None, **arguments: Any
) -> TextCompletionResponse: ...
@overload
def text_completion(
    model: str, prompt: str | Sequence[Any], *, stream: Literal[True], **arguments: Any
) -> TextStream: ...
@overload
def text_completion(
    model: str, prompt: str | Sequence[Any], *, stream: bool | None, **arguments: Any
) -> TextCompletionResponse | TextStream: ...
def text_completion(model: str, prompt: str | Sequence[Any], **arguments: Any) -> TextCompletionResponse | TextStream:
    """The legacy completions API: a prompt (or a list of them) is continued.

    Providers that have the API for this model get it as it is; for any other the prompt becomes the user's message of
    a chat call. With `stream=True` an iterator of chunks.
    """
    return text_completions.text_completion(default_engine(), model=model, prompt=prompt, **arguments)


@overload
async def atext_completion(
    model: str, prompt: str | Sequence[Any], *, stream: Literal[False] | None = None, **arguments: Any
) -> TextCompletionResponse: ...
@overload
async def atext_completion(
    model: str, prompt: str | Sequence[Any], *, stream: Literal[True], **arguments: Any
) -> AsyncTextStream: ...
@overload
async def atext_completion(
    model: str, prompt: str | Sequence[Any], *, stream: bool | None, **arguments: Any
) -> TextCompletionResponse | AsyncTextStream: ...
async def atext_completion(
    model: str, prompt: str | Sequence[Any], **arguments: Any
) -> TextCompletionResponse | AsyncTextStream:
    """`text_completion` from a coroutine; with `stream=True` an async iterator."""
    return await text_completions.atext_completion(default_engine(), model=model, prompt=prompt, **arguments)


# -- the Responses API ------------------------------------------------------------------------------------------------


@overload
def responses(
    model: str, input: str | Sequence[Any], *, stream: Literal[False] | None = None, **arguments: Any
) -> ResponsesResponse: ...
@overload
def responses(
    model: str, input: str | Sequence[Any], *, stream: Literal[True], **arguments: Any
) -> Stream[ResponsesStreamEvent, ResponsesResponse]: ...
@overload
def responses(
    model: str, input: str | Sequence[Any], *, stream: bool | None, **arguments: Any
) -> ResponsesResponse | Stream[ResponsesStreamEvent, ResponsesResponse]: ...
def responses(
    model: str, input: str | Sequence[Any], **arguments: Any
) -> ResponsesResponse | Stream[ResponsesStreamEvent, ResponsesResponse]:
    """OpenAI's Responses API, to any model: `responses("anthropic/claude-sonnet-4-5", "Hello").output_text`.

    `input` is a text or a list of items; items of earlier answers go in as they are. `text_format` takes a pydantic
    class. With `stream=True` an iterator of the API's events, whose `response` is the whole answer at the end.
    """
    return call(default_engine(), dialect_calls.RESPONSES_SHAPE, {"model": model, "input": input, **arguments})


@overload
async def aresponses(
    model: str, input: str | Sequence[Any], *, stream: Literal[False] | None = None, **arguments: Any
) -> ResponsesResponse: ...
@overload
async def aresponses(
    model: str, input: str | Sequence[Any], *, stream: Literal[True], **arguments: Any
) -> AsyncStream[ResponsesStreamEvent, ResponsesResponse]: ...
@overload
async def aresponses(
    model: str, input: str | Sequence[Any], *, stream: bool | None, **arguments: Any
) -> ResponsesResponse | AsyncStream[ResponsesStreamEvent, ResponsesResponse]: ...
async def aresponses(
    model: str, input: str | Sequence[Any], **arguments: Any
) -> ResponsesResponse | AsyncStream[ResponsesStreamEvent, ResponsesResponse]:
    """`responses` from a coroutine; with `stream=True` an async iterator."""
    return await acall(default_engine(), dialect_calls.RESPONSES_SHAPE, {"model": model, "input": input, **arguments})


def get_responses(response_id: str, **arguments: Any) -> ResponsesResponse:
    """A stored response.

    response_id    its id; `custom_llm_provider` says who keeps it (default: openai), `include` adds to it
    """
    return run(default_engine(), stored.RESPONSE_RETRIEVE, {"response_id": response_id, **arguments})


async def aget_responses(response_id: str, **arguments: Any) -> ResponsesResponse:
    """`get_responses` from a coroutine."""
    return await arun(default_engine(), stored.RESPONSE_RETRIEVE, {"response_id": response_id, **arguments})


def delete_responses(response_id: str, **arguments: Any) -> ResponsesDeleted:
    """Delete a stored response.

    response_id    its id; `custom_llm_provider` says who keeps it (default: openai)
    """
    return run(default_engine(), stored.RESPONSE_DELETE, {"response_id": response_id, **arguments})


async def adelete_responses(response_id: str, **arguments: Any) -> ResponsesDeleted:
    """`delete_responses` from a coroutine."""
    return await arun(default_engine(), stored.RESPONSE_DELETE, {"response_id": response_id, **arguments})


def cancel_responses(response_id: str, **arguments: Any) -> ResponsesResponse:
    """Cancel a response that is being made in the background.

    response_id    its id; `custom_llm_provider` says who makes it (default: openai)
    """
    return run(default_engine(), stored.RESPONSE_CANCEL, {"response_id": response_id, **arguments})


async def acancel_responses(response_id: str, **arguments: Any) -> ResponsesResponse:
    """`cancel_responses` from a coroutine."""
    return await arun(default_engine(), stored.RESPONSE_CANCEL, {"response_id": response_id, **arguments})


def list_input_items(response_id: str, **arguments: Any) -> Page:
    """The items that a stored response was asked with, one page of them.

    response_id    its id
    **arguments    `after`, `before`, `limit`, `order`, `include`, `custom_llm_provider` (default: openai), and the
                   options
    """
    return run(default_engine(), stored.RESPONSE_INPUT_ITEMS, {"response_id": response_id, **arguments})


async def alist_input_items(response_id: str, **arguments: Any) -> Page:
    """`list_input_items` from a coroutine."""
    return await arun(default_engine(), stored.RESPONSE_INPUT_ITEMS, {"response_id": response_id, **arguments})


# -- Anthropic Messages -----------------------------------------------------------------------------------------------


@overload
def messages(
    model: str,
    messages: Sequence[Any],
    max_tokens: int | None = None,
    *,
    stream: Literal[False] | None = None,
    **arguments: Any,
) -> AnthropicMessage: ...
@overload
def messages(
    model: str, messages: Sequence[Any], max_tokens: int | None = None, *, stream: Literal[True], **arguments: Any
) -> Stream[AnthropicStreamEvent, AnthropicMessage]: ...
@overload
def messages(
    model: str, messages: Sequence[Any], max_tokens: int | None = None, *, stream: bool | None, **arguments: Any
) -> AnthropicMessage | Stream[AnthropicStreamEvent, AnthropicMessage]: ...
def messages(
    model: str, messages: Sequence[Any], max_tokens: int | None = None, **arguments: Any
) -> AnthropicMessage | Stream[AnthropicStreamEvent, AnthropicMessage]:
    """Anthropic's Messages API, to any model: `messages("openai/gpt-5", [...], 1024).content[0].text`.

    model          "provider/model"
    messages       in Anthropic's shape
    max_tokens     the most tokens of the answer; the API demands it, here it may be left out
    **arguments    `system`, `tools`, `thinking` ... as Anthropic's API has them, and the options

    With `stream=True` an iterator of the API's events, whose `response` is the whole message at the end.
    """
    given = {"model": model, "messages": messages, "max_tokens": max_tokens, **arguments}
    return call(default_engine(), dialect_calls.MESSAGES_SHAPE, given)


@overload
async def amessages(
    model: str,
    messages: Sequence[Any],
    max_tokens: int | None = None,
    *,
    stream: Literal[False] | None = None,
    **arguments: Any,
) -> AnthropicMessage: ...
@overload
async def amessages(
    model: str, messages: Sequence[Any], max_tokens: int | None = None, *, stream: Literal[True], **arguments: Any
) -> AsyncStream[AnthropicStreamEvent, AnthropicMessage]: ...
@overload
async def amessages(
    model: str, messages: Sequence[Any], max_tokens: int | None = None, *, stream: bool | None, **arguments: Any
) -> AnthropicMessage | AsyncStream[AnthropicStreamEvent, AnthropicMessage]: ...
async def amessages(
    model: str, messages: Sequence[Any], max_tokens: int | None = None, **arguments: Any
) -> AnthropicMessage | AsyncStream[AnthropicStreamEvent, AnthropicMessage]:
    """`messages` from a coroutine; with `stream=True` an async iterator."""
    given = {"model": model, "messages": messages, "max_tokens": max_tokens, **arguments}
    return await acall(default_engine(), dialect_calls.MESSAGES_SHAPE, given)


class _Messages:
    """`penstock.anthropic.messages`."""

    create = staticmethod(messages)
    acreate = staticmethod(amessages)


class _Anthropic:
    """`penstock.anthropic`: the Messages API under the names of LiteLLM and of the `anthropic` package."""

    messages = _Messages()


anthropic = _Anthropic()

# -- Gemini -----------------------------------------------------------------------------------------------------------


def generate_content(model: str, contents: Any, **arguments: Any) -> GenerateContentResponse:
    """Gemini's generateContent, to any model: `generate_content("anthropic/claude-sonnet-4-5", "Hello").text`.

    `contents` is a text, a list of texts or parts, or a list of contents; `config` holds what Google's Python package
    has there (`system_instruction`, `tools`, `temperature` ...), in either spelling.
    """
    given = {"model": model, "contents": contents, **arguments, "stream": False}
    answer = call(default_engine(), dialect_calls.GEMINI_SHAPE, given)
    assert isinstance(answer, GenerateContentResponse), "no stream was asked for"
    return answer


async def agenerate_content(model: str, contents: Any, **arguments: Any) -> GenerateContentResponse:
    """`generate_content` from a coroutine."""
    given = {"model": model, "contents": contents, **arguments, "stream": False}
    answer = await acall(default_engine(), dialect_calls.GEMINI_SHAPE, given)
    assert isinstance(answer, GenerateContentResponse), "no stream was asked for"
    return answer


def generate_content_stream(
    model: str, contents: Any, **arguments: Any
) -> Stream[GenerateContentResponse, GenerateContentResponse]:
    """`generate_content` in pieces, with the same `model` and `contents`: an iterator of GenerateContentResponse."""
    given = {"model": model, "contents": contents, **arguments, "stream": True}
    answer = call(default_engine(), dialect_calls.GEMINI_SHAPE, given)
    assert isinstance(answer, Stream), "a stream was asked for"
    return answer


async def agenerate_content_stream(
    model: str, contents: Any, **arguments: Any
) -> AsyncStream[GenerateContentResponse, GenerateContentResponse]:
    """`generate_content_stream` from a coroutine: an async iterator."""
    given = {"model": model, "contents": contents, **arguments, "stream": True}
    answer = await acall(default_engine(), dialect_calls.GEMINI_SHAPE, given)
    assert isinstance(answer, AsyncStream), "a stream was asked for"
    return answer
