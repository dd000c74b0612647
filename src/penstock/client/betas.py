"""Beta names on their way out: those that the body needs, those that the caller gave, each once, in the place where the
host takes them (`Endpoint.beta_header` or `Endpoint.beta_field`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from penstock.providers.betas import betas_of
from penstock.providers.endpoint import Endpoint

FIELD = "anthropic_beta"
"""Where a body of Bedrock's `invoke` has them."""


def place_betas(body: dict[str, Any], target: Endpoint, headers: Mapping[str, str] | None) -> Endpoint:
    """The target with the header, or `body` (which is ours) with the field. `headers` are the caller's."""
    if not target.betas:
        return target
    given = body.pop(FIELD, None)
    names = [*(given if isinstance(given, list) else ()), *betas_of(body, target.betas)]
    if target.beta_field is not None:
        names += split(_value(headers, target.beta_header))
        if names:
            body[target.beta_field] = list(dict.fromkeys(names))
        return target
    if not names:
        return target
    return replace(target, headers=joined(target.headers, {target.beta_header: ",".join(names)}))


def joined(*layers: Mapping[str, str] | None) -> dict[str, str]:
    """Headers, later layers winning whatever the case of a name; lists of betas are added up instead."""
    found: dict[str, str] = {}
    names: dict[str, str] = {}
    for layer in layers:
        for name, value in (layer or {}).items():
            known = names.setdefault(name.lower(), name)
            before = found.pop(known, None)
            names[name.lower()] = name
            if before is not None and name.lower().endswith("-beta"):
                value = ",".join(dict.fromkeys([*split(before), *split(value)]))
            found[name] = value
    return found


def split(value: str | None) -> list[str]:
    """The names in a header."""
    return [name.strip() for name in (value or "").split(",") if name.strip()]


def _value(headers: Mapping[str, str] | None, name: str) -> str | None:
    return next((value for key, value in (headers or {}).items() if key.lower() == name.lower()), None)
