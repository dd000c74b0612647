"""The sandbox drivers that there are, by name. Whoever starts a platform or a run chooses one of them, here and nowhere
else: what a driver is told, and what it must be told, is checked before anything is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from penstock.agents.sandboxes.driver import InvalidSpec
from penstock.agents.sandboxes.local import LocalDriver
from penstock.agents.sandboxes.local.driver import OnTrouble

LOCAL = "local"


class Choice(Struct, frozen=True):
    """Which driver, and what it is told.

    driver  a name in `DRIVERS`
    image   the system inside, where an environment names none; of a driver that has images
    engine  the container engine's socket, as a path or as in DOCKER_HOST; "" is the driver's own default
    """

    driver: str = LOCAL
    image: str = ""
    engine: str = ""


Make = Callable[[Path, Choice, OnTrouble], LocalDriver]
"""Makes a driver that keeps its state in this folder."""


def _local(folder: Path, choice: Choice, on_trouble: OnTrouble) -> LocalDriver:
    if choice.image or choice.engine:
        raise InvalidSpec(
            "sandboxes of the local driver show this machine's system, not an image of an engine",
            fix="choose --driver docker, or leave --image and --engine out",
        )
    return LocalDriver(folder, on_trouble=on_trouble)


def _docker(folder: Path, choice: Choice, on_trouble: OnTrouble) -> LocalDriver:
    from penstock.agents.sandboxes.docker import DockerDriver  # an HTTP client, which nobody else waits for
    from penstock.agents.sandboxes.docker.engine import SOCKET

    return DockerDriver(folder, image=choice.image, engine=choice.engine or SOCKET, on_trouble=on_trouble)


DRIVERS: Mapping[str, Make] = {LOCAL: _local, "docker": _docker}
"""Every driver."""


def made(folder: Path, choice: Choice, on_trouble: OnTrouble = lambda sandbox, trouble: None) -> LocalDriver:
    """Make the driver that is chosen. It has not looked at the host yet: `prepare` does.

    Args:
        folder: where it keeps its state; each driver needs one of its own.
        choice: which one.
        on_trouble: hears what goes wrong in a sandbox on its own.

    Raises:
        InvalidSpec: there is no such driver, or it cannot have what it is told.
        HostLacks: its engine is on another machine.
    """
    make = DRIVERS.get(choice.driver)
    if make is None:
        known = ", ".join(DRIVERS)
        raise InvalidSpec(f"there is no sandbox driver {choice.driver[:80]!r}", fix=f"choose one of: {known}")
    return make(folder, choice, on_trouble)
