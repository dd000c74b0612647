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

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from types import TracebackType
from typing import Any, Self

from penstock.calls.engine import ENGINE_ARGUMENTS, Engine
from penstock.calls.failures import raising
from penstock.calls.options import Options, split, timeouts_of
from penstock.client import api, dialect_calls, media, text_completions
from penstock.client import api_dialects as shapes
from penstock.client import api_operations as operations
from penstock.client import router_settings as settings
from penstock.client.clients import Chat
from penstock.client.embeddings import EMBEDDING, EmbeddingCall
from penstock.client.reranking import RERANK
from penstock.client.resources import (
    Awaited,
    Blocking,
    Call,
    FunctionDoor,
    OperationDoor,
    Resource,
    ShapeDoor,
)
from penstock.client.result_objects import ModerationResponse
from penstock.client.routed_engine import RoutedEngine
from penstock.client.shapes import CHAT_SHAPE
from penstock.routing.deployment import Deployment, deployments_of
from penstock.routing.groups import Groups, UnknownGroup
from penstock.routing.health import HEALTHY, CooldownRules, Health
from penstock.routing.plan import Retries
from penstock.routing.policies import policy_of, whole
from penstock.routing.strategies import Strategy

_TEXT = FunctionDoor(text_completions.text_completion, text_completions.atext_completion)


def _moderation(model: str, input: str | Sequence[Any], **arguments: Any) -> ModerationResponse:
    """As `penstock.moderation`, with the group first."""
    return operations.moderation(input, model, **arguments)


async def _amoderation(model: str, input: str | Sequence[Any], **arguments: Any) -> ModerationResponse:
    """As `penstock.amoderation`, with the group first."""
    return await operations.amoderation(input, model, **arguments)


