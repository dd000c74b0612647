"""Sandboxes that are ready before anybody asks: made in advance, given their identity when they are claimed.

A sandbox that waits has run nothing and knows nobody; it serves one session and is never taken back. Where none waits,
or none fits, one is made, which takes longer and is otherwise the same.
"""

from __future__ import annotations

import asyncio

from penstock.agents.sandboxes.driver import Attach, Driver, Sandbox, SandboxError, SandboxSpec, Warm

PAUSE = 5.0
"""Seconds after a sandbox could not be made, before the next attempt."""


class Pool:
    """Keeps `size` sandboxes ready.

    Args:
        template: what they are made for: egress, environments, the places of files. Its id and workspace do not count.
    """

    def __init__(self, driver: Driver, template: SandboxSpec, size: int) -> None:
        self._driver = driver
        self._template = template
        self._size = size
        self._ready: list[Warm] = []
        self._wanted = asyncio.Event()
        self._filled = asyncio.Event()
        self._filler: asyncio.Task[None] | None = None

    @property
    def ready(self) -> int:
        """How many wait."""
        return len(self._ready)

    def start(self) -> None:
        """Begin to make sandboxes in the background."""
        self._wanted.set()
        self._filler = asyncio.ensure_future(self._fill())

    async def full(self) -> None:
        """Wait until as many are ready as are wanted."""
        await self._filled.wait()

    async def claim(self, spec: SandboxSpec, attach: Attach) -> Sandbox:
        """Return a sandbox for `spec`: one that waits, or a new one. Errors are those of `Driver.create`."""
        warm = next((one for one in self._ready if one.fits(spec)), None)
        if warm is None:
            return await self._driver.create(spec, attach)
        self._ready.remove(warm)
        self._filled.clear()
        self._wanted.set()
        return await warm.claim(spec, attach)

    async def close(self) -> None:
        """Stop making sandboxes, and end those that wait."""
        if self._filler is not None:
            self._filler.cancel()
            await asyncio.gather(self._filler, return_exceptions=True)
        while self._ready:
            await self._ready.pop().destroy()

    async def _fill(self) -> None:
        while True:
            await self._wanted.wait()
            while len(self._ready) < self._size:
                try:
                    self._ready.append(await self._driver.warm(self._template))
                except (SandboxError, OSError):
                    await asyncio.sleep(PAUSE)  # claims are answered with a new one meanwhile, and its error is told
            self._wanted.clear()
            self._filled.set()
