"""Copies of workspaces at the ends of turns, so that a session can be forked as it was.

A copy is named after the session and the number of the event that ended the turn, so nothing has to be remembered: a
fork at event N looks for the copy of the last turn that had ended by then. The last `KEPT` of a session are there;
workspaces of more than `MOST_BYTES` are not copied at each turn.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from penstock.agents.sandboxes.driver import MIB, Driver, InvalidSpec, NoSuchPath, Sandbox
from penstock.agents.store.base import AgentStore
from penstock.agents.types import Session

KEPT = 10
MOST_BYTES = 256 * MIB


def name_of(session: str, number: int) -> str:
    """The copy's name. Pure."""
    return f"{session}.{number}"


async def keep(driver: Driver, sandbox: Sandbox, session: str, ends: Sequence[int]) -> bool:
    """Copy the workspace as it is at the last of `ends` (the numbers of the events that ended turns); forget the copy
    that is too old now. Returns whether one was made. Raises SandboxError.
    """
    if (await sandbox.stats()).disk > MOST_BYTES:
        return False
    with contextlib.suppress(InvalidSpec):  # it is there: this was done before a crash
        await sandbox.snapshot(name_of(session, ends[-1]))
    if len(ends) > KEPT:
        await driver.forget(snapshot=name_of(session, ends[-KEPT - 1]))
    return True


async def restore(store: AgentStore, driver: Driver, fork: Session) -> int | None:
    """Make a fork's workspace out of the newest copy that is not younger than it; returns the number of the event whose
    workspace it is: 0 where no turn had ended by then, None where no copy is there any more. Then the workspace is a
    new one. Raises SandboxError.
    """
    assert fork.forked_from is not None
    ends = await asyncio.to_thread(_ends, store, fork.id, fork.forked_from.number)
    for number in reversed(ends[-KEPT:]):
        origin = await asyncio.to_thread(_origin, store, fork, number)
        with contextlib.suppress(NoSuchPath):
            await driver.restore(name_of(origin, number), fork.id)
            return number
    return None if ends else 0


def _ends(store: AgentStore, session: str, until: int) -> list[int]:
    found: list[int] = []
    while page := store.events(session, found[-1] if found else 0, 500, ("turn_end",)):
        found += [each.number for each in page]
    return [number for number in found if number <= until]


def _origin(store: AgentStore, fork: Session, number: int) -> str:
    """The session in whose own part of the log this event was written."""
    at: Session | None = fork
    while at is not None and at.forked_from is not None and number <= at.forked_from.number:
        above = at.forked_from.session
        at = store.session(above)
        if at is None:
            return above
    return at.id if at is not None else fork.id
