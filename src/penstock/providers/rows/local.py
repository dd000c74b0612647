"""Local: servers on the user's own machine or network. They need no key, but take one; each is looked for on its usual
port.
"""

from __future__ import annotations

from penstock.providers.auth.kinds import Bearer
from penstock.providers.provider import ModelRule, Provider, Route
from penstock.types.profile import Profile

_OPTIONAL_KEY = (Bearer(required=False),)

_BY_EFFORT = (ModelRule(models=("*gpt-oss*",), formats=("openai_chat",), profile={"reasoning": "effort"}),)
"""Models that are not switched by their template (docs.vllm.ai/projects/recipes/en/latest/OpenAI/GPT-OSS.html)."""

_COMMON = ("openai_chat", "openai_text_completion", "openai_embeddings", "openai_models")

OLLAMA = Provider(
    name="ollama",
    title="Ollama",
    aliases=("ollama_chat",),
    documentation="https://docs.ollama.com/api",
    local=True,
    default_port=11434,
    base_url="http://localhost:11434",
    base_environment=("OLLAMA_API_BASE", "OLLAMA_BASE_URL", "OLLAMA_HOST"),
    hosts=("ollama.com",),
    key_environment=("OLLAMA_API_KEY",),
    auth=_OPTIONAL_KEY,
    speaks=(
        "ollama_chat",
        Route(format="openai_chat", prefix="/v1"),
        Route(format="openai_responses", prefix="/v1"),
        Route(format="anthropic_messages"),
        Route(format="openai_text_completion", prefix="/v1"),
        "ollama_embed",
        "ollama_models",
    ),
    profile=Profile(image_urls=False),
)

VLLM = Provider(
    name="hosted_vllm",
    title="vLLM",
    aliases=("vllm",),
    documentation="https://docs.vllm.ai/en/stable/serving/openai_compatible_server/",
    local=True,
    default_port=8000,
    base_url="http://localhost:8000/v1",
    base_environment=("HOSTED_VLLM_API_BASE", "VLLM_BASE_URL"),
    base_path="/v1",
    key_environment=("HOSTED_VLLM_API_KEY", "VLLM_API_KEY"),
    auth=_OPTIONAL_KEY,
    speaks=(
        *_COMMON,
        "openai_responses",
        Route(format="anthropic_messages"),
        Route(format="jina_rerank"),
        "openai_transcription",
    ),
    profile=Profile(reasoning="template"),
    model_rules=_BY_EFFORT,
)

LM_STUDIO = Provider(
    name="lm_studio",
    title="LM Studio",
    aliases=("lmstudio",),
    documentation="https://lmstudio.ai/docs/app/api/endpoints/openai",
    local=True,
    default_port=1234,
    base_url="http://localhost:1234/v1",
    base_environment=("LM_STUDIO_API_BASE",),
    base_path="/v1",
    key_environment=("LM_STUDIO_API_KEY",),
    auth=_OPTIONAL_KEY,
    speaks=(*_COMMON, "openai_responses", "anthropic_messages"),
    profile=Profile(image_urls=False),
)

LLAMA_CPP = Provider(
    name="llamacpp",
    title="llama.cpp server",
    aliases=("llama.cpp", "llama_cpp"),
    documentation="https://github.com/ggml-org/llama.cpp/tree/master/tools/server",
    local=True,
    default_port=8080,
    base_url="http://localhost:8080/v1",
    base_environment=("LLAMACPP_API_BASE", "LLAMA_CPP_BASE_URL"),
    base_path="/v1",
    key_environment=("LLAMACPP_API_KEY",),
    auth=_OPTIONAL_KEY,
    speaks=(*_COMMON, "openai_responses", "anthropic_messages", "anthropic_count_tokens", "jina_rerank"),
    profile=Profile(reasoning="template"),
    model_rules=_BY_EFFORT,
)

