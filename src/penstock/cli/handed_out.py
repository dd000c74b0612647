"""Artifacts in a folder of the user's: the newest of each name. Names are an agent's, and lead nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from penstock.agents.events import Artifact
from penstock.agents.sandboxes.archive import parts_of
from penstock.agents.sandboxes.driver import UnsafeArchive
from penstock.cli import CommandError


def newest(found: Iterable[Artifact]) -> list[Artifact]:
    """The last of each name."""
    return list({each.name: each for each in found}.values())


def place_of(artifact: Artifact, folder: Path) -> Path:
    """Where it is to be written; the folders above it are made. Raises CommandError: its name leads elsewhere."""
    try:
        target = folder.joinpath(*parts_of(artifact.name))
    except UnsafeArchive as error:
        raise CommandError(error.message) from None
    target.parent.mkdir(parents=True, exist_ok=True)
    return target
