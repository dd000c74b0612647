"""Model access: a key may ask for the models that it lists."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from penstock.gateway.principal import Principal
from penstock.gateway.refused import Refused


class ModelAccess:
    """The principal's own aliases, and the models that it may ask for."""

    straight = True

    def admit(self, call: Any) -> None:
        principal: Principal = call.principal
        if principal.aliases:
            call.group = principal.aliases.get(call.group, call.group)
        if principal.models and not allowed(principal, call.requested, call.group):
            raise denied(principal, call.requested)


def allowed(principal: Principal, *names: str) -> bool:
    """Whether one of these names is among the principal's models."""
    models = principal.models
    if not models:
        return True
    return any(name in models or any("*" in model and fnmatchcase(name, model) for model in models) for name in names)


def denied(principal: Principal, name: str) -> Refused:
    """The refusal."""
    listed = ", ".join(principal.models[:20])
    message = f"this key may not use the model {name[:200]!r}; it may use: {listed}"
    return Refused(
        "permission", 403, message, type="key_model_access_denied", code="key_model_access_denied", param="model"
    )
