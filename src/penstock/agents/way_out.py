"""The vault of a platform: one process, started again when it dies, and the sessions that are open in it.

When a vault dies every sandbox is without a way out, at once and of itself: its listeners were the vault's. A new vault
knows none of them, so each session has to hand over new listeners (`Sandbox.reattach`) and gets new stubs and a new
authority. `generation` counts the vaults: what was opened in an older one is not open any more.

The session's own key at the gateway is kept here as a secret that belongs to no user but to the session (`own`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from penstock.agents.errors import Unavailable
from penstock.agents.model_way import VARIABLE
from penstock.vault.api import (
    Event,
    ListenerKind,
    Opened,
    Refusal,
    Secrets,
    SessionSpec,
    VaultClient,
    VaultGone,
    open_secrets,
)

T = TypeVar("T")
Listening = tuple[ListenerKind, socket.socket]
KEY_NAME = "session-gateway-key"
"""Under which name a session's own key is kept."""
PATIENCE = 20.0
"""Seconds that whoever needs the vault waits while it is started again."""
MOST_CLOSED = 1000
"""Closed sessions of which it is known what they have sent."""
PAUSE = 0.5
"""Seconds after a vault could not be started."""
_log = logging.getLogger(__name__)


def owner_of(session: str) -> str:
    """Whose, in the vault's store, the secrets are that a session has for itself."""
    return f"session/{session}"


