"""Penstock: one guarded, measured way through which all of a company's model and agent traffic flows. This is its SDK.

    from penstock import completion

    answer = completion("openai/gpt-4o", [{"role": "user", "content": "Hello"}])
    print(answer.choices[0].message.content)

Names are loaded when they are first used: `import penstock` itself imports nothing but this file, opens no connection
and reads no file.
"""

from __future__ import annotations

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.calls.functions import function_to_dict as function_to_dict
    from penstock.calls.tokens import TokenCount as TokenCount
    from penstock.calls.tokens import token_counter as token_counter
    from penstock.calls.transport import Network as Network
    from penstock.client.api import acompletion as acompletion
    from penstock.client.api import completion as completion
    from penstock.client.api import configure as configure
    from penstock.client.api_dialects import acancel_responses as acancel_responses
    from penstock.client.api_dialects import adelete_responses as adelete_responses
    from penstock.client.api_dialects import agenerate_content as agenerate_content
    from penstock.client.api_dialects import agenerate_content_stream as agenerate_content_stream
    from penstock.client.api_dialects import aget_responses as aget_responses
    from penstock.client.api_dialects import alist_input_items as alist_input_items
    from penstock.client.api_dialects import amessages as amessages
    from penstock.client.api_dialects import anthropic as anthropic
    from penstock.client.api_dialects import aresponses as aresponses
    from penstock.client.api_dialects import atext_completion as atext_completion
    from penstock.client.api_dialects import cancel_responses as cancel_responses
    from penstock.client.api_dialects import delete_responses as delete_responses
    from penstock.client.api_dialects import generate_content as generate_content
    from penstock.client.api_dialects import generate_content_stream as generate_content_stream
    from penstock.client.api_dialects import get_responses as get_responses
    from penstock.client.api_dialects import list_input_items as list_input_items
    from penstock.client.api_dialects import messages as messages
    from penstock.client.api_dialects import responses as responses
    from penstock.client.api_dialects import text_completion as text_completion
    from penstock.client.api_operations import acancel_batch as acancel_batch
    from penstock.client.api_operations import acreate_batch as acreate_batch
    from penstock.client.api_operations import acreate_file as acreate_file
    from penstock.client.api_operations import aembedding as aembedding
    from penstock.client.api_operations import afile_content as afile_content
    from penstock.client.api_operations import afile_delete as afile_delete
    from penstock.client.api_operations import afile_list as afile_list
    from penstock.client.api_operations import afile_retrieve as afile_retrieve
    from penstock.client.api_operations import aimage_edit as aimage_edit
    from penstock.client.api_operations import aimage_generation as aimage_generation
    from penstock.client.api_operations import alist_batches as alist_batches
    from penstock.client.api_operations import amoderation as amoderation
    from penstock.client.api_operations import arerank as arerank
    from penstock.client.api_operations import aretrieve_batch as aretrieve_batch
    from penstock.client.api_operations import aspeech as aspeech
    from penstock.client.api_operations import atranscription as atranscription
    from penstock.client.api_operations import cancel_batch as cancel_batch
    from penstock.client.api_operations import create_batch as create_batch
    from penstock.client.api_operations import create_file as create_file
    from penstock.client.api_operations import embedding as embedding
    from penstock.client.api_operations import file_content as file_content
    from penstock.client.api_operations import file_delete as file_delete
    from penstock.client.api_operations import file_list as file_list
    from penstock.client.api_operations import file_retrieve as file_retrieve
    from penstock.client.api_operations import image_edit as image_edit
    from penstock.client.api_operations import image_generation as image_generation
    from penstock.client.api_operations import list_batches as list_batches
    from penstock.client.api_operations import moderation as moderation
    from penstock.client.api_operations import rerank as rerank
    from penstock.client.api_operations import retrieve_batch as retrieve_batch
    from penstock.client.api_operations import speech as speech
    from penstock.client.api_operations import transcription as transcription
    from penstock.client.callbacks import Callback as Callback
    from penstock.client.callbacks import CustomLogger as CustomLogger
    from penstock.client.chunk_builder import stream_chunk_builder as stream_chunk_builder
    from penstock.client.clients import AsyncClient as AsyncClient
    from penstock.client.clients import Client as Client
    from penstock.client.costs import completion_cost as completion_cost
    from penstock.client.costs import cost_per_token as cost_per_token
    from penstock.client.information import get_llm_provider as get_llm_provider
    from penstock.client.information import get_max_tokens as get_max_tokens
    from penstock.client.information import get_model_info as get_model_info
    from penstock.client.information import get_supported_openai_params as get_supported_openai_params
    from penstock.client.information import get_valid_models as get_valid_models
    from penstock.client.information import register_model as register_model
    from penstock.client.information import supports_audio_input as supports_audio_input
    from penstock.client.information import supports_audio_output as supports_audio_output
    from penstock.client.information import supports_computer_use as supports_computer_use
    from penstock.client.information import supports_function_calling as supports_function_calling
    from penstock.client.information import supports_native_streaming as supports_native_streaming
    from penstock.client.information import supports_parallel_function_calling as supports_parallel_function_calling
    from penstock.client.information import supports_pdf_input as supports_pdf_input
    from penstock.client.information import supports_prompt_caching as supports_prompt_caching
    from penstock.client.information import supports_reasoning as supports_reasoning
    from penstock.client.information import supports_response_schema as supports_response_schema
    from penstock.client.information import supports_system_messages as supports_system_messages
    from penstock.client.information import supports_tool_choice as supports_tool_choice
    from penstock.client.information import supports_url_context as supports_url_context
    from penstock.client.information import supports_vision as supports_vision
    from penstock.client.information import supports_web_search as supports_web_search
    from penstock.client.information import validate_environment as validate_environment
    from penstock.client.objects import ModelResponse as ModelResponse
    from penstock.client.objects import ModelResponseStream as ModelResponseStream
    from penstock.client.provider_counts import acount_tokens as acount_tokens
    from penstock.client.provider_counts import count_tokens as count_tokens
    from penstock.client.result_objects import AnthropicMessage as AnthropicMessage
    from penstock.client.result_objects import AnthropicStreamEvent as AnthropicStreamEvent
    from penstock.client.result_objects import Batch as Batch
    from penstock.client.result_objects import BinaryContent as BinaryContent
    from penstock.client.result_objects import Embedding as Embedding
    from penstock.client.result_objects import EmbeddingResponse as EmbeddingResponse
    from penstock.client.result_objects import FileDeleted as FileDeleted
    from penstock.client.result_objects import FileObject as FileObject
    from penstock.client.result_objects import GenerateContentResponse as GenerateContentResponse
    from penstock.client.result_objects import ImageResponse as ImageResponse
    from penstock.client.result_objects import ModerationResponse as ModerationResponse
    from penstock.client.result_objects import Page as Page
    from penstock.client.result_objects import RerankResponse as RerankResponse
    from penstock.client.result_objects import ResponsesResponse as ResponsesResponse
    from penstock.client.result_objects import ResponsesStreamEvent as ResponsesStreamEvent
    from penstock.client.result_objects import TextCompletionResponse as TextCompletionResponse
    from penstock.client.result_objects import TranscriptionResponse as TranscriptionResponse
    from penstock.client.router import Router as Router
    from penstock.client.streams import AsyncStream as AsyncStream
    from penstock.client.streams import Stream as Stream
    from penstock.client.tool_loop import arun_tool_loop as arun_tool_loop
    from penstock.client.tool_loop import run_tool_loop as run_tool_loop
    from penstock.client.trimming import trim_messages as trim_messages
    from penstock.exceptions import APIConnectionError as APIConnectionError
    from penstock.exceptions import APIError as APIError
    from penstock.exceptions import APIResponseValidationError as APIResponseValidationError
    from penstock.exceptions import AuthenticationError as AuthenticationError
    from penstock.exceptions import BadGatewayError as BadGatewayError
    from penstock.exceptions import BadRequestError as BadRequestError
    from penstock.exceptions import BudgetExceededError as BudgetExceededError
    from penstock.exceptions import ConflictError as ConflictError
    from penstock.exceptions import ContentPolicyViolationError as ContentPolicyViolationError
    from penstock.exceptions import ContextWindowExceededError as ContextWindowExceededError
    from penstock.exceptions import ImageFetchError as ImageFetchError
    from penstock.exceptions import InternalServerError as InternalServerError
    from penstock.exceptions import InvalidRequestError as InvalidRequestError
    from penstock.exceptions import JSONSchemaValidationError as JSONSchemaValidationError
    from penstock.exceptions import MidStreamFallbackError as MidStreamFallbackError
    from penstock.exceptions import NotFoundError as NotFoundError
    from penstock.exceptions import PaymentRequiredError as PaymentRequiredError
    from penstock.exceptions import PenstockError as PenstockError
    from penstock.exceptions import PermissionDeniedError as PermissionDeniedError
    from penstock.exceptions import QuotaExceededError as QuotaExceededError
    from penstock.exceptions import RateLimitError as RateLimitError
    from penstock.exceptions import RejectedRequestError as RejectedRequestError
    from penstock.exceptions import RequestTooLargeError as RequestTooLargeError
    from penstock.exceptions import ServiceUnavailableError as ServiceUnavailableError
    from penstock.exceptions import StreamInterruptedError as StreamInterruptedError
    from penstock.exceptions import Timeout as Timeout
    from penstock.exceptions import TranslationLossError as TranslationLossError
    from penstock.exceptions import UnknownCostError as UnknownCostError
    from penstock.exceptions import UnknownModelError as UnknownModelError
    from penstock.exceptions import UnprocessableEntityError as UnprocessableEntityError
    from penstock.exceptions import UnsupportedParamsError as UnsupportedParamsError
    from penstock.exchange import Timeouts as Timeouts
    from penstock.providers.registry import register_provider as register_provider

