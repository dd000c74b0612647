"""What tests of the agent platform share: a store in a folder, a service with a runner that notes what it is told, and
the API as it is served.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from penstock.agents import ids
from penstock.agents.errors import NotFound
from penstock.agents.events import Artifact, Move, SessionEvent
from penstock.agents.machine import Cause, Reason
from penstock.agents.service import Service
from penstock.agents.store.base import AgentStore
from penstock.agents.types import AgentSpec, Approval, EnvironmentSpec, Pin, Principal, Session
from penstock.vault.api import Secrets, open_secrets

T = TypeVar("T")

NOON = datetime(2027, 1, 15, 12, 0, 0, 123456, tzinfo=UTC)
ALL_SCOPES = frozenset(
    {
        *("agents:read", "agents:write", "environments:read", "environments:write", "sessions:read", "sessions:write"),
        *("approvals:read", "approvals:decide", "approvals:propose", "secrets:read", "secrets:write", "tokens:read"),
        *("tokens:write", "workers:write"),
    }
)
ALICE = Principal("alice", ALL_SCOPES)
BOB = Principal("bob", ALL_SCOPES)
TO_IDLE = (Move(Cause.START, Reason.STARTED), Move(Cause.READY))
TO_RUNNING = (*TO_IDLE, Move(Cause.TURN_STARTED))
AGENT = AgentSpec(name="fixer", harness="loop", model="demo", workers=("fixer",))
ENVIRONMENT = EnvironmentSpec(name="laptop")


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now


def new_session(at: datetime = NOON, **fields: Any) -> Session:
    """A session that no store has yet."""
    said: dict[str, Any] = {"owner": "alice", "agent": Pin("agt", 1), "environment": Pin("env", 1), **fields}
    return Session(id=ids.mint(ids.SESSION, at, os.urandom), created_at=at, updated_at=at, **said)


class NotingRunner:
    """A runner that does nothing but note what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    async def start(self, session: Session) -> None:
        self.told.append(("start", session.id))

    async def message(self, session: Session, event: SessionEvent) -> None:
        self.told.append(("message", session.id))

    async def interrupt(self, session: Session) -> None:
        self.told.append(("interrupt", session.id))

    async def suspend(self, session: Session) -> None:
        self.told.append(("suspend", session.id))

    async def resume(self, session: Session) -> None:
        self.told.append(("resume", session.id))

    async def terminate(self, session: Session) -> None:
        self.told.append(("terminate", session.id))

    async def decided(self, session: Session, approval: Approval) -> None:
        self.told.append((f"decided {approval.decision}", session.id))


class OneFile:
    """Files of a workspace that has one."""

    def __init__(self) -> None:
        self.unpacked = b""

    async def archive(self, session: Session, path: str) -> AsyncIterator[bytes]:
        if path != ".":
            raise NotFound("there is no such file")
        yield b"tar of "
        yield session.id.encode()

    async def unpack(self, session: Session, path: str, body: AsyncIterator[bytes]) -> int:
        self.unpacked = b"".join([chunk async for chunk in body])
        return 1

    async def diff(self, session: Session) -> AsyncIterator[bytes]:
        yield b"--- a\n+++ b\n"

    async def artifact(self, session: Session, artifact: Artifact) -> AsyncIterator[bytes]:
        yield artifact.name.encode()


class OneVault:
    """A store of secrets in a folder."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    async def with_store(self, work: Callable[[Secrets], T]) -> T:
        with open_secrets(self.directory) as secrets:
            return work(secrets)


def service_on(store: AgentStore, **options: Any) -> Service:
    """A service with these parts."""
    return Service(store, options.pop("runner", None) or NotingRunner(), **options)


def store_in(folder: Path) -> AgentStore:
    """A new store in a file of this folder."""
    from penstock.agents.store.sqlite import open_sqlite

    return open_sqlite(folder / "agents.db")
