"""Endpoints: a table of addresses (model, call and environment in; URL, headers and body fields out), and what is asked
for when something is missing.
"""

from typing import Any

import pytest

from penstock.providers.auth.authorization import KeyAuthorization, TokenAuthorization
from penstock.providers.auth.aws import AwsAuthorization
from penstock.providers.auth.credentials import NoCredential
from penstock.providers.endpoint import Endpoint, endpoint, variables_of
from penstock.providers.errors import ProviderError
from penstock.providers.provider import Provider, Route, Setting
from penstock.providers.registry import Registry
from penstock.providers.resolve_model import resolve_model

REGISTRY = Registry(plugins=lambda: ())
KEYS = {
    "OPENAI_API_KEY": "sk-fake",
    "ANTHROPIC_API_KEY": "sk-ant-fake",
    "GEMINI_API_KEY": "g-fake",
    "AZURE_API_KEY": "z-fake",
    "AZURE_AI_API_KEY": "f-fake",
    "COHERE_API_KEY": "c-fake",
    "DEEPSEEK_API_KEY": "d-fake",
    "FIREWORKS_API_KEY": "fw-fake",
    "HF_TOKEN": "hf-fake",
    "OPENROUTER_API_KEY": "or-fake",
    "MISTRAL_API_KEY": "m-fake",
    "VOYAGE_API_KEY": "v-fake",
    "DATABRICKS_TOKEN": "dapi-fake",
    "CLOUDFLARE_API_KEY": "cf-fake",
    "SNOWFLAKE_PAT": "pat-fake",
    "WATSONX_APIKEY": "w-fake",
    "MOONSHOT_API_KEY": "k-fake",
    "GOOGLE_CLOUD_PROJECT": "proj",
    "AWS_REGION": "us-east-1",
    "AWS_BEARER_TOKEN_BEDROCK": "b-fake",
    "DATABRICKS_HOST": "https://dbc-1.cloud.databricks.com",
    "CLOUDFLARE_ACCOUNT_ID": "acc",
    "SNOWFLAKE_ACCOUNT_ID": "org-acc",
    "WATSONX_PROJECT_ID": "wp",
    "AZURE_RESOURCE_NAME": "res",
    "AZURE_AI_RESOURCE_NAME": "res",
}


def target(
    name: str,
    capability: str = "chat",
    *,
    stream: bool = False,
    environment: dict[str, str] | None = None,
    prefer: tuple[str, ...] = (),
    **parameters: Any,
) -> Endpoint:
    found = resolve_model(name, REGISTRY, api_base=parameters.get("api_base"))
    return endpoint(
        found.provider,
        capability,
        found.model,
        stream=stream,
        parameters=parameters,
        environment=KEYS if environment is None else environment,
        selector=found.selector,
        prefer=prefer,
        base_model=found.base_model,
    )


# -- the table of addresses --------------------------------------------------------------------------------------------

VERTEX = "https://aiplatform.googleapis.com/v1beta1/projects/proj/locations/global"
VERTEX_1 = "https://aiplatform.googleapis.com/v1/projects/proj/locations/global"
BEDROCK = "https://bedrock-runtime.us-east-1.amazonaws.com"
AZURE = "https://res.openai.azure.com"
FOUNDRY = "https://res.services.ai.azure.com"
ARN = "arn:aws:bedrock:eu-west-3:123456789012:application-inference-profile/abc"
DATED = {"api_version": "2024-10-21"}

