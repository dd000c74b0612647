"""Diff: what changes from one configuration to another, in words, without secrets.

Deployments are compared by id, and those that have no partner then by group and model, in their order; keys by their
digest. A value that may be a secret is only said to have changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import asdict

from penstock.control.config.loaded import Loaded
from penstock.control.config.references import is_secret_key
from penstock.control.store.keys import KeyRecord, dollars
from penstock.gateway.snapshot import Snapshot
from penstock.routing.deployment import Deployment

Kind = Literal["added", "removed", "changed"]
_SIGNS: Mapping[Kind, str] = {"added": "+", "removed": "-", "changed": "~"}
_LONGEST = 120
_USER = re.compile(r"://[^/@\s]*@")
"""What stands before the host of a URL may be a password."""
_SECRET_BLOCKS = frozenset({"extra_headers", "headers", "extra_query", "environment"})
_OF_A_KEY = (
    *("key_alias", "models", "aliases", "expires", "blocked", "rpm_limit", "tpm_limit", "max_parallel_requests"),
    *("max_budget", "budget_duration", "tags", "metadata"),
)
_KNOWN_FACTS = frozenset({"price", "input_price", "cached_price", "max_input"})
"""Fields of a deployment that come of others."""


class Change(Struct, frozen=True):
    """One change. `path` names what changed; `old` and `new` are values in words, None where there is none to show."""

    kind: Kind
    path: str
    old: str | None = None
    new: str | None = None

    def __str__(self) -> str:
        values = (
            "" if self.old is None and self.new is None else f": {self.old or 'nothing'} -> {self.new or 'nothing'}"
        )
        if self.kind != "changed":
            values = f": {self.new or self.old}" if self.new or self.old else ""
        return f"{_SIGNS[self.kind]} {self.path}{values or (': changed' if self.kind == 'changed' else '')}"


def diff(old: Loaded, new: Loaded) -> tuple[Change, ...]:
    """What applying `new` in the place of `old` would change; nothing: they are the same."""
    found = [
        *_models(old.snapshot.deployments, new.snapshot.deployments),
        *_snapshots(old.snapshot, new.snapshot),
        *_keys(old.keys, new.keys),
    ]
    if old.master_key != new.master_key:
        found.append(Change("changed", "general.master_key"))
    found += _values("general", asdict(old.control), asdict(new.control))
    found += _values("access_groups", old.access_groups, new.access_groups)
    found += _values("health_checks", _plain(old.probes), _plain(new.probes))
    return tuple(found)


def _snapshots(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    yield from _values("aliases", old.aliases, new.aliases)
    yield from _values("routing", asdict(old.routing), asdict(new.routing))
    yield from _values("general", asdict(old.settings), asdict(new.settings))
    yield from _values("pass_through", old.pass_through, new.pass_through)
    yield from _values("endpoints", _by(old.endpoints, "path"), _by(new.endpoints, "path"))
    yield from _values("environment_variables", old.environment, new.environment, secret=True)


# -- models and keys --------------------------------------------------------------------------------------------------


def _models(old: Sequence[Deployment], new: Sequence[Deployment]) -> Iterator[Change]:
    for before, after in _pairs(old, new, (lambda each: each.id, lambda each: (each.group, each.model))):
        if before is None and after is not None:
            yield Change("added", f"models.{after.group}", None, f"{after.model} ({after.id})")
        elif after is None and before is not None:
            yield Change("removed", f"models.{before.group}", f"{before.model} ({before.id})")
        elif before is not None and after is not None:
            yield from _values(f"models.{after.group}[{after.id}]", _fields(before), _fields(after))


def _fields(deployment: Deployment) -> dict[str, Any]:
    fields = asdict(deployment)
    arguments = fields.pop("arguments")
    return {**arguments, **{name: value for name, value in fields.items() if name not in _KNOWN_FACTS}}


def _keys(old: Sequence[KeyRecord], new: Sequence[KeyRecord]) -> Iterator[Change]:
    for before, after in _pairs(old, new, (lambda each: each.token, lambda each: each.key_alias or each.token)):
        if before is None and after is not None:
            yield Change("added", f"keys.{_name(after)}")
        elif after is None and before is not None:
            yield Change("removed", f"keys.{_name(before)}")
        elif before is not None and after is not None:
            if before.token != after.token:
                yield Change("changed", f"keys.{_name(after)}.key")
            yield from _values(f"keys.{_name(after)}", _of_key(before), _of_key(after))


def _name(key: KeyRecord) -> str:
    return key.key_alias or f"sha256:{key.token[:8]}"


def _of_key(key: KeyRecord) -> dict[str, Any]:
    fields = {name: getattr(key, name) for name in _OF_A_KEY}
    if key.max_budget is not None:
        fields["max_budget"] = f"{dollars(key.max_budget):.12g} USD"
    return fields


def _pairs(
    old: Sequence[Any], new: Sequence[Any], identities: Sequence[Callable[[Any], Any]]
) -> Iterator[tuple[Any | None, Any | None]]:
    """Partners by the first identity, then those that are left by the next; at last the rest, alone."""
    left, right = list(old), list(new)
    for identity in identities:
        for after in list(right):
            before = next((each for each in left if identity(each) == identity(after)), None)
            if before is not None:
                left.remove(before)
                right.remove(after)
                yield before, after
    yield from ((each, None) for each in left)
    yield from ((None, each) for each in right)


# -- values -----------------------------------------------------------------------------------------------------------


def _values(path: str, old: Any, new: Any, secret: bool = False) -> Iterator[Change]:
    """Changes below a path: of mappings entry by entry, of all else as a whole."""
    if old == new:
        return
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        yield _changed(path, old, new, secret)
        return
    for name in dict.fromkeys([*old, *new]):
        hidden = secret or is_secret_key(str(name)) or path.rpartition(".")[2] in _SECRET_BLOCKS
        where = f"{path}.{name}"
        if name not in old:
            yield Change("added", where, None, None if hidden else _shown(new[name]))
        elif name not in new:
            yield Change("removed", where, None if hidden else _shown(old[name]))
        else:
            yield from _values(where, old[name], new[name], hidden)


def _changed(path: str, old: Any, new: Any, secret: bool) -> Change:
    return Change("changed", path) if secret else Change("changed", path, _shown(old), _shown(new))


def _shown(value: Any) -> str:
    """A value in words. Mappings are only named, since secrets may be within them."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(map(str, value))}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_shown, value))}]"[:_LONGEST]
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return _USER.sub("://...@", str(value))[:_LONGEST]


def _plain(structs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: asdict(each) for name, each in structs.items()}


def _by(structs: Sequence[Any], field: str) -> dict[str, Any]:
    return {getattr(each, field): asdict(each) for each in structs}
