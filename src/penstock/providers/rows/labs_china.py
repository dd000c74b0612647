"""Labs in China, whose hosts often have an international twin. Many speak Anthropic's format beside OpenAI's."""

from __future__ import annotations

from penstock.providers.provider import ModelRule, Provider, Route
from penstock.types.profile import Profile

_MAX_TOKENS = Profile(max_tokens_field="max_tokens")

DEEPSEEK = Provider(
    name="deepseek",
    title="DeepSeek",
    documentation="https://api-docs.deepseek.com/",
    base_url="https://api.deepseek.com",
    base_environment=("DEEPSEEK_API_BASE",),
    key_environment=("DEEPSEEK_API_KEY",),
    speaks=(
        "openai_chat",
        Route(format="anthropic_messages", path="/anthropic/v1/messages"),
        "openai_responses",
        Route(format="openai_text_completion", prefix="/beta"),  # fill in the middle is beta
        "openai_models",
    ),
    model_families=("deepseek-chat", "deepseek-reasoner", "deepseek-flash", "deepseek-pro", "deepseek-v[4-9]*"),
    profile=Profile(
        max_tokens_field="max_tokens",
        content_lists=False,
        structured_output="json_object",
        image_urls=False,
        reasoning="thinking_type",  # api-docs.deepseek.com/guides/thinking_mode
        reasoning_efforts=("minimal", "low", "medium", "high", "xhigh", "max"),  # it maps them to its own three
        replay_thinking=True,
    ),
    # Tools work while it thinks since V3.2 (api-docs.deepseek.com/guides/thinking_mode#tool-calls): the facts are old.
    model_rules=(ModelRule(models=("deepseek-reasoner",), profile={"tools": True}),),
)

MOONSHOT = Provider(
    name="moonshot",
    title="Moonshot AI (Kimi)",
    documentation="https://platform.moonshot.ai/docs/api/chat",
    base_url="https://api.moonshot.ai/v1",
    base_environment=("MOONSHOT_API_BASE",),
    hosts=("api.moonshot.cn",),
    key_environment=("MOONSHOT_API_KEY",),
    speaks=(
        "openai_chat",
        Route(format="anthropic_messages", base_url="https://api.moonshot.ai/anthropic"),
        "openai_files",
        "openai_models",
    ),
    model_families=("kimi-k[0-9]", "kimi-k[0-9].[0-9]*", "kimi-latest", "moonshot-v1-*"),
    profile=Profile(
        max_tokens_field="max_completion_tokens",
        image_urls=False,
        strict_tools=False,
        reasoning="thinking_type",
        replay_thinking=True,
    ),
    # platform.moonshot.ai/docs: from K2.5 on, sampling is fixed, and any other value refused; K3 always thinks, with an
    # effort; K2.7 Code always thinks.
    model_rules=(
        ModelRule(
            models=("kimi-k2.[5-9]*", "kimi-k[3-9]*"),
            profile={"unsupported": ["temperature", "top_p", "n", "presence_penalty", "frequency_penalty"]},
        ),
        ModelRule(
            models=("kimi-k[3-9]*",), profile={"reasoning": "effort", "reasoning_efforts": ["low", "high", "max"]}
        ),
        ModelRule(models=("kimi-k2.7-code*",), profile={"reasoning": "none"}),
    ),
)

# docs.litellm.ai/docs/providers/qwencloud: one platform, three names
_QWEN_SPEAKS = (
    "openai_chat",
    "openai_responses",
    "openai_embeddings",
    "openai_text_completion",
    "openai_files",
    "openai_batches",
    "openai_models",
)
_QWEN_PROFILE = Profile(max_tokens_field="max_tokens", reasoning="enable_thinking")

DASHSCOPE = Provider(
    name="dashscope",
    title="Alibaba Model Studio (international)",
    aliases=("qwencloud",),
    documentation="https://www.alibabacloud.com/help/en/model-studio/",
    base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
    base_environment=("DASHSCOPE_API_BASE", "QWENCLOUD_API_BASE"),
    key_environment=("DASHSCOPE_API_KEY", "QWENCLOUD_API_KEY"),
    speaks=(
        *_QWEN_SPEAKS,
        Route(format="anthropic_messages", base_url="https://dashscope-intl.aliyuncs.com/apps/anthropic"),
        Route(format="jina_rerank", base_url="https://dashscope-intl.aliyuncs.com/compatible-api/v1", path="/reranks"),
    ),
    model_families=("qwen-*", "qwen3*-plus*", "qwen3*-max*", "qwen3-coder-*", "qwq-plus*", "qvq-*"),
    profile=_QWEN_PROFILE,
)

QWEN_AI_PLATFORM = Provider(
    name="qwen_ai_platform",
    title="Alibaba Model Studio (mainland China)",
    documentation="https://help.aliyun.com/zh/model-studio/",
    base_url="https://dashscope.aliyuncs.com/compatible-mode/v1",
    base_environment=("QWEN_AI_PLATFORM_API_BASE",),
    key_environment=("QWEN_AI_PLATFORM_API_KEY", "DASHSCOPE_API_KEY"),
    speaks=(
        *_QWEN_SPEAKS,
        Route(format="anthropic_messages", base_url="https://dashscope.aliyuncs.com/apps/anthropic"),
        Route(format="jina_rerank", base_url="https://dashscope.aliyuncs.com/compatible-api/v1", path="/reranks"),
    ),
    profile=_QWEN_PROFILE,
)

