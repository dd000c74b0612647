"""Hyperscalers: Azure, Google Cloud and AWS, where address, version and credentials are a matter of their own."""

from __future__ import annotations

from penstock.providers.auth.kinds import (
    AwsSignature,
    AzureOAuth,
    Bearer,
    GoogleOAuth,
    HeaderKey,
)
from penstock.providers.betas import ANTHROPICS_OWN
from penstock.providers.provider import ModelRule, Provider, Route, Setting
from penstock.providers.rows.labs import RESPONSES_ONLY
from penstock.types.profile import Profile

# -- Azure -------------------------------------------------------------------------------------------------------------
# Two generations side by side: `/openai/v1`, which needs no version and has the deployment in the body, and the dated
# one, which has it in the path (learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle). A dated api_version
# asks for the second; a base URL may say either.

_PER_DEPLOYMENT = (
    "openai_chat",
    "openai_text_completion",
    "openai_embeddings",
    "openai_images",
    "openai_image_edits",
    "openai_speech",
    "openai_transcription",
)
_PER_RESOURCE = ("openai_responses", "openai_files", "openai_batches", "openai_models")
_V1 = "/openai/v1"
_VERSION = {"api-version": "{api_version}"}
_DATED = {"api_version": "20*"}


def _azure_responses_only() -> tuple[Route, ...]:
    """Responses-only models, in both generations."""
    return tuple(
        Route(
            format=route.format,
            prefix=route.prefix,
            query=route.query,
            when=route.when,
            models=RESPONSES_ONLY,
            exclusive=True,
        )
        for route in _azure_routes("openai_responses", "/openai")
    )


def _azure_routes(wire_format: str, dated_prefix: str) -> tuple[Route, ...]:
    """One format in both generations, the more particular situations first."""
    return (
        Route(format=wire_format, prefix=_V1, when={"base_url": "*/openai/v1*"}),
        Route(format=wire_format, when={"base_url": "*/openai/deployments/*", **_DATED}, query=_VERSION),
        Route(format=wire_format, when={"base_url": "*/openai/deployments/*"}),
        Route(format=wire_format, prefix=dated_prefix, when=_DATED, query=_VERSION),
        Route(format=wire_format, prefix=_V1, when={"api_version": "preview"}, query=_VERSION),
        Route(format=wire_format, prefix=_V1),
    )


_AZURE_VERSION = Setting(
    name="api_version",
    parameters=("api_version",),
    environment=("AZURE_API_VERSION", "OPENAI_API_VERSION"),
    default="v1",
    help="a date such as 2024-10-21, or v1",
)

AZURE = Provider(
    name="azure",
    title="Azure OpenAI",
    aliases=("azure_openai", "azure_text"),
    documentation="https://learn.microsoft.com/azure/ai-foundry/openai/latest",
    base_url="https://{resource}.openai.azure.com",
    base_environment=("AZURE_API_BASE", "AZURE_OPENAI_ENDPOINT"),
    hosts=("*.cognitiveservices.azure.com", "*.openai.azure.us", "*.azure-api.net"),
    key_environment=("AZURE_API_KEY", "AZURE_OPENAI_API_KEY"),
    settings=(
        Setting(
            name="resource",
            parameters=("azure_resource_name",),
            environment=("AZURE_API_BASE", "AZURE_RESOURCE_NAME"),
            help="the address of the Azure resource, https://NAME.openai.azure.com, or its name",
        ),
        _AZURE_VERSION,
    ),
    auth=(
        HeaderKey(header="api-key"),
        Bearer(parameters=("azure_ad_token", "azure_ad_token_provider"), environment=("AZURE_AD_TOKEN",)),
        AzureOAuth(scope="https://cognitiveservices.azure.com/.default"),
    ),
    speaks=(
        *_azure_responses_only(),
        *(route for name in _PER_DEPLOYMENT for route in _azure_routes(name, "/openai/deployments/{model}")),
        *(route for name in _PER_RESOURCE for route in _azure_routes(name, "/openai")),
    ),
    # A deployment may be called anything; these segments say what it is like (docs.litellm.ai/docs/providers/azure).
    selectors={"o_series": "o1", "gpt5_series": "gpt-5"},
    profile=Profile(signature_origin="openai", message_extensions=False),
)

