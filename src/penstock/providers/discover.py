"""Discovery: settings that only a file or a metadata server knows, such as the region of an AWS profile or the project
of Google credentials.

`endpoint` never needs this where the call or the environment says everything. Where it would fail for a missing
setting, whoever drives flows may run `discover` first and add what it finds to the parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from penstock.providers.auth.aws_profile import load_profiles, profile_name
from penstock.providers.auth.commands import Flow
from penstock.providers.auth.google import google_project
from penstock.providers.provider import Provider
from penstock.providers.templates import find_settings


def undiscovered(
    provider: Provider, model: str, parameters: Mapping[str, Any], environment: Mapping[str, str]
) -> tuple[str, ...]:
    """The settings that are missing and that `discover` may find: mostly none."""
    searchable = [setting.name for setting in provider.settings if setting.discover]
    if not searchable:
        return ()
    known = find_settings(provider, model, parameters, environment).values
    return tuple(name for name in searchable if name not in known)


def discover(
    provider: Provider, model: str, parameters: Mapping[str, Any], environment: Mapping[str, str]
) -> Flow[dict[str, str]]:
    """Parameters to add to the call's: what files and metadata servers say about the missing settings. Raises
    ProviderError where a file is malformed.
    """
    found: dict[str, str] = {}
    missing = undiscovered(provider, model, parameters, environment)
    for setting in provider.settings:
        if setting.name in missing and setting.discover:
            value = yield from _SEARCHES[setting.discover](parameters, environment)
            if value:
                found[setting.parameters[0]] = value
    return found


def _aws_region(parameters: Mapping[str, Any], environment: Mapping[str, str]) -> Flow[str | None]:
    profiles = yield from load_profiles(environment)
    return profiles.get(profile_name(parameters, environment), {}).get("region")


_SEARCHES: dict[str, Callable[[Mapping[str, Any], Mapping[str, str]], Flow[str | None]]] = {
    "aws_region": _aws_region,
    "google_project": google_project,
}
