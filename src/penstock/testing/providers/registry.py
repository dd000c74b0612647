"""Every path that the simulated providers answer: one table of routes, one table of mounts.

A *route* is a method and a path pattern ({name} matches within one path segment) with the operation behind it. A
*mount* is a provider's place on the server: a path prefix, the families of operations that live there, and the flavour
with which they are spoken. The root mount holds everything, so `http://127.0.0.1:PORT/v1` works by hand; where two
providers use the same path, Anthropic's `anthropic-version` header decides, else the route that stands first.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from penstock.testing.providers import (
    anthropic_messages,
    bedrock_converse,
    cohere,
    cohere_retrieval,
    gemini,
    ollama,
    openai_audio,
    openai_chat,
    openai_files,
    openai_media,
    openai_responses,
    retrieval,
)
from penstock.testing.providers.anthropic_messages import ANTHROPIC, VERTEX_ANTHROPIC
from penstock.testing.providers.bedrock_converse import AWS
from penstock.testing.providers.cohere import COHERE
from penstock.testing.providers.gemini import GOOGLE
from penstock.testing.providers.ollama import OLLAMA
from penstock.testing.providers.openai_chat import FLAVOURS
from penstock.testing.providers.openai_family import OPENAI
from penstock.testing.providers.retrieval import JINA, VOYAGE
from penstock.testing.providers.script import ProviderError
from penstock.testing.providers.state import Flavour
from penstock.testing.providers.wire import Body, Call, Family, Operation, ReceivedRequest


@dataclass(frozen=True, slots=True)
class Route:
    """One method and path pattern, and what answers there."""

    method: str
    pattern: str
    operation: Operation


@dataclass(frozen=True, slots=True)
class Mount:
    """A provider's place: `prefix` is what its paths begin with, `base` what its official client takes as base URL."""

    name: str
    prefix: str
    base: str
    families: tuple[Family, ...]
    flavour: Flavour


_AZURE = "/openai/deployments/{deployment}"


def _gemini_routes(version: str) -> tuple[Route, ...]:
    """The Gemini API at one of its versions ("": for a client whose base URL holds the version)."""
    model = version + "/models/{model}"
    return (
        Route("POST", model + ":generateContent", gemini.GENERATE),
        Route("POST", model + ":streamGenerateContent", gemini.STREAM_GENERATE),
        Route("POST", model + ":countTokens", gemini.COUNT),
        Route("POST", model + ":embedContent", gemini.EMBED),
        Route("POST", model + ":batchEmbedContents", gemini.BATCH_EMBED),
        Route("GET", version + "/models", gemini.MODELS_LIST),
        Route("GET", model, gemini.MODELS_GET),
    )


def _vertex_routes(version: str) -> tuple[Route, ...]:
    """Vertex AI at one of its versions: Gemini, and Claude in Anthropic's format."""
    publishers = version + "/projects/{project}/locations/{location}/publishers"
    google, anthropic = publishers + "/google/models/{model}", publishers + "/anthropic/models/{model}"
    return (
        Route("POST", google + ":generateContent", gemini.GENERATE),
        Route("POST", google + ":streamGenerateContent", gemini.STREAM_GENERATE),
        Route("POST", google + ":countTokens", gemini.COUNT),
        Route("POST", google + ":embedContent", gemini.EMBED),
        Route("POST", publishers + "/anthropic/models/count-tokens:rawPredict", anthropic_messages.VERTEX_COUNT),
        Route("POST", anthropic + ":rawPredict", anthropic_messages.RAW_PREDICT),
        Route("POST", anthropic + ":streamRawPredict", anthropic_messages.STREAM_RAW_PREDICT),
    )


# OpenAI, and the servers that speak as it does
_OPENAI_ROUTES: tuple[Route, ...] = (
    Route("POST", "/v1/chat/completions", openai_chat.CHAT),
    Route("POST", "/v1/responses", openai_responses.RESPONSES),
    Route("POST", "/v1/responses/input_tokens", openai_responses.COUNT),
    Route("GET", "/v1/responses/{response_id}", openai_responses.RETRIEVE),
    Route("DELETE", "/v1/responses/{response_id}", openai_responses.DELETE),
    Route("POST", "/v1/responses/{response_id}/cancel", openai_responses.CANCEL),
    Route("GET", "/v1/responses/{response_id}/input_items", openai_responses.LIST_INPUT),
    Route("POST", "/v1/completions", openai_media.COMPLETIONS),
    Route("POST", "/v1/embeddings", openai_media.EMBEDDINGS),
    Route("POST", "/v1/images/generations", openai_media.IMAGES),
    Route("POST", "/v1/images/edits", openai_media.IMAGE_EDITS),
    Route("POST", "/v1/audio/speech", openai_audio.SPEECH),
    Route("POST", "/v1/audio/transcriptions", openai_audio.TRANSCRIPTIONS),
    Route("POST", "/v1/audio/translations", openai_audio.TRANSLATIONS),
    Route("POST", "/v1/moderations", openai_media.MODERATIONS),
    Route("GET", "/v1/models", openai_media.MODELS_LIST),
    Route("GET", "/v1/models/{model}", openai_media.MODELS_GET),
    Route("POST", "/v1/files", openai_files.FILES_CREATE),
    Route("GET", "/v1/files", openai_files.FILES_LIST),
    Route("GET", "/v1/files/{file_id}", openai_files.FILES_GET),
    Route("DELETE", "/v1/files/{file_id}", openai_files.FILES_DELETE),
    Route("GET", "/v1/files/{file_id}/content", openai_files.FILES_CONTENT),
    Route("POST", "/v1/batches", openai_files.BATCHES_CREATE),
    Route("GET", "/v1/batches", openai_files.BATCHES_LIST),
    Route("GET", "/v1/batches/{batch_id}", openai_files.BATCHES_GET),
    Route("POST", "/v1/batches/{batch_id}/cancel", openai_files.BATCHES_CANCEL),
)

