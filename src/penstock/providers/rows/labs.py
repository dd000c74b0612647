"""Labs: companies that make models and serve them themselves."""

from __future__ import annotations

from penstock.providers.auth.kinds import Bearer, ClientCredentials, HeaderKey
from penstock.providers.provider import ModelPrefix, ModelRule, Provider, RateLimitHeaders, Route, Setting
from penstock.types.profile import Profile

# Models that only the Responses API serves (developers.openai.com/api/docs/models).
RESPONSES_ONLY = (
    "*codex*",
    "o1-pro*",
    "o3-pro*",
    "gpt-5*-pro*",
    "*deep-research*",
    "gpt-daybreak-*",
    "computer-use-preview*",
)

# Models that the legacy completions API serves (platform.openai.com/docs/api-reference/completions).
_COMPLETIONS_ONLY = ("gpt-3.5-turbo-instruct*", "babbage-002", "davinci-002", "ft:babbage-002*", "ft:davinci-002*")

_MAX_TOKENS = Profile(max_tokens_field="max_tokens")

OPENAI = Provider(
    name="openai",
    title="OpenAI",
    aliases=("text-completion-openai", "custom_openai"),
    documentation="https://platform.openai.com/docs/api-reference",
    base_url="https://api.openai.com/v1",
    base_environment=("OPENAI_BASE_URL", "OPENAI_API_BASE"),
    hosts=("*.api.openai.com",),  # eu.api.openai.com and other regional hosts
    base_path="/v1",
    key_environment=("OPENAI_API_KEY",),
    settings=(
        Setting(
            name="organization", parameters=("organization",), environment=("OPENAI_ORGANIZATION", "OPENAI_ORG_ID")
        ),
        Setting(name="project", parameters=("openai_project",), environment=("OPENAI_PROJECT", "OPENAI_PROJECT_ID")),
    ),
    headers={"OpenAI-Organization": "{organization}", "OpenAI-Project": "{project}"},
    speaks=(
        Route(format="openai_responses", models=RESPONSES_ONLY, exclusive=True),
        "openai_chat",
        "openai_responses",
        Route(format="openai_text_completion", models=_COMPLETIONS_ONLY),
        Route(format="openai_text_completion", when={"base_url": "?*"}),  # a server of the user's own
        "openai_embeddings",
        "openai_images",
        "openai_image_edits",
        "openai_speech",
        "openai_transcription",
        "openai_moderation",
        "openai_files",
        "openai_batches",
        "openai_count_tokens",
        "openai_models",
    ),
    model_families=(
        "gpt-*",
        "chatgpt-*",
        "o[1-9]",
        "o[1-9]-*",
        "codex-*",
        "text-embedding-3-*",
        "text-embedding-ada-*",
        "dall-e-*",
        "whisper-1",
        "tts-1*",
        "omni-moderation-*",
        "ft:gpt-*",
        "ft:o[1-9]*",
        "computer-use-preview*",
    ),
    profile=Profile(signature_origin="openai", message_extensions=False),
    # platform.openai.com/docs/guides/your-data#data-residency-controls
    residencies={"eu.api.openai.com": "eu", "us.api.openai.com": "us"},
)

ANTHROPIC = Provider(
    name="anthropic",
    title="Anthropic",
    documentation="https://platform.claude.com/docs/en/api/overview",
    base_url="https://api.anthropic.com",
    base_environment=("ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE"),
    key_environment=("ANTHROPIC_API_KEY",),
    auth=(
        # Tokens of a subscription or of workload identity are bearers; API keys are not
        # (platform.claude.com/docs/en/api/overview).
        Bearer(prefixes=("sk-ant-oat",), headers={"anthropic-beta": "oauth-2025-04-20"}),
        HeaderKey(header="x-api-key"),
        Bearer(parameters=("auth_token",), environment=("ANTHROPIC_AUTH_TOKEN",)),
    ),
    speaks=("anthropic_messages", "anthropic_count_tokens", "anthropic_models"),
    model_families=("claude-*",),
    rate_limits=RateLimitHeaders(
        limit_requests="anthropic-ratelimit-requests-limit",
        remaining_requests="anthropic-ratelimit-requests-remaining",
        reset_requests="anthropic-ratelimit-requests-reset",
        limit_tokens="anthropic-ratelimit-tokens-limit",
        remaining_tokens="anthropic-ratelimit-tokens-remaining",
        reset_tokens="anthropic-ratelimit-tokens-reset",
        resets="timestamp",
    ),
)

