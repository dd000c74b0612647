"""Clouds and data platforms: many makers' models under one account of theirs."""

from __future__ import annotations

from penstock.providers.auth.kinds import (
    Bearer,
    ClientCredentials,
    IbmIam,
)
from penstock.providers.provider import Provider, Route, Setting
from penstock.types.profile import Profile

# ------------------------------------------------------------------------------------

DATABRICKS = Provider(
    name="databricks",
    title="Databricks",
    documentation="https://docs.databricks.com/aws/en/machine-learning/foundation-model-apis/api-reference",
    base_url="{host}/serving-endpoints",
    base_environment=("DATABRICKS_API_BASE",),
    base_path="/serving-endpoints",
    hosts=("*.cloud.databricks.com", "*.azuredatabricks.net", "*.gcp.databricks.com"),
    key_environment=("DATABRICKS_API_KEY", "DATABRICKS_TOKEN"),
    settings=(
        Setting(
            name="host",
            parameters=("databricks_host",),
            environment=("DATABRICKS_HOST",),
            help="the address of the workspace, https://NAME.cloud.databricks.com",
        ),
    ),
    auth=(
        Bearer(),
        ClientCredentials(  # docs.databricks.com/aws/en/dev-tools/auth/oauth-m2m
            token_url="{origin}/oidc/v1/token",  # noqa: S106 (an address)
            scope="all-apis",
            id_environment=("DATABRICKS_CLIENT_ID",),
            secret_environment=("DATABRICKS_CLIENT_SECRET",),
        ),
    ),
    speaks=(
        Route(format="openai_responses", models=("*codex*", "*-pro"), exclusive=True),
        "openai_chat",
        Route(format="anthropic_messages", path="/anthropic/v1/messages", models=("*claude*",)),
        "openai_responses",
        "openai_embeddings",
    ),
    profile=Profile(max_tokens_field="max_tokens", message_names=False),
)

WATSONX = Provider(
    name="watsonx",
    title="IBM watsonx.ai",
    documentation="https://cloud.ibm.com/apidocs/watsonx-ai#text-chat",
    base_url="https://{region}.ml.cloud.ibm.com",
    base_environment=("WATSONX_API_BASE", "WATSONX_URL", "WX_URL", "WML_URL"),
    settings=(
        Setting(
            name="region",
            parameters=("watsonx_region_name", "region_name"),
            environment=("WATSONX_REGION", "WX_REGION"),
            default="us-south",
        ),
        Setting(
            name="project",
            parameters=("watsonx_project", "project_id", "project"),
            environment=("WATSONX_PROJECT_ID", "WX_PROJECT_ID", "WML_PROJECT_ID"),
        ),
        Setting(
            name="space", parameters=("space_id",), environment=("WATSONX_SPACE_ID", "WATSONX_DEPLOYMENT_SPACE_ID")
        ),
        Setting(
            name="api_version",
            parameters=("api_version",),
            environment=("WATSONX_API_VERSION",),
            default="2024-10-08",
        ),
    ),
    key_environment=("WATSONX_APIKEY", "WATSONX_API_KEY", "WX_API_KEY"),
    auth=(
        Bearer(parameters=("watsonx_token", "token"), environment=("WATSONX_TOKEN", "WX_TOKEN")),
        Bearer(parameters=("zen_api_key",), environment=("WATSONX_ZENAPIKEY",), scheme="ZenApiKey"),
        IbmIam(),
    ),
    speaks=(
        Route(
            format="openai_chat",
            path="/ml/v1/text/chat",
            stream_path="/ml/v1/text/chat_stream",
            query={"version": "{api_version}"},
            body={"project_id": "{project}", "space_id": "{space}"},
            omit=("stream", "stream_options"),
            model_field="model_id",
        ),
        Route(
            format="openai_chat",
            selector="deployment",
            path="/ml/v1/deployments/{model}/text/chat",
            stream_path="/ml/v1/deployments/{model}/text/chat_stream",
            query={"version": "{api_version}"},
            omit=("model", "stream", "stream_options"),
        ),
    ),
    profile=Profile(max_tokens_field="max_tokens", image_urls=False, strict_tools=False, stream_options=False),
)

SNOWFLAKE = Provider(
    name="snowflake",
    title="Snowflake Cortex",
    documentation="https://docs.snowflake.com/user-guide/snowflake-cortex/cortex-rest-api",
    base_url="https://{account}.snowflakecomputing.com/api/v2/cortex/v1",
    base_environment=("SNOWFLAKE_API_BASE",),
    base_path="/api/v2/cortex/v1",
    settings=(
        Setting(
            name="account",
            parameters=("snowflake_account_id", "account_id"),
            environment=("SNOWFLAKE_ACCOUNT_ID", "SNOWFLAKE_ACCOUNT"),
            help="the account identifier, the first part of its address",
        ),
    ),
    key_environment=("SNOWFLAKE_PAT", "SNOWFLAKE_JWT", "SNOWFLAKE_API_KEY"),
    auth=(
        Bearer(prefixes=("ey",), headers={"X-Snowflake-Authorization-Token-Type": "KEYPAIR_JWT"}),
        Bearer(headers={"X-Snowflake-Authorization-Token-Type": "PROGRAMMATIC_ACCESS_TOKEN"}),
    ),
    speaks=(
        "openai_chat",
        Route(format="anthropic_messages", path="/messages", models=("claude*",)),
        "openai_embeddings",
    ),
)

