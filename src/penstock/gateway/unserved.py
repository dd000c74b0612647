"""Unserved: what to say to who asks for a model that is not served here: the nearest that is, what to set for a
provider
that we know and that has no key here, and what there is.

Who asks hears of nothing that its key may not use.
"""

from __future__ import annotations

from typing import Any

from penstock.gateway.nearest import LONGEST
from penstock.gateway.policies.model_access import allowed
from penstock.gateway.principal import Principal
from penstock.gateway.refused import Refused
from penstock.providers.errors import ProviderError
from penstock.providers.resolve_model import ResolvedModel

_MOST = 12
"""Groups that are named."""


def unserved(plane: Any, principal: Principal, name: str) -> Refused:
    """The refusal of a model of that name."""
    near = plane.nearest.to(name, lambda other: allowed(principal, other))
    if near:
        said = f"there is no model {name[:LONGEST]!r} here. Did you mean {' or '.join(near)}?"
    else:
        said = _without_a_key(plane, name) or f"there is no model {name[:LONGEST]!r} here."
    message = f"{said} {_set_up(plane, principal)}"
    return Refused("not_found", 404, message, param="model", code="model_not_found")


def _without_a_key(plane: Any, name: str) -> str | None:
    """What to set, where the name is of a provider that has no deployment here at all."""
    engine = plane.engine
    try:
        found: ResolvedModel = engine.resolve(name, engine.defaults)
    except ProviderError:
        return None
    provider = found.provider
    if provider.local or any(_provider(each.model) == provider.name for each in plane.snapshot.deployments):
        return None
    variables = " or ".join(provider.key_environment) or "its key"
    return f"{provider.title or provider.name} is not set up here: set {variables} and start again."


def _provider(model: str) -> str:
    return model.partition("/")[0]


def _set_up(plane: Any, principal: Principal) -> str:
    names = [name for name in plane.router.names if allowed(principal, name)]
    shown = [f"{name[:-1]}..." if name.endswith("/*") else name for name in names[:_MOST]]
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return f"Set up here: {', '.join(shown) or 'nothing for this key'}{more}. GET /v1/models lists all."
