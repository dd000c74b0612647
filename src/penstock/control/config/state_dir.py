"""The state directory that a configuration names. It is opened before the keeper is there, which reads the rest: so
this one value is read alone, and without what checks a whole configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from penstock.control.config.bundle import read_bundle, tree_of
from penstock.control.config.problems import ConfigErrors
from penstock.control.config.references import resolve, variables_of


def configured_state_dir(file: Path, environment: Mapping[str, str]) -> Path | None:
    """The folder, relative to the file's own; None where it names none, or cannot be read: the keeper says why."""
    try:
        tree = tree_of(read_bundle(file))
    except ConfigErrors:
        return None
    variables, _ = variables_of(tree.root, environment)
    resolve(tree.root, {**environment, **variables}, tree.litellm)
    general = tree.root.items.get("general")
    named = None if general is None else general.items.get("state_dir")
    return None if named is None or not named.text else file.parent / named.text


__all__ = ["configured_state_dir"]