CHAT = [
    ("openai/gpt-4o", {}, "openai_chat", "https://api.openai.com/v1/chat/completions"),
    ("openai/responses/gpt-4o", {}, "openai_responses", "https://api.openai.com/v1/responses"),
    ("openai/gpt-5-codex", {}, "openai_responses", "https://api.openai.com/v1/responses"),
    (
        "openai/any/thing",
        {"api_base": "http://localhost:9/v1/"},
        "openai_chat",
        "http://localhost:9/v1/chat/completions",
    ),
    ("openai/x", {"base_url": "https://h.example/a?k=v"}, "openai_chat", "https://h.example/a/chat/completions?k=v"),
    ("openai/x", {"api_base": "http://h.example"}, "openai_chat", "http://h.example/v1/chat/completions"),
    (
        "openai/x",
        {"api_base": "http://h.example/v1/chat/completions"},
        "openai_chat",
        "http://h.example/v1/chat/completions",
    ),
    ("anthropic/claude-x", {}, "anthropic_messages", "https://api.anthropic.com/v1/messages"),
    ("claude-new-9", {}, "anthropic_messages", "https://api.anthropic.com/v1/messages"),
    ("anthropic/c", {"api_base": "https://h.example/v1"}, "anthropic_messages", "https://h.example/v1/messages"),
    (
        "gemini/gemini-2.5-flash",
        {},
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:generateContent",
    ),
    (
        "gemini/tunedModels/mine",
        {},
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta/tunedModels/mine:generateContent",
    ),
    ("cohere/command-a", {}, "cohere_chat", "https://api.cohere.com/v2/chat"),
    ("cohere/chat/command-a", {}, "openai_chat", "https://api.cohere.com/compatibility/v1/chat/completions"),
    ("deepseek/deepseek-chat", {}, "openai_chat", "https://api.deepseek.com/chat/completions"),
    ("deepseek/messages/x", {}, "anthropic_messages", "https://api.deepseek.com/anthropic/v1/messages"),
    ("moonshot/messages/kimi", {}, "anthropic_messages", "https://api.moonshot.ai/anthropic/v1/messages"),
    ("openrouter/anthropic/claude-x", {}, "openai_chat", "https://openrouter.ai/api/v1/chat/completions"),
    ("ollama/llama3", {}, "ollama_chat", "http://localhost:11434/api/chat"),
    ("ollama_chat/llama3", {"api_base": "http://gpu:1"}, "ollama_chat", "http://gpu:1/api/chat"),
    ("ollama/chat/llama3", {}, "openai_chat", "http://localhost:11434/v1/chat/completions"),
    ("hosted_vllm/org/m", {"api_base": "http://gpu:8000"}, "openai_chat", "http://gpu:8000/v1/chat/completions"),
    ("vllm/org/m", {}, "openai_chat", "http://localhost:8000/v1/chat/completions"),
    # Azure, both generations
    ("azure/dep", {}, "openai_chat", f"{AZURE}/openai/v1/chat/completions"),
    (
        "azure/dep",
        DATED,
        "openai_chat",
        f"{AZURE}/openai/deployments/dep/chat/completions?api-version=2024-10-21",
    ),
    (
        "azure/o_series/dep",
        DATED,
        "openai_chat",
        f"{AZURE}/openai/deployments/dep/chat/completions?api-version=2024-10-21",
    ),
    ("azure/responses/dep", DATED, "openai_responses", f"{AZURE}/openai/responses?api-version=2024-10-21"),
    ("azure/gpt-5-codex", {}, "openai_responses", f"{AZURE}/openai/v1/responses"),
    (
        "azure/dep",
        {"api_version": "preview"},
        "openai_chat",
        f"{AZURE}/openai/v1/chat/completions?api-version=preview",
    ),
    (
        "azure/dep",
        {"api_base": "https://r.example/openai/v1/", **DATED},
        "openai_chat",
        "https://r.example/openai/v1/chat/completions",
    ),
    (
        "azure/dep",
        {"api_base": "https://r.example/openai/deployments/d2/chat/completions?api-version=2024-06-01"},
        "openai_chat",
        "https://r.example/openai/deployments/d2/chat/completions?api-version=2024-06-01",
    ),
    # Foundry
    ("azure_ai/DeepSeek-R1", {}, "openai_chat", f"{FOUNDRY}/openai/v1/chat/completions"),
    (
        "azure_ai/DeepSeek-R1",
        {"api_version": "2024-05-01-preview"},
        "openai_chat",
        f"{FOUNDRY}/models/chat/completions?api-version=2024-05-01-preview",
    ),
    (
        "azure_ai/x",
        {"api_base": "https://r.services.ai.azure.com/models"},
        "openai_chat",
        "https://r.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview",
    ),
    (
        "azure_ai/x",
        {"api_base": "https://x.eastus.models.ai.azure.com"},
        "openai_chat",
        "https://x.eastus.models.ai.azure.com/v1/chat/completions",
    ),
    ("azure_ai/claude-opus-4-1", {}, "anthropic_messages", f"{FOUNDRY}/anthropic/v1/messages"),
    (
        "azure_ai/claude-x",
        {"api_base": "https://r.services.ai.azure.com/anthropic"},
        "anthropic_messages",
        "https://r.services.ai.azure.com/anthropic/v1/messages",
    ),
    # Vertex AI and its partners
    ("vertex_ai/gemini-2.5-pro", {}, "gemini", f"{VERTEX}/publishers/google/models/gemini-2.5-pro:generateContent"),
    (
        "vertex_ai/gemini-2.5-pro",
        {"vertex_location": "europe-west4", "vertex_project": "p2"},
        "gemini",
        "https://europe-west4-aiplatform.googleapis.com/v1beta1/projects/p2/locations/europe-west4"
        "/publishers/google/models/gemini-2.5-pro:generateContent",
    ),
    (
        "vertex_ai/gemini-x",
        {"vertex_location": "eu"},
        "gemini",
        "https://aiplatform.eu.rep.googleapis.com/v1beta1/projects/proj/locations/eu"
        "/publishers/google/models/gemini-x:generateContent",
    ),
    (
        "vertex_ai/gemini-x",
        {"api_key": "express"},
        "gemini",
        "https://aiplatform.googleapis.com/v1beta1/publishers/google/models/gemini-x:generateContent",
    ),
    ("vertex_ai/4711", {}, "gemini", f"{VERTEX}/endpoints/4711:generateContent"),
    (
        "vertex_ai/claude-opus-4@20250514",
        {},
        "anthropic_messages",
        f"{VERTEX_1}/publishers/anthropic/models/claude-opus-4@20250514:rawPredict",
    ),
    (
        "vertex_ai/mistral-large@2407",
        {},
        "openai_chat",
        f"{VERTEX}/publishers/mistralai/models/mistral-large@2407:rawPredict",
    ),
    (
        "vertex_ai/mistralai/codestral-2@001",
        {},
        "openai_chat",
        f"{VERTEX}/publishers/mistralai/models/codestral-2@001:rawPredict",
    ),
    ("vertex_ai/jamba-1.5", {}, "openai_chat", f"{VERTEX}/publishers/ai21/models/jamba-1.5:rawPredict"),
    ("vertex_ai/meta/llama-3.1-405b-instruct-maas", {}, "openai_chat", f"{VERTEX}/endpoints/openapi/chat/completions"),
    ("vertex_ai/openai/gpt-oss-20b-maas", {}, "openai_chat", f"{VERTEX}/endpoints/openapi/chat/completions"),
    # Bedrock
    ("bedrock/a.b-v1:0", {}, "bedrock_converse", f"{BEDROCK}/model/a.b-v1%3A0/converse"),
    ("bedrock/converse/a.b", {}, "bedrock_converse", f"{BEDROCK}/model/a.b/converse"),
    (
        "bedrock/eu-west-1/a.b",
        {},
        "bedrock_converse",
        f"{BEDROCK.replace('us-east-1', 'eu-west-1')}/model/a.b/converse",
    ),
    (
        "bedrock/converse/us-gov-west-1/a.b",
        {},
        "bedrock_converse",
        f"{BEDROCK.replace('us-east-1', 'us-gov-west-1')}/model/a.b/converse",
    ),
    (
        "bedrock/a.b",
        {"aws_region_name": "cn-north-1"},
        "bedrock_converse",
        "https://bedrock-runtime.cn-north-1.amazonaws.com.cn/model/a.b/converse",
    ),
    (
        f"bedrock/{ARN}",
        {},
        "bedrock_converse",
        "https://bedrock-runtime.eu-west-3.amazonaws.com/model/"
        "arn%3Aaws%3Abedrock%3Aeu-west-3%3A123456789012%3Aapplication-inference-profile%2Fabc/converse",
    ),
    ("bedrock/invoke/anthropic.claude-v2", {}, "anthropic_messages", f"{BEDROCK}/model/anthropic.claude-v2/invoke"),
    ("bedrock/openai/openai.gpt-oss", {}, "openai_chat", f"{BEDROCK}/openai/v1/chat/completions"),
    (
        "bedrock/a.b",
        {"aws_bedrock_runtime_endpoint": "https://vpce.example"},
        "bedrock_converse",
        "https://vpce.example/model/a.b/converse",
    ),
    (
        "bedrock_mantle/openai.gpt-5.5",
        {},
        "openai_responses",
        "https://bedrock-mantle.us-east-1.api.aws/openai/v1/responses",
    ),
    (
        "bedrock_mantle/openai.gpt-oss-120b",
        {},
        "openai_chat",
        "https://bedrock-mantle.us-east-1.api.aws/v1/chat/completions",
    ),
    (
        "bedrock_mantle/us-gov-west-1/anthropic.claude-haiku-5-5",
        {},
        "anthropic_messages",
        "https://bedrock-mantle.us-gov-west-1.api.aws/anthropic/v1/messages",
    ),
    # others with settings in their address
    ("databricks/dbrx", {}, "openai_chat", "https://dbc-1.cloud.databricks.com/serving-endpoints/chat/completions"),
    (
        "databricks/dbrx",
        {"api_base": "https://adb-2.azuredatabricks.net"},
        "openai_chat",
        "https://adb-2.azuredatabricks.net/serving-endpoints/chat/completions",
    ),
    (
        "cloudflare/@cf/meta/llama",
        {},
        "openai_chat",
        "https://api.cloudflare.com/client/v4/accounts/acc/ai/v1/chat/completions",
    ),
    (
        "snowflake/llama",
        {},
        "openai_chat",
        "https://org-acc.snowflakecomputing.com/api/v2/cortex/v1/chat/completions",
    ),
    ("watsonx/ibm/granite", {}, "openai_chat", "https://us-south.ml.cloud.ibm.com/ml/v1/text/chat?version=2024-10-08"),
    (
        "watsonx/deployment/d-1",
        {"watsonx_region_name": "eu-de"},
        "openai_chat",
        "https://eu-de.ml.cloud.ibm.com/ml/v1/deployments/d-1/text/chat?version=2024-10-08",
    ),
]


