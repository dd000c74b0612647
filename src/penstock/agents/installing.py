"""What a session's sandbox has installed: what its environment names, and what its harness needs, as one environment.

Packages are installed once and kept (environments/building.py); sessions see them read-only. Where a harness's program
is there already, on this machine in a place that sandboxes see, or in the image that they have instead, nothing is
installed for it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import cast

from penstock.agents.environments.building import Alone, Builder
from penstock.agents.environments.looking import Seen, look_inside
from penstock.agents.environments.packages import Manager, Packages, Registry, union, variables
from penstock.agents.errors import AgentsError, Conflict
from penstock.agents.harnesses.contract import Gateway, Harness, Turn
from penstock.agents.sandboxes.driver import Driver, Mount
from penstock.agents.types import EnvironmentSpec
from penstock.agents.way_out import WayOut
from penstock.vault.api import VaultClient

SEEN = (Path("/usr"), Path("/bin"))
"""Of this machine, what sandboxes see."""


class Installing:
    """Installs packages for sessions (`bring_up.Installer`).

    Args:
        driver: makes the sandboxes in which it is installed.
        way_out: the only way to the registries.
        registries: where packages come from.
        alone: keeps other processes away that share the driver's environments.
    """

    def __init__(
        self, driver: Driver, way_out: WayOut, registries: Mapping[Manager, Registry], alone: Alone = nullcontext
    ) -> None:
        # a WayOut opens and closes sessions as a VaultClient does, and outlives the vault
        self._builder = Builder(driver, cast(VaultClient, way_out), registries, alone=alone)
        self._driver = driver
        self._seen: dict[tuple[str, str], Seen] = {}

    async def __call__(self, environment: EnvironmentSpec, harness: Harness) -> tuple[Sequence[Mount], dict[str, str]]:
        """Return what is to be mounted, and the variables that make it found. Raises AgentsError."""
        if environment.packages.get("apt"):
            raise Conflict(
                "sandboxes share their system, so nothing of apt can be installed in them",
                fix="have it in the image, or on this machine where there is none; or name packages of npm or pip",
            )
        wanted = [Packages(tuple(environment.packages.get("npm", ())), tuple(environment.packages.get("pip", ())))]
        if not harness.packages and not wanted[0]:
            return (), {}
        seen = await self._look(harness, environment.image)
        if not seen.has_program:
            wanted.append(harness.packages)
        packages = union(wanted)
        if not packages:
            return (), {}
        return (await self._builder.ensure(packages, environment.image),), variables(seen.path)

    async def _look(self, harness: Harness, image: str) -> Seen:
        """See whether its program is there already: in an image by looking inside, once."""
        if not self._driver.has_images:
            return Seen(is_here(harness))
        program = program_of(harness) if harness.packages else None
        key = (await self._driver.system(image), program or "")
        if key not in self._seen:
            self._seen[key] = await look_inside(self._driver, image, key[1])
        return self._seen[key]


def program_of(harness: Harness) -> str | None:
    """The program that a harness starts, by its name; None where it is a shell that starts it."""
    turn = Turn(prompt="-", model="-", arguments=("true",))
    try:
        program = harness.launch(turn, Gateway("http://localhost", "-")).argv[0]
    except AgentsError:
        return None
    return None if program.startswith("/") else program


def is_here(harness: Harness) -> bool:
    """Whether the program of a harness is on this machine, where sandboxes see it."""
    if not harness.packages:
        return True
    program = program_of(harness)
    found = shutil.which(program, path="/usr/local/bin:/usr/bin:/bin") if program is not None else None
    return found is not None and any(Path(found).resolve().is_relative_to(top) for top in SEEN)
