"""What the service needs of others: who runs sessions, and who has their files. Protocols; the runner implements them.

The contract of `Runner`: whatever it is told has been written durably before. So it may look it up, may be told twice,
and may miss it, for the reconciler finds in the rows what was not done. It returns as soon as it has taken the news up;
what it raises is logged, and changes nothing for the caller.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from penstock.agents.events import Artifact, SessionEvent
from penstock.agents.terminals.terminal import Program, Terminal
from penstock.agents.types import Approval, Session


class Runner(Protocol):
    """Makes sessions what their rows say they shall be."""

    async def start(self, session: Session) -> None:
        """A session was made (its state is `created`): bring it up. A fork says from where (`forked_from`)."""
        ...

    async def message(self, session: Session, event: SessionEvent) -> None:
        """A user message is in the log: begin a turn with it, or hand it to the one that is under way."""
        ...

    async def interrupt(self, session: Session) -> None:
        """End the turn, and keep the session."""
        ...

    async def suspend(self, session: Session) -> None:
        """Its state is `suspended`: stop what runs, and keep workspace and conversation."""
        ...

    async def resume(self, session: Session) -> None:
        """Its state is `starting`: bring it up on its workspace."""
        ...

    async def terminate(self, session: Session) -> None:
        """Its state is `terminated`: end everything, and take its key and stubs away first."""
        ...

    async def decided(self, session: Session, approval: Approval) -> None:
        """Somebody, or time, has decided: tell who waits for it."""
        ...


class Terminals(Protocol):
    """The terminals of sessions."""

    async def terminal(self, session: Session, program: Program, size: tuple[int, int], by: str) -> Terminal:
        """The terminal of this program in a session that is up; the first who asks has it opened, in this size.

        Raises Conflict (it is not up, or in a turn), Invalid (there is no such face), SandboxError, Unavailable.
        """
        ...

    def living_terminal(self, session: Session, program: Program) -> Terminal | None:
        """The terminal of this program, where it is open."""
        ...


class Files(Protocol):
    """The files of sessions. Paths are within the workspace; whoever implements this checks them, and what a tar holds.

    Raises NotFound, Invalid, TooLarge, Conflict (the session has no workspace at present).
    """

    def archive(self, session: Session, path: str) -> AsyncIterator[bytes]:
        """This file or folder as a tar."""
        ...

    async def unpack(self, session: Session, path: str, body: AsyncIterator[bytes]) -> int:
        """Unpack a tar into this folder; returns how many files it were."""
        ...

    def diff(self, session: Session) -> AsyncIterator[bytes]:
        """What changed in the workspace, as a patch that `git apply` takes."""
        ...

    def artifact(self, session: Session, artifact: Artifact) -> AsyncIterator[bytes]:
        """An artifact's bytes."""
        ...
