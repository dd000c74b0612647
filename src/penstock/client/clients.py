"""Client and AsyncClient: an engine of one's own, behind the names of the `openai` package's clients.

    client = Client(api_key="...", api_base="https://llm.example.com/v1", num_retries=0)
    client.chat.completions.create(model="openai/gpt-5", messages=[...])

What is given to a client holds for all its calls: keys and addresses, retries, timeouts, callbacks, its own providers
(`registry`), environment, proxy and certificates (`network`), or an httpx client of the user's (`http_client`). Each
resource below is a table: the name of a method, what it does, and the module's calls that it is like, blocking and for
coroutines. Both clients have the same resources.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from types import TracebackType
from typing import Any, Self

from penstock.calls.engine import Engine, engine_with
from penstock.client import api, dialect_calls, media, stored, text_completions
from penstock.client import api_dialects as shapes
from penstock.client import api_operations as operations
from penstock.client.embeddings import EMBEDDING, EmbeddingCall
from penstock.client.objects import ModelResponse
from penstock.client.operations import arun, run
from penstock.client.reranking import RERANK
from penstock.client.resources import Awaited, Blocking, FunctionDoor, M, OperationDoor, Resource, ShapeDoor, Twins
from penstock.client.result_objects import Page, ResponsesResponse
from penstock.client.shapes import CHAT_SHAPE

_RESPONSES, _GEMINI = dialect_calls.RESPONSES_SHAPE, dialect_calls.GEMINI_SHAPE

# -- calls that only clients have: never streamed ---------------------------------------------------------------------


def _parse(model: str, messages: Sequence[Any], **arguments: Any) -> ModelResponse:
    """`create` without a stream. With a class or a schema as `response_format`, `message.parsed` holds the object."""
    return api.completion(model, messages, **arguments, stream=False)


async def _aparse(model: str, messages: Sequence[Any], **arguments: Any) -> ModelResponse:
    return await api.acompletion(model, messages, **arguments, stream=False)


def _parse_response(model: str, input: str | Sequence[Any], **arguments: Any) -> ResponsesResponse:
    """`create` without a stream. With a class as `text_format`, `output_parsed` holds the object."""
    return shapes.responses(model, input, **arguments, stream=False)


async def _aparse_response(model: str, input: str | Sequence[Any], **arguments: Any) -> ResponsesResponse:
    return await shapes.aresponses(model, input, **arguments, stream=False)


def _list_models(custom_llm_provider: str | None = None, **arguments: Any) -> Page:
    """The models that a provider has (default: openai), asked of the provider itself."""
    return run(api.default_engine(), stored.MODEL_LIST, {"custom_llm_provider": custom_llm_provider, **arguments})


async def _alist_models(custom_llm_provider: str | None = None, **arguments: Any) -> Page:
    given = {"custom_llm_provider": custom_llm_provider, **arguments}
    return await arun(api.default_engine(), stored.MODEL_LIST, given)


# -- the resources ----------------------------------------------------------------------------------------------------


class ChatCompletions(Resource[M]):
    """`client.chat.completions`."""

    create = Twins(ShapeDoor(CHAT_SHAPE), api.completion, api.acompletion)
    parse = Twins(ShapeDoor(CHAT_SHAPE, stream=False), _parse, _aparse)


class Chat(Resource[M]):
    """`client.chat`."""

    @cached_property
    def completions(self) -> ChatCompletions[M]:
        return ChatCompletions(self._engine, self._awaits)


class Completions(Resource[M]):
    """`client.completions`: text completions."""

    create = Twins(
        FunctionDoor(text_completions.text_completion, text_completions.atext_completion),
        shapes.text_completion,
        shapes.atext_completion,
    )


class Embeddings(Resource[M]):
    """`client.embeddings`."""

    create = Twins(OperationDoor(EMBEDDING, EmbeddingCall), operations.embedding, operations.aembedding)


class InputItems(Resource[M]):
    """`client.responses.input_items`."""

    list = Twins(OperationDoor(stored.RESPONSE_INPUT_ITEMS), shapes.list_input_items, shapes.alist_input_items)


class Responses(Resource[M]):
    """`client.responses`."""

    create = Twins(ShapeDoor(_RESPONSES), shapes.responses, shapes.aresponses)
    parse = Twins(ShapeDoor(_RESPONSES, stream=False), _parse_response, _aparse_response)
    retrieve = Twins(OperationDoor(stored.RESPONSE_RETRIEVE), shapes.get_responses, shapes.aget_responses)
    delete = Twins(OperationDoor(stored.RESPONSE_DELETE), shapes.delete_responses, shapes.adelete_responses)
    cancel = Twins(OperationDoor(stored.RESPONSE_CANCEL), shapes.cancel_responses, shapes.acancel_responses)

    @cached_property
    def input_items(self) -> InputItems[M]:
        return InputItems(self._engine, self._awaits)


class Messages(Resource[M]):
    """`client.messages`: Anthropic's shape."""

    create = Twins(ShapeDoor(dialect_calls.MESSAGES_SHAPE), shapes.messages, shapes.amessages)


