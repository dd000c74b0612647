"""The attendant of one session: makes it what its row says, step by step, until nothing is left to do.

Theory. The attendant is driven by levels, not by edges: whoever wants something writes it into the row (service.py) and
wakes the attendant, which reads the row again. So it may be woken twice or for nothing, may be killed between any two
lines, and another one that starts from the same row goes on. What it has in memory is only what it can find again: the
sandbox (by its handle in the row), the last conversation and the last message that was answered (from the log).
What is no step through the states is done by its parts (attending/).

    created, rescheduling   say that it starts
    starting                bring it up (bring_up.py), say that it is ready
    idle                    begin a turn if somebody has said something; else wait
    running, waiting        a turn whose program nobody here has started: its server or sandbox died. Say so, and do it
                            again: a message is answered by exactly one `turn_end`, however often its turn was begun
    suspended               end what runs
    terminated              end all, take the key away, add what it has still cost
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import datetime
from typing import Any

import msgspec

from penstock.agents import ids, limits, snapshots, turns
from penstock.agents.attending import failures
from penstock.agents.attending.costs import MONEY_SECONDS, Costs
from penstock.agents.attending.overtaken import Overtaken, while_in
from penstock.agents.attending.preparing import Preparing, turn_of
from penstock.agents.attending.questions import Questions
from penstock.agents.attending.session_log import Past, SessionLog
from penstock.agents.attending.turn_watch import TurnWatch
from penstock.agents.attending.vault_news import VaultNews
from penstock.agents.bring_up import Prepared, Up, Workshop
from penstock.agents.errors import AgentsError, Conflict, IllegalTransition, Invalid, Unavailable
from penstock.agents.events import Draft, Error, Move, TurnEnd
from penstock.agents.harnesses.contract import Harness, Launch
from penstock.agents.homes import OtherDriver, check_home
from penstock.agents.machine import IN_TURN, Cause, Reason, State
from penstock.agents.reconciler import MOST_RESTARTS
from penstock.agents.sandboxes.driver import Sandbox, SandboxError
from penstock.agents.terminals.session_terminals import SHELL, SessionTerminals
from penstock.agents.terminals.terminal import Program, Terminal
from penstock.agents.types import Session
from penstock.vault.api import Refusal, VaultGone

ATTEMPTS = 6
"""To bring a session up, while the gateway or the vault is not there."""
_OUTCOMES = {
    "completed": Reason.TURN_COMPLETED,
    "interrupted": Reason.INTERRUPTED,
    "failed": Reason.TURN_FAILED,
}
_DEATHS = frozenset({"sandbox_died", "helper_lost"})
"""Why a program ended, where it was not the program's doing."""
_log = logging.getLogger(__name__)


