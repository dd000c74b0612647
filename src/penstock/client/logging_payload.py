"""The logging payload: what a callback is told of a call, under the names of LiteLLM's StandardLoggingPayload.

    id, trace_id, call_type, stream          which call; `id` is the answer's id, `trace_id` the caller's (metadata) or
                                             the call's
    status, ended, error_str, error_information    "success" or "failure"; of a stream how it ended: complete, closed
                                             (by its reader), failed
    model, custom_llm_provider, api_base, model_id, model_parameters
    model_group                              of a call through a router: the group that answered
    response_cost                            in US dollars; None where it is unknown, never 0 for that
    cost_breakdown                           input_cost, output_cost, tool_usage_cost (all fees), total_cost; None where
                                             the cost is unknown
    prompt_tokens, completion_tokens, total_tokens, usage
    startTime, endTime, completionStartTime, response_time    Unix seconds; first token; seconds in all
    metadata, request_tags, end_user         as the caller gave them
    messages, response                       what was said; None where it is not to be logged
    hidden_params                            litellm_call_id, attempts, ...

No secret is in it, by construction: it is put together from a list of known fields. Arguments about keys, addresses and
headers are left out whole; of tools, what looks like a credential is masked; error texts are cleared of every key that
the call could have used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

PARAMETERS = frozenset(
    {
        "audio",
        "background",
        "dimensions",
        "encoding_format",
        "frequency_penalty",
        "function_call",
        "functions",
        "input_type",
        "language",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_output_tokens",
        "max_tokens",
        "modalities",
        "n",
        "parallel_tool_calls",
        "presence_penalty",
        "prompt_cache_key",
        "quality",
        "reasoning",
        "reasoning_effort",
        "response_format",
        "return_documents",
        "seed",
        "service_tier",
        "size",
        "speed",
        "stop",
        "stop_sequences",
        "store",
        "stream",
        "stream_options",
        "style",
        "temperature",
        "thinking",
        "timestamp_granularities",
        "tool_choice",
        "tools",
        "top_k",
        "top_logprobs",
        "top_n",
        "top_p",
        "truncation",
        "user",
        "verbosity",
        "voice",
        "web_search_options",
    }
)
"""The arguments that may stand in `model_parameters`: the known ones, none of which is a credential."""

SAID = ("messages", "input", "prompt", "contents", "query", "documents", "text")
"""The arguments that hold what the caller says, the first of which that there is becomes `messages`."""

_CREDENTIAL = re.compile(r"(?i)(?<!max_)(api_?key|secret|password|authorization|credential|bearer|token$|headers$)")
_KEY_SHAPES = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|hf|pplx|nvapi|r8)[-_][A-Za-z0-9_*-]{6,}|\bAIza[\w-]{10,}|\bAKIA[A-Z0-9]{8,}"
    r"|(?i:\bbearer\s+)[\w.~+/-]{8,}=*"
)
MASK = "***"


def scrubbed(value: Any) -> Any:
    """A copy in which what looks like a credential by its name is masked."""
    if isinstance(value, Mapping):
        return {
            key: MASK if isinstance(key, str) and _CREDENTIAL.search(key) and inner is not None else scrubbed(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [scrubbed(inner) for inner in value]
    if isinstance(value, type) or callable(value):
        return getattr(value, "__name__", type(value).__name__)
    return value


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """A text in which these secrets, and whatever has the shape of a provider's key, are masked."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return _KEY_SHAPES.sub(MASK, text)


def model_parameters(body: Mapping[str, Any]) -> dict[str, Any]:
    """The known parameters among the arguments for the model."""
    return {name: scrubbed(value) for name, value in body.items() if name in PARAMETERS}


def said_in(body: Mapping[str, Any]) -> Any:
    """What the caller said."""
    return next((body[name] for name in SAID if body.get(name) is not None), None)


def breakdown_of(bill: Any) -> dict[str, float | None] | None:
    """A `penstock.providers.cost.Cost` as LiteLLM's CostBreakdown; None where the cost is unknown."""
    if bill is None or not bill.known:
        return None
    sides = {"input_cost": "input", "output_cost": "output", "tool_usage_cost": "fee"}
    return {**{name: float(bill.on(side)) for name, side in sides.items()}, "total_cost": bill.usd}


def usage_fields(answer: Any) -> dict[str, Any]:
    """`usage` and the three totals, whatever the answer's shape calls them; None where nothing was counted."""
    usage = answer.get("usage") or answer.get("usageMetadata") if isinstance(answer, Mapping) else None
    if not isinstance(usage, Mapping):
        return {"usage": None, "prompt_tokens": None, "completion_tokens": None, "total_tokens": None}
    read = _first(usage, "prompt_tokens", "input_tokens", "promptTokenCount")
    if "cache_read_input_tokens" in usage and "prompt_tokens" not in usage and read is not None:  # Anthropic's shape
        read += sum(usage.get(name) or 0 for name in ("cache_read_input_tokens", "cache_creation_input_tokens"))
    written = _first(usage, "completion_tokens", "output_tokens", "candidatesTokenCount")
    total = _first(usage, "total_tokens", "totalTokenCount")
    if total is None and (read is not None or written is not None):
        total = (read or 0) + (written or 0)
    return {"usage": _dumped(usage), "prompt_tokens": read, "completion_tokens": written, "total_tokens": total}


def _first(usage: Mapping[str, Any], *names: str) -> int | None:
    return next((usage[name] for name in names if isinstance(usage.get(name), int)), None)


def _dumped(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    return value if dump is None else dump()


_FIGURES = ("id", "object", "created", "model", "usage", "system_fingerprint", "service_tier", "usageMetadata")


def figures_of(answer: Any) -> Any:
    """An answer, or a chunk, without what was said in it."""
    if not isinstance(answer, Mapping):
        return None
    made = type(answer)({name: answer[name] for name in _FIGURES if name in answer})  # type: ignore[call-arg]  # a kind of dict, and made like one
    if hasattr(answer, "_hidden_params"):
        made._hidden_params = answer._hidden_params  # type: ignore[attr-defined]  # as the answer has them
    return made


def error_fields(error: BaseException | None, secrets: Iterable[str]) -> dict[str, Any]:
    """`error_str` and `error_information`."""
    if error is None:
        return {"error_str": None, "error_information": None}
    message = without_secrets(str(error), secrets)
    return {
        "error_str": message,
        "error_information": {
            "error_class": type(error).__name__,
            "error_code": str(getattr(error, "status_code", "") or ""),
            "error_message": without_secrets(str(getattr(error, "message", error)), secrets),
            "llm_provider": getattr(error, "llm_provider", ""),
        },
    }
