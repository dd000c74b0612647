"""Router settings: what a router is given, read and checked when it is made, so that it fails then and not in a call.

Names and forms are LiteLLM's. None, and what is empty, say nothing. What LiteLLM's routers have and this one does not
is refused by name, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.calls.deployments import resolved, with_facts
from penstock.calls.engine import Engine
from penstock.client.routed_engine import fallback_table
from penstock.routing.deployment import MalformedDeployment
from penstock.routing.fallbacks import Fallbacks
from penstock.routing.groups import Groups, UnknownGroup
from penstock.routing.policies import policy_of, whole
from penstock.routing.strategies import STRATEGIES, Strategy, cost
from penstock.types.errors import ErrorKind, MalformedError

_ALONE = "a router of the SDK shares nothing with other processes and keeps no answers; the gateway does"
_LATER = "this router does not check that before a call"
_UNSUPPORTED = {
    **dict.fromkeys(("redis_host", "redis_port", "redis_password", "redis_url", "redis_db", "cache_kwargs"), _ALONE),
    **dict.fromkeys(("cache_responses", "caching_groups", "client_ttl", "provider_budget_config"), _ALONE),
    **dict.fromkeys(("enable_pre_call_checks", "optional_pre_call_checks"), _LATER),
    "routing_strategy_args": "the strategies have no settings; give a function as routing_strategy",
    **dict.fromkeys(("assistants_config", "router_general_settings", "alerting_config", "polling_interval"), ""),
}
"""Arguments of LiteLLM's Router that this one does not have, and why."""


def refuse(unknown: Mapping[str, Any]) -> None:
    """Raise TypeError for arguments that there are not. LiteLLM's that ask for nothing (False, None, empty) may be."""
    wrong = [name for name, value in unknown.items() if name not in _UNSUPPORTED or value]
    if wrong:
        reasons = "; ".join(dict.fromkeys(filter(None, (_UNSUPPORTED.get(name) for name in wrong))))
        raise TypeError(f"Router takes no {', '.join(sorted(wrong))}{f' ({reasons})' if reasons else ''}")


def defaults_of(given: Any, **more: Any) -> dict[str, Any]:
    """`default_litellm_params`, with what other arguments say for every deployment."""
    if not isinstance(given, Mapping | None):
        raise MalformedError(f"expected a dict, got {type(given).__name__}", "default_litellm_params")
    return {**{name: value for name, value in more.items() if value is not None}, **(given or {})}


def fallbacks_of(general: Any, context_window: Any, content_policy: Any, default: Any, most: Any) -> Fallbacks:
    """The tables of fallbacks, of names that are not checked yet (`known_fallbacks`). Of the general list, what is a
    name and not a table is for every group.
    """
    entries = listed("fallbacks", general)
    return Fallbacks(
        general=fallback_table([each for each in entries if isinstance(each, Mapping)], "fallbacks"),
        context_window=fallback_table(context_window or (), "context_window_fallbacks"),
        content_policy=fallback_table(content_policy or (), "content_policy_fallbacks"),
        default=(*(each for each in entries if not isinstance(each, Mapping)), *listed("default_fallbacks", default)),
        most=5 if most is None else whole("max_fallbacks", most),
    )


def known_fallbacks(table: Fallbacks, groups: Groups) -> Fallbacks:
    """The same. Raises MalformedDeployment where one names no group."""
    for names in (*table.general.values(), *table.context_window.values(), *table.content_policy.values()):
        known_names(names, groups)
    known_names(table.default, groups)
    return table


def with_defaults(model_list: Any, usual: Mapping[str, Any]) -> Any:
    """The list, each entry with the arguments that all have in common."""
    if not usual or isinstance(model_list, str | Mapping) or not isinstance(model_list, Sequence):
        return model_list
    entries: list[Any] = []
    for entry in model_list:
        own = (entry.get("litellm_params") or entry.get("params")) if isinstance(entry, Mapping) else None
        entries.append({**entry, "litellm_params": {**usual, **own}} if isinstance(own, Mapping) else entry)
    return entries


def aliases_of(given: Mapping[str, Any] | None) -> dict[str, str]:
    """`model_group_alias` as name -> group. Raises MalformedError."""
    found: dict[str, str] = {}
    for name, group in (given or {}).items():
        target = group.get("model") if isinstance(group, Mapping) else group
        if not isinstance(target, str):
            raise MalformedError(f"the alias {name!r} must name a group, got {group!r}", "model_group_alias")
        found[name] = target
    return found


def strategy_of(given: str | Strategy | None) -> Strategy:
    """The strategy of this name (None: simple-shuffle), or the function itself. Raises MalformedError."""
    given = "simple-shuffle" if given is None else given
    if callable(given):
        return given
    if given not in STRATEGIES:
        raise MalformedError(f"{given!r} is none of: {', '.join(STRATEGIES)}", "routing_strategy")
    return STRATEGIES[given]


def checked(groups: Groups, engine: Engine, strategy: Strategy) -> Groups:
    """The groups, once every model and alias is known to mean something; with prices where the strategy asks for them.

    Raises MalformedDeployment.
    """
    known = with_facts if strategy is cost else resolved
    deployments = [known(deployment, engine) for deployment in groups.deployments]
    checked = Groups(deployments, groups.aliases)
    for alias in groups.aliases:
        known_names([alias], checked)
    return checked


def known_names(names: Sequence[Any], groups: Groups) -> None:
    """Raise MalformedDeployment where one names no group."""
    try:
        for name in names:
            groups.canonical(name if isinstance(name, str) else repr(name))
    except UnknownGroup as error:
        raise MalformedDeployment(f"a fallback or an alias: {error}") from None


def listed(name: str, value: Any) -> list[Any]:
    """A list; None is an empty one. Raises MalformedError with the argument's name."""
    if value is None:
        return []
    if isinstance(value, str | Mapping) or not isinstance(value, Sequence):
        raise MalformedError(f"expected a list, got {value!r}", name)
    return list(value)


def number(name: str, value: Any, default: float = 0.0) -> float:
    """Seconds; None is the default. Raises MalformedError with the argument's name."""
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise MalformedError(f"expected seconds, 0 or more, got {value!r}", name)
    return float(value)


def policies_of(given: Any, groups: Groups) -> dict[str, dict[ErrorKind, int]]:
    """`model_group_retry_policy`: group -> policy. Raises MalformedError."""
    known_names(list(given or ()), groups)
    return {
        groups.canonical(group): policy_of(policy, f"model_group_retry_policy[{group!r}]", "Retries")
        for group, policy in (given or {}).items()
    }
