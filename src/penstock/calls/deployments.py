"""Deployments: what the fact sheet knows of the models behind them, for a router to choose by."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from penstock.calls.demo import NAMES as DEMO_NAMES
from penstock.calls.engine import Engine
from penstock.calls.options import Options, split
from penstock.providers.errors import ProviderError
from penstock.routing.deployment import Deployment, MalformedDeployment

_MILLION = 1_000_000


def is_stand_in(deployment: Deployment) -> bool:
    """Whether no provider is behind it: the demo, a mock, or a pattern that no name fits yet."""
    return deployment.model in DEMO_NAMES or "*" in deployment.model or "mock_response" in deployment.arguments


def resolved(deployment: Deployment, engine: Engine) -> Deployment:
    """The same, once its model is known to mean something. Raises MalformedDeployment."""
    if not is_stand_in(deployment):
        _resolve(deployment, engine)
    return deployment


def with_facts(deployment: Deployment, engine: Engine) -> Deployment:
    """The same with the window and the prices of its model, where it does not say them itself and they are known.
    Raises MalformedDeployment.
    """
    if is_stand_in(deployment):
        return deployment
    options, provider, model = _resolve(deployment, engine)
    base, facts = options.base_model, engine.facts
    row = facts.find(model, provider, base_model=base)
    prices = facts.prices(model, provider, base_model=base)
    rates: Mapping[str, Any] = {**(prices.rates if prices is not None else {}), **options.prices}
    into, out = _rate(rates, "input_cost_per_token"), _rate(rates, "output_cost_per_token")
    known = {
        "price": None if into is None or out is None else into + out,
        "max_input": None if row is None else row.limits.input,
        "input_price": into,
        "cached_price": _rate(rates, "cache_read_input_token_cost"),
    }
    return replace(deployment, **{name: value for name, value in known.items() if getattr(deployment, name) is None})


def _resolve(deployment: Deployment, engine: Engine) -> tuple[Options, str, str]:
    options, _ = split(deployment.arguments, engine.addresses, engine.defaults)
    try:
        found = engine.resolve(deployment.model, options)
    except ProviderError as error:
        raise MalformedDeployment(f"the deployment {deployment.id!r} of {deployment.group!r}: {error}") from None
    return options, found.provider.name, found.model


def _rate(rates: Mapping[str, Any], name: str) -> Decimal | None:
    """US dollars a million tokens."""
    value = rates.get(name)
    return None if value is None else Decimal(str(value)) * _MILLION
