"""What this host offers, tried one by one, and at last all of it together: a sandbox that runs a program."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal

from penstock.agents.sandboxes.driver import (
    Egress,
    Finding,
    Identity,
    Limits,
    Listener,
    Report,
    SandboxError,
    SandboxSpec,
)
from penstock.agents.sandboxes.local import programs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.agents.sandboxes.local.driver import LocalDriver

Needed = Literal["any", "full", "better"]

NAMESPACES = "allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns, user.max_user_namespaces)"  # fmt: skip # noqa: E501
GROUPS = "run as root, or in a service with Delegate=yes"

TRIED: tuple[tuple[str, Needed, str], ...] = (
    ("user namespace", "any", NAMESPACES),
    ("network", "any", NAMESPACES),
    ("enter", "any", "use Linux 5.8 or newer"),
    ("openat2", "any", "use Linux 5.6 or newer, in a container that lets it through"),
    ("filter", "full", "install pyseccomp and libseccomp2"),
    ("landlock", "better", "use Linux 5.19 or newer with Landlock among its security modules"),
)
LIMITED = (("memory", "cgroup: memory"), ("pids", "cgroup: processes"), ("cpu", "cgroup: CPU"))


async def check(driver: LocalDriver) -> Report:
    """Try everything (`driver.Driver.check`)."""
    found = [await attempt("state folder", "any", driver.state.open, "choose another folder"), _bubblewrap(driver)]
    for name, needed, fix in TRIED:
        answer, error = await driver.tried(name)
        detail = error or (f"version {answer.size}" if answer.size else "")
        found.append(Finding(name, error is None, needed, detail, "" if error is None else fix))
    found += [await redirect(driver), *_groups(driver)]
    if all(finding.works for finding in found if finding.needed == "any"):
        found.append(await whole(driver))
    return Report("local", tuple(found))


async def attempt(name: str, needed: Needed, action: Callable[[], None], fix: str) -> Finding:
    """Do something that raises where it cannot be done."""
    try:
        action()
    except (SandboxError, OSError) as error:
        return Finding(name, False, needed, str(error), fix)
    return Finding(name, True, needed)


def _bubblewrap(driver: LocalDriver) -> Finding:
    path = programs.find("bwrap")
    if not path:
        return Finding("bubblewrap", False, "any", "not found", "install the package bubblewrap")
    nested = "" if driver.host.disable_userns else "; it cannot forbid nested user namespaces, the filter alone does"
    return Finding("bubblewrap", True, "any", path + nested)


async def redirect(driver: LocalDriver) -> Finding:
    """Try whether ports without a listener can be redirected."""
    nft = programs.find("nft")
    error = await driver.offers("redirect", nft=nft) if nft else "nft was not found"
    fix = "" if error is None else "install the package nftables; without it only the usual ports reach the vault"
    return Finding("redirect of other ports", error is None, "better", error or nft, fix)


def _groups(driver: LocalDriver) -> list[Finding]:
    place, found = driver.place, []
    for ability, name in LIMITED:
        version = place.versions.get(ability)
        fix = "" if version else GROUPS
        found.append(Finding(name, version is not None, "better", f"version {version}" if version else "", fix))
    freezer = place.unified is not None or "freezer" in place.homes
    found.append(Finding("cgroup: kill and freeze", freezer, "better", "", "" if freezer else GROUPS))
    return found


async def whole(driver: LocalDriver) -> Finding:
    """Make a sandbox, run a program, end it."""
    name = f"check-{secrets.token_hex(4)}"
    spec = SandboxSpec(id=name, workspace=name, isolation="weak", egress=Egress(), limits=Limits())
    fix = "look at the other findings; the message is what the failing step said"
    return await _tried_whole("a sandbox", _run(driver, spec), fix)


async def _tried_whole(name: str, running: Awaitable[str], fix: str) -> Finding:
    try:
        problem = await running
    except (SandboxError, OSError) as error:
        problem = str(error)
    return Finding(name, not problem, "any", problem, fix if problem else "")


async def _run(driver: LocalDriver, spec: SandboxSpec) -> str:
    sandbox = await driver.create(spec, _nobody)
    try:
        process = await sandbox.exec(["/bin/true"])
        ended = await process.wait()
        return "" if ended.status == 0 else f"/bin/true ended with {ended.status}"
    finally:
        await sandbox.destroy(workspace=True)


async def _nobody(listeners: Sequence[Listener]) -> Identity:
    return Identity()
