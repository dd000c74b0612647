"""A platform: store, vault, sandboxes and runner of one process, put together and taken apart again.

A server has one that lasts; `penstock run` has one for the time of a session. The order of the parts is that of their
needs: nothing runs before the vault is there, nothing is asked of a store that is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from msgspec import Struct

from penstock.agents.artifacts import Artifacts
from penstock.agents.bring_up import PLACES, Installer, Surroundings, Workshop
from penstock.agents.harnesses.contract import Harness
from penstock.agents.keys import GatewayKeys
from penstock.agents.runner import LocalRunner
from penstock.agents.sandboxes.driver import Driver, SandboxSpec
from penstock.agents.sandboxes.pool import Pool
from penstock.agents.sandboxes.registry import Choice, made
from penstock.agents.service import Service
from penstock.agents.store.base import AgentStore
from penstock.agents.store.sqlite import open_sqlite
from penstock.agents.teams.door import Door
from penstock.agents.teams.way import way_to
from penstock.agents.types import EnvironmentSpec, Session
from penstock.agents.way_out import WayOut
from penstock.agents.workspaces import Workspaces


class Places(Struct, frozen=True):
    """Where things are kept: the database's file, the vault's folder, and the driver's (as root: one that everybody can
    enter).
    """

    database: Path
    vault: Path
    sandboxes: Path

    @property
    def artifacts(self) -> Path:
        """What agents have handed out."""
        return self.database.with_name("artifacts")


class Platform(Struct, frozen=True):
    """The parts that others use."""

    service: Service
    runner: LocalRunner
    store: AgentStore
    way_out: WayOut
    files: Workspaces
    driver: Driver


@contextlib.asynccontextmanager
async def opened(
    places: Places,
    harnesses: Mapping[str, Harness],
    keys: GatewayKeys | None,
    *,
    pool: int = 0,
    install: Callable[[Driver, WayOut], Installer] | None = None,
    bring: Callable[[Session], AsyncIterator[bytes]] | None = None,
    surroundings: Surroundings = Surroundings(),  # noqa: B008  # frozen
    driver: Driver | None = None,
    choice: Choice = Choice(),  # noqa: B008  # frozen
    api: str = "",
) -> AsyncIterator[Platform]:
    """A platform that runs; at the end its sessions are let go as they are.

    Args:
        places: where things are kept.
        harnesses: by name.
        keys: at the gateway; None: sessions have no models.
        pool: sandboxes that are ready before anybody asks.
        install: makes what installs packages.
        bring: what new workspaces begin with.
        surroundings: what holds for hosts.
        driver: of sandboxes, where the caller has one.
        choice: which driver is made, where the caller has none.
        api: where the service is served on this machine; without it, no agent is a supervisor.

    Raises:
        Refusal, VaultGone: no vault can be started. SandboxError, StoreError: nor can the rest.
    """
    async with AsyncExitStack() as stack:
        store = _begin(stack, open_sqlite(places.database))
        way_out = WayOut(places.vault)
        await way_out.start()
        stack.push_async_callback(way_out.stop)
        if keys is not None:
            stack.push_async_callback(keys.close)
        driver = driver or made(places.sandboxes, choice, lambda *what: runner.trouble(*what))
        stack.push_async_callback(driver.close)
        await driver.prepare()
        if pool:
            await driver.system()  # what waits is made before anybody can name an image
        sandboxes = Pool(driver, SandboxSpec(id="pool", workspace="pool", files=PLACES), pool) if pool else None
        kept = Artifacts(places.artifacts)
        workshop = Workshop(
            store,
            driver,
            way_out,
            keys,
            kept,
            create=sandboxes.claim if sandboxes is not None else None,
            install=install(driver, way_out) if install is not None else None,
            bring=bring,
            surroundings=surroundings,
        )
        runner = LocalRunner(workshop, harnesses)
        files = Workspaces(driver, runner.sandbox, kept, lambda session: _image(store, session))
        service = Service(store, runner, files=files, terminals=runner, secrets=way_out, harnesses=harnesses)
        if api:
            workshop.door = Door(way_to(api), service.agent_token)
        stack.push_async_callback(service.close)
        stack.push_async_callback(runner.close)
        await runner.begin()
        if sandboxes is not None:
            sandboxes.start()
            stack.push_async_callback(sandboxes.close)
        yield Platform(service, runner, store, way_out, files, driver)


async def _image(store: AgentStore, session: Session) -> str:
    """The image that a session's environment names."""
    pin = session.environment
    found = await asyncio.to_thread(store.definition, "environment", pin.id, pin.version)
    return found.spec.image if found is not None and isinstance(found.spec, EnvironmentSpec) else ""


def _begin(stack: AsyncExitStack, store: Any) -> AgentStore:
    stack.callback(store.close)
    found: AgentStore = store
    return found
