"""Service: what can be done with agents, environments, sessions, approvals and tokens, by whom. HTTP is one way to it.

Each method asks `access` first, then writes, then tells the runner: what was written is true even if the process dies
before the runner has heard of it. Store and clock and chance are handed in.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

import msgspec

from penstock.agents import access, ids, limits
from penstock.agents.defining import Defining
from penstock.agents.errors import AgentsError, Conflict, Forbidden, NotFound, Unavailable
from penstock.agents.events import Artifact, Draft, Move, SessionEvent, UserMessage
from penstock.agents.feed import Feed
from penstock.agents.granting import Granting
from penstock.agents.machine import Cause, Reason, State
from penstock.agents.ports import Files, Runner, Terminals
from penstock.agents.requests import DecideApproval, ForkSession, NewMessage, NewSession
from penstock.agents.secret_keeping import SecretKeeping, SecretStore
from penstock.agents.store.base import AgentStore, Appended, Definition, Kind, Once, SessionFilter, Spec, Stored
from penstock.agents.teams import rules, way
from penstock.agents.teams.planning import Planning
from penstock.agents.terminals.terminal import Program, Terminal
from penstock.agents.types import Agent, Approval, Ask, Fork, Page, Pin, Principal, Session, Token

T = TypeVar("T")
_REVOKED_WITHIN = 5.0
"""Seconds after which somebody who follows a silent log is cut off, once the token is revoked."""
_log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


class Service:
    """The agent platform, but for what runs. `harnesses`: the names that agents may have; None: any."""

    def __init__(
        self,
        store: AgentStore,
        runner: Runner,
        *,
        files: Files | None = None,
        terminals: Terminals | None = None,
        secrets: SecretStore | None = None,
        harnesses: Collection[str] | None = None,
        clock: Callable[[], datetime] = utc_now,
        random: ids.Random = os.urandom,
    ) -> None:
        self.store = store
        self.feed = Feed(store)
        self._runner = runner
        self._files = files
        self._terminals = terminals
        self._clock = clock
        self._random = random
        self.plans = Planning(store, self, clock, random)
        self.definitions = Defining(store, harnesses, clock, random)
        self.secrets = SecretKeeping(secrets)
        self.tokens = Granting(store, clock, random)

    async def ping(self) -> None:
        """Raises StoreError, or what the database says, where the store does not answer."""
        await self._run(self.store.last_events, [])
        await self._run(self.store.session, "")

    async def close(self) -> None:
        """End all who follow a log. (The store is its owner's to close.)"""
        await self.feed.close()

    async def define(self, principal: Principal, kind: Kind, spec: Spec, once: Once | None = None) -> Definition:
        """A new agent or environment."""
        return await self.definitions.make(principal, kind, spec, once)

    # -- sessions -----------------------------------------------------------------------------------------------------

    async def start(self, principal: Principal, wanted: NewSession, once: Once | None = None) -> Session:
        """A new session, which the runner brings up. An agent's token starts a worker of its own session."""
        access.require(principal, "sessions:write", "workers:write")
        known = await self._known(once, Session)
        if known is not None:
            return known
        agent = await self.definitions.pinned(principal, "agent", wanted.agent, wanted.agent_version)
        environment = await self.definitions.pinned(
            principal, "environment", wanted.environment, wanted.environment_version
        )
        now = self._clock()
        session = Session(
            id=ids.mint(ids.SESSION, now, self._random),
            owner=principal.owner,
            agent=Pin(agent.id, agent.version),
            environment=Pin(environment.id, environment.version),
            created_at=now,
            updated_at=now,
            title=wanted.title,
            labels=wanted.labels,
            limits=limits.tightest(agent.spec.budget, wanted.limits),  # type: ignore[union-attr]
            parent=principal.session,
            created_by=principal.token,
        )
        check = None
        if principal.session is not None:
            session, check = await self._as_worker(principal, session, cast(Agent, agent), wanted)
        said = _said(wanted.message, principal) if wanted.message is not None else ()
        made = await self._in_thread(lambda: self.store.add_session(session, said, check=check, once=once))
        await self._tell(self._runner.start(made))
        return made

    async def _as_worker(
        self, principal: Principal, session: Session, agent: Agent, wanted: NewSession
    ) -> tuple[Session, Callable[[Session, Sequence[Session]], None]]:
        """The session as a worker of the caller's, and what is to be checked as it is written (teams/rules.py). Raises
        Forbidden, NotFound.
        """
        supervisor = access.readable(principal, await self._run(self.store.session, principal.session or ""))
        rules.check_place(supervisor, session.environment)
        own = await self._run(self.store.definition, "agent", supervisor.agent.id, supervisor.agent.version)
        rules.check_agent(cast(Agent, own), agent)
        limits_ = rules.limits_of(supervisor, agent.spec.budget, wanted.limits, self._clock())
        worker = msgspec.structs.replace(session, limits=limits_)
        return worker, lambda parent, workers: rules.check_share(parent, worker, workers)

    async def team(self, principal: Principal, id_: str) -> rules.Team:
        """Whom a session may start, what it has left to give, and its workers."""
        session = await self.session(principal, id_)
        which = SessionFilter(owner=session.owner, parent=session.id)
        page = await self._in_thread(lambda: self.store.sessions(which, limit=rules.MOST_STARTED))
        agents = await self._in_thread(lambda: self._startable(session))
        return rules.Team(session.id, session.environment, agents, limits.left(session), page.data)

    def _startable(self, session: Session) -> list[rules.Startable]:
        own = self.store.definition("agent", session.agent.id, session.agent.version)
        found: dict[str, rules.Startable] = {}
        for word in cast(Agent, own).spec.workers if own is not None and session.parent is None else ():
            named = self.store.definitions("agent", session.owner, name=word, limit=200).data
            by_id = self.store.definition("agent", word)
            for each in [*named, *([by_id] if by_id is not None else [])]:
                if each.owner == session.owner and each.archived_at is None:
                    found[each.id] = rules.startable(cast(Agent, each))
        return list(found.values())

    async def session(self, principal: Principal, id_: str) -> Session:
        """One session."""
        access.require(principal, "sessions:read")
        return access.readable(principal, await self._run(self.store.session, id_))

    async def sessions(
        self, principal: Principal, *, state: State | None, agent: str | None, parent: str | None,
        cursor: str | None, limit: int,
    ) -> Page[Session]:  # fmt: skip
        """A page of those that the caller sees."""
        access.require(principal, "sessions:read")
        which = SessionFilter(owner=principal.owner, state=state, agent=agent, parent=parent, sees=principal.session)
        return await self._in_thread(lambda: self.store.sessions(which, cursor=cursor, limit=limit))

    async def message(
        self, principal: Principal, id_: str, wanted: NewMessage, once: Once | None = None
    ) -> SessionEvent:
        """Say something: it is in the log when this returns, and in a turn soon after."""
        session = await self._writable(principal, id_)
        done = await self._append(session.id, _said(wanted.text, principal, wanted.files), once)
        await self._tell(self._runner.message(done.session, done.events[-1]))
        return done.events[-1]

    async def interrupt(self, principal: Principal, id_: str, once: Once | None = None) -> Session:
        """End the turn that is under way."""
        return await self._command(principal, id_, Cause.INTERRUPT, Reason.INTERRUPTED, self._runner.interrupt, once)

    async def suspend(self, principal: Principal, id_: str, once: Once | None = None) -> Session:
        """Stop what runs; workspace and conversation are kept."""
        return await self._command(principal, id_, Cause.SUSPEND, Reason.USER, self._runner.suspend, once)

    async def resume(self, principal: Principal, id_: str, once: Once | None = None) -> Session:
        """Go on. What an alarm has suspended, no agent resumes."""
        session = await self._writable(principal, id_)
        if principal.session is not None and session.reason is Reason.FROZEN:
            raise Forbidden("an alarm has frozen this session", fix="its owner looks at it, and resumes it")
        return await self._command(principal, id_, Cause.RESUME, Reason.RESUMED, self._runner.resume, once)

    async def terminate(self, principal: Principal, id_: str, once: Once | None = None) -> Session:
        """End it, and its workers, for good. The log stays."""
        reason = Reason.USER if principal.session is None else Reason.SUPERVISOR
        made = await self._command(principal, id_, Cause.TERMINATE, reason, self._runner.terminate, once)
        await self._run(self.store.revoke_session_tokens, made.id, self._clock())
        for worker in await self._workers(made):
            await self._end_worker(worker)
        return made

    async def _workers(self, session: Session) -> list[Session]:
        """Those that live."""
        which = SessionFilter(owner=session.owner, parent=session.id)
        page = await self._in_thread(lambda: self.store.sessions(which, limit=1000))
        return [each for each in page.data if each.state is not State.TERMINATED]

    async def _end_worker(self, worker: Session) -> None:
        try:
            done = await self._append(worker.id, [Move(Cause.TERMINATE, Reason.SUPERVISOR)], None)
        except AgentsError:
            return  # it has just ended by itself; if not, the reconciler ends it
        await self._run(self.store.revoke_session_tokens, worker.id, self._clock())
        await self._tell(self._runner.terminate(done.session))

    async def fork(self, principal: Principal, id_: str, wanted: ForkSession, once: Once | None = None) -> Session:
        """A new session that shares the first events of this one, with a workspace as it was then."""
        origin = await self._writable(principal, id_)
        now = self._clock()
        session = Session(
            id=ids.mint(ids.SESSION, now, self._random),
            owner=origin.owner,
            agent=origin.agent,
            environment=origin.environment,
            created_at=now,
            updated_at=now,
            title=wanted.title or origin.title,
            labels=origin.labels,
            limits=origin.limits,
            parent=origin.parent,
            forked_from=Fork(origin.id, wanted.number),
            created_by=principal.token,
        )
        if principal.session is not None:
            raise Forbidden("an agent may not fork sessions", fix="let it start a worker")
        said = _said(wanted.message, principal) if wanted.message is not None else ()
        made = await self._in_thread(lambda: self.store.fork_session(session, said, once=once))
        await self._tell(self._runner.start(made))
        return made

    async def _writable(self, principal: Principal, id_: str) -> Session:
        access.require(principal, "sessions:write", "workers:write")
        return access.writable(principal, await self._run(self.store.session, id_))

    async def _command(
        self, principal: Principal, id_: str, cause: Cause, reason: Reason,
        tell: Callable[[Session], Awaitable[None]], once: Once | None,
    ) -> Session:  # fmt: skip
        session = await self._writable(principal, id_)
        done = await self._append(session.id, [Move(cause, reason)], once)
        await self._tell(tell(done.session))
        return done.session

    async def _append(self, id_: str, drafts: Sequence[Draft], once: Once | None) -> Appended:
        return await asyncio.wrap_future(self.store.append_soon(id_, drafts, at=self._clock(), once=once))

    async def terminal(self, principal: Principal, id_: str, program: Program, size: tuple[int, int]) -> Terminal:
        """A terminal in a session, for a person: opened, if it is not open yet."""
        session = await self._writable(principal, id_)
        if principal.session is not None:
            raise Forbidden("an agent may open no terminals", fix="let it say something to its worker")
        if self._terminals is None:
            raise Unavailable("this server has no terminals", fix="run it with a runner")
        return await self._terminals.terminal(session, program, size, principal.token)

    async def watched(self, principal: Principal, id_: str, program: Program) -> Terminal:
        """A terminal that somebody has opened. Raises NotFound, Forbidden, Conflict."""
        session = await self.session(principal, id_)
        found = self._terminals.living_terminal(session, program) if self._terminals is not None else None
        if found is None:
            raise Conflict(f"nobody has opened the {program}'s terminal", fix="open it", code="no_terminal")
        return found

    # -- the log ------------------------------------------------------------------------------------------------------

    async def events(
        self, principal: Principal, id_: str, *, after: int, limit: int, kinds: Sequence[str] | None
    ) -> list[Stored]:
        """The events after this number."""
        await self.session(principal, id_)
        return await self._run(self.store.events, id_, after, limit, kinds)

    async def follow(
        self, principal: Principal, id_: str, after: int, *, heartbeat: float = 15.0
    ) -> AsyncGenerator[list[Stored]]:
        """The events after this number, as they come; empty pages in between say that all is well.

        Ends when the session is over, or the caller's token is. Raises NotFound, Forbidden, Conflict (a number that the
        log has not come to), before the first page.
        """
        session = await self.session(principal, id_)
        if after > session.last_event:
            raise Conflict(f"the log goes to {session.last_event}", fix="ask for what follows upon that", code="ahead")
        return self._followed(principal, id_, after, heartbeat)

    async def _followed(
        self, principal: Principal, id_: str, after: int, heartbeat: float
    ) -> AsyncGenerator[list[Stored]]:
        checked = silent_since = self._clock()
        async with aclosing(self.feed.follow(id_, after, heartbeat=min(heartbeat, _REVOKED_WITHIN))) as pages:
            async for page in pages:
                now = self._clock()
                if now - checked >= timedelta(seconds=1):
                    if not await self.tokens.stands(principal):
                        return
                    checked = now
                if page or now - silent_since >= timedelta(seconds=heartbeat):
                    silent_since = now
                    yield page

    # -- approvals ----------------------------------------------------------------------------------------------------

    async def ask(self, principal: Principal, id_: str, ask: Ask, once: Once | None = None) -> Approval:
        """Put a question on behalf of a session. What was answered already is answered at once."""
        access.require(principal, "approvals:propose")
        session = access.asking(principal, await self._run(self.store.session, id_))
        now = self._clock()
        approval = Approval(
            id=ids.mint(ids.APPROVAL, now, self._random),
            owner=session.owner,
            session=session.id,
            ask=ask,
            asked_at=now,
            expires_at=now + timedelta(seconds=ask.timeout_seconds),
        )
        return (await self._run(self.store.ask, approval, once)).approval

    async def approval(self, principal: Principal, id_: str) -> Approval:
        """One approval."""
        access.require(principal, "approvals:read")
        return await self._approval(principal, id_)

    async def _approval(self, principal: Principal, id_: str) -> Approval:
        found = await self._run(self.store.approval, id_)
        session = await self._run(self.store.session, found.session) if found is not None else None
        if found is None or session is None or not access.sees(principal, session):
            raise NotFound("there is no such approval")
        return found

    async def approvals(
        self, principal: Principal, *, session: str | None, is_open: bool | None, cursor: str | None, limit: int
    ) -> Page[Approval]:
        """A page of those that the caller sees."""
        access.require(principal, "approvals:read")
        return await self._in_thread(
            lambda: self.store.approvals(
                owner=principal.owner, session=session, is_open=is_open, sees=principal.session, cursor=cursor,
                limit=limit,
            )
        )  # fmt: skip

    async def approvals_of(
        self, principal: Principal, id_: str, *, is_open: bool | None, cursor: str | None, limit: int
    ) -> Page[Approval]:
        """A page of one session's."""
        access.require(principal, "approvals:read")
        session = await self._run(self.store.session, id_)
        if session is None or not access.sees(principal, session):
            raise NotFound("there is no such session")
        return await self.approvals(principal, session=id_, is_open=is_open, cursor=cursor, limit=limit)

    async def decide(
        self, principal: Principal, id_: str, wanted: DecideApproval, once: Once | None = None
    ) -> Approval:
        """Answer a question. A denial is remembered for the rest of the session unless `remember` is false."""
        access.require(principal, "approvals:decide")
        found = await self._approval(principal, id_)
        remember = wanted.decision == "denied" if wanted.remember is None else wanted.remember
        decided = await self._in_thread(
            lambda: self.store.decide(
                id_, wanted.decision, at=self._clock(), by=principal.token, remember=remember, note=wanted.note,
                once=once,
            )
        )  # fmt: skip
        await self._tell_decided(found.session, decided)
        return decided

    async def expire(self, id_: str) -> Approval:
        """Say that nobody has decided in time. Raises Conflict where that is not so. (The reconciler asks for it.)"""
        expired = await self._in_thread(lambda: self.store.decide(id_, "expired", at=self._clock(), by=""))
        await self._tell_decided(expired.session, expired)
        return expired

    async def _tell_decided(self, id_: str, approval: Approval) -> None:
        session = await self._run(self.store.session, id_)
        if session is not None:
            await self._tell(self._runner.decided(session, approval))

    # -- files --------------------------------------------------------------------------------------------------------

    @property
    def files(self) -> Files:
        """Raises Unavailable."""
        if self._files is None:
            raise Unavailable("this server has no files of sessions", fix="start it with a sandbox driver")
        return self._files

    async def artifacts(self, principal: Principal, id_: str, *, after: int, limit: int) -> list[Stored]:
        """The artifacts that its agent has handed out: events."""
        return await self.events(principal, id_, after=after, limit=limit, kinds=("artifact",))

    async def artifact(self, principal: Principal, id_: str, artifact: str) -> tuple[Session, Artifact]:
        """One of them."""
        session = await self.session(principal, id_)
        after = 0
        while page := await self._run(self.store.events, id_, after, 500, ("artifact",)):
            for stored in page:
                data = stored.event.data
                if isinstance(data, Artifact) and data.artifact == artifact:
                    return session, data
            after = page[-1].number
        raise NotFound("there is no such artifact")

    async def writable(self, principal: Principal, id_: str) -> Session:
        """The session, for who may write its files."""
        return await self._writable(principal, id_)

    # -- tokens -------------------------------------------------------------------------------------------------------

    async def mint_token(
        self, owner: str, name: str, scopes: Sequence[str], *, session: str | None = None, seconds: int | None = None
    ) -> tuple[Token, str]:
        """A new token of the platform's own making, and its secret."""
        return await self.tokens.mint(owner, name, scopes, session=session, seconds=seconds)

    async def agent_token(self, session: Session) -> str:
        """The secret of a new token for a supervisor's agent; it ends with the session."""
        return (await self.tokens.mint(session.owner, "its agent", way.SCOPES, session=session.id))[1]

    async def authenticate(self, secret: str) -> Principal | None:
        """Who calls with this token; None: nobody that we know."""
        return await self.tokens.authenticate(secret)

    # -- how ----------------------------------------------------------------------------------------------------------

    async def _known(self, once: Once | None, type_: type[T]) -> T | None:
        """The answer that was given to this key already."""
        found = await self._run(self.store.answered, once) if once is not None else None
        return None if found is None else msgspec.json.decode(found, type=type_)

    async def _run(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.to_thread(function, *arguments)

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.to_thread(function)

    async def _tell(self, told: Awaitable[None]) -> None:
        try:
            await told
        except Exception:
            _log.exception("the runner did not take up what was written; the reconciler will see to it")


def _said(text: str, principal: Principal, files: tuple[str, ...] = ()) -> list[Draft]:
    return [UserMessage(text, principal.token, files)]


__all__ = ["Service", "utc_now"]