@pytest.mark.parametrize(("name", "parameters", "wire_format", "url"), CHAT)
def test_chat_addresses(name: str, parameters: dict[str, Any], wire_format: str, url: str) -> None:
    found = target(name, **parameters)
    assert (found.format, found.full_url) == (wire_format, url)


STREAMS: list[tuple[str, dict[str, Any], str]] = [
    ("gemini/g", {}, "https://generativelanguage.googleapis.com/v1beta/models/g:streamGenerateContent?alt=sse"),
    ("vertex_ai/gemini-x", {}, f"{VERTEX}/publishers/google/models/gemini-x:streamGenerateContent?alt=sse"),
    ("vertex_ai/claude-x", {}, f"{VERTEX_1}/publishers/anthropic/models/claude-x:streamRawPredict"),
    ("vertex_ai/mistral-x", {}, f"{VERTEX}/publishers/mistralai/models/mistral-x:streamRawPredict"),
    ("vertex_ai/meta/x", {}, f"{VERTEX}/endpoints/openapi/chat/completions"),
    ("bedrock/a.b", {}, f"{BEDROCK}/model/a.b/converse-stream"),
    ("bedrock/invoke/anthropic.c", {}, f"{BEDROCK}/model/anthropic.c/invoke-with-response-stream"),
    ("watsonx/ibm/g", {}, "https://us-south.ml.cloud.ibm.com/ml/v1/text/chat_stream?version=2024-10-08"),
    ("openai/gpt-4o", {}, "https://api.openai.com/v1/chat/completions"),
    ("anthropic/c", {}, "https://api.anthropic.com/v1/messages"),
]


