"""The docker driver: sandboxes in containers of an engine on this machine, whose system is an image.

It is the local driver with a container where bubblewrap was. A record is written before the container is asked for,
and the container has our mark as its label, its name and in its environment: so after `kill -9` of the server at any
instant there are containers with a record that names them (`adopt`), and others that `sweep` finds by their label.

The container is there before the vault is attached, for its network is; nothing of anybody runs in it until then but
the process that holds it. Whatever the engine says of that process is checked against the process itself: an engine on
another machine, in a virtual one, or a runtime that is no Linux container (gVisor, Kata) would name a process that is
somebody else here, or none.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from penstock.agents.sandboxes.docker import checks, container, groups
from penstock.agents.sandboxes.docker.engine import SOCKET, Engine, Refused, named, socket_of
from penstock.agents.sandboxes.docker.sandbox import DockerSandbox
from penstock.agents.sandboxes.driver import (
    AGENT,
    WORKSPACE,
    Attach,
    CannotCreate,
    HostLacks,
    Identity,
    InvalidSpec,
    Report,
    SandboxError,
    SandboxSpec,
)
from penstock.agents.sandboxes.local import cgroups, containers, kernel, programs, trees
from penstock.agents.sandboxes.local.driver import LocalDriver, OnTrouble, identified
from penstock.agents.sandboxes.local.ending import killed
from penstock.agents.sandboxes.local.replies import answer
from penstock.agents.sandboxes.local.sandbox import LocalSandbox
from penstock.agents.sandboxes.local.specs import placed
from penstock.agents.sandboxes.local.state import MARK, Record, State

APPEARING = 5.0
"""Seconds in which the first process of a container must show our mark; it needs milliseconds."""
REMOVING = 60.0
"""Seconds in which the engine must have removed a container."""
NOT_HERE = "the engine's containers are not processes of this machine (its runtime is a virtual machine, or it is one)"


class DockerDriver(LocalDriver):
    """Sandboxes in containers (`driver.Driver`).

    Args:
        folder: where workspaces and records are kept; only root can enter it.
        image: what sandboxes see as their system where their specification names none: a name that the engine has (it
            is never pulled from here). Needed in it: /bin/sh, `sleep`; `env` of coreutils is better.
        engine: the path of the engine's Unix socket, or `unix://PATH` as in DOCKER_HOST.
        on_trouble: hears what goes wrong in a sandbox on its own.

    Raises:
        HostLacks: the engine is on another machine.
    """

    kind = "docker"
    has_images = True

    def __init__(
        self,
        folder: Path,
        *,
        image: str = "",
        engine: str = SOCKET,
        on_trouble: OnTrouble = lambda sandbox, trouble: None,
    ) -> None:
        super().__init__(folder, on_trouble=on_trouble, groups=False)
        self.state = State(folder, as_root=os.geteuid() == 0, owner=AGENT)
        self.image = image
        self.engine = Engine(socket_of(engine))

    async def check(self) -> Report:
        """Try what the engine and the host offer."""
        return await checks.check(self)

    def name_of(self, token: str) -> str:
        """Return the name of a sandbox's container."""
        return f"penstock-{self.state.instance}-{token}"

    # -- making -------------------------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Start the helpers, and ask the engine for its version and the image, if one is named."""
        await self._check_wall()
        await self.engine.version()
        if self.image:
            await self.inspected(self.image)

    async def system(self, image: str = "") -> str:
        """Name what sandboxes see as their system: the image's id, which no other image ever has."""
        return (await self.inspected(image or self.image)).id

    async def _isolation(self, spec: SandboxSpec) -> str:
        """Programs are not started by the engine, so its own filter does not hold them: ours must be there.

        There is no weak isolation here, asked for or not.
        """
        await self._check_wall()
        return "full"

    async def _check_wall(self) -> None:
        if os.geteuid() != 0:
            raise HostLacks(
                "the docker driver must be root: it enters containers' networks to make the vault's listeners there",
                fix="run Penstock as root, or use the local driver",
            )
        if not await self._filtered():
            raise HostLacks("this host cannot filter system calls", fix="install pyseccomp and libseccomp2")

    async def _made(self, record: Record, group: cgroups.Group, attach: Attach) -> LocalSandbox:
        self.state.begin(record.token, {}, record.owner)
        self.state.write(record)
        image = await self.inspected(record.spec.image or self.image)
        record = msgspec.structs.replace(record, variables=container.variables(image))
        record = await self._started(record, image)
        group = self.group_of(record)
        redirected, identity = await self._listening(record, attach)
        contents = placed(record.spec, identity)
        files = self.state.begin(record.token, contents, record.owner)
        record = msgspec.structs.replace(record, files=files, spec=identified(record.spec, identity))
        await self._place(record)
        self.state.write(record)
        return self._known(record, group, redirected)

    def _take_workspace(self, name: str, token: str) -> int:
        """Refuse a workspace of the local driver, whose files are not the agent's here."""
        owner = super()._take_workspace(name, token)
        if owner != AGENT:
            raise InvalidSpec(
                f"the workspace {name!r} was made by another driver", fix="restore a snapshot of it, and use that"
            )
        return owner

    async def inspected(self, image: str) -> container.Image:
        """Ask the engine about an image.

        Raises:
            InvalidSpec: it has none of that name.
        """
        if not image:
            raise InvalidSpec("no image is named", fix="name one in the environment, or one for all with --image")
        if not container.NAME.fullmatch(image) or ".." in image:
            raise InvalidSpec(f"{image[:200]!r} cannot be the name of an image", fix="name it as `docker images` does")
        try:
            return container.read_image(await self.engine.ask("GET", f"/images/{image}/json"))
        except Refused as error:
            if error.answered != 404:
                raise
        raise InvalidSpec(f"the engine has no image {image[:200]!r}", fix="docker pull it, or build it")

    async def _started(self, record: Record, image: container.Image) -> Record:
        """Create and start the container; return the record with its first process."""
        name, mark = self.name_of(record.token), f"{self.state.instance}/{record.token}"
        workspace = self.state.workspace(record.spec.workspace)
        layout = container.Layout(str(workspace / "home"), str(workspace / "work"), self.mounts_of(record))
        wanted = container.description(image, layout, record.spec.limits, mark=(MARK, mark))
        made = await _whole(self.engine.ask("POST", "/containers/create", wanted, name=name))
        await self.engine.ask("POST", named(name, "/start"))
        pid = await self._first_process(name, mark, workspace / "work")
        return msgspec.structs.replace(record, container=str(made["Id"]), pid=pid, started=kernel.started(pid))

    async def _first_process(self, name: str, mark: str, workspace: Path) -> int:
        """Return the pid of the container's first process, once it is the one that we asked for."""
        deadline = time.monotonic() + APPEARING
        while time.monotonic() < deadline:
            state = (await self.engine.ask("GET", named(name, "/json")))["State"]
            if not state["Running"]:
                said = f"{state.get('ExitCode')}: {state.get('Error') or 'it said nothing'}"
                raise CannotCreate(
                    f"the container ended at once, with {said}",
                    fix="the image needs /bin/sh and sleep, for this machine's architecture",
                )
            if self._marked(int(state["Pid"]), mark):
                self._check_workspace(int(state["Pid"]), workspace)
                return int(state["Pid"])
            await asyncio.sleep(0.002)
        raise HostLacks(NOT_HERE, fix="use an engine on this machine itself, with runc or crun, or the local driver")

    def _marked(self, pid: int, mark: str) -> bool:
        """True where that process bears our mark: then it is the container's, and a process of this machine."""
        with contextlib.suppress(OSError):
            return f"{MARK}={mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        return False

    def _check_workspace(self, pid: int, workspace: Path) -> None:
        """Refuse a container whose workspace is another folder of the same name, as the engine sees the machine."""
        try:
            same = Path(f"/proc/{pid}/root{WORKSPACE}").samefile(workspace)
        except OSError as error:
            raise CannotCreate(f"the container's workspace cannot be seen: {error.strerror}") from None
        if not same:
            raise HostLacks(
                f"the engine has another folder at {workspace} than this process",
                fix="run Penstock on the engine's machine itself, not in a container",
            )

    async def _listening(self, record: Record, attach: Attach) -> tuple[bool, Identity]:
        wanted = containers.Listen(record.pid, record.started, record.spec.egress, nft=programs.find("nft"))
        with contextlib.closing(await self.forks.job("listen", wanted)) as reply:
            return await self.attached(reply, attach)

    async def _place(self, record: Record) -> None:
        writable = tuple(mount.at for mount in record.spec.mounts if mount.writable)
        wanted = containers.Place(record.pid, record.started, record.files, AGENT)
        wanted = msgspec.structs.replace(wanted, writable=(*wanted.writable, *writable))
        try:
            await answer(await self.forks.job("place", wanted))
        except SandboxError as error:
            raise InvalidSpec(f"a file cannot be placed: {error.message}", fix="see what the image has there") from None

    def group_of(self, record: Record) -> cgroups.Group:
        """Return the groups of a container that runs."""
        try:
            return groups.of_container(record.container, record.pid)
        except OSError as error:
            raise CannotCreate(f"the container has ended: {error.strerror}", fix="make another one") from None

    def _sandbox(self, record: Record, group: cgroups.Group, pidfd: int, held: Mapping[str, str]) -> LocalSandbox:
        return DockerSandbox(self, record, group, pidfd, held)

    def _in_force(self, record: Record, group: cgroups.Group, redirected: bool) -> Mapping[str, str]:
        """As in the local driver, but for who made the groups."""
        found = dict(super()._in_force(record, group, redirected))
        del found["memory"], found["processes"]
        held = {limit: group.version(ability) for limit, ability in groups.HELD.items()}
        return {**found, **{limit: f"cgroup v{version}" for limit, version in held.items() if version}}

    # -- ending -------------------------------------------------------------------------------------------------------

    async def _traces(self) -> set[str]:
        """Ask the engine for all containers with our label, whether they run or not."""
        filters = msgspec.json.encode({"label": [container.LABEL]}).decode()
        said: Sequence[Mapping[str, Any]] = await self.engine.ask(
            "GET", "/containers/json", all="true", filters=filters
        )
        labels = (str(one["Labels"].get(container.LABEL, "")).partition("/") for one in said)
        return {token for instance, _, token in labels if instance == self.state.instance}

    async def _remove(self, token: str, group: cgroups.Group, record: Record | None) -> None:
        """Have the engine end and remove the container; then remove what is here. Where no engine answers, what runs is
        ended all the same, and the rest is left to `sweep`.
        """
        try:
            await self._remove_container(self.name_of(token))
        except HostLacks:
            if record is not None:
                await killed(record.pid, record.started, record.boot)
            raise
        trees.remove(self.state.run_folder(token))
        if record is not None and not record.claimed:
            await asyncio.to_thread(trees.remove, self.state.workspace(record.spec.workspace))

    async def _remove_container(self, name: str) -> None:
        deadline = time.monotonic() + REMOVING
        while True:
            try:
                await self.engine.ask("DELETE", named(name), force="true", v="true")
            except Refused as error:
                if error.answered == 404:
                    return
                if error.answered != 409 or time.monotonic() > deadline:  # 409: it is being removed already
                    raise
            if time.monotonic() > deadline:
                raise CannotCreate(f"the engine says that {name} is removed, and has it still", fix="docker rm -f it")
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        """Let go of everything; sandboxes run on."""
        await super().close()
        await self.engine.close()


async def _whole(asking: Coroutine[Any, Any, Any]) -> Any:
    """Wait for an answer even when we are cancelled: what the engine is making could not be removed yet."""
    task = asyncio.ensure_future(asking)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