GEMINI = Provider(
    name="gemini",
    title="Google Gemini (AI Studio)",
    aliases=("google_ai_studio",),
    documentation="https://ai.google.dev/api",
    base_url="https://generativelanguage.googleapis.com/v1beta",
    base_environment=("GEMINI_API_BASE", "GOOGLE_GEMINI_BASE_URL"),
    base_path="/v1beta",
    key_environment=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    auth=(HeaderKey(header="x-goog-api-key"),),
    speaks=(
        "gemini",
        Route(format="openai_chat", prefix="/openai"),
        "gemini_embed",
        "gemini_count_tokens",
        "gemini_models",
    ),
    model_prefix=ModelPrefix(add="models/", unless=("tunedModels/*",)),
    model_families=("gemini-*",),
    # Only addresses of its own Files API and public ones on Google hosts; any other must be sent as bytes. Signatures
    # come and go in the compatible format too: ai.google.dev/gemini-api/docs/thought-signatures#openai
    profile=Profile(image_urls=False, signature_origin="gemini"),
)

MISTRAL = Provider(
    name="mistral",
    title="Mistral AI",
    documentation="https://docs.mistral.ai/api/",
    base_url="https://api.mistral.ai/v1",
    base_environment=("MISTRAL_API_BASE",),
    base_path="/v1",
    key_environment=("MISTRAL_API_KEY",),
    speaks=(
        "openai_chat",
        Route(format="mistral_fim", models=("*codestral*",)),
        "openai_embeddings",
        "openai_moderation",
        "openai_transcription",
        "openai_files",
        Route(format="openai_batches", path="/batch/jobs"),
        "openai_models",
    ),
    model_families=(
        "mistral-*",
        "ministral-*",
        "magistral-*",
        "devstral-*",
        "pixtral-*",
        "open-mistral-*",
        "codestral-*",
    ),
    profile=Profile(
        max_tokens_field="max_tokens",
        renames={"seed": "random_seed"},
        message_names=False,
        message_extensions=False,
        tool_choice_required="any",
        unsupported=frozenset({"logit_bias", "logprobs", "top_logprobs", "user", "service_tier", "store", "verbosity"}),
        stream_options=False,  # the last chunk has the usage anyway
    ),
)

CODESTRAL = Provider(
    name="codestral",
    title="Mistral Codestral",
    aliases=("text-completion-codestral",),
    documentation="https://docs.mistral.ai/capabilities/code_generation/",
    base_url="https://codestral.mistral.ai/v1",
    base_environment=("CODESTRAL_API_BASE",),
    key_environment=("CODESTRAL_API_KEY",),
    speaks=("openai_chat", "mistral_fim"),
    profile=MISTRAL.profile,
)

COHERE = Provider(
    name="cohere",
    title="Cohere",
    aliases=("cohere_chat",),
    documentation="https://docs.cohere.com/reference/about",
    base_url="https://api.cohere.com",
    base_environment=("COHERE_API_BASE", "CO_API_URL"),
    hosts=("api.cohere.ai",),
    key_environment=("COHERE_API_KEY", "CO_API_KEY"),
    speaks=(
        "cohere_chat",
        Route(format="openai_chat", path="/compatibility/v1/chat/completions"),
        "cohere_embed",
        "cohere_rerank",
        "cohere_models",
    ),
    model_families=(
        "command-*",
        "c4ai-*",
        "embed-english-*",
        "embed-multilingual-*",
        "embed-v4*",
        "rerank-v*",
        "rerank-english-*",
    ),
)