@pytest.mark.parametrize(("name", "parameters", "url"), STREAMS)
def test_stream_addresses(name: str, parameters: dict[str, Any], url: str) -> None:
    assert target(name, stream=True, **parameters).full_url == url


OTHERS = [
    ("openai/text-embedding-3-small", "embeddings", {}, "openai_embeddings", "https://api.openai.com/v1/embeddings"),
    (
        "azure/emb",
        "embeddings",
        DATED,
        "openai_embeddings",
        f"{AZURE}/openai/deployments/emb/embeddings?api-version=2024-10-21",
    ),
    ("azure/f", "files", DATED, "openai_files", f"{AZURE}/openai/files?api-version=2024-10-21"),
    ("cohere/embed-v4.0", "embeddings", {}, "cohere_embed", "https://api.cohere.com/v2/embed"),
    ("cohere/rerank-v3.5", "rerank", {}, "cohere_rerank", "https://api.cohere.com/v2/rerank"),
    ("azure_ai/rerank", "rerank", {}, "cohere_rerank", f"{FOUNDRY}/providers/cohere/v2/rerank"),
    ("voyage/rerank-2", "rerank", {}, "voyage_rerank", "https://api.voyageai.com/v1/rerank"),
    (
        "gemini/gemini-embedding-001",
        "embeddings",
        {},
        "gemini_embed",
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-embedding-001:batchEmbedContents",
    ),
    (
        "vertex_ai/text-embedding-005",
        "embeddings",
        {},
        "vertex_embed",
        f"{VERTEX}/publishers/google/models/text-embedding-005:predict",
    ),
    (
        "vertex_ai/gemini-embedding-2",
        "embeddings",
        {},
        "gemini_embed_content",
        f"{VERTEX}/publishers/google/models/gemini-embedding-2:embedContent",
    ),
    (
        "bedrock/amazon.titan-embed-text-v2:0",
        "embeddings",
        {},
        "bedrock_titan_embed",
        f"{BEDROCK}/model/amazon.titan-embed-text-v2%3A0/invoke",
    ),
    (
        "bedrock/us.cohere.embed-v4:0",
        "embeddings",
        {},
        "bedrock_cohere_embed",
        f"{BEDROCK}/model/us.cohere.embed-v4%3A0/invoke",
    ),
    (
        "bedrock/amazon.nova-2-multimodal-embeddings-v1:0",
        "embeddings",
        {},
        "bedrock_nova_embed",
        f"{BEDROCK}/model/amazon.nova-2-multimodal-embeddings-v1%3A0/invoke",
    ),
    ("ollama/nomic", "embeddings", {}, "ollama_embed", "http://localhost:11434/api/embed"),
    ("ollama/any", "models", {}, "ollama_models", "http://localhost:11434/api/tags"),
    (
        "anthropic/any",
        "count_tokens",
        {},
        "anthropic_count_tokens",
        "https://api.anthropic.com/v1/messages/count_tokens",
    ),
    (
        "bedrock/a.b",
        "count_tokens",
        {},
        "bedrock_count_tokens",
        f"{BEDROCK}/model/a.b/count-tokens",
    ),
    ("mistral/codestral-x", "text_completion", {}, "mistral_fim", "https://api.mistral.ai/v1/fim/completions"),
    ("deepseek/x", "text_completion", {}, "openai_text_completion", "https://api.deepseek.com/beta/completions"),
]


