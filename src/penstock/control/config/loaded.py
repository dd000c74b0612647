"""Loaded: what a configuration comes to: a snapshot for the workers, and what the control plane itself must know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from penstock.control.config.problems import Problem
from penstock.control.store.keys import KeyRecord
from penstock.gateway.snapshot import Snapshot


class Probe(Struct, frozen=True, kw_only=True):
    """An active health check of a deployment: every so many seconds, failed after `timeout`. `model`: whom to ask
    where the deployment is a wildcard; `mode`: what kind of call ("chat", "embedding" ...).
    """

    every: float
    timeout: float
    model: str | None = None
    mode: str = "chat"


class ControlSettings(Struct, frozen=True, kw_only=True):
    """What the control plane itself is told.

    spend_log_retention  seconds after which a row of the ledger is deleted; None: never
    key_defaults         fields of /key/generate that hold where a request does not say them
    key_bounds           the most that such a request may ask for, by field; one that says nothing gets the bound
    """

    state_dir: str | None = None
    spend_log_retention: float | None = None
    key_defaults: Mapping[str, Any] = {}
    key_bounds: Mapping[str, Any] = {}


class Loaded(Struct, frozen=True, kw_only=True):
    """A configuration that is right.

    snapshot       for the workers; its version is 0 until one is given to it
    keys           virtual keys that it lists (`source` is "config"; nothing is known of what they spent)
    master_key     the master key; None: nobody named one, so one must be made
    master_key_source  where it is from: the name of an environment variable, or the configuration's file
    control        for the control plane
    probes         deployment id -> its active health check
    access_groups  name -> the model groups that a key with this name among its `models` may ask for
    warnings       what is not honoured, and what else should be known; to be said once at start
    files          the files that it came from, as the bundle names them; empty: there is none
    secrets        values that must not leave
    """

    snapshot: Snapshot
    keys: tuple[KeyRecord, ...] = ()
    master_key: str | None = None
    master_key_source: str | None = None
    control: ControlSettings = ControlSettings()
    probes: Mapping[str, Probe] = {}
    access_groups: Mapping[str, tuple[str, ...]] = {}
    warnings: tuple[Problem, ...] = ()
    files: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """No values: secrets are among them."""
        return f"Loaded({self.snapshot!r}, {len(self.keys)} keys, {len(self.warnings)} warnings)"


def groups_for(models: tuple[str, ...], access_groups: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """What a key may ask for, with the names of access groups replaced by their groups."""
    found: list[str] = []
    for name in models:
        found += access_groups.get(name, (name,))
    return tuple(dict.fromkeys(found))
