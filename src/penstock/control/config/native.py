"""The native form: what a Penstock configuration file may say, as models. All else is an error.

These models are the one source: the published JSON schema and the reference page are generated from them. Every field
says in `description` what it means, its unit, and what holds where it is not given.

Strict: unknown keys are refused. Seconds may bear a unit ("30s", "5m"); numbers and switches may be texts, since what
comes from the environment (`env:NAME`) is one.
"""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.fields import FieldInfo

from penstock.control.config import words
from penstock.control.config.words import (
    Amount,
    Counts,
    Mapped,
    Moment,
    Names,
    Number,
    Period,
    Positive,
    Seconds,
    Share,
    Size,
    Switch,
    Table,
    Text,
    Texts,
    Timeout,
    Whole,
)
from penstock.gateway.snapshot import RoutingSettings, Settings

ON_DISCONNECT = ("abort", "drain")
LOG_LEVELS = ("debug", "info", "warning", "error")
_ROUTING = RoutingSettings()
_SETTINGS = Settings()


LogLevel = Annotated[str, BeforeValidator(words.one_of(*LOG_LEVELS)), WithJsonSchema({"enum": list(LOG_LEVELS)})]
OnDisconnect = Annotated[
    str, BeforeValidator(words.one_of(*ON_DISCONNECT)), WithJsonSchema({"enum": list(ON_DISCONNECT)})
]


def _nullable(field: FieldInfo) -> bool:
    return type(None) in get_args(field.annotation)


class Block(BaseModel):
    """A mapping whose keys are known. A key without a value (`rpm:`) is one that was not given."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, given: Any) -> Any:
        """What is given, without the keys that have no value, but for those where nothing is a value (`timeout:`)."""
        if not isinstance(given, dict):
            return given
        fields = cls.model_fields
        empty = [
            name for name, value in given.items() if value is None and name in fields and not _nullable(fields[name])
        ]
        return {name: value for name, value in given.items() if name not in empty}

    def __repr__(self) -> str:
        """No values: secrets are among them."""
        return f"{type(self).__name__}({', '.join(sorted(self.model_fields_set))})"

    __str__ = __repr__


class Network(Block):
    """How to reach a provider."""

    proxy: Text | None = Field(
        default=None, description="URL of an HTTP proxy. Default: HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
    )
    ca: Text | None = Field(
        default=None, description="file with the certificate authorities to trust. Default: the system's"
    )
    cert: Text | None = Field(default=None, description="file with the client certificate (PEM)")
    key: Text | None = Field(default=None, description="file with its private key. Default: in the same file")
    verify: Switch = Field(
        default=True, description="whether the server's certificate is checked; false only for tests"
    )


class Prices(Block):
    """The caller's own prices, in US dollars for a million tokens, exact as written."""

    input: Amount | None = Field(default=None, description="tokens in")
    output: Amount | None = Field(default=None, description="tokens out")
    cache_read: Amount | None = Field(default=None, description="tokens in that the provider had in its cache")
    cache_write: Amount | None = Field(default=None, description="tokens in that it put there")


class HealthCheck(Block):
    """A call that is made to see whether a deployment answers. It costs what a short call costs."""

    enabled: Switch = Field(default=True, description="false: not this one")
    every: Timeout = Field(default=300.0, description="seconds between two")
    timeout: Timeout = Field(default=60.0, description="seconds after which it counts as failed")
    model: Text | None = Field(default=None, description="the model to ask, for a wildcard deployment")


