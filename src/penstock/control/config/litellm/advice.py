"""Advice: the keys of LiteLLM's config.yaml that are not honoured, each with what to do. They are listed once at start.

Three kinds: what nothing here enforces (to be read before the first request), what does not exist here, and what is
not needed here, since Penstock has it always or has no use for it. A key that asks for nothing (false, empty) is not
listed.

An empty advice: what the key asks for is always so.

Source: the keys of https://docs.litellm.ai/docs/proxy/config_settings
"""

from __future__ import annotations

from collections.abc import Mapping

_OTEL = "use general_settings with OpenTelemetry (the callback `otel`), or read the ledger at /spend/logs"
_METRICS = "watch /metrics and alert from there"
_KEYS = "give keys budgets and limits of their own (/key/generate, or `keys` in Penstock's own form)"
_CACHE = "answers are not cached"
_USERS = "there are keys and no users or teams yet"
_NO_DATABASE = "the database is SQLite in the state directory, and needs no settings"
_ONE_NODE = "limits are exact over all workers of this node without Redis"
_JOURNAL = "every call goes through a journal on disk first, and is written from there at once"
_CONSOLE = "there is no admin console yet"
_SIGN_IN = "callers are known by their keys only"


def _not_enforced(what: str) -> str:
    return f"NOT enforced: {what}"


def _all(names: str, advice: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), advice)


GENERAL: Mapping[str, str] = {
    "database_url": "not used: spend and keys are kept in SQLite in the state directory; PostgreSQL follows",
    "disable_spend_logs": "no spend is ever lost here: the ledger is always written",
    "disable_error_logs": "the ledger has every request, with its error",
    "store_model_in_db": "models come from this file; change it, or apply another with `penstock config apply`",
    "infer_model_from_keys": "list the models, or serve without a file: then every provider with a key is served",
    "custom_auth": _not_enforced("callers need a key of Penstock"),
    "allowed_ips": _not_enforced("bind to an inner address (--host), or use a firewall"),
    "global_max_parallel_requests": _not_enforced(_KEYS),
    "max_parallel_requests": _not_enforced(_KEYS),
    "max_response_size_mb": _not_enforced("answers are streamed, and do not fill the memory"),
    "alerting": _METRICS,
    "user_api_key_cache_ttl": "a changed key holds on all workers in under a second",
    "allow_requests_on_db_unavailable": "",
    "fail_closed_rate_limit_enforcement": "",
    "disable_budget_reservation": "budgets are always reserved before a call, so that none is overspent",
    "max_in_flight_requests_per_worker": "give deployments max_parallel_requests",
    "maximum_spend_logs_retention_interval": "old rows are deleted as they become old",
    "maximum_spend_logs_cleanup_cron": "old rows are deleted as they become old",
    "health_check_details": "/health shows no secrets",
    "use_shared_health_check": "checks are always made once for all workers",
    "key_management_system": "give keys as environment variables (os.environ/NAME)",
    "key_management_settings": "give keys as environment variables (os.environ/NAME)",
    "litellm_key_header_name": "keys are taken from Authorization, x-api-key, api-key, x-goog-api-key and ?key=",
    "completion_model": "callers name the model",
    "custom_key_generate": "keys are made by /key/generate",
    "require_end_user_mcp_access_defined": "there is no MCP gateway yet",
    "background_health_check_concurrency": "checks are spread over their interval",
    **_all("enable_jwt_auth litellm_jwtauth enable_oauth2_auth enable_oauth2_proxy_auth custom_sso", _SIGN_IN),
    **_all("oauth2_config_mappings role_permissions custom_ui_sso_sign_in_handler sso_group", _SIGN_IN),
    **_all("ui_access_mode ui_settings disable_admin_ui custom_ui default_team_disabled", _CONSOLE),
    **_all("alert_types alerting_args alerting_threshold alert_to_webhook_url spend_report_frequency", _METRICS),
    **_all("database_type database_args database_connection_pool_limit", _NO_DATABASE),
    **_all("database_connection_timeout database_socket_timeout disable_prisma_schema_update", _NO_DATABASE),
    **_all("database_extra_connection_params iam_token_db_auth disable_reset_budget", _NO_DATABASE),
    **_all("proxy_batch_write_at proxy_batch_polling_interval use_redis_transaction_buffer", _JOURNAL),
    **_all("disable_adding_master_key_hash_to_db", "the master key is kept nowhere"),
    **_all("proxy_budget_rescheduler_min_time proxy_budget_rescheduler_max_time", "budgets begin again on time"),
    **_all("enable_redis_auth_cache redis_usage_cache", _ONE_NODE),
    **_all("allowed_routes public_routes admin_only_routes proxy_admin_only_routes", _not_enforced(_SIGN_IN)),
    **_all("enforce_user_param enforced_params reject_clientside_metadata_tags", _not_enforced(_USERS)),
    **_all("user_header_name user_header_mappings apply_user_budget_to_team_keys", _USERS),
    **_all("max_budget budget_duration user_mcp_management_mode max_user_budget", _not_enforced(_KEYS)),
    **_all("control_plane_url proxy_config_reload_interval_seconds", "a changed file is noticed at once"),
    **_all("trusted_proxy_ranges use_x_forwarded_for mcp_trusted_proxy_ranges", "addresses are those of connections"),
    **_all("user_url_validation user_url_allowed_hosts", "what the gateway fetches is always checked"),
    **_all("supported_db_objects coordination_redis maximum_spend_logs_cleanup_batch_size", _NO_DATABASE),
}
"""`general_settings`."""

