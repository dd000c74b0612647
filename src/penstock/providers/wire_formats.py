"""Wire formats: what a host can speak, which call it serves, and where it usually stands below a base URL.

A format is named after its inventor's API. Chat formats are the dialects of `penstock.dialects`; the others
(embeddings, rerank ...) are small formats that the calls know. A provider's row lists the formats that it speaks; where
it serves one at an unusual place, the row says so in a `Route`. Paths are relative to a base URL, which ends before
them; `{model}` is the model, percent-encoded whole, `{+model}` keeps its slashes (the notation of RFC 6570). The path
of a collection (`files`, `batches`) is the collection's own: `/files`, then `/files/{id}`.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from penstock.providers.betas import ANTHROPIC_BETAS, Beta

Capability: TypeAlias = Literal[
    "chat",
    "text_completion",
    "embeddings",
    "rerank",
    "images",
    "image_edits",
    "speech",
    "transcription",
    "moderation",
    "files",
    "batches",
    "count_tokens",
    "models",
]
"""What can be asked of a provider: one word an API call of the SDK."""


class WireFormat(Struct, frozen=True):
    """One format and its usual place.

    `stream_path` and `stream_query` are for formats that stream at another address (None: the same); `headers` are sent
    with every request of the format; `method` is the one of the call that the capability is named after. `omit` are
    body fields that only particular hosts take, `betas` says which parts of a body need the name of a beta, sent in
    the header `beta_header`, or, where that is not None, in the body's list `beta_field` (a dot leads into an object).
    `beta_models` are globs of the models that have any.
    """

    name: str
    capability: Capability
    path: str
    stream_path: str | None = None
    stream_query: dict[str, str] = {}
    headers: dict[str, str] = {}
    method: Literal["GET", "POST"] = "POST"
    omit: tuple[str, ...] = ()
    betas: tuple[Beta, ...] = ()
    beta_header: str = "anthropic-beta"
    beta_field: str | None = None
    beta_models: tuple[str, ...] = ("*",)


_ANTHROPIC_VERSION = {"anthropic-version": "2023-06-01"}
"""The only version there is (platform.claude.com/docs/en/api/versioning)."""

WIRE_FORMATS: dict[str, WireFormat] = {
    each.name: each
    for each in (
        WireFormat("openai_chat", "chat", "/chat/completions"),
        WireFormat("openai_responses", "chat", "/responses"),
        WireFormat(
            "anthropic_messages",
            "chat",
            "/v1/messages",
            headers=_ANTHROPIC_VERSION,
            omit=("anthropic_version",),  # Bedrock's and Vertex AI's
            betas=ANTHROPIC_BETAS,
        ),
        WireFormat(
            "gemini",
            "chat",
            "/{+model}:generateContent",
            stream_path="/{+model}:streamGenerateContent",
            stream_query={"alt": "sse"},
        ),
        WireFormat(
            "bedrock_converse",
            "chat",
            "/model/{model}/converse",
            stream_path="/model/{model}/converse-stream",
            betas=ANTHROPIC_BETAS,
            beta_field="additionalModelRequestFields.anthropic_beta",
            beta_models=("*claude*", "*anthropic*", "arn:*"),  # of an ARN nobody can tell
        ),
        WireFormat("cohere_chat", "chat", "/v2/chat"),
        WireFormat("ollama_chat", "chat", "/api/chat"),
        WireFormat("openai_text_completion", "text_completion", "/completions"),
        WireFormat("mistral_fim", "text_completion", "/fim/completions"),
        WireFormat("openai_embeddings", "embeddings", "/embeddings"),
        WireFormat("cohere_embed", "embeddings", "/v2/embed"),
        WireFormat("gemini_embed", "embeddings", "/{+model}:batchEmbedContents"),
        WireFormat("gemini_embed_content", "embeddings", "/{+model}:embedContent"),
        WireFormat("vertex_embed", "embeddings", "/publishers/google/models/{model}:predict"),
        WireFormat("bedrock_titan_embed", "embeddings", "/model/{model}/invoke"),
        WireFormat("bedrock_cohere_embed", "embeddings", "/model/{model}/invoke"),
        WireFormat("bedrock_nova_embed", "embeddings", "/model/{model}/invoke"),
        WireFormat("ollama_embed", "embeddings", "/api/embed"),
        WireFormat("cohere_rerank", "rerank", "/v2/rerank"),
        WireFormat("jina_rerank", "rerank", "/rerank"),
        WireFormat("voyage_rerank", "rerank", "/rerank"),
        WireFormat("openai_images", "images", "/images/generations"),
        WireFormat("openai_image_edits", "image_edits", "/images/edits"),
        WireFormat("openai_speech", "speech", "/audio/speech"),
        WireFormat("openai_transcription", "transcription", "/audio/transcriptions"),
        WireFormat("openai_moderation", "moderation", "/moderations"),
        WireFormat("openai_files", "files", "/files"),
        WireFormat("openai_batches", "batches", "/batches"),
        WireFormat(
            "anthropic_count_tokens",
            "count_tokens",
            "/v1/messages/count_tokens",
            headers=_ANTHROPIC_VERSION,
            omit=("anthropic_version",),
            betas=ANTHROPIC_BETAS,
        ),
        WireFormat("gemini_count_tokens", "count_tokens", "/{+model}:countTokens"),
        WireFormat("vertex_count_tokens", "count_tokens", "/publishers/google/models/{model}:countTokens"),
        WireFormat(
            "bedrock_count_tokens",
            "count_tokens",
            "/model/{model}/count-tokens",
            betas=ANTHROPIC_BETAS,
            beta_field="additionalModelRequestFields.anthropic_beta",
            beta_models=("*claude*", "*anthropic*", "arn:*"),
        ),
        WireFormat("openai_count_tokens", "count_tokens", "/responses/input_tokens"),
        WireFormat("openai_models", "models", "/models", method="GET"),
        WireFormat("anthropic_models", "models", "/v1/models", headers=_ANTHROPIC_VERSION, method="GET"),
        WireFormat("gemini_models", "models", "/models", method="GET"),
        WireFormat("cohere_models", "models", "/v1/models", method="GET"),
        WireFormat("ollama_models", "models", "/api/tags", method="GET"),
    )
}
"""Every format that a row may name without saying more."""
