"""Facts: what is known of the models of deployments, put into them for the router: prices and the context window.

What the configuration itself says (`prices`, `facts`) comes first. Of a wildcard nothing is known before it is asked
for a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from penstock.calls.demo import NAMES as DEMO_NAMES
from penstock.calls.engine import Engine
from penstock.calls.options import split
from penstock.providers.errors import ProviderError
from penstock.routing.deployment import Deployment

_MILLION = 1_000_000


def with_facts(deployments: Sequence[Deployment], engine: Engine) -> tuple[Deployment, ...]:
    """The same deployments, with what is known."""
    return tuple(_with_facts(deployment, engine) for deployment in deployments)


def _with_facts(deployment: Deployment, engine: Engine) -> Deployment:
    if "*" in deployment.model or deployment.model in DEMO_NAMES:
        return deployment
    options, _ = split(deployment.arguments, engine.addresses, engine.defaults)
    try:
        resolved = engine.resolve(deployment.model, options)
        name, provider = resolved.model, resolved.provider.name
        listed = engine.facts.prices(name, provider, base_model=options.base_model)
        row = engine.facts.find(options.base_model or name, provider)
    except ProviderError:  # a mock needs no provider
        return deployment
    rates: Mapping[str, Any] = {**(listed.rates if listed is not None else {}), **options.prices}
    given, answered = _rate(rates, "input_cost_per_token"), _rate(rates, "output_cost_per_token")
    window = None if row is None else row.fields.get("max_input_tokens")
    return replace(
        deployment,
        price=None if given is None or answered is None else given + answered,
        input_price=given,
        cached_price=_rate(rates, "cache_read_input_token_cost"),
        max_input=deployment.max_input or (int(window) if window else None),
    )


def _rate(rates: Mapping[str, Any], name: str) -> Decimal | None:
    """US dollars a million tokens; None where it is not known."""
    found = rates.get(name)
    return None if found is None else Decimal(str(found)) * _MILLION
