"""Validation of a row: what the types cannot say. Runs when a row is registered, so that a misprint fails there and not
in traffic.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

import msgspec

from penstock.providers.auth.kinds import Bearer, ClientCredentials, HeaderKey, QueryKey
from penstock.providers.errors import ProviderError
from penstock.providers.profiles import overlay
from penstock.providers.provider import Provider, Route
from penstock.providers.routes import routes_of
from penstock.providers.templates import placeholders
from penstock.providers.wire_formats import WIRE_FORMATS, Capability
from penstock.types.profile import DEFAULT_PROFILE

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def validate(provider: Provider) -> None:
    """Raises ProviderError (malformed_provider) that lists everything that is wrong with the row."""
    faults = [*_types(provider)] or [*_faults(provider)]
    if faults:
        message = f"The provider {provider.name!r} is not described correctly: {'; '.join(faults)}."
        fix = "Its fields are those of penstock.providers.provider.Provider."
        raise ProviderError("malformed_provider", message, fix, provider=provider.name)


def _types(provider: Provider) -> Iterator[str]:
    """Constructors do not check types; a trip through plain values does."""
    try:
        msgspec.convert(msgspec.to_builtins(provider), Provider)
    except (msgspec.ValidationError, TypeError) as error:
        yield str(error)


def _faults(provider: Provider) -> Iterator[str]:
    for word in (provider.name, *provider.aliases):
        if not _NAME.fullmatch(word):
            yield f"{word!r} is not a name (letters, digits, '.', '_' and '-', no slash)"
    if provider.base_url is not None and not provider.base_url.startswith(("http://", "https://", "{")):
        yield f"base_url {provider.base_url!r} does not begin with http:// or https://"
    if provider.base_url is None and not provider.base_environment and not provider.own_api:
        yield "it has neither base_url nor base_environment"
    if bool(provider.speaks) == bool(provider.own_api):
        yield (
            "speaks is empty, and own_api does not say why"
            if not provider.speaks
            else "it has own_api, yet speaks formats"
        )
    if not provider.auth:
        yield "auth is empty (say none: {kind: none})"
    for route in routes_of(provider):
        yield from _route_faults(route)
    yield from _unknown_settings(provider)
    yield from _rule_faults(provider)


def _route_faults(route: Route) -> Iterator[str]:
    known = get_args(Capability)
    if route.capability is not None and route.capability not in known:
        yield f"{route.format}: capability {route.capability!r} is none of {', '.join(known)}"
    if route.format not in WIRE_FORMATS and (route.capability is None or route.path is None):
        yield f"{route.format!r} is not a known format; a route for a new one says capability and path"


def _unknown_settings(provider: Provider) -> Iterator[str]:
    known = {setting.name for setting in provider.settings} | {"model", "base_url", "origin"}
    for where, template in _templates(provider):
        for name in placeholders(template):
            if name not in known:
                yield f"{where} names the setting {name!r}, which settings does not list"


def _templates(provider: Provider) -> Iterator[tuple[str, str]]:
    yield "base_url", provider.base_url or ""
    yield from (("headers", template) for template in provider.headers.values())
    yield from (("query", template) for template in provider.query.values())
    for setting in provider.settings:
        yield from (
            (f"setting {setting.name}", template) for template in (setting.default or "", *setting.cases.values())
        )
    for route in routes_of(provider):
        texts: list[Any] = [route.base_url, route.prefix, route.path, route.stream_path]
        for mapping in (route.query, route.stream_query, route.headers, route.body):
            texts += mapping.values()
        yield from ((f"route {route.format}", text) for text in texts if text)
    for kind in provider.auth:
        if isinstance(kind, ClientCredentials):
            yield from (("auth", template) for template in (kind.token_url, kind.scope))
        elif isinstance(kind, Bearer | HeaderKey | QueryKey):
            yield "auth", kind.base_url or ""


def _rule_faults(provider: Provider) -> Iterator[str]:
    for rule in provider.model_rules:
        try:
            overlay(DEFAULT_PROFILE, rule.profile)
        except msgspec.ValidationError as error:
            yield f"model rule for {', '.join(rule.models)}: {error}"
    for setting in provider.settings:
        for pattern in (setting.model_segment, setting.model_pattern):
            try:
                re.compile(pattern or "")
            except re.error as error:
                yield f"setting {setting.name}: {pattern!r} is not a regular expression ({error})"
