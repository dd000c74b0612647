"""The attendant of one session: makes it what its row says, step by step, until nothing is left to do.

Theory. The attendant is driven by levels, not by edges: whoever wants something writes it into the row (service.py) and
wakes the attendant, which reads the row again. So it may be woken twice or for nothing, may be killed between any two
lines, and another one that starts from the same row goes on. What it has in memory is only what it can find again: the
sandbox (by its handle in the row), the last conversation and the last message that was answered (from the log).

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
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec

from penstock.agents import ids, limits, loops, snapshots, turns
from penstock.agents.bring_up import Prepared, Up, Workshop
from penstock.agents.errors import AgentsError, Conflict, IllegalTransition, Invalid, NotFound, Unavailable
from penstock.agents.events import Cost, Draft, Error, Move, TurnEnd, UserMessage
from penstock.agents.harnesses.contract import Harness, Launch, Question, Turn, setting_of
from penstock.agents.log import Source
from penstock.agents.machine import IN_TURN, Cause, Reason, State
from penstock.agents.reconciler import MOST_RESTARTS
from penstock.agents.sandboxes.driver import NotRunning, Sandbox, SandboxError
from penstock.agents.store.base import Appended
from penstock.agents.terminals.session_terminals import SHELL, SessionTerminals
from penstock.agents.terminals.terminal import Program, Terminal
from penstock.agents.types import Approval, Ask, Session
from penstock.vault.api import Event, Refusal, VaultGone

T = TypeVar("T")
MONEY_SECONDS = 2.0
"""How often the ledger is read while a turn is under way."""
AFTER_TURN = (0.7, 3.0)
"""Seconds after a turn at which it is read: calls appear there a moment after they have ended."""
LAST_PAUSE, LAST_LOOKS = 0.25, 2
"""At a session's end it is read every so many seconds, until nothing was new for so many times."""
ATTEMPTS = 6
"""To bring a session up, while the gateway or the vault is not there."""
ASK_SECONDS = 110
"""For which a program waits that wants to reach another host; the vault refuses it after two minutes."""
MOST_REFUSALS = 50
"""Different refusals of the vault that a session's log tells."""
_OUTCOMES = {
    "completed": Reason.TURN_COMPLETED,
    "interrupted": Reason.INTERRUPTED,
    "failed": Reason.TURN_FAILED,
}
_DEATHS = frozenset({"sandbox_died", "helper_lost"})
"""Why a program ended, where it was not the program's doing."""
_log = logging.getLogger(__name__)