class Images(Resource[M]):
    """`client.images`."""

    generate = Twins(OperationDoor(media.IMAGE_GENERATION), operations.image_generation, operations.aimage_generation)
    edit = Twins(OperationDoor(media.IMAGE_EDIT), operations.image_edit, operations.aimage_edit)


class Speech(Resource[M]):
    """`client.audio.speech`."""

    create = Twins(OperationDoor(media.SPEECH), operations.speech, operations.aspeech)


class Transcriptions(Resource[M]):
    """`client.audio.transcriptions`."""

    create = Twins(OperationDoor(media.TRANSCRIPTION), operations.transcription, operations.atranscription)


class Audio(Resource[M]):
    """`client.audio`."""

    @cached_property
    def speech(self) -> Speech[M]:
        return Speech(self._engine, self._awaits)

    @cached_property
    def transcriptions(self) -> Transcriptions[M]:
        return Transcriptions(self._engine, self._awaits)


class Moderations(Resource[M]):
    """`client.moderations`."""

    create = Twins(OperationDoor(media.MODERATION), operations.moderation, operations.amoderation)


class Files(Resource[M]):
    """`client.files`."""

    create = Twins(OperationDoor(stored.FILE_CREATE), operations.create_file, operations.acreate_file)
    retrieve = Twins(OperationDoor(stored.FILE_RETRIEVE), operations.file_retrieve, operations.afile_retrieve)
    delete = Twins(OperationDoor(stored.FILE_DELETE), operations.file_delete, operations.afile_delete)
    list = Twins(OperationDoor(stored.FILE_LIST), operations.file_list, operations.afile_list)
    content = Twins(OperationDoor(stored.FILE_CONTENT), operations.file_content, operations.afile_content)


class Batches(Resource[M]):
    """`client.batches`."""

    create = Twins(OperationDoor(stored.BATCH_CREATE), operations.create_batch, operations.acreate_batch)
    retrieve = Twins(OperationDoor(stored.BATCH_RETRIEVE), operations.retrieve_batch, operations.aretrieve_batch)
    list = Twins(OperationDoor(stored.BATCH_LIST), operations.list_batches, operations.alist_batches)
    cancel = Twins(OperationDoor(stored.BATCH_CANCEL), operations.cancel_batch, operations.acancel_batch)


class Models(Resource[M]):
    """`client.models`: what a provider has, and Gemini's own calls."""

    list = Twins(OperationDoor(stored.MODEL_LIST), _list_models, _alist_models)
    generate_content = Twins(ShapeDoor(_GEMINI, stream=False), shapes.generate_content, shapes.agenerate_content)
    generate_content_stream = Twins(
        ShapeDoor(_GEMINI, stream=True), shapes.generate_content_stream, shapes.agenerate_content_stream
    )


class Resources(Resource[M]):
    """What both clients have."""

    @cached_property
    def chat(self) -> Chat[M]:
        return Chat(self._engine, self._awaits)

    @cached_property
    def completions(self) -> Completions[M]:
        return Completions(self._engine, self._awaits)

    @cached_property
    def embeddings(self) -> Embeddings[M]:
        return Embeddings(self._engine, self._awaits)

    @cached_property
    def responses(self) -> Responses[M]:
        return Responses(self._engine, self._awaits)

    @cached_property
    def messages(self) -> Messages[M]:
        return Messages(self._engine, self._awaits)

    @cached_property
    def images(self) -> Images[M]:
        return Images(self._engine, self._awaits)

    @cached_property
    def audio(self) -> Audio[M]:
        return Audio(self._engine, self._awaits)

    @cached_property
    def moderations(self) -> Moderations[M]:
        return Moderations(self._engine, self._awaits)

    @cached_property
    def files(self) -> Files[M]:
        return Files(self._engine, self._awaits)

    @cached_property
    def batches(self) -> Batches[M]:
        return Batches(self._engine, self._awaits)

    @cached_property
    def models(self) -> Models[M]:
        return Models(self._engine, self._awaits)

    rerank = Twins(OperationDoor(RERANK), operations.rerank, operations.arerank)

    @property
    def engine(self) -> Engine:
        """What the calls share: for the helpers that take an engine."""
        return self._engine


_REFUSAL = "a client takes no {}: give it to the call"


class Client(Resources[Blocking]):
    """The blocking client.

    It takes the options of `penstock.calls.options.Options` as defaults of its calls (api_key, api_base, num_retries,
    timeout, drop_params, callbacks ...), `default_headers` and `default_query` to send with each, `http_client` (an
    httpx.Client), and the arguments of `penstock.calls.engine.Engine`. Raises TypeError for anything else.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(engine_with(arguments, _REFUSAL))

    def close(self) -> None:
        """Close the connections. A client of the user's own (`http_client`) stays open."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient(Resources[Awaited]):
    """The client for coroutines: every method is awaited.

    It takes the options of `penstock.calls.options.Options` as defaults of its calls (api_key, api_base, num_retries,
    timeout, drop_params, callbacks ...), `default_headers` and `default_query` to send with each, `http_client` (an
    httpx.AsyncClient), and the arguments of `penstock.calls.engine.Engine`. Raises TypeError for anything else.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(engine_with(arguments, _REFUSAL), awaits=True)

    async def close(self) -> None:
        """Close the connections. A client of the user's own (`http_client`) stays open."""
        await self._engine.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
