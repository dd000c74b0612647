"""Client and AsyncClient: an engine of one's own, behind the names of the `openai` package's clients.

    client = Client(api_key="...", api_base="https://llm.example.com/v1", num_retries=0)
    client.chat.completions.create(model="openai/gpt-5", messages=[...])

What is given to a client holds for all its calls: keys and addresses, retries, timeouts, callbacks, its own providers
(`registry`), environment, proxy and certificates (`network`), or an httpx client of the user's (`http_client`). Each
resource below is a table of names over the same functions that the module-level calls use.
"""

from __future__ import annotations

from functools import cached_property
from types import TracebackType
from typing import Any, Literal, Self, overload

from penstock.client import dialect_calls, media, stored, text_completions
from penstock.client.embeddings import EMBEDDING, EmbeddingCall
from penstock.client.engine import Engine, engine_with
from penstock.client.objects import ModelResponse, ModelResponseStream
from penstock.client.reranking import RERANK
from penstock.client.resources import (
    AsyncMethod,
    AsyncShapeMethod,
    AsyncStreamingMethod,
    AsyncStreamingShapeMethod,
    Method,
    Resource,
    ShapeMethod,
    StreamingMethod,
    StreamingShapeMethod,
)
from penstock.client.result_objects import (
    AnthropicMessage,
    AnthropicStreamEvent,
    Batch,
    BinaryContent,
    EmbeddingResponse,
    FileDeleted,
    FileObject,
    GenerateContentResponse,
    ImageResponse,
    ModerationResponse,
    Page,
    RerankResponse,
    ResponsesDeleted,
    ResponsesResponse,
    ResponsesStreamEvent,
    StreamedEvent,
    TextCompletionResponse,
    TranscriptionResponse,
)
from penstock.client.shapes import CHAT_SHAPE
from penstock.client.streams import AsyncStream, Stream


# -- blocking ---------------------------------------------------------------------------------------------------------
class ChatCompletions(Resource):
    """`client.chat.completions`."""

    create = StreamingShapeMethod[ModelResponse, Stream[ModelResponseStream, ModelResponse]](CHAT_SHAPE)
    parse = ShapeMethod[ModelResponse](CHAT_SHAPE, stream=False)


class Chat(Resource):
    """`client.chat`."""

    @cached_property
    def completions(self) -> ChatCompletions:
        return ChatCompletions(self._engine)


class Completions(Resource):
    """`client.completions`: text completions."""

    @overload
    def create(self, *, stream: Literal[False] | None = None, **arguments: Any) -> TextCompletionResponse: ...
    @overload
    def create(
        self, *, stream: Literal[True], **arguments: Any
    ) -> Stream[TextCompletionResponse, TextCompletionResponse]: ...
    @overload
    def create(
        self, *, stream: bool | None, **arguments: Any
    ) -> TextCompletionResponse | Stream[TextCompletionResponse, TextCompletionResponse]: ...
    def create(
        self, **arguments: Any
    ) -> TextCompletionResponse | Stream[TextCompletionResponse, TextCompletionResponse]:
        """See `penstock.text_completion`."""
        return text_completions.text_completion(self._engine, **self._given((), (), arguments))


class Embeddings(Resource):
    """`client.embeddings`."""

    create = Method[EmbeddingResponse](EMBEDDING, call=EmbeddingCall)


class InputItems(Resource):
    """`client.responses.input_items`."""

    list = Method[Page](stored.RESPONSE_INPUT_ITEMS, "response_id")


class Responses(Resource):
    """`client.responses`."""

    create = StreamingShapeMethod[ResponsesResponse, Stream[ResponsesStreamEvent, ResponsesResponse]](
        dialect_calls.RESPONSES_SHAPE
    )
    parse = ShapeMethod[ResponsesResponse](dialect_calls.RESPONSES_SHAPE, stream=False)
    retrieve = Method[ResponsesResponse](stored.RESPONSE_RETRIEVE, "response_id")
    delete = Method[ResponsesDeleted](stored.RESPONSE_DELETE, "response_id")
    cancel = Method[ResponsesResponse](stored.RESPONSE_CANCEL, "response_id")

    @cached_property
    def input_items(self) -> InputItems:
        return InputItems(self._engine)


