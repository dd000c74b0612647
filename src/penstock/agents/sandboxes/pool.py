"""Sandboxes that are ready before anybody asks: made in advance, given their identity when they are claimed.

A sandbox that waits has run nothing and knows nobody; it serves one session and is never taken back. Where none waits,
or none fits, one is made, which takes longer and is otherwise the same.
"""

from __future__ import annotations

import asyncio
import logging

from penstock.agents.sandboxes.driver import Attach, CannotCreate, Driver, Sandbox, SandboxError, SandboxSpec, Warm

PAUSE = 5.0
"""Seconds after a sandbox could not be made, before the next attempt."""
_log = logging.getLogger(__name__)


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
        self._failure: Exception | None = None
        self._wanted = asyncio.Event()
        self._tried = asyncio.Event()
        self._filler: asyncio.Task[None] | None = None
        self._closed = asyncio.Event()

    @property
    def ready(self) -> int:
        """How many wait."""
        return len(self._ready)

    def start(self) -> None:
        """Begin to make sandboxes in the background."""
        self._wanted.set()
        self._filler = asyncio.ensure_future(self._fill())
        self._filler.add_done_callback(self._ended)

    async def full(self) -> None:
        """Wait until as many are ready as are wanted. Raises what kept the last one from being made."""
        while not (self._is_full or self._failure is not None or self._closed.is_set()):
            await self._tried.wait()
        if not self._is_full:
            raise self._failure or CannotCreate("the pool has ended", fix="create a sandbox without it")

    @property
    def _is_full(self) -> bool:
        return len(self._ready) >= self._size

    async def claim(self, spec: SandboxSpec, attach: Attach) -> Sandbox:
        """Return a sandbox for `spec`: one that waits, or a new one. Errors are those of `Driver.create`."""
        warm = next((one for one in self._ready if one.fits(spec)), None)
        if warm is None:
            return await self._driver.create(spec, attach)
        self._ready.remove(warm)
        self._wanted.set()
        return await warm.claim(spec, attach)

    async def close(self) -> None:
        """Stop making sandboxes, and end those that wait."""
        self._closed.set()
        if self._filler is not None:
            self._filler.cancel()
            await asyncio.gather(self._filler, return_exceptions=True)
        while self._ready:
            await self._ready.pop().destroy()

    async def _fill(self) -> None:
        """Whatever keeps one from being made, the next is tried: claims are answered with new ones meanwhile.

        A driver may end a cancelled attempt with an error of its own, so being cancelled is not all that ends this.
        """
        while not self._closed.is_set():
            await self._wanted.wait()
            self._wanted.clear()
            while not (self._closed.is_set() or self._is_full):
                await self._make()

    async def _make(self) -> None:
        failure: Exception | None = None
        try:
            self._ready.append(await self._driver.warm(self._template))
        except Exception as error:  # whoever waits for a full pool is told, and nobody waits for ever
            failure = error
        self._tell(failure)
        self._wake()
        if failure is not None and not self._closed.is_set():
            await asyncio.sleep(PAUSE)

    def _wake(self) -> None:
        """Have whoever waits look again."""
        tried, self._tried = self._tried, asyncio.Event()
        tried.set()

    def _ended(self, filler: asyncio.Task[None]) -> None:
        """No more are made, for whatever reason: nobody shall wait for one."""
        self._closed.set()
        self._wake()

    def _tell(self, failure: Exception | None) -> None:
        """Log what is new: the same failure is not said every few seconds."""
        if failure is not None and str(failure) != str(self._failure):
            unexpected = None if isinstance(failure, SandboxError | OSError) else failure
            _log.warning("no sandbox could be made in advance: %s", failure, exc_info=unexpected)
        self._failure = failure
