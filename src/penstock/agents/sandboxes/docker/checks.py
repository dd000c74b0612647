"""What the engine and the host offer, asked and tried one by one, and at last all of it together."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from penstock.agents.sandboxes.docker.engine import chosen
from penstock.agents.sandboxes.driver import Finding, Report, SandboxError
from penstock.agents.sandboxes.local.checks import TRIED, Needed, attempt, redirect, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.agents.sandboxes.docker.driver import DockerDriver

SHARED = ("enter", "openat2", "filter", "landlock")
"""What this driver needs of the host as the local one does."""
LIMITS: tuple[tuple[str, str, Needed], ...] = (
    ("MemoryLimit", "memory", "any"),
    ("PidsLimit", "processes", "any"),
    ("CpuCfsQuota", "CPU", "better"),
)


async def check(driver: DockerDriver) -> Report:
    """Try everything (`driver.Driver.check`)."""
    found = [await attempt("state folder", "any", driver.state.open, "choose another folder"), _root()]
    found += await _engine(driver)
    for name, needed, fix in TRIED:
        if name in SHARED:
            answer, error = await driver.tried(name)
            detail = error or (f"version {answer.size}" if answer.size else "")
            always = "any" if needed == "full" else needed  # there is no weak isolation here
            found.append(Finding(name, error is None, always, detail, "" if error is None else fix))
    found.append(await redirect(driver))
    if driver.image and all(finding.works for finding in found if finding.needed == "any"):
        found.append(await whole(driver))
    return Report("docker", tuple(found))


def _root() -> Finding:
    root = os.geteuid() == 0
    return Finding("root", root, "any", "" if root else f"user {os.geteuid()}", "" if root else "run Penstock as root")


async def _engine(driver: DockerDriver) -> list[Finding]:
    """Ask the engine who it is, for its image, and for the limits that it can hold."""
    try:
        said = await driver.engine.version()
        information: Mapping[str, Any] = await driver.engine.ask("GET", "/info")
    except SandboxError as error:
        return [Finding("engine", False, "any", error.message, error.fix)]
    version = f"{said.version} at {driver.engine.socket}, API {chosen(said)}"
    return [Finding("engine", True, "any", version), await _image(driver), *_limits(information)]


async def _image(driver: DockerDriver) -> Finding:
    if not driver.image:
        return Finding("image", False, "better", "none is named, so no sandbox was tried", "name one: --image IMAGE")
    try:
        found = await driver.inspected(driver.image)
    except SandboxError as error:
        return Finding("image", False, "any", error.message, error.fix)
    return Finding("image", True, "any", f"{driver.image} ({found.id})")


def _limits(information: Mapping[str, Any]) -> list[Finding]:
    fix = "boot with the cgroup's controller switched on"
    return [
        Finding(f"limit on {name}", bool(information.get(key)), needed, "", "" if information.get(key) else fix)
        for key, name, needed in LIMITS
    ]
