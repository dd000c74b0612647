"""Words of LiteLLM's: arguments of its calls that are said otherwise here, and those that are not for a model at all.

LiteLLM's users pass many arguments that its SDK keeps to itself. Each of them is one of three here, and none goes into
the body of a request:

    said otherwise       `litellm_trace_id`, `stream_timeout` ...: taken for what it means
    asks for something   that this call does not do (`guardrails`, `prompt_id` ...): refused, with what to do instead,
                         for it would be unsafe to overlook. What asks for nothing (None, False, empty) may be.
    bookkeeping          (`proxy_server_request`, `acompletion`, whatever begins with `litellm_` or `_` ...): no effect

Beside them, an argument that is called like a credential is refused: nobody's key belongs into a body by mistake.

Source: the names that litellm/types/utils.py lists as `all_litellm_params`; https://docs.litellm.ai/docs/completion/input
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from penstock.calls.arguments import mapping_of
from penstock.types.errors import MalformedError

_METADATA = {"litellm_trace_id": "trace_id", "litellm_session_id": "session_id"}
_SAID_OTHERWISE = frozenset({"stream_timeout", "context_window_fallback_dict", "litellm_metadata", *_METADATA})

_CALLBACK = "give a penstock.Callback in `callbacks`"
_MESSAGES = "write the prompt out in `messages`"
_TURNS = "modify_params=True mends turns that a provider would refuse"
_ROUTER = "make a penstock.Router, which has it"
_INSTEAD = {
    "shared_session": "give an httpx client as `client`",
    "model_list": "make a penstock.Router of it",
    "ssl_verify": "give `network=penstock.Network(verify=...)` to a penstock.Client",
    "ssl_certificate": "give `network=penstock.Network(cert=...)` to a penstock.Client",
    "merge_reasoning_content_in_choices": "read `message.reasoning_content`",
    "guardrails": "give a penstock.Callback with a `pre_call` in `callbacks`",
    "provider_specific_header": "give `extra_headers`",
    "litellm_credential_name": "give the key itself as `api_key`",
    "use_litellm_proxy": "give the proxy's address as `api_base` and 'openai' as `custom_llm_provider`",
    "no-log": "give `turn_off_message_logging=True`",
    "no_log": "give `turn_off_message_logging=True`",
    "retry_policy": f"give `num_retries`, or {_ROUTER}",
    "deployment_id": "name it in `model`",
    "max_budget": "nothing here keeps budgets",
    "budget_duration": "nothing here keeps budgets",
    **dict.fromkeys(("prompt_id", "prompt_variables", "prompt_version", "prompt_label"), _MESSAGES),
    **dict.fromkeys(("prompt_environment", "litellm_system_prompt", "custom_prompt_dict"), _MESSAGES),
    **dict.fromkeys(("roles", "initial_prompt_value", "final_prompt_value", "bos_token", "eos_token"), _MESSAGES),
    **dict.fromkeys(("user_continue_message", "assistant_continue_message", "ensure_alternating_roles"), _TURNS),
    **dict.fromkeys(("logger_fn", "success_callback", "failure_callback", "input_callback"), _CALLBACK),
    **dict.fromkeys(("langfuse_host", "langsmith_project", "langsmith_base_url", "gcs_bucket_name"), _CALLBACK),
}
"""What a call of LiteLLM's takes and one of ours does not -> what to do instead. None of them is for a model."""