LLAMAFILE = Provider(
    name="llamafile",
    title="llamafile",
    documentation="https://github.com/mozilla-ai/llamafile",
    local=True,
    default_port=8080,
    base_url="http://127.0.0.1:8080/v1",
    base_environment=("LLAMAFILE_API_BASE",),
    base_path="/v1",
    key_environment=("LLAMAFILE_API_KEY",),
    auth=_OPTIONAL_KEY,
    speaks=_COMMON,
    profile=Profile(image_urls=False),
)

TGI = Provider(
    name="tgi",
    title="Hugging Face Text Generation Inference",
    aliases=("text-generation-inference",),
    documentation="https://huggingface.co/docs/text-generation-inference/reference/api_reference",
    local=True,
    default_port=8080,
    base_url="http://localhost:8080/v1",
    base_environment=("TGI_API_BASE",),
    base_path="/v1",
    key_environment=("TGI_API_KEY", "HF_TOKEN"),
    auth=_OPTIONAL_KEY,
    speaks=("openai_chat", "openai_text_completion", "openai_models"),
    profile=Profile(max_tokens_field="max_tokens"),
)

TEI = Provider(
    name="tei",
    title="Hugging Face Text Embeddings Inference",
    aliases=("text-embeddings-inference",),
    documentation="https://huggingface.co/docs/text-embeddings-inference/quick_tour",
    local=True,
    default_port=8080,
    base_url="http://localhost:8080/v1",
    base_environment=("TEI_API_BASE",),
    base_path="/v1",
    key_environment=("TEI_API_KEY", "HF_TOKEN"),
    auth=_OPTIONAL_KEY,
    speaks=("openai_embeddings",),
)

SGLANG = Provider(
    name="sglang",
    title="SGLang",
    documentation="https://docs.sglang.ai/basic_usage/openai_api.html",
    local=True,
    default_port=30000,
    base_url="http://localhost:30000/v1",
    base_environment=("SGLANG_API_BASE",),
    base_path="/v1",
    key_environment=("SGLANG_API_KEY",),
    auth=_OPTIONAL_KEY,
    speaks=(*_COMMON, "openai_responses", "jina_rerank"),
    profile=Profile(reasoning="template"),
    model_rules=_BY_EFFORT,
)

XINFERENCE = Provider(
    name="xinference",
    title="Xinference",
    documentation="https://inference.readthedocs.io/",
    local=True,
    default_port=9997,
    base_url="http://localhost:9997/v1",
    base_environment=("XINFERENCE_API_BASE",),
    base_path="/v1",
    key_environment=("XINFERENCE_API_KEY",),
    auth=_OPTIONAL_KEY,
    speaks=(*_COMMON, "jina_rerank", "openai_images", "openai_speech", "openai_transcription"),
)

INFINITY = Provider(
    name="infinity",
    title="Infinity",
    documentation="https://michaelfeil.eu/infinity/",
    local=True,
    default_port=7997,
    base_url="http://localhost:7997",
    base_environment=("INFINITY_API_BASE",),
    key_environment=("INFINITY_API_KEY",),
    auth=_OPTIONAL_KEY,
    speaks=("openai_embeddings", "jina_rerank", "openai_models"),
)

LOCALAI = Provider(
    name="localai",
    title="LocalAI",
    documentation="https://localai.io/",
    local=True,
    default_port=8080,
    base_url="http://localhost:8080/v1",
    base_environment=("LOCALAI_API_BASE",),
    base_path="/v1",
    key_environment=("LOCALAI_API_KEY",),
    auth=_OPTIONAL_KEY,
    speaks=(*_COMMON, "jina_rerank", "openai_images", "openai_speech", "openai_transcription"),
    profile=Profile(max_tokens_field="max_tokens"),
)

LEMONADE = Provider(
    name="lemonade",
    title="Lemonade Server",
    documentation="https://lemonade-server.ai/docs/server/server_spec/",
    local=True,
    default_port=8000,
    base_url="http://localhost:8000/api/v1",
    base_environment=("LEMONADE_API_BASE",),
    base_path="/api/v1",
    key_environment=("LEMONADE_API_KEY",),
    auth=_OPTIONAL_KEY,
    speaks=(*_COMMON, "openai_responses", "jina_rerank"),
)

