"""Accounting: what a call cost and who answered it, for `_hidden_params`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.client.options import Options
from penstock.exchange import Success
from penstock.types.response import Response

if TYPE_CHECKING:
    from penstock.client.attempt import ChatAttempt
    from penstock.client.engine import Engine


def hidden_params(
    engine: Engine,
    call_id: str,
    model: str,
    options: Options,
    attempt: ChatAttempt | None,
    success: Success[Any] | None,
    response: Response | None,
) -> dict[str, Any]:
    """`_hidden_params` of an answer, in LiteLLM's words. `response_cost` is None where it is unknown."""
    found: dict[str, Any] = {"litellm_call_id": call_id, "model_id": model, "response_cost": None}
    if attempt is None or attempt.target is None:
        return found
    found["custom_llm_provider"] = attempt.target.provider
    found["api_base"] = attempt.target.url
    if success is not None:
        found["attempts"] = len(success.tried) + 1
        found["additional_headers"] = _headers(success.reply.headers)
    return found


def _headers(headers: dict[str, str]) -> dict[str, str]:
    """The provider's headers: rate limits under their own name, all under `llm_provider-`."""
    found = {f"llm_provider-{name}": value for name, value in headers.items()}
    return found | {name: value for name, value in headers.items() if name.startswith("x-ratelimit-")}