@pytest.mark.parametrize(("name", "capability", "parameters", "wire_format", "url"), OTHERS)
def test_other_addresses(name: str, capability: str, parameters: dict[str, Any], wire_format: str, url: str) -> None:
    found = target(name, capability, **parameters)
    assert (found.format, found.full_url) == (wire_format, url)
    assert found.method == ("GET" if capability == "models" else "POST")


# -- what else a target says -------------------------------------------------------------------------------------------


def test_claude_at_other_hosts_has_its_version_in_the_body() -> None:
    vertex = target("vertex_ai/claude-x")
    assert (vertex.body, vertex.omit) == ({"anthropic_version": "vertex-2023-10-16"}, ("model",))
    bedrock = target("bedrock/invoke/anthropic.claude-x", stream=True)
    assert (bedrock.body, bedrock.omit) == ({"anthropic_version": "bedrock-2023-05-31"}, ("model", "stream"))
    assert bedrock.framing == "aws_event_stream"
    assert vertex.framing is None


def test_watsonx_says_the_project_in_the_body() -> None:
    found = target("watsonx/ibm/granite")
    assert found.body == {"project_id": "wp"}  # no space was given: left out
    assert (found.model_field, found.omit) == ("model_id", ("stream", "stream_options"))


def test_headers_that_depend_on_settings() -> None:
    assert target("openai/x").headers == {}
    found = target("openai/x", organization="org-1", environment={**KEYS, "OPENAI_PROJECT": "proj-1"})
    assert found.headers == {"OpenAI-Organization": "org-1", "OpenAI-Project": "proj-1"}
    router = target("openrouter/a/b", environment={**KEYS, "OR_SITE_URL": "https://me.example", "OR_APP_NAME": "Me"})
    assert router.headers == {"HTTP-Referer": "https://me.example", "X-Title": "Me"}
    assert target("anthropic/x").headers == {"anthropic-version": "2023-06-01"}


