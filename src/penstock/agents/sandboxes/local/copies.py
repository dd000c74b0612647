"""Copies of workspaces: snapshots, and workspaces made of them. Nothing runs in what is copied.

A helper copies as the user to whom the files belong; the file `owner` comes last, and makes the copy whole.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection
from pathlib import Path

from penstock.agents.sandboxes.driver import InvalidSpec, NoSuchPath
from penstock.agents.sandboxes.local import files, trees
from penstock.agents.sandboxes.local.forking import ForkServer
from penstock.agents.sandboxes.local.replies import answer
from penstock.agents.sandboxes.local.state import State
from penstock.agents.sandboxes.local.warm import WARM


def check_new_snapshot(state: State, name: str) -> None:
    """Raise InvalidSpec where the name is bad or taken."""
    if state.snapshot(name).exists():
        raise InvalidSpec(f"there is a snapshot {name!r} already", fix="choose another name")


async def copy_workspace(state: State, forks: ForkServer, workspace: str, snapshot: str) -> None:
    """Copy a workspace into a new snapshot."""
    source = state.workspace(workspace)
    await _copied(state, forks, source, state.snapshot(snapshot), int((source / "owner").read_text()))


async def restore(state: State, forks: ForkServer, snapshot: str, workspace: str) -> None:
    """Make a workspace of a snapshot. Raises NoSuchPath, InvalidSpec (there is such a workspace)."""
    source, target = state.snapshot(snapshot), state.workspace(workspace)
    if not (source / "owner").exists():
        raise NoSuchPath(f"there is no snapshot {snapshot!r}")
    if target.exists():
        raise InvalidSpec(f"there is a workspace {workspace!r} already", fix="choose another name")
    await _copied(state, forks, source, target, state.new_owner())


async def _copied(state: State, forks: ForkServer, source: Path, target: Path, owner: int) -> None:
    before = int((source / "owner").read_text())
    trees.make(target, before if state.as_root else -1)
    for part in ("home", "work"):
        opened = [os.open(folder / part, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) for folder in (source, target)]
        try:
            await answer(await forks.job("copy", files.Copy(before if state.as_root else -1), opened))
        except BaseException:
            await asyncio.to_thread(trees.remove, target)
            raise
        finally:
            for fd in opened:
                os.close(fd)
    if state.as_root and owner != before:
        await asyncio.to_thread(trees.give, target, owner)
    (target / "owner").write_text(str(owner))


def sweep(state: State, used: Collection[str]) -> list[str]:
    """Remove what a crash left half made: workspaces and snapshots without their last file, those of the pool. What is
    used stays. Returns what was removed.
    """
    found = []
    for folder in (*(state.root / "workspaces").iterdir(), *(state.root / "snapshots").iterdir()):
        left = folder.name.startswith(WARM) or not (folder / "owner").exists()
        if left and folder.name not in used:
            trees.remove(folder)
            found.append(f"{folder.parent.name[:-1]} {folder.name}")
    return found
