"""Bringing a session up: its key, its way out, its sandbox, its workspace. What is there already is taken over.

The order is the one in which nothing can leak or be lost: the key is kept in the vault's store before anything runs;
the vault has the listeners before the sandbox is there (`attach`); the row says which sandbox it is before a program is
started in it. Whatever a crash leaves is found by its name, which is always the session's id.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from penstock.agents import artifacts, limits, snapshots, turns
from penstock.agents.artifacts import Artifacts
from penstock.agents.errors import Conflict
from penstock.agents.events import Error, Status
from penstock.agents.harnesses.contract import Gateway, Harness
from penstock.agents.keys import GatewayKeys
from penstock.agents.machine import Cause
from penstock.agents.model_way import VARIABLE, way_to
from penstock.agents.owners import vault_owner
from penstock.agents.sandboxes.driver import (
    Attach,
    Driver,
    File,
    Identity,
    Limits,
    Listener,
    Mount,
    Sandbox,
    SandboxSpec,
)
from penstock.agents.service import utc_now
from penstock.agents.setting_up import set_up
from penstock.agents.single_run import GIT_CONFIG, JAVA_STORE, KNOWN_HOSTS, SSH_CONFIG, egress_of, identity_of
from penstock.agents.store.base import AgentStore
from penstock.agents.teams import way as team
from penstock.agents.teams.door import Door
from penstock.agents.types import About, AgentSpec, EnvironmentSpec, Resources, Session
from penstock.agents.types import Sandbox as Held
from penstock.agents.way_out import KEY_NAME, WayOut
from penstock.vault.api import SessionSpec

ADDRESS = "PENSTOCK_GATEWAY_URL"
"""The variable that tells programs inside where models are."""
AT_ONCE = 2
"""Sandboxes that are made at the same time, or one a core: more would only wait for each other, and have logs wait."""
_log = logging.getLogger(__name__)

CreateSandbox = Callable[[SandboxSpec, Attach], Awaitable[Sandbox]]
"""`Driver.create`, or `Pool.claim`."""


class Installer(Protocol):
    """Installs what an environment names, and what a harness needs; returns where that is (environments/)."""

    async def __call__(self, environment: EnvironmentSpec, harness: Harness) -> tuple[Sequence[Mount], dict[str, str]]:
        """The mounts, and variables (PATH). Raises AgentsError."""
        ...


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """What a session is, as far as it does not change while it is up."""

    session: Session
    agent: AgentSpec
    environment: EnvironmentSpec
    harness: Harness


class Up(msgspec.Struct, frozen=True, kw_only=True):
    """A session that is up: its sandbox, the vault's generation that it is open in, what the sandbox was told."""

    sandbox: Sandbox
    generation: int
    gateway: Gateway


class Surroundings(msgspec.Struct, frozen=True):
    """What whoever starts the platform says of hosts, for all sessions: as of `SessionSpec`."""

    pins: Mapping[str, str] = msgspec.field(default_factory=dict)
    addresses: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    upstream_cas: Mapping[str, str] = msgspec.field(default_factory=dict)


