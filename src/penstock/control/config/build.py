"""Build: a configuration that is right as a snapshot and what else the control plane must know."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from penstock.control.config.loaded import ControlSettings, Probe
from penstock.control.config.native import (
    Config,
    Endpoint,
    General,
    HealthCheck,
    Key,
    Model,
    Network,
    Prices,
    Provider,
    Routing,
)
from penstock.control.store.keys import KeyRecord, masked, picodollars
from penstock.gateway import snapshot
from penstock.gateway.principal import key_digest
from penstock.routing.deployment import Deployment, deployments_of

_MILLION = Decimal(1_000_000)
_PRICES = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
}
_TIMEOUTS = {
    "connect_timeout": "connect",
    "first_token_timeout": "first_token",
    "between_tokens_timeout": "between_tokens",
    "timeout": "total",
}
_SAME = {
    "provider": "custom_llm_provider",
    "api_key": "api_key",
    "api_base": "api_base",
    "api_version": "api_version",
    "base_model": "base_model",
    "headers": "extra_headers",
    "drop_params": "drop_params",
}
_ROUTED = {
    "order": "order",
    "weight": "weight",
    "rpm": "rpm",
    "tpm": "tpm",
    "max_parallel_requests": "max_parallel_requests",
    "retries": "num_retries",
    "cooldown": "cooldown_time",
    "stream_timeout": "stream_timeout",
}


# -- models -----------------------------------------------------------------------------------------------------------


def deployments(models: Sequence[Model]) -> tuple[Deployment, ...]:
    """The deployments of the list, in its order."""
    if not models:
        return ()
    entries = [_entry(model) for model in models]
    _name(entries)
    found = deployments_of(entries, {})
    return tuple(
        replace(each, network=network(model.network)) if model.network else each
        for each, model in zip(found, models, strict=True)
    )


def network(given: Network) -> dict[str, Any]:
    """How a deployment is reached, in the words of the gateway's NetworkSettings."""
    cert = given.cert if given.key is None else [given.cert, given.key]
    found = {"proxy": given.proxy, "ca_file": given.ca, "cert": cert, "verify": given.verify}
    return {name: value for name, value in found.items() if value is not None}


def _entry(model: Model) -> dict[str, Any]:
    """The model as an entry of a `model_list`, which is what `deployments_of` reads."""
    params: dict[str, Any] = {"model": model.model, **(model.arguments or {})}
    params |= {theirs: value for ours, theirs in _SAME.items() if (value := getattr(model, ours)) is not None}
    params |= {theirs: value for ours, theirs in _ROUTED.items() if (value := getattr(model, ours)) is not None}
    if model.drop:
        params["additional_drop_params"] = list(model.drop)
    if model.tags:
        params["tags"] = list(model.tags)
    params |= prices(model.prices)
    if (timeout := _timeout(model)) is not None:
        params["timeout"] = timeout
    return {"model_name": model.name, "litellm_params": params, "model_info": {**(model.facts or {}), "id": model.id}}


def prices(given: Prices | None) -> dict[str, str]:
    """US dollars a token, as exact decimal text."""
    amounts = {} if given is None else {theirs: getattr(given, ours) for ours, theirs in _PRICES.items()}
    return {name: format(amount / _MILLION, "f") for name, amount in amounts.items() if amount is not None}


def _timeout(model: Model) -> float | dict[str, float] | None:
    found = {theirs: value for ours, theirs in _TIMEOUTS.items() if (value := getattr(model, ours)) is not None}
    return found["total"] if found.keys() == {"total"} else found or None


def _name(entries: Sequence[dict[str, Any]]) -> None:
    """Give those an id that have none: of what they are, and not of their place in the list or of their key, so that
    health and spend stay with them when either changes.
    """
    taken = {entry["model_info"]["id"] for entry in entries}
    for entry in entries:
        if entry["model_info"]["id"] is not None:
            continue
        params = entry["litellm_params"]
        what = [entry["model_name"], params["model"], params.get("api_base"), params.get("custom_llm_provider")]
        what += [
            f"{name}={params[name]}" for name in sorted(params) if name.endswith(("region_name", "location", "project"))
        ]
        digest = hashlib.sha256(repr(what).encode()).hexdigest()[:16]
        number, name = 1, digest
        while name in taken:
            number, name = number + 1, f"{digest}-{number + 1}"
        taken.add(name)
        entry["model_info"]["id"] = name


