"""The same figures under the names of LiteLLM's Prometheus callback, so that its dashboards and alerts go on working.

Off unless `litellm_metrics` is on. The names are those of its common dashboards; labels that Penstock has no word for
(team, user, end_user ...) are left out, which Prometheus reads as empty. Figures that LiteLLM counts once a request and
Penstock once an attempt (tokens, spend, latency of the API) are the same where no attempt was repeated, and count what
was billed where one was. Source of names and labels: https://docs.litellm.ai/docs/proxy/prometheus
"""

from __future__ import annotations

from typing import Any

from penstock.gateway.metrics.tables import Family, Kind

_ROUTES = {
    "openai_chat": "/chat/completions",
    "openai_responses": "/responses",
    "anthropic_messages": "/v1/messages",
    "gemini": "/models/{model_name}:generateContent",
    "text_completion": "/completions",
    "embedding": "/embeddings",
    "rerank": "/rerank",
    "moderation": "/moderations",
    "image_generation": "/images/generations",
    "image_edit": "/images/edits",
    "speech": "/audio/speech",
    "transcription": "/audio/transcriptions",
}
"""Surface -> what LiteLLM calls its route."""
_EXCEPTIONS = {
    "invalid_request": "BadRequestError",
    "context_window": "ContextWindowExceededError",
    "content_policy": "ContentPolicyViolationError",
    "unsupported": "UnsupportedParamsError",
    "authentication": "AuthenticationError",
    "permission": "PermissionDeniedError",
    "not_found": "NotFoundError",
    "timeout": "Timeout",
    "unprocessable": "UnprocessableEntityError",
    "rate_limit": "RateLimitError",
    "quota": "RateLimitError",
    "server": "InternalServerError",
    "bad_gateway": "APIConnectionError",
    "unavailable": "ServiceUnavailableError",
    "overloaded": "ServiceUnavailableError",
}
"""Kind of an error -> LiteLLM's exception."""

_SOURCES = {
    "requested_model": "model_group",
    "litellm_model_name": "model",
    "model_id": "deployment",
    "api_provider": "provider",
    "api_key_alias": "key_alias",
    "route": "surface",
    "exception_class": "error",
    "exception_status": "status_code",
}
_WORDS = {"route": _ROUTES, "exception_class": _EXCEPTIONS}
_CALL = ("requested_model", "api_key_alias")
_MODEL = ("requested_model", "model", "model_id", "api_provider", "api_key_alias")
_PLACE = ("requested_model", "litellm_model_name", "model_id", "api_provider", "api_key_alias")


def _family(name: str, kind: Kind, table: str, column: str, labels: tuple[str, ...], **more: Any) -> Family:
    text = f"LiteLLM's name for {table}.{column}."
    return Family(
        name=name,
        kind=kind,
        table=table,
        column=column,
        labels=labels,
        help=text,
        sources=_SOURCES,
        words=_WORDS,
        **more,
    )


LITELLM_FAMILIES: tuple[Family, ...] = (
    _family("litellm_proxy_total_requests_metric", "counter", "requests", "count", (*_CALL, "route", "status_code")),
    _family("litellm_proxy_failed_requests_metric", "counter", "requests", "count",
            (*_CALL, "route", "exception_status", "exception_class"), where="error"),
    _family("litellm_request_total_latency_metric", "histogram", "requests", "seconds", _CALL),
    _family("litellm_overhead_latency_metric", "histogram", "requests", "overhead", _CALL),
    _family("litellm_request_queue_time_seconds", "histogram", "requests", "queued", _CALL),
    _family("litellm_cache_hits_metric", "counter", "requests", "cache_hits", _CALL),
    _family("litellm_cache_misses_metric", "counter", "requests", "cache_misses", _CALL),
    _family("litellm_llm_api_latency_metric", "histogram", "attempts", "seconds", _MODEL),
    _family("litellm_llm_api_time_to_first_token_metric", "histogram", "attempts", "first_token", _MODEL),
    _family("litellm_spend_metric", "counter", "attempts", "picodollars", _MODEL, digits=12),
    _family("litellm_input_tokens_metric", "counter", "attempts", "input_tokens", _MODEL),
    _family("litellm_output_tokens_metric", "counter", "attempts", "output_tokens", _MODEL),
    _family("litellm_total_tokens_metric", "counter", "attempts", "input_tokens+output_tokens", _MODEL),
    _family("litellm_input_cached_tokens_metric", "counter", "attempts", "cache_read_tokens", _MODEL),
    _family("litellm_input_cache_creation_tokens_metric", "counter", "attempts", "cache_write_tokens", _MODEL),
    _family("litellm_input_audio_tokens_metric", "counter", "attempts", "input_audio_tokens", _MODEL),
    _family("litellm_output_audio_tokens_metric", "counter", "attempts", "output_audio_tokens", _MODEL),
    _family("litellm_output_reasoning_tokens_metric", "counter", "attempts", "reasoning_tokens", _MODEL),
    _family("litellm_deployment_total_requests", "counter", "attempts", "count", _PLACE),
    _family("litellm_deployment_success_responses", "counter", "attempts", "count", _PLACE,
            where="outcome", only="success"),
    _family("litellm_deployment_failure_responses", "counter", "attempts", "count", (*_PLACE, "exception_class"),
            where="error"),
    _family("litellm_deployment_latency_per_output_token", "histogram", "attempts", "output_token", _PLACE),
    Family(name="litellm_in_flight_requests", kind="gauge", plain="penstock_requests_in_flight",
           help="LiteLLM's name for penstock_requests_in_flight."),
    Family(name="litellm_deployment_state", kind="gauge", plain="penstock_deployment_state",
           labels=("model_id",), sources=_SOURCES,
           help="LiteLLM's name for penstock_deployment_state: 0 healthy, 1 partial outage, 2 complete outage."),
    Family(name="litellm_remaining_requests_metric", kind="gauge", plain="penstock_deployment_requests_remaining",
           labels=("model_id",), sources=_SOURCES, help="LiteLLM's name for penstock_deployment_requests_remaining."),
    Family(name="litellm_remaining_tokens_metric", kind="gauge", plain="penstock_deployment_tokens_remaining",
           labels=("model_id",), sources=_SOURCES, help="LiteLLM's name for penstock_deployment_tokens_remaining."),
)  # fmt: skip
"""In the order of LiteLLM's documentation."""