class Messages(Resource):
    """`client.messages`: Anthropic's shape."""

    create = StreamingShapeMethod[AnthropicMessage, Stream[AnthropicStreamEvent, AnthropicMessage]](
        dialect_calls.MESSAGES_SHAPE
    )


class Images(Resource):
    """`client.images`."""

    generate = StreamingMethod[ImageResponse, Stream[StreamedEvent, ImageResponse]](media.IMAGE_GENERATION)
    edit = StreamingMethod[ImageResponse, Stream[StreamedEvent, ImageResponse]](media.IMAGE_EDIT)


class Speech(Resource):
    """`client.audio.speech`."""

    create = Method[BinaryContent](media.SPEECH)


class Transcriptions(Resource):
    """`client.audio.transcriptions`."""

    create = StreamingMethod[TranscriptionResponse, Stream[StreamedEvent, TranscriptionResponse]](media.TRANSCRIPTION)


class Audio(Resource):
    """`client.audio`."""

    @cached_property
    def speech(self) -> Speech:
        return Speech(self._engine)

    @cached_property
    def transcriptions(self) -> Transcriptions:
        return Transcriptions(self._engine)


class Moderations(Resource):
    """`client.moderations`."""

    create = Method[ModerationResponse](media.MODERATION)


class Files(Resource):
    """`client.files`."""

    create = Method[FileObject](stored.FILE_CREATE)
    retrieve = Method[FileObject](stored.FILE_RETRIEVE, "file_id")
    delete = Method[FileDeleted](stored.FILE_DELETE, "file_id")
    list = Method[Page](stored.FILE_LIST)
    content = Method[BinaryContent](stored.FILE_CONTENT, "file_id")


class Batches(Resource):
    """`client.batches`."""

    create = Method[Batch](stored.BATCH_CREATE)
    retrieve = Method[Batch](stored.BATCH_RETRIEVE, "batch_id")
    list = Method[Page](stored.BATCH_LIST)
    cancel = Method[Batch](stored.BATCH_CANCEL, "batch_id")


class Models(Resource):
    """`client.models`: what a provider has (`custom_llm_provider`, default openai), and Gemini's own calls."""

    list = Method[Page](stored.MODEL_LIST)
    generate_content = ShapeMethod[GenerateContentResponse](dialect_calls.GEMINI_SHAPE, stream=False)
    generate_content_stream = ShapeMethod[Stream[GenerateContentResponse, GenerateContentResponse]](
        dialect_calls.GEMINI_SHAPE, stream=True
    )


class Client(Resource):
    """The blocking client.

    It takes the options of `penstock.client.options.Options` as defaults of its calls (api_key, api_base, num_retries,
    timeout, drop_params, callbacks ...), `default_headers` and `default_query` to send with each, `http_client` (an
    httpx.Client), and the arguments of `penstock.client.engine.Engine`. Raises TypeError for anything else.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(engine_with(arguments, "a client takes no {}: give it to the call"))

    @cached_property
    def chat(self) -> Chat:
        return Chat(self._engine)

    @cached_property
    def completions(self) -> Completions:
        return Completions(self._engine)

    @cached_property
    def embeddings(self) -> Embeddings:
        return Embeddings(self._engine)

    @cached_property
    def responses(self) -> Responses:
        return Responses(self._engine)

    @cached_property
    def messages(self) -> Messages:
        return Messages(self._engine)

    @cached_property
    def images(self) -> Images:
        return Images(self._engine)

    @cached_property
    def audio(self) -> Audio:
        return Audio(self._engine)

    @cached_property
    def moderations(self) -> Moderations:
        return Moderations(self._engine)

    @cached_property
    def files(self) -> Files:
        return Files(self._engine)

    @cached_property
    def batches(self) -> Batches:
        return Batches(self._engine)

    @cached_property
    def models(self) -> Models:
        return Models(self._engine)

    rerank = Method[RerankResponse](RERANK)

    @property
    def engine(self) -> Engine:
        """What the calls share: for the helpers that take an engine."""
        return self._engine

    def close(self) -> None:
        """Close the connections. A client of the user's own (`http_client`) stays open."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


