"""What is looked at from outside, and what is done to the stage between the phases."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.redteam import leaks
from penstock.redteam.probe import Asked, Kit, Phase
from penstock.vault.api import Secrets, VaultGone, open_secrets

if TYPE_CHECKING:
    from penstock.redteam.stage import Place, Stage


class WrongError(Exception):
    """What a look from outside found wrong."""


def hold(condition: object, otherwise: str) -> None:
    """Raise what is wrong where a condition does not hold."""
    if not condition:
        raise WrongError(otherwise)


TRUST_STORE = Path("/etc/ssl/certs/ca-certificates.crt")
BEFORE_REVOKING = 0.5
"""Seconds that a stream runs before its secret is revoked."""
PATIENCE = 30.0
"""Seconds until something must have begun."""
SHORT = 100_000
"""Bytes that are looked through more thoroughly."""
MOST = 64 << 20


class Field:
    """The stage, as the examiner walks over it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.kit: Kit = stage.kit()
        self.asked: list[Asked] = []
        self.phase: Phase = "live"
        self.trust_store = digest(TRUST_STORE)
        self.command_lines: list[bytes] = []
        self.sandbox_files: dict[str, bytes] = {}
        self.sentinels: dict[str, bytes] = {}
        self._vault_pid = stage.vault_pid
        self._before = 0

    @property
    def agent(self) -> Place:
        """The agent's session."""
        return self.stage.places["agent"]

    @property
    def neighbour(self) -> Place:
        """The neighbour's."""
        return self.stage.places["neighbour"]

    @property
    def secrets(self) -> Secrets:
        """The store, opened as `penstock secrets` does."""
        return open_secrets(self.stage.vault_folder)

    def of_vault(self, name: str) -> bytes:
        """A file of /proc of the vault's process. OSError: there is none, or it may not be read."""
        return Path(f"/proc/{self._vault_pid}/{name}").read_bytes()

    def command_lines_now(self) -> list[bytes]:
        """Arguments and environments of all processes that may be read."""
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and int(folder.name) != os.getpid():
                for name in ("cmdline", "environ"):
                    try:
                        found.append((folder / name).read_bytes())
                    except OSError:
                        continue
        return found

    def files(self, *folders: Path) -> Iterator[tuple[str, bytes]]:
        """All files below some folders."""
        for folder in folders:
            for path in folder.rglob("*"):
                try:
                    if path.is_file() and not path.is_symlink():
                        with path.open("rb") as file:
                            yield str(path.relative_to(self.stage.folder)), file.read(MOST)
                except OSError:
                    continue

    def leak_in(self, data: bytes) -> str:
        """How a canary stands in it, or ""."""
        return leaks.find(data, self.kit.all_secrets, 2 if len(data) < SHORT else 1)

    async def enter(self, phase: Phase) -> None:
        """Make it so that a phase can begin."""
        self.phase = phase
        self._before = len(self.stage.upstreams.bound.asked)
        if phase == "revoked":
            self.command_lines = self.command_lines_now()
            self.sandbox_files = dict(self.files(self.stage.folder / "sandboxes"))
        if phase == "ended":
            await self.stage.vault.close(self.agent.id)
        if phase == "reopened":
            await self.stage.reopen("agent")
        if phase == "dead":
            await self._kill_vault()
        if phase == "destroyed":
            for place in self.stage.places.values():
                await place.sandbox.stop()
            self.sentinels = dict(self.files(self.stage.folder / "sandboxes"))
            for place in self.stage.places.values():
                await place.sandbox.destroy()

    async def meanwhile(self) -> None:
        """What is done while the probes of a phase run."""
        if self.phase == "revoked":
            async with asyncio.timeout(PATIENCE):
                while len(self.stage.upstreams.bound.asked) == self._before:  # noqa: ASYNC110  # upstreams are threads
                    await asyncio.sleep(0.02)
            await asyncio.sleep(BEFORE_REVOKING)
            with self.secrets as kept:
                kept.revoke("API_TOKEN")

    async def _kill_vault(self) -> None:
        """End it as a fault in it would: with a signal that leaves a core, where one may be left."""
        os.kill(self._vault_pid, signal.SIGSEGV)
        try:
            async with asyncio.timeout(5):
                while True:
                    await self.stage.vault.sessions()
                    await asyncio.sleep(0.05)
        except (VaultGone, TimeoutError):
            pass


def digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