_KEEPS_NO_ANSWERS = ("caching", "cache", "caching_groups", "cache_key", "preset_cache_key", "ttl")
_OF_A_DEPLOYMENT = (
    *("rpm", "tpm", "itpm", "otpm", "weight", "order", "max_parallel_requests", "cooldown_time", "max_fallbacks"),
    *("use_in_pass_through", "configurable_clientside_auth_params", "allowed_model_region", "tag_regex"),
    *("enable_tag_filtering", "max_file_size_mb", "search_tool_name", "provider_affinity_header", "model_config"),
    *("fastest_response", "retry_strategy", "routing_strategy"),
)
_OF_ITS_INSIDES = (
    *("acompletion", "aembedding", "aimg_generation", "atext_completion", "text_completion", "async_call"),
    *("allm_passthrough_route", "completion_call_id", "model_alias_map", "proxy_server_request", "secret_fields"),
    *("fallback_depth", "attempted_targets", "client_side_timeout", "model_file_id_mapping", "stream_response"),
    *("use_client", "azure", "id", "hf_model_name", "force_timeout", "complete_response", "log_delegator", "verbose"),
    *("standard_callback_dynamic_params", "disable_add_transform_inline_image_block", "supports_system_message"),
    *("max_agentic_loops", "stream_chunk_size", "keepalive_seconds", "allow_client_keepalive_override"),
    "use_chat_completions_api",
)
_NO_EFFECT = frozenset({*_KEEPS_NO_ANSWERS, *_OF_A_DEPLOYMENT, *_OF_ITS_INSIDES})

LITELLMS = frozenset({*_SAID_OTHERWISE, *_INSTEAD, *_NO_EFFECT})
"""The names of LiteLLM's that this page is about, but for those that only begin like one."""

_INTERNAL = re.compile(r"_|litellm_|user_api_key")
_CREDENTIAL = re.compile(
    r"(?:^|[_-]|(?<=[a-z])(?=[A-Z]))"
    r"(?i:pass(?:word|wd|phrase)|secret|authorization|credentials?|bearer"
    r"|(?:api|access|secret|private|account|subscription|public)[_-]?key(?:[_-]?id)?"
    r"|(?:access|auth|api|bearer|session|refresh|identity|id|ad|hf|github|watsonx|security)[_-]?token)$"
)


@lru_cache(maxsize=1024)
def is_internal(name: str) -> bool:
    """Whether an argument that no option knows is a matter of LiteLLM's insides, by its beginning."""
    return _INTERNAL.match(name) is not None


@lru_cache(maxsize=1024)
def is_credential(name: str) -> bool:
    """Whether an argument is called like a key, a password or a token that lets somebody in."""
    return _CREDENTIAL.search(name) is not None


def is_for_a_model(name: str) -> bool:
    """Whether an argument that no option knows may stand in a body. Raises MalformedError for one that is called like
    a credential.
    """
    if is_internal(name):
        return False
    if is_credential(name):
        advice = "give a key as `api_key`, or in `extra_headers`; `extra_body` sends what a provider wants in the body"
        raise MalformedError(f"it is called like a credential, and none is sent as a parameter: {advice}", name)
    return True


def in_our_words(arguments: Mapping[str, Any], usual_metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """The same arguments without LiteLLM's own words. `usual_metadata` is the client's. Raises MalformedError."""
    said = {name: value for name, value in arguments.items() if name in LITELLMS and value is not None}
    found = {name: value for name, value in arguments.items() if name not in LITELLMS}
    for name, value in said.items():
        if value and name in _INSTEAD:
            raise MalformedError(f"this call does not take it: {_INSTEAD[name]}", name)
    if "stream_timeout" in said and found.get("stream") and found.get("timeout") is None:
        found["timeout"] = said["stream_timeout"]
    if "context_window_fallback_dict" in said:
        larger = mapping_of(said["context_window_fallback_dict"], "context_window_fallback_dict").get(
            str(found.get("model"))
        )
        if larger is not None and not found.get("context_window_fallbacks"):
            found["context_window_fallbacks"] = [larger]
    more = {ours: said[name] for name, ours in _METADATA.items() if name in said}
    more |= mapping_of(said.get("litellm_metadata", {}), "litellm_metadata")
    if more:
        found["metadata"] = {**mapping_of(found.get("metadata") or usual_metadata or {}, "metadata"), **more}
    return found