class Router(Resource[Blocking]):
    """Calls to model groups.

    model_list            the deployments, in LiteLLM's form: `{"model_name": group, "litellm_params": {"model", ...},
                          "model_info": {"id"}}`. `litellm_params` holds arguments of the call (a call's own come
                          first), and of routing: order, weight, rpm, tpm, max_parallel_requests, cooldown_time,
                          stream_timeout, num_retries. A value "os.environ/NAME" is that variable's. A `*` in both
                          names is a pattern
    routing_strategy      "simple-shuffle" (by weight, else rpm, else tpm), "least-busy", "latency-based-routing",
                          "cost-based-routing", "usage-based-routing"; or a function of the form of those in
                          `penstock.routing.strategies`
    num_retries           further attempts within a group after an error that another attempt may not meet (default 2).
                          The number of the deployment that failed, and before it the call's own, count more
    retry_policy          the same by error, before all these: {"RateLimitErrorRetries": 5, ...}
    model_group_retry_policy    {"group": a retry policy of its own}
    retry_after           seconds to wait at least before the same deployment is asked again
    fallbacks             [{"group": ["other", ...]}]: groups (or ids of deployments) to go to when one has failed
    context_window_fallbacks, content_policy_fallbacks    the same, for these two errors
    default_fallbacks     for groups that are in none of these
    max_fallbacks         how many of them one call may try (default 5)
    allowed_fails         failures a minute before a deployment rests. Default: 429, 401, 402, 403, 404 and 408 rest it
                          at once, others when they are more than half of at least 5 requests
    allowed_fails_policy  the same by error: {"RateLimitErrorAllowedFails": 100, ...}
    cooldown_time         seconds of a rest (default 5; a longer Retry-After counts)
    disable_cooldowns     nobody ever rests
    timeout, stream_timeout    seconds for a whole call with all its attempts; for a streamed one
    enable_tag_filtering  the `tags` of a call choose among the deployments with `tags`: those that have one of them
                          (all of them, with tag_filtering_match_any=False), else those tagged "default". A call without
                          tags goes to those tagged "default", else to those without tags
    model_group_alias     {"another name": "group"}, or {"another name": {"model": "group"}}
    default_litellm_params     arguments of every deployment that does not say otherwise
    default_max_parallel_requests    the `max_parallel_requests` of these
    set_verbose           log every attempt and its end on the logger "penstock", at `debug_level` ("INFO", "DEBUG")

    All else is an option for every call (`penstock.calls.options.Options`), or an argument of
    `penstock.calls.engine.Engine`. Raises ValueError for a list or a table that is not right, TypeError for an
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
        routing_strategy: str | Strategy | None = "simple-shuffle",
        num_retries: int | None = 2,
        retry_policy: Mapping[str, int | None] | Any = None,
        model_group_retry_policy: Mapping[str, Any] | None = None,
        retry_after: float | None = 0.0,
        fallbacks: Sequence[Any] | None = None,
        context_window_fallbacks: Sequence[Any] | None = None,
        content_policy_fallbacks: Sequence[Any] | None = None,
        default_fallbacks: Sequence[str] | None = None,
        max_fallbacks: int | None = 5,
        allowed_fails: int | None = None,
        allowed_fails_policy: Mapping[str, int | None] | Any = None,
        cooldown_time: float | None = 5.0,
        disable_cooldowns: bool | None = False,
        default_max_parallel_requests: int | None = None,
        enable_tag_filtering: bool = False,
        tag_filtering_match_any: bool = True,
        timeout: Any = None,
        stream_timeout: float | None = None,
        model_group_alias: Mapping[str, Any] | None = None,
        default_litellm_params: Mapping[str, Any] | None = None,
        set_verbose: bool = False,
        debug_level: str = "INFO",
        **arguments: Any,
    ) -> None:
        made = {name: arguments.pop(name) for name in ENGINE_ARGUMENTS if name in arguments}
        plain = Engine(**made)
        timeouts_of(timeout)
        arguments = {**arguments, "num_retries": num_retries, "timeout": timeout}
        defaults, unknown = split(arguments, plain.addresses, Options())
        settings.refuse(unknown)
        usual = settings.defaults_of(
            default_litellm_params,
            stream_timeout=None if stream_timeout is None else settings.number("stream_timeout", stream_timeout),
            max_parallel_requests=default_max_parallel_requests,
        )
        strategy = settings.strategy_of(routing_strategy)
        deployments = deployments_of(settings.with_defaults(model_list, usual), plain.environment)
        groups = settings.checked(Groups(deployments, settings.aliases_of(model_group_alias)), plain, strategy)
        table = settings.fallbacks_of(
            fallbacks, context_window_fallbacks, content_policy_fallbacks, default_fallbacks, max_fallbacks
        )
        rules = CooldownRules(
            seconds=settings.number("cooldown_time", cooldown_time, 5.0),
            allowed_fails=None if allowed_fails is None else whole("allowed_fails", allowed_fails),
            fails_by_kind=policy_of(allowed_fails_policy, "allowed_fails_policy", "AllowedFails"),
            enabled=disable_cooldowns is not True,
        )
        retries = Retries(
            by_kind=policy_of(retry_policy, "retry_policy", "Retries"),
            by_group=settings.policies_of(model_group_retry_policy, groups),
        )
        engine = RoutedEngine(
            groups,
            strategy,
            fallbacks=settings.known_fallbacks(table, groups),
            retries=retries,
            rules=rules,
            least_wait=settings.number("retry_after", retry_after),
            tags=bool(enable_tag_filtering),
            any_tag=tag_filtering_match_any is not False,
            says=getattr(logging, str(debug_level).upper(), logging.INFO) if set_verbose else None,
            defaults=defaults,
            **made,
        )
        self._routed = engine
        super().__init__(engine)

    # -- calls --------------------------------------------------------------------------------------------------------

    completion = Call(ShapeDoor(CHAT_SHAPE), api.completion)
    acompletion = Call(ShapeDoor(CHAT_SHAPE), api.acompletion)
    text_completion = Call(_TEXT, shapes.text_completion)
    atext_completion = Call(_TEXT, shapes.atext_completion)
    responses = Call(ShapeDoor(dialect_calls.RESPONSES_SHAPE), shapes.responses)
    aresponses = Call(ShapeDoor(dialect_calls.RESPONSES_SHAPE), shapes.aresponses)
    messages = Call(ShapeDoor(dialect_calls.MESSAGES_SHAPE), shapes.messages)
    amessages = Call(ShapeDoor(dialect_calls.MESSAGES_SHAPE), shapes.amessages)
    generate_content = Call(ShapeDoor(dialect_calls.GEMINI_SHAPE, stream=False), shapes.generate_content)
    agenerate_content = Call(ShapeDoor(dialect_calls.GEMINI_SHAPE, stream=False), shapes.agenerate_content)
    embedding = Call(OperationDoor(EMBEDDING, EmbeddingCall), operations.embedding)
    aembedding = Call(OperationDoor(EMBEDDING, EmbeddingCall), operations.aembedding)
    rerank = Call(OperationDoor(RERANK), operations.rerank)
    arerank = Call(OperationDoor(RERANK), operations.arerank)
    image_generation = Call(OperationDoor(media.IMAGE_GENERATION), operations.image_generation)
    aimage_generation = Call(OperationDoor(media.IMAGE_GENERATION), operations.aimage_generation)
    image_edit = Call(OperationDoor(media.IMAGE_EDIT), operations.image_edit)
    aimage_edit = Call(OperationDoor(media.IMAGE_EDIT), operations.aimage_edit)
    speech = Call(OperationDoor(media.SPEECH), operations.speech)
    aspeech = Call(OperationDoor(media.SPEECH), operations.aspeech)
    transcription = Call(OperationDoor(media.TRANSCRIPTION), operations.transcription)
    atranscription = Call(OperationDoor(media.TRANSCRIPTION), operations.atranscription)
    moderation = Call(OperationDoor(media.MODERATION), _moderation)
    amoderation = Call(OperationDoor(media.MODERATION), _amoderation)

    @cached_property
    def chat(self) -> Chat[Blocking]:
        """`router.chat.completions.create(...)`, as a client has it."""
        return Chat(self._engine)

    @cached_property
    def achat(self) -> Chat[Awaited]:
        """The same for coroutines."""
        return Chat(self._engine, awaits=True)

    # -- what there is ------------------------------------------------------------------------------------------------

    @property
    def model_names(self) -> list[str]:
        """What a call may name as its model: groups and their aliases."""
        return list(self._routed.groups.names)

    @property
    def model_list(self) -> list[dict[str, Any]]:
        """The deployments as entries of a `model_list`. The keys are in it."""
        return [deployment.entry for deployment in self.deployments]

    def get_model_list(self, model_name: str | None = None) -> list[dict[str, Any]]:
        """The same, of one group or alias only; none where there is no such group."""
        if model_name is None:
            return self.model_list
        try:
            return [deployment.entry for deployment in self._routed.groups.find(model_name)]
        except UnknownGroup:
            return []

    def get_model_names(self) -> list[str]:
        """As `model_names`."""
        return self.model_names

    def get_available_deployment(self, model: str, **ignored: Any) -> dict[str, Any]:
        """The deployment that a call to this group would go to now, as an entry of a `model_list`, its key in it. It is
        not asked. (LiteLLM's other arguments are accepted and change nothing.)

        Raises UnknownModelError for a name that there is not, ServiceUnavailableError where all rest.
        """
        with raising("", model):
            return self._routed.best(model).entry

    async def async_get_available_deployment(self, model: str, **ignored: Any) -> dict[str, Any]:
        """The same for coroutines."""
        return self.get_available_deployment(model)

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
