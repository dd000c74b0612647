"""Tasks: the names that are no model groups but choose one: by rules (rules.py), or by trying (cascade.py).

What they lead to must exist: a rule goes to a group or a cascade, a cascade through groups. Neither leads to rules, so
no request goes in a circle, and a name may have both rules and deployments: `{model: gpt, to: gpt}` is a good default.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from penstock.routing.cascade import Cascade, MalformedCascade, cascades_of
from penstock.routing.groups import Groups, UnknownGroup
from penstock.routing.rules import MalformedRule, RuleSet, rule_sets


class Tasks(Struct, frozen=True):
    """The rules by the name that callers use, and the cascades."""

    rules: dict[str, RuleSet]
    cascades: dict[str, Cascade]

    @property
    def names(self) -> tuple[str, ...]:
        """What callers may name besides groups."""
        return tuple(dict.fromkeys((*self.rules, *self.cascades)))


NO_TASKS = Tasks({}, {})


def tasks_of(rules: Any, cascades: Any, groups: Groups) -> Tasks:
    """Both, read and checked against the groups that there are. Raises MalformedRule or MalformedCascade."""
    if not rules and not cascades:
        return NO_TASKS
    found = Tasks(rule_sets(rules or ()), cascades_of(cascades or {}))
    for name, cascade in found.cascades.items():
        for group in cascade.groups:
            _known(group, groups, MalformedCascade, f"routing.cascades.{name}.groups")
    for model, rule_set in found.rules.items():
        for rule in rule_set.rules:
            if rule.to not in found.cascades:
                _known(rule.to, groups, MalformedRule, f"routing.rules: {rule.name!r} of {model!r}")
    return found


def _known(group: str, groups: Groups, error: type[ValueError], where: str) -> None:
    try:
        groups.canonical(group)
    except UnknownGroup as unknown:
        raise error(f"{where}: {unknown}") from None
