"""A sandbox of the local driver that waits for its identity: it runs, holds its listeners, and knows nobody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from penstock.agents.sandboxes.driver import Attach, Identity, InvalidSpec, Listener, NotRunning, SandboxSpec
from penstock.agents.sandboxes.local.sandbox import LocalSandbox
from penstock.agents.sandboxes.local.specs import check_spec, placed

if TYPE_CHECKING:
    from penstock.agents.sandboxes.local.driver import LocalDriver

WARM = "warm-"
"""How the names of workspaces begin that nobody has claimed."""


class LocalWarm:
    """A sandbox without an identity (`driver.Warm`). Claimed once; then it is the caller's."""

    def __init__(self, driver: LocalDriver, sandbox: LocalSandbox, listeners: Sequence[Listener]) -> None:
        self._driver = driver
        self._sandbox = sandbox
        self._listeners = listeners
        self._claimed = False

    def fits(self, spec: SandboxSpec) -> bool:
        """True where the specification wants what is there already: egress, mounts, files' places, a new workspace."""
        template = self._sandbox.record.spec
        same = (template.image, template.egress, template.mounts, template.limits.temporary) == (
            spec.image,
            spec.egress,
            spec.mounts,
            spec.limits.temporary,
        )
        strong = spec.isolation == "weak" or self._sandbox.isolation == "full"
        known = set(placed(spec, Identity())) <= set(self._sandbox.record.files)
        return (
            same
            and strong
            and known
            and not self._claimed
            and not self._driver.state.workspace(spec.workspace).exists()
        )

    async def claim(self, spec: SandboxSpec, attach: Attach) -> LocalSandbox:
        """Make it the sandbox of `spec`; when that fails, it is destroyed."""
        check_spec(spec)
        if not self.fits(spec):
            raise InvalidSpec("this sandbox was made for another kind of session", fix="create one")
        self._claimed = True
        try:
            identity = await attach(self._listeners) or Identity()
            await self._become(spec, identity)
        except BaseException:
            await self._sandbox.destroy()
            raise
        finally:
            self._close()
        return self._sandbox

    async def _become(self, spec: SandboxSpec, identity: Identity) -> None:
        """Take over the workspace (mounts follow a folder that is renamed), the limits, then all the rest."""
        sandbox, state = self._sandbox, self._driver.state
        if not self._driver.alive(sandbox.record):
            raise NotRunning("the sandbox died while it waited", fix="claim or create another one")
        state.workspace(sandbox.record.spec.workspace).rename(state.workspace(spec.workspace))
        sandbox.record = msgspec.structs.replace(sandbox.record, spec=spec)
        await sandbox.limit(spec.limits)
        self._driver.identify(sandbox, spec, identity)

    async def destroy(self, *, workspace: bool = True) -> None:
        """End it unclaimed."""
        self._close()
        if not self._claimed:
            await self._sandbox.destroy()

    def _close(self) -> None:
        self.let_go()
        self._driver.forget_warm(self)

    def let_go(self) -> None:
        """Close our listeners."""
        for listener in self._listeners:
            listener.socket.close()
        self._listeners = ()