SETTINGS: Mapping[str, str] = {
    "cache": _CACHE,
    "cache_params": _CACHE,
    "custom_provider_map": "name an address: `openai/model` with `api_base`",
    "max_budget": _not_enforced(_KEYS),
    "budget_duration": _not_enforced(_KEYS),
    "redact_user_api_key_info": "",
    "priority_reservation": _not_enforced("keys are served as they come"),
    "priority_reservation_settings": _not_enforced("keys are served as they come"),
    "tag_budget_config": _not_enforced(_KEYS),
    "cost_discount_config": "give deployments prices of your own (input_cost_per_token ...)",
    "cost_margin_config": "give deployments prices of your own (input_cost_per_token ...)",
    "prometheus_metrics_config": "/metrics has a fixed set of labels",
    "custom_prometheus_metadata_labels": "/metrics has a fixed set of labels",
    "custom_prometheus_tags": "/metrics has a fixed set of labels",
    "require_auth_for_metrics_endpoint": "see the reference of /metrics for who may read it",
    "public_model_groups": "all groups that a key may use are listed to it",
    "guardrails": _not_enforced("there are no guardrails yet"),
    "banned_keywords_list": _not_enforced("there are no guardrails yet"),
    "blocked_user_list": _not_enforced("block keys (/key/block)"),
    "enable_preview_features": "there are none",
    "telemetry": "",
    "ssl_certificate": "give deployments `network` in Penstock's own form",
    "force_ipv4": "addresses are taken as the name service gives them",
    "disable_end_user_cost_tracking": "end users are no labels of metrics",
    "add_user_information_to_llm_headers": "headers are sent as `extra_headers` say",
    "json_logs": "",
    "enable_redis_auth_cache": _ONE_NODE,
    "service_callback": _METRICS,
    **_all("default_internal_user_params max_internal_user_budget internal_user_budget_duration", _USERS),
    **_all("max_user_budget max_end_user_budget max_end_user_budget_id default_team_settings", _not_enforced(_USERS)),
    **_all("default_team_params key_generation_settings default_max_internal_user_budget", _USERS),
    **_all("langfuse_default_tags langfuse_public_key langfuse_secret langsmith_batch_size", _OTEL),
    **_all("s3_callback_params gcs_pub_sub_use_v1 datadog_params callback_settings audit_log_callbacks", _OTEL),
    **_all("store_audit_logs", "the ledger has every call"),
    **_all("mcp_aliases vector_store_registry search_tools", "there is no such gateway yet"),
}
"""`litellm_settings`."""

ROUTER: Mapping[str, str] = {
    "routing_strategy_args": "the strategies have no settings",
    "provider_budget_config": _not_enforced(_KEYS),
    "cache_responses": _CACHE,
    "cache_kwargs": _CACHE,
    "caching_groups": _CACHE,
    "client_ttl": "connections are kept and closed as they are used",
    "default_priority": "requests wait in the order in which they came",
    "polling_interval": "waiting requests are woken at once",
    "routing_groups": "say `routing.strategies` in Penstock's own form",
    "enable_weighted_failover": "another deployment is drawn by weight anyway",
    "enable_health_check_routing": "failed checks rest a deployment anyway, where there are checks",
    "enable_mid_stream_fallback_continuation": "a stream that breaks ends with an error",
    "ignore_invalid_deployments": "what is invalid is listed at start",
    "alerting_config": _METRICS,
    "assistants_config": "there is no assistants API",
    "router_general_settings": "name wildcards (`*`) in model_list",
    "custom_routing_strategy": "see `routing.strategy` for those that there are",
    "model_group_affinity_config": "say `sticky_seconds` in `routing`",
    **_all("redis_host redis_port redis_password redis_url redis_db redis_ssl redis_username", _ONE_NODE),
}
"""`router_settings`."""