class Overtaken(Exception):
    """The row says something else now: what was under way is not wanted any more."""


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
        self.terminals = SessionTerminals(self.say, self.wake)
        self._workshop = workshop
        self._store = workshop.store
        self._harnesses = harnesses
        self._clock = clock
        self._news = asyncio.Event()
        self._up: Up | None = None
        self._in_turn = False
        self._interrupted = False
        self._looped: str | None = None
        self._trail = loops.Trail()
        self._answered: int | None = None
        self._resume = ""
        self._ends: list[int] = []
        self._money_at: list[datetime] = []
        self._sent = (0, 0)
        self._told: set[str] = set()
        self._waiting: dict[str, asyncio.Future[Approval]] = {}
        self._errands: set[asyncio.Task[None]] = set()

    # -- from others --------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """The row may say something new."""
        self._news.set()

    def interrupt(self) -> None:
        """End the turn that is under way."""
        self._interrupted = True
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

    async def say(self, *drafts: Draft) -> None:
        """Write into the log; a session that is over takes nothing."""
        with contextlib.suppress(Conflict, NotFound):
            await self._append(drafts)

    # -- the way through the table ------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Make it so. Returns when nothing is left to do: it is suspended or over."""
        self._answered, self._resume, self._ends = await asyncio.to_thread(_remembered, self)
        while True:
            self._news.clear()
            session = await self._row()
            try:
                over = await self._steps[session.state](self, session)
            except (Overtaken, IllegalTransition):
                continue
            if over and not self._news.is_set():
                await self._end_errands()
                return

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
            await self._append([Move(Cause.TERMINATE, Reason.SANDBOX_LOST, detail)])
        else:
            reason = Reason.STARTED if session.state is State.CREATED else Reason.RESCHEDULED
            await self._append([Move(Cause.START, reason)])
        return False

    async def _start(self, session: Session) -> bool:
        """Bring it up; what fails for a while is tried again."""
        for attempt in range(ATTEMPTS):
            try:
                await self._while((State.STARTING,), self._bring_up(session))
                await self._append([Move(Cause.READY)])
                return False
            except (Unavailable, VaultGone) as error:
                if attempt == ATTEMPTS - 1:
                    return await self._failed(error)
                await self._while((State.STARTING,), asyncio.sleep(0.5 * 2**attempt))
            except (Refusal, SandboxError, AgentsError) as error:
                if self.sandbox is None:
                    return await self._failed(error)
                await self._drop_sandbox()  # nothing can be done in it any more: make another one
        return False

    async def _failed(self, error: Exception) -> bool:
        code, message, fix = _words(error)
        await self._append([Error(code, message, fix, final=True), Move(Cause.FAIL, Reason.ERROR, message[:500])])
        return False

    async def _bring_up(self, session: Session) -> None:
        if self.sandbox is None and session.sandbox is not None:
            self.sandbox = await self._workshop.driver.adopt(session.sandbox.id)
        prepared = await asyncio.to_thread(self._prepared, session)
        self._up = await self._workshop.up(prepared, self.sandbox)
        self.sandbox, self._sent = self._up.sandbox, (self._up.generation, 0)

    def _prepared(self, session: Session) -> Prepared:
        agent = self._store.definition("agent", session.agent.id, session.agent.version)
        environment = self._store.definition("environment", session.environment.id, session.environment.version)
        if agent is None or environment is None:
            raise NotFound("its agent or environment is not there any more")
        harness = turns.harness_named(self._harnesses, agent.spec.harness)  # type: ignore[union-attr]
        return Prepared(
            session=session,
            agent=agent.spec,  # type: ignore[arg-type]
            environment=environment.spec,  # type: ignore[arg-type]
            harness=harness,
        )

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
            await self._append([Move(Cause.LOST, Reason.SANDBOX_LOST, "its sandbox is not there any more")])
        elif self._up is None or self._up.generation != self._workshop.way_out.generation:
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
            await self._while((State.IDLE,), self._bring_up(session))
        except (Refusal, SandboxError, AgentsError, VaultGone) as error:
            code, message, fix = _words(error)
            await self._drop_sandbox()
            await self._append([Error(code, message, fix), Move(Cause.LOST, Reason.SANDBOX_LOST, message[:500])])

    def _limit_reached(self, session: Session) -> Reason | None:
        """A session whose terminal is in use is not idle."""
        reason = limits.reached(session, self._clock())
        used = reason is Reason.IDLE_LIMIT and self.terminals.in_use(session.limits.idle_seconds or 0.0)
        return None if used else reason

    async def _limit(self, session: Session, reason: Reason) -> None:
        if reason is Reason.IDLE_LIMIT and session.limits.on_idle == "suspend":
            await self._append([Move(Cause.SUSPEND, reason)])
        else:
            await self._append([Move(Cause.TERMINATE, reason)])

    async def _wait(self, session: Session, sandbox: Sandbox) -> None:
        """Until there is news, the sandbox dies, a limit of time comes, or the ledger is to be read."""
        now = self._clock()
        waits = [limits.next_check(session, now)]
        waits += [max((at - now).total_seconds(), 0.0) for at in self._money_at]
        seconds = min((wait for wait in waits if wait is not None), default=None)
        seconds = MONEY_SECONDS if self.terminals.alive else seconds
        died = asyncio.ensure_future(sandbox.wait())
        news = asyncio.ensure_future(self._news.wait())
        try:
            await asyncio.wait([died, news], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if died.done():
                self.sandbox = self._up = None
                await self._append([Move(Cause.LOST, Reason.SANDBOX_LOST, (await died).detail)])
            elif not news.done() and (self.terminals.alive or any(at <= self._clock() for at in self._money_at)):
                self._money_at = [at for at in self._money_at if at > self._clock()]
                await self._settle()
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
        said = await asyncio.to_thread(_said, self, self._answered_by(session))
        upto = said[-1][0]
        prepared = await asyncio.to_thread(self._prepared, session)
        self._interrupted, self._looped, self._trail = False, None, loops.Trail()
        await self._append([Move(Cause.TURN_STARTED, message=upto)])
        prompt = turns.prompt_of((message.text, message.files) for _, message in said)
        diary = turns.Diary(
            self._append, f"turn-{upto}-{secrets.token_hex(6)}", lambda draft: self._look(draft, session)
        )
        try:
            finished = await self._run(prepared, up, prompt, diary)
        except (AgentsError, OSError) as error:
            if (await self._row()).state is State.TERMINATED:
                return  # the log takes nothing more
            finished = _not_run(error)
        if await self._is_lost(up, finished.reason):
            await diary.add(finished.drafts)
            await self._lost(await self._row())
            return
        await self._ended(diary, finished, upto)

    async def _run(self, prepared: Prepared, up: Up, prompt: str, diary: turns.Diary) -> turns.Finished:
        turn = self._turn_of(prepared, prompt)
        launch, reading = prepared.harness.launch(turn, up.gateway), prepared.harness.reading(turn)
        return await turns.run(
            up.sandbox,
            launch,
            reading,
            diary,
            judge=lambda question: self._judge(prepared, question),
            stop=lambda: self._until_unwanted(up),
        )

    def _turn_of(self, prepared: Prepared, prompt: str) -> Turn:
        agent = prepared.agent
        command = agent.options.get("command", ())
        return Turn(
            prompt=prompt,
            model=agent.model,
            system=agent.system,
            resume=self._resume,
            tools=agent.tools,
            arguments=tuple(str(word) for word in command) if isinstance(command, list | tuple) else (str(command),),
        )

    def _look(self, draft: Draft, session: Session) -> None:
        """Look whether the agent goes in circles."""
        if isinstance(draft, Move) or self._looped:
            return
        self._trail = loops.walked(self._trail, draft)
        self._looped = loops.found(self._trail, session.limits.repeats)
        if self._looped:
            self._news.set()

    async def _until_unwanted(self, up: Up) -> None:
        """Return when the turn shall end: the row says so, a limit is reached, the agent goes in circles, or its vault
        or sandbox is gone.
        """
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), MONEY_SECONDS)
            is_news = self._news.is_set()
            self._news.clear()
            if not is_news:
                await self._settle()
            session = await self._row()
            if session.state not in IN_TURN or self._interrupted:
                return
            if up.generation != self._workshop.way_out.generation:
                return
            try:
                if self._looped:
                    error = Error("loop_detected", self._looped, "say what it shall do instead, in another session")
                    await self._append([error, Move(Cause.TERMINATE, Reason.LOOP_DETECTED, self._looped)])
                    return
                if (reason := limits.reached(session, self._clock())) is not None:
                    await self._append([Move(Cause.TERMINATE, reason)])
                    return
            except Conflict:
                continue

    async def _is_lost(self, up: Up, reason: str) -> bool:
        """Whether the turn ended because its sandbox or its vault did. (The session may have been suspended since.)"""
        died = reason in _DEATHS
        if died:
            await up.sandbox.destroy()  # what is left of it
            self.sandbox = self._up = None
        stale = up.generation != self._workshop.way_out.generation
        return (died or stale) and (await self._row()).state in IN_TURN

    async def _ended(self, diary: turns.Diary, finished: turns.Finished, upto: int) -> None:
        """Write the turn's end, and in the same step that the session is idle again, if it still is in this turn."""
        end = msgspec.structs.replace(finished.end, message=upto)
        drafts: list[Draft] = [*finished.drafts, end]
        move = Move(Cause.TURN_ENDED, _OUTCOMES[end.outcome])
        try:
            done = await diary.add([*drafts, move])
        except Conflict:
            try:
                done = await diary.add(drafts)
            except Conflict:
                return  # it is over
        self._answered = upto
        self._resume = end.resume or self._resume
        assert done is not None
        self._ends += [each.number for each in done.events if isinstance(each.data, TurnEnd)]
        self._money_at = [self._clock() + timedelta(seconds=seconds) for seconds in AFTER_TURN]
        if done.session.state is State.IDLE and self.sandbox is not None:
            with contextlib.suppress(SandboxError):
                await snapshots.keep(self._workshop.driver, self.sandbox, self.id, self._ends)

    async def _lost(self, session: Session) -> bool:
        """A turn is under way by the row, and by nobody here."""
        if self.sandbox is None and session.sandbox is not None and self._up is None:
            self.sandbox = await self._workshop.driver.adopt(session.sandbox.id)
        lives = self.sandbox is not None
        what = "the vault or the server ended" if lives else "its sandbox ended"
        reason = Reason.SERVER_RESTARTED if lives else Reason.SANDBOX_LOST
        error = Error("turn_lost", f"{what} during the turn", "nothing is to be done: the turn is run again")
        await self._append([error, Move(Cause.LOST, reason, what)])
        return False

    # -- terminals ----------------------------------------------------------------------------------------------------

    async def terminal(self, program: Program, size: tuple[int, int], by: str) -> Terminal:
        """The terminal of this program; opened where it is not. Raises Conflict, Invalid, SandboxError."""
        if (found := self.terminals.living(program)) is not None:
            return found
        session = await self._row()
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
        prepared = await asyncio.to_thread(self._prepared, session)
        assert self._up is not None
        launch = prepared.harness.terminal(self._turn_of(prepared, ""), self._up.gateway)
        if launch is None:
            raise Invalid(f"{prepared.harness.name} has no terminal of its own", fix="open a shell", param="program")
        return launch

    # -- ends ---------------------------------------------------------------------------------------------------------

    async def _suspended(self, session: Session) -> bool:
        await self._away(session)
        await self._settle()
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
        await self._settle()
        await self._away(session)
        await self._settled()
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

    # -- money --------------------------------------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Add to the log what the ledger and the vault have that it has not: differences, so nothing counts twice."""
        session = await self._row()
        cost = Cost(bytes_out=await self._bytes_out())
        if self._workshop.keys is not None:
            try:
                spent = await self._workshop.keys.spent(self.id)
            except AgentsError as error:
                _log.warning("session %s: the ledger cannot be read: %s", self.id, error)
            else:
                used = session.usage
                cost = Cost(
                    dollars=max(spent.dollars - used.dollars, type(spent.dollars)(0)),
                    input_tokens=max(spent.input_tokens - used.input_tokens, 0),
                    output_tokens=max(spent.output_tokens - used.output_tokens, 0),
                    requests=max(spent.requests - used.requests, 0),
                    bytes_out=cost.bytes_out,
                    model=spent.model,
                )
        if cost.dollars or cost.input_tokens or cost.output_tokens or cost.requests or cost.bytes_out:
            await self._append([cost])

    async def _settled(self) -> None:
        """Read the ledger until it has nothing new: what has just ended is written there a moment later."""
        if self._workshop.keys is None:
            return
        before, looks = None, 0
        while looks < LAST_LOOKS:
            await asyncio.sleep(LAST_PAUSE)
            await self._settle()
            now = (await self._row()).usage
            looks = looks + 1 if now == before else 0
            before = now

    async def _bytes_out(self) -> int:
        """Bytes since the last time. A vault counts from 0 when the session is opened in it."""
        sent = await self._workshop.way_out.bytes_out(self.id)
        if sent is None:
            return 0
        generation = self._up.generation if self._up is not None else self._sent[0]
        more = sent - self._sent[1] if self._sent[0] == generation else sent
        self._sent = (generation, sent)
        return max(more, 0)

    # -- what the vault says ------------------------------------------------------------------------------------------

    async def happened(self, event: Event) -> None:
        """Take an event of the vault into the log; a question is put to whoever decides."""
        if event.kind == "ask":
            await self._ask(event)
        elif event.kind == "frozen":
            with contextlib.suppress(Conflict):
                await self._append([Move(Cause.SUSPEND, Reason.FROZEN, event.detail)])
            self.wake()
        elif len(self._told) < MOST_REFUSALS and event.detail not in self._told:
            self._told.add(event.detail)
            code = {"denied": "egress_refused", "alarm": "stub_misused", "revoked": "secret_revoked"}[event.kind]
            await self.say(Error(code, event.detail, event.proposal))

    async def _ask(self, event: Event) -> None:
        """Ask whether a program may reach a host."""
        try:
            asked = await self._asked(Ask("egress", event.detail[:1000], event.proposal, timeout_seconds=ASK_SECONDS))
        except AgentsError:
            await self._workshop.way_out.decide(self.id, event.proposal, False)
            return
        if asked.decision is not None:
            await self.decided(asked)

    async def _judge(self, prepared: Prepared, question: Question) -> tuple[bool, str]:
        """Say whether the agent may use a tool: its settings decide, or somebody does. Raises AgentsError."""
        setting = setting_of(prepared.agent.tools, question.name)
        if setting != "ask":
            return setting == "auto", "" if setting == "auto" else f"this agent may not use {question.name}"
        summary = line_of(f"The agent wants to use {question.name}", question.arguments)
        asked = await self._asked(Ask("tool", summary, f"tool {question.name}", {"arguments": question.arguments}))
        if asked.decision is None:
            answer = self._waiting.setdefault(asked.id, asyncio.get_running_loop().create_future())
            now = await asyncio.to_thread(self._store.approval, asked.id)  # it may have been decided meanwhile
            asked = now if now is not None and now.decision is not None else await answer
        allowed = asked.decision == "approved"
        return allowed, asked.note or ("" if allowed else f"nobody allowed it ({asked.decision})")

    async def _asked(self, ask: Ask) -> Approval:
        """Put a question; the answer that stands already, where there is one. Raises AgentsError."""
        now, session = self._clock(), await self._row()
        approval = Approval(
            id=ids.mint(ids.APPROVAL, now, secrets.token_bytes),
            owner=session.owner,
            session=self.id,
            ask=ask,
            asked_at=now,
            expires_at=now + timedelta(seconds=ask.timeout_seconds),
        )
        return (await asyncio.to_thread(self._store.ask, approval)).approval

    async def decided(self, approval: Approval) -> None:
        """Tell who waits what somebody, or time, has decided."""
        waiting = self._waiting.pop(approval.id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(approval)
        if approval.ask.about == "egress" and approval.ask.rule:
            await self._workshop.way_out.decide(self.id, approval.ask.rule, approval.decision == "approved")

    # -- how ----------------------------------------------------------------------------------------------------------

    async def _row(self) -> Session:
        found = await asyncio.to_thread(self._store.session, self.id)
        if found is None:
            raise NotFound("there is no such session")
        return found

    async def _append(self, drafts: Sequence[Draft], source: Source | None = None) -> Appended:
        return await asyncio.wrap_future(self._store.append_soon(self.id, drafts, at=self._clock(), source=source))

    def _answered_by(self, session: Session) -> int:
        """The number of the last message that needs no turn: a fork's begin after the fork."""
        begin = session.forked_from.number if session.forked_from is not None else 0
        return max(self._answered or 0, begin)

    async def _while(self, states: Sequence[State], work: Awaitable[T]) -> T:
        """Do something for as long as the session is in one of these states. Raises Overtaken."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                news = asyncio.ensure_future(self._news.wait())
                await asyncio.wait([task, news], return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
                if not task.done():
                    self._news.clear()
                    if (await self._row()).state not in states:
                        raise Overtaken
            return await task
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


def _remembered(attendant: Attendant) -> tuple[int, str, list[int]]:
    """Of the log: up to which message turns have ended, the conversation to go on with, and where turns ended."""
    answered, resume, ends, after = 0, "", list[int](), 0
    while page := attendant._store.events(attendant.id, after, 500, ("turn_end",)):
        for stored in page:
            end = stored.event.data
            if isinstance(end, TurnEnd):
                answered, resume = max(answered, end.message), end.resume or resume
                ends.append(stored.number)
        after = page[-1].number
    return answered, resume, ends


def _said(attendant: Attendant, after: int) -> list[tuple[int, UserMessage]]:
    """The messages after this one, with their numbers."""
    found: list[tuple[int, UserMessage]] = []
    while page := attendant._store.events(attendant.id, found[-1][0] if found else after, 500, ("user_message",)):
        for stored in page:
            data = stored.event.data
            if isinstance(data, UserMessage):
                found.append((stored.number, data))
    return found


def _not_run(error: Exception) -> turns.Finished:
    code, message, fix = _words(error)
    reason = "sandbox_died" if isinstance(error, NotRunning) else ""
    return turns.Finished([Error(code, message, fix)], TurnEnd("failed", summary=message[:500]), reason)


def line_of(text: str, arguments: Any) -> str:
    """A question on one line, with the beginning of the arguments."""
    shown = " ".join(msgspec.json.encode(arguments).decode().split()) if arguments is not None else ""
    return f"{text}: {shown}"[:500] if shown else text


def _words(error: Exception) -> tuple[str, str, str]:
    """A stable word, a sentence, and what to do."""
    if isinstance(error, AgentsError):
        return error.code, error.message, error.fix
    if isinstance(error, Refusal):
        return error.code, error.reason, error.fix
    return "failed", f"{type(error).__name__}: {error}", ""
