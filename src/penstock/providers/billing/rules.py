"""Rules: what providers say about their bills in words, as data. A price list holds figures; this file holds what to do
where it has none.

Every rule is a provider's own statement, with its source. There are no others: where nobody says what something costs,
its cost is unknown. Hosts are named by the `litellm_provider` word of their rows ("vertex_ai-language-models" is a host
of its own).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

GOOGLE: Final = frozenset({"gemini", "vertex_ai", "vertex_ai-language-models"})
OPENAI: Final = frozenset({"openai", "azure", "azure_ai"})
ALIBABA: Final = frozenset({"dashscope", "qwencloud", "qwen_ai_platform"})
CLAUDE: Final = frozenset({"anthropic", "bedrock", "bedrock_converse", "vertex_ai-anthropic_models"})

COUNTED_AS_BILLED: Final = ("billed_input_tokens", "billed_output_tokens")
"""Where a usage has these counts (Cohere's `billed_units`), they are what is billed, and not the tokens that the model
saw: docs.cohere.com/v2/docs/rate-limits and /v2/reference/chat ("billed_units")."""

BILLED_FROM_THE_THRESHOLD_ON: Final = frozenset({"xai"})
"""Long-context prices hold for requests that *reach* the threshold (docs.x.ai/docs/models: "whose prompt reaches the
listed token threshold"). Everywhere else they hold for requests that exceed it: ai.google.dev/gemini-api/docs/pricing
("prompts > 200k tokens"), developers.openai.com/api/docs/models ("more than 272K input tokens"),
platform.claude.com/docs/en/about-claude/pricing ("exceed 200K input tokens", which count cache reads and writes too).
All of them bill the whole request at the higher price, not only what exceeds."""

CHARGED_AS_TEXT: Final = {
    "input_image": OPENAI | GOOGLE | ALIBABA | CLAUDE | {"xai", "mistral"},
    "input_video": GOOGLE | ALIBABA,
    "input_audio": GOOGLE,
}
"""Where tokens of a modality cost what text tokens cost, unless the price list sets them apart.
platform.openai.com/docs/guides/images-vision ("metered and charged in tokens, similar to how text inputs are charged"),
ai.google.dev/gemini-api/docs/pricing (one input price, or "text / image / video" beside "audio"),
platform.claude.com/docs/en/build-with-claude/vision, docs.x.ai/docs/models, help.aliyun.com/zh/model-studio/vision,
docs.mistral.ai/capabilities/vision."""

DERIVED: Final = {
    ("fireworks_ai", "cache_read"): ("input", Decimal("0.5"), "the host's default discount for cached tokens"),
    ("anthropic", "cache_write_1h"): ("input", Decimal(2), None),
    ("openai", "cache_write_5m"): ("input", Decimal(1), None),
}
"""(host, kind) -> the kind it follows, times what, and what that takes for granted; where the list has no price of its
own. docs.fireworks.ai/guides/prompt-caching ("The default discount is 50%, but the exact discount varies by model"),
platform.claude.com/docs/en/build-with-claude/prompt-caching ("1-hour cache write tokens are 2 times the base input
tokens price"), platform.openai.com/docs/guides/prompt-caching ("no extra fees": a token that is written is an ordinary
input token)."""

HALF_IN_BATCHES: Final = frozenset({"anthropic"})
"""Where "all usage is charged at 50% of the standard API prices" in batches, caching included:
platform.claude.com/docs/en/build-with-claude/batch-processing."""

SERVICE_TIERS: Final[dict[str, str | None]] = {
    "": None,
    "auto": None,
    "default": None,
    "standard": None,
    "standard_only": None,
    "on_demand": None,
    "batch": "batches",
    "batches": "batches",
    "flex": "flex",
    "on_demand_flex": "flex",
    "priority": "priority",
    "on_demand_priority": "priority",
    "fast": "priority",
}
"""The service tiers' words (OpenAI's, Anthropic's, Groq's, Bedrock's and Vertex AI's `trafficType`, in lower case) ->
the suffix of the price fields, None for the standard price. A word that is not here is its own suffix ("ultrafast")."""

TIERS_AT_STANDARD_PRICE: Final = frozenset({("groq", "flex")})
"""(host, suffix) that cost no more and no less than the standard tier: console.groq.com/docs/flex-processing ("same
rates as on-demand")."""

ZERO_FOR_WANT_OF_A_PRICE: Final = frozenset(
    {"azure", "databricks", "fireworks_ai", "gigachat", "sagemaker", "scaleway", "volcengine"}
)
"""Hosts that charge for everything they serve, though some collected rows of theirs say 0: nobody found the price, it
is in another currency, or it is by the hour. Such a row has no price. azure.microsoft.com/pricing/details/azure-openai,
docs.databricks.com/aws/en/machine-learning/foundation-model-apis, fireworks.ai/pricing,
developers.sber.ru/docs/ru/gigachat/models ("the cost of requests differs" by model; in roubles),
aws.amazon.com/sagemaker/pricing (by the hour of an instance), www.scaleway.com/en/pricing/model-as-a-service,
www.volcengine.com/docs/82379 (in yuan). Elsewhere 0 is the price: servers of one's own, and hosts that give some models
away (Google's experimental ones, Z.ai's flash models, Mistral's labs, OpenAI's moderation)."""

SEARCH_PER_PROMPT: Final = GOOGLE
"""Where grounding is billed once a prompt, however many searches it made, unless `web_search_billing_unit` says
"per_query": ai.google.dev/gemini-api/docs/google-search#pricing. Elsewhere every call of the tool counts."""

SEARCH_IN_EVERY_REQUEST: Final = frozenset({"perplexity"})
"""Where each request is a search and pays the fee for its context size: docs.perplexity.ai/getting-started/pricing."""

ALWAYS_SEARCHING: Final = ("*-search-preview*", "*-search-api*")
"""Models (globs) that search before each answer, and whose usage does not count it:
platform.openai.com/docs/guides/tools-web-search ("the model always retrieves information from the web before responding
to your query")."""

RESEARCH_FIELD: Final = "citation_cost_per_token"
"""A list with this field bills research as docs.perplexity.ai/getting-started/pricing does for sonar-deep-research:
thoughts beside the output tokens, citation tokens and each search on their own, all of them counted in the usage."""

DEFAULT_SEARCH_SIZE: Final = {"perplexity": "low", "openai": "medium", "azure": "medium"}
"""The `search_context_size` that holds where the caller named none:
docs.perplexity.ai/guides/search-context-size-guide, platform.openai.com/docs/guides/tools-web-search."""

_FREE_AT_ANTHROPIC = frozenset({"web_fetch", "tool_search", "bash", "text_editor", "computer", "memory", "mcp"})
_FREE_AT_GOOGLE = frozenset({"web_fetch", "code_execution", "computer"})
_FREE_AT_OPENAI = frozenset({"mcp", "computer", "bash", "text_editor", "tool_search"})

FREE_TOOLS: Final = {
    **dict.fromkeys(CLAUDE, _FREE_AT_ANTHROPIC),
    **dict.fromkeys(GOOGLE, _FREE_AT_GOOGLE),
    **dict.fromkeys(OPENAI, _FREE_AT_OPENAI),
}
"""Provider-run tools that cost nothing beyond their tokens:
platform.claude.com/docs/en/about-claude/pricing#tool-use-pricing, ai.google.dev/gemini-api/docs/pricing,
platform.openai.com/docs/pricing#built-in-tools."""

TOOL_FEES: Final = {
    ("openai", "file_search"): Decimal("0.0025"),
    ("openai", "code_interpreter_session"): Decimal("0.03"),
    ("azure", "code_interpreter_session"): Decimal("0.033"),
}
"""(host, tool) -> US dollars a call, or a session. Fees that hold for all models of a host, so no model's row has them:
platform.openai.com/docs/pricing#built-in-tools, and the rows `openai/container` and `azure/container` of the collected
facts."""

WEEKDAY_ZONES: Final = {"UTC": 0, "Asia/Shanghai": 8 * 60}
"""Minutes ahead of UTC of the zones in which price lists count weekdays. China keeps no summer time."""
