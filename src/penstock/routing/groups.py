"""Groups: what the name that a caller gives means: a model group, an alias of one, one deployment by its id, or a name
that fits a pattern. The first of these that fits decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from msgspec.structs import replace

from penstock.routing.deployment import Deployment


class UnknownGroup(ValueError):
    """No group, alias, id or pattern has this name. The message names the nearest."""


class Groups:
    """The deployments of a router, by name. Immutable.

    `aliases` are other names of groups.
    """

    def __init__(self, deployments: Sequence[Deployment], aliases: Mapping[str, str] | None = None) -> None:
        self.deployments = tuple(deployments)
        self.aliases = dict(aliases or {})
        self._by_id = {deployment.id: deployment for deployment in deployments}
        self._by_group: dict[str, list[Deployment]] = {}
        for deployment in deployments:
            self._by_group.setdefault(deployment.group, []).append(deployment)
        patterns = sorted((name for name in self._by_group if "*" in name), key=len, reverse=True)
        self._patterns = [(name, _compiled(name)) for name in patterns]

    @property
    def names(self) -> tuple[str, ...]:
        """What callers may ask for: groups and aliases."""
        return (*self._by_group, *(alias for alias in self.aliases if alias not in self._by_group))

    def canonical(self, name: str) -> str:
        """The group behind a name; of a deployment's id, the id itself. Raises UnknownGroup."""
        if name in self._by_group:
            return name
        if name in self.aliases:
            return self.canonical(self.aliases[name])
        if name in self._by_id:
            return name
        for group, pattern in self._patterns:
            if pattern.fullmatch(name):
                return group
        raise UnknownGroup(self._unknown(name))

    def find(self, name: str) -> tuple[Deployment, ...]:
        """The deployments behind a name. Raises UnknownGroup."""
        group = self.canonical(name)
        if group not in self._by_group:
            return (self._by_id[group],)
        found = tuple(self._by_group[group])
        if "*" not in group or group == name:
            return found
        match = _compiled(group).fullmatch(self.aliases.get(name, name))
        return found if match is None else tuple(_filled(deployment, match.groups()) for deployment in found)

    def is_alone(self, deployment: Deployment) -> bool:
        """Whether no other deployment could answer in its place."""
        return len(self._by_group[deployment.group]) == 1

    def _unknown(self, name: str) -> str:
        near = get_close_matches(name, self.names, n=3)
        advice = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        return f"This router has no model group {name!r}.{advice} It has: {', '.join(self.names)}."


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile("(.*)".join(map(re.escape, pattern.split("*"))), re.DOTALL)


def _filled(deployment: Deployment, parts: Sequence[str]) -> Deployment:
    """The deployment with what the pattern's stars stood for in the place of its model's stars."""
    model = deployment.model
    for part in parts:
        model = model.replace("*", part, 1)
    return replace(deployment, arguments={**deployment.arguments, "model": model})