class Model(Block):
    """A deployment: one place where a model is answered. Several of one `name` are a group."""

    name: Text = Field(description="the name that callers use. With a `*` it stands for all names that fit")
    model: Text = Field(
        description="provider/model, such as `openai/gpt-5-mini`. A `*` is what stood for it in the name"
    )
    id: Text | None = Field(
        default=None, description="names this deployment. Default: a digest of name, model and address"
    )
    provider: Text | None = Field(default=None, description="the provider, where `model` does not begin with it")
    api_key: Text | None = Field(
        default=None, description="the provider's key. Default: from the provider's own variables"
    )
    api_base: Text | None = Field(default=None, description="the provider's address. Default: its public one")
    api_version: Text | None = Field(default=None, description="version of the API, where it has several (Azure)")
    base_model: Text | None = Field(default=None, description="the well-known model behind it, for prices and limits")
    arguments: Mapped | None = Field(
        default=None,
        description="further arguments of the call: the provider's settings (`aws_region_name`, `vertex_project` ...), "
        "options of the SDK, and defaults for the request (`temperature` ...)",
    )
    headers: Texts | None = Field(default=None, description="headers to add to each request")
    order: Positive = Field(default=1, description="1 is tried before 2, whatever the strategy says")
    weight: Number | None = Field(
        default=None, description="share of the traffic of its group. Default: by rpm, then tpm"
    )
    rpm: Number | None = Field(default=None, description="requests a minute that it takes")
    tpm: Number | None = Field(default=None, description="tokens a minute that it takes")
    max_parallel_requests: Positive | None = Field(
        default=None, description="requests at once that it takes, of all workers. Default: any"
    )
    retries: Whole | None = Field(
        default=None, description="further attempts after it failed. Default: as in `routing`"
    )
    cooldown: Seconds | None = Field(
        default=None, description="seconds that it rests after failures. Default: as in `routing`"
    )
    timeout: Timeout | None = Field(
        default=None, description="seconds for a whole call to it. Default: as in `routing`"
    )
    stream_timeout: Timeout | None = Field(default=None, description="the same for streams. Default: `timeout`")
    connect_timeout: Timeout | None = Field(default=None, description="seconds to connect. Default: as in `routing`")
    first_token_timeout: Timeout | None = Field(default=None, description="seconds to the first piece of the answer")
    between_tokens_timeout: Timeout | None = Field(default=None, description="seconds between two pieces")
    tags: Names = Field(default=(), description="requests that bear tags go to deployments that bear them")
    access_groups: Names = Field(default=(), description="names by which keys may be given access to this group")
    prices: Prices | None = Field(default=None, description="your own prices. Default: the provider's list")
    facts: Mapped | None = Field(
        default=None, description="what else is known of the model (`max_input_tokens`, `supports_vision`, `mode` ...)"
    )
    drop_params: Switch | None = Field(default=None, description="as `general.drop_params`, for this deployment")
    drop: Names = Field(
        default=(), description="parameters that are always left out, such as `user` or `tools[*].strict`"
    )
    network: Network | None = Field(default=None, description="proxy and certificates")
    health_check: HealthCheck | None = Field(
        default=None, description="active checks. Default: as `general.health_check`"
    )