PARAMS: Mapping[str, str] = {
    "max_budget": _not_enforced(_KEYS),
    "budget_duration": _not_enforced(_KEYS),
    "tag_regex": "give `tags`",
    "allowed_model_region": _not_enforced("name a deployment of that region"),
    "guardrails": _not_enforced("there are no guardrails yet"),
    "cache_control_injection_points": "callers mark what is to be cached",
    "configurable_clientside_auth_params": "say `general.allowed_client_arguments` in Penstock's own form",
    "max_file_size_mb": "bodies are limited by general_settings.max_request_size_mb",
    **_all("rpd tpd itpm otpm", _not_enforced("rpm and tpm are known")),
    **_all("auto_router_config auto_router_config_path auto_router_default_model", "see `routing.rules`"),
    **_all(
        "auto_router_embedding_model complexity_router_config complexity_router_default_model", "see `routing.rules`"
    ),
    **_all("adaptive_router_config quality_router_config", "see `routing.rules` and `routing.cascades`"),
}
"""`litellm_params` of a deployment."""

OF_THE_SDK: Mapping[str, str] = {
    "merge_reasoning_content_in_choices": "answers have `reasoning_content` apart",
    "ssl_verify": "say litellm_settings.ssl_verify, or `network` in Penstock's own form",
    "retry_policy": "say router_settings.model_group_retry_policy",
    "model_list": "name groups in `fallbacks`",
    "cache_key": _CACHE,
}
"""Parameters of LiteLLM's that no call of ours takes; the rest of them is bookkeeping."""

INFO: Mapping[str, str] = {
    **_all("team_id team_public_model_name", _not_enforced(_USERS)),
    "health_check_max_tokens": "checks ask for a single token",
    "health_check_voice": "audio models are not checked",
}
"""`model_info` of a deployment."""

TOP: Mapping[str, str] = {
    "guardrails": _not_enforced("there are no guardrails yet"),
    "policies": _not_enforced("there are no guardrails yet"),
    "policy_attachments": _not_enforced("there are no guardrails yet"),
    "prompts": "callers send the whole prompt",
    "callback_settings": _OTEL,
    **_all(
        "mcp_servers mcp_toolsets search_tools vector_store_registry agents mcp_aliases", "there is no such gateway yet"
    ),
    **_all("assistant_settings finetune_settings", "there is no such API"),
    "files_settings": "files go to the provider that the request names",
}
"""Top-level blocks."""

CALLBACKS: Mapping[str, str] = {
    "dynamic_rate_limiter": _not_enforced("keys have limits of their own"),
    "dynamic_rate_limiter_v3": _not_enforced("keys have limits of their own"),
    "detect_prompt_injection": _not_enforced("there are no guardrails yet"),
    "presidio": _not_enforced("there are no guardrails yet"),
    "hide_secrets": _not_enforced("there are no guardrails yet"),
    "max_budget_limiter": "",
    "parallel_request_limiter": "",
}
"""Names of callbacks. Empty: it is always so. All others: observability tools, and the user's own code."""

OTHER_CALLBACK = f"is not supported; {_OTEL}"
CHECKS: Mapping[str, str] = {
    "responses_api_deployment_check": "",
    "enforce_model_rate_limits": "give deployments max_parallel_requests, and keys rpm and tpm limits",
    "router_budget_limiting": _not_enforced(_KEYS),
    "deployment_affinity": "say `routing.sticky_seconds` in Penstock's own form",
    "session_affinity": "say `routing.sticky_seconds` in Penstock's own form",
    "forward_client_headers_by_model_group": "say general_settings.forward_client_headers_to_llm_api",
    "encrypted_content_affinity": "name one deployment in the group",
}
"""`optional_pre_call_checks`. Empty: it is always so."""
