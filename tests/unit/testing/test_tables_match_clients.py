"""The tables of fields against the official clients' own: whatever a client can say, the table knows.

So a new parameter of a provider shows up here when its client is updated, before a rule refuses it.
"""

import inspect
from collections.abc import Iterable
from typing import Any, get_type_hints

import boto3
import cohere
import ollama
import pytest
from anthropic.types import message_count_tokens_params, message_create_params
from anthropic.types.beta import message_create_params as beta_message_create_params
from google.genai import types
from openai.types import (
    batch_create_params,
    completion_create_params,
    embedding_create_params,
    image_generate_params,
    moderation_create_params,
)
from openai.types.audio import speech_create_params
from openai.types.chat import completion_create_params as chat_create_params
from openai.types.responses import input_token_count_params, response_create_params

from penstock.testing.providers import (
    anthropic_shapes,
    bedrock_rules,
    cohere_retrieval,
    gemini_shapes,
    openai_audio,
    openai_chat_rules,
    openai_files,
    openai_media,
    openai_responses_rules,
)
from penstock.testing.providers import cohere as cohere_format
from penstock.testing.providers import (
    ollama as ollama_format,
)
from penstock.testing.providers.shapes import Either, ListOf, Shape, Struct


@pytest.mark.parametrize(
    ("table", "client"),
    [
        (openai_chat_rules.BODY, chat_create_params.CompletionCreateParamsNonStreaming),
        (openai_responses_rules.BODY, response_create_params.ResponseCreateParamsNonStreaming),
        (openai_responses_rules.COUNT_BODY, input_token_count_params.InputTokenCountParams),
        (openai_media.EMBEDDING_BODY, embedding_create_params.EmbeddingCreateParams),
        (openai_media.IMAGE_BODY, image_generate_params.ImageGenerateParamsNonStreaming),
        (openai_audio.SPEECH_BODY, speech_create_params.SpeechCreateParams),
        (openai_media.MODERATION_BODY, moderation_create_params.ModerationCreateParams),
        (openai_media.COMPLETION_BODY, completion_create_params.CompletionCreateParamsNonStreaming),
        (openai_files.BATCH_BODY, batch_create_params.BatchCreateParams),
        (anthropic_shapes.BODY, message_create_params.MessageCreateParamsNonStreaming),
        (anthropic_shapes.BETA_BODY, beta_message_create_params.MessageCreateParamsNonStreaming),
        (anthropic_shapes.COUNT_BODY, message_count_tokens_params.MessageCountTokensParams),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_parameter_of_the_client_is_in_the_table(table: Struct, client: type) -> None:
    sent_as_a_header = {"betas"}
    assert set(client.__annotations__) - sent_as_a_header - set(table.fields) == set()


@pytest.mark.parametrize(
    ("table", "model"),
    [
        (gemini_shapes.PART, types.Part),
        (gemini_shapes.CONTENT, types.Content),
        (gemini_shapes.VERTEX_CONFIG, types.GenerationConfig),
        (gemini_shapes.VERTEX_TOOL, types.Tool),
        (gemini_shapes.FUNCTION, types.FunctionDeclaration),
        (gemini_shapes.CALL, types.FunctionCall),
        (gemini_shapes.RESPONSE, types.FunctionResponse),
        (gemini_shapes.TOOL_CONFIG, types.ToolConfig),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_field_of_geminis_messages_is_in_the_table(table: Struct, model: Any) -> None:
    assert set(model.model_fields) - set(table.fields) == set()


def test_a_parameter_of_cohere_is_in_the_table() -> None:
    asked = set(inspect.signature(cohere.ClientV2.chat).parameters) - {"self", "request_options"}
    assert asked - set(cohere_format.CHAT_BODY.fields) == set()
    asked = set(inspect.signature(cohere.ClientV2.embed).parameters) - {"self", "request_options", "batching"}
    assert {name for name in asked if name != "max_workers"} - set(cohere_retrieval.EMBED_BODY.fields) == set()
    asked = set(inspect.signature(cohere.ClientV2.rerank).parameters) - {"self", "request_options"}
    assert asked - set(cohere_retrieval.RERANK_BODY.fields) == set()


def test_a_parameter_of_ollama_is_in_the_table() -> None:
    asked = set(inspect.signature(ollama.Client.chat).parameters) - {"self"}
    assert asked - set(ollama_format.CHAT_BODY.fields) == set()
    options = {name for name in get_type_hints(ollama.Options) if not name.startswith(("_", "model_"))}
    assert options - set(ollama_format.OPTIONS.fields) == set()


# --- Bedrock: the whole model, member by member ----------------------------------------------------------------------


def structs(shape: Shape) -> Iterable[Struct]:
    """The structs that a shape may be, lists and alternatives looked through."""
    if isinstance(shape, Struct):
        yield shape
    elif isinstance(shape, ListOf):
        yield from structs(shape.item)
    elif isinstance(shape, Either):
        for option in shape.options:
            yield from structs(option)


def unlike(table: Shape, modelled: Any, path: str, seen: frozenset[str] = frozenset()) -> list[str]:
    """The members in which the service's own model and the table differ, by path."""
    if modelled.type_name == "list":
        return unlike(table, modelled.member, path, seen)
    if modelled.type_name != "structure" or modelled.name in seen:
        return []
    found: list[str] = []
    for struct in structs(table):
        names = {name for name, member in modelled.members.items() if "location" not in member.serialization}
        found += [f"{path}.{name}" for name in names ^ set(struct.fields)]
        for name in names & set(struct.fields):
            inner = struct.fields[name]
            found += unlike(inner, modelled.members[name], f"{path}.{name}", seen | {modelled.name})
    return found


def test_every_member_of_converse_is_in_the_table_and_no_other() -> None:
    client = boto3.client("bedrock-runtime", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    operation = client.meta.service_model.operation_model("Converse")
    differing = unlike(bedrock_rules.BODY, operation.input_shape, "converse")
    client.close()
    assert [path for path in differing if not path.endswith(".error")] == []  # `error` is only ever answered


def test_the_comparison_would_notice() -> None:
    client = boto3.client("bedrock-runtime", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    operation = client.meta.service_model.operation_model("Converse")
    poorer = Struct({name: shape for name, shape in bedrock_rules.BODY.fields.items() if name != "serviceTier"})
    assert "converse.serviceTier" in unlike(poorer, operation.input_shape, "converse")
    client.close()
