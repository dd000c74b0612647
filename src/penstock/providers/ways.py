"""Ways: what would have to be set in the environment to reach a provider.

A host may accept one key or another, a key or the credentials of a cloud, each with settings of its own (a region, a
project). Each such way is told apart, so that nobody is sent for two keys where one will do. Files and metadata servers
are not asked: credentials that lie there count as missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from penstock.providers.auth.choose import parameters_of
from penstock.providers.auth.kinds import AuthKind
from penstock.providers.auth.variables import Way, is_provided, ways_of
from penstock.providers.endpoint import given_base, keyless, variables_of
from penstock.providers.provider import Provider
from penstock.providers.templates import find_settings

_EMPTY: Mapping[str, Any] = {}
_NOTHING: Way = ()


def missing_by_way(
    provider: Provider,
    parameters: Mapping[str, Any] = _EMPTY,
    environment: Mapping[str, str] = _EMPTY,
    model: str = "",
) -> tuple[tuple[str, ...], ...]:
    """For each way to reach `provider`, the variables that are not set yet: the way that lacks least first, of two the
    one that was begun. Just an empty one, where everything is at hand. `model` may say a setting (Bedrock's region).
    """
    known = find_settings(provider, model, parameters, environment).values
    based = given_base(provider, parameters, environment) is not None
    found: dict[tuple[str, ...], int] = {}
    for kind in provider.auth:
        settings = () if based else _settings(provider, getattr(kind, "base_url", None))
        lacking = tuple(names[0] for name, names in settings if name not in known)
        for way in _ways(provider, kind, parameters, environment):
            unset = tuple(names[0] for names in way if not any(environment.get(name) for name in names))
            begun = len(way) + len(settings) - len(unset) - len(lacking)
            found[(*unset, *lacking)] = max(begun, found.get((*unset, *lacking), 0))
    ways = tuple(sorted(found, key=lambda missing: (len(missing), -found[missing])))
    return ways[:1] if ways and not ways[0] else ways or ((),)


def missing_variables(
    provider: Provider,
    parameters: Mapping[str, Any] = _EMPTY,
    environment: Mapping[str, str] = _EMPTY,
    model: str = "",
) -> tuple[str, ...]:
    """The environment variables that would have to be set to reach `provider` by the shortest way; none where
    everything is at hand.
    """
    return missing_by_way(provider, parameters, environment, model)[0]


def _ways(
    provider: Provider, kind: AuthKind, parameters: Mapping[str, Any], environment: Mapping[str, str]
) -> tuple[Way, ...]:
    given = any(parameters.get(name) for name in parameters_of(kind))
    if given or keyless(provider) or is_provided(kind, environment):
        return (_NOTHING,)
    return ways_of(kind, provider.key_environment)


def _settings(provider: Provider, base_url: str | None) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """(name, variables) of each setting that the address of this way needs."""
    template = base_url or provider.base_url
    if template is None:
        return (("", provider.base_environment),) if provider.base_environment else ()
    named = [setting for setting in provider.settings if f"{{{setting.name}}}" in template and setting.environment]
    return tuple((setting.name, setting.environment) for setting in named)


def providers_with_keys(providers: Iterable[Provider], environment: Mapping[str, str]) -> tuple[str, ...]:
    """The hosted providers that the environment has a key for, and all else that they need, by name."""
    return tuple(
        sorted(
            provider.name
            for provider in providers
            if not provider.local
            and provider.speaks
            and any(environment.get(name, "").strip() for name in variables_of(provider))
            and not missing_variables(provider, environment=environment)
        )
    )