class WayOut:
    """One vault after another over the store in `directory`.

    Args:
        directory: of secrets and audit log.
        on_event: hears what happens in sessions.
        on_loss: hears that a vault has died, when the next one is there.
    """

    def __init__(
        self,
        directory: Path,
        *,
        on_event: Callable[[Event], None] = lambda event: None,
        on_loss: Callable[[], None] = lambda: None,
    ) -> None:
        self.generation = 0
        self.on_event = on_event
        self.on_loss = on_loss
        self._directory = directory
        self._client: VaultClient | None = None
        self._there = asyncio.Event()
        self._closed: dict[str, int] = {}
        self._watching: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vault-store")
        self._store: Secrets | None = None

    @property
    def pid(self) -> int | None:
        """The process of the vault that runs now."""
        return self._client.pid if self._client is not None and self._there.is_set() else None

    async def start(self) -> None:
        """Start the first vault. Raises VaultGone, Refusal."""
        await self._started()
        self._watching = asyncio.ensure_future(self._watch())

    async def _started(self) -> None:
        self._client = await VaultClient.start(self._directory, on_event=lambda event: self.on_event(event))
        self.generation += 1
        self._there.set()

    async def _watch(self) -> None:
        """Start another one when it dies."""
        while True:
            assert self._client is not None
            await self._client.ended()
            self._there.clear()
            _log.warning("the vault has ended; another one is started, and sandboxes have no way out meanwhile")
            await self._client.stop()
            while not self._there.is_set():
                try:
                    await self._started()
                except (OSError, Refusal):
                    _log.exception("no vault can be started; trying again")
                    await asyncio.sleep(PAUSE)
            self.on_loss()

    async def _here(self) -> VaultClient:
        """The vault, as soon as there is one. Raises Unavailable."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._there.wait()
        except TimeoutError:
            raise Unavailable("the vault does not come up", fix="see the server's log") from None
        assert self._client is not None
        return self._client

    # -- sessions -----------------------------------------------------------------------------------------------------

    async def open(self, spec: SessionSpec, listeners: Sequence[Listening]) -> Opened:
        """Open a session, in the place of one of that name.

        Raises:
            Refusal: a secret or a rule is wrong. VaultGone, Unavailable: try again.
        """
        vault = await self._here()
        with contextlib.suppress(Refusal):
            await vault.close(spec.id)
        self._closed.pop(spec.id, None)
        return await vault.open(spec, listeners)

    async def close(self, session: str) -> None:
        """End a session; nothing happens where it is not open. What it has sent can still be asked for."""
        if self._client is None:
            return
        row = await self._row(session)
        if row is not None:
            self._closed[session] = int(row.get("bytes_out", 0))
            while len(self._closed) > MOST_CLOSED:
                del self._closed[next(iter(self._closed))]
        with contextlib.suppress(Refusal, VaultGone):
            await self._client.close(session)

    async def decide(self, session: str, proposal: str, allowed: bool, *, remember: bool = True) -> None:
        """Answer a question; nobody may be left who waits for it. `remember`: of a no, whether it is asked again."""
        with contextlib.suppress(Refusal, VaultGone):
            await (await self._here()).decide(session, proposal, allowed, remember=remember)

    async def bytes_out(self, session: str) -> int | None:
        """Bytes that a session has sent since it was opened; None: nobody knows."""
        row = await self._row(session)
        return int(row.get("bytes_out", 0)) if row is not None else self._closed.get(session)

    async def _row(self, session: str) -> dict[str, Any] | None:
        """What the vault says of a session; None where it is not open."""
        if self._client is None:
            return None
        try:
            return next(iter(await self._client.sessions(session)), None)
        except VaultGone:
            return None

    # -- keys ---------------------------------------------------------------------------------------------------------

    async def has_key(self, session: str) -> bool:
        """Whether the session's own key is kept."""
        return await self.has_own(session, KEY_NAME)

    async def keep_key(self, session: str, key: str, bindings: Sequence[str]) -> None:
        """Keep the session's own key; it may go to the gateway, in the slots that `bindings` name. Raises Refusal."""
        await self.with_store(
            lambda store: store.set(KEY_NAME, key.encode(), bindings=bindings, env=VARIABLE, owner=owner_of(session))
        )

    async def has_own(self, session: str, name: str) -> bool:
        """Whether this secret of the session's own is kept."""

        def look(store: Secrets) -> bool:
            try:
                return store.get(name, owner=owner_of(session)).revoked_at is None
            except Refusal:
                return False

        return await self.with_store(look)

    async def keep_own(self, session: str, name: str, value: str, bindings: Sequence[str], env: str) -> None:
        """Keep another secret that the session has for itself (`SessionSpec.own`), in the place of one of that name.
        Raises Refusal.
        """
        await self.with_store(
            lambda store: store.set(name, value.encode(), bindings=bindings, env=env, owner=owner_of(session))
        )

    async def drop_key(self, session: str) -> None:
        """Remove the session's own key, and what else it has for itself."""

        def drop(store: Secrets) -> None:
            for record in store.list():
                if record.owner == owner_of(session):
                    with contextlib.suppress(Refusal):
                        store.delete(record.name, owner=record.owner)

        await self.with_store(drop)

    async def keys(self) -> frozenset[str]:
        """The sessions whose own keys are kept."""
        records = await self.with_store(lambda store: store.list())
        return frozenset(
            record.owner.removeprefix(owner_of("")) for record in records if record.owner.startswith(owner_of(""))
        )

    async def hosts(self, names: Sequence[str], rules: Sequence[str], owner: str) -> tuple[str, ...]:
        """`host:port` of every place that these secrets and rules name. Raises Refusal."""
        return await self.with_store(lambda store: store.hosts(names, rules, owner))

    async def with_store(self, work: Callable[[Secrets], T]) -> T:
        """Do something with the store of secrets, in the thread that has it."""

        def do() -> T:
            if self._store is None:
                self._store = open_secrets(self._directory)
            return work(self._store)

        return await asyncio.get_running_loop().run_in_executor(self._thread, do)

    async def stop(self) -> None:
        """End the vault, and with it every way out."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        if self._client is not None:
            await self._client.stop()
        if self._store is not None:
            store = self._store
            await asyncio.get_running_loop().run_in_executor(self._thread, lambda: store.__exit__(None, None, None))
        self._thread.shutdown(wait=False)