def access_groups(models: Sequence[Model]) -> dict[str, tuple[str, ...]]:
    """Name of an access group -> its model groups."""
    found: dict[str, list[str]] = {}
    for model in models:
        for name in model.access_groups:
            found.setdefault(name, []).append(model.name)
    return {name: tuple(dict.fromkeys(groups)) for name, groups in found.items()}


def probes(models: Sequence[Model], found: Sequence[Deployment], usual: HealthCheck | None) -> dict[str, Probe]:
    """Deployment id -> its active health check."""
    made: dict[str, Probe] = {}
    for model, deployment in zip(models, found, strict=True):
        check = model.health_check
        if check is not None and usual is not None:
            check = usual.model_copy(update=check.model_dump(exclude_unset=True))
        check = check or usual
        if check is None or not check.enabled or ("*" in model.model and check.model is None):
            continue
        mode = str((model.facts or {}).get("mode") or "chat")
        made[deployment.id] = Probe(every=check.every, timeout=check.timeout, model=check.model, mode=mode)
    return made


# -- keys -------------------------------------------------------------------------------------------------------------


def key_record(key: Key) -> KeyRecord:
    """The key as the control plane knows keys."""
    token = key_digest(key.key) if key.key is not None else str(key.sha256).lower()
    return KeyRecord(
        token=token,
        key_name=masked(key.key) if key.key is not None else f"sha256:{token[:8]}",
        key_alias=key.alias,
        source="config",
        models=key.models,
        aliases=key.aliases,
        expires=key.expires,
        blocked=key.blocked,
        rpm_limit=key.rpm_limit,
        tpm_limit=key.tpm_limit,
        max_parallel_requests=key.max_parallel_requests,
        max_budget=None if key.max_budget is None else picodollars(key.max_budget),
        budget_duration=key.budget_duration,
        tags=key.tags,
        metadata=key.metadata,
    )


# -- the rest ---------------------------------------------------------------------------------------------------------


def routing(given: Routing) -> snapshot.RoutingSettings:
    """How groups are routed."""
    fields = {name: getattr(given, name) for name in snapshot.RoutingSettings.__struct_fields__}
    fields["rules"] = tuple(given.rules)
    return snapshot.RoutingSettings(**fields)


def settings(given: General) -> snapshot.Settings:
    """Everything that is not routing."""
    return snapshot.Settings(**{name: getattr(given, name) for name in snapshot.Settings.__struct_fields__})


def control(given: General) -> ControlSettings:
    """What the control plane itself is told."""
    return ControlSettings(**{name: getattr(given, name) for name in ControlSettings.__struct_fields__})


def pass_through(given: Mapping[str, Provider | None]) -> dict[str, dict[str, Any]]:
    """Provider -> arguments that reach it."""
    found: dict[str, dict[str, Any]] = {}
    for name, provider in given.items():
        own = {} if provider is None else {"api_key": provider.api_key, "api_base": provider.api_base}
        arguments = (provider.arguments if provider else None) or {}
        found[name] = {**arguments, **{key: value for key, value in own.items() if value is not None}}
    return found


def endpoint(given: Endpoint) -> snapshot.Endpoint:
    """A path of the operator's own."""
    return snapshot.Endpoint(
        path=given.path,
        target=given.target,
        headers=given.headers,
        methods=tuple(method.upper() for method in given.methods),
        subpaths=given.include_subpath,
        forward_headers=given.forward_headers,
        keyless=not given.auth,
    )


def snapshot_of(config: Config, found: tuple[Deployment, ...], environment: Mapping[str, str]) -> snapshot.Snapshot:
    """The snapshot, of version 0. `environment` is what the configuration sets."""
    return snapshot.Snapshot(
        version=0,
        deployments=found,
        aliases=config.aliases,
        routing=routing(config.routing),
        settings=settings(config.general),
        pass_through=pass_through(config.pass_through),
        endpoints=tuple(endpoint(each) for each in config.endpoints),
        environment=environment,
    )
