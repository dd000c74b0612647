"""Snapshot: all that a worker must know of the configuration, as one immutable value.

The control plane makes it (control/config), checks it, and pushes it to every worker, which swaps it in by reference: a
request sees one snapshot from its beginning to its end. It crosses the channel as MessagePack, so it holds plain values
only. Secrets are in it in the clear (workers need them); it is never written to a file or a log, and does not print.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from penstock.routing.deployment import Deployment


class RoutingSettings(Struct, frozen=True, kw_only=True):
    """How groups are routed; the words and defaults are those of LiteLLM's `router_settings`.

    Fallback tables: group ("*": every other) -> groups, in order. `retry_policy` and `allowed_fails_policy`: kind of
    error -> number. Seconds everywhere.
    """

    strategy: str = "simple-shuffle"
    strategies: Mapping[str, str] = {}
    retries: int = 2
    retry_policy: Mapping[str, int] = {}
    group_retry_policy: Mapping[str, Mapping[str, int]] = {}
    retry_after: float = 0.0
    allowed_fails: int | None = None
    allowed_fails_policy: Mapping[str, int] = {}
    cooldown: float = 5.0
    cooldowns: bool = True
    fallbacks: Mapping[str, tuple[str, ...]] = {}
    context_window_fallbacks: Mapping[str, tuple[str, ...]] = {}
    content_policy_fallbacks: Mapping[str, tuple[str, ...]] = {}
    default_fallbacks: tuple[str, ...] = ()
    max_fallbacks: int = 5
    connect_timeout: float | None = 10.0
    first_token_timeout: float | None = 600.0
    between_tokens_timeout: float | None = 600.0
    timeout: float | None = 600.0
    check_context_window: bool = True
    tag_filtering: bool = True
    match_any_tag: bool = True
    sticky_seconds: float = 0.0
    queue_size: int = 0
    queue_seconds: float = 0.0
    rules: tuple[Mapping[str, Any], ...] = ()
    cascades: Mapping[str, Mapping[str, Any]] = {}


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that is not routing.

    litellm_headers    send `x-litellm-*` response headers too
    drop_params        leave parameters out that a target does not take, with a note (False: refuse)
    max_body           bytes that a request body may have
    drain_seconds      how long calls under way may take to end when the gateway is told to stop
    on_disconnect      what becomes of a provider's stream when the client leaves: "abort" or "drain" (read on for its
                       usage)
    store_prompts      keep prompts and answers in the ledger and the log
    forward_headers    names of client headers that go on to the provider; one that ends in `*` stands for all that
                       begin
                       so. None that bears the client's key goes on
    budget_status      HTTP status of a budget that is spent
    default_max_output tokens out that a call is taken to need at most where neither it nor the model's facts say
    allowed_client_arguments  arguments (`api_base`, `api_key`, ...) that a client may bring itself: none by default
    log_level          the least level that is logged: "debug", "info" (every request), "warning" (those that failed)
                       or "error"
    log_file           where the log is written; None: standard error; "stdout": standard output
    otel_endpoint      address of an OpenTelemetry collector (OTLP over HTTP) that gets spans; None: no tracing
    otel_sample_ratio  share of the traces that begin here that are recorded (callers decide about theirs)
    metrics_key_labels tell metrics apart by the alias of the key, too
    litellm_metrics    write metrics under LiteLLM's names, too
    """

    litellm_headers: bool = False
    drop_params: bool = True
    max_body: int = 64 * 1024 * 1024
    drain_seconds: float = 30.0
    on_disconnect: str = "abort"
    store_prompts: bool = False
    forward_headers: tuple[str, ...] = ()
    budget_status: int = 429
    default_max_output: int = 16_384
    allowed_client_arguments: tuple[str, ...] = ()
    log_level: str = "info"
    log_file: str | None = None
    otel_endpoint: str | None = None
    otel_sample_ratio: float = 1.0
    metrics_key_labels: bool = False
    litellm_metrics: bool = False


class Endpoint(Struct, frozen=True, kw_only=True):
    """A path of the gateway that leads to an address of the operator's own.

    path     such as "/v1/search"; target: the URL that it leads to
    headers  to set, in place of the client's own of these names (secrets are among them)
    methods  upper case; none: all
    subpaths whether paths below lead to those below the target
    forward_headers   whether the client's headers go along, but for those that carry its key
    keyless  whether callers need no key
    """

    path: str
    target: str
    headers: Mapping[str, str] = {}
    methods: tuple[str, ...] = ()
    subpaths: bool = False
    forward_headers: bool = False
    keyless: bool = False


class Snapshot(Struct, frozen=True, kw_only=True):
    """The configuration in force.

    version      grows by one with each that is applied
    deployments  what can be asked; their arguments hold resolved secrets
    aliases      other names of groups
    pass_through  provider -> arguments (api_key, api_base ...) for /{provider}/{path}
    endpoints    paths that lead to addresses of the operator's own
    environment  variables that the configuration sets: they come before those of the process, for credentials too
    """

    version: int
    deployments: tuple[Deployment, ...] = ()
    aliases: Mapping[str, str] = {}
    routing: RoutingSettings = RoutingSettings()
    settings: Settings = Settings()
    pass_through: Mapping[str, Mapping[str, Any]] = {}
    endpoints: tuple[Endpoint, ...] = ()
    environment: Mapping[str, str] = {}

    def __repr__(self) -> str:
        return f"Snapshot(version={self.version}, {len(self.deployments)} deployments)"
