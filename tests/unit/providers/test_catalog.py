"""The built-in catalog: who is in it, and rules that every row keeps."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
import pytest

from penstock.providers.catalog import built_in_providers
from penstock.providers.endpoint import Endpoint, endpoint, keyless, variables_of
from penstock.providers.errors import ProviderError
from penstock.providers.provider import Provider
from penstock.providers.registry import Registry
from penstock.providers.resolve_model import resolve_model
from penstock.providers.routes import capabilities_of, formats_of
from penstock.providers.rows.hosts import SMALL
from penstock.providers.validate import validate

ROWS = built_in_providers()
REGISTRY = Registry(plugins=lambda: ())
SPEAKING = [row for row in ROWS if row.speaks]

NAMED = """
    openai azure azure_ai anthropic gemini vertex_ai bedrock mistral cohere groq deepseek xai openrouter together_ai
    fireworks_ai perplexity cerebras sambanova huggingface nvidia_nim databricks watsonx cloudflare deepinfra novita
    moonshot dashscope zai minimax github ollama vllm lm_studio llamacpp tgi sglang voyage jina_ai
""".split()  # noqa: SIM905  # a list of names reads best so


def by_name(row: Provider) -> str:
    return row.name


# -- who is in it ------------------------------------------------------------------------------------------------------


def test_there_are_many() -> None:
    assert len(SPEAKING) >= 120


@pytest.mark.parametrize("name", NAMED)
def test_the_well_known_ones_are_there(name: str) -> None:
    assert REGISTRY.get(name).speaks


LITELLM_PREFIXES = """
    azure azure_ai vertex_ai gemini bedrock hosted_vllm ollama ollama_chat together_ai fireworks_ai nvidia_nim
    huggingface text-completion-openai litellm_proxy lm_studio llamafile xinference infinity github_copilot
    bedrock_converse cohere_chat sagemaker_chat vercel_ai_gateway volcengine codestral friendliai galadriel nebius
    featherless_ai lambda_ai gradient_ai
""".split()  # noqa: SIM905  # a list of names reads best so


@pytest.mark.parametrize("name", LITELLM_PREFIXES)
def test_the_prefixes_that_litellm_users_write(name: str) -> None:
    assert name in REGISTRY


MOVED = {
    "github": "the address of the facts was closed by GitHub in 2025",
    "deepseek": "the stable address; only completions need the beta one",
}
"""Where the catalog says something else than the shared facts, and why."""


def test_every_provider_of_the_shared_facts(shared: Callable[..., Path]) -> None:
    facts = json.loads(shared("provider-facts.json").read_text())
    assert len(facts) > 50
    for name, fact in facts.items():
        row = REGISTRY.get(name)
        if name in MOVED:
            continue
        assert row.base_url == (fact["base_url"] or "").rstrip("/") or (
            row.base_url is None and not fact["base_url"]
        ), name
        assert fact["api_key_env"] in variables_of(row), name
        if base := fact.get("api_base_env"):
            assert base in row.base_environment, name
        if renames := fact.get("param_mappings"):
            assert renames == {"max_completion_tokens": row.profile.max_tokens_field}, name


SEARCH_AND_OTHERS = {
    "evaluation": "models that judge, under APIs of their own",
    "search": "search engines",
    "ocr": "text recognition",
    "extraction": "typed extraction",
    "video_generation": "videos",
    "guardrail": "guardrails",
    "realtime": "realtime",
    "vector_store": "vector stores",
}
STRANGERS = {"nlp_cloud", "microsoft_365_copilot", "scaledown", "transcribe"}
"""Providers of the facts that are left out: gone, of one customer's own kind, or not a model API."""


def test_every_chat_or_embedding_provider_of_the_model_facts(shared: Callable[..., Path]) -> None:
    """A model fact names a provider that the registry knows, but for kinds of service that Penstock does not have."""
    facts = json.loads(shared("model-facts.json").read_text())
    unknown = {
        fact["litellm_provider"]
        for fact in facts.values()
        if fact.get("litellm_provider") and fact.get("mode") and fact["mode"] not in SEARCH_AND_OTHERS
    }
    assert {name for name in unknown if name not in REGISTRY} <= STRANGERS


