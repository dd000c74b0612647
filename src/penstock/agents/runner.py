"""The runner: an attendant for every session that needs one, and the rounds that find what nobody attends to.

It takes news up and returns (ports.py); whatever it misses, because it was killed or the news came twice, the next
round finds by comparing rows with sandboxes and secrets (reconciler.py). Before it takes up anything it adopts the
sandboxes that live and sweeps away the rest, so no session is ever started beside its own sandbox.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from penstock.agents import ids
from penstock.agents.attendant import Attendant
from penstock.agents.bring_up import Workshop
from penstock.agents.errors import AgentsError, Conflict, Unavailable
from penstock.agents.events import Error, Move, SessionEvent
from penstock.agents.harnesses.contract import Harness
from penstock.agents.machine import Cause, Reason, State
from penstock.agents.reconciler import (
    Action,
    Adopt,
    Deliver,
    Destroy,
    Expire,
    Found,
    Reschedule,
    Revoke,
    Start,
    Suspend,
    Terminate,
    World,
    reconcile,
)
from penstock.agents.sandboxes.driver import Sandbox, Trouble
from penstock.agents.service import utc_now
from penstock.agents.terminals.terminal import Program, Terminal
from penstock.agents.types import Approval, Session
from penstock.vault.api import Event

ROUND_SECONDS = 2.0
_log = logging.getLogger(__name__)


class LocalRunner:
    """Runs sessions in this process (`ports.Runner`).

    Args:
        workshop: makes what sessions need.
        harnesses: by name.
        clock: the time.
    """

    def __init__(
        self, workshop: Workshop, harnesses: Mapping[str, Harness], *, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._workshop = workshop
        self._store = workshop.store
        self._harnesses = harnesses
        self._clock = clock
        self._attendants: dict[str, tuple[Attendant, asyncio.Task[None]]] = {}
        self._rounds: asyncio.Task[None] | None = None
        self._closing = False
        workshop.way_out.on_event = self.happened
        workshop.way_out.on_loss = self._wake_all

    # -- Runner -------------------------------------------------------------------------------------------------------

    async def start(self, session: Session) -> None:
        """A session was made."""
        self._attend(session.id)

    async def message(self, session: Session, event: SessionEvent) -> None:
        """Somebody has said something."""
        self._attend(session.id)

    async def interrupt(self, session: Session) -> None:
        """End the turn."""
        attendant = self._attend(session.id)
        if attendant is not None:
            attendant.interrupt()

    async def suspend(self, session: Session) -> None:
        """Stop what runs."""
        self._attend(session.id)

    async def resume(self, session: Session) -> None:
        """Bring it up on its workspace."""
        self._attend(session.id)

    async def terminate(self, session: Session) -> None:
        """End everything: its way out first, and without waiting for anything else."""
        await self._workshop.way_out.close(session.id)
        self._attend(session.id)

    async def decided(self, session: Session, approval: Approval) -> None:
        """Tell who waits."""
        attendant = self._attend(session.id)
        if attendant is not None:
            attendant.errand(attendant.questions.decided(approval))

    async def terminal(self, session: Session, program: Program, size: tuple[int, int], by: str) -> Terminal:
        """A terminal of a session that is up."""
        attendant = self._attend(session.id)
        if attendant is None:
            raise Unavailable("the server is ending", fix="come again in a moment")
        return await attendant.terminal(program, size, by)

    def living_terminal(self, session: Session, program: Program) -> Terminal | None:
        """A terminal that is open."""
        entry = self._attendants.get(session.id)
        return entry[0].terminals.living(program) if entry is not None else None

    # -- attendants ---------------------------------------------------------------------------------------------------

    def _attend(self, id_: str) -> Attendant | None:
        """Have somebody attend to this session; None where the server ends."""
        if self._closing:
            return None
        entry = self._attendants.get(id_)
        if entry is None or entry[1].done():
            attendant = Attendant(id_, self._workshop, self._harnesses, self._clock)
            task = asyncio.ensure_future(attendant.run())
            self._attendants[id_] = attendant, task
            task.add_done_callback(lambda done: self._left(id_, done))
        self._attendants[id_][0].wake()
        return self._attendants[id_][0]

    def _left(self, id_: str, task: asyncio.Task[None]) -> None:
        """An attendant is done, or has failed: the next round sees whether another one is needed."""
        if id_ in self._attendants and self._attendants[id_][1] is task:
            del self._attendants[id_]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("session %s: its attendant failed: %s", id_, error, exc_info=error)

    def sandbox(self, session: str) -> Sandbox | None:
        """The sandbox of a session that is up."""
        entry = self._attendants.get(session)
        return entry[0].sandbox if entry is not None else None

    def _wake_all(self) -> None:
        for attendant, _ in self._attendants.values():
            attendant.wake()

    def happened(self, event: Event) -> None:
        """An event of the vault."""
        entry = self._attendants.get(event.session)
        if entry is not None:
            entry[0].errand(entry[0].vault_news.happened(event))

    def trouble(self, sandbox: Sandbox, trouble: Trouble) -> None:
        """A sandbox has reached a limit of its own, or died."""
        entry = self._attendants.get(sandbox.id)
        if entry is not None and trouble.reason != "destroyed":
            entry[0].errand(entry[0].log.say(Error(trouble.reason, trouble.detail)))
            entry[0].wake()

    # -- rounds -------------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Find out what is there, take it over, and go on doing so. Raises what the driver or the store raise."""
        await self.round()
        keep = [entry[0].sandbox.handle for entry in self._attendants.values() if entry[0].sandbox is not None]
        rows = await asyncio.to_thread(self._store.living)
        keep += [row.sandbox.id for row in rows if row.sandbox is not None]
        for removed in await self._workshop.driver.sweep(keep):
            _log.warning("swept up: %s", removed)
        self._rounds = asyncio.ensure_future(self._go_round())

    async def _go_round(self) -> None:
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            try:
                await self.round()
            except Exception:
                _log.exception("a round failed; the next one tries again")

    async def round(self) -> list[Action]:
        """Compare once, and do what is to be done; returns what that was."""
        actions = reconcile(await self._world(), self._clock())
        for action in actions:
            try:
                await self._do(action)
            except Conflict:
                pass  # it has changed since
            except AgentsError:
                _log.exception("session: %r could not be done; the next round tries again", action)
        return actions

    async def _world(self) -> World:
        rows = {session.id: session for session in await asyncio.to_thread(self._store.living)}
        boxes = await self._boxes()
        secrets = await self._workshop.way_out.keys()
        named = {box.session for box in boxes if box.session is not None} | secrets
        for id_ in named - rows.keys():
            if (row := await asyncio.to_thread(self._store.session, id_)) is not None:
                rows[id_] = row
        attended = {id_ for id_, (_, task) in self._attendants.items() if not task.done()}
        over = {id_ for id_ in attended if id_ in rows and rows[id_].state is State.TERMINATED}
        page = await asyncio.to_thread(lambda: self._store.approvals(is_open=True, limit=1000))
        return World(
            sessions=list(rows.values()),
            sandboxes=[box for box in boxes if box.session not in over],  # their attendants are about to end them
            handled=frozenset(attended),
            held=(secrets & rows.keys()) - over,
            approvals=page.data,
            drivers=frozenset({self._workshop.driver_name}),
        )

    async def _boxes(self) -> list[Found]:
        """Sandboxes that live. Those that install packages are nobody's session, and end by themselves."""
        own = {
            attendant.sandbox.handle: id_
            for id_, (attendant, _) in self._attendants.items()
            if attendant.sandbox is not None
        }
        found = []
        for handle in await self._workshop.driver.living():
            session = own.get(handle)
            if session is None and (sandbox := await self._workshop.driver.adopt(handle)) is not None:
                session = sandbox.id
            if session is not None and ids.is_id(session):
                found.append(Found(self._workshop.driver_name, handle, session))
        return found

    async def _do(self, action: Action) -> None:
        if isinstance(action, Destroy):
            _log.warning("sandbox of no use: %s", action.why)
            sandbox = await self._workshop.driver.adopt(action.sandbox)
            if sandbox is not None:
                await sandbox.destroy()
        elif isinstance(action, Revoke):
            await self._workshop.revoke(action.session)
        elif isinstance(action, Expire):
            await self._expire(action.approval)
        elif isinstance(action, Terminate):
            await self._move(action.session, [Move(Cause.TERMINATE, action.reason, action.detail)])
        elif isinstance(action, Suspend):
            await self._move(action.session, [Move(Cause.SUSPEND, action.reason)] if action.reason else [])
        elif isinstance(action, Reschedule):
            await self._move(action.session, _reschedule(action))
        elif isinstance(action, Adopt | Start | Deliver):
            self._attend(action.session)

    async def _move(self, session: str, drafts: Sequence[Error | Move]) -> None:
        if drafts:
            await asyncio.wrap_future(self._store.append_soon(session, drafts, at=self._clock()))
        self._attend(session)

    async def _expire(self, approval: str) -> None:
        expired = await asyncio.to_thread(lambda: self._store.decide(approval, "expired", at=self._clock(), by=""))
        session = await asyncio.to_thread(self._store.session, expired.session)
        if session is not None:
            await self.decided(session, expired)

    # -- the end ------------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Let go of everything; sessions and sandboxes stay for the next server. (Their vault ends: nothing leaves.)"""
        self._closing = True
        tasks = [task for _, task in self._attendants.values()]
        if self._rounds is not None:
            tasks.append(self._rounds)
        for attendant, _ in list(self._attendants.values()):
            await attendant.leave()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def settled(self) -> None:
        """Wait until no session needs anybody: all are suspended or over."""
        while tasks := [task for _, task in self._attendants.values()]:
            await asyncio.wait(tasks)


def _reschedule(action: Reschedule) -> list[Error | Move]:
    said = Error("session_lost", action.detail or "its sandbox is lost", "nothing is to be done: it starts again")
    return [said, Move(Cause.LOST, action.reason, action.detail)]


__all__ = ["LocalRunner", "Reason"]
