"""A sandbox behind a vault that is held open, so that many clients can be tried in one; real ones, unchanged.

with behind(prepare, folder, Behind) as inside:
    done = inside.run("curl", "https://api.example.test/")
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from penstock.agents.folders import Folder
from penstock.agents.sandboxes.driver import Exit, Sandbox
from penstock.agents.sandboxes.local import LocalDriver
from penstock.agents.single_run import Job, SingleRun
from penstock.vault.api import Event, Secrets, VaultClient, open_secrets
from tests.support.sandboxes import sandbox_folder
from tests.support.ssh import Loop

SECONDS = 60.0


class Done(NamedTuple):
    """How a program ended, and what it said."""

    status: int
    output: str
    error: str

    @property
    def said(self) -> str:
        """All of it, for a message of a test that fails."""
        return f"status {self.status}\n{self.output}\n{self.error}"


class Behind:
    """The inside. `seen` is every byte that programs in it said."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.events: list[Event] = []
        self.seen: list[bytes] = []
        self._loop = Loop()
        self._sandbox: asyncio.Future[Sandbox]
        self._over = asyncio.Event()
        self._running: Any = None

    def open(self, job: Job, folder: Path | None) -> None:
        self._loop.run(self._open(job, folder), SECONDS)

    async def _open(self, job: Job, folder: Path | None) -> None:
        self._sandbox = asyncio.get_running_loop().create_future()
        self._vault = await VaultClient.start(self.state / "vault", on_event=self.events.append)
        self._driver = LocalDriver(self.state / "sandboxes")
        single = SingleRun("one", job, self._driver, self._vault, Folder(folder) if folder else None)
        self._running = asyncio.ensure_future(single.run(self._attend))
        await asyncio.wait([self._running, self._sandbox], return_when=asyncio.FIRST_COMPLETED)
        if self._running.done():
            await self._running

    async def _attend(self, sandbox: Sandbox) -> Exit:
        self._sandbox.set_result(sandbox)
        await self._over.wait()
        return Exit(0)

    def run(self, *argv: str, data: bytes = b"", env: Mapping[str, str] | None = None) -> Done:
        """Run a program to its end."""
        return self._loop.run(self._run(argv, data, env or {}), SECONDS)

    def shell(self, script: str, **env: str) -> Done:
        """Run a script of `sh` that ends at its first failure."""
        return self.run("sh", "-ec", script, env=env)

    async def _run(self, argv: tuple[str, ...], data: bytes, env: Mapping[str, str]) -> Done:
        process = await (await self._sandbox).exec(argv, stdin=True, env=env)

        async def feed() -> None:
            with contextlib.suppress(BrokenPipeError):
                await process.write(data)
            process.close_input()

        output, error, _ = await asyncio.gather(_drained(process.read), _drained(process.read_error), feed())
        self.seen += [output, error]
        ended = await process.wait()
        return Done(ended.status, output.decode("utf-8", "replace"), error.decode("utf-8", "replace"))

    def close(self) -> None:
        """End the sandbox and the vault."""
        self._loop.run(self._close(), SECONDS)
        self._loop.close()

    async def _close(self) -> None:
        self._over.set()
        try:
            if self._running is not None:
                await self._running
        finally:
            await self._driver.close()
            await self._vault.stop()


async def _drained(read: Callable[[], Any]) -> bytes:
    found = b""
    while data := await read():
        found += data
    return found


Kind = TypeVar("Kind", bound=Behind)


@contextlib.contextmanager
def behind(prepare: Callable[[Secrets], Job], folder: Path | None, kind: type[Kind]) -> Iterator[Kind]:
    """Make one; `prepare` keeps the secrets and says what the job is, `folder` is copied in."""
    with sandbox_folder() as state:
        state.mkdir(mode=0o711)
        with open_secrets(state / "vault") as secrets:
            job = prepare(secrets)
        inside = kind(state)
        inside.open(job, folder)
        try:
            yield inside
        finally:
            inside.close()
