"""Hosts: companies that serve open models (and, some, others) on their own hardware."""

from __future__ import annotations

from penstock.providers.provider import ModelPrefix, ModelRule, Provider, Route, Setting
from penstock.types.profile import Profile

_MAX_TOKENS = Profile(max_tokens_field="max_tokens")

GROQ = Provider(
    name="groq",
    title="Groq",
    documentation="https://console.groq.com/docs/api-reference",
    base_url="https://api.groq.com/openai/v1",
    base_environment=("GROQ_API_BASE",),
    key_environment=("GROQ_API_KEY",),
    speaks=(
        "openai_chat",
        "openai_responses",
        "openai_speech",
        "openai_transcription",
        "openai_files",
        "openai_batches",
        "openai_models",
    ),
    profile=Profile(
        nulls=False,
        message_extensions=False,
        structured_output="tool",
        thinking_field="reasoning",
        replay_thinking=True,
        unsupported=frozenset({"logit_bias", "logprobs", "top_logprobs"}),
    ),
    model_rules=(
        # console.groq.com/docs/structured-outputs
        ModelRule(
            models=("openai/gpt-oss*", "moonshotai/kimi-k2*", "meta-llama/llama-4*"),
            profile={"structured_output": "json_schema"},
        ),
        # console.groq.com/docs/browser-search, /docs/code-execution
        ModelRule(
            models=("openai/gpt-oss*",),
            formats=("openai_chat",),
            profile={"server_tools": {"web_search": "browser_search", "code_execution": "code_interpreter"}},
        ),
    ),
)

TOGETHER_AI = Provider(
    name="together_ai",
    title="Together AI",
    aliases=("together", "togetherai"),
    documentation="https://docs.together.ai/reference/chat-completions",
    base_url="https://api.together.ai/v1",
    base_environment=("TOGETHER_AI_API_BASE", "TOGETHER_BASE_URL"),
    hosts=("api.together.xyz",),
    key_environment=("TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHERAI_API_KEY", "TOGETHER_AI_TOKEN"),
    speaks=(
        "openai_chat",
        "openai_text_completion",
        "openai_embeddings",
        "jina_rerank",
        "openai_images",
        "openai_speech",
        "openai_transcription",
        "openai_batches",
        "openai_models",
    ),
    profile=Profile(max_tokens_field="max_tokens", thinking_field="reasoning"),
)

FIREWORKS_AI = Provider(
    name="fireworks_ai",
    title="Fireworks AI",
    aliases=("fireworks", "fireworks-ai", "fireworks_ai-embedding-models"),
    documentation="https://docs.fireworks.ai/api-reference/post-chatcompletions",
    base_url="https://api.fireworks.ai/inference/v1",
    base_environment=("FIREWORKS_API_BASE", "FIREWORKS_AI_API_BASE"),
    key_environment=("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"),
    speaks=(
        "openai_chat",
        Route(format="anthropic_messages", path="/messages"),
        "openai_responses",
        "openai_text_completion",
        "openai_embeddings",
        "jina_rerank",
        "openai_transcription",
        "openai_models",
    ),
    # A name with a slash is somebody's model already; one with a # is a deployment.
    model_prefix=ModelPrefix(add="accounts/fireworks/models/", unless=("*/*", "*#*")),
    profile=Profile(max_tokens_field="max_tokens", nulls=False, message_names=False, strict_tools=False),
)

CEREBRAS = Provider(
    name="cerebras",
    title="Cerebras",
    documentation="https://inference-docs.cerebras.ai/api-reference/chat-completions",
    base_url="https://api.cerebras.ai/v1",
    base_environment=("CEREBRAS_API_BASE",),
    key_environment=("CEREBRAS_API_KEY",),
    speaks=("openai_chat", "openai_text_completion", "openai_models"),
    profile=Profile(
        thinking_field="reasoning",
        replay_thinking=True,
        message_extensions=False,
        unsupported=frozenset({"frequency_penalty", "presence_penalty", "logit_bias", "service_tier", "n"}),
    ),
)

SAMBANOVA = Provider(
    name="sambanova",
    title="SambaNova",
    documentation="https://docs.sambanova.ai/cloud/api-reference/overview",
    base_url="https://api.sambanova.ai/v1",
    base_environment=("SAMBANOVA_API_BASE",),
    key_environment=("SAMBANOVA_API_KEY",),
    speaks=("openai_chat", "openai_embeddings", "openai_transcription", "openai_models"),
    profile=_MAX_TOKENS,
)

