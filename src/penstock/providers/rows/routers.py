"""Routers: who passes requests on to other providers, under one key."""

from __future__ import annotations

from penstock.providers.auth.kinds import Bearer
from penstock.providers.provider import ModelRule, Provider, Route, Setting
from penstock.types.profile import Profile

_MAX_TOKENS = Profile(max_tokens_field="max_tokens")

OPENROUTER = Provider(
    name="openrouter",
    title="OpenRouter",
    documentation="https://openrouter.ai/docs/api-reference/overview",
    base_url="https://openrouter.ai/api/v1",
    base_environment=("OPENROUTER_API_BASE",),
    key_environment=("OPENROUTER_API_KEY", "OR_API_KEY"),
    settings=(
        Setting(name="site", parameters=("openrouter_site_url",), environment=("OR_SITE_URL",)),
        Setting(name="application", parameters=("openrouter_app_name",), environment=("OR_APP_NAME",)),
    ),
    headers={"HTTP-Referer": "{site}", "X-Title": "{application}"},
    speaks=(
        "openai_chat",
        "openai_responses",
        Route(format="anthropic_messages", path="/messages"),
        "openai_text_completion",
        "openai_embeddings",
        "openai_models",
    ),
    profile=Profile(
        reasoning="object",
        thinking_field="reasoning",
        search_excludes=True,
        server_tools={  # openrouter.ai/docs/guides/features/server-tools
            "web_search": "openrouter:web_search",
            "web_fetch": "openrouter:web_fetch",
        },
    ),
    model_rules=(  # openrouter.ai/docs/use-cases/reasoning-tokens#preserving-reasoning
        ModelRule(
            models=("anthropic/*",),
            formats=("openai_chat",),
            profile={"signature_origin": "anthropic", "thinking_field": "reasoning_details"},
        ),
    ),
    reports_cost=True,
)

VERCEL_AI_GATEWAY = Provider(
    name="vercel_ai_gateway",
    title="Vercel AI Gateway",
    aliases=("vercel",),
    documentation="https://vercel.com/docs/ai-gateway",
    base_url="https://ai-gateway.vercel.sh/v1",
    base_environment=("VERCEL_AI_GATEWAY_API_BASE",),
    key_environment=("VERCEL_AI_GATEWAY_API_KEY", "AI_GATEWAY_API_KEY", "VERCEL_OIDC_TOKEN"),
    speaks=(
        "openai_chat",
        Route(format="anthropic_messages", base_url="https://ai-gateway.vercel.sh"),
        "openai_responses",
        "openai_embeddings",
        "openai_models",
    ),
    profile=Profile(reasoning="object", thinking_field="reasoning"),
)

REQUESTY = Provider(
    name="requesty",
    title="Requesty",
    documentation="https://docs.requesty.ai/",
    base_url="https://router.requesty.ai/v1",
    base_environment=("REQUESTY_API_BASE",),
    key_environment=("REQUESTY_API_KEY",),
    speaks=("openai_chat", Route(format="anthropic_messages", path="/messages"), "openai_embeddings", "openai_models"),
)

HELICONE = Provider(
    name="helicone",
    title="Helicone AI Gateway",
    documentation="https://docs.helicone.ai/gateway/overview",
    base_url="https://ai-gateway.helicone.ai",
    base_environment=("HELICONE_API_BASE",),
    key_environment=("HELICONE_API_KEY",),
)

POE = Provider(
    name="poe",
    title="Poe",
    documentation="https://creator.poe.com/docs/external-applications/openai-compatible-api",
    base_url="https://api.poe.com/v1",
    base_environment=("POE_API_BASE",),
    key_environment=("POE_API_KEY",),
    speaks=("openai_chat", "openai_responses", "openai_models"),
    profile=_MAX_TOKENS,
)

NANO_GPT = Provider(
    name="nano-gpt",
    title="NanoGPT",
    aliases=("nanogpt",),
    documentation="https://docs.nano-gpt.com/",
    base_url="https://nano-gpt.com/api/v1",
    base_environment=("NANOGPT_API_BASE",),
    key_environment=("NANOGPT_API_KEY",),
    profile=_MAX_TOKENS,
)

