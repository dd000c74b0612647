"""Building environments: a sandbox in which a named folder is writable, whose only ways out are the registries.

What an installation executes (setup scripts, hooks of npm) is code of strangers. It runs as any agent's: no secret, no
other host, a private home that is thrown away. An environment that is there is never written again.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path

from penstock.agents.environments.packages import AT, MARK, Manager, Packages, Registry, commands, variables
from penstock.agents.errors import AgentsError
from penstock.agents.sandboxes.driver import (
    Driver,
    Identity,
    InvalidSpec,
    Isolation,
    Limits,
    Listener,
    Mount,
    Process,
    Sandbox,
    SandboxSpec,
)  # fmt: skip
from penstock.agents.single_run import egress_of, identity_of
from penstock.vault.api import SessionSpec, VaultClient

KEPT = 4000
"""Characters of a failed installation's words that its error shows."""


class CannotBuild(AgentsError):
    """Whoever wrote the list of packages, or runs the registry: an installation failed; says its last words."""

    status = 502
    code = "cannot_build"


Alone = Callable[[str], AbstractAsyncContextManager[object]]
"""Holds a name for whoever looks after an environment, against all others that share its folder."""


def alone_in(folder: Path) -> Alone:
    """Hold names against other processes of this machine, by locked files in a folder, which is made."""

    folder.mkdir(parents=True, exist_ok=True)

    @asynccontextmanager
    async def alone(name: str) -> AsyncIterator[None]:
        handle = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not _is_locked(handle):  # noqa: ASYNC110  # another process has it; a wait in a thread has no end
                await asyncio.sleep(0.1)
            yield
        finally:
            os.close(handle)

    return alone


def _is_locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Builder:
    """Makes environments, each once.

    Args:
        driver: makes the sandboxes, and keeps the folders.
        vault: the ways out of an installation.
        registries: where packages come from.
        limits, isolation: of the sandboxes that install.
        alone: keeps others away that share the driver's environments; needed where other processes do.
    """

    def __init__(
        self,
        driver: Driver,
        vault: VaultClient,
        registries: Mapping[Manager, Registry],
        limits: Limits = Limits(wall=900.0),  # noqa: B008  # frozen
        isolation: Isolation = "full",
        alone: Alone = nullcontext,
    ) -> None:
        self._driver = driver
        self._vault = vault
        self._registries = registries
        self._limits = limits
        self._isolation = isolation
        self._alone = alone
        self._locks: dict[str, asyncio.Lock] = {}
        self._known: set[str] = set()

    async def ensure(self, packages: Packages, image: str = "") -> Mount:
        """Return where these packages are, installed now if they are not there yet.

        Args:
            packages: what shall be there.
            image: of a driver that has images: the system in which it is installed and used.

        Raises:
            CannotBuild: the installation failed; nothing of it is left. SandboxError: no sandbox can be made.
        """
        if missing := [name for name in packages.managers if name not in self._registries]:
            raise CannotBuild(f"nobody said where packages of {missing[0]} come from", fix="name a registry for it")
        name = packages.name_in(await self._driver.system(image))
        async with self._locks.setdefault(name, asyncio.Lock()):
            if name not in self._known:
                async with self._alone(name):
                    if not await self._is_complete(name, image):
                        await self._build(name, packages, image)
                self._known.add(name)
        return Mount(name, AT)

    async def _is_complete(self, name: str, image: str) -> bool:
        try:
            sandbox = await self._driver.create(self._spec(Mount(name, AT), image), _no_way_out)
        except InvalidSpec:
            return False
        try:
            process = await sandbox.exec(["test", "-e", MARK])
            complete = (await process.wait()).status == 0
        finally:
            await sandbox.destroy(workspace=True)
        if not complete:
            await self._driver.forget(environment=name)
        return complete

    async def _build(self, name: str, packages: Packages, image: str) -> None:
        spec = self._spec(Mount(name, AT, writable=True), image, rules := self._rules(packages))
        used = [self._registries[name] for name in packages.managers]
        session = SessionSpec(
            id=spec.id,
            rules=rules,
            addresses={host: nets for one in used for host, nets in one.addresses.items()},
            upstream_cas={host: pem for one in used for host, pem in one.upstream_cas.items()},
        )

        async def attach(listeners: Sequence[Listener]) -> Identity:
            return identity_of(await self._vault.open(session, [(each.kind, each.socket) for each in listeners]))

        try:
            sandbox = await self._driver.create(spec, attach)
            try:
                for command in commands(packages, self._registries):
                    await _run(sandbox, command)
            finally:
                await sandbox.destroy(workspace=True)
        except BaseException:
            await self._driver.forget(environment=name)
            raise
        finally:
            await self._vault.close(spec.id)

    def _rules(self, packages: Packages) -> tuple[str, ...]:
        return tuple(rule for name in packages.managers for rule in self._registries[name].rules)

    def _spec(self, mount: Mount, image: str, rules: Sequence[str] = ()) -> SandboxSpec:
        name = f"build-{secrets.token_hex(8)}"
        egress = egress_of([rule.split("://", 1)[1].rstrip("/*") + ":443" for rule in rules])
        return SandboxSpec(
            id=name, workspace=name, mounts=(mount,), limits=self._limits, isolation=self._isolation, egress=egress,
            env=variables(), image=image,
        )  # fmt: skip


async def _no_way_out(listeners: Sequence[Listener]) -> None:
    """Attach to nothing: looking needs no network."""


async def _run(sandbox: Sandbox, command: Sequence[str]) -> None:
    process = await sandbox.exec(command)
    output, errors, ended = await asyncio.gather(_last(process, "read"), _last(process, "read_error"), process.wait())
    if ended.status != 0:
        why = f" ({ended.reason})" if ended.reason else ""
        said = (errors or output).decode("utf-8", "replace").strip()
        raise CannotBuild(f"`{' '.join(command[:4])} ...` ended with {ended.status}{why}: {said}")


async def _last(process: Process, method: str) -> bytes:
    kept = b""
    while data := await getattr(process, method)():
        kept = (kept + data)[-KEPT:]
    return kept
