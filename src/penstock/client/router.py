"""Router: one name for several deployments of a model, and a call that goes to the best of them.

    router = Router(
        model_list=[
            {"model_name": "gpt", "litellm_params": {"model": "openai/gpt-5", "api_key": "os.environ/OPENAI_API_KEY"}},
            {"model_name": "gpt", "litellm_params": {"model": "azure/my-gpt", "api_base": "https://..."}},
            {"model_name": "claude", "litellm_params": {"model": "anthropic/claude-sonnet-4-5"}},
        ],
        fallbacks=[{"gpt": ["claude"]}],
    )
    answer = router.completion("gpt", [{"role": "user", "content": "Hello"}])
    answer._hidden_params["model_id"], answer._hidden_params["model_group"]

It is for all threads and for coroutines. Which deployment is asked, rested and fallen back to is decided in
`penstock.routing`; this module checks what it is given and says what there is to call. All calls of the SDK that name a
model can be made through it, with the same arguments and answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from types import TracebackType
from typing import Any, Literal, Self, overload

from msgspec.structs import replace

from penstock.client import dialect_calls, media, text_completions
from penstock.client.clients import AsyncChat, Chat
from penstock.client.demo import NAMES as DEMO_NAMES
from penstock.client.embeddings import EMBEDDING, EmbeddingCall
from penstock.client.engine import ENGINE_ARGUMENTS, Engine
from penstock.client.objects import ModelResponse, ModelResponseStream
from penstock.client.options import Options, split, timeouts_of
from penstock.client.reranking import RERANK
from penstock.client.resources import (
    AsyncMethod,
    AsyncShapeMethod,
    AsyncStreamingMethod,
    AsyncStreamingShapeMethod,
    Method,
    Resource,
    ShapeMethod,
    StreamingMethod,
    StreamingShapeMethod,
)
from penstock.client.result_objects import (
    AnthropicMessage,
    AnthropicStreamEvent,
    BinaryContent,
    EmbeddingResponse,
    GenerateContentResponse,
    ImageResponse,
    ModerationResponse,
    RerankResponse,
    ResponsesResponse,
    ResponsesStreamEvent,
    StreamedEvent,
    TextCompletionResponse,
    TranscriptionResponse,
)
from penstock.client.routed_engine import RoutedEngine, fallback_table
from penstock.client.shapes import CHAT_SHAPE
from penstock.client.streams import AsyncStream, Stream
from penstock.providers.errors import ProviderError
from penstock.routing.deployment import Deployment, MalformedDeployment, deployments_of
from penstock.routing.fallbacks import Fallbacks
from penstock.routing.groups import Groups, UnknownGroup
from penstock.routing.health import HEALTHY, CooldownRules, Health
from penstock.routing.strategies import STRATEGIES, Strategy, cost
from penstock.types.errors import ErrorKind, MalformedError


class Router(Resource):
    """Calls to model groups.

    model_list            the deployments, in LiteLLM's form: `{"model_name": group, "litellm_params": {"model", ...},
                          "model_info": {"id"}}`. `litellm_params` holds arguments of the call (a call's own come
                          first), and of routing: order, weight, rpm, tpm, max_parallel_requests, cooldown_time,
                          stream_timeout. A value "os.environ/NAME" is that variable's. A `*` in both names is a pattern
    routing_strategy      "simple-shuffle" (by weight, else rpm, else tpm), "least-busy", "latency-based-routing",
                          "cost-based-routing"; or a function of the form of those in `penstock.routing.strategies`
    num_retries           further attempts within a group after an error that another attempt may not meet (default 2)
    retry_policy          the same by error: {"RateLimitErrorRetries": 5, ...}
    retry_after           seconds to wait at least before the same deployment is asked again
    fallbacks             [{"group": ["other", ...]}]: groups (or ids of deployments) to go to when one has failed
    context_window_fallbacks, content_policy_fallbacks    the same, for these two errors
    default_fallbacks     for groups that are in none of these
    max_fallbacks         how many of them one call may try (default 5)
    allowed_fails         failures a minute before a deployment rests. Default: 429, 401, 402, 403, 404 and 408 rest it
                          at once, others when they are more than half of at least 5 requests
    cooldown_time         seconds of a rest (default 5; a longer Retry-After counts)
    disable_cooldowns     nobody ever rests
    timeout, stream_timeout    seconds for a whole call with all its attempts; for a streamed one
    model_group_alias     {"another name": "group"}, or {"another name": {"model": "group"}}
    default_litellm_params     arguments of every deployment that does not say otherwise

    All else is an option for every call (`penstock.client.options.Options`), or an argument of
    `penstock.client.engine.Engine`. Raises ValueError for a list or a table that is not right, TypeError for an
    argument that there is not.

    A call takes `fallbacks` of its own (group names, or dicts with `model` and what shall differ), `disable_fallbacks`,
    `num_retries` and `timeout`; its model may be a group, an alias, or a deployment's id. When all deployments of a
    group rest, it raises ServiceUnavailableError (503) whose `retry_after` says when the next one is back. The only
    deployment of a group never rests.
    """

    def __init__(
        self,
        model_list: Sequence[Mapping[str, Any]],
        *,
        routing_strategy: str | Strategy = "simple-shuffle",
        num_retries: int = 2,
        retry_policy: Mapping[str, int] | None = None,
        retry_after: float = 0.0,
        fallbacks: Sequence[Any] = (),
        context_window_fallbacks: Sequence[Any] = (),
        content_policy_fallbacks: Sequence[Any] = (),
        default_fallbacks: Sequence[str] = (),
        max_fallbacks: int = 5,
        allowed_fails: int | None = None,
        cooldown_time: float = 5.0,
        disable_cooldowns: bool = False,
        timeout: Any = None,
        stream_timeout: float | None = None,
        model_group_alias: Mapping[str, Any] | None = None,
        default_litellm_params: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> None:
        made = {name: arguments.pop(name) for name in ENGINE_ARGUMENTS if name in arguments}
        plain = Engine(**made)
        usual = dict(default_litellm_params or {})
        if stream_timeout is not None:
            usual.setdefault("stream_timeout", _number("stream_timeout", stream_timeout))
        groups = Groups(
            deployments_of(_with_defaults(model_list, usual), plain.environment), _aliases(model_group_alias)
        )
        strategy = _strategy(routing_strategy)
        groups = _checked(groups, plain, strategy)
        general = _list("fallbacks", fallbacks)
        table = Fallbacks(
            general=_known(
                fallback_table([each for each in general if isinstance(each, Mapping)], "fallbacks"), groups
            ),
            context_window=_known(fallback_table(context_window_fallbacks, "context_window_fallbacks"), groups),
            content_policy=_known(fallback_table(content_policy_fallbacks, "content_policy_fallbacks"), groups),
            default=_known_names(
                [*(each for each in general if isinstance(each, str)), *_list("default_fallbacks", default_fallbacks)],
                groups,
            ),
            most=_whole("max_fallbacks", max_fallbacks),
        )
        fails = None if allowed_fails is None else _whole("allowed_fails", allowed_fails)
        rules = CooldownRules(
            seconds=_number("cooldown_time", cooldown_time), allowed_fails=fails, enabled=disable_cooldowns is not True
        )
        timeouts_of(timeout)
        arguments = {**arguments, "num_retries": num_retries, "timeout": timeout}
        defaults, unknown = split(arguments, plain.addresses, Options())
        if unknown:
            raise TypeError(f"Router takes no {', '.join(sorted(unknown))}")
        engine = RoutedEngine(
            groups,
            strategy,
            fallbacks=table,
            by_kind=_retry_policy(retry_policy),
            rules=rules,
            least_wait=_number("retry_after", retry_after),
            defaults=defaults,
            **made,
        )
        self._routed = engine
        super().__init__(engine)

    # -- calls --------------------------------------------------------------------------------------------------------

    completion = StreamingShapeMethod[ModelResponse, Stream[ModelResponseStream, ModelResponse]](
        CHAT_SHAPE, "model", "messages"
    )
    acompletion = AsyncStreamingShapeMethod[ModelResponse, AsyncStream[ModelResponseStream, ModelResponse]](
        CHAT_SHAPE, "model", "messages"
    )
    responses = StreamingShapeMethod[ResponsesResponse, Stream[ResponsesStreamEvent, ResponsesResponse]](
        dialect_calls.RESPONSES_SHAPE, "model", "input"
    )
    aresponses = AsyncStreamingShapeMethod[ResponsesResponse, AsyncStream[ResponsesStreamEvent, ResponsesResponse]](
        dialect_calls.RESPONSES_SHAPE, "model", "input"
    )
    messages = StreamingShapeMethod[AnthropicMessage, Stream[AnthropicStreamEvent, AnthropicMessage]](
        dialect_calls.MESSAGES_SHAPE, "model", "messages"
    )
    amessages = AsyncStreamingShapeMethod[AnthropicMessage, AsyncStream[AnthropicStreamEvent, AnthropicMessage]](
        dialect_calls.MESSAGES_SHAPE, "model", "messages"
    )
    generate_content = ShapeMethod[GenerateContentResponse](
        dialect_calls.GEMINI_SHAPE, "model", "contents", stream=False
    )
    agenerate_content = AsyncShapeMethod[GenerateContentResponse](
        dialect_calls.GEMINI_SHAPE, "model", "contents", stream=False
    )
    embedding = Method[EmbeddingResponse](EMBEDDING, "model", "input", call=EmbeddingCall)
    aembedding = AsyncMethod[EmbeddingResponse](EMBEDDING, "model", "input", call=EmbeddingCall)
    rerank = Method[RerankResponse](RERANK, "model", "query", "documents")
    arerank = AsyncMethod[RerankResponse](RERANK, "model", "query", "documents")
    image_generation = StreamingMethod[ImageResponse, Stream[StreamedEvent, ImageResponse]](
        media.IMAGE_GENERATION, "prompt", "model"
    )
    aimage_generation = AsyncStreamingMethod[ImageResponse, AsyncStream[StreamedEvent, ImageResponse]](
        media.IMAGE_GENERATION, "prompt", "model"
    )
    image_edit = StreamingMethod[ImageResponse, Stream[StreamedEvent, ImageResponse]](
        media.IMAGE_EDIT, "image", "prompt"
    )
    aimage_edit = AsyncStreamingMethod[ImageResponse, AsyncStream[StreamedEvent, ImageResponse]](
        media.IMAGE_EDIT, "image", "prompt"
    )
    speech = Method[BinaryContent](media.SPEECH, "model", "input", "voice")
    aspeech = AsyncMethod[BinaryContent](media.SPEECH, "model", "input", "voice")
    transcription = StreamingMethod[TranscriptionResponse, Stream[StreamedEvent, TranscriptionResponse]](
        media.TRANSCRIPTION, "model", "file"
    )
    atranscription = AsyncStreamingMethod[TranscriptionResponse, AsyncStream[StreamedEvent, TranscriptionResponse]](
        media.TRANSCRIPTION, "model", "file"
    )
    moderation = Method[ModerationResponse](media.MODERATION, "model", "input")
    amoderation = AsyncMethod[ModerationResponse](media.MODERATION, "model", "input")

    @overload
    def text_completion(
        self, model: str, prompt: str | Sequence[Any], *, stream: Literal[False] | None = None, **arguments: Any
    ) -> TextCompletionResponse: ...
    @overload
    def text_completion(
        self, model: str, prompt: str | Sequence[Any], *, stream: Literal[True], **arguments: Any
    ) -> Stream[TextCompletionResponse, TextCompletionResponse]: ...
    @overload
    def text_completion(
        self, model: str, prompt: str | Sequence[Any], *, stream: bool | None, **arguments: Any
    ) -> TextCompletionResponse | Stream[TextCompletionResponse, TextCompletionResponse]: ...
    def text_completion(
        self, model: str, prompt: str | Sequence[Any], **arguments: Any
    ) -> TextCompletionResponse | Stream[TextCompletionResponse, TextCompletionResponse]:
        """See `penstock.text_completion`."""
        return text_completions.text_completion(self._engine, model=model, prompt=prompt, **arguments)

    @overload
    async def atext_completion(
        self, model: str, prompt: str | Sequence[Any], *, stream: Literal[False] | None = None, **arguments: Any
    ) -> TextCompletionResponse: ...
    @overload
    async def atext_completion(
        self, model: str, prompt: str | Sequence[Any], *, stream: Literal[True], **arguments: Any
    ) -> AsyncStream[TextCompletionResponse, TextCompletionResponse]: ...
    @overload
    async def atext_completion(
        self, model: str, prompt: str | Sequence[Any], *, stream: bool | None, **arguments: Any
    ) -> TextCompletionResponse | AsyncStream[TextCompletionResponse, TextCompletionResponse]: ...
    async def atext_completion(
        self, model: str, prompt: str | Sequence[Any], **arguments: Any
    ) -> TextCompletionResponse | AsyncStream[TextCompletionResponse, TextCompletionResponse]:
        """See `penstock.atext_completion`."""
        return await text_completions.atext_completion(self._engine, model=model, prompt=prompt, **arguments)

    @cached_property
    def chat(self) -> Chat:
        """`router.chat.completions.create(...)`, as a client has it."""
        return Chat(self._engine)

    @cached_property
    def achat(self) -> AsyncChat:
        """The same for coroutines."""
        return AsyncChat(self._engine)

    # -- what there is ------------------------------------------------------------------------------------------------

    @property
    def model_names(self) -> list[str]:
        """What a call may name as its model: groups and their aliases."""
        return list(self._routed.groups.names)

    @property
    def deployments(self) -> tuple[Deployment, ...]:
        """All deployments, in the order of the list."""
        return self._routed.groups.deployments

    def health(self, model_id: str) -> Health:
        """What is known of a deployment now."""
        return self._routed.health.snapshot().get(model_id, HEALTHY)

    def close(self) -> None:
        """Close the connections of blocking calls. A client of the user's own stays open."""
        self._engine.close()

    async def aclose(self) -> None:
        """Close the connections of coroutines' calls."""
        await self._engine.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


# -- what is checked when a router is made ----------------------------------------------------------------------------


def _with_defaults(model_list: Any, usual: Mapping[str, Any]) -> Any:
    """The list, each entry with the arguments that all have in common."""
    if not usual or isinstance(model_list, str | Mapping) or not isinstance(model_list, Sequence):
        return model_list
    entries: list[Any] = []
    for entry in model_list:
        own = (entry.get("litellm_params") or entry.get("params")) if isinstance(entry, Mapping) else None
        entries.append({**entry, "litellm_params": {**usual, **own}} if isinstance(own, Mapping) else entry)
    return entries


def _aliases(given: Mapping[str, Any] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, group in (given or {}).items():
        target = group.get("model") if isinstance(group, Mapping) else group
        if not isinstance(target, str):
            raise MalformedError(f"the alias {name!r} must name a group, got {group!r}", "model_group_alias")
        found[name] = target
    return found


def _strategy(given: str | Strategy) -> Strategy:
    if callable(given):
        return given
    if given not in STRATEGIES:
        raise MalformedError(f"{given!r} is none of: {', '.join(STRATEGIES)}", "routing_strategy")
    return STRATEGIES[given]


def _checked(groups: Groups, engine: Engine, strategy: Strategy) -> Groups:
    """The groups, once every model and alias is known to mean something; with prices where the strategy asks for them.

    Raises MalformedDeployment.
    """
    deployments = [_resolved(deployment, engine, strategy is cost) for deployment in groups.deployments]
    checked = Groups(deployments, groups.aliases)
    for alias in groups.aliases:
        _known_names([alias], checked)
    return checked


def _resolved(deployment: Deployment, engine: Engine, priced: bool) -> Deployment:
    if deployment.model in DEMO_NAMES or "*" in deployment.model or "mock_response" in deployment.arguments:
        return deployment
    options, _ = split(deployment.arguments, engine.addresses, engine.defaults)
    try:
        found = engine.resolve(deployment.model, options)
        if not priced:
            return deployment
        return replace(deployment, price=_price(engine, found.provider.name, found.model, options))
    except ProviderError as error:
        raise MalformedDeployment(f"the deployment {deployment.id!r} of {deployment.group!r}: {error}") from None


def _price(engine: Engine, provider: str, model: str, options: Options) -> Decimal | None:
    """US dollars a million tokens, in and out together; None where either is not known."""
    prices = engine.facts.prices(model, provider, base_model=options.base_model)
    rates: Mapping[str, Any] = {**(prices.rates if prices is not None else {}), **options.prices}
    figures = [rates.get("input_cost_per_token"), rates.get("output_cost_per_token")]
    if None in figures:
        return None
    return sum((Decimal(str(figure)) for figure in figures), Decimal(0)) * 1_000_000


def _known(table: dict[str, Sequence[str]], groups: Groups) -> dict[str, Sequence[str]]:
    return {group: _known_names(names, groups) for group, names in table.items()}


def _known_names(names: Sequence[str], groups: Groups) -> tuple[str, ...]:
    try:
        for name in names:
            groups.canonical(name)
    except UnknownGroup as error:
        raise MalformedDeployment(f"a fallback or an alias: {error}") from None
    return tuple(names)


def _list(name: str, value: Any) -> list[Any]:
    if isinstance(value, str | Mapping) or not isinstance(value, Sequence):
        raise MalformedError(f"expected a list, got {value!r}", name)
    return list(value)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise MalformedError(f"expected seconds, 0 or more, got {value!r}", name)
    return float(value)


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise MalformedError(f"expected a whole number, 0 or more, got {value!r}", name)
    return value


_POLICY: dict[str, tuple[ErrorKind, ...]] = {
    "BadRequestErrorRetries": ("invalid_request",),
    "AuthenticationErrorRetries": ("authentication", "permission"),
    "TimeoutErrorRetries": ("timeout",),
    "RateLimitErrorRetries": ("rate_limit", "quota"),
    "ContentPolicyViolationErrorRetries": ("content_policy",),
    "InternalServerErrorRetries": ("server", "bad_gateway"),
    "ServiceUnavailableErrorRetries": ("unavailable", "overloaded"),
    "NotFoundErrorRetries": ("not_found",),
}


def _retry_policy(given: Any) -> dict[ErrorKind, int]:
    """LiteLLM's RetryPolicy, as a dict or as its object."""
    if given is None:
        return {}
    policy = given if isinstance(given, Mapping) else vars(given)
    found: dict[ErrorKind, int] = {}
    for name, count in policy.items():
        if name not in _POLICY:
            raise MalformedError(f"{name!r} is none of: {', '.join(_POLICY)}", "retry_policy")
        if count is not None:
            found |= dict.fromkeys(_POLICY[name], _whole(f"retry_policy.{name}", count))
    return found