class Routing(Block):
    """How groups are routed. Fallback tables: group (`"*"`: every other) to groups, in order."""

    strategy: Text = Field(default=_ROUTING.strategy, description="how the deployments of a group are ordered")
    strategies: Texts = Field(default={}, description="the same for single groups: group to strategy")
    retries: Whole = Field(
        default=_ROUTING.retries, description="further attempts within a group, after an error that may pass"
    )
    retry_policy: Counts = Field(default={}, description="the same by kind of error: `rate_limit: 5`, `timeout: 0` ...")
    group_retry_policy: Mapped = Field(default={}, description="group to a retry policy of its own")
    retry_after: Seconds = Field(default=0.0, description="seconds at least before the same deployment is asked again")
    allowed_fails: Whole | None = Field(
        default=None,
        description="failures a minute before a deployment rests. Default: some errors at once, else half of five",
    )
    allowed_fails_policy: Counts = Field(default={}, description="the same by kind of error")
    cooldown: Seconds = Field(default=_ROUTING.cooldown, description="seconds of a rest; a longer Retry-After counts")
    cooldowns: Switch = Field(default=True, description="false: nobody ever rests")
    fallbacks: Table = Field(default={}, description="where a group that failed falls back to")
    context_window_fallbacks: Table = Field(
        default={}, description="the same, for requests that are too long for the group"
    )
    content_policy_fallbacks: Table = Field(default={}, description="the same, for refusals of a content filter")
    default_fallbacks: Names = Field(default=(), description="for groups that are in none of these tables")
    max_fallbacks: Whole = Field(default=_ROUTING.max_fallbacks, description="other groups that one call may come to")
    connect_timeout: Timeout | None = Field(default=_ROUTING.connect_timeout, description="seconds to connect")
    first_token_timeout: Timeout | None = Field(
        default=_ROUTING.first_token_timeout, description="seconds to the first piece of an answer"
    )
    between_tokens_timeout: Timeout | None = Field(
        default=_ROUTING.between_tokens_timeout, description="seconds between two pieces of a stream"
    )
    timeout: Timeout | None = Field(
        default=_ROUTING.timeout, description="seconds for a whole call with all its attempts"
    )
    check_context_window: Switch = Field(
        default=True, description="leave deployments out whose context window is too small for the request"
    )
    tag_filtering: Switch = Field(default=True, description="whether tags of requests choose deployments")
    match_any_tag: Switch = Field(default=True, description="false: a deployment must bear all tags of the request")
    sticky_seconds: Seconds = Field(
        default=0.0,
        description="seconds that a conversation stays with a deployment, for the provider's prompt cache; 0: never",
    )
    queue_size: Whole = Field(default=0, description="requests that may wait for capacity in a worker; 0: none")
    queue_seconds: Seconds = Field(default=0.0, description="seconds that they wait at most")
    rules: list[Mapped] = Field(default=[], description="task routing: what a request is chooses the group")
    cascades: Mapped = Field(
        default={}, description="a name to cheap and strong groups: the cheap first, if its answer passes"
    )


class Key(Block):
    """A virtual key. Exactly one of `key` and `sha256`."""

    key: Text | None = Field(default=None, description="the key, best as `env:NAME`")
    sha256: Text | None = Field(
        default=None, description="SHA-256 of the key, 64 hex digits: the key itself stands nowhere"
    )
    alias: Text | None = Field(default=None, description="a name for it, which logs and metrics show")
    models: Names = Field(
        default=(), description="groups, patterns and access groups that it may ask for. Default: all"
    )
    aliases: Texts = Field(default={}, description="names that are only its own, to groups")
    expires: Moment | None = Field(
        default=None, description="when it ends, such as `2027-01-31T18:00:00Z`. Default: never"
    )
    blocked: Switch = Field(default=False, description="true: refused")
    rpm_limit: Whole | None = Field(default=None, description="requests a minute. Default: any number")
    tpm_limit: Whole | None = Field(default=None, description="tokens a minute. Default: any number")
    max_parallel_requests: Whole | None = Field(default=None, description="requests at once. Default: any number")
    max_budget: Amount | None = Field(default=None, description="US dollars that it may spend. Default: any amount")
    budget_duration: Period | None = Field(
        default=None, description="after which the budget begins again (`24h`, `7d`, `1mo`). Default: never"
    )
    tags: Names = Field(default=(), description="tags of all its calls")
    metadata: Mapped = Field(default={}, description="your own, kept with each of its calls in the ledger")