class Attendant:
    """Attends to one session.

    Args:
        id: the session's.
        workshop: makes what it needs.
        harnesses: by name.
        clock: the time.
    """

    def __init__(
        self, id: str, workshop: Workshop, harnesses: Mapping[str, Harness], clock: Callable[[], datetime]
    ) -> None:
        self.id = id
        self.sandbox: Sandbox | None = None
        self.log = SessionLog(id, workshop.store, clock)
        self.terminals = SessionTerminals(self.log.say, self.wake)
        self.questions = Questions(self.log, workshop.store, workshop.way_out, clock)
        self.vault_news = VaultNews(self.log, self.questions, self.wake)
        self._costs = Costs(self.log, workshop.keys, workshop.way_out, clock)
        self._workshop = workshop
        self._store = workshop.store
        self._preparing = Preparing(workshop.store, harnesses)
        self._clock = clock
        self._news = asyncio.Event()
        self._up: Up | None = None
        self._in_turn = False
        self._watch: TurnWatch | None = None
        self._past = Past()
        self._errands: set[asyncio.Task[None]] = set()

    # -- from others --------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """The row may say something new."""
        self._news.set()

    def interrupt(self) -> None:
        """End the turn that is under way."""
        if self._watch is not None:
            self._watch.interrupt()
        self._news.set()

    def errand(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside; what goes wrong there is logged."""
        task = asyncio.ensure_future(work)
        self._errands.add(task)
        task.add_done_callback(self._returned)

    def _returned(self, task: asyncio.Task[None]) -> None:
        self._errands.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("session %s: %s", self.id, task.exception(), exc_info=task.exception())

    # -- the way through the table ------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Make it so. Returns when nothing is left to do: it is suspended or over."""
        self._past = await self.log.past()
        while True:
            self._news.clear()
            session = await self.log.row()
            try:
                over = await self._step(session)
            except (Overtaken, IllegalTransition):
                continue
            if over and not self._news.is_set():
                await self._end_errands()
                return

    async def _step(self, session: Session) -> bool:
        """One step. What another driver has is left to it, but for the end: that takes the way out away."""
        if session.state is not State.TERMINATED:
            try:
                check_home(session, self._workshop.driver_name)
            except OtherDriver as error:
                await self.log.say(Error(error.code, error.message, error.fix))
                return True
        return await self._steps[session.state](self, session)

    async def leave(self) -> None:
        """The server ends: sandboxes and sessions stay as they are, for the next one."""
        await self.terminals.let_go()
        await self._end_errands()

    async def _end_errands(self) -> None:
        for task in list(self._errands):
            task.cancel()
        await asyncio.gather(*self._errands, return_exceptions=True)

    async def _begin(self, session: Session) -> bool:
        if session.restarts > MOST_RESTARTS:
            detail = f"lost {session.restarts} times without ending a turn"
            await self.log.append([Move(Cause.TERMINATE, Reason.SANDBOX_LOST, detail)])
        else:
            reason = Reason.STARTED if session.state is State.CREATED else Reason.RESCHEDULED
            await self.log.append([Move(Cause.START, reason)])
        return False

    async def _start(self, session: Session) -> bool:
        """Bring it up; what fails for a while is tried again."""
        for attempt in range(ATTEMPTS):
            try:
                await while_in(self.log, self._news, (State.STARTING,), self._bring_up(session))
                await self.log.append([Move(Cause.READY)])
                return False
            except (Unavailable, VaultGone) as error:
                if attempt == ATTEMPTS - 1:
                    return await self._failed(error)
                await while_in(self.log, self._news, (State.STARTING,), asyncio.sleep(0.5 * 2**attempt))
            except (Refusal, SandboxError, AgentsError) as error:
                if self.sandbox is None:
                    return await self._failed(error)
                await self._drop_sandbox()  # nothing can be done in it any more: make another one
            except Overtaken:
                raise
            except Exception as error:  # a defect of ours: whoever waits for the session shall not wait for ever
                _log.exception("session %s: it cannot be brought up", self.id)
                return await self._failed(error)
        return False

    async def _failed(self, error: Exception) -> bool:
        told = failures.told(error, final=True)
        await self.log.append([told, Move(Cause.FAIL, Reason.ERROR, told.message[:500])])
        return False

    async def _bring_up(self, session: Session) -> None:
        if self.sandbox is None and session.sandbox is not None:
            self.sandbox = await self._workshop.driver.adopt(session.sandbox.id)
        prepared = await self._preparing.prepared(session)
        self._up = await self._workshop.up(prepared, self.sandbox)
        self.sandbox = self._up.sandbox
        self._costs.opened()

    async def _drop_sandbox(self) -> None:
        if self.sandbox is not None:
            await self.sandbox.destroy()
        self.sandbox = self._up = None
        await asyncio.to_thread(self._store.set_sandbox, self.id, None)

    # -- idle ---------------------------------------------------------------------------------------------------------

    async def _idle(self, session: Session) -> bool:
        if self.sandbox is None and session.sandbox is not None:
            self.sandbox = await self._workshop.driver.adopt(session.sandbox.id)
        if self.sandbox is None:
            await self.log.append([Move(Cause.LOST, Reason.SANDBOX_LOST, "its sandbox is not there any more")])
        elif self._up is None or self._is_cut_off(self._up):
            await self._reopened(session)
        elif (reason := self._limit_reached(session)) is not None:
            await self._limit(session, reason)
        elif session.last_message > self._answered_by(session) and not self.terminals.agent_at_work:
            await self._turn(session, self._up)
        else:
            await self._wait(session, self.sandbox)
        return False

    async def _reopened(self, session: Session) -> None:
        """Nothing leaves a sandbox whose vault is gone, until the next vault has its listeners."""
        try:
            await while_in(self.log, self._news, (State.IDLE,), self._bring_up(session))
        except (Refusal, SandboxError, AgentsError, VaultGone) as error:
            told = failures.told(error)
            await self._drop_sandbox()
            await self.log.append([told, Move(Cause.LOST, Reason.SANDBOX_LOST, told.message[:500])])

    def _limit_reached(self, session: Session) -> Reason | None:
        """A session whose terminal is in use is not idle."""
        reason = self._costs.reached(session, self._clock())
        used = reason is Reason.IDLE_LIMIT and self.terminals.in_use(session.limits.idle_seconds or 0.0)
        return None if used else reason

    async def _limit(self, session: Session, reason: Reason) -> None:
        if reason is Reason.IDLE_LIMIT and session.limits.on_idle == "suspend":
            await self.log.append([Move(Cause.SUSPEND, reason)])
        else:
            await self.log.append([Move(Cause.TERMINATE, reason, self._costs.why(reason))])

    async def _wait(self, session: Session, sandbox: Sandbox) -> None:
        """Until there is news, the sandbox dies, a limit of time comes, or the ledger is to be read."""
        now = self._clock()
        waits = [limits.next_check(session, now), *self._costs.waits(now)]
        seconds = min((wait for wait in waits if wait is not None), default=None)
        seconds = MONEY_SECONDS if self.terminals.alive else seconds
        died = asyncio.ensure_future(sandbox.wait())
        news = asyncio.ensure_future(self._news.wait())
        try:
            await asyncio.wait([died, news], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if died.done():
                self.sandbox = self._up = None
                await self.log.append([Move(Cause.LOST, Reason.SANDBOX_LOST, (await died).detail)])
            elif not news.done() and (self.terminals.alive or self._costs.are_due()):
                await self._costs.settle_due()
        finally:
            died.cancel()
            news.cancel()

    # -- a turn -------------------------------------------------------------------------------------------------------

    async def _turn(self, session: Session, up: Up) -> None:
        self._in_turn = True
        try:
            await self._whole_turn(session, up)
        finally:
            self._in_turn = False

    async def _whole_turn(self, session: Session, up: Up) -> None:
        said = await self.log.messages(self._answered_by(session))
        upto = said[-1][0]
        prepared = await self._preparing.prepared(session)
        watch = self._watch = TurnWatch(self.log, self._costs, self._news, lambda: self._is_cut_off(up), self._clock)
        await self.log.append([Move(Cause.TURN_STARTED, message=upto)])
        prompt = turns.prompt_of((message.text, message.files) for _, message in said)
        diary = turns.Diary(
            self.log.append, f"turn-{upto}-{secrets.token_hex(6)}", lambda draft: watch.look(draft, session)
        )
        try:
            finished = await self._run(prepared, up, prompt, diary, watch)
        except (AgentsError, OSError) as error:
            if (await self.log.row()).state is State.TERMINATED:
                return  # the log takes nothing more
            finished = failures.not_run(error)
        if await self._is_lost(up, finished.reason):
            await diary.add(finished.drafts)
            await self._lost(await self.log.row())
            return
        await self._ended(diary, finished, upto)

    async def _run(
        self, prepared: Prepared, up: Up, prompt: str, diary: turns.Diary, watch: TurnWatch
    ) -> turns.Finished:
        turn = turn_of(prepared.agent, prompt, self._past.resume)
        launch, reading = prepared.harness.launch(turn, up.gateway), prepared.harness.reading(turn)
        return await turns.run(
            up.sandbox,
            launch,
            reading,
            diary,
            judge=lambda question: self.questions.tool(prepared.agent.tools, question),
            stop=watch.until_unwanted,
        )

    async def _is_lost(self, up: Up, reason: str) -> bool:
        """Whether the turn ended because its sandbox or its vault did. (The session may have been suspended since.)"""
        died = reason in _DEATHS
        if died:
            await up.sandbox.destroy()  # what is left of it
            self.sandbox = self._up = None
        return (died or self._is_cut_off(up)) and (await self.log.row()).state in IN_TURN

    async def _ended(self, diary: turns.Diary, finished: turns.Finished, upto: int) -> None:
        """Write the turn's end, and in the same step that the session is idle again, if it still is in this turn."""
        end = msgspec.structs.replace(finished.end, message=upto)
        drafts: list[Draft] = [*finished.drafts, *await self._handed_out(), end]
        move = Move(Cause.TURN_ENDED, _OUTCOMES[end.outcome])
        try:
            done = await diary.add([*drafts, move])
        except Conflict:
            try:
                done = await diary.add(drafts)
            except Conflict:
                return  # it is over
        assert done is not None
        self._past = self._past.after(end, [each.number for each in done.events if isinstance(each.data, TurnEnd)])
        self._costs.turn_ended()
        if done.session.state is State.IDLE and self.sandbox is not None:
            with contextlib.suppress(SandboxError):
                await snapshots.keep(self._workshop.driver, self.sandbox, self.id, self._past.ends)

    async def _handed_out(self) -> list[Draft]:
        """The artifacts of the turn."""
        if self.sandbox is None:
            return []
        known = await self.log.artifacts()
        try:
            return await self._workshop.artifacts.collected(self.sandbox, known, lambda: self._new_id(ids.ARTIFACT))
        except SandboxError as error:
            return [failures.told(error)]

    def _new_id(self, prefix: str) -> str:
        return ids.mint(prefix, self._clock(), secrets.token_bytes)

    async def _lost(self, session: Session) -> bool:
        """A turn is under way by the row, and by nobody here."""
        if self.sandbox is None and session.sandbox is not None and self._up is None:
            self.sandbox = await self._workshop.driver.adopt(session.sandbox.id)
        lives = self.sandbox is not None
        what = "the vault or the server ended" if lives else "its sandbox ended"
        reason = Reason.SERVER_RESTARTED if lives else Reason.SANDBOX_LOST
        error = Error("turn_lost", f"{what} during the turn", "nothing is to be done: the turn is run again")
        await self.log.append([error, Move(Cause.LOST, reason, what)])
        return False

    # -- terminals ----------------------------------------------------------------------------------------------------

    async def terminal(self, program: Program, size: tuple[int, int], by: str) -> Terminal:
        """The terminal of this program; opened where it is not. Raises Conflict, Invalid, SandboxError."""
        if (found := self.terminals.living(program)) is not None:
            return found
        session = await self.log.row()
        if session.state not in (State.IDLE, *IN_TURN) or self._up is None:
            fix = f"penstock sessions resume {self.id}" if session.state is State.SUSPENDED else "try again in a moment"
            raise Conflict(f"the session is {session.state}, and has no terminal", fix=fix, code="no_terminal")
        if program == "agent" and self._in_turn:
            raise Conflict(
                "the agent is in a turn", fix="wait for its end, interrupt it, or open a shell", code="in_turn"
            )

        async def launch() -> Launch:
            return SHELL if program == "shell" else await self._face(session)

        return await self.terminals.open(program, launch, self._up.sandbox, size, by)

    async def _face(self, session: Session) -> Launch:
        """How the agent's program is started for a person."""
        prepared = await self._preparing.prepared(session)
        assert self._up is not None
        launch = prepared.harness.terminal(turn_of(prepared.agent, "", self._past.resume), self._up.gateway)
        if launch is None:
            raise Invalid(f"{prepared.harness.name} has no terminal of its own", fix="open a shell", param="program")
        return launch

    # -- ends ---------------------------------------------------------------------------------------------------------

    async def _suspended(self, session: Session) -> bool:
        await self._away(session)
        await self._costs.settle()
        return True

    async def _away(self, session: Session) -> None:
        if self.sandbox is None and session.sandbox is not None:
            self.sandbox = await self._workshop.driver.adopt(session.sandbox.id)
        await self._workshop.put_away(self.id, self.sandbox)
        self.sandbox = self._up = None

    async def _terminated(self, session: Session) -> bool:
        """The way out is closed first: from then on its key is worth nothing to anybody inside. It is deleted last, for
        the gateway writes the session's name beside a call only while its key is there.
        """
        await self._workshop.way_out.close(self.id)
        await self._costs.settle()
        await self._away(session)
        await self._costs.settle_last()
        try:
            await self._workshop.revoke(self.id)
        except Unavailable as error:
            _log.warning("session %s: its key is not revoked yet: %s", self.id, error)
        return True

    _Step = Callable[["Attendant", Session], Awaitable[bool]]
    _steps: Mapping[State, _Step] = {
        State.CREATED: _begin,
        State.RESCHEDULING: _begin,
        State.STARTING: _start,
        State.IDLE: _idle,
        State.RUNNING: _lost,
        State.WAITING_FOR_APPROVAL: _lost,
        State.SUSPENDED: _suspended,
        State.TERMINATED: _terminated,
    }

    # -- how ----------------------------------------------------------------------------------------------------------

    def _is_cut_off(self, up: Up) -> bool:
        """Whether the vault that it was opened in is gone."""
        return up.generation != self._workshop.way_out.generation

    def _answered_by(self, session: Session) -> int:
        """The number of the last message that needs no turn: a fork's begin after the fork."""
        begin = session.forked_from.number if session.forked_from is not None else 0
        return max(self._past.answered, begin)