ZAI = Provider(
    name="zai",
    title="Z.ai",
    documentation="https://docs.z.ai/api-reference/introduction",
    base_url="https://api.z.ai/api/paas/v4",
    base_environment=("ZAI_API_BASE",),
    key_environment=("ZAI_API_KEY", "ZHIPU_API_KEY"),
    speaks=(
        "openai_chat",
        Route(format="anthropic_messages", base_url="https://api.z.ai/api/anthropic"),
        "openai_images",
        "openai_models",
    ),
    model_families=("glm-[0-9]", "glm-[0-9].[0-9]*"),
    profile=Profile(
        max_tokens_field="max_tokens",
        structured_output="json_object",
        reasoning="thinking_type",  # docs.z.ai/guides/capabilities/thinking
        strict_tools=False,
    ),
)

ZHIPU = Provider(
    name="zhipu",
    title="Zhipu AI (BigModel, mainland China)",
    aliases=("zhipuai", "bigmodel"),
    documentation="https://docs.bigmodel.cn/",
    base_url="https://open.bigmodel.cn/api/paas/v4",
    base_environment=("ZHIPU_API_BASE",),
    key_environment=("ZHIPU_API_KEY", "ZHIPUAI_API_KEY"),
    speaks=(
        "openai_chat",
        Route(format="anthropic_messages", base_url="https://open.bigmodel.cn/api/anthropic"),
        "openai_embeddings",
        "openai_images",
    ),
    profile=ZAI.profile,
)

MINIMAX = Provider(
    name="minimax",
    title="MiniMax",
    documentation="https://platform.minimax.io/docs/guides/quickstart",
    base_url="https://api.minimax.io/v1",
    base_environment=("MINIMAX_API_BASE",),
    hosts=("api.minimaxi.com", "api.minimax.chat"),
    key_environment=("MINIMAX_API_KEY",),
    speaks=(
        "openai_chat",
        "openai_responses",
        Route(format="anthropic_messages", base_url="https://api.minimax.io/anthropic"),
        "openai_models",
    ),
    model_families=("minimax-*",),
    profile=Profile(
        max_tokens_field="max_completion_tokens",
        structured_output="tool",
        strict_tools=False,
        image_urls=False,
        replay_thinking=True,
    ),
)

STEPFUN = Provider(
    name="stepfun",
    title="StepFun",
    documentation="https://platform.stepfun.com/docs/zh/overview/concept",
    base_url="https://api.stepfun.com/v1",
    base_environment=("STEPFUN_API_BASE",),
    hosts=("api.stepfun.ai",),
    key_environment=("STEPFUN_API_KEY",),
    speaks=(
        "openai_chat",
        Route(format="anthropic_messages", path="/messages"),
        "openai_responses",
        "openai_images",
        "openai_files",
        "openai_models",
    ),
    model_families=("step-*",),
    profile=Profile(max_tokens_field="max_tokens", thinking_field="reasoning", reasoning="effort"),
)

XIAOMI_MIMO = Provider(
    name="xiaomi_mimo",
    title="Xiaomi MiMo",
    documentation="https://platform.xiaomimimo.com/#/docs",
    base_url="https://api.xiaomimimo.com/v1",
    base_environment=("XIAOMI_MIMO_API_BASE",),
    key_environment=("XIAOMI_MIMO_API_KEY", "XIAOMI_API_KEY"),
    speaks=(
        "openai_chat",
        Route(format="anthropic_messages", base_url="https://api.xiaomimimo.com/anthropic"),
        "openai_models",
    ),
    profile=Profile(max_tokens_field="max_tokens", reasoning="thinking_type"),
)

VOLCENGINE = Provider(
    name="volcengine",
    title="ByteDance Volcengine Ark",
    documentation="https://www.volcengine.com/docs/82379",
    base_url="https://ark.cn-beijing.volces.com/api/v3",
    base_environment=("VOLCENGINE_API_BASE", "ARK_API_BASE"),
    key_environment=("VOLCENGINE_API_KEY", "ARK_API_KEY"),
    speaks=("openai_chat", "openai_responses", "openai_embeddings", "openai_images", "openai_files", "openai_models"),
    model_families=("doubao-*",),
    profile=Profile(max_tokens_field="max_tokens", reasoning="thinking_type"),
)

TENCENT = Provider(
    name="tencent",
    title="Tencent TokenHub",
    documentation="https://www.tencentcloud.com/document/product/1284",
    base_url="https://tokenhub-intl.tencentcloudmaas.com/v1",
    base_environment=("TENCENT_API_BASE",),
    key_environment=("TENCENT_API_KEY",),
)

HUNYUAN = Provider(
    name="hunyuan",
    title="Tencent Hunyuan",
    documentation="https://cloud.tencent.com/document/product/1729/111007",
    base_url="https://api.hunyuan.cloud.tencent.com/v1",
    base_environment=("HUNYUAN_API_BASE",),
    key_environment=("HUNYUAN_API_KEY",),
    speaks=("openai_chat", "openai_embeddings", "openai_models"),
    model_families=("hunyuan-*",),
    profile=_MAX_TOKENS,
)

QIANFAN = Provider(
    name="qianfan",
    title="Baidu Qianfan",
    documentation="https://cloud.baidu.com/doc/qianfan-api/s/3m7of64lb",
    base_url="https://qianfan.baidubce.com/v2",
    base_environment=("QIANFAN_API_BASE",),
    key_environment=("QIANFAN_API_KEY",),
    speaks=("openai_chat", "openai_embeddings", Route(format="jina_rerank"), "openai_images", "openai_models"),
    model_families=("ernie-*",),
)

ROWS: tuple[Provider, ...] = (
    DEEPSEEK,
    MOONSHOT,
    DASHSCOPE,
    QWEN_AI_PLATFORM,
    ZAI,
    ZHIPU,
    MINIMAX,
    STEPFUN,
    XIAOMI_MIMO,
    VOLCENGINE,
    TENCENT,
    HUNYUAN,
    QIANFAN,
)