CLOUDFLARE = Provider(
    name="cloudflare",
    title="Cloudflare Workers AI",
    documentation="https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility/",
    base_url="https://api.cloudflare.com/client/v4/accounts/{account}/ai/v1",
    base_environment=("CLOUDFLARE_API_BASE",),
    settings=(
        Setting(
            name="account",
            parameters=("account_id", "cloudflare_account_id"),
            environment=("CLOUDFLARE_ACCOUNT_ID",),
            help="the account id of the dashboard",
        ),
    ),
    key_environment=("CLOUDFLARE_API_KEY", "CLOUDFLARE_API_TOKEN"),
    speaks=("openai_chat", "openai_responses", "openai_embeddings"),
    profile=Profile(max_tokens_field="max_tokens"),
)

GITHUB = Provider(
    name="github",
    title="GitHub Models",
    aliases=("github_models",),
    documentation="https://docs.github.com/en/rest/models/inference",
    # Its older address, models.inference.ai.azure.com, was closed in 2025.
    base_url="https://models.github.ai/inference",
    base_environment=("GITHUB_API_BASE",),
    hosts=("models.inference.ai.azure.com",),
    key_environment=("GITHUB_API_KEY", "GITHUB_TOKEN", "GITHUB_MODELS_TOKEN"),
    speaks=(
        "openai_chat",
        "openai_embeddings",
        Route(format="openai_models", base_url="https://models.github.ai/catalog"),
    ),
)

GRADIENT_AI = Provider(
    name="gradient_ai",
    title="DigitalOcean Gradient",
    aliases=("digitalocean",),
    documentation="https://docs.digitalocean.com/reference/api/serverless-inference/",
    base_url="https://inference.do-ai.run/v1",
    base_environment=("GRADIENT_AI_API_BASE", "GRADIENT_AI_AGENT_ENDPOINT"),
    key_environment=("GRADIENT_AI_API_KEY", "MODEL_ACCESS_KEY", "DIGITALOCEAN_INFERENCE_KEY"),
    speaks=("openai_chat", "openai_responses", "openai_images", "openai_models"),
)

HEROKU = Provider(
    name="heroku",
    title="Heroku Managed Inference",
    documentation="https://devcenter.heroku.com/articles/heroku-inference-api-v1-chat-completions",
    base_url="https://us.inference.heroku.com/v1",
    base_environment=("HEROKU_API_BASE", "INFERENCE_URL"),
    base_path="/v1",
    hosts=("*.inference.heroku.com",),
    key_environment=("HEROKU_API_KEY", "INFERENCE_KEY"),
    speaks=("openai_chat", "openai_embeddings", "openai_images"),
    profile=Profile(max_tokens_field="max_tokens"),
)

OVHCLOUD = Provider(
    name="ovhcloud",
    title="OVHcloud AI Endpoints",
    documentation="https://www.ovhcloud.com/en/public-cloud/ai-endpoints/",
    base_url="https://oai.endpoints.kepler.ai.cloud.ovh.net/v1",
    base_environment=("OVHCLOUD_API_BASE",),
    key_environment=("OVHCLOUD_API_KEY", "OVH_AI_ENDPOINTS_ACCESS_TOKEN"),
    speaks=("openai_chat", "openai_responses", "openai_embeddings", "openai_transcription", "openai_models"),
)

SCALEWAY = Provider(
    name="scaleway",
    title="Scaleway Generative APIs",
    documentation="https://www.scaleway.com/en/developers/api/generative-apis/",
    base_url="https://api.scaleway.ai/v1",
    base_environment=("SCALEWAY_API_BASE",),
    key_environment=("SCW_SECRET_KEY",),
    speaks=(
        "openai_chat",
        "openai_responses",
        "openai_embeddings",
        "openai_transcription",
        "openai_batches",
        "openai_models",
    ),
)

STACKIT = Provider(
    name="stackit",
    title="STACKIT AI Model Serving",
    documentation="https://docs.stackit.cloud/products/data-and-ai/ai-model-serving/",
    base_url="https://api.openai-compat.model-serving.eu01.onstackit.cloud/v1",
    base_environment=("STACKIT_API_BASE",),
    key_environment=("STACKIT_API_KEY",),
    speaks=("openai_chat", "openai_embeddings", "openai_models"),
)

VULTR = Provider(
    name="vultr",
    title="Vultr Serverless Inference",
    documentation="https://api.vultrinference.com/",
    base_url="https://api.vultrinference.com/v1",
    base_environment=("VULTR_API_BASE",),
    key_environment=("VULTR_API_KEY",),
    profile=Profile(thinking_field="reasoning"),
)

TELNYX = Provider(
    name="telnyx",
    title="Telnyx Inference",
    documentation="https://developers.telnyx.com/docs/inference/getting-started",
    base_url="https://api.telnyx.com/v2/ai",
    base_environment=("TELNYX_API_BASE",),
    key_environment=("TELNYX_API_KEY",),
    speaks=("openai_chat", "openai_transcription", "openai_models"),
    profile=Profile(max_tokens_field="max_tokens"),
)

OCI = Provider(
    name="oci",
    title="Oracle Cloud Infrastructure",
    documentation="https://docs.oracle.com/en-us/iaas/api/#/en/generative-ai-inference/",
    speaks=(),
    own_api="its requests carry signatures and bodies of Oracle's own",
)

ROWS: tuple[Provider, ...] = (
    DATABRICKS,
    WATSONX,
    SNOWFLAKE,
    CLOUDFLARE,
    GITHUB,
    GRADIENT_AI,
    HEROKU,
    OVHCLOUD,
    SCALEWAY,
    STACKIT,
    VULTR,
    TELNYX,
    OCI,
)
