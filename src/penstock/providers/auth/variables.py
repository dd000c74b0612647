"""Variables: which environment variables carry what a kind of authentication wants.

A *way* is a set of values that together suffice, each under any one of several names. A kind may have several ways (AWS
takes a pair of keys, a profile, or a web identity); a host that accepts several kinds has the ways of all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from penstock.providers.auth.kinds import (
    AuthKind,
    AwsSignature,
    AzureOAuth,
    Bearer,
    ClientCredentials,
    GoogleOAuth,
    HeaderKey,
    IbmIam,
    QueryKey,
)

Way: TypeAlias = tuple[tuple[str, ...], ...]
"""All of these are needed; of each, any one name will do."""

_CLOUDS: dict[type[Any], tuple[Way, ...]] = {
    AwsSignature: (
        (("AWS_ACCESS_KEY_ID",), ("AWS_SECRET_ACCESS_KEY",)),
        (("AWS_PROFILE", "AWS_DEFAULT_PROFILE"),),
        (("AWS_WEB_IDENTITY_TOKEN_FILE",), ("AWS_ROLE_ARN",)),
    ),
    GoogleOAuth: ((("GOOGLE_APPLICATION_CREDENTIALS",),),),
    AzureOAuth: (
        (("AZURE_TENANT_ID",), ("AZURE_CLIENT_ID",), ("AZURE_CLIENT_SECRET",)),
        (("AZURE_TENANT_ID",), ("AZURE_CLIENT_ID",), ("AZURE_FEDERATED_TOKEN_FILE",)),
    ),
}
_PLATFORMS: dict[type[Any], tuple[str, ...]] = {
    AwsSignature: ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    AzureOAuth: ("IDENTITY_ENDPOINT",),
}
"""What a platform sets by itself for what runs on it: enough, and nothing to tell anybody to set."""


def ways_of(kind: AuthKind, key_environment: tuple[str, ...]) -> tuple[Way, ...]:
    """The ways of one kind, the usual one first; none where only parameters of a call carry it."""
    if isinstance(kind, Bearer | HeaderKey | QueryKey | IbmIam):
        names = kind.environment or key_environment
        return ((names,),) if names else ()
    if isinstance(kind, ClientCredentials):
        basic: Way = (kind.basic_environment,)
        pair: Way = (kind.id_environment, kind.secret_environment)
        return tuple(way for way in (basic, pair) if all(way))
    return _CLOUDS.get(type(kind), ())


def is_provided(kind: AuthKind, environment: Mapping[str, str]) -> bool:
    """Whether the platform that this runs on has set what the kind wants."""
    return any(environment.get(name) for name in _PLATFORMS.get(type(kind), ()))


def ways_in_words(kinds: Sequence[AuthKind], key_environment: tuple[str, ...]) -> str:
    """`A or B, or C and D`: the usual way of each kind, for the error that asks for one of them."""
    usual = [way for kind in kinds for way in ways_of(kind, key_environment)[:1]]
    return ", or ".join(" and ".join(" or ".join(names) for names in way) for way in dict.fromkeys(usual))


def key_variables(kinds: Sequence[AuthKind], key_environment: tuple[str, ...]) -> tuple[str, ...]:
    """The environment variables that carry a key of any of the kinds in its usual way, in order, each once: what an
    error or a help page names.
    """
    usual = [way for kind in kinds for way in ways_of(kind, key_environment)[:1]]
    return tuple(dict.fromkeys(name for way in usual for names in way for name in names))