AIHUBMIX = Provider(
    name="aihubmix",
    title="AIHubMix",
    documentation="https://docs.aihubmix.com/en",
    base_url="https://aihubmix.com/v1",
    base_environment=("AIHUBMIX_API_BASE",),
    key_environment=("AIHUBMIX_API_KEY",),
    speaks=(
        "openai_chat",
        "openai_responses",
        Route(format="anthropic_messages", path="/messages"),
        "openai_embeddings",
        "openai_models",
    ),
)

AIML = Provider(
    name="aiml",
    title="AI/ML API",
    aliases=("aimlapi",),
    documentation="https://docs.aimlapi.com/",
    base_url="https://api.aimlapi.com/v1",
    base_environment=("AIML_API_BASE",),
    key_environment=("AIML_API_KEY", "AIMLAPI_API_KEY"),
    speaks=("openai_chat", "openai_responses", "openai_embeddings", "openai_images", "openai_models"),
)

CORTECS = Provider(
    name="cortecs",
    title="cortecs",
    documentation="https://docs.cortecs.ai/",
    base_url="https://api.cortecs.ai/v1",
    base_environment=("CORTECS_API_BASE",),
    key_environment=("CORTECS_API_KEY",),
)

NADIR = Provider(
    name="nadir",
    title="Nadir",
    base_environment=("NADIR_API_BASE",),
    key_environment=("NADIR_API_KEY",),
)

PORTKEY = Provider(
    name="portkey",
    title="Portkey",
    documentation="https://portkey.ai/docs/api-reference/inference-api/introduction",
    base_url="https://api.portkey.ai/v1",
    base_environment=("PORTKEY_API_BASE",),
    key_environment=("PORTKEY_API_KEY",),
    auth=(Bearer(headers={"x-portkey-api-key": "{key}"}),),
    speaks=(
        "openai_chat",
        "openai_responses",
        Route(format="anthropic_messages", path="/messages"),
        "openai_embeddings",
        "openai_models",
    ),
)

EDENAI = Provider(
    name="edenai",
    title="Eden AI",
    documentation="https://docs.edenai.co/",
    base_url="https://api.edenai.run/v3/llm",
    base_environment=("EDENAI_API_BASE",),
    key_environment=("EDENAI_API_KEY",),
    speaks=("openai_chat",),
)

LITELLM_PROXY = Provider(
    name="litellm_proxy",
    title="LiteLLM proxy",
    documentation="https://docs.litellm.ai/docs/providers/litellm_proxy",
    base_environment=("LITELLM_PROXY_API_BASE",),
    key_environment=("LITELLM_PROXY_API_KEY",),
    auth=(Bearer(required=False),),
    speaks=(
        "openai_chat",
        "openai_responses",
        Route(format="anthropic_messages", path="/v1/messages"),
        "openai_text_completion",
        "openai_embeddings",
        "jina_rerank",
        "openai_images",
        "openai_image_edits",
        "openai_speech",
        "openai_transcription",
        "openai_moderation",
        "openai_files",
        "openai_batches",
        "openai_models",
    ),
)

GITHUB_COPILOT = Provider(
    name="github_copilot",
    title="GitHub Copilot",
    documentation="https://docs.github.com/en/copilot",
    speaks=(),
    own_api="it is signed in to by a person, in a browser, and is meant for editors only",
)

CHATGPT = Provider(
    name="chatgpt",
    title="ChatGPT subscription",
    documentation="https://developers.openai.com/codex/auth",
    speaks=(),
    own_api="a subscription is signed in to by a person, in a browser",
)

ROWS: tuple[Provider, ...] = (
    OPENROUTER,
    VERCEL_AI_GATEWAY,
    REQUESTY,
    HELICONE,
    POE,
    NANO_GPT,
    AIHUBMIX,
    AIML,
    CORTECS,
    NADIR,
    PORTKEY,
    EDENAI,
    LITELLM_PROXY,
    GITHUB_COPILOT,
    CHATGPT,
)