AZURE_AI = Provider(
    name="azure_ai",
    title="Azure AI Foundry",
    aliases=("azure_foundry", "foundry"),
    documentation="https://learn.microsoft.com/azure/ai-foundry/foundry-models/concepts/endpoints",
    base_url="https://{resource}.services.ai.azure.com",
    base_environment=("AZURE_AI_API_BASE", "ANTHROPIC_FOUNDRY_BASE_URL"),
    hosts=("*.models.ai.azure.com", "*.inference.ai.azure.com"),
    key_environment=("AZURE_AI_API_KEY", "ANTHROPIC_FOUNDRY_API_KEY"),
    settings=(
        Setting(
            name="resource",
            parameters=("azure_resource_name",),
            environment=("AZURE_AI_API_BASE", "AZURE_AI_RESOURCE_NAME", "ANTHROPIC_FOUNDRY_RESOURCE"),
            help="the address of the Foundry resource, https://NAME.services.ai.azure.com, or its name",
        ),
        Setting(
            name="api_version",
            parameters=("api_version",),
            environment=("AZURE_AI_API_VERSION",),
            default="v1",
            help="a date such as 2024-05-01-preview, or v1",
        ),
    ),
    auth=(
        Bearer(base_urls=("*.models.ai.azure.com*",)),  # serverless deployments
        HeaderKey(header="api-key"),
        Bearer(parameters=("azure_ad_token", "azure_ad_token_provider"), environment=("AZURE_AD_TOKEN",)),
        AzureOAuth(scope="https://cognitiveservices.azure.com/.default"),
    ),
    speaks=(
        Route(format="anthropic_messages", prefix="/anthropic", models=("*claude*",), exclusive=True),
        Route(format="anthropic_count_tokens", prefix="/anthropic", models=("*claude*",)),
        Route(format="openai_responses", prefix=_V1, models=RESPONSES_ONLY, exclusive=True),
        *(
            route
            for name in ("openai_chat", "openai_embeddings")
            for route in (
                Route(format=name, prefix="/v1", when={"base_url": "*.models.ai.azure.com*"}),
                Route(format=name, prefix="/models", when={"base_url": "*/models", **_DATED}, query=_VERSION),
                Route(
                    format=name,
                    prefix="/models",
                    when={"base_url": "*/models"},
                    query={"api-version": "2024-05-01-preview"},
                ),
                Route(format=name, prefix="/models", when=_DATED, query=_VERSION),
                Route(format=name, prefix=_V1),
            )
        ),
        Route(format="openai_responses", prefix=_V1),
        Route(format="openai_images", prefix=_V1),
        Route(format="openai_transcription", prefix=_V1),
        Route(format="cohere_rerank", when={"base_url": "*.models.ai.azure.com*"}),
        Route(format="cohere_rerank", path="/providers/cohere/v2/rerank"),
        Route(format="openai_models", prefix=_V1),
    ),
    profile=Profile(message_extensions=False),
)

# -- Google ------------------------------------------------------------------------------------------------------------

_VERTEX_OPENAI = "/endpoints/openapi"