def test_recognised_by_their_own_addresses() -> None:
    """A base URL that a row names leads back to that row (or to one that shares the host), but for servers on the
    user's machine.
    """
    for row in SPEAKING:
        if row.base_url and not row.local and "{" not in row.base_url:
            found = REGISTRY.find_by_host(row.base_url)
            assert found is not None, row.name
            assert found.name == row.name or urlsplit(found.base_url or "").hostname == urlsplit(row.base_url).hostname


# -- rules that every row keeps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", ROWS, ids=by_name)
def test_a_row_is_valid(row: Provider) -> None:
    validate(row)


@pytest.mark.parametrize("row", ROWS, ids=by_name)
def test_a_row_could_stand_in_a_config_file(row: Provider) -> None:
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(row)), Provider) == row


UNDOCUMENTED = {row.name for row in SMALL} | {"meta", "cognition", "nadir"}
"""Hosts whose addresses come from the shared facts, and whose own pages nobody here has read."""


@pytest.mark.parametrize("row", ROWS, ids=by_name)
def test_a_row_says_what_people_need(row: Provider) -> None:
    assert row.title
    assert row.documentation.startswith("https://") or row.name in UNDOCUMENTED
    assert row.name == row.name.lower()
    if row.local:
        assert row.default_port
        assert keyless(row)
        assert f":{row.default_port}" in (row.base_url or "")
    elif row.speaks:
        assert variables_of(row), "an error could not name a variable"


def environment_of(row: Provider) -> dict[str, str]:
    """Everything that the row can be given by environment variables."""
    found = dict.fromkeys(variables_of(row), "sk-fake")
    for setting in row.settings:
        found |= {setting.environment[-1]: "one"} if setting.environment else {}
    found |= (
        {row.base_environment[0]: "https://own.example/v1"} if row.base_environment and row.base_url is None else {}
    )
    return found | ({"AWS_REGION": "us-east-1"} if "AWS_REGION" in found or row.name.startswith("bedrock") else {})


def calls() -> Iterator[Any]:
    for row in SPEAKING:
        for capability in capabilities_of(row):
            yield pytest.param(row, capability, id=f"{row.name}-{capability}")


@pytest.mark.parametrize(("row", "capability"), [*calls()])
def test_everything_a_row_serves_has_an_address(row: Provider, capability: str) -> None:
    """For each capability there is a model for which a whole endpoint can be made, and nothing is left to fill in."""
    models = [
        "a-model",
        "davinci-002",
        "codestral-latest",
        "amazon.titan-embed-text-v2:0",
        "claude-x",
        "anthropic.claude-x",
        "cohere.embed-v4",
        "gpt-3.5-turbo-instruct",
        "codestral-latest",
        "org/model",
    ]
    made: list[Endpoint] = []
    kinds: set[str] = set()
    for model in models:
        for stream in (False, True):
            try:
                made.append(endpoint(row, capability, model, stream=stream, environment=environment_of(row)))
            except ProviderError as error:
                kinds.add(error.kind)
    assert made
    assert kinds <= {"unsupported_capability"}
    for target in made:
        parts = urlsplit(target.full_url)
        assert parts.scheme in ("http", "https")
        assert parts.hostname
        assert not {"{", "}", "\0"} & set(target.full_url + "".join(target.headers.values()))
        assert "//" not in parts.path
        assert target.format in formats_of(row, capability)


@pytest.mark.parametrize("row", [row for row in ROWS if row.own_api], ids=by_name)
def test_who_cannot_be_called_says_why(row: Provider) -> None:
    with pytest.raises(ProviderError, match=row.title) as caught:
        endpoint(row, "chat", "m")
    assert caught.value.kind == "unsupported_capability"
    assert row.own_api in caught.value.message


# -- recorded traffic --------------------------------------------------------------------------------------------------

CHAT_PATHS = {
    "openai_chat": ("/chat/completions",),
    "openai_responses": ("/responses",),
    "anthropic_messages": ("/v1/messages",),
    "gemini": (":generateContent", ":streamGenerateContent"),
    "bedrock_converse": ("/converse", "/converse-stream"),
    "cohere_chat": ("/v2/chat",),
}
ACCOUNT = {"GOOGLE_CLOUD_PROJECT": "PROJECT", "AWS_REGION": "us-east-1", "AZURE_RESOURCE_NAME": "RESOURCE"}


