"""Templates and settings: how `https://{region}.example.com` becomes an address.

A template names settings in braces. Settings come, in the row's order, from the call's parameters, the environment, the
model name, other settings, or a default (`provider.Setting`). A template that needs a setting nobody gave is an error
in an address, and is left out elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from msgspec import Struct

from penstock.providers.errors import ProviderError
from penstock.providers.provider import Provider, Setting

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


class Settings(Struct, frozen=True):
    """The settings of one target that are known, and the model name without the segments that gave some."""

    values: dict[str, str]
    model: str


def find_settings(
    provider: Provider, model: str, parameters: Mapping[str, Any], environment: Mapping[str, str]
) -> Settings:
    """Every setting of `provider` that somebody gave."""
    values: dict[str, str] = {}
    for setting in provider.settings:
        segment, slash, rest = model.partition("/")
        if setting.model_segment and slash and re.fullmatch(setting.model_segment, segment):
            values[setting.name], model = segment, rest
            continue
        value = _given(setting, model, parameters, environment) or _derived(setting, model, values)
        if value is not None:
            values[setting.name] = value
    return Settings(values, model)


def _given(setting: Setting, model: str, parameters: Mapping[str, Any], environment: Mapping[str, str]) -> str | None:
    for name in setting.parameters:
        if parameters.get(name):
            return str(parameters[name])
    if setting.model_pattern and (found := re.search(setting.model_pattern, model)):
        return found.group(1)
    return next((environment[name] for name in setting.environment if environment.get(name)), None)


def _derived(setting: Setting, model: str, values: Mapping[str, str]) -> str | None:
    if setting.of is not None:
        source = model.lower() if setting.of == "model" else values.get(setting.of, "")
        fitting = (template for glob, template in setting.cases.items() if fnmatchcase(source, glob))
        template = next(fitting, None)
    else:
        template = setting.default
    return fill_optional(template, values) if template is not None else None


def placeholders(template: str) -> list[str]:
    """The settings that a template names."""
    return _PLACEHOLDER.findall(template)


def fill(template: str, values: Mapping[str, str], absent: Callable[[str], ProviderError]) -> str:
    """The template with its placeholders replaced. A setting that is missing raises what `absent` makes of its name."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in values:
            raise absent(name)
        return values[name]

    return _PLACEHOLDER.sub(value, template)


def fill_optional(template: str, values: Mapping[str, str]) -> str | None:
    """The template with its placeholders replaced; None where a setting is missing."""
    if any(name not in values for name in placeholders(template)):
        return None
    return _PLACEHOLDER.sub(lambda match: values[match.group(1)], template)


def fill_all(templates: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """A mapping of templates, filled; those that miss a setting are left out."""
    filled = {name: fill_optional(template, values) for name, template in templates.items()}
    return {name: value for name, value in filled.items() if value is not None}