__version__ = "0.1.0"

_HOMES: dict[str, tuple[str, ...]] = {
    "penstock.client.callbacks": (
        "Callback",
        "CustomLogger",
    ),
    "penstock.client.chunk_builder": ("stream_chunk_builder",),
    "penstock.client.costs": (
        "completion_cost",
        "cost_per_token",
    ),
    "penstock.calls.functions": ("function_to_dict",),
    "penstock.client.information": (
        "get_llm_provider",
        "get_max_tokens",
        "get_model_info",
        "get_supported_openai_params",
        "get_valid_models",
        "register_model",
        "supports_audio_input",
        "supports_audio_output",
        "supports_computer_use",
        "supports_function_calling",
        "supports_native_streaming",
        "supports_parallel_function_calling",
        "supports_pdf_input",
        "supports_prompt_caching",
        "supports_reasoning",
        "supports_response_schema",
        "supports_system_messages",
        "supports_tool_choice",
        "supports_url_context",
        "supports_vision",
        "supports_web_search",
        "validate_environment",
    ),
    "penstock.client.provider_counts": (
        "acount_tokens",
        "count_tokens",
    ),
    "penstock.calls.tokens": (
        "TokenCount",
        "token_counter",
    ),
    "penstock.client.tool_loop": (
        "arun_tool_loop",
        "run_tool_loop",
    ),
    "penstock.calls.transport": ("Network",),
    "penstock.client.trimming": ("trim_messages",),
    "penstock.client.api": ("acompletion", "completion", "configure"),
    "penstock.client.api_dialects": (
        "acancel_responses",
        "adelete_responses",
        "agenerate_content",
        "agenerate_content_stream",
        "aget_responses",
        "alist_input_items",
        "amessages",
        "anthropic",
        "aresponses",
        "atext_completion",
        "cancel_responses",
        "delete_responses",
        "generate_content",
        "generate_content_stream",
        "get_responses",
        "list_input_items",
        "messages",
        "responses",
        "text_completion",
    ),
    "penstock.client.api_operations": (
        "acancel_batch",
        "acreate_batch",
        "acreate_file",
        "aembedding",
        "afile_content",
        "afile_delete",
        "afile_list",
        "afile_retrieve",
        "aimage_edit",
        "aimage_generation",
        "alist_batches",
        "amoderation",
        "arerank",
        "aretrieve_batch",
        "aspeech",
        "atranscription",
        "cancel_batch",
        "create_batch",
        "create_file",
        "embedding",
        "file_content",
        "file_delete",
        "file_list",
        "file_retrieve",
        "image_edit",
        "image_generation",
        "list_batches",
        "moderation",
        "rerank",
        "retrieve_batch",
        "speech",
        "transcription",
    ),
    "penstock.client.clients": (
        "AsyncClient",
        "Client",
    ),
    "penstock.client.result_objects": (
        "AnthropicMessage",
        "AnthropicStreamEvent",
        "Batch",
        "BinaryContent",
        "Embedding",
        "EmbeddingResponse",
        "FileDeleted",
        "FileObject",
        "GenerateContentResponse",
        "ImageResponse",
        "ModerationResponse",
        "Page",
        "RerankResponse",
        "ResponsesResponse",
        "ResponsesStreamEvent",
        "TextCompletionResponse",
        "TranscriptionResponse",
    ),
    "penstock.client.router": ("Router",),
    "penstock.client.streams": (
        "AsyncStream",
        "Stream",
    ),
    "penstock.client.objects": ("ModelResponse", "ModelResponseStream"),
    "penstock.exchange": ("Timeouts",),
    "penstock.providers.registry": ("register_provider",),
    "penstock.exceptions": (
        "APIConnectionError",
        "APIError",
        "APIResponseValidationError",
        "AuthenticationError",
        "BadGatewayError",
        "BadRequestError",
        "BudgetExceededError",
        "ConflictError",
        "ContentPolicyViolationError",
        "ContextWindowExceededError",
        "ImageFetchError",
        "InternalServerError",
        "InvalidRequestError",
        "JSONSchemaValidationError",
        "MidStreamFallbackError",
        "NotFoundError",
        "PaymentRequiredError",
        "PenstockError",
        "PermissionDeniedError",
        "QuotaExceededError",
        "RateLimitError",
        "RejectedRequestError",
        "RequestTooLargeError",
        "ServiceUnavailableError",
        "StreamInterruptedError",
        "Timeout",
        "TranslationLossError",
        "UnknownCostError",
        "UnknownModelError",
        "UnprocessableEntityError",
        "UnsupportedParamsError",
    ),
}
"""Where each public name lives."""

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME_OF)]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(_import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME_OF])