ROUTES: tuple[Route, ...] = (
    *_OPENAI_ROUTES,
    # Azure OpenAI: its own paths with the deployment in them, and OpenAI's under /openai
    Route("POST", _AZURE + "/chat/completions", openai_chat.CHAT),
    Route("POST", _AZURE + "/completions", openai_media.COMPLETIONS),
    Route("POST", _AZURE + "/embeddings", openai_media.EMBEDDINGS),
    Route("POST", _AZURE + "/images/generations", openai_media.IMAGES),
    Route("POST", _AZURE + "/images/edits", openai_media.IMAGE_EDITS),
    Route("POST", _AZURE + "/audio/speech", openai_audio.SPEECH),
    Route("POST", _AZURE + "/audio/transcriptions", openai_audio.TRANSCRIPTIONS),
    Route("POST", "/openai/responses", openai_responses.RESPONSES),
    *(Route(route.method, "/openai" + route.pattern, route.operation) for route in _OPENAI_ROUTES),
    # Anthropic
    Route("POST", "/v1/messages", anthropic_messages.MESSAGES),
    Route("POST", "/v1/messages/count_tokens", anthropic_messages.COUNT),
    Route("GET", "/v1/models", anthropic_messages.MODELS_LIST),
    Route("GET", "/v1/models/{model}", anthropic_messages.MODELS_GET),
    Route("POST", "/v1/files", anthropic_messages.FILES_CREATE),
    Route("GET", "/v1/files", anthropic_messages.FILES_LIST),
    Route("GET", "/v1/files/{file_id}", anthropic_messages.FILES_GET),
    Route("GET", "/v1/files/{file_id}/content", anthropic_messages.FILES_CONTENT),
    Route("DELETE", "/v1/files/{file_id}", anthropic_messages.FILES_DELETE),
    *(route for version in ("/v1", "/v1beta", "/v1alpha", "") for route in _gemini_routes(version)),
    *(route for version in ("v1", "v1beta1") for route in _vertex_routes(f"/{version}")),
    # Amazon Bedrock
    Route("POST", "/model/{model}/converse", bedrock_converse.CONVERSE),
    Route("POST", "/model/{model}/converse-stream", bedrock_converse.CONVERSE_STREAM),
    Route("POST", "/model/{model}/count-tokens", bedrock_converse.COUNT),
    Route("POST", "/model/{model}/invoke", bedrock_converse.INVOKE),
    Route("POST", "/model/{model}/invoke-with-response-stream", bedrock_converse.INVOKE_STREAM),
    # Cohere
    Route("POST", "/v2/chat", cohere.CHAT),
    Route("POST", "/v2/embed", cohere_retrieval.EMBED),
    Route("POST", "/v2/rerank", cohere_retrieval.RERANK),
    Route("POST", "/v1/tokenize", cohere_retrieval.TOKENIZE),
    Route("GET", "/v1/models", cohere_retrieval.MODELS),
    # Ollama
    Route("POST", "/api/chat", ollama.CHAT),
    Route("POST", "/api/embed", ollama.EMBED),
    Route("GET", "/api/tags", ollama.TAGS),
    Route("GET", "/api/version", ollama.VERSION),
    Route("POST", "/api/show", ollama.SHOW),
    # Voyage AI and Jina AI
    Route("POST", "/v1/embeddings", retrieval.VOYAGE_EMBED),
    Route("POST", "/v1/rerank", retrieval.VOYAGE_RERANK),
    Route("POST", "/v1/embeddings", retrieval.JINA_EMBED),
    Route("POST", "/v1/rerank", retrieval.JINA_RERANK),
)


