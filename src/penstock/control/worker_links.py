"""The links to all workers that are connected: what is pushed to them.

A worker that connects is told the snapshot in force at once, and each later one. A key that changed is forgotten by all
of them before whoever changed it is answered; a worker that does not answer in time is said to be late, and cannot act
on the old state for long: its link breaks, and with it all that it knew of keys. What one of them learns of a
deployment's health goes to all others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from penstock.control.circuits import Circuits
from penstock.gateway.circuits import CIRCUITS, Change
from penstock.gateway.snapshot import Snapshot

PATIENCE = 2.0
"""Seconds in which a worker must have taken note."""


class Link(Protocol):
    """A channel to one worker (control/channel.py)."""

    def ask(
        self,
        kind: str,
        payload: Any,
        answered: Callable[[Any], None],
        failed: Callable[[str], None],
        timeout: float,
    ) -> None:
        """Ask the other end. One of both is called."""
        ...

    def tell(self, kind: str, payload: Any) -> None:
        """Say something to the other end, which does not answer."""
        ...


class WorkerLinks:
    """All workers that are connected."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._links: list[Link] = []
        self._snapshot: Snapshot | None = None
        self._circuits = Circuits()
        self._say = say

    def __len__(self) -> int:
        return len(self._links)

    def connected(self, link: Link) -> None:
        """A worker is there."""
        self._links.append(link)
        if self._snapshot is not None:
            link.ask("snapshot", self._snapshot, _ignore, self._late, PATIENCE)
            if resting := self._circuits.resting():
                link.tell(CIRCUITS, resting)

    def gone(self, link: Link) -> None:
        """A worker is not there any more."""
        if link in self._links:
            self._links.remove(link)

    def circuits(self, speaker: Link | None, changes: Sequence[Change]) -> None:
        """Circuits opened or closed at a worker (None: the keeper found out): all others are told."""
        self._circuits.note(changes)
        for link in self._links:
            if link is not speaker:
                link.tell(CIRCUITS, changes)

    async def publish(self, snapshot: Snapshot) -> None:
        """Give all workers this snapshot; returns when they hold it."""
        self._snapshot = snapshot
        await self._all("snapshot", snapshot)

    async def forget(self, tokens: Sequence[str]) -> None:
        """Have all workers forget these keys; returns when they have."""
        await self._all("forget", list(tokens))

    async def _all(self, kind: str, payload: Any) -> None:
        loop = asyncio.get_running_loop()
        waiting: list[asyncio.Future[None]] = []
        for link in tuple(self._links):
            done: asyncio.Future[None] = loop.create_future()
            waiting.append(done)
            link.ask(kind, payload, _settle(done), self._failed(done), PATIENCE)
        if waiting:
            await asyncio.gather(*waiting)

    def _failed(self, done: asyncio.Future[None]) -> Callable[[str], None]:
        def failed(why: str) -> None:
            self._late(why)
            if not done.done():
                done.set_result(None)

        return failed

    def _late(self, why: str) -> None:
        self._say(f"a worker did not take note in time: {why}")


def _settle(done: asyncio.Future[None]) -> Callable[[Any], None]:
    def answered(answer: Any) -> None:
        if not done.done():
            done.set_result(None)

    return answered


def _ignore(answer: Any) -> None:
    pass