class Workshop:
    """Makes what sessions need.

    Args:
        store: rows and logs.
        driver: of sandboxes.
        create: makes sandboxes (default: the driver; a pool's `claim`).
        way_out: the vault.
        keys: at the gateway; None: sessions have no models.
        artifacts: keeps what agents hand out.
        install: of packages; None: none can be installed.
        bring: what new workspaces begin with.
        surroundings: what holds for hosts.
    """

    def __init__(
        self,
        store: AgentStore,
        driver: Driver,
        way_out: WayOut,
        keys: GatewayKeys | None,
        artifacts: Artifacts,
        *,
        create: CreateSandbox | None = None,
        install: Installer | None = None,
        bring: Callable[[Session], AsyncIterator[bytes]] | None = None,
        surroundings: Surroundings = Surroundings(),  # noqa: B008  # frozen
    ) -> None:
        self.store = store
        self.driver = driver
        self.way_out = way_out
        self.keys = keys
        self._create = create or driver.create
        self._install = install
        self._making = asyncio.Semaphore(max(AT_ONCE, os.cpu_count() or 1))
        self._bring = bring
        self._surroundings = surroundings
        self.artifacts = artifacts
        self._way = way_to(keys.url) if keys is not None else None
        self.door: Door | None = None
        """Lets supervisors in to the agents' API, where there is one."""

    @property
    def driver_name(self) -> str:
        """What rows call the driver."""
        return self.driver.kind

    # -- up -----------------------------------------------------------------------------------------------------------

    async def up(self, prepared: Prepared, sandbox: Sandbox | None) -> Up:
        """Bring it up, in the sandbox that is left of it if there is one.

        Raises:
            Refusal: a secret or a rule is wrong. SandboxError, SetupFailed, Conflict: it cannot be made.
            Unavailable, VaultGone: try again.
        """
        await self._ensure_key(prepared)
        await self._let_in(prepared)
        spec = await self._spec(prepared)
        opening = _Opening(self, await self._vault_spec(prepared))
        if sandbox is not None:
            await sandbox.stop()
            await sandbox.reattach(opening.attach)
        else:
            sandbox = await self._made(prepared, spec, opening.attach)
        try:
            if self._is_supervisor(prepared):
                await turns.place(sandbox, team.files())
            return Up(sandbox=sandbox, generation=opening.generation, gateway=self._gateway(prepared, opening.stub))
        except BaseException:
            await sandbox.destroy()
            raise

    async def _made(self, prepared: Prepared, spec: SandboxSpec, attach: Attach) -> Sandbox:
        session = prepared.session
        first = not await asyncio.to_thread(_was_ready, self.store, session)
        begin: int | None = 0
        if first:
            await self.driver.forget(workspace=session.id)  # what a crash has left half made
            begin = await snapshots.restore(self.store, self.driver, session) if session.forked_from else 0
        if begin is None:
            lost = Error("workspace_not_kept", "the workspace as it was then is not kept any more", "it begins anew")
            await asyncio.to_thread(lambda: self.store.append(session.id, [lost], at=utc_now()))
        async with self._making:
            sandbox = await (self.driver.create if begin or not first else self._create)(spec, attach)
        try:
            held = Held(self.driver_name, sandbox.handle, sandbox.isolation, spec.workspace)
            await asyncio.to_thread(self.store.set_sandbox, session.id, held)
            if first and not begin:
                await artifacts.make_folder(sandbox)
                if self._bring is not None:
                    await sandbox.put(self._bring(session), links=True)
                await set_up(sandbox, prepared.environment.setup)
        except BaseException:
            await sandbox.destroy(workspace=first)
            raise
        return sandbox

    async def _let_in(self, prepared: Prepared) -> None:
        """Give a supervisor a token of its own for the agents' API: made once, and again only where it got lost."""
        id_ = prepared.session.id
        if self.door is None or not self._is_supervisor(prepared) or await self.way_out.has_own(id_, team.SECRET):
            return
        token = await self.door.token(prepared.session)
        await self.way_out.keep_own(id_, team.SECRET, token, self.door.way.bindings, team.TOKEN)

    def _is_supervisor(self, prepared: Prepared) -> bool:
        return self.door is not None and team.is_supervisor(prepared.agent, prepared.session)

    async def _spec(self, prepared: Prepared) -> SandboxSpec:
        environment, agent = prepared.environment, prepared.agent
        if environment.image and not self.driver.has_images:
            raise Conflict(
                f"this server's sandboxes (driver {self.driver_name}) show its own machine, not an image",
                fix="leave `image` of the environment empty, or start the server with --driver docker",
            )
        if environment.isolation not in ("strict", "full", "weak"):
            raise Conflict(f"there is no isolation {environment.isolation!r}", fix="use `strict` or `weak`")
        mounts, variables = await self._installed(prepared)
        owner = vault_owner(prepared.session.owner)
        hosts = await self.way_out.hosts(agent.credentials, environment.egress, owner)
        return SandboxSpec(
            id=prepared.session.id,
            workspace=prepared.session.id,
            image=environment.image,
            env={artifacts.VARIABLE: artifacts.FOLDER, **variables, **environment.variables},
            files=PLACES,
            mounts=tuple(mounts),
            limits=limits_of(environment.resources),
            isolation="weak" if environment.isolation == "weak" else "full",
            egress=egress_of(hosts),
        )

    async def _installed(self, prepared: Prepared) -> tuple[Sequence[Mount], dict[str, str]]:
        if self._install is not None:
            return await self._install(prepared.environment, prepared.harness)
        if any(prepared.environment.packages.values()):
            raise Conflict("this server installs no packages", fix="say where registries are when it is started")
        return (), {}

    # -- the way out --------------------------------------------------------------------------------------------------

    async def _ensure_key(self, prepared: Prepared) -> None:
        """The session's key: minted once, and again only where it got lost."""
        session = prepared.session
        if self.keys is None or self._way is None or await self.way_out.has_key(session.id):
            return
        models = [prepared.agent.model] if prepared.agent.model else []
        key = await self.keys.mint(session.id, models=models, dollars=_left(session), owner=session.owner)
        await self.way_out.keep_key(session.id, key, self._way.bindings)

    async def _vault_spec(self, prepared: Prepared) -> SessionSpec:
        session, environment, around = prepared.session, prepared.environment, self._surroundings
        door = self.door if self._is_supervisor(prepared) else None
        allowed = await asyncio.to_thread(_allowed, self.store, session.id, "egress")
        pushes = await asyncio.to_thread(_allowed, self.store, session.id, "push")
        return SessionSpec(
            id=session.id,
            owner=vault_owner(session.owner),
            secrets=prepared.agent.credentials,
            own=(*((KEY_NAME,) if self.keys is not None else ()), *((team.SECRET,) if door is not None else ())),
            rules=tuple(dict.fromkeys((*environment.egress, *allowed))),
            pushes=tuple(pushes),
            pins={
                **around.pins,
                **(self._way.pins if self._way is not None else {}),
                **(door.way.pins if door is not None else {}),
            },
            addresses=dict(around.addresses),
            upstream_cas=dict(around.upstream_cas),
            ask=environment.ask,
            freeze_on_misuse=environment.freeze_on_misuse,
        )

    def _gateway(self, prepared: Prepared, stub: str) -> Gateway:
        models = (prepared.agent.model,) if prepared.agent.model else ()
        return Gateway(self._way.url if self._way is not None else "", stub, models)

    # -- away ---------------------------------------------------------------------------------------------------------

    async def revoke(self, session: str) -> None:
        """Take away the way out, the key, and the secret that it was. Raises Unavailable: the gateway still has it."""
        await self.way_out.close(session)
        if self.keys is not None:
            await self.keys.revoke(session)
        await self.way_out.drop_key(session)  # last: while it is there, the next round knows that something is left

    async def put_away(self, session: str, sandbox: Sandbox | None) -> None:
        """End what runs; the workspace stays."""
        await self.way_out.close(session)
        if sandbox is not None:
            await sandbox.destroy()
        await asyncio.to_thread(self.store.set_sandbox, session, None)


