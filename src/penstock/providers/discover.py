"""Discovery: settings that only a file or a metadata server knows, such as the region of an AWS profile or the project
of Google credentials.

`endpoint` never needs this where the call or the environment says everything. Where it would fail for a missing
setting, whoever drives flows may run `discover` first and add what it finds to the parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from penstock.providers.auth.aws_profile import load_profiles, profile_name
from penstock.providers.auth.choose import GOOGLE_METADATA_VARIABLES, GOOGLE_VARIABLES
from penstock.providers.auth.commands import Flow
from penstock.providers.auth.credentials import EXPIRY_MARGIN, Credential, Token, digest
from penstock.providers.auth.google import google_project
from penstock.providers.auth.single_flight import Memory, obtain_once
from penstock.providers.provider import Provider
from penstock.providers.templates import find_settings

KEPT = 300.0
"""Seconds for which a setting that was found, or not, is remembered."""


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
    provider: Provider,
    model: str,
    parameters: Mapping[str, Any],
    environment: Mapping[str, str],
    *,
    memory: Memory | None = None,
    now: float = 0.0,
) -> Flow[dict[str, str]]:
    """Parameters to add to the call's: what files and metadata servers say about the missing settings. A `memory` keeps
    what was found for `KEPT` seconds from `now` (Unix seconds). Raises ProviderError where a file is malformed.
    """
    found: dict[str, str] = {}
    missing = undiscovered(provider, model, parameters, environment)
    for setting in provider.settings:
        if setting.name in missing and setting.discover:
            value = yield from _search(setting.discover, parameters, environment, memory, now)
            if value:
                found[setting.parameters[0]] = value
    return found


def _search(
    name: str, parameters: Mapping[str, Any], environment: Mapping[str, str], memory: Memory | None, now: float
) -> Flow[str | None]:
    search, names = _SEARCHES[name]
    if memory is None:
        return (yield from search(parameters, environment))

    def flow(now: float) -> Flow[Credential]:
        value = yield from search(parameters, environment)
        return Token(value or "", now + EXPIRY_MARGIN + KEPT)

    seen = [(key, value) for key, value in environment.items() if key.startswith(names)]
    asked = [(key, parameters[key]) for key in _PARAMETERS if key in parameters]
    found = yield from obtain_once(memory, f"{name}:{digest(sorted(seen), asked)}", flow, now)
    return found.value if isinstance(found, Token) else None


def _aws_region(parameters: Mapping[str, Any], environment: Mapping[str, str]) -> Flow[str | None]:
    profiles = yield from load_profiles(environment)
    return profiles.get(profile_name(parameters, environment), {}).get("region")


_PARAMETERS = ("aws_profile_name", "vertex_credentials", "vertex_ai_credentials")
_Search: TypeAlias = Callable[[Mapping[str, Any], Mapping[str, str]], Flow[str | None]]
_SEARCHES: dict[str, tuple[_Search, tuple[str, ...]]] = {
    "aws_region": (_aws_region, ("AWS_", "HOME", "USERPROFILE")),
    "google_project": (google_project, (*GOOGLE_VARIABLES, *GOOGLE_METADATA_VARIABLES)),
}
"""What finds a setting, and the environment variables (how they begin) that it looks at."""