HUGGINGFACE = Provider(
    name="huggingface",
    title="Hugging Face Inference Providers",
    documentation="https://huggingface.co/docs/inference-providers",
    base_url="https://router.huggingface.co/v1",
    base_environment=("HF_API_BASE", "HUGGINGFACE_API_BASE"),
    base_path="/v1",
    hosts=("*.endpoints.huggingface.cloud",),
    key_environment=("HF_TOKEN", "HUGGINGFACE_API_KEY"),
    speaks=("openai_chat", "openai_responses", "openai_models"),
    subhosts=(
        "baseten",
        "cerebras",
        "cohere",
        "fal-ai",
        "featherless-ai",
        "fireworks-ai",
        "groq",
        "hf-inference",
        "hyperbolic",
        "nebius",
        "novita",
        "nscale",
        "ovhcloud",
        "publicai",
        "replicate",
        "sambanova",
        "scaleway",
        "together",
        "wavespeed",
        "zai-org",
    ),
    profile=_MAX_TOKENS,
)

NVIDIA_NIM = Provider(
    name="nvidia_nim",
    title="NVIDIA NIM",
    documentation="https://docs.api.nvidia.com/nim/reference/llm-apis",
    base_url="https://integrate.api.nvidia.com/v1",
    base_environment=("NVIDIA_NIM_API_BASE",),
    base_path="/v1",
    key_environment=("NVIDIA_NIM_API_KEY", "NVIDIA_API_KEY"),
    speaks=("openai_chat", "openai_text_completion", "openai_embeddings", "openai_models"),
    profile=_MAX_TOKENS,
)

NVIDIA_RIVA = Provider(
    name="nvidia_riva",
    title="NVIDIA Riva (speech)",
    documentation="https://docs.nvidia.com/nim/riva/asr/latest/getting-started.html",
    base_environment=("NVIDIA_RIVA_API_BASE",),
    base_path="/v1",
    key_environment=("NVIDIA_RIVA_API_KEY",),
    speaks=("openai_transcription",),
)

DEEPINFRA = Provider(
    name="deepinfra",
    title="DeepInfra",
    documentation="https://docs.deepinfra.com/api-reference/chat-completions/openai-chat-completions",
    base_url="https://api.deepinfra.com/v1/openai",
    base_environment=("DEEPINFRA_API_BASE",),
    key_environment=("DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN"),
    speaks=(
        "openai_chat",
        Route(format="anthropic_messages", base_url="https://api.deepinfra.com/anthropic"),
        "openai_text_completion",
        "openai_embeddings",
        "openai_images",
        "openai_speech",
        "openai_transcription",
        "openai_models",
    ),
    profile=_MAX_TOKENS,
)

NOVITA = Provider(
    name="novita",
    title="Novita AI",
    documentation="https://novita.ai/docs/api-reference/model-apis-llm-create-chat-completion",
    base_url="https://api.novita.ai/v3/openai",
    base_environment=("NOVITA_API_BASE",),
    key_environment=("NOVITA_API_KEY",),
    speaks=("openai_chat", "openai_text_completion", "openai_embeddings", "jina_rerank", "openai_models"),
    profile=Profile(max_tokens_field="max_tokens", reasoning="enable_thinking"),
)

BASETEN = Provider(
    name="baseten",
    title="Baseten",
    documentation="https://docs.baseten.co/reference/inference-api/chat-completions",
    base_url="https://inference.baseten.co/v1",
    base_environment=("BASETEN_API_BASE",),
    key_environment=("BASETEN_API_KEY",),
    profile=_MAX_TOKENS,
)

NEBIUS = Provider(
    name="nebius",
    title="Nebius Token Factory",
    documentation="https://docs.tokenfactory.nebius.com/",
    base_url="https://api.studio.nebius.ai/v1",
    base_environment=("NEBIUS_API_BASE",),
    hosts=("api.tokenfactory.nebius.com", "api.studio.nebius.com"),
    key_environment=("NEBIUS_API_KEY",),
    speaks=("openai_chat", "openai_text_completion", "openai_embeddings", "openai_images", "openai_models"),
    profile=_MAX_TOKENS,
)

FRIENDLIAI = Provider(
    name="friendliai",
    title="Friendli",
    aliases=("friendli",),
    documentation="https://friendli.ai/docs/openapi/model-apis/chat-completions",
    base_url="https://api.friendli.ai/serverless/v1",
    base_environment=("FRIENDLI_API_BASE",),
    key_environment=("FRIENDLIAI_API_KEY", "FRIENDLI_TOKEN"),
    speaks=("openai_chat", "openai_text_completion", "openai_models"),
    profile=_MAX_TOKENS,
)

