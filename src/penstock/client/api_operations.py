"""The module-level calls that are no chat: embeddings, reranking, images, audio, moderation, files, batches.

Every function has an async twin with the same parameters, whose name begins with `a`. Arguments that are not named here
are the API's own parameters, or options of `penstock.calls.options.Options` (retries, fallbacks, timeouts, keys,
`mock_response` ...). All raise the exceptions of `penstock.exceptions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, overload

from penstock.client import media, stored
from penstock.client.api import default_engine
from penstock.client.embeddings import EMBEDDING, EmbeddingCall
from penstock.client.operations import arun, arun_or_stream, run, run_or_stream
from penstock.client.reranking import RERANK
from penstock.client.result_objects import (
    Batch,
    BinaryContent,
    EmbeddingResponse,
    FileDeleted,
    FileObject,
    ImageResponse,
    ModerationResponse,
    Page,
    RerankResponse,
    StreamedEvent,
    TranscriptionResponse,
)
from penstock.client.streams import AsyncStream, Stream

# -- embeddings and reranking -----------------------------------------------------------------------------------------


def embedding(model: str, input: str | Sequence[Any], **arguments: Any) -> EmbeddingResponse:
    """One vector for each input, in the order of the inputs.

    input          a text, a list of texts, or token ids
    **arguments    `dimensions`, `encoding_format` ("float" or "base64", whatever the provider offers), `input_type`
                   ("query", "document" ...), `user`, and the options

    A list that is longer than the provider takes at once is cut, and its vectors are joined in order; they all come
    from one model.
    """
    return run(default_engine(), EMBEDDING, {"model": model, "input": input, **arguments}, EmbeddingCall)


async def aembedding(model: str, input: str | Sequence[Any], **arguments: Any) -> EmbeddingResponse:
    """`embedding` from a coroutine."""
    return await arun(default_engine(), EMBEDDING, {"model": model, "input": input, **arguments}, EmbeddingCall)


def rerank(
    model: str, query: str, documents: Sequence[str | dict[str, Any]], top_n: int | None = None, **arguments: Any
) -> RerankResponse:
    """The documents that fit the query best, best first, in Cohere's shape.

    model          "provider/model"
    query          the question, a text
    documents      texts, or dicts with a `text`
    top_n          how many to return (default: all)
    **arguments    `return_documents` (True: with their text, False: without; default: as the provider does),
                   `rank_fields`, `max_tokens_per_doc`, `max_chunks_per_doc`, and the options
    """
    return run(
        default_engine(), RERANK, {"model": model, "query": query, "documents": documents, "top_n": top_n, **arguments}
    )


async def arerank(
    model: str, query: str, documents: Sequence[str | dict[str, Any]], top_n: int | None = None, **arguments: Any
) -> RerankResponse:
    """`rerank` from a coroutine."""
    return await arun(
        default_engine(), RERANK, {"model": model, "query": query, "documents": documents, "top_n": top_n, **arguments}
    )


# -- images -----------------------------------------------------------------------------------------------------------


@overload
def image_generation(
    prompt: str, model: str | None = None, *, stream: Literal[False] | None = None, **arguments: Any
) -> ImageResponse: ...
@overload
def image_generation(
    prompt: str, model: str | None = None, *, stream: Literal[True], **arguments: Any
) -> Stream[StreamedEvent, ImageResponse]: ...
@overload
def image_generation(
    prompt: str, model: str | None = None, *, stream: bool | None, **arguments: Any
) -> ImageResponse | Stream[StreamedEvent, ImageResponse]: ...
def image_generation(
    prompt: str, model: str | None = None, **arguments: Any
) -> ImageResponse | Stream[StreamedEvent, ImageResponse]:
    """Make images.

    prompt         what they show
    model          "provider/model"
    **arguments    `n`, `size` ("1024x1024" ...), `quality`, `style`, `response_format` ("url", "b64_json"), `user`, and
                   the options

    With `stream=True` an iterator of events with partial images.
    """
    return run_or_stream(default_engine(), media.IMAGE_GENERATION, {"prompt": prompt, "model": model, **arguments})


@overload
async def aimage_generation(
    prompt: str, model: str | None = None, *, stream: Literal[False] | None = None, **arguments: Any
) -> ImageResponse: ...
@overload
async def aimage_generation(
    prompt: str, model: str | None = None, *, stream: Literal[True], **arguments: Any
) -> AsyncStream[StreamedEvent, ImageResponse]: ...
@overload
async def aimage_generation(
    prompt: str, model: str | None = None, *, stream: bool | None, **arguments: Any
) -> ImageResponse | AsyncStream[StreamedEvent, ImageResponse]: ...
async def aimage_generation(
    prompt: str, model: str | None = None, **arguments: Any
) -> ImageResponse | AsyncStream[StreamedEvent, ImageResponse]:
    """`image_generation` from a coroutine."""
    return await arun_or_stream(
        default_engine(), media.IMAGE_GENERATION, {"prompt": prompt, "model": model, **arguments}
    )


@overload
def image_edit(
    image: Any, prompt: str, model: str | None = None, *, stream: Literal[False] | None = None, **arguments: Any
) -> ImageResponse: ...
@overload
def image_edit(
    image: Any, prompt: str, model: str | None = None, *, stream: Literal[True], **arguments: Any
) -> Stream[StreamedEvent, ImageResponse]: ...
@overload
def image_edit(
    image: Any, prompt: str, model: str | None = None, *, stream: bool | None, **arguments: Any
) -> ImageResponse | Stream[StreamedEvent, ImageResponse]: ...
def image_edit(
    image: Any, prompt: str, model: str | None = None, **arguments: Any
) -> ImageResponse | Stream[StreamedEvent, ImageResponse]:
    """Change images, or make one out of several.

    image          one or a list, each bytes, an open file, a path, or (name, content)
    prompt         what shall be different
    model          "provider/model"
    **arguments    `mask` (where to change), `n`, `size`, `quality` ..., and the options

    With `stream=True` an iterator of events with partial images.
    """
    return run_or_stream(
        default_engine(), media.IMAGE_EDIT, {"image": image, "prompt": prompt, "model": model, **arguments}
    )


@overload
async def aimage_edit(
    image: Any, prompt: str, model: str | None = None, *, stream: Literal[False] | None = None, **arguments: Any
) -> ImageResponse: ...
@overload
async def aimage_edit(
    image: Any, prompt: str, model: str | None = None, *, stream: Literal[True], **arguments: Any
) -> AsyncStream[StreamedEvent, ImageResponse]: ...
@overload
async def aimage_edit(
    image: Any, prompt: str, model: str | None = None, *, stream: bool | None, **arguments: Any
) -> ImageResponse | AsyncStream[StreamedEvent, ImageResponse]: ...
async def aimage_edit(
    image: Any, prompt: str, model: str | None = None, **arguments: Any
) -> ImageResponse | AsyncStream[StreamedEvent, ImageResponse]:
    """`image_edit` from a coroutine."""
    return await arun_or_stream(
        default_engine(), media.IMAGE_EDIT, {"image": image, "prompt": prompt, "model": model, **arguments}
    )


# -- audio ------------------------------------------------------------------------------------------------------------


def speech(model: str, input: str, voice: Any, **arguments: Any) -> BinaryContent:
    """Read a text aloud: `speech("openai/tts-1", "Hello", "alloy").stream_to_file("hello.mp3")`.

    model          "provider/model"
    input          the text
    voice          a name that the provider knows
    **arguments    `response_format` ("mp3", "opus", "wav" ...), `speed`, `instructions`, and the options
    """
    return run(default_engine(), media.SPEECH, {"model": model, "input": input, "voice": voice, **arguments})


async def aspeech(model: str, input: str, voice: Any, **arguments: Any) -> BinaryContent:
    """`speech` from a coroutine."""
    return await arun(default_engine(), media.SPEECH, {"model": model, "input": input, "voice": voice, **arguments})


@overload
def transcription(
    model: str, file: Any, *, stream: Literal[False] | None = None, **arguments: Any
) -> TranscriptionResponse: ...
@overload
def transcription(
    model: str, file: Any, *, stream: Literal[True], **arguments: Any
) -> Stream[StreamedEvent, TranscriptionResponse]: ...
@overload
def transcription(
    model: str, file: Any, *, stream: bool | None, **arguments: Any
) -> TranscriptionResponse | Stream[StreamedEvent, TranscriptionResponse]: ...
def transcription(
    model: str, file: Any, **arguments: Any
) -> TranscriptionResponse | Stream[StreamedEvent, TranscriptionResponse]:
    """What is said in a recording.

    model          "provider/model"
    file           bytes, an open file, a path, or (name, content)
    **arguments    `language`, `prompt`, `temperature`, `timestamp_granularities`, `response_format` ("json", "text",
                   "srt", "verbose_json", "vtt"), and the options

    With `stream=True` (where the model can) an iterator of events.
    """
    return run_or_stream(default_engine(), media.TRANSCRIPTION, {"model": model, "file": file, **arguments})


@overload
async def atranscription(
    model: str, file: Any, *, stream: Literal[False] | None = None, **arguments: Any
) -> TranscriptionResponse: ...
@overload
async def atranscription(
    model: str, file: Any, *, stream: Literal[True], **arguments: Any
) -> AsyncStream[StreamedEvent, TranscriptionResponse]: ...
@overload
async def atranscription(
    model: str, file: Any, *, stream: bool | None, **arguments: Any
) -> TranscriptionResponse | AsyncStream[StreamedEvent, TranscriptionResponse]: ...
async def atranscription(
    model: str, file: Any, **arguments: Any
) -> TranscriptionResponse | AsyncStream[StreamedEvent, TranscriptionResponse]:
    """`transcription` from a coroutine."""
    return await arun_or_stream(default_engine(), media.TRANSCRIPTION, {"model": model, "file": file, **arguments})


# -- moderation -------------------------------------------------------------------------------------------------------


def moderation(input: str | Sequence[Any], model: str | None = None, **arguments: Any) -> ModerationResponse:
    """Whether texts (or images) are harmful, by category.

    input          a text, a list of texts, or parts in OpenAI's shape
    model          "provider/model" (default: OpenAI's omni-moderation-latest)
    """
    return run(default_engine(), media.MODERATION, {"input": input, "model": model, **arguments})


async def amoderation(input: str | Sequence[Any], model: str | None = None, **arguments: Any) -> ModerationResponse:
    """`moderation` from a coroutine."""
    return await arun(default_engine(), media.MODERATION, {"input": input, "model": model, **arguments})


# -- files ------------------------------------------------------------------------------------------------------------


def create_file(file: Any, purpose: str, custom_llm_provider: str | None = None, **arguments: Any) -> FileObject:
    """Upload a file.

    file           bytes, an open file, a path, or (name, content)
    purpose        "batch", "user_data", "fine-tune" ..., as the provider calls it
    custom_llm_provider    to whom (default: openai)
    **arguments    `expires_after`, and the options
    """
    return run(
        default_engine(),
        stored.FILE_CREATE,
        {"file": file, "purpose": purpose, "custom_llm_provider": custom_llm_provider, **arguments},
    )


async def acreate_file(file: Any, purpose: str, custom_llm_provider: str | None = None, **arguments: Any) -> FileObject:
    """`create_file` from a coroutine."""
    return await arun(
        default_engine(),
        stored.FILE_CREATE,
        {"file": file, "purpose": purpose, "custom_llm_provider": custom_llm_provider, **arguments},
    )


def file_retrieve(file_id: str, custom_llm_provider: str | None = None, **arguments: Any) -> FileObject:
    """What is known of an uploaded file.

    file_id        its id
    custom_llm_provider    who has it (default: openai)
    """
    return run(
        default_engine(),
        stored.FILE_RETRIEVE,
        {"file_id": file_id, "custom_llm_provider": custom_llm_provider, **arguments},
    )


async def afile_retrieve(file_id: str, custom_llm_provider: str | None = None, **arguments: Any) -> FileObject:
    """`file_retrieve` from a coroutine."""
    return await arun(
        default_engine(),
        stored.FILE_RETRIEVE,
        {"file_id": file_id, "custom_llm_provider": custom_llm_provider, **arguments},
    )


def file_delete(file_id: str, custom_llm_provider: str | None = None, **arguments: Any) -> FileDeleted:
    """Delete an uploaded file.

    file_id        its id
    custom_llm_provider    who has it (default: openai)
    """
    return run(
        default_engine(),
        stored.FILE_DELETE,
        {"file_id": file_id, "custom_llm_provider": custom_llm_provider, **arguments},
    )


async def afile_delete(file_id: str, custom_llm_provider: str | None = None, **arguments: Any) -> FileDeleted:
    """`file_delete` from a coroutine."""
    return await arun(
        default_engine(),
        stored.FILE_DELETE,
        {"file_id": file_id, "custom_llm_provider": custom_llm_provider, **arguments},
    )


def file_list(custom_llm_provider: str | None = None, purpose: str | None = None, **arguments: Any) -> Page:
    """The uploaded files, one page of them.

    custom_llm_provider    who has them (default: openai)
    purpose        only those for this
    **arguments    `after`, `limit`, `order`, and the options
    """
    return run(
        default_engine(),
        stored.FILE_LIST,
        {"custom_llm_provider": custom_llm_provider, "purpose": purpose, **arguments},
    )


async def afile_list(custom_llm_provider: str | None = None, purpose: str | None = None, **arguments: Any) -> Page:
    """`file_list` from a coroutine."""
    return await arun(
        default_engine(),
        stored.FILE_LIST,
        {"custom_llm_provider": custom_llm_provider, "purpose": purpose, **arguments},
    )


def file_content(file_id: str, custom_llm_provider: str | None = None, **arguments: Any) -> BinaryContent:
    """The content of a file, such as the output of a batch.

    file_id        its id
    custom_llm_provider    who has it (default: openai)
    """
    return run(
        default_engine(),
        stored.FILE_CONTENT,
        {"file_id": file_id, "custom_llm_provider": custom_llm_provider, **arguments},
    )


async def afile_content(file_id: str, custom_llm_provider: str | None = None, **arguments: Any) -> BinaryContent:
    """`file_content` from a coroutine."""
    return await arun(
        default_engine(),
        stored.FILE_CONTENT,
        {"file_id": file_id, "custom_llm_provider": custom_llm_provider, **arguments},
    )


# -- batches ----------------------------------------------------------------------------------------------------------


def create_batch(
    completion_window: str, endpoint: str, input_file_id: str, custom_llm_provider: str | None = None, **arguments: Any
) -> Batch:
    """Have all requests of an uploaded file answered within some time, at a lower price.

    completion_window      within which time: "24h"
    endpoint               what they are for: "/v1/chat/completions", "/v1/embeddings" ...
    input_file_id          the file: one request a line, in JSON
    custom_llm_provider    whom to ask (default: openai)
    **arguments            `metadata`, which goes with the batch, and the options
    """
    return run(
        default_engine(),
        stored.BATCH_CREATE,
        {
            "completion_window": completion_window,
            "endpoint": endpoint,
            "input_file_id": input_file_id,
            "custom_llm_provider": custom_llm_provider,
            **arguments,
        },
    )


async def acreate_batch(
    completion_window: str, endpoint: str, input_file_id: str, custom_llm_provider: str | None = None, **arguments: Any
) -> Batch:
    """`create_batch` from a coroutine."""
    return await arun(
        default_engine(),
        stored.BATCH_CREATE,
        {
            "completion_window": completion_window,
            "endpoint": endpoint,
            "input_file_id": input_file_id,
            "custom_llm_provider": custom_llm_provider,
            **arguments,
        },
    )


def retrieve_batch(batch_id: str, custom_llm_provider: str | None = None, **arguments: Any) -> Batch:
    """Where a batch stands.

    batch_id       its id
    custom_llm_provider    who has it (default: openai)
    """
    return run(
        default_engine(),
        stored.BATCH_RETRIEVE,
        {"batch_id": batch_id, "custom_llm_provider": custom_llm_provider, **arguments},
    )


async def aretrieve_batch(batch_id: str, custom_llm_provider: str | None = None, **arguments: Any) -> Batch:
    """`retrieve_batch` from a coroutine."""
    return await arun(
        default_engine(),
        stored.BATCH_RETRIEVE,
        {"batch_id": batch_id, "custom_llm_provider": custom_llm_provider, **arguments},
    )


def list_batches(
    custom_llm_provider: str | None = None, after: str | None = None, limit: int | None = None, **arguments: Any
) -> Page:
    """The batches of the account, one page of them.

    custom_llm_provider    who has them (default: openai)
    after          the id after which the page begins
    limit          how many at most
    """
    return run(
        default_engine(),
        stored.BATCH_LIST,
        {"custom_llm_provider": custom_llm_provider, "after": after, "limit": limit, **arguments},
    )


async def alist_batches(
    custom_llm_provider: str | None = None, after: str | None = None, limit: int | None = None, **arguments: Any
) -> Page:
    """`list_batches` from a coroutine."""
    return await arun(
        default_engine(),
        stored.BATCH_LIST,
        {"custom_llm_provider": custom_llm_provider, "after": after, "limit": limit, **arguments},
    )


def cancel_batch(batch_id: str, custom_llm_provider: str | None = None, **arguments: Any) -> Batch:
    """Stop a batch.

    batch_id       its id
    custom_llm_provider    who has it (default: openai)
    """
    return run(
        default_engine(),
        stored.BATCH_CANCEL,
        {"batch_id": batch_id, "custom_llm_provider": custom_llm_provider, **arguments},
    )


async def acancel_batch(batch_id: str, custom_llm_provider: str | None = None, **arguments: Any) -> Batch:
    """`cancel_batch` from a coroutine."""
    return await arun(
        default_engine(),
        stored.BATCH_CANCEL,
        {"batch_id": batch_id, "custom_llm_provider": custom_llm_provider, **arguments},
    )
