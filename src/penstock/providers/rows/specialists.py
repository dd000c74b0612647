"""Specialists: hosts known for one thing: search-backed answers, embeddings, reranking, speech."""

from __future__ import annotations

from penstock.providers.auth.kinds import AwsSignature, Bearer, HeaderKey
from penstock.providers.provider import Provider, Route
from penstock.types.profile import Profile

PERPLEXITY = Provider(
    name="perplexity",
    title="Perplexity",
    documentation="https://docs.perplexity.ai/api-reference/chat-completions-post",
    base_url="https://api.perplexity.ai",
    base_environment=("PERPLEXITY_API_BASE",),
    key_environment=("PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"),
    speaks=(
        # Other makers' models, by its agent API only
        Route(format="openai_responses", models=("*/*",), path="/v1/responses", exclusive=True),
        "openai_chat",
        Route(format="openai_responses", path="/v1/responses"),
        Route(format="openai_embeddings", path="/v1/embeddings"),
    ),
    model_families=("sonar*",),
    profile=Profile(
        max_tokens_field="max_tokens",
        tools=False,
        message_names=False,
        message_extensions=False,
        server_tools={"web_search": "search_domain_filter"},
    ),
    reports_cost=True,
)

VOYAGE = Provider(
    name="voyage",
    title="Voyage AI",
    aliases=("voyageai",),
    documentation="https://docs.voyageai.com/reference/embeddings-api",
    base_url="https://api.voyageai.com/v1",
    base_environment=("VOYAGE_API_BASE",),
    key_environment=("VOYAGE_API_KEY", "VOYAGE_AI_API_KEY", "VOYAGE_AI_TOKEN"),
    speaks=("openai_embeddings", "voyage_rerank"),
    model_families=("voyage-*", "rerank-2*", "rerank-lite-*"),
    profile=Profile(renames={"dimensions": "output_dimension"}, unsupported=frozenset({"user"})),
)

JINA_AI = Provider(
    name="jina_ai",
    title="Jina AI",
    aliases=("jina",),
    documentation="https://jina.ai/embeddings/",
    base_url="https://api.jina.ai/v1",
    base_environment=("JINA_AI_API_BASE",),
    key_environment=("JINA_AI_API_KEY", "JINA_API_KEY", "JINA_AI_TOKEN"),
    speaks=(
        "openai_embeddings",
        "jina_rerank",
        Route(format="openai_chat", base_url="https://deepsearch.jina.ai/v1"),
    ),
    model_families=("jina-*",),
    profile=Profile(renames={"encoding_format": "embedding_type"}, unsupported=frozenset({"user"})),
)

MIXEDBREAD = Provider(
    name="mixedbread",
    title="Mixedbread",
    aliases=("mxbai",),
    documentation="https://www.mixedbread.com/docs/embeddings/overview",
    base_url="https://api.mixedbread.com/v1",
    base_environment=("MIXEDBREAD_API_BASE",),
    hosts=("api.mixedbread.ai",),
    key_environment=("MXBAI_API_KEY", "MIXEDBREAD_API_KEY"),
    speaks=("openai_embeddings",),
    model_families=("mxbai-embed-*",),
)

ASSEMBLYAI = Provider(
    name="assemblyai",
    title="AssemblyAI LLM Gateway",
    documentation="https://www.assemblyai.com/docs/llm-gateway/overview",
    base_url="https://llm-gateway.assemblyai.com/v1",
    base_environment=("ASSEMBLYAI_API_BASE",),
    key_environment=("ASSEMBLYAI_API_KEY",),
    auth=(HeaderKey(header="Authorization"),),  # the bare key
    speaks=("openai_chat",),
)

_JOBS = "it runs jobs that one polls"
_SPEECH = "its speech API has formats of its own"


def _own(name: str, title: str, documentation: str, own_api: str, *keys: str, base_url: str | None = None) -> Provider:
    """A host that people ask for and that no known format reaches: a clear answer instead of an unknown name. Its key
    variables are for `validate_environment`.
    """
    return Provider(
        name=name,
        title=title,
        documentation=documentation,
        base_url=base_url,
        base_environment=(f"{name.upper()}_API_BASE",) if base_url else (),
        key_environment=keys,
        auth=(Bearer(),) if keys else (AwsSignature(service="polly"),),
        own_api=own_api,
        speaks=(),
    )


OWN_APIS = (
    _own(
        "soniox",
        "Soniox",
        "https://soniox.com/docs/stt/api-reference",
        "it transcribes in jobs that one polls",
        "SONIOX_API_KEY",
        base_url="https://api.soniox.com",
    ),
    _own("deepgram", "Deepgram", "https://developers.deepgram.com/reference", _SPEECH, "DEEPGRAM_API_KEY"),
    _own("elevenlabs", "ElevenLabs", "https://elevenlabs.io/docs/api-reference", _SPEECH, "ELEVENLABS_API_KEY"),
    _own("aws_polly", "Amazon Polly", "https://docs.aws.amazon.com/polly/", _SPEECH),
    _own(
        "replicate",
        "Replicate",
        "https://replicate.com/docs/reference/http",
        "it runs predictions that one polls",
        "REPLICATE_API_KEY",
        "REPLICATE_API_TOKEN",
    ),
    _own("fal_ai", "fal", "https://docs.fal.ai/", _JOBS, "FAL_AI_API_KEY", "FAL_KEY"),
    _own("runwayml", "Runway", "https://docs.dev.runwayml.com/", _JOBS, "RUNWAYML_API_KEY", "RUNWAYML_API_SECRET"),
    _own("black_forest_labs", "Black Forest Labs", "https://docs.bfl.ai/", _JOBS, "BFL_API_KEY"),
    _own(
        "stability",
        "Stability AI",
        "https://platform.stability.ai/docs/api-reference",
        "its image API is of its own kind",
        "STABILITY_API_KEY",
    ),
    _own(
        "recraft",
        "Recraft",
        "https://www.recraft.ai/docs/api-reference",
        "its image API is of its own kind",
        "RECRAFT_API_KEY",
    ),
    _own(
        "langgraph",
        "LangGraph server",
        "https://docs.langchain.com/langsmith/server-api-ref",
        "it runs graphs, not models",
        "LANGGRAPH_API_KEY",
        base_url="http://localhost:2024",
    ),
)

ROWS: tuple[Provider, ...] = (PERPLEXITY, VOYAGE, JINA_AI, MIXEDBREAD, ASSEMBLYAI, *OWN_APIS)