def recorded_calls(folder: Path) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Provider, request and format of every recorded chat call that went well."""
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            exchange = json.loads(line)
            for wire_format, ends in CHAT_PATHS.items():
                if exchange["response"]["status"] == 200 and exchange["request"]["path"].endswith(ends):
                    yield exchange["provider"].replace("-", "_"), exchange["request"], wire_format


def model_of(request: dict[str, Any]) -> str:
    body = request["body"]
    if isinstance(body, dict) and "model" in body:
        return str(body["model"])
    path = str(request["path"])
    _, _, rest = path.rpartition("/models/" if "/models/" in path else "/model/")
    return rest.partition(":generate")[0].partition(":stream")[0].removesuffix("-stream").removesuffix("/converse")


def test_recorded_calls_go_where_the_catalog_says(shared: Callable[..., Path]) -> None:
    """Host and path of the real calls are the ones that the catalog makes, but for the account's own names and an older
    router's path.
    """
    count = 0
    for name, request, wire_format in recorded_calls(shared("provider-exchanges")):
        if name in ("huggingface", "crusoe") or (name == "gemini" and wire_format == "openai_chat"):
            continue  # recorded at addresses that were given by hand
        row = REGISTRY.get({"vertex": "vertex_ai"}.get(name, name))
        model = model_of(request).replace("%3A", ":").replace("%2F", "/")
        streamed = ":stream" in request["path"] or request["path"].endswith("-stream")
        target = endpoint(
            row,
            "chat",
            model,
            stream=streamed,
            prefer=(wire_format,),
            environment={**ACCOUNT, **dict.fromkeys(variables_of(row), "sk-fake")},
            parameters=vertex_parameters(request) if row.name == "vertex_ai" else {},
        )
        assert target.format == wire_format, (name, model)
        assert comparable(target.url) == comparable(f"https://{request['host']}{request['path']}"), (name, model)
        count += 1
    assert count > 700


def vertex_parameters(request: dict[str, Any]) -> dict[str, str]:
    segments = request["path"].split("/")
    return {f"vertex_{name}": segments[segments.index(f"{name}s") + 1] for name in ("project", "location")}


def comparable(url: str) -> str:
    """An address without the account's names; colons escaped, as only some recordings have them; regions made one."""
    parts = urlsplit(url)
    host = "RESOURCE.openai.azure.com" if parts.netloc.endswith(".openai.azure.com") else parts.netloc
    for region in ("us-east-2", "us-west-2", "eu-central-1", "us-east-1", "eu-west-1", "eu-north-1"):
        host = host.replace(region, "REGION")
    segments = parts.path.split("/")
    if "projects" in segments:
        segments[segments.index("projects") + 1] = "PROJECT"
    return host + quote("/".join(segments).replace("%3A", ":").replace("%2F", "/"))


def test_bare_names_of_the_model_facts_are_not_misread(shared: Callable[..., Path]) -> None:
    """Where a bare name has the look of one provider's models, the facts agree."""
    same = {"vertex_ai": "gemini"}  # two doors to the same models
    decided_by_facts = {"claude-sonnet-4-5-20250929-v1:0"}  # an id of Bedrock's without its prefix
    facts = json.loads(shared("model-facts.json").read_text())
    checked = 0
    for name, fact in facts.items():
        if "/" in name or name in decided_by_facts or fact.get("mode") not in ("chat", "embedding", "responses"):
            continue
        try:
            guessed = resolve_model(name, REGISTRY).provider.name
        except ProviderError:
            continue
        known = REGISTRY.get(fact["litellm_provider"]).name
        assert guessed in (known, same.get(known, known)), name
        checked += 1
    assert checked > 100


def test_responses_only_models_of_the_facts_go_to_the_responses_api(shared: Callable[..., Path]) -> None:
    facts = json.loads(shared("model-facts.json").read_text())
    formats = set()
    for name, fact in facts.items():
        if fact.get("litellm_provider") == "openai" and fact.get("mode") in ("responses", "chat"):
            wanted = "openai_responses" if fact["mode"] == "responses" or "computer-use" in name else "openai_chat"
            model = name.removeprefix("openai/")
            target = endpoint(REGISTRY.get("openai"), "chat", model, environment={"OPENAI_API_KEY": "sk-fake"})
            assert target.format == wanted, name
            formats.add(wanted)
    assert formats == {"openai_responses", "openai_chat"}