@pytest.mark.parametrize(
    ("name", "wire_model"),
    [
        ("fireworks_ai/llama-v3p1", "accounts/fireworks/models/llama-v3p1"),
        ("fireworks_ai/accounts/me/models/mine", "accounts/me/models/mine"),
        ("fireworks_ai/nomic-ai/nomic-embed", "nomic-ai/nomic-embed"),
        ("fireworks_ai/llama#me/dep", "llama#me/dep"),
        ("huggingface/together/deepseek-ai/DeepSeek-R1", "deepseek-ai/DeepSeek-R1:together"),
        ("huggingface/deepseek-ai/DeepSeek-R1:fastest", "deepseek-ai/DeepSeek-R1:fastest"),
        ("huggingface/deepseek-ai/DeepSeek-R1", "deepseek-ai/DeepSeek-R1"),
        ("gemini/gemini-x", "models/gemini-x"),
        ("bedrock/us-west-2/a.b", "a.b"),
        ("openrouter/openai/gpt-5", "openai/gpt-5"),
    ],
)
def test_what_the_host_calls_the_model(name: str, wire_model: str) -> None:
    assert target(name).wire_model == wire_model


def test_what_the_caller_would_like_best() -> None:
    assert target("deepseek/x", prefer=("anthropic_messages",)).format == "anthropic_messages"
    assert target("deepseek/x", prefer=("gemini", "openai_responses")).format == "openai_responses"
    assert target("deepseek/x", prefer=("gemini",)).format == "openai_chat"
    assert target("openai/gpt-5-codex", prefer=("openai_chat",)).format == "openai_responses"
    assert target("vertex_ai/claude-x", prefer=("gemini",)).format == "anthropic_messages"


def test_a_deployment_is_judged_by_the_model_behind_it() -> None:
    assert target("azure/dep").profile.system_role is None
    assert target("azure/o_series/dep").profile.system_role == "developer"
    plain = endpoint(REGISTRY.get("azure"), "chat", "dep", environment=KEYS, base_model="gpt-5-mini")
    assert plain.profile.max_tokens_field == "max_completion_tokens"


# -- keys --------------------------------------------------------------------------------------------------------------


def headers_of(found: Endpoint) -> dict[str, str]:
    assert isinstance(found.auth, KeyAuthorization)
    return found.auth.sign("POST", found.full_url, {}, b"", NoCredential(), 0.0).headers


