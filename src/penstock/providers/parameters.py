"""Parameters: which arguments of a call are about the address and the key, over all providers of a registry.

They never go into the body of a request, also not of one to another provider (a fallback), so the union counts and
not the single row.
"""

from __future__ import annotations

from penstock.providers.auth.choose import companions_of, parameters_of
from penstock.providers.registry import Registry


def parameter_names(registry: Registry) -> frozenset[str]:
    """The argument names that any row of `registry` reads: base URLs, settings (region, project ...) and
    credentials.
    """
    names: set[str] = set()
    for provider in registry:
        names.update(provider.base_parameters)
        for setting in provider.settings:
            names.update(setting.parameters)
        for kind in provider.auth:
            names.update(parameters_of(kind), companions_of(kind))
    return frozenset(names)
