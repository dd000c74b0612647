"""What a specification may say on this machine, and which files a sandbox gets. Pure but for the host's own
authorities.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from penstock.agents.sandboxes.driver import HOME, MIB, WORKSPACE, File, Identity, InvalidSpec, SandboxSpec
from penstock.agents.sandboxes.local import system
from penstock.agents.sandboxes.local.state import checked_name
from penstock.agents.sandboxes.trust import CA_FILE

LEAST_MEMORY = 16 * MIB
PLACES = ("/etc/", f"{HOME}/", f"{WORKSPACE}/", "/opt/", "/run/", "/srv/")
"""Where files and environments may be put; elsewhere they could cover the system or /proc."""


def check_spec(spec: SandboxSpec) -> None:
    """Refuse a specification that no sandbox can have.

    Raises:
        InvalidSpec: and what is wrong with it.
    """
    checked_name(spec.workspace, "a workspace")
    for path in spec.files:
        check_path(path)
    for mount in spec.mounts:
        checked_name(mount.name, "an environment")
        check_path(mount.at)
    limits = spec.limits
    if (
        limits.memory < LEAST_MEMORY
        or limits.processes < 1
        or limits.cpu < 1
        or limits.disk < 0
        or limits.temporary < 4096
    ):
        raise InvalidSpec(
            f"a limit is too small: {limits}", fix=f"memory from {LEAST_MEMORY}, temporary from 4096, the others from 1"
        )


def check_path(path: str) -> None:
    """Refuse a place for a file or an environment that is not plain, or not where such things belong."""
    if posixpath.normpath(path) != path or not path.startswith(PLACES) or "\0" in path or "\n" in path:
        raise InvalidSpec(
            f"nothing can be placed at {path[:200]!r}", fix=f"name a path below one of {', '.join(PLACES)}"
        )


def placed(spec: SandboxSpec, identity: Identity) -> Mapping[str, File]:
    """Return every file of a sandbox: those that all have, the specification's, the identity's; later ones win."""
    for path in identity.files:
        check_path(path)
    given = {**system.FILES, **spec.files, **identity.files}
    return given if CA_FILE in given else {**given, CA_FILE: system.trusted()}
