"""Whole folders that agents wrote, made, given away and removed by the server: never through a link.

Nothing runs in them any more. `shutil.rmtree` and `os.fwalk` open folders one in another and follow no links.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path


def make(folder: Path, owner: int) -> None:
    """Make the two folders of a workspace below a new folder; owner < 0: ours."""
    folder.mkdir(mode=0o711)
    folder.chmod(0o711)
    for part in ("home", "work"):
        (folder / part).mkdir(mode=0o700)
        if owner >= 0:
            os.chown(folder / part, owner, owner)


def give(folder: Path, owner: int) -> None:
    """Make `owner` the owner of all below the folders of a workspace."""
    for part in ("home", "work"):
        for _, folders, files, opened in os.fwalk(folder / part, follow_symlinks=False):
            os.fchown(opened, owner, owner)
            for name in (*folders, *files):
                os.chown(name, owner, owner, dir_fd=opened, follow_symlinks=False)


def remove(folder: Path) -> None:
    """Remove a folder and all below it; one that is not there is no error. Rights that an agent took away are no
    hindrance.
    """
    with contextlib.suppress(FileNotFoundError):
        if os.geteuid() != 0:
            _open_up(folder)
        shutil.rmtree(folder)


def _open_up(folder: Path) -> None:
    for _, folders, _, opened in os.fwalk(folder, follow_symlinks=False):
        for name in folders:
            with contextlib.suppress(OSError):
                inner = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=opened)
                try:
                    os.chmod(f"/proc/self/fd/{inner}", 0o700)  # noqa: PTH101
                finally:
                    os.close(inner)