HYPERBOLIC = Provider(
    name="hyperbolic",
    title="Hyperbolic",
    documentation="https://docs.hyperbolic.xyz/docs/rest-api",
    base_url="https://api.hyperbolic.xyz/v1",
    base_environment=("HYPERBOLIC_API_BASE",),
    key_environment=("HYPERBOLIC_API_KEY",),
    speaks=("openai_chat", "openai_text_completion", "openai_models"),
    profile=_MAX_TOKENS,
)

LAMBDA_AI = Provider(
    name="lambda_ai",
    title="Lambda Inference",
    aliases=("lambda",),
    documentation="https://docs.lambda.ai/public-cloud/lambda-inference-api/",
    base_url="https://api.lambda.ai/v1",
    base_environment=("LAMBDA_API_BASE",),
    key_environment=("LAMBDA_API_KEY",),
    speaks=("openai_chat", "openai_text_completion", "openai_models"),
    profile=_MAX_TOKENS,
)

NSCALE = Provider(
    name="nscale",
    title="Nscale",
    documentation="https://docs.nscale.com/docs/inference/overview",
    base_url="https://inference.api.nscale.com/v1",
    base_environment=("NSCALE_API_BASE",),
    key_environment=("NSCALE_API_KEY", "NSCALE_SERVICE_TOKEN"),
    speaks=("openai_chat", "openai_images", "openai_models"),
    profile=_MAX_TOKENS,
)

FEATHERLESS_AI = Provider(
    name="featherless_ai",
    title="Featherless",
    aliases=("featherless",),
    documentation="https://featherless.ai/docs/api-overview-and-common-options",
    base_url="https://api.featherless.ai/v1",
    base_environment=("FEATHERLESS_API_BASE",),
    key_environment=("FEATHERLESS_AI_API_KEY", "FEATHERLESS_API_KEY"),
    speaks=("openai_chat", "openai_text_completion", "openai_embeddings", "openai_models"),
    profile=_MAX_TOKENS,
)

WANDB = Provider(
    name="wandb",
    title="Weights & Biases Inference",
    documentation="https://docs.wandb.ai/inference",
    base_url="https://api.inference.wandb.ai/v1",
    base_environment=("WANDB_API_BASE",),
    key_environment=("WANDB_API_KEY",),
    settings=(Setting(name="project", parameters=("wandb_project",), environment=("WANDB_INFERENCE_PROJECT",)),),
    headers={"OpenAI-Project": "{project}"},
    profile=_MAX_TOKENS,
)

CRUSOE = Provider(
    name="crusoe",
    title="Crusoe Managed Inference",
    documentation="https://docs.crusoecloud.com/managed-inference/overview",
    base_url="https://managed-inference-api-proxy.crusoecloud.com/v1",
    base_environment=("CRUSOE_API_BASE",),
    hosts=("api.inference.crusoecloud.com",),
    key_environment=("CRUSOE_API_KEY",),
    profile=_MAX_TOKENS,
)

GMI = Provider(
    name="gmi",
    title="GMI Cloud",
    documentation="https://docs.gmicloud.ai/inference-engine/api-reference/llm-api-reference",
    base_url="https://api.gmi-serving.com/v1",
    base_environment=("GMI_API_BASE",),
    key_environment=("GMI_API_KEY",),
)

CHUTES = Provider(
    name="chutes",
    title="Chutes",
    documentation="https://chutes.ai/docs",
    base_url="https://llm.chutes.ai/v1",
    base_environment=("CHUTES_API_BASE",),
    key_environment=("CHUTES_API_KEY",),
    profile=_MAX_TOKENS,
)

PARASAIL = Provider(
    name="parasail",
    title="Parasail",
    documentation="https://docs.parasail.io/",
    base_url="https://api.parasail.io/v1",
    base_environment=("PARASAIL_API_BASE",),
    key_environment=("PARASAIL_API_KEY",),
    speaks=("openai_chat", "openai_embeddings", "openai_batches", "openai_files", "openai_models"),
)

PUBLICAI = Provider(
    name="publicai",
    title="Public AI",
    documentation="https://platform.publicai.co/docs",
    base_url="https://api.publicai.co/v1",
    base_environment=("PUBLICAI_API_BASE",),
    key_environment=("PUBLICAI_API_KEY",),
    profile=Profile(max_tokens_field="max_tokens", content_lists=False),
)