DOCKER_MODEL_RUNNER = Provider(
    name="docker_model_runner",
    title="Docker Model Runner",
    documentation="https://docs.docker.com/ai/model-runner/api-reference/",
    local=True,
    default_port=12434,
    base_url="http://localhost:12434/engines/v1",
    base_environment=("DOCKER_MODEL_RUNNER_API_BASE",),
    base_path="/engines/v1",
    key_environment=("DOCKER_MODEL_RUNNER_API_KEY",),
    auth=_OPTIONAL_KEY,
    speaks=_COMMON,
)

JAN = Provider(
    name="jan",
    title="Jan",
    documentation="https://www.jan.ai/docs/desktop/api-server",
    local=True,
    default_port=1337,
    base_url="http://localhost:1337/v1",
    base_environment=("JAN_API_BASE",),
    base_path="/v1",
    key_environment=("JAN_API_KEY",),
    auth=_OPTIONAL_KEY,
)

KOBOLDCPP = Provider(
    name="koboldcpp",
    title="KoboldCpp",
    documentation="https://github.com/LostRuins/koboldcpp/wiki",
    local=True,
    default_port=5001,
    base_url="http://localhost:5001/v1",
    base_environment=("KOBOLDCPP_API_BASE",),
    base_path="/v1",
    key_environment=("KOBOLDCPP_API_KEY",),
    auth=_OPTIONAL_KEY,
    speaks=_COMMON,
    profile=Profile(max_tokens_field="max_tokens"),
)

OOBABOOGA = Provider(
    name="oobabooga",
    title="Text generation web UI",
    aliases=("text-generation-webui",),
    documentation="https://github.com/oobabooga/text-generation-webui/wiki/12-%E2%80%90-OpenAI-API",
    local=True,
    default_port=5000,
    base_url="http://localhost:5000/v1",
    base_environment=("OOBABOOGA_API_BASE",),
    base_path="/v1",
    key_environment=("OOBABOOGA_API_KEY",),
    auth=_OPTIONAL_KEY,
    speaks=_COMMON,
    profile=Profile(max_tokens_field="max_tokens"),
)

MLX = Provider(
    name="mlx",
    title="MLX LM server",
    aliases=("mlx_lm",),
    documentation="https://github.com/ml-explore/mlx-lm/blob/main/mlx_lm/SERVER.md",
    local=True,
    default_port=8080,
    base_url="http://localhost:8080/v1",
    base_environment=("MLX_API_BASE",),
    base_path="/v1",
    key_environment=("MLX_API_KEY",),
    auth=_OPTIONAL_KEY,
    speaks=("openai_chat", "openai_text_completion", "openai_models"),
    profile=Profile(max_tokens_field="max_tokens", image_urls=False),
)

TRITON = Provider(
    name="triton",
    title="NVIDIA Triton (OpenAI front end)",
    documentation="https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/client_guide/openai_readme.html",
    local=True,
    default_port=9000,
    base_url="http://localhost:9000/v1",
    base_environment=("TRITON_API_BASE",),
    base_path="/v1",
    key_environment=("TRITON_API_KEY",),
    auth=_OPTIONAL_KEY,
    speaks=("openai_chat", "openai_text_completion", "openai_models"),
    profile=Profile(max_tokens_field="max_tokens"),
)

ROWS: tuple[Provider, ...] = (
    OLLAMA,
    VLLM,
    LM_STUDIO,
    LLAMA_CPP,
    LLAMAFILE,
    TGI,
    TEI,
    SGLANG,
    XINFERENCE,
    INFINITY,
    LOCALAI,
    LEMONADE,
    DOCKER_MODEL_RUNNER,
    JAN,
    KOBOLDCPP,
    OOBABOOGA,
    MLX,
    TRITON,
)