class General(Block):
    """All else."""

    master_key: Text | None = Field(
        default=None,
        description="may do everything. Default: PENSTOCK_MASTER_KEY or LITELLM_MASTER_KEY, else made for the run",
    )
    state_dir: Text | None = Field(
        default=None,
        description="folder of database and journals. Default: PENSTOCK_STATE_DIR, else below ~/.local/state",
    )
    spend_log_retention: Seconds | None = Field(
        default=None, description="seconds (`90d`) after which rows of the ledger are deleted. Default: never"
    )
    drain_seconds: Seconds = Field(
        default=_SETTINGS.drain_seconds, description="seconds for calls under way, at the end"
    )
    max_body: Size = Field(default=_SETTINGS.max_body, description="bytes (`64MiB`) that a request body may have")
    litellm_headers: Switch = Field(default=False, description="send `x-litellm-*` response headers too")
    drop_params: Switch = Field(
        default=True, description="leave out, with a note, what a model does not take; false: refuse the request"
    )
    on_disconnect: OnDisconnect = Field(
        default=_SETTINGS.on_disconnect,
        description="when a client leaves: `abort` the provider's stream, or `drain` it for its usage",
    )
    store_prompts: Switch = Field(default=False, description="keep prompts and answers in ledger and log")
    forward_headers: Names = Field(
        default=(), description="names of client headers that go on to the provider (`x-*`: all that begin so)"
    )
    budget_status: Whole = Field(default=_SETTINGS.budget_status, description="HTTP status of a budget that is spent")
    default_max_output: Positive = Field(
        default=_SETTINGS.default_max_output, description="tokens out to reserve where neither call nor model say"
    )
    allowed_client_arguments: Names = Field(
        default=(), description="arguments (`api_key`, `api_base` ...) that a client may bring itself"
    )
    key_defaults: Mapped = Field(
        default={}, description="fields of `/key/generate` that hold where a request for a key does not say them"
    )
    key_bounds: Mapped = Field(
        default={},
        description="the most that a request for a key may ask for (`max_budget`, `rpm_limit`, `duration` ...)",
    )
    health_check: HealthCheck | None = Field(default=None, description="active checks of all models. Default: none")
    log_level: LogLevel = Field(default=_SETTINGS.log_level, description="the least severe messages to log")
    log_file: Text | None = Field(default=None, description="where to log; `stdout` too. Default: standard error")
    otel_endpoint: Text | None = Field(
        default=None, description="address of an OpenTelemetry collector (OTLP over HTTP). Default: no tracing"
    )
    otel_sample_ratio: Share = Field(default=1.0, description="share of the traces that begin here that are recorded")
    metrics_key_labels: Switch = Field(default=False, description="tell metrics apart by the alias of the key, too")
    litellm_metrics: Switch = Field(default=False, description="write metrics under LiteLLM's names, too")


class Provider(Block):
    """Whose paths are served below `/{provider}/`, with these credentials in place of the client's."""

    api_key: Text | None = Field(default=None, description="the provider's key. Default: from its own variables")
    api_base: Text | None = Field(default=None, description="its address. Default: its public one")
    arguments: Mapped | None = Field(
        default=None, description="further settings of the provider (`aws_region_name` ...)"
    )


class Endpoint(Block):
    """A path of the gateway that leads to an address of yours."""

    path: Text = Field(description="path of the gateway, such as `/v1/search`")
    target: Text = Field(description="URL that it leads to")
    headers: Texts = Field(default={}, description="headers to set, such as `Authorization`")
    methods: Names = Field(default=(), description="HTTP methods. Default: all")
    include_subpath: Switch = Field(default=False, description="whether paths below lead to those below the target")
    forward_headers: Switch = Field(default=False, description="whether the client's headers go along, but for its key")
    auth: Switch = Field(default=True, description="whether callers need a key")


class Config(Block):
    """A configuration file of Penstock."""

    models: list[Model] = Field(default=[], description="the deployments")
    aliases: Texts = Field(default={}, description="other names of groups: name to group")
    routing: Routing = Field(default_factory=Routing, description="how groups are routed")
    keys: list[Key] = Field(default=[], description="virtual keys, besides those in the database")
    general: General = Field(default_factory=General, description="all else")
    pass_through: dict[str, Provider | None] = Field(
        default={}, description="providers whose own paths are served: provider to credentials"
    )
    endpoints: list[Endpoint] = Field(default=[], description="paths that lead to addresses of yours")
    environment_variables: Mapped = Field(
        default={}, description="environment variables to set for this configuration and its providers"
    )
    include: Names = Field(
        default=(), description="further files, relative to this one; their lists and mappings are joined"
    )