VERTEX_AI = Provider(
    name="vertex_ai",
    title="Google Vertex AI",
    aliases=(
        "vertex",
        "vertexai",
        "vertex_ai_beta",
        "google-vertex",
        *(
            f"vertex_ai-{kind}"
            for kind in (
                "language-models",
                "embedding-models",
                "text-models",
                "image-models",
                "video-models",
                "anthropic_models",
                "mistral_models",
                "llama_models",
                "ai21_models",
                "deepseek_models",
                "qwen_models",
                "openai_models",
                "moonshot_models",
                "minimax_models",
                "zai_models",
            )
        ),
    ),
    documentation="https://docs.cloud.google.com/vertex-ai/generative-ai/docs/reference/rest",
    base_url="https://{host}/{version}/projects/{project}/locations/{location}",
    base_environment=("VERTEXAI_API_BASE", "VERTEX_API_BASE"),
    hosts=("*-aiplatform.googleapis.com", "aiplatform.googleapis.com", "aiplatform.*.rep.googleapis.com"),
    settings=(
        Setting(
            name="project",
            parameters=("vertex_project", "vertex_ai_project"),
            environment=(
                "VERTEXAI_PROJECT",
                "VERTEX_PROJECT",
                "GOOGLE_CLOUD_PROJECT",
                "ANTHROPIC_VERTEX_PROJECT_ID",
                "GCLOUD_PROJECT",
            ),
            discover="google_project",
            help="the Google Cloud project that pays",
        ),
        Setting(
            name="location",
            parameters=("vertex_location", "vertex_ai_location"),
            environment=("VERTEXAI_LOCATION", "VERTEX_LOCATION", "GOOGLE_CLOUD_LOCATION", "CLOUD_ML_REGION"),
            default="global",
        ),
        Setting(
            name="host",
            of="location",
            cases={
                "global": "aiplatform.googleapis.com",
                "us": "aiplatform.us.rep.googleapis.com",
                "eu": "aiplatform.eu.rep.googleapis.com",
                "*": "{location}-aiplatform.googleapis.com",
            },
        ),
        Setting(name="version", of="model", cases={"*claude*": "v1", "*": "v1beta1"}),
        # `mistralai/mistral-medium-3` and the like: the publisher stands in the path anyway.
        Setting(name="publisher", model_segment="mistralai|ai21|anthropic"),
    ),
    auth=(
        # Express mode: a key, no project
        # (docs.cloud.google.com/vertex-ai/generative-ai/docs/start/express-mode/overview)
        HeaderKey(
            header="x-goog-api-key",
            environment=("VERTEX_API_KEY", "VERTEXAI_API_KEY"),
            base_url="https://aiplatform.googleapis.com/v1beta1",
        ),
        Bearer(
            parameters=("vertex_access_token",),
            environment=("GOOGLE_OAUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN"),
        ),
        GoogleOAuth(),
    ),
    speaks=(
        Route(
            format="anthropic_messages",
            models=("*claude*",),
            exclusive=True,
            path="/publishers/anthropic/models/{model}:rawPredict",
            stream_path="/publishers/anthropic/models/{model}:streamRawPredict",
            body={"anthropic_version": "vertex-2023-10-16"},
            omit=("model",),
            betas_refused=ANTHROPICS_OWN,
        ),
        Route(
            format="anthropic_count_tokens",
            models=("*claude*",),
            exclusive=True,
            path="/publishers/anthropic/models/count-tokens:rawPredict",
            body={"anthropic_version": "vertex-2023-10-16"},
        ),
        *(
            Route(
                format="openai_chat",
                models=globs,
                exclusive=True,
                path=f"/publishers/{publisher}/models/{{model}}:rawPredict",
                stream_path=f"/publishers/{publisher}/models/{{model}}:streamRawPredict",
            )
            for publisher, globs in (
                ("mistralai", ("mistral*", "codestral*", "ministral*")),
                ("ai21", ("jamba*",)),
            )
        ),
        # Every other maker's model as a service: meta/llama-..., deepseek-ai/..., qwen/..., openai/gpt-oss-...
        Route(format="openai_chat", models=("*/*",), prefix=_VERTEX_OPENAI, exclusive=True),
        # A tuned or self-deployed model is a number.
        Route(
            format="gemini",
            models=("[0-9]*",),
            exclusive=True,
            path="/endpoints/{model}:generateContent",
            stream_path="/endpoints/{model}:streamGenerateContent",
        ),
        Route(
            format="gemini",
            path="/publishers/google/models/{model}:generateContent",
            stream_path="/publishers/google/models/{model}:streamGenerateContent",
        ),
        Route(
            format="gemini_embed_content",
            models=("gemini-embedding-2*",),
            exclusive=True,
            path="/publishers/google/models/{model}:embedContent",
        ),
        "vertex_embed",
        "vertex_count_tokens",
    ),
    # The `google-genai` package names the tools and settings that only one of Google's hosts has
    profile=Profile(image_urls=False, labels=True, search_excludes=True, unsupported=frozenset({"mcp", "file_search"})),
    model_rules=(
        ModelRule(models=("gemini-[3-9]*",), formats=("gemini",), profile={"mixed_tools": "allowed"}),
        ModelRule(models=("google/gemini-*",), formats=("openai_chat",), profile={"signature_origin": "gemini"}),
        ModelRule(
            models=("mistral*", "codestral*", "ministral*"),
            formats=("openai_chat",),
            profile={
                "max_tokens_field": "max_tokens",
                "renames": {"seed": "random_seed"},
                "message_names": False,
                "tool_choice_required": "any",
            },
        ),
    ),
)

# -- Amazon ------------------------------------------------------------------------------------------------------------

_REGION = r"[a-z]{2}(-[a-z]+)+-\d"
_AWS_REGION = Setting(
    name="region",
    parameters=("aws_region_name", "aws_region"),
    environment=("AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION"),
    model_segment=_REGION,
    model_pattern=rf"^arn:aws[a-z-]*:bedrock:({_REGION}):",
    discover="aws_region",
    help="the AWS region, such as us-east-1",
)
_AWS_DOMAIN = Setting(name="domain", of="region", cases={"cn-*": "amazonaws.com.cn", "?*": "amazonaws.com"})

