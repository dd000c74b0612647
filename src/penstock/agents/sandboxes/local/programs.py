"""The programs of the host that the driver starts, and what their version can do: bubblewrap, and nft where it is."""

from __future__ import annotations

import os
import shutil
import subprocess

from penstock.agents.sandboxes.local import bubblewrap, system

_FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find(name: str) -> str:
    """Return the path of a program of the system, or ""; PATH is not asked, for it is the user's."""
    return shutil.which(name, path=_FOLDERS) or ""


def host() -> bubblewrap.Host:
    """Look at what this host has that a sandbox shows or masks."""
    there = system.present(system.ROOTS)
    links = {path: os.readlink(path) for path in there if os.path.islink(path)}  # noqa: PTH114, PTH115
    return bubblewrap.Host(
        folders=tuple(path for path in there if path not in links),
        links=links,
        etc=tuple(name for name in system.ETC if system.present((f"/etc/{name}",))),
        masked_files=system.present(system.MASKED_FILES),
        masked_folders=system.present(system.MASKED_FOLDERS),
        disable_userns="--disable-userns" in _help(find("bwrap")),
    )


def _help(program: str) -> str:
    if not program:
        return ""
    return subprocess.run([program, "--help"], capture_output=True, text=True, env={}, check=False).stdout  # noqa: S603
