"""AgentStore: what a database must do for the agent platform. The contract, and the values that it speaks in.

Every write is one transaction: all of it happened or nothing, whatever is killed. Methods block (call them from
threads, or take the `_soon` twin of `append`, whose future is done when the events are durable) and may be called from
any thread. tests/contract/agents_store is what an implementation must pass.

A write may bear an idempotency key (`Once`): the first answer is kept with it in the same transaction, and returned to
whoever comes again with the same key and request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Literal, Protocol

from msgspec import Struct

from penstock.agents.events import Draft, SessionEvent, decode
from penstock.agents.log import Source
from penstock.agents.machine import State
from penstock.agents.plans import Change, Plan, PlanChanged
from penstock.agents.types import (
    Agent,
    AgentSpec,
    Approval,
    Decision,
    Environment,
    EnvironmentSpec,
    Page,
    Principal,
    Sandbox,
    Session,
    Token,
)

Kind = Literal["agent", "environment"]
Definition = Agent | Environment
Spec = AgentSpec | EnvironmentSpec
Listener = Callable[[Mapping[str, int]], None]
"""Is told, after each commit, session -> number of its last event. Called on the writer's thread; must not block."""


class Once(Struct, frozen=True):
    """An idempotency key: whose, which, the SHA-256 (hex) of the request that it stands for, and when this came."""

    owner: str
    key: str
    digest: str
    at: datetime


class Stored(Struct, frozen=True):
    """An event as the log has it: its JSON, as it was written."""

    number: int
    kind: str
    json: bytes

    @property
    def event(self) -> SessionEvent:
        """The event as a value."""
        return decode(self.json)


class Appended(Struct, frozen=True):
    """What an append has come to: the session's row after it, and for each draft its event (old, where it was
    repeated).
    """

    session: Session
    events: list[SessionEvent]


class Asked(Struct, frozen=True):
    """What a question has come to: the approval (an older one, where that answers it), and whether it is new."""

    approval: Approval
    new: bool


class SessionFilter(Struct, frozen=True, kw_only=True):
    """Which sessions: those of whom everything that is given holds. `sees`: this session and its workers only."""

    owner: str | None = None
    state: State | None = None
    agent: str | None = None
    parent: str | None = None
    sees: str | None = None