XAI = Provider(
    name="xai",
    title="xAI",
    documentation="https://docs.x.ai/docs/api-reference",
    base_url="https://api.x.ai/v1",
    base_environment=("XAI_API_BASE",),
    base_path="/v1",
    key_environment=("XAI_API_KEY",),
    speaks=(
        Route(format="openai_responses", models=("*multi-agent*",), exclusive=True),
        "openai_chat",
        "openai_responses",
        Route(format="anthropic_messages", path="/messages"),
        "openai_images",
        "openai_image_edits",
        "openai_files",
        "openai_batches",
        "openai_models",
    ),
    model_families=("grok-*",),
    reports_cost=True,  # docs.x.ai/developers/cost-tracking: "the actual amount billed"
    profile=Profile(
        message_names=False,
        strict_tools=False,
        reasoning="effort",
        reasoning_efforts=("low", "medium", "high"),
        search_excludes=True,
    ),
    model_rules=(
        # docs.x.ai/docs/guides/reasoning: reasoning models refuse these
        ModelRule(
            models=("grok-3-mini*", "grok-4*", "grok-code*"),
            unless=("*non-reasoning*",),
            profile={"unsupported": ["presence_penalty", "frequency_penalty", "stop"]},
        ),
    ),
)

AI21 = Provider(
    name="ai21",
    title="AI21 Labs",
    aliases=("ai21_chat",),
    documentation="https://docs.ai21.com/reference/jamba-1-6-api-ref",
    base_url="https://api.ai21.com/studio/v1",
    base_environment=("AI21_API_BASE",),
    key_environment=("AI21_API_KEY",),
    speaks=("openai_chat",),
    model_families=("jamba-*",),
    profile=Profile(
        max_tokens_field="max_tokens", structured_output="json_object", content_lists=False, strict_tools=False
    ),
)

META = Provider(
    name="meta",
    title="Meta AI",
    base_url="https://api.meta.ai/v1",
    base_environment=("META_API_BASE",),
    key_environment=("META_API_KEY",),
    speaks=("openai_chat", "openai_responses", "openai_images", "openai_models"),
)

META_LLAMA = Provider(
    name="meta_llama",
    title="Meta Llama API",
    documentation="https://llama.developer.meta.com/docs/overview",
    base_url="https://api.llama.com/compat/v1",
    base_environment=("LLAMA_API_BASE",),
    key_environment=("LLAMA_API_KEY",),
)

AMAZON_NOVA = Provider(
    name="amazon_nova",
    title="Amazon Nova API",
    aliases=("amazon-nova",),
    documentation="https://nova.amazon.com/dev/documentation",
    base_url="https://api.nova.amazon.com/v1",
    base_environment=("AMAZON_NOVA_API_BASE",),
    key_environment=("AMAZON_NOVA_API_KEY", "NOVA_API_KEY"),
    profile=_MAX_TOKENS,
)

INCEPTION = Provider(
    name="inception",
    title="Inception Labs",
    aliases=("text-completion-inception",),
    documentation="https://docs.inceptionlabs.ai/",
    base_url="https://api.inceptionlabs.ai/v1",
    base_environment=("INCEPTION_API_BASE",),
    key_environment=("INCEPTION_API_KEY",),
    speaks=("openai_chat", "mistral_fim", "openai_models"),
    model_families=("mercury-*",),
    profile=Profile(
        max_tokens_field="max_tokens", reasoning="effort", reasoning_efforts=("instant", "low", "medium", "high")
    ),
)

UPSTAGE = Provider(
    name="upstage",
    title="Upstage",
    documentation="https://console.upstage.ai/api/chat",
    base_url="https://api.upstage.ai/v1",
    base_environment=("UPSTAGE_API_BASE",),
    key_environment=("UPSTAGE_API_KEY",),
    speaks=("openai_chat", "openai_embeddings", "openai_models"),
    model_families=("solar-*",),
    profile=Profile(max_tokens_field="max_tokens", reasoning="effort", reasoning_efforts=("low", "medium", "high")),
)

REKA = Provider(
    name="reka",
    title="Reka",
    documentation="https://docs.reka.ai/",
    base_url="https://api.reka.ai/v1",
    base_environment=("REKA_API_BASE",),
    key_environment=("REKA_API_KEY",),
    profile=_MAX_TOKENS,
)

