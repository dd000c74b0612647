"""Accounting: what a call cost and who answered it, for `_hidden_params`.

A cost is exact until it is shown: `response_cost` is the nearest float, `cost` the value with its lines and, where it
is unknown, its reasons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.client.options import Options
from penstock.exchange import Success
from penstock.providers.cost import Cost, Terms, cost
from penstock.providers.endpoint import Endpoint
from penstock.types.usage import Usage

if TYPE_CHECKING:
    from penstock.client.engine import Engine


def cost_of(
    engine: Engine, usage: Usage | None, provider: str, model: str, options: Options, **facts: Any
) -> Cost | None:
    """What a usage costs at `provider`; None where there is no usage to price. The caller's own prices come before
    the fact sheet's.

    `facts`: `trust_reported` (the row `reports_cost`), `quantities` and `terms` as `penstock.providers.cost.cost`
    takes them.
    """
    if usage is None:
        return None
    sheet = engine.facts
    if options.prices:
        name = f"{provider}/{model}"
        sheet = sheet.with_rows({name: {"litellm_provider": provider, **options.prices}}, replace=True)
        prices = sheet.prices(name, provider)
    else:
        prices = sheet.prices(model, provider, base_model=options.base_model)
    return cost(usage, prices, facts.pop("terms", None) or Terms(), **facts)


def hidden_params(
    engine: Engine,
    call_id: str,
    model: str,
    options: Options,
    target: Endpoint | None,
    success: Success[Any] | None,
    usage: Usage | None,
    **facts: Any,
) -> dict[str, Any]:
    """`_hidden_params` of an answer, in LiteLLM's words. `response_cost` is None where it is unknown."""
    found: dict[str, Any] = {"litellm_call_id": call_id, "model_id": model, "response_cost": None}
    if success is not None:
        found["attempts"] = len(success.tried) + 1
        found |= success.attempt.facts
    if target is None:
        return found
    bill = cost_of(engine, usage, target.provider, target.model, options, trust_reported=target.reports_cost, **facts)
    found["response_cost"] = None if bill is None else bill.usd
    found["cost"] = bill
    found["custom_llm_provider"] = target.provider
    found["api_base"] = target.url
    if success is not None:
        found["additional_headers"] = _headers(success.reply.headers)
    return found


def _headers(headers: dict[str, str]) -> dict[str, str]:
    """The provider's headers: rate limits under their own name, all under `llm_provider-`."""
    found = {f"llm_provider-{name}": value for name, value in headers.items()}
    return found | {name: value for name, value in headers.items() if name.startswith("x-ratelimit-")}