# -- for coroutines ---------------------------------------------------------------------------------------------------
class AsyncChatCompletions(Resource):
    """`client.chat.completions`."""

    create = AsyncStreamingShapeMethod[ModelResponse, AsyncStream[ModelResponseStream, ModelResponse]](CHAT_SHAPE)
    parse = AsyncShapeMethod[ModelResponse](CHAT_SHAPE, stream=False)


class AsyncChat(Resource):
    """`client.chat`."""

    @cached_property
    def completions(self) -> AsyncChatCompletions:
        return AsyncChatCompletions(self._engine)


class AsyncCompletions(Resource):
    """`client.completions`: text completions."""

    @overload
    async def create(self, *, stream: Literal[False] | None = None, **arguments: Any) -> TextCompletionResponse: ...
    @overload
    async def create(
        self, *, stream: Literal[True], **arguments: Any
    ) -> AsyncStream[TextCompletionResponse, TextCompletionResponse]: ...
    @overload
    async def create(
        self, *, stream: bool | None, **arguments: Any
    ) -> TextCompletionResponse | AsyncStream[TextCompletionResponse, TextCompletionResponse]: ...
    async def create(
        self, **arguments: Any
    ) -> TextCompletionResponse | AsyncStream[TextCompletionResponse, TextCompletionResponse]:
        """See `penstock.atext_completion`."""
        return await text_completions.atext_completion(self._engine, **self._given((), (), arguments))


class AsyncEmbeddings(Resource):
    """`client.embeddings`."""

    create = AsyncMethod[EmbeddingResponse](EMBEDDING, call=EmbeddingCall)


class AsyncInputItems(Resource):
    """`client.responses.input_items`."""

    list = AsyncMethod[Page](stored.RESPONSE_INPUT_ITEMS, "response_id")


class AsyncResponses(Resource):
    """`client.responses`."""

    create = AsyncStreamingShapeMethod[ResponsesResponse, AsyncStream[ResponsesStreamEvent, ResponsesResponse]](
        dialect_calls.RESPONSES_SHAPE
    )
    parse = AsyncShapeMethod[ResponsesResponse](dialect_calls.RESPONSES_SHAPE, stream=False)
    retrieve = AsyncMethod[ResponsesResponse](stored.RESPONSE_RETRIEVE, "response_id")
    delete = AsyncMethod[ResponsesDeleted](stored.RESPONSE_DELETE, "response_id")
    cancel = AsyncMethod[ResponsesResponse](stored.RESPONSE_CANCEL, "response_id")

    @cached_property
    def input_items(self) -> AsyncInputItems:
        return AsyncInputItems(self._engine)


class AsyncMessages(Resource):
    """`client.messages`: Anthropic's shape."""

    create = AsyncStreamingShapeMethod[AnthropicMessage, AsyncStream[AnthropicStreamEvent, AnthropicMessage]](
        dialect_calls.MESSAGES_SHAPE
    )


class AsyncImages(Resource):
    """`client.images`."""

    generate = AsyncStreamingMethod[ImageResponse, AsyncStream[StreamedEvent, ImageResponse]](media.IMAGE_GENERATION)
    edit = AsyncStreamingMethod[ImageResponse, AsyncStream[StreamedEvent, ImageResponse]](media.IMAGE_EDIT)


class AsyncSpeech(Resource):
    """`client.audio.speech`."""

    create = AsyncMethod[BinaryContent](media.SPEECH)


