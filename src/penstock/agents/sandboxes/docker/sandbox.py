"""One container that runs, as a sandbox: what the local driver's does, where the engine does not do it better.

Programs are started by entering the container (local/enter.py), not by the engine's `exec`: that tells no signal from
an exit code, has no way to end what it started, and takes 60 ms. What changes the container itself (pause, limits, end)
is asked of the engine, so that its own commands show and respect it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from penstock.agents.sandboxes.docker import container
from penstock.agents.sandboxes.docker.engine import Refused, named
from penstock.agents.sandboxes.driver import AGENT, Limits, SandboxError
from penstock.agents.sandboxes.local import containers, enter
from penstock.agents.sandboxes.local.cgroups import Group
from penstock.agents.sandboxes.local.forking import Reply
from penstock.agents.sandboxes.local.sandbox import LocalSandbox
from penstock.agents.sandboxes.local.state import Record

if TYPE_CHECKING:
    from penstock.agents.sandboxes.docker.driver import DockerDriver


class DockerSandbox(LocalSandbox):
    """A sandbox of the docker driver (`driver.Sandbox`)."""

    _keepers = container.FIRST

    def __init__(
        self, driver: DockerDriver, record: Record, group: Group, pidfd: int, in_force: Mapping[str, str]
    ) -> None:
        super().__init__(driver, record, group, pidfd, in_force)
        self._engine = driver.engine
        self._name = driver.name_of(record.token)

    @property
    def where(self) -> enter.Where:
        """What helpers need to enter: there is no user namespace, so they become the agent inside."""
        record = self.record
        return enter.Where(record.pid, record.started, -1, tuple(self.group.entrances), inside=AGENT)

    async def _set_frozen(self, frozen: bool) -> None:
        try:
            await self._engine.ask("POST", named(self._name, "/pause" if frozen else "/unpause"))
        except Refused:
            if await self._paused() != frozen:  # else somebody has done it by the engine's own command
                raise
        self.update(msgspec.structs.replace(self.record, suspended=frozen))

    async def _paused(self) -> bool:
        said = await self._engine.ask("GET", named(self._name, "/json"))
        return bool(said["State"]["Paused"])

    async def _relisten(self, redirected: bool) -> Reply:
        record = self.record
        wanted = containers.Listen(record.pid, record.started, record.spec.egress, again=True, redirected=redirected)
        return await self._driver.forks.job("listen", wanted)

    async def limit(self, limits: Limits) -> None:
        """Change the limits that groups hold."""
        await self._engine.ask("POST", named(self._name, "/update"), container.limited(limits))

    async def _ran_out_of_memory(self) -> bool:
        """Ask the engine: the groups are gone with the first process."""
        try:
            said = await self._engine.ask("GET", named(self._name, "/json"))
        except SandboxError:
            return False
        return bool(said["State"].get("OOMKilled"))