SYNTHETIC = Provider(
    name="synthetic",
    title="Synthetic",
    documentation="https://dev.synthetic.new/docs/api/overview",
    base_url="https://api.synthetic.new/openai/v1",
    base_environment=("SYNTHETIC_API_BASE",),
    key_environment=("SYNTHETIC_API_KEY",),
    speaks=(
        "openai_chat",
        Route(format="anthropic_messages", base_url="https://api.synthetic.new/anthropic"),
        "openai_text_completion",
        "openai_embeddings",
        "openai_models",
    ),
    profile=_MAX_TOKENS,
)

VENICEAI = Provider(
    name="veniceai",
    title="Venice AI",
    aliases=("venice",),
    documentation="https://docs.venice.ai/api-reference/api-spec",
    base_url="https://api.venice.ai/api/v1",
    base_environment=("VENICE_AI_API_BASE",),
    key_environment=("VENICE_AI_API_KEY", "VENICE_API_KEY"),
    speaks=("openai_chat", "openai_embeddings", "openai_images", "openai_speech", "openai_models"),
)

SILICONFLOW = Provider(
    name="siliconflow",
    title="SiliconFlow",
    documentation="https://docs.siliconflow.com/en/api-reference/chat-completions/chat-completions",
    base_url="https://api.siliconflow.com/v1",
    base_environment=("SILICONFLOW_API_BASE", "SILICONFLOW_BASE_URL"),
    hosts=("api.siliconflow.cn",),
    key_environment=("SILICONFLOW_API_KEY",),
    speaks=(
        "openai_chat",
        "openai_embeddings",
        "jina_rerank",
        "openai_images",
        "openai_speech",
        "openai_transcription",
        "openai_models",
    ),
    profile=Profile(max_tokens_field="max_tokens", reasoning="enable_thinking"),
)

MODELSCOPE = Provider(
    name="modelscope",
    title="ModelScope",
    documentation="https://modelscope.cn/docs/model-service/API-Inference/intro",
    base_url="https://api-inference.modelscope.cn/v1",
    base_environment=("MODELSCOPE_API_BASE",),
    key_environment=("MODELSCOPE_API_KEY",),
    profile=_MAX_TOKENS,
)

INFERENCE_NET = Provider(
    name="inference_net",
    title="Inference.net",
    documentation="https://docs.inference.net/",
    base_url="https://api.inference.net/v1",
    base_environment=("INFERENCE_NET_API_BASE",),
    key_environment=("INFERENCE_API_KEY", "INFERENCE_NET_API_KEY"),
    speaks=("openai_chat", "openai_text_completion", "openai_embeddings", "openai_models"),
    profile=_MAX_TOKENS,
)

INFERENCEAPIS = Provider(
    name="inferenceapis",
    title="Inference APIs",
    documentation="https://inferenceapis.com/docs",
    base_url="https://api.inferenceapis.com/v1",
    base_environment=("INFERENCEAPIS_API_BASE",),
    key_environment=("INFERENCEAPIS_API_KEY",),
    speaks=("openai_chat", "openai_responses", Route(format="anthropic_messages", path="/messages"), "openai_models"),
)

IO_NET = Provider(
    name="io_net",
    title="io.net Intelligence",
    aliases=("io-net", "io_intelligence"),
    documentation="https://io.net/docs/guides/intelligence/io-intelligence",
    base_url="https://api.intelligence.io.solutions/api/v1",
    base_environment=("IOINTELLIGENCE_API_BASE",),
    key_environment=("IOINTELLIGENCE_API_KEY",),
    profile=_MAX_TOKENS,
)

CORALBRICKS = Provider(
    name="coralbricks",
    title="CoralBricks",
    documentation="https://www.coralbricks.ai/docs",
    base_url="https://inference.coralbricks.ai/v1",
    base_environment=("CORALBRICKS_API_BASE",),
    key_environment=("CORALBRICKS_API_KEY", "CORAL_API_KEY"),
    speaks=("openai_chat", "openai_responses", Route(format="anthropic_messages", path="/messages"), "openai_models"),
)

OPENINFER = Provider(
    name="openinfer",
    title="OpenInfer",
    documentation="https://openinfer.ai/",
    base_url="https://api.openinfer.ai/v1",
    base_environment=("OPENINFER_API_BASE",),
    key_environment=("OPENINFER_API_KEY",),
    speaks=("openai_chat", "openai_responses", Route(format="anthropic_messages", path="/messages"), "openai_models"),
)