class AgentStore(Protocol):
    """What a database does for the agent platform. Lists are newest first; `cursor` is the last id of the page
    before.
    """

    def close(self) -> None:
        """Write what was handed in, and close all connections."""
        ...

    # agents and environments

    def add_definition(self, kind: Kind, made: Definition, once: Once | None = None) -> Definition:
        """Remember a new agent or environment, in its first version."""
        ...

    def definition(self, kind: Kind, id: str, version: int | None = None) -> Definition | None:
        """One version of it; None: the newest. None where there is none."""
        ...

    def definitions(
        self, kind: Kind, owner: str, *, name: str | None = None, archived: bool = False, cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Definition]:  # fmt: skip
        """The newest versions of an owner's; archived ones only if wanted."""
        ...

    def versions(self, kind: Kind, id: str, *, before: int | None = None, limit: int = 50) -> list[Definition]:
        """Its versions (those before this one), newest first."""
        ...

    def change_definition(
        self, kind: Kind, id: str, change: Callable[[Spec], Spec], *, expected: int | None, at: datetime, by: str,
        once: Once | None = None,
    ) -> Definition:  # fmt: skip
        """A new version; none is made where nothing changes. Raises NotFound, Conflict (archived), VersionConflict
        where
        the newest is not `expected`.
        """
        ...

    def archive_definition(self, kind: Kind, id: str, *, at: datetime, once: Once | None = None) -> Definition:
        """Let no new session use it. Sessions that do go on. Raises NotFound."""
        ...

    # sessions

    def add_session(
        self, session: Session, drafts: Sequence[Draft] = (), *,
        check: Callable[[Session, Sequence[Session]], None] | None = None, once: Once | None = None,
    ) -> Session:  # fmt: skip
        """Remember a new session (`last_event` 0), whose log begins with a status and these drafts. `check` is given
        its parent and all workers of that, in the same transaction, and raises what forbids one more. The parent's log
        is told when a worker begins, ends, and has still cost something after that (`WorkerChanged`); the end of a
        session ends its plans, the end of a worker the steps that it was doing.
        """
        ...

    def fork_session(self, session: Session, drafts: Sequence[Draft] = (), *, once: Once | None = None) -> Session:
        """Remember a new session whose log begins with the events that its `forked_from` names. Raises NotFound,
        Invalid.
        """
        ...

    def session(self, id: str) -> Session | None:
        """The session with this id."""
        ...

    def sessions(self, which: SessionFilter, *, cursor: str | None = None, limit: int = 50) -> Page[Session]:
        """A page of these sessions."""
        ...

    def living(self) -> list[Session]:
        """Every session that is not terminated, oldest first: what the reconciler begins with."""
        ...

    def set_sandbox(self, id: str, sandbox: Sandbox | None) -> Session:
        """Remember what holds it. Raises NotFound."""
        ...

    # the log

    def append(
        self, session: str, drafts: Sequence[Draft], *, at: datetime, source: Source | None = None,
        once: Once | None = None,
    ) -> Appended:  # fmt: skip
        """Write these events, all or none, under the next numbers; they are durable when this returns. With a `source`,
        those that are there already are not written again.

        Raises NotFound, IllegalTransition, Conflict, TooLarge, ProducerGap, ProducerMismatch.
        """
        ...

    def append_soon(
        self, session: str, drafts: Sequence[Draft], *, at: datetime, source: Source | None = None,
        once: Once | None = None,
    ) -> Future[Appended]:  # fmt: skip
        """The same, for those who must not block: `await asyncio.wrap_future(...)`."""
        ...

    def events(
        self, session: str, after: int = 0, limit: int = 500, kinds: Sequence[str] | None = None
    ) -> list[Stored]:
        """The events after this number, in their order, of these kinds."""
        ...

    def produced(self, session: str, producer: str) -> int:
        """The last number of this producer that the log has; 0: none."""
        ...

    def last_events(self, sessions: Sequence[str]) -> dict[str, int]:
        """Of these sessions, those that there are, with the number of the last event."""
        ...

    def listen(self, listener: Listener | None) -> None:
        """Tell this listener what was written; None: nobody."""
        ...

    def generation(self) -> int:
        """A number that changes when anybody, another process too, has written."""
        ...

    # approvals

    def ask(self, approval: Approval, once: Once | None = None) -> Asked:
        """Put a question, unless it is answered already or open (approvals.py), with its event. Raises TooMany,
        NotFound,
        Conflict.
        """
        ...

    def decide(
        self, id: str, decision: Decision, *, at: datetime, by: str, remember: bool = False, note: str = "",
        once: Once | None = None,
    ) -> Approval:  # fmt: skip
        """Answer a question, with its event. `expired` only where its time is over. Raises NotFound, Conflict."""
        ...

    def approval(self, id: str) -> Approval | None:
        """The approval with this id."""
        ...

    def approvals(
        self, *, owner: str | None = None, session: str | None = None, is_open: bool | None = None,
        sees: str | None = None, cursor: str | None = None, limit: int = 50,
    ) -> Page[Approval]:  # fmt: skip
        """A page of these. `is_open`: nothing is decided (its time may be over)."""
        ...

    # plans

    def add_plan(self, plan: Plan, change: PlanChanged, *, at: datetime, once: Once | None = None) -> Plan:
        """Remember a new plan (`version` 0) with its first change, and its event. Raises NotFound, Conflict (its
        session is over, or has too many).
        """
        ...

    def change_plan(self, id: str, change: Change, *, at: datetime, once: Once | None = None) -> Plan:
        """Change a plan, with its event; `change` is given the plan as it is. Raises NotFound, Conflict, and what
        `change` raises.
        """
        ...

    def plan(self, id: str) -> Plan | None:
        """The plan with this id."""
        ...

    def plans(
        self, *, owner: str | None = None, session: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> Page[Plan]:
        """A page of these."""
        ...

    # tokens and tickets

    def add_token(self, token: Token, digest: str) -> Token:
        """Remember a token by the SHA-256 (hex) of its secret."""
        ...

    def token(self, id: str) -> Token | None:
        """The token with this id."""
        ...

    def token_by_digest(self, digest: str) -> Token | None:
        """The token whose secret has this SHA-256."""
        ...

    def tokens(self, owner: str, *, cursor: str | None = None, limit: int = 50) -> Page[Token]:
        """A page of an owner's."""
        ...

    def revoke_token(self, id: str, at: datetime) -> Token:
        """Take it back. The first time stays. Raises NotFound."""
        ...

    def revoke_session_tokens(self, session: str, at: datetime) -> int:
        """Take back every token of this session's agent; returns how many it were."""
        ...

    def add_ticket(self, digest: str, principal: Principal, path: str, expires_at: datetime) -> None:
        """Remember a ticket, which stands once for this principal on this path."""
        ...

    def take_ticket(self, digest: str, path: str, now: datetime) -> Principal | None:
        """Whom it stands for; it is gone after that, whatever the path."""
        ...

    # the rest

    def answered(self, once: Once) -> bytes | None:
        """The answer (JSON of the value) that was kept with this key. Raises KeyReused where that stands for another
        request.
        """
        ...

    def prune(self, before: datetime, now: datetime) -> int:
        """Forget answers that were kept before this time, and tickets that are over; returns how many rows it were."""
        ...