@pytest.mark.parametrize(
    ("name", "parameters", "headers"),
    [
        ("openai/x", {}, {"Authorization": "Bearer sk-fake"}),
        ("openai/x", {"api_key": "mine"}, {"Authorization": "Bearer mine"}),
        ("anthropic/x", {}, {"x-api-key": "sk-ant-fake"}),
        (
            "anthropic/x",
            {"api_key": "sk-ant-oat-fake"},
            {"Authorization": "Bearer sk-ant-oat-fake", "anthropic-beta": "oauth-2025-04-20"},
        ),
        ("anthropic/x", {"auth_token": "t"}, {"Authorization": "Bearer t"}),
        ("gemini/x", {}, {"x-goog-api-key": "g-fake"}),
        ("azure/x", {}, {"api-key": "z-fake"}),
        ("azure/x", {"azure_ad_token": "t"}, {"Authorization": "Bearer t"}),
        ("azure_ai/x", {}, {"api-key": "f-fake"}),
        ("azure_ai/x", {"api_base": "https://x.eastus.models.ai.azure.com"}, {"Authorization": "Bearer f-fake"}),
        ("vertex_ai/gemini-x", {"api_key": "k"}, {"x-goog-api-key": "k"}),
        ("bedrock/a.b", {}, {"Authorization": "Bearer b-fake"}),
        ("databricks/x", {}, {"Authorization": "Bearer dapi-fake"}),
        (
            "snowflake/x",
            {},
            {"Authorization": "Bearer pat-fake", "X-Snowflake-Authorization-Token-Type": "PROGRAMMATIC_ACCESS_TOKEN"},
        ),
        (
            "snowflake/x",
            {"api_key": "eyJ.fake"},
            {"Authorization": "Bearer eyJ.fake", "X-Snowflake-Authorization-Token-Type": "KEYPAIR_JWT"},
        ),
        ("watsonx/x", {"zen_api_key": "z"}, {"Authorization": "ZenApiKey z"}),
        ("ollama/x", {}, {}),
        ("ollama/x", {"api_key": "k"}, {"Authorization": "Bearer k"}),
    ],
)
def test_keys(name: str, parameters: dict[str, Any], headers: dict[str, str]) -> None:
    assert headers_of(target(name, **parameters)) == headers


def test_tokens_and_signatures() -> None:
    signed = target("bedrock/a.b", aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="s")
    assert isinstance(signed.auth, AwsAuthorization)
    assert (signed.auth.service, signed.auth.region) == ("bedrock", "us-east-1")
    mantle = target("bedrock_mantle/x", environment={"AWS_REGION": "us-east-1"})
    assert isinstance(mantle.auth, AwsAuthorization)
    assert mantle.auth.service == "bedrock-mantle"
    for name in ("vertex_ai/gemini-x", "watsonx/x"):
        assert isinstance(target(name).auth, TokenAuthorization)
    client = {"DATABRICKS_CLIENT_ID": "i", "DATABRICKS_CLIENT_SECRET": "s", "DATABRICKS_HOST": KEYS["DATABRICKS_HOST"]}
    assert isinstance(target("databricks/x", environment=client).auth, TokenAuthorization)


def test_the_region_of_an_address_signs_too() -> None:
    keys: dict[str, Any] = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "s"}
    for name, region in (("bedrock/eu-west-1/a.b", "eu-west-1"), (f"bedrock/{ARN}", "eu-west-3")):
        found = target(name, **keys)
        assert isinstance(found.auth, AwsAuthorization)
        assert found.auth.region == region


# -- what is missing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "variables"),
    [
        ("openai/x", ["OPENAI_API_KEY"]),
        ("anthropic/x", ["ANTHROPIC_API_KEY"]),
        ("gemini/x", ["GEMINI_API_KEY", "GOOGLE_API_KEY"]),
        ("together_ai/x", ["TOGETHER_API_KEY"]),
        ("azure/x", ["AZURE_API_KEY", "AZURE_AD_TOKEN"]),
        ("databricks/x", ["DATABRICKS_TOKEN"]),
    ],
)
def test_a_missing_key_names_the_variables(name: str, variables: list[str]) -> None:
    places = {key: KEYS[key] for key in ("DATABRICKS_HOST", "AZURE_RESOURCE_NAME")}
    with pytest.raises(ProviderError, match="needs an API key") as caught:
        target(name, environment=places)
    assert caught.value.kind == "missing_key"
    assert caught.value.provider == name.partition("/")[0]
    for variable in variables:
        assert variable in caught.value.fix


@pytest.mark.parametrize(
    ("name", "said", "ways"),
    [
        ("bedrock/a.b", "needs to know the region", ["aws_region_name", "AWS_REGION"]),
        ("vertex_ai/gemini-x", "needs to know the project", ["vertex_project", "GOOGLE_CLOUD_PROJECT"]),
        ("azure/x", "needs to know the resource", ["AZURE_API_BASE"]),
        ("cloudflare/x", "needs to know the account", ["CLOUDFLARE_ACCOUNT_ID"]),
        ("nadir/x", "has no address of its own", ["NADIR_API_BASE"]),
    ],
)
def test_a_missing_setting_names_the_ways_to_give_it(name: str, said: str, ways: list[str]) -> None:
    # A key would do for Vertex AI, which then needs no project.
    parameters: dict[str, Any] = {} if name.startswith("vertex_ai") else {"api_key": "k"}
    with pytest.raises(ProviderError) as caught:
        target(name, environment={}, **parameters)
    assert caught.value.kind == "missing_setting"
    assert said in caught.value.message
    for way in ways:
        assert way in caught.value.fix