def _mount_row(name: str, base: str, *families: Family, prefix: str = "") -> Mount:
    """A mount under /NAME (or the prefix), with the flavour of its name (most have none of their own)."""
    return Mount(name, prefix or f"/{name}", base, families, FLAVOURS.get(name, FLAVOURS["openai"]))


MOUNTS: tuple[Mount, ...] = (
    _mount_row("openai", "/openai/v1", OPENAI),
    _mount_row("azure", "/azure", OPENAI),
    _mount_row("compatible", "/compatible/v1", OPENAI),
    _mount_row("deepseek", "/deepseek/v1", OPENAI),
    _mount_row("groq", "/groq/openai/v1", OPENAI, prefix="/groq/openai"),
    _mount_row("mistral", "/mistral/v1", OPENAI),
    _mount_row("openrouter", "/openrouter/api/v1", OPENAI, prefix="/openrouter/api"),
    _mount_row("anthropic", "/anthropic", ANTHROPIC),
    _mount_row("gemini", "/gemini", GOOGLE),
    _mount_row("vertex", "/vertex", GOOGLE, VERTEX_ANTHROPIC),
    _mount_row("bedrock", "/bedrock", AWS),
    _mount_row("cohere", "/cohere", COHERE),
    _mount_row("ollama", "/ollama", OLLAMA),
    _mount_row("voyage", "/voyage/v1", VOYAGE),
    _mount_row("jina", "/jina/v1", JINA),
)

DIALECTS: Mapping[str, str] = {
    "openai_chat": "openai",
    "openai_responses": "openai",
    "anthropic_messages": "anthropic",
    "gemini": "gemini",
    "bedrock_converse": "bedrock",
    "cohere_chat": "cohere",
    "ollama_chat": "ollama",
}
"""The seven wire formats, and the mount of the provider that each is named after."""

ROOT = Mount(
    "",
    "",
    "",
    (OPENAI, ANTHROPIC, GOOGLE, VERTEX_ANTHROPIC, AWS, COHERE, OLLAMA, VOYAGE, JINA),
    FLAVOURS["openai"],
)

OPERATIONS: Mapping[str, Operation] = {route.operation.name: route.operation for route in ROUTES}


@dataclass(frozen=True, slots=True)
class Match:
    """Where a request arrived. Without an operation, `family` says how the refusal looks."""

    mount: Mount
    family: Family
    operation: Operation | None
    params: Mapping[str, str]
    known_path: bool = False

    def refusal(self, call: Call) -> Body:
        """The answer to a path or a method that the provider does not know."""
        if self.known_path:
            return self.family.error(ProviderError(405, "Method Not Allowed"), call)
        return self.family.unknown_path(call)


def resolve_path(request: ReceivedRequest) -> Match:
    """The mount and operation of a request."""
    mount = _mount(request.path)
    path = request.path.removeprefix(mount.prefix)
    method = "GET" if request.method == "HEAD" else request.method
    found = _routes_of(mount.name, path)
    fitting = [(route, params) for route, params in found if route.method == method]
    if not fitting:
        family = found[0][0].operation.family if found else _family(mount, path)
        return Match(mount, family, None, {}, bool(found))
    route, params = _preferred(fitting, request)
    return Match(mount, route.operation.family, route.operation, params)


@lru_cache(maxsize=1024)
def _routes_of(mount: str, path: str) -> list[tuple[Route, Mapping[str, str]]]:
    """The routes of a mount that a path fits, with the path's parameters."""
    families = next((row.families for row in MOUNTS if row.name == mount), ROOT.families)
    return [
        (route, match.groupdict())
        for route in ROUTES
        if route.operation.family in families and (match := _pattern(route.pattern).fullmatch(path))
    ]


def _mount(path: str) -> Mount:
    fitting = [mount for mount in MOUNTS if path.startswith(mount.prefix + "/")]
    return max(fitting, key=lambda mount: len(mount.prefix), default=ROOT)


def _preferred(
    found: list[tuple[Route, Mapping[str, str]]], request: ReceivedRequest
) -> tuple[Route, Mapping[str, str]]:
    """Of several providers on one path (at the root mount), Anthropic if its version header is there."""
    wanted = "anthropic" if "anthropic-version" in request.headers else None
    return next((pair for pair in found if pair[0].operation.family.name == wanted), found[0])


def _family(mount: Mount, path: str) -> Family:
    """Whose error answers an unknown path: the mount's; at the root, that of the provider whose paths begin so."""
    head = path.split("/")[1]
    for route in ROUTES:
        if route.operation.family in mount.families and route.pattern.split("/")[1] == head:
            return route.operation.family
    return mount.families[0]


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    """A path pattern as a regular expression: {name} is one segment."""
    pieces = re.split(r"\{(\w+)\}", pattern)
    return re.compile("".join(f"(?P<{piece}>[^/]+)" if i % 2 else re.escape(piece) for i, piece in enumerate(pieces)))