BEDROCK = Provider(
    name="bedrock",
    title="Amazon Bedrock",
    aliases=("bedrock_converse", "amazon-bedrock", "amazon_bedrock"),
    documentation="https://docs.aws.amazon.com/bedrock/latest/APIReference/API_Operations_Amazon_Bedrock_Runtime.html",
    base_url="https://bedrock-runtime.{region}.{domain}",
    base_parameters=("aws_bedrock_runtime_endpoint", "api_base", "base_url"),
    base_environment=("AWS_BEDROCK_RUNTIME_ENDPOINT", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_ENDPOINT_URL"),
    hosts=("bedrock-runtime*.amazonaws.com", "*.bedrock-runtime.*.vpce.amazonaws.com"),
    settings=(_AWS_REGION, _AWS_DOMAIN),
    auth=(Bearer(environment=("AWS_BEARER_TOKEN_BEDROCK",)), AwsSignature(service="bedrock")),
    speaks=(
        Route(format="bedrock_converse", betas_refused=ANTHROPICS_OWN),
        Route(
            format="anthropic_messages",
            selector="invoke",
            models=("*anthropic*", "*claude*", "arn:*"),
            path="/model/{model}/invoke",
            stream_path="/model/{model}/invoke-with-response-stream",
            body={"anthropic_version": "bedrock-2023-05-31"},
            omit=("model", "stream"),
            beta_field="anthropic_beta",
            betas_refused=ANTHROPICS_OWN,
            framing="aws_event_stream",
        ),
        # docs.aws.amazon.com/bedrock/latest/userguide/inference-responses-api.html
        Route(format="openai_chat", selector="openai", prefix="/openai/v1"),
        Route(format="openai_responses", prefix="/openai/v1", models=("*openai.*",)),
        Route(format="bedrock_titan_embed", models=("*amazon.titan-embed*",)),
        Route(format="bedrock_cohere_embed", models=("*cohere.embed*",)),
        Route(format="bedrock_nova_embed", models=("*amazon.nova*embed*",)),
        "bedrock_count_tokens",
    ),
    profile=Profile(image_urls=False),
)

BEDROCK_MANTLE = Provider(
    name="bedrock_mantle",
    title="Amazon Bedrock Mantle",
    aliases=("bedrock-mantle",),
    documentation="https://docs.aws.amazon.com/bedrock/latest/userguide/bedrock-mantle.html",
    base_url="https://bedrock-mantle.{region}.api.aws",
    base_environment=("BEDROCK_MANTLE_API_BASE",),
    settings=(
        Setting(
            name="region",
            parameters=_AWS_REGION.parameters,
            environment=("BEDROCK_MANTLE_REGION", *_AWS_REGION.environment),
            model_segment=_REGION,
            discover="aws_region",
            help=_AWS_REGION.help,
        ),
        # Which prefix serves a model is the model's property
        # (docs.aws.amazon.com/bedrock/latest/userguide/bedrock-mantle.html).
        Setting(
            name="prefix",
            of="model",
            cases={"openai.gpt-oss*": "/v1", "openai.*": "/openai/v1", "*": "/v1"},
        ),
    ),
    auth=(
        Bearer(environment=("BEDROCK_MANTLE_API_KEY", "AWS_BEARER_TOKEN_BEDROCK")),
        AwsSignature(service="bedrock-mantle"),
    ),
    speaks=(
        Route(format="anthropic_messages", prefix="/anthropic", models=("anthropic.*",), exclusive=True),
        Route(
            format="openai_responses",
            prefix="{prefix}",
            models=("openai.gpt-[5-9]*", "openai.gpt-daybreak*"),
            exclusive=True,
        ),
        Route(format="openai_chat", prefix="{prefix}"),
        Route(format="openai_responses", prefix="{prefix}"),
        Route(format="openai_models", prefix="/v1"),
    ),
    profile=Profile(image_urls=False),
    model_rules=(  # docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-structured-outputs.html
        ModelRule(models=("anthropic.*",), formats=("anthropic_messages",), profile={"structured_output": "tool"}),
    ),
)

SAGEMAKER = Provider(
    name="sagemaker",
    title="Amazon SageMaker",
    aliases=("sagemaker_chat",),
    documentation="https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html",
    speaks=(),
    auth=(AwsSignature(service="sagemaker"),),
    own_api="what an endpoint speaks is up to the container that was deployed there",
)

ROWS: tuple[Provider, ...] = (AZURE, AZURE_AI, VERTEX_AI, BEDROCK, BEDROCK_MANTLE, SAGEMAKER)