TENSORMESH = Provider(
    name="tensormesh",
    title="Tensormesh",
    documentation="https://docs.tensormesh.ai/",
    base_url="https://serverless.tensormesh.ai/v1",
    base_environment=("TENSORMESH_SERVERLESS_BASE_URL",),
    key_environment=("TENSORMESH_INFERENCE_API_KEY",),
    profile=_MAX_TOKENS,
)


def _compatible(
    name: str, title: str, base_url: str, key: str, base: str = "", *, max_tokens: bool = False
) -> Provider:
    """A host that is known to copy OpenAI's chat API; no more is known, not even a page that describes it."""
    return Provider(
        name=name,
        title=title,
        base_url=base_url,
        base_environment=(base,) if base else (),
        key_environment=(key,),
        profile=_MAX_TOKENS if max_tokens else Profile(),
    )


SMALL = (
    _compatible("abliteration", "Abliteration", "https://api.abliteration.ai/v1", "ABLITERATION_API_KEY"),
    _compatible(
        "anyscale", "Anyscale", "https://api.endpoints.anyscale.com/v1", "ANYSCALE_API_KEY", "ANYSCALE_API_BASE"
    ),
    _compatible("apertis", "Apertis", "https://api.stima.tech/v1", "STIMA_API_KEY", max_tokens=True),
    _compatible(
        "charity_engine",
        "Charity Engine",
        "https://api.charityengine.services/remotejobs/v2/inference",
        "CHARITY_ENGINE_API_KEY",
        max_tokens=True,
    ),
    _compatible(
        "darkbloom",
        "Darkbloom",
        "https://api.darkbloom.dev/v1",
        "DARKBLOOM_API_KEY",
        "DARKBLOOM_API_BASE",
        max_tokens=True,
    ),
    _compatible(
        "empiriolabs",
        "Empirio Labs",
        "https://api.empiriolabs.ai/v1",
        "EMPIRIOLABS_API_KEY",
        "EMPIRIOLABS_API_BASE",
        max_tokens=True,
    ),
    _compatible("empower", "Empower", "https://app.empower.dev/api/v1", "EMPOWER_API_KEY", "EMPOWER_API_BASE"),
    _compatible("galadriel", "Galadriel", "https://api.galadriel.com/v1", "GALADRIEL_API_KEY", "GALADRIEL_API_BASE"),
    _compatible(
        "libertai", "LibertAI", "https://api.libertai.io/v1", "LIBERTAI_API_KEY", "LIBERTAI_API_BASE", max_tokens=True
    ),
    _compatible("llamagate", "LlamaGate", "https://api.llamagate.dev/v1", "LLAMAGATE_API_KEY", max_tokens=True),
    _compatible(
        "neosantara",
        "Neosantara",
        "https://api.neosantara.xyz/v1",
        "NEOSANTARA_API_KEY",
        "NEOSANTARA_API_BASE",
        max_tokens=True,
    ),
    _compatible(
        "pinstripes",
        "Pinstripes",
        "https://pinstripes.io/v1",
        "PINSTRIPES_API_KEY",
        "PINSTRIPES_API_BASE",
        max_tokens=True,
    ),
    _compatible("prism", "Prism Inference", "https://api.prisminference.com/v1", "PRISM_API_KEY", "PRISM_API_BASE"),
    _compatible("sail", "Sail Research", "https://api.sailresearch.com/v1", "SAIL_API_KEY", "SAIL_API_BASE"),
    _compatible("scx-ai", "SCX.ai", "https://api.scx.ai/v1", "SCX_API_KEY", "SCX_API_BASE", max_tokens=True),
)

ROWS: tuple[Provider, ...] = (
    GROQ,
    TOGETHER_AI,
    FIREWORKS_AI,
    CEREBRAS,
    SAMBANOVA,
    HUGGINGFACE,
    NVIDIA_NIM,
    NVIDIA_RIVA,
    DEEPINFRA,
    NOVITA,
    BASETEN,
    NEBIUS,
    FRIENDLIAI,
    HYPERBOLIC,
    LAMBDA_AI,
    NSCALE,
    FEATHERLESS_AI,
    WANDB,
    CRUSOE,
    GMI,
    CHUTES,
    PARASAIL,
    PUBLICAI,
    SYNTHETIC,
    VENICEAI,
    SILICONFLOW,
    MODELSCOPE,
    INFERENCE_NET,
    INFERENCEAPIS,
    IO_NET,
    CORALBRICKS,
    OPENINFER,
    TENSORMESH,
    *SMALL,
)
