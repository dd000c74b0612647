"""Profiles: the facts for rendering, laid over each other: the format's default, the model's family, what the fact
sheet knows of the one model, the host, the host's rules for some models.

Later layers win. Sets and mappings grow instead, since a host's refusals add to the model's.

A host that speaks several chat formats has the quirks of its row in the main one: what it renames in OpenAI's format it
need not rename in Anthropic's. Only `HOST_FACTS` hold in all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import msgspec

from penstock.providers.families import FAMILIES
from penstock.providers.globs import fits
from penstock.providers.provider import ModelRule, Provider
from penstock.providers.routes import formats_of, main_format
from penstock.types.profile import DEFAULT_PROFILE, Profile

HOST_FACTS = frozenset(
    {
        "image_urls",
        "signature_origin",
        "labels",
        "search_excludes",
        "tools",
        "default_max_tokens",
        "max_output_tokens",
        "message_extensions",
    }
)
"""The fields of Profile that are about the host itself, in whatever format it is spoken to."""


def profile_for(
    provider: Provider, model: str, wire_format: str, facts: Mapping[str, Any] = MappingProxyType({})
) -> Profile:
    """The profile for `model` at `provider` when it is spoken to in `wire_format`.

    `facts` are the changes that the fact sheet knows for this one model (`facts.profile.profile_changes`).
    """
    family = family_profile(model, wire_format) if provider.inherits_families else DEFAULT_PROFILE
    known = overlay(family, dict(facts)) if facts else family
    profile = _lay_over(known, _host_changes(provider, wire_format))
    return apply_rules(profile, provider.model_rules, model, wire_format)


def _host_changes(provider: Provider, wire_format: str) -> dict[str, Any]:
    """What the row's profile says in this format: all in its main one, only what is about the host in its others."""
    changes = changes_of(provider.profile)
    if not changes or wire_format == main_format(provider) or wire_format not in formats_of(provider, "chat"):
        return changes
    return {name: value for name, value in changes.items() if name in HOST_FACTS}


@lru_cache(maxsize=1024)
def family_profile(model: str, wire_format: str) -> Profile:
    """What is known of the model wherever it is hosted."""
    return apply_rules(DEFAULT_PROFILE, FAMILIES, model, wire_format)


def apply_rules(profile: Profile, rules: Iterable[ModelRule], model: str, wire_format: str) -> Profile:
    """`profile` with every rule that concerns this model and format."""
    for rule in rules:
        if fits(model.lower(), rule.models, rule.unless) and (not rule.formats or wire_format in rule.formats):
            profile = overlay(profile, rule.profile)
    return profile


def overlay(profile: Profile, changes: dict[str, Any]) -> Profile:
    """`profile` with `changes`. Raises msgspec.ValidationError for a field or value that Profile does not have."""
    return _lay_over(profile, _convert(changes))


def changes_of(profile: Profile) -> dict[str, Any]:
    """The fields of `profile` that differ from the default."""
    names = profile.__struct_fields__
    return {name: getattr(profile, name) for name in names if getattr(profile, name) != getattr(DEFAULT_PROFILE, name)}


def _lay_over(profile: Profile, changes: dict[str, Any]) -> Profile:
    if not changes:
        return profile
    grown = {name: _grow(getattr(profile, name), value) for name, value in changes.items()}
    return msgspec.structs.replace(profile, **grown)


def _convert(changes: dict[str, Any]) -> dict[str, Any]:
    """The values of `changes` in the types of Profile's fields (a list becomes a frozenset)."""
    unknown = changes.keys() - set(Profile.__struct_fields__)
    if unknown:
        raise msgspec.ValidationError(f"Profile has no field {', '.join(sorted(unknown))}")
    converted = msgspec.convert(changes, Profile)
    return {name: getattr(converted, name) for name in changes}


def _grow(old: Any, new: Any) -> Any:
    if isinstance(new, frozenset | dict):
        return old | new
    return new
