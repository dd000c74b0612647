"""Keys and models as LiteLLM's clients know them. Pure: records in, values for JSON out.

Money is shown in US dollars as JSON numbers (`spend`, `max_budget`), because that is what those clients read; the exact
amounts of calls are in the ledger's rows, as text. Times are ISO 8601, UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from penstock.control.config.references import is_secret_key
from penstock.control.store.keys import KeyRecord, dollars
from penstock.providers.urls import without_secrets
from penstock.routing.deployment import Deployment

_ALWAYS_EMPTY: Mapping[str, Any] = {
    "allowed_cache_controls": [],
    "allowed_routes": [],
    "config": {},
    "guardrails": None,
    "litellm_budget_table": None,
    "model_max_budget": {},
    "model_spend": {},
    "object_permission": None,
    "permissions": {},
    "project_id": None,
}
"""Columns of LiteLLM's keys that are not supported, as they look when nothing is set: its clients look for them."""


def key_columns(key: KeyRecord) -> dict[str, Any]:
    """All columns of a key but its token."""
    return {
        "key_name": key.key_name,
        "key_alias": key.key_alias,
        "spend": dollars(key.spend),
        "total_spend": dollars(key.total_spend),
        "expires": moment(key.expires),
        "models": list(key.models),
        "aliases": dict(key.aliases),
        "user_id": key.user_id,
        "team_id": key.team_id,
        "organization_id": key.organization_id,
        "max_parallel_requests": key.max_parallel_requests,
        "metadata": dict(key.metadata),
        "tags": list(key.tags),
        "blocked": key.blocked,
        "tpm_limit": key.tpm_limit,
        "rpm_limit": key.rpm_limit,
        "max_budget": _amount(key.max_budget),
        "soft_budget": _amount(key.soft_budget),
        "budget_duration": key.budget_duration,
        "budget_reset_at": moment(key.budget_reset_at),
        "last_active": moment(key.last_active),
        "source": key.source,
        "created_at": moment(key.created_at),
        "created_by": key.created_by,
        "updated_at": moment(key.updated_at),
        "updated_by": key.updated_by,
        **_ALWAYS_EMPTY,
    }


def key_row(key: KeyRecord) -> dict[str, Any]:
    """All columns of a key, with its token."""
    return {"token": key.token, **key_columns(key)}


def key_made(secret: str, key: KeyRecord) -> dict[str, Any]:
    """A key that was just made: the only time that it is shown."""
    return {"key": secret, "token": key.token, "token_id": key.token, "key_type": "default", **key_columns(key)}


def moment(at: float | None) -> str | None:
    """Unix seconds as ISO 8601, UTC."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _amount(picodollars: int | None) -> float | None:
    return None if picodollars is None else dollars(picodollars)


def pages(total: int, size: int) -> int:
    """How many pages that makes."""
    return -(-total // size)


# -- models -----------------------------------------------------------------------------------------------------------


def model_row(deployment: Deployment, facts: Mapping[str, Any]) -> dict[str, Any]:
    """A deployment: `facts` are what is known of its model."""
    given = deployment.arguments.get("model_info")
    own = given if isinstance(given, Mapping) else {}
    arguments = {name: value for name, value in deployment.arguments.items() if name != "model_info"}
    return {
        "model_name": deployment.group,
        "litellm_params": public(arguments) | _routing(deployment),
        "model_info": {**plain(facts), **public(own), "id": deployment.id, "db_model": False},
    }


def _routing(deployment: Deployment) -> dict[str, Any]:
    fields = ("order", "weight", "rpm", "tpm")
    said = {name: getattr(deployment, name) for name in fields if getattr(deployment, name) is not None}
    return {**said, **({"tags": list(deployment.tags)} if deployment.tags else {})}


def public(value: Any, name: str = "") -> Any:
    """A value without what lets somebody in: arguments that are called like credentials, users in addresses."""
    if isinstance(value, Mapping):
        hidden = name.endswith("headers")
        return {
            str(key): public(each, str(key))
            for key, each in value.items()
            if not hidden and not is_secret_key(str(key))
        }
    if isinstance(value, list | tuple):
        return [public(each, name) for each in value]
    if isinstance(value, str):
        return without_secrets(value) if "://" in value else value
    return value if isinstance(value, bool | int | float | None) else str(value)


def plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as JSON has them: prices are texts of exact amounts within, numbers here."""
    return {name: _number(value) for name, value in facts.items() if value is not None}


def _number(value: Any) -> Any:
    if isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return plain(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [_number(each) for each in value]
    return float(value)


def group_rows(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What `GET /model_group/info` says: groups, of the rows of their deployments."""
    groups: dict[str, dict[str, Any]] = {}
    for row in rows:
        info, params = row["model_info"], row["litellm_params"]
        found = groups.setdefault(row["model_name"], _empty_group(row["model_name"]))
        provider = str(params.get("model", "")).partition("/")[0]
        if provider not in found["providers"]:
            found["providers"].append(provider)
        for name in ("max_input_tokens", "max_output_tokens", "input_cost_per_token", "output_cost_per_token"):
            known = [value for value in (found[name], info.get(name)) if isinstance(value, int | float)]
            found[name] = max(known) if known else None
        for name in ("tpm", "rpm"):
            if params.get(name) is not None:
                found[name] = (found[name] or 0) + params[name]
        found["mode"] = found["mode"] or info.get("mode")
        for name, value in info.items():
            if name.startswith("supports_") and isinstance(value, bool):
                found[name] = bool(found.get(name)) or value
    return list(groups.values())


def _empty_group(name: str) -> dict[str, Any]:
    empty = (
        "max_input_tokens",
        "max_output_tokens",
        "input_cost_per_token",
        "output_cost_per_token",
        "mode",
        "tpm",
        "rpm",
    )
    return {"model_group": name, "providers": [], **dict.fromkeys(empty)}