class _Opening:
    """Opens the session in the vault when the driver hands over the listeners, and keeps what the vault has said."""

    def __init__(self, workshop: Workshop, spec: SessionSpec) -> None:
        self.generation = 0
        self.stub = ""
        self._workshop = workshop
        self._spec = spec

    async def attach(self, listeners: Sequence[Listener]) -> Identity:
        """`driver.Attach`."""
        self.generation = self._workshop.way_out.generation
        opened = await self._workshop.way_out.open(self._spec, [(each.kind, each.socket) for each in listeners])
        self.stub = opened.env.get(VARIABLE, "")
        identity = identity_of(opened)
        env: Mapping[str, str] = {**identity.env, **self._workshop_env()}
        files = {**PLACES, **identity.files}
        return Identity(env=env, files=files)

    def _workshop_env(self) -> dict[str, str]:
        way, door = self._workshop._way, self._workshop.door
        env = {ADDRESS: way.url} if way is not None else {}
        if door is not None and team.SECRET in self._spec.own:
            env |= team.variables(door.way, self._spec.id)
        return env


PLACES: Mapping[str, File] = {path: File(b"") for path in (KNOWN_HOSTS, SSH_CONFIG, GIT_CONFIG, JAVA_STORE)}
"""Files that every session's sandbox has, so that they can be filled late: by a pool, or by the next vault."""


def limits_of(resources: Resources) -> Limits:
    """A sandbox's limits: what is not said is the driver's default. Pure."""
    said: dict[str, Any] = {
        "memory": resources.memory_bytes,
        "disk": resources.disk_bytes,
        "processes": resources.processes,
        "cpu": None if resources.cpus is None else max(int(resources.cpus * 1000), 1),
    }
    return msgspec.structs.replace(Limits(), **{name: value for name, value in said.items() if value is not None})


def _left(session: Session) -> Decimal | None:
    """Dollars that its key may still spend."""
    return limits.left(session).dollars


def _allowed(store: AgentStore, session: str, about: About) -> list[str]:
    """Rules that somebody has allowed for the rest of the session."""
    page = store.approvals(session=session, is_open=False, limit=1000)
    return [
        each.ask.rule
        for each in page.data
        if each.decision == "approved" and each.remember and each.ask.about == about and each.ask.rule
    ]


def _was_ready(store: AgentStore, session: Session) -> bool:
    """Whether its workspace is complete: it has been ready once."""
    begin = session.forked_from.number if session.forked_from is not None else 0
    statuses = [each.event.data for each in store.events(session.id, begin, 100, ("status",))]
    return any(isinstance(status, Status) and status.cause is Cause.READY for status in statuses)
