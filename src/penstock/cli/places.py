"""Where the agent platform keeps things on this machine: the vault's store and audit log, and the sandboxes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

ROOT = Path("/var/lib/penstock")
"""Where root's sandboxes are when they cannot be in the state directory."""


def state_directory(given: Path | None, environment: Mapping[str, str] = os.environ) -> Path:
    """`given`, else $PENSTOCK_STATE_DIR, else `penstock` below $XDG_STATE_HOME or ~/.local/state."""
    if given is not None:
        return given
    if named := environment.get("PENSTOCK_STATE_DIR"):
        return Path(named)
    state_home = environment.get("XDG_STATE_HOME", "")
    base = Path(state_home) if Path(state_home).is_absolute() else Path.home() / ".local" / "state"
    return base / "penstock"


def vault_directory(given: Path | None) -> Path:
    """The vault's own folder: secrets and the audit log."""
    return state_directory(given) / "vault"


def sandbox_directory(given: Path | None) -> Path:
    """Workspaces and records of sandboxes."""
    return _for_sandboxes(given) / "sandboxes"


def sessions_directory(given: Path | None, driver: str) -> Path:
    """The same for a server's sessions. Each driver has one of its own: their workspaces have other owners."""
    return _for_sandboxes(given) / ("sessions" if driver == "local" else f"sessions-{driver}")


def runs_directory(given: Path | None) -> Path:
    """The same for runs without a server (`penstock run`), each in a folder of its own."""
    return _for_sandboxes(given) / "runs"


def environments_directory(given: Path | None, driver: str) -> Path:
    """What runs without a server have installed, by driver."""
    return _for_sandboxes(given) / ("environments" if driver == "local" else f"environments-{driver}")


def _for_sandboxes(given: Path | None) -> Path:
    """The state directory, where sandboxes can be in it. As root each has a user of its own, who can enter neither
    root's home nor any other folder that is root's alone: then it is a folder below /var/lib of this state directory's.
    """
    state = state_directory(given).absolute()
    if os.geteuid() != 0 or all(folder.stat().st_mode & 0o001 for folder in _existing(state)):
        return state
    if given is None and "PENSTOCK_STATE_DIR" not in os.environ:
        return ROOT
    return ROOT / hashlib.sha256(os.fsencode(state)).hexdigest()[:12]


def _existing(path: Path) -> list[Path]:
    return [folder for folder in (path, *path.parents) if folder.is_dir()]