SARVAM = Provider(
    name="sarvam",
    title="Sarvam AI",
    documentation="https://docs.sarvam.ai/api-reference-docs/introduction",
    base_url="https://api.sarvam.ai/v1",
    base_environment=("SARVAM_API_BASE",),
    key_environment=("SARVAM_API_KEY",),
    auth=(HeaderKey(header="api-subscription-key", headers={"Authorization": "Bearer {key}"}),),
    speaks=("openai_chat",),
    profile=_MAX_TOKENS,
)

GIGACHAT = Provider(
    name="gigachat",
    title="Sber GigaChat",
    documentation="https://developers.sber.ru/docs/ru/gigachat/api/reference/rest/gigachat-api",
    base_url="https://gigachat.devices.sberbank.ru/api/v1",
    base_environment=("GIGACHAT_API_BASE", "GIGACHAT_BASE_URL"),
    key_environment=("GIGACHAT_CREDENTIALS", "GIGACHAT_API_KEY"),
    settings=(
        Setting(
            name="scope", parameters=("gigachat_scope",), environment=("GIGACHAT_SCOPE",), default="GIGACHAT_API_PERS"
        ),
    ),
    auth=(
        Bearer(parameters=("access_token",), environment=("GIGACHAT_ACCESS_TOKEN",)),
        # The key is a ready-made base64(id:secret); the token request must carry a request id.
        ClientCredentials(
            token_url="https://ngw.devices.sberbank.ru:9443/api/v2/oauth",  # noqa: S106 (an address)
            scope="{scope}",
            basic_parameters=("api_key",),
            basic_environment=("GIGACHAT_CREDENTIALS", "GIGACHAT_API_KEY"),
            grant_type=None,
            request_id_header="RqUID",
        ),
    ),
    speaks=("openai_chat", "openai_embeddings", "openai_files", "openai_models"),
    profile=Profile(max_tokens_field="max_tokens", structured_output="prompt", stream_options=False, image_urls=False),
)

COGNITION = Provider(
    name="cognition",
    title="Cognition",
    base_url="https://api.cognition.ai/v1",
    base_environment=("COGNITION_API_BASE",),
    key_environment=("COGNITION_API_KEY",),
)

WRITER = Provider(
    name="writer",
    title="Writer",
    documentation="https://dev.writer.com/api-reference/completion-api/chat-completion",
    base_url="https://api.writer.com/v1",
    base_environment=("WRITER_API_BASE",),
    key_environment=("WRITER_API_KEY",),
    speaks=(Route(format="openai_chat", path="/chat"), "openai_models"),
    model_families=("palmyra-*",),
    profile=_MAX_TOKENS,
)

MORPH = Provider(
    name="morph",
    title="Morph",
    documentation="https://docs.morphllm.com/",
    base_url="https://api.morphllm.com/v1",
    base_environment=("MORPH_API_BASE",),
    key_environment=("MORPH_API_KEY",),
    speaks=("openai_chat", "openai_embeddings", "jina_rerank", "openai_models"),
    model_families=("morph-*",),
)

V0 = Provider(
    name="v0",
    title="Vercel v0",
    documentation="https://v0.app/docs/api/model",
    base_url="https://api.v0.dev/v1",
    base_environment=("V0_API_BASE",),
    key_environment=("V0_API_KEY",),
    model_families=("v0-*",),
)

MANUS = Provider(
    name="manus",
    title="Manus",
    documentation="https://open.manus.im/docs",
    base_url="https://api.manus.im",
    base_environment=("MANUS_API_BASE",),
    key_environment=("MANUS_API_KEY",),
    auth=(HeaderKey(header="API_KEY"),),
    speaks=(Route(format="openai_responses", prefix="/v1"), Route(format="openai_files", prefix="/v1")),
)

ROWS: tuple[Provider, ...] = (
    OPENAI,
    ANTHROPIC,
    GEMINI,
    MISTRAL,
    CODESTRAL,
    COHERE,
    XAI,
    AI21,
    META,
    META_LLAMA,
    AMAZON_NOVA,
    INCEPTION,
    UPSTAGE,
    REKA,
    SARVAM,
    GIGACHAT,
    COGNITION,
    WRITER,
    MORPH,
    V0,
    MANUS,
)