def test_a_server_at_an_address_of_the_users_own_needs_no_key() -> None:
    assert headers_of(target("openai/x", environment={}, api_base="http://localhost:8000/v1")) == {}
    with pytest.raises(ProviderError, match="OPENAI_API_KEY"):
        target("openai/x", environment={}, api_base="https://eu.api.openai.com/v1")
    with pytest.raises(ProviderError, match="AZURE_API_KEY"):
        target("azure/x", environment={}, api_base="https://me.openai.azure.com")


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x", "https://", "/v1", "http://[::1", "https://x:99999999"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ProviderError, match="not an http or https address") as caught:
        target("openai/x", api_base=url)
    assert url in caught.value.fix


@pytest.mark.parametrize(
    ("name", "capability", "said"),
    [
        ("anthropic/claude-x", "embeddings", "does not serve embeddings"),
        ("bedrock/meta.llama", "embeddings", "does not serve embeddings for the model 'meta.llama'"),
        ("replicate/x", "chat", "cannot be called for chat"),
    ],
)
def test_what_a_provider_does_not_serve(name: str, capability: str, said: str) -> None:
    with pytest.raises(ProviderError, match=said) as caught:
        target(name, capability)
    assert caught.value.kind == "unsupported_capability"


def test_a_selector_that_the_model_does_not_fit() -> None:
    row = REGISTRY.get("bedrock")
    with pytest.raises(ProviderError, match="as 'invoke'") as caught:
        endpoint(row, "chat", "meta.llama", environment=KEYS, selector="invoke")
    assert "converse" in caught.value.fix


def test_a_model_is_needed_where_it_stands_in_the_address() -> None:
    with pytest.raises(ProviderError, match="A model is needed") as caught:
        endpoint(REGISTRY.get("gemini"), "chat", "", environment=KEYS)
    assert caught.value.kind == "unknown_model"
    assert endpoint(REGISTRY.get("openai"), "models", "", environment=KEYS).url == "https://api.openai.com/v1/models"


@pytest.mark.parametrize("model", ["../../secret", "a/../b", "..", "a/.", "./a"])
@pytest.mark.parametrize("provider", ["gemini", "bedrock"])
def test_no_models_name_leads_to_another_path(provider: str, model: str) -> None:
    with pytest.raises(ProviderError, match="another path") as caught:
        endpoint(REGISTRY.get(provider), "chat", model, environment=KEYS)
    assert caught.value.kind == "unknown_model"
    assert endpoint(REGISTRY.get("openai"), "chat", model, environment=KEYS).url.endswith("/v1/chat/completions")


# -- a row of the user's -----------------------------------------------------------------------------------------------


def test_a_row_with_everything() -> None:
    row = Provider(
        name="acme",
        base_url="https://{region}.acme.example/{tenant}",
        key_environment=("ACME_KEY",),
        settings=(
            Setting(name="tenant", parameters=("acme_tenant",)),
            Setting(name="zone", environment=("ACME_ZONE",), default="eu"),
            Setting(name="region", of="zone", cases={"eu": "{zone}-1", "*": "far"}),
        ),
        headers={"x-zone": "{zone}", "x-none": "{nothing}"},
        query={"v": "7"},
        speaks=(Route(format="acme_chat", capability="chat", path="/{model}/go", stream_query={"s": "1"}),),
    )
    found = endpoint(
        row, "chat", "a/b c", stream=True, parameters={"acme_tenant": "t"}, environment={"ACME_KEY": "sk-fake"}
    )
    assert found.full_url == "https://eu-1.acme.example/t/a%2Fb%20c/go?v=7&s=1"
    assert found.headers == {"x-zone": "eu"}
    assert variables_of(row) == ("ACME_KEY",)


def test_secrets_do_not_show() -> None:
    assert "sk-fake" not in repr(target("openai/x"))
