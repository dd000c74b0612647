"""Accounting: what a call cost and who answered it, for `_hidden_params`.

A cost is exact until it is shown: `response_cost` is the nearest float, `cost` the value with its lines and, where it
is unknown, its reasons.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from penstock.calls.options import Options
from penstock.calls.pricing import prices_at
from penstock.exchange import Success
from penstock.providers.cost import Cost, Terms, cost
from penstock.providers.endpoint import Endpoint
from penstock.providers.facts import Facts
from penstock.types.content import Extras
from penstock.types.response import Response
from penstock.types.usage import Usage

if TYPE_CHECKING:
    from penstock.calls.engine import Engine


def cost_at(engine: Engine, usage: Usage | None, target: Endpoint, options: Options, **facts: Any) -> Cost | None:
    """What a usage costs at `target`, now; None where there is no usage to price.

    `facts`: `quantities` and `terms` as `penstock.providers.cost.cost` takes them, and `elapsed`, the seconds that the
    call took; where and when it was served is added to the terms.
    """
    if usage is None:
        return None
    now = datetime.fromtimestamp(engine.clock.unix(), UTC)
    terms, elapsed = facts.pop("terms", None) or Terms(), facts.pop("elapsed", None)
    residency = terms.residency or target.residency
    terms = replace(terms, location=target.location, residency=residency, at=now, elapsed=elapsed)
    prices = prices_at(engine.facts, target, options)
    return cost(usage, prices, terms, trust_reported=target.reports_cost, **facts)


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
    """`_hidden_params` of an answer, in LiteLLM's words. `response_cost` is None where it is unknown. A mock costs what
    such an answer of its model would cost, as at LiteLLM: tests of budgets and of bills rely on it.
    """
    found: dict[str, Any] = {"litellm_call_id": call_id, "model_id": model, "response_cost": None}
    if success is not None:
        found["attempts"] = len(success.tried) + 1
        found |= success.attempt.facts
    if target is None:
        return found | _charged(None if usage is None else _cost_of_mock(engine.facts, usage, model, options, **facts))
    found |= _charged(cost_at(engine, usage, target, options, **facts))
    found["custom_llm_provider"] = target.provider
    found["api_base"] = target.url
    if success is not None:
        found["additional_headers"] = _headers(success.reply.headers)
    return found


def remarks_of(response: Response) -> dict[str, Any]:
    """What the provider says beside its answer and the caller's shape has no place for (durations ...), in
    its own words: the response's fields, `usage` with those of the counts, and `choices` with those of each.
    """
    found = _said(response.extras)
    usage = _said(None if response.usage is None else response.usage.extras)
    choices = [_said(choice.extras) for choice in response.choices]
    return found | ({"usage": usage} if usage else {}) | ({"choices": choices} if any(choices) else {})


def _said(extras: Extras) -> dict[str, Any]:
    """Without what says nothing, and without what a dialect keeps for itself (in parentheses)."""
    return {name: value for name, value in (extras or {}).items() if value not in _NOTHING and name[:1] != "("}


_NOTHING: tuple[Any, ...] = (None, {}, [], "")


def _charged(bill: Cost | None) -> dict[str, Any]:
    return {"response_cost": None if bill is None else bill.usd, "cost": bill}


def _cost_of_mock(sheet: Facts, usage: Usage, model: str, options: Options, **facts: Any) -> Cost:
    provider, elapsed = options.custom_llm_provider, facts.pop("elapsed", None)
    terms = replace(facts.pop("terms", None) or Terms(), elapsed=elapsed)
    if options.prices:
        sheet = sheet.with_rows({model: {"litellm_provider": provider or "", **options.prices}}, replace=True)
    return cost(usage, sheet.prices(model, provider, base_model=options.base_model), terms, **facts)


def _headers(headers: dict[str, str]) -> dict[str, str]:
    """The provider's headers: rate limits under their own name, all under `llm_provider-`."""
    found = {f"llm_provider-{name}": value for name, value in headers.items()}
    return found | {name: value for name, value in headers.items() if name.startswith("x-ratelimit-")}