class AsyncTranscriptions(Resource):
    """`client.audio.transcriptions`."""

    create = AsyncStreamingMethod[TranscriptionResponse, AsyncStream[StreamedEvent, TranscriptionResponse]](
        media.TRANSCRIPTION
    )


class AsyncAudio(Resource):
    """`client.audio`."""

    @cached_property
    def speech(self) -> AsyncSpeech:
        return AsyncSpeech(self._engine)

    @cached_property
    def transcriptions(self) -> AsyncTranscriptions:
        return AsyncTranscriptions(self._engine)


class AsyncModerations(Resource):
    """`client.moderations`."""

    create = AsyncMethod[ModerationResponse](media.MODERATION)


class AsyncFiles(Resource):
    """`client.files`."""

    create = AsyncMethod[FileObject](stored.FILE_CREATE)
    retrieve = AsyncMethod[FileObject](stored.FILE_RETRIEVE, "file_id")
    delete = AsyncMethod[FileDeleted](stored.FILE_DELETE, "file_id")
    list = AsyncMethod[Page](stored.FILE_LIST)
    content = AsyncMethod[BinaryContent](stored.FILE_CONTENT, "file_id")


class AsyncBatches(Resource):
    """`client.batches`."""

    create = AsyncMethod[Batch](stored.BATCH_CREATE)
    retrieve = AsyncMethod[Batch](stored.BATCH_RETRIEVE, "batch_id")
    list = AsyncMethod[Page](stored.BATCH_LIST)
    cancel = AsyncMethod[Batch](stored.BATCH_CANCEL, "batch_id")


class AsyncModels(Resource):
    """`client.models`: what a provider has (`custom_llm_provider`, default openai), and Gemini's own calls."""

    list = AsyncMethod[Page](stored.MODEL_LIST)
    generate_content = AsyncShapeMethod[GenerateContentResponse](dialect_calls.GEMINI_SHAPE, stream=False)
    generate_content_stream = AsyncShapeMethod[AsyncStream[GenerateContentResponse, GenerateContentResponse]](
        dialect_calls.GEMINI_SHAPE, stream=True
    )


class AsyncClient(Resource):
    """The client for coroutines: every method is awaited.

    It takes the options of `penstock.client.options.Options` as defaults of its calls (api_key, api_base, num_retries,
    timeout, drop_params, callbacks ...), `default_headers` and `default_query` to send with each, `http_client` (an
    httpx.AsyncClient), and the arguments of `penstock.client.engine.Engine`. Raises TypeError for anything else.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(engine_with(arguments, "a client takes no {}: give it to the call"))

    @cached_property
    def chat(self) -> AsyncChat:
        return AsyncChat(self._engine)

    @cached_property
    def completions(self) -> AsyncCompletions:
        return AsyncCompletions(self._engine)

    @cached_property
    def embeddings(self) -> AsyncEmbeddings:
        return AsyncEmbeddings(self._engine)

    @cached_property
    def responses(self) -> AsyncResponses:
        return AsyncResponses(self._engine)

    @cached_property
    def messages(self) -> AsyncMessages:
        return AsyncMessages(self._engine)

    @cached_property
    def images(self) -> AsyncImages:
        return AsyncImages(self._engine)

    @cached_property
    def audio(self) -> AsyncAudio:
        return AsyncAudio(self._engine)

    @cached_property
    def moderations(self) -> AsyncModerations:
        return AsyncModerations(self._engine)

    @cached_property
    def files(self) -> AsyncFiles:
        return AsyncFiles(self._engine)

    @cached_property
    def batches(self) -> AsyncBatches:
        return AsyncBatches(self._engine)

    @cached_property
    def models(self) -> AsyncModels:
        return AsyncModels(self._engine)

    rerank = AsyncMethod[RerankResponse](RERANK)

    @property
    def engine(self) -> Engine:
        """What the calls share: for the helpers that take an engine."""
        return self._engine

    async def close(self) -> None:
        """Close the connections. A client of the user's own (`http_client`) stays open."""
        await self._engine.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
